//! The relays of a session: AUTH and what comes of it (RFC 4976 section 5.1).
//!
//! ```text
//!          connected           200, more relays            200, the last one
//!  Absent ──────────▶ Asking ──────────────────▶ Asking ─────────────────────▶ Granted
//!                       ▲ │ 401, 423: ask again                                  │
//!                       └─┘                                                      │
//!                       ▲           half of the time that is granted is over     │
//!                       └────────────────────────────────────────────────────────┘
//!
//!  any refusal, silence, or a connection that is gone ──▶ Failed
//! ```
//! The first relay is asked directly, each next one through those before it. What the last one
//! gives is the way out; reversed and with our own URI behind, it is the way in. While a grant
//! still holds, a refusal only makes the next attempt come sooner.

use std::time::{Duration, Instant};

use super::frame::{Frame, Header, Kind, Method, TransactionId};
use super::limits::Limits;
use super::text::Text;
use super::uri::{Path, Uri};
use crate::digest::{Asked, Challenge, Credentials, Pledge};
use crate::ids::Random;

/// The relays that act for us, and how they know us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relays {
    /// The relays, the next one first: `msrps://relay.example.com;tcp`.
    pub uris: Vec<Uri>,
    /// What they are told when they ask.
    pub credentials: Credentials,
    /// For how long their services are asked for; without it they choose.
    pub expires: Option<Duration>,
    /// Whether the first relay may be asked without TLS, against RFC 4976 section 9.2: in a lab.
    pub allow_plain: bool,
}

/// Why relays are not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RelayError {
    /// None is named, or more than a session can use.
    #[error("a session has one to {MAX_RELAYS} relays")]
    Number,
    /// The first relay would be asked without TLS.
    #[error("a relay is asked over TLS only (RFC 4976 section 9.2)")]
    Plain,
    /// The session has begun without them.
    #[error("the session has begun already")]
    TooLate,
}

/// What a relay chain wants done, or tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RelayOutput {
    /// Write a request.
    Write(Box<Frame>),
    /// The way through the relays is another one from now on.
    Granted,
    /// There is no way through the relays (any more): the code of RFC 4975 section 10.
    Failed { code: u16 },
}

/// Asks the relays, one after the other, and again before their grant ends.
#[derive(Debug)]
pub(super) struct Chain {
    relays: Relays,
    us: Uri,
    response_wait: Duration,
    /// What each relay is answered when it asks who we are.
    pledges: Vec<Option<Pledge>>,
    state: State,
    /// The way that was last granted, and until when; some relays do not say.
    granted: Option<(Path, Option<Instant>)>,
}

#[derive(Debug)]
enum State {
    Absent {
        until: Instant,
    },
    Asking(Asking),
    Granted {
        /// When to ask anew.
        renew: Option<Instant>,
    },
    Failed,
}

/// A request that waits for its answer, within a round through the relays.
#[derive(Debug)]
struct Asking {
    tid: TransactionId,
    until: Instant,
    step: Step,
}

/// Whom to ask next, and what to ask.
#[derive(Debug, Clone)]
struct Step {
    relay: usize,
    /// The way through the relays before this one.
    way: Option<Path>,
    expires: Option<Duration>,
    /// How often this relay has been asked in this round.
    attempts: u8,
    /// The shortest of the times granted so far in this round.
    shortest: Option<Duration>,
}

impl Chain {
    /// Waits for the connection to the first relay.
    pub(super) fn new(
        now: Instant,
        relays: Relays,
        us: Uri,
        limits: &Limits,
    ) -> Result<Self, RelayError> {
        let first = relays.uris.first().ok_or(RelayError::Number)?;
        if relays.uris.len() > MAX_RELAYS {
            return Err(RelayError::Number);
        }
        if !first.secure() && !relays.allow_plain {
            return Err(RelayError::Plain);
        }
        let pledges = relays.uris.iter().map(|_| None).collect();
        let response_wait = limits.response_wait;
        let state = State::Absent { until: now + limits.connect_wait };
        Ok(Self { relays, us, response_wait, pledges, state, granted: None })
    }

    /// Gives the relay to connect to.
    pub(super) fn first(&self) -> &Uri {
        // The constructor has seen to it that there is one.
        self.relays.uris.first().unwrap_or(&self.us)
    }

