//! Frames as bytes, in the one form that every peer known can read.
//!
//! Exact header case and one space after the colon; To-Path and From-Path first, Content-Type last
//! (RFC 4975 sections 7.1 and 9).

use bytes::{BufMut, Bytes, BytesMut};

use super::frame::{Frame, Kind, comment};
use super::text::Text;
use super::uri::Uri;

impl Frame {
    /// Appends the frame to `out`. The transaction identifier must not occur in the body, see
    /// [`TransactionId::draw`](super::TransactionId::draw).
    pub fn write(&self, out: &mut BytesMut) {
        out.reserve(self.body.as_ref().map_or(0, |body| body.len()) + ROOM_FOR_HEAD);
        self.write_start_line(out);
        self.write_headers(out);
        if let Some(body) = &self.body {
            out.put_slice(b"\r\n");
            out.put_slice(body);
            out.put_slice(b"\r\n");
        }
        self.write_end(out);
    }

    /// Writes the frame in three parts, of which the body is not copied; `room` is where the others
    /// are written. The same holds of the transaction identifier.
    pub(super) fn write_parts(&self, body: &Bytes, room: &mut BytesMut) -> [Bytes; 3] {
        room.reserve(ROOM_FOR_HEAD);
        self.write_start_line(room);
        self.write_headers(room);
        room.put_slice(b"\r\n");
        let head = room.split().freeze();
        room.put_slice(b"\r\n");
        self.write_end(room);
        [head, body.clone(), room.split().freeze()]
    }

    fn write_end(&self, out: &mut BytesMut) {
        out.put_slice(b"-------");
        out.put_slice(self.tid.as_bytes());
        out.put_u8(self.flag.octet());
        out.put_slice(b"\r\n");
    }

    /// Appends what [`Frame::answer`] gives, without making a frame of it first; tells whether it
    /// gives anything.
    pub fn write_answer(&self, code: u16, out: &mut BytesMut) -> bool {
        let Some(hops) = self.hops_back(code) else { return false };
        let tid = self.tid.as_bytes();
        if (code, hops) == (200, 1) {
            self.write_ok(out);
            return true;
        }
        let to_path = self.from_path.iter().take(hops);
        let length: usize = to_path.clone().map(|uri| uri.as_bytes().len() + 1).sum();
        let us = self.to_path.first();
        out.reserve(length + us.as_bytes().len() + 2 * tid.len() + ROOM_FOR_ANSWER);
        out.put_slice(b"MSRP ");
        out.put_slice(tid);
        out.put_u8(b' ');
        put_code(out, code);
        put_comment(out, comment(code).map(str::as_bytes));
        out.put_slice(b"\r\n");
        put_path(out, b"To-Path:", to_path);
        put_path(out, b"From-Path:", std::iter::once(us));
        out.put_slice(b"-------");
        out.put_slice(tid);
        out.put_slice(b"$\r\n");
        true
    }

    /// Appends nearly every answer; where there is no room, as much is made as it takes.
    fn write_ok(&self, out: &mut BytesMut) {
        let (to, from) = (self.from_path.first().as_bytes(), self.to_path.first().as_bytes());
        let tid = self.tid.as_bytes();
        let [begin, to_path, from_path, end_line, end] = OK;
        let fixed: usize = OK.iter().map(|part| part.len()).sum();
        out.reserve(fixed + to.len() + from.len() + 2 * tid.len());
        out.put_slice(begin);
        out.put_slice(tid);
        out.put_slice(to_path);
        out.put_slice(to);
        out.put_slice(from_path);
        out.put_slice(from);
        out.put_slice(end_line);
        out.put_slice(tid);
        out.put_slice(end);
    }

    fn write_start_line(&self, out: &mut BytesMut) {
        out.put_slice(b"MSRP ");
        out.put_slice(self.tid.as_bytes());
        out.put_u8(b' ');
        match &self.kind {
            Kind::Request(method) => out.put_slice(method.as_str().as_bytes()),
            Kind::Response { code, comment } => {
                put_code(out, *code);
                put_comment(out, comment.as_ref().map(Text::as_bytes));
            }
        }
        out.put_slice(b"\r\n");
    }

    fn write_headers(&self, out: &mut BytesMut) {
        put_path(out, b"To-Path:", self.to_path.iter());
        put_path(out, b"From-Path:", self.from_path.iter());
        if let Some(message_id) = &self.message_id {
            put_header(out, b"Message-ID", message_id.as_bytes());
        }
        if let Some(range) = &self.byte_range {
            put_header(out, b"Byte-Range", range.to_string().as_bytes());
        }
        if let Some(wanted) = self.success_report {
            put_header(out, b"Success-Report", if wanted { b"yes" } else { b"no" });
        }
        if let Some(wanted) = self.failure_report {
            put_header(out, b"Failure-Report", wanted.as_str().as_bytes());
        }
        if let Some(status) = &self.status {
            out.put_slice(b"Status: ");
            put_code(out, status.namespace);
            out.put_u8(b' ');
            put_code(out, status.code);
            put_comment(out, status.comment.as_ref().map(Text::as_bytes));
            out.put_slice(b"\r\n");
        }
        for header in &self.headers {
            put_header(out, header.name.as_bytes(), header.value.as_bytes());
        }
        if let Some(content_type) = &self.content_type {
            put_header(out, b"Content-Type", content_type.as_bytes());
        }
    }
}

