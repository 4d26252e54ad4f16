//! TS Chat 5.3.4: extending a 1-1 chat to a group chat, Figure 4; and 6.6.5.

use std::time::Duration;

use chatbridge::chat::{Answer, Command, Extended, Refusal};
use chatbridge::ids::SessionId;
use chatbridge::sip::{Method, Request};

use crate::NOTHING;
use crate::far_end::far_hop;
use crate::focus::{CAROL, Room, gone, user};
use crate::world::{BOB, World};

/// Alice talks to Bob, who is at the far end, and extends that.
struct Extension {
    room: Room,
    pair: SessionId,
    pair_invite: Request,
    what: Extended,
}

fn extended(profile: &str) -> Extension {
    let mut world = World::with(|settings| {
        settings.core = Some(far_hop());
        settings.profile = chatbridge::bridge::Profile::named(profile).expect("a profile");
    });
    world.unsubscribe(BOB);
    let (pair, pair_invite) = world.talk_to_far_end();
    let to = world.next_session();
    let answer = world.ask(&pair, Command::Extend { to: to.clone() });
    let Ok(Answer::Extending(what)) = answer else { panic!("{answer:?}") };
    world.open_group_that(&[CAROL], Some((to.clone(), what.clone()))).expect("a good invitation");
    let invite = world.far_end_got(&Method::Invite);
    Extension { room: Room::adopt(world, to, invite), pair, pair_invite, what }
}

#[test]
fn figure_4_the_pair_ends_once_its_other_side_has_answered() {
    let Extension { mut room, pair, what, .. } = extended("plain");
    assert_eq!((what.partner.address.spelling(), what.contribution.as_deref()), (BOB, None));
    let body = String::from_utf8_lossy(&room.invite.body).into_owned();
    assert!(body.contains("+19585550101") && body.contains("+447700900003"), "{body}");
    let to = room.session.clone();
    assert_eq!(room.world.ask(&pair, Command::Describe), Ok(Answer::MovedTo(to.clone())));
    let invite = room.invite.clone();
    room.world.focus_accepts(&invite);
    room.take_subscription();
    assert_eq!(
        room.told(),
        ["alice: alice Connected (own), bob Invited, tel:+447700900003 Invited"]
    );
    room.notify("full", 1, &[user(BOB, "alerting"), user(CAROL, "connected")].concat());
    assert_eq!(room.told(), ["alice: tel:+447700900003 Connected"]);
    room.notify("partial", 2, &user(BOB, "connected"));
    assert_eq!(
        room.told(),
        [format!("alice: SessionEnded (extended to {to})"), "alice: bob Connected".to_owned()]
    );
    assert_eq!(room.got_all(&Method::Bye).len(), 1, "the pair is hung up");
    assert_eq!(room.world.ask(&pair, Command::Describe), Ok(Answer::MovedTo(to)));
    let again = room.world.ask(&pair, Command::End);
    assert_eq!(again, Err(Refusal::NoSession));
}

#[test]
fn a_partner_who_declines_or_does_not_react_ends_the_pair_too() {
    for silent in [false, true] {
        let Extension { mut room, pair, pair_invite, .. } = extended("plain");
        let to = room.session.clone();
        let ended = format!("alice: SessionEnded (extended to {to})");
        let invite = room.invite.clone();
        room.world.focus_accepts(&invite);
        room.take_subscription();
        room.told();
        room.notify("full", 1, &user(BOB, "alerting"));
        assert_eq!(room.told(), NOTHING);
        if silent {
            room.world.wait(Duration::from_secs(179));
            assert_eq!(room.told(), NOTHING, "Bob has the time of any invitation");
            assert!(room.got_all(&Method::Bye).is_empty());
            room.world.wait(Duration::from_secs(2));
            assert_eq!(room.told(), [ended]);
        } else {
            room.notify("partial", 2, &gone(BOB, "failed", "SIP;cause=603"));
            assert_eq!(room.told(), [ended, "alice: bob Disconnected".to_owned()]);
        }
        let bye = room.got(&Method::Bye);
        assert_eq!(bye.call_id(), pair_invite.call_id(), "the pair is hung up, not the group");
        room.reply(&bye, 200, &[]);
        let is_other = |it: &Request| it.call_id() != pair_invite.call_id();
        assert!(!room.got_all(&Method::Bye).iter().any(is_other));
        let reason = bye.headers.get("Reason");
        assert_eq!(reason, Some("SIP;cause=200;text=\"Call completed\""));
        assert_eq!(room.world.ask(&pair, Command::Describe), Ok(Answer::MovedTo(to)));
        assert_eq!(room.told(), NOTHING);
    }
}

#[test]
fn a_focus_that_refuses_leaves_the_pair_as_it_was() {
    let Extension { mut room, pair, .. } = extended("plain");
    let invite = room.invite.clone();
    room.reply(&invite, 403, &[]);
    assert_eq!(room.told(), ["alice: SessionEnded (SIP 403 Forbidden)"]);
    assert!(matches!(room.world.ask(&pair, Command::Describe), Ok(Answer::Session(_))));
    assert_eq!(room.told(), NOTHING);
    let again = room.world.next_session();
    let extend = room.world.ask(&pair, Command::Extend { to: again.clone() });
    assert!(matches!(extend, Ok(Answer::Extending(_))));
    let twice = room.world.ask(&pair, Command::Extend { to: again });
    assert!(matches!(twice, Err(Refusal::NotNow { .. })));
}

/// Signalling 1.8: the entry of the present partner names the session that it replaces.
#[test]
fn a_core_that_knows_the_pair_is_told_what_the_group_replaces() {
    let Extension { room, pair_invite, what, .. } = extended("cpm");
    let id = pair_invite.headers.get("Contribution-ID").map(str::to_owned);
    assert!(id.is_some() && what.contribution == id);
    let body = String::from_utf8_lossy(&room.invite.body).into_owned();
    let id = id.unwrap_or_default().replace('-', "%2D");
    assert!(body.contains(&format!("?Session-Replaces={id}")), "{body}");
    assert_eq!(body.matches("Session-Replaces").count(), 1, "only Bob was there");
}

#[test]
fn who_is_not_connected_extends_nothing() {
    let mut world = World::facing_far_end();
    let (pair, _) = world.invite_far_end();
    let to = world.next_session();
    let refused = world.ask(&pair, Command::Extend { to });
    assert!(matches!(refused, Err(Refusal::WrongState { .. })));
}
