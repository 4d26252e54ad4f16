//! Bodies: which format comes in, which goes out, and the way of a document through both.

use std::borrow::Cow;

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};

use super::fault::{Fault, Voice};
use crate::oma::{self, BodyKind, DocumentError, Element, Format};

/// The media type of RFC 9457.
pub const PROBLEM: &str = "application/problem+json";

/// The media type of event streams (WHATWG HTML section 9.2).
pub(super) const EVENTS: &str = "text/event-stream";

/// The media types that are read.
pub const READABLE: &str = "application/xml, application/json, application/x-www-form-urlencoded";

/// The two formats of a request and its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Negotiated {
    /// What the request's body is in.
    pub request: BodyKind,
    /// What the response's body shall be in.
    pub response: Format,
}

/// Finds out which format the request is in and which one its client wants.
///
/// The response's is named by `?resFormat=XML|JSON`, else by `Accept`, else it is the request's,
/// else XML. The request's is named by `Content-Type`; where that is absent, `text/plain` or
/// `application/octet-stream`, the first character that is not blank tells it.
///
/// # Errors
/// The client accepts neither format (406), sends another (415), or wants an unknown `resFormat`.
pub fn negotiate(request: &HttpRequest, body: &[u8]) -> Result<Negotiated, Fault> {
    let kind = request_kind(request, body)?;
    let response = response_format(request, kind)?;
    let negotiated = Negotiated { request: kind.unwrap_or(BodyKind::Xml), response };
    // Left for the middleware that tells faults: it does not see the body.
    request.extensions_mut().insert(negotiated);
    Ok(negotiated)
}

/// Reads a document from a body: `document(&negotiated, &body, ChatMessage::read)`.
///
/// # Errors
/// The body cannot be read, or it is not that document.
pub fn document<T>(
    negotiated: &Negotiated,
    body: &[u8],
    read: impl FnOnce(&Element) -> Result<T, DocumentError>,
) -> Result<T, Fault> {
    let tree = oma::read(negotiated.request, body)?;
    Ok(read(&tree)?)
}

/// Answers with a document.
#[must_use]
pub fn respond(status: StatusCode, document: &Element, format: Format) -> HttpResponse {
    HttpResponse::build(status)
        .content_type(HeaderValue::from_static(format.media_type()))
        .insert_header((header::VARY, HeaderValue::from_static("Accept")))
        .body(document.render(format))
}

/// Answers 201 with the new resource and its URL.
#[must_use]
pub fn created(location: &str, document: &Element, format: Format) -> HttpResponse {
    HttpResponse::Created()
        .content_type(HeaderValue::from_static(format.media_type()))
        .insert_header((header::VARY, HeaderValue::from_static("Accept")))
        .insert_header((header::LOCATION, location))
        .body(document.render(format))
}

/// Gives the format of the notifications in an event stream, where the client asks for one by name
/// and for nothing else more: JSON, which browsers read, unless `?resFormat=` says otherwise.
pub(super) fn events(request: &HttpRequest) -> Result<Option<Format>, Fault> {
    let is_wanted = accept(request).is_some_and(|accept| {
        let other = accept.weight_of_xml().max(accept.weight("application/json"));
        accept.names(EVENTS) && accept.weight(EVENTS).quality >= other.quality
    });
    if is_wanted {
        wanted_format(request).map(|it| Some(it.unwrap_or(Format::Json)))
    } else {
        Ok(None)
    }
}

/// Tells how the client wants faults, as far as it shows without the body.
pub(super) fn voice(request: &HttpRequest) -> Voice {
    if accept(request).is_some_and(|accept| accept.names(PROBLEM)) {
        return Voice::Problem;
    }
    let kind = media_type(request).and_then(|media_type| named_kind(&media_type));
    let own = own_format(kind);
    Voice::Document(response_format(request, kind).unwrap_or(own))
}

