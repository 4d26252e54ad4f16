//! Typed views of header fields, parsed on demand; the headers keep their text.

use thiserror::Error;

use super::grammar::{is_token, trimmed};
use super::{
    Headers, Message, Method, NameAddr, NameAddrError, Reason, Request, Response, Via, ViaError,
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
        let (number, method) = trimmed(text).split_once([' ', '\t']).ok_or(ViewError::CSeq)?;
        let method = trimmed(method);
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
        CSeq::parse(self.get("CSeq").ok_or(ViewError::Missing("CSeq"))?)
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
        self.from().ok()?.tag().map(str::to_owned)
    }

    /// The tag of the `To`.
    pub fn to_tag(&self) -> Option<String> {
        self.to().ok()?.tag().map(str::to_owned)
    }

    /// The `Call-ID`.
    pub fn call_id(&self) -> Option<&str> {
        self.get("Call-ID")
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
        elements.into_iter().map(|text| parse_address("Contact", text)).collect::<Result<_, _>>().map(Contacts::List)
    }

    /// The `Content-Type`, with its parameters.
    pub fn content_type(&self) -> Option<&str> {
        self.get("Content-Type")
    }

    /// How many hops the request may still take: 0 to 255 (RFC 3261 section 20.22).
    pub fn max_forwards(&self) -> Option<u8> {
        self.get("Max-Forwards").and_then(parse_number)?.try_into().ok()
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

    fn address(&self, name: &'static str) -> Result<NameAddr, ViewError> {
        parse_address(name, self.get(name).ok_or(ViewError::Missing(name))?)
    }
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
