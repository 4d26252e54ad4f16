//! The tables: what a conference-info document, and the end of the subscription that brings it, mean
//! to the participants of a group (RFC 4575, RFC 6665, TS Chat 5.2.2.7).
//!
//! The rows are data, each with its reason; the first that fits counts. `chatbridge outcomes` prints
//! them.

use std::fmt;

use super::table;
use crate::chat::{ParticipantStatus, Parting, Standing};
use crate::payload::conference::{Disconnection, Status, User};
use crate::sip::{Again, EndReason, Ended, Reason};

/// One row: what a status says of a participant.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// The status of the user's foremost endpoint; none where the user is named no more.
    pub statuses: &'static [Status],
    /// The ways of going for which the row is.
    pub method: Method,
    /// The SIP causes for which the row is.
    pub cause: Cause,
    /// Whether the row is only for somebody who was invited and has not answered.
    pub invited_only: bool,
    /// How the participant stands; nothing where it stays as it is.
    pub standing: Option<Standing>,
    /// Why it is so.
    pub reason: &'static str,
    /// Where that stands.
    pub source: &'static str,
}

/// Which disconnection-method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Any, or none.
    Any,
    /// This one.
    Is(Disconnection),
}

/// Which SIP cause in the reason of a disconnection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Any, or none.
    Any,
    /// One of these.
    Is(&'static [u16]),
}

/// What a status means.
#[rustfmt::skip]
pub static ROWS: &[Row] = &[
    row(&[Status::Pending, Status::DialingOut, Status::DialingIn, Status::Alerting], Some(Standing::Invited),
        ("on the way in, and not there yet", "RFC 4575 5.7.3; TS Chat 5.2.3.1")),
    row(&[Status::Connected, Status::OnHold, Status::MutedViaFocus], Some(Standing::Connected),
        ("there, though it may not listen or speak: the API has no word for that", "RFC 4575 5.7.3")),
    row(&[Status::Disconnecting], None,
        ("not gone yet: the disconnected follows", "RFC 4575 5.7.3")),
    row(&[Status::Declined], Some(Standing::Gone(Parting::ForGood)),
        ("no status of the RFC, but clients write it: did not want to come", "deployed clients")),
    row(&[Status::Disconnected], Some(Standing::NeverCame),
        ("who does not react is not mentioned in any notification", "TS Chat 5.2.2.5")).by(&[408, 480, 487]).while_invited(),
    row(&[Status::Disconnected], Some(Standing::Gone(Parting::ForGood)),
        ("declined: is not invited again", "RFC 3261 21.6.2")).by(&[603, 607, 608]),
    row(&[Status::Disconnected], Some(Standing::Gone(Parting::ForGood)),
        ("left: is not invited again", "RFC 4575 5.7.6")).gone(Disconnection::Departed),
    row(&[Status::Disconnected], Some(Standing::Gone(Parting::ForGood)),
        ("removed: is not invited again; where it is the user, the BYE ends the session", "RFC 4575 5.7.6")).gone(Disconnection::Booted),
    row(&[Status::Disconnected], Some(Standing::Gone(Parting::Unexplained)),
        ("could not come now", "RFC 4575 5.7.6")).gone(Disconnection::Busy),
    row(&[Status::Disconnected], Some(Standing::Gone(Parting::Unexplained)),
        ("could not be reached, or was lost", "RFC 4575 5.7.6")).gone(Disconnection::Failed),
    row(&[Status::Disconnected], Some(Standing::Gone(Parting::Unexplained)),
        ("gone, and nobody says why", "RFC 4575 5.7.3")),
    row(&[], Some(Standing::Gone(Parting::Unexplained)),
        ("deleted, or left out of a document that names all: some foci say no more", "RFC 4575 4.4, 4.6")),
];

/// How somebody is named in a conference-info document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The status; none where the user is named no more.
    pub status: Option<Status>,
    /// The way of going.
    pub method: Option<Disconnection>,
    /// The SIP cause of going.
    pub cause: Option<u16>,
}

impl Seen {
    /// The one who is named no more.
    pub const NO_MORE: Self = Self { status: None, method: None, cause: None };

