//! Which running session an INVITE means, and what is to become of it.
//!
//! ```text
//!   the ids of a session, from its other side or its focus ──▶ Renews: that session, on a new dialog
//!   Session-Replaces or Replaces, of a group that its other side has begun ──▶ Extends
//!   Replaces of a dialog that is not there, is over, or is not the sender's ──▶ Refused
//!   anything else ──▶ Own
//! ```
//! An id is no secret: it counts only from whom the session is with, as our trust domain asserts
//! (RFC 3325); from anybody else it opens a session like any other. `Replaces` is an order and has to
//! be refused where it cannot be followed (RFC 3891 section 3); ids are not.

use percent_encoding::percent_decode_str;

use super::access::Access;
use super::group;
use super::identity;
use super::invite;
use super::profile::Ids;
use super::settings::Settings;
use crate::address::Address;
use crate::chat::SessionKind;
use crate::ids::SessionId;
use crate::sip::{DialogKey, Headers, Replaces, Request, Status};

/// The longest id under which a session is remembered, in octets. The known ones have 36.
const LONGEST: usize = 256;

/// One of the names by which an INVITE may mean a running session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Name {
    /// Its Contribution-ID.
    Contribution(String),
    /// Its Conversation-ID.
    Conversation(String),
    /// Its dialog, by our tag.
    Dialog(DialogKey),
}

/// How the network knows a session, besides its dialog.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SessionIds {
    pub(super) contribution: Option<String>,
    pub(super) conversation: Option<String>,
}

impl SessionIds {
    /// Reads the ids of an INVITE; one that is too long is none.
    pub(super) fn of(headers: &Headers) -> Self {
        Self::from(|name| headers.get(name))
    }

    /// Finds the ids among the headers of an INVITE of ours.
    pub(super) fn among(headers: &[(String, String)]) -> Self {
        Self::from(|wanted| {
            let found = headers.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.as_str())
        })
    }

    /// Takes the ids that another INVITE of the session has.
    pub(super) fn update(&mut self, newer: Self) {
        let Self { contribution, conversation } = newer;
        self.contribution = contribution.or_else(|| self.contribution.take());
        self.conversation = conversation.or_else(|| self.conversation.take());
    }

    fn from<'a>(value_of: impl Fn(&str) -> Option<&'a str>) -> Self {
        let read = |name| {
            let value = value_of(name).map(str::trim);
            value.filter(|it| !it.is_empty() && it.len() <= LONGEST).map(str::to_owned)
        };
        Self { contribution: read("Contribution-ID"), conversation: read("Conversation-ID") }
    }

    /// Gives the id that goes by this name in headers.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let of = |known: &str| name.eq_ignore_ascii_case(known);
        let contribution = self.contribution.as_deref().filter(|_| of("Contribution-ID"));
        contribution.or(self.conversation.as_deref().filter(|_| of("Conversation-ID")))
    }

    fn is_empty(&self) -> bool {
        self.contribution.is_none() && self.conversation.is_none()
    }

    /// Gives the ids as names, the one that changes more often first.
    pub(super) fn names(&self) -> impl Iterator<Item = Name> {
        let conversation = self.conversation.clone().map(Name::Conversation);
        self.contribution.clone().map(Name::Contribution).into_iter().chain(conversation)
    }

    /// Forgets what does not count in a profile.
    fn within(self, ids: Ids) -> Self {
        let conversation = self.conversation.filter(|_| ids == Ids::Conversation);
        Self { conversation, ..self }
    }
}

/// By what an INVITE may name a session, and who may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// Which kind of session it is.
    pub kind: SessionKind,
    /// The other side, or the focus, as our trust domain asserts.
    pub party: Address,
    /// The peer's tag, where it has one.
    pub remote_tag: Option<String>,
    /// The names.
    pub all: Vec<Name>,
}

/// A session that was found by a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The session.
    pub session: SessionId,
    /// Its names.
    pub names: Names,
    /// Whether it runs; if not, it is over, and not yet forgotten.
    pub is_live: bool,
}

/// Finds the sessions of a user that have a name.
pub type Find<'a> = &'a dyn Fn(&Address, &Name) -> Vec<Named>;

