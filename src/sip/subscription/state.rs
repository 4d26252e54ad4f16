//! What the headers of RFC 6665 say: the event, the state of a subscription, and why it ended.

use std::fmt;
use std::time::Duration;

use crate::sip::grammar::{find_param, is_token, parse_params, trimmed};
use crate::sip::views::parse_number;
use crate::sip::{Headers, Status};

/// An event package with the `id` that tells subscriptions of one dialog apart (RFC 6665 section
/// 8.2.1). `==` compares as that section says: byte by byte, other parameters left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventType {
    /// The package, with its templates.
    pub package: String,
    /// The `id`, deprecated but still in use with REFER.
    pub id: Option<String>,
}

impl EventType {
    /// Names a package.
    #[must_use]
    pub fn new(package: impl Into<String>) -> Self {
        Self { package: package.into(), id: None }
    }

    /// Reads the Event header; `None` where there is none, or one that cannot be read.
    #[must_use]
    pub fn of(headers: &Headers) -> Option<Self> {
        let value = headers.get("Event")?;
        let (package, params) = value.split_at(value.find(';').unwrap_or(value.len()));
        let params = parse_params(params).ok()?;
        let id = find_param(&params, "id").filter(|id| !id.is_empty()).map(str::to_owned);
        let package = trimmed(package);
        is_token(package).then(|| Self { package: package.to_owned(), id })
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.package)?;
        self.id.iter().try_for_each(|id| write!(f, ";id={id}"))
    }
}

/// What Subscription-State says (RFC 6665 sections 4.1.3 and 8.2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubscriptionState {
    /// The subscription is accepted.
    Active {
        /// The seconds that remain, if the notifier told.
        expires: Option<u32>,
    },
    /// Nobody has decided yet; also what a state that we do not know comes to.
    Pending {
        /// The seconds that remain, if the notifier told.
        expires: Option<u32>,
    },
    /// The subscription has ended.
    Terminated(Ending),
}

/// How a notifier ends a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Why, if the notifier told.
    pub reason: Option<EndReason>,
    /// How long to stay away, if the notifier told.
    pub retry_after: Option<Duration>,
}

/// Why a notifier ends a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndReason {
    /// It is to be served elsewhere.
    Deactivated,
    /// It is not welcome now.
    Probation,
    /// It is not permitted any more.
    Rejected,
    /// It was not refreshed, or was a fetch.
    Timeout,
    /// Nobody could be found who might permit it.
    GiveUp,
    /// What was watched is no more.
    NoResource,
    /// What was watched will not change.
    Invariant,
    /// Another token.
    Other(String),
}

/// When a subscription that has ended may be asked for again, in a dialog of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// At once.
    AtOnce,
    /// After this time.
    After(Duration),
    /// Not at all.
    Never,
}

/// What a reason asks of the subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Advice {
    /// Come back at once, whatever Retry-After says.
    AtOnce,
    /// Come back after the time that was told, or after [`LATER`].
    Later,
    /// Stay away, whatever Retry-After says.
    Never,
}

/// The reasons with what each means (RFC 6665 section 4.1.3).
static REASONS: [(EndReason, &str, Advice, &str); 7] = [
    (EndReason::Deactivated, "deactivated", Advice::AtOnce, "another node takes it over"),
    (EndReason::Probation, "probation", Advice::Later, "not now"),
    (EndReason::Rejected, "rejected", Advice::Never, "the policy has changed"),
    (EndReason::Timeout, "timeout", Advice::AtOnce, "a refresh was missed, or not wanted"),
    (EndReason::GiveUp, "giveup", Advice::Later, "at once it would only be pending again"),
    (EndReason::NoResource, "noresource", Advice::Never, "there is nothing to watch"),
    (EndReason::Invariant, "invariant", Advice::Never, "there is nothing to wait for"),
];

