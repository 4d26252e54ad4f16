//! TS Chat 5.3.8.1: leaving and re-joining a group, Figures 11 and 12; what a BYE means; and how an
//! idle group is begun again (CPM B.2.3.4).

use std::time::Duration;

use chatbridge::bridge::{GroupSettings, InviteMode};
use chatbridge::chat::{Answer, Command, Refusal};
use chatbridge::payload::{Part, ResourceList, multipart};
use chatbridge::sip::{Method, Request};

use crate::NOTHING;
use crate::far_end::answer_sdp;
use crate::focus::{CAROL, DAVE, ROOM, Room, gone, newcomer, user};
use crate::world::{ALICE, BOB, address};

const SECOND: Duration = Duration::from_secs(1);

/// A room with Bob in it and Carol invited, which Alice has left.
fn left() -> Room {
    let mut room = Room::open();
    room.notify("full", 1, &user(BOB, "connected"));
    assert_eq!(room.told(), ["alice: bob Connected"]);
    let own = room.id_of(ALICE);
    assert_eq!(room.ask(Command::Part(own)), Ok(Answer::Done));
    let bye = room.got(&Method::Bye);
    assert_eq!(bye.headers.get("Reason"), Some("SIP;cause=200;text=\"Call completed\""));
    room.reply(&bye, 200, &[]);
    let leave = room.got(&Method::Subscribe);
    assert_eq!(leave.expires(), Some(0));
    room.reply(&leave, 200, &[("Expires", "0")]);
    let last = room.notify_with("terminated;reason=timeout", None);
    assert_eq!(last, 200, "the last NOTIFY is answered though the dialog is gone");
    assert_eq!(room.told(), ["alice: alice Disconnected (own)"]);
    room
}

fn rejoin(room: &mut Room) -> chatbridge::chat::AnswerId {
    room.begin(Command::Join(vec![newcomer(ALICE)]))
}

#[test]
fn figure_11_who_has_left_joins_again_as_a_new_participation() {
    let mut room = left();
    assert_eq!(room.ask(Command::Describe), Ok(Answer::Apart));
    let answer = rejoin(&mut room);
    let invite = room.got(&Method::Invite);
    assert_eq!(invite.uri.to_string(), ROOM);
    assert_eq!(invite.content_type(), Some("application/sdp"));
    let before = room.invite.call_id().map(str::to_owned);
    assert_ne!(invite.call_id().map(str::to_owned), before);
    room.world.focus_accepts(&invite);
    let Some(Ok(Answer::Participants(all))) = room.world.late(answer) else { panic!() };
    assert_eq!(all[0].party.address.spelling(), ALICE);
    assert_eq!(room.told(), ["alice: alice Connected (own)"]);
    room.invite = invite;
    room.take_subscription();
    // Bob has gone meanwhile, and the document that names all does not name him.
    room.notify("full", 9, &[user(ALICE, "connected"), user(CAROL, "connected")].concat());
    assert_eq!(room.told(), ["alice: bob Disconnected, tel:+447700900003 Connected"]);
    room.send("I am back").expect("a running session");
    assert_eq!(room.told(), ["alice: \"I am back\" from alice (echo)"]);
}

#[test]
fn figure_12_the_originator_ends_the_session() {
    let mut room = Room::open_with(|group| group.ends_with_originator = true);
    let own = room.id_of(ALICE);
    assert_eq!(room.ask(Command::Part(own)), Ok(Answer::Done));
    assert_eq!(
        room.told(),
        ["alice: alice Disconnected (own)", "alice: SessionEnded (ended by the originator)"]
    );
    assert_eq!(room.ask(Command::Describe), Err(Refusal::NoSession));
}

/// The other side of Figure 12: the focus tells of the originator first, and then hangs up.
#[test]
fn figure_12_the_others_hear_of_the_originator_first() {
    let mut room = Room::open();
    room.notify("full", 1, &[user(BOB, "connected"), user(CAROL, "connected")].concat());
    room.told();
    room.notify("partial", 2, &gone(BOB, "departed", ""));
    room.bye(Some("SIP;cause=410;text=\"Gone\""));
    room.notify_with("terminated;reason=noresource", None);
    assert_eq!(
        room.told(),
        [
            "alice: bob Disconnected",
            "alice: SessionEnded (SIP BYE; Reason: SIP;cause=410;text=\"Gone\")"
        ]
    );
    assert_eq!(room.ask(Command::Join(vec![newcomer(ALICE)])), Err(Refusal::NoSession));
}

/// The BYE of a conference that is over may overtake who has left it: a NOTIFY waits until the one
/// before it is answered.
#[test]
fn figure_12_a_bye_that_overtakes_the_last_state_waits_for_it() {
    let gone_by = "alice: SessionEnded (SIP BYE; Reason: SIP;cause=410;text=\"Gone\")";
    let mut room = Room::open();
    room.notify("full", 1, &[user(BOB, "connected"), user(CAROL, "connected")].concat());
    room.told();
    room.bye(Some("SIP;cause=410;text=\"Gone\""));
    assert_eq!(room.told(), [""; 0], "the last state is still to come");
    let last = gone(BOB, "departed", "");
    room.notify_last("terminated;reason=noresource", ("partial", 2, &last));
    assert_eq!(room.told(), ["alice: bob Disconnected", gone_by]);

    // A focus that says nothing more is not waited for.
    let mut room = Room::open();
    room.notify("full", 1, &user(BOB, "connected"));
    room.told();
    room.bye(Some("SIP;cause=410;text=\"Gone\""));
    room.world.wait(Duration::from_secs(2));
    assert_eq!(room.told(), [gone_by]);
}

