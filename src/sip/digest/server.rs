//! The server: makes challenges, and believes an answer once (RFC 3261 section 22.4, RFC 7616
//! section 3.3 and 5).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Asker, answers};
use crate::digest::{Algorithm, Answer, AnswerProtection, Challenge, Password, Qop, realms};
use crate::ids::Random;
use crate::sip::grammar::unquoted;
use crate::sip::seal::same;
use crate::sip::{Headers, Request, Response, Seal, Uri};

/// Guards one realm.
///
/// A nonce carries the time of its making and a keyed hash, so that a challenge costs no memory;
/// only nonces whose answer was right are remembered, with the counts that were used.
#[derive(Debug)]
pub struct DigestServer {
    settings: DigestSettings,
    random: Random,
    seal: Seal,
    /// The times of nonces count from here.
    start: Instant,
    /// The counts seen, by the age and the salt of the nonce.
    windows: BTreeMap<(u64, String), Window>,
    /// Nonces from before have been forgotten, and are stale.
    forgotten_until: u64,
}

/// What a [`DigestServer`] asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestSettings {
    /// The realm.
    pub realm: String,
    /// The algorithms offered, the preferred one first (RFC 8760 section 2.4). One that is not
    /// offered is not taken.
    pub algorithms: Vec<Algorithm>,
    /// The protections offered. The way of RFC 2069, which has no count, is not taken.
    pub qops: Vec<Qop>,
    /// How long a nonce is good.
    pub lifetime: Duration,
    /// How many nonces are remembered at most; older ones become stale.
    pub max_nonces: usize,
}

impl DigestSettings {
    /// Asks in the way of RFC 8760: SHA-256 first, MD5 for those who know nothing better.
    #[must_use]
    pub fn new(realm: impl Into<String>) -> Self {
        Self {
            realm: realm.into(),
            algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
            qops: vec![Qop::Auth, Qop::AuthInt],
            lifetime: Duration::from_secs(300),
            max_nonces: 10_000,
        }
    }
}

/// What a [`DigestServer`] makes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The request is from this user. Whether he may say what the request says, above all be the
    /// one in From or To, is for the caller to decide.
    Granted {
        /// The name, without the escapes of a quoted string.
        username: String,
    },
    /// The request has no answer for this realm: to be challenged.
    Missing,
    /// The answer is right, but its nonce is too old, unknown or used up: to be challenged with
    /// `stale`, so that nobody is asked for his password again.
    Stale,
    /// The answer is wrong: to be refused, or challenged again.
    Denied,
}

/// Which counts of a nonce have been used: the highest, and a bit for each of the 64 up to it.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    highest: u32,
    used: u64,
}

impl DigestServer {
    /// Begins with a fresh key, to which the nonces of a former life are unknown.
    #[must_use]
    pub fn new(now: Instant, settings: DigestSettings, mut random: Random) -> Self {
        let (seal, windows) = (Seal::new(&mut random), BTreeMap::new());
        Self { settings, random, seal, start: now, windows, forgotten_until: 0 }
    }

    /// Puts a challenge into a 401 or 407, one line for each algorithm.
    pub fn challenge(&mut self, now: Instant, response: &mut Response, asker: Asker, stale: bool) {
        let nonce = self.make_nonce(now);
        for algorithm in &self.settings.algorithms {
            let challenge = Challenge {
                realm: self.settings.realm.clone(),
                nonce: nonce.clone(),
                opaque: None,
                domain: None,
                algorithm: Some(*algorithm),
                qops: Some(self.settings.qops.clone()),
                stale,
            };
            response.headers.push(asker.challenge_header(), &challenge.to_string());
        }
    }

