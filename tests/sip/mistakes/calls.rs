//! How calls begin and end: forks, crossing CANCELs, repeated answers, late ACKs.

use std::collections::BTreeSet;
use std::time::Duration;

use chatbridge::config::Config;
use chatbridge::ids::Random;
use chatbridge::sip::Transport::{Tcp, Udp};
use chatbridge::sip::{Reason, Status};

use crate::stage::{INVITE, NOTHING, Stage};
use crate::wire::message;

/// 64*T1 with the T1 of RFC 3261.
const GIVE_UP: Duration = Duration::from_secs(32);

#[test]
fn m01_two_tags_in_forked_180s_are_two_early_dialogs() {
    let mut stage = Stage::calling(Udp);
    for (tag, host) in [("bobs", "192.0.2.3"), ("carols", "192.0.2.4")] {
        let contact = format!("Contact: <sip:bob@{host}>");
        assert_eq!(stage.answer("INVITE", "180 Ringing", tag, &contact), ["Progress 180"]);
    }
    // Each counts the requests of its own dialog; whoever has not answered has none.
    for (tag, status) in [("bobs", 200), ("carols", 200), ("daves", 481)] {
        let from =
            format!("From: <sip:bob@b.example>;tag={tag}\nVia: SIP/2.0/UDP x;branch=z9hG4bK{tag}");
        assert_eq!(stage.ask("OPTIONS", 7, &from), [format!("{status} OPTIONS 7")], "{tag}");
    }
    let lines = stage.answer("INVITE", "200 OK", "bobs", "Contact: <sip:bob@192.0.2.3>");
    assert_eq!(lines, ["ACK 1 > udp:192.0.2.3:5060", "Established 200"]);
    let invite = stage.last("INVITE").clone();
    let late = stage.answer_to(&invite, "200 OK", "carols", "Contact: <sip:bob@192.0.2.4>");
    assert_eq!(late, ["ACK 1 > udp:192.0.2.4:5060", "BYE 2 > udp:192.0.2.4:5060"]);
    let (ack, bye) = (stage.last("ACK").clone(), stage.last("BYE").clone());
    assert_eq!((ack.tag("To"), bye.tag("To")), ("carols", "carols"));
    assert_eq!(stage.answer("BYE", "200 OK", "carols", ""), NOTHING);
    // The first one talks on.
    assert_eq!(stage.ask("OPTIONS", 8, "From: <sip:bob@b.example>;tag=bobs"), ["200 OPTIONS 8"]);
    assert_eq!(stage.leg.remote_tag(), Some("bobs"));
}

#[test]
fn m02_a_2xx_that_comes_after_the_cancel_or_the_timeout_is_acknowledged_and_hung_up() {
    let contact = "Contact: <sip:bob@192.0.2.3>";
    let mut stage = Stage::calling(Udp);
    stage.answer("INVITE", "180 Ringing", "bobs", "");
    let reason = Some(Reason::sip(600, "Busy Everywhere"));
    assert_eq!(stage.wish(|leg, now| leg.cancel(now, reason)), ["CANCEL 1 > udp:192.0.2.2:5060"]);
    assert_eq!(
        stage.answer("INVITE", "200 OK", "bobs", contact),
        ["ACK 1 > udp:192.0.2.3:5060", "Cancelled", "BYE 2 > udp:192.0.2.3:5060"]
    );
    assert_eq!(stage.last("BYE").get("Reason"), "SIP;cause=600;text=\"Busy Everywhere\"");

    for patience in [GIVE_UP, 2 * GIVE_UP - Duration::from_secs(1)] {
        let mut stage = Stage::calling(Udp);
        assert!(stage.wait(patience).contains(&"32000 NoAnswer Timeout".to_owned()));
        let invite = stage.last("INVITE").clone();
        let late = stage.answer_to(&invite, "200 OK", "bobs", contact);
        assert_eq!(late, ["ACK 1 > udp:192.0.2.3:5060", "BYE 2 > udp:192.0.2.3:5060"]);
        assert_eq!(stage.answer("BYE", "200 OK", "", ""), NOTHING);
        stage.fade();
    }

    // Given up for want of an answer to the CANCEL, too.
    let mut stage = Stage::calling(Udp);
    stage.answer("INVITE", "180 Ringing", "bobs", "");
    stage.wish(|leg, now| leg.cancel(now, None));
    assert!(stage.wait(GIVE_UP).contains(&"32000 Cancelled".to_owned()));
    let late = stage.answer("INVITE", "200 OK", "bobs", contact);
    assert_eq!(late, ["ACK 1 > udp:192.0.2.3:5060", "BYE 2 > udp:192.0.2.3:5060"]);
}

