//! Subscriptions and references: who asks, who tells, and in which order.

use std::time::{Duration, Instant};

use chatbridge::sip::Transport::Udp;
use chatbridge::sip::{
    Again, Body, Errand, EventType, Forks, Hop, Message, NameAddr, Notifier, NotifierEvent,
    NotifierTerms, Refer, Reference, Referral, ReferralEvent, Referred, Standing, Status,
    Subscriber, SubscriberEvent, Subscription, Uri, UsageFailure, UsageInput, UsageOutput,
};

use crate::stage::{NOTHING, Stage, answer_text, kit};
use crate::wire::{Text, message, read};

const CONFERENCE: &str = "Event: conference\nSubscription-State: active;expires=3600";

#[test]
fn m29_a_notify_makes_the_dialog_also_before_the_2xx() {
    for notify_first in [false, true] {
        let mut room = subscribing();
        let granted = "Expires: 3600\nContact: <sip:room@192.0.2.2>";
        if !notify_first {
            assert_eq!(room.answer("200 OK", granted), ["Accepted 200"]);
        }
        let told = room.ask("NOTIFY", 1, CONFERENCE);
        assert_eq!(told, ["200 NOTIFY 1", "Notified active;expires=3600"], "{notify_first}");
        if notify_first {
            assert_eq!(room.answer("200 OK", granted), ["Accepted 200"]);
        }
        // Half-way through, it is renewed within the dialog that the NOTIFY has made.
        assert_eq!(room.wait(1800), ["SUBSCRIBE 2"]);
        assert_eq!((room.last().tag("To"), room.last().get("Expires")), ("theirs", "3600"));
        assert_eq!(room.last().target(), "sip:theirs@192.0.2.2");
    }
    // Accepted, but never told anything: there is nothing (Timer N).
    let mut room = subscribing();
    room.answer("202 Accepted", "Expires: 3600\nContact: <sip:room@192.0.2.2>");
    assert_eq!(room.wait(32), ["Failed Timeout"]);
}

#[test]
fn m29_an_interval_too_brief_is_lengthened_and_an_event_unknown_is_the_end() {
    let mut room = subscribing();
    let lines = room.answer("423 Interval Too Brief", "Min-Expires: 7200");
    assert_eq!(lines, ["SUBSCRIBE 2"]);
    assert_eq!(room.last().get("Expires"), "7200");
    let mut room = subscribing();
    assert_eq!(room.answer("489 Bad Event", "Allow-Events: presence"), ["Failed 489"]);
    room.fade();
    // And as they are asked of us.
    for (changes, code, header) in [
        ("Event: weather", 489, Some(("Allow-Events", "conference"))),
        ("Event:", 489, Some(("Allow-Events", "conference"))),
        ("Expires: 10", 423, Some(("Min-Expires", "60"))),
        ("Expires: 4294967296", 0, None),
        ("Accept: text/nobody", 406, None),
        ("Require: magic", 420, Some(("Unsupported", "magic"))),
    ] {
        let mut bob = notifying(changes);
        let lines = bob.drain();
        if code == 0 {
            assert_eq!(lines, ["Asked"], "{changes}");
            continue;
        }
        assert_eq!(lines, [format!("{code} SUBSCRIBE 1"), format!("Refused {code}")], "{changes}");
        if let Some((name, value)) = header {
            assert_eq!(bob.sent.last().unwrap().get(name), value, "{changes}");
        }
    }
}

