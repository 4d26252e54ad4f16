//! What a REFER says: whom to contact, with which method, and who asks (RFC 3515 section 2.1, RFC
//! 5368, RFC 3892).

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::sip::{Body, Method, NameAddr, Request, Scheme, Status, Uri};

/// What is asked with a REFER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refer {
    /// Whom to contact.
    pub to: References,
    /// Who asks (Referred-By).
    pub by: Option<NameAddr>,
    /// Whether the one who asks wants to hear of it; if not, the REFER says `Refer-Sub: false`.
    pub is_watched: bool,
    /// Further headers of a REFER that we send, as they stand.
    pub headers: Vec<(String, String)>,
}

/// Whom to contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum References {
    /// One.
    One(Reference),
    /// Those that a list names (RFC 5368).
    Many {
        /// The list, `application/resource-lists+xml`.
        list: Body,
        /// Its Content-ID, without brackets.
        content_id: String,
    },
}

/// Somebody who is to be contacted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Who: a `sip:`, `sips:` or `tel:` URI, without its headers and without a method.
    pub uri: Uri,
    /// How: INVITE, or BYE for somebody who is to leave.
    pub method: Method,
    /// How BYE is written.
    pub form: MethodForm,
    /// The headers that the request is to have, names and values without escapes: those of
    /// `Replaces` and `Session-Replaces` only.
    pub headers: Vec<(String, String)>,
}

/// How a method is written into a URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MethodForm {
    /// `;method=BYE`, as RFC 3261 and RFC 4579 section 5.11 have it.
    Parameter,
    /// `?method=BYE`, as RFC 5368 writes it.
    Header,
}

/// Why a REFER must not be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReferFault {
    /// There is none, or more than one, or one that cannot be read.
    #[error("a REFER has exactly one Refer-To, which is an address")]
    NoReference,
    /// Two methods at once, or a header that hides others in it.
    #[error("the Refer-To contradicts itself, or breaks out of its line")]
    Deceptive,
    /// Neither sip, sips nor tel.
    #[error("only sip, sips and tel URIs are contacted")]
    Scheme,
    /// Another method than INVITE and BYE.
    #[error("only INVITE and BYE are sent for others")]
    Method,
    /// A header that is not ours to set for others.
    #[error("the Refer-To wants a header that nobody sets for others")]
    Header,
    /// A list is meant, but it is not there, or nothing says that one is meant.
    #[error("the list that Refer-To points to is missing")]
    NoList,
}

impl ReferFault {
    /// Gives the status with which such a REFER is refused.
    #[must_use]
    pub fn status(self) -> Status {
        match self {
            Self::NoReference | Self::Deceptive | Self::NoList => Status::BAD_REQUEST,
            Self::Scheme | Self::Method | Self::Header => Status::FORBIDDEN,
        }
    }
}

impl Reference {
    /// Somebody who is to be invited.
    #[must_use]
    pub fn invite(uri: Uri) -> Self {
        Self { uri, method: Method::Invite, form: MethodForm::Parameter, headers: Vec::new() }
    }

    /// Somebody who is to leave.
    #[must_use]
    pub fn bye(uri: Uri, form: MethodForm) -> Self {
        Self { uri, method: Method::Bye, form, headers: Vec::new() }
    }

