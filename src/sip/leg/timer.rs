//! The session timer (RFC 4028): what is asked for, what is agreed, and when it is due.
//!
//! Headers in, headers and durations out; the clock is `renew`'s.

use std::time::Duration;

use super::Local;
use crate::sip::grammar::split_outside;
use crate::sip::{Headers, Request};

/// What we want of session timers, and what we tolerate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policy {
    /// Whether we take part at all.
    is_supported: bool,
    /// The interval that we ask for, in seconds; without one the peer may still ask.
    wanted: Option<u32>,
    /// The shortest interval that we tolerate, in seconds.
    least: u32,
}

/// The timer that both sides have agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SessionTimer {
    /// The session interval, in seconds.
    pub(super) seconds: u32,
    /// Whether the refreshes are ours to send.
    pub(super) is_ours: bool,
}

/// What a Session-Expires header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SessionExpires {
    seconds: u32,
    refresher: Option<Refresher>,
}

/// Who refreshes, seen from the request that bears the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refresher {
    Uac,
    Uas,
}

impl Policy {
    pub(super) fn of(local: &Local) -> Self {
        let seconds = |it: Duration| u32::try_from(it.as_secs()).unwrap_or(u32::MAX);
        let least = seconds(local.min_se).max(LEAST);
        Self {
            is_supported: local.supported.iter().any(|option| option == TIMER),
            wanted: local.session_expires.map(|wanted| seconds(wanted).max(least)),
            least,
        }
    }

    /// Writes what we ask for into a session refresh request (sections 7.1 and 7.4): the interval
    /// that holds, or else the one that we want, never less than the largest Min-SE that we were
    /// told. The roles stay as they are. Gives the interval.
    pub(super) fn ask(
        &self,
        headers: &mut Headers,
        current: Option<SessionTimer>,
        told: Option<u32>,
    ) -> Option<u32> {
        let told = told.filter(|_| self.is_supported);
        if let Some(told) = told {
            headers.set("Min-SE", &told.max(self.least).to_string());
        } else if self.is_supported && self.least > LEAST {
            headers.set("Min-SE", &self.least.to_string());
        }
        let seconds = current.map(|timer| timer.seconds).or(self.wanted)?;
        if !self.is_supported {
            return None;
        }
        let seconds = seconds.max(told.unwrap_or_default()).max(self.least);
        let refresher = match current {
            Some(SessionTimer { is_ours: true, .. }) => ";refresher=uac",
            Some(SessionTimer { is_ours: false, .. }) => ";refresher=uas",
            None => "",
        };
        headers.set(SESSION_EXPIRES, &format!("{seconds}{refresher}"));
        Some(seconds)
    }

    /// Reads what a 2xx to a request of ours, which asked for `asked` seconds, has settled
    /// (section 7.2). A peer that knows no timer leaves the refreshes to us, if we insist.
    pub(super) fn settled_by(&self, answer: &Headers, asked: Option<u32>) -> Option<SessionTimer> {
        if !self.is_supported {
            return None;
        }
        match SessionExpires::read(answer) {
            Some(SessionExpires { seconds, refresher }) => Some(SessionTimer {
                // Whoever answers with less than is permitted shall not make us hurry.
                seconds: seconds.max(LEAST),
                is_ours: refresher != Some(Refresher::Uas),
            }),
            None => {
                let seconds = self.wanted.and(asked)?;
                Some(SessionTimer { seconds, is_ours: true })
            }
        }
    }

    /// Gives the Min-SE for a 422, where a peer that understands it asks for less than we
    /// tolerate (section 9).
    pub(super) fn objects(&self, request: &Request) -> Option<u32> {
        let asked = SessionExpires::read(&request.headers)?;
        let understands = request.headers.lists("Supported", TIMER);
        (self.is_supported && understands && asked.seconds < self.least).then_some(self.least)
    }

    /// Settles the timer as the callee of `request`, and writes it into our 2xx (section 9). The
    /// caller refreshes unless it has chosen otherwise, or knows nothing of timers.
    pub(super) fn settle(&self, request: &Headers, answer: &mut Headers) -> Option<SessionTimer> {
        if !self.is_supported {
            return None;
        }
        let understands = request.lists("Supported", TIMER);
        let floor = min_se(request).unwrap_or(LEAST).max(LEAST);
        let (seconds, refresher) = match SessionExpires::read(request) {
            // A proxy asks for less than is permitted, and a 422 would only fail the call.
            Some(asked) if asked.seconds < LEAST => return None,
            Some(SessionExpires { seconds, refresher }) => {
                (self.wanted.map_or(seconds, |wanted| wanted.max(floor).min(seconds)), refresher)
            }
            None => (self.wanted.filter(|_| understands)?.max(floor), None),
        };
        let by_peer = understands && refresher != Some(Refresher::Uas);
        let refresher = if by_peer { "uac" } else { "uas" };
        if understands {
            answer.push("Require", TIMER);
        }
        answer.push(SESSION_EXPIRES, &format!("{seconds};refresher={refresher}"));
        Some(SessionTimer { seconds, is_ours: !by_peer })
    }
}

