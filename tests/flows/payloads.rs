//! Hostile and hapless bodies: CPIM that lies or does not end, notifications that nobody asked for.

use chatbridge::chat::{Command, ReceivedStatus, ReportRequest};

use crate::NOTHING;
use crate::world::{ALICE, World};

/// Who sends is what SIP says, not what a body says.
#[test]
fn s20_an_identity_inside_is_not_believed() {
    for from in [
        "<sip:mallory@evil.example>",
        "Alice <tel:+19585550100>",
        "<sip:anonymous@anonymous.invalid>",
        "nonsense",
        "<>",
    ] {
        let mut world = World::facing_far_end();
        world.talk_to_far_end();
        let body = format!("From: {from}\r\nTo: {from}\r\n\r\nContent-Type: text/plain\r\n\r\nHi");
        world.far_end_says("message/cpim", &body, false);
        assert_eq!(world.told(), ["alice: \"Hi\" from bob"], "{from}");
    }
}

#[test]
fn s20_a_sender_is_told_what_cannot_be_used() {
    let deep = "From: <sip:a@b>\r\n\r\nContent-Type: message/cpim\r\n\r\n".repeat(100);
    let many = "NS: a <urn:a>\r\n".repeat(100_000);
    let cpim = |rest: &str| format!("From: <sip:a@b>\r\nTo: <sip:a@b>\r\n{rest}");
    for (body, code) in [
        (String::new(), Some(400)),
        (format!("{deep}Content-Type: text/plain\r\n\r\nHi"), Some(400)),
        (cpim(&format!("{many}\r\nContent-Type: text/plain\r\n\r\nHi")), Some(400)),
        (cpim("Require: Vital\r\n\r\nContent-Type: text/plain\r\n\r\nHi"), Some(400)),
        (cpim("\r\nContent-Type: text/plain\r\n\r\nH\0i"), Some(415)),
        (cpim("\r\nContent-Type: text/plain;charset=utf-16\r\n\r\nHi"), Some(415)),
        (cpim("\r\nContent-Type: image/png\r\n\r\nHi"), Some(415)),
        (cpim("\r\nContent-Type: nonsense\r\n\r\nHi"), Some(415)),
        (cpim("\r\nContent-Type: text/plain\r\n\r\n"), None),
    ] {
        let mut world = World::facing_far_end();
        let (session, _) = world.talk_to_far_end();
        world.far_end_says("message/cpim", &body, true);
        assert_eq!(world.told(), NOTHING, "{:.90}", body);
        let report = format!("msrp alice > far_end: REPORT {}", code.unwrap_or(200));
        assert_eq!(
            world.sent(),
            ["msrp far_end > alice: SEND message/cpim", "msrp alice > far_end: 200", &report],
            "{body:.90}"
        );
        world.far_end_says("text/plain", "still there", false);
        assert_eq!(world.told(), ["alice: \"still there\" from bob"]);
        assert_eq!(world.sessions(), [session]);
    }
}

/// RFC 4975 section 7.3.1: every end takes both, though no description of ours names them.
#[test]
fn a_text_among_other_parts_is_found() {
    for kind in ["multipart/mixed", "multipart/alternative"] {
        let mut world = World::facing_far_end();
        world.talk_to_far_end();
        let body = "--b\r\nContent-Type: text/plain\r\n\r\nHi\r\n\
                    --b\r\nContent-Type: image/png\r\n\r\nPNG\r\n--b--\r\n";
        world.far_end_says(&format!("{kind};boundary=b"), body, false);
        assert_eq!(world.told(), ["alice: \"Hi\" from bob"], "{kind}");
    }
}

