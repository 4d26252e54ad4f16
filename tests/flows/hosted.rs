//! A chat hosted by a participant: the change request of OMA IM "Chat flow" (2004), step by step.
//! Bob is the host; everybody lives at the bridge, and the IM server stands between them.

use chatbridge::bridge::{Naming, Profile};
use chatbridge::chat::{Answer, Command, GroupInvitation, ReportRequest};
use chatbridge::ids::SessionId;

use crate::focus::{CAROL as TOM, DAVE, newcomer};
use crate::world::{ALICE, BOB, World, address};

fn begin(world: &mut World, others: &[&str]) -> SessionId {
    let session = world.next_session();
    let group = world.begin_group(GroupInvitation {
        session,
        user: address(BOB),
        subject: "Trip".to_owned(),
        originator: newcomer(BOB),
        others: others.iter().map(|other| newcomer(other)).collect(),
        client_correlator: None,
        extends: None,
    });
    world.run();
    group.expect("a good invitation")
}

/// Opens a group of a user who is known by a reference only, with Bob and Tom.
fn referenced(world: &mut World, user: &str) -> SessionId {
    let session = world.next_session();
    let group = world.begin_group(GroupInvitation {
        session,
        user: address(user),
        subject: "Trip".to_owned(),
        originator: newcomer(user),
        others: [BOB, TOM].map(newcomer).to_vec(),
        client_correlator: None,
        extends: None,
    });
    world.run();
    group.expect("a good invitation")
}

fn join(world: &mut World, user: &str) -> SessionId {
    let session = world.invited(user);
    world.order(&session, Command::Join(vec![newcomer(user)])).expect("joined");
    session
}

/// What was sent by way of the IM server, SUBSCRIBE and NOTIFY aside.
fn by_the_im_server(world: &mut World) -> Vec<String> {
    let is_it = |line: &String| {
        line.contains("im_server") && !line.contains("SUBSCRIBE") && !line.contains("NOTIFY")
    };
    world.sent().into_iter().filter(is_it).collect()
}

/// What was said over MSRP.
fn by_msrp(world: &mut World) -> Vec<String> {
    world.sent().into_iter().filter(|line| line.starts_with("msrp")).collect()
}

/// Bob's chat with Tom and Alice.
fn three() -> (World, [SessionId; 3]) {
    let mut world = World::hosting(|_| {});
    world.subscribe(TOM);
    let bobs = begin(&mut world, &[TOM, ALICE]);
    let toms = join(&mut world, TOM);
    let alices = join(&mut world, ALICE);
    world.told();
    world.sent();
    (world, [bobs, toms, alices])
}

