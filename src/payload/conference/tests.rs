//! Documents of the RFCs, of deployed cores and of nobody sane.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

/// The full document of the synthetic trace of a group chat.
const FIRST: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<conference-info xmlns="urn:ietf:params:xml:ns:conference-info" entity="sip:conf-7f3a@as.ims.example" state="full" version="1"><conference-description><subject>Hawaii trip</subject><maximum-user-count>10</maximum-user-count></conference-description><conference-state><user-count>3</user-count></conference-state><users><user entity="sip:+447700900001@ims.example;user=phone" state="full" yourown="true"><endpoint entity="sip:+447700900001@ims.example;user=phone"><status>connected</status></endpoint></user><user entity="sip:+447700900002@ims.example;user=phone" state="full"><endpoint entity="sip:+447700900002@ims.example;user=phone"><status>dialing-out</status></endpoint></user></users></conference-info>"#;

fn partial(version: u32, users: &str) -> Conference {
    let text = format!(
        "<conference-info xmlns='{NAMESPACE}' entity='sip:c@x' state='partial' version='{version}'>\
         <users>{users}</users></conference-info>"
    );
    Conference::parse(text.as_bytes()).unwrap()
}

fn user(number: u32, status: &str) -> String {
    let uri = format!("tel:+44770090000{number}");
    format!(
        "<user entity='{uri}' state='full'><endpoint entity='{uri}'><status>{status}</status>\
         </endpoint></user>"
    )
}

fn status(view: &View, key: &str) -> Option<Status> {
    view.user(key)?.foremost()?.status
}

const ONE: &str = "tel:+447700900001";
const TWO: &str = "tel:+447700900002";

#[test]
fn a_deployed_document_is_read_and_written_back() {
    let document = Conference::parse(FIRST.as_bytes()).unwrap();
    assert_eq!((document.version, document.state), (Some(1), Extent::Full));
    assert_eq!(document.subject.as_deref(), Some("Hawaii trip"));
    assert_eq!((document.maximum_user_count, document.user_count), (Some(10), Some(3)));
    let [one, two] = &document.users[..] else { panic!("two users") };
    assert!(one.is_own && !two.is_own);
    assert_eq!(two.foremost().unwrap().status, Some(Status::DialingOut));
    assert_eq!(Conference::parse(&document.write()).unwrap(), document);
}

/// A focus with as many as it may have, all with long names, is read by whoever watches it.
#[test]
fn the_whole_of_a_large_room_is_read() {
    let user = |number: usize| {
        let entity = format!("sip:+1958555{number:04}@example.com;user=phone");
        let endpoint = Endpoint {
            entity: entity.clone(),
            status: Some(Status::Connected),
            joining: Some(Joining::DialedOut),
            ..Endpoint::default()
        };
        let display_text = Some("n".repeat(128));
        User { entity, display_text, endpoints: vec![endpoint], ..User::default() }
    };
    let users: Vec<_> = (0..250).map(user).collect();
    let document = Conference { version: Some(1), users, ..Conference::default() };
    let written = document.write();
    assert!(written.len() > 64 * 1024);
    assert_eq!(Conference::parse(&written).unwrap(), document);
    let too_long = vec![b' '; 1024 * 1024 + 1];
    assert_eq!(Conference::parse(&too_long), Err(XmlError::TooLong.into()));
}

#[test]
fn a_root_without_namespace_and_unknown_elements_do_no_harm() {
    let text = "<conference-info entity='sips:conf233@example.com' state='full' version='x'>\
        <conference-description><subject/><keywords>a</keywords></conference-description>\
        <x:strange xmlns:x='urn:x'><x:user entity='no'/></x:strange>\
        <users><user entity='sip:a@b' foo='bar'><roles><entry>x</entry></roles>\
        <endpoint><status>dreaming</status><joining-method>DIALED-IN</joining-method>\
        <media id='1'><type>message</type></media></endpoint></user><other/></users>\
        </conference-info>";
    let document = Conference::parse(text.as_bytes()).unwrap();
    assert_eq!((document.version, document.subject), (None, None));
    let [user] = &document.users[..] else { panic!("one user") };
    let endpoint = user.foremost().unwrap();
    assert_eq!((endpoint.status, endpoint.joining), (None, Some(Joining::DialedIn)));
}