impl SessionTimer {
    /// Gives the time until a refresh of ours: half of the interval (section 7.2).
    pub(super) fn refresh_after(&self) -> Option<Duration> {
        self.is_ours.then(|| self.interval() / 2)
    }

    /// Gives the time until we say BYE for want of a refresh: a third of the interval before its
    /// end, but not more than 32 s before (section 10).
    pub(super) fn end_after(&self) -> Duration {
        self.interval() - (self.interval() / 3).min(MARGIN)
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }
}

impl SessionExpires {
    fn read(headers: &Headers) -> Option<Self> {
        let mut parts = split_outside(headers.get(SESSION_EXPIRES)?, b';');
        let seconds = delta(parts.next()?)?;
        let refresher = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            let is = |word: &str| value.trim().eq_ignore_ascii_case(word);
            match name.trim().eq_ignore_ascii_case("refresher") {
                true if is("uac") => Some(Refresher::Uac),
                true if is("uas") => Some(Refresher::Uas),
                _ => None,
            }
        });
        Some(Self { seconds, refresher })
    }
}

/// Reads the Min-SE of a 422 or of a request of the peer (section 5).
pub(super) fn min_se(headers: &Headers) -> Option<u32> {
    delta(split_outside(headers.get("Min-SE")?, b';').next()?)
}

/// Reads seconds; more than can be counted is the most that can.
fn delta(text: &str) -> Option<u32> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u32::MAX))
}

/// The option tag of RFC 4028.
pub(super) const TIMER: &str = "timer";

const SESSION_EXPIRES: &str = "Session-Expires";

/// No interval is shorter than 90 s, and without a Min-SE that is the minimum (section 5).
pub(super) const LEAST: u32 = 90;

