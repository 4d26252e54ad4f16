//! The state of a conference: who takes part in it, and how (RFC 4575).
//!
//! What a focus tells its subscribers is a [`Conference`]; what a subscriber knows from all that it
//! was told is a [`View`] (section 4.6).

mod read;
mod view;
mod write;

use thiserror::Error;

use super::xml::XmlError;

pub use view::{Merged, View};

/// The media type of the documents.
pub const CONTENT_TYPE: &str = "application/conference-info+xml";

/// The name of the event package.
pub const EVENT: &str = "conference";

/// The namespace of the documents (RFC 4575 section 9.3).
const NAMESPACE: &str = "urn:ietf:params:xml:ns:conference-info";

/// A document: all of the conference, or what has changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conference {
    /// The URI of the conference.
    pub entity: String,
    /// How much the document tells.
    pub state: Extent,
    /// Its number, one more than that of the document before; absent in examples of RFC 4579.
    pub version: Option<u32>,
    /// What the conference is about.
    pub subject: Option<String>,
    /// How many may take part.
    pub maximum_user_count: Option<u32>,
    /// How many take part.
    pub user_count: Option<u32>,
    /// How much of the users the document tells; absent where it does not say.
    pub users_state: Option<Extent>,
    /// The users.
    pub users: Vec<User>,
}

/// How much an element tells of what it stands for (RFC 4575 section 4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Extent {
    /// All there is.
    #[default]
    Full,
    /// What has changed.
    Partial,
    /// That it is no more.
    Deleted,
}

/// Somebody who takes part, has taken part, or shall.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct User {
    /// Its URI.
    pub entity: String,
    /// How much is told of it.
    pub state: Extent,
    /// Whether it is the subscriber itself: `yourown`, which no RFC has, but deployed clients read.
    pub is_own: bool,
    /// Its name, for people.
    pub display_text: Option<String>,
    /// Its devices.
    pub endpoints: Vec<Endpoint>,
}

/// A device of a user.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Endpoint {
    /// Its URI.
    pub entity: String,
    /// How much is told of it.
    pub state: Extent,
    /// Its name, for people.
    pub display_text: Option<String>,
    /// How it takes part.
    pub status: Option<Status>,
    /// How it came in.
    pub joining: Option<Joining>,
    /// How it went.
    pub disconnection: Option<Disconnection>,
    /// Why it went, mostly a value of the header Reason.
    pub reason: Option<String>,
}

/// How a device takes part (RFC 4575 section 5.7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It is to be invited.
    Pending,
    /// It is being invited.
    DialingOut,
    /// It is coming in.
    DialingIn,
    /// It is told of the invitation.
    Alerting,
    /// It is there, but does not listen.
    OnHold,
    /// It is there.
    Connected,
    /// It is there, and may not speak.
    MutedViaFocus,
    /// It is going.
    Disconnecting,
    /// It is not there.
    Disconnected,
    /// It did not want to come; no RFC has this, but clients do.
    Declined,
}

/// How a device came in (RFC 4575 section 5.7.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joining {
    /// It called the focus.
    DialedIn,
    /// The focus called it.
    DialedOut,
    /// It is the focus.
    FocusOwner,
}

/// How a device went (RFC 4575 section 5.7.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disconnection {
    /// It left.
    Departed,
    /// It was sent away.
    Booted,
    /// It could not be had, or was lost.
    Failed,
    /// It was busy.
    Busy,
}

/// Why bytes are not the state of a conference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ConferenceError {
    /// Not XML that we read.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// Another root element, or one of another namespace.
    #[error("the root element is not conference-info of RFC 4575")]
    NotAConference,
}

impl User {
    /// Gives the device that takes most part: one that is there before one that is invited, and
    /// that before one that is gone.
    #[must_use]
    pub fn foremost(&self) -> Option<&Endpoint> {
        let present = self.endpoints.iter().filter(|one| one.state != Extent::Deleted);
        present.max_by_key(|one| one.status.map_or(0, Status::rank))
    }
}

impl Status {
    /// Every status with its word.
    const WORDS: [(Self, &'static str); 10] = [
        (Self::Pending, "pending"),
        (Self::DialingOut, "dialing-out"),
        (Self::DialingIn, "dialing-in"),
        (Self::Alerting, "alerting"),
        (Self::OnHold, "on-hold"),
        (Self::Connected, "connected"),
        (Self::MutedViaFocus, "muted-via-focus"),
        (Self::Disconnecting, "disconnecting"),
        (Self::Disconnected, "disconnected"),
        (Self::Declined, "declined"),
    ];

    /// Gives the word for the status.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        word(&Self::WORDS, self)
    }

    fn rank(self) -> u8 {
        match self {
            Self::Connected | Self::OnHold | Self::MutedViaFocus => 4,
            Self::Disconnecting => 3,
            Self::Pending | Self::DialingOut | Self::DialingIn | Self::Alerting => 2,
            Self::Disconnected | Self::Declined => 1,
        }
    }
}

impl Extent {
    const WORDS: [(Self, &'static str); 3] =
        [(Self::Full, "full"), (Self::Partial, "partial"), (Self::Deleted, "deleted")];
}

impl Joining {
    const WORDS: [(Self, &'static str); 3] = [
        (Self::DialedIn, "dialed-in"),
        (Self::DialedOut, "dialed-out"),
        (Self::FocusOwner, "focus-owner"),
    ];
}

impl Disconnection {
    const WORDS: [(Self, &'static str); 4] = [
        (Self::Departed, "departed"),
        (Self::Booted, "booted"),
        (Self::Failed, "failed"),
        (Self::Busy, "busy"),
    ];

    /// Gives the word for the way of going.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        word(&Self::WORDS, self)
    }
}

fn word<T: Copy + PartialEq>(words: &[(T, &'static str)], value: T) -> &'static str {
    words.iter().find(|(known, _)| *known == value).map_or("", |(_, word)| word)
}

fn meaning<T: Copy>(words: &[(T, &'static str)], word: &str) -> Option<T> {
    words.iter().find(|(_, known)| known.eq_ignore_ascii_case(word)).map(|(value, _)| *value)
}

#[cfg(test)]
mod tests;