#[test]
fn s9_hostile_documents_are_refused() {
    let bomb = format!("<!DOCTYPE x [<!ENTITY a 'a'>]>{FIRST}");
    let deep = format!("<conference-info>{}", "<users>".repeat(100_000));
    let attributes: String = (0..10_000).map(|n| format!(" a{n}=''")).collect();
    for (text, fault) in [
        (bomb.replace("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", ""), XmlError::DocType),
        (deep, XmlError::TooDeep),
        ("<conference-info>".repeat(100), XmlError::TooDeep),
        (format!("<conference-info{attributes}>"), XmlError::TooLong),
        (format!("<conference-info{}>", &attributes[..4000]), XmlError::NotWellFormed),
        ("<conference-info>".to_owned(), XmlError::NotWellFormed),
        ("<conference-info entity='&lol;'/>".to_owned(), XmlError::UnknownEntity),
    ] {
        let found = Conference::parse(text.as_bytes());
        let is_refused = matches!(found, Err(ConferenceError::Xml(why)) if why == fault
            || why == XmlError::TooManyAttributes);
        assert!(is_refused, "{found:?} {text:.60}");
    }
    for text in ["<a/>", "<conference-info xmlns='urn:other'/>"] {
        assert_eq!(Conference::parse(text.as_bytes()), Err(ConferenceError::NotAConference));
    }
    let utf16: Vec<u8> = FIRST.encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert!(Conference::parse(&utf16).is_err());
}

#[test]
fn versions_decide_what_is_taken() {
    let mut view = View::default();
    let first = Conference::parse(FIRST.as_bytes()).unwrap();
    let taken = view.merge(&first);
    let changed = vec![ONE.to_owned(), TWO.to_owned()];
    assert_eq!(taken, Merged::Taken { changed, gone: Vec::new() });
    assert_eq!(view.merge(&first), Merged::Stale);
    let two = partial(2, &user(2, "connected"));
    assert_eq!(view.merge(&two), Merged::Taken { changed: vec![TWO.to_owned()], gone: Vec::new() });
    assert_eq!(status(&view, TWO), Some(Status::Connected));
    assert_eq!(status(&view, ONE), Some(Status::Connected), "who is not named stays as he was");
    let gap = partial(4, &user(2, "disconnected"));
    assert_eq!(view.merge(&gap), Merged::Gap);
    assert_eq!((view.version, status(&view, TWO)), (Some(2), Some(Status::Connected)));
    assert!(matches!(view.take(&gap), Merged::Taken { .. }));
    assert_eq!((view.version, status(&view, TWO)), (Some(4), Some(Status::Disconnected)));
    let whole = Conference { version: Some(9), ..first };
    assert!(matches!(view.merge(&whole), Merged::Taken { .. }), "a whole state closes any gap");
    assert_eq!(status(&view, TWO), Some(Status::DialingOut));
    let over = Conference { state: Extent::Deleted, version: Some(10), ..Conference::default() };
    assert_eq!(view.merge(&over), Merged::Over);
}

#[test]
fn users_vanish_by_word_and_by_being_left_out() {
    let mut view = View::default();
    let all = [user(1, "connected"), user(2, "connected"), user(3, "pending")].concat();
    view.take(&partial(1, &all));
    let deleted = "<user entity='sip:+447700900002@x;user=phone' state='deleted'/>";
    let Merged::Taken { changed, gone } = view.merge(&partial(2, deleted)) else { panic!() };
    assert!(changed.is_empty());
    assert_eq!(gone.iter().map(|user| user.entity.as_str()).collect::<Vec<_>>(), [TWO]);
    let whole = Conference { state: Extent::Full, ..partial(3, &user(1, "connected")) };
    let Merged::Taken { changed, gone } = view.merge(&whole) else { panic!() };
    assert!(changed.is_empty(), "nothing is new of the first");
    assert_eq!(gone.len(), 1);
    assert_eq!(view.users().map(|user| user.entity).collect::<Vec<_>>(), [ONE]);
    let none = Conference { users_state: Some(Extent::Full), ..partial(4, "") };
    assert!(matches!(view.merge(&none), Merged::Taken { gone, .. } if gone.len() == 1));
}

