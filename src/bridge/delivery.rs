//! The second table: what MSRP responses, REPORTs, disposition notifications and SIP MESSAGE
//! responses mean to the sender of a message.
//!
//! A `MessageDeliveryStatusNotification` carries the status (TS Chat 5.2.2.9); the chat event
//! `MessageSuccess` goes with `Delivered`, `MessageFailure` with `Failed` (TS Chat 5.2.3.2).
//! `chatbridge outcomes` prints the rows. That a status only moves forward, and that a duplicate is
//! dropped, is the business of [`crate::chat::MessageBook`].

use std::fmt;

use super::description::{self, Response};
use super::sip_outcomes::Codes::{self, Class, Each, Other};
use super::table;
use crate::chat::{DeliveryReport, EventType, MessageStatus};
use Fate::{Delivered, Displayed, Failed, Open};

/// One row of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// Which kind of news the row is about.
    pub about: About,
    /// Which codes; [`Codes::NONE`] where the news carries none.
    pub codes: Codes,
    /// What becomes of the message.
    pub fate: Fate,
    /// What the bridge does besides.
    pub then: Then,
    /// Why it is so.
    pub reason: &'static str,
    /// Where that stands.
    pub source: &'static str,
}

/// The table of TS Chat, RFC 4975, RFC 5438 and RFC 3428.
#[rustfmt::skip]
pub static ROWS: &[Row] = &[
    row(About::MsrpResponse, Each(&[200]), Open,
        ("the next hop has it, which says nothing of the recipient", "RFC 4975 7.1.1")),
    row(About::MsrpResponse, Each(&[400, 403, 423, 501]), Failed,
        ("the next hop refuses the message", "RFC 4975 10")),
    row(About::MsrpResponse, Each(&[408]), Failed,
        ("a hop behind the next one did not answer", "RFC 4975 10.4")),
    row(About::MsrpResponse, Each(&[413]), Failed,
        ("the recipient wants no more of this message", "RFC 4975 10.5")).then(Then::StopMessage),
    row(About::MsrpResponse, Each(&[415]), Failed,
        ("the recipient does not take this type", "RFC 4975 10.6")).then(Then::AvoidType),
    row(About::MsrpResponse, Each(&[481]), Failed,
        ("the session is unknown at the other end", "RFC 4975 10.8")).then(Then::CloseLeg),
    row(About::MsrpResponse, Each(&[506]), Failed,
        ("the session is bound to another connection", "RFC 4975 10.10")).then(Then::CloseLeg),
    row(About::MsrpResponse, Class(2), Open,
        ("an unknown success is still no more than the next hop's", "RFC 4975 10")),
    row(About::MsrpResponse, Other, Failed,
        ("an unknown code that is no success is a failure", "RFC 4975 10")),
    row(About::MsrpSilence, Codes::NONE, Failed,
        ("30 s without a response count as a 408", "RFC 4975 7.1.1, 10.4")),
    row(About::NoReportAsked, Codes::NONE, Open,
        ("Failure-Report: no or partial: silence is no news, disposition notifications are", "RFC 4975 7.1.1")),

    row(About::MsrpReport, Each(&[200]), Delivered,
        ("the recipient's endpoint has the whole message", "TS Chat 5.2.3.3; RFC 4975 7.1.3")),
    row(About::MsrpReport, Each(&[413]), Failed,
        ("the recipient wants no more of this message", "RFC 4975 10.5")).then(Then::StopMessage),
    row(About::MsrpReport, Each(&[415]), Failed,
        ("the recipient does not take this type", "RFC 4975 10.6")).then(Then::AvoidType),
    row(About::MsrpReport, Each(&[481, 506]), Failed,
        ("the session is broken on the way", "RFC 4975 7.1.4")).then(Then::CloseLeg),
    row(About::MsrpReport, Class(2), Delivered,
        ("a success by its class", "RFC 4975 10")),
    row(About::MsrpReport, Other, Failed,
        ("any other status is a failure on the way", "TS Chat 5.2.3.3; RFC 4975 7.1.4")),

    imdn(ImdnNews::Delivered, Delivered,
        ("the recipient's client has the message", "TS Chat 5.2.3.3; RFC 5438 5.1")),
    imdn(ImdnNews::Failed, Failed,
        ("the message did not reach the recipient", "RFC 5438 5.1")),
    imdn(ImdnNews::Forbidden, Failed,
        ("nobody may say that the message arrived: the sender must not count on it", "RFC 5438 5.1")),
    imdn(ImdnNews::Error, Failed,
        ("the fate of the message cannot be told", "RFC 5438 5.1")),
    imdn(ImdnNews::Displayed, Displayed,
        ("the recipient's client shows the message, so it was delivered, too", "TS Chat 5.2.3.3; RFC 5438 5.3")),
    imdn(ImdnNews::DisplayForbidden, Open,
        ("the recipient keeps the reading private; of delivery it says nothing", "RFC 5438 5.3")),
    imdn(ImdnNews::DisplayError, Open,
        ("the reading cannot be told; of delivery it says nothing", "RFC 5438 5.3")),
    imdn(ImdnNews::Processed, Open,
        ("an intermediary has done its part: pending", "RFC 5438 5.2")),
    imdn(ImdnNews::Stored, Open,
        ("kept for later delivery: pending", "RFC 5438 5.2")),
    imdn(ImdnNews::ProcessingForbidden, Open,
        ("an intermediary keeps its part private: pending", "RFC 5438 5.2")),
    imdn(ImdnNews::ProcessingError, Open,
        ("an intermediary cannot tell: pending", "RFC 5438 5.2")),

    row(About::PagerResponse, Class(1), Open,
        ("provisional", "RFC 3261 21.1")),
    row(About::PagerResponse, Each(&[202]), Open,
        ("taken for later delivery: pending", "RFC 3428 4")),
    row(About::PagerResponse, Class(2), Delivered,
        ("the recipient's user agent has the message", "RFC 3428 4")),
    row(About::PagerResponse, Other, Failed,
        ("the message was not taken", "RFC 3428 7")),
    row(About::PagerSilence, Codes::NONE, Failed,
        ("Timer F: no answer counts as a 408", "RFC 3261 17.1.2.2, 8.1.3.1")),
    row(About::Duplicate, Codes::NONE, Open,
        ("told before, overtaken, or about a message unknown here", "TS Chat 5.2.3.3")),
];

