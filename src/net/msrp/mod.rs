//! MSRP connections: accepted ones find their session, and one link moves the bytes of a session.
//!
//! ```text
//! listener ──first frame──▶ directory ──Letter──▶ driver: MsrpLink ── Line ──▶ peer
//!                               ▲                    │ a frame for another session of ours
//!                               │                    ▼
//!                               └──Letter── hub ── Line ──▶ peer       MsrpLink ◀─port─▶ hub
//! ```
//! A connection belongs to the task of its session, and no byte waits for another task. Only when a
//! second session is named on it (RFC 4975 section 5.4), a hub takes it over, and serves both.

mod dial;
mod hub;
mod line;
mod link;
mod listener;
mod secure;
mod web;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use super::names::Names;
use super::tether::Tether;
use crate::msrp::{Framing, Limits};

pub use link::{MsrpLink, Reach};
pub use listener::{MsrpListener, Service};
pub use secure::MsrpTls;

/// Bounds and deadlines of the MSRP sockets.
#[derive(Debug, Clone)]
pub struct MsrpSettings {
    /// What a frame may be like.
    pub framing: Framing,
    /// How many accepted connections may wait for their first frame.
    pub unbound: usize,
    /// How many of them may come from one address; of IPv6, from one network of 64 bits.
    pub unbound_per_source: usize,
    /// How long an accepted connection may take to name its session.
    pub bind_timeout: Duration,
    /// How long opening a connection may take.
    pub connect_timeout: Duration,
    /// Whether peers at loopback, private and link-local addresses are dialled.
    pub allow_private_dial: bool,
    /// Our side of TLS, where we have one.
    pub tls: Option<Arc<MsrpTls>>,
    /// The origins whose pages may connect by WebSocket, such as `https://chat.example.com`; none
    /// is any.
    pub origins: Vec<String>,
    /// How often a WebSocket is asked for a sign of life.
    pub ping: Duration,
    /// Who turns the hosts of peers into addresses.
    pub names: Names,
    /// Who may be dialled, if not everybody.
    pub tether: Option<Arc<Tether>>,
}

impl Default for MsrpSettings {
    fn default() -> Self {
        Self {
            framing: Limits::default().into(),
            unbound: 256,
            unbound_per_source: 64,
            bind_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            allow_private_dial: true,
            tls: None,
            origins: Vec::new(),
            ping: Duration::from_secs(30),
            names: Names::default(),
            tether: None,
        }
    }
}
