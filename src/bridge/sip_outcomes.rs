//! The table: what a SIP response, CANCEL, BYE or lost dialog means to the user of a 1-1 chat.
//!
//! Nowhere else does a SIP status become a chat event. The rows are data, each with its reason; a
//! test walks every code from 100 to 699 in both circumstances. `chatbridge outcomes` prints them.
//!
//! One logical end is exactly one terminal event. What the callee refuses is `Declined`; whatever
//! else stops a session before it is up is `SessionEnded`, because TS Chat 5.2.3.2 has no event of
//! its own for an invitation that failed.

use std::fmt;

mod words;

pub use words::{Circumstance, Codes, LegEnd, LegNews, Opening, Outcome, Retry};

use words::Codes::{Class, Each, Other};
use words::Opening::{Bye, Nothing, Only, Words};
use words::Outcome::{
    Accepted, Authenticate, Cancelled, Declined, Ended, Progress, Redirect, RetryOnce,
};

use super::description::{self, Reason, Response};
use super::table;

/// One row of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// When the row applies.
    pub circumstance: Circumstance,
    /// To which response codes; [`Codes::NONE`] where no response is at stake.
    pub codes: Codes,
    /// What becomes of the session.
    pub outcome: Outcome,
    /// How the `eventDescription` begins.
    pub opening: Opening,
    /// What goes over the wire besides: the signalling that the row entails.
    pub wire: &'static str,
    /// Why it is so.
    pub reason: &'static str,
    /// Where that stands.
    pub source: &'static str,
}

