//! A stream says the same however it is cut, never makes the decoder hold more than its limit,
//! and says nothing behind its end.
#![no_main]

use bytes::BytesMut;
use chatbridge::sip::{Decoded, StreamDecoder, WireLimits};
use libfuzzer_sys::fuzz_target;

/// Small, so that small inputs reach beyond them.
const LIMITS: WireLimits = WireLimits { message: 512, headers: 12, line: 200 };

// The first byte tells how many of the next ones are the sizes of the pieces.
fuzz_target!(|bytes: &[u8]| {
    let Some((count, rest)) = bytes.split_first() else { return };
    let (sizes, stream) = rest.split_at(usize::from(count % 16).min(rest.len()));
    assert_eq!(listen(stream, sizes), listen(stream, &[]));
});

/// Feeds a stream in pieces of the sizes given plus one, over and over; none means at once.
/// Keep-alives are left out, for they may come in halves.
fn listen(stream: &[u8], sizes: &[u8]) -> Vec<Decoded> {
    let mut decoder = StreamDecoder::new(LIMITS);
    let (mut buffer, mut said, mut rest) = (BytesMut::new(), Vec::new(), stream);
    let mut sizes = sizes.iter().map(|size| usize::from(*size) + 1).cycle();
    while !rest.is_empty() {
        let size = sizes.next().unwrap_or(rest.len()).min(rest.len());
        let (piece, more) = rest.split_at(size);
        rest = more;
        buffer.extend_from_slice(piece);
        while let Some(decoded) = decoder.next(&mut buffer) {
            said.push(decoded);
        }
        assert!(buffer.len() <= LIMITS.message, "{} bytes are held", buffer.len());
    }
    let end = said.iter().position(|it| matches!(it, Decoded::Fatal(_)));
    assert!(end.is_none_or(|at| at + 1 == said.len()), "{said:?}");
    said.retain(|it| !matches!(it, Decoded::KeepAlive(_)));
    said
}
