//! Points in time as bodies write them.

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// Writes a point in time as CPIM, IMDN and isComposing want it: RFC 3339, UTC, full seconds.
#[must_use]
pub fn timestamp(at: OffsetDateTime) -> String {
    let at = at.to_offset(UtcOffset::UTC);
    let at = at.replace_nanosecond(0).unwrap_or(at);
    // Only years beyond 9999 have no RFC 3339 form; a machine's clock does not show them.
    at.format(&Rfc3339).unwrap_or_else(|_| "1970-01-01T00:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn time_is_written_in_utc_and_full_seconds() {
        let at = OffsetDateTime::parse("2016-03-24T08:51:42.75+01:00", &Rfc3339).unwrap();
        assert_eq!(timestamp(at), "2016-03-24T07:51:42Z");
    }
}