#[test]
fn m29_accepting_tells_at_once_and_the_end_is_told_once() {
    let body = |text: &str| {
        Some(Body {
            content_type: "application/conference-info+xml".to_owned(),
            bytes: text.to_owned().into(),
        })
    };
    let mut bob = notifying("");
    assert_eq!(bob.drain(), ["Asked"]);
    bob.usage.accept(bob.now, Standing::Active, body("<a/>"));
    assert_eq!(bob.drain(), ["200 SUBSCRIBE 1", "NOTIFY 1"]);
    assert_eq!(bob.last().get("Subscription-State"), "active;expires=3600");
    assert_eq!((bob.last().get("Event"), bob.last().body()), ("conference", "<a/>"));
    let accepted = bob.sent.iter().find(|text| text.is_response()).unwrap();
    assert_eq!((accepted.get("Expires"), accepted.tag("To")), ("3600", bob.last().tag("From")));
    // One at a time: what comes meanwhile waits, and only the newest is told.
    bob.usage.publish(bob.now, body("<b/>"), None);
    bob.usage.publish(bob.now, body("<c/>"), None);
    assert_eq!(bob.drain(), NOTHING);
    assert_eq!(bob.answer("200 OK", ""), ["NOTIFY 2"]);
    assert_eq!(bob.last().body(), "<c/>");
    assert_eq!(bob.answer("200 OK", ""), NOTHING);
    // Not refreshed: terminated, and told so, once.
    let lines = bob.wait(3600);
    assert_eq!(lines, ["NOTIFY 3"]);
    assert_eq!(bob.last().get("Subscription-State"), "terminated;reason=timeout");
    assert_eq!(bob.answer("200 OK", ""), ["Ended Expired"]);
    assert_eq!(bob.ask("SUBSCRIBE", 2, "Event: conference\nExpires: 60"), ["481 SUBSCRIBE 2"]);
    bob.fade();
    // A refresh of zero ends it, too; and so does whoever does not know of it any more.
    let mut bob = notifying("");
    bob.usage.accept(bob.now, Standing::Active, None);
    bob.answer("200 OK", "");
    let lines = bob.ask("SUBSCRIBE", 2, "Event: conference\nExpires: 0");
    assert_eq!(lines, ["200 SUBSCRIBE 2", "NOTIFY 2"]);
    assert_eq!(bob.last().get("Subscription-State"), "terminated;reason=timeout");
    assert_eq!(bob.answer("200 OK", ""), ["Ended Unsubscribed"]);
    let mut bob = notifying("");
    bob.usage.accept(bob.now, Standing::Active, None);
    assert_eq!(
        bob.answer("481 Subscription Does Not Exist", ""),
        ["Ended Failed(Status(Status(481)))"]
    );
    bob.fade();
}

#[test]
fn m29_every_reason_says_whether_to_come_back() {
    for (reason, again) in [
        ("deactivated", Again::AtOnce),
        ("timeout", Again::AtOnce),
        ("probation;retry-after=30", Again::After(Duration::from_secs(30))),
        ("giveup;retry-after=40", Again::After(Duration::from_secs(40))),
        ("rejected", Again::Never),
        ("noresource", Again::Never),
        ("invariant", Again::Never),
    ] {
        let mut room = subscribing();
        room.answer("200 OK", "Expires: 3600\nContact: <sip:room@192.0.2.2>");
        let told = format!("Event: conference\nSubscription-State: terminated;reason={reason}");
        let lines = room.ask("NOTIFY", 1, &told);
        assert_eq!(lines[0], "200 NOTIFY 1", "{reason}");
        assert_eq!(lines.last().unwrap(), &format!("Ended {again:?}"), "{reason}");
        assert_eq!(room.ask("NOTIFY", 2, CONFERENCE), ["481 NOTIFY 2"], "{reason}");
    }
    // A NOTIFY that belongs to nothing.
    let mut room = subscribing();
    assert_eq!(
        room.ask("NOTIFY", 1, "Event: weather\nSubscription-State: active"),
        ["489 NOTIFY 1"]
    );
    assert_eq!(room.ask("NOTIFY", 2, "Event: conference")[0], "400 NOTIFY 2");
}

#[test]
fn m35_the_202_goes_before_the_first_notify_and_each_notify_before_the_next() {
    let refer = "REFER sip:bob@b.example SIP/2.0\nContact: <sip:theirs@192.0.2.2>\n\
                 Refer-To: <sip:carol@c.example>";
    let mut bob =
        Talk::new(|now| Referred::answering(now, request(refer, 1, "us"), peer(), kit(Udp, 1)));
    assert_eq!(bob.drain(), ["Asked"]);
    bob.usage.accept(bob.now);
    assert_eq!(bob.drain(), ["202 REFER 1", "NOTIFY 1"]);
    assert_eq!(bob.last().body(), "SIP/2.0 100 Trying\r\n");
    assert_eq!(bob.last().get("Event").split(';').next(), Some("refer"));
    bob.usage.report(bob.now, Status::RINGING);
    bob.usage.report(bob.now, Status::OK);
    assert_eq!(bob.drain(), NOTHING, "one at a time");
    assert_eq!(bob.answer("200 OK", ""), ["NOTIFY 2"]);
    assert_eq!(bob.last().body(), "SIP/2.0 200 OK\r\n");
    assert_eq!(bob.last().get("Subscription-State"), "terminated;reason=noresource");
}

