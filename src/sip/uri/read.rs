//! How a URI is taken apart (RFC 3261 section 25.1, RFC 3966 section 3).

use std::net::Ipv6Addr;

use super::{Parts, SipParts, Span, UriError};

/// Takes a text apart; every piece handed to it is a slice of `text`.
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
}

impl<'a> Reader<'a> {
    pub(super) fn sip(&self, rest: &'a str, secure: bool) -> Result<SipParts, UriError> {
        let (userinfo, rest) = match rest.split_once('@') {
            Some((userinfo, rest)) => (Some(userinfo), rest),
            None => (None, rest),
        };
        let (user, password) = match userinfo.map(|it| it.split_once(':').ok_or(it)) {
            None => (None, None),
            Some(Ok((user, password))) => (Some(user), Some(password)),
            Some(Err(user)) => (Some(user), None),
        };
        if let Some(user) = user {
            check(user, b"&=+$,;?/#", UriError::BadUser)?;
        }
        if let Some(password) = password.filter(|it| !it.is_empty()) {
            check(password, b"&=+$,", UriError::BadUser)?;
        }
        let (rest, headers) = match rest.split_once('?') {
            Some((rest, headers)) => (rest, Some(headers)),
            None => (rest, None),
        };
        let (authority, params) = match rest.split_once(';') {
            Some((authority, params)) => (authority, Some(params)),
            None => (rest, None),
        };
        let (host, port) = split_port(authority)?;
        check_params(params)?;
        check_headers(headers)?;
        Ok(SipParts {
            secure,
            user: user.map(|it| self.span(it)),
            password: password.map(|it| self.span(it)),
            host: self.span(host),
            port,
            params: self.span(params.unwrap_or(&rest[rest.len()..])),
            headers: headers.map(|it| self.span(it)),
        })
    }

    pub(super) fn tel(&self, rest: &'a str) -> Result<Parts, UriError> {
        let (number, params) = match rest.split_once(';') {
            Some((number, params)) => (number, Some(params)),
            None => (rest, None),
        };
        let digits = number.strip_prefix('+').unwrap_or(number);
        let global = digits.len() < number.len();
        let is_digit = |byte: u8| match byte {
            b'0'..=b'9' => true,
            b'a'..=b'f' | b'A'..=b'F' | b'*' | b'#' => !global,
            _ => false,
        };
        let sound = digits.bytes().all(|byte| is_digit(byte) || b"-.()".contains(&byte));
        if !sound || !digits.bytes().any(is_digit) {
            return Err(UriError::BadNumber);
        }
        check_params(params)?;
        let params = self.span(params.unwrap_or(&rest[rest.len()..]));
        Ok(Parts::Tel { number: self.span(number), params })
    }

    /// Where a slice of the text stands in it.
    pub(super) fn span(&self, piece: &str) -> Span {
        let start = piece.as_ptr() as usize - self.text.as_ptr() as usize;
        Span { start, end: start + piece.len() }
    }
}

/// Splits `host[:port]`, an IPv6 address in its brackets (RFC 5118 section 4.1).
pub(in crate::sip) fn split_port(authority: &str) -> Result<(&str, Option<u16>), UriError> {
    let colon = match authority.rfind(']') {
        Some(bracket) => match authority.get(bracket + 1..) {
            Some("") => None,
            _ => Some(bracket + 1),
        },
        None if authority.starts_with('[') => return Err(UriError::BadHost),
        None => authority.find(':'),
    };
    let (host, port) = match colon {
        Some(at) => {
            let digits = authority[at..].strip_prefix(':').ok_or(UriError::BadHost)?;
            (&authority[..at], Some(parse_port(digits)?))
        }
        None => (authority, None),
    };
    if is_host(host) { Ok((host, port)) } else { Err(UriError::BadHost) }
}

fn parse_port(digits: &str) -> Result<u16, UriError> {
    let sound = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if sound { digits.parse().map_err(|_| UriError::BadPort) } else { Err(UriError::BadPort) }
}

