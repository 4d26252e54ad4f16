//! The group of the recorded trace, step by step: every notification that its expectation lists, and
//! no other.

use chatbridge::bridge::Profile;
use chatbridge::chat::{Answer, Command, Refusal};
use chatbridge::sip::Method;

use crate::NOTHING;
use crate::far_end::far_hop;
use crate::focus::{Room, gone, newcomer, user_with};
use crate::world::{ALICE, World};

const TWO: &str = "tel:+447700900002";
const THREE: &str = "sip:+447700900003@ims.example;user=phone";
const FOUR: &str = "tel:+447700900004";

fn uri(number: u8) -> String {
    format!("sip:+44770090000{number}@ims.example;user=phone")
}

fn stands(number: u8, status: &str) -> String {
    user_with(&uri(number), "", &format!("<status>{status}</status>"))
}

#[test]
fn every_notification_of_the_recorded_group() {
    let mut world = World::with(|settings| {
        settings.core = Some(far_hop());
        settings.profile = Profile::named("cpm").expect("a profile");
    });
    let session = world.open_group(&[TWO, THREE]).expect("a good invitation");
    let invite = world.far_end_got(&Method::Invite);
    world.focus_accepts(&invite);
    let mut room = Room::adopt(world, session, invite);
    assert_eq!(
        room.told(),
        ["alice: alice Connected (own), tel:+447700900002 Invited, \
          sip:+447700900003@ims.example;user=phone Invited"]
    );
    // The NOTIFY with all of the state comes before the 200 to the SUBSCRIBE.
    let subscribe = room.got(&Method::Subscribe);
    room.subscribe = Some(subscribe.clone());
    let own = user_with(
        "sip:+19585550100@ims.example;user=phone",
        "yourown=\"true\"",
        "<status>connected</status>",
    );
    let all = [own, stands(2, "dialing-out"), stands(3, "pending")].concat();
    room.notify("full", 1, &all);
    room.reply(&subscribe, 200, &[("Expires", "3600")]);
    assert_eq!(room.told(), NOTHING, "as it was told already");
    room.notify("partial", 2, &stands(2, "connected"));
    assert_eq!(room.told(), ["alice: tel:+447700900002 Connected"]);
    room.notify("partial", 3, &gone(&uri(3), "failed", "SIP;cause=603;text=\"Decline\""));
    assert_eq!(room.told(), ["alice: sip:+447700900003@ims.example;user=phone Disconnected"]);

    let id = room.send("Hello").expect("a running session");
    assert_eq!(room.told(), ["alice: \"Hello\" from alice (echo)"]);
    let imdn = format!(
        "<imdn xmlns=\"urn:ietf:params:xml:ns:imdn\"><message-id>{id}</message-id>\
         <datetime>2023-11-14T22:13:21Z</datetime><delivery-notification><status><delivered/>\
         </status></delivery-notification></imdn>"
    );
    room.says(&format!("<{}>", uri(2)), "i1", ("message/imdn+xml", &imdn));
    assert_eq!(room.told(), NOTHING, "off in a group unless configured");
    room.says(&format!("<{}>", uri(2)), "b1", ("text/plain", "hello"));
    assert_eq!(room.told(), ["alice: \"hello\" from tel:+447700900002, wants Delivered"]);

    let added = room.begin(Command::Join(vec![newcomer(FOUR)]));
    let refer = room.got(&Method::Refer);
    assert!(refer.headers.has("Contribution-ID"));
    room.reply(&refer, 202, &[("Refer-Sub", "false")]);
    assert!(matches!(room.world.late(added), Some(Ok(Answer::Participant(_)))));
    room.notify("partial", 4, &stands(4, "dialing-out"));
    assert_eq!(room.told(), ["alice: tel:+447700900004 Invited"]);
    room.notify("partial", 5, &gone(&uri(4), "busy", ""));
    assert_eq!(room.told(), ["alice: tel:+447700900004 Disconnected"]);

    let two = room.id_of(TWO);
    let removed = room.begin(Command::Part(two));
    let refer = room.got(&Method::Refer);
    // This focus does not say whether it tells of the REFER, and does not.
    room.reply(&refer, 202, &[]);
    assert_eq!(room.world.late(removed), Some(Ok(Answer::Done)));
    room.notify("partial", 6, &gone(&uri(2), "booted", ""));
    assert_eq!(room.told(), ["alice: tel:+447700900002 Disconnected"]);

    room.notify("partial", 8, &gone(&uri(3), "departed", ""));
    assert_eq!(room.told(), NOTHING, "a gap");
    assert_eq!(room.got_all(&Method::Subscribe).len(), 1);

    room.bye(Some("SIP;cause=480;text=\"Bearer unavailable\""));
    assert_eq!(
        room.told(),
        [
            "alice: alice Disconnected (own)",
            "alice: SessionEnded (SIP BYE; Reason: SIP;cause=480;text=\"Bearer unavailable\")"
        ]
    );
    assert_eq!(room.notify_with("terminated;reason=noresource", None), 200);
    assert_eq!(room.told(), NOTHING, "exactly one end");
    assert_eq!(room.ask(Command::Describe), Ok(Answer::Apart));
    let out = room.send("too late");
    assert!(matches!(out, Err(Refusal::NotNow { .. })), "{ALICE} is out");
}
