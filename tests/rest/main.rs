//! The API over real sockets: HTTP in, SIP and MSRP through the embedded IM server, HTTP out.
//!
//! Every server listens on port 0. Long polls and callbacks are what a test waits for, each within
//! [`world::LIMIT`]; where nothing must come, a later event is awaited that would come behind it.
#![allow(missing_docs, clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod bearers;
mod callbacks;
#[path = "../transports/certificates.rs"]
#[allow(dead_code, reason = "SIP under TLS is shown elsewhere")]
mod certificates;
mod channels;
mod contract;
mod core;
mod document;
mod ears;
mod end_of_process;
mod entrance;
mod faults;
mod flows;
mod forms;
mod group_flows;
mod groups;
mod handset;
mod hardening;
mod hostile;
mod killed;
mod many;
mod message_status;
mod messages;
mod order;
mod peer;
mod registered;
mod registrar;
mod representations;
mod restart;
mod rooms;
mod schema;
mod session_status;
mod sessions;
mod streams;
mod subscriptions;
mod wire;
mod world;