#[test]
fn steps_1_to_20() {
    let mut world = World::hosting(|focus| focus.max_invitations = 1);
    world.subscribe(TOM);
    // 1, 2, 3: Bob hosts. His invitation of Tom goes to the IM server, which forwards it.
    let bobs = begin(&mut world, &[TOM, ALICE]);
    let invitation = [
        "bridge > im_server: INVITE",
        "im_server > bridge: 100 INVITE",
        "im_server > bridge: INVITE",
        "bridge > im_server: 100 INVITE",
        "bridge > im_server: 180 INVITE",
        "im_server > bridge: 180 INVITE",
    ];
    assert_eq!(by_the_im_server(&mut world), invitation);
    // 4, 5: Tom opens the MSRP connection to Bob, who acknowledges it.
    join(&mut world, TOM);
    let sent = world.sent();
    let opened = [format!("msrp {TOM} > host: SEND"), format!("msrp host > {TOM}: 200")];
    assert_eq!(sent[..2], opened);
    // 6, 7: Tom answers, 8, 9: and is confirmed. 10: The same with Alice, one after the other.
    let is_of_call = |line: &&String| {
        line.contains("im_server") && !line.contains("SUBSCRIBE") && !line.contains("NOTIFY")
    };
    let answered: Vec<_> = sent.iter().filter(is_of_call).map(String::as_str).collect();
    assert_eq!(
        answered[..5],
        [
            "bridge > im_server: 200 INVITE",
            "im_server > bridge: 200 INVITE",
            "bridge > im_server: ACK",
            "bridge > im_server: INVITE",
            "im_server > bridge: ACK",
        ]
    );
    let alices = join(&mut world, ALICE);
    let sent = world.sent();
    assert_eq!(sent[..2], ["msrp alice > host: SEND", "msrp host > alice: 200"]);
    let answered: Vec<_> = sent.iter().filter(is_of_call).map(String::as_str).collect();
    assert_eq!(
        answered,
        [
            "bridge > im_server: 200 INVITE",
            "im_server > bridge: 200 INVITE",
            "bridge > im_server: ACK",
            "im_server > bridge: ACK",
        ]
    );
    assert_eq!(
        world.told(),
        [
            format!("bob: bob Connected (own), {TOM} Invited, alice Invited"),
            format!(
                "{TOM}: invited to \"Trip\" with bob Connected, alice Invited, {TOM} Invited (own)"
            ),
            format!("{TOM}: {TOM} Connected (own)"),
            format!("bob: {TOM} Connected"),
            format!(
                "alice: invited to \"Trip\" with bob Connected, {TOM} Invited, alice Invited (own)"
            ),
            "alice: alice Connected (own)".to_owned(),
            "bob: alice Connected".to_owned(),
            format!("{TOM}: alice Connected"),
            format!("alice: {TOM} Connected"),
        ]
    );
    // 11, 12, 13: Alice says something; the host shares it with everybody, who acknowledge it to
    // the host, 14: and he to Alice, when all of them have it.
    world.send(&alices, "Where to?", ReportRequest::default());
    assert_eq!(
        by_msrp(&mut world),
        [
            "msrp alice > host: SEND message/cpim".to_owned(),
            "msrp host > bob: SEND message/cpim".to_owned(),
            "msrp bob > host: 200".to_owned(),
            format!("msrp host > {TOM}: SEND message/cpim"),
            format!("msrp {TOM} > host: 200"),
            "msrp host > alice: 200".to_owned(),
        ]
    );
    assert_eq!(
        world.told(),
        [
            "alice: \"Where to?\" from alice (echo)".to_owned(),
            "bob: \"Where to?\" from alice".to_owned(),
            format!("{TOM}: \"Where to?\" from alice"),
        ]
    );
    // 15, 16: The host leaves. 17, 18, 19: The IM server forwards his BYE to Tom, and the answer to
    // him. 20: The same with Alice.
    world.order(&bobs, Command::End).expect("ended");
    let is_bye = |line: &String| line.contains("im_server") && line.contains("BYE");
    let ended: Vec<_> = world.sent().into_iter().filter(is_bye).collect();
    assert_eq!(
        ended,
        [
            "bridge > im_server: BYE (SIP;cause=410)",
            "bridge > im_server: BYE (SIP;cause=410)",
            "im_server > bridge: BYE (SIP;cause=410)",
            "im_server > bridge: BYE (SIP;cause=410)",
            "bridge > im_server: 200 BYE",
            "bridge > im_server: 200 BYE",
            "im_server > bridge: 200 BYE",
            "im_server > bridge: 200 BYE",
        ]
    );
    let gone = "SessionEnded (SIP BYE; Reason: SIP;cause=410;text=\"Gone\")";
    let told = world.told();
    let ends = [
        "bob: bob Disconnected (own)".to_owned(),
        "bob: SessionEnded (ended by the originator)".to_owned(),
        format!("{TOM}: bob Disconnected"),
        "alice: bob Disconnected".to_owned(),
        format!("{TOM}: {gone}"),
        format!("alice: {gone}"),
    ];
    assert_eq!(told, ends);
    world.wait(std::time::Duration::from_secs(4000));
    world.demand_rest();
}

/// Step 15: whoever just leaves, leaves; with fewer than two there is no chat.
#[test]
fn the_chat_remains_while_two_are_in_it() {
    let (mut world, [bobs, toms, alices]) = three();
    world.order(&toms, Command::End).expect("left");
    assert_eq!(
        world.told(),
        [
            format!("{TOM}: {TOM} Disconnected (own)"),
            format!("bob: {TOM} Disconnected"),
            format!("alice: {TOM} Disconnected"),
        ]
    );
    world.send(&bobs, "We two", ReportRequest::default());
    assert_eq!(world.told(), ["bob: \"We two\" from bob (echo)", "alice: \"We two\" from bob"]);
    world.order(&alices, Command::End).expect("left");
    assert_eq!(
        world.told(),
        [
            "alice: alice Disconnected (own)",
            "bob: alice Disconnected",
            "bob: SessionEnded (SIP BYE; Reason: SIP;cause=410;text=\"Gone\")",
        ]
    );
}

