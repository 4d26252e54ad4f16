//! The bodies of the NOTIFYs of a REFER: a status line, and perhaps headers (RFC 3420).

use bytes::Bytes;

use crate::sip::{Body, Status};

/// Reads the status of the line that the body begins with (RFC 3515 section 2.4.5).
pub(in crate::sip) fn read_status(sipfrag: &[u8]) -> Option<Status> {
    let rest = sipfrag.trim_ascii_start();
    let (version, rest) = rest.split_at_checked(SIP_VERSION.len())?;
    let (code, rest) = rest.trim_ascii_start().split_at_checked(3)?;
    let is_whole = version.eq_ignore_ascii_case(SIP_VERSION)
        && rest.first().is_none_or(u8::is_ascii_whitespace)
        && code.iter().all(u8::is_ascii_digit);
    let code = std::str::from_utf8(code).ok()?.parse().ok()?;
    Status::new(code).filter(|_| is_whole)
}

/// Writes a status as the body of a NOTIFY; nothing else of a response is told to strangers (RFC
/// 3515 section 5.2).
pub(in crate::sip) fn status_body(status: Status) -> Body {
    let bytes = Bytes::from(format!("SIP/2.0 {status}\r\n"));
    Body { content_type: "message/sipfrag;version=2.0".to_owned(), bytes }
}

const SIP_VERSION: &[u8] = b"SIP/2.0 ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_that_of_the_first_line() {
        let code = |text: &str| read_status(text.as_bytes()).map(Status::code);
        assert_eq!(code("SIP/2.0 100 Trying\r\n"), Some(100));
        assert_eq!(code("\r\nSIP/2.0 486 Busy Here\r\nWarning: 399 x \"y\"\r\n"), Some(486));
        assert_eq!(code("sip/2.0  200"), Some(200));
        for nonsense in [
            "",
            "SIP/2.0",
            "SIP/2.0 ",
            "SIP/2.0 20",
            "SIP/2.0 2000",
            "SIP/2.0 700 x",
            "SIP/2.0 +20",
        ] {
            assert_eq!(code(nonsense), None, "{nonsense}");
        }
        assert_eq!(read_status(&status_body(Status::BUSY_HERE).bytes), Some(Status::BUSY_HERE));
    }
}
