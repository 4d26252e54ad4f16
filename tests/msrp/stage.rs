//! One end of an MSRP connection as the bytes see it: a parser, a session and a clock of its own.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use chatbridge::ids::Random;
use chatbridge::msrp::{
    Event, FailureReport, Frame, Input, Kind, Limits, Outgoing, Output, ParseError, Parser, Path,
    Session, Setup, Uri,
};

/// A session behind its parser; what it writes and tells is kept in order.
pub(crate) struct End {
    pub(crate) session: Session,
    parser: Parser,
    buffer: BytesMut,
    pub(crate) now: Instant,
    /// Whether the connection is there.
    pub(crate) is_open: bool,
    pub(crate) written: Vec<Bytes>,
    pub(crate) told: Vec<Event>,
}

impl End {
    pub(crate) fn new(local: &str, limits: Limits, seed: u64) -> Self {
        let local = Uri::parse(local).unwrap();
        Self {
            session: Session::new(local, limits, Random::seeded(seed)),
            parser: Parser::new(limits),
            buffer: BytesMut::new(),
            now: Instant::now(),
            is_open: false,
            written: Vec::new(),
            told: Vec::new(),
        }
    }

    /// A passive end at [`OURS`], to whom [`THEIRS`] has connected and shown itself.
    pub(crate) fn bound() -> Self {
        Self::bound_with(Limits::default())
    }

    pub(crate) fn bound_with(limits: Limits) -> Self {
        let mut end = Self::new(OURS, limits, 1);
        end.open(THEIRS, Setup::Passive);
        end.connect();
        end.receive(&request("SEND", "Message-ID: bind\r\nByte-Range: 1-0/0\r\n"));
        end.forget();
        end
    }

    pub(crate) fn open(&mut self, peer: &str, setup: Setup) {
        self.session.open(self.now, Path::parse(peer).unwrap(), setup);
        self.drain();
    }

    pub(crate) fn connect(&mut self) {
        self.is_open = true;
        self.handle(Input::Connected);
    }

    pub(crate) fn lose(&mut self) {
        self.is_open = false;
        self.handle(Input::Closed);
    }

    pub(crate) fn handle(&mut self, input: Input) {
        self.session.handle(self.now, input);
        self.drain();
    }

    /// Takes bytes of the connection, as its driver does.
    pub(crate) fn receive(&mut self, bytes: &(impl AsRef<[u8]> + ?Sized)) {
        self.buffer.extend_from_slice(bytes.as_ref());
        loop {
            match self.parser.next(&mut self.buffer) {
                Ok(Some(frame)) => self.handle(Input::Frame(frame)),
                Ok(None) => return,
                Err(error) => {
                    let fatal = error.is_fatal();
                    self.handle(Input::Malformed(error));
                    if fatal {
                        return;
                    }
                }
            }
        }
    }

    /// How much of the stream waits to become a frame.
    pub(crate) fn held(&self) -> usize {
        self.buffer.len()
    }

    pub(crate) fn sleep(&mut self, time: Duration) {
        self.now += time;
        self.handle(Input::Timeout);
    }

    pub(crate) fn send(&mut self, message: Outgoing) {
        self.session.send(self.now, message).unwrap();
        self.drain();
    }

    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.session.poll() {
            match output {
                Output::Write(bytes) => self.written.push(bytes),
                Output::WriteParts(parts) => self.written.push(parts.concat().into()),
                Output::Event(event) => self.told.push(event),
                Output::Close => self.is_open = false,
                Output::Connect { .. } => {}
            }
        }
    }

    pub(crate) fn forget(&mut self) {
        self.written.clear();
        self.told.clear();
    }

    /// The frames written since the last call.
    pub(crate) fn frames(&mut self) -> Vec<Frame> {
        std::mem::take(&mut self.written).iter().flat_map(|bytes| parsed(bytes)).collect()
    }

    /// The answers, requests and news since the last call, a word or two each.
    pub(crate) fn story(&mut self) -> Vec<String> {
        let mut story: Vec<String> = self.frames().iter().map(shown).collect();
        story.extend(std::mem::take(&mut self.told).iter().map(told));
        story
    }
}

/// Reads whole frames.
pub(crate) fn parsed(bytes: &[u8]) -> Vec<Frame> {
    let (mut parser, mut buffer) = (Parser::new(Limits::default()), BytesMut::from(bytes));
    let frames = std::iter::from_fn(|| parser.next(&mut buffer).unwrap()).collect();
    assert!(buffer.is_empty(), "an unfinished frame");
    frames
}

/// Reads one frame, or tells why it is none.
pub(crate) fn read(bytes: &[u8]) -> Result<Option<Frame>, ParseError> {
    Parser::new(Limits::default()).next(&mut BytesMut::from(bytes))
}

pub(crate) fn written(frame: &Frame) -> Bytes {
    let mut out = BytesMut::new();
    frame.write(&mut out);
    out.freeze()
}

fn shown(frame: &Frame) -> String {
    match &frame.kind {
        Kind::Response { code, .. } => code.to_string(),
        Kind::Request(method) => {
            let id = frame.message_id.as_ref().map_or("-", |id| id.as_str());
            let status = frame.status.as_ref().map(|status| format!(" {}", status.code));
            format!("{} {id}{}", method.as_str(), status.unwrap_or_default())
        }
    }
}

pub(crate) fn told(event: &Event) -> String {
    match event {
        Event::Bound => "bound".to_owned(),
        Event::Message(message) => {
            format!("message {} {}", message.message_id, String::from_utf8_lossy(&message.body))
        }
        Event::Sent { message_id } => format!("sent {message_id}"),
        Event::Failed { message_id, code, .. } => format!("failed {message_id} {code}"),
        Event::Report { message_id, code, .. } => format!("report {message_id} {code}"),
        Event::Broken(why) => format!("broken: {why}"),
        other => format!("{other:?}"),
    }
}

/// A request to us; header fields end in line breaks, and a body stands behind an empty line.
pub(crate) fn request(method: &str, fields: &str) -> String {
    format!(
        "MSRP tid1 {method}\r\nTo-Path: {OURS}\r\nFrom-Path: {THEIRS}\r\n{fields}-------tid1$\r\n"
    )
}

/// A SEND with a text.
pub(crate) fn send(id: &str, range: &str, body: &str) -> String {
    let fields = format!("Message-ID: {id}\r\nByte-Range: {range}\r\n");
    request("SEND", &format!("{fields}Content-Type: text/plain\r\n\r\n{body}\r\n"))
}

pub(crate) fn outgoing(id: &str, body: impl Into<Bytes>) -> Outgoing {
    Outgoing {
        message_id: id.to_owned(),
        content_type: "text/plain".to_owned(),
        body: body.into(),
        success_report: false,
        failure_report: FailureReport::Yes,
    }
}

pub(crate) const OURS: &str = "msrp://192.0.2.9:2855/ours;tcp";
pub(crate) const THEIRS: &str = "msrp://192.0.2.1:9000/theirs;tcp";
