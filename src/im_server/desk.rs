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
}

impl Desk {
    pub(super) fn send(&mut self, bytes: Bytes, hop: Hop) {
        self.outputs.push_back(Output::Send { bytes, hop });
    }
}