#[test]
fn m03_a_repeated_2xx_is_acknowledged_again_for_64_t1() {
    let mut stage = Stage::calling(Udp);
    let accepted = "Contact: <sip:bob@192.0.2.3>\nRecord-Route: <sip:p2.example;lr>\n\
                    Record-Route: <sip:p1.example;lr>";
    stage.answer("INVITE", "200 OK", "bobs", accepted);
    let (invite, first) = (stage.last("INVITE").clone(), stage.last("ACK").clone());
    assert_eq!(first.get("CSeq"), "1 ACK");
    assert_ne!(first.branch(), invite.branch());
    assert_eq!(first.all("Route"), ["<sip:p1.example;lr>", "<sip:p2.example;lr>"]);
    assert_eq!((first.target(), first.all("Via").len()), ("sip:bob@192.0.2.3", 1));
    for seconds in [1, 10, 20] {
        stage.wait(Duration::from_secs(seconds));
        let again = stage.answer_to(&invite, "200 OK", "bobs", accepted);
        assert_eq!(again, ["ACK 1 > udp:p1.example:5060"]);
        assert_eq!(stage.last("ACK"), &first);
    }
    stage.wait(Duration::from_secs(1));
    assert_eq!(stage.answer_to(&invite, "200 OK", "bobs", accepted), NOTHING);
}

