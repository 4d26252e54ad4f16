//! Transcripts of a roster on a virtual clock: the test plays the registrar.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::bridge::{Profile, Realm, TargetUri};
use crate::sip::{
    Credentials, Decoded, Message, Password, Request, Status, Timers, Transport, WireLimits,
    decode_datagram, response_to,
};

/// A roster on a stage.
struct Stage {
    roster: Roster,
    start: Instant,
    now: Instant,
    sent: Vec<Request>,
}

#[test]
fn users_are_begun_one_after_another_and_a_thousand_make_no_storm() {
    let mut stage = Stage::of(1000);
    let mut begun = stage.drain();
    begun.extend(stage.wait(Duration::from_secs(49)));
    for number in [0, 1, 20, 980] {
        assert!(begun.contains(&format!("{} user{number} REGISTER 1", number * 50)));
    }
    assert_eq!(users_in(&begun), 981);
    // A loop that wakes late does not make up for what it has missed.
    let mut late = Stage::of(1000);
    assert_eq!(late.drain(), ["0 user0 REGISTER 1"]);
    late.now += Duration::from_secs(20);
    late.roster.handle(late.now, RosterInput::Timeout);
    assert_eq!(users_in(&late.drain()), 2);
}

fn users_in(lines: &[String]) -> usize {
    lines.iter().filter_map(|line| line.split(' ').nth(1)).collect::<BTreeSet<_>>().len()
}

#[test]
fn a_registration_brings_the_access_and_its_contact_stays_the_same() {
    let mut stage = Stage::of(1);
    assert_eq!(stage.drain(), ["0 user0 REGISTER 1"]);
    let register = stage.sent[0].clone();
    assert_eq!(register.uri.as_str(), "sip:home.example");
    assert_eq!(register.to().unwrap().to_string(), "<sip:user0@home.example>");
    let contact = register.contact().unwrap().unwrap();
    let instance = contact.param_unquoted("+sip.instance").unwrap();
    assert_eq!(instance, format!("<urn:uuid:{}>", contact.uri.user().unwrap()));
    assert!(register.headers.get("Contact").unwrap().contains(";+g.3gpp.icsi-ref="));
    let said = register.headers.get("Authorization").unwrap();
    assert!(said.starts_with("Digest username=\"user0@ims\", realm=\"home.example\", nonce=\"\""));

    let lists = [
        ("Service-Route", "<sip:orig@scscf.example;lr>"),
        ("P-Associated-URI", "<sip:user0@home.example>, <tel:+1-958-555-0100>"),
    ];
    assert_eq!(
        stage.reply(200, &lists),
        ["0 user0 Registered via udp:192.0.2.2:5060 scscf.example, also tel:+19585550100"]
    );
    // The same user has the same contact when the process starts anew.
    let mut again = Stage::of(1);
    again.drain();
    assert_eq!(again.sent[0].headers.get("Contact"), register.headers.get("Contact"));
}

#[test]
fn who_is_refused_is_tried_again_hours_later_and_who_is_lost_too() {
    let mut stage = Stage::of(1);
    stage.drain();
    assert_eq!(stage.reply(404, &[]), ["0 user0 Failed 404 again in 1800"]);
    assert_eq!(stage.wait(Duration::from_secs(1800)), ["1800000 user0 REGISTER 1"]);
    assert_eq!(stage.reply(200, &[]), ["1800000 user0 Registered via udp:192.0.2.2:5060, also "]);
    let refreshed = stage.wait(Duration::from_secs(1800));
    assert_eq!(refreshed, ["3600000 user0 REGISTER 2"]);
    assert_eq!(stage.reply(403, &[]), ["3600000 user0 Lost 403 again in 1800"]);
    assert_eq!(stage.wait(Duration::from_secs(1800)), ["5400000 user0 REGISTER 1"]);
    let mut stage = Stage::paced(1, Pace { start: MOMENT, retry_refused: Duration::ZERO });
    stage.drain();
    assert_eq!(stage.reply(404, &[]), ["0 user0 Failed 404 for good"]);
    assert_eq!(stage.roster.next_timeout(), None);
}

#[test]
fn a_doubt_is_laid_to_rest_by_a_register_but_not_all_the_time() {
    let mut stage = Stage::registered(1);
    let user = address(0);
    assert_eq!(stage.give(RosterInput::Doubt(user.clone())), ["0 user0 REGISTER 2"]);
    // While one is under way, and within the minute, another doubt is none.
    assert_eq!(stage.give(RosterInput::Doubt(user.clone())), [""; 0]);
    assert_eq!(stage.reply(200, &[]), [""; 0]);
    assert_eq!(stage.give(RosterInput::Doubt(user.clone())), [""; 0]);
    stage.wait(Duration::from_secs(60));
    assert_eq!(stage.give(RosterInput::Doubt(user)), ["60000 user0 REGISTER 3"]);
    assert_eq!(stage.give(RosterInput::Doubt(address(7))), [""; 0]);
}

