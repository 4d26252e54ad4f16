//! Talking: messages from one to all or to one (RFC 7701 section 6), and nicknames (section 7).
//!
//! A message is read once, and its body is not copied for anybody: each session gets a slice of the
//! bytes that came in, and writes its own head before it. A participant that does not take what it
//! is sent has a full queue, or an unanswered chunk, and is sent away; nobody waits for it.

use std::collections::BTreeSet;
use std::time::Instant;

use super::{Item, Room, RoomOutput};
use crate::address::Address;
use crate::im_server::focus::seat::Seat;
use crate::im_server::focus::switch::{Judge, Passed, Recipients};
use crate::im_server::focus::{MediaOutput, Owner};
use crate::msrp::{self, Event, FailureReport, Outgoing, Output};
use crate::payload::conference::Disconnection;
use crate::payload::cpim;
use crate::sip::Reason;

/// A message whose sender waits for others to have it.
#[derive(Debug)]
pub(super) struct Unserved {
    from: u32,
    held: msrp::Held,
    waits_for: BTreeSet<u32>,
    /// Until when its sender may be kept waiting.
    until: Instant,
}

impl Room {
    /// Does what the MSRP session of a seat wishes, and takes what it reports. Whatever that is to
    /// the call of a seat makes the seat busy.
    pub(super) fn serve_media(&mut self, now: Instant, number: u32) {
        while let Some(event) = self.carry_out_media(number) {
            self.handle_news(now, number, event);
        }
        if let Some(seat) = self.seats.get_mut(&number) {
            seat.answer_call();
            self.schedule.note(Item::Seat(number), seat.set_media_alarm());
        }
    }

    /// Does what an MSRP session wishes, up to its next report.
    fn carry_out_media(&mut self, number: u32) -> Option<Event> {
        let seat = self.seats.get_mut(&number)?;
        loop {
            let output = match seat.media.poll()? {
                Output::Event(event) => return Some(event),
                Output::Connect { host, port, secure: _ } => MediaOutput::Connect { host, port },
                Output::Write(bytes) => MediaOutput::Write(bytes),
                Output::WriteParts(parts) => MediaOutput::WriteParts(parts),
                Output::Close => MediaOutput::Close,
            };
            self.outputs.push_back(RoomOutput::Media(number, output));
        }
    }

    fn handle_news(&mut self, now: Instant, number: u32, event: Event) {
        match event {
            Event::Message(message) => self.pass_on(now, number, &message),
            Event::NicknameAsked(asked) => self.name(now, number, &asked),
            // It has taken no answer in time: it does not read, or is gone.
            Event::Failed { code: 408, .. } | Event::Broken(_) => self.drop_stalled(now, number),
            // What one participant does not want to have is no business of the sender's.
            Event::Sent { message_id } | Event::Failed { message_id, .. } => {
                self.note_served(now, number, &message_id);
            }
            Event::Bound
            | Event::Report { .. }
            | Event::Nickname { .. }
            | Event::Interrupted
            | Event::Path(_) => {}
        }
    }

    /// Passes a message on, or refuses it.
    fn pass_on(&mut self, now: Instant, number: u32, message: &msrp::Incoming) {
        let Some(sender) = self.seats.get(&number).filter(|seat| seat.is_talking()) else { return };
        let judge = Judge {
            names: &self.desk.names,
            roster: &self.roster,
            room: &self.desk.user,
            private: self.desk.settings.private_messages,
        };
        let verdict = judge.judge(&sender.user, message);
        let verdict = verdict.and_then(|passed| match &passed.to {
            Recipients::All => Ok(passed),
            Recipients::One(user) => {
                let peer = self.seat(user).and_then(Seat::peer);
                peer.map_or(Err(404), |peer| passed.check_private(peer)).map(|()| passed)
            }
        });
        match verdict {
            Ok(passed) => {
                self.be_lively(now);
                self.deliver(now, number, message, &passed);
            }
            Err(code) => {
                if let Some(seat) = self.seats.get_mut(&number) {
                    seat.media.refuse(now, code);
                }
            }
        }
    }

