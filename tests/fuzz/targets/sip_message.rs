//! Whatever arrives as a datagram is a message, an answer or nothing; every view of a message can
//! be asked for; and a message that is written reads the same again.
#![no_main]

use bytes::Bytes;
use chatbridge::sip::{
    Asker, Decoded, Hop, Local, Message, NameAddr, Status, Transport, WireLimits, challenges,
    decode_datagram, reply_hop, response_to, route, stamp_source, stray,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match decode(Bytes::copy_from_slice(bytes)) {
        Decoded::Message(message) => {
            look_at(&message);
            hold_together(&message);
        }
        Decoded::Reject { answer: Some(answer), why } => {
            assert_eq!(answer.status, why.status());
            let wire = answer.encode();
            let ends = wire.windows(4).filter(|window| *window == b"\r\n\r\n").count();
            assert!(ends == 1 && wire.ends_with(b"\r\n\r\n"), "{answer:?}");
        }
        Decoded::Reject { answer: None, .. } | Decoded::KeepAlive(_) => {}
        Decoded::Fatal(why) => panic!("no datagram is fatal: {why}"),
    }
});

fn decode(bytes: Bytes) -> Decoded {
    decode_datagram(bytes, &WireLimits::default())
}

/// What is written reads the same, and is written the same again.
fn hold_together(message: &Message) {
    let wire = message.encode();
    let again = decode(wire.clone());
    let Decoded::Message(again) = again else { panic!("{message:?} became {again:?}") };
    assert_eq!(again.encode(), wire);
    assert_eq!(again.body(), message.body());
    assert_eq!(lines(&again), lines(message));
    match (message, &again) {
        (Message::Request(old), Message::Request(new)) => {
            assert_eq!((&old.method, &old.uri), (&new.method, &new.uri));
        }
        (Message::Response(old), Message::Response(new)) => {
            assert_eq!((old.status, &old.reason), (new.status, &new.reason));
        }
        (_, _) => panic!("{message:?} became {again:?}"),
    }
}

/// Controls may be escaped in a display name that we read, but we write none.
fn tame(mut address: NameAddr) -> NameAddr {
    let control = |letter: char| letter.is_ascii_control();
    address.display = address.display.map(|name| name.replace(control, " "));
    address
}

fn lines(message: &Message) -> Vec<(&str, &str)> {
    message.headers().iter().filter(|(name, _)| *name != "Content-Length").collect()
}

/// Asks for everything that the decoder vouches for, and for what it does not.
fn look_at(message: &Message) {
    let vias = message.vias().expect("every Via can be read");
    assert_eq!(message.via().as_ref(), Ok(&vias[0]));
    for via in &vias {
        assert_eq!(via.to_string().parse().as_ref(), Ok(via));
    }
    let addresses = [message.from(), message.to()].map(|it| it.expect("From and To can be read"));
    for address in addresses {
        assert_eq!(NameAddr::parse(&address.to_string()), Ok(tame(address)));
    }
    assert!(message.call_id().is_some() && message.cseq().is_ok());
    let _ = (message.contacts(), message.record_route(), message.route(), message.reasons());
    let _ = (message.content_type(), message.max_forwards(), message.expires(), route(message));
    match message {
        Message::Request(request) => {
            let source = Hop::new(Transport::Udp, "192.0.2.1", 5060);
            let mut stamped = request.clone();
            stamp_source(&mut stamped, &source);
            assert_eq!(stamped.vias().expect("stamped Vias").len(), vias.len());
            let _ = reply_hop(&stamped.via().expect("a stamped Via"), &source);
            let answer =
                stray(&stamped, &Local::new(source, "fuzz/1")).unwrap_or_else(|| response_to(&stamped, Status::OK, Some("tag")));
            let answer = decode(answer.encode());
            assert!(matches!(answer, Decoded::Message(Message::Response(_))), "{answer:?}");
        }
        Message::Response(response) => {
            let asked = Asker::ALL.map(|asker| challenges(&response.headers, asker));
            for challenge in asked.iter().flatten() {
                let _ = challenge.to_string();
            }
        }
    }
}
