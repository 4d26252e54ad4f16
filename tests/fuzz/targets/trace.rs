//! A recording says the same however it is cut, and its reader stands still at no bytes and gives
//! no more than it was given.
#![no_main]

use chatbridge::trace::{Found, Limits, Reader};
use libfuzzer_sys::fuzz_target;

/// Small, so that small inputs reach beyond them.
const LIMITS: Limits =
    Limits { packet: 2048, message: 1024, streams: 4, ahead: 256, held: 2048, datagrams: 2 };

// The first byte tells how many of the next ones are the sizes of the pieces.
fuzz_target!(|bytes: &[u8]| {
    let Some((count, rest)) = bytes.split_first() else { return };
    let (sizes, recording) = rest.split_at(usize::from(count % 16).min(rest.len()));
    let (in_pieces, at_once) = (read(recording, sizes), read(recording, &[]));
    // Where damaged gzip breaks off, how much of it comes out depends on how it was put in.
    if !recording.starts_with(b"\x1f\x8b") {
        assert_eq!(in_pieces, at_once);
    }
});

/// Feeds a recording in pieces of the sizes given plus one, over and over; none means at once.
fn read(recording: &[u8], sizes: &[u8]) -> Vec<Found> {
    let (mut reader, mut found, mut rest) = (Reader::new(LIMITS), Vec::new(), recording);
    let mut sizes = sizes.iter().map(|size| usize::from(*size) + 1).cycle();
    while !rest.is_empty() {
        let size = sizes.next().unwrap_or(rest.len()).min(rest.len());
        let (piece, more) = rest.split_at(size);
        rest = more;
        reader.feed(piece);
        found.extend(std::iter::from_fn(|| reader.poll()));
    }
    reader.end();
    found.extend(std::iter::from_fn(|| reader.poll()));
    let given = found.iter().map(|found| match found {
        Found::Message(message) => message.bytes.len() as u64,
        Found::Warning(_) => 0,
    });
    // Fragments may be of two datagrams, each as long as it claims; nothing else is given twice.
    assert!(given.sum::<u64>() <= reader.summary().bytes + 2 * 65_535);
    found
}
