//! What a recorder may see of a stream.

use super::*;
use crate::trace::Protocol;

const ONE: &[u8] = b"OPTIONS sip:one SIP/2.0\r\nContent-Length: 3\r\n\r\nabc";
const TWO: &[u8] = b"MSRP tx1 SEND\r\nTo-Path: msrp://a:1/b;tcp\r\n\r\n-------tx1$\r\n";

#[test]
fn segments_come_in_any_order_twice_and_overlapping() {
    let stream = [ONE, TWO, ONE].concat();
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2], [0, 3, 1, 2], [2, 0, 3, 1]] {
        let mut world = World::new();
        world.syn(999);
        for (index, part) in order.into_iter().cycle().take(8).enumerate() {
            let (begin, end) = (part * 40, (part * 40 + 70).min(stream.len()));
            world.segment(1000 + begin, &stream[begin..end], index);
        }
        assert_eq!(world.texts(), [ONE, TWO, ONE], "{order:?}");
    }
}

#[test]
fn five_messages_in_one_segment_are_five() {
    let mut world = World::new();
    world.syn(u32::MAX as usize - 5);
    world.segment(u32::MAX as usize - 4, &[ONE, ONE, TWO, ONE, TWO].concat(), 0);
    assert_eq!(world.texts(), [ONE, ONE, TWO, ONE, TWO]);
}

#[test]
fn sequence_numbers_begin_anew_behind_the_highest() {
    let begin = u32::MAX as usize - 20;
    let mut world = World::new();
    world.syn(begin - 1);
    world.segment(begin + 40, &ONE[40..], 0);
    world.segment(begin, &ONE[..40], 0);
    assert_eq!(world.texts(), [ONE]);
}

#[test]
fn a_stream_older_than_the_recording_is_joined_at_the_next_message() {
    let mut world = World::new();
    world.segment(5000, &[&TWO[30..], TWO].concat(), 0);
    world.segment(5000 + TWO.len() - 30 + TWO.len(), ONE, 0);
    assert_eq!(world.texts(), [TWO, ONE]);
    let fault = Fault::Begun { missed: TWO.len() - 30 };
    assert_eq!(world.warnings(), [Warning { packet: 1, fault }]);
}

#[test]
fn of_an_older_stream_only_a_message_that_is_cut_is_told() {
    let keep_alive = b"\r\n\r\n";
    for (has_begun, before, told) in [
        (false, &keep_alive[..], 0),
        (false, b"", 0),
        (false, b"rest of something\r\n", 1),
        // It is all there, and is nothing of ours.
        (true, b"rest of something\r\n", 0),
    ] {
        let mut world = World::new();
        if has_begun {
            world.syn(99);
        }
        world.segment(100, before, 0);
        world.segment(100 + before.len(), ONE, 0);
        assert_eq!((world.texts(), world.warnings().len()), (vec![Bytes::from_static(ONE)], told));
    }
    // In a stream without any message nobody wants to hear of it.
    let mut world = World::new();
    world.segment(100, b"GET me\r\nout of here\r\n", 0);
    world.streams.end(&mut world.found);
    assert_eq!((world.texts().len(), world.warnings().len()), (0, 0));
}

#[test]
fn a_gap_is_told_with_the_packet_behind_it() {
    let mut world = World::new();
    world.syn(0);
    world.segment(1, &[ONE, &TWO[..20]].concat(), 0);
    world.segment(2000, &[&TWO[30..], ONE].concat(), 0);
    assert_eq!(world.texts(), [ONE]);
    world.streams.end(&mut world.found);
    assert_eq!(world.texts(), [ONE, ONE]);
    let missing = 2000 - 1 - ONE.len() - 20;
    assert_eq!(world.warnings(), [Warning { packet: 3, fault: Fault::Gap { missing } }]);
}

#[test]
fn a_gap_is_given_up_in_time() {
    let mut world = World::new();
    world.syn(0);
    world.segment(1, ONE, 0);
    world.segment(2000, TWO, 1);
    world.segment(2000 + TWO.len(), TWO, 11);
    assert_eq!(world.texts(), [ONE]);
    world.segment(2000 + 2 * TWO.len(), TWO, 12);
    assert_eq!(world.texts(), [ONE, TWO, TWO, TWO]);
}

