//! What names us to a peer under TLS.

use super::*;
use crate::sip::Transport::{Tcp, Tls, Udp};

/// Who prefers `prefers`, at port 5060, and takes TLS at port 5061.
fn secured(prefers: Transport) -> Kit {
    let mut kit = kit("192.0.2.1", prefers, 1);
    Arc::make_mut(&mut kit.local).tls_port = Some(5061);
    kit
}

fn invite(prefers: Transport, hop: Transport, target: &str) -> Request {
    let mut call = call(Some(Hop::new(hop, "core.example", 5061)));
    call.target = Uri::parse(target).unwrap();
    let mut leg = Leg::call(Instant::now(), call, secured(prefers));
    let Some(LegOutput::Send { bytes, .. }) = leg.poll() else { panic!("nothing is sent") };
    let Message::Request(request) = read(bytes) else { panic!("no request") };
    request
}

#[test]
fn via_and_contact_name_the_port_of_the_transport_that_is_used() {
    for (prefers, hop, sent_by, contact) in [
        (Udp, Udp, "SIP/2.0/UDP 192.0.2.1:5060", "<sip:alice@192.0.2.1:5060>"),
        (Udp, Tcp, "SIP/2.0/TCP 192.0.2.1:5060", "<sip:alice@192.0.2.1:5060>"),
        (Udp, Tls, "SIP/2.0/TLS 192.0.2.1:5061", "<sip:alice@192.0.2.1:5061;transport=tls>"),
        (Tls, Tls, "SIP/2.0/TLS 192.0.2.1:5061", "<sip:alice@192.0.2.1:5061;transport=tls>"),
        (Tls, Tcp, "SIP/2.0/TCP 192.0.2.1:5060", "<sip:alice@192.0.2.1:5060;transport=tcp>"),
    ] {
        let invite = invite(prefers, hop, "sip:bob@b.example");
        let via = invite.headers.get("Via").unwrap();
        assert!(via.starts_with(&format!("{sent_by};")), "{via}");
        assert_eq!(via.contains(";alias"), hop == Tls, "RFC 5923 section 8.1: {via}");
        let given = invite.headers.get("Contact").unwrap();
        assert_eq!(given.split_once(";+g").unwrap().0, contact, "{prefers} over {hop}");
    }
}

/// The scheme says TLS by itself: `transport=tls` is not said beside it.
#[test]
fn a_secure_contact_names_the_port_of_tls() {
    let invite = invite(Udp, Tls, "sips:bob@b.example");
    let contact = invite.headers.get("Contact").unwrap();
    assert!(contact.starts_with("<sips:alice@192.0.2.1:5061>;"), "{contact}");
}

#[test]
fn a_callee_names_the_port_that_it_was_called_on() {
    let source = Hop::new(Tls, "192.0.2.2", 40_000);
    let mut leg =
        Leg::answering(Instant::now(), invitation(Tls, &[]), source.clone(), secured(Udp));
    leg.accept(Instant::now(), body("answer"));
    let mut contacts = Vec::new();
    while let Some(output) = leg.poll() {
        let LegOutput::Send { bytes, hop } = output else { continue };
        assert_eq!(hop, source, "RFC 3261 section 18.2.2: back where it came from");
        let Message::Response(response) = read(bytes) else { continue };
        contacts.extend(response.headers.get("Contact").map(str::to_owned));
    }
    assert_eq!(contacts, ["<sip:bob@192.0.2.1:5061;transport=tls>"]);
}
