//! Who is named to whom: identities and privacy by the mode of the core (RFC 3323, RFC 3325), and
//! what each profile writes into an INVITE.

use chatbridge::bridge::{Naming, PROFILES, Profile};
use chatbridge::chat::{Command, GroupInvitation};
use chatbridge::payload::{Cpim, multipart};
use chatbridge::sip::{Method, Request};

use crate::far_end::{far_hop, offer_sdp};
use crate::focus::{CAROL, newcomer};
use crate::world::{ALICE, BOB, World, address, party};

const HIDDEN: &str = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";

#[test]
fn each_mode_names_the_caller_in_its_own_way() {
    let sip = "<sip:+19585550100@example.com;user=phone>";
    let service = "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.session";
    for (naming, profile, expected) in [
        (Naming::FromOnly, "plain", vec![]),
        (Naming::FromOnly, "cpm", vec![format!("P-Preferred-Service: {service}")]),
        (Naming::Preferred, "plain", vec![]),
        (Naming::Preferred, "rcs-e", vec![format!("P-Preferred-Identity: {sip}")]),
        (
            Naming::Preferred,
            "cpm",
            vec![format!("P-Preferred-Service: {service}"), format!("P-Preferred-Identity: {sip}")],
        ),
        (
            Naming::Asserted,
            "plain",
            vec![format!("P-Asserted-Identity: {sip}, <tel:+19585550100>")],
        ),
        (
            Naming::Asserted,
            "cpm-cmcc",
            vec![
                format!("P-Asserted-Service: {service}"),
                format!("P-Asserted-Identity: {sip}, <tel:+19585550100>"),
            ],
        ),
    ] {
        let invite = invite_by(ALICE, naming, profile, false);
        assert_eq!(named(&invite), expected, "{naming:?} {profile}");
        assert!(invite.from().expect("a From").uri.as_str().starts_with("sip:+19585550100@"));
    }
}

#[test]
fn a_reference_may_stay_anonymous_to_all_but_the_core() {
    let identity = "<sip:acr%3Aalice@example.com>";
    for (naming, profile, expected) in [
        (Naming::FromOnly, "plain", vec!["Privacy: id".to_owned()]),
        (
            Naming::Preferred,
            "simple-im",
            vec![format!("P-Preferred-Identity: {identity}"), "Privacy: id".to_owned()],
        ),
        (
            Naming::Asserted,
            "plain",
            vec![format!("P-Asserted-Identity: {identity}"), "Privacy: id".to_owned()],
        ),
    ] {
        let invite = invite_by("acr:alice", naming, profile, true);
        assert_eq!(named(&invite), expected, "{naming:?} {profile}");
        let from = invite.headers.get("From").expect("a From");
        assert!(from.starts_with(HIDDEN), "{from}");
        assert!(!invite.headers.get("Contact").expect("a Contact").contains("alice"));
        let open = invite_by("acr:alice", naming, profile, false);
        assert!(open.headers.get("From").expect("a From").starts_with(identity));
        assert!(!open.headers.has("Privacy"));
    }
    let number = invite_by(ALICE, Naming::FromOnly, "plain", true);
    assert!(number.headers.get("From").expect("a From").contains("+19585550100"));
}

#[test]
fn an_anonymous_caller_stays_so_in_every_byte() {
    let mut world = World::with(|settings| {
        settings.core = Some(far_hop());
        settings.standing.naming = Naming::FromOnly;
        settings.standing.hides_references = true;
    });
    let session = world.invite("acr:alice", BOB, "Hi");
    let invite = world.far_end_got(&Method::Invite);
    world.far_end_accepts(&invite);
    world.send(&session, "Hello", Default::default());
    assert!(world.far_end_read().body.is_some());
    for bytes in &world.written {
        assert!(!String::from_utf8_lossy(bytes).contains("alice"), "{bytes:?}");
    }
}

