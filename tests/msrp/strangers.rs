//! Peers that say anything at all, in frames and out of them: a session never falls over, never
//! says much where little was said, and keeps its word to its own user.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use chatbridge::msrp::{
    Event, FailureReport, Frame, Kind, Limits, Method, Outgoing, SendError, TransactionId,
};
use proptest::prelude::*;

use crate::stage::{End, OURS, THEIRS, outgoing};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// One final status for every message taken, at most one report behind it, and none for any
    /// other; whatever comes, in whichever order.
    #[test]
    fn every_message_gets_one_final_status(acts in prop::collection::vec(act(), 0..60)) {
        let limits =
            Limits { chunk_bytes: 4, window: 3, queue: 6, max_message: 60, ..Limits::default() };
        let mut end = End::bound_with(limits);
        let mut taken = 0;
        let mut tids = Vec::new();
        for act in acts {
            let said = perform(&mut end, act, &mut tids, &mut taken);
            for frame in end.frames() {
                match &frame.kind {
                    Kind::Request(_) => tids.push(frame.tid.clone()),
                    Kind::Response { .. } => {
                        let asked = said.as_ref().map(|request| &request.kind);
                        let wants = matches!(asked, Some(Kind::Request(method)) if *method != Method::Report);
                        prop_assert!(wants, "{frame:?} answers {said:?}");
                    }
                }
            }
        }
        end.session.close(end.now);
        end.drain();
        let mut finals: BTreeMap<String, (u32, u32)> = BTreeMap::new();
        for event in &end.told {
            match event {
                Event::Sent { message_id } | Event::Failed { message_id, .. } => {
                    finals.entry(message_id.clone()).or_default().0 += 1;
                }
                Event::Report { message_id, .. } => {
                    finals.entry(message_id.clone()).or_default().1 += 1;
                }
                _ => {}
            }
        }
        prop_assert_eq!(finals.len(), taken);
        for (id, (statuses, reports)) in finals {
            prop_assert_eq!(statuses, 1, "{}", id);
            prop_assert!(reports <= 1, "{}", id);
        }
        prop_assert_eq!(end.session.next_timeout(), None);
    }

    /// A request costs us one response, a report at most, and the chunks that were waiting.
    #[test]
    fn nobody_is_an_amplifier(frames in prop::collection::vec(foreign(), 1..60)) {
        let mut end = End::bound();
        for frame in frames {
            end.receive(&crate::stage::written(&frame));
            prop_assert!(end.frames().len() <= 2);
            prop_assert!(end.told.len() <= 2);
            end.told.clear();
        }
    }

    /// No damage to a conversation brings the other end down, or makes it hold what it need not.
    #[test]
    fn no_bytes_bring_a_session_down(
        frames in prop::collection::vec(foreign(), 1..6),
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        size in 1_usize..90,
    ) {
        let mut stream: Vec<u8> =
            frames.iter().flat_map(|frame| crate::stage::written(frame).to_vec()).collect();
        for (place, octet) in damages {
            let place = place.index(stream.len());
            stream[place] = octet;
        }
        let limits = Limits { max_header_bytes: 400, max_chunk_in: 100, ..Limits::default() };
        let mut end = End::bound_with(limits);
        for segment in stream.chunks(size) {
            end.receive(segment);
            if !end.is_open {
                break;
            }
            prop_assert!(end.held() <= 400 + 100 + 2 * 90, "{} octets are held", end.held());
        }
        end.sleep(Duration::from_secs(60));
    }
}

/// What happens to a session under test.
#[derive(Debug, Clone)]
enum Act {
    /// The user sends a text of so many octets.
    Send(usize, FailureReport, bool),
    /// The peer answers one of our requests, counted from the last.
    Answer(usize, u16),
    /// The peer reports on one of our messages, by number.
    Report(usize, u16, Option<(u64, Option<u64>)>),
    /// The peer says something of its own.
    Say(Box<Frame>),
    /// Nothing, for so many seconds.
    Sleep(u64),
    /// The connection is gone.
    Lose,
}