/// A name, an IPv4 address, or an IPv6 address in brackets. Underscores are no part of a host
/// name, but of many that are in use.
fn is_host(host: &str) -> bool {
    match host.strip_prefix('[') {
        Some(inner) => {
            inner.strip_suffix(']').is_some_and(|literal| literal.parse::<Ipv6Addr>().is_ok())
        }
        None => {
            let named = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            !host.is_empty() && host.bytes().all(named)
        }
    }
}

pub(super) fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// `unreserved`, escapes, and what else this part may hold; never empty.
fn check(part: &str, extra: &[u8], error: UriError) -> Result<(), UriError> {
    if part.is_empty() {
        return Err(error);
    }
    let bytes = part.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        let lawful = byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte);
        if byte == b'%' {
            let hex = bytes.get(at + 1..at + 3).ok_or(UriError::BadEscape)?;
            if !hex.iter().all(u8::is_ascii_hexdigit) {
                return Err(UriError::BadEscape);
            }
        } else if !lawful && !extra.contains(&byte) {
            return Err(error);
        }
    }
    Ok(())
}

fn check_params(params: Option<&str>) -> Result<(), UriError> {
    params.into_iter().flat_map(|list| list.split(';')).try_for_each(|param| {
        let (name, value) = param.split_once('=').unwrap_or((param, "-"));
        check(name, b"[]/:&+$", UriError::BadParam)?;
        check(value, b"[]/:&+$=", UriError::BadParam)
    })
}

/// Wider than `hvalue` by the characters that clients leave unescaped in `Replaces`.
fn check_headers(headers: Option<&str>) -> Result<(), UriError> {
    headers.into_iter().flat_map(|list| list.split('&')).try_for_each(|header| {
        let (name, value) = header.split_once('=').ok_or(UriError::BadHeaders)?;
        check(name, b"[]/?:+$", UriError::BadHeaders)?;
        if value.is_empty() { Ok(()) } else { check(value, b"[]/?:+$=@;,", UriError::BadHeaders) }
    })
}

#[cfg(test)]
mod tests {
    use super::super::{MAX_URI, Uri, UriError};

    #[test]
    fn a_bad_uri_names_its_fault() {
        for (text, error) in [
            ("", UriError::NoScheme),
            ("alice", UriError::NoScheme),
            ("sip:", UriError::NoScheme),
            ("1sip:a@b", UriError::NoScheme),
            ("sip:a b@c", UriError::BadCharacter),
            ("sip:a@b\r\nRoute: c", UriError::BadCharacter),
            ("<sip:a@b>", UriError::BadCharacter),
            ("sip:@b", UriError::BadUser),
            ("sip:a|b@c", UriError::BadUser),
            ("sip:a%4@b", UriError::BadEscape),
            ("sip:a%zz@b", UriError::BadEscape),
            ("sip:a%é@b", UriError::BadEscape),
            ("sip:a@", UriError::BadHost),
            ("sip:a@b@c", UriError::BadHost),
            ("sip:a@[::1", UriError::BadHost),
            ("sip:a@[::1]x", UriError::BadHost),
            ("sip:a@[1.2.3.4]", UriError::BadHost),
            ("sip:2001:db8::10", UriError::BadPort),
            ("sip:a@b:", UriError::BadPort),
            ("sip:a@b:+5", UriError::BadPort),
            ("sip:a@b:65536", UriError::BadPort),
            ("sip:a@b;", UriError::BadParam),
            ("sip:a@b;;lr", UriError::BadParam),
            ("sip:a@b;x=", UriError::BadParam),
            ("sip:a@b?", UriError::BadHeaders),
            ("sip:a@b?x", UriError::BadHeaders),
            ("tel:", UriError::NoScheme),
            ("tel:+", UriError::BadNumber),
            ("tel:+12a", UriError::BadNumber),
            ("tel:alice", UriError::BadNumber),
        ] {
            assert_eq!(Uri::parse(text), Err(error), "{text}");
        }
        let long = format!("sip:{}@b", "a".repeat(MAX_URI));
        assert_eq!(Uri::parse(&long), Err(UriError::TooLong));
    }
}