fn request_kind(request: &HttpRequest, body: &[u8]) -> Result<Option<BodyKind>, Fault> {
    let media_type = media_type(request);
    let named = media_type.as_deref().and_then(named_kind);
    if body.is_empty() {
        return Ok(named);
    }
    demand_plain_utf8(request)?;
    let kind = match media_type.as_deref() {
        None | Some("" | "text/plain" | "application/octet-stream") => guessed_kind(body),
        Some(_) => named,
    };
    match kind {
        // TS Chat Appendix C defines forms for POST alone.
        Some(BodyKind::Form) if request.method() != Method::POST => {
            Err(Fault::UnsupportedMediaType)
        }
        Some(kind) => Ok(Some(kind)),
        None => Err(Fault::UnsupportedMediaType),
    }
}

/// Gives the media type in lower case, without parameters.
fn media_type(request: &HttpRequest) -> Option<Cow<'_, str>> {
    let value = text_of(request, &header::CONTENT_TYPE)?;
    Some(in_lower_case(value.split(';').next().unwrap_or_default().trim()))
}

fn in_lower_case(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

fn named_kind(media_type: &str) -> Option<BodyKind> {
    match media_type {
        "application/xml" | "text/xml" => Some(BodyKind::Xml),
        "application/json" | "text/json" => Some(BodyKind::Json),
        "application/x-www-form-urlencoded" => Some(BodyKind::Form),
        other if other.ends_with("+xml") => Some(BodyKind::Xml),
        other if other.ends_with("+json") => Some(BodyKind::Json),
        _ => None,
    }
}

fn guessed_kind(body: &[u8]) -> Option<BodyKind> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    match body.trim_ascii_start().first()? {
        b'<' => Some(BodyKind::Xml),
        b'{' => Some(BodyKind::Json),
        _ => None,
    }
}

/// Refuses compressed bodies and those in another character set: nothing here undoes either.
fn demand_plain_utf8(request: &HttpRequest) -> Result<(), Fault> {
    let encoding = text_of(request, &header::CONTENT_ENCODING).unwrap_or("identity");
    let content_type = text_of(request, &header::CONTENT_TYPE).unwrap_or_default();
    let charset = content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    });
    let charset_is_known = charset.is_none_or(|charset| {
        ["utf-8", "utf8", "us-ascii"].iter().any(|known| charset.eq_ignore_ascii_case(known))
    });
    if encoding.trim().eq_ignore_ascii_case("identity") && charset_is_known {
        return Ok(());
    }
    Err(Fault::UnsupportedMediaType)
}

fn response_format(request: &HttpRequest, kind: Option<BodyKind>) -> Result<Format, Fault> {
    if let Some(format) = wanted_format(request)? {
        return Ok(format);
    }
    let own = own_format(kind);
    let Some(accept) = accept(request) else { return Ok(own) };
    let (xml, json) = (accept.weight_of_xml(), accept.weight("application/json"));
    match (xml.quality > 0, json.quality > 0) {
        (true, true) if xml == json => Ok(own),
        (true, true) if xml > json => Ok(Format::Xml),
        (true, true) | (false, true) => Ok(Format::Json),
        (true, false) => Ok(Format::Xml),
        (false, false) if accept.names(PROBLEM) => Ok(Format::Json),
        (false, false) => Err(Fault::NotAcceptable),
    }
}

/// Reads `?resFormat=`; its values need no escapes, and other parameters are none of our business.
fn wanted_format(request: &HttpRequest) -> Result<Option<Format>, Fault> {
    let mut parameters = request.query_string().split('&').filter_map(|p| p.split_once('='));
    let Some((_, value)) = parameters.find(|(name, _)| *name == RES_FORMAT) else {
        return Ok(None);
    };
    let formats = [Format::Xml, Format::Json];
    let format = formats.into_iter().find(|format| value.eq_ignore_ascii_case(format.as_str()));
    match format {
        Some(format) => Ok(Some(format)),
        None => Err(Fault::NotAllowed { part: RES_FORMAT, allowed: &["XML", "JSON"] }),
    }
}

fn own_format(kind: Option<BodyKind>) -> Format {
    match kind {
        Some(BodyKind::Json) => Format::Json,
        Some(BodyKind::Xml | BodyKind::Form) | None => Format::Xml,
    }
}

/// Gives `Accept`, several lines of it as one list; none where it says nothing.
fn accept(request: &HttpRequest) -> Option<Accept<'_>> {
    let lines = request.headers().get_all(header::ACCEPT);
    let ranges: Vec<Range<'_>> = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .filter(|range| !range.trim().is_empty())
        .take(MAX_RANGES)
        .map(Range::parse)
        .collect();
    (!ranges.is_empty()).then_some(Accept(ranges))
}