fn put_path<'a>(out: &mut BytesMut, name: &[u8], uris: impl Iterator<Item = &'a Uri>) {
    out.put_slice(name);
    for uri in uris {
        out.put_u8(b' ');
        out.put_slice(uri.as_bytes());
    }
    out.put_slice(b"\r\n");
}

fn put_header(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    out.put_slice(name);
    out.put_slice(b": ");
    out.put_slice(value);
    out.put_slice(b"\r\n");
}

/// Writes three digits, no more whatever the number.
fn put_code(out: &mut BytesMut, code: u16) {
    let digit = |unit: u16| u8::try_from(code.min(999) / unit % 10).unwrap_or(0) + b'0';
    out.put_slice(&[digit(100), digit(10), digit(1)]);
}

fn put_comment(out: &mut BytesMut, comment: Option<&[u8]>) {
    if let Some(comment) = comment {
        out.put_u8(b' ');
        out.put_slice(comment);
    }
}

const OK: [&[u8]; 5] =
    [b"MSRP ", b" 200 OK\r\nTo-Path: ", b"\r\nFrom-Path: ", b"\r\n-------", b"$\r\n"];

const ROOM_FOR_HEAD: usize = 512;
/// What an answer has beside paths and transaction identifiers, the longest comment included.
const ROOM_FOR_ANSWER: usize = 96;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::frame::{ByteRange, Continuation, FailureReport, Header, Method};
    use super::super::frame::{Status, TransactionId};
    use super::super::uri::Path;
    use super::*;

    #[test]
    fn a_chunk_has_every_header_in_its_place() {
        let mut send = request(Method::Send);
        send.message_id = Some(Text::new("87652491"));
        send.byte_range = Some(ByteRange { start: 1, end: Some(5), total: Some(8) });
        send.success_report = Some(true);
        send.failure_report = Some(FailureReport::No);
        send.headers = vec![Header { name: "Content-Disposition".into(), value: "inline".into() }];
        send.content_type = Some(Text::new("text/plain"));
        send.body = Some(Bytes::from_static(b"hello"));
        send.flag = Continuation::More;
        assert_eq!(
            written(&send),
            "MSRP a786hjs2 SEND\r\n\
             To-Path: msrp://b:2/y;tcp\r\n\
             From-Path: msrp://a:1/x;tcp\r\n\
             Message-ID: 87652491\r\n\
             Byte-Range: 1-5/8\r\n\
             Success-Report: yes\r\n\
             Failure-Report: no\r\n\
             Content-Disposition: inline\r\n\
             Content-Type: text/plain\r\n\
             \r\n\
             hello\r\n\
             -------a786hjs2+\r\n"
        );
    }

    #[test]
    fn a_response_and_a_report_have_no_empty_line() {
        let response = request(Method::Send).answer(200).unwrap();
        assert_eq!(
            written(&response),
            "MSRP a786hjs2 200 OK\r\nTo-Path: msrp://a:1/x;tcp\r\n\
             From-Path: msrp://b:2/y;tcp\r\n-------a786hjs2$\r\n"
        );
        let mut report = request(Method::Report);
        report.status = Some(Status { namespace: 0, code: 200, comment: None });
        assert!(written(&report).ends_with("Status: 000 200\r\n-------a786hjs2$\r\n"));
    }

    #[test]
    fn an_answer_is_written_as_it_would_be_built() {
        for method in [Method::Send, Method::Report, Method::Nickname] {
            for code in [200, 415, 425, 499] {
                let mut request = request(method.clone());
                request.from_path = Path::parse("msrp://r:1/r;tcp msrp://a:1/x;tcp").unwrap();
                let mut out = BytesMut::new();
                let answer = request.answer(code);
                assert_eq!(request.write_answer(code, &mut out), answer.is_some());
                assert_eq!(out, answer.as_ref().map(written).unwrap_or_default());
            }
        }
    }

    fn request(method: Method) -> Frame {
        let path = |text| Path::parse(text).unwrap();
        let tid = TransactionId::new("a786hjs2").unwrap();
        Frame::request(method, tid, path("msrp://b:2/y;tcp"), path("msrp://a:1/x;tcp"))
    }

    fn written(frame: &Frame) -> String {
        let mut out = BytesMut::new();
        frame.write(&mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }
}