    /// Reads a URI, of a Refer-To or of the entry of a list; the method may stand in it as
    /// parameter or as header.
    ///
    /// # Errors
    /// Nobody may be contacted so.
    pub fn parse(text: &str) -> Result<Self, ReferFault> {
        // No tel URI has headers, but lists are seen with them all the same.
        let (bare, tail) = match text.split_once('?') {
            Some((bare, tail))
                if text.get(..4).is_some_and(|it| it.eq_ignore_ascii_case("tel:")) =>
            {
                (bare, Some(tail))
            }
            Some(_) | None => (text, None),
        };
        let uri = Uri::parse(bare).map_err(|_| ReferFault::NoReference)?;
        match uri.scheme() {
            Scheme::Sip | Scheme::Sips | Scheme::Tel => {}
            Scheme::Other => return Err(ReferFault::Scheme),
        }
        let parameter = uri.param("method").filter(|method| !method.is_empty());
        let mut reference = Self::invite(uri.without_headers().without_param("method"));
        let mut method = parameter.map(str::to_owned);
        let tail = tail.map(|tail| tail.split('&').filter_map(|it| it.split_once('=')));
        for (name, value) in uri.headers().chain(tail.into_iter().flatten()) {
            let (name, value) = (unescaped(name)?, unescaped(value)?);
            if name.eq_ignore_ascii_case("method") {
                if method.as_ref().is_some_and(|method| *method != value) {
                    return Err(ReferFault::Deceptive);
                }
                reference.form = MethodForm::Header;
                method = Some(value);
            } else if HEADERS.iter().any(|known| name.eq_ignore_ascii_case(known)) {
                reference.headers.push((name, value));
            } else {
                return Err(ReferFault::Header);
            }
        }
        match method.as_deref().map(Method::from) {
            None => {}
            Some(method @ (Method::Invite | Method::Bye)) => reference.method = method,
            Some(_) => return Err(ReferFault::Method),
        }
        Ok(reference)
    }
}

/// The URI with its method and headers, as it stands in a Refer-To or in a list.
impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let is_named = self.method != Method::Invite;
        write!(f, "{}", self.uri)?;
        if is_named && self.form == MethodForm::Parameter {
            write!(f, ";method={}", self.method)?;
        }
        let method = (is_named && self.form == MethodForm::Header)
            .then(|| ("method".to_owned(), self.method.to_string()));
        for (at, (name, value)) in method.iter().chain(&self.headers).enumerate() {
            let mark = if at == 0 { '?' } else { '&' };
            let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
            write!(f, "{mark}{name}={value}")?;
        }
        Ok(())
    }
}

impl Refer {
    /// Asks to contact somebody, and wants to hear of it.
    #[must_use]
    pub fn to(reference: Reference) -> Self {
        let to = References::One(reference);
        Self { to, by: None, is_watched: true, headers: Vec::new() }
    }

    /// Asks to contact those that a list names, and leaves it at that (RFC 5368 section 5).
    #[must_use]
    pub fn to_many(list: Body, content_id: impl Into<String>) -> Self {
        let to = References::Many { list, content_id: content_id.into() };
        Self { to, by: None, is_watched: false, headers: Vec::new() }
    }