fn text_of<'a>(request: &'a HttpRequest, name: &HeaderName) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

/// The field `Accept` (RFC 9110 section 12.5.1).
struct Accept<'a>(Vec<Range<'a>>);

/// One media range with its quality in thousandths.
struct Range<'a> {
    media_type: Cow<'a, str>,
    quality: u16,
}

/// How much a client wants a media type: by quality, then by how exactly it named it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Weight {
    quality: u16,
    precision: u8,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Self {
        let mut parts = text.split(';');
        let media_type = in_lower_case(parts.next().unwrap_or_default().trim());
        let quality = parts.find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("q").then(|| thousandths(value.trim()))
        });
        Self { media_type, quality: quality.unwrap_or(1000) }
    }

    fn precision_for(&self, media_type: &str) -> Option<u8> {
        let group = media_type.split_once('/').map_or("", |(group, _)| group);
        match &*self.media_type {
            range if range == media_type => Some(2),
            "*/*" | "*" => Some(0),
            range => (range.strip_suffix("/*")? == group).then_some(1),
        }
    }
}

impl Accept<'_> {
    /// Gives the weight by the most exact range that covers the type.
    fn weight(&self, media_type: &str) -> Weight {
        let weights = self.0.iter().filter_map(|range| {
            let precision = range.precision_for(media_type)?;
            Some(Weight { quality: range.quality, precision })
        });
        weights.max_by_key(|weight| (weight.precision, weight.quality)).unwrap_or_default()
    }

    /// `text/xml` is the older name of the same thing (RFC 7303 section 9.2).
    fn weight_of_xml(&self) -> Weight {
        let weight = self.weight("application/xml");
        let older = self.weight("text/xml");
        if older.precision == 2 { weight.max(older) } else { weight }
    }

    /// Tells whether the type is accepted by its very name.
    fn names(&self, media_type: &str) -> bool {
        let weight = self.weight(media_type);
        weight.precision == 2 && weight.quality > 0
    }
}

/// Reads a quality value of RFC 9110 section 12.4.2; a broken one counts as none given.
fn thousandths(text: &str) -> u16 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole != "0" || !is_digits(fraction) {
        return 1000;
    }
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    digits.parse().unwrap_or(1000)
}

const RES_FORMAT: &str = "resFormat";

