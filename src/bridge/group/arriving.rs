//! The invitation of a focus, and the user's answer to it.

use std::time::Instant;

use super::invite::{self, Invited};
use super::{Group, own_test};
use crate::address::Address;
use crate::bridge::dealings::{Arrival, ConversationKit, Output};
use crate::bridge::group_outcomes::{Asking, GroupEnd};
use crate::bridge::line::Line;
use crate::bridge::renewal::caller_of;
use crate::bridge::sip_outcomes::LegEnd;
use crate::bridge::{invite as pair, media};
use crate::chat::{
    EventType, Extension, GroupSession, GroupState, Identity, NoticeKind, Party, Refusal, Standing,
};
use crate::sip::{Leg, Status};

/// Takes the INVITE of a focus: refuses it, or rings and tells the invited user's applications.
pub(super) fn incoming(
    now: Instant,
    mut kit: ConversationKit,
    arrival: Arrival,
    has_client: &dyn Fn(&Address) -> bool,
) -> Group {
    let Arrival { session, invite, source, trusted, extends } = arrival;
    let (settings, access) = (kit.settings.clone(), kit.access.clone());
    let read = pair::read((&settings, &access), (&invite, trusted), has_client);
    let read = read.and_then(|incoming| {
        let inviter = incoming.originator.clone();
        let invited = {
            let is_own = own_test(&incoming.user, &access, &settings);
            invite::read(&settings, (&invite, inviter, trusted), &is_own)?
        };
        Some((incoming, invited))
    });
    let is_offerless = invite.body.is_empty();
    let caller = caller_of(&invite);
    let leg_kit = access.kit(&settings, kit.random.fork());
    let leg = Leg::answering(now, invite, source, leg_kit);
    let sdp = read.as_ref().and_then(|(incoming, _)| incoming.sdp.as_deref());
    let bearer = media::bearer_asked(&settings, sdp).unwrap_or(settings.offered_bearer());
    let line = Line::new(now, &mut kit, bearer);
    let rest = (settings.group_rules(), kit.random.fork());
    let Some((incoming, invited)) = read else {
        let nobody = Party { address: Address::anonymous(), name: None };
        let chat = GroupSession::invited(String::new(), nobody, Vec::new(), rest);
        let mut this = Group::new(kit, (session, Address::anonymous()), chat, (leg, line));
        this.refuse_unheard(now, Status::NOT_FOUND, Vec::new());
        return this;
    };
    let pair::Incoming { user, terminating, subject, sdp, .. } = incoming;
    let Invited { focus, party, originator, others, session_ids } = invited;
    let own = Party { address: user.clone(), name: terminating.name };
    let known = has_client(&user);
    let all = [originator.clone()].into_iter().chain(others).collect();
    let chat = GroupSession::invited(subject.clone(), own.clone(), all, rest);
    let mut this = Group::new(kit, (session, user), chat, (leg, line));
    let boundary = this.random.token();
    this.heard = false;
    this.legs.caller = Some(caller);
    this.follows = extends;
    (this.focus, this.party) = (Some(focus), party);
    this.asking = Asking::Rejoining;
    this.attempt.draft = Some(invite::Draft { own, subject, session_ids, boundary });
    this.attempt.redirects = this.settings.redirects;
    // The leg itself refuses what no user needs to hear of, such as an unknown Require.
    this.settle(now);
    if this.is_over() {
        return this;
    }
    let peer = match media::judge_offer(&this.settings, sdp.as_deref()) {
        Ok(peer) => Ok(Some(peer)),
        // The offer is ours to make, in the 200; the ACK brings the answer.
        Err(_) if is_offerless => Ok(None),
        Err(why) => Err(why),
    };
    match peer {
        Err(why) => this.refuse_unheard(now, Status::NOT_ACCEPTABLE_HERE, why.warning()),
        Ok(_) if !known => {
            let code = this.settings.no_client_code;
            this.refuse_unheard(now, code, Vec::new());
        }
        Ok(peer) => {
            this.line.peer = peer;
            this.timers.invitation = Some(now + this.settings.invitation_timeout);
            this.legs.current.ring(now);
            this.tell_invitation(now, &originator);
            this.settle(now);
        }
    }
    this
}

impl Group {
    /// Tells the user of the invitation, and with it how all are known to stand.
    fn tell_invitation(&mut self, now: Instant, originator: &Party) {
        self.heard = true;
        let participants = self.chat.participants_mut();
        participants.confirm_all();
        participants.note(&Identity::from(&originator.address), Standing::Connected, None);
        participants.take_news();
        let participants = participants.present();
        let subject = self.chat.subject().to_owned();
        self.tell(now, NoticeKind::GroupInvited { subject, participants });
    }

    /// Accepts the invitation, once our relays, where there are any, have let us in.
    pub(super) fn accept(&mut self, now: Instant) {
        self.timers.invitation = None;
        match self.line.seek_way(now) {
            Some(wait) => self.timers.relay = Some(now + wait),
            None => self.answer_invitation(now),
        }
    }

    /// Accepts the invitation towards the focus, and opens the MSRP session.
    pub(super) fn answer_invitation(&mut self, now: Instant) {
        let setup = self.line.peer.as_ref().map(media::Peer::our_setup_as_answerer);
        match setup {
            Some(setup) => {
                let body = self.line.answer(setup);
                self.legs.current.accept(now, body);
                self.open_msrp(now, setup);
            }
            // The focus left the offer to us; the ACK brings its answer.
            None => {
                let offer = self.line.offer();
                self.legs.current.accept(now, offer);
            }
        }
        self.come_in(now);
        if let Some(of) = self.follows.take() {
            let news = Extension::Joined { group: self.id.clone() };
            self.outputs.push_back(Output::Extension { of, news });
        }
    }

    /// The user is in: told so, and who else is there is asked for, unless somebody tells already.
    pub(super) fn come_in(&mut self, now: Instant) {
        let own = self.identity_of(&self.user.clone());
        self.chat.participants_mut().note(&own, Standing::Connected, None);
        self.answer_rejoin();
        self.tell_participants(now);
        if !self.watch.stands() {
            self.subscribe(now);
        }
    }

    /// Declines the invitation.
    pub(super) fn decline(&mut self, now: Instant) {
        let code = self.settings.group.decline_code;
        self.legs.current.reject(now, code, Vec::new());
        self.finish(now, GroupEnd::Leg(LegEnd::DeclinedByUser), &[]);
    }

    /// Refuses an invitation of which nobody hears.
    pub(super) fn refuse_unheard(
        &mut self,
        now: Instant,
        status: Status,
        headers: Vec<(String, String)>,
    ) {
        self.heard = false;
        self.legs.current.reject(now, status, headers);
        self.end(now, EventType::SessionEnded, String::new());
        self.settle(now);
    }

    /// A user who is leaving, or was left, says no more.
    pub(super) fn demand_staying(&self, act: &'static str) -> Result<(), Refusal> {
        match self.leaving {
            Some(_) if self.waits_to_stop() => Err(self.settings.stopping()),
            Some(_) => Err(Refusal::NotNow { act, why: "the user is about to leave" }),
            None if self.chat.state() == GroupState::Ended => Err(Refusal::NoSession),
            None => Ok(()),
        }
    }
}
