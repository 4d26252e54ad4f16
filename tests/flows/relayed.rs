//! Sessions whose MSRP goes through a relay (RFC 4976), and that their other side begins anew: until
//! the relay has let the new MSRP session in, the one before works on.

use std::time::Duration;

use chatbridge::bridge::{MsrpRelay, Settings};
use chatbridge::chat::{Answer, Command, Refusal, ReportRequest};
use chatbridge::ids::{ParticipantId, SessionId};
use chatbridge::msrp::{self, Frame, Kind, Relays};
use chatbridge::sip::{Credentials, Message, Method, Password, Request, RequestBuilder, Response};

use crate::NOTHING;
use crate::far_end::{FAR_PATH, answer_sdp, far_hop};
use crate::world::{BOB, World, address};

const HEADERS: [(&str, &str); 3] = [
    ("Subject", "Hello"),
    ("P-Asserted-Identity", "<tel:+447700900003>"),
    ("Contribution-ID", "abcdef00"),
];
const SDP: &str = "application/sdp";
const ROOM: &str = "sip:room1@127.0.0.1:5090";
const SECOND: Duration = Duration::from_secs(1);

fn world() -> World {
    world_with(|_| {})
}

fn world_with(change: impl FnOnce(&mut Settings)) -> World {
    let password = Password::Text("secret".to_owned());
    let credentials = Credentials { username: "bridge".to_owned(), password, realms: Vec::new() };
    let relays = Relays {
        uris: vec![msrp::Uri::parse("msrp://relay.example.com;tcp").expect("a URI")],
        credentials,
        expires: None,
        allow_plain: true,
    };
    World::with(|settings| {
        settings.core = Some(far_hop());
        settings.msrp_relay = Some(MsrpRelay { relays, timeout: 10 * SECOND });
        change(settings);
    })
}

/// The far end, as Carol, calls Bob; the bridge is to connect.
fn call(world: &mut World) -> Request {
    world.far_end_invites_with(&HEADERS, SDP, &answer_sdp())
}

/// The focus invites Bob.
fn invite(world: &mut World) -> Request {
    let passive = answer_sdp();
    world.focus_invites_with((ROOM, ROOM), &[HEADERS[2]], (SDP, &passive))
}

/// The relay answers what it is asked on the connection that was opened last.
fn relay_says(world: &mut World, status: &str, fields: &str) {
    let is_auth = |frame: &Frame| matches!(frame.kind, Kind::Request(msrp::Method::Auth));
    let at = world.far_frames.iter().position(is_auth).expect("an AUTH");
    let auth = world.far_frames.remove(at).expect("an AUTH");
    let (tid, own) = (auth.tid.as_str(), &auth.from_path);
    let text = format!(
        "MSRP {tid} {status}\r\nTo-Path: {own}\r\nFrom-Path: msrp://relay.example.com;tcp\r\n\
         {fields}-------{tid}$\r\n"
    );
    world.far_end_writes_last(text.as_bytes());
}

fn relay_lets_in(world: &mut World) {
    relay_says(world, "200 OK", "Use-Path: msrp://r.example.com:9000/way;tcp\r\nExpires: 3600\r\n");
}

fn accepted(world: &mut World) -> Response {
    let accepted = world.far_end_heard(&Method::Invite);
    assert_eq!(accepted.status.code(), 200, "{accepted:?}");
    world.far_end_goes_on(&accepted, (Method::Ack, 1), &[]);
    accepted
}

/// A running session between Carol, who has called, and Bob.
fn pair() -> (World, SessionId, Response) {
    let mut world = world();
    call(&mut world);
    let session = world.invited(BOB);
    world.order(&session, Command::Accept).expect("accepted");
    relay_lets_in(&mut world);
    let answer = accepted(&mut world);
    talks(&mut world, &session);
    (world, session, answer)
}

/// Bob in the group of the far end's focus.
fn group() -> (World, SessionId, Response) {
    let mut world = world();
    invite(&mut world);
    let session = world.invited(BOB);
    accept(&mut world, &session, Kinds::Group);
    relay_lets_in(&mut world);
    let answer = accepted(&mut world);
    talks(&mut world, &session);
    (world, session, answer)
}

/// Bob accepts.
fn accept(world: &mut World, session: &SessionId, of: Kinds) {
    let command = match of {
        Kinds::Pair => Command::Accept,
        Kinds::Group => Command::AcceptAs(own_in(world, session)),
    };
    assert_eq!(world.order(session, command), Ok(Answer::Done));
}

