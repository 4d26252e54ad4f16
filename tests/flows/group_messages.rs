//! Messages of a group: TS Chat 5.3.9 and 5.3.10 for groups, signalling 1.11 and 2.7.

use std::time::Duration;

use chatbridge::bridge::GroupReports;
use chatbridge::chat::{
    Answer, Command, Composing, ComposingState, NoticeKind, OutgoingMessage, ReceivedStatus,
    ReportRequest,
};
use chatbridge::ids::MessageId;
use chatbridge::payload::Cpim;

use crate::NOTHING;
use crate::focus::{CAROL, ROOM, Room, user};
use crate::world::{ALICE, BOB};

const TEXT: &str = "text/plain";
const COMPOSING: &str = "application/im-iscomposing+xml";
const IMDN: &str = "message/imdn+xml";

fn sent(room: &mut Room) -> Cpim {
    let frame = room.world.far_end_read();
    Cpim::parse(frame.body.expect("a body")).expect("CPIM")
}

fn typing(state: &str) -> String {
    format!(
        "<isComposing xmlns=\"urn:ietf:params:xml:ns:im-iscomposing\"><state>{state}</state>\
         </isComposing>"
    )
}

fn delivered(id: &str) -> String {
    format!(
        "<imdn xmlns=\"urn:ietf:params:xml:ns:imdn\"><message-id>{id}</message-id>\
         <datetime>2023-11-14T22:13:20Z</datetime><delivery-notification><status><delivered/>\
         </status></delivery-notification></imdn>"
    )
}

#[test]
fn a_message_says_who_has_sent_it_and_to_which_group() {
    let mut room = Room::open();
    let id = room.send("Hello all").expect("a running session");
    let cpim = sent(&mut room);
    assert_eq!(cpim.from_uri(), Some("sip:+19585550100@example.com;user=phone"));
    assert_eq!(cpim.to_uris().collect::<Vec<_>>(), [ROOM]);
    let asked = cpim.imdn();
    assert_eq!(asked.message_id.as_deref(), Some(id.as_str()));
    assert!(!asked.positive_delivery, "reports that nobody is told of are not asked for");
    assert_eq!(room.told(), ["alice: \"Hello all\" from alice (echo)"]);
    // The focus gives it back: the other clients of Alice have it already.
    room.says("<sip:+19585550100@example.com;user=phone>", id.as_str(), (TEXT, "Hello all"));
    assert_eq!(room.told(), NOTHING);
    // What another device of hers has sent is news to them.
    room.says("<tel:+19585550100>", "elsewhere", (TEXT, "From my phone"));
    assert_eq!(room.told(), ["alice: \"From my phone\" from alice (echo)"]);
}

#[test]
fn the_sender_is_who_cpim_names_in_any_spelling_and_once() {
    let mut room = Room::open();
    let bob = "<user entity=\"tel:+19585550101\"><display-text>Bob B</display-text>\
               <endpoint entity=\"x\"><status>connected</status></endpoint></user>";
    room.notify("full", 1, bob);
    room.told();
    let odd = "\"B\" <tel:+19585550101?Accept-Contact=%2Bsip.instance%3D%22x%22>";
    room.says(odd, "b1", (TEXT, "hello"));
    room.says(odd, "b1", (TEXT, "hello"));
    let notices = room.world.take_notices();
    let [notice] = &notices[..] else { panic!("one notice: {notices:?}") };
    let NoticeKind::Message { sender, text, reports, .. } = &notice.kind else { panic!() };
    assert_eq!((sender.address.spelling(), text.as_str()), (BOB, "hello"));
    assert_eq!(sender.name.as_deref(), Some("Bob B"));
    assert!(reports.delivered);
    room.says("<sip:anonymous@anonymous.invalid>", "x1", (TEXT, "who am I"));
    assert_eq!(
        room.told(),
        ["alice: \"who am I\" from sip:anonymous@anonymous.invalid, wants Delivered"]
    );
}

#[test]
fn typing_is_wrapped_and_watched_for_each() {
    let mut room = Room::open();
    let composing = Composing { state: ComposingState::Active, ..Composing::idle() };
    assert_eq!(room.ask(Command::Compose(composing)), Ok(Answer::Done));
    let cpim = sent(&mut room);
    assert_eq!(cpim.content_type, COMPOSING);
    room.told();
    room.says(&format!("<{BOB}>"), "t1", (COMPOSING, &typing("active")));
    room.says(&format!("<{CAROL}>"), "t2", (COMPOSING, &typing("active")));
    assert_eq!(room.told(), ["alice: bob is active", "alice: tel:+447700900003 is active"]);
    room.says(&format!("<{BOB}>"), "m1", (TEXT, "done"));
    assert_eq!(room.told(), ["alice: \"done\" from bob, wants Delivered"]);
    room.world.wait(Duration::from_secs(121));
    assert_eq!(room.told(), ["alice: tel:+447700900003 is idle"]);
}