    /// Reads a REFER (RFC 3515 section 2.4.2).
    ///
    /// # Errors
    /// Nobody may do as it says; see [`ReferFault::status`].
    pub fn read(request: &Request) -> Result<Self, ReferFault> {
        let headers = &request.headers;
        let mut values = headers.list("Refer-To");
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(ReferFault::NoReference);
        };
        let to = match bracketed(value) {
            Some(pointer) if is_pointer(pointer) => Self::read_list(request, pointer)?,
            // What stands in brackets is read as it is in a list: a tel URI may have headers.
            Some(uri) => References::One(Reference::parse(uri)?),
            None => {
                let bare = NameAddr::parse(value).map_err(|_| ReferFault::NoReference)?;
                References::One(Reference::parse(bare.uri.as_str())?)
            }
        };
        let by = headers.get("Referred-By").and_then(|by| NameAddr::parse(by).ok());
        let is_watched = !crate::sip::subscription::declines_subscription(headers);
        Ok(Self { to, by, is_watched, headers: Vec::new() })
    }

    fn read_list(request: &Request, pointer: &str) -> Result<References, ReferFault> {
        let content_id = pointer.split_once(':').map_or("", |(_, id)| id);
        let content_id = unescaped(content_id)?;
        let body = Body::of(&request.headers, &request.body);
        let list = body.filter(|_| request.headers.lists("Require", MULTIPLE_REFER));
        let list = list.ok_or(ReferFault::NoList)?;
        let is_multipart = list.content_type.trim_start().to_ascii_lowercase();
        let named = request.headers.get("Content-ID").unwrap_or_default();
        let named = named.trim_matches(['<', '>', ' ']);
        // Within a multipart the parts have the names, which are not for us to read.
        if !is_multipart.starts_with("multipart/") && named != content_id {
            return Err(ReferFault::NoList);
        }
        Ok(References::Many { list, content_id })
    }

    /// Writes what is asked into a REFER.
    pub(in crate::sip) fn put(self, request: &mut Request) {
        let headers = &mut request.headers;
        if !self.is_watched {
            headers.push("Refer-Sub", "false");
        }
        headers.push("Supported", NOREFERSUB);
        if let Some(by) = &self.by {
            headers.push("Referred-By", &by.to_string());
        }
        for (name, value) in &self.headers {
            headers.push(name, value);
        }
        match self.to {
            References::One(reference) => headers.push("Refer-To", &format!("<{reference}>")),
            References::Many { list, content_id } => {
                let escaped = content_id.replace('%', "%25");
                headers.push("Refer-To", &format!("<cid:{escaped}>"));
                headers.push("Require", &format!("{MULTIPLE_REFER}, {NOREFERSUB}"));
                headers.push("Content-Disposition", "recipient-list");
                headers.push("Content-ID", &format!("<{content_id}>"));
                list.put(request);
            }
        }
    }
}

/// Gives what stands between angle brackets, behind a display name.
fn bracketed(value: &str) -> Option<&str> {
    let at = if value.starts_with('"') {
        let (_, rest) = crate::sip::grammar::take_quoted(value)?;
        value.len() - rest.len()
    } else {
        0
    };
    let (_, inner) = value.get(at..)?.split_once('<')?;
    inner.split_once('>').map(|(uri, _)| uri)
}

fn is_pointer(uri: &str) -> bool {
    uri.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("cid:"))
}

/// Undoes the escapes of a name or a value, in which nothing may break out of its line.
fn unescaped(text: &str) -> Result<String, ReferFault> {
    let text = percent_decode_str(text).decode_utf8().map_err(|_| ReferFault::Deceptive)?;
    let is_tame = !text.chars().any(|character| character.is_ascii_control());
    is_tame.then(|| text.into_owned()).ok_or(ReferFault::Deceptive)
}

/// The headers that a Refer-To may ask for: those that say which session is to be replaced (RFC
/// 3891; the chat extension of OMA CPM). All others are for who sends the request to choose.
const HEADERS: [&str; 2] = ["Replaces", "Session-Replaces"];

/// The option tag of RFC 5368.
pub(in crate::sip) const MULTIPLE_REFER: &str = "multiple-refer";

