//! What the codecs make of recorded and written-up messages.
#![allow(missing_docs, clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod corpus;
mod msrp;
mod mutations;
mod payload;
mod played;
mod replay;
mod torture;
mod traces;
