//! What every part of the server writes with and on.

use std::collections::VecDeque;

use bytes::Bytes;

use super::Output;
use super::domain::Domain;
use super::refusal::Clerk;
use crate::ids::Random;
use crate::sip::{Hop, Seal, Timers};

/// The tools of the server, lent to whoever is at work.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) domain: Domain,
    pub(super) clerk: Clerk,
    /// Seals the dialogs that go through here.
    pub(super) seal: Seal,
    pub(super) home: Option<Hop>,
    pub(super) timers: Timers,
    /// The largest request that goes as a datagram, in bytes; `0` is any.
    pub(super) datagram: usize,
    pub(super) random: Random,
    pub(super) outputs: VecDeque<Output>,
    /// What the proxy answers to the focus.
    pub(super) inner: VecDeque<Bytes>,
    /// As where the focus sends from, to the proxy beside it.
    pub(super) beside: Hop,
}

impl Desk {
    pub(super) fn send(&mut self, bytes: Bytes, hop: Hop) {
        // The focus sends by this very way, and nobody else is answered there.
        if hop == self.beside && bytes.starts_with(b"SIP/2.0 ") {
            self.inner.push_back(bytes);
        } else {
            self.outputs.push_back(Output::Send { bytes, hop });
        }
    }
}