/// The table of TS Chat, RFC 3261 and deployed cores.
#[rustfmt::skip]
pub static ROWS: &[Row] = &[
    // An INVITE of ours is answered.
    answer(Class(1), Progress, "–",
        ("a provisional response changes no status; 18x starts the invitation timer anew", "RFC 3261 21.1")),
    answer(Class(2), Accepted, "ACK, then the MSRP connection",
        ("somebody, or the core on their behalf, has accepted", "RFC 3261 21.2; TS Chat 5.2.3.2")),
    answer(Class(3), Redirect, "ACK, INVITE to the Contacts",
        ("the callee is elsewhere: five hops at most, against loops", "RFC 3261 21.3")),
    answer(Each(&[401, 407]), Authenticate, "ACK, INVITE with credentials",
        ("a challenge is between the core and us; a second one means that they are wrong", "RFC 3261 22")),
    answer(Each(&[403]), Ended, "ACK",
        ("the core forbids it; its Warning tells more (127 service, 133 size)", "RFC 3261 21.4.4")),
    answer(Each(&[404, 410, 416, 484, 604]), Ended, "ACK",
        ("nobody is known under this address: no human has declined", "RFC 3261 21.4.5, 21.4.10, 21.4.22")),
    answer(Each(&[406, 415, 488, 606]), Ended, "ACK",
        ("the other end has no chat with our media", "RFC 3261 21.4.26")),
    answer(Each(&[408]), Ended, "ACK",
        ("nobody reacted in time: for the user the same as our own timer", "RFC 3261 21.4.9"))
        .opened(Words("timeout invitation")),
    answer(Each(&[420]), RetryOnce(Retry::WithoutOption), "ACK; once more without it, if it was ours",
        ("an extension is unknown there; our INVITE requires none, so the session ends", "RFC 3261 21.4.15")),
    answer(Each(&[421]), RetryOnce(Retry::WithOption), "ACK; once more with it, if it is ours",
        ("the other end insists on an extension that we do not have", "RFC 3261 21.4.16")),
    answer(Each(&[422]), RetryOnce(Retry::LongerTimer), "ACK, INVITE once more with its Min-SE",
        ("a session interval, ours or one that a proxy put in, is too small; the second time it is the end", "RFC 4028 6, 7.3")),
    answer(Each(&[423]), RetryOnce(Retry::LongerExpiry), "ACK; once more with Min-Expires, if we named an expiry",
        ("an expiry is too brief; our INVITE names none, so the session ends", "RFC 3261 21.4.17")),
    answer(Each(&[491]), RetryOnce(Retry::Later), "ACK, INVITE after 2.1 to 4 s",
        ("both ends asked at the same time", "RFC 3261 14.1")),
    answer(Each(&[494]), RetryOnce(Retry::WithSecurity), "ACK; once more, if a mechanism can be agreed on",
        ("the core wants a security agreement first; we have none to offer", "RFC 3329 2.3.1")),
    answer(Each(&[480]), Declined, "ACK",
        ("the API's word: if a session is declined, 480 is the one event of the SIP layer", "TS Chat note on Declined")),
    answer(Each(&[486, 600]), Declined, "ACK",
        ("handsets send busy when their user declines", "RFC 3261 21.4.24, 21.6.1")),
    answer(Each(&[603]), Declined, "ACK",
        ("the callee explicitly does not want it", "RFC 3261 21.6.2")),
    answer(Each(&[607, 608]), Declined, "ACK",
        ("unwanted, in the name of the callee: as 603", "RFC 8197; RFC 8688")),
    answer(Each(&[487]), Ended, "ACK",
        ("terminated, but not by us: the core gave up", "RFC 3261 21.4.25")),
    answer(Each(&[400, 402, 405, 413, 414, 481, 482, 483, 485, 493]), Ended, "ACK",
        ("our request is at fault, or its way: no human has declined", "RFC 3261 21.4")),
    answer(Class(4), Ended, "ACK",
        ("an unknown 4xx is a 400", "RFC 3261 8.1.3.2")),
    answer(Class(5), Ended, "ACK",
        ("a server fails; Retry-After is handed on to the application", "RFC 3261 21.5")),
    answer(Class(6), Declined, "ACK",
        ("an unknown 6xx is a 600", "RFC 3261 8.1.3.2")),

    // The user has withdrawn the invitation; an answer may cross the CANCEL.
    after_cancel(Class(1), Progress, "–",
        ("the CANCEL is under way", "RFC 3261 9.1")),
    after_cancel(Class(2), Cancelled, "ACK, BYE",
        ("the 200 crossed the CANCEL: one terminal event, and it is the user's own", "RFC 3261 9.1, 15"))
        .opened(Only("SIP CANCEL")),
    after_cancel(Each(&[487]), Cancelled, "ACK",
        ("the CANCEL took effect; both sides are told", "RFC 3261 21.4.25; TS Chat table 1"))
        .opened(Only("SIP CANCEL")),
    after_cancel(Other, Cancelled, "ACK",
        ("whatever crosses the CANCEL, the user withdrew first, and nothing is tried again", "RFC 3261 9.1")),

    // Our INVITE fails without an answer, or after it.
    end(LegEnd::InvitationTimeout, Ended, Words("timeout invitation"), "CANCEL",
        ("no final answer in time: nobody has declined", "RFC 3261 17.1.1.2; TS Chat 5.2.3.2")),
    end(LegEnd::Unreachable, Ended, Words("timeout invitation; transport error"), "–",
        ("a transport error counts as a 503 that nobody sent, told as a timeout", "RFC 3261 8.1.3.1")),
    end(LegEnd::UnusableAnswer, Ended, Words("SIP 488 Not Acceptable Here"), "ACK, BYE",
        ("no message stream, port 0, or no type in common: the 2xx is of no use", "RFC 3264 6; RFC 4975 8")),
    end(LegEnd::MsrpConnectFailed, Ended, Words("MSRP connect failed"), "BYE, Reason cause=488",
        ("accepted, but no message can ever pass", "RFC 4975 5.4")),
    end(LegEnd::RelayFailed, Ended, Words("MSRP relay failed"), "nothing, CANCEL, 500, or BYE with Reason cause=480",
        ("no description is true without the relay's Use-Path; the code of its refusal stands behind the words, 408 for silence", "RFC 4976 5.1")),

    // An INVITE reaches one of our users.
    news(LegNews::Invitation, Progress, "180",
        ("the user is told by a SessionInvitationNotification", "TS Chat 5.2.2.4")),
    news(LegNews::FirstMessage, Progress, "–",
        ("told as a MessageNotification once the session is accepted", "TS Chat 5.2.2.6")),
    news(LegNews::AcceptedByUser, Progress, "200",
        ("Accepted is for the originator, who gets it from the 200", "TS Chat table 1")),
    news(LegNews::AcceptedAgain, Progress, "–",
        ("the first client wins; the later one is answered 409", "RFC 3261 13.3.1.4")),
    end(LegEnd::DeclinedByUser, Ended, Words("declined by the user"), "480, by configuration 486 or 603",
        ("no request tells which client declined: all of the user's stop offering the invitation", "TS Chat 6.4.6")),
    end(LegEnd::CancelledByPeer, Cancelled, Words("SIP CANCEL"), "200 to the CANCEL, 487 to the INVITE",
        ("the originator withdrew the invitation", "RFC 3261 9.2; TS Chat 5.2.3.2")),
    end(LegEnd::AnsweredElsewhere, Ended, Words("answered elsewhere"), "200 to the CANCEL, 487 to the INVITE",
        ("the session lives on, on another device: nobody has cancelled it", "RFC 3326 2")),
    end(LegEnd::NoReaction, Ended, Words("timeout invitation"), "408, by configuration another; 487 where the INVITE expires",
        ("without a reaction the session terminates; a 480 would tell the originator of a decline", "TS Chat 5.2.2.4; RFC 3261 21.4.9")),
    end(LegEnd::NoClient, Ended, Words("no client"), "480, by configuration",
        ("nobody is subscribed who could be asked, or told", "RFC 3261 21.4.18")),
    end(LegEnd::NoAck, Ended, Words("timeout ACK"), "BYE",
        ("after 64*T1 without ACK the dialog is to be ended", "RFC 3261 13.3.1.4")),

    // The dialog stands.
    end(LegEnd::LeftByPeer, Ended, Bye, "200 to the BYE",
        ("a user who leaves a running session is an end, not a decline", "RFC 3261 15.1.2; TS Chat note on Declined")),
    end(LegEnd::LeftByUser, Ended, Bye, "BYE, Reason cause=200",
        ("SessionEnded is for all, the user's other clients among them", "TS Chat table 1, 6.4.6")),
    end(LegEnd::DialogLost, Ended, Words("SIP 481 Call/Transaction Does Not Exist"), "BYE where the answer was not 481",
        ("these answers end the dialog as a BYE does", "RFC 3261 12.2.1.2")),
    end(LegEnd::SessionTimeout, Ended, Words("timeout session"), "BYE",
        ("no refresh came within the session interval", "RFC 4028 10")),
    end(LegEnd::MsrpLost, Ended, Words("MSRP connection lost"), "BYE, Reason cause=480",
        ("no message can pass any more, and no BYE has come to explain it", "RFC 4975 5.4")),
    news(LegNews::Refreshed, Progress, "200",
        ("the same path: nothing changes for the chat", "RFC 3261 14.2; RFC 3311; RFC 4028")),
    end(LegEnd::MediaRemoved, Ended, Words("SIP 488 Not Acceptable Here; media removed"), "200, BYE",
        ("a chat without its message stream is over", "RFC 3264 8.2")),
    news(LegNews::Held, Progress, "200",
        ("hold is a pause that the API has no word for", "RFC 3264 8.4")),
    news(LegNews::Replaced, Progress, "200; BYE in the old dialog, Reason cause=200",
        ("it has lost its bearer: the session goes on under its URL, and what was not answered is sent again; by Contribution-ID, by Conversation-ID in profile cpm, and only as our trust domain asserts it", "RFC 3891 3; TS Chat 6.4")),
    news(LegNews::Namesake, Progress, "180",
        ("an invitation of its own, for ids are no secret and a ringing session has nothing to take over: the running session stays as it is", "RFC 3891 3, 8; TS Chat 6.4")),
    news(LegNews::GroupOffered, Progress, "180",
        ("a group invitation of its own; the 1-1 session ends as extended once the user has joined, where the other side has begun the group", "RFC 3891 3; TS Chat 6.6.5")),
    news(LegNews::ReplacesInVain, Progress, "400 ambiguous; 481 unknown or ringing; 603 already over; 403 not the sender's; 486 early-only",
        ("an order that cannot be followed is refused and leaves everything unchanged; the user does not hear of it", "RFC 3891 3")),
    news(LegNews::Referred, Progress, "403",
        ("the bridge is a party of the chat and not its focus", "RFC 3515 2.4.2")),
    end(LegEnd::Extended, Ended, Words("extended to"), "BYE, Reason cause=200",
        ("over once the other side has joined the group, declined or not reacted, or the user has joined that of the other side; the id of the group stands behind the words", "TS Chat 6.6.5")),
    end(LegEnd::CoreLost, Ended, Words("core unreachable"), "BYE, Reason cause=480; CANCEL; 503: for a core that comes back",
        ("the user's registration is lost: no request of the session gets anywhere", "RFC 3261 8.1.3.1")),
    end(LegEnd::ShuttingDown, Ended, Words("bridge shutting down"), "BYE, Reason cause=480; CANCEL; 503",
        ("nobody is left waiting for a bridge that has gone; a 480 would tell of a decline", "RFC 3261 15, 21.5.4")),
];