/// What a focus does at the end of a conference, and may be late or lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    /// NOTIFY: somebody has gone.
    Change,
    /// NOTIFY: nothing more is told.
    Word,
    /// BYE.
    Bye,
    /// The MSRP connection is closed.
    Close,
}

/// Plays the end of a conference in this order; what is not named is lost.
fn end_of_conference(order: &[Last], between: Duration) -> (Room, Vec<String>) {
    let mut room = Room::open();
    room.notify("full", 1, &[user(BOB, "connected"), user(CAROL, "connected")].concat());
    room.told();
    room.world.far_msrp_closed = true;
    let bob_gone = gone(BOB, "departed", "");
    let mut told = Vec::new();
    for last in order {
        match last {
            Last::Change => {
                room.notify("partial", 2, &bob_gone);
            }
            Last::Word if order.contains(&Last::Change) => {
                room.notify_with("terminated;reason=noresource", None);
            }
            // What was not told before is told with it.
            Last::Word => {
                let all = user(CAROL, "connected");
                room.notify_last("terminated;reason=noresource", ("full", 3, &all));
            }
            Last::Bye => room.bye(Some("SIP;cause=410;text=\"Gone\"")),
            Last::Close => room.world.cut_msrp(),
        }
        told.extend(room.told());
        room.world.wait(between);
        told.extend(room.told());
    }
    (room, told)
}

/// All orders of these in which the last NOTIFY comes after the one before it.
fn orders(of: &[Last]) -> Vec<Vec<Last>> {
    let Some((first, rest)) = of.split_first() else { return vec![Vec::new()] };
    let mut all = Vec::new();
    for order in orders(rest) {
        for place in 0..=order.len() {
            let mut longer = order.clone();
            longer.insert(place, *first);
            all.push(longer);
        }
    }
    let place = |order: &[Last], of| order.iter().position(|last| *last == of);
    all.retain(|order| match (place(order, Last::Change), place(order, Last::Word)) {
        (Some(change), Some(word)) => change < word,
        (Some(_), None) | (None, _) => true,
    });
    all
}

const GONE_BY: &str = "alice: SessionEnded (SIP BYE; Reason: SIP;cause=410;text=\"Gone\")";

/// Figure 12: SIP and MSRP go different ways, and datagrams overtake each other.
#[test]
fn figure_12_who_has_gone_is_told_before_the_end_in_whatever_order_that_comes() {
    let all = [Last::Change, Last::Word, Last::Bye, Last::Close];
    let without_change = [Last::Word, Last::Bye, Last::Close];
    let mut count = 0;
    for between in [Duration::ZERO, Duration::from_millis(600)] {
        for order in orders(&all).into_iter().chain(orders(&without_change)) {
            let (mut room, told) = end_of_conference(&order, between);
            let said = format!("{order:?} {between:?}");
            assert_eq!(told, ["alice: bob Disconnected", GONE_BY], "{said}");
            room.world.wait(10 * SECOND);
            assert_eq!(room.told(), NOTHING, "{said}");
            assert!(room.got_all(&Method::Bye).is_empty(), "{said}: the focus has said it");
            count += 1;
        }
    }
    assert_eq!(count, 2 * (12 + 6));
}

/// A focus that does not say its last word is waited for no longer than `leave_wait`.
#[test]
fn figure_12_the_last_word_is_waited_for_no_longer_than_it_may_take() {
    for (of, told) in [
        (&[Last::Change, Last::Bye, Last::Close][..], &["alice: bob Disconnected", GONE_BY][..]),
        (&[Last::Bye, Last::Close], &[GONE_BY]),
    ] {
        for order in orders(of) {
            let (mut room, mut heard) = end_of_conference(&order, Duration::ZERO);
            assert!(!heard.contains(&GONE_BY.to_owned()), "{order:?}: the last word may yet come");
            room.world.wait(2 * SECOND);
            heard.extend(room.told());
            assert_eq!(heard, told, "{order:?}");
            room.world.wait(10 * SECOND);
            assert_eq!(room.told(), NOTHING, "{order:?}");
            assert!(room.got_all(&Method::Bye).is_empty(), "{order:?}: the focus has said it");
        }
    }
}

/// Whoever has not been told anything yet may hear it all with the last word.
#[test]
fn figure_12_a_subscription_that_has_told_nothing_yet_is_waited_for_too() {
    let mut room = Room::open();
    room.bye(Some("SIP;cause=410;text=\"Gone\""));
    assert_eq!(room.told(), NOTHING);
    room.notify_last("terminated;reason=noresource", ("full", 1, &user(BOB, "connected")));
    assert_eq!(room.told(), ["alice: bob Connected", GONE_BY]);
}

/// What a gap has kept from being told is told before the end: nobody tells the whole any more.
#[test]
fn figure_12_a_gap_that_nobody_closes_is_told_all_the_same() {
    for is_refused in [true, false] {
        let mut room = Room::open();
        room.notify("full", 1, &[user(BOB, "connected"), user(CAROL, "connected")].concat());
        room.told();
        room.notify("partial", 3, &gone(BOB, "departed", ""));
        let refresh = room.got(&Method::Subscribe);
        room.bye(Some("SIP;cause=410;text=\"Gone\""));
        assert_eq!(room.told(), NOTHING);
        if is_refused {
            room.reply(&refresh, 481, &[]);
        } else {
            room.notify_with("terminated;reason=noresource", None);
        }
        assert_eq!(room.told(), ["alice: bob Disconnected", GONE_BY], "{is_refused}");
    }
}