    /// Reads what a document says of a user: of the endpoint that takes most part, for who has
    /// several is there as long as one of them is. `None` where it says nothing.
    #[must_use]
    pub fn of(user: &User) -> Option<Self> {
        let endpoint = user.foremost()?;
        let status = Some(endpoint.status?);
        let cause = endpoint.reason.as_deref().and_then(cause_in);
        Some(Self { status, method: endpoint.disconnection, cause })
    }
}

/// Finds the row of somebody who stood as `before`.
#[must_use]
pub fn row_of(seen: &Seen, before: Option<ParticipantStatus>) -> &'static Row {
    let fits = |row: &&Row| {
        let status = match seen.status {
            Some(status) => row.statuses.contains(&status),
            None => row.statuses.is_empty(),
        };
        let method = match row.method {
            Method::Any => true,
            Method::Is(method) => seen.method == Some(method),
        };
        let cause = match row.cause {
            Cause::Any => true,
            Cause::Is(causes) => seen.cause.is_some_and(|cause| causes.contains(&cause)),
        };
        let was = !row.invited_only || before == Some(ParticipantStatus::Invited);
        status && method && cause && was
    };
    ROWS.iter().find(fits).expect("the rows cover every status, and none")
}

/// Reads the SIP cause out of a reason: a Reason header (RFC 3326), or a status line.
fn cause_in(reason: &str) -> Option<u16> {
    let mut reasons = Reason::parse(reason).into_iter();
    let cause = reasons.find_map(|it| it.cause.filter(|_| it.protocol.eq_ignore_ascii_case("SIP")));
    cause.or_else(|| {
        let mut words = reason.split(|c: char| !c.is_ascii_digit());
        words.find_map(|word| word.parse().ok().filter(|code| (300..700).contains(code)))
    })
}

/// What has become of the subscription to the conference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WatchEnd {
    /// The focus takes no subscription.
    Refused,
    /// There is no conference (any more).
    NoConference,
    /// The focus wants to be asked again at once.
    AskAgain,
    /// The focus wants to be asked again later, or does not answer.
    AskLater,
    /// The focus wants to be asked no more.
    Never,
}

impl WatchEnd {
    /// Every end.
    pub const ALL: [Self; 5] =
        [Self::Refused, Self::NoConference, Self::AskAgain, Self::AskLater, Self::Never];

    /// Tells which end a subscription has had.
    #[must_use]
    pub fn of(ended: &Ended) -> Self {
        if let Ended::ByNotifier(ending) = ended
            && ending.reason == Some(EndReason::NoResource)
        {
            return Self::NoConference;
        }
        match ended.again() {
            Again::AtOnce => Self::AskAgain,
            Again::After(_) => Self::AskLater,
            Again::Never => Self::Never,
        }
    }
}

/// What follows from the end of the subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Subscribe again at once.
    Subscribe,
    /// Subscribe again after a while.
    SubscribeLater,
    /// Do without: what participants there are is known from the answers to REFER and from messages.
    DoWithout,
    /// Wait for the BYE that must follow, and do without it if it does not.
    AwaitBye,
}

/// One row of the table of subscriptions.
#[derive(Debug, PartialEq, Eq)]
pub struct WatchRow {
    /// What has become of it.
    pub end: WatchEnd,
    /// What follows.
    pub then: Then,
    /// Why it is so.
    pub reason: &'static str,
    /// Where that stands.
    pub source: &'static str,
}

/// What follows from the end of a subscription while the user is in the session.
pub static WATCH_ROWS: &[WatchRow] = &[
    WatchRow {
        end: WatchEnd::Refused,
        then: Then::DoWithout,
        reason: "a session needs no package: 403, 404, 405, 480, 489 and silence end no chat, and participants are known from REFER and CPIM only",
        source: "RFC 6665 4.1.2.1",
    },
    WatchRow {
        end: WatchEnd::NoConference,
        then: Then::AwaitBye,
        reason: "the conference is over: a BYE follows, or never will",
        source: "RFC 6665 4.1.3; RFC 4575 3.7",
    },
    WatchRow {
        end: WatchEnd::AskAgain,
        then: Then::Subscribe,
        reason: "deactivated, timeout: another server takes it over, or a refresh was missed; later, where it was so a minute ago",
        source: "RFC 6665 4.1.3",
    },
    WatchRow {
        end: WatchEnd::AskLater,
        then: Then::SubscribeLater,
        reason: "probation, giveup, no reason at all, or a refusal with Retry-After: at once it would only fail again",
        source: "RFC 6665 4.1.3; RFC 3261 20.33",
    },
    WatchRow {
        end: WatchEnd::Never,
        then: Then::DoWithout,
        reason: "rejected, invariant: there is nothing to ask for",
        source: "RFC 6665 4.1.3",
    },
];

