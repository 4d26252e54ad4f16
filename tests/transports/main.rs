//! SIP on real sockets: datagrams, streams and TLS, and what happens when they break.
#![allow(clippy::unwrap_used)]

mod calls;
mod certificates;
#[path = "../wire/corpus.rs"]
mod corpus;
mod datagrams;
mod element;
mod phone;
mod served;
mod streams;
mod tls;
mod torture;
