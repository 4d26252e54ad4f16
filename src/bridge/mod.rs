//! The translators: a chat session, a SIP leg and an MSRP session kept in step.
//!
//! Everything that a SIP response, a BYE or an MSRP status means to a chat user stands in one of
//! two tables: [`sip_outcomes`] and [`delivery`].

pub mod delivery;
pub mod description;
pub mod group_outcomes;
pub mod roster_outcomes;
pub mod sip_outcomes;

mod access;
mod anchor;
mod bearer;
mod conversation;
mod dealings;
mod group;
mod group_settings;
mod identity;
mod invite;
mod legs;
mod line;
mod media;
mod pager;
mod profile;
mod received;
mod renewal;
mod roster;
mod settings;
mod succession;
mod table;
mod talk;

pub use access::{Access, RegisteredContact, Subscriber, Terms, may_be_forgotten};
pub use bearer::{Bearer, Bearers, Shown};
pub use conversation::Conversation;
pub use dealings::{Arrival, ConversationKit, Input, NextMsrp, Output};
pub use group::Group;
pub use group_settings::{ExtendMode, GroupReports, GroupSettings, InviteMode, OwnHost, ReferMode};
pub use identity::{Naming, Realm, Standing, TargetUri};
pub use pager::{Reports, reports_in};
pub use profile::{PROFILES, Profile};
pub use roster::{Pace, Roster, RosterInput, RosterOutput};
pub use settings::{Contradiction, MsrpRelay, MsrpRules, Settings};
pub use succession::{Find, Name, Named, Names, Succession};
pub use talk::Talk;