/// Signalling 2.4: no reason, or any but 410, leaves the way back.
#[test]
fn a_bye_without_410_leaves_the_way_back() {
    for (reason, told) in [
        (None, "alice: SessionEnded (SIP BYE)"),
        (
            Some("SIP;cause=480;text=\"Bearer unavailable\""),
            "alice: SessionEnded (SIP BYE; Reason: SIP;cause=480;text=\"Bearer unavailable\")",
        ),
    ] {
        let mut room = Room::open();
        room.bye(reason);
        assert_eq!(room.told(), ["alice: alice Disconnected (own)", told]);
        assert_eq!(room.ask(Command::Describe), Ok(Answer::Apart));
        // The last word of the conference changes nothing any more.
        room.notify_with("terminated;reason=noresource", None);
        assert_eq!(room.told(), NOTHING);
        room.begin(Command::Join(vec![newcomer(ALICE)]));
        room.got(&Method::Invite);
    }
}

/// CPM B.2.3.4.2: the focus is gone, so the factory makes another session of the same participants.
#[test]
fn a_group_that_the_focus_has_forgotten_is_begun_again_at_the_factory() {
    let mut room = Room::open();
    room.notify("full", 1, &[user(BOB, "connected"), user(CAROL, "connected")].concat());
    room.told();
    room.notify("partial", 2, &gone(CAROL, "departed", ""));
    room.bye(None);
    room.told();
    let answer = rejoin(&mut room);
    let invite = room.got(&Method::Invite);
    room.reply(&invite, 404, &[]);
    let anew = room.got(&Method::Invite);
    assert_eq!(anew.uri.to_string(), "sip:conference-factory@example.com");
    let body = String::from_utf8_lossy(&anew.body).into_owned();
    assert!(body.contains("+19585550101"), "Bob was there at the end: {body}");
    assert!(!body.contains("+447700900003"), "Carol has left: {body}");
    room.world.focus_accepts(&anew);
    assert!(matches!(room.world.late(answer), Some(Ok(Answer::Participants(_)))));
    assert_eq!(room.told(), ["alice: alice Connected (own), bob Invited"]);
}

#[test]
fn the_ids_of_a_conversation_outlive_its_participations() {
    let mut room = {
        let mut world = crate::world::World::with(|settings| {
            settings.core = Some(crate::far_end::far_hop());
            settings.profile = chatbridge::bridge::Profile::named("cpm").expect("a profile");
        });
        world.unsubscribe(BOB);
        let session = world.open_group(&[BOB]).expect("a good invitation");
        let invite = world.far_end_got(&Method::Invite);
        world.focus_accepts(&invite);
        Room::adopt(world, session, invite)
    };
    let ids = ["Conversation-ID", "Contribution-ID"];
    let before = ids.map(|name| room.invite.headers.get(name).map(str::to_owned));
    assert!(before.iter().all(Option::is_some));
    room.bye(None);
    rejoin(&mut room);
    let invite = room.got(&Method::Invite);
    assert_eq!(ids.map(|name| invite.headers.get(name).map(str::to_owned)), before);
}

#[test]
fn a_focus_that_lets_nobody_in_again_is_a_404() {
    let mut room = left();
    let answer = rejoin(&mut room);
    let invite = room.got(&Method::Invite);
    room.reply(&invite, 403, &[("Warning", "399 as \"127 Service not authorised\"")]);
    assert_eq!(room.world.late(answer), Some(Err(Refusal::NoSession)));
    assert_eq!(room.ask(Command::Describe), Ok(Answer::Apart));
    assert_eq!(room.told(), NOTHING);
}

#[test]
fn who_joins_again_waits_no_longer_than_it_may() {
    let mut room = left();
    let answer = rejoin(&mut room);
    let invite = room.got(&Method::Invite);
    room.world.far_end_answers(&invite, 180, &[], None);
    room.world.wait(3 * SECOND);
    assert_eq!(room.world.late(answer), Some(Ok(Answer::UnderWay)));
    room.world.focus_accepts(&invite);
    assert_eq!(room.told(), ["alice: alice Connected (own)"]);
}

#[test]
fn the_way_back_closes_after_its_time() {
    let mut room = left();
    let window = GroupSettings::default().rejoin_window;
    room.world.wait(window + SECOND);
    assert_eq!(room.ask(Command::Describe), Err(Refusal::NoSession));
    assert_eq!(room.told(), NOTHING);
    room.world.demand_rest();
}

#[test]
fn a_lost_connection_waits_for_its_explanation_and_leaves_the_way_back() {
    let mut room = Room::open();
    room.world.far_msrp_closed = true;
    room.world.cut_msrp();
    room.world.wait(10 * SECOND);
    let bye = room.got(&Method::Bye);
    assert_eq!(bye.headers.get("Reason"), Some("SIP;cause=480;text=\"Bearer unavailable\""));
    assert_eq!(
        room.told(),
        ["alice: alice Disconnected (own)", "alice: SessionEnded (MSRP connection lost)"]
    );
    assert_eq!(room.ask(Command::Describe), Ok(Answer::Apart));
}

#[test]
fn a_message_sent_last_is_answered_before_the_bye() {
    let mut room = unanswered();
    let own = room.id_of(ALICE);
    assert_eq!(room.ask(Command::Part(own.clone())), Ok(Answer::Done));
    assert_eq!(room.ask(Command::Part(own)), Err(Refusal::NoSession));
    assert!(room.got_all(&Method::Bye).is_empty());
    let frame = room.world.far_end_read();
    room.world.far_end_takes(&frame);
    assert_eq!(room.got_all(&Method::Bye).len(), 1);
}

/// A room in which Alice has sent a message that has no answer.
fn unanswered() -> Room {
    let mut room = Room::open();
    room.world.far_msrp_code = None;
    room.send("Bye then").expect("a running session");
    room
}

