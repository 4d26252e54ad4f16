//! Bodies as deployed peers write them, taken in as they come; the numbers are those of the index
//! in `src/msrp/session/tests`, where the quirks of frames stand.

use bytes::Bytes;
use chatbridge::msrp::Event;
use chatbridge::payload::Cpim;

use crate::stage::{End, request};

/// Media types in any case, and an envelope without anybody in it.
#[test]
fn quirk_12_tinymsrp_writes_an_envelope_that_names_nobody() {
    let recorded = include_str!(
        "../../sip-fixtures/msrp-wire/tinymsrp/as-sender-03-SEND-message_CPIM-1-55of55.msrp"
    );
    let (_, body) = recorded.split_once("\r\n\r\n").unwrap();
    let (body, _) = body.split_once("\r\n-------").unwrap();
    let message = received("message/CPIM", body);
    assert_eq!((message.from.as_deref(), message.to.len()), (None, 0));
    assert_eq!(message.subject.as_deref(), Some("test"));
    assert_eq!(message.text_content().as_deref(), Some("hello cpim"));
}

/// No space behind the prefix, an encoded text, and numbers in both forms.
#[test]
fn quirk_14_an_operator_declares_its_prefix_without_a_space_and_encodes_its_text() {
    let body = include_str!("../../sip-fixtures/payload/made-operator-base64.cpim");
    for body in [body.to_owned(), body.replace("NS: imdn<", "NS: imdn <")] {
        let message = received("message/cpim", &body);
        assert_eq!(message.text_content().as_deref(), Some("\u{4f60}\u{597d}"));
        assert_eq!(message.to_uris().collect::<Vec<_>>(), ["tel:+8613800000002"]);
        let asked = message.imdn();
        assert_eq!(asked.message_id.as_deref(), Some("20160727151415"));
        assert!(asked.positive_delivery && asked.display);
    }
}

/// A second namespace, names in small letters, a type that ends in `;`, and times without zone.
#[test]
fn quirk_15_a_lab_has_namespaces_letters_and_times_of_its_own() {
    let body = include_str!("../../sip-fixtures/payload/made-lab-two-namespaces.cpim");
    for time in ["2015-02-03T17:40:29", "2015-02-03T17:40:29+05:30"] {
        let message = received("message/cpim", &body.replace("2015-02-03T17:40:29", time));
        assert_eq!(message.text_content().as_deref(), Some("hello"));
        assert_eq!(message.get("mailto:messaging@example.com", "device"), Some("handset"));
        assert_eq!(message.date_time.as_deref(), Some(time));
        let asked = message.imdn();
        assert!(asked.positive_delivery && asked.negative_delivery && !asked.display);
    }
}

/// The envelope in a message as our session hands it on.
fn received(content_type: &str, body: &str) -> Cpim {
    let mut end = End::bound();
    let fields = format!("Message-ID: m\r\nContent-Type: {content_type}\r\n\r\n{body}\r\n");
    end.receive(&request("SEND", &fields));
    let Some(Event::Message(message)) = end.told.pop() else { panic!("no message") };
    assert_eq!(message.content_type.as_str(), content_type);
    assert_eq!(message.body, Bytes::copy_from_slice(body.as_bytes()));
    Cpim::parse(message.body).unwrap()
}