/// News of a message that our user sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News<'a> {
    /// A response to the last SEND of the message, or the first that is no success.
    MsrpResponse {
        /// The status code.
        code: u16,
        /// The comment behind it.
        comment: Option<&'a str>,
    },
    /// No response within the 30 s of RFC 4975 section 7.1.1.
    MsrpSilence,
    /// The message went out with `Failure-Report: no` or `partial`; there is nothing to wait for.
    NoReportAsked,
    /// A REPORT request.
    MsrpReport {
        /// The code of its `Status` header.
        code: u16,
        /// The comment behind it.
        comment: Option<&'a str>,
    },
    /// A disposition notification.
    Imdn(ImdnNews),
    /// A response to the MESSAGE request that carried the message.
    PagerResponse(Response<'a>),
    /// No final response to that MESSAGE: Timer F.
    PagerSilence,
    /// A disposition notification told before, or of a message that is unknown.
    Duplicate,
}

/// What a disposition notification says (RFC 5438 section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImdnNews {
    /// Delivery: delivered.
    Delivered,
    /// Delivery: failed.
    Failed,
    /// Delivery: forbidden.
    Forbidden,
    /// Delivery: error.
    Error,
    /// Display: displayed.
    Displayed,
    /// Display: forbidden.
    DisplayForbidden,
    /// Display: error.
    DisplayError,
    /// Processing: processed.
    Processed,
    /// Processing: stored.
    Stored,
    /// Processing: forbidden.
    ProcessingForbidden,
    /// Processing: error.
    ProcessingError,
}

impl ImdnNews {
    /// Everything that a notification can say.
    pub const ALL: [Self; 11] = [
        Self::Delivered,
        Self::Failed,
        Self::Forbidden,
        Self::Error,
        Self::Displayed,
        Self::DisplayForbidden,
        Self::DisplayError,
        Self::Processed,
        Self::Stored,
        Self::ProcessingForbidden,
        Self::ProcessingError,
    ];