/// Bob leaves.
fn leave(world: &mut World, session: &SessionId, of: Kinds) {
    let command = match of {
        Kinds::Pair => Command::End,
        Kinds::Group => Command::Part(own_in(world, session)),
    };
    assert_eq!(world.order(session, command), Ok(Answer::Done));
}

fn own_in(world: &mut World, session: &SessionId) -> ParticipantId {
    let Ok(Answer::Group(info)) = world.ask(session, Command::Describe) else { panic!("no group") };
    info.participants.into_iter().find(|it| it.your_own).expect("an entry of Bob's").id
}

/// The other side begins the session anew.
fn again(world: &mut World, of: Kinds) -> Request {
    if of == Kinds::Pair { call(world) } else { invite(world) }
}

/// The far end confirms that it was refused.
fn confirm(world: &mut World, invite: &Request) {
    let refusal = world.far_end_heard(&Method::Invite);
    assert!(refusal.status.code() >= 300, "{refusal:?}");
    let ack = RequestBuilder::new(Method::Ack, invite.uri.clone())
        .via(&invite.vias().expect("Vias")[0])
        .from(&refusal.from().expect("a From"))
        .to(&refusal.to().expect("a To"))
        .call_id(refusal.call_id().expect("a Call-ID"))
        .cseq(1);
    world.far_end_sends(&ack.build().into());
}

/// Messages go both ways, over one MSRP session; gives the URI that it has here.
fn talks(world: &mut World, session: &SessionId) -> String {
    world.told();
    world.far_frames.clear();
    let id = world.send(session, "to", ReportRequest::default());
    let frame = world.far_end_read();
    assert_eq!(frame.message_id.as_ref().map(ToString::to_string), Some(id.to_string()));
    let own = frame.from_path.to_string();
    let number = world.far_frames_made();
    let text = format!(
        "MSRP fro{number:04} SEND\r\nTo-Path: {own}\r\n\
         From-Path: msrp://r.example.com:9000/way;tcp {FAR_PATH}\r\nMessage-ID: fro{number}\r\n\
         Byte-Range: 1-3/3\r\nContent-Type: text/plain\r\n\r\nfro\r\n-------fro{number:04}$\r\n"
    );
    world.far_end_writes_bytes(text.as_bytes());
    let told = world.told();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("\"to\"") && told[1].contains("\"fro\""), "{told:?}");
    own
}

/// As [`talks`], while what the relay was asked waits.
fn talks_meanwhile(world: &mut World, session: &SessionId) -> String {
    let asked = std::mem::take(&mut world.far_frames);
    let own = talks(world, session);
    world.far_frames.extend(asked);
    own
}

