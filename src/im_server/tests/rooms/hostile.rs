//! What strangers and fools send to the focus.

use super::super::{Input, World, hop, request};
use super::stage::*;
use crate::payload::{Part, multipart, resource_list};
use crate::sip::{Method, Request};

const HOME: &str = "udp:127.0.0.1:5070";

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                   m=message 9 TCP/MSRP *\r\na=accept-types:message/cpim\r\n\
                   a=path:msrp://127.0.0.1:9/x;tcp\r\n";

fn invite(stage: &mut Stage, content_type: &str, body: &[u8]) -> Request {
    let mut request = stage.request(1, "INVITE", FACTORY);
    request.headers.set("Content-Type", content_type);
    request.headers.set("Require", "recipient-list-invite");
    request.body = body.to_vec().into();
    request
}

#[test]
fn s07_a_multipart_invite_is_read_or_refused() {
    let nested = |depth: usize| {
        let inner = Part::new("application/sdp", SDP);
        (1..=depth).fold(inner, |part, level| {
            let boundary = format!("l{level}");
            Part::new(multipart::content_type(&boundary), multipart::write(&[part], &boundary))
        })
    };
    let (deep, fine) = (nested(50), nested(2));
    let mixed = "multipart/mixed;boundary=b";
    let part = |body: &str| format!("--b\r\nContent-Type: application/sdp\r\n\r\n{body}\r\n--b--");
    let many = "--b\r\n\r\nx\r\n".repeat(1000) + "--b--";
    for (content_type, body, code) in [
        (mixed, part(SDP), 200),
        (&*fine.content_type, String::from_utf8_lossy(&fine.body).into_owned(), 200),
        ("multipart/mixed", part(SDP), 400),
        ("multipart/mixed;boundary=\"\"", part(SDP), 400),
        (mixed, "--b--".to_owned(), 400),
        (mixed, part(SDP).replace("\r\n--b--", ""), 400),
        (mixed, "--b\r\nContent-Type: application/sdp\r\n--b--".to_owned(), 400),
        (mixed, many, 400),
        (&*deep.content_type, String::from_utf8_lossy(&deep.body).into_owned(), 400),
        (mixed, part(SDP).replace("application/sdp", "text/plain"), 488),
        (mixed, part("v=1"), 488),
        (mixed, part(&SDP.replace("TCP/MSRP", "TCP/TLS/MSRP").replace("msrp:", "msrps:")), 488),
        (mixed, part(&SDP.replace("message/cpim", "text/plain")), 488),
        ("text/plain", "x".to_owned(), 488),
    ] {
        let mut stage = Stage::new(1);
        let request = invite(&mut stage, content_type, body.as_bytes());
        assert_eq!(stage.knock(HOME, request), code, "{content_type} {body:.60}");
        let warned = stage.answers.last().unwrap().headers.has("Warning");
        assert_eq!(warned, code == 488, "{content_type} {body:.60}");
    }
}

#[test]
fn s08_a_list_of_recipients_is_bounded() {
    let lists = |inner: &str| {
        format!(
            "<resource-lists xmlns='urn:ietf:params:xml:ns:resource-lists'><list>{inner}</list>\
             </resource-lists>"
        )
    };
    let entry = |uri: &str| format!("<entry uri='{uri}'/>");
    let many: String = (2..=102).map(|number| entry(&user(number))).collect();
    let alike = entry(&user(2)) + &entry("tel:+195855501002") + &entry(&user(1));
    for (list, code) in [
        (lists(&alike), 200),
        (lists(&many), 403),
        (lists(&entry(&user(2)).repeat(1000)), 200),
        (lists(&"<entry uri='x'/>".repeat(100_000)), 403),
        (format!("<!DOCTYPE x []>{}", lists("")), 400),
        (format!("<!DOCTYPE x [<!ENTITY a 'b'>]>{}", lists("<entry uri='&a;'/>")), 400),
        (lists("<entry-ref ref='x'/>"), 400),
        (lists("<external anchor='http://x/'/>"), 400),
        (lists("<entry/>"), 400),
        (lists(&entry("http://x/")), 403),
        (lists(&entry("sip:a@b;method=REGISTER")), 403),
        (lists(&entry("sip:a@b;method=BYE")), 403),
        (lists(&entry(FACTORY)), 403),
        ("<".to_owned(), 400),
    ] {
        let mut stage = Stage::new(102);
        let list_part = Part::new(resource_list::CONTENT_TYPE, list.clone());
        let parts = [Part::new("application/sdp", SDP), list_part];
        let body = multipart::write(&parts, "b");
        let request = invite(&mut stage, &multipart::content_type("b"), &body);
        assert_eq!(stage.knock(HOME, request), code, "{list:.80}");
        let invited = stage.phones.values().filter(|phone| phone.invited.is_some()).count();
        assert_eq!(invited, usize::from(code == 200), "{list:.80}");
    }
}

