//! What the texts of one sender to one recipient have in common, written once.

use bytes::Bytes;

use super::super::{imdn, mime};
use super::value::{is_word, mailbox};
use super::{DISPOSITION, MESSAGE_ID, TEXT};

/// The fields with which every text from one to another begins: From, To, and the namespace of the
/// reports that it may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letterhead(Box<[u8]>);

/// What is different in each text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Letter<'a> {
    /// When the sender has sent it (RFC 3339).
    pub date_time: &'a str,
    /// Its `imdn.Message-ID`.
    pub message_id: &'a str,
    /// Whether a report on its delivery is asked for.
    pub positive_delivery: bool,
    /// Whether a report on its display is asked for.
    pub display: bool,
    /// The text itself.
    pub text: &'a str,
}

impl Letterhead {
    /// Writes what every text from `from` to `to` begins with.
    #[must_use]
    pub fn new(from: &str, to: &str) -> Self {
        let mut out = Vec::new();
        mime::write_field(&mut out, "From", &mailbox(from));
        mime::write_field(&mut out, "To", &mailbox(to));
        mime::write_field(&mut out, "NS", &format!("imdn <{}>", imdn::HEADER_NAMESPACE));
        Self(out.into())
    }

    /// Writes a text: the same bytes as [`Cpim::text`](super::Cpim::text) with
    /// [`Cpim::with_imdn`](super::Cpim::with_imdn).
    #[must_use]
    pub fn write(&self, letter: &Letter<'_>) -> Bytes {
        let Letter { date_time, message_id, positive_delivery, display, text } = *letter;
        let length = self.0.len() + date_time.len() + message_id.len() + text.len();
        let mut out = Vec::with_capacity(length + ROOM_FOR_NAMES);
        out.extend_from_slice(&self.0);
        mime::write_field(&mut out, "DateTime", date_time);
        for part in ["imdn.", MESSAGE_ID, ": "] {
            out.extend_from_slice(part.as_bytes());
        }
        if message_id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            out.extend_from_slice(message_id.as_bytes());
        } else {
            let token: String = message_id.chars().filter(|c| is_word(*c)).collect();
            out.extend_from_slice(mime::one_line(&token).as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        let wanted = match (positive_delivery, display) {
            (true, true) => Some("positive-delivery, display"),
            (true, false) => Some("positive-delivery"),
            (false, true) => Some("display"),
            (false, false) => None,
        };
        for part in wanted.iter().flat_map(|wanted| ["imdn.", DISPOSITION, ": ", wanted, "\r\n"]) {
            out.extend_from_slice(part.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        mime::write_fields(&mut out, TEXT, &[], text.len());
        out.extend_from_slice(text.as_bytes());
        out.into()
    }
}

/// What the names of the fields take, the content's with them.
const ROOM_FOR_NAMES: usize = 192;

#[cfg(test)]
mod tests {
    use super::super::Cpim;
    use super::*;

    #[test]
    fn a_letter_is_written_as_any_message_is() {
        let date_time = "2016-03-24T07:51:42Z";
        let parties = [
            ("<tel:+19585550100>", "<sip:bob@example.com;user=phone>"),
            ("Alice <im:alice@example.com>", "sip:anonymous@anonymous.invalid"),
            ("\"A \\\"B\\\"\" <im:a\r\nb@example.com>", "\u{4f60} <sip:x@example.com>"),
        ];
        for (from, to) in parties {
            let letterhead = Letterhead::new(from, to);
            for message_id in ["aB3", "", "a b\r\nc", "a-b.c", "\u{4f60}", "<x@y>"] {
                for asked in 0..4 {
                    let (positive_delivery, display) = (asked & 1 > 0, asked & 2 > 0);
                    for text in ["", "How are you?", "\u{4f60}\r\n\r\nFrom: x"] {
                        let letter =
                            Letter { date_time, message_id, positive_delivery, display, text };
                        let cpim = Cpim::text(from, to, Some(date_time.to_owned()), text);
                        let cpim = cpim.with_imdn(message_id, positive_delivery, display);
                        assert_eq!(letterhead.write(&letter), cpim.write(), "{letter:?}");
                    }
                }
            }
        }
    }
}
