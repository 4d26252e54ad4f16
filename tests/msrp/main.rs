//! MSRP from outside, bytes in and bytes out: what others have sent reaches us as they meant it,
//! what we send reaches its end or is known not to, and nobody can make us hold or say too much.
#![allow(missing_docs, clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod hardening;
mod network;
mod quirks;
mod recorded;
mod stage;
mod strangers;