    /// Tells whether the connection is still to come about.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self.state, State::Absent { .. })
    }

    /// Gives the way through the relays, from us outwards, once it is known.
    pub(super) fn way(&self) -> Option<&Path> {
        self.granted.as_ref().map(|(way, _)| way)
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Absent { until } => Some(*until),
            State::Asking(asking) => Some(asking.until),
            State::Granted { renew } => *renew,
            State::Failed => None,
        }
    }

    /// Starts, now that the connection to the first relay stands.
    pub(super) fn connected(&mut self, now: Instant, random: &mut Random) -> Option<RelayOutput> {
        if self.is_absent() { self.begin(now, random) } else { None }
    }

    /// Takes a response; `None` if it is no answer to a request of ours.
    pub(super) fn answered(
        &mut self,
        now: Instant,
        frame: &Frame,
        random: &mut Random,
    ) -> Option<Option<RelayOutput>> {
        let (Kind::Response { code, .. }, State::Asking(asking)) = (&frame.kind, &self.state)
        else {
            return None;
        };
        if asking.tid != frame.tid {
            return None;
        }
        let step = asking.step.clone();
        let again = step.attempts < MAX_ATTEMPTS;
        Some(match code {
            200 => self.granted(now, frame, step, random),
            401 if again && self.learn(frame, step.relay, random) => self.ask(now, step, random),
            423 => match bargain(frame, step.expires) {
                Some(fitting) if again => {
                    self.ask(now, Step { expires: Some(fitting), ..step }, random)
                }
                Some(_) | None => self.refused(now, 423),
            },
            code => self.refused(now, *code),
        })
    }

    /// Asks anew, or gives up, when the time has come.
    pub(super) fn timeout(&mut self, now: Instant, random: &mut Random) -> Option<RelayOutput> {
        match &self.state {
            State::Absent { until } if *until <= now => self.refused(now, 408),
            State::Asking(asking) if asking.until <= now => self.refused(now, 408),
            State::Granted { renew: Some(renew) } if *renew <= now => self.begin(now, random),
            State::Absent { .. } | State::Asking(_) | State::Granted { .. } | State::Failed => None,
        }
    }

    fn begin(&mut self, now: Instant, random: &mut Random) -> Option<RelayOutput> {
        let expires = self.relays.expires;
        let first = Step { relay: 0, way: None, expires, attempts: 0, shortest: None };
        self.ask(now, first, random)
    }

    fn ask(&mut self, now: Instant, step: Step, random: &mut Random) -> Option<RelayOutput> {
        let relay = self.relays.uris.get(step.relay)?.clone();
        let to_path = match &step.way {
            Some(way) => way.then(&Path::from(relay.clone())),
            None => Path::from(relay.clone()),
        };
        let tid = TransactionId::draw(random, b"");
        let us = Path::from(self.us.clone());
        let mut frame = Frame::request(Method::Auth, tid.clone(), to_path, us);
        if let Some(expires) = step.expires {
            frame.headers.push(header("Expires", &expires.as_secs().to_string()));
        }
        if let Some(Some(pledge)) = self.pledges.get_mut(step.relay) {
            // The URI that is hashed is the last one of To-Path (RFC 4976 section 9.1). Relays know
            // it, but some want it told, as RFC 2617 does.
            let asked = Asked { method: "AUTH", uri: relay.as_str(), body: b"" };
            let answer = pledge.answer(&self.relays.credentials, asked);
            frame.headers.push(header("Authorization", &answer.to_string()));
        }
        let (until, attempts) = (now + self.response_wait, step.attempts + 1);
        self.state = State::Asking(Asking { tid, until, step: Step { attempts, ..step } });
        Some(RelayOutput::Write(Box::new(frame)))
    }

    /// Remembers the strongest challenge that is ours to answer; `false` if there is none, or if it
    /// says that our answer was wrong.
    fn learn(&mut self, frame: &Frame, relay: usize, random: &mut Random) -> bool {
        let named =
            |header: &&Header| header.name.as_str().eq_ignore_ascii_case("WWW-Authenticate");
        let lines = frame.headers.iter().filter(named).map(|header| header.value.as_str());
        let challenges = lines.flat_map(Challenge::read_all).take(MAX_CHALLENGES);
        let ours = challenges.filter_map(|it| Pledge::new(&self.relays.credentials, it));
        // Relays have to protect the answer by a count (RFC 4976 section 9.1).
        let strongest = ours
            .filter(Pledge::is_protected)
            .reduce(|best, it| if it.strength() > best.strength() { it } else { best });
        let (Some(mut new), Some(place)) = (strongest, self.pledges.get_mut(relay)) else {
            return false;
        };
        if place.as_ref().is_some_and(|old| old.is_rejected_by(&new)) {
            return false;
        }
        new.begin(random.token());
        *place = Some(new);
        true
    }

    /// Goes on to the next relay, or is through.
    fn granted(
        &mut self,
        now: Instant,
        frame: &Frame,
        step: Step,
        random: &mut Random,
    ) -> Option<RelayOutput> {
        let Some(way) = frame.header("Use-Path").and_then(|path| Path::parse(path).ok()) else {
            return self.refused(now, 400);
        };
        if let Some(Some(pledge)) = self.pledges.get_mut(step.relay) {
            pledge.keep();
            if let Some(info) = frame.header("Authentication-Info") {
                pledge.take_info(info);
            }
        }
        let given = seconds(frame, "Expires").or(step.expires);
        let shortest = [step.shortest, given].into_iter().flatten().min();
        if step.relay + 1 < self.relays.uris.len() {
            let expires = self.relays.expires;
            let (relay, way) = (step.relay + 1, Some(way));
            return self.ask(now, Step { relay, way, expires, attempts: 0, shortest }, random);
        }
        let renew = shortest.map(|shortest| now + (shortest / 2).max(SOONEST));
        self.state = State::Granted { renew };
        let before = self.granted.replace((way.clone(), shortest.map(|shortest| now + shortest)));
        let changed = before.is_none_or(|(before, _)| before != way);
        changed.then_some(RelayOutput::Granted)
    }

    /// Gives up, unless what was granted before still holds long enough to ask once more.
    fn refused(&mut self, now: Instant, code: u16) -> Option<RelayOutput> {
        let until = self.granted.as_ref().and_then(|(_, until)| *until);
        let left = until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        if left > SOONEST {
            self.state = State::Granted { renew: Some(now + (left / 2).max(SOONEST)) };
            return None;
        }
        self.state = State::Failed;
        Some(RelayOutput::Failed { code })
    }
}

