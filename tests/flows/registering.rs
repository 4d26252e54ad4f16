//! Mode `ue`: users that are registered through two proxies, and whose calls go by Service-Route.

use std::time::Duration;

use chatbridge::bridge::{Profile, RosterInput};
use chatbridge::chat::{Command, Refusal, ReportRequest};
use chatbridge::sip::{Method, Request, Status};

use crate::NOTHING;
use crate::far_end::offer_sdp;
use crate::proxies::{EDGE, HOME};
use crate::world::{ALICE, BOB, World, address, party};

#[test]
fn users_register_with_their_own_passwords_through_two_proxies() {
    let mut world = World::registering(|_| {});
    assert_eq!(world.registered(), ["alice: registered", "bob: registered"]);
    let of_alice: Vec<String> = world.sent().into_iter().take(8).collect();
    assert_eq!(
        of_alice,
        [
            "bridge > edge: REGISTER",
            "edge > home: REGISTER",
            "home > edge: 401 REGISTER",
            "edge > bridge: 401 REGISTER",
            "bridge > edge: REGISTER",
            "edge > home: REGISTER",
            "home > im_server: REGISTER",
            "im_server > home: 200 REGISTER",
        ]
    );
    let register = passed(&world, HOME, &Method::Register);
    assert_eq!(header(&register, "Path"), "<sip:127.0.0.1:5070;lr>");
    // Half of the hour later all is asked for anew, with the next count of the same nonce.
    world.wait(Duration::from_secs(1800));
    let refreshed = world.sent();
    assert_eq!(refreshed.iter().filter(|line| line.starts_with("bridge >")).count(), 4);
    assert_eq!(world.registered(), NOTHING);
}

#[test]
fn a_call_goes_by_the_service_route_of_its_user_and_rings_at_the_contact() {
    let mut world = World::registering(|settings| {
        settings.profile = Profile::named("cpm").expect("a profile");
    });
    world.sent();
    let alices = world.invite(ALICE, BOB, "Hi");
    let bobs = world.invited(BOB);
    assert_eq!(
        world.sent(),
        [
            "bridge > edge: INVITE",
            "edge > home: INVITE",
            "home > edge: 407 INVITE",
            "edge > bridge: 407 INVITE",
            "bridge > edge: ACK",
            "bridge > edge: INVITE",
            "edge > home: ACK",
            "edge > home: INVITE",
            "home > im_server: INVITE",
            "im_server > home: 100 INVITE",
            "im_server > home: INVITE",
            "home > edge: 100 INVITE",
            "home > edge: INVITE",
            "edge > bridge: 100 INVITE",
            "edge > bridge: INVITE",
            "bridge > edge: 100 INVITE",
            "bridge > edge: 180 INVITE",
            "edge > home: 100 INVITE",
            "edge > home: 180 INVITE",
            "home > im_server: 100 INVITE",
            "home > im_server: 180 INVITE",
            "im_server > home: 180 INVITE",
            "home > edge: 180 INVITE",
            "edge > bridge: 180 INVITE",
        ]
    );
    let invites = world.proxies_passed(EDGE).into_iter();
    let mut proven = invites.filter(|it| it.headers.get("Proxy-Authorization").is_some());
    let invite = proven.next().expect("an INVITE with a proof");
    let route: Vec<_> = invite.headers.all("Route").collect();
    assert_eq!(route, ["<sip:127.0.0.1:5070;lr>", "<sip:alice@127.0.0.1:5071;lr>"]);
    assert!(header(&invite, "Proxy-Authorization").contains("username=\"alice@ims.example.com\""));
    // The core's own spelling of the identity, and the contact as it was registered.
    let identity = "<sip:+19585550100@example.com>";
    assert_eq!(header(&invite, "P-Preferred-Identity"), identity);
    let registered = passed(&world, EDGE, &Method::Register);
    let contact = header(&invite, "Contact");
    assert!(contact.contains("+sip.instance=\"<urn:uuid:"), "{contact}");
    let same = |request: &Request| request.contact().expect("one").expect("one").uri;
    let alices_register = world
        .proxies_passed(EDGE)
        .into_iter()
        .find(|request| request.method == Method::Register && same(request) == same(&invite));
    let alices_register = alices_register.expect("a REGISTER with the contact of the INVITE");
    assert_eq!(header(&alices_register, "Contact"), contact);
    assert_ne!(same(&registered), same(&invite), "Bob's contact is another");

    world.order(&bobs, Command::Accept).expect("accepted");
    assert_eq!(world.told(), ["bob: invited by alice \"Hi\"", "alice: Accepted (SIP 200 OK)"]);
    world.send(&alices, "Hello", ReportRequest::default());
    world.order(&alices, Command::End).expect("ended");
    assert_eq!(
        world.told(),
        [
            "alice: \"Hello\" from alice (echo)",
            "bob: \"Hello\" from alice",
            "alice: SessionEnded (SIP BYE)",
            "bob: SessionEnded (SIP BYE; Reason: SIP;cause=200;text=\"Call completed\")",
        ]
    );
}