#[test]
fn what_cannot_be_sent_and_what_nobody_asked_for_change_nothing_but_their_own() {
    let mut stage = Stage::of(2);
    stage.wait(MOMENT);
    let hop = Hop::new(Transport::Udp, "192.0.2.2", 5060);
    let failed = stage.give(RosterInput::SendFailed { user: address(1), hop: hop.clone() });
    assert!(failed[0].starts_with("50 user1 Failed Transport again in "), "{failed:?}");
    assert_eq!(stage.give(RosterInput::SendFailed { user: address(9), hop }), [""; 0]);
    let mut strange = response_to(&stage.sent[0], Status::OK, Some("r"));
    strange.headers.set("Call-ID", "strange");
    assert_eq!(stage.give(RosterInput::Response(strange)), [""; 0]);
    strange_responses_are_dropped(&mut stage);
}

#[test]
fn nobody_is_begun_before_the_core_is_found_and_all_follow_where_it_goes() {
    let mut stage = Stage::of(2);
    stage.roster.handle(stage.now, RosterInput::Hops(Vec::new()));
    assert_eq!(stage.drain(), ["0 user0 REGISTER 1"]);
    assert!(stage.reply(200, &[])[0].contains("Registered via udp:192.0.2.2:5060"));
    assert_eq!(stage.wait(Duration::from_secs(60)), [""; 0]);
    stage.give(RosterInput::Hops(hops(&["192.0.2.3"])));
    stage.wait(Duration::from_secs(1));
    assert_eq!(stage.sent.last().unwrap().to().unwrap().uri.user(), Some("user1"));
    assert_eq!(stage.sent.last().unwrap().headers.get("Route"), Some("<sip:192.0.2.3:5060;lr>"));
    assert!(stage.reply(404, &[])[0].contains("user1 Failed 404"));
    // The refresh, half an hour later, goes where the core is then.
    stage.wait(Duration::from_secs(1740));
    assert_eq!(stage.sent.last().unwrap().to().unwrap().uri.user(), Some("user0"));
    let moved = stage.reply(200, &[]);
    assert!(moved[0].contains("user0 Registered via udp:192.0.2.3:5060"), "{moved:?}");
    // Who was refused waits for the core to be found, too.
    stage.give(RosterInput::Hops(Vec::new()));
    assert_eq!(stage.wait(Duration::from_secs(300)), [""; 0]);
    let found = stage.give(RosterInput::Hops(hops(&["192.0.2.3"])));
    assert_eq!(found, [""; 0]);
    assert!(stage.wait(Duration::from_secs(1))[0].ends_with("user1 REGISTER 1"));
}

#[test]
fn all_leave_spread_over_the_time_that_there_is() {
    let mut stage = Stage::registered(4);
    let lines = stage.give(RosterInput::Leave(Duration::from_secs(2)));
    assert_eq!(lines, ["150 user0 REGISTER 2 to leave"]);
    assert_eq!(stage.give(RosterInput::Leave(Duration::ZERO)), [""; 0]);
    assert_eq!(stage.reply(200, &[]), ["150 user0 Gone"]);
    for (number, at) in [(1, 650), (2, 1150), (3, 1650)] {
        let lines = stage.wait(Duration::from_millis(500));
        assert_eq!(lines, [format!("{at} user{number} REGISTER 2 to leave")]);
        assert!(!stage.roster.is_finished());
        assert_eq!(stage.reply(200, &[]), [format!("{at} user{number} Gone")]);
    }
    assert!(stage.roster.is_finished());
    assert_eq!((stage.roster.next_timeout(), stage.roster.by_dialog.len()), (None, 0));
}

#[test]
fn who_was_never_registered_needs_no_leave() {
    let mut stage = Stage::of(3);
    stage.drain();
    assert_eq!(stage.reply(403, &[]), ["0 user0 Failed 403 again in 1800"]);
    assert_eq!(stage.give(RosterInput::Leave(MOMENT)), [""; 0]);
    assert!(stage.roster.is_finished());
    assert_eq!(stage.wait(Duration::from_secs(4000)), [""; 0]);
}

fn strange_responses_are_dropped(stage: &mut Stage) {
    let mut nameless = response_to(&stage.sent[0], Status::OK, Some("r"));
    nameless.headers.remove("Call-ID");
    assert_eq!(stage.give(RosterInput::Response(nameless)), [""; 0]);
}

impl Stage {
    fn of(count: usize) -> Self {
        Self::paced(count, Pace { start: MOMENT, retry_refused: Duration::from_secs(1800) })
    }

    fn paced(count: usize, pace: Pace) -> Self {
        let start = Instant::now();
        let subscribers: Vec<Subscriber> = (0..count).map(subscriber).collect();
        let terms = Terms { registrar: "home.example".into(), expires: 3600, gruu: false };
        let manner = (Arc::new(settings()), terms, pace);
        let mut roster = Roster::new(start, manner, &subscribers, Random::seeded(count as u64));
        assert_eq!(roster.poll(), None);
        roster.handle(start, RosterInput::Hops(hops(&["192.0.2.2"])));
        Self { roster, start, now: start, sent: Vec::new() }
    }

