//! The INVITE with which the other side, or the focus, begins a running session anew: it has lost its
//! bearer, or believes that we have lost ours.
//!
//! Nobody is asked. What cannot be followed leaves the session as it is (RFC 3891 section 3).

use std::time::Instant;

use bytes::Bytes;

use super::bearer::Bearer;
use super::dealings::{Arrival, Output};
use super::legs::Legs;
use super::media::{self, Peer};
use super::settings::Settings;
use super::succession::SessionIds;
use crate::sip::{
    DialogKey, Hop, Kit, Leg, NameAddr, Request, Status, answer_stateless, reply_hop, stamp_answer,
};

/// When to call again who calls too often, in seconds: the dialogs before have come to rest then.
const RETRY_AFTER: &str = "32";

/// A dialog that may take the place of the one that there is.
#[derive(Debug)]
pub(super) struct Renewal {
    /// It waits for our answer.
    pub(super) leg: Leg,
    /// Who is at its other end; nothing where the offer is ours to make.
    pub(super) peer: Option<Peer>,
    /// What MSRP is to be carried by.
    pub(super) bearer: Bearer,
    /// The Contact, which is the focus of a group.
    pub(super) contact: Option<NameAddr>,
    pub(super) ids: SessionIds,
    pub(super) first_message: Option<Bytes>,
}

impl Renewal {
    /// Judges an INVITE that was meant for a session, which `is_live` unless its end has overtaken
    /// the INVITE on the way here. One that is refused keeps its leg in `legs`.
    pub(super) fn judge(
        now: Instant,
        (settings, kit): (&Settings, Kit),
        (arrival, is_live): (Arrival, bool),
        (legs, outputs): (&mut Legs, &mut impl Extend<Output>),
    ) -> Option<Self> {
        let Arrival { invite, source, .. } = arrival;
        let caller = caller_of(&invite);
        if !legs.has_room() {
            outputs.extend([Output::ForgetCaller(caller), put_off(&invite, source)]);
            return None;
        }
        let is_offerless = invite.body.is_empty();
        let (sdp, first_message) = media::parts(invite.content_type(), &invite.body);
        let ids = SessionIds::of(&invite.headers);
        let contact = invite.contact().ok().flatten();
        let mut leg = Leg::answering(now, invite, source, kit);
        let refusal = match media::judge_offer(settings, sdp.as_deref()) {
            _ if !is_live => (Status::TEMPORARILY_UNAVAILABLE, Vec::new()),
            Err(why) if !is_offerless => (Status::NOT_ACCEPTABLE_HERE, why.warning()),
            peer if leg.awaits_answer() => {
                let bearer = media::bearer_asked(settings, sdp.as_deref());
                let bearer = bearer.unwrap_or(settings.offered_bearer());
                let peer = peer.ok();
                return Some(Self { leg, peer, bearer, contact, ids, first_message });
            }
            // The leg has refused it itself, such as for an unknown Require.
            Ok(_) | Err(_) => (Status::SERVER_INTERNAL_ERROR, Vec::new()),
        };
        leg.reject(now, refusal.0, refusal.1);
        outputs.extend([legs.retire(leg), Output::EndCaller(caller)]);
        None
    }
}

/// Tells who has called, as the directory knows it.
fn caller_of(invite: &Request) -> DialogKey {
    let call_id = invite.call_id().unwrap_or_default().to_owned();
    DialogKey { call_id, tag: invite.from_tag().unwrap_or_default() }
}

/// Refuses, without keeping anything of it, what is one too many.
fn put_off(invite: &Request, source: Hop) -> Output {
    let mut answer = answer_stateless(invite, Status::SERVICE_UNAVAILABLE);
    answer.headers.push("Retry-After", RETRY_AFTER);
    stamp_answer(&mut answer, &source);
    let hop = answer.via().map_or_else(|_| source.clone(), |via| reply_hop(&via, &source));
    Output::Sip { bytes: answer.encode(), hop }
}
