//! The tables: what a SIP response, a BYE or a lost dialog means to the user of a group, and what the
//! focus says to a REFER.
//!
//! What holds for a 1-1 chat stands in [`super::sip_outcomes`]; a group differs in that nobody
//! declines it (`Declined` is for 1-1 sessions, TS Chat 5.2.3.2), and in that who is no longer in may
//! come back. The rows are data, each with its reason; a test walks every code.

use std::fmt;

use super::sip_outcomes::{self, Codes, LegEnd, Retry};
use super::{description, table};
use crate::chat::EventType;
use Codes::{Class, Each};

/// What our INVITE asks the focus for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asking {
    /// A new session.
    Opening,
    /// To be let in again.
    Rejoining,
    /// A session in place of one that is gone.
    Restarting,
}

impl Asking {
    /// Everything that we ask for.
    pub const ALL: [Self; 3] = [Self::Opening, Self::Rejoining, Self::Restarting];

    fn what(self) -> &'static str {
        match self {
            Self::Opening => "a new group",
            Self::Rejoining => "to join again",
            Self::Restarting => "the group anew",
        }
    }
}

/// What follows from a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// It stays as it is.
    Progress,
    /// The user is in.
    In,
    /// Ask the Contacts of the response.
    Redirect,
    /// Repeat the INVITE with credentials.
    Authenticate,
    /// Repeat the INVITE once, changed.
    RetryOnce(Retry),
    /// Ask for a session without a list, and name the participants with REFERs.
    WithoutList,
    /// Ask the factory for another session with the same participants.
    Restart,
    /// The user stays out, and may try again.
    StaysOut,
    /// Over.
    Ended,
}

/// One row: what a response to our INVITE means.
#[derive(Debug, PartialEq, Eq)]
pub struct AnswerRow {
    /// What the INVITE asks for.
    pub asking: &'static [Asking],
    /// The codes.
    pub codes: Codes,
    /// What follows.
    pub then: Answered,
    /// Why it is so.
    pub reason: &'static str,
    /// Where that stands.
    pub source: &'static str,
}

const NEW: &[Asking] = &[Asking::Opening];
const AGAIN: &[Asking] = &[Asking::Rejoining];
const NOT_NEW: &[Asking] = &[Asking::Rejoining, Asking::Restarting];
const FACTORY: &[Asking] = &[Asking::Opening, Asking::Restarting];

/// What responses to our INVITE mean.
#[rustfmt::skip]
pub static ANSWERS: &[AnswerRow] = &[
    answer(&Asking::ALL, Class(1), Answered::Progress,
        ("a provisional response changes nothing", "RFC 3261 21.1")),
    answer(&Asking::ALL, Class(2), Answered::In,
        ("the focus has let the user in; Accepted is for 1-1 sessions", "RFC 4579 5.1; TS Chat 5.2.3.2")),
    answer(&Asking::ALL, Class(3), Answered::Redirect,
        ("the focus is elsewhere", "RFC 3261 21.3")),
    answer(&Asking::ALL, Each(&[401, 407]), Answered::Authenticate,
        ("a challenge is between the core and us; a second one means that they are wrong", "RFC 3261 22")),
    answer(FACTORY, Each(&[420]), Answered::WithoutList,
        ("the focus does not know recipient-list-invite: REFER does the same", "RFC 5366 4.2; RFC 4579 5.5")),
    answer(&Asking::ALL, Each(&[422]), Answered::RetryOnce(Retry::LongerTimer),
        ("a session interval is too small; the second time it is the end", "RFC 4028 6, 7.3")),
    answer(&Asking::ALL, Each(&[491]), Answered::RetryOnce(Retry::Later),
        ("both ends asked at the same time", "RFC 3261 14.1")),
    answer(AGAIN, Each(&[404, 481]), Answered::Restart,
        ("the focus has no such session any more: the factory makes another one of it", "CPM B.2.3.4.2")),
    answer(AGAIN, Each(&[410, 604]), Answered::Ended,
        ("gone for good", "RFC 3261 21.4.11")),
    answer(NOT_NEW, Class(4), Answered::StaysOut,
        ("not now, or not this user (403, Warning 127)", "RFC 4579 5.1")),
    answer(NOT_NEW, Class(5), Answered::StaysOut,
        ("a server fails", "RFC 3261 21.5")),
    answer(NOT_NEW, Class(6), Answered::StaysOut,
        ("the focus does not want it now", "RFC 3261 21.6")),
    answer(NEW, Class(4), Answered::Ended,
        ("the focus opens no session; nobody declines a group", "TS Chat 5.2.3.2")),
    answer(NEW, Class(5), Answered::Ended,
        ("a server fails; Retry-After is handed on", "RFC 3261 21.5")),
    answer(NEW, Class(6), Answered::Ended,
        ("the focus does not want the session", "RFC 3261 21.6")),
];

