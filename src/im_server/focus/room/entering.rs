//! Coming in: by a call, or by an invitation (RFC 4579 sections 5.1 and 5.5, RFC 5366).

use std::time::Instant;

use bytes::Bytes;

use super::{Inbound, Item, Room, RoomOutput};
use crate::address::Address;
use crate::im_server::focus::guests::Guest;
use crate::im_server::focus::media::{Parts, Peer, Unusable};
use crate::im_server::focus::policy::Denial;
use crate::im_server::focus::roster::Standing;
use crate::im_server::focus::seat::{Draft, Seat};
use crate::im_server::focus::{MediaOutput, Owner};
use crate::payload::conference::{Disconnection, Joining};
use crate::payload::resource_list::{self, HISTORY};
use crate::payload::{Part, multipart};
use crate::sip::{Body, Call, NameAddr, Reason, Request, Response, Status, Uri};

/// An INVITE that may come in, read.
#[derive(Debug)]
pub(in crate::im_server::focus) struct Entrance {
    pub(in crate::im_server::focus) user: Address,
    pub(in crate::im_server::focus) name: Option<String>,
    /// What it offers, if it offers anything.
    peer: Option<Peer>,
    /// Whom it brings.
    pub(in crate::im_server::focus) guests: Vec<Guest>,
}

impl Entrance {
    /// Reads an INVITE of `user`, with the recipients that were read out of it.
    pub(in crate::im_server::focus) fn read(
        (user, name): (Address, Option<String>),
        invite: &Request,
        parts: &Parts,
        guests: Vec<Guest>,
    ) -> Result<Self, Denial> {
        let unusable = |why: Unusable| {
            let headers = vec![why.warning()];
            Denial { status: Status::NOT_ACCEPTABLE_HERE, headers }
        };
        let is_bare = invite.body.is_empty();
        let peer = match &parts.sdp {
            None if is_bare => None,
            sdp => Some(Peer::read(sdp.as_deref()).map_err(unusable)?),
        };
        Ok(Self { user, name, peer, guests })
    }
}

impl Room {
    /// Tells whether somebody may come in with so many others.
    pub(in crate::im_server::focus) fn check_entrance(
        &self,
        entrance: &Entrance,
    ) -> Result<(), Denial> {
        if self.is_over {
            return Err(Status::NOT_FOUND.into());
        }
        // Calls that are being ended still take their place for a while.
        if self.seats.len() > 4 * self.desk.settings.max_participants + 16 {
            return Err(Denial::overload());
        }
        let policy = self.policy();
        policy.may_join(&entrance.user)?;
        for guest in &entrance.guests {
            policy.may_ask_in(&entrance.user, &guest.user)?;
        }
        let is_new = |guest: &&Guest| !self.roster.is_present(&guest.user);
        let more = entrance.guests.iter().filter(is_new).count();
        policy.has_room_for(more + usize::from(!self.roster.is_present(&entrance.user)))
    }

    /// Lets somebody in who has called, and invites those whom the call names.
    pub(in crate::im_server::focus) fn join(
        &mut self,
        now: Instant,
        inbound: Inbound,
        entrance: Entrance,
    ) {
        let Entrance { user, name, peer, guests } = entrance;
        let Some(draft) = Draft::new(&self.desk.settings, &mut self.desk.random) else { return };
        let kit = self.desk.kit();
        let seat = Seat::admit(
            now,
            (user.clone(), draft),
            (inbound.request, inbound.source),
            peer,
            (kit, &self.desk.settings),
        );
        // Whoever calls again has lost the call before, or has taken another device.
        self.leave_seat(now, &user, Some(&Reason::sip(200, "Call completed elsewhere")));
        self.enter(seat);
        let entity = self.desk.entity(&user);
        self.roster.set(&user, || entity, Standing::Connected(Joining::DialedIn));
        self.roster.set_name(&user, name);
        self.settle_askers(now, &user, Status::OK);
        self.be_lively(now);
        for guest in guests {
            self.ask_in(guest);
        }
        self.settle(now);
    }

    /// Notes that somebody is to be invited, who is not here yet.
    pub(super) fn ask_in(&mut self, guest: Guest) {
        if self.is_over || self.roster.is_present(&guest.user) {
            return;
        }
        let entity = self.desk.entity(&guest.user);
        self.roster.set(&guest.user, || entity, Standing::Pending);
        self.roster.set_banned(&guest.user, false);
        if let Some(entry) = &guest.entry {
            self.roster.set_copy(&guest.user, entry);
        }
        self.waiting.push_back(guest);
    }

    /// Sends as many INVITEs as there may be at a time.
    pub(super) fn invite_next(&mut self, now: Instant) {
        while !self.is_over && self.inviting < self.desk.settings.max_invitations.max(1) {
            let Some(guest) = self.waiting.pop_front() else { return };
            // Whoever was sent away, or has come, while waiting is not invited any more.
            if self.roster.standing(&guest.user) == Some(&Standing::Pending) {
                self.invite(now, guest);
            }
        }
    }