/// Shows that nothing happens until the answer is there, or does not come.
fn wait_for_the_answer(room: &mut Room, is_answered: bool) {
    assert!(room.got_all(&Method::Bye).is_empty());
    assert_eq!(room.told(), NOTHING);
    match is_answered {
        true => {
            let frame = room.world.far_end_read();
            room.world.far_end_takes(&frame);
        }
        false => room.world.wait(2 * SECOND),
    }
}

#[test]
fn a_stopping_server_leaves_nobody_waiting() {
    let mut room = Room::open();
    room.world.stop();
    assert_eq!(room.got_all(&Method::Bye).len(), 1);
    assert_eq!(room.told(), ["alice: SessionEnded (bridge shutting down)"]);
}

/// The focus strikes out who has left, and brings back who was cut off.
#[test]
fn who_leaves_while_the_server_stops_leaves_all_the_same() {
    for is_answered in [true, false] {
        let mut room = unanswered();
        let own = room.id_of(ALICE);
        assert_eq!(room.ask(Command::Part(own)), Ok(Answer::Done));
        room.told();
        room.world.stop();
        wait_for_the_answer(&mut room, is_answered);
        assert_eq!(room.told(), ["alice: alice Disconnected (own)"]);
        let bye = room.got(&Method::Bye);
        assert_eq!(bye.headers.get("Reason"), Some("SIP;cause=200;text=\"Call completed\""));
        room.reply(&bye, 200, &[]);
        assert_eq!(room.world.sessions(), []);
    }
}

/// Until the last answers are there the group is there too, and takes nothing new; whoever leaves it
/// has left, and is not kept on the list of the focus.
#[test]
fn while_the_server_stops_a_user_may_leave_and_do_nothing_else() {
    for ends in [false, true] {
        let mut room = unanswered();
        room.told();
        room.world.stop();
        let own = room.id_of(ALICE);
        let other = room.id_of(BOB);
        let late = room.send("late").map(|_| ());
        let join = room.ask(Command::Join(vec![newcomer(DAVE)])).map(|_| ());
        let remove = room.ask(Command::Part(other)).map(|_| ());
        for refused in [late, join, remove] {
            assert!(matches!(refused, Err(Refusal::Unavailable { .. })), "{refused:?}");
        }
        let leave = || if ends { Command::End } else { Command::Part(own.clone()) };
        assert_eq!(room.ask(leave()), Ok(Answer::Done));
        assert_eq!(room.ask(leave()), Err(Refusal::NoSession));
        assert_eq!(room.told(), NOTHING);
        room.world.wait(2 * SECOND);
        let told: &[_] = match ends {
            true => &[
                "alice: alice Disconnected (own)",
                "alice: SessionEnded (ended by the originator)",
            ],
            false => &["alice: alice Disconnected (own)"],
        };
        assert_eq!(room.told(), told);
        let bye = room.got(&Method::Bye);
        assert_eq!(bye.headers.get("Reason"), Some("SIP;cause=200;text=\"Call completed\""));
        assert!(room.got_all(&Method::Refer).is_empty());
        room.reply(&bye, 200, &[]);
        assert_eq!(room.world.sessions(), []);
    }
}

#[test]
fn a_stopping_server_hears_the_last_answers_of_the_focus() {
    for is_answered in [true, false] {
        let mut room = unanswered();
        room.told();
        room.world.stop();
        wait_for_the_answer(&mut room, is_answered);
        assert_eq!(room.told(), ["alice: SessionEnded (bridge shutting down)"]);
        let bye = room.got(&Method::Bye);
        assert!(bye.headers.get("Reason").is_some_and(|reason| reason.contains("cause=480")));
        room.reply(&bye, 200, &[]);
        assert_eq!(room.world.sessions(), []);
    }
}

/// How the way to the focus is lost while a user is about to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// The focus does not know the dialog any more.
    Dialog,
    /// The stream is taken away.
    Stream,
    /// The core is lost.
    Core,
}

/// Whoever has left is out: not brought back, and told of nothing but that.
#[test]
fn who_leaves_is_out_however_the_focus_is_lost() {
    let quietly = ["alice: alice Disconnected (own)"];
    let for_all = [quietly[0], "alice: SessionEnded (ended by the originator)"];
    for loss in [Loss::Dialog, Loss::Stream, Loss::Core] {
        for (ends, auto_rejoin) in [(false, false), (false, true), (true, false), (true, true)] {
            let said = format!("{loss:?}, {ends}, {auto_rejoin}");
            let mut room = Room::open_with(|group| {
                group.ends_with_originator = ends;
                group.auto_rejoin = auto_rejoin;
            });
            room.world.far_msrp_code = None;
            let own = room.id_of(ALICE);
            room.begin(Command::Join(vec![newcomer(DAVE)]));
            let refer = room.got(&Method::Refer);
            room.send("Bye then").expect("a running session");
            assert_eq!(room.ask(Command::Part(own)), Ok(Answer::Done));
            room.told();
            match loss {
                Loss::Dialog => room.reply(&refer, 481, &[]),
                Loss::Stream => {
                    let invite = room.invite.clone();
                    let sdp = answer_sdp().replace("m=message 2900", "m=message 0");
                    room.world.far_end_asks(&invite, (Method::Invite, 2), &[], Some(&sdp));
                }
                Loss::Core => room.world.lose_core(&address(ALICE)),
            }
            room.world.run();
            let bye = room.got_all(&Method::Bye).pop();
            let reason = bye.as_ref().and_then(|bye| bye.headers.get("Reason"));
            let wanted = "SIP;cause=200;text=\"Call completed\"";
            assert_eq!(reason, (loss != Loss::Dialog).then_some(wanted), "{said}");
            let told: &[_] = if ends { &for_all } else { &quietly };
            // How the last message fared comes before.
            let heard = room.told();
            assert_eq!(heard[heard.len().saturating_sub(told.len())..], *told, "{said}: {heard:?}");
            assert!(room.got_all(&Method::Invite).is_empty(), "{said}: not brought back");
            let left = if ends { Err(Refusal::NoSession) } else { Ok(Answer::Apart) };
            assert_eq!(room.ask(Command::Describe), left, "{said}");
            room.world.wait(10 * SECOND);
            assert_eq!(room.told(), NOTHING, "{said}");
        }
    }
}

