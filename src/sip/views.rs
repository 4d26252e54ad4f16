//! Typed views of header fields, parsed on demand; the headers keep their text.

use thiserror::Error;

use super::grammar::{is_token, trimmed};
use super::header_name::Known;
use super::name_addr::tag_of;
use super::via::SentBy;
use super::{
    Headers, Message, Method, NameAddr, NameAddrError, Reason, Request, Response, Via, ViaError,
    plain,
};

/// A sequence number with its method (RFC 3261 section 20.16).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CSeq {
    /// The number, below 2^31.
    pub number: u32,
    /// The method of the request.
    pub method: Method,
}

/// What the `Contact` header fields say (RFC 3261 section 20.10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contacts {
    /// `*`: every binding, to be removed.
    Any,
    /// The addresses, perhaps none.
    List(Vec<NameAddr>),
}

/// Why a header field cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ViewError {
    /// It is not there.
    #[error("missing {0}")]
    Missing(&'static str),
    /// It is there more often than once.
    #[error("more than one {0}")]
    Repeated(&'static str),
    /// It is no address.
    #[error("bad {name}: {error}")]
    Address {
        /// The header.
        name: &'static str,
        /// What is wrong.
        error: NameAddrError,
    },
    /// It is no `Via`.
    #[error("bad Via: {0}")]
    Via(#[from] ViaError),
    /// It is no number and method, or the number is 2^31 or more.
    #[error("bad CSeq")]
    CSeq,
    /// It is empty, or has white space in it.
    #[error("bad Call-ID")]
    CallId,
    /// It is not a number, or one that is too large.
    #[error("bad {0}: not a number in range")]
    Number(&'static str),
    /// `*` beside other contacts.
    #[error("bad Contact: * beside addresses")]
    StarNotAlone,
}

impl CSeq {
    /// Parses a number and a method.
    ///
    /// # Errors
    /// [`ViewError::CSeq`].
    pub fn parse(text: &str) -> Result<Self, ViewError> {
        let text = trimmed(text);
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, behind) = text.split_at(digits);
        let method = behind.trim_start_matches([' ', '\t']);
        if method.len() == behind.len() {
            return Err(ViewError::CSeq);
        }
        let number = parse_number(number).filter(|number| *number < 1 << 31);
        match number {
            Some(number) if is_token(method) => Ok(Self { number, method: method.into() }),
            _ => Err(ViewError::CSeq),
        }
    }
}

impl std::fmt::Display for CSeq {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

/// Digits only, no sign, in range.
pub(super) fn parse_number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

impl Headers {
    /// The top `Via`.
    ///
    /// # Errors
    /// It is missing or malformed.
    pub fn via(&self) -> Result<Via, ViewError> {
        let top = self.list("Via").next().ok_or(ViewError::Missing("Via"))?;
        Ok(Via::parse(top)?)
    }

    /// Every `Via`, the top one first.
    ///
    /// # Errors
    /// One of them is malformed.
    pub fn vias(&self) -> Result<Vec<Via>, ViewError> {
        self.list("Via").map(|text| Ok(Via::parse(text)?)).collect()
    }

    /// The `CSeq`.
    ///
    /// # Errors
    /// It is missing or malformed.
    pub fn cseq(&self) -> Result<CSeq, ViewError> {
        CSeq::parse(self.value_of(Known::CSeq).ok_or(ViewError::Missing("CSeq"))?)
    }

    /// The `From`.
    ///
    /// # Errors
    /// It is missing or malformed.
    pub fn from(&self) -> Result<NameAddr, ViewError> {
        self.address("From")
    }

    /// The `To`.
    ///
    /// # Errors
    /// It is missing or malformed.
    pub fn to(&self) -> Result<NameAddr, ViewError> {
        self.address("To")
    }

    /// The tag of the `From`.
    pub fn from_tag(&self) -> Option<String> {
        self.tag(Known::From).map(str::to_owned)
    }

    /// The tag of the `To`.
    pub fn to_tag(&self) -> Option<String> {
        self.tag(Known::To).map(str::to_owned)
    }

    /// The tag of a `From` or `To` where it stands.
    pub(super) fn tag(&self, known: Known) -> Option<&str> {
        tag_of(self.value_of(known)?)
    }

    /// The branch of the top `Via` where it stands.
    pub(super) fn branch(&self) -> Option<&str> {
        self.sent_by()?.branch
    }

    /// What the top `Via` says of the sender, where it stands.
    pub(super) fn sent_by(&self) -> Option<SentBy<'_>> {
        SentBy::of(self.list("Via").next()?)
    }

    /// The `Call-ID`.
    pub fn call_id(&self) -> Option<&str> {
        self.value_of(Known::CallId)
    }

    /// The first `Contact`; `*` is none.
    ///
    /// # Errors
    /// One of the contacts is malformed.
    pub fn contact(&self) -> Result<Option<NameAddr>, ViewError> {
        match self.contacts()? {
            Contacts::Any => Ok(None),
            Contacts::List(list) => Ok(list.into_iter().next()),
        }
    }

    /// Every `Contact`.
    ///
    /// # Errors
    /// One of them is malformed, or `*` does not stand alone.
    pub fn contacts(&self) -> Result<Contacts, ViewError> {
        let elements: Vec<_> = self.list("Contact").collect();
        if elements == ["*"] {
            return Ok(Contacts::Any);
        }
        if elements.contains(&"*") {
            return Err(ViewError::StarNotAlone);
        }
        elements
            .into_iter()
            .map(|text| parse_address("Contact", text))
            .collect::<Result<_, _>>()
            .map(Contacts::List)
    }

    /// The `Content-Type`, with its parameters.
    pub fn content_type(&self) -> Option<&str> {
        self.get("Content-Type")
    }

    /// How many hops the request may still take: 0 to 255 (RFC 3261 section 20.22).
    pub fn max_forwards(&self) -> Option<u8> {
        self.value_of(Known::MaxForwards).and_then(parse_number)?.try_into().ok()
    }

    /// The `Expires`; a value beyond 2^32-1 is that bound (RFC 3261 section 20.19), one that is
    /// no number is none.
    pub fn expires(&self) -> Option<u32> {
        let value = self.get("Expires")?;
        let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| value.parse().unwrap_or(u32::MAX))
    }

    /// The `Record-Route` list, in order.
    pub fn record_route(&self) -> Vec<NameAddr> {
        self.addresses("Record-Route")
    }

    /// The `Route` list, in order.
    pub fn route(&self) -> Vec<NameAddr> {
        self.addresses("Route")
    }

    /// The addresses of any list header, in order; what is no address is left out.
    pub fn addresses(&self, name: &str) -> Vec<NameAddr> {
        self.list(name).filter_map(|text| NameAddr::parse(text).ok()).collect()
    }

    /// Every value of the `Reason` header fields (RFC 3326).
    pub fn reasons(&self) -> Vec<Reason> {
        self.all("Reason").flat_map(Reason::parse).collect()
    }

    /// The first `Reason`.
    pub fn reason_header(&self) -> Option<Reason> {
        self.reasons().into_iter().next()
    }

    /// Whether there is a `Via`, and whether every one can be read.
    pub(super) fn check_vias(&self) -> Result<(), ViewError> {
        match self.try_each(Known::Via, plain::is_via, Via::check)? {
            0 => Err(ViewError::Missing("Via")),
            _ => Ok(()),
        }
    }

    /// Whether this header is there and is an address.
    pub(super) fn check_address(&self, known: Known) -> Result<(), ViewError> {
        let name = known.as_str();
        check_address(name, self.value_of(known).ok_or(ViewError::Missing(name))?)
    }

    /// Whether every element of this header is an address.
    pub(super) fn check_addresses(&self, known: Known) -> Result<(), ViewError> {
        let check = |text: &str| check_address(known.as_str(), text);
        self.try_each(known, plain::is_address, check).map(drop)
    }

    /// Whether the contacts can be read.
    pub(super) fn check_contacts(&self) -> Result<(), ViewError> {
        if self.lines_of(Known::Contact).all(plain::is_address) {
            return Ok(());
        }
        let is_star = |element: &str| element == "*";
        if !self.list("Contact").any(is_star) {
            return self.check_addresses(Known::Contact);
        }
        let is_alone = self.list("Contact").nth(1).is_none();
        if is_alone { Ok(()) } else { Err(ViewError::StarNotAlone) }
    }

    fn address(&self, name: &'static str) -> Result<NameAddr, ViewError> {
        parse_address(name, self.get(name).ok_or(ViewError::Missing(name))?)
    }
}

fn check_address(name: &'static str, text: &str) -> Result<(), ViewError> {
    NameAddr::check(text).map_err(|error| ViewError::Address { name, error })
}

fn parse_address(name: &'static str, text: &str) -> Result<NameAddr, ViewError> {
    NameAddr::parse(text).map_err(|error| ViewError::Address { name, error })
}

/// Gives a message the views of its headers under the same names.
macro_rules! views {
    ($message:ident { $($view:ident -> $type:ty,)+ }) => {
        impl $message {
            $(
                #[doc = concat!("What [`Headers::", stringify!($view), "`] says of this message.")]
                pub fn $view(&self) -> $type {
                    self.header_fields().$view()
                }
            )+
        }
    };
}

/// One list of views for every kind of message.
macro_rules! views_for {
    ($($message:ident)+) => {$(
        views!($message {
            via -> Result<Via, ViewError>,
            vias -> Result<Vec<Via>, ViewError>,
            cseq -> Result<CSeq, ViewError>,
            from -> Result<NameAddr, ViewError>,
            to -> Result<NameAddr, ViewError>,
            from_tag -> Option<String>,
            to_tag -> Option<String>,
            call_id -> Option<&str>,
            contact -> Result<Option<NameAddr>, ViewError>,
            contacts -> Result<Contacts, ViewError>,
            content_type -> Option<&str>,
            max_forwards -> Option<u8>,
            expires -> Option<u32>,
            record_route -> Vec<NameAddr>,
            route -> Vec<NameAddr>,
            reasons -> Vec<Reason>,
            reason_header -> Option<Reason>,
        });
    )+};
}

views_for! { Request Response Message }

impl Request {
    fn header_fields(&self) -> &Headers {
        &self.headers
    }
}

impl Response {
    fn header_fields(&self) -> &Headers {
        &self.headers
    }
}

impl Message {
    fn header_fields(&self) -> &Headers {
        self.headers()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{CSeq, Contacts, ViewError};
    use crate::sip::{Headers, Method};

    #[test]
    fn a_cseq_is_below_two_to_the_31() {
        let read = CSeq::parse("0009   INVITE").unwrap();
        assert_eq!((read.number, read.method), (9, Method::Invite));
        assert_eq!(CSeq::parse("2147483647 ACK").unwrap().to_string(), "2147483647 ACK");
        for text in
            ["2147483648 A", "4294967297 A", "-1 A", "+1 A", "1", "A 1", "1 A B", "1 A(", ""]
        {
            assert_eq!(CSeq::parse(text), Err(ViewError::CSeq), "{text}");
        }
    }

    #[test]
    fn contacts_are_a_list_or_a_star() {
        let contacts = |values: &[&str]| {
            values.iter().map(|value| ("Contact", value)).collect::<Headers>().contacts()
        };
        assert_eq!(contacts(&["*"]), Ok(Contacts::Any));
        assert_eq!(contacts(&["*", "<sip:a@b>"]), Err(ViewError::StarNotAlone));
        assert_eq!(contacts(&[]), Ok(Contacts::List(Vec::new())));
        let Ok(Contacts::List(list)) = contacts(&[r#""a, b" <sip:a@b>;q=1, sip:c@d"#, "<sip:e@f>"])
        else {
            panic!("a list")
        };
        let uris: Vec<_> = list.iter().map(|contact| contact.uri.as_str()).collect();
        assert_eq!(uris, ["sip:a@b", "sip:c@d", "sip:e@f"]);
    }

    #[test]
    fn routes_are_lists_with_display_names_and_loose_commas() {
        let headers = Headers::from_iter([
            ("Record-Route", r#"<sip:a;lr> , "P, two" <sip:b;lr>"#),
            ("record-route", "<sip:c;lr>"),
        ]);
        let route: Vec<_> =
            headers.record_route().into_iter().map(|it| it.uri.to_string()).collect();
        assert_eq!(route, ["sip:a;lr", "sip:b;lr", "sip:c;lr"]);
    }

    #[test]
    fn what_is_missing_is_named() {
        let headers = Headers::new();
        assert_eq!(headers.via(), Err(ViewError::Missing("Via")));
        assert_eq!(headers.from().map_err(|it| it.to_string()), Err("missing From".to_owned()));
        assert_eq!(
            (headers.call_id(), headers.from_tag(), headers.contact()),
            (None, None, Ok(None))
        );
    }

    #[test]
    fn numbers_are_digits_in_range() {
        let number = |name, value| {
            let headers = Headers::from_iter([(name, value)]);
            (headers.max_forwards(), headers.expires())
        };
        assert_eq!(number("Max-Forwards", "0068"), (Some(68), None));
        assert_eq!(number("Max-Forwards", "256"), (None, None));
        assert_eq!(number("Max-Forwards", "+1"), (None, None));
        assert_eq!(number("Expires", "3600"), (None, Some(3600)));
        assert_eq!(number("Expires", "99999999999999999999"), (None, Some(u32::MAX)));
        assert_eq!(number("Expires", "soon"), (None, None));
    }

    #[test]
    fn reasons_run_over_values_and_lines() {
        let headers = Headers::from_iter([
            ("Reason", r#"SIP;cause=200;text="Call completed elsewhere", Q.850;cause=16"#),
            ("Reason", "SIP;cause=480"),
        ]);
        let causes: Vec<_> = headers.reasons().iter().map(|reason| reason.cause).collect();
        assert_eq!(causes, [Some(200), Some(16), Some(480)]);
        assert_eq!(headers.reason_header().and_then(|reason| reason.cause), Some(200));
    }
}
