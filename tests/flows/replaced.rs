//! INVITEs that mean a session that is there already: by its ids (Contribution-ID, Conversation-ID), by
//! Replaces (RFC 3891), by Session-Replaces.

use std::time::Duration;

use chatbridge::bridge::Profile;
use chatbridge::chat::{Answer, Command, Refusal, ReportRequest};
use chatbridge::ids::{ParticipantId, SessionId};
use chatbridge::msrp::Frame;
use chatbridge::sip::{Message, Method, Request, Response};

use crate::NOTHING;
use crate::far_end::{BOB_AT_BRIDGE, answer_sdp, far_hop, offer_sdp};
use crate::focus::{CAROL, ROOM, newcomer, world};
use crate::world::{ALICE, BOB, World, address};

const ID: (&str, &str) = ("Contribution-ID", "abcdef00");
const THREAD: (&str, &str) = ("Conversation-ID", "f81d4fae");
const AS_CAROL: (&str, &str) = ("P-Asserted-Identity", "<tel:+447700900003>");
const AS_MALLORY: (&str, &str) = ("P-Asserted-Identity", "<tel:+447700900666>");
const SDP: &str = "application/sdp";

/// The far end, as Carol, calls Bob.
fn call(world: &mut World, headers: &[(&str, &str)]) -> Request {
    let headers: Vec<_> = [&[("Subject", "Hello"), AS_CAROL], headers].concat();
    world.far_end_invites_to(BOB_AT_BRIDGE, &headers)
}

/// Takes the 200 to the INVITE that came last, and acknowledges it.
fn accepted(world: &mut World) -> Response {
    let accepted = world.far_end_heard(&Method::Invite);
    assert_eq!(accepted.status.code(), 200, "{accepted:?}");
    world.far_end_goes_on(&accepted, (Method::Ack, 1), &[]);
    accepted
}

/// A running session between Carol, who has called, and Bob.
fn running(world: &mut World, headers: &[(&str, &str)]) -> (SessionId, Response) {
    call(world, headers);
    let session = world.invited(BOB);
    world.order(&session, Command::Accept).expect("accepted");
    let answer = accepted(world);
    assert_eq!(world.told(), ["bob: invited by tel:+447700900003 \"Hello\""]);
    world.sent();
    (session, answer)
}

/// The far end takes what is left of an old dialog to its end.
fn rest(world: &mut World) {
    while let Some(message) = world.far_end.pop_front() {
        if let Message::Request(request) = message
            && request.method == Method::Bye
        {
            world.far_end_answers(&request, 200, &[], None);
        }
    }
}

fn facing(profile: &str) -> World {
    World::with(|settings| {
        settings.core = Some(far_hop());
        settings.profile = Profile::named(profile).expect("a profile");
    })
}

fn id_of(frame: &Frame) -> String {
    frame.message_id.as_ref().expect("a Message-ID").to_string()
}

#[test]
fn a_partner_who_calls_again_finds_the_session_as_it_was() {
    let mut world = facing("plain");
    let (session, _) = running(&mut world, &[ID]);
    let shown = world.ask(&session, Command::Describe);
    world.send(&session, "one", ReportRequest::default());
    let one = id_of(&world.far_end_read());
    // Carol's bearer is gone: what Bob says now finds nobody.
    world.far_msrp_code = None;
    world.send(&session, "two", ReportRequest::default());
    world.send(&session, "three", ReportRequest::default());
    let lost = [world.far_end_read(), world.far_end_read()].map(|frame| id_of(&frame));
    assert_eq!(world.told().len(), 3, "the echoes");
    world.sent();
    world.far_msrp_code = Some(200);
    let old_path = world.far_frames_from.clone();

    call(&mut world, &[ID]);
    let sip: Vec<_> = world.sent().into_iter().filter(|line| !line.starts_with("msrp")).collect();
    assert_eq!(
        sip,
        [
            "far_end > bridge: INVITE",
            "bridge > far_end: 100 INVITE",
            "bridge > far_end: 200 INVITE",
            "bridge > far_end: BYE (SIP;cause=200)",
        ]
    );
    let answer = accepted(&mut world);
    let again = [world.far_end_read(), world.far_end_read()].map(|frame| id_of(&frame));
    assert_eq!(again, lost, "what was not answered, and nothing else: not {one}");
    assert_ne!(world.far_frames_from, old_path, "another MSRP session");
    assert_eq!(world.told(), NOTHING);
    assert_eq!(world.ask(&session, Command::Describe), shown);

    // Both ways, the session goes on.
    world.far_end_says("text/plain", "hi", false);
    assert_eq!(world.told(), ["bob: \"hi\" from tel:+447700900003"]);
    world.send(&session, "four", ReportRequest::default());
    assert!(!lost.contains(&id_of(&world.far_end_read())));
    rest(&mut world);
    world.told();
    world.far_end_goes_on(&answer, (Method::Bye, 2), &[]);
    assert_eq!(world.told(), ["bob: SessionEnded (SIP BYE)"]);
    world.demand_rest();
}