/// The option tag of RFC 4488.
pub(in crate::sip) const NOREFERSUB: &str = "norefersub";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::sip::transaction::sample::request;

    #[test]
    fn a_reference_is_written_as_it_is_read() {
        for (text, method) in [
            ("sip:bob@b.example;user=phone", Method::Invite),
            ("tel:+447700900002", Method::Invite),
            ("sips:bob@b.example;method=BYE", Method::Bye),
            ("sip:bob@b.example?method=BYE", Method::Bye),
            ("sip:bob@b.example?Replaces=1%40a%3Bto%2Dtag%3Dx", Method::Invite),
            ("tel:+447700900002?Session-Replaces=abc", Method::Invite),
            ("tel:+447700900002;method=BYE", Method::Bye),
        ] {
            let reference = Reference::parse(text).unwrap();
            assert_eq!((reference.to_string().as_str(), &reference.method), (text, &method));
            assert!(reference.uri.param("method").is_none() && !reference.uri.has_headers());
        }
        let both = "tel:+1202;method=INVITE?Session-Replaces=x&method=INVITE";
        let reference = Reference::parse(both).unwrap();
        assert_eq!(reference.method, Method::Invite);
        assert_eq!(reference.headers, [("Session-Replaces".to_owned(), "x".to_owned())]);
    }

    #[test]
    fn nobody_is_contacted_for_others_in_other_ways() {
        for (text, fault) in [
            ("http://example.com/", ReferFault::Scheme),
            ("urn:service:sos", ReferFault::Scheme),
            ("mailto:a@b", ReferFault::Scheme),
            ("sip:a@b;method=REGISTER", ReferFault::Method),
            ("sip:a@b;method=bye", ReferFault::Method),
            ("sip:a@b?method=MESSAGE", ReferFault::Method),
            ("sip:a@b?Route=%3Csip%3Aevil%3E", ReferFault::Header),
            ("sip:a@b?Subject=x", ReferFault::Header),
            ("sip:a@b?body=x", ReferFault::Header),
            ("sip:a@b?Replaces=x%0D%0ARoute%3A%20evil", ReferFault::Deceptive),
            ("sip:a@b?Replaces=%ff", ReferFault::Deceptive),
            ("sip:a@b;method=INVITE?method=BYE", ReferFault::Deceptive),
            ("tel:+1202?Route=x", ReferFault::Header),
            ("sip:a b@c", ReferFault::NoReference),
            ("bob", ReferFault::NoReference),
        ] {
            assert_eq!(Reference::parse(text), Err(fault), "{text}");
        }
    }

    #[test]
    fn a_refer_has_one_refer_to() {
        let read = |values: &[&str]| {
            let mut refer = request("REFER");
            values.iter().for_each(|value| refer.headers.push("Refer-To", value));
            Refer::read(&refer).map_err(ReferFault::status)
        };
        let refer = read(&["\"B, <ob>\" <sip:bob@b.example;method=BYE>;x=y"]).unwrap();
        let bob = Uri::parse("sip:bob@b.example").unwrap();
        assert_eq!(refer, Refer::to(Reference::bye(bob, MethodForm::Parameter)));
        assert_eq!(read(&["sip:bob@b.example"]).unwrap().to_string(), "sip:bob@b.example");
        for values in [
            vec![],
            vec!["<sip:a@b>", "<sip:c@d>"],
            vec!["<sip:a@b>, <sip:c@d>"],
            vec!["sip:a@b,sip:c@d"],
            vec![""],
            vec!["<cid:list@x>"],
        ] {
            assert_eq!(read(&values), Err(Status::BAD_REQUEST), "{values:?}");
        }
        assert_eq!(read(&["<http://x.example>"]), Err(Status::FORBIDDEN));
    }

    #[test]
    fn a_list_is_found_by_its_name() {
        let list = Body {
            content_type: "application/resource-lists+xml".to_owned(),
            bytes: "<resource-lists/>".into(),
        };
        let mut refer = request("REFER");
        Refer::to_many(list.clone(), "one@a.example").put(&mut refer);
        for (name, value) in [
            ("Refer-To", "<cid:one@a.example>"),
            ("Refer-Sub", "false"),
            ("Require", "multiple-refer, norefersub"),
            ("Content-Disposition", "recipient-list"),
            ("Content-ID", "<one@a.example>"),
            ("Content-Type", "application/resource-lists+xml"),
        ] {
            assert_eq!(refer.headers.get(name), Some(value));
        }
        let read = Refer::read(&refer).unwrap();
        assert_eq!(read, Refer::to_many(list, "one@a.example"));
        refer.headers.set("Content-ID", "<two@a.example>");
        assert_eq!(Refer::read(&refer), Err(ReferFault::NoList));
        refer.headers.set("Content-ID", "<one@a.example>");
        refer.headers.remove("Require");
        assert_eq!(Refer::read(&refer), Err(ReferFault::NoList));
    }

    impl std::fmt::Display for Refer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            match &self.to {
                References::One(reference) => reference.fmt(f),
                References::Many { content_id, .. } => f.write_str(content_id),
            }
        }
    }
}
