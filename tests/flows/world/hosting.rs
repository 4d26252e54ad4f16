//! The host beside the bridge of the world, which shares its address.

use std::collections::BTreeMap;
use std::time::Instant;

use chatbridge::bridge::{OwnHost, Settings};
use chatbridge::im_server::{
    Element, FocusSettings, Host, HostNames, Input, MediaOutput, Output, Owner, SeatId, Trust,
};
use chatbridge::sip::{Hop, Message, Route, route};

use super::{BRIDGE, IM_SERVER, World, hop, settings};

/// The host, with the session-ids of its seats.
pub(super) struct Hosting {
    host: Host,
    seats: BTreeMap<SeatId, String>,
}

impl Hosting {
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.host.next_timeout()
    }

    /// Finds whom a new connection is for.
    pub(super) fn seat_named(&self, session_id: &str) -> Option<SeatId> {
        let mut seats = self.seats.iter();
        seats.find(|(_, known)| *known == session_id).map(|(seat, _)| *seat)
    }
}

impl World {
    /// A world whose users host the groups that they begin.
    pub(crate) fn hosting(change: impl FnOnce(&mut FocusSettings)) -> Self {
        let mut world = Self::new();
        let names = HostNames::draw(hop(BRIDGE), &mut world.random);
        let factory = names.factory().expect("an address that makes a URI");
        let mut settings = settings::of_bridge();
        settings.group.host = Some(OwnHost { factory, hop: hop(BRIDGE) });
        world.settings = settings.into();
        let mut focus = FocusSettings {
            next_hops: vec![hop(IM_SERVER)],
            owner: Owner::Originator { identity: Some("P-Preferred-Identity") },
            credentials: world.settings.credentials.clone(),
            ..FocusSettings::default()
        };
        change(&mut focus);
        let host = Host::new(names, focus, world.random.fork());
        world.host = Some(Hosting { host, seats: BTreeMap::new() });
        world
    }

    /// Changes how conversations behave from now on.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut Settings)) {
        let mut settings = (*self.settings).clone();
        change(&mut settings);
        self.settings = settings.into();
    }

    /// Gives the host what is for it, as the switch of `net` does.
    pub(super) fn keep_for_host(&mut self, message: Message, source: &Hop) -> Option<Message> {
        let Some(hosting) = &mut self.host else { return Some(message) };
        let message = match message {
            Message::Request(mut request) if hosting.host.names().mean(&request.uri) => {
                let trust = match source.port {
                    BRIDGE => Some(Trust::Own),
                    IM_SERVER => Some(Trust::Trusted),
                    _ => None,
                };
                assert!(hosting.host.names().admit(&mut request, trust));
                Message::Request(request)
            }
            Message::Request(request) => return Some(Message::Request(request)),
            Message::Response(response) => {
                let message = Message::Response(response);
                match route(&message) {
                    Route::Response(key) if !self.dialogs.contains_key(&key) => message,
                    Route::Response(_)
                    | Route::InDialog(_)
                    | Route::Initial(_)
                    | Route::Malformed => return Some(message),
                }
            }
        };
        self.tell_host(Input::Message { message, source: source.clone() });
        None
    }

    pub(super) fn wake_host(&mut self) {
        let due = self.host.as_ref().and_then(Hosting::next_timeout);
        if due.is_some_and(|at| at <= self.now) {
            self.tell_host(Input::Timeout);
        }
    }

    pub(super) fn tell_host(&mut self, input: Input) {
        let now = self.now;
        let Some(hosting) = &mut self.host else { return };
        hosting.host.handle(now, input);
        while let Some(output) = self.host.as_mut().and_then(|hosting| hosting.host.poll()) {
            match output {
                Output::Send { bytes, hop } => {
                    self.written.push(bytes.clone());
                    self.wire.push_back((BRIDGE, hop.port, bytes));
                }
                Output::Media { seat, output } => self.carry_out_at(seat, output),
            }
        }
    }

    fn carry_out_at(&mut self, seat: SeatId, output: MediaOutput) {
        match output {
            MediaOutput::Open { session_id } => {
                if let Some(hosting) = &mut self.host {
                    hosting.seats.insert(seat, session_id);
                }
            }
            MediaOutput::Connect { .. } => panic!("whoever is invited connects to the host"),
            MediaOutput::Write(bytes) => self.write_from_seat(seat, &bytes),
            MediaOutput::WriteParts(parts) => self.write_from_seat(seat, &parts.concat()),
            MediaOutput::Close => self.close_seat(seat),
        }
    }

    /// Finds the seat that a new connection is for.
    pub(super) fn seat_named(&self, session_id: &str) -> Option<SeatId> {
        self.host.as_ref().and_then(|hosting| hosting.seat_named(session_id))
    }
}