#[test]
fn a_partner_who_was_called_may_call_back() {
    let mut world = facing("rcs-e");
    world.unsubscribe(BOB);
    let (session, invite) = world.talk_to_far_end();
    let id = invite.headers.get("Contribution-ID").expect("an id").to_owned();
    let headers = [
        ("Contribution-ID", id.as_str()),
        ("P-Asserted-Identity", "<sip:+19585550101@example.com;user=phone>, <tel:+19585550101>"),
    ];
    world.far_end_invites_to("sip:+19585550100@example.com;user=phone", &headers);
    accepted(&mut world);
    rest(&mut world);
    assert_eq!(world.told(), NOTHING);
    assert!(matches!(world.ask(&session, Command::Describe), Ok(Answer::Session(_))));
    world.order(&session, Command::End).expect("left");
    assert_eq!(world.far_end_got(&Method::Bye).uri.to_string(), "sip:carol@127.0.0.1:5090");
}

/// Where both have it, the Conversation-ID is that of all sessions of the two.
#[test]
fn the_conversation_id_counts_where_the_profile_has_it() {
    for (profile, is_same) in [("cpm", true), ("plain", false)] {
        let mut world = facing(profile);
        running(&mut world, &[THREAD, ID]);
        call(&mut world, &[THREAD, ("Contribution-ID", "other")]);
        assert_eq!(world.told().is_empty(), is_same, "{profile}");
    }
}

#[test]
fn nobody_takes_over_a_session_of_somebody_else() {
    let strangers: [&[(&str, &str)]; 3] =
        [&[AS_MALLORY], &[AS_CAROL, ("Privacy", "id")], &[AS_CAROL]];
    for (who, stranger) in strangers.iter().enumerate() {
        let mut world = facing("plain");
        let (session, answer) = running(&mut world, &[ID]);
        // The third says that it is Carol, and nobody whom we trust says so.
        world.trusts_far_end = who != 2;
        let headers = [*stranger, &[ID, ("Subject", "Mine")][..]].concat();
        world.far_end_invites_to(BOB_AT_BRIDGE, &headers);
        let told = world.told();
        let invited = told.len() == 1 && told[0].ends_with("\"Mine\"");
        assert!(invited, "an invitation of its own: {told:?}");
        assert_ne!(world.sessions().len(), 1);
        world.far_end_goes_on(&answer, (Method::Bye, 2), &[]);
        assert_eq!(world.told(), ["bob: SessionEnded (SIP BYE)"]);
        assert_eq!(world.ask(&session, Command::Describe), Err(Refusal::NoSession));
    }
}

#[test]
fn while_the_first_one_rings_another_call_is_another_session() {
    let mut world = facing("plain");
    call(&mut world, &[ID]);
    call(&mut world, &[ID]);
    let invited = "bob: invited by tel:+447700900003 \"Hello\"";
    assert_eq!(world.told(), [invited, invited]);
    assert_eq!(world.sessions().len(), 2);
    // So it is when it is over.
    for session in world.sessions() {
        world.order(&session, Command::Decline).expect("declined");
    }
    world.told();
    call(&mut world, &[ID]);
    assert_eq!(world.told(), [invited]);
}