/// What an INVITE is to the sessions that there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Succession {
    /// Nothing: it opens a session of its own.
    Own,
    /// It begins this one anew, in another dialog.
    Renews(SessionId),
    /// It opens a session of its own, with which this one is over once the user has accepted.
    Extends(SessionId),
    /// It is refused.
    Refused(Status),
}

impl Succession {
    /// Judges an INVITE.
    #[must_use]
    pub fn of(
        (settings, access): (&Settings, &Access),
        (request, trusted): (&Request, bool),
        has_client: &dyn Fn(&Address) -> bool,
        find: Find<'_>,
    ) -> Self {
        let Ok(replaces) = Replaces::of(&request.headers) else {
            return Self::Refused(Status::BAD_REQUEST);
        };
        let ids = SessionIds::of(&request.headers).within(settings.profile.conversation_ids);
        let is_group = group::is_of_focus(request);
        let replaced = if is_group { session_replaced(request) } else { None };
        if replaces.is_none() && ids.is_empty() && replaced.is_none() {
            return Self::Own;
        }
        let wire = (settings, access);
        let Some(caller) = Caller::read(wire, (request, trusted), has_client, find) else {
            // Whoever reads it on refuses it.
            return Self::Own;
        };
        match replaces {
            Some(replaces) => caller.replaces(&replaces),
            None => {
                let again = ids.names().find_map(|name| caller.calls_again(&name));
                let extended = || replaced.and_then(|id| caller.extends(&Name::Contribution(id)));
                again.or_else(extended).unwrap_or(Self::Own)
            }
        }
    }
}

/// Who has sent an INVITE, and to whom.
struct Caller<'a> {
    user: Address,
    kind: SessionKind,
    /// As whom it may take up a session: nobody who is not asserted to be that.
    senders: Vec<Address>,
    /// Who has begun the group that the INVITE is of, likewise.
    founder: Option<Address>,
    find: Find<'a>,
}

impl<'a> Caller<'a> {
    fn read(
        (settings, access): (&Settings, &Access),
        (request, trusted): (&Request, bool),
        has_client: &dyn Fn(&Address) -> bool,
        find: Find<'a>,
    ) -> Option<Self> {
        let incoming = invite::read((settings, access), (request, trusted), has_client)?;
        let is_group = group::is_of_focus(request);
        let kind = if is_group { SessionKind::Group } else { SessionKind::Pair };
        let mut senders = match trusted {
            true => identity::senders(&settings.realm, request),
            false => Vec::new(),
        };
        let mut founder = None;
        if trusted && is_group {
            // What it calls itself in its Contact nobody vouches for: all in the room know that name.
            let originator = group::founder(settings, request, incoming.originator)?;
            founder = Some(originator).filter(|founder| *founder != Address::anonymous());
        } else if incoming.is_deferred {
            // A store speaks for others.
            senders.clear();
        }
        Some(Self { user: incoming.user, kind, senders, founder, find })
    }

    /// Finds the session that its other side, or its focus, calls again. One that rings is none:
    /// whoever calls twice is offered to the user twice.
    fn calls_again(&self, name: &Name) -> Option<Succession> {
        let found = (self.find)(&self.user, name);
        let mut ours = found.into_iter().filter(|it| it.is_live && self.is_party_of(it));
        let (only, other) = (ours.next()?, ours.next());
        other.is_none().then_some(Succession::Renews(only.session))
    }

    /// Finds the 1-1 session that its other side has extended to the group.
    fn extends(&self, name: &Name) -> Option<Succession> {
        let found = (self.find)(&self.user, name);
        let mut ours = found.into_iter().filter(|it| it.is_live && self.has_extended(it));
        let (only, other) = (ours.next()?, ours.next());
        other.is_none().then_some(Succession::Extends(only.session))
    }

    /// Follows RFC 3891 section 3. An early dialog has no names, and so is as unknown as one that
    /// never was.
    fn replaces(&self, replaces: &Replaces) -> Succession {
        let key = DialogKey { call_id: replaces.call_id.clone(), tag: replaces.to_tag.clone() };
        let mut found = (self.find)(&self.user, &Name::Dialog(key));
        found.retain(|it| replaces.is_from(it.names.remote_tag.as_deref()));
        let (Some(only), true) = (found.pop(), found.is_empty()) else {
            return Succession::Refused(Status::CALL_DOES_NOT_EXIST);
        };
        match only.is_live {
            false => Succession::Refused(Status::DECLINE),
            true if !self.is_party_of(&only) && !self.has_extended(&only) => {
                Succession::Refused(Status::FORBIDDEN)
            }
            true if replaces.early_only => Succession::Refused(Status::BUSY_HERE),
            true if self.is_party_of(&only) => Succession::Renews(only.session),
            true => Succession::Extends(only.session),
        }
    }

