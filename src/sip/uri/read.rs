//! How a URI is taken apart (RFC 3261 section 25.1, RFC 3966 section 3).

use std::net::Ipv6Addr;

use super::{Parts, SipParts, Span, UriError};
use crate::sip::grammar::{ByteSet, split_at_byte};

/// Takes a text apart; every piece handed to it is a slice of `text`.
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
}

impl<'a> Reader<'a> {
    pub(super) fn sip(&self, rest: &'a str, secure: bool) -> Result<SipParts, UriError> {
        let (user, password, rest) = userinfo(rest)?;
        let (host, port, rest) = split_sent_by(rest)?;
        let (params, headers) = match split_at_byte(rest, b'?') {
            Some((params, headers)) => (params, Some(headers)),
            None => (rest, None),
        };
        let params = match params.strip_prefix(';') {
            Some(list) => check_params(list).map(|()| list)?,
            None if params.is_empty() => params,
            None if port.is_some() => return Err(UriError::BadPort),
            None => return Err(UriError::BadHost),
        };
        check_headers(headers)?;
        Ok(SipParts {
            secure,
            user: user.map(|it| self.span(it)),
            password: password.map(|it| self.span(it)),
            host: self.span(host),
            port,
            params: self.span(params),
            headers: headers.map(|it| self.span(it)),
        })
    }

    pub(super) fn tel(&self, rest: &'a str) -> Result<Parts, UriError> {
        let (number, params) = match split_at_byte(rest, b';') {
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
        params.map_or(Ok(()), check_params)?;
        let params = self.span(params.unwrap_or(&rest[rest.len()..]));
        Ok(Parts::Tel { number: self.span(number), params })
    }

    /// Where a slice of the text stands in it.
    pub(super) fn span(&self, piece: &str) -> Span {
        let start = piece.as_ptr() as usize - self.text.as_ptr() as usize;
        Span::new(start, start + piece.len())
    }
}

/// Takes `user[:password]@` off the front, where it stands.
#[inline]
fn userinfo(rest: &str) -> Result<(Option<&str>, Option<&str>, &str), UriError> {
    // Most users are plain, and nothing else is said of them.
    let (user, behind) = USER.split_run(rest);
    if let Some(behind) = behind.strip_prefix('@').filter(|_| !user.is_empty()) {
        return Ok((Some(user), None, behind));
    }
    let Some((userinfo, rest)) = split_at_byte(rest, b'@') else { return Ok((None, None, rest)) };
    let (user, password) = match split_at_byte(userinfo, b':') {
        Some((user, password)) => (user, Some(password)),
        None => (userinfo, None),
    };
    check(user, &USER, UriError::BadUser)?;
    if let Some(password) = password.filter(|it| !it.is_empty()) {
        check(password, &PASSWORD, UriError::BadUser)?;
    }
    Ok((Some(user), password, rest))
}

/// Splits `host[:port]` and nothing else, an IPv6 address in its brackets (RFC 5118 section 4.1).
pub(super) fn split_port(authority: &str) -> Result<(&str, Option<u16>), UriError> {
    match split_sent_by(authority)? {
        (host, port, "") => Ok((host, port)),
        (_, Some(_), _) => Err(UriError::BadPort),
        (_, None, _) => Err(UriError::BadHost),
    }
}

/// Splits `host[:port]` off the front of a text.
#[inline]
pub(in crate::sip) fn split_sent_by(text: &str) -> Result<(&str, Option<u16>, &str), UriError> {
    let (host, behind) = match text.starts_with('[') {
        true => text.split_at(text.find(']').ok_or(UriError::BadHost)? + 1),
        false => HOST_NAME.split_run(text),
    };
    // The bytes of a name have been looked at already.
    if host.is_empty() || host.starts_with('[') && !is_host(host) {
        return Err(UriError::BadHost);
    }
    let Some(behind) = behind.strip_prefix(':') else { return Ok((host, None, behind)) };
    let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
    let (port, behind) = behind.split_at(digits);
    Ok((host, Some(port.parse().map_err(|_| UriError::BadPort)?), behind))
}

pub(in crate::sip) fn parse_port(digits: &str) -> Result<u16, UriError> {
    let sound = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if sound { digits.parse().map_err(|_| UriError::BadPort) } else { Err(UriError::BadPort) }
}

/// A name, an IPv4 address, or an IPv6 address in brackets. Underscores are no part of a host
/// name, but of many that are in use.
pub(in crate::sip) fn is_host(host: &str) -> bool {
    match host.strip_prefix('[') {
        Some(inner) => {
            inner.strip_suffix(']').is_some_and(|literal| literal.parse::<Ipv6Addr>().is_ok())
        }
        None => !host.is_empty() && HOST_NAME.has_all(host),
    }
}

pub(in crate::sip) static HOST_NAME: ByteSet = ByteSet::alphanumeric_and(b"-._");

pub(super) fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|first: char| first.is_ascii_alphabetic()) && SCHEME.has_all(scheme)
}