/// Finds the row of a response to our INVITE.
#[must_use]
pub fn answer_to(asking: Asking, code: u16) -> &'static AnswerRow {
    let code = code.clamp(100, 699);
    let of = || ANSWERS.iter().filter(move |row| row.asking.contains(&asking));
    of().find(|row| row.codes.names(code))
        .or_else(|| of().find(|row| row.codes.covers(code)))
        .expect("the rows cover 100 to 699 whatever is asked for")
}

/// How the user's participation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupEnd {
    /// As a 1-1 session may.
    Leg(LegEnd),
    /// The focus says that the group is no more: BYE with cause 410.
    Dissolved,
    /// The conference is over by its package, and no BYE has followed.
    Inactive,
    /// Our user leaves, and may come back.
    LeftForNow,
    /// Our originator ends its session.
    EndedByOriginator,
    /// The user may come back no more: the time is over.
    WindowClosed,
}

impl GroupEnd {
    /// Gives the event that tells of it. Nobody declines a group (TS Chat 5.2.3.2).
    #[must_use]
    pub fn event(self) -> EventType {
        match self {
            Self::Leg(end) => match sip_outcomes::on(end).outcome.event() {
                Some(EventType::SessionCancelled) => EventType::SessionCancelled,
                Some(_) | None => EventType::SessionEnded,
            },
            Self::Dissolved
            | Self::Inactive
            | Self::LeftForNow
            | Self::EndedByOriginator
            | Self::WindowClosed => EventType::SessionEnded,
        }
    }
}

/// What an end leaves of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Nothing: its URLs are dead.
    Nothing,
    /// The way back, for a while; the application is told that the session has ended.
    TheWayBack,
    /// As [`Self::TheWayBack`], and the bridge takes it of itself, once, where configuration says so
    /// (`group.auto_rejoin`): the application is told only if that fails.
    TheWayBackAtOnce,
    /// The way back, for a while; the application has left of itself and is told of that only.
    TheWayBackQuietly,
}

/// One row: what an end leaves.
#[derive(Debug, PartialEq, Eq)]
pub struct EndRow {
    /// The end.
    pub end: GroupEnd,
    /// What it leaves.
    pub left: Left,
    /// How the `eventDescription` begins, where it is not that of a 1-1 session.
    pub words: Option<&'static str>,
    /// Why it is so.
    pub reason: &'static str,
    /// Where that stands.
    pub source: &'static str,
}