/// Who left comes back to the host, and one more is asked in by whoever is there.
#[test]
fn who_has_left_comes_back_to_the_host() {
    let (mut world, [bobs, toms, _]) = three();
    world.order(&toms, Command::End).expect("left");
    world.told();
    let again = world.ask(&toms, Command::Join(vec![newcomer(TOM)]));
    assert!(matches!(again, Ok(Answer::Participants(_))), "{again:?}");
    assert_eq!(
        world.told(),
        [
            format!("bob: {TOM} Connected"),
            format!("{TOM}: {TOM} Connected (own)"),
            format!("alice: {TOM} Connected"),
        ]
    );
    world.subscribe(DAVE);
    world.ask(&bobs, Command::Join(vec![newcomer(DAVE)])).expect("asked");
    join(&mut world, DAVE);
    assert_eq!(
        world.told(),
        [
            format!("bob: {DAVE} Invited"),
            format!(
                "{DAVE}: invited to \"Trip\" with bob Connected, alice Invited, {TOM} Invited, \
                 {DAVE} Invited (own)"
            ),
            format!("alice: {DAVE} Invited"),
            format!("{TOM}: {DAVE} Invited"),
            format!("{DAVE}: {DAVE} Connected (own)"),
            format!("bob: {DAVE} Connected"),
            format!("alice: {DAVE} Connected"),
            format!("{TOM}: {DAVE} Connected"),
            format!("{DAVE}: alice Connected, {TOM} Connected"),
        ]
    );
}

/// Signalling 1.8: the host tells the partner which session the group replaces.
#[test]
fn a_pair_that_its_host_extends_ends_on_both_sides() {
    let mut world = World::hosting(|_| {});
    world.change(|settings| settings.profile = Profile::named("cpm").expect("a profile"));
    world.subscribe(TOM);
    let (alices, bobs) = world.connect_users();
    let to = world.next_session();
    let answer = world.ask(&alices, Command::Extend { to: to.clone() });
    let Ok(Answer::Extending(what)) = answer else { panic!("{answer:?}") };
    let opened = world.begin_group(GroupInvitation {
        session: to.clone(),
        user: address(ALICE),
        subject: "Trip".to_owned(),
        originator: newcomer(ALICE),
        others: vec![newcomer(TOM)],
        client_correlator: None,
        extends: Some(what),
    });
    assert_eq!(opened, Ok(to.clone()));
    world.run();
    let group = join(&mut world, BOB);
    // His BYE comes before the news that he is in the group.
    assert_eq!(
        world.told(),
        [
            format!("alice: alice Connected (own), bob Invited, {TOM} Invited"),
            format!(
                "bob: invited to \"Trip\" with alice Connected, {TOM} Invited, bob Invited (own)"
            ),
            format!(
                "{TOM}: invited to \"Trip\" with alice Connected, bob Invited, {TOM} Invited (own)"
            ),
            "bob: bob Connected (own)".to_owned(),
            format!("bob: SessionEnded (extended to {group})"),
            "alice: SessionEnded (SIP BYE; Reason: SIP;cause=200;text=\"Call completed\")"
                .to_owned(),
            "alice: bob Connected".to_owned(),
        ]
    );
    assert_eq!(world.ask(&alices, Command::Describe), Ok(Answer::MovedTo(to)));
    assert_eq!(world.ask(&bobs, Command::Describe), Ok(Answer::MovedTo(group)));
}

#[test]
fn a_user_known_by_a_reference_hosts_a_group() {
    let host = "acr:alice";
    let mut world = World::hosting(|_| {});
    world.subscribe(TOM);
    world.subscribe(host);
    let hosts = referenced(&mut world, host);
    let bobs = join(&mut world, BOB);
    world.told();
    world.send(&hosts, "Where to?", ReportRequest::default());
    assert_eq!(
        world.told(),
        [
            format!("{host}: \"Where to?\" from {host} (echo)"),
            format!("bob: \"Where to?\" from {host}")
        ]
    );
    world.send(&bobs, "Home", ReportRequest::default());
    assert_eq!(
        world.told(),
        ["bob: \"Home\" from bob (echo)".to_owned(), format!("{host}: \"Home\" from bob")]
    );
}

/// RFC 5079: everybody in a room knows who is there, so that nobody hosts one who must not be known.
#[test]
fn a_user_who_stays_hidden_hosts_nothing() {
    let host = "acr:alice";
    for naming in [Naming::FromOnly, Naming::Asserted] {
        let mut world = World::hosting(|_| {});
        world.change(|settings| {
            settings.standing.hides_references = true;
            settings.standing.naming = naming;
        });
        world.subscribe(TOM);
        world.subscribe(host);
        referenced(&mut world, host);
        let over = format!("{host}: SessionEnded (SIP 433 Anonymity Disallowed)");
        assert_eq!(world.told(), [over]);
    }
}