    /// Gives the type of the notification and its status, as they stand in its document.
    #[must_use]
    pub const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Delivered => ("delivery", "delivered"),
            Self::Failed => ("delivery", "failed"),
            Self::Forbidden => ("delivery", "forbidden"),
            Self::Error => ("delivery", "error"),
            Self::Displayed => ("display", "displayed"),
            Self::DisplayForbidden => ("display", "forbidden"),
            Self::DisplayError => ("display", "error"),
            Self::Processed => ("processing", "processed"),
            Self::Stored => ("processing", "stored"),
            Self::ProcessingForbidden => ("processing", "forbidden"),
            Self::ProcessingError => ("processing", "error"),
        }
    }
}

/// The kind of news that a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum About {
    /// [`News::MsrpResponse`].
    MsrpResponse,
    /// [`News::MsrpSilence`].
    MsrpSilence,
    /// [`News::NoReportAsked`].
    NoReportAsked,
    /// [`News::MsrpReport`].
    MsrpReport,
    /// [`News::Imdn`].
    Imdn(ImdnNews),
    /// [`News::PagerResponse`].
    PagerResponse,
    /// [`News::PagerSilence`].
    PagerSilence,
    /// [`News::Duplicate`].
    Duplicate,
}

/// What becomes of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Nothing is known yet: no notification.
    Open,
    /// It reached the recipient.
    Delivered,
    /// It was shown to the recipient.
    Displayed,
    /// It will not reach the recipient.
    Failed,
}

/// What the bridge does besides telling the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Nothing.
    Nothing,
    /// Send no further chunk of the message, not even one that aborts it (RFC 4975 section 10.5).
    StopMessage,
    /// Send no message of this type in the session again.
    AvoidType,
    /// Close the MSRP session and end the chat.
    CloseLeg,
}

/// What counts as the success of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SuccessOn {
    /// A REPORT or a disposition notification of the recipient.
    #[default]
    Report,
    /// The response of the next hop, for peers that never report.
    Hop,
}

impl Row {
    /// Gives the chat event that accompanies the news.
    #[must_use]
    pub fn event(&self) -> Option<EventType> {
        match self.fate {
            Delivered => event_with(MessageStatus::Delivered),
            Displayed => event_with(MessageStatus::Displayed),
            Failed => event_with(MessageStatus::Failed),
            Open => None,
        }
    }

    /// Tells whether the MSRP session is of no use any more.
    #[must_use]
    pub fn closes_leg(&self) -> bool {
        self.then == Then::CloseLeg
    }

    const fn then(self, then: Then) -> Self {
        Self { then, ..self }
    }
}