/// In a group as well: to the focus, whatever it is asked for, and to those behind it.
#[test]
fn an_anonymous_participant_stays_so_in_every_byte() {
    let mut world = World::with(|settings| {
        settings.core = Some(far_hop());
        settings.standing.naming = Naming::FromOnly;
        settings.standing.hides_references = true;
        settings.echo = false;
    });
    let session = world.next_session();
    let group = world.begin_group(GroupInvitation {
        session: session.clone(),
        user: address("acr:alice"),
        subject: "Trip".to_owned(),
        originator: newcomer("acr:alice"),
        others: vec![newcomer(BOB)],
        client_correlator: None,
        extends: None,
    });
    world.run();
    assert_eq!(group, Ok(session.clone()));
    let invite = world.far_end_got(&Method::Invite);
    assert_eq!(invite.headers.get("Privacy"), Some("id"));
    world.focus_accepts(&invite);
    assert_eq!(world.far_end_got(&Method::Subscribe).headers.get("Privacy"), Some("id"));
    world.send(&session, "Hello", Default::default());
    assert!(world.far_end_read().body.is_some());
    world.order(&session, Command::Join(vec![newcomer(CAROL)])).expect("asked for");
    let refer = world.far_end_got(&Method::Refer);
    assert!(!refer.headers.has("Referred-By"));
    for bytes in &world.written {
        assert!(!String::from_utf8_lossy(bytes).contains("alice"), "{bytes:?}");
    }
}

#[test]
fn s5_what_a_stranger_asserts_is_not_believed() {
    let headers = [
        ("P-Asserted-Identity", "<tel:+19585550177>"),
        ("P-Called-Party-ID", "<tel:+19585550100>"),
        ("P-Preferred-Service", "urn:urn-7:x"),
    ];
    for (trusted, told) in [
        (true, "alice: invited by tel:+19585550177 \"\""),
        (false, "bob: invited by sip:carol@far.example \"\""),
    ] {
        let mut world = World::new();
        world.trusts_far_end = trusted;
        world.far_end_invites_with(&headers, "application/sdp", &offer_sdp());
        assert_eq!(world.told(), [told]);
    }
}

#[test]
fn of_two_identities_the_number_is_shown_and_the_name_of_either() {
    for (asserted, address, name) in [
        ("\"C\" <sip:carol@far.example>, <tel:+1-958-555-0177>", "tel:+19585550177", Some("C")),
        ("<tel:+19585550177>, \"C\" <sip:carol@far.example>", "tel:+19585550177", Some("C")),
        ("<sip:carol@far.example>", "sip:carol@far.example", None),
        ("<urn:x:y>, <sip:dora@far.example>", "sip:dora@far.example", None),
        ("", "sip:carol@far.example", None),
    ] {
        let mut world = World::new();
        let headers = [("P-Asserted-Identity", asserted)];
        world.far_end_invites_with(&headers, "application/sdp", &offer_sdp());
        let (shown, as_name) = world.inviter();
        assert_eq!((shown.as_str(), as_name.as_deref()), (address, name), "{asserted}");
    }
}

#[test]
fn whoever_does_not_want_to_be_known_is_not() {
    let anonymous = "sip:anonymous@anonymous.invalid";
    for (privacy, address) in [
        ("id", anonymous),
        ("user", anonymous),
        ("header; ID;critical", anonymous),
        ("none", "tel:+19585550177"),
        ("header;session", "tel:+19585550177"),
    ] {
        for trusted in [true, false] {
            let mut world = World::new();
            world.trusts_far_end = trusted;
            let headers = [("P-Asserted-Identity", "<tel:+19585550177>"), ("Privacy", privacy)];
            world.far_end_invites_with(&headers, "application/sdp", &offer_sdp());
            let known = if trusted { address } else { "sip:carol@far.example" };
            let expected = if address == anonymous { anonymous } else { known };
            assert_eq!(world.inviter(), (expected.to_owned(), None), "{privacy}");
        }
    }
}

