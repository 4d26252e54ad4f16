//! When something was recorded.

use std::fmt;
use std::time::Duration;

use time::{Date, Month, OffsetDateTime};

/// A time on the wall clock of whoever recorded, in nanoseconds since 1970 (UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(u64);

impl Moment {
    /// Makes a moment of seconds and nanoseconds since 1970; beyond the year 2554 is as far as it
    /// goes, for a damaged clock must not stop the reading.
    #[must_use]
    pub fn new(seconds: u64, nanoseconds: u64) -> Self {
        Self(seconds.saturating_mul(NANOS).saturating_add(nanoseconds))
    }

    /// Gives the nanoseconds since 1970.
    #[must_use]
    pub fn nanoseconds(self) -> u64 {
        self.0
    }

    /// Gives how long after `earlier` it was; zero where it was before that.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Reads a time of Unix as logs write it: `1700000000.020021`.
    pub(super) fn parse_unix(text: &str) -> Option<Self> {
        let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
        Some(Self::new(seconds.parse().ok()?, nanoseconds(fraction)?))
    }

    /// Reads a day such as `2023-11-14` or `2023/11/14` and a time of it such as `22:13:20.020021`.
    /// Logs do not tell their zone; it is taken for UTC.
    pub(super) fn parse_day_and_time(day: &str, time: &str) -> Option<Self> {
        let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
        let [year, month, day] = three(day, ['-', '/'])?;
        let [hour, minute, second] = three(time, [':', ':'])?;
        let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
        let day = u8::try_from(day).ok()?;
        let date = Date::from_calendar_date(i32::from(year), month, day).ok()?;
        let byte = |number: u16| u8::try_from(number).ok();
        let at = date.with_hms(byte(hour)?, byte(minute)?, byte(second)?).ok()?.assume_utc();
        Some(Self::new(u64::try_from(at.unix_timestamp()).ok()?, nanoseconds(fraction)?))
    }

    /// Reads a time such as `22:13:20.020021`, as one of the first day of 1970.
    pub(super) fn parse_time_of_day(time: &str) -> Option<Self> {
        Self::parse_day_and_time("1970-01-01", time)
    }

    /// Gives the same time of a later day.
    pub(super) fn days_later(self, days: u64) -> Self {
        Self(self.0.saturating_add(days.saturating_mul(86_400 * NANOS)))
    }

    /// Reads a time as RFC 3339 has it: `2023-11-14T22:13:20.020021+00:00`.
    pub(super) fn parse_rfc3339(text: &str) -> Option<Self> {
        let form = time::format_description::well_known::Rfc3339;
        let parsed = OffsetDateTime::parse(text, &form).ok()?;
        u64::try_from(parsed.unix_timestamp_nanos()).ok().map(Self)
    }
}

impl fmt::Display for Moment {
    /// Writes `2023-11-14T22:13:20.020021Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(at) = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0)) else {
            return f.write_str("no time");
        };
        let (year, month, day) = at.to_calendar_date();
        let (hour, minute, second, micros) = at.to_hms_micro();
        write!(f, "{year:04}-{:02}-{day:02}T", u8::from(month))?;
        write!(f, "{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

/// Reads three numbers with either of two signs between them.
fn three(text: &str, between: [char; 2]) -> Option<[u16; 3]> {
    let mut numbers = text.splitn(3, between).map(|number| number.parse().ok());
    Some([numbers.next()??, numbers.next()??, numbers.next()??])
}

/// Reads the digits behind a decimal point as nanoseconds; finer ones are cut off.
fn nanoseconds(fraction: &str) -> Option<u64> {
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    Some(digits.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

const NANOS: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_writing_it_is_the_same_moment() {
        let moment = Moment::new(1_700_000_000, 20_021_000);
        let at = Some(moment);
        assert_eq!(Moment::parse_unix("1700000000.020021"), at);
        assert_eq!(Moment::parse_day_and_time("2023/11/14", "22:13:20.020021"), at);
        assert_eq!(Moment::parse_rfc3339("2023-11-14T23:13:20.020021+01:00"), at);
        assert_eq!(moment.to_string(), "2023-11-14T22:13:20.020021Z");
    }

    #[test]
    fn nonsense_is_no_moment_and_far_away_is_no_panic() {
        assert_eq!(Moment::parse_unix("17.x"), None);
        assert_eq!(Moment::parse_day_and_time("2023-13-14", "22:13:20"), None);
        assert_eq!(Moment::parse_rfc3339("1969-12-31T00:00:00Z"), None);
        let far = Moment::new(u64::MAX, u64::MAX);
        assert!(far.to_string().starts_with("2554-"));
        assert_eq!(Moment::default().since(far), Duration::ZERO);
    }
}