/// The contradiction of TS Chat 5.2.2.9 and Table 2.
#[test]
fn reports_are_told_by_policy_and_for_each_participant() {
    let wants = ReportRequest { delivered: true, displayed: false, failed: false };
    for reports in [GroupReports::Off, GroupReports::PerUser] {
        let mut room = Room::open_with(|group| group.reports = reports);
        room.notify("full", 1, &[user(BOB, "connected"), user(CAROL, "connected")].concat());
        let message =
            OutgoingMessage { id: MessageId::new("g1"), text: "Hi".into(), reports: wants };
        assert_eq!(room.ask(Command::Send(message)), Ok(Answer::Done));
        assert_eq!(sent(&mut room).imdn().positive_delivery, reports == GroupReports::PerUser);
        room.told();
        let bob = room.id_of(BOB);
        for from in [BOB, CAROL, BOB] {
            room.says(&format!("<{from}>"), "r", (IMDN, &delivered("g1")));
        }
        room.says(&format!("<{BOB}>"), "r", (IMDN, &delivered("of somebody else")));
        let about: Vec<_> = room
            .world
            .take_notices()
            .into_iter()
            .map(|notice| {
                let NoticeKind::Delivery { participant, .. } = notice.kind else {
                    panic!("{notice:?}")
                };
                participant
            })
            .collect();
        match reports {
            GroupReports::Off => assert_eq!(about, []),
            GroupReports::PerUser => {
                assert_eq!(about.len(), 2);
                assert_eq!(about[0], Some(bob));
            }
        }
    }
}

/// Only those who take part have got the message: not its sender, and nobody whom the focus does not
/// know. Where nobody says who takes part, whoever has a name may.
#[test]
fn s21_a_report_of_whom_the_message_was_not_for_is_passed_over() {
    let wants = ReportRequest { delivered: true, displayed: false, failed: false };
    let strangers = ["sip:mallory@example.com", ALICE, "sip:anonymous@anonymous.invalid"];
    let mut room = Room::open_with(|group| group.reports = GroupReports::PerUser);
    room.notify("full", 1, &[user(BOB, "connected"), user(CAROL, "connected")].concat());
    room.notify("partial", 2, &crate::focus::gone(CAROL, "departed", ""));
    let message = OutgoingMessage { id: MessageId::new("g1"), text: "Hi".into(), reports: wants };
    assert_eq!(room.ask(Command::Send(message)), Ok(Answer::Done));
    room.told();
    for from in strangers {
        room.says(&format!("<{from}>"), "r", (IMDN, &delivered("g1")));
    }
    assert_eq!(room.told(), [""; 0]);
    // Who has gone may have got it before.
    for from in [CAROL, BOB] {
        room.says(&format!("<{from}>"), "r", (IMDN, &delivered("g1")));
        assert_eq!(room.told().len(), 1, "{from}");
    }
}

#[test]
fn a_received_message_is_reported_on_to_who_has_sent_it() {
    let mut room = Room::open();
    room.says(&format!("<{BOB}>"), "b7", (TEXT, "hello"));
    let notices = room.world.take_notices();
    let NoticeKind::Message { id, .. } = &notices[0].kind else { panic!() };
    let report = Command::Report { message: id.clone(), status: ReceivedStatus::Delivered };
    assert_eq!(room.ask(report), Ok(Answer::Done));
    let cpim = sent(&mut room);
    assert!(cpim.is_notification());
    assert_eq!(cpim.to_uris().collect::<Vec<_>>(), ["sip:+19585550101@example.com;user=phone"]);
}

#[test]
fn messages_wait_while_the_focus_is_asked() {
    let mut world = crate::focus::world(|_| {});
    world.unsubscribe(BOB);
    let session = world.open_group(&[BOB]).expect("a good invitation");
    let invite = world.far_end_got(&chatbridge::sip::Method::Invite);
    let mut room = Room::adopt(world, session, invite.clone());
    room.send("early").expect("it waits");
    assert!(room.world.far_frames.is_empty());
    room.world.focus_accepts(&invite);
    assert_eq!(sent(&mut room).text_content().as_deref(), Some("early"));
}

/// Who has gone is not idle but away.
#[test]
fn who_leaves_while_typing_is_not_told_idle_after_it() {
    let mut room = Room::open();
    room.notify("full", 1, &[user(BOB, "connected"), user(CAROL, "connected")].concat());
    room.told();
    for from in [BOB, CAROL] {
        room.says(&format!("<{from}>"), from, (COMPOSING, &typing("active")));
    }
    room.told();
    room.notify("partial", 2, &crate::focus::gone(BOB, "departed", ""));
    assert_eq!(room.told(), ["alice: bob Disconnected"]);
    room.world.wait(Duration::from_secs(121));
    assert_eq!(room.told(), ["alice: tel:+447700900003 is idle"]);
}