#[test]
fn s13_who_has_proved_nothing_gets_nothing_of_the_focus() {
    let mut world = World::with(|settings| settings.focus = Some(Default::default()));
    for method in ["INVITE", "SUBSCRIBE", "REFER", "MESSAGE", "PUBLISH"] {
        for uri in [FACTORY, "sip:room-x@example.com", "sip:conf-x@192.0.2.1:5060"] {
            let mut stranger = request(method, uri, &[]);
            stranger.headers.set("From", "<sip:mallory@example.com>;tag=a");
            let lines = world.knock(stranger, "udp:192.0.2.10:5060");
            assert_eq!(lines, [format!("udp:192.0.2.10:5060 401 {method}")], "{uri}");
        }
    }
    // A tag that nobody has drawn opens no door either.
    let guess = [("To", "<sip:room-x@example.com>;tag=guess")];
    let lines =
        world.knock(request("BYE", "sip:room-x@example.com", &guess), "udp:192.0.2.10:5060");
    assert_eq!(lines, ["udp:192.0.2.10:5060 401 BYE"]);
    let ping = world.knock(request("OPTIONS", FACTORY, &[]), "udp:192.0.2.10:5060");
    assert_eq!(ping, ["udp:192.0.2.10:5060 200 OPTIONS"]);
    assert!(world.response().headers.lists("Allow", "REFER"));
    // Nobody takes the place of a room, or of the factory.
    let place = "<sip:room-x@example.com>";
    let mut squatter = super::super::register(place, "7", &[("Contact", "<sip:x@192.0.2.10>")]);
    squatter.headers.set("From", "<sip:alice@example.com>;tag=a");
    assert_eq!(world.give(squatter, "udp:192.0.2.10:5060"), ["udp:192.0.2.10:5060 403 REGISTER"]);
}

#[test]
fn a_user_comes_in_by_password_and_in_no_other_name() {
    let mut world = World::with(|settings| settings.focus = Some(Default::default()));
    let mut call = request("INVITE", "sip:room-x@example.com", &[]);
    call.headers.set("Content-Type", "application/sdp");
    call.body = SDP.into();
    let lines = world.give(call.clone(), "udp:192.0.2.10:5060");
    let lines: Vec<_> = lines.iter().map(|line| line.split(' ').nth(1).unwrap()).collect();
    assert_eq!(lines, ["100", "200"]);
    // The cancel of somebody else does nothing.
    let mut cancel = call.clone();
    cancel.method = Method::Cancel;
    cancel.headers.set("CSeq", "1 CANCEL");
    assert_eq!(world.knock(cancel, "udp:192.0.2.66:5060"), ["udp:192.0.2.66:5060 481 CANCEL"]);
    world.server.handle(world.now, Input::SendFailed { hop: hop("udp:192.0.2.10:5060") });
}

#[test]
fn what_is_for_no_room_is_refused() {
    let mut stage = Stage::new(1);
    stage.call(1, "sip:room-x@example.com", &[]);
    for (method, code) in [
        ("MESSAGE", 405),
        ("INFO", 405),
        ("PUBLISH", 405),
        ("NOTIFY", 481),
        ("BYE", 481),
        ("UPDATE", 481),
        ("FOO", 501),
        ("OPTIONS", 200),
    ] {
        let request = stage.request(1, method, "sip:room-x@example.com");
        assert_eq!(stage.knock(HOME, request), code, "{method}");
    }
    let mut wants = stage.request(1, "INVITE", "sip:room-y@example.com");
    wants.headers.set("Require", "magic");
    assert_eq!(stage.knock(HOME, wants), 420);
    assert_eq!(stage.server.focus.as_ref().unwrap().rooms(), 1, "no room comes of it");
}

/// Who may reach a room, but is not in it, leaves room for those who are.
#[test]
fn a_stranger_fills_no_table_of_a_room() {
    const ROOM: &str = "sip:room-x@example.com";
    let mut stage = Stage::with(5, |focus| focus.max_participants = 10);
    stage.call(1, ROOM, &[]);
    stage.call(2, ROOM, &[]);
    let dialogs = |stage: &Stage| stage.server.focus.as_ref().unwrap().dialogs();
    let refer = |stage: &mut Stage, number| {
        let mut refer = stage.request(number, "REFER", ROOM);
        refer.headers.set("Refer-To", &from(4));
        stage.knock(HOME, refer)
    };
    let before = dialogs(&stage);
    for _ in 0..2000 {
        assert_eq!(refer(&mut stage, 3), 403);
    }
    assert_eq!(dialogs(&stage), before, "of those who may not nothing is kept");
    assert_eq!(refer(&mut stage, 2), 202);
    let watches = |stage: &mut Stage, number, answers: bool| {
        let mut codes = Vec::new();
        while codes.last() != Some(&503) {
            codes.push(stage.ask_to_watch(number, ROOM, 0));
            let told: Vec<_> = stage.unclaimed.drain(..).collect();
            told.iter().filter(|_| answers).for_each(|it| stage.answer_unclaimed(it, 200));
        }
        assert!(codes.iter().rev().skip(1).all(|code| *code == 200));
        codes.len() - 1
    };
    // Who does not take what it is told has as many subscriptions as it may have, and those who
    // are not in the room share as many places as it has.
    assert_eq!((watches(&mut stage, 3, false), watches(&mut stage, 5, false)), (8, 2));
    // Those who are in it have places of their own, of which the latest are remembered for a while.
    assert_eq!((watches(&mut stage, 2, true), watches(&mut stage, 1, true)), (16, 16));
    stage.wait(40);
    assert_eq!(watches(&mut stage, 5, true), 10);
}

#[test]
fn one_participant_leaves_room_for_the_referrals_of_others() {
    let mut stage = Stage::new(3);
    stage.phone(3).manner = Manner::Rings;
    stage.call(1, FACTORY, &[&user(2)]);
    let room = stage.phone(1).room.clone();
    let refer = |stage: &mut Stage, number| {
        let mut refer = stage.request(number, "REFER", &room);
        refer.headers.set("Refer-To", &from(3));
        stage.knock(HOME, refer)
    };
    for at in 0..256 {
        assert_eq!(refer(&mut stage, 2), 202, "{at}");
    }
    assert_eq!(refer(&mut stage, 2), 503);
    assert_eq!(refer(&mut stage, 1), 202);
}
