//! The connection of a session: asked for, shown to the peer, and replaced where it is lost.

use std::time::{Duration, Instant};

use super::{Session, State};
use crate::msrp::event::{Broken, Event, Output, Setup};
use crate::msrp::frame::{ByteRange, Frame, Method, TransactionId};
use crate::msrp::relay::Chain;
use crate::msrp::text::Text;
use crate::msrp::uri::Uri;

impl Session {
    pub(super) fn handle_connected(&mut self, now: Instant) {
        match &mut self.relays {
            Some(relays) => {
                let output = relays.connected(now, &mut self.random);
                self.carry_out(now, output);
            }
            None if matches!(self.state, State::Connecting { .. }) => self.ask_binding(now),
            None => {}
        }
    }

    pub(super) fn handle_closed(&mut self, now: Instant) {
        let relayed = self.relays.is_some();
        match self.state {
            State::Connecting { until } if self.lost.is_some() && now + PAUSE < until => {
                // Whoever has restarted listens again after a while.
                self.again = Some(now + PAUSE);
            }
            State::Connecting { .. } if !relayed => self.stay_away(Broken::ConnectFailed),
            State::Binding { .. } | State::Bound => self.lose(now),
            State::Idle | State::Early | State::Connecting { .. } | State::Listening { .. }
                if relayed =>
            {
                let absent = self.relays.as_deref().is_some_and(Chain::is_absent);
                self.give_up(if absent { Broken::ConnectFailed } else { Broken::Lost });
            }
            State::Early => {
                self.state = State::Idle;
                self.assembly.interrupt();
            }
            // Whoever connected was not our peer, or will try again.
            State::Connecting { .. } | State::Listening { .. } | State::Idle | State::Closed => {}
        }
    }

    /// Replaces a lost connection, once in the time that this may take: what was not answered is
    /// sent again under its Message-ID, by which the peer knows what it has had.
    fn lose(&mut self, now: Instant) {
        let next = self.far.as_ref().map(|far| far.first().clone());
        let soon_again = self.lost.is_some_and(|until| now < until);
        let is_over = self.limits.grace.is_zero() || self.relays.is_some() || soon_again;
        let (Some(setup), Some(next), false) = (self.setup, next, is_over) else {
            return self.give_up(Broken::Lost);
        };
        let until = now + self.limits.grace;
        self.lost = Some(until);
        self.outputs.push_back(Output::Event(Event::Interrupted));
        match setup {
            Setup::Active => {
                self.state = State::Connecting { until };
                self.connect_to(&next);
            }
            Setup::Passive => self.state = State::Listening { until },
        }
        self.assembly.interrupt();
        let settled = self.outbox.interrupt();
        self.settle(settled);
        let nickname = self.reservation.drain("the connection is lost");
        self.outputs.extend(nickname.map(Output::Event));
    }

    pub(super) fn connect_again(&mut self) {
        self.again = None;
        let next = self.far.as_ref().map(|far| far.first().clone());
        if let (State::Connecting { .. }, Some(next)) = (&self.state, next) {
            self.connect_to(&next);
        }
    }

    /// Gives up because no connection has come about: the first, or another for one that is lost.
    pub(super) fn stay_away(&mut self, first: Broken) {
        self.give_up(if self.lost.is_some() { Broken::Lost } else { first });
    }

    pub(super) fn connect_to(&mut self, next: &Uri) {
        let at = (next.host().to_owned(), next.port().unwrap_or(MSRP_PORT));
        let anchor = self.anchor.as_deref().filter(|_| self.far.is_some());
        let (host, port) = anchor.cloned().unwrap_or(at);
        self.outputs.push_back(Output::Connect { host, port, secure: next.secure() });
    }

    /// Shows the peer that we are here, and waits for the answer.
    pub(super) fn ask_binding(&mut self, now: Instant) {
        let Some(peer) = &self.peer else { return };
        self.again = None;
        let tid = TransactionId::draw(&mut self.random, b"");
        let mut first = Frame::request(Method::Send, tid.clone(), peer.clone(), self.local.clone());
        first.message_id = Some(Text::new(&self.random.token()));
        first.byte_range = Some(ByteRange { start: 1, end: Some(0), total: Some(0) });
        let until = now + self.limits.bind_wait;
        self.state = State::Binding { tid: Box::new(tid), until };
        self.write(&first);
    }
}

/// How long the next attempt to replace a lost connection waits after one that has failed.
const PAUSE: Duration = Duration::from_millis(500);

/// The port registered for MSRP (RFC 4975 section 15.4).
const MSRP_PORT: u16 = 2855;