    /// Judges a request. `password_of` gives the password of a user, for this algorithm.
    ///
    /// Repetitions of a request must not come here: to them, the count is used up. A user who does
    /// not exist costs the same time as a wrong password.
    pub fn verify(
        &mut self,
        now: Instant,
        request: &Request,
        asker: Asker,
        password_of: impl FnOnce(&str, Algorithm) -> Option<Password>,
    ) -> Verdict {
        let mut answers = answers(&request.headers, asker).into_iter();
        let ours = |it: &Answer| it.realm == self.settings.realm && !it.is_introduction();
        let Some(answer) = answers.find(ours) else {
            return Verdict::Missing;
        };
        let Some(protection) = self.acceptable(&answer, request) else { return Verdict::Denied };
        let username = unquoted(&format!("\"{}\"", answer.username)).into_owned();
        let password = password_of(&username, answer.algorithm());
        let secret = password.as_ref().and_then(|password| password.for_nonce(&answer.nonce));
        let exists = secret.is_some();
        let secret = secret.unwrap_or_default();
        let expected = answer.expected(request.method.as_str(), &request.body, &secret);
        let given = answer.response.to_ascii_lowercase();
        if !(same(expected.as_bytes(), given.as_bytes()) && exists) {
            return Verdict::Denied;
        }
        if self.spend(now, &answer.nonce, protection.count) {
            Verdict::Granted { username }
        } else {
            Verdict::Stale
        }
    }

    /// Takes the answers to our realm off a request that goes on: they are for us alone (RFC 7235
    /// section 4.4). Those to other realms stay.
    pub fn take_answers(&self, headers: &mut Headers, asker: Asker) {
        let name = asker.answer_header();
        let lines: Vec<_> = headers.all(name).map(str::to_owned).collect();
        headers.remove(name);
        let is_ours = |line: &&String| realms(line).any(|realm| realm == self.settings.realm);
        lines.iter().filter(|line| !is_ours(line)).for_each(|line| headers.push(name, line));
    }

    /// Whether the answer is in a form that we have offered, and for this very request (RFC 7616
    /// section 3.4.6).
    fn acceptable<'a>(
        &self,
        answer: &'a Answer,
        request: &Request,
    ) -> Option<&'a AnswerProtection> {
        let protection = answer.protection.as_ref()?;
        let same_uri = answer.uri == request.uri.as_str()
            || Uri::parse(&answer.uri).is_ok_and(|uri| uri.equivalent(&request.uri));
        let offered = self.settings.algorithms.contains(&answer.algorithm())
            && self.settings.qops.contains(&protection.qop);
        (offered && same_uri && protection.count > 0).then_some(protection)
    }

    /// Uses a count of a nonce; tells whether nonce and count were still good.
    fn spend(&mut self, now: Instant, nonce: &str, count: u32) -> bool {
        let Some((made, salt)) = self.read_nonce(nonce) else { return false };
        let lifetime = u64::try_from(self.settings.lifetime.as_millis()).unwrap_or(u64::MAX);
        let oldest = self.age(now).saturating_sub(lifetime).max(self.forgotten_until);
        self.windows = self.windows.split_off(&(oldest, String::new()));
        if made < oldest {
            return false;
        }
        let fresh = self.windows.entry((made, salt)).or_default().spend(count);
        while self.windows.len() > self.settings.max_nonces
            && let Some(((made, _), _)) = self.windows.pop_first()
        {
            // Whatever is not remembered any more must not be believed any more.
            self.forgotten_until = made + 1;
        }
        fresh
    }

    /// Writes a nonce: the time in milliseconds, a salt, and the keyed hash over both.
    fn make_nonce(&mut self, now: Instant) -> String {
        let signed = format!("{:x}-{}", self.age(now), self.random.token());
        let seal = self.seal.of(&signed);
        format!("{signed}-{seal}")
    }

    fn read_nonce(&self, nonce: &str) -> Option<(u64, String)> {
        let (signed, seal) = nonce.rsplit_once('-')?;
        if !self.seal.fits(signed, seal) {
            return None;
        }
        let (made, salt) = signed.split_once('-')?;
        Some((u64::from_str_radix(made, 16).ok()?, salt.to_owned()))
    }

    fn age(&self, now: Instant) -> u64 {
        let age = now.saturating_duration_since(self.start).as_millis();
        u64::try_from(age).unwrap_or(u64::MAX)
    }
}