#[test]
fn m35_a_notify_that_overtakes_the_202_is_of_the_refer() {
    let trying = "Event: refer\nSubscription-State: active;expires=60\n\
                  Content-Type: message/sipfrag\n\nSIP/2.0 100 Trying\n";
    let done = "Event: refer\nSubscription-State: terminated;reason=noresource\n\
                Content-Type: message/sipfrag\n\nSIP/2.0 486 Busy Here\n";
    for overtaken in [false, true] {
        let carol = Refer::to(Reference::invite(Uri::parse("sip:carol@c.example").unwrap()));
        let mut alice = Talk::new(|now| Referral::refer(now, &errand(), carol, kit(Udp, 1)));
        assert_eq!(alice.drain(), ["REFER 1"]);
        assert_eq!(alice.last().get("Refer-To"), "<sip:carol@c.example>");
        if !overtaken {
            assert_eq!(alice.answer("202 Accepted", "Contact: <sip:b@192.0.2.2>"), ["Accepted"]);
        }
        assert_eq!(alice.ask("NOTIFY", 1, trying), ["200 NOTIFY 1", "Progress 100"]);
        if overtaken {
            assert_eq!(alice.answer("202 Accepted", "Contact: <sip:b@192.0.2.2>"), ["Accepted"]);
        }
        let lines = alice.ask("NOTIFY", 2, done);
        assert_eq!(lines, ["200 NOTIFY 2", "Progress 486", "Ended 486"]);
    }
    // Within the dialog of a session: the same, and the session stands.
    let mut stage = Stage::established(Udp);
    let carol = Refer::to(Reference::invite(Uri::parse("sip:carol@c.example").unwrap()));
    let lines = stage.wish(|leg, now| assert!(leg.refer(now, carol).is_some()));
    assert_eq!(lines, ["REFER 2 > udp:192.0.2.3:5060"]);
    assert_eq!(stage.ask("NOTIFY", 1, trying)[0], "200 NOTIFY 1");
    assert_eq!(stage.answer("REFER", "202 Accepted", "", "").len(), 1);
    assert_eq!(stage.ask("NOTIFY", 2, done)[0], "200 NOTIFY 2");
    assert_eq!(stage.ask("OPTIONS", 3, ""), ["200 OPTIONS 3"]);
}

/// A usage with its time and all that it has sent; the test is its peer, in bytes.
struct Talk<U> {
    usage: U,
    now: Instant,
    sent: Vec<Text>,
}

trait Usage {
    fn handle(&mut self, now: Instant, input: UsageInput);
    /// The next thing sent, or told.
    fn next(&mut self) -> Option<Result<Text, String>>;
    fn next_timeout(&self) -> Option<Instant>;
    fn is_finished(&self) -> bool;
    fn names(&self) -> (String, String);
}

macro_rules! usages {
    ($($usage:ident tells $name:ident,)+) => {$(
        impl Usage for $usage {
            fn handle(&mut self, now: Instant, input: UsageInput) {
                Self::handle(self, now, input);
            }

            fn next(&mut self) -> Option<Result<Text, String>> {
                Some(match self.poll()? {
                    UsageOutput::Send { bytes, .. } => Ok(Text::of(&bytes)),
                    UsageOutput::Spare { hop, .. } => Err(format!("spare {hop}")),
                    UsageOutput::Event(event) => Err($name(event)),
                })
            }

            fn next_timeout(&self) -> Option<Instant> {
                Self::next_timeout(self)
            }

            fn is_finished(&self) -> bool {
                Self::is_finished(self)
            }

            fn names(&self) -> (String, String) {
                (self.call_id().to_owned(), self.local_tag().to_owned())
            }
        }
    )+};
}

usages! {
    Subscriber tells subscriber,
    Notifier tells notifier,
    Referral tells referral,
    Referred tells notifier,
}

impl<U: Usage> Talk<U> {
    fn new(begin: impl FnOnce(Instant) -> U) -> Self {
        let now = Instant::now();
        Self { usage: begin(now), now, sent: Vec::new() }
    }

    fn drain(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(next) = self.usage.next() {
            lines.push(match next {
                Ok(text) => {
                    let number = text.number().to_owned();
                    let line = match text.is_response() {
                        true => format!("{} {} {number}", text.code(), text.method()),
                        false => format!("{} {number}", text.method()),
                    };
                    self.sent.push(text);
                    line
                }
                Err(told) => told,
            });
        }
        lines
    }

    /// The last request sent.
    fn last(&self) -> &Text {
        self.sent.iter().rev().find(|text| !text.is_response()).expect("a request")
    }

    /// Lets the peer answer the last request.
    fn answer(&mut self, status: &str, changes: &str) -> Vec<String> {
        self.drain();
        let bytes = answer_text(self.last(), status, "theirs", changes);
        self.hear(&bytes)
    }

    /// Lets the peer send a request within the dialog.
    fn ask(&mut self, method: &str, number: u32, changes: &str) -> Vec<String> {
        let (call_id, ours) = self.usage.names();
        let head = format!(
            "{method} sip:us@192.0.2.1 SIP/2.0\n\
             Via: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK{method}{number}\n\
             From: <sip:room@b.example>;tag=theirs\nTo: <sip:us@a.example>;tag={ours}\n\
             Call-ID: {call_id}\nCSeq: {number} {method}\nContact: <sip:theirs@192.0.2.2>\n"
        );
        self.hear(&message(&head, changes))
    }

