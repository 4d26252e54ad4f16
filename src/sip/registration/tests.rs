//! Transcripts of a registration on a virtual clock: what goes in, and all that comes out.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::ids::Random;
use crate::sip::{
    Credentials, Decoded, Local, Message, Password, Timers, Transport, WireLimits, decode_datagram,
    response_to,
};

const CHALLENGE: (&str, &str) =
    ("WWW-Authenticate", r#"Digest realm="home.example", nonce="n1", qop="auth", algorithm=MD5"#);
const KEPT: (&str, &str) = ("Contact", "<sip:alice@192.0.2.1:5060>;expires=600");

/// A registration on a stage: the test plays its registrar and its owner.
struct Stage {
    registration: Registration,
    start: Instant,
    now: Instant,
    sent: Vec<Request>,
}

#[test]
fn a_register_carries_what_rfc_3261_asks_for() {
    let stage = Stage::asking();
    let register = stage.last();
    let headers: Vec<_> =
        register.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let branch = register.via().unwrap().branch().unwrap().to_owned();
    let registration = &stage.registration;
    assert_eq!(register.uri.as_str(), "sip:home.example");
    assert_eq!(
        headers,
        [
            &format!("Via: SIP/2.0/UDP 192.0.2.1:5060;branch={branch};rport"),
            "Max-Forwards: 70",
            "Route: <sip:192.0.2.2:5060;lr>",
            &format!("From: \"Alice\" <sip:alice@home.example>;tag={}", registration.local_tag()),
            "To: \"Alice\" <sip:alice@home.example>",
            &format!("Call-ID: {}", registration.call_id()),
            "CSeq: 1 REGISTER",
            "Contact: <sip:alice@192.0.2.1:5060>;+g.oma.sip-im",
            "Expires: 3600",
            "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, NOTIFY",
            "Supported: 100rel, timer, path",
            "User-Agent: bridge/1",
            "P-Access-Network-Info: none",
            "Content-Length: 0",
        ]
    );
}

#[test]
fn a_registration_is_challenged_granted_refreshed_and_taken_back() {
    let mut stage = Stage::asking();
    assert_eq!(stage.reply(401, &[CHALLENGE]), ["REGISTER 2 for 3600"]);
    assert_eq!(stage.sent[0].call_id(), stage.sent[1].call_id());
    let lists = [
        KEPT,
        ("Path", "<sip:edge.example;lr>"),
        ("Service-Route", "<sip:edge.example;lr>, <sip:core.example;lr>"),
        ("Service-Route", "<sip:last.example;lr>"),
        ("P-Associated-URI", "<sip:alice@home.example>, \"A\" <tel:+12025550123>"),
    ];
    assert_eq!(
        stage.reply(200, &lists),
        ["Registered via edge.example core.example last.example \
          as sip:alice@home.example tel:+12025550123"]
    );
    assert_eq!(stage.registration.grant().map(|grant| grant.path.len()), Some(1));
    assert_eq!(stage.wait(Duration::from_secs(300)), ["300000 REGISTER 3 for 3600"]);
    let said = stage.last().headers.get("Authorization").unwrap().to_owned();
    assert!(said.contains("uri=\"sip:home.example\"") && said.contains("nc=00000002"), "{said}");
    // The same again is no news; another list is.
    assert_eq!(stage.reply(200, &lists), [""; 0]);
    assert_eq!(stage.wait(Duration::from_secs(300)), ["600000 REGISTER 4 for 3600"]);
    assert_eq!(stage.reply(200, &[KEPT]), ["Registered via as"]);
    stage.registration.deregister(stage.now);
    assert_eq!(stage.drain(), ["REGISTER 5 for 0"]);
    assert_eq!(stage.reply(200, &[]), ["Gone"]);
    assert!(stage.registration.is_finished() && !stage.registration.is_registered());
    assert_eq!(stage.registration.next_timeout(), None);
}

#[test]
fn the_time_granted_is_that_of_our_contact_then_of_the_message_then_ours() {
    for (headers, seconds) in [
        (
            vec![
                ("Contact", "<sip:other@x>;expires=9, <sip:alice@192.0.2.1>;expires=60"),
                ("Expires", "7"),
            ],
            30,
        ),
        (vec![("Contact", "<sip:alice@10.0.0.9>;expires=8"), ("Expires", "50")], 25),
        (vec![("Contact", "<sip:alice@192.0.2.1>")], 1800),
        (vec![("Contact", "<sip:alice@192.0.2.1>;expires=soon"), ("Expires", "20")], 10),
    ] {
        let mut enrolment = enrolment();
        enrolment.contact = NameAddr::parse("<sip:alice@192.0.2.1>").unwrap();
        let mut stage = Stage::of(enrolment);
        stage.reply(200, &headers);
        let lines = stage.wait(Duration::from_secs(seconds));
        assert_eq!(lines, [format!("{} REGISTER 2 for 3600", seconds * 1000)]);
    }
}

#[test]
fn a_time_too_brief_is_lengthened_but_not_for_ever() {
    let mut stage = Stage::asking();
    assert_eq!(stage.reply(423, &[("Min-Expires", "7200")]), ["REGISTER 2 for 7200"]);
    assert_eq!(stage.reply(423, &[("Min-Expires", "9000")]), ["REGISTER 3 for 9000"]);
    assert_eq!(stage.reply(423, &[("Min-Expires", "9999")]), ["Failed 423"]);
    for headers in [vec![], vec![("Min-Expires", "3600")], vec![("Min-Expires", "long")]] {
        let mut stage = Stage::asking();
        assert_eq!(stage.reply(423, &headers), ["Failed 423"]);
        assert!(stage.registration.is_finished());
    }
}

#[test]
fn what_may_pass_is_tried_again_later_each_time() {
    let mut stage = Stage::asking();
    let mut waits = Vec::new();
    for number in 2..12 {
        let lines = stage.reply(500, &[]);
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        let seconds: u64 = line.strip_prefix("Failed 500 again in ").unwrap().parse().unwrap();
        waits.push(seconds);
        let lines = stage.wait(Duration::from_secs(seconds + 1));
        assert!(lines[0].ends_with(&format!("REGISTER {number} for 3600")), "{lines:?}");
    }
    for (at, seconds) in waits.iter().enumerate() {
        let longest = (30 << at.min(9)).min(1800);
        assert!((longest / 2..=longest).contains(seconds), "{waits:?}");
    }
    assert_eq!(
        stage.reply(503, &[("Retry-After", "120 (maintenance);duration=9")]),
        ["Spare 192.0.2.2 120", "Failed 503 again in 120"]
    );
    assert_eq!(stage.wait(Duration::from_secs(119)), [""; 0]);
    assert_eq!(stage.wait(Duration::from_secs(1)).len(), 1);
    assert_eq!(stage.reply(404, &[("Retry-After", "0")]), ["Failed 404 again in 1"]);
}

#[test]
fn silence_and_a_dead_transport_are_failures_that_may_pass() {
    let mut stage = Stage::asking();
    let lines = stage.wait(Duration::from_secs(32));
    assert!(lines.last().unwrap().starts_with("32000 Failed Timeout again in "), "{lines:?}");
    let mut stage = Stage::asking();
    let hop = Hop::new(Transport::Udp, "192.0.2.2", 5060);
    let elsewhere = Hop::new(Transport::Udp, "192.0.2.7", 5060);
    assert_eq!(stage.give(RegistrationInput::TransportFailed { hop: elsewhere }), [""; 0]);
    let lines = stage.give(RegistrationInput::TransportFailed { hop });
    assert!(lines[0].starts_with("Failed Transport again in "), "{lines:?}");
    stage.registration.refresh(stage.now);
    assert_eq!(stage.drain(), ["REGISTER 2 for 3600"]);
    stage.registration.refresh(stage.now);
    assert_eq!(stage.drain(), [""; 0]);
}

#[test]
fn another_hop_is_asked_before_any_pause() {
    let mut stage = Stage::of(Enrolment { next_hops: two_hops(), ..enrolment() });
    let silent = stage.wait(Duration::from_secs(32));
    assert_eq!(silent.last().unwrap(), "32000 REGISTER 2 for 3600 to 192.0.2.3");
    // The hop that answers is asked from now on, also where a challenge or a refresh follows.
    assert_eq!(stage.reply(401, &[CHALLENGE]), ["REGISTER 3 for 3600 to 192.0.2.3"]);
    assert_eq!(stage.reply(200, &[KEPT]), ["Registered via as"]);
    assert_eq!(stage.registration.grant().unwrap().hop.host, "192.0.2.3");
    assert_eq!(stage.wait(Duration::from_secs(300)), ["332000 REGISTER 4 for 3600 to 192.0.2.3"]);
    // That its hop has changed is news: the calls go there, too.
    assert_eq!(stage.reply(503, &[("Retry-After", "9")])[0], "Spare 192.0.2.3 9");
    assert_eq!(stage.sent.last().unwrap().cseq().unwrap().number, 5);
    assert_eq!(stage.reply(200, &[KEPT]), ["Registered via as"]);
    assert_eq!(stage.registration.grant().unwrap().hop.host, "192.0.2.2");
}

#[test]
fn a_pause_follows_when_every_hop_has_failed() {
    let mut stage = Stage::of(Enrolment { next_hops: two_hops(), ..enrolment() });
    assert_eq!(stage.reply(503, &[]), ["REGISTER 2 for 3600 to 192.0.2.3"]);
    assert_eq!(
        stage.reply(503, &[("Retry-After", "40")]),
        ["Spare 192.0.2.3 40", "Failed 503 again in 40"]
    );
    assert_eq!(stage.wait(Duration::from_secs(40)), ["40000 REGISTER 3 for 3600"]);
    let hop = two_hops().remove(0);
    let next = stage.give(RegistrationInput::TransportFailed { hop });
    assert_eq!(next, ["REGISTER 4 for 3600 to 192.0.2.3"]);
    // A refusal of the registrar is not the fault of the hop.
    assert!(stage.reply(500, &[])[0].starts_with("Failed 500 again in "));
}

#[test]
fn a_proxy_that_moves_is_followed_with_the_next_register() {
    let named = Hop::new(Transport::Udp, "edge.example", 0);
    let mut stage = Stage::of(enrolment());
    let moved = Hop::new(Transport::Udp, "192.0.2.3", 5060);
    // Not while one is under way, and not to nowhere.
    stage.registration.follow(vec![moved.clone()]);
    stage.reply(200, &[KEPT]);
    stage.registration.follow(Vec::new());
    let [line] = <[String; 1]>::try_from(stage.wait(Duration::from_secs(300))).unwrap();
    assert_eq!(line, "300000 REGISTER 2 for 3600");
    stage.reply(200, &[KEPT]);
    stage.registration.follow(vec![moved.clone()]);
    assert_eq!(stage.wait(Duration::from_secs(300)), ["600000 REGISTER 3 for 3600 to 192.0.2.3"]);
    stage.reply(200, &[KEPT]);
    // Who has answered stays, wherever it stands now.
    stage.registration.follow(vec![two_hops().remove(0), moved]);
    assert_eq!(stage.wait(Duration::from_secs(300)), ["900000 REGISTER 4 for 3600 to 192.0.2.3"]);
    let proxy = Some(named);
    let kit = kit();
    let mut named = Registration::register(Instant::now(), Enrolment { proxy, ..enrolment() }, kit);
    let Some(RegistrationOutput::Send { bytes, .. }) = named.poll() else { panic!() };
    assert_eq!(read(bytes).headers.get("Route"), Some("<sip:edge.example;lr>"));
}

#[test]
fn who_is_taken_back_meanwhile_asks_no_further_hop() {
    let mut stage = Stage::of(Enrolment { next_hops: two_hops(), ..enrolment() });
    stage.registration.deregister(stage.now);
    assert_eq!(stage.reply(503, &[]), ["REGISTER 2 for 0"]);
    assert_eq!(stage.reply(503, &[]), ["Gone"]);
}

#[test]
fn a_gruu_is_taken_where_it_was_asked_for_and_only_from_our_contact() {
    let ours =
        r#"<sip:alice@192.0.2.1:5060>;expires=600;pub-gruu="sip:alice@home.example;gr=urn:uuid:1""#;
    let other = r#"<sip:alice@192.0.2.9>;pub-gruu="sip:alice@home.example;gr=urn:uuid:2""#;
    let bad = r#"<sip:alice@192.0.2.1:5060>;pub-gruu="mailto:alice@home.example""#;
    for (wanted, contact, gruu) in [
        (true, format!("{other}, {ours}"), Some("sip:alice@home.example;gr=urn:uuid:1")),
        (true, other.to_owned(), None),
        (true, bad.to_owned(), None),
        (false, ours.to_owned(), None),
    ] {
        let mut stage = Stage::of(Enrolment { gruu: wanted, ..enrolment() });
        let supported = stage.last().headers.get("Supported").unwrap();
        assert_eq!(supported.ends_with("path, gruu"), wanted, "{supported}");
        stage.reply(200, &[("Contact", &contact)]);
        let grant = stage.registration.grant().unwrap();
        assert_eq!(grant.gruu.as_ref().map(Uri::as_str), gruu, "{contact}");
    }
}

#[test]
fn a_user_may_be_named_before_anybody_asks() {
    let mut stage = Stage::of(Enrolment { introduces: true, ..enrolment() });
    let said = |stage: &Stage| stage.last().headers.get("Authorization").unwrap().to_owned();
    assert_eq!(
        said(&stage),
        r#"Digest username="alice", realm="home.example", nonce="", uri="sip:home.example", response="""#
    );
    stage.reply(401, &[CHALLENGE]);
    assert!(said(&stage).contains(r#"nonce="n1""#), "{}", said(&stage));
    assert_eq!(stage.last().headers.all("Authorization").count(), 1);
    assert_eq!(stage.reply(200, &[KEPT]), ["Registered via as"]);
}

#[test]
fn what_would_fail_alike_is_given_up() {
    for code in [302, 400, 403, 404, 405, 501, 600] {
        let mut stage = Stage::asking();
        assert_eq!(stage.reply(code, &[]), [format!("Failed {code}")]);
        assert!(stage.registration.is_finished());
        let mut stage = Stage::registered();
        stage.wait(Duration::from_secs(300));
        assert_eq!(stage.reply(code, &[]), [format!("Lost {code}")]);
        assert!(stage.registration.is_finished());
    }
}

#[test]
fn rejected_credentials_are_given_up() {
    let mut stage = Stage::asking();
    stage.reply(401, &[CHALLENGE]);
    assert_eq!(stage.reply(401, &[CHALLENGE]), ["Failed 401"]);
    let mut stage = Stage::asking();
    stage.reply(401, &[CHALLENGE]);
    assert_eq!(stage.reply(401, &[CHALLENGE, ("Retry-After", "5")]), ["Failed 401"]);
    let foreign = [("WWW-Authenticate", r#"Digest realm="evil.example", nonce="1""#)];
    assert_eq!(Stage::asking().reply(401, &foreign), ["Failed 401"]);
}

#[test]
fn a_nonce_that_the_registrar_has_forgotten_is_replaced() {
    let mut stage = Stage::asking();
    stage.reply(401, &[CHALLENGE]);
    stage.reply(200, &[KEPT]);
    stage.wait(Duration::from_secs(300));
    let fresh = [("WWW-Authenticate", r#"Digest realm="home.example", nonce="n2", qop="auth""#)];
    assert_eq!(stage.reply(401, &fresh), ["REGISTER 4 for 3600"]);
    assert!(stage.last().headers.get("Authorization").unwrap().contains("nc=00000001"));
    assert_eq!(stage.reply(200, &[KEPT]), [""; 0]);
}

#[test]
fn a_failure_of_another_kind_is_no_rejection() {
    let mut stage = Stage::asking();
    stage.reply(401, &[CHALLENGE]);
    stage.reply(500, &[("Retry-After", "60")]);
    assert_eq!(stage.wait(Duration::from_secs(60)), ["60000 REGISTER 3 for 3600"]);
    let fresh = [("WWW-Authenticate", r#"Digest realm="home.example", nonce="n2", qop="auth""#)];
    assert_eq!(stage.reply(401, &fresh), ["REGISTER 4 for 3600"]);
    assert_eq!(stage.reply(200, &[KEPT]), ["Registered via as"]);
}

#[test]
fn a_registration_that_cannot_be_refreshed_is_lost_and_comes_back() {
    let mut stage = Stage::registered();
    stage.wait(Duration::from_secs(300));
    let later = stage.reply(503, &[("Retry-After", "1000")]);
    assert_eq!(later, ["Spare 192.0.2.2 1000", "Failed 503 again in 1000"]);
    assert!(stage.registration.is_registered());
    assert_eq!(stage.wait(Duration::from_secs(300)), ["600000 Lost"]);
    assert!(!stage.registration.is_registered());
    assert_eq!(stage.wait(Duration::from_secs(700)), ["1300000 REGISTER 3 for 3600"]);
    assert_eq!(stage.reply(200, &[KEPT]), ["Registered via as"]);
}

#[test]
fn a_2xx_that_does_not_keep_our_contact_is_a_failure() {
    let mut stage = Stage::registered();
    stage.wait(Duration::from_secs(300));
    let lines = stage.reply(200, &[("Contact", "<sip:alice@192.0.2.1:5060>;expires=0")]);
    assert_eq!(lines[0], "Lost NotKept");
    assert!(lines[1].starts_with("Failed NotKept again in "), "{lines:?}");
}

#[test]
fn leaving_waits_for_what_is_under_way_and_ends_whatever_is_answered() {
    let mut stage = Stage::asking();
    stage.registration.deregister(stage.now);
    assert_eq!(stage.drain(), [""; 0]);
    assert_eq!(stage.reply(401, &[CHALLENGE]), ["REGISTER 2 for 0"]);
    assert_eq!(stage.reply(500, &[]), ["Gone"]);
    assert!(stage.registration.is_finished());

    let mut stage = Stage::asking();
    stage.registration.deregister(stage.now);
    assert_eq!(stage.reply(200, &[KEPT]), ["REGISTER 2 for 0"]);
    let lines = stage.wait(Duration::from_secs(32));
    assert_eq!(lines.last().unwrap(), "32000 Gone");
    assert!(stage.registration.is_finished());
}

#[test]
fn what_is_not_for_us_changes_nothing() {
    let mut stage = Stage::asking();
    let mut strange = response_to(stage.last(), Status::OK, Some("r"));
    strange.headers.push("Via", "SIP/2.0/UDP other.example;branch=z9hG4bKx");
    assert_eq!(stage.give(RegistrationInput::Response(strange)), [""; 0]);
    assert_eq!(stage.reply(100, &[]), [""; 0]);
    let old = response_to(stage.last(), Status::FORBIDDEN, Some("r"));
    stage.reply(401, &[CHALLENGE]);
    assert_eq!(stage.give(RegistrationInput::Response(old)), [""; 0]);
    assert_eq!(stage.reply(200, &[KEPT]), ["Registered via as"]);
}

#[test]
fn a_registrar_that_is_no_sip_uri_needs_a_proxy() {
    let mut enrolment = enrolment();
    enrolment.next_hops = Vec::new();
    enrolment.registrar = Uri::parse("tel:+1202").unwrap();
    let mut registration = Registration::register(Instant::now(), enrolment, kit());
    let failed = RegistrationEvent::Failed { why: RegistrationFailure::Transport, again_at: None };
    assert_eq!(registration.poll(), Some(RegistrationOutput::Event(failed)));
    assert!(registration.is_finished());
}

impl Stage {
    fn asking() -> Self {
        Self::of(enrolment())
    }

    fn of(enrolment: Enrolment) -> Self {
        let start = Instant::now();
        let registration = Registration::register(start, enrolment, kit());
        let mut stage = Self { registration, start, now: start, sent: Vec::new() };
        assert_eq!(stage.drain(), ["REGISTER 1 for 3600"]);
        stage
    }

    fn registered() -> Self {
        let mut stage = Self::asking();
        assert_eq!(stage.reply(200, &[KEPT]), ["Registered via as"]);
        stage
    }

    /// Lets the registrar answer the last request.
    fn reply(&mut self, code: u16, headers: &[(&str, &str)]) -> Vec<String> {
        let mut response = response_to(self.last(), Status::new(code).unwrap(), Some("r"));
        headers.iter().for_each(|(name, value)| response.headers.push(name, value));
        self.give(RegistrationInput::Response(response))
    }

    fn give(&mut self, input: RegistrationInput) -> Vec<String> {
        self.registration.handle(self.now, input);
        self.drain()
    }

    /// Lets time pass; each line begins with the milliseconds since the start.
    fn wait(&mut self, duration: Duration) -> Vec<String> {
        let end = self.now + duration;
        let mut lines = Vec::new();
        while let Some(next) = self.registration.next_timeout().filter(|next| *next <= end) {
            assert!(next >= self.now, "a timer of the past");
            self.now = next;
            self.registration.handle(next, RegistrationInput::Timeout);
            let at = next.duration_since(self.start).as_millis();
            lines.extend(self.drain().into_iter().map(|line| format!("{at} {line}")));
        }
        self.now = end;
        lines
    }

    fn drain(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(output) = self.registration.poll() {
            lines.push(match output {
                RegistrationOutput::Send { bytes, hop } => {
                    let request = read(bytes);
                    let route = format!("<sip:{};lr>", hop.authority());
                    assert_eq!(request.headers.get("Route"), Some(route.as_str()));
                    let number = request.cseq().unwrap().number;
                    let mut line = format!("REGISTER {number} for {}", request.expires().unwrap());
                    if hop.host != "192.0.2.2" {
                        line.push_str(&format!(" to {}", hop.host));
                    }
                    self.sent.push(request);
                    line
                }
                RegistrationOutput::Spare { hop, wait } => {
                    format!("Spare {} {}", hop.host, wait.as_secs())
                }
                RegistrationOutput::Event(event) => self.name(event),
            });
        }
        lines
    }

    fn name(&self, event: RegistrationEvent) -> String {
        let why_of = |why| match why {
            RegistrationFailure::Status(status) => status.code().to_string(),
            RegistrationFailure::NotKept
            | RegistrationFailure::Timeout
            | RegistrationFailure::Transport => format!("{why:?}"),
        };
        match event {
            RegistrationEvent::Registered(grant) => {
                let Grant { service_route, associated, .. } = *grant;
                let mut words = vec!["Registered via".to_owned()];
                words.extend(service_route.iter().filter_map(|it| it.uri.hop()).map(|it| it.host));
                words.push("as".to_owned());
                words.extend(associated.iter().map(|it| it.uri.to_string()));
                words.join(" ")
            }
            RegistrationEvent::Failed { why, again_at: None } => format!("Failed {}", why_of(why)),
            RegistrationEvent::Failed { why, again_at: Some(at) } => {
                let seconds = at.duration_since(self.now).as_secs();
                format!("Failed {} again in {seconds}", why_of(why))
            }
            RegistrationEvent::Lost { why } => {
                format!("Lost {}", why.map(why_of).unwrap_or_default()).trim_end().to_owned()
            }
            RegistrationEvent::Gone => "Gone".to_owned(),
        }
    }

    fn last(&self) -> &Request {
        self.sent.last().unwrap()
    }
}

fn enrolment() -> Enrolment {
    Enrolment {
        registrar: Uri::parse("sip:home.example").unwrap(),
        aor: NameAddr::parse("Alice <sip:alice@home.example>").unwrap(),
        contact: NameAddr::parse("<sip:alice@192.0.2.1:5060>;+g.oma.sip-im").unwrap(),
        expires: 3600,
        next_hops: vec![Hop::new(Transport::Udp, "192.0.2.2", 5060)],
        proxy: None,
        introduces: false,
        gruu: false,
        headers: vec![("P-Access-Network-Info".to_owned(), "none".to_owned())],
    }
}

fn two_hops() -> Vec<Hop> {
    ["192.0.2.2", "192.0.2.3"].map(|host| Hop::new(Transport::Udp, host, 5060)).to_vec()
}

fn kit() -> Kit {
    let mut local = Local::new(Hop::new(Transport::Udp, "192.0.2.1", 5060), "bridge/1");
    local.credentials = Some(Credentials {
        username: "alice".to_owned(),
        password: Password::Text("secret".to_owned()),
        realms: vec!["home.example".to_owned()],
    });
    Kit { local: local.into(), timers: Timers::default(), random: Random::seeded(1) }
}

fn read(bytes: Bytes) -> Request {
    let decoded = decode_datagram(bytes, &WireLimits::default());
    let Decoded::Message(Message::Request(request)) = decoded else { panic!("{decoded:?}") };
    request
}