/// Finds the row of the end of a subscription.
#[must_use]
pub fn on(end: WatchEnd) -> &'static WatchRow {
    WATCH_ROWS.iter().find(|row| row.end == end).expect("every end has its row")
}

/// Prints the table of statuses for `chatbridge outcomes`.
///
/// # Errors
/// Only those of `out`.
pub fn print(out: &mut dyn fmt::Write) -> fmt::Result {
    let heads = ["conference-info", "Method", "Cause", "Participant", "Why", "Source"];
    let rows: Vec<_> = ROWS.iter().map(cells).collect();
    table::print(out, heads, &rows)
}

fn cells(row: &Row) -> [String; 6] {
    let statuses: Vec<_> = row.statuses.iter().map(|status| status.as_str()).collect();
    let mut seen = if statuses.is_empty() { "named no more".into() } else { statuses.join(", ") };
    if row.invited_only {
        seen.push_str(" (was Invited)");
    }
    let method = match row.method {
        Method::Any => "–".to_owned(),
        Method::Is(method) => method.as_str().to_owned(),
    };
    let cause = match row.cause {
        Cause::Any => "–".to_owned(),
        Cause::Is(causes) => causes.iter().map(u16::to_string).collect::<Vec<_>>().join(" "),
    };
    let standing = match row.standing {
        None => "as before",
        Some(Standing::Invited) => "Invited",
        Some(Standing::Connected) => "Connected",
        Some(Standing::Gone(Parting::ForGood)) => "Disconnected, for good",
        Some(Standing::Gone(Parting::Unexplained)) => "Disconnected",
        Some(Standing::NeverCame) => "Disconnected, not told",
    };
    [seen, method, cause, standing.to_owned(), row.reason.to_owned(), row.source.to_owned()]
}

const fn row(
    statuses: &'static [Status],
    standing: Option<Standing>,
    (reason, source): (&'static str, &'static str),
) -> Row {
    let (method, cause) = (Method::Any, Cause::Any);
    Row { statuses, method, cause, invited_only: false, standing, reason, source }
}

impl Row {
    const fn by(self, causes: &'static [u16]) -> Self {
        Self { cause: Cause::Is(causes), ..self }
    }

    const fn gone(self, method: Disconnection) -> Self {
        Self { method: Method::Is(method), ..self }
    }

