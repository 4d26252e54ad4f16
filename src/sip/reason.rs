//! The Reason header: why a dialog or a request came to its end (RFC 3326).

use std::fmt;

use super::grammar::{is_token, split_outside};

/// One value of a Reason header, as in `SIP;cause=200;text="Call completed elsewhere"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The protocol whose causes are meant: `SIP`, `Q.850`, or another token.
    pub protocol: String,
    /// The number of the cause in that protocol.
    pub cause: Option<u16>,
    /// A text for people, without its quotes and escapes.
    pub text: Option<String>,
}

impl Reason {
    /// Builds a reason whose cause is a SIP status.
    #[must_use]
    pub fn sip(cause: u16, text: &str) -> Self {
        Self { protocol: "SIP".to_owned(), cause: Some(cause), text: Some(text.to_owned()) }
    }

    /// Reads the comma-separated values of one header line. A value without a protocol is left
    /// out, a parameter that makes no sense is passed over: a Reason only ever informs.
    #[must_use]
    pub fn parse(line: &str) -> Vec<Self> {
        split_outside(line, b',').filter_map(Self::parse_value).collect()
    }

    fn parse_value(value: &str) -> Option<Self> {
        let mut parts = split_outside(value, b';');
        let protocol = parts.next().filter(|protocol| is_token(protocol))?;
        let mut reason = Self { protocol: protocol.to_owned(), cause: None, text: None };
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (name.trim(), value.trim());
            if name.eq_ignore_ascii_case("cause") {
                reason.cause = reason.cause.or(value.parse().ok());
            } else if name.eq_ignore_ascii_case("text") {
                reason.text = reason.text.or_else(|| Some(unquote(value)));
            }
        }
        Some(reason)
    }

    /// Tells whether the cause is `cause` of SIP.
    #[must_use]
    pub fn is_sip(&self, cause: u16) -> bool {
        self.protocol.eq_ignore_ascii_case("SIP") && self.cause == Some(cause)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.protocol)?;
        if let Some(cause) = self.cause {
            write!(f, ";cause={cause}")?;
        }
        if let Some(text) = &self.text {
            write!(f, ";text=\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))?;
        }
        Ok(())
    }
}

/// Takes the quotes and escapes off; text that came without quotes is taken as it stands.
fn unquote(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"') else { return text.to_owned() };
    let mut plain = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => plain.extend(characters.next()),
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_values_in_one_header_are_told_apart() {
        let line = "SIP;cause=600;text=\"Busy, everywhere; really\" , Q.850;cause=16;text=\"Terminated\", \
             RELEASE_CAUSE ; cause = 1 ; text=\"User \\\"ends\\\" call\"";
        let reasons = Reason::parse(line);
        assert_eq!(
            reasons,
            [
                Reason::sip(600, "Busy, everywhere; really"),
                Reason {
                    protocol: "Q.850".into(),
                    cause: Some(16),
                    text: Some("Terminated".into())
                },
                Reason {
                    protocol: "RELEASE_CAUSE".into(),
                    cause: Some(1),
                    text: Some("User \"ends\" call".into())
                },
            ]
        );
        assert!(reasons[0].is_sip(600));
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["", "Call completed", "a \"b\" \\ c, d; e=f", "tschüß\u{1F44B}"] {
            let reason = Reason::sip(200, text);
            assert_eq!(Reason::parse(&reason.to_string()), [reason]);
        }
        let bare = Reason { protocol: "SIP".into(), cause: None, text: None };
        assert_eq!(bare.to_string(), "SIP");
    }

    #[test]
    fn nonsense_is_passed_over() {
        assert_eq!(Reason::parse(""), []);
        assert_eq!(Reason::parse(",;cause=1,  ,\"x\""), []);
        let odd = Reason::parse("SIP;cause=99999;cause=480;text;text=late;x=\"open, to the end");
        assert_eq!(
            odd,
            [Reason { protocol: "SIP".into(), cause: Some(480), text: Some(String::new()) }]
        );
        assert_eq!(Reason::parse("SIP;text=\"open\\")[0].text.as_deref(), Some("open"));
    }
}