static SCHEME: ByteSet = ByteSet::alphanumeric_and(b"+-.");

/// Bytes of the set and escapes, but never none.
fn check(part: &str, set: &ByteSet, error: UriError) -> Result<(), UriError> {
    if check_front(part.as_bytes(), set, error)?.is_empty() { Ok(()) } else { Err(error) }
}

/// Passes over bytes of the set and escapes, but never over none; gives what is behind them.
fn check_front<'a>(bytes: &'a [u8], set: &ByteSet, error: UriError) -> Result<&'a [u8], UriError> {
    let mut rest = bytes;
    loop {
        rest = match set.first_outside(rest) {
            Some(at) => rest.get(at..).unwrap_or_default(),
            None => &[],
        };
        match rest {
            [b'%', first, second, behind @ ..]
                if first.is_ascii_hexdigit() && second.is_ascii_hexdigit() =>
            {
                rest = behind;
            }
            [b'%', ..] => return Err(UriError::BadEscape),
            _ if rest.len() == bytes.len() => return Err(error),
            _ => return Ok(rest),
        }
    }
}

/// `unreserved` (RFC 3261 section 25.1) and what else a part may hold unescaped.
macro_rules! unreserved_and {
    ($others:literal) => {
        ByteSet::alphanumeric_and(concat!("-_.!~*'()", $others).as_bytes())
    };
}

pub(in crate::sip) static USER: ByteSet = unreserved_and!("&=+$,;?/#");
static PASSWORD: ByteSet = unreserved_and!("&=+$,");
pub(in crate::sip) static PARAM_NAME: ByteSet = unreserved_and!("[]/:&+$");
pub(in crate::sip) static PARAM_VALUE: ByteSet = unreserved_and!("[]/:&+$=");
static HEADER_NAME: ByteSet = unreserved_and!("[]/?:+$");
/// Wider than `hvalue` by the characters that clients leave unescaped in `Replaces`.
static HEADER_VALUE: ByteSet = unreserved_and!("[]/?:+$=@;,");

fn check_params(list: &str) -> Result<(), UriError> {
    let mut rest = list.as_bytes();
    loop {
        rest = check_front(rest, &PARAM_NAME, UriError::BadParam)?;
        if let [b'=', value @ ..] = rest {
            rest = check_front(value, &PARAM_VALUE, UriError::BadParam)?;
        }
        rest = match rest {
            [] => return Ok(()),
            [b';', more @ ..] => more,
            _ => return Err(UriError::BadParam),
        };
    }
}

fn check_headers(headers: Option<&str>) -> Result<(), UriError> {
    headers.into_iter().flat_map(|list| list.split('&')).try_for_each(|header| {
        let (name, value) = header.split_once('=').ok_or(UriError::BadHeaders)?;
        check(name, &HEADER_NAME, UriError::BadHeaders)?;
        if value.is_empty() { Ok(()) } else { check(value, &HEADER_VALUE, UriError::BadHeaders) }
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
