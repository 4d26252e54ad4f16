//! The MSRP connections of the world: who is at their ends, and what is on its way.

use bytes::{Bytes, BytesMut};
use chatbridge::bridge::{Input, NextMsrp, Shown};
use chatbridge::ids::SessionId;
use chatbridge::im_server::{self, SeatId};
use chatbridge::msrp;

use super::World;
use crate::far_end::is_binding;
use crate::lines;

/// An MSRP connection, opened by a session of the bridge.
pub(super) struct Pipe {
    from: SessionId,
    /// Whether it is to take the place of the one that there is.
    is_next: bool,
    /// Known from the first frame on.
    to: Option<End>,
    forth: Lane,
    back: Lane,
}

impl Pipe {
    fn input(&self, input: msrp::Input) -> Input {
        if self.is_next { Input::NextMsrp(input) } else { Input::Msrp(input) }
    }
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum End {
    Talk(SessionId),
    /// A seat of the host.
    Seat(SeatId),
    /// The far end, which the test plays.
    Played,
}

/// One direction of a connection.
struct Lane {
    parser: msrp::Parser,
    bytes: BytesMut,
}

impl Lane {
    fn new() -> Self {
        Self { parser: msrp::Parser::new(msrp::Limits::default()), bytes: BytesMut::new() }
    }

    fn next(&mut self) -> Option<msrp::Frame> {
        self.parser.next(&mut self.bytes).expect("well-formed MSRP")
    }
}

impl World {
    /// Writes to the far end's MSRP connection.
    pub(crate) fn far_end_writes_bytes(&mut self, bytes: &[u8]) {
        let mut pipes = self.pipes.iter_mut();
        let pipe = pipes.find(|pipe| pipe.to == Some(End::Played)).expect("a connection");
        pipe.back.bytes.extend_from_slice(bytes);
        self.run();
    }

    /// Drops the MSRP connections, as a network does.
    pub(crate) fn cut_msrp(&mut self) {
        for pipe in std::mem::take(&mut self.pipes) {
            self.feed(&pipe.from, pipe.input(msrp::Input::Closed));
            match pipe.to {
                Some(End::Talk(to)) => self.feed(&to, Input::Msrp(msrp::Input::Closed)),
                Some(End::Seat(seat)) => self.tell_seat(seat, msrp::Input::Closed),
                Some(End::Played) | None => {}
            }
        }
    }

    pub(super) fn connect(&mut self, session: &SessionId, port: u16) {
        if self.far_msrp_closed && port == FAR_MSRP {
            self.feed(session, Input::Msrp(msrp::Input::Closed));
            return;
        }
        let (forth, back) = (Lane::new(), Lane::new());
        self.pipes.push(Pipe { from: session.clone(), is_next: false, to: None, forth, back });
        self.feed(session, Input::Msrp(msrp::Input::Connected));
    }

    pub(super) fn carry_out_next(&mut self, session: &SessionId, wish: NextMsrp) {
        let is_it = |pipe: &Pipe| pipe.is_next && pipe.from == *session;
        match wish {
            NextMsrp::Connect { .. } => {
                let (forth, back) = (Lane::new(), Lane::new());
                let from = session.clone();
                self.pipes.push(Pipe { from, is_next: true, to: None, forth, back });
                self.feed(session, Input::NextMsrp(msrp::Input::Connected));
            }
            NextMsrp::Write(bytes) => {
                let pipe = self.pipes.iter_mut().find(|pipe| is_it(pipe)).expect("a connection");
                pipe.forth.bytes.extend_from_slice(&bytes);
            }
            NextMsrp::Close => self.pipes.retain(|pipe| !is_it(pipe)),
        }
    }

    /// Puts the next connection of a session, if it has one, in the place of the one before.
    pub(super) fn reroute_msrp(&mut self, session: &SessionId) {
        self.close_msrp(session);
        for pipe in self.pipes.iter_mut().filter(|pipe| pipe.from == *session) {
            pipe.is_next = false;
        }
    }

    /// How many connections the bridge has opened to the far end.
    pub(crate) fn far_connections(&self) -> usize {
        self.pipes.iter().filter(|pipe| pipe.to == Some(End::Played)).count()
    }

    /// Writes to the connection that was opened last to the far end.
    pub(crate) fn far_end_writes_last(&mut self, bytes: &[u8]) {
        let mut pipes = self.pipes.iter_mut().rev();
        let pipe = pipes.find(|pipe| pipe.to == Some(End::Played)).expect("a connection");
        pipe.back.bytes.extend_from_slice(bytes);
        self.run();
    }

    pub(super) fn write_msrp(&mut self, session: &SessionId, bytes: &Bytes) {
        for pipe in &mut self.pipes {
            if pipe.from == *session && !pipe.is_next {
                pipe.forth.bytes.extend_from_slice(bytes);
            } else if pipe.to == Some(End::Talk(session.clone())) {
                pipe.back.bytes.extend_from_slice(bytes);
            }
        }
    }