    fn invite(&mut self, now: Instant, guest: Guest) {
        let draft = Draft::new(&self.desk.settings, &mut self.desk.random);
        let call = draft.as_ref().and_then(|draft| self.call(&guest, draft));
        let (Some(draft), Some(call)) = (draft, call) else {
            let why = Reason::sip(404, "Not Found");
            self.lose(now, &guest.user, Disconnection::Failed, Some(why));
            return self.settle_askers(now, &guest.user, Status::NOT_FOUND);
        };
        let until = now + self.desk.settings.invitation_wait;
        let kit = self.desk.kit();
        let user = guest.user.clone();
        self.inviting += 1;
        self.enter(Seat::call(now, (guest.user, draft), call, kit, until));
        self.roster.set(&user, String::new, Standing::Invited);
    }

    /// Writes the INVITE for somebody, with all the others in it (RFC 5366 section 5.1).
    fn call(&mut self, guest: &Guest, draft: &Draft) -> Option<Call> {
        let target = self.desk.names.uri(&guest.user)?;
        let room = self.desk.uri.clone();
        let host = self.roster.entity(&self.originator).and_then(|host| Uri::parse(host).ok());
        let (caller, identity) = match (self.desk.settings.owner, host) {
            (Owner::Originator { identity }, Some(host)) => (host, identity),
            (Owner::Network | Owner::Originator { .. }, _) => (room, Some("P-Asserted-Identity")),
        };
        let mut headers = self.topic.clone();
        headers.extend(identity.map(|name| (name.to_owned(), format!("<{caller}>"))));
        if let Some(host) = self.roster.entity(&self.originator) {
            headers.push(("Referred-By".to_owned(), format!("<{host}>")));
        }
        headers.extend(guest.headers.iter().cloned());
        let offer = draft.offer(&self.desk.settings);
        let list = self.roster.list(&self.originator, &guest.user).write();
        let mut history = Part::new(resource_list::CONTENT_TYPE, list);
        history.headers.push(("Content-Disposition".to_owned(), HISTORY.to_owned()));
        let boundary = self.desk.random.token();
        let parts = [Part::new(offer.content_type.clone(), offer.bytes.clone()), history];
        let letter = Body {
            content_type: multipart::content_type(&boundary),
            bytes: multipart::write(&parts, &boundary),
        };
        Some(Call {
            to: NameAddr::new(target.clone()),
            target,
            from: NameAddr::new(caller),
            next_hops: self.desk.settings.next_hops.clone(),
            proxy: None,
            route: Vec::new(),
            orig: false,
            headers,
            contact_user: Some(self.desk.user.clone()),
            contact_params: self.desk.local.contact_params.clone(),
            body: offer,
            letter: Some(letter),
        })
    }

    /// Takes a seat into the room.
    fn enter(&mut self, seat: Seat) {
        let number = self.draw();
        if let Some(session_id) = seat.media.local().session_id() {
            let open = MediaOutput::Open { session_id: session_id.to_owned() };
            self.outputs.push_back(RoomOutput::Media(number, open));
        }
        self.outputs.push_back(RoomOutput::Enter(Item::Seat(number), seat.keys.clone()));
        self.seat_of.insert(seat.user.clone(), number);
        self.seats.insert(number, seat);
        self.busy.push_back(Item::Seat(number));
    }

    /// Takes the answer of somebody who was invited.
    pub(super) fn welcome_invited(
        &mut self,
        now: Instant,
        number: u32,
        response: &Response,
        (content_type, body): (Option<String>, Bytes),
    ) {
        let Some(seat) = self.seats.get_mut(&number).filter(|seat| seat.is_inviting()) else {
            return;
        };
        let content_type = content_type.unwrap_or_else(|| crate::sdp::CONTENT_TYPE.to_owned());
        let parts = Parts::of_body(&content_type, &body).unwrap_or_default();
        let user = seat.user.clone();
        let taken = seat.take_answer(now, parts.sdp.as_deref());
        if taken.is_err() {
            let why = Reason::sip(488, "Not Acceptable Here");
            self.settle_askers(now, &user, Status::NOT_ACCEPTABLE_HERE);
            let how = (Disconnection::Failed, Some(why.clone()));
            return self.dismiss(now, number, how, Some(why));
        }
        self.inviting = self.inviting.saturating_sub(1);
        self.roster.set(&user, String::new, Standing::Connected(Joining::DialedOut));
        let asserted = response.headers.addresses("P-Asserted-Identity");
        self.roster.set_name(&user, asserted.into_iter().find_map(|one| one.display));
        self.be_lively(now);
        self.settle_askers(now, &user, Status::OK);
    }

    /// Takes the answer to what we have offered in a 2xx.
    pub(super) fn take_late_answer(&mut self, now: Instant, number: u32, body: Option<&Body>) {
        let Some(seat) = self.seats.get_mut(&number).filter(|seat| seat.is_talking()) else {
            return;
        };
        if seat.peer().is_some() {
            return;
        }
        let sdp = body.map(|body| &body.bytes[..]);
        if seat.take_answer(now, sdp).is_err() {
            let why = Reason::sip(488, "Not Acceptable Here");
            self.dismiss(now, number, (Disconnection::Failed, Some(why.clone())), Some(why));
        }
    }
}