    fn is_party_of(&self, found: &Named) -> bool {
        found.names.kind == self.kind && self.senders.contains(&found.names.party)
    }

    fn has_extended(&self, found: &Named) -> bool {
        let is_pair = found.names.kind == SessionKind::Pair;
        is_pair && self.founder.as_ref() == Some(&found.names.party)
    }
}

/// Finds the Contribution-ID of the 1-1 session whose place a group takes: in a header of its own,
/// else as the URI of the list has it, wherever in the text of the body that is.
fn session_replaced(request: &Request) -> Option<String> {
    const SESSION_REPLACES: &str = "Session-Replaces";
    let told = request.headers.get(SESSION_REPLACES).map(str::to_owned).or_else(|| {
        let is_it = |at: &usize| {
            let name = &request.body[*at..*at + SESSION_REPLACES.len()];
            name.eq_ignore_ascii_case(SESSION_REPLACES.as_bytes())
        };
        let last = request.body.len().checked_sub(SESSION_REPLACES.len())?;
        let at = (0..=last).find(is_it)? + SESSION_REPLACES.len();
        let value = request.body.get(at..)?;
        let value = value.strip_prefix(b"=").or_else(|| value.strip_prefix(b":"))?;
        let value = value.trim_ascii_start();
        let is_of_id = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-._~%@+!*".contains(byte);
        let value: Vec<u8> = value.iter().take_while(is_of_id).copied().collect();
        let value = String::from_utf8(value).ok()?;
        percent_decode_str(&value).decode_utf8().ok().map(std::borrow::Cow::into_owned)
    })?;
    let told = told.trim().trim_matches('"').to_owned();
    (!told.is_empty() && told.len() <= LONGEST).then_some(told)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::sip::{Method, RequestBuilder, Uri};

    fn replaced(header: Option<&str>, body: &str) -> Option<String> {
        let mut invite =
            RequestBuilder::new(Method::Invite, Uri::parse("sip:b@b.example").unwrap());
        if let Some(value) = header {
            invite = invite.header("Session-Replaces", value);
        }
        session_replaced(&invite.body("text/plain", body.to_owned().into()).build())
    }

    #[test]
    fn a_group_names_the_session_in_a_header_or_in_its_list() {
        let list = "<entry uri=\"tel:+1?session-replaces=a%2Db\" x=\"\"/>";
        assert_eq!(replaced(Some(" abc "), list).as_deref(), Some("abc"));
        assert_eq!(replaced(Some("\"abc\""), "").as_deref(), Some("abc"));
        assert_eq!(replaced(None, list).as_deref(), Some("a-b"));
        assert_eq!(replaced(None, "x\r\nSession-Replaces: abc\r\n").as_deref(), Some("abc"));
        for nothing in
            ["", "Session-Replace", "Session-Replaces", "Session-Replaces=", "Session-Replaces=%ff"]
        {
            assert_eq!(replaced(None, nothing), None, "{nothing}");
        }
        assert_eq!(replaced(Some(&"x".repeat(LONGEST + 1)), list), None);
    }

    #[test]
    fn an_id_that_is_too_long_is_none() {
        let ids = |id: &str| SessionIds::of(&Headers::from_iter([("Contribution-ID", id)]));
        assert_eq!(ids(" a ").contribution.as_deref(), Some("a"));
        assert!(ids(" ").is_empty() && ids(&"x".repeat(LONGEST + 1)).is_empty());
        let mut known = ids("a");
        known.update(SessionIds { conversation: Some("c".to_owned()), contribution: None });
        let names: Vec<_> = known.names().collect();
        let [a, c] = ["a", "c"].map(str::to_owned);
        assert_eq!(names, [Name::Contribution(a), Name::Conversation(c)]);
        assert_eq!(known.within(Ids::Contribution).names().count(), 1);
    }
}
