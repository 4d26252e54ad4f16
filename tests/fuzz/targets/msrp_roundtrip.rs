//! A frame that was read is written so that it reads the same; so are its URIs; and a text that is
//! sent comes out of its chunks as it went in.
#![no_main]

use bytes::{Bytes, BytesMut};
use chatbridge::ids::Random;
use chatbridge::msrp::{Frame, Limits, Parser, Path, TransactionId, Uri};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let drawn = TransactionId::draw(&mut Random::seeded(1), bytes);
    assert!(!occurs(bytes, drawn.as_str().as_bytes()));
    let mut buffer = BytesMut::from(bytes);
    let mut parser = Parser::new(Limits::default());
    while let Ok(Some(frame)) = parser.next(&mut buffer) {
        hold_together(&frame);
        frame.to_path.iter().chain(frame.from_path.iter()).for_each(visit);
        carry(frame, bytes, drawn.clone());
    }
});

fn hold_together(frame: &Frame) {
    assert_eq!(read(frame).as_ref(), Some(frame));
    let answers = [200, 481].map(|code| frame.answer(code));
    for answer in answers.into_iter().flatten() {
        assert_eq!(read(&answer), Some(answer));
    }
}

/// The same frame with any body, under an identifier that is not in it.
fn carry(mut frame: Frame, body: &[u8], tid: TransactionId) {
    frame.tid = tid;
    frame.body = Some(Bytes::copy_from_slice(body));
    assert_eq!(read(&frame), Some(frame));
}

fn read(frame: &Frame) -> Option<Frame> {
    let mut bytes = BytesMut::new();
    frame.write(&mut bytes);
    let again = Parser::new(Limits::default()).next(&mut bytes).ok().flatten();
    assert!(again.is_none() || bytes.is_empty(), "{} bytes are left", bytes.len());
    again
}

fn visit(uri: &Uri) {
    assert_eq!(Uri::parse(uri.as_str()).as_ref(), Ok(uri));
    assert_eq!(Path::parse(uri.as_str()).map(|path| path.first().clone()).as_ref(), Ok(uri));
    let _ = (uri.host(), uri.port(), uri.session_id(), uri.secure());
}

fn occurs(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}