impl EndReason {
    /// Gives the token of the header.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match (self, self.row()) {
            (_, Some((_, token, ..))) => token,
            (Self::Other(token), None) => token,
            (_, None) => "",
        }
    }

    fn row(&self) -> Option<&'static (Self, &'static str, Advice, &'static str)> {
        REASONS.iter().find(|(reason, ..)| reason == self)
    }

    fn read(token: &str) -> Self {
        let known = REASONS.iter().find(|(_, known, ..)| token.eq_ignore_ascii_case(known));
        known.map_or_else(|| Self::Other(token.to_owned()), |(reason, ..)| reason.clone())
    }

    fn advice(&self) -> Advice {
        // Without a reason that we know we may come back at any time (section 4.1.3): not at once,
        // lest two who do not understand each other ask and refuse for ever.
        self.row().map_or(Advice::Later, |(_, _, advice, _)| *advice)
    }
}

impl Ending {
    /// For this reason, with nothing said of when to come back.
    #[must_use]
    pub fn because(reason: EndReason) -> Self {
        Self { reason: Some(reason), retry_after: None }
    }

    /// Tells when the subscription may be asked for again.
    #[must_use]
    pub fn again(&self) -> Again {
        match self.reason.as_ref().map_or(Advice::Later, EndReason::advice) {
            Advice::AtOnce => Again::AtOnce,
            Advice::Later => Again::After(self.retry_after.unwrap_or(LATER)),
            Advice::Never => Again::Never,
        }
    }
}

impl SubscriptionState {
    /// Reads the header; `None` where there is none, or one that cannot be read.
    #[must_use]
    pub fn of(headers: &Headers) -> Option<Self> {
        let value = headers.get("Subscription-State")?;
        let (state, params) = value.split_at(value.find(';').unwrap_or(value.len()));
        let (state, params) = (trimmed(state), parse_params(params).ok()?);
        let seconds = |name| find_param(&params, name).and_then(parse_number);
        let expires = seconds("expires");
        if state.eq_ignore_ascii_case("active") {
            return Some(Self::Active { expires });
        }
        if state.eq_ignore_ascii_case("terminated") {
            let reason = find_param(&params, "reason").filter(|reason| is_token(reason));
            let retry_after = seconds("retry-after").map(|seconds| {
                Duration::from_secs(seconds.into()).clamp(SHORTEST_WAIT, LONGEST_WAIT)
            });
            let reason = reason.map(EndReason::read);
            return Some(Self::Terminated(Ending { reason, retry_after }));
        }
        is_token(state).then_some(Self::Pending { expires })
    }

    /// Tells whether this is the end.
    #[must_use]
    pub fn is_terminated(&self) -> bool {
        matches!(self, Self::Terminated(_))
    }

    /// Gives the seconds that remain, if the notifier told.
    #[must_use]
    pub fn expires(&self) -> Option<u32> {
        match self {
            Self::Active { expires } | Self::Pending { expires } => *expires,
            Self::Terminated(_) => None,
        }
    }
}

impl fmt::Display for SubscriptionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active { .. } => "active",
            Self::Pending { .. } => "pending",
            Self::Terminated(_) => "terminated",
        })?;
        if let Some(seconds) = self.expires() {
            write!(f, ";expires={seconds}")?;
        }
        if let Self::Terminated(ending) = self {
            if let Some(reason) = &ending.reason {
                write!(f, ";reason={}", reason.as_str())?;
            }
            if let Some(wait) = ending.retry_after {
                write!(f, ";retry-after={}", wait.as_secs())?;
            }
        }
        Ok(())
    }
}

/// Why a subscription stands no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The notifier said so, or we asked for it.
    ByNotifier(Ending),
    /// A refresh was refused with this status.
    Refused(Status),
    /// No NOTIFY came after a SUBSCRIBE (Timer N), or the notifier could not be left in order.
    Silence,
    /// Its time passed without a refresh.
    Expired,
}

impl Ended {
    /// Tells when the subscription may be asked for again, in a dialog of its own.
    #[must_use]
    pub fn again(&self) -> Again {
        match self {
            Self::ByNotifier(ending) => ending.again(),
            // The notifier has forgotten us, but not the resource (RFC 6665 section 4.1.2.2).
            Self::Refused(Status::CALL_DOES_NOT_EXIST) | Self::Expired => Again::AtOnce,
            Self::Refused(_) | Self::Silence => Again::After(RETRY),
        }
    }
}