impl Row {
    const fn opened(self, opening: Opening) -> Self {
        Self { opening, ..self }
    }

    /// Describes the event of a row that a response has led to.
    #[must_use]
    pub fn describe_response(&self, response: &Response<'_>) -> String {
        match self.opening {
            Opening::Response | Bye | Nothing => description::response(response),
            Words(words) => format!("{words}; {}", description::response(response)),
            Only(words) => words.to_owned(),
        }
    }

    /// Describes the event of a row of [`Circumstance::Ends`]; `reasons` are those of the BYE.
    #[must_use]
    pub fn describe_end(&self, reasons: &[Reason<'_>]) -> String {
        match self.opening {
            Words(words) | Only(words) => words.to_owned(),
            Bye | Opening::Response | Nothing => description::bye(reasons),
        }
    }
}

/// Finds the row of a response to our INVITE; `cancelled` tells whether the user has withdrawn it.
///
/// A code that no row names counts as the x00 of its class (RFC 3261 section 8.1.3.2).
#[must_use]
pub fn final_response(code: u16, cancelled: bool) -> &'static Row {
    let code = code.clamp(100, 699);
    let circumstance =
        if cancelled { Circumstance::InvitingAfterCancel } else { Circumstance::Inviting };
    let of = || ROWS.iter().filter(move |row| row.circumstance == circumstance);
    of().find(|row| row.codes.names(code))
        .or_else(|| of().find(|row| row.codes.covers(code)))
        .expect("the rows cover 100 to 699 in both circumstances")
}