#[test]
fn each_profile_writes_its_own_invite() {
    for profile in PROFILES {
        let invite = invite_by(ALICE, Naming::Preferred, profile.name, false);
        let contact = invite.headers.get("Contact").expect("a Contact");
        assert!(contact.ends_with(profile.contact_params), "{contact}");
        let accepted: Vec<_> = invite.headers.all("Accept-Contact").collect();
        assert_eq!(accepted, profile.accept_contact);
        let ids = ["Conversation-ID", "Contribution-ID"]
            .map(|name| invite.headers.get(name).map_or(0, str::len));
        let expected = match profile.name {
            "plain" => [0, 0],
            "simple-im" | "rcs-e" => [0, 32],
            _ => [36, 36],
        };
        assert_eq!(ids, expected, "{}", profile.name);
        let kind = invite.content_type().expect("a Content-Type");
        assert_eq!(kind.starts_with("multipart/mixed"), profile.name == "rcs-e", "{kind}");
    }
}

#[test]
fn rcs_e_sends_the_subject_as_first_message_and_the_same_one_again() {
    let mut world = facing(Naming::Preferred, "rcs-e", false);
    world.invite(ALICE, BOB, "How are you?");
    let first = world.far_end_got(&Method::Invite);
    let parts = multipart::parse(first.content_type().expect("a type"), first.body.clone());
    let parts = parts.expect("a multipart body");
    let types: Vec<_> = parts.iter().map(|part| part.content_type.as_str()).collect();
    assert_eq!(types, ["application/sdp", "message/cpim"]);
    let cpim = Cpim::parse(parts[1].body.clone()).expect("CPIM");
    assert_eq!(cpim.text_content().as_deref(), Some("How are you?"));
    assert!(cpim.imdn().message_id.is_some() && cpim.date_time.is_some());
    // A redirection is no other message, and no other session.
    let moved = [("Contact", "<sip:+19585550101@127.0.0.1:5090>")];
    world.far_end_answers(&first, 302, &moved, None);
    let second = world.far_end_got(&Method::Invite);
    assert_ne!(second.call_id(), first.call_id());
    assert_eq!(second.headers.get("Contribution-ID"), first.headers.get("Contribution-ID"));
    assert_eq!(second.body, first.body);
    // Without a text there is nothing to send along.
    let mut silent = facing(Naming::Preferred, "rcs-e", false);
    silent.invite(ALICE, BOB, "");
    assert_eq!(silent.far_end_got(&Method::Invite).content_type(), Some("application/sdp"));
}

#[test]
fn an_application_server_asks_its_core_to_serve_the_caller() {
    let mut world = World::with(|settings| {
        settings.core = Some(far_hop());
        settings.standing.orig = true;
    });
    world.invite(ALICE, BOB, "Hi");
    let invite = world.far_end_got(&Method::Invite);
    assert_eq!(invite.headers.get("Route"), Some("<sip:127.0.0.1:5090;lr;orig>"));
}

fn invite_by(user: &str, naming: Naming, profile: &str, hides: bool) -> Request {
    let mut world = facing(naming, profile, hides);
    let session = world.begin_inviting(party(user), party(BOB), "Hi");
    session.expect("a good invitation");
    world.run();
    world.far_end_got(&Method::Invite)
}

fn facing(naming: Naming, profile: &str, hides: bool) -> World {
    World::with(|settings| {
        settings.core = Some(far_hop());
        settings.standing.naming = naming;
        settings.standing.hides_references = hides;
        settings.profile = Profile::named(profile).expect("a profile");
    })
}

/// The headers that name the caller and the service.
fn named(invite: &Request) -> Vec<String> {
    let named = invite.headers.iter().filter(|(name, _)| {
        name.starts_with("P-Asserted") || name.starts_with("P-Preferred") || *name == "Privacy"
    });
    named.map(|(name, value)| format!("{name}: {value}")).collect()
}