    /// Hands a message to those that it is for and that take its content.
    fn deliver(&mut self, now: Instant, from: u32, message: &msrp::Incoming, passed: &Passed) {
        self.messages = self.messages.wrapping_add(1);
        // One for all of them: each session knows it as the message of this room.
        let message_id = format!("m{}", self.messages);
        let is_hosted = self.is_hosted();
        let (mut served, mut stalled) = (BTreeSet::new(), Vec::new());
        for (number, seat) in &mut self.seats {
            let is_meant = match &passed.to {
                Recipients::All => *number != from,
                Recipients::One(user) => seat.user == *user,
            };
            if !is_meant || !seat.takes(&passed.content_type) {
                continue;
            }
            let copy = Outgoing {
                message_id: message_id.clone(),
                content_type: cpim::CONTENT_TYPE.to_owned(),
                body: message.body.clone(),
                success_report: false,
                failure_report: FailureReport::Yes,
            };
            match seat.media.send(now, copy) {
                Ok(()) => {
                    if is_hosted {
                        served.insert(*number);
                    }
                    if seat.call_up() {
                        self.called.push_back(*number);
                    }
                }
                Err(_) => stalled.push(*number),
            }
        }
        self.await_service(now, from, served);
        for number in stalled {
            self.drop_stalled(now, number);
        }
    }

    /// Keeps the answer to a message until those who are sent it have taken it, in a room whose host
    /// vouches for that. Whoever has not taken it in the time that a sender waits is sent away: the
    /// clock is that of the message, however long it waits behind others.
    fn await_service(&mut self, now: Instant, from: u32, waits_for: BTreeSet<u32>) {
        if !self.is_hosted() || waits_for.is_empty() {
            return;
        }
        let own = self.unserved.values().filter(|unserved| unserved.from == from).count();
        if own >= self.desk.settings.msrp.queue {
            return;
        }
        if let Some(held) = self.seats.get_mut(&from).and_then(|seat| seat.media.hold()) {
            let until = now + self.desk.settings.msrp.response_wait;
            self.unserved.insert(self.messages, Unserved { from, held, waits_for, until });
        }
    }

    /// Tells when a sender will have waited long enough: the messages are in the order of their time.
    pub(super) fn end_of_service(&self) -> Option<Instant> {
        self.unserved.first_key_value().map(|(_, unserved)| unserved.until)
    }

    /// Sends those away for whom a sender has waited long enough, whatever they have taken meanwhile.
    pub(super) fn end_service(&mut self, now: Instant) {
        while let Some(mut oldest) = self.unserved.first_entry().filter(|it| it.get().until <= now)
        {
            for number in std::mem::take(&mut oldest.get_mut().waits_for) {
                self.drop_stalled(now, number);
            }
            self.acknowledge(now);
        }
    }

    /// Tells whether the host of the room vouches for what it passes on.
    fn is_hosted(&self) -> bool {
        matches!(self.desk.settings.owner, Owner::Originator { .. })
    }

    /// Notes that somebody has taken a message, or does not want it.
    fn note_served(&mut self, now: Instant, number: u32, message_id: &str) {
        if self.unserved.is_empty() {
            return;
        }
        let message = message_id.strip_prefix('m').and_then(|digits| digits.parse().ok());
        if let Some(unserved) = message.and_then(|message| self.unserved.get_mut(&message)) {
            unserved.waits_for.remove(&number);
            self.acknowledge(now);
        }
    }

    /// Waits for somebody no more who has gone.
    pub(super) fn serve_no_more(&mut self, now: Instant, number: u32) {
        self.unserved.retain(|_, unserved| unserved.from != number);
        for unserved in self.unserved.values_mut() {
            unserved.waits_for.remove(&number);
        }
        self.acknowledge(now);
    }

    /// Answers the messages that all have who were sent them.
    fn acknowledge(&mut self, now: Instant) {
        for (_, done) in self.unserved.extract_if(.., |_, it| it.waits_for.is_empty()) {
            if let Some(seat) = self.seats.get_mut(&done.from) {
                seat.media.release(now, done.held);
                self.busy.push_back(Item::Seat(done.from));
            }
        }
    }

    /// Sends somebody away who does not take what it is sent.
    fn drop_stalled(&mut self, now: Instant, number: u32) {
        let reason = Reason::sip(480, "Bearer unavailable");
        self.dismiss(now, number, (Disconnection::Failed, Some(reason.clone())), Some(reason));
    }

    /// Gives a nickname, or says why not.
    fn name(&mut self, now: Instant, number: u32, asked: &msrp::NicknameRequest) {
        let Some(seat) = self.seats.get_mut(&number) else { return };
        let granted = if self.desk.settings.nicknames && seat.is_talking() {
            self.roster.set_nickname(&seat.user, asked.nickname.as_deref())
        } else {
            Err(403)
        };
        seat.media.answer_nickname(now, asked, granted.err().unwrap_or(200));
    }

    fn seat(&self, user: &Address) -> Option<&Seat> {
        self.seats.get(self.seat_of.get(user)?)
    }
}