impl Window {
    /// Uses a count, if it is not used and not too far behind: requests may overtake each other.
    fn spend(&mut self, count: u32) -> bool {
        if count > self.highest {
            self.used = self.used.checked_shl(count - self.highest).unwrap_or(0) | 1;
            self.highest = count;
            return true;
        }
        let Some(bit) = 1_u64.checked_shl(self.highest - count) else { return false };
        let fresh = self.used & bit == 0;
        self.used |= bit;
        fresh
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::DigestClient;
    use super::*;
    use crate::digest::Credentials;
    use crate::sip::{Method, RequestBuilder, Status};

    /// A server of the realm `r` and alice, who is its user.
    struct World {
        now: Instant,
        server: DigestServer,
        client: DigestClient,
        random: Random,
    }

    #[test]
    fn whoever_has_the_password_is_granted() {
        let mut world = World::new(DigestSettings::new("r"));
        let mut request = request("sip:r");
        assert_eq!(world.verify(&request), Verdict::Missing);
        let lines = world.challenge(false);
        let algorithms: Vec<_> = lines.iter().map(|it| it.rsplit('=').next().unwrap()).collect();
        assert_eq!(algorithms, ["SHA-256", "MD5"]);
        world.client.authorize(&mut request);
        assert_eq!(world.verify(&request), granted());
        world.client.authorize(&mut request);
        assert_eq!(world.verify(&request), granted());
    }

    #[test]
    fn who_only_says_his_name_is_asked_for_the_rest() {
        let mut world = World::new(DigestSettings::new("r"));
        let mut request = request("sip:r");
        world.client.introduce(&mut request);
        assert_eq!(
            request.headers.get("Authorization"),
            Some(r#"Digest username="alice", realm="r", nonce="", uri="sip:r", response="""#)
        );
        assert_eq!(world.verify(&request), Verdict::Missing);
        world.challenge(false);
        world.client.authorize(&mut request);
        world.client.introduce(&mut request);
        assert_eq!(request.headers.all("Authorization").count(), 1);
        assert_eq!(world.verify(&request), granted());
    }

    #[test]
    fn every_algorithm_and_protection_agrees_with_the_client() {
        for algorithm in Algorithm::ALL.into_iter().filter(|it| *it != Algorithm::AkaV1Md5) {
            for qop in [Qop::Auth, Qop::AuthInt] {
                let settings = DigestSettings {
                    algorithms: vec![algorithm],
                    qops: vec![qop],
                    ..DigestSettings::new("r")
                };
                let mut world = World::new(settings);
                let mut request = request("sip:r");
                request.body = bytes::Bytes::from_static(b"body");
                world.challenge(false);
                world.client.authorize(&mut request);
                let mut touched = request.clone();
                touched.body = bytes::Bytes::new();
                let expected = if qop == Qop::AuthInt { Verdict::Denied } else { granted() };
                assert_eq!(world.verify(&touched), expected, "{algorithm:?} {qop:?}");
                world.client.authorize(&mut request);
                assert_eq!(world.verify(&request), granted(), "{algorithm:?} {qop:?}");
            }
        }
    }

    #[test]
    fn a_replay_is_stale_and_a_race_is_not() {
        let mut world = World::new(DigestSettings::new("r"));
        world.challenge(false);
        let mut sent: Vec<_> = (0..70).map(|_| world.authorized()).collect();
        let first = sent.remove(0);
        let (fifth, last) = (sent[4].clone(), sent[68].clone());
        assert_eq!(world.verify(&fifth), granted());
        assert_eq!(world.verify(&first), granted());
        assert_eq!(world.verify(&first), Verdict::Stale);
        assert_eq!(world.verify(&fifth), Verdict::Stale);
        assert_eq!(world.verify(&last), granted());
        // More than 64 behind: nobody knows any more.
        assert_eq!(world.verify(&sent[0]), Verdict::Stale);
        assert_eq!(world.verify(&sent[20]), granted());
    }

    #[test]
    fn an_old_nonce_is_stale_and_the_next_challenge_says_so() {
        let mut world = World::new(DigestSettings::new("r"));
        world.challenge(false);
        let early = world.authorized();
        world.now += Duration::from_secs(301);
        assert_eq!(world.verify(&early), Verdict::Stale);
        let lines = world.challenge(true);
        assert!(lines.iter().all(|line| line.contains("stale=true")), "{lines:?}");
        let request = world.authorized();
        assert_eq!(world.verify(&request), granted());
        assert_eq!(world.server.windows.len(), 1);
    }

    #[test]
    fn a_nonce_that_is_not_ours_is_stale_if_the_password_is_right() {
        let mut world = World::new(DigestSettings::new("r"));
        world.challenge(false);
        let request = world.authorized();
        let mut other = DigestServer::new(world.now, DigestSettings::new("r"), Random::seeded(9));
        let verdict = other.verify(world.now, &request, Asker::Server, password);
        assert_eq!(verdict, Verdict::Stale);
        assert!(other.windows.is_empty());
    }

    #[test]
    fn whoever_lies_is_denied() {
        let mut world = World::new(DigestSettings::new("r"));
        world.challenge(false);
        let good = world.authorized();
        let line = good.headers.get("Authorization").unwrap().to_owned();
        for (from, to) in [
            ("username=\"alice\"", "username=\"bob\""),
            ("username=\"alice\"", "username=\"nobody\""),
            ("uri=\"sip:r\"", "uri=\"sip:x\""),
            ("algorithm=SHA-256", "algorithm=MD5"),
            ("algorithm=SHA-256", "algorithm=SHA-512-256"),
            ("nc=00000001", "nc=00000002"),
            ("nc=00000001", "nc=00000000"),
            ("qop=auth", "qop=auth-int"),
            ("response=\"", "response=\"0"),
            // The way of RFC 2069 would do without a count.
            ("qop=auth", "x=y"),
        ] {
            let mut bad = good.clone();
            let text = line.replace(from, to);
            assert_ne!(text, line, "{from}");
            bad.headers.set("Authorization", &text);
            assert_eq!(world.verify(&bad), Verdict::Denied, "{to}");
        }
        let mut moved = good.clone();
        moved.uri = Uri::parse("sip:elsewhere").unwrap();
        assert_eq!(world.verify(&moved), Verdict::Denied);
        assert!(world.server.windows.is_empty());
        assert_eq!(world.verify(&good), granted());
    }

    #[test]
    fn answers_to_our_realm_go_no_further_and_others_do() {
        let mut world = World::new(DigestSettings::new("r"));
        world.challenge(false);
        let mut request = world.authorized();
        let other = r#"Digest username="alice", realm="s", nonce="n", uri="sip:r", response="0""#;
        request.headers.push("Authorization", other);
        request.headers.push("Authorization", "Basic YTpi");
        request.headers.push("Proxy-Authorization", r#"Digest realm="r""#);
        world.server.take_answers(&mut request.headers, Asker::Server);
        assert_eq!(request.headers.all("Authorization").collect::<Vec<_>>(), [other, "Basic YTpi"]);
        assert!(request.headers.has("Proxy-Authorization"));
    }

    #[test]
    fn what_is_forgotten_is_not_believed() {
        let settings = DigestSettings { max_nonces: 3, ..DigestSettings::new("r") };
        let mut world = World::new(settings);
        let mut first = None;
        for _ in 0..5 {
            world.challenge(true);
            let request = world.authorized();
            assert_eq!(world.verify(&request), granted());
            first.get_or_insert(request);
            world.client.settle();
            world.now += Duration::from_secs(1);
        }
        assert_eq!(world.server.windows.len(), 3);
        assert_eq!(world.verify(&first.unwrap()), Verdict::Stale);
    }

    impl World {
        fn new(settings: DigestSettings) -> Self {
            let now = Instant::now();
            let credentials = Credentials {
                username: "alice".to_owned(),
                password: Password::Text("secret".to_owned()),
                realms: vec!["r".to_owned()],
            };
            Self {
                now,
                server: DigestServer::new(now, settings, Random::seeded(1)),
                client: DigestClient::new(credentials),
                random: Random::seeded(2),
            }
        }

        /// Lets the server challenge and the client learn; gives the lines.
        fn challenge(&mut self, stale: bool) -> Vec<String> {
            let mut response = Response::new(Status::UNAUTHORIZED);
            self.server.challenge(self.now, &mut response, Asker::Server, stale);
            self.client.learn(&mut self.random, &response).unwrap();
            response.headers.all("WWW-Authenticate").map(str::to_owned).collect()
        }

        fn authorized(&mut self) -> Request {
            let mut request = request("sip:r");
            self.client.authorize(&mut request);
            request
        }

        fn verify(&mut self, request: &Request) -> Verdict {
            self.server.verify(self.now, request, Asker::Server, password)
        }
    }

    fn password(username: &str, _: Algorithm) -> Option<Password> {
        match username {
            "alice" => Some(Password::Text("secret".to_owned())),
            "bob" => Some(Password::Text("other".to_owned())),
            _ => None,
        }
    }

    fn granted() -> Verdict {
        Verdict::Granted { username: "alice".to_owned() }
    }

    fn request(uri: &str) -> Request {
        RequestBuilder::new(Method::Register, Uri::parse(uri).unwrap()).build()
    }
}