/// How many ranges of `Accept` are looked at.
const MAX_RANGES: usize = 64;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use actix_web::test::TestRequest;

    use super::*;
    use crate::oma::ChatMessage;

    const JSON: (&str, &str) = ("content-type", "application/json");
    const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

    #[test]
    fn the_request_is_known_by_its_type_or_its_first_character() {
        let kind = |media_type: Option<&str>, body: &str| {
            let headers: Vec<_> =
                media_type.map(|value| ("content-type", value)).into_iter().collect();
            negotiate(&post("/", &headers), body.as_bytes()).map(|n| n.request)
        };
        let cases = [
            (Some("application/xml"), "<a/>", Ok(BodyKind::Xml)),
            (Some("text/xml; charset=\"UTF-8\""), "<a/>", Ok(BodyKind::Xml)),
            (Some("Application/JSON;charset=utf-8"), "{}", Ok(BodyKind::Json)),
            (Some("application/vnd.x+json"), "{}", Ok(BodyKind::Json)),
            (Some("application/x-www-form-urlencoded"), "a=b", Ok(BodyKind::Form)),
            (None, " \n<a/>", Ok(BodyKind::Xml)),
            (None, "\u{feff}{}", Ok(BodyKind::Json)),
            (Some("text/plain"), "{}", Ok(BodyKind::Json)),
            (Some("application/octet-stream"), "<a/>", Ok(BodyKind::Xml)),
            (None, "", Ok(BodyKind::Xml)),
            (Some("text/html"), "", Ok(BodyKind::Xml)),
            (Some("text/html"), "<a/>", Err(Fault::UnsupportedMediaType)),
            (Some("text/plain"), "hello", Err(Fault::UnsupportedMediaType)),
            (None, "a=b", Err(Fault::UnsupportedMediaType)),
            (Some("application/json;charset=utf-16"), "{}", Err(Fault::UnsupportedMediaType)),
        ];
        for (media_type, body, wanted) in cases {
            assert_eq!(kind(media_type, body), wanted, "{media_type:?} {body}");
        }
        let zipped = post("/", &[JSON, ("content-encoding", "gzip")]);
        assert_eq!(negotiate(&zipped, b"{}"), Err(Fault::UnsupportedMediaType));
        let put = TestRequest::put().insert_header(FORM).to_http_request();
        assert_eq!(negotiate(&put, b"a=b"), Err(Fault::UnsupportedMediaType));
    }

    #[test]
    fn the_response_is_in_what_the_client_wants_most() {
        let format = |accept: &str| {
            let request = post("/", &[FORM, ("accept", accept)]);
            negotiate(&request, b"a=b").map(|n| n.response)
        };
        let cases = [
            ("application/json", Ok(Format::Json)),
            ("application/xml", Ok(Format::Xml)),
            ("text/xml", Ok(Format::Xml)),
            ("*/*", Ok(Format::Xml)),
            ("", Ok(Format::Xml)),
            ("application/*;q=0.5, application/xml;q=0", Ok(Format::Json)),
            ("application/xml;q=0.5, application/json;q=0.8", Ok(Format::Json)),
            ("application/xml;q=0.123, application/json;q=0.12", Ok(Format::Xml)),
            ("application/json, text/plain, */*", Ok(Format::Json)),
            ("text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8", Ok(Format::Xml)),
            ("application/problem+json", Ok(Format::Json)),
            ("text/html", Err(Fault::NotAcceptable)),
            ("application/json;q=0", Err(Fault::NotAcceptable)),
            ("*/*;q=0.0", Err(Fault::NotAcceptable)),
        ];
        for (accept, wanted) in cases {
            assert_eq!(format(accept), wanted, "{accept}");
        }
    }

    #[test]
    fn without_a_wish_the_response_is_in_the_format_of_the_request() {
        let response = |path: &str, headers: &[_], body: &[u8]| {
            negotiate(&post(path, headers), body).map(|n| n.response)
        };
        assert_eq!(response("/", &[JSON], b"{}"), Ok(Format::Json));
        assert_eq!(response("/", &[], b"{}"), Ok(Format::Json));
        assert_eq!(response("/", &[JSON, ("accept", "*/*")], b"{}"), Ok(Format::Json));
        assert_eq!(response("/", &[FORM], b"a=b"), Ok(Format::Xml));
        assert_eq!(response("/", &[], b""), Ok(Format::Xml));
        let xml = ("accept", "application/xml");
        assert_eq!(response("/?x=1&resFormat=JSON", &[xml], b""), Ok(Format::Json));
        assert_eq!(response("/?resFormat=xml&y=%ff", &[JSON], b"{}"), Ok(Format::Xml));
        assert_eq!(
            response("/?resFormat=YAML", &[], b""),
            Err(Fault::NotAllowed { part: "resFormat", allowed: &["XML", "JSON"] })
        );
    }

    #[test]
    fn a_document_goes_in_and_out() {
        let body = br#"{"chatMessage":{"text":"Hi"}}"#;
        let negotiated = negotiate(&post("/", &[JSON]), body).unwrap();
        let message = document(&negotiated, body, ChatMessage::read).unwrap();
        let response = created("http://h/m1", &message.write(), negotiated.response);
        assert_eq!(response.status(), StatusCode::CREATED);
        assert_eq!(response.headers().get("location").unwrap(), "http://h/m1");
        assert_eq!(response.headers().get("content-type").unwrap(), "application/json");
        let wrong = document(&negotiated, b"{\"chatMessage\":{}}", ChatMessage::read);
        assert_eq!(wrong, Err(Fault::Document(DocumentError::Missing { part: "text" })));
        let broken = document(&negotiated, b"{", ChatMessage::read);
        assert!(matches!(broken, Err(Fault::Body(_))));
    }

    fn post(path: &str, headers: &[(&'static str, &str)]) -> HttpRequest {
        let mut request = TestRequest::post().uri(path);
        for header in headers {
            request = request.append_header(*header);
        }
        request.to_http_request()
    }
}
