//! An INVITE that opens a dialog: refused, brought to the session that it means, or to a new one.

use std::sync::Arc;

use tracing::{debug, info, warn};

use super::driver::now;
use super::switch::{Switch, later};
use crate::address::Address;
use crate::bridge::{Access, Arrival, Name, Succession, Talk};
use crate::chat::Refusal;
use crate::ids::SessionId;
use crate::sip::{DialogKey, Hop, Request, Response, Status, answer_stateless};
use crate::store::{Inbox, Letter, Returned};

impl Switch {
    /// Takes an INVITE that opens a dialog.
    pub(super) fn admit(&mut self, invite: Request, source: Hop, key: DialogKey) {
        if !self.neighbours.include(&source) {
            info!(%source, "invitation from a stranger refused: not in [core] trusted_peers");
            self.send(answer_stateless(&invite, Status::FORBIDDEN), &source);
            return;
        }
        let Some(access) = self.terminating(&invite) else {
            debug!(%source, uri = %invite.uri, "invitation for nobody here");
            return self.send(answer_stateless(&invite, Status::NOT_FOUND), &source);
        };
        if let Err(refusal) = self.demand_store() {
            warn!(%source, %refusal, "invitation refused");
            return self.send(too_busy(&invite, &refusal), &source);
        }
        let trusted = self.neighbours.trust(&source);
        let session = SessionId::new(self.random.token());
        let arrival = Arrival { session, invite, source, trusted, extends: None };
        match self.judge(&access, &arrival) {
            Succession::Own => self.open(access, arrival, key),
            Succession::Extends(of) => {
                self.open(access, Arrival { extends: Some(of), ..arrival }, key);
            }
            Succession::Renews(session) => self.renew(&session, arrival, key),
            Succession::Refused(status) => {
                info!(source = %arrival.source, %status, "INVITE with Replaces refused");
                self.send(answer_stateless(&arrival.invite, status), &arrival.source);
            }
        }
    }

    /// Finds out which of the running sessions an INVITE means, if any.
    fn judge(&self, access: &Access, arrival: &Arrival) -> Succession {
        let subscriptions = &self.subscriptions;
        let has_client = |user: &Address| !subscriptions.of(user).is_empty();
        let find = |user: &Address, name: &Name| self.kit.sessions.names().find(user, name);
        let wire = (&*self.settings, access);
        Succession::of(wire, (&arrival.invite, arrival.trusted), &has_client, &find)
    }

    /// Opens a session of its own for an INVITE.
    fn open(&mut self, access: Arc<Access>, arrival: Arrival, key: DialogKey) {
        if let Err(refusal) = self.kit.sessions.admit() {
            warn!(source = %arrival.source, %refusal, "invitation refused");
            return self.send(too_busy(&arrival.invite, &refusal), &arrival.source);
        }
        let cseq = arrival.invite.cseq().map_or(0, |cseq| cseq.number);
        let subscriptions = Arc::clone(&self.subscriptions);
        let has_client = |user: &Address| !subscriptions.of(user).is_empty();
        // Whoever is invited may report on what he read when the session is over.
        let hops = self.kit.core.hops(now(), &mut self.random).unwrap_or_default();
        let kit = self.conversation_kit((access, hops));
        let talk = Talk::incoming(now(), kit, arrival, &has_client);
        let (inbox, letters) = Inbox::new(self.kit.sessions.inbox_size());
        self.kit.sessions.route_caller(key.clone(), cseq, inbox.clone());
        self.spawn(talk, (inbox, letters), Some(key), None);
    }

    /// Hands an INVITE to the session that it begins anew. One whose end has overtaken it refuses it,
    /// or is gone.
    fn renew(&self, session: &SessionId, arrival: Arrival, key: DialogKey) {
        info!(%session, source = %arrival.source, "the other side begins the session anew");
        let Some(inbox) = self.kit.sessions.session(session) else {
            let gone = answer_stateless(&arrival.invite, Status::TEMPORARILY_UNAVAILABLE);
            return self.send(gone, &arrival.source);
        };
        let cseq = arrival.invite.cseq().map_or(0, |cseq| cseq.number);
        self.kit.sessions.route_caller(key.clone(), cseq, inbox.clone());
        let letter = Letter::Renewal(Box::new(arrival), key.clone());
        let Err(Returned { letter, why }) = inbox.offer(letter) else { return };
        self.kit.sessions.forget_caller(&key, &inbox);
        if let Letter::Renewal(arrival, _) = *letter {
            warn!(%session, ?why, "no room for the INVITE that begins a session anew");
            self.send(later(&arrival.invite), &arrival.source);
        }
    }
}

/// Refuses an INVITE for which there is no room.
fn too_busy(invite: &Request, refusal: &Refusal) -> Response {
    let mut answer = answer_stateless(invite, Status::SERVICE_UNAVAILABLE);
    let retry_after = match refusal {
        Refusal::Full { retry_after, .. } | Refusal::Unavailable { retry_after, .. } => {
            retry_after.as_secs().max(1)
        }
        Refusal::NoSession
        | Refusal::NoUser
        | Refusal::NoMessage
        | Refusal::NoParticipant
        | Refusal::NotNow { .. }
        | Refusal::Denied { .. }
        | Refusal::TooMany { .. }
        | Refusal::WrongState { .. }
        | Refusal::WrongRole { .. }
        | Refusal::BadAddress { .. } => 1,
    };
    answer.headers.push("Retry-After", &retry_after.to_string());
    answer
}