/// How long before the end of the session the BYE goes out, at most (section 10).
const MARGIN: Duration = Duration::from_secs(32);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::sip::transaction::sample;
    use crate::sip::{Hop, Transport};

    #[test]
    fn the_header_is_read_in_all_its_forms() {
        let read = |value: &str| SessionExpires::read(&Headers::from_iter([("x", value)]));
        let some = |seconds, refresher| Some(SessionExpires { seconds, refresher });
        assert_eq!(read("1800"), some(1800, None));
        assert_eq!(read("1800;refresher=uas"), some(1800, Some(Refresher::Uas)));
        assert_eq!(read("90 ; a=b; Refresher = UAC"), some(90, Some(Refresher::Uac)));
        assert_eq!(read("90;refresher=both"), some(90, None));
        assert_eq!(read("99999999999999999999"), some(u32::MAX, None));
        assert_eq!(read("-1"), None);
        assert_eq!(read("soon"), None);
        assert_eq!(read(""), None);
    }

    #[test]
    fn the_callee_elects_as_table_2_says() {
        // Whether the caller supports timers, what it asks for, and what the 2xx says.
        for (supports, asked, answered) in [
            (false, Some("1800"), Some("1800;refresher=uas")),
            (true, Some("1800"), Some("1800;refresher=uac")),
            (true, Some("1800;refresher=uac"), Some("1800;refresher=uac")),
            (true, Some("1800;refresher=uas"), Some("1800;refresher=uas")),
            (true, Some("9000"), Some("3600;refresher=uac")),
            (true, None, Some("3600;refresher=uac")),
            (false, None, None),
            (false, Some("20"), None),
        ] {
            let mut request = Headers::new();
            if supports {
                request.push("Supported", "timer");
            }
            if let Some(asked) = asked {
                request.push("Session-Expires", asked);
            }
            let mut answer = Headers::new();
            let settled = policy(Some(3600), 90).settle(&request, &mut answer);
            assert_eq!(answer.get("Session-Expires"), answered, "{supports} {asked:?}");
            assert_eq!(answer.lists("Require", "timer"), supports, "{asked:?}");
            let ours = answered.map(|answered| answered.ends_with("uas"));
            assert_eq!(settled.map(|timer| timer.is_ours), ours);
        }
    }

    #[test]
    fn the_callee_neither_raises_the_interval_nor_goes_below_min_se() {
        let mut answer = Headers::new();
        let request = Headers::from_iter([
            ("Supported", "timer"),
            ("Session-Expires", "5000"),
            ("Min-SE", "4000"),
        ]);
        policy(Some(3600), 90).settle(&request, &mut answer);
        assert_eq!(answer.get("Session-Expires"), Some("4000;refresher=uac"));
        answer = Headers::new();
        let request = Headers::from_iter([("Supported", "timer"), ("Session-Expires", "200")]);
        policy(Some(3600), 90).settle(&request, &mut answer);
        assert_eq!(answer.get("Session-Expires"), Some("200;refresher=uac"));
    }

    #[test]
    fn only_a_caller_that_understands_is_refused() {
        let mut request = sample::request("INVITE");
        request.headers.push("Session-Expires", "100");
        assert_eq!(policy(None, 120).objects(&request), None);
        request.headers.push("Supported", "100rel, timer");
        assert_eq!(policy(None, 120).objects(&request), Some(120));
        assert_eq!(policy(None, 100).objects(&request), None);
        request.headers.set("Session-Expires", "60");
        assert_eq!(policy(None, 0).objects(&request), Some(90));
    }

    #[test]
    fn the_caller_takes_what_the_2xx_says() {
        let ours = Some(SessionTimer { seconds: 1800, is_ours: true });
        let settled = |value: &str, wanted, asked| {
            let headers = Headers::from_iter([("Session-Expires", value)]);
            policy(wanted, 90).settled_by(&headers, asked)
        };
        assert_eq!(settled("1800;refresher=uac", None, None), ours);
        assert_eq!(settled("1800", None, None), ours);
        let theirs = Some(SessionTimer { seconds: 1800, is_ours: false });
        assert_eq!(settled("1800;refresher=uas", Some(90), Some(90)), theirs);
        assert_eq!(settled("1;refresher=uac", None, None).unwrap().seconds, LEAST);
        // Only we know of timers: ours alone, if we want one at all.
        let silent = |wanted| policy(wanted, 90).settled_by(&Headers::new(), Some(1800));
        assert_eq!(silent(Some(1800)), ours);
        assert_eq!(silent(None), None);
    }

    #[test]
    fn requests_keep_the_interval_and_the_roles() {
        let asked = |current: Option<SessionTimer>, told| {
            let mut headers = Headers::new();
            policy(Some(1800), 90).ask(&mut headers, current, told);
            let get = |name| headers.get(name).unwrap_or_default().to_owned();
            (get("Session-Expires"), get("Min-SE"))
        };
        let both = |expires: &str, min: &str| (expires.to_owned(), min.to_owned());
        let timer = |is_ours| Some(SessionTimer { seconds: 600, is_ours });
        assert_eq!(asked(None, None), both("1800", ""));
        assert_eq!(asked(timer(true), None), both("600;refresher=uac", ""));
        assert_eq!(asked(timer(false), Some(700)), both("700;refresher=uas", "700"));
    }

    #[test]
    fn the_bye_goes_out_a_third_before_the_end_or_32_seconds() {
        let end = |seconds| SessionTimer { seconds, is_ours: false }.end_after().as_secs();
        assert_eq!(end(90), 60);
        assert_eq!(end(1800), 1768);
        let refresh = SessionTimer { seconds: 90, is_ours: true }.refresh_after();
        assert_eq!(refresh, Some(Duration::from_secs(45)));
    }

    #[test]
    fn without_the_option_tag_there_are_no_timers() {
        let mut local = Local::new(Hop::new(Transport::Udp, "h", 5060), "a");
        local.supported = Vec::new();
        local.session_expires = Some(Duration::from_secs(1800));
        let policy = Policy::of(&local);
        let mut headers = Headers::new();
        assert_eq!(policy.ask(&mut headers, None, Some(100)), None);
        assert!(headers.is_empty());
        let asked = Headers::from_iter([("Session-Expires", "1800;refresher=uac")]);
        assert_eq!(policy.settled_by(&asked, None), None);
        assert_eq!(policy.settle(&asked, &mut headers), None);
        assert!(headers.is_empty());
    }

    fn policy(wanted: Option<u64>, least: u64) -> Policy {
        let mut local = Local::new(Hop::new(Transport::Udp, "h", 5060), "a");
        local.supported = vec![TIMER.to_owned()];
        local.session_expires = wanted.map(Duration::from_secs);
        local.min_se = Duration::from_secs(least);
        Policy::of(&local)
    }
}
