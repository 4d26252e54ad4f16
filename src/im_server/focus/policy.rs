//! Who may do what in a room, and how much there may be of everything.

use super::FocusSettings;
use super::guests::Deed;
use super::room::Kind;
use super::roster::Roster;
use crate::address::Address;
use crate::sip::Status;

/// Why a request is not done, and what its sender is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The status.
    pub status: Status,
    /// Further headers of the refusal.
    pub headers: Vec<(&'static str, String)>,
}

impl From<Status> for Denial {
    fn from(status: Status) -> Self {
        Self { status, headers: Vec::new() }
    }
}

impl Denial {
    /// Says why in a Warning, as clients show it (RFC 3261 section 20.43).
    pub(super) fn warned(status: Status, text: &str) -> Self {
        let value = format!("399 chatbridge \"{text}\"");
        Self { status, headers: vec![("Warning", value)] }
    }

    /// More have come, or would come, than there is room for.
    pub(super) fn crowded() -> Self {
        Self::warned(Status::FORBIDDEN, "Too many participants")
    }

    /// The words by which deployed clients know that they must not come back.
    pub(super) fn banned() -> Self {
        Self::warned(Status::FORBIDDEN, "127 Service not authorised")
    }

    /// There is no room for another one now.
    pub(super) fn overload() -> Self {
        let headers = vec![("Retry-After", "60".to_owned())];
        Self { status: Status::SERVICE_UNAVAILABLE, headers }
    }

    pub(super) fn method_not_allowed(allow: &str) -> Self {
        let headers = vec![("Allow", allow.to_owned())];
        Self { status: Status::METHOD_NOT_ALLOWED, headers }
    }
}

/// What is known of a room when somebody wants something of it.
pub(super) struct Policy<'a> {
    pub(super) settings: &'a FocusSettings,
    pub(super) kind: Kind,
    pub(super) roster: &'a Roster,
    pub(super) originator: &'a Address,
}

impl Policy<'_> {
    /// Tells whether somebody may come in: whoever has been asked, and into a room with a name of
    /// its own whoever knows it.
    pub(super) fn may_join(&self, user: &Address) -> Result<(), Denial> {
        let member = self.roster.get(user);
        if member.is_some_and(|member| member.is_banned) {
            return Err(Denial::banned());
        }
        if member.is_none() && self.kind == Kind::AdHoc {
            return Err(Denial::banned());
        }
        self.has_room_for(usize::from(!self.roster.is_present(user)))
    }

    /// Tells whether somebody may be told who is here: whoever is, was, or may come in.
    pub(super) fn may_watch(&self, user: &Address) -> Result<(), Denial> {
        match self.roster.get(user) {
            Some(member) if member.is_banned => Err(Denial::banned()),
            None if self.kind == Kind::AdHoc => Err(Status::FORBIDDEN.into()),
            Some(_) | None => Ok(()),
        }
    }

    /// Tells whether `asker` may have `user` invited, or sent away. Whoever is here may invite;
    /// the originator alone sends others away, and asks those back.
    pub(super) fn may_refer(
        &self,
        asker: &Address,
        deed: Deed,
        user: &Address,
    ) -> Result<(), Status> {
        if !self.roster.is_connected(asker) {
            return Err(Status::FORBIDDEN);
        }
        match deed {
            Deed::Remove if asker == self.originator || asker == user => Ok(()),
            Deed::Remove => Err(Status::FORBIDDEN),
            Deed::Invite => self.may_ask_in(asker, user),
        }
    }

    /// Tells whether `asker`, who is here or may come in, may have `user` invited: whoever was sent
    /// away is asked back by the originator alone.
    pub(super) fn may_ask_in(&self, asker: &Address, user: &Address) -> Result<(), Status> {
        let is_banned = self.roster.get(user).is_some_and(|member| member.is_banned);
        if is_banned && asker != self.originator { Err(Status::FORBIDDEN) } else { Ok(()) }
    }

    /// Tells whether so many more may come.
    pub(super) fn has_room_for(&self, more: usize) -> Result<(), Denial> {
        let sum = self.roster.present().saturating_add(more);
        if sum > self.settings.max_participants { Err(Denial::crowded()) } else { Ok(()) }
    }

    /// Tells whether too few are left to go on.
    pub(super) fn is_deserted(&self) -> bool {
        let least = match self.kind {
            Kind::AdHoc => self.settings.min_participants,
            Kind::Named => 1,
        };
        self.roster.present() < least.max(1) || self.roster.connected() == 0
    }
}