    /// A roster whose registrations have all been granted.
    fn registered(count: usize) -> Self {
        let mut stage = Self::of(count);
        stage.drain();
        for number in 0..count {
            if number > 0 {
                stage.wait(MOMENT);
            }
            assert!(stage.reply(200, &[])[0].contains("Registered"));
        }
        stage
    }

    /// Lets the registrar answer the last request.
    fn reply(&mut self, code: u16, headers: &[(&str, &str)]) -> Vec<String> {
        let mut response = response_to(self.sent.last().unwrap(), Status::new(code).unwrap(), None);
        headers.iter().for_each(|(name, value)| response.headers.push(name, value));
        self.give(RosterInput::Response(response))
    }

    fn give(&mut self, input: RosterInput) -> Vec<String> {
        self.roster.handle(self.now, input);
        self.drain()
    }

    fn wait(&mut self, duration: Duration) -> Vec<String> {
        let end = self.now + duration;
        let mut lines = self.drain();
        while let Some(next) = self.roster.next_timeout().filter(|next| *next <= end) {
            assert!(next >= self.now, "a timer of the past");
            self.now = next;
            self.roster.handle(next, RosterInput::Timeout);
            lines.extend(self.drain());
        }
        self.now = end;
        lines
    }

    /// Gives one line for each output: milliseconds, user, what.
    fn drain(&mut self) -> Vec<String> {
        let at = self.now.duration_since(self.start).as_millis();
        let mut lines = Vec::new();
        while let Some(output) = self.roster.poll() {
            let (user, what) = self.name(output);
            let user = user.key().trim_start_matches("sip:").split('@').next().unwrap().to_owned();
            lines.push(format!("{at} {user} {what}"));
        }
        lines
    }

    fn name(&mut self, output: RosterOutput) -> (Address, String) {
        let again = |at: Option<Instant>| match at {
            Some(at) => format!("again in {}", at.duration_since(self.now).as_secs()),
            None => "for good".to_owned(),
        };
        let code = |why| match why {
            RegistrationFailure::Status(status) => status.code().to_string(),
            RegistrationFailure::NotKept
            | RegistrationFailure::Timeout
            | RegistrationFailure::Transport => format!("{why:?}"),
        };
        match output {
            RosterOutput::Send { user, bytes, .. } => {
                let request = read(bytes);
                let leaves = if request.expires() == Some(0) { " to leave" } else { "" };
                let line = format!("REGISTER {}{leaves}", request.cseq().unwrap().number);
                self.sent.push(request);
                (user, line)
            }
            RosterOutput::Spare { hop, wait } => {
                (Address::anonymous(), format!("Spare {hop} {}", wait.as_secs()))
            }
            RosterOutput::Registered { access, aliases } => {
                let mut way = vec![access.hop.as_ref().unwrap().to_string()];
                way.extend(access.service_route.iter().map(|it| it.uri.host().unwrap().to_owned()));
                let also: Vec<&str> = aliases.iter().map(Address::key).collect();
                let line = format!("Registered via {}, also {}", way.join(" "), also.join(" "));
                (access.user.clone().unwrap(), line)
            }
            RosterOutput::Failed { user, why, again_at } => {
                (user, format!("Failed {} {}", code(why), again(again_at)))
            }
            RosterOutput::Lost { user, why, again_at } => {
                (user, format!("Lost {} {}", why.map(code).unwrap_or_default(), again(again_at)))
            }
            RosterOutput::Unusable { user, why } => (user, why.to_string()),
            RosterOutput::Gone(user) => (user, "Gone".to_owned()),
        }
    }
}

fn hops(hosts: &[&str]) -> Vec<Hop> {
    hosts.iter().map(|host| Hop::new(Transport::Udp, host, 5060)).collect()
}

fn subscriber(number: usize) -> Subscriber {
    let credentials = Credentials {
        username: format!("user{number}@ims"),
        password: Password::Text("secret".into()),
        realms: Vec::new(),
    };
    Subscriber { address: address(number), credentials: Some(credentials) }
}

fn address(number: usize) -> Address {
    Address::parse(&format!("sip:user{number}@home.example")).unwrap()
}

fn settings() -> Settings {
    Settings {
        realm: Realm { domain: "home.example".into(), target_uri: TargetUri::SipPhone },
        profile: Profile::named("cpm").unwrap(),
        local: Hop::new(Transport::Udp, "192.0.2.1", 5080),
        timers: Timers::default(),
        ..super::super::settings::sample()
    }
}

fn read(bytes: Bytes) -> Request {
    let decoded = decode_datagram(bytes, &WireLimits::default());
    let Decoded::Message(Message::Request(request)) = decoded else { panic!("{decoded:?}") };
    request
}

/// The time between two beginnings.
const MOMENT: Duration = Duration::from_millis(50);