/// Finds the row of an end that is no response to our INVITE.
#[must_use]
pub fn on(end: LegEnd) -> &'static Row {
    let circumstance = Circumstance::Ends(end);
    let row = ROWS.iter().find(|row| row.circumstance == circumstance);
    row.expect("every end has its row")
}

/// Finds the row of something that leaves the session going on.
#[must_use]
pub fn during(news: LegNews) -> &'static Row {
    let circumstance = Circumstance::During(news);
    let row = ROWS.iter().find(|row| row.circumstance == circumstance);
    row.expect("all news have their row")
}

/// Prints the table for `chatbridge outcomes`.
///
/// # Errors
/// Only those of `out`.
pub fn print(out: &mut dyn fmt::Write) -> fmt::Result {
    let heads = [
        "When",
        "SIP codes",
        "Session",
        "eventType",
        "eventDescription",
        "On the wire",
        "Why",
        "Source",
    ];
    let rows: Vec<_> = ROWS.iter().map(cells).collect();
    table::print(out, heads, &rows)
}

fn cells(row: &Row) -> [String; 8] {
    let when = match row.circumstance {
        Circumstance::Inviting => "answer to our INVITE",
        Circumstance::InvitingAfterCancel => "answer after our CANCEL",
        Circumstance::During(news) => news.what(),
        Circumstance::Ends(end) => end.what(),
    };
    let event = match (row.outcome.event(), row.outcome.event_when_spent()) {
        (Some(event), _) => event.as_str().to_owned(),
        (None, Some(event)) => format!("– ({} in the end)", event.as_str()),
        (None, None) => "–".to_owned(),
    };
    let opening = match (row.opening, row.codes) {
        (Opening::Response, _) => "`SIP <code> <phrase>`".to_owned(),
        (Bye, _) => "`SIP BYE[; Reason: …]`".to_owned(),
        (Words(words), Codes::NONE) | (Only(words), _) => format!("`{words}`"),
        (Words(words), _) => format!("`{words}; SIP <code> <phrase>`"),
        (Nothing, _) => "–".to_owned(),
    };
    [
        when.to_owned(),
        row.codes.to_string(),
        row.outcome.what().to_owned(),
        event,
        opening,
        row.wire.to_owned(),
        row.reason.to_owned(),
        row.source.to_owned(),
    ]
}

