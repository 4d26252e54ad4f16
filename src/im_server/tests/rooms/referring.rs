//! REFER: in and out of the call, one and many, in and out of the room.

use super::stage::*;
use crate::payload::ResourceList;
use crate::payload::resource_list;
use crate::sip::{Body, MethodForm, Refer, Reference, Request, Uri};

fn uri(number: u32) -> Uri {
    Uri::parse(&user(number)).unwrap()
}

/// A room of the first three of five, watched by the second.
fn three() -> Stage {
    let mut stage = Stage::new(5);
    stage.call(1, FACTORY, &[&user(2), &user(3)]);
    stage.watch(2);
    (1..=3).for_each(|number| drop(stage.told(number)));
    stage
}

#[test]
fn who_is_in_the_room_has_others_invited() {
    let mut stage = three();
    stage.refer(2, Refer::to(Reference::invite(uri(4))));
    let told = stage.told(2);
    let of_refer: Vec<_> = told.iter().filter(|line| !line.starts_with("partial")).collect();
    assert_eq!(
        of_refer,
        [
            "Accepted { is_watched: true }",
            "Progress(Status(100))",
            "Progress(Status(200))",
            "Ended { last: Some(Status(200)) }"
        ]
    );
    assert_eq!(stage.told(4), ["invited"]);
    assert_eq!(
        stage.phone(4).invited.as_ref().unwrap().headers.get("Referred-By"),
        Some(&*from(1))
    );
    stage.phone(5).manner = Manner::Refuses(486);
    let quiet = Refer { is_watched: false, ..Refer::to(Reference::invite(uri(5))) };
    stage.refer(3, quiet);
    assert_eq!(stage.told(3), ["Accepted { is_watched: false }"]);
    let lines = stage.told(2);
    let busy = "005 disconnected busy SIP;cause=486;text=\"Busy Here\"";
    assert!(lines.last().unwrap().ends_with(busy), "{lines:?}");
}

#[test]
fn the_originator_alone_sends_others_away_in_either_spelling() {
    for form in [MethodForm::Parameter, MethodForm::Header] {
        let mut stage = three();
        let room = stage.phone(3).room.clone();
        stage.refer(2, Refer::to(Reference::bye(uri(3), form)));
        assert_eq!(stage.told(2), ["Refused(Status(Status(403)))"]);
        stage.refer(1, Refer::to(Reference::bye(uri(3), form)));
        let lines = stage.told(1);
        assert_eq!(lines.last().unwrap(), "Ended { last: Some(Status(200)) }", "{lines:?}");
        assert_eq!(stage.told(3), ["bye SIP;cause=403;text=\"Removed from the chat\""]);
        assert_eq!(stage.told(2), ["partial 2: 003 disconnected booted"]);
        stage.call(3, &room, &[]);
        let banned = "refused 403 399 chatbridge \"127 Service not authorised\"";
        assert_eq!(stage.told(3), [banned]);
        stage.refer(2, Refer::to(Reference::invite(uri(3))));
        assert!(stage.told(2).contains(&"Refused(Status(Status(403)))".to_owned()));
        stage.refer(1, Refer::to(Reference::invite(uri(3))));
        assert_eq!(stage.told(3), ["invited"], "asked back");
    }
}

#[test]
fn many_are_invited_and_sent_away_with_a_list() {
    let mut stage = three();
    let list = |uris: &[String]| Body {
        content_type: resource_list::CONTENT_TYPE.to_owned(),
        bytes: ResourceList::of(uris.to_vec()).write(),
    };
    stage.refer(1, Refer::to_many(list(&[user(4), user(5), user(5)]), "list@a"));
    assert_eq!(stage.told(1), ["Accepted { is_watched: false }"]);
    assert_eq!((stage.told(4), stage.told(5)), (vec!["invited".into()], vec!["invited".into()]));
    let away = [format!("{}?method=BYE", user(4)), format!("{};method=BYE", user(5))];
    stage.refer(1, Refer::to_many(list(&away), "list@b"));
    for number in [4, 5] {
        assert!(stage.told(number)[0].starts_with("bye SIP;cause=403"));
    }
}