/// Carries an act out, and tells what was said to the session.
fn perform(
    end: &mut End,
    act: Act,
    tids: &mut [TransactionId],
    taken: &mut usize,
) -> Option<Frame> {
    let path = |text| chatbridge::msrp::Path::parse(text).unwrap();
    let said = match act {
        Act::Send(size, failure_report, success_report) => {
            let body = Bytes::from(vec![b'x'; size]);
            let id = format!("mine{taken}");
            let message = Outgoing { failure_report, success_report, ..outgoing(&id, body) };
            match end.session.send(end.now, message) {
                Ok(()) => *taken += 1,
                Err(SendError::Full | SendError::Closed) => {}
            }
            end.drain();
            return None;
        }
        Act::Answer(back, code) => {
            let tid = tids.iter().rev().nth(back)?.clone();
            Frame::response(code, tid, path(OURS), path(THEIRS))
        }
        Act::Report(number, code, range) => {
            let tid = TransactionId::new("report").unwrap();
            let mut report = Frame::request(Method::Report, tid, path(OURS), path(THEIRS));
            report.message_id = Some(format!("mine{number}").as_str().into());
            report.status = Some(chatbridge::msrp::Status { namespace: 0, code, comment: None });
            report.byte_range =
                range.map(|(start, end)| chatbridge::msrp::ByteRange { start, end, total: None });
            report
        }
        Act::Say(frame) => *frame,
        Act::Sleep(seconds) => {
            end.sleep(Duration::from_secs(seconds));
            return None;
        }
        Act::Lose => {
            end.lose();
            return None;
        }
    };
    end.receive(&crate::stage::written(&said));
    Some(said)
}

fn act() -> impl Strategy<Value = Act> {
    let range = (0_u64..30, prop::option::of(0_u64..30));
    prop_oneof![
        6 => (0_usize..30, wish(), any::<bool>()).prop_map(|(size, wish, success)| Act::Send(size, wish, success)),
        8 => (0_usize..4, code()).prop_map(|(back, code)| Act::Answer(back, code)),
        4 => (0_usize..8, code(), prop::option::of(range)).prop_map(|(number, code, range)| Act::Report(number, code, range)),
        4 => foreign().prop_map(|frame| Act::Say(Box::new(frame))),
        2 => (0_u64..40).prop_map(Act::Sleep),
        1 => Just(Act::Lose),
    ]
}

/// Mostly 200, and all that ends, stops or fails something.
fn code() -> impl Strategy<Value = u16> {
    let codes =
        vec![200, 200, 200, 200, 200, 201, 400, 403, 408, 413, 415, 423, 481, 501, 506, 999];
    prop::sample::select(codes)
}

fn wish() -> impl Strategy<Value = FailureReport> {
    prop::sample::select(vec![FailureReport::Yes, FailureReport::Partial, FailureReport::No])
}

/// Frames that are sound, and make sense or not.
fn foreign() -> impl Strategy<Value = Frame> {
    let kinds = prop::sample::select(vec![
        Kind::Request(Method::Send),
        Kind::Request(Method::Send),
        Kind::Request(Method::Send),
        Kind::Request(Method::Report),
        Kind::Request(Method::Auth),
        Kind::Request(Method::Nickname),
        Kind::Request(Method::Other("PING".into())),
        Kind::Response { code: 200, comment: None },
        Kind::Response { code: 481, comment: None },
    ]);
    let to = prop::sample::select(vec![OURS, OURS, OURS, "msrp://192.0.2.9:2855/other;tcp"]);
    let range = (0_u64..12, prop::option::of(0_u64..12), prop::option::of(0_u64..12));
    let heads = ("[a-c]{1,4}", kinds, to, prop::option::of("[m-o]"), prop::option::of(range));
    let wishes = (prop::option::of(any::<bool>()), prop::option::of(wish()));
    let contents = (
        prop::option::of(prop::sample::select(vec!["text/plain", "empty/empty", "nonsense"])),
        prop::option::of("[ -~]{0,9}"),
        prop::sample::select(vec!["$", "+", "#"]),
    );
    (heads, wishes, contents).prop_map(|(head, wishes, (content_type, body, flag))| {
        let (tid, kind, to, id, range) = head;
        let path = |text| chatbridge::msrp::Path::parse(text).unwrap();
        let tid = TransactionId::new(&tid).unwrap();
        let mut frame = Frame::request(Method::Send, tid, path(to), path(THEIRS));
        frame.kind = kind;
        frame.message_id = id.as_deref().map(Into::into);
        frame.byte_range =
            range.map(|(start, end, total)| chatbridge::msrp::ByteRange { start, end, total });
        (frame.success_report, frame.failure_report) = wishes;
        frame.content_type = content_type.map(Into::into);
        frame.body = body.map(Bytes::from);
        frame.flag = match flag {
            "+" => chatbridge::msrp::Continuation::More,
            "#" => chatbridge::msrp::Continuation::Abort,
            _ => chatbridge::msrp::Continuation::Complete,
        };
        frame
    })
}
