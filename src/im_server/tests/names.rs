//! In whose name a request goes on (RFC 3325).

use super::*;
use crate::im_server::FocusSettings;

const ASSERTED: &str = "P-Asserted-Identity";

#[test]
fn what_a_user_has_proved_is_asserted_and_what_it_claims_is_not() {
    let mut world = World::new();
    let claims = [
        (ASSERTED, "<tel:+19585550100>"),
        (ASSERTED, "<sip:boss@example.com>"),
        ("P-Preferred-Identity", "<sip:boss@example.com>"),
        ("P-Asserted-Service", "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.session"),
        ("P-Preferred-Service", "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.session"),
        ("P-Called-Party-ID", "<sip:boss@example.com>"),
        ("P-Served-User", "<sip:boss@example.com>"),
        ("P-Charging-Vector", "icid-value=1"),
        ("X-Harmless", "stays"),
    ];
    world.give(request("MESSAGE", "sip:bob@example.com", &claims), ALICE);
    let sent = world.request();
    assert_eq!(sent.headers.all(ASSERTED).collect::<Vec<_>>(), ["<sip:alice@example.com>"]);
    for (name, _) in claims.iter().filter(|(name, _)| name.starts_with("P-")) {
        assert!(*name == ASSERTED || !sent.headers.has(name), "{name}");
    }
    assert_eq!(sent.headers.get("X-Harmless"), Some("stays"));
}

#[test]
fn a_number_is_asserted_as_such() {
    let mut world = World::new();
    let from = ("From", "\"Far\" <sip:+19585550100@example.com;user=phone>;tag=a");
    world.give(request("MESSAGE", "sip:bob@example.com", &[from]), ALICE);
    assert_eq!(world.request().headers.get(ASSERTED), Some("<tel:+19585550100>"));
}

#[test]
fn nobody_speaks_in_the_name_of_another() {
    let mut world = World::new();
    for (at, from) in [
        "<sip:bob@example.com>;tag=a",
        "<sip:alice@example.org>;tag=a",
        "<sip:anonymous@example.com>;tag=a",
        "<tel:+19585550100>;tag=a",
    ]
    .into_iter()
    .enumerate()
    {
        let via = format!("SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK{at}");
        let mut call = invite("sip:carol@example.com");
        call.headers.set("Via", &via);
        call.headers.set("From", "<sip:alice@example.com>;tag=a");
        world.sign(&mut call);
        call.headers.set("From", from);
        assert_eq!(world.knock(call, ALICE), ["udp:192.0.2.10:5060 403 INVITE"], "{from}");
    }
    for (cseq, name) in [("1", "From"), ("2", "To")] {
        let mut other = register("<sip:alice@example.com>", cseq, &[]);
        world.sign(&mut other);
        other.headers.set(name, "<sip:bob@example.com>;tag=a");
        assert_eq!(world.knock(other, ALICE), ["udp:192.0.2.10:5060 403 REGISTER"], "{name}");
    }
}

#[test]
fn a_refused_user_hears_the_same_refusal_again() {
    let mut world = World::new();
    let mut call = invite("sip:bob@example.org");
    world.sign(&mut call);
    assert_eq!(world.knock(call.clone(), ALICE), ["udp:192.0.2.10:5060 404 INVITE"]);
    assert_eq!(
        world.knock(call.clone(), ALICE),
        ["udp:192.0.2.10:5060 404 INVITE"],
        "a repetition does not use up its nonce"
    );
    let ack = ack_of(&call, &world.response());
    assert_eq!(world.knock(ack, ALICE), [""; 0]);
    assert_eq!(world.wait(40_000), [""; 0]);
    assert_eq!(world.server.table.len(), 0);
}

#[test]
fn a_user_may_hide_from_others_and_the_bridge_still_knows() {
    let mut world = World::new();
    world.register("bob", "<sip:bob@192.0.2.30>", 1);
    for (user, asserted) in [("bob", None), ("dave", Some("<sip:alice@example.com>"))] {
        let via = format!("SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK{user}");
        let mut call = invite(&format!("sip:{user}@example.com"));
        call.headers.set("Via", &via);
        call.headers.push("Privacy", "id;critical");
        world.sign(&mut call);
        call.headers.set("From", "\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=a");
        world.knock(call, ALICE);
        let sent = world.request();
        assert_eq!(sent.headers.get(ASSERTED), asserted, "{user}");
        assert_eq!(sent.headers.get("Privacy"), Some("id;critical"));
    }
}