#[test]
fn what_the_capture_cut_off_is_a_gap_at_once() {
    let mut world = World::new();
    world.syn(0);
    world.segment(1, ONE, 0);
    world.cut(1 + ONE.len(), &TWO[..20], TWO.len() - 20);
    world.segment(1 + ONE.len() + TWO.len(), ONE, 0);
    assert_eq!(world.texts(), [ONE, ONE]);
    let fault = Fault::CutOff { missing: TWO.len() - 20 };
    assert_eq!(world.warnings(), [Warning { packet: 3, fault }]);
}

#[test]
fn a_port_that_is_used_again_is_another_stream() {
    let mut world = World::new();
    for start in [0, 70_000_000, 3_000_000_000_usize] {
        world.syn(start);
        world.segment(start + 1, ONE, 0);
    }
    world.segment(500_000_000, TWO, 0);
    assert_eq!(world.texts(), [ONE, ONE, ONE, TWO]);
}

#[test]
fn encrypted_streams_are_counted_once_for_both_directions() {
    let mut world = World::new();
    let hello = [&[0x16, 3, 1, 0, 5][..], ONE].concat();
    world.segment(1, &hello, 0);
    let way = world.way.back();
    world.streams.add(Segment { way, ..world.new_segment(1, &hello, 0) }, &mut world.found);
    assert_eq!((world.streams.encrypted(), world.found.len()), (1, 0));
}

#[test]
fn what_is_held_is_bounded() {
    let limits = Limits { streams: 8, held: 4096, ahead: 512, message: 1024, ..Limits::default() };
    let mut world = World { streams: Streams::new(limits), ..World::new() };
    for port in 0..200 {
        world.way.from.set_port(port);
        for sequence in [1, 900, 1700] {
            world.segment(sequence, &[b"MSRP x SEND\r\n", &[b'a'; 300][..]].concat(), 0);
            assert!(world.streams.held <= 4096 + 400 && world.streams.stream_by_way.len() <= 8);
        }
    }
    let sum: usize = world.streams.stream_by_way.values().map(Stream::held).sum();
    assert_eq!(world.streams.held, sum);
}

struct World {
    streams: Streams,
    found: VecDeque<Found>,
    way: Way,
    packet: u64,
}

impl World {
    fn new() -> Self {
        let address = |last| SocketAddr::from(([192, 0, 2, last], 5060));
        Self {
            streams: Streams::new(Limits::default()),
            found: VecDeque::new(),
            way: Way { from: address(1), to: address(2) },
            packet: 0,
        }
    }

    fn syn(&mut self, sequence: usize) {
        let segment = Segment { syn: true, ..self.new_segment(sequence, b"", 0) };
        self.add(segment);
    }

    fn segment(&mut self, sequence: usize, payload: &[u8], seconds: usize) {
        let segment = self.new_segment(sequence, payload, seconds);
        self.add(segment);
    }

    fn cut(&mut self, sequence: usize, payload: &[u8], missing: usize) {
        let segment = Segment { missing, ..self.new_segment(sequence, payload, 0) };
        self.add(segment);
    }

    fn add(&mut self, segment: Segment<'_>) {
        self.packet += 1;
        let packet = self.packet;
        self.streams.add(Segment { packet, ..segment }, &mut self.found);
    }

    fn new_segment<'a>(&self, sequence: usize, payload: &'a [u8], seconds: usize) -> Segment<'a> {
        Segment {
            way: self.way,
            at: Moment::new(seconds as u64, 0),
            packet: self.packet,
            sequence: (sequence & 0xffff_ffff) as u32,
            syn: false,
            rst: false,
            payload,
            missing: 0,
        }
    }

    fn texts(&self) -> Vec<Bytes> {
        let messages = self.found.iter().filter_map(|found| match found {
            Found::Message(message) => Some(message),
            Found::Warning(_) => None,
        });
        messages
            .inspect(|message| {
                let msrp = message.bytes.starts_with(b"MSRP");
                assert_eq!(message.protocol == Protocol::Msrp, msrp);
            })
            .map(|message| message.bytes.clone())
            .collect()
    }

    fn warnings(&self) -> Vec<Warning> {
        let warnings = self.found.iter().filter_map(|found| match found {
            Found::Warning(warning) => Some(warning.clone()),
            Found::Message(_) => None,
        });
        warnings.collect()
    }
}