/// What ends leave.
#[rustfmt::skip]
pub static ENDS: &[EndRow] = &[
    end(GroupEnd::Leg(LegEnd::InvitationTimeout), Left::Nothing, None,
        ("the focus does not answer: there is no session to come back to", "RFC 3261 17.1.1.2")),
    end(GroupEnd::Leg(LegEnd::Unreachable), Left::Nothing, None,
        ("no way to the focus", "RFC 3261 8.1.3.1")),
    end(GroupEnd::Leg(LegEnd::UnusableAnswer), Left::Nothing, None,
        ("the focus has no chat for us", "RFC 3264 6")),
    end(GroupEnd::Leg(LegEnd::MsrpConnectFailed), Left::TheWayBack, None,
        ("the group is there, but no message can pass", "RFC 4975 5.4")),
    end(GroupEnd::Leg(LegEnd::RelayFailed), Left::TheWayBack, None,
        ("our way is gone, not the group", "RFC 4976 5.1")),
    end(GroupEnd::Leg(LegEnd::DeclinedByUser), Left::Nothing, None,
        ("the user's other clients stop offering the invitation", "TS Chat 6.10.6")),
    end(GroupEnd::Leg(LegEnd::CancelledByPeer), Left::Nothing, None,
        ("the invitation is withdrawn", "RFC 3261 9.2; TS Chat 5.2.3.2")),
    end(GroupEnd::Leg(LegEnd::AnsweredElsewhere), Left::Nothing, None,
        ("the session lives on, on another device", "RFC 3326 2")),
    end(GroupEnd::Leg(LegEnd::NoReaction), Left::Nothing, None,
        ("the invitation times out; the others hear of no participant", "TS Chat 5.2.2.5")),
    end(GroupEnd::Leg(LegEnd::NoClient), Left::Nothing, None,
        ("nobody is subscribed who could be asked", "RFC 3261 21.4.18")),
    end(GroupEnd::Leg(LegEnd::NoAck), Left::TheWayBack, None,
        ("the focus has not heard that we are in", "RFC 3261 13.3.1.4")),
    end(GroupEnd::Leg(LegEnd::LeftByPeer), Left::TheWayBack, None,
        ("no reason, or any but 410: idle, removed, or the way was lost; the group may go on", "CPM B.2.3.4; RFC 3326")),
    end(GroupEnd::Leg(LegEnd::LeftByUser), Left::TheWayBackQuietly, None,
        ("the group goes on without the user", "TS Chat 6.10.6")),
    end(GroupEnd::Leg(LegEnd::DialogLost), Left::TheWayBackAtOnce, None,
        ("the focus has lost us, or we it", "RFC 3261 12.2.1.2")),
    end(GroupEnd::Leg(LegEnd::SessionTimeout), Left::TheWayBackAtOnce, None,
        ("no refresh came in time", "RFC 4028 10")),
    end(GroupEnd::Leg(LegEnd::MsrpLost), Left::TheWayBackAtOnce, None,
        ("involuntary: the user stays on the list of the group", "CPM B.2.3.5")),
    end(GroupEnd::Leg(LegEnd::MediaRemoved), Left::TheWayBack, None,
        ("a group without its message stream is of no use", "RFC 3264 8.2")),
    end(GroupEnd::Leg(LegEnd::Extended), Left::Nothing, None,
        ("only a 1-1 session is extended", "TS Chat 6.6")),
    end(GroupEnd::Leg(LegEnd::CoreLost), Left::TheWayBack, None,
        ("the user's registration is lost, not the group, unless the user hosts it", "RFC 3261 8.1.3.1")),
    end(GroupEnd::Leg(LegEnd::ShuttingDown), Left::Nothing, None,
        ("nobody is left to come back through", "RFC 3261 15")),
    end(GroupEnd::Dissolved, Left::Nothing, Some("SIP BYE"),
        ("410: the group has become too small, or was dissolved", "deployed foci; RFC 3326")),
    end(GroupEnd::Inactive, Left::TheWayBack, Some("conference inactive"),
        ("noresource: the focus is idle, and starts anew when somebody joins", "CPM B.2.3.4.3")),
    end(GroupEnd::LeftForNow, Left::TheWayBackQuietly, Some("SIP BYE"),
        ("who leaves may join again for a while", "TS Chat 6.8")),
    end(GroupEnd::EndedByOriginator, Left::Nothing, Some("ended by the originator"),
        ("the session ends with its originator", "TS Chat 6.8.6, Figure 12")),
    end(GroupEnd::WindowClosed, Left::Nothing, Some("timeout rejoin"),
        ("the server forgets the session after a time that it chooses", "TS Chat 6.8")),
];

/// Finds the row of an end.
#[must_use]
pub fn on(end: GroupEnd) -> &'static EndRow {
    ENDS.iter().find(|row| row.end == end).expect("every end has its row")
}

/// Tells what a BYE of the focus means by its reasons.
#[must_use]
pub fn of_bye(reasons: &[description::Reason<'_>]) -> GroupEnd {
    let is_gone = |reason: &description::Reason<'_>| {
        reason.protocol.eq_ignore_ascii_case("SIP") && reason.cause == Some(410)
    };
    if reasons.iter().any(is_gone) {
        return GroupEnd::Dissolved;
    }
    GroupEnd::Leg(LegEnd::LeftByPeer)
}