#[test]
fn the_bridge_asserts_or_prefers_and_is_believed() {
    let mut world = World::new();
    let home = ("Via", "SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKhome");
    let asserted = (ASSERTED, "<tel:+19585550100>");
    world.give(request("MESSAGE", "sip:bob@example.com", &[asserted, home]), HOME);
    assert_eq!(world.request().headers.get(ASSERTED), Some("<tel:+19585550100>"));

    let preferred = [
        ("P-Preferred-Identity", "<sip:carol@example.com>"),
        ("P-Preferred-Service", "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.session"),
        home,
    ];
    world.give(request("INFO", "sip:bob@example.com", &preferred), HOME);
    let sent = world.request();
    assert_eq!(sent.headers.get(ASSERTED), Some("<sip:carol@example.com>"));
    assert_eq!(sent.headers.get("P-Asserted-Service"), Some(preferred[1].1));
    assert!(!sent.headers.has("P-Preferred-Identity") && !sent.headers.has("P-Preferred-Service"));

    let both = [asserted, preferred[0], home];
    world.give(request("UPDATE", "sip:bob@example.com", &both), HOME);
    assert_eq!(world.request().headers.all(ASSERTED).collect::<Vec<_>>(), [asserted.1]);
}

#[test]
fn an_answer_is_believed_from_the_bridge_and_kept_private_where_it_asks() {
    let mut world = World::new();
    let identity = |privacy: &[&str], request: &Request| {
        let mut ok = response_to(request, status(200), Some("b"));
        ok.headers.push(ASSERTED, "<tel:+19585550101>");
        privacy.iter().for_each(|value| ok.headers.push("Privacy", value));
        ok
    };
    for (at, (user, privacy, told)) in [
        ("dave", &[][..], Some("<tel:+19585550101>")),
        ("dave", &["id"][..], None),
        ("bob", &[][..], None),
    ]
    .into_iter()
    .enumerate()
    {
        world.register("bob", "<sip:bob@192.0.2.30>", u32::try_from(at).unwrap() + 1);
        let via = format!("SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK{at}");
        world.give(request("MESSAGE", &format!("sip:{user}@example.com"), &[("Via", &via)]), ALICE);
        let ok = identity(privacy, &world.request());
        world.give_response(ok);
        assert_eq!(world.response().headers.get(ASSERTED), told, "{user} {privacy:?}");
    }
}

#[test]
fn within_a_dialog_only_the_bridge_asserts() {
    let mut world = World::new();
    world.give(invite("sip:bob@example.com"), ALICE);
    let route = sealed(&world.request());
    let claims = [
        ("To", "<sip:bob@example.com>;tag=b"),
        ("Route", &*route),
        (ASSERTED, "<sip:boss@example.com>"),
        ("Referred-By", "<sip:boss@example.com>"),
    ];
    world.knock(request("UPDATE", "sip:bob@127.0.0.1:5070", &claims), ALICE);
    assert_eq!(world.request().method, Method::Update);
    assert!(!world.request().headers.has(ASSERTED));
    assert!(!world.request().headers.has("Referred-By"));
}

/// What moves in a dialog moves for those who follow it: none of them asks who has proved what.
#[test]
fn within_a_dialog_no_user_becomes_a_focus_by_the_name_of_another() {
    for method in ["INVITE", "UPDATE"] {
        for (contact, code) in [
            ("<sip:conf-1@192.0.2.1:5060>;isfocus", 403),
            ("<sip:conf-1@192.0.2.1:9999>;isfocus", 100),
            ("<sip:conf-1@example.com>;ISFOCUS", 403),
            ("<sip:192.0.2.1:5060>;isfocus", 403),
            ("<sip:bob@example.com:9999>;isfocus", 403),
            ("<tel:+19585550101>;isfocus", 403),
            ("<sip:anonymous@anonymous.invalid>;isfocus", 403),
            ("<sip:conf-1@192.0.2.1:5060>", 403),
            ("<sip:room-tea@example.com>", 403),
            ("<sip:alice@example.com>", 100),
            ("<sip:alice@192.0.2.10:5060>;isfocus", 100),
        ] {
            let mut world = World::with(|settings| {
                let focus =
                    FocusSettings { msrp_host: "192.0.2.1".to_owned(), ..Default::default() };
                settings.focus = Some(focus);
            });
            world.give(invite("sip:bob@example.com"), ALICE);
            let route = sealed(&world.request());
            let headers = [
                ("Via", "SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKlater"),
                ("To", "<sip:bob@example.com>;tag=b"),
                ("Route", &*route),
                ("Contact", contact),
            ];
            world.knock(request(method, "sip:bob@127.0.0.1:5070", &headers), ALICE);
            if code == 100 {
                let passed = world.request();
                assert_eq!(passed.headers.get("Contact"), Some(contact), "{method}");
            } else {
                assert_eq!(world.response().status.code(), code, "{method} {contact}");
            }
        }
    }
}

