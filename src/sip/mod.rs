//! RFC 3261 and its company: the wire, the values on it, and the machines that speak it.
//!
//! From the bottom up: `grammar` has the words, `uri`, `name_addr` and `via` the values,
//! `headers` and `message` the whole, `wire` the way in and out, `build` what we write.

mod build;
mod grammar;
mod headers;
mod hop;
mod message;
mod method;
mod name_addr;
mod reason;
mod status;
mod timers;
mod uri;
mod via;
mod views;
mod wire;

pub use build::{RequestBuilder, response_to, stamp_answer, stamp_source};
pub use grammar::BadParams;
pub use headers::Headers;
pub use hop::{Hop, Transport, UnknownTransport};
pub use message::{Message, Request, Response};
pub use method::Method;
pub use name_addr::{NameAddr, NameAddrError};
pub use reason::Reason;
pub use status::Status;
pub use timers::Timers;
pub use uri::{MAX_URI, Scheme, Uri, UriError};
pub use via::{BRANCH_COOKIE, Via, ViaError, ViaTransport, reply_fallback, reply_hop};
pub use views::{CSeq, Contacts, ViewError};
pub use wire::{Decoded, KeepAlive, StreamDecoder, WireError, WireLimits, decode_datagram};