#[test]
fn s20_a_message_within_a_message_is_read_and_no_deeper() {
    let wrap = |inner: &str| {
        format!("From: <sip:a@b>\r\nTo: <sip:a@b>\r\n\r\nContent-Type: message/cpim\r\n\r\n{inner}")
    };
    let text = "From: <sip:a@b>\r\nTo: <sip:a@b>\r\n\r\nContent-Type: text/plain\r\n\r\nHi";
    let mut world = World::facing_far_end();
    world.talk_to_far_end();
    world.far_end_says("message/cpim", &wrap(text), false);
    assert_eq!(world.told(), ["alice: \"Hi\" from bob"]);
    world.far_end_says("message/cpim", &wrap(&wrap(text)), false);
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn of_several_parts_the_text_is_told_and_reports_are_believed() {
    let part = |kind: &str, body: &str| format!("--b\r\nContent-Type: {kind}\r\n\r\n{body}\r\n");
    let (text, picture) = (part("text/plain", "Hi"), part("image/png", "x"));
    let report = |status: &str| {
        let cpim = imdn("msg001", "delivery", status);
        let (_, xml) = cpim.rsplit_once("\r\n\r\n").expect("a body");
        part("message/imdn+xml", xml)
    };
    for (kind, parts, told, code) in [
        ("mixed;boundary=b", format!("{picture}{text}"), &["alice: \"Hi\" from bob"][..], 200),
        ("alternative;boundary=b", format!("{text}{picture}"), &["alice: \"Hi\" from bob"], 200),
        ("mixed;boundary=b", report("delivered"), &["alice: msg001 Delivered"], 200),
        ("mixed;boundary=b", report("unheard-of"), &[], 200),
        ("mixed;boundary=b", picture, &[], 415),
        ("mixed;boundary=c", text.clone(), &[], 400),
        ("mixed", text, &[], 400),
    ] {
        let mut world = World::facing_far_end();
        let (session, _) = world.talk_to_far_end();
        world.send(&session, "Hello", BOTH);
        world.told();
        world.sent();
        let body = format!(
            "From: <sip:a@b>\r\nTo: <sip:a@b>\r\n\r\nContent-Type: multipart/{kind}\r\n\r\n{parts}--b--\r\n"
        );
        world.far_end_says("message/cpim", &body, false);
        let mut found = world.told();
        found.retain(|line| !line.contains("MessageSuccess"));
        assert_eq!(found, told, "{kind} {parts}");
        assert_eq!(world.sent().pop(), Some(answer(code)), "{kind} {parts}");
    }
}

/// What the sender of a message is told last, who wants no report on its success.
fn answer(code: u16) -> String {
    let report = if code == 200 { "" } else { "REPORT " };
    format!("msrp alice > far_end: {report}{code}")
}

#[test]
fn a_text_is_read_in_its_charset_or_not_at_all() {
    for (kind, text, code) in [
        ("text/plain", "h\u{e9}llo", 200),
        ("text/plain;charset=UTF-8", "h\u{e9}llo", 200),
        ("text/plain; charset=utf-16", "hello", 415),
        ("text/plain", "h\0llo", 415),
    ] {
        let mut world = World::facing_far_end();
        world.talk_to_far_end();
        world.far_end_says(kind, text, false);
        let told = (code == 200).then(|| format!("alice: \"{text}\" from bob"));
        assert_eq!(world.told(), told.into_iter().collect::<Vec<_>>(), "{kind}");
        assert_eq!(world.sent().pop(), Some(answer(code)), "{kind}");
    }
}

/// Every notification after every other: the status only moves forward, and is final once.
#[test]
fn s21_a_status_only_moves_forward() {
    for first in REPORTS {
        for second in REPORTS {
            let mut world = World::facing_far_end();
            let (session, _) = world.talk_to_far_end();
            world.send(&session, "Hello", BOTH);
            world.told();
            for (kind, status) in [first, second, first, second] {
                world.far_end_says("message/cpim", &imdn("msg001", kind, status), false);
            }
            let told: Vec<String> = world
                .told()
                .into_iter()
                .filter(|line| !line.contains("Message"))
                .map(|line| line.replace("alice: msg001 ", ""))
                .collect();
            assert_eq!(told, expected(first, second), "{first:?} {second:?}");
        }
    }
}

#[test]
fn s21_news_of_what_was_never_sent_is_passed_over() {
    let mut world = World::facing_far_end();
    let (session, _) = world.talk_to_far_end();
    world.send(&session, "Hello", BOTH);
    world.told();
    world.sent();
    let long = "x".repeat(60_000);
    for id in ["unknown", "msg002", "MSG001", "", " ", &long] {
        for (kind, status) in REPORTS {
            world.far_end_says("message/cpim", &imdn(id, kind, status), false);
        }
    }
    for body in ["", "<imdn/>", "<!DOCTYPE imdn><imdn/>", &"<imdn>".repeat(10_000)] {
        let cpim = format!("From: <sip:a@b>\r\n\r\nContent-Type: message/imdn+xml\r\n\r\n{body}");
        world.far_end_says("message/cpim", &cpim, false);
    }
    assert_eq!(world.told(), NOTHING);
    let answers = world.sent().into_iter().filter(|line| line.starts_with("msrp alice >"));
    let others: Vec<String> = answers.filter(|line| line != "msrp alice > far_end: 200").collect();
    assert_eq!(others, NOTHING, "they are answered by MSRP alone");
    world.far_end_says("message/cpim", &imdn("msg001", "delivery", "delivered"), false);
    assert_eq!(world.told()[0], "alice: msg001 Delivered");
}

#[test]
fn s21_no_notification_is_answered_with_one() {
    let mut world = World::facing_far_end();
    let (session, _) = world.talk_to_far_end();
    // One that asks for notifications itself.
    let asking = imdn("msg001", "display", "displayed").replace(
        "imdn.Message-ID: n1\r\n",
        "imdn.Message-ID: n1\r\nimdn.Disposition-Notification: positive-delivery, display\r\n",
    );
    world.far_end_says("message/cpim", &asking, false);
    assert_eq!(world.told(), NOTHING);
    // One about one of ours.
    world.far_end_says("message/cpim", ASKING, false);
    let message = world.received(ALICE);
    world.told();
    world.far_frames.clear();
    let status = ReceivedStatus::Displayed;
    world.order(&session, Command::Report { message, status }).expect("taken");
    let ours = world.far_end_read();
    let ours = String::from_utf8_lossy(ours.body.as_ref().expect("a body")).into_owned();
    let id = ours.split("imdn.Message-ID: ").nth(1).and_then(|rest| rest.split("\r\n").next());
    world.sent();
    for (kind, status) in REPORTS {
        world.far_end_says("message/cpim", &imdn(id.expect("an id"), kind, status), false);
    }
    assert_eq!(world.told(), NOTHING);
    let sent = world.sent().into_iter().filter(|line| line.starts_with("msrp alice > far_end: S"));
    assert_eq!(sent.collect::<Vec<_>>(), NOTHING);
}

/// What the second notification adds to the first, when both come twice.
fn expected(first: (&str, &str), second: (&str, &str)) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    for (kind, status) in [first, second] {
        let failed = told.iter().any(|line| line.starts_with("Failed"));
        let news: &[&str] = match (kind, status) {
            ("delivery", "delivered") => &["Delivered"],
            ("display", "displayed") => &["Delivered", "Displayed"],
            ("delivery", _) if told.is_empty() => &["Failed"],
            _ => &[],
        };
        for word in news.iter().filter(|_| !failed) {
            if *word == "Failed" {
                told.push(format!("Failed IMDN-{status}"));
            } else if !told.iter().any(|line| line == word) {
                told.push((*word).to_owned());
            }
        }
    }
    told
}