/// The focus has said goodbye: there is nobody to say it to.
#[test]
fn a_core_that_is_lost_behind_the_bye_of_the_focus_is_no_news() {
    let mut room = Room::open();
    room.world.far_msrp_code = None;
    room.send("there?").expect("a running session");
    room.told();
    room.bye(None);
    assert_eq!(room.told(), NOTHING, "the answer may be on its way");
    room.world.far_end.clear();
    room.world.lose_core(&address(ALICE));
    room.world.run();
    let told = room.told();
    assert_eq!(told.last().map(String::as_str), Some("alice: SessionEnded (SIP BYE)"), "{told:?}");
    assert!(room.got_all(&Method::Bye).is_empty(), "no BYE of ours");
    room.world.stop();
    assert_eq!(room.world.sessions(), [], "nothing is waited for");
}

/// A room that Alice has left, and whose focus works on it to let her in, but does not: she was told
/// that it is under way.
fn waiting() -> (Room, Request) {
    let mut room = left();
    let answer = rejoin(&mut room);
    let invite = room.got(&Method::Invite);
    room.world.far_end_answers(&invite, 180, &[], None);
    room.world.wait(3 * SECOND);
    assert_eq!(room.world.late(answer), Some(Ok(Answer::UnderWay)));
    (room, invite)
}

const NOT_LET_IN: &str = "alice: SessionEnded (the group does not let the user in)";

/// What the wire says of an attempt that was given up comes late, whatever it is.
#[test]
fn a_focus_that_takes_too_long_leaves_the_way_back_and_its_end_is_told_once() {
    for late in [487, 404, 410, 491, 302, 500, 603, 200] {
        let (mut room, invite) = waiting();
        room.world.wait(180 * SECOND);
        assert_eq!(room.told(), [NOT_LET_IN]);
        let cancel = room.got(&Method::Cancel);
        room.reply(&cancel, 200, &[]);
        if late == 200 {
            room.world.focus_accepts(&invite);
            let bye = room.got(&Method::Bye);
            room.reply(&bye, 200, &[]);
        } else {
            room.world.far_end_answers(&invite, late, &[("Contact", "<sip:x@h>")], None);
        }
        room.world.wait(10 * SECOND);
        assert_eq!(room.told(), NOTHING, "{late}");
        assert!(room.got_all(&Method::Bye).is_empty());
        assert_eq!(room.ask(Command::Describe), Ok(Answer::Apart), "{late}");
        // And it is as wide as before.
        let answer = rejoin(&mut room);
        let invite = room.got(&Method::Invite);
        room.world.focus_accepts(&invite);
        assert!(matches!(room.world.late(answer), Some(Ok(Answer::Participants(_)))));
        assert_eq!(room.told(), ["alice: alice Connected (own)"]);
    }
}

#[test]
fn who_asks_again_before_the_wire_has_settled_is_asked_for_anew() {
    let (mut room, slow) = waiting();
    room.world.wait(180 * SECOND);
    assert_eq!(room.told(), [NOT_LET_IN]);
    let answer = rejoin(&mut room);
    let invite = room.got(&Method::Invite);
    room.world.far_end_answers(&slow, 487, &[], None);
    room.reply(&invite, 404, &[]);
    let anew = room.got(&Method::Invite);
    assert_eq!(anew.uri.to_string(), "sip:conference-factory@example.com");
    room.world.focus_accepts(&anew);
    assert!(matches!(room.world.late(answer), Some(Ok(Answer::Participants(_)))));
    assert_eq!(room.told(), ["alice: alice Connected (own), bob Invited"]);
}

/// Signalling 2.4: a group that is gone for good is a 404, and no second end.
#[test]
fn a_group_that_is_gone_for_good_ends_for_who_joins_again() {
    for code in [410, 604] {
        let mut room = left();
        let answer = rejoin(&mut room);
        let invite = room.got(&Method::Invite);
        room.reply(&invite, code, &[]);
        assert_eq!(room.world.late(answer), Some(Err(Refusal::NoSession)));
        assert_eq!(room.told(), NOTHING);
        assert_eq!(room.ask(Command::Describe), Err(Refusal::NoSession));

        // Who was told that it is under way hears how it ended.
        let (mut room, invite) = waiting();
        room.reply(&invite, code, &[]);
        let told = room.told();
        let [end] = &told[..] else { panic!("{told:?}") };
        assert!(end.starts_with(&format!("alice: SessionEnded (SIP {code} ")), "{end}");
        assert_eq!(room.ask(Command::Describe), Err(Refusal::NoSession));
    }
}