#[test]
fn a_user_is_there_while_one_device_is() {
    let device = |name: &str, state: &str, status: &str| {
        format!("<endpoint entity='{name}' state='{state}'><status>{status}</status></endpoint>")
    };
    let of = |state: &str, devices: &[String]| {
        format!("<user entity='{ONE}' state='{state}'>{}</user>", devices.concat())
    };
    let mut view = View::default();
    let both = [device("a", "full", "disconnected"), device("b", "full", "on-hold")];
    view.take(&partial(1, &of("full", &both)));
    assert_eq!(status(&view, ONE), Some(Status::OnHold));
    view.merge(&partial(2, &of("partial", &[device("b", "deleted", "connected")])));
    assert_eq!(status(&view, ONE), Some(Status::Disconnected));
    view.merge(&partial(3, &of("partial", &[device("a", "partial", "alerting")])));
    assert_eq!(status(&view, ONE), Some(Status::Alerting));
    view.merge(&partial(4, &of("full", &[device("c", "full", "connected")])));
    assert_eq!(view.user(ONE).unwrap().endpoints.len(), 1);
    // The last device goes, and with it the user.
    let last = of("partial", &[device("c", "deleted", "connected")]);
    let Merged::Taken { changed, gone } = view.merge(&partial(5, &last)) else { panic!() };
    assert!(changed.is_empty());
    assert_eq!(gone.iter().map(|user| user.entity.as_str()).collect::<Vec<_>>(), [ONE]);
    let back = of("partial", &[device("d", "full", "connected")]);
    let Merged::Taken { changed, gone } = view.merge(&partial(6, &back)) else { panic!() };
    assert_eq!((changed, gone), (vec![ONE.to_owned()], Vec::new()));
}

/// Signalling 2.5: Connected before Invited before Disconnected, whoever says it in which order.
#[test]
fn a_user_who_stands_twice_in_a_document_is_one_who_takes_part_in_two_ways() {
    const OTHER: &str = "sip:+447700900001@x;user=phone;gr=2";
    let of = |entity: &str, state: &str, status: &str| {
        format!(
            "<user entity='{entity}' state='{state}'><endpoint entity='{entity}'>\
             <status>{status}</status></endpoint></user>"
        )
    };
    let (there, gone) = (of(ONE, "full", "connected"), of(OTHER, "full", "disconnected"));
    for users in [[there.clone(), gone.clone()], [gone.clone(), there.clone()]] {
        let mut view = View::default();
        let whole = Conference { state: Extent::Full, ..partial(1, &users.concat()) };
        view.merge(&whole);
        assert_eq!(status(&view, ONE), Some(Status::Connected));
        assert_eq!(view.users().count(), 1);
        // Each is changed for itself from then on.
        view.merge(&partial(2, &of(OTHER, "full", "alerting")));
        assert_eq!(status(&view, ONE), Some(Status::Connected));
        view.merge(&partial(3, &of(ONE, "full", "disconnected")));
        assert_eq!(status(&view, ONE), Some(Status::Alerting));
        view.merge(&partial(4, &format!("<user entity='{OTHER}' state='deleted'/>")));
        assert_eq!(status(&view, ONE), Some(Status::Disconnected));
        let deleted = of(ONE, "deleted", "connected") + &of(OTHER, "full", "connected");
        view.merge(&partial(5, &deleted));
        assert_eq!(status(&view, ONE), Some(Status::Connected));
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        subject in proptest::option::of("[!-~]([ -~]{0,9}[!-~])?"),
        users in proptest::collection::vec(("[a-z&<>\"']{1,9}", 0_usize..10, any::<bool>()), 0..5),
        version in any::<u32>(),
    ) {
        let user = |(entity, status, is_own): (String, usize, bool)| User {
            is_own,
            endpoints: vec![Endpoint {
                entity: entity.clone(),
                status: Status::WORDS.get(status).map(|(status, _)| *status),
                ..Endpoint::default()
            }],
            entity,
            ..User::default()
        };
        let document = Conference {
            entity: "sip:c@x".to_owned(),
            version: Some(version),
            subject,
            users: users.into_iter().map(user).collect(),
            ..Conference::default()
        };
        prop_assert_eq!(Conference::parse(&document.write()), Ok(document));
    }

    #[test]
    fn no_documents_cause_a_panic(bytes: Vec<u8>, documents in proptest::collection::vec(("(full|partial|deleted)", 0_u32..9, "(full|partial|deleted)", 1_u32..4), 0..9)) {
        let _ = Conference::parse(&bytes);
        let mut view = View::default();
        for (state, version, of_user, number) in documents {
            let user = user(number, "connected").replace("state='full'", &format!("state='{of_user}'"));
            let mut document = partial(version, &user);
            document.state = meaning(&Extent::WORDS, &state).unwrap();
            let _ = view.merge(&document);
        }
    }
}