fn imdn(message_id: &str, kind: &str, status: &str) -> String {
    format!(
        "From: <sip:bob@example.com>\r\nTo: <sip:alice@example.com>\r\n\
         NS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: n1\r\n\r\n\
         Content-Type: message/imdn+xml\r\nContent-Disposition: notification\r\n\r\n\
         <imdn xmlns=\"urn:ietf:params:xml:ns:imdn\"><message-id>{message_id}</message-id>\
         <datetime>2026-01-02T03:04:05Z</datetime>\
         <{kind}-notification><status><{status}/></status></{kind}-notification></imdn>"
    )
}

/// Every notification of RFC 5438.
const REPORTS: [(&str, &str); 11] = [
    ("delivery", "delivered"),
    ("delivery", "failed"),
    ("delivery", "forbidden"),
    ("delivery", "error"),
    ("display", "displayed"),
    ("display", "forbidden"),
    ("display", "error"),
    ("processing", "processed"),
    ("processing", "stored"),
    ("processing", "forbidden"),
    ("processing", "error"),
];

const ASKING: &str = "From: <sip:bob@example.com>\r\nTo: <sip:alice@example.com>\r\n\
    NS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: wire1\r\nDateTime: 2026-01-02T03:04:05Z\r\n\
    imdn.Disposition-Notification: positive-delivery, display\r\n\r\n\
    Content-Type: text/plain\r\n\r\nHello";

const BOTH: ReportRequest = ReportRequest { delivered: true, displayed: true, failed: false };
