//! Undoes gzip (RFC 1952), a little at a time: a small file may hold a very long recording.

use std::io::Write;

use bytes::{Buf, BytesMut};
use flate2::write::MultiGzDecoder;

use super::Fault;

/// A gzip stream under way.
pub(super) struct Inflate {
    decoder: MultiGzDecoder<Vec<u8>>,
    packed: BytesMut,
    fault: Option<Fault>,
    damaged: bool,
}

impl Inflate {
    pub(super) fn new() -> Self {
        let decoder = MultiGzDecoder::new(Vec::new());
        Self { decoder, packed: BytesMut::new(), fault: None, damaged: false }
    }

    pub(super) fn feed(&mut self, packed: &[u8]) {
        if !self.damaged {
            self.packed.extend_from_slice(packed);
        }
    }

    /// Appends the next bytes to `plain`; `false` where there are none without more input.
    pub(super) fn next(&mut self, plain: &mut BytesMut) -> bool {
        while !self.packed.is_empty() {
            let size = self.packed.len().min(PIECE);
            if let Err(error) = self.decoder.write_all(&self.packed[..size]) {
                self.fail(&error);
            }
            self.packed.advance(size.min(self.packed.len()));
            if self.hand_out(plain) {
                return true;
            }
        }
        false
    }

    /// Ends the stream: what the decoder still holds is appended.
    pub(super) fn end(&mut self, plain: &mut BytesMut) {
        if !self.damaged
            && let Err(error) = self.decoder.try_finish()
        {
            self.fail(&error);
        }
        self.hand_out(plain);
    }

    pub(super) fn take_fault(&mut self) -> Option<Fault> {
        self.fault.take()
    }

    fn fail(&mut self, error: &std::io::Error) {
        self.damaged = true;
        self.fault = Some(Fault::Compression(error.to_string()));
        self.packed.clear();
    }

    fn hand_out(&mut self, plain: &mut BytesMut) -> bool {
        let bytes = self.decoder.get_mut();
        let some = !bytes.is_empty();
        plain.extend_from_slice(bytes);
        bytes.clear();
        some
    }
}

/// How many bytes are undone at a time: deflate makes at most a thousand of one.
const PIECE: usize = 512;