/// Where the domain is a machine's address, the bridge may be on it at the usual port: its requests in a
/// dialog come over a stream, which may be anybody's, and so do those of the chats that it hosts.
#[test]
fn within_a_dialog_a_chat_that_the_bridge_hosts_keeps_its_name() {
    for (contact, code) in [
        ("<sip:hosted-abc-1@192.0.2.1:5060;transport=tcp>;isfocus", 100),
        ("<sip:HOSTED-abc-1@192.0.2.1>;isfocus", 100),
        ("<sip:hosted-abc-1@192.0.2.1:5070>;isfocus", 403),
        ("<sip:hosted-abc-1@192.0.2.1:5061>;isfocus", 403),
        ("<sip:bob@192.0.2.1:5060>;isfocus", 403),
        ("<sip:hosted-mallory@192.0.2.1:5060>;isfocus", 403),
    ] {
        let mut world = World::with(|settings| {
            settings.domain = "192.0.2.1".to_owned();
            settings.local.port = 5070;
            settings.home = Some(hop("udp:192.0.2.1:5060"));
            let account = |name: &str| Account {
                address: Address::parse(&format!("sip:{name}@192.0.2.1")).unwrap(),
                password: Password::Text(format!("{name}!")),
            };
            settings.accounts = ["alice", "hosted-mallory"].map(account).into();
        });
        let from = ("From", "<sip:alice@192.0.2.1>;tag=a");
        world.give(request("INVITE", "sip:bob@192.0.2.1", &[from]), ALICE);
        let route = sealed(&world.request());
        let headers = [
            from,
            ("Via", "SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bKlater"),
            ("To", "<sip:bob@192.0.2.1>;tag=b"),
            ("Route", &*route),
            ("Contact", contact),
        ];
        world.knock(request("UPDATE", "sip:bob@127.0.0.1:5090", &headers), "tcp:192.0.2.1:40000");
        if code == 100 {
            assert_eq!(world.request().headers.get("Contact"), Some(contact));
        } else {
            assert_eq!(world.response().status.code(), code, "{contact}");
        }
    }
}

/// RFC 3892: who is called takes the one in Referred-By for the one who invites.
#[test]
fn nobody_is_said_to_have_referred_but_the_sender() {
    let mut world = World::new();
    let cases = [
        ("<sip:alice@example.com>", true),
        ("\"Boss\" <sip:alice@EXAMPLE.com>;cid=\"1@x\"", true),
        ("<sip:bob@example.com>", false),
        ("<tel:+19585550100>", false),
        ("<sip:alice@example.org>", false),
        ("<sip:alice@example.com>, <sip:bob@example.com>", false),
        ("nonsense", false),
    ];
    for (at, (method, (by, passes))) in
        ["INVITE", "REFER", "MESSAGE"].iter().flat_map(|it| cases.map(|by| (it, by))).enumerate()
    {
        let via = format!("SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKr{at}");
        let headers = [("Via", &*via), ("b", by), ("Refer-To", "<sip:x@example.com>")];
        world.give(request(method, "sip:bob@example.com", &headers), ALICE);
        let sent = world.request();
        assert!(sent.method.as_str() == *method, "{method} {by}");
        assert_eq!(sent.headers.get("Referred-By"), passes.then_some(by), "{method}");
    }
    let home = ("Via", "SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKhome");
    let carol = ("Referred-By", "<sip:carol@example.com>");
    world.give(request("INVITE", "sip:bob@example.com", &[carol, home]), HOME);
    assert_eq!(world.request().headers.get("Referred-By"), Some(carol.1), "the bridge may");
}