    fn hear(&mut self, bytes: &[u8]) -> Vec<String> {
        let message = read(bytes.to_vec());
        self.usage.handle(self.now, UsageInput::Message { message, source: peer() });
        self.drain()
    }

    /// Lets so many seconds pass; each repetition of a request is left out.
    fn wait(&mut self, seconds: u64) -> Vec<String> {
        let end = self.now + Duration::from_secs(seconds);
        let mut lines: Vec<String> = Vec::new();
        while let Some(next) = self.usage.next_timeout().filter(|next| *next <= end) {
            self.now = next;
            self.usage.handle(next, UsageInput::Timeout);
            let known = self.sent.len();
            for line in self.drain() {
                let is_repeated =
                    self.sent[known..].iter().any(|text| self.sent[..known].contains(text));
                if !is_repeated {
                    lines.push(line);
                }
            }
        }
        self.now = end;
        lines
    }

    fn fade(&mut self) {
        self.wait(70);
        assert!(self.usage.is_finished());
        assert_eq!(self.usage.next_timeout(), None);
    }
}

fn subscribing() -> Talk<Subscriber> {
    let subscription = Subscription {
        errand: errand(),
        event: EventType::new("conference"),
        accept: vec!["application/conference-info+xml".to_owned()],
        expires: 3600,
        forks: Forks::Refuse,
        body: None,
    };
    let mut talk = Talk::new(|now| Subscriber::subscribe(now, subscription, kit(Udp, 1)));
    assert_eq!(talk.drain(), ["SUBSCRIBE 1"]);
    talk
}

fn notifying(changes: &str) -> Talk<Notifier> {
    let head = "SUBSCRIBE sip:bob@b.example SIP/2.0\nContact: <sip:theirs@192.0.2.2>\n\
                Event: conference\nAccept: application/conference-info+xml\nExpires: 3600\n";
    let terms = NotifierTerms {
        packages: vec!["conference".to_owned()],
        content_types: vec!["application/conference-info+xml".to_owned()],
        shortest: 60,
        usual: 3600,
        longest: 3600,
    };
    let subscribe = request(head, 1, changes);
    Talk::new(|now| Notifier::answering(now, subscribe, peer(), terms, kit(Udp, 1)))
}

/// A request of the peer outside of any dialog.
fn request(head: &str, number: u32, changes: &str) -> chatbridge::sip::Request {
    let method = head.split(' ').next().unwrap();
    let common = format!(
        "Via: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bKnew\nMax-Forwards: 70\n\
         From: <sip:room@b.example>;tag=theirs\nTo: <sip:bob@b.example>\nCall-ID: new\n\
         CSeq: {number} {method}\n"
    );
    let changes = if changes == "us" { "" } else { changes };
    match read(message(&format!("{head}\n{common}"), changes)) {
        Message::Request(request) => request,
        Message::Response(response) => panic!("{response:?}"),
    }
}

fn errand() -> Errand {
    Errand {
        target: Uri::parse("sip:room@b.example").unwrap(),
        from: NameAddr::parse("<sip:alice@a.example>").unwrap(),
        to: NameAddr::parse("<sip:room@b.example>").unwrap(),
        next_hops: vec![peer()],
        proxy: None,
        route: Vec::new(),
        headers: Vec::new(),
        contact_user: Some("alice".to_owned()),
        contact_params: String::new(),
    }
}

fn peer() -> Hop {
    Hop::new(Udp, "192.0.2.2", 5060)
}

fn subscriber(event: SubscriberEvent) -> String {
    match event {
        SubscriberEvent::Accepted { response } => format!("Accepted {}", response.status.code()),
        SubscriberEvent::Failed { why: UsageFailure::Status(status), .. } => {
            format!("Failed {}", status.code())
        }
        SubscriberEvent::Failed { why, .. } => format!("Failed {why:?}"),
        SubscriberEvent::Notified { state, .. } => format!("Notified {state}"),
        SubscriberEvent::Ended { why, .. } => format!("Ended {:?}", why.again()),
    }
}

fn notifier(event: NotifierEvent) -> String {
    match event {
        NotifierEvent::Asked => "Asked".to_owned(),
        NotifierEvent::Refused(status) => format!("Refused {}", status.code()),
        NotifierEvent::Refreshed => "Refreshed".to_owned(),
        NotifierEvent::Ended(parting) => format!("Ended {parting:?}"),
    }
}

fn referral(event: ReferralEvent) -> String {
    match event {
        ReferralEvent::Accepted { .. } => "Accepted".to_owned(),
        ReferralEvent::Refused(why) => format!("Refused {why:?}"),
        ReferralEvent::Progress(status) => format!("Progress {}", status.code()),
        ReferralEvent::Ended { last } => {
            format!("Ended {}", last.map_or(0, Status::code))
        }
    }
}