/// The other side begins the session anew, and the relay has not said a word yet: as before, the
/// session works.
fn begun_anew(of: Kinds) -> (World, SessionId, Response, Request) {
    let (mut world, session, answer) = if of == Kinds::Pair { pair() } else { group() };
    world.far_end.clear();
    let before = talks(&mut world, &session);
    let again = again(&mut world, of);
    assert_eq!(world.far_connections(), 2);
    let codes: Vec<u16> = world.far_end.drain(..).map(|it| code_of(&it)).collect();
    assert_eq!(codes, [100], "neither BYE nor an answer");
    assert_eq!(talks_meanwhile(&mut world, &session), before);
    (world, session, answer, again)
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kinds {
    Pair,
    Group,
}

const KINDS: [Kinds; 2] = [Kinds::Pair, Kinds::Group];

fn code_of(message: &Message) -> u16 {
    match message {
        Message::Response(response) => response.status.code(),
        Message::Request(request) => panic!("{}", request.method),
    }
}

/// The session is as it was before the INVITE that has come to nothing.
fn is_as_before(world: &mut World, session: &SessionId) {
    assert!(world.far_end.is_empty(), "no BYE: {:?}", world.far_end);
    assert_eq!(world.told(), NOTHING);
    assert_eq!(world.far_connections(), 1);
    talks(world, session);
}

#[test]
fn once_the_relay_lets_it_in_the_session_goes_on_anew() {
    for of in KINDS {
        let (mut world, session, _, _) = begun_anew(of);
        let before = talks_meanwhile(&mut world, &session);
        relay_lets_in(&mut world);
        accepted(&mut world);
        world.far_end_got(&Method::Bye);
        assert_eq!(world.told(), NOTHING);
        assert_eq!(world.far_connections(), 1);
        assert_ne!(talks(&mut world, &session), before, "{of:?}");
    }
}

#[test]
fn what_was_not_answered_is_sent_again_over_the_new_session() {
    let (mut world, session, ..) = begun_anew(Kinds::Pair);
    world.far_msrp_code = None;
    let id = world.send(&session, "lost", ReportRequest::default());
    world.far_msrp_code = Some(200);
    relay_lets_in(&mut world);
    accepted(&mut world);
    let sent: Vec<_> = world.far_frames.iter().filter(|frame| frame.body.is_some()).collect();
    assert_eq!(sent.len(), 2);
    let is_it =
        |frame: &&Frame| frame.message_id.as_ref().is_some_and(|it| it.to_string() == id.as_str());
    assert!(sent.iter().all(is_it), "{sent:?}");
    assert_ne!(sent[0].from_path, sent[1].from_path);
}

#[test]
fn a_relay_that_does_not_let_it_in_leaves_the_session_as_it_was() {
    for of in KINDS {
        for refusal in [Some("403 Forbidden"), None] {
            let (mut world, session, _, _) = begun_anew(of);
            match refusal {
                Some(status) => relay_says(&mut world, status, ""),
                None => world.wait(10 * SECOND),
            }
            assert_eq!(world.far_end_heard(&Method::Invite).status.code(), 500, "{of:?}");
            is_as_before(&mut world, &session);
        }
    }
}

#[test]
fn a_caller_who_gives_up_leaves_the_session_as_it_was_and_may_call_again() {
    for of in KINDS {
        let (mut world, session, _, again) = begun_anew(of);
        world.far_end_cancels(&again, None);
        assert_eq!(world.far_end_heard(&Method::Cancel).status.code(), 200);
        assert_eq!(world.far_end_heard(&Method::Invite).status.code(), 487);
        is_as_before(&mut world, &session);
        world.far_end_calls_anew(&again, (SDP, &answer_sdp()));
        relay_lets_in(&mut world);
        accepted(&mut world);
        assert_eq!(world.told(), NOTHING);
        talks(&mut world, &session);
    }
}

/// Who begins anew may have said goodbye to the dialog before already.
#[test]
fn a_goodbye_to_the_old_dialog_counts_only_where_there_is_no_new_one() {
    for of in KINDS {
        let (mut world, session, answer, _) = begun_anew(of);
        world.far_end_goes_on(&answer, (Method::Bye, 2), &[]);
        assert_eq!(world.far_end_heard(&Method::Bye).status.code(), 200);
        assert_eq!(world.told(), NOTHING);
        relay_lets_in(&mut world);
        accepted(&mut world);
        assert!(world.far_end.is_empty(), "no BYE");
        talks(&mut world, &session);

        let (mut world, _, answer, _) = begun_anew(of);
        world.far_end_goes_on(&answer, (Method::Bye, 2), &[]);
        relay_says(&mut world, "403 Forbidden", "");
        assert_eq!(world.far_end_heard(&Method::Invite).status.code(), 500);
        let told = world.told();
        assert_eq!(told.last().map(String::as_str), Some("bob: SessionEnded (SIP BYE)"));
    }
}

/// So does the stream that is taken away from the old dialog.
#[test]
fn a_stream_that_is_removed_counts_only_where_there_is_no_new_one() {
    let none = answer_sdp().replace("m=message 2900", "m=message 0");
    for of in KINDS {
        for is_let_in in [true, false] {
            let (mut world, session, answer, _) = begun_anew(of);
            let contact = [("Contact", "<sip:far@127.0.0.1:5090>")];
            world.far_end_goes_on_with(&answer, (Method::Invite, 2), &contact, Some(&none));
            let removed = world.far_end_heard(&Method::Invite);
            assert_eq!(removed.status.code(), 200);
            assert!(String::from_utf8_lossy(&removed.body).contains("m=message 0 "));
            world.far_end_goes_on(&answer, (Method::Ack, 2), &[]);
            assert_eq!(world.told(), NOTHING, "{of:?}");
            if is_let_in {
                relay_lets_in(&mut world);
                accepted(&mut world);
                let bye = world.far_end_got(&Method::Bye);
                assert_eq!(bye.call_id(), answer.call_id());
                talks(&mut world, &session);
                continue;
            }
            relay_says(&mut world, "403 Forbidden", "");
            let bye = world.far_end_got(&Method::Bye);
            assert_eq!(bye.headers.get("Reason"), Some("SIP;cause=200;text=\"Call completed\""));
            let told = world.told();
            let told = told.last().map(String::as_str);
            assert_eq!(
                told,
                Some("bob: SessionEnded (SIP 488 Not Acceptable Here; media removed)")
            );
        }
    }
}

/// Its call is over: its caller may call once more with the same Call-ID.
#[test]
fn who_has_said_goodbye_to_the_old_dialog_may_call_once_more() {
    for of in KINDS {
        let mut world = world();
        let first = again(&mut world, of);
        let session = world.invited(BOB);
        accept(&mut world, &session, of);
        relay_lets_in(&mut world);
        let answer = accepted(&mut world);
        again(&mut world, of);
        world.far_end_goes_on(&answer, (Method::Bye, 2), &[]);
        relay_lets_in(&mut world);
        accepted(&mut world);
        world.told();
        world.far_end_calls_anew(&first, (SDP, &answer_sdp()));
        relay_lets_in(&mut world);
        accepted(&mut world);
        assert_eq!(world.told(), NOTHING, "{of:?}");
        talks(&mut world, &session);
    }
}

/// The INVITE explains why the connection is lost.
#[test]
fn a_connection_that_is_lost_meanwhile_is_replaced_by_the_new_one() {
    let (mut world, session, ..) = begun_anew(Kinds::Pair);
    world.far_msrp_code = Some(481);
    let asked = std::mem::take(&mut world.far_frames);
    world.send(&session, "nobody there", ReportRequest::default());
    world.far_frames.extend(asked);
    world.far_msrp_code = Some(200);
    world.wait(5 * SECOND);
    let told = world.told();
    assert!(told.iter().all(|line| !line.contains("SessionEnded")), "{told:?}");
    relay_lets_in(&mut world);
    accepted(&mut world);
    talks(&mut world, &session);
}

#[test]
fn who_leaves_meanwhile_begins_nothing_anew() {
    let (mut world, session, ..) = begun_anew(Kinds::Pair);
    assert_eq!(world.order(&session, Command::End), Ok(Answer::Done));
    assert_eq!(world.told(), ["bob: SessionEnded (SIP BYE)"]);
    let bye = world.far_end_got(&Method::Bye);
    assert_eq!(world.far_end_heard(&Method::Invite).status.code(), 480);
    assert_eq!(world.order(&session, Command::End), Err(Refusal::NoSession));
    world.far_end_answers(&bye, 200, &[], None);
    assert_eq!(world.far_connections(), 0);

    let (mut world, ..) = begun_anew(Kinds::Group);
    world.stop();
    assert_eq!(world.told(), ["bob: SessionEnded (bridge shutting down)"]);
    let bye = world.far_end_got(&Method::Bye);
    assert_eq!(world.far_end_heard(&Method::Invite).status.code(), 503);
    world.far_end_answers(&bye, 200, &[], None);
    assert_eq!(world.sessions(), []);
    assert_eq!(world.far_connections(), 0);
}

#[test]
fn of_two_that_begin_it_anew_the_later_one_counts() {
    let (mut world, session, ..) = begun_anew(Kinds::Pair);
    world.far_frames.clear();
    call(&mut world);
    assert_eq!(world.far_end_heard(&Method::Invite).status.code(), 480);
    assert_eq!(world.far_connections(), 2);
    relay_lets_in(&mut world);
    accepted(&mut world);
    world.far_end_got(&Method::Bye);
    talks(&mut world, &session);
}

/// Each of them has a connection to our relay, and a proof of ours.
#[test]
fn those_who_begin_it_anew_too_often_are_put_off() {
    for of in KINDS {
        let (mut world, session, _, mut before) = begun_anew(of);
        let mut codes = Vec::new();
        for _ in 1..16 {
            world.wait(2 * SECOND);
            world.far_end.clear();
            let invite = again(&mut world, of);
            let heard: Vec<u16> = world.far_end.iter().map(code_of).collect();
            if heard == [503] {
                codes.push(503);
                continue;
            }
            codes.push(100);
            if heard.contains(&480) {
                confirm(&mut world, &before);
            }
            before = invite;
        }
        assert_eq!(codes, [[100; 7].as_slice(), &[503; 8]].concat(), "{of:?}");
        world.wait(2 * SECOND);
        world.far_end.clear();
        world.far_frames.clear();
        again(&mut world, of);
        relay_lets_in(&mut world);
        accepted(&mut world);
        assert_eq!(world.told(), NOTHING);
        talks(&mut world, &session);
    }
}

/// It is put off once, and not for as long as somebody goes on calling.
#[test]
fn the_end_of_a_session_that_is_begun_anew_again_and_again_is_told_in_time() {
    const ENDED: &str = "bob: SessionEnded (SIP BYE)";
    for of in KINDS {
        let (mut world, _, answer, _) = begun_anew(of);
        world.far_end_goes_on(&answer, (Method::Bye, 2), &[]);
        for _ in 0..3 {
            world.wait(3 * SECOND);
            again(&mut world, of);
        }
        assert_eq!(world.told(), NOTHING);
        world.wait(SECOND);
        assert_eq!(world.told().last().map(String::as_str), Some(ENDED), "{of:?}");
    }
}

/// Nor for those who give up and call again.
#[test]
fn a_lost_connection_is_explained_by_one_caller_alone() {
    for of in KINDS {
        let (mut world, session, _, first) = begun_anew(of);
        world.far_msrp_code = Some(481);
        world.send(&session, "nobody there", ReportRequest::default());
        world.told();
        world.wait(6 * SECOND);
        world.far_end_cancels(&first, None);
        again(&mut world, of);
        world.wait(3 * SECOND);
        let told = world.told();
        assert!(told.iter().all(|line| !line.contains("SessionEnded")), "{told:?}");
        world.wait(SECOND);
        let told = world.told();
        assert!(told.iter().any(|line| line.contains("SessionEnded")), "{of:?}: {told:?}");
    }
}

/// The other side has said goodbye, and why: that is so, whatever comes first then.
#[test]
fn a_goodbye_that_was_kept_is_told_before_anything_else_ends_the_session() {
    const ENDED: &str = "bob: SessionEnded (SIP BYE; Reason: SIP;cause=410;text=\"Gone\")";
    let endings: [fn(&mut World, &SessionId, Kinds); 3] = [
        leave,
        |world, _, _| world.stop(),
        |world, _, _| {
            world.lose_core(&address(BOB));
            world.run();
        },
    ];
    for (of, (at, end)) in
        KINDS.iter().flat_map(|of| endings.iter().enumerate().map(|it| (*of, it)))
    {
        let (mut world, session, answer, _) = begun_anew(of);
        let gone = [("Reason", "SIP;cause=410;text=\"Gone\"")];
        world.far_end_goes_on(&answer, (Method::Bye, 2), &gone);
        assert_eq!(world.far_end_heard(&Method::Bye).status.code(), 200);
        end(&mut world, &session, of);
        assert!(world.far_end_heard(&Method::Invite).status.code() >= 480);
        // The roster of a group that is over has its time.
        world.wait(2 * SECOND);
        assert_eq!(world.told(), [ENDED], "{of:?} {at}");
        let is_bye = |it: &Message| matches!(it, Message::Request(it) if it.method == Method::Bye);
        assert!(!world.far_end.iter().any(is_bye), "{:?}", world.far_end);
        let is_known = world.ask(&session, Command::Describe);
        assert_eq!(is_known, Err(Refusal::NoSession), "there is no way back");
    }
}

/// A session whose other side was to connect, and never has.
fn never_connected(of: Kinds, change: impl FnOnce(&mut Settings)) -> World {
    let mut world = world_with(change);
    let active = answer_sdp().replace("passive", "active");
    match of {
        Kinds::Pair => world.far_end_invites_with(&HEADERS, SDP, &active),
        Kinds::Group => world.focus_invites_with((ROOM, ROOM), &[HEADERS[2]], (SDP, &active)),
    };
    let session = world.invited(BOB);
    accept(&mut world, &session, of);
    relay_lets_in(&mut world);
    accepted(&mut world);
    world.wait(9 * SECOND);
    world.far_end.clear();
    world.told();
    world
}

/// The connection did not come about, and the INVITE says that it need not.
#[test]
fn a_connection_that_never_stood_is_replaced_by_the_new_one() {
    for of in KINDS {
        for is_let_in in [true, false] {
            let mut world = never_connected(of, |_| {});
            let session = world.sessions().pop().expect("a session");
            again(&mut world, of);
            world.wait(2 * SECOND);
            assert_eq!(world.told(), NOTHING, "{of:?}");
            if is_let_in {
                relay_lets_in(&mut world);
                accepted(&mut world);
                talks(&mut world, &session);
            } else {
                relay_says(&mut world, "403 Forbidden", "");
                let told = world.told();
                let is_told = told.iter().any(|it| it == "bob: SessionEnded (MSRP connect failed)");
                assert!(is_told, "{of:?}: {told:?}");
            }
        }
    }
}

/// Who was late has come all the same: the session is as it was, whatever becomes of the INVITE.
#[test]
fn a_connection_that_stands_late_is_no_end_any_more() {
    for of in KINDS {
        for is_given_up in [true, false] {
            let mut world = never_connected(of, |_| {});
            let session = world.sessions().pop().expect("a session");
            let own = world.far_frames_from.clone().expect("an AUTH");
            let invite = again(&mut world, of);
            world.wait(2 * SECOND);
            world.far_end.clear();
            let bind = format!(
                "MSRP bind SEND\r\nTo-Path: {own}\r\n\
                 From-Path: msrp://r.example.com:9000/way;tcp {FAR_PATH}\r\nMessage-ID: bind\r\n\
                 Byte-Range: 1-0/0\r\n-------bind$\r\n"
            );
            world.far_end_writes_bytes(bind.as_bytes());
            if is_given_up {
                world.far_end_cancels(&invite, None);
                assert_eq!(world.far_end_heard(&Method::Cancel).status.code(), 200);
                assert_eq!(world.far_end_heard(&Method::Invite).status.code(), 487);
            } else {
                relay_says(&mut world, "403 Forbidden", "");
                assert_eq!(world.far_end_heard(&Method::Invite).status.code(), 500);
            }
            is_as_before(&mut world, &session);
        }
    }
}

/// Who leaves has left, whatever has ended the session without its being told; also where the bridge
/// brings back of itself who is lost.
#[test]
fn who_leaves_while_an_end_is_kept_has_left() {
    for of in KINDS {
        let mut world = never_connected(of, |settings| settings.group.auto_rejoin = true);
        let session = world.sessions().pop().expect("a session");
        again(&mut world, of);
        world.wait(2 * SECOND);
        assert_eq!(world.told(), NOTHING, "{of:?}");
        leave(&mut world, &session, of);
        let bye = world.far_end_got(&Method::Bye);
        assert_eq!(bye.headers.get("Reason"), Some("SIP;cause=200;text=\"Call completed\""));
        let known = world.ask(&session, Command::Describe);
        match of {
            Kinds::Pair => assert_eq!(world.told(), ["bob: SessionEnded (SIP BYE)"]),
            Kinds::Group => {
                assert_eq!(world.told(), ["bob: bob Disconnected (own)"]);
                assert_eq!(known, Ok(Answer::Apart));
            }
        }
        world.wait(SECOND);
        let is_call =
            |it: &Message| matches!(it, Message::Request(it) if it.method == Method::Invite);
        assert!(!world.far_end.iter().any(is_call), "nobody comes back: {:?}", world.far_end);
    }
}

/// The other side has explained why the connection is lost, though that was not told yet.
#[test]
fn a_goodbye_that_was_kept_explains_a_lost_connection() {
    const ENDED: &str = "bob: SessionEnded (SIP BYE; Reason: SIP;cause=410;text=\"Gone\")";
    for of in KINDS {
        let (mut world, session, answer, first) = begun_anew(of);
        world.far_msrp_code = Some(481);
        world.send(&session, "nobody there", ReportRequest::default());
        world.wait(3 * SECOND);
        world.far_end_cancels(&first, None);
        again(&mut world, of);
        world.wait(2 * SECOND);
        let gone = [("Reason", "SIP;cause=410;text=\"Gone\"")];
        world.far_end_goes_on(&answer, (Method::Bye, 2), &gone);
        let told = world.told();
        assert!(told.iter().all(|line| !line.contains("SessionEnded")), "{told:?}");
        // Before the second INVITE has had its time.
        world.wait(7 * SECOND + SECOND / 2);
        let told = world.told();
        assert!(told.iter().any(|line| line == ENDED), "{of:?}: {told:?}");
    }
}
