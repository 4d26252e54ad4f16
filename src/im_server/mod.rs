//! The embedded IM server: registrar and proxy of one domain (RFC 3261 sections 10 and 16).

mod settings;

use std::time::Instant;

use bytes::Bytes;

use crate::ids::Random;
use crate::sip::{Hop, Message};

pub use settings::Settings;

/// The IM server: hand in what happens, then carry out what [`ImServer::poll`] gives.
#[derive(Debug)]
pub struct ImServer {
    settings: Settings,
    random: Random,
}

/// What happens to the server.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A message came in.
    Message {
        /// The message.
        message: Message,
        /// Where it came from.
        source: Hop,
    },
    /// What was to be sent there could not be sent.
    SendFailed {
        /// Where it was to go.
        hop: Hop,
    },
    /// The time that [`ImServer::next_timeout`] told has come.
    Timeout,
}

/// What the server wishes.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Bytes to put on the wire.
    Send {
        /// The encoded message.
        bytes: Bytes,
        /// Where it goes.
        hop: Hop,
    },
}

impl ImServer {
    /// Makes a server that knows nobody but the users of its settings.
    #[must_use]
    pub fn new(settings: Settings, random: Random) -> Self {
        Self { settings, random }
    }

    /// Takes in what happened; then drain [`ImServer::poll`].
    pub fn handle(&mut self, now: Instant, input: Input) {
        let _ = (now, input, &self.settings, &mut self.random);
    }

    /// Gives the next wish.
    pub fn poll(&mut self) -> Option<Output> {
        None
    }

    /// Tells when to hand in [`Input::Timeout`].
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        None
    }
}