/// The connection that never comes is no matter to who has left.
#[test]
fn who_leaves_before_the_connection_stands_is_told_nothing_but_that() {
    let mut world = crate::focus::world(|_| {});
    world.unsubscribe(BOB);
    let session = world.open_group(&[BOB]).expect("a good invitation");
    let invite = world.far_end_got(&Method::Invite);
    // The focus is to connect, and does not.
    let sdp = answer_sdp().replace("setup:passive", "setup:active");
    world.focus_accepts_as(&invite, &format!("<{ROOM}>;isfocus"), &sdp);
    let mut room = Room::adopt(world, session, invite);
    room.take_subscription();
    room.send("Anybody?").expect("it waits");
    room.world.wait(9 * SECOND);
    assert_eq!(
        room.told(),
        ["alice: alice Connected (own), bob Invited", "alice: \"Anybody?\" from alice (echo)"]
    );
    let own = room.id_of(ALICE);
    assert_eq!(room.ask(Command::Part(own)), Ok(Answer::Done));
    assert_eq!(room.told(), NOTHING, "the message has its time");
    room.world.wait(10 * SECOND);
    assert_eq!(room.told(), ["alice: alice Disconnected (own)"]);
    let bye = room.got(&Method::Bye);
    assert_eq!(bye.headers.get("Reason"), Some("SIP;cause=200;text=\"Call completed\""));
    assert_eq!(room.ask(Command::Describe), Ok(Answer::Apart));
}

/// A room whose MSRP connection was lost, with a bridge that brings the user back of itself.
fn lost() -> (Room, Request) {
    let mut room = Room::open_with(|group| group.auto_rejoin = true);
    lose(&mut room);
    assert_eq!(room.told(), ["alice: alice Disconnected (own)"], "not the end yet");
    let invite = room.invite.clone();
    (room, invite)
}

/// The MSRP connection is lost; keeps the INVITE with which the bridge asks again, if it does.
fn lose(room: &mut Room) {
    room.world.far_msrp_closed = true;
    room.world.cut_msrp();
    room.world.wait(10 * SECOND);
    room.world.far_msrp_closed = false;
    let bye = room.got(&Method::Bye);
    assert_eq!(bye.call_id(), room.invite.call_id());
    room.reply(&bye, 200, &[]);
    if let Some(invite) = room.got_all(&Method::Invite).into_iter().next() {
        room.invite = invite;
    }
}

/// Signalling 2.4: `auto_rejoin`.
#[test]
fn who_is_lost_is_brought_back_once() {
    let (mut room, invite) = lost();
    assert_eq!(invite.uri.to_string(), ROOM);
    assert_eq!(room.ask(Command::Describe), Ok(Answer::Apart));
    room.world.focus_accepts(&invite);
    assert_eq!(room.told(), ["alice: alice Connected (own)"]);
    room.send("I am back").expect("a running session");
    room.told();
    // Lost again so soon, it is left alone.
    lose(&mut room);
    assert_eq!(
        room.told(),
        ["alice: alice Disconnected (own)", "alice: SessionEnded (MSRP connection lost)"]
    );
    assert_eq!(room.ask(Command::Describe), Ok(Answer::Apart));
    // What a user asks for is another matter.
    rejoin(&mut room);
    let invite = room.got(&Method::Invite);
    room.world.focus_accepts(&invite);
    assert_eq!(room.told(), ["alice: alice Connected (own)"]);
    room.invite = invite;
    lose(&mut room);
    assert_eq!(room.told(), ["alice: alice Disconnected (own)"]);
}

#[test]
fn who_is_not_brought_back_is_told_why_it_was_lost() {
    const END: &str = "alice: SessionEnded (MSRP connection lost)";
    for code in [403, 480, 503, 603] {
        let (mut room, invite) = lost();
        room.reply(&invite, code, &[]);
        assert_eq!(room.told(), [END], "{code}");
        assert_eq!(room.ask(Command::Describe), Ok(Answer::Apart));
    }
    let (mut room, invite) = lost();
    room.reply(&invite, 410, &[]);
    assert_eq!(room.told(), [END]);
    assert_eq!(room.ask(Command::Describe), Err(Refusal::NoSession));
    let (mut room, _) = lost();
    room.world.wait(40 * SECOND);
    assert_eq!(room.told(), [END], "a silent focus");
    let (mut room, invite) = lost();
    room.world.far_end_answers(&invite, 180, &[], None);
    assert_eq!(room.ask(Command::End), Ok(Answer::Done));
    room.world.far_end_answers(&invite, 487, &[], None);
    assert_eq!(room.told(), [END], "the user does not want to");
}

/// Signalling 2.4: the core is lost, and the group is not.
#[test]
fn a_lost_core_leaves_the_way_back() {
    const END: &str = "alice: SessionEnded (core unreachable)";
    let alice = address(ALICE);
    let mut room = Room::open_with(|group| group.auto_rejoin = true);
    room.world.lose_core(&alice);
    assert_eq!(room.told(), ["alice: alice Disconnected (own)", END]);
    assert_eq!(room.ask(Command::Describe), Ok(Answer::Apart));
    room.world.lose_core(&alice);
    assert_eq!(room.told(), NOTHING, "once");
    rejoin(&mut room);
    room.world.lose_core(&alice);
    assert_eq!(room.ask(Command::Describe), Ok(Answer::Apart));

    let mut world = crate::focus::world(|_| {});
    let session = world.open_group(&[BOB]).expect("a good invitation");
    world.lose_core(&alice);
    assert_eq!(world.told(), [END]);
    assert_eq!(world.ask(&session, Command::Describe), Err(Refusal::NoSession));
}

/// Whom an INVITE lists, where it has a list.
fn listed(invite: &Request) -> Option<Vec<String>> {
    let kind = invite.content_type().expect("a body");
    let parts = multipart::leaves(kind, invite.body.clone()).ok()?;
    let of_list = |it: &&Part| it.header("Content-Disposition") == Some("recipient-list");
    let list = ResourceList::parse(&parts.iter().find(of_list)?.body).expect("a list");
    Some(list.entries.into_iter().map(|entry| entry.uri).collect())
}

