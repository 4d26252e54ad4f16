//! The SIP layer from outside: what its peers have seen other stacks get wrong, what hostile ones
//! try, and what must hold for every message and on every network.
#![allow(missing_docs, clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

#[allow(dead_code, reason = "the verdicts are for those who judge")]
#[path = "../wire/corpus.rs"]
mod corpus;
mod hardening;
mod mistakes;
mod properties;
mod simulator;
mod stage;
mod storms;
mod wire;