impl EndRow {
    /// Describes the end; `reasons` are those of the BYE.
    #[must_use]
    pub fn describe(&self, reasons: &[description::Reason<'_>]) -> String {
        match (self.end, self.words) {
            (GroupEnd::Dissolved, _) => description::bye(reasons),
            (_, Some(words)) => words.to_owned(),
            (GroupEnd::Leg(end), None) => sip_outcomes::on(end).describe_end(reasons),
            (_, None) => String::new(),
        }
    }
}

/// What the focus says to a REFER.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Referred {
    /// It does as it is told; the conference package tells the rest.
    Taken,
    /// The network forbids it.
    Denied,
    /// Nobody is known by this address.
    NoSuchUser,
    /// The REFER is not understood so: say it otherwise, and give up when there is no other way.
    SayOtherwise,
    /// Not now.
    NotNow,
}

/// One row: what a final response to a REFER means.
#[derive(Debug, PartialEq, Eq)]
pub struct ReferRow {
    /// The codes.
    pub codes: Codes,
    /// What follows.
    pub then: Referred,
    /// Why it is so.
    pub reason: &'static str,
    /// Where that stands.
    pub source: &'static str,
}

/// What final responses to a REFER mean.
#[rustfmt::skip]
pub static REFERS: &[ReferRow] = &[
    refer(Class(2), Referred::Taken,
        ("accepted, which says nothing of how it will end", "RFC 3515 2.4.2")),
    refer(Each(&[404, 410, 416, 484, 604]), Referred::NoSuchUser,
        ("nobody can be reached by that address", "RFC 3261 21.4.5, 21.4.22")),
    refer(Each(&[405, 415, 420, 488, 489, 501]), Referred::SayOtherwise,
        ("not a list, not in this dialog, or not with what it requires", "RFC 5368 7; RFC 4579 5.5")),
    refer(Each(&[408]), Referred::NotNow,
        ("silence: a later attempt may fare better", "RFC 3261 21.4.9")),
    refer(Class(3), Referred::Denied,
        ("a REFER is not followed elsewhere", "RFC 3515 2.4.2")),
    refer(Class(4), Referred::Denied,
        ("not the owner, a closed group, or nobody who can come", "RFC 4579 5.5")),
    refer(Class(5), Referred::NotNow,
        ("a server fails", "RFC 3261 21.5")),
    refer(Class(6), Referred::Denied,
        ("the focus does not want it", "RFC 3261 21.6")),
];

/// Finds the row of a final response to a REFER.
#[must_use]
pub fn refer_answer(code: u16) -> &'static ReferRow {
    let code = code.clamp(200, 699);
    REFERS
        .iter()
        .find(|row| row.codes.names(code))
        .or_else(|| REFERS.iter().find(|row| row.codes.covers(code)))
        .expect("the rows cover 200 to 699")
}

/// Prints the three tables for `chatbridge outcomes`.
///
/// # Errors
/// Only those of `out`.
pub fn print(out: &mut dyn fmt::Write) -> fmt::Result {
    let owned = |cells: [&str; 5]| cells.map(str::to_owned);
    let answers: Vec<_> = ANSWERS
        .iter()
        .map(|row| {
            let asking: Vec<_> = row.asking.iter().map(|asking| asking.what()).collect();
            let (codes, then) = (row.codes.to_string(), format!("{:?}", row.then));
            owned([&asking.join(", "), &codes, &then, row.reason, row.source])
        })
        .collect();
    table::print(out, ["The INVITE asks for", "SIP codes", "Then", "Why", "Source"], &answers)?;
    out.write_str("\n")?;
    let ends: Vec<_> = ENDS
        .iter()
        .map(|row| {
            let (end, left) = (format!("{:?}", row.end), format!("{:?}", row.left));
            owned([&end, &left, &row.describe(&[]), row.reason, row.source])
        })
        .collect();
    table::print(out, ["End", "What is left", "eventDescription", "Why", "Source"], &ends)?;
    out.write_str("\n")?;
    let refers: Vec<_> = REFERS
        .iter()
        .map(|row| {
            let (codes, then) = (row.codes.to_string(), format!("{:?}", row.then));
            owned(["REFER", &codes, &then, row.reason, row.source])
        })
        .collect();
    table::print(out, ["Request", "SIP codes", "Then", "Why", "Source"], &refers)
}