#[test]
fn a_call_that_cannot_be_followed_leaves_the_session_as_it_is() {
    let mut world = facing("plain");
    let (session, _) = running(&mut world, &[ID]);
    let headers = [("Subject", "Hello"), AS_CAROL, ID];
    let deaf = answer_sdp().replace("m=message 2900", "m=message 0");
    world.far_end_invites_with(&headers, SDP, &deaf);
    assert_eq!(world.far_end_heard(&Method::Invite).status.code(), 488);
    let strange = [AS_CAROL, ID, ("Require", "foo")];
    world.far_end_invites_to(BOB_AT_BRIDGE, &strange);
    assert_eq!(world.far_end_heard(&Method::Invite).status.code(), 420);
    assert_eq!(world.told(), NOTHING);
    assert!(world.far_end.is_empty(), "no BYE");
    world.send(&session, "one", ReportRequest::default());
    world.far_end_read();
}

/// Who was refused tries again with the same Call-ID and From, and the next CSeq (RFC 3261 section
/// 8.1.3.5).
#[test]
fn who_was_refused_may_call_once_more() {
    let mut world = facing("plain");
    let (session, _) = running(&mut world, &[ID]);
    let headers = [("Subject", "Hello"), AS_CAROL, ID];
    let deaf = answer_sdp().replace("m=message 2900", "m=message 0");
    let first = world.far_end_invites_with(&headers, SDP, &deaf);
    let refusal = world.far_end_heard(&Method::Invite);
    assert_eq!(refusal.status.code(), 488);
    world.far_end_sends(&first.clone().into());
    let again = world.far_end_heard(&Method::Invite);
    assert_eq!(again, refusal, "a repetition is none");
    let second = world.far_end_calls_anew(&first, (SDP, &deaf));
    assert_eq!(world.far_end_heard(&Method::Invite).status.code(), 488);
    world.far_end_sends(&second.clone().into());
    assert_eq!(world.far_end_heard(&Method::Invite).status.code(), 488);
    world.far_end_calls_anew(&second, (SDP, &offer_sdp()));
    accepted(&mut world);
    assert_eq!(world.told(), NOTHING);
    assert!(matches!(world.ask(&session, Command::Describe), Ok(Answer::Session(_))));
}

#[test]
fn who_was_put_off_may_call_once_more() {
    let mut world = facing("plain");
    let (session, _) = running(&mut world, &[ID]);
    let mut invite = call(&mut world, &[ID]);
    let mut answer = world.far_end_heard(&Method::Invite);
    while answer.status.code() == 200 {
        world.far_end_goes_on(&answer, (Method::Ack, 1), &[]);
        invite = call(&mut world, &[ID]);
        answer = world.far_end_heard(&Method::Invite);
    }
    world.far_end_sends(&invite.clone().into());
    assert_eq!(world.far_end_heard(&Method::Invite).status.code(), 503, "as before");
    rest(&mut world);
    world.wait(Duration::from_secs(40));
    world.far_end_calls_anew(&invite, (SDP, &offer_sdp()));
    accepted(&mut world);
    assert_eq!(world.told(), NOTHING);
    assert!(matches!(world.ask(&session, Command::Describe), Ok(Answer::Session(_))));
}

/// A call whose dialog was replaced is over: its caller may call once more with the same Call-ID.
#[test]
fn who_was_replaced_by_itself_may_call_once_more() {
    let mut world = facing("plain");
    let first = call(&mut world, &[ID]);
    let session = world.invited(BOB);
    world.order(&session, Command::Accept).expect("accepted");
    accepted(&mut world);
    world.told();
    call(&mut world, &[ID]);
    accepted(&mut world);
    rest(&mut world);
    world.far_end_calls_anew(&first, (SDP, &offer_sdp()));
    accepted(&mut world);
    assert_eq!(world.told(), NOTHING);
    assert!(matches!(world.ask(&session, Command::Describe), Ok(Answer::Session(_))));
}

