//! Sessions whose MSRP goes through a relay (RFC 4976), and that their other side begins anew: until
//! the relay has let the new MSRP session in, the one before works on.

use std::time::Duration;

use chatbridge::bridge::MsrpRelay;
use chatbridge::chat::{Answer, Command, Refusal, ReportRequest};
use chatbridge::ids::SessionId;
use chatbridge::msrp::{self, Frame, Kind, Relays};
use chatbridge::sip::{Credentials, Method, Password, Request, Response};

use crate::NOTHING;
use crate::far_end::{FAR_PATH, answer_sdp, far_hop};
use crate::world::{BOB, World};

const HEADERS: [(&str, &str); 3] = [
    ("Subject", "Hello"),
    ("P-Asserted-Identity", "<tel:+447700900003>"),
    ("Contribution-ID", "abcdef00"),
];
const SDP: &str = "application/sdp";
const ROOM: &str = "sip:room1@127.0.0.1:5090";
const SECOND: Duration = Duration::from_secs(1);

fn world() -> World {
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
    let Ok(Answer::Group(info)) = world.ask(&session, Command::Describe) else { panic!() };
    let own = info.participants.into_iter().find(|it| it.your_own).expect("an entry of Bob's");
    assert_eq!(world.ask(&session, Command::AcceptAs(own.id)), Ok(Answer::Done));
    relay_lets_in(&mut world);
    let answer = accepted(&mut world);
    talks(&mut world, &session);
    (world, session, answer)
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
    let again = if of == Kinds::Pair { call(&mut world) } else { invite(&mut world) };
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

fn code_of(message: &chatbridge::sip::Message) -> u16 {
    match message {
        chatbridge::sip::Message::Response(response) => response.status.code(),
        chatbridge::sip::Message::Request(request) => panic!("{}", request.method),
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
