//! What the codecs make of recorded and written-up messages.
#![allow(missing_docs, clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

#[path = "../transports/certificates.rs"]
#[allow(dead_code, reason = "not every binary has use for all of it")]
mod certificates;
mod corpus;
mod derived;
mod fenced;
mod msrp;
mod mutations;
mod payload;
mod played;
mod replay;
mod targets;
mod torture;
mod traces;
mod verdicts;