/// Tells whether a type of body is among those that Accept lists; parameters are passed over.
pub(super) fn accepts<'a>(mut list: impl Iterator<Item = &'a str>, content_type: &str) -> bool {
    let bare = |value: &str| {
        let bare = value.split(';').next().unwrap_or_default();
        trimmed(bare).to_ascii_lowercase()
    };
    let wanted = bare(content_type);
    let main = wanted.split('/').next().unwrap_or_default();
    list.any(|listed| match bare(listed).as_str() {
        "*/*" => true,
        listed => listed == wanted || listed.strip_suffix("/*").is_some_and(|it| it == main),
    })
}

/// When to ask again where nobody has told.
const RETRY: Duration = Duration::from_secs(60);

/// How long to stay away where the notifier wants it, but does not say how long.
const LATER: Duration = Duration::from_secs(60);

/// The bounds within which we do as a retry-after tells: neither at once for ever, nor never.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(366 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_says_when_to_come_back() {
        let minute = Again::After(Duration::from_secs(60));
        let told = Again::After(Duration::from_secs(9));
        for (token, again, again_when_told) in [
            ("deactivated", Again::AtOnce, Again::AtOnce),
            ("probation", minute, told),
            ("rejected", Again::Never, Again::Never),
            ("timeout", Again::AtOnce, Again::AtOnce),
            ("giveup", minute, told),
            ("noresource", Again::Never, Again::Never),
            ("invariant", Again::Never, Again::Never),
            ("whim", minute, told),
        ] {
            let state = read(&format!("terminated;reason={token}"));
            let Some(SubscriptionState::Terminated(ending)) = state else { panic!("{token}") };
            assert_eq!(ending.again(), again, "{token}");
            let state = read(&format!("Terminated ; retry-after=9 ; reason={token}"));
            let Some(SubscriptionState::Terminated(ending)) = state else { panic!("{token}") };
            assert_eq!(ending.again(), again_when_told, "{token}");
            assert_eq!(ending.reason.as_ref().map(EndReason::as_str), Some(token));
        }
        let Some(SubscriptionState::Terminated(mute)) = read("terminated") else { panic!() };
        assert_eq!(mute.again(), minute);
        assert!(REASONS.iter().all(|(.., why)| !why.is_empty()));
    }

    #[test]
    fn a_state_is_read_as_it_is_written() {
        for text in [
            "active;expires=59",
            "active",
            "pending;expires=600",
            "terminated;reason=noresource",
            "terminated;reason=probation;retry-after=30",
            "terminated",
        ] {
            assert_eq!(read(text).map(|state| state.to_string()).as_deref(), Some(text));
        }
        assert_eq!(
            read("waiting;expires=4"),
            Some(SubscriptionState::Pending { expires: Some(4) })
        );
        assert_eq!(read("active;expires=-1"), Some(SubscriptionState::Active { expires: None }));
        for nonsense in ["", ";", "a b", "active;;", "active;expires=\"", "terminated;=x"] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn events_are_compared_by_package_and_id() {
        let event = |text| EventType::of(&Headers::from_iter([("o", text)]));
        assert_eq!(event("foo; id=1234"), event("foo; param=abcd; id=1234"));
        assert_ne!(event("foo; id=1234"), event("foo"));
        assert_ne!(event("foo"), event("Foo"));
        assert_eq!(event("refer;id=7").map(|it| it.to_string()).as_deref(), Some("refer;id=7"));
        assert_eq!(event("a b"), None);
        assert_eq!(event(""), None);
    }

    #[test]
    fn a_type_is_accepted_by_name_by_family_or_with_all() {
        let accepts = |list: &str, wanted| accepts(list.split(','), wanted);
        assert!(accepts(
            "text/plain, application/Conference-info+xml;q=1",
            "application/conference-info+xml"
        ));
        assert!(accepts("message/*", "message/sipfrag;version=2.0"));
        assert!(accepts("*/*", "a/b"));
        assert!(!accepts("text/*, application/sdp", "application/x"));
        assert!(!accepts("", "a/b"));
    }

    fn read(value: &str) -> Option<SubscriptionState> {
        SubscriptionState::of(&Headers::from_iter([("Subscription-State", value)]))
    }
}
