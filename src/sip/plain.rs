//! What nearly all addresses and `Via`s look like, passed over in one go.
//!
//! The decoder asks here first. A text that is plain is sound; of any other the full grammar in
//! `name_addr`, `uri` and `via` says what it is, and what is wrong with it.

use super::grammar::{ByteSet, PARAM_VALUE, PLAIN_DISPLAY, TOKEN};
use super::uri::{self, HOST_NAME, MAX_URI};

/// Whether a text is plainly an address: `"Name" <sip:user@host:port;name=value>;name=value` or a
/// part of it, with nothing escaped and no white space but around the name.
pub(super) fn is_address(text: &str) -> bool {
    let mut rest = Rest(text.as_bytes());
    text.len() <= MAX_URI
        && rest.display()
        && rest.takes(b"<sip:")
        && rest.address()
        && rest.params(&uri::PARAM_NAME, &uri::PARAM_VALUE)
        && rest.takes(b">")
        && rest.params(&TOKEN, &PARAM_VALUE)
        && rest.0.is_empty()
}

/// Whether a text is plainly a `Via`: `SIP/2.0/TOKEN host:port;name=value`, white space in one
/// place only.
pub(super) fn is_via(text: &str) -> bool {
    let mut rest = Rest(text.as_bytes());
    rest.takes(b"SIP/2.0/")
        && rest.passes(&TOKEN)
        && rest.takes(b" ")
        && rest.sent_by()
        && rest.params(&TOKEN, &PARAM_VALUE)
        && rest.0.is_empty()
}

/// What is still to be looked at.
#[derive(Clone, Copy)]
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    /// Takes these very bytes.
    #[inline(always)]
    fn takes(&mut self, front: &[u8]) -> bool {
        let behind = self.0.strip_prefix(front);
        self.0 = behind.unwrap_or(self.0);
        behind.is_some()
    }

    /// Takes all bytes of a set, and tells whether there were any.
    #[inline(always)]
    fn passes(&mut self, set: &ByteSet) -> bool {
        let length = set.first_outside(self.0).unwrap_or(self.0.len());
        self.0 = self.0.get(length..).unwrap_or_default();
        length > 0
    }

    /// A display name, between quotes or of tokens, if there is one.
    #[inline]
    fn display(&mut self) -> bool {
        if !self.takes(b"\"") {
            self.passes(&PLAIN_DISPLAY);
            return true;
        }
        self.passes(&QUOTED);
        let is_closed = self.takes(b"\"");
        self.takes(b" ");
        is_closed
    }

    /// A host, perhaps with a user before it.
    #[inline]
    fn address(&mut self) -> bool {
        let whole = *self;
        if !(self.passes(&uri::USER) && self.takes(b"@")) {
            *self = whole;
        }
        self.sent_by()
    }

    /// A host, and perhaps a port of so few digits that it is one.
    #[inline]
    fn sent_by(&mut self) -> bool {
        if !self.passes(&HOST_NAME) {
            return false;
        }
        if !self.takes(b":") {
            return true;
        }
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.0 = self.0.get(digits..).unwrap_or_default();
        (1..=4).contains(&digits)
    }

    /// Parameters, each with its semicolon, if there are any.
    #[inline]
    fn params(&mut self, name: &ByteSet, value: &ByteSet) -> bool {
        while self.takes(b";") {
            if !self.passes(name) || self.takes(b"=") && !self.passes(value) {
                return false;
            }
        }
        true
    }
}

/// What stands between quotes without meaning anything else.
static QUOTED: ByteSet = ByteSet::all_but(b"\"\\");

#[cfg(test)]
mod tests {
    use super::{is_address, is_via};
    use crate::sip::{NameAddr, Via};

    const ADDRESSES: [&str; 6] = [
        "\"Alice, A.\" <sip:+12025550100@ims.example.com;user=phone>;tag=9fxced76sl",
        "Bob B <sip:192.0.2.20:5060;lr;x=[::1]>;+sip.instance=a;q=0.5",
        "<sip:a?b;c@d>",
        "\"\"<sip:d:1>",
        "<sip:alice@192.0.2.4:5060>;expires=60",
        "<sip:a@b>",
    ];

    const VIAS: [&str; 3] = [
        "SIP/2.0/UDP 192.0.2.4:5060;branch=z9hG4bK74bf9;rport",
        "SIP/2.0/TLS-SCTP a_b.example;received=2001:db8::1",
        "SIP/2.0/x y",
    ];

    #[test]
    fn what_is_usual_is_plain() {
        assert!(ADDRESSES.into_iter().all(is_address));
        assert!(VIAS.into_iter().all(is_via));
    }

    #[test]
    fn what_is_plain_is_sound() {
        let mut plain = 0;
        for text in ADDRESSES.into_iter().flat_map(changed).filter(|text| is_address(text)) {
            assert!(NameAddr::parse(&text).is_ok(), "{text:?}");
            plain += 1;
        }
        for text in VIAS.into_iter().flat_map(changed).filter(|text| is_via(text)) {
            assert!(Via::parse(&text).is_ok(), "{text:?}");
            plain += 1;
        }
        assert!(plain > 10_000, "{plain}");
    }

    /// The text with each ASCII byte put in each place: in addition, and instead of another.
    fn changed(text: &str) -> impl Iterator<Item = String> {
        (0..=text.len()).flat_map(move |at| {
            (0..0x80_u8).flat_map(move |byte| {
                let (front, behind) = text.split_at(at);
                [behind, behind.get(1..).unwrap_or_default()]
                    .map(|behind| format!("{front}{}{behind}", char::from(byte)))
            })
        })
    }
}