/// Finds the row of some news.
#[must_use]
pub fn row_of(news: &News<'_>) -> &'static Row {
    let (about, code) = about(news);
    let of = || ROWS.iter().filter(move |row| row.about == about);
    let row = match code {
        None => of().next(),
        Some(code) => of()
            .find(|row| row.codes.names(code))
            .or_else(|| of().find(|row| row.codes.covers(code))),
    };
    row.expect("the rows cover all news and every code")
}

/// Gives what the sender of the message is to be told; nothing where its fate is open.
#[must_use]
pub fn report(news: &News<'_>, success_on: SuccessOn) -> Option<DeliveryReport> {
    match row_of(news).fate {
        Open => hop_success(news, success_on).then_some(DeliveryReport::Delivered),
        Delivered => Some(DeliveryReport::Delivered),
        Displayed => Some(DeliveryReport::Displayed),
        Failed => {
            let (code, description) = failure(news);
            Some(DeliveryReport::Failed { code, description: Some(description) })
        }
    }
}

/// Gives the chat event that accompanies a delivery status (TS Chat 5.2.3.2).
#[must_use]
pub fn event_with(status: MessageStatus) -> Option<EventType> {
    match status {
        MessageStatus::Delivered => Some(EventType::MessageSuccess),
        MessageStatus::Displayed => None,
        MessageStatus::Failed => Some(EventType::MessageFailure),
    }
}

/// Prints the table for `chatbridge outcomes`.
///
/// # Errors
/// Only those of `out`.
pub fn print(out: &mut dyn fmt::Write) -> fmt::Result {
    let heads = ["News", "Codes", "Status", "errorCode", "eventType", "Then", "Why", "Source"];
    let rows: Vec<_> = ROWS.iter().map(cells).collect();
    table::print(out, heads, &rows)
}

fn about(news: &News<'_>) -> (About, Option<u16>) {
    match news {
        News::MsrpResponse { code, .. } => (About::MsrpResponse, Some(*code)),
        News::MsrpSilence => (About::MsrpSilence, None),
        News::NoReportAsked => (About::NoReportAsked, None),
        News::MsrpReport { code, .. } => (About::MsrpReport, Some(*code)),
        News::Imdn(news) => (About::Imdn(*news), None),
        News::PagerResponse(response) => (About::PagerResponse, Some(response.code)),
        News::PagerSilence => (About::PagerSilence, None),
        News::Duplicate => (About::Duplicate, None),
    }
}

fn hop_success(news: &News<'_>, success_on: SuccessOn) -> bool {
    match (success_on, news) {
        (SuccessOn::Hop, News::MsrpResponse { code, .. }) => code / 100 == 2,
        (SuccessOn::Hop | SuccessOn::Report, _) => false,
    }
}

/// Gives `errorCode` and `description` of a failure.
fn failure(news: &News<'_>) -> (String, String) {
    match news {
        News::MsrpResponse { code, comment } | News::MsrpReport { code, comment } => {
            (format!("{code:03}"), description::msrp(*code, *comment))
        }
        News::Imdn(news) => {
            let (kind, status) = news.words();
            (format!("IMDN-{status}"), description::imdn(kind, status))
        }
        News::PagerResponse(response) => {
            (format!("SIP-{}", response.code), description::response(response))
        }
        News::PagerSilence => ("SIP-408".to_owned(), description::timeout("message")),
        News::MsrpSilence | News::NoReportAsked | News::Duplicate => {
            ("408".to_owned(), description::timeout("message"))
        }
    }
}

fn cells(row: &Row) -> [String; 8] {
    let (news, error_code) = match row.about {
        About::MsrpResponse => ("response to SEND".to_owned(), "`<code>`".to_owned()),
        About::MsrpSilence => ("no response to SEND in 30 s".to_owned(), "`408`".to_owned()),
        About::NoReportAsked => ("SEND, Failure-Report: no".to_owned(), String::new()),
        About::MsrpReport => ("REPORT".to_owned(), "`<code>`".to_owned()),
        About::Imdn(news) => {
            let (kind, status) = news.words();
            (format!("IMDN {kind} {status}"), format!("`IMDN-{status}`"))
        }
        About::PagerResponse => ("response to MESSAGE".to_owned(), "`SIP-<code>`".to_owned()),
        About::PagerSilence => ("no response to MESSAGE".to_owned(), "`SIP-408`".to_owned()),
        About::Duplicate => ("duplicate or unknown message".to_owned(), String::new()),
    };
    let (status, error_code) = match row.fate {
        Open => ("–", "–".to_owned()),
        Delivered => ("Delivered", "–".to_owned()),
        Displayed => ("Displayed", "–".to_owned()),
        Failed => ("Failed", error_code),
    };
    let then = match row.then {
        Then::Nothing => "–",
        Then::StopMessage => "stop the message",
        Then::AvoidType => "avoid the type",
        Then::CloseLeg => "close the MSRP session",
    };
    [
        news,
        row.codes.to_string(),
        status.to_owned(),
        error_code,
        row.event().map_or("–", EventType::as_str).to_owned(),
        then.to_owned(),
        row.reason.to_owned(),
        row.source.to_owned(),
    ]
}

/// Builds a row; its last argument is why, and where that stands.
const fn row(
    about: About,
    codes: Codes,
    fate: Fate,
    (reason, source): (&'static str, &'static str),
) -> Row {
    Row { about, codes, fate, then: Then::Nothing, reason, source }
}

/// Builds a row about a disposition notification.
const fn imdn(news: ImdnNews, fate: Fate, why: (&'static str, &'static str)) -> Row {
    row(About::Imdn(news), Codes::NONE, fate, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(code: u16) -> News<'static> {
        News::MsrpResponse { code, comment: None }
    }

    fn pager(code: u16) -> News<'static> {
        News::PagerResponse(Response { code, phrase: "Some Phrase", ..Response::default() })
    }

    fn told(news: News<'_>) -> Option<DeliveryReport> {
        report(&news, SuccessOn::Report)
    }

    fn failed(code: &str, description: &str) -> Option<DeliveryReport> {
        let (code, description) = (code.to_owned(), Some(description.to_owned()));
        Some(DeliveryReport::Failed { code, description })
    }

    #[test]
    fn the_response_of_the_next_hop_is_no_delivery() {
        assert_eq!(told(sent(200)), None);
        assert_eq!(report(&sent(200), SuccessOn::Hop), Some(DeliveryReport::Delivered));
        assert_eq!(report(&News::NoReportAsked, SuccessOn::Hop), None);
        assert_eq!(report(&News::Imdn(ImdnNews::Stored), SuccessOn::Hop), None);
    }

    #[test]
    fn failures_carry_their_code() {
        let cases = [
            (sent(408), failed("408", "MSRP 408")),
            (
                News::MsrpResponse { code: 413, comment: Some("Stop") },
                failed("413", "MSRP 413 Stop"),
            ),
            (News::MsrpReport { code: 403, comment: None }, failed("403", "MSRP 403")),
            (News::MsrpSilence, failed("408", "timeout message")),
            (News::Imdn(ImdnNews::Failed), failed("IMDN-failed", "IMDN delivery failed")),
            (News::Imdn(ImdnNews::Error), failed("IMDN-error", "IMDN delivery error")),
            (pager(486), failed("SIP-486", "SIP 486 Some Phrase")),
            (News::PagerSilence, failed("SIP-408", "timeout message")),
        ];
        for (news, expected) in cases {
            assert_eq!(told(news), expected, "{news:?}");
            assert_eq!(row_of(&news).event(), Some(EventType::MessageFailure));
        }
    }

    #[test]
    fn recipients_tell_of_delivery_and_display() {
        let report = News::MsrpReport { code: 200, comment: Some("OK") };
        for news in [report, News::Imdn(ImdnNews::Delivered), pager(200)] {
            assert_eq!(told(news), Some(DeliveryReport::Delivered));
            assert_eq!(row_of(&news).event(), Some(EventType::MessageSuccess));
        }
        let displayed = News::Imdn(ImdnNews::Displayed);
        assert_eq!(told(displayed), Some(DeliveryReport::Displayed));
        assert_eq!(row_of(&displayed).event(), None);
        for news in [News::Imdn(ImdnNews::Processed), News::Duplicate, pager(202)] {
            assert_eq!(told(news), None);
        }
    }

    #[test]
    fn a_refusal_may_cost_the_message_its_type_or_the_session() {
        assert_eq!(row_of(&sent(413)).then, Then::StopMessage);
        assert_eq!(row_of(&sent(415)).then, Then::AvoidType);
        let closing: Vec<u16> =
            (0..=999).filter(|code| row_of(&sent(*code)).closes_leg()).collect();
        assert_eq!(closing, [481, 506]);
    }

    #[test]
    fn every_code_has_one_meaning() {
        for code in 0..=999 {
            let open = code / 100 == 2;
            assert_eq!(told(sent(code)).is_none(), open, "{code}");
            let delivered = told(News::MsrpReport { code, comment: None });
            assert_eq!(delivered == Some(DeliveryReport::Delivered), open, "{code}");
        }
        for code in 200..=699 {
            let success = matches!(code, 200..=299);
            let fate = row_of(&pager(code)).fate;
            assert_eq!(fate == Failed, !success, "{code}");
        }
    }

    #[test]
    fn no_row_is_out_of_reach() {
        let codes = || 0..=999;
        let mut reached: Vec<&Row> = codes().map(|code| row_of(&sent(code))).collect();
        reached.extend(codes().map(|code| row_of(&News::MsrpReport { code, comment: None })));
        reached.extend(codes().map(|code| row_of(&pager(code))));
        reached.extend(ImdnNews::ALL.map(|news| row_of(&News::Imdn(news))));
        let single = [News::MsrpSilence, News::NoReportAsked, News::PagerSilence, News::Duplicate];
        reached.extend(single.map(|news| row_of(&news)));
        for row in ROWS {
            assert!(reached.contains(&row), "{row:?}");
        }
    }

    #[test]
    fn the_printed_table_has_a_line_for_every_row() {
        let mut out = String::new();
        assert_eq!(print(&mut out), Ok(()));
        assert_eq!(out.lines().count(), ROWS.len() + 2);
        assert!(out.contains("IMDN-failed"));
    }
}