#[test]
fn m04_a_2xx_is_repeated_until_its_ack_on_every_transport() {
    let times = [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    for transport in [Udp, Tcp] {
        let mut stage = Stage::called(transport, "");
        stage.accept();
        let mut expected: Vec<_> = times.iter().map(|at| format!("{at} 200 INVITE 1")).collect();
        expected.push("32000 NoAck".to_owned());
        expected.push("32000 BYE 1 > udp:p2.example:5060".to_owned());
        assert_eq!(stage.wait(GIVE_UP), expected, "{transport}");
        assert!(stage.sent.iter().filter(|it| it.start() == "SIP/2.0 200 OK").count() == 11);

        let mut stage = Stage::called(transport, "");
        stage.accept();
        assert_eq!(stage.wait(Duration::from_secs(2)), expected[..2], "{transport}");
        assert_eq!(stage.ask("ACK", 1, ""), ["Confirmed"]);
        assert_eq!(stage.wait(Duration::from_secs(100)), NOTHING, "{transport}");
    }
}

#[test]
fn m05_a_bye_that_overtakes_the_ack_stops_the_repetitions() {
    let mut stage = Stage::called(Udp, "");
    stage.accept();
    assert_eq!(stage.ask("BYE", 2, ""), ["200 BYE 2", "Ended"]);
    assert_eq!(stage.ask("ACK", 1, ""), NOTHING);
    assert_eq!(stage.ask("BYE", 2, ""), ["200 BYE 2"]);
    stage.fade();
}

#[test]
fn m06_a_duplicate_invite_makes_no_second_dialog() {
    let duplicate = message(INVITE, "\n\noffer");
    let mut stage = Stage::called(Udp, "");
    assert_eq!(stage.hear(duplicate.clone()), ["100 INVITE 1"]);
    stage.accept();
    assert_eq!(stage.hear(duplicate.clone()), NOTHING);
    stage.ask("ACK", 1, "");
    assert_eq!(stage.hear(duplicate.clone()), NOTHING);
    stage.ask("BYE", 2, "");
    // The tombstone stays until Timer L: 64*T1 behind the 2xx.
    stage.wait(GIVE_UP - Duration::from_secs(1));
    assert!(!stage.is_over());
    assert_eq!(stage.hear(duplicate), NOTHING);
    stage.fade();

    // A refusal is said again, on the same terms each time.
    let mut stage = Stage::called(Udp, "");
    stage.wish(|leg, now| leg.reject(now, Status::BUSY_HERE, Vec::new()));
    let refusal = stage.last_response().clone();
    assert_eq!(stage.hear(message(INVITE, "\n\noffer")), ["486 INVITE 1"]);
    assert_eq!(stage.last_response(), &refusal);
    let ack = format!("{}\nTo: <sip:bob@b.example>;tag={}\nCSeq: 1 ACK", "", refusal.tag("To"));
    let ack = message(&INVITE.replacen("INVITE", "ACK", 1), &ack);
    assert_eq!(stage.hear(ack), NOTHING);
    assert_eq!(stage.hear(message(INVITE, "\n\noffer")), NOTHING);
    stage.fade();
}

#[test]
fn m24_the_ack_of_a_refusal_belongs_to_its_invite() {
    let mut stage = Stage::calling(Udp);
    let lines =
        stage.answer("INVITE", "486 Busy Here", "bobs", "Record-Route: <sip:other.example;lr>");
    assert_eq!(lines, ["ACK 1 > udp:192.0.2.2:5060", "Refused 486"]);
    let (invite, ack) = (stage.last("INVITE").clone(), stage.last("ACK").clone());
    assert_eq!(ack.all("Via"), invite.all("Via"));
    assert_eq!(ack.all("Via").len(), 1);
    assert_eq!(ack.all("Route"), ["<sip:192.0.2.2:5060;lr>"]);
    assert_eq!((ack.target(), ack.get("CSeq")), (invite.target(), "1 ACK"));
    assert_eq!((ack.get("From"), ack.get("Call-ID")), (invite.get("From"), invite.get("Call-ID")));
    assert_eq!((ack.tag("To"), ack.body()), ("bobs", ""));
    // During Timer D every repetition is acknowledged, and told to nobody.
    for _ in 0..3 {
        stage.wait(Duration::from_secs(9));
        let again = stage.answer_to(&invite, "486 Busy Here", "bobs", "");
        assert_eq!(again, ["ACK 1 > udp:192.0.2.2:5060"]);
        assert_eq!(stage.last("ACK"), &ack);
    }
    stage.wait(Duration::from_secs(6));
    assert!(stage.is_over());

    // A stream repeats nothing.
    let mut stage = Stage::calling(Tcp);
    stage.answer("INVITE", "486 Busy Here", "bobs", "");
    assert!(stage.is_over());
}

#[test]
fn m25_the_ack_of_a_2xx_carries_the_credentials_of_its_invite() {
    let mut stage = super::access::calling_with_password(Udp);
    stage.answer(
        "INVITE",
        "407 Proxy Authentication Required",
        "p",
        &super::access::asks("Proxy-Authenticate", "a"),
    );
    let invite = stage.last("INVITE").clone();
    assert_eq!(invite.number(), "2");
    let lines = stage.answer("INVITE", "200 OK", "bobs", "Contact: <sip:bob@192.0.2.3>");
    assert_eq!(lines, ["ACK 2 > udp:192.0.2.3:5060", "Established 200"]);
    let ack = stage.last("ACK");
    assert_eq!(ack.get("Proxy-Authorization"), invite.get("Proxy-Authorization"));
    assert_eq!(ack.get("CSeq"), "2 ACK");
}

#[test]
fn m26_a_cancel_waits_for_a_provisional_response_and_is_the_twin_of_its_invite() {
    let mut stage = Stage::calling_with(Udp, |_, call| {
        call.headers.push(("Require".to_owned(), "100rel".to_owned()));
        call.headers.push(("Proxy-Require".to_owned(), "sec-agree".to_owned()));
    });
    assert_eq!(stage.wish(|leg, now| leg.cancel(now, None)), NOTHING);
    assert_eq!(stage.wait(Duration::from_millis(600)), ["500 INVITE 1 > udp:192.0.2.2:5060"]);
    let lines = stage.answer("INVITE", "100 Trying", "", "");
    assert_eq!(lines, ["CANCEL 1 > udp:192.0.2.2:5060"]);
    let (invite, cancel) = (stage.last("INVITE").clone(), stage.last("CANCEL").clone());
    for name in ["Via", "Route", "From", "To", "Call-ID"] {
        assert_eq!(cancel.all(name), invite.all(name), "{name}");
    }
    assert_eq!((cancel.target(), cancel.get("CSeq")), (invite.target(), "1 CANCEL"));
    assert!(!cancel.has("Require") && !cancel.has("Proxy-Require") && cancel.body().is_empty());
    assert_eq!(stage.answer("CANCEL", "200 OK", "p", ""), NOTHING);
    let lines = stage.answer("INVITE", "487 Request Terminated", "bobs", "");
    assert_eq!(lines, ["ACK 1 > udp:192.0.2.2:5060", "Cancelled"]);
}

#[test]
fn m26_a_cancel_is_answered_whatever_becomes_of_its_invite() {
    // Before the decision: 200 to the CANCEL, 487 to the INVITE, with one tag.
    let mut stage = Stage::called(Udp, "");
    let lines = stage.hear(cancel("Reason: SIP;cause=200;text=\"Call completed elsewhere\""));
    let told = "CancelledByPeer SIP;cause=200;text=\"Call completed elsewhere\"";
    assert_eq!(lines, ["200 CANCEL 1", "487 INVITE 1", told]);
    let tags: Vec<_> = stage.sent[stage.sent.len() - 2..].iter().map(|it| it.tag("To")).collect();
    assert_eq!(tags, [stage.leg.local_tag(); 2]);

    // Behind a final response: 200 and no effect.
    let mut stage = Stage::confirmed(Udp);
    assert_eq!(stage.hear(cancel("")), ["200 CANCEL 1"]);
    assert_eq!(stage.ask("OPTIONS", 2, ""), ["200 OPTIONS 2"]);

    // For an INVITE that nobody knows: 481.
    let mut stage = Stage::called(Udp, "");
    let other = "Via: SIP/2.0/UDP p.example:5060;branch=z9hG4bKother";
    assert_eq!(stage.hear(cancel(other)), ["481 CANCEL 1"]);
    assert_eq!(stage.wish(|leg, now| leg.ring(now)), ["180 INVITE 1"]);
}

#[test]
fn m41_a_2xx_without_contact_is_acknowledged_and_hung_up() {
    let mut stage = Stage::calling(Udp);
    assert_eq!(
        stage.answer("INVITE", "200 OK", "bobs", ""),
        ["ACK 1 > udp:b.example:5060", "Lost", "BYE 2 > udp:b.example:5060"]
    );
    let target = stage.last("INVITE").target().to_owned();
    assert_eq!((stage.last("ACK").target(), stage.last("BYE").target()), (&*target, &*target));
    assert_eq!(stage.answer("BYE", "200 OK", "", ""), NOTHING);
}

fn cancel(changes: &str) -> Vec<u8> {
    let cancel = INVITE.replacen("INVITE", "CANCEL", 1).replace("1 INVITE", "1 CANCEL");
    message(&cancel, &format!("Contact:\nRecord-Route:\nContent-Type:\n{changes}"))
}

/// Every message of a transcript can be told from every other one.
#[test]
fn m38_no_two_calls_and_no_two_transactions_share_a_name() {
    let mut names = BTreeSet::new();
    for seed in 0..200 {
        let mut stage = Stage::calling_with(Udp, |kit, _| {
            kit.random = Random::seeded(seed);
        });
        stage.answer("INVITE", "200 OK", "bobs", "Contact: <sip:bob@192.0.2.3>");
        stage.wish(|leg, now| leg.bye(now, None));
        let invite = stage.last("INVITE");
        for name in [invite.get("Call-ID"), invite.tag("From")] {
            // 128 random bits, of which nothing says where or when they were drawn.
            assert!(name.len() >= 22 && names.insert(name.to_owned()), "{name}");
            assert!(!name.contains("192.0.2.1") && !name.contains('@'), "{name}");
        }
        for method in ["INVITE", "ACK", "BYE"] {
            let branch = stage.last(method).branch();
            assert!(branch.starts_with("z9hG4bK") && names.insert(branch.to_owned()), "{branch}");
        }
    }
    assert_eq!(names.len(), 200 * 5);
}

#[test]
fn m38_an_address_that_means_all_addresses_is_never_told() {
    let read = |text: &str| match Config::read(text, []) {
        Ok(config) => Ok(config.sip.advertise),
        Err(faults) => Err(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")),
    };
    let everywhere = "[sip]\nlisten = \"0.0.0.0:5080\"\n";
    let faults = read(everywhere).expect_err("nobody could be told");
    assert!(faults.contains("advertise"), "{faults}");
    let told = read(&format!("{everywhere}advertise = \"192.0.2.1\"\n"));
    assert_eq!(told, Ok(Some("192.0.2.1".to_owned())));
}