const fn answer(
    asking: &'static [Asking],
    codes: Codes,
    then: Answered,
    (reason, source): (&'static str, &'static str),
) -> AnswerRow {
    AnswerRow { asking, codes, then, reason, source }
}

const fn end(
    end: GroupEnd,
    left: Left,
    words: Option<&'static str>,
    (reason, source): (&'static str, &'static str),
) -> EndRow {
    EndRow { end, left, words, reason, source }
}

const fn refer(
    codes: Codes,
    then: Referred,
    (reason, source): (&'static str, &'static str),
) -> ReferRow {
    ReferRow { codes, then, reason, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What every code means, written down a second time.
    fn expected(asking: Asking, code: u16) -> Answered {
        match (code, asking) {
            (100..=199, _) => Answered::Progress,
            (200..=299, _) => Answered::In,
            (300..=399, _) => Answered::Redirect,
            (401 | 407, _) => Answered::Authenticate,
            (420, Asking::Opening | Asking::Restarting) => Answered::WithoutList,
            (422, _) => Answered::RetryOnce(Retry::LongerTimer),
            (491, _) => Answered::RetryOnce(Retry::Later),
            (404 | 481, Asking::Rejoining) => Answered::Restart,
            (410 | 604, Asking::Rejoining) | (_, Asking::Opening) => Answered::Ended,
            (_, Asking::Rejoining | Asking::Restarting) => Answered::StaysOut,
        }
    }

    #[test]
    fn every_code_has_its_meaning_whatever_is_asked_for() {
        for asking in Asking::ALL {
            for code in 100..=699 {
                assert_eq!(answer_to(asking, code).then, expected(asking, code), "{code}");
            }
        }
    }

    #[test]
    fn every_end_of_a_leg_has_its_row_and_a_description() {
        let own = [
            GroupEnd::Dissolved,
            GroupEnd::Inactive,
            GroupEnd::LeftForNow,
            GroupEnd::EndedByOriginator,
            GroupEnd::WindowClosed,
        ];
        for end in LegEnd::ALL.into_iter().map(GroupEnd::Leg).chain(own) {
            let row = on(end);
            assert!(!row.describe(&[]).is_empty() && !row.reason.is_empty(), "{row:?}");
        }
        assert_eq!(ENDS.len(), LegEnd::ALL.len() + own.len());
    }

    #[test]
    fn a_bye_tells_whether_the_group_is_gone() {
        let reason = |cause| description::Reason { protocol: "sip", cause, text: None };
        assert_eq!(of_bye(&[reason(Some(410))]), GroupEnd::Dissolved);
        for reasons in [&[][..], &[reason(Some(480))], &[reason(None)]] {
            assert_eq!(of_bye(reasons), GroupEnd::Leg(LegEnd::LeftByPeer));
        }
        assert_eq!(on(GroupEnd::Dissolved).left, Left::Nothing);
        let text = on(GroupEnd::Dissolved).describe(&[reason(Some(410))]);
        assert_eq!(text, "SIP BYE; Reason: sip;cause=410");
    }

    #[test]
    fn every_answer_to_a_refer_has_its_meaning() {
        for code in 200..=699 {
            let then = match code {
                200..=299 => Referred::Taken,
                404 | 410 | 416 | 484 | 604 => Referred::NoSuchUser,
                405 | 415 | 420 | 488 | 489 | 501 => Referred::SayOtherwise,
                408 | 500..=599 => Referred::NotNow,
                _ => Referred::Denied,
            };
            assert_eq!(refer_answer(code).then, then, "{code}");
        }
    }

    #[test]
    fn the_printed_tables_have_a_line_for_every_row() {
        let mut out = String::new();
        assert_eq!(print(&mut out), Ok(()));
        let rows = ANSWERS.len() + ENDS.len() + REFERS.len();
        assert_eq!(out.lines().count(), rows + 3 * 2 + 2);
    }
}