/// Who is called by a focus takes the first of the list for the one who invites. It compares
/// addresses by who they mean: ports are not looked at, nor is the host of a number.
#[test]
fn no_user_is_a_focus_under_the_name_of_a_user() {
    for (contact, code) in [
        ("<sip:alice@example.com>;isfocus", 403),
        ("<sip:alice@192.0.2.1:5060>;ISFOCUS", 403),
        ("<sip:bob@example.com>;isfocus", 403),
        ("<sip:conf-1@192.0.2.1:5060>;isfocus", 403),
        ("<sip:192.0.2.1:5060>;isfocus", 403),
        ("<sip:alice@example.com:9999>;isfocus", 403),
        ("<sips:%61lice@EXAMPLE.com:9999;transport=tcp>;isfocus", 403),
        ("<sip:bob@example.com:9999>;isfocus", 403),
        ("<sip:bob@192.0.2.1:9999>;isfocus", 403),
        ("<sip:conf-1@192.0.2.1:9999>;isfocus", 403),
        ("<sip:+19585550100@192.0.2.10:5060>;isfocus", 403),
        ("<tel:+19585550100>;isfocus", 403),
        ("<sip:anonymous@anonymous.invalid:9999>;isfocus", 403),
        ("<sip:alice@example.com>", 100),
        ("<sip:alice@example.com:9999>", 100),
        ("<sip:alice@192.0.2.10:5060>;isfocus", 100),
        ("<sip:chat7@192.0.2.10:5060>;isfocus", 100),
        ("<sip:192.0.2.10:5060>;isfocus", 100),
    ] {
        let mut world = World::new();
        world.give(request("INVITE", "sip:bob@example.com", &[("Contact", contact)]), ALICE);
        assert_eq!(world.response().status.code(), code, "{contact}");
    }
}

/// In a laboratory all may live on one machine, and the domain may be called as that machine is.
#[test]
fn a_phone_beside_the_server_is_a_focus_under_its_own_name_alone() {
    for domain in ["example.com", "192.0.2.1"] {
        let own = Address::parse(&format!("sip:alice@{domain}")).unwrap();
        for (contact, code) in [
            ("<sip:alice@192.0.2.1:9999>;isfocus", 100),
            ("<sip:alice@192.0.2.1:5060>;isfocus", 403),
            ("<sip:alice@192.0.2.1>;isfocus", 403),
            ("<sip:bob@192.0.2.1:9999>;isfocus", 403),
        ] {
            let mut world = World::with(|settings| {
                settings.domain = domain.to_owned();
                let password = Password::Text("alice!".to_owned());
                settings.accounts = vec![Account { address: own.clone(), password }];
            });
            let from = format!("<{}>;tag=a", own.key());
            let headers = [("From", &*from), ("Contact", contact)];
            world.give(request("INVITE", &format!("sip:bob@{domain}"), &headers), ALICE);
            assert_eq!(world.response().status.code(), code, "{contact} in {domain}");
        }
    }
}

/// Where the domain is a machine's address and the server is at another port, the usual port is as
/// good as none.
#[test]
fn the_usual_port_makes_no_phone_of_a_name() {
    for (contact, code) in [
        ("<sip:alice@192.0.2.1:5060>;isfocus", 403),
        ("<sip:alice@192.0.2.1>;isfocus", 403),
        ("<sip:alice@192.0.2.1:9999>;isfocus", 100),
    ] {
        let own = Address::parse("sip:alice@192.0.2.1").unwrap();
        let mut world = World::with(|settings| {
            settings.domain = "192.0.2.1".to_owned();
            settings.local.port = 5070;
            let password = Password::Text("alice!".to_owned());
            settings.accounts = vec![Account { address: own, password }];
        });
        let headers = [("From", "<sip:alice@192.0.2.1>;tag=a"), ("Contact", contact)];
        world.give(request("INVITE", "sip:bob@192.0.2.1", &headers), ALICE);
        assert_eq!(world.response().status.code(), code, "{contact}");
    }
}

/// A number is one user wherever it is reached.
#[test]
fn a_number_is_a_focus_under_itself_alone() {
    for (contact, code) in [
        ("<sip:+19585550100@192.0.2.10:5060>;isfocus", 100),
        ("<sip:+19585550101@192.0.2.10:5060>;isfocus", 403),
        ("<sip:+19585550100@example.com:9999>;isfocus", 403),
        ("<tel:+19585550100>;isfocus", 403),
    ] {
        let mut world = World::new();
        let from = ("From", "<sip:+19585550100@example.com;user=phone>;tag=a");
        let headers = [from, ("Contact", contact)];
        world.give(request("INVITE", "sip:bob@example.com", &headers), ALICE);
        assert_eq!(world.response().status.code(), code, "{contact}");
    }
}