/// A REFER of the first user outside of any call.
fn refer(stage: &mut Stage, number: u32, to: &str) -> Request {
    let room = stage.phone(1).room.clone();
    let mut request = stage.request(number, "REFER", &room);
    request.headers.set("Refer-To", to);
    request
}

const HOME: &str = "udp:127.0.0.1:5070";

#[test]
fn a_refer_may_stand_outside_of_the_call() {
    let mut stage = three();
    let request = refer(&mut stage, 2, &from(4));
    assert_eq!(stage.knock(HOME, request), 202);
    assert_eq!(stage.told(4), ["invited"]);
    let states = |stage: &mut Stage| {
        let told: Vec<_> = stage.unclaimed.drain(..).collect();
        let line = |notify: &Request| {
            let state = notify.headers.get("Subscription-State").unwrap().to_owned();
            format!("{state} {}", String::from_utf8_lossy(&notify.body).trim_end())
        };
        let lines: Vec<_> = told.iter().map(line).collect();
        told.iter().for_each(|notify| stage.answer_unclaimed(notify, 200));
        lines
    };
    assert_eq!(states(&mut stage), ["active;expires=300 SIP/2.0 100 Trying"]);
    assert_eq!(states(&mut stage), ["terminated;reason=noresource SIP/2.0 200 OK"]);
    let mut request = refer(&mut stage, 2, &from(5));
    request.headers.set("Refer-Sub", "false");
    assert_eq!(stage.knock(HOME, request), 202);
    assert_eq!(stage.answers.last().unwrap().headers.get("Refer-Sub"), Some("false"));
    assert!(stage.unclaimed.is_empty());
    assert_eq!(stage.told(5), ["invited"]);
    // Who is not in the room has nobody invited.
    stage.leave(5, None);
    let request = refer(&mut stage, 5, &from(5));
    assert_eq!(stage.knock(HOME, request), 403);
}

#[test]
fn s18_a_refer_leads_nobody_astray() {
    let room = three().phone(1).room.clone();
    let route = format!("<{}?Route=%3Csip%3Aevil%3E>", user(4));
    let replaces = format!("<{}?Replaces=a%0d%0aX%3A%20b>", user(4));
    let nobody = format!("<{};method=BYE>", user(5));
    let (to_room, message) = (format!("<{room}>"), format!("<{};method=MESSAGE>", user(4)));
    let (two, four) = (format!("{}, {}", from(4), from(5)), from(4));
    for (value, code) in [
        (&*four, 202),
        ("<tel:+195855501005>", 202),
        (&route, 403),
        (&replaces, 400),
        (&two, 400),
        ("<http://example.com/>", 403),
        (&message, 403),
        (&nobody, 404),
        (&to_room, 403),
        ("<sip:conference-factory@example.com>", 403),
        ("<sip:anonymous@anonymous.invalid>", 403),
        ("<cid:list@x>", 400),
        ("nonsense", 400),
    ] {
        let mut stage = three();
        let request = refer(&mut stage, 1, value);
        assert_eq!(stage.knock(HOME, request), code, "{value}");
        if code != 202 {
            assert_eq!((stage.told(4), stage.told(5)), (vec![], vec![]), "{value}");
        }
    }
    let mut stage = three();
    let mut request = refer(&mut stage, 1, &from(4));
    request.uri = Uri::parse(FACTORY).unwrap();
    assert_eq!(stage.knock(HOME, request), 405, "the factory is no room");
    let mut request = refer(&mut stage, 1, &from(4));
    request.uri = Uri::parse("sip:conf-none@example.com").unwrap();
    assert_eq!(stage.knock(HOME, request), 404);
}