/// So it is where the call is over and the group is not: whether the user has joined again meanwhile,
/// or is invited.
#[test]
fn a_focus_whose_call_is_over_may_call_once_more() {
    for is_back in [true, false] {
        let mut world = world(|_| {});
        let first = world.focus_invites(&[ID], None);
        let session = world.invited(BOB);
        join(&mut world, &session);
        let answer = accepted(&mut world);
        world.far_end_goes_on(&answer, (Method::Bye, 2), &[]);
        world.far_end.clear();
        if is_back {
            world.order(&session, Command::Join(vec![newcomer(BOB)])).expect("taken");
            let invite = world.far_end_got(&Method::Invite);
            world.focus_accepts(&invite);
        }
        world.told();
        world.far_end.clear();
        world.far_end_calls_anew(&first, (SDP, &offer_sdp()));
        let told = world.told();
        if is_back {
            accepted(&mut world);
            assert_eq!(told, NOTHING);
            assert!(matches!(world.ask(&session, Command::Describe), Ok(Answer::Group(_))));
        } else {
            assert!(told.len() == 1 && told[0].starts_with("bob: invited to"), "{told:?}");
        }
    }
}

/// Whoever calls again and again is put off until the old dialogs have come to rest.
#[test]
fn calls_that_come_too_often_are_put_off() {
    let mut world = facing("plain");
    let (session, _) = running(&mut world, &[ID]);
    let mut put_off = 0;
    for _ in 0..20 {
        call(&mut world, &[ID]);
        let answer = world.far_end_heard(&Method::Invite);
        match answer.status.code() {
            200 => world.far_end_goes_on(&answer, (Method::Ack, 1), &[]),
            503 => {
                assert!(answer.headers.has("Retry-After"));
                put_off += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(put_off, 12);
    rest(&mut world);
    world.wait(Duration::from_secs(40));
    call(&mut world, &[ID]);
    accepted(&mut world);
    assert_eq!(world.told(), NOTHING);
    assert!(matches!(world.ask(&session, Command::Describe), Ok(Answer::Session(_))));
}

/// Bob in the group of the far end's focus, who has been asked who else is there.
fn in_group(headers: &[(&str, &str)]) -> (World, SessionId) {
    let (world, session, _) = in_group_by(headers);
    (world, session)
}

/// As [`in_group`], with the 200 that has let the focus go on.
fn in_group_by(headers: &[(&str, &str)]) -> (World, SessionId, Response) {
    let mut world = world(|_| {});
    world.focus_invites(headers, None);
    let session = world.invited(BOB);
    let own = own_in(&mut world, &session);
    assert_eq!(world.ask(&session, Command::AcceptAs(own)), Ok(Answer::Done));
    let answer = accepted(&mut world);
    assert_eq!(world.far_end_got(&Method::Subscribe).uri.to_string(), ROOM);
    world.told();
    world.sent();
    (world, session, answer)
}

fn own_in(world: &mut World, session: &SessionId) -> ParticipantId {
    let Ok(Answer::Group(info)) = world.ask(session, Command::Describe) else { panic!("no group") };
    let own = info.participants.into_iter().find(|it| it.your_own);
    own.expect("an entry of Bob's").id
}

#[test]
fn a_focus_that_calls_again_finds_the_group_as_it_was() {
    let (mut world, session) = in_group(&[ID]);
    let shown = world.ask(&session, Command::Describe);
    world.far_msrp_code = None;
    world.send(&session, "one", ReportRequest::default());
    let lost = id_of(&world.far_end_read());
    world.told();
    world.far_msrp_code = Some(200);
    world.far_end.clear();
    world.focus_invites(&[ID], None);
    accepted(&mut world);
    assert_eq!(id_of(&world.far_end_read()), lost);
    assert_eq!(world.told(), NOTHING);
    assert_eq!(world.ask(&session, Command::Describe), shown);
    let all = world.sent();
    assert!(all.contains(&"bridge > far_end: BYE (SIP;cause=200)".to_owned()), "{all:?}");
    assert!(!all.iter().any(|line| line.contains("SUBSCRIBE")), "it stands: {all:?}");
}

/// Who is there is asked for where the group is now.
#[test]
fn a_focus_that_has_moved_is_subscribed_to_anew() {
    const MOVED: &str = "sip:room1@127.0.0.1:5090;gr=b";
    let (mut world, session) = in_group(&[ID]);
    world.far_end.clear();
    world.focus_invites_from((ROOM, MOVED), &[ID], None);
    accepted(&mut world);
    let asked: Vec<_> = world.far_end.iter().filter_map(subscribe).collect();
    assert_eq!(asked, [MOVED], "the old one is not there yet: it had no answer");
    assert_eq!(world.told(), NOTHING);
    assert!(matches!(world.ask(&session, Command::Describe), Ok(Answer::Group(_))));
}

/// Nobody vouches for a Contact: in its dialog a focus may give itself the name of another one, and
/// remains who it is.
#[test]
fn a_focus_that_has_moved_in_its_dialog_is_who_it_was() {
    const OTHER: &str = "sip:room2@127.0.0.1:5090";
    let (mut world, session, answer) = in_group_by(&[ID]);
    let contact = format!("<{OTHER}>;isfocus");
    world.far_end_goes_on(&answer, (Method::Update, 2), &[("Contact", &contact)]);
    assert_eq!(world.far_end_heard(&Method::Update).status.code(), 200);
    world.far_end.clear();
    world.focus_invites_from((OTHER, OTHER), &[ID], None);
    let told = world.told();
    assert!(told.len() == 1 && told[0].starts_with("bob: invited to"), "{told:?}");
    world.far_end.clear();
    world.focus_invites(&[ID], None);
    accepted(&mut world);
    assert_eq!(world.told(), NOTHING);
    assert!(matches!(world.ask(&session, Command::Describe), Ok(Answer::Group(_))));
}

/// What goes to it outside of its dialog goes in the user's name to where the user was asked to; where
/// nobody says who the focus is, that is where it was called.
#[test]
fn a_focus_leads_nobody_to_another_one() {
    const OTHER: &str = "sip:room2@127.0.0.1:5090";
    const MOVED: &str = "sip:room1@127.0.0.1:5090;gr=b";
    for (contact, is_followed) in [
        (format!("<{OTHER}>"), false),
        (format!("<{OTHER}>;isfocus"), false),
        (format!("<{MOVED}>"), false),
        (format!("<{MOVED}>;isfocus"), true),
    ] {
        for is_trusted in [true, false] {
            let mut world = world(|_| {});
            world.trusts_far_end = is_trusted;
            world.focus_invites(&[ID], None);
            let session = world.invited(BOB);
            join(&mut world, &session);
            let answer = accepted(&mut world);
            world.far_end.clear();
            world.far_end_goes_on(&answer, (Method::Update, 2), &[("Contact", &contact)]);
            assert_eq!(world.far_end_heard(&Method::Update).status.code(), 200);
            let asked: Vec<_> = world.far_end.iter().filter_map(subscribe).collect();
            let said = format!("{contact}, {is_trusted}");
            assert_eq!(asked.iter().any(|uri| uri == MOVED), is_followed, "{said}");
            assert!(!asked.iter().any(|uri| uri == OTHER), "{said}");
        }
    }
}

/// Nor does the INVITE with which it begins the group anew lead the user anywhere else: nobody asks
/// the user whether it wants to be there.
#[test]
fn a_focus_that_calls_again_leads_nobody_to_another_one() {
    const OTHER: &str = "sip:room2@127.0.0.1:5090";
    const MALLORY: &str = "sip:mallory@example.com";
    const MOVED: &str = "sip:room1@127.0.0.1:5090;gr=b";
    for (who, at, goes_to) in [(ROOM, OTHER, ROOM), (MALLORY, OTHER, ROOM), (MALLORY, MOVED, MOVED)]
    {
        let mut world = world(|_| {});
        world.focus_invites_from((who, ROOM), &[ID], None);
        let session = world.invited(BOB);
        join(&mut world, &session);
        accepted(&mut world);
        world.told();
        world.far_end.clear();
        world.focus_invites_from((who, at), &[ID], None);
        let answer = accepted(&mut world);
        assert_eq!(world.told(), NOTHING, "{who} at {at}");
        let astray = world.far_end.iter().filter_map(subscribe).any(|uri| uri == OTHER);
        assert!(!astray, "{who} at {at}");
        world.far_end_goes_on(&answer, (Method::Bye, 2), &[]);
        world.far_end.clear();
        let again = Command::Join(vec![newcomer(BOB)]);
        assert!(matches!(world.order(&session, again), Ok(Answer::Later(_))));
        assert_eq!(world.far_end_got(&Method::Invite).uri.to_string(), goes_to, "{who} at {at}");
    }
}

/// Nor does the Contact of its first INVITE make it another one.
#[test]
fn a_focus_with_the_contact_of_another_one_is_not_that() {
    let mut world = world(|_| {});
    world.focus_invites_from(("sip:mallory@example.com", ROOM), &[ID], None);
    let session = world.invited(BOB);
    let own = own_in(&mut world, &session);
    assert_eq!(world.ask(&session, Command::AcceptAs(own)), Ok(Answer::Done));
    accepted(&mut world);
    world.told();
    world.far_end.clear();
    world.focus_invites(&[ID], None);
    let told = world.told();
    assert!(told.len() == 1 && told[0].starts_with("bob: invited to"), "{told:?}");
    world.focus_invites_from(("sip:mallory@example.com", ROOM), &[ID], None);
    accepted(&mut world);
    assert_eq!(world.told(), NOTHING);
    assert!(matches!(world.ask(&session, Command::Describe), Ok(Answer::Group(_))));
}

/// The focus of a group that our user has opened is who the core says has accepted, and not what it
/// is reached by.
#[test]
fn a_focus_that_we_have_called_is_who_it_is_asserted_to_be() {
    const ASSERTED: &str = "sip:group7@as.example.com";
    for (asserted, calls, is_same) in
        [(Some(ASSERTED), ASSERTED, true), (Some(ASSERTED), ROOM, false), (None, ROOM, true)]
    {
        let mut world = facing("rcs-e");
        world.unsubscribe(BOB);
        world.open_group(&[BOB, CAROL]).expect("a good invitation");
        let invite = world.far_end_got(&Method::Invite);
        let id = invite.headers.get("Contribution-ID").expect("an id").to_owned();
        world.focus_accepts_by(&invite, asserted);
        world.told();
        world.far_end.clear();
        let alice = "sip:+19585550100@example.com;user=phone";
        let body = offer_sdp();
        world.focus_invites_whom((calls, ROOM, alice), &[("Contribution-ID", &id)], (SDP, &body));
        let told = world.told();
        assert_eq!(told.is_empty(), is_same, "{asserted:?}, {calls}: {told:?}");
        let told_of_it = told.iter().all(|it| it.starts_with("alice: invited to"));
        assert!(told_of_it, "{told:?}");
    }
}

fn subscribe(message: &Message) -> Option<String> {
    match message {
        Message::Request(request) if request.method == Method::Subscribe => {
            Some(request.uri.to_string())
        }
        Message::Request(_) | Message::Response(_) => None,
    }
}

#[test]
fn another_focus_takes_over_nothing() {
    const OTHER: &str = "sip:room2@127.0.0.1:5090";
    let (mut world, session) = in_group(&[ID]);
    world.focus_invites_from((OTHER, OTHER), &[ID], None);
    let told = world.told();
    assert!(told.len() == 1 && told[0].starts_with("bob: invited to"), "{told:?}");
    // Nor does a member who calls in its own name, and gives the room's for its Contact.
    world.focus_invites_from(("sip:+19585550109@example.com;user=phone", ROOM), &[ID], None);
    let told = world.told();
    assert!(told.len() == 1 && told[0].starts_with("bob: invited to"), "{told:?}");
    // Nor does somebody who is no focus, under whatever name.
    let room = format!("<{ROOM}>");
    world.far_end_invites_to(BOB_AT_BRIDGE, &[ID, ("P-Asserted-Identity", &room)]);
    let told = world.told();
    assert!(told.len() == 1 && told[0].starts_with("bob: invited by"), "{told:?}");
    assert!(matches!(world.ask(&session, Command::Describe), Ok(Answer::Group(_))));
}

/// A group by Carol that names her 1-1 session with Bob; gives the group's session.
fn offered(
    world: &mut World,
    headers: &[(&str, &str)],
    founder: &str,
    list: Option<&str>,
) -> SessionId {
    let by = ("Referred-By", founder);
    world.focus_invites(&[&[by], headers].concat(), list);
    let told = world.told();
    assert!(told.len() == 1 && told[0].starts_with("bob: invited to \"Hike\""), "{told:?}");
    world.sessions().pop().expect("a session")
}

fn join(world: &mut World, group: &SessionId) {
    let own = own_in(world, group);
    assert_eq!(world.ask(group, Command::AcceptAs(own)), Ok(Answer::Done));
}

#[test]
fn the_pair_that_its_other_side_extends_ends_when_the_user_joins() {
    let entry = "<entry uri=\"tel:+19585550101;method=INVITE?Session-Replaces=abcdef%30%30\"/>";
    for is_listed in [false, true] {
        let header = [("Session-Replaces", "abcdef00")];
        let headers = if is_listed { &[][..] } else { &header[..] };
        let list = is_listed.then_some(entry);
        let mut world = facing("plain");
        let (pair, _) = running(&mut world, &[ID]);
        let group = offered(&mut world, headers, "<tel:+447700900003>", list);
        assert!(matches!(world.ask(&pair, Command::Describe), Ok(Answer::Session(_))));
        world.far_end.clear();
        join(&mut world, &group);
        assert_eq!(
            world.told(),
            [
                "bob: bob Connected (own)".to_owned(),
                format!("bob: SessionEnded (extended to {group})")
            ]
        );
        world.far_end_got(&Method::Bye);
        assert_eq!(world.ask(&pair, Command::Describe), Ok(Answer::MovedTo(group.clone())));
        assert!(matches!(world.ask(&group, Command::Describe), Ok(Answer::Group(_))));
    }
}

#[test]
fn the_pair_goes_on_where_the_user_declines_the_group() {
    let mut world = facing("plain");
    let (pair, _) = running(&mut world, &[ID]);
    let headers = [("Session-Replaces", "abcdef00")];
    let group = offered(&mut world, &headers, "<tel:+447700900003>", None);
    let own = own_in(&mut world, &group);
    assert_eq!(world.ask(&group, Command::DeclineAs(own)), Ok(Answer::Done));
    assert_eq!(world.told(), ["bob: SessionEnded (declined by the user)"]);
    world.send(&pair, "still here", ReportRequest::default());
    world.far_end_read();
}

#[test]
fn a_group_of_somebody_else_ends_no_pair() {
    let mut world = facing("plain");
    let (pair, _) = running(&mut world, &[ID]);
    let headers = [("Session-Replaces", "abcdef00")];
    let group = offered(&mut world, &headers, "<tel:+447700900666>", None);
    join(&mut world, &group);
    assert_eq!(world.told(), ["bob: bob Connected (own)"]);
    assert!(matches!(world.ask(&pair, Command::Describe), Ok(Answer::Session(_))));
}

#[test]
fn a_ringing_pair_is_not_extended() {
    let mut world = facing("plain");
    call(&mut world, &[ID]);
    let pair = world.invited(BOB);
    world.told();
    let headers = [("Session-Replaces", "abcdef00")];
    let group = offered(&mut world, &headers, "<tel:+447700900003>", None);
    join(&mut world, &group);
    assert_eq!(world.told(), ["bob: bob Connected (own)"]);
    world.order(&pair, Command::Accept).expect("it still rings");
}

/// Names a dialog of the far end's.
fn replaces(answer: &Response, more: &str) -> String {
    let (call_id, ours) = (answer.call_id().expect("a Call-ID"), answer.to_tag().expect("a tag"));
    format!("{call_id};to-tag={ours};from-tag=carol{more}")
}

/// RFC 3891 section 3.
#[test]
fn replaces_is_followed_or_refused() {
    let mut world = facing("plain");
    let (session, answer) = running(&mut world, &[]);
    let good = replaces(&answer, "");
    let early = replaces(&answer, ";early-only");
    let alien = good.replace("carol", "dave");
    for (headers, code) in [
        (vec![("Replaces", "nothing;to-tag=a;from-tag=b"), AS_CAROL], 481),
        (vec![("Replaces", alien.as_str()), AS_CAROL], 481),
        (vec![("Replaces", "nothing"), AS_CAROL], 400),
        (vec![("Replaces", good.as_str()), ("Replaces", good.as_str()), AS_CAROL], 400),
        (vec![("Replaces", good.as_str()), AS_MALLORY], 403),
        (vec![("Replaces", early.as_str()), AS_CAROL], 486),
    ] {
        world.far_end_invites_to(BOB_AT_BRIDGE, &headers);
        assert_eq!(world.far_end_heard(&Method::Invite).status.code(), code, "{headers:?}");
        assert!(world.far_end.is_empty(), "no BYE");
    }
    assert_eq!(world.told(), NOTHING);
    let headers = [("Replaces", good.as_str()), ("Require", "replaces"), AS_CAROL];
    world.far_end_invites_to(BOB_AT_BRIDGE, &headers);
    let second = accepted(&mut world);
    rest(&mut world);
    assert_eq!(world.told(), NOTHING);

    // The dialog before is one of no session any more, and that of one that is over is over.
    world.far_end_invites_to(BOB_AT_BRIDGE, &headers);
    assert_eq!(world.far_end_heard(&Method::Invite).status.code(), 481);
    world.order(&session, Command::End).expect("left");
    rest(&mut world);
    let over = replaces(&second, "");
    world.far_end_invites_to(BOB_AT_BRIDGE, &[("Replaces", over.as_str()), AS_CAROL]);
    assert_eq!(world.far_end_heard(&Method::Invite).status.code(), 603);
}

#[test]
fn a_ringing_dialog_is_not_replaced() {
    let mut world = facing("plain");
    call(&mut world, &[ID]);
    let ringing = world.far_end.iter().find_map(|message| match message {
        Message::Response(response) if response.status.code() == 180 => Some(response.clone()),
        Message::Response(_) | Message::Request(_) => None,
    });
    let named = replaces(&ringing.expect("it rings"), "");
    world.told();
    world.far_end_invites_to(BOB_AT_BRIDGE, &[("Replaces", named.as_str()), AS_CAROL]);
    assert_eq!(world.far_end_heard(&Method::Invite).status.code(), 481);
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn the_group_of_the_partner_may_name_the_dialog_of_the_pair() {
    let mut world = facing("plain");
    let (pair, answer) = running(&mut world, &[]);
    let named = replaces(&answer, "");
    world.focus_invites(&[("Replaces", &*named), ("Referred-By", "<tel:+447700900666>")], None);
    assert_eq!(world.far_end_heard(&Method::Invite).status.code(), 403);
    let headers = [("Replaces", named.as_str())];
    let group = offered(&mut world, &headers, "<tel:+447700900003>", None);
    join(&mut world, &group);
    assert_eq!(world.told().pop(), Some(format!("bob: SessionEnded (extended to {group})")));
    assert_eq!(world.ask(&pair, Command::Describe), Ok(Answer::MovedTo(group)));
    assert_ne!(address(ALICE), address(CAROL));
}