#[test]
fn a_redirection_leads_who_joins_again_to_no_other_group() {
    let same = format!("{ROOM};gr=2");
    for (contact, goes_on) in [("sip:room2@127.0.0.1:5090", false), (same.as_str(), true)] {
        let mut room = left();
        rejoin(&mut room);
        let invite = room.got(&Method::Invite);
        let moved = format!("<{contact}>;isfocus");
        room.world.far_end_answers(&invite, 302, &[("Contact", &moved)], None);
        let next: Vec<_> =
            room.got_all(&Method::Invite).iter().map(|invite| invite.uri.to_string()).collect();
        let wanted: &[&str] = if goes_on { &[contact] } else { &[] };
        assert_eq!(next, wanted, "{contact}");
    }
}

/// Nobody vouches for a Contact: the user has asked for this group, and for no other one.
#[test]
fn the_answer_to_who_joins_again_leads_to_no_other_group() {
    let mut room = left();
    rejoin(&mut room);
    let invite = room.got(&Method::Invite);
    let other = "<sip:room2@127.0.0.1:5090>;isfocus";
    room.world.focus_accepts_as(&invite, other, &answer_sdp());
    room.invite = invite;
    assert_eq!(room.got(&Method::Subscribe).uri.to_string(), ROOM);
    room.bye(None);
    room.world.far_end.clear();
    rejoin(&mut room);
    assert_eq!(room.got(&Method::Invite).uri.to_string(), ROOM);
}

/// Who lets the user in is who was asked to: by the name that is asserted of it, or by that under which
/// it was called. In the group of anybody else the user has never asked to be.
#[test]
fn who_joins_again_is_let_in_by_who_was_asked_to() {
    const ASSERTED: &str = "sip:group7@as.example.com";
    const OTHER: &str = "sip:room2@as.example.com";
    let both = format!("{OTHER}>, <{ASSERTED}");
    for (first, then, is_in) in [
        (Some(ASSERTED), Some(ASSERTED), true),
        (Some(ASSERTED), Some(both.as_str()), true),
        (Some(ASSERTED), Some(ROOM), true),
        (Some(ASSERTED), None, true),
        (None, Some(ROOM), true),
        (None, Some(OTHER), false),
        (Some(ASSERTED), Some(OTHER), false),
    ] {
        let mut world = crate::focus::world(|_| {});
        world.unsubscribe(BOB);
        let session = world.open_group(&[BOB]).expect("a good invitation");
        let invite = world.far_end_got(&Method::Invite);
        world.focus_accepts_by(&invite, first);
        let mut room = Room::adopt(world, session, invite);
        room.bye(None);
        room.told();
        room.world.far_end.clear();
        let answer = rejoin(&mut room);
        let invite = room.got(&Method::Invite);
        assert_eq!(invite.uri.to_string(), ROOM);
        room.world.focus_accepts_by(&invite, then);
        let said = format!("{first:?}, then {then:?}");
        let answered = room.world.late(answer);
        if is_in {
            assert!(matches!(answered, Some(Ok(Answer::Participants(_)))), "{said}");
            assert_eq!(room.told(), ["alice: alice Connected (own)"], "{said}");
            continue;
        }
        assert_eq!(answered, Some(Err(Refusal::NoSession)), "{said}");
        assert_eq!(room.told(), NOTHING, "{said}");
        let bye = room.got(&Method::Bye);
        assert_eq!(bye.call_id(), invite.call_id());
        assert_eq!(bye.headers.get("Reason"), Some("SIP;cause=200;text=\"Call completed\""));
        assert!(room.got_all(&Method::Subscribe).is_empty(), "{said}");
        assert_eq!(room.ask(Command::Describe), Ok(Answer::Apart), "{said}");
    }
}

/// A focus that takes no list by configuration is sent no empty one either.
#[test]
fn a_focus_that_is_told_of_the_others_one_by_one_is_asked_without_a_list() {
    let mut world = crate::focus::world(|group| {
        group.rejoin_probe = true;
        group.invite_mode = InviteMode::Refer;
    });
    world.unsubscribe(BOB);
    let session = world.open_group(&[BOB]).expect("a good invitation");
    let invite = world.far_end_got(&Method::Invite);
    world.focus_accepts(&invite);
    let mut room = Room::adopt(world, session, invite);
    room.take_subscription();
    let refer = room.got(&Method::Refer);
    room.reply(&refer, 202, &[("Refer-Sub", "false")]);
    room.notify("full", 1, &user(BOB, "connected"));
    room.bye(None);
    room.notify_with("terminated;reason=noresource", None);
    room.told();
    room.world.far_end.clear();
    let answer = rejoin(&mut room);
    let subscribe = room.got(&Method::Subscribe);
    room.reply(&subscribe, 200, &[("Expires", "3600"), ("Contact", &format!("<{ROOM}>"))]);
    room.subscribe = Some(subscribe);
    room.notify_with("terminated;reason=noresource", None);
    let invite = room.got(&Method::Invite);
    assert_eq!(invite.uri.to_string(), "sip:conference-factory@example.com");
    assert_eq!((listed(&invite), invite.headers.get("Require")), (None, None));
    room.world.focus_accepts(&invite);
    assert!(matches!(room.world.late(answer), Some(Ok(Answer::Participants(_)))));
    let refer = room.got(&Method::Refer);
    assert!(refer.headers.get("Refer-To").is_some_and(|to| to.contains("+19585550101")));
}

