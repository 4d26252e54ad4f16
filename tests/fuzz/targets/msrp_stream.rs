//! A stream says the same however it is cut, and neither the parser nor a session behind it holds
//! more than its limits or says more than it may.
#![no_main]

use std::time::{Duration, Instant};

use bytes::BytesMut;
use chatbridge::ids::Random;
use chatbridge::msrp::{
    Event, Frame, Input, Kind, Limits, Method, Outgoing, Output, ParseError, Parser, Path, Session,
    Setup, Uri,
};
use libfuzzer_sys::fuzz_target;

// The first byte tells how many of the next ones are the sizes of the pieces.
fuzz_target!(|bytes: &[u8]| {
    let Some((count, rest)) = bytes.split_first() else { return };
    let (sizes, stream) = rest.split_at(usize::from(count % 16).min(rest.len()));
    let said = listen(stream, sizes);
    assert_eq!(said, listen(stream, &[]));
    converse(said);
});

/// Small, so that small inputs reach beyond them.
fn limits() -> Limits {
    Limits {
        max_message: 300,
        max_chunk_in: 200,
        max_header_bytes: 400,
        max_headers: 8,
        max_open_messages: 3,
        chunk_bytes: 8,
        ..Limits::default()
    }
}

/// Feeds a stream in pieces of the sizes given plus one, over and over; none means at once.
fn listen(stream: &[u8], sizes: &[u8]) -> Vec<Result<Frame, ParseError>> {
    let mut parser = Parser::new(limits());
    let (mut buffer, mut said, mut rest) = (BytesMut::new(), Vec::new(), stream);
    let mut sizes = sizes.iter().map(|size| usize::from(*size) + 1).cycle();
    while !rest.is_empty() {
        let size = sizes.next().unwrap_or(rest.len()).min(rest.len());
        let (piece, more) = rest.split_at(size);
        rest = more;
        buffer.extend_from_slice(piece);
        loop {
            match parser.next(&mut buffer) {
                Ok(Some(frame)) => said.push(Ok(frame)),
                Ok(None) => break,
                Err(error) => {
                    let fatal = error.is_fatal();
                    said.push(Err(error));
                    if fatal {
                        return said;
                    }
                }
            }
        }
        assert!(buffer.len() <= 400 + 200 + 2 * 256, "{} bytes are held", buffer.len());
    }
    said
}

/// Hands what was said to a session with a message under way: it answers each request at most
/// once, reports and responses never, and its message has one end.
fn converse(said: Vec<Result<Frame, ParseError>>) {
    let (Ok(us), Ok(peer)) = (Uri::parse("msrp://a:1/s;tcp"), Path::parse("msrp://b:2/t;tcp"))
    else {
        panic!("these are paths");
    };
    let mut now = Instant::now();
    let mut session = Session::new(us, limits(), Random::seeded(1));
    session.open(now, peer, Setup::Passive);
    let message = Outgoing {
        message_id: "m".to_owned(),
        content_type: "text/plain".to_owned(),
        body: "hello, hello".into(),
        success_report: true,
        failure_report: chatbridge::msrp::FailureReport::Yes,
    };
    assert_eq!(session.send(now, message), Ok(()));
    let mut ends = 0;
    for one in said {
        let may_answer = match &one {
            Ok(frame) => match &frame.kind {
                Kind::Request(Method::Report) | Kind::Response { .. } => false,
                Kind::Request(_) => true,
            },
            Err(_) => true,
        };
        session.handle(now, one.map_or_else(Input::Malformed, Input::Frame));
        let (answers, settled) = settle(&mut session);
        assert!(answers <= usize::from(may_answer), "{answers} answers");
        ends += settled;
    }
    now += Duration::from_secs(60);
    session.handle(now, Input::Timeout);
    ends += settle(&mut session).1;
    session.close(now);
    ends += settle(&mut session).1;
    assert_eq!(ends, 1, "the ends of one message");
    assert_eq!(session.next_timeout(), None);
}

/// Counts the responses that are written, and the ends of messages that are told.
fn settle(session: &mut Session) -> (usize, usize) {
    let (mut answers, mut ends) = (0, 0);
    while let Some(output) = session.poll() {
        match output {
            Output::Write(bytes) => {
                let mut parser = Parser::new(Limits::default());
                let frame = parser.next(&mut BytesMut::from(&bytes[..]));
                let Ok(Some(frame)) = frame else { panic!("we cannot read {bytes:?} ourselves") };
                answers += usize::from(matches!(frame.kind, Kind::Response { .. }));
            }
            Output::Event(Event::Sent { .. } | Event::Failed { .. }) => ends += 1,
            Output::WriteParts(parts) => panic!("nobody has asked for {parts:?}"),
            Output::Event(_) | Output::Connect { .. } | Output::Close => {}
        }
    }
    (answers, ends)
}
