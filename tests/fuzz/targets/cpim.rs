//! A message that can be read is written so that it reads the same, and nothing that it says gets
//! out of its header field.
#![no_main]

use bytes::Bytes;
use chatbridge::payload::Cpim;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(message) = Cpim::parse(Bytes::copy_from_slice(bytes)) else { return };
    look_at(&message);
    // What others have written may be mended once; what we have written stays as it is.
    let written = message.write();
    let again = Cpim::parse(written.clone()).expect("we can read what we write");
    assert_eq!(again.body, message.body);
    assert!(again.to.len() == message.to.len() && again.headers.len() <= message.headers.len());
    assert_eq!(Cpim::parse(again.write()).as_ref(), Ok(&again));
    let text = String::from_utf8_lossy(bytes);
    let wrapped = Cpim::text(&text, &text, Some(text.clone().into_owned()), &text);
    let wrapped = wrapped.with_imdn(text.clone(), true, true);
    let again = Cpim::parse(wrapped.write()).expect("we can read what we wrap");
    assert_eq!((again.to.len(), &again.body), (1, &wrapped.body));
});

/// Asks for everything; a notification asks for none, whatever it says.
fn look_at(message: &Cpim) {
    let asked = message.imdn();
    if message.is_notification() {
        assert!(!asked.positive_delivery && !asked.negative_delivery);
        assert!(!asked.display && !asked.processing);
    }
    assert!(message.text_content().is_none_or(|text| !text.contains('\0')));
    let within = message.within().expect("a message within was checked");
    assert!(within.is_none_or(|inner| inner.within().is_ok_and(|deeper| deeper.is_none())));
    let _ = (message.from_uri(), message.to_uris().count(), message.media_type());
    let _ = message.not_understood();
}