/// Signalling 1.10: unknown whether the group is active.
#[test]
fn a_group_that_is_asked_for_first_is_begun_again_at_once() {
    let probing = || {
        let mut room = Room::open_with(|group| group.rejoin_probe = true);
        room.notify("full", 1, &user(BOB, "connected"));
        room.bye(None);
        room.notify_with("terminated;reason=noresource", None);
        room.told();
        room.world.far_end.clear();
        let answer = rejoin(&mut room);
        let subscribe = room.got(&Method::Subscribe);
        assert_eq!((subscribe.uri.to_string().as_str(), subscribe.to_tag()), (ROOM, None));
        assert!(room.got_all(&Method::Invite).is_empty(), "not before it is known");
        room.subscribe = Some(subscribe);
        (room, answer)
    };
    let accept = |room: &mut Room| {
        let subscribe = room.subscribe.clone().expect("a subscription");
        room.reply(&subscribe, 200, &[("Expires", "3600"), ("Contact", &format!("<{ROOM}>"))]);
    };
    const FACTORY: &str = "sip:conference-factory@example.com";

    // A focus that is always the same makes a conference of an empty list, of those whom it knows.
    let revived = |code: u16, headers: &[(&str, &str)]| {
        let (mut room, answer) = probing();
        accept(&mut room);
        room.notify_with("terminated;reason=noresource", None);
        let invite = room.got(&Method::Invite);
        assert_eq!(invite.uri.to_string(), ROOM);
        assert_eq!(invite.headers.get("Require"), Some("recipient-list-invite"));
        for name in ["Conversation-ID", "Contribution-ID"] {
            assert_eq!(invite.headers.get(name), room.invite.headers.get(name));
        }
        assert_eq!(listed(&invite), Some(Vec::new()));
        match code {
            0 => {
                room.world.wait(40 * SECOND);
                room.world.far_end.retain(|it| it.call_id() != invite.call_id());
            }
            200 => {
                let asserted = headers.iter().map(|(_, asserted)| *asserted).next();
                room.world.focus_accepts_by(&invite, asserted);
            }
            code => room.reply(&invite, code, headers),
        }
        (room, answer)
    };
    let (mut room, answer) = revived(200, &[]);
    assert!(matches!(room.world.late(answer), Some(Ok(Answer::Participants(_)))));
    assert!(room.got_all(&Method::Invite).is_empty());
    // Others have forgotten it, or say nothing (0), and the factory makes another one of those who were
    // there.
    for code in [0, 400, 404, 410, 415, 480, 488, 500, 501] {
        let (mut room, _) = revived(code, &[]);
        let invite = room.got(&Method::Invite);
        assert_eq!(invite.uri.to_string(), FACTORY, "{code}");
        assert!(listed(&invite).is_some_and(|listed| !listed.is_empty()));
    }
    // Or make a conference of another name, which is none that was asked for.
    const OTHER: &str = "<sip:room2@127.0.0.1:5090>;isfocus";
    for contact in [OTHER, "<sip:conference-factory@example.com>"] {
        let (mut room, _) = revived(302, &[("Contact", contact)]);
        let invite = room.got(&Method::Invite);
        assert_eq!(invite.uri.to_string(), FACTORY, "{contact}");
        assert!(listed(&invite).is_some_and(|listed| !listed.is_empty()));
    }
    let (mut room, _) = revived(302, &[("Contact", &format!("<{ROOM};gr=2>;isfocus"))]);
    assert_eq!(room.got(&Method::Invite).uri.to_string(), format!("{ROOM};gr=2"));
    let other = [("P-Asserted-Identity", "sip:room2@127.0.0.1:5090")];
    let (mut room, answer) = revived(200, &other);
    assert_eq!(room.got(&Method::Bye).uri.to_string(), ROOM);
    let invite = room.got(&Method::Invite);
    assert_eq!(invite.uri.to_string(), FACTORY);
    room.world.focus_accepts(&invite);
    assert!(matches!(room.world.late(answer), Some(Ok(Answer::Participants(_)))));
    // Or take no list.
    let (mut room, _) = revived(420, &[("Unsupported", "recipient-list-invite")]);
    let invite = room.got(&Method::Invite);
    assert_eq!((invite.uri.to_string().as_str(), listed(&invite)), (ROOM, None));
    room.reply(&invite, 404, &[]);
    assert_eq!(room.got(&Method::Invite).uri.to_string(), FACTORY);

    // There is one, and who takes part is told with the user.
    let (mut room, answer) = probing();
    accept(&mut room);
    room.notify("full", 1, &user(CAROL, "connected"));
    assert_eq!(room.told(), NOTHING);
    let invite = room.got(&Method::Invite);
    assert_eq!(invite.uri.to_string(), ROOM);
    room.world.focus_accepts(&invite);
    assert!(matches!(room.world.late(answer), Some(Ok(Answer::Participants(_)))));
    let told = "alice: alice Connected (own), bob Disconnected, tel:+447700900003 Connected";
    assert_eq!(room.told(), [told]);
    assert!(room.got_all(&Method::Subscribe).is_empty(), "it is subscribed already");

    // Who says nothing of it is asked to let the user in.
    for code in [Some(403), Some(489), None] {
        let (mut room, _) = probing();
        match code {
            Some(code) => {
                let subscribe = room.subscribe.clone().expect("a subscription");
                room.reply(&subscribe, code, &[]);
            }
            None => room.world.wait(3 * SECOND),
        }
        assert_eq!(room.got(&Method::Invite).uri.to_string(), ROOM, "{code:?}");
    }

    let (mut room, _) = probing();
    assert_eq!(room.ask(Command::End), Ok(Answer::Done));
    accept(&mut room);
    room.notify_with("active;expires=3600", None);
    room.world.wait(10 * SECOND);
    assert!(room.got_all(&Method::Invite).is_empty(), "withdrawn");
    assert_eq!(room.told(), NOTHING);
}