/// Builds a row of [`Circumstance::Inviting`].
const fn answer(
    codes: Codes,
    outcome: Outcome,
    wire: &'static str,
    (reason, source): (&'static str, &'static str),
) -> Row {
    let opening = match outcome {
        Progress | Accepted => Nothing,
        Declined | Ended | Cancelled | Redirect | Authenticate | RetryOnce(_) => Opening::Response,
    };
    let circumstance = Circumstance::Inviting;
    Row { circumstance, codes, outcome, opening, wire, reason, source }
}

/// Builds a row of [`Circumstance::InvitingAfterCancel`].
const fn after_cancel(
    codes: Codes,
    outcome: Outcome,
    wire: &'static str,
    why: (&'static str, &'static str),
) -> Row {
    let row = answer(codes, outcome, wire, why);
    Row { circumstance: Circumstance::InvitingAfterCancel, ..row }
}

/// Builds a row of [`Circumstance::During`].
const fn news(
    news: LegNews,
    outcome: Outcome,
    wire: &'static str,
    why: (&'static str, &'static str),
) -> Row {
    let circumstance = Circumstance::During(news);
    Row { circumstance, ..answer(Codes::NONE, outcome, wire, why) }
}

/// Builds a row of [`Circumstance::Ends`].
const fn end(
    end: LegEnd,
    outcome: Outcome,
    opening: Opening,
    wire: &'static str,
    why: (&'static str, &'static str),
) -> Row {
    let circumstance = Circumstance::Ends(end);
    Row { circumstance, opening, ..answer(Codes::NONE, outcome, wire, why) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::EventType;

    /// What every code means before the user has cancelled, written down a second time.
    fn expected(code: u16) -> Outcome {
        match code {
            100..=199 => Progress,
            200..=299 => Accepted,
            300..=399 => Redirect,
            401 | 407 => Authenticate,
            420 => RetryOnce(Retry::WithoutOption),
            421 => RetryOnce(Retry::WithOption),
            422 => RetryOnce(Retry::LongerTimer),
            423 => RetryOnce(Retry::LongerExpiry),
            491 => RetryOnce(Retry::Later),
            494 => RetryOnce(Retry::WithSecurity),
            480 | 486 => Declined,
            604 | 606 => Ended,
            600..=699 => Declined,
            _ => Ended,
        }
    }

    #[test]
    fn every_code_has_its_meaning_before_a_cancel() {
        for code in 100..=699 {
            let row = final_response(code, false);
            assert_eq!(row.circumstance, Circumstance::Inviting, "{code}");
            assert_eq!(row.outcome, expected(code), "{code}");
            let told = row.outcome.event_when_spent();
            assert_eq!(told.is_none(), code < 200, "{code}");
            assert_eq!(told.is_some_and(EventType::is_terminal), code >= 300, "{code}");
        }
    }

    #[test]
    fn every_final_code_after_a_cancel_is_the_cancelled_session() {
        for code in 100..=699 {
            let row = final_response(code, true);
            assert_eq!(row.circumstance, Circumstance::InvitingAfterCancel, "{code}");
            let event = (code >= 200).then_some(EventType::SessionCancelled);
            assert_eq!(row.outcome.event(), event, "{code}");
        }
        assert_eq!(final_response(200, true).wire, "ACK, BYE");
        assert_eq!(final_response(0, false).outcome, Progress);
        assert_eq!(final_response(u16::MAX, false).outcome, Declined);
    }

    #[test]
    fn no_code_is_named_twice_and_no_row_is_out_of_reach() {
        for row in ROWS {
            let reached = match row.circumstance {
                Circumstance::Inviting | Circumstance::InvitingAfterCancel => {
                    let cancelled = row.circumstance == Circumstance::InvitingAfterCancel;
                    if let Each(codes) = row.codes {
                        let ours = codes.iter().all(|c| final_response(*c, cancelled) == row);
                        assert!(ours, "{row:?}");
                    }
                    (100..=699).any(|code| final_response(code, cancelled) == row)
                }
                Circumstance::During(news) => during(news) == row,
                Circumstance::Ends(end) => on(end) == row,
            };
            assert!(reached, "{row:?}");
            assert!(!row.reason.is_empty() && !row.source.is_empty(), "{row:?}");
        }
    }

    #[test]
    fn what_ends_a_session_tells_one_terminal_event_and_news_tell_none() {
        for end in LegEnd::ALL {
            let row = on(end);
            assert!(row.outcome.event().is_some_and(EventType::is_terminal), "{row:?}");
            assert!(!row.describe_end(&[]).is_empty());
        }
        for news in LegNews::ALL {
            assert_eq!(during(news).outcome.event(), None);
        }
        let cancelled = Some(EventType::SessionCancelled);
        assert_eq!(on(LegEnd::CancelledByPeer).outcome.event(), cancelled);
    }

    #[test]
    fn the_description_begins_with_the_grammar() {
        let told = |code, phrase| {
            let response = Response { code, phrase, ..Response::default() };
            final_response(code, false).describe_response(&response)
        };
        assert_eq!(told(486, "Busy Here"), "SIP 486 Busy Here");
        assert_eq!(told(408, "Request Timeout"), "timeout invitation; SIP 408 Request Timeout");
        assert_eq!(on(LegEnd::InvitationTimeout).describe_end(&[]), "timeout invitation");
        let gone = [Reason { protocol: "SIP", cause: Some(410), text: Some("Gone") }];
        assert_eq!(
            on(LegEnd::LeftByPeer).describe_end(&gone),
            r#"SIP BYE; Reason: SIP;cause=410;text="Gone""#
        );
        assert_eq!(on(LegEnd::NoAck).describe_end(&gone), "timeout ACK");
    }

    #[test]
    fn a_cancel_may_say_that_another_device_answered() {
        let reason = |cause| Reason { protocol: "sip", cause: Some(cause), text: None };
        assert_eq!(LegEnd::of_cancel(&[]), LegEnd::CancelledByPeer);
        assert_eq!(LegEnd::of_cancel(&[reason(487)]), LegEnd::CancelledByPeer);
        assert_eq!(LegEnd::of_cancel(&[reason(600), reason(200)]), LegEnd::AnsweredElsewhere);
        let other = Reason { protocol: "Q.850", cause: Some(200), text: None };
        assert_eq!(LegEnd::of_cancel(&[other]), LegEnd::CancelledByPeer);
        let texts = [
            ("Call completed elsewhere", LegEnd::AnsweredElsewhere),
            ("Call completed", LegEnd::CancelledByPeer),
        ];
        for (text, end) in texts {
            assert_eq!(LegEnd::of_cancel(&[Reason { text: Some(text), ..reason(200) }]), end);
        }
    }

    #[test]
    fn the_printed_table_has_a_line_for_every_row() {
        let mut out = String::new();
        assert_eq!(print(&mut out), Ok(()));
        assert_eq!(out.lines().count(), ROWS.len() + 2);
        let width = out.lines().next().map(|line| line.chars().count());
        assert!(out.lines().all(|line| Some(line.chars().count()) == width));
        assert!(out.contains("| 480 "));
    }
}