#[test]
fn who_is_not_registered_calls_nobody() {
    let mut world = World::registering(|_| {});
    let stranger = world.begin_inviting(party("tel:+19585550109"), party(BOB), "Hi");
    assert_eq!(stranger, Err(Refusal::NoUser));
    // The identities that the core holds for the same user are as good as the first.
    world.begin_inviting(party("sip:alice@example.com"), party(BOB), "Hi").expect("an alias");
    world.roster_hears(RosterInput::Leave(Duration::from_secs(1)));
    world.wait(Duration::from_secs(1));
    let gone = world.registered();
    assert_eq!(gone.last().map(String::as_str), Some("bob: gone"), "{gone:?}");
    let left = world.begin_inviting(party(ALICE), party(BOB), "Hi");
    assert!(matches!(left, Err(Refusal::Unavailable { .. })), "{left:?}");
    // Nor does the registrar know anybody: the contacts are taken back.
    world.sent();
    world.wait(Duration::from_secs(7200));
    let refreshed = world.sent().iter().any(|line| line.contains("REGISTER"));
    assert!(!refreshed);
}

#[test]
fn a_call_for_nobody_here_is_not_found() {
    let mut world = World::registering(|_| {});
    // The address is as good as the contact, for those who do not ask a registrar.
    world.far_end_invites("application/sdp", &offer_sdp());
    assert_eq!(world.told(), ["bob: invited by sip:carol@far.example \"Hello\""]);
    world.far_end_invites_to("sip:carol@127.0.0.1:5080", &[]);
    assert_eq!(world.far_end_heard(&Method::Invite).status, Status::NOT_FOUND);
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn the_identity_that_was_called_names_the_user_if_an_application_listens_for_it() {
    for (listens, user) in [(true, "sip:bob@example.com"), (false, "bob")] {
        let mut world = World::registering(|_| {});
        if listens {
            world.subscribe("sip:bob@example.com");
        }
        let contact = passed(&world, EDGE, &Method::Register).contact();
        let contact = contact.expect("one").expect("one").uri;
        let called = [("P-Called-Party-ID", "<sip:bob@example.com>")];
        world.far_end_invites_to(contact.as_str(), &called);
        assert_eq!(world.told(), [format!("{user}: invited by sip:carol@far.example \"\"")]);
        // Another one, or one that nobody may assert, changes nothing.
        for (trusts, called) in
            [(true, "<sip:alice@example.com>"), (false, "<sip:bob@example.com>")]
        {
            world.trusts_far_end = trusts;
            world.far_end_invites_to(contact.as_str(), &[("P-Called-Party-ID", called)]);
            assert_eq!(world.told(), ["bob: invited by sip:carol@far.example \"\""]);
        }
    }
}

#[test]
fn a_core_that_has_forgotten_a_user_is_asked_again() {
    let mut world = World::registering(|_| {});
    world.sent();
    world.proxy_forgets(HOME);
    world.invite(ALICE, BOB, "Hi");
    assert_eq!(world.told(), ["alice: SessionEnded (SIP 403 Forbidden)"]);
    world.sent();
    world.roster_hears(RosterInput::Doubt(address(ALICE)));
    assert_eq!(world.sent()[0], "bridge > edge: REGISTER");
    let refreshed = passed(&world, HOME, &Method::Register);
    assert_eq!(refreshed.cseq().map(|cseq| cseq.number).ok(), Some(3));
}

/// The last request with this method that a proxy let pass.
fn passed(world: &World, port: u16, method: &Method) -> Request {
    let all = world.proxies_passed(port);
    all.into_iter().rfind(|request| request.method == *method).expect("a request")
}

fn header(request: &Request, name: &str) -> String {
    request.headers.get(name).unwrap_or_else(|| panic!("no {name}: {request:?}")).to_owned()
}

/// Signalling 2.4: whose registration is lost has no core any more.
#[test]
fn the_sessions_of_who_is_registered_no_more_are_over() {
    let mut world = World::registering(|_| {});
    world.connect_users();
    world.registered();
    world.lose_all_sip();
    world.wait(Duration::from_secs(3700));
    assert!(world.registered().contains(&"alice: lost".to_owned()));
    assert_eq!(
        world.told(),
        ["alice: SessionEnded (core unreachable)", "bob: SessionEnded (core unreachable)"]
    );
}