/// Gives the time to ask for where the one asked for was out of bounds.
fn bargain(frame: &Frame, asked: Option<Duration>) -> Option<Duration> {
    let least = seconds(frame, "Min-Expires").unwrap_or(Duration::ZERO);
    let most = seconds(frame, "Max-Expires").unwrap_or(Duration::MAX);
    let fitting = asked.unwrap_or(least).max(least).min(most);
    (asked != Some(fitting) && fitting > Duration::ZERO).then_some(fitting)
}

fn seconds(frame: &Frame, name: &str) -> Option<Duration> {
    let seconds: u32 = frame.header(name)?.parse().ok()?;
    Some(Duration::from_secs(seconds.into()))
}

fn header(name: &str, value: &str) -> Header {
    Header { name: Text::new(name), value: Text::new(value) }
}

/// Relays that a session can have; each of them lengthens every path.
pub const MAX_RELAYS: usize = 4;
/// Requests to one relay in one round: one without credentials, one with, one for a stale nonce,
/// and one for another time.
const MAX_ATTEMPTS: u8 = 4;
/// Challenges that are looked at in one response.
const MAX_CHALLENGES: usize = 16;
/// A relay is not asked more often, however short its grants are.
const SOONEST: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bytes::BytesMut;

    use super::super::parse::Parser;
    use super::*;
    use crate::digest::Password;

    #[test]
    fn a_relay_is_asked_challenges_and_gives_a_way() {
        let mut world = World::new(&["msrps://alice@intra.example.com;tcp"]);
        assert_eq!(
            world.connect(),
            "AUTH to msrps://alice@intra.example.com;tcp from msrps://us:9/s;tcp"
        );
        let told = world.answer(
            401,
            "WWW-Authenticate: Digest realm=\"intra.example.com\", qop=\"auth\", nonce=\"dcd9\"",
        );
        let (asked, answer) = told.split_once(" Authorization: ").unwrap();
        assert_eq!(asked, "AUTH to msrps://alice@intra.example.com;tcp from msrps://us:9/s;tcp");
        assert!(answer.starts_with(
            "Digest username=\"alice\", realm=\"intra.example.com\", nonce=\"dcd9\", \
             uri=\"msrps://alice@intra.example.com;tcp\", response=\""
        ));
        assert!(answer.ends_with("qop=auth, nc=00000001"), "{answer}");
        assert_eq!(
            world.answer(200, "Use-Path: msrps://intra.example.com:9000/jui;tcp\r\nExpires: 900"),
            "granted msrps://intra.example.com:9000/jui;tcp"
        );
        assert_eq!(world.answer(200, ""), "not ours");
    }

    /// The recorded AUTH of a client that Kamailio has let in, as far as it is not drawn.
    #[test]
    fn an_answer_is_what_a_live_relay_has_believed() {
        let line = r#"Digest realm="example.com", nonce="awFB4msBQLb+Jiu3QMnrZVhr1vAaofEHFlgaPoA=", qop="auth", opaque="abc123""#;
        let credentials = credentials("1234");
        let challenge = Challenge::read_all(line).next().unwrap();
        let mut pledge = Pledge::new(&credentials, challenge).unwrap();
        pledge.begin("c3a3c2b462c28e1d183b5e0ec3bc6cc381664d445e".to_owned());
        let uri = "msrp://example.com:22900;tcp";
        let answer = pledge.answer(&credentials, Asked { method: "AUTH", uri, body: b"" });
        assert_eq!(answer.response, "22c78f77799716a50c705e550dddb4a5");
    }

    #[test]
    fn the_next_relay_is_asked_through_the_one_before() {
        let mut world = World::new(&["msrps://b;tcp", "msrps://c;tcp"]);
        world.connect();
        assert_eq!(
            world.answer(200, "Use-Path: msrps://b:9000/b;tcp\r\nExpires: 900"),
            "AUTH to msrps://b:9000/b;tcp msrps://c;tcp from msrps://us:9/s;tcp"
        );
        assert_eq!(
            world.answer(
                200,
                "Use-Path: msrps://b:9000/b;tcp msrps://c:9000/c;tcp\r\nExpires: 1800"
            ),
            "granted msrps://b:9000/b;tcp msrps://c:9000/c;tcp"
        );
        assert_eq!(world.chain.next_timeout(), Some(world.now + Duration::from_secs(450)));
    }

    #[test]
    fn a_grant_is_renewed_at_half_of_its_time() {
        let mut world = World::granted("Expires: 900");
        assert_eq!(world.sleep(449), "");
        let asked = world.sleep(1);
        assert!(asked.ends_with("nc=00000002"), "the same nonce, counted on: {asked}");
        assert_eq!(
            world.answer(200, "Use-Path: msrps://r:1/x;tcp\r\nExpires: 900"),
            "",
            "as before"
        );
        world.sleep(450);
        let info = "Authentication-Info: nextnonce=\"n2\", qop=auth, nc=00000003";
        let way = "Use-Path: msrps://r:1/other;tcp\r\nExpires: 60";
        assert_eq!(world.answer(200, &format!("{way}\r\n{info}")), "granted msrps://r:1/other;tcp");
        let asked = world.sleep(30);
        assert!(asked.contains("nonce=\"n2\"") && asked.ends_with("nc=00000001"), "{asked}");
    }

    #[test]
    fn a_renewal_that_fails_is_tried_again_while_the_grant_holds() {
        let mut world = World::granted("Expires: 100");
        assert!(world.sleep(50).starts_with("AUTH"));
        assert_eq!(world.answer(500, ""), "");
        assert!(world.sleep(25).starts_with("AUTH"));
        assert_eq!(world.sleep(30), "failed 408", "no answer, and five seconds after its end");
        assert_eq!(world.chain.next_timeout(), None);
    }

    #[test]
    fn a_grant_without_an_end_is_not_renewed() {
        assert_eq!(World::granted("X: y").chain.next_timeout(), None);
        let mut world = World::new(&["msrps://r;tcp"]);
        world.chain.relays.expires = Some(Duration::from_secs(600));
        assert!(world.connect().ends_with("Expires: 600"));
        world.answer(200, "Use-Path: msrps://r:1/x;tcp");
        assert_eq!(world.chain.next_timeout(), Some(world.now + Duration::from_secs(300)));
    }

    #[test]
    fn a_time_out_of_bounds_is_asked_for_within_them() {
        let mut world = World::new(&["msrps://r;tcp"]);
        world.chain.relays.expires = Some(Duration::from_secs(60));
        world.connect();
        assert!(world.answer(423, "Min-Expires: 300").ends_with("Expires: 300"));
        assert!(world.answer(423, "Max-Expires: 200").ends_with("Expires: 200"));
        assert!(world.answer(423, "Min-Expires: 250").ends_with("Expires: 250"));
        assert_eq!(world.answer(423, "Max-Expires: 200"), "failed 423", "this goes on and on");
        for (asked, field) in [(60, "X: y"), (60, "Max-Expires: 0"), (60, "Min-Expires: 60")] {
            let mut world = World::new(&["msrps://r;tcp"]);
            world.chain.relays.expires = Some(Duration::from_secs(asked));
            world.connect();
            assert_eq!(world.answer(423, field), "failed 423", "{field}");
        }
    }

    #[test]
    fn credentials_that_are_not_believed_are_given_once() {
        for again in [
            r#"Digest realm="r", qop="auth", nonce="2""#,
            r#"Digest realm="r", qop="auth", nonce="1", stale=true"#,
            r#"Digest realm="r", nonce="3", stale=true"#,
            r#"Digest realm="other", nonce="3", stale=true, algorithm=MD6"#,
            r#"Basic realm="r""#,
        ] {
            let mut world = World::new(&["msrps://r;tcp"]);
            world.connect();
            let ours = r#"WWW-Authenticate: Digest realm="r", qop="auth", nonce="1""#;
            assert!(world.answer(401, ours).contains("nc=00000001"));
            assert_eq!(world.answer(401, &format!("WWW-Authenticate: {again}")), "failed 401");
        }
        let mut world = World::new(&["msrps://r;tcp"]);
        world.connect();
        world.answer(401, r#"WWW-Authenticate: Digest realm="r", qop="auth", nonce="1""#);
        let stale = r#"WWW-Authenticate: Digest realm="r", qop="auth", nonce="2", stale=true"#;
        assert!(world.answer(401, stale).contains("nonce=\"2\""));
    }

    #[test]
    fn an_answer_without_a_count_and_to_a_foreign_realm_is_not_given() {
        for challenge in [
            r#"Digest realm="r", nonce="1""#,
            r#"Digest realm="evil", nonce="1", qop="auth""#,
            r#"Basic realm="r""#,
        ] {
            let mut world = World::new(&["msrps://r;tcp"]);
            world.chain.relays.credentials.realms = vec!["r".to_owned()];
            world.connect();
            let told = world.answer(401, &format!("WWW-Authenticate: {challenge}"));
            assert_eq!(told, "failed 401", "{challenge}");
        }
    }

    #[test]
    fn the_strongest_challenge_is_answered() {
        let mut world = World::new(&["msrps://r;tcp"]);
        world.connect();
        let told = world.answer(
            401,
            "WWW-Authenticate: Digest realm=\"r\", nonce=\"1\", qop=\"auth\"\r\n\
             WWW-Authenticate: Digest realm=\"r\", nonce=\"2\", qop=\"auth\", algorithm=SHA-256",
        );
        assert!(told.contains("nonce=\"2\""), "{told}");
        assert!(told.contains("algorithm=SHA-256"), "{told}");
    }

    #[test]
    fn refusals_and_silence_are_told() {
        for (code, fields) in [(403, "X: y"), (501, "X: y"), (400, "X: y")] {
            let mut world = World::new(&["msrps://r;tcp"]);
            world.connect();
            assert_eq!(world.answer(code, fields), format!("failed {code}"));
        }
        for nowhere in ["X: y", "Use-Path:", "Use-Path: sip:r", "Use-Path: <msrps://r>"] {
            let mut world = World::new(&["msrps://r;tcp"]);
            world.connect();
            assert_eq!(world.answer(200, nowhere), "failed 400", "{nowhere}");
        }
        let mut world = World::new(&["msrps://r;tcp"]);
        world.connect();
        assert_eq!(world.sleep(29), "");
        assert_eq!(world.sleep(1), "failed 408");
        let mut world = World::new(&["msrps://r;tcp"]);
        assert_eq!(world.sleep(30), "failed 408", "no connection");
        assert_eq!(world.connect(), "", "too late");
    }

    #[test]
    fn relays_are_few_and_speak_tls() {
        let chain = |uris: &[&str], allow_plain: bool| {
            let uris = uris.iter().map(|uri| Uri::parse(uri).unwrap()).collect();
            let relays = Relays { uris, credentials: credentials("x"), expires: None, allow_plain };
            let us = Uri::parse("msrp://us:9/s;tcp").unwrap();
            Chain::new(Instant::now(), relays, us, &Limits::default()).err()
        };
        assert_eq!(chain(&[], false), Some(RelayError::Number));
        assert_eq!(chain(&["msrps://r;tcp"; 5], false), Some(RelayError::Number));
        assert_eq!(chain(&["msrp://r;tcp"], false), Some(RelayError::Plain));
        assert_eq!(chain(&["msrp://r;tcp"], true), None);
    }

    /// A chain, its clock, and the transaction that is open.
    struct World {
        chain: Chain,
        random: Random,
        now: Instant,
        tid: TransactionId,
    }

    impl World {
        fn new(uris: &[&str]) -> Self {
            let uris = uris.iter().map(|uri| Uri::parse(uri).unwrap()).collect();
            let credentials = credentials("secret");
            let relays = Relays { uris, credentials, expires: None, allow_plain: false };
            let us = Uri::parse("msrps://us:9/s;tcp").unwrap();
            let chain = Chain::new(Instant::now(), relays, us, &Limits::default()).unwrap();
            let tid = TransactionId::new("none").unwrap();
            Self { chain, random: Random::seeded(1), now: Instant::now(), tid }
        }

        /// Has been challenged, and let through for as long as `field` says.
        fn granted(field: &str) -> Self {
            let mut world = Self::new(&["msrps://r;tcp"]);
            world.connect();
            world.answer(401, r#"WWW-Authenticate: Digest realm="r", qop="auth", nonce="1""#);
            let way = format!("Use-Path: msrps://r:1/x;tcp\r\n{field}");
            assert_eq!(world.answer(200, &way), "granted msrps://r:1/x;tcp");
            world
        }

        fn connect(&mut self) -> String {
            let output = self.chain.connected(self.now, &mut self.random);
            self.shown(output)
        }

        fn sleep(&mut self, seconds: u64) -> String {
            self.now += Duration::from_secs(seconds);
            let output = self.chain.timeout(self.now, &mut self.random);
            self.shown(output)
        }

        fn answer(&mut self, code: u16, fields: &str) -> String {
            let tid = &self.tid;
            let bytes = format!(
                "MSRP {tid} {code}\r\nTo-Path: msrps://us:9/s;tcp\r\nFrom-Path: msrps://r;tcp\r\n\
                 {fields}\r\n-------{tid}$\r\n"
            );
            let bytes = bytes.replace("\r\n\r\n", "\r\n");
            let mut buffer = BytesMut::from(bytes.as_str());
            let frame = Parser::new(Limits::default()).next(&mut buffer).unwrap().unwrap();
            match self.chain.answered(self.now, &frame, &mut self.random) {
                Some(output) => self.shown(output),
                None => "not ours".to_owned(),
            }
        }

        fn shown(&mut self, output: Option<RelayOutput>) -> String {
            match output {
                None => String::new(),
                Some(RelayOutput::Failed { code }) => format!("failed {code}"),
                Some(RelayOutput::Granted) => format!("granted {}", self.chain.way().unwrap()),
                Some(RelayOutput::Write(frame)) => {
                    self.tid = frame.tid.clone();
                    assert_eq!(frame.kind, Kind::Request(Method::Auth));
                    let mut line = format!("AUTH to {} from {}", frame.to_path, frame.from_path);
                    for Header { name, value } in &frame.headers {
                        line += &format!(" {name}: {value}");
                    }
                    line
                }
            }
        }
    }

    fn credentials(password: &str) -> Credentials {
        let password = Password::Text(password.to_owned());
        Credentials { username: "alice".to_owned(), password, realms: Vec::new() }
    }
}