    const fn while_invited(self) -> Self {
        Self { invited_only: true, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::conference::Endpoint;
    use crate::sip::Ending;

    const STATUSES: [Option<Status>; 11] = [
        None,
        Some(Status::Pending),
        Some(Status::DialingOut),
        Some(Status::DialingIn),
        Some(Status::Alerting),
        Some(Status::OnHold),
        Some(Status::Connected),
        Some(Status::MutedViaFocus),
        Some(Status::Disconnecting),
        Some(Status::Disconnected),
        Some(Status::Declined),
    ];

    const METHODS: [Option<Disconnection>; 5] = [
        None,
        Some(Disconnection::Departed),
        Some(Disconnection::Booted),
        Some(Disconnection::Failed),
        Some(Disconnection::Busy),
    ];

    const BEFORE: [Option<ParticipantStatus>; 4] = [
        None,
        Some(ParticipantStatus::Invited),
        Some(ParticipantStatus::Connected),
        Some(ParticipantStatus::Disconnected),
    ];

    /// What everything means, written down a second time.
    fn expected(seen: &Seen, before: Option<ParticipantStatus>) -> Option<Standing> {
        let gone = |parting| Some(Standing::Gone(parting));
        match seen.status {
            None => gone(Parting::Unexplained),
            Some(Status::Pending | Status::DialingOut | Status::DialingIn | Status::Alerting) => {
                Some(Standing::Invited)
            }
            Some(Status::OnHold | Status::Connected | Status::MutedViaFocus) => {
                Some(Standing::Connected)
            }
            Some(Status::Disconnecting) => None,
            Some(Status::Declined) => gone(Parting::ForGood),
            Some(Status::Disconnected) => match (seen.cause, seen.method) {
                (Some(408 | 480 | 487), _) if before == Some(ParticipantStatus::Invited) => {
                    Some(Standing::NeverCame)
                }
                (Some(603 | 607 | 608), _) => gone(Parting::ForGood),
                (_, Some(Disconnection::Departed | Disconnection::Booted)) => {
                    gone(Parting::ForGood)
                }
                (_, Some(Disconnection::Failed | Disconnection::Busy) | None) => {
                    gone(Parting::Unexplained)
                }
            },
        }
    }

    #[test]
    fn every_status_method_and_cause_has_its_meaning_and_every_row_its_use() {
        let mut used = vec![false; ROWS.len()];
        for status in STATUSES {
            for method in METHODS {
                for cause in (300..700).map(Some).chain([None]) {
                    for before in BEFORE {
                        let seen = Seen { status, method, cause };
                        let row = row_of(&seen, before);
                        assert_eq!(row.standing, expected(&seen, before), "{seen:?} {before:?}");
                        let at = ROWS.iter().position(|one| one == row).expect("a row");
                        used[at] = true;
                    }
                }
            }
        }
        assert_eq!(used, vec![true; ROWS.len()]);
        assert!(ROWS.iter().all(|row| !row.reason.is_empty() && !row.source.is_empty()));
    }

    #[test]
    fn of_several_devices_the_one_that_takes_most_part_counts() {
        let device = |status| Endpoint { status, ..Endpoint::default() };
        let user = |devices: &[Option<Status>]| User {
            endpoints: devices.iter().copied().map(device).collect(),
            ..User::default()
        };
        let seen = |devices: &[Option<Status>]| Seen::of(&user(devices)).and_then(|it| it.status);
        let (gone, asked, there) = (Status::Disconnected, Status::Alerting, Status::Connected);
        assert_eq!(seen(&[Some(gone), Some(there), Some(asked)]), Some(there));
        assert_eq!(seen(&[Some(asked), Some(gone)]), Some(asked));
        assert_eq!(seen(&[Some(gone)]), Some(gone));
        assert_eq!((seen(&[]), seen(&[None])), (None, None));
    }

    #[test]
    fn a_cause_is_found_however_it_is_written() {
        for (reason, cause) in [
            ("SIP;cause=603;text=\"Decline\"", Some(603)),
            ("Q.850;cause=17, sip ; cause=486", Some(486)),
            ("480 Temporarily Unavailable", Some(480)),
            ("SIP/2.0 408 Request Timeout", Some(408)),
            ("He was busy", None),
            ("", None),
        ] {
            assert_eq!(cause_in(reason), cause, "{reason}");
        }
    }

    #[test]
    fn every_end_of_a_subscription_has_its_row() {
        for end in WatchEnd::ALL {
            assert!(!on(end).reason.is_empty());
        }
        assert_eq!(WATCH_ROWS.len(), WatchEnd::ALL.len());
        let by = |reason| WatchEnd::of(&Ended::ByNotifier(Ending::because(reason)));
        for (reason, end) in [
            (EndReason::Deactivated, WatchEnd::AskAgain),
            (EndReason::Timeout, WatchEnd::AskAgain),
            (EndReason::Probation, WatchEnd::AskLater),
            (EndReason::GiveUp, WatchEnd::AskLater),
            (EndReason::Rejected, WatchEnd::Never),
            (EndReason::Invariant, WatchEnd::Never),
            (EndReason::NoResource, WatchEnd::NoConference),
            (EndReason::Other("x".into()), WatchEnd::AskLater),
        ] {
            assert_eq!(by(reason), end);
        }
        assert_eq!(WatchEnd::of(&Ended::Silence), WatchEnd::AskLater);
        assert_eq!(WatchEnd::of(&Ended::Expired), WatchEnd::AskAgain);
    }

    #[test]
    fn the_printed_table_has_a_line_for_every_row() {
        let mut out = String::new();
        assert_eq!(print(&mut out), Ok(()));
        assert_eq!(out.lines().count(), ROWS.len() + 2);
    }
}