    pub(super) fn close_msrp(&mut self, session: &SessionId) {
        // What was written before still arrives.
        while self.move_msrp() {}
        let ours = End::Talk(session.clone());
        let closed = |pipe: &Pipe| {
            (pipe.from == *session && !pipe.is_next) || pipe.to.as_ref() == Some(&ours)
        };
        let (gone, kept): (Vec<Pipe>, Vec<Pipe>) =
            std::mem::take(&mut self.pipes).into_iter().partition(closed);
        self.pipes = kept;
        for pipe in gone {
            let other = if pipe.from == *session { pipe.to } else { Some(End::Talk(pipe.from)) };
            match other {
                Some(End::Talk(other)) => self.feed(&other, Input::Msrp(msrp::Input::Closed)),
                Some(End::Seat(seat)) => self.tell_seat(seat, msrp::Input::Closed),
                Some(End::Played) | None => {}
            }
        }
    }

    pub(super) fn write_from_seat(&mut self, seat: SeatId, bytes: &[u8]) {
        let mut pipes = self.pipes.iter_mut();
        if let Some(pipe) = pipes.find(|pipe| pipe.to == Some(End::Seat(seat))) {
            pipe.back.bytes.extend_from_slice(bytes);
        }
    }

    pub(super) fn close_seat(&mut self, seat: SeatId) {
        while self.move_msrp() {}
        let (gone, kept): (Vec<Pipe>, Vec<Pipe>) = std::mem::take(&mut self.pipes)
            .into_iter()
            .partition(|pipe| pipe.to == Some(End::Seat(seat)));
        self.pipes = kept;
        for pipe in gone {
            self.feed(&pipe.from, Input::Msrp(msrp::Input::Closed));
        }
    }

    fn tell_seat(&mut self, seat: SeatId, input: msrp::Input) {
        self.tell_host(im_server::Input::Media { seat, inputs: vec![input] });
    }

    /// Moves one frame, and tells whether there was one.
    pub(super) fn move_msrp(&mut self) -> bool {
        for index in 0..self.pipes.len() {
            let pipe = &mut self.pipes[index];
            if let Some(frame) = pipe.forth.next() {
                let from = End::Talk(pipe.from.clone());
                let to = pipe.to.clone();
                let to = to.unwrap_or_else(|| self.introduce(index, &frame));
                self.hand_over(index, &from, &to, frame);
                return true;
            }
            if let Some(frame) = pipe.back.next() {
                let to = End::Talk(pipe.from.clone());
                let from = pipe.to.clone().expect("the first frame goes forth");
                self.hand_over(index, &from, &to, frame);
                return true;
            }
        }
        false
    }

    fn hand_over(&mut self, index: usize, from: &End, to: &End, frame: msrp::Frame) {
        let (from, whom) = (self.end_name(from), self.end_name(to));
        self.ladder.push(format!("msrp {from} > {whom}: {}", lines::msrp(&frame)));
        match to {
            End::Talk(session) => {
                let input = self.pipes[index].input(msrp::Input::Frame(frame));
                self.feed(session, input);
            }
            End::Seat(seat) => self.tell_seat(*seat, msrp::Input::Frame(frame)),
            End::Played => {
                let code = match &frame.kind {
                    // What a relay is asked for the test answers.
                    msrp::Kind::Request(msrp::Method::Auth) => None,
                    _ if is_binding(&frame) => Some(200),
                    msrp::Kind::Request(_) | msrp::Kind::Response { .. } => self.far_msrp_code,
                };
                if let Some(answer) = code.and_then(|code| frame.answer(code)) {
                    answer.write(&mut self.pipes[index].back.bytes);
                }
                self.far_frames_from = Some(frame.from_path.clone());
                self.far_frames.push_back(frame);
            }
        }
    }

    /// Finds whom a new connection is for, as the MSRP listener does.
    fn introduce(&mut self, index: usize, frame: &msrp::Frame) -> End {
        let named = frame.to_path.first().session_id().unwrap_or_default().to_owned();
        let found = self.talks.iter().find(|(_, talk)| talk.msrp_session_id() == named);
        let seat = self.seat_named(&named).map_or(End::Played, End::Seat);
        let end = found.map_or(seat, |(id, _)| End::Talk(id.clone()));
        self.pipes[index].to = Some(end.clone());
        if let End::Talk(session) = &end {
            self.feed(session, Input::MsrpAccepted(Shown::default()));
        }
        end
    }

    fn end_name(&self, end: &End) -> String {
        match end {
            End::Talk(session) => match self.talks.get(session) {
                Some(talk) => lines::user(talk.user().spelling()).to_owned(),
                None => "nobody".to_owned(),
            },
            End::Seat(_) => "host".to_owned(),
            End::Played => "far_end".to_owned(),
        }
    }
}

/// The port of the far end's MSRP URI.
const FAR_MSRP: u16 = 2900;
