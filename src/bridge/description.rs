//! The grammar of `eventDescription`: a fixed opening that programs can match, then free text.
//!
//! ```text
//! SIP <code> <reason phrase>                      [; Warning: <text>] [; Retry-After: <seconds>]
//! SIP BYE                                         [; Reason: <protocol>;cause=<n>;text="<text>", …]
//! MSRP <code> [<comment>]
//! IMDN <kind> <status>
//! timeout <name>                                  [; SIP <code> <reason phrase> …]
//! ```
//! What a peer wrote is cut to [`MAX_TEXT`] characters and cannot break out of its place.

use std::fmt::Write;

use crate::sip;

/// How many characters of a text that a peer chose are handed on.
pub const MAX_TEXT: usize = 200;

/// How many Reason values of one BYE are handed on.
const MAX_REASONS: usize = 4;

/// What a final SIP response says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Response<'a> {
    /// The status code.
    pub code: u16,
    /// The reason phrase, as received.
    pub phrase: &'a str,
    /// The value of its `Warning` header (RFC 3261 section 20.43).
    pub warning: Option<&'a str>,
    /// The value of its `Retry-After` header (RFC 3261 section 20.33).
    pub retry_after: Option<&'a str>,
}

/// One value of a `Reason` header (RFC 3326).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason<'a> {
    /// The protocol, such as `SIP` or `Q.850`.
    pub protocol: &'a str,
    /// The code in that protocol.
    pub cause: Option<u16>,
    /// The text, without its quotes.
    pub text: Option<&'a str>,
}

/// Hands the reasons of a request over to the tables.
#[must_use]
pub fn described(reasons: &[sip::Reason]) -> Vec<Reason<'_>> {
    let described = reasons.iter().map(|reason| Reason {
        protocol: &reason.protocol,
        cause: reason.cause,
        text: reason.text.as_deref(),
    });
    described.collect()
}

/// Describes a response: `SIP 486 Busy Here`.
#[must_use]
pub fn response(response: &Response<'_>) -> String {
    let mut text = format!("SIP {}", response.code);
    push_words(&mut text, " ", response.phrase);
    if let Some(warning) = response.warning {
        push_words(&mut text, "; Warning: ", warning_text(warning));
    }
    if let Some(retry_after) = response.retry_after {
        let seconds = retry_after.trim_start().split(|c: char| !c.is_ascii_digit()).next();
        push_words(&mut text, "; Retry-After: ", seconds.unwrap_or_default());
    }
    text
}

/// Describes a BYE: `SIP BYE`, or `SIP BYE; Reason: SIP;cause=410;text="Gone"`.
#[must_use]
pub fn bye(reasons: &[Reason<'_>]) -> String {
    let mut text = "SIP BYE".to_owned();
    for (index, reason) in reasons.iter().take(MAX_REASONS).enumerate() {
        text.push_str(if index == 0 { "; Reason: " } else { ", " });
        push_reason(&mut text, reason);
    }
    text
}

/// Describes an MSRP response or the status of a REPORT: `MSRP 413 Message too large`.
#[must_use]
pub fn msrp(code: u16, comment: Option<&str>) -> String {
    let mut text = format!("MSRP {code:03}");
    push_words(&mut text, " ", comment.unwrap_or_default());
    text
}

/// Describes a disposition notification (RFC 5438): `IMDN delivery failed`.
#[must_use]
pub fn imdn(kind: &str, status: &str) -> String {
    format!("IMDN {kind} {status}")
}

/// Describes a wait that was in vain: `timeout invitation`.
#[must_use]
pub fn timeout(name: &str) -> String {
    format!("timeout {name}")
}

fn push_reason(text: &mut String, reason: &Reason<'_>) {
    push_words(text, "", reason.protocol);
    if let Some(cause) = reason.cause {
        // Writing to a `String` cannot fail.
        let _ = write!(text, ";cause={cause}");
    }
    if let Some(words) = reason.text {
        text.push_str(";text=\"");
        for c in clean(words).chars() {
            if matches!(c, '"' | '\\') {
                text.push('\\');
            }
            text.push(c);
        }
        text.push('"');
    }
}

fn push_words(text: &mut String, lead: &str, words: &str) {
    let words = clean(words);
    if !words.is_empty() {
        text.push_str(lead);
        text.push_str(&words);
    }
}

/// Takes the quoted text of a warning: `399 host "127 Service not authorised"` (RFC 3261 20.43).
fn warning_text(warning: &str) -> &str {
    let quoted = warning.split_once('"').and_then(|(_, rest)| rest.split_once('"'));
    quoted.map_or(warning, |(text, _)| text)
}

/// Makes controls to spaces, and cuts.
fn clean(text: &str) -> String {
    let visible = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    visible.take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUSY: Response<'_> =
        Response { code: 486, phrase: "Busy Here", warning: None, retry_after: None };

    #[test]
    fn a_response_is_told_with_its_warning_and_its_retry_after() {
        assert_eq!(response(&BUSY), "SIP 486 Busy Here");
        assert_eq!(response(&Response { phrase: "", ..BUSY }), "SIP 486");
        let warned = Response {
            code: 503,
            phrase: "Service Unavailable",
            warning: Some(r#"399 host.example "127 Service not authorised""#),
            retry_after: Some("120 (soon);duration=60"),
        };
        assert_eq!(
            response(&warned),
            "SIP 503 Service Unavailable; Warning: 127 Service not authorised; Retry-After: 120"
        );
        assert_eq!(
            response(&Response { warning: Some("399"), retry_after: Some("later"), ..BUSY }),
            "SIP 486 Busy Here; Warning: 399"
        );
    }

    #[test]
    fn a_bye_is_told_with_its_reasons() {
        let gone = Reason { protocol: "SIP", cause: Some(410), text: Some("Gone") };
        let quoted = Reason { protocol: "Q.850", cause: None, text: Some(r#"a "b""#) };
        assert_eq!(bye(&[]), "SIP BYE");
        assert_eq!(bye(&[gone]), r#"SIP BYE; Reason: SIP;cause=410;text="Gone""#);
        assert_eq!(
            bye(&[gone, quoted]),
            r#"SIP BYE; Reason: SIP;cause=410;text="Gone", Q.850;text="a \"b\"""#
        );
        assert_eq!(bye(&[gone; 50]).matches("cause").count(), MAX_REASONS);
    }

    #[test]
    fn messages_and_waits_are_told_in_their_words() {
        assert_eq!(msrp(413, Some("Stop")), "MSRP 413 Stop");
        assert_eq!(msrp(408, None), "MSRP 408");
        assert_eq!(imdn("delivery", "failed"), "IMDN delivery failed");
        assert_eq!(timeout("invitation"), "timeout invitation");
    }

    #[test]
    fn what_a_peer_wrote_stays_in_its_place() {
        let phrase = format!("Busy\r\n\u{7}{}", "x".repeat(1000));
        let told = response(&Response { phrase: &phrase, ..BUSY });
        assert!(told.starts_with("SIP 486 Busy   x"));
        assert!(told.chars().count() <= "SIP 486 ".len() + MAX_TEXT);
    }
}
