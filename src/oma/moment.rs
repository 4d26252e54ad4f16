//! Times in documents: RFC 3339 or epoch milliseconds in, UTC without fraction out.

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// Reads an `xsd:dateTime` (without a zone: UTC) or milliseconds since 1970.
pub(super) fn read(text: &str) -> Option<OffsetDateTime> {
    let text = text.trim_ascii();
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let milliseconds: i64 = text.parse().ok()?;
        let nanoseconds = i128::from(milliseconds).checked_mul(1_000_000)?;
        return OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok();
    }
    let parse = |text: &str| OffsetDateTime::parse(text, &Rfc3339).ok();
    let moment = parse(text).or_else(|| parse(&format!("{text}Z")))?;
    moment.checked_to_offset(UtcOffset::UTC)
}

/// Writes a time; nothing for the years that RFC 3339 cannot write.
pub(super) fn write(moment: OffsetDateTime) -> Option<String> {
    let moment = moment.checked_to_offset(UtcOffset::UTC)?.replace_nanosecond(0).ok()?;
    moment.format(&Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_leniently_and_written_in_one_way() {
        let cases = [
            ("2011-07-28T17:51:59Z", Some("2011-07-28T17:51:59Z")),
            ("2011-07-28T19:51:59.75+02:00", Some("2011-07-28T17:51:59Z")),
            ("2011-07-28T17:51:59", Some("2011-07-28T17:51:59Z")),
            (" 1311875519750 ", Some("2011-07-28T17:51:59Z")),
            ("", None),
            ("yesterday", None),
            ("2011-13-28T17:51:59Z", None),
            ("99999999999999999999", None),
            ("9223372036854775807", None),
            ("0000-01-01T00:00:00+23:59", None),
        ];
        for (text, written) in cases {
            assert_eq!(read(text).and_then(write).as_deref(), written, "{text}");
        }
    }
}
