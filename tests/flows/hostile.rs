//! Text that would break out of its place: whatever names, subjects and addresses hold, no line of
//! what goes on the wire begins with what they hold.

use std::num::NonZeroU32;

use chatbridge::address::Address;
use chatbridge::chat::{
    Command, Composing, ComposingState, OutgoingMessage, Party, ReceivedStatus, Refusal,
    ReportRequest,
};
use chatbridge::ids::MessageId;
use chatbridge::sip::Method;

use crate::far_end::offer_sdp;
use crate::world::{ALICE, BOB, World, address};

const BREAKS: [&str; 9] =
    ["\r\n", "\n", "\r", "\r\n\r\n", "\n\r", "\0\r\n", "\u{b}\n", "\u{7f}\r", "\r\n "];

#[test]
fn names_subjects_and_ids_add_no_line() {
    for line_break in BREAKS {
        let evil = format!("x{line_break}Evil: y{line_break}Evil z");
        let mut world = World::new();
        let originator = Party { address: address(ALICE), name: Some(evil.clone()) };
        let terminating = Party { address: address(BOB), name: Some(evil.clone()) };
        let alices = world.begin_inviting(originator, terminating, &evil).expect("a session");
        world.run();
        let bobs = world.invited(BOB);
        world.order(&bobs, Command::Accept).expect("accepted");

        let message = OutgoingMessage {
            id: MessageId::new(evil.clone()),
            text: "harmless".into(),
            reports: BOTH,
        };
        world.order(&alices, Command::Send(message)).expect("taken");
        let received = world.received(BOB);
        let status = ReceivedStatus::Delivered;
        world.order(&bobs, Command::Report { message: received, status }).expect("taken");
        let composing = Composing {
            state: ComposingState::Active,
            last_active: None,
            content_type: Some(evil.clone()),
            refresh: NonZeroU32::new(60),
        };
        world.order(&alices, Command::Compose(composing)).expect("taken");
        world.order(&alices, Command::End).expect("taken");
        world.demand_rest();
        demand_no_evil_line(&world);
    }
}

#[test]
fn addresses_add_no_line() {
    for line_break in BREAKS.into_iter().chain(["%0D%0A", "%0a", "%0d", "%250D%250A"]) {
        for address in [
            format!("tel:+1958{line_break}Evil: x"),
            format!("tel:+1958;x={line_break}Evil: x"),
            format!("sip:bob{line_break}Evil: x@example.com"),
            format!("sip:bob@example.com{line_break}Evil: x"),
            format!("sip:bob@example.com;x={line_break}Evil: x"),
            format!("sip:bob@example.com?x={line_break}Evil: x"),
            format!("acr:bob{line_break}Evil: x"),
        ] {
            let Ok(address) = Address::parse(&address) else { continue };
            let mut world = World::new();
            let terminating = Party { address, name: None };
            let originator = Party { address: crate::world::address(ALICE), name: None };
            match world.begin_inviting(originator, terminating, "Hi") {
                Ok(session) => {
                    world.run();
                    world.send(&session, "harmless", ReportRequest::default());
                }
                Err(Refusal::BadAddress { .. }) => {}
                Err(other) => panic!("{other:?}"),
            }
            demand_no_evil_line(&world);
        }
    }
}

#[test]
fn what_a_peer_escapes_adds_no_line() {
    for from in [
        "\"x\\\r\nEvil: x\" <sip:carol@far.example>;tag=carol",
        "<sip:carol%0D%0AEvil%3A%20x@far.example>;tag=carol",
        "<sip:acr%3Acarol%0D%0AEvil%3A%20x@far.example>;tag=carol",
        "<sip:carol@far.example;x=%0D%0AEvil%3A%20x>;tag=carol",
        "<sip:carol@far.example?x=%0D%0AEvil%3A%20x>;tag=carol",
        "<tel:+1958;x=%0D%0AEvil%3A%20x>;tag=carol",
    ] {
        let mut world = World::new();
        let asserted = from.trim_end_matches(";tag=carol");
        world.far_end_invites_with(
            &[("P-Asserted-Identity", asserted), ("Subject", "x\\r\\nEvil: x")],
            "application/sdp",
            &offer_sdp(),
        );
        let bobs = world.invited(BOB);
        world.order(&bobs, Command::Accept).expect("accepted");
        let accepted = world.far_end_heard(&Method::Invite);
        world.far_end_goes_on(&accepted, (Method::Ack, 1), &[]);
        world.far_end_says("message/cpim", CPIM, true);
        let message = world.received(BOB);
        for status in [ReceivedStatus::Delivered, ReceivedStatus::Displayed] {
            let report = Command::Report { message: message.clone(), status };
            world.order(&bobs, report).expect("taken");
        }
        world.send(&bobs, "harmless", BOTH);
        world.order(&bobs, Command::End).expect("taken");
        world.demand_rest();
        demand_no_evil_line(&world);
    }
}

#[test]
fn a_text_arrives_as_it_was_written() {
    for text in [
        "-------\r\n-------a$\r\nMSRP a SEND\r\n\r\n",
        "Content-Type: text/html\r\n\r\n<b>",
        "\r\n\r\n\r\n",
        "ends with a break\r\n",
        "\u{feff}Grüße \u{1f600}",
        "From: <sip:x@y>\r\n\r\nContent-Type: text/plain\r\n\r\nforged",
    ] {
        let mut world = World::new();
        let (alices, _) = world.connect_users();
        world.send(&alices, text, ReportRequest::default());
        assert_eq!(
            world.told(),
            [format!("alice: \"{text}\" from alice (echo)"), format!("bob: \"{text}\" from alice")]
        );
    }
}

#[test]
fn a_phrase_and_a_warning_of_the_peer_stay_one_line() {
    let mut world = World::facing_far_end();
    let (_, invite) = world.invite_far_end();
    let warning = format!("399 x \"{}\"", "w".repeat(5000));
    world.far_end_answers(&invite, 403, &[("Warning", &warning)], None);
    let told = world.told();
    assert_eq!(told.len(), 1);
    assert!(told[0].len() < 300, "{}", told[0].len());
    assert!(!told[0].contains(['\r', '\n']));
}

fn demand_no_evil_line(world: &World) {
    assert!(!world.written.is_empty() || world.sessions().is_empty());
    for bytes in &world.written {
        let text = String::from_utf8_lossy(bytes);
        // Within a document a line break is but white space.
        let text = text.split("<?xml").next().unwrap_or_default();
        for line in text.split(['\r', '\n']) {
            assert!(!line.trim_start().starts_with("Evil"), "{text}");
        }
        assert!(!text.contains('\0'), "{text}");
    }
}

const CPIM: &str = "From: x\\r\\nEvil: x <sip:carol@far.example>\r\nTo: <sip:bob@example.com>\r\n\
    NS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: wire\\r\\nEvil: x\r\n\
    DateTime: 2026-01-02T03:04:05Z\\r\\nEvil: x\r\nSubject: x\\r\\nEvil: x\r\n\
    imdn.Disposition-Notification: positive-delivery, display\r\n\r\n\
    Content-Type: text/plain\r\n\r\nHello";

const BOTH: ReportRequest = ReportRequest { delivered: true, displayed: true, failed: false };
