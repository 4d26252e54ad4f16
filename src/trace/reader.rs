//! The way through a recording: fed in pieces, drained of what it finds.

use std::collections::VecDeque;
use std::fmt;

use bytes::{Buf, Bytes, BytesMut};

use super::inflate::Inflate;
use super::network::Network;
use super::pcap::{self, Pcap, Step};
use super::pcapng::{self, PcapNg};
use super::text::{self, Text};
use super::{Fault, Limits, Moment, Recorded, Warning};

/// What a recording holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A message.
    Message(Recorded),
    /// Something that could not be read.
    Warning(Warning),
}

/// The form of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A capture of libpcap.
    Pcap,
    /// The newer form of it.
    PcapNg,
    /// The text that sngrep saves.
    Sngrep,
    /// The text that HOMER exports.
    Homer,
    /// The file of Kamailio's module sipdump.
    Sipdump,
    /// The file that SIPp writes with `-trace_msg`.
    SippLog,
    /// Messages one behind the other.
    Plain,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pcap => "pcap",
            Self::PcapNg => "pcapng",
            Self::Sngrep => "sngrep text",
            Self::Homer => "HOMER text",
            Self::Sipdump => "Kamailio sipdump",
            Self::SippLog => "SIPp message log",
            Self::Plain => "messages one behind the other",
        })
    }
}

/// What can be said of a recording without looking into its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Its form, once that is known.
    pub format: Option<Format>,
    /// Whether it was compressed.
    pub compressed: bool,
    /// The link type of a capture, or of its first interface.
    pub link: Option<u32>,
    /// Packets of a capture, or entries of a log.
    pub packets: u64,
    /// Bytes of the recording, as they are without compression.
    pub bytes: u64,
    /// Connections that TLS hides.
    pub encrypted_streams: u64,
    /// Packets that IPsec hides.
    pub encrypted_packets: u64,
    /// When the first packet was recorded.
    pub first: Option<Moment>,
    /// When the last packet was recorded.
    pub last: Option<Moment>,
}

/// A recording under way: [`feed`](Self::feed) it, then drain it with [`poll`](Self::poll) until
/// that gives nothing, and so on; [`end`](Self::end) it, and drain it once more.
pub struct Reader {
    limits: Limits,
    stage: Stage,
    inflate: Option<Inflate>,
    buffer: BytesMut,
    /// Bytes yet to come that hold nothing.
    skip: usize,
    /// Whether all bytes are there.
    ended: bool,
    network: Network,
    found: VecDeque<Found>,
    summary: Summary,
}

enum Stage {
    /// Too little is there to tell what it is.
    Unknown,
    Pcap(Pcap),
    PcapNg(PcapNg),
    Text(Text),
    /// Nothing more can be read.
    Over,
}

impl Reader {
    /// Makes a reader of a recording of any form.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            stage: Stage::Unknown,
            inflate: None,
            buffer: BytesMut::new(),
            skip: 0,
            ended: false,
            network: Network::new(limits),
            found: VecDeque::new(),
            summary: Summary::default(),
        }
    }

    /// Takes the next bytes of the recording.
    pub fn feed(&mut self, bytes: &[u8]) {
        match &mut self.inflate {
            Some(inflate) => inflate.feed(bytes),
            None => {
                self.buffer.extend_from_slice(bytes);
                self.summary.bytes += bytes.len() as u64;
            }
        }
    }

    /// Tells that there are no more bytes.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Gives what was found next; `None` where that takes more bytes.
    pub fn poll(&mut self) -> Option<Found> {
        loop {
            if let Some(found) = self.found.pop_front() {
                return Some(found);
            }
            if !self.step() && !self.refill() {
                return None;
            }
        }
    }

    /// Says what is known so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary {
            encrypted_streams: self.network.encrypted_streams(),
            encrypted_packets: self.network.encrypted_packets(),
            ..self.summary
        }
    }

    /// Whether no byte will follow those in the buffer.
    fn is_all(&self) -> bool {
        self.ended && self.inflate.is_none()
    }

    /// Gets more of a compressed recording into the buffer, or ends what has ended.
    fn refill(&mut self) -> bool {
        let Some(inflate) = &mut self.inflate else { return self.finish() };
        let before = self.buffer.len();
        let mut more = inflate.next(&mut self.buffer);
        let fault = inflate.take_fault();
        if self.ended && !more {
            inflate.end(&mut self.buffer);
            if let Some(fault) = inflate.take_fault() {
                self.warn(0, fault);
            }
            self.inflate = None;
            more = true;
        }
        if let Some(fault) = fault {
            self.warn(0, fault);
            more = true;
        }
        self.summary.bytes += (self.buffer.len() - before) as u64;
        more
    }

    /// Ends the recording once, when the last byte has been looked at.
    fn finish(&mut self) -> bool {
        if !self.ended || matches!(self.stage, Stage::Over) {
            return false;
        }
        match self.stage {
            Stage::Unknown => self.warn(0, Fault::UnknownFormat),
            Stage::Pcap(_) | Stage::PcapNg(_) if !self.buffer.is_empty() || self.skip > 0 => {
                self.warn(self.summary.packets + 1, Fault::FileEnds);
            }
            Stage::Pcap(_) | Stage::PcapNg(_) | Stage::Text(_) | Stage::Over => {}
        }
        self.over();
        true
    }

    /// Takes one step through the buffer; `false` where that takes more bytes.
    fn step(&mut self) -> bool {
        if self.skip > 0 {
            let here = self.skip.min(self.buffer.len());
            self.buffer.advance(here);
            self.skip -= here;
            return here > 0;
        }
        if self.buffer.is_empty() {
            return false;
        }
        let all = self.is_all();
        match &mut self.stage {
            Stage::Unknown => self.recognise(),
            Stage::Pcap(pcap) => {
                let step = pcap.next(&self.buffer);
                let taken = taken(step, &mut self.summary, &mut self.network, &mut self.found);
                self.advance(taken)
            }
            Stage::PcapNg(pcapng) => {
                let step = pcapng.next(&self.buffer);
                let taken = taken(step, &mut self.summary, &mut self.network, &mut self.found);
                self.summary.link = self.summary.link.or(pcapng.link());
                self.advance(taken)
            }
            Stage::Text(text) => {
                let step = text.next(&self.buffer, all);
                self.take_entry(step)
            }
            Stage::Over => {
                self.buffer.clear();
                false
            }
        }
    }

    fn recognise(&mut self) -> bool {
        let (bytes, all) = (&self.buffer[..], self.is_all());
        if bytes.len() < ENOUGH && !all {
            return false;
        }
        if bytes.starts_with(&GZIP) && !self.summary.compressed {
            let mut inflate = Inflate::new();
            inflate.feed(bytes);
            (self.inflate, self.summary.compressed, self.summary.bytes) = (Some(inflate), true, 0);
            self.buffer.clear();
            return true;
        }
        if Pcap::is_magic(bytes) {
            let Some(pcap) = Pcap::read(bytes, self.limits.packet) else { return false };
            self.summary.link = Some(pcap.link());
            self.settle(Format::Pcap, Stage::Pcap(pcap));
            self.buffer.advance(pcap::HEADER);
        } else if pcapng::is_magic(bytes) {
            self.settle(Format::PcapNg, Stage::PcapNg(PcapNg::new(self.limits.packet)));
        } else if let Some(format) = text::recognise(bytes, all) {
            self.settle(format, Stage::Text(Text::new(format, self.limits.message)));
        } else if bytes.len() > 2 * text::MAX_PREAMBLE {
            self.warn(0, Fault::UnknownFormat);
            self.stage = Stage::Over;
        } else {
            return false;
        }
        true
    }

    fn settle(&mut self, format: Format, stage: Stage) {
        self.summary.format = Some(format);
        self.stage = stage;
    }

    fn advance(&mut self, taken: Taken) -> bool {
        match taken {
            Taken::Nothing => false,
            Taken::Bytes(length) => {
                self.skip = length;
                true
            }
            Taken::Over => {
                self.over();
                true
            }
        }
    }

    /// Ends the reading, here or at the end of the file.
    fn over(&mut self) {
        self.network.end(&mut self.found);
        self.stage = Stage::Over;
        self.buffer.clear();
    }

    fn take_entry(&mut self, step: text::Step) -> bool {
        match step {
            text::Step::Need => return false,
            text::Step::Skip(length) => self.skip = length,
            text::Step::Bad(fault, length) => {
                self.summary.packets += 1;
                self.warn(self.summary.packets, fault);
                self.skip = length;
            }
            text::Step::Entry { entry, protocol, begin, end } => {
                count(&mut self.summary, entry.at);
                let bytes = Bytes::copy_from_slice(&self.buffer[begin..end]);
                self.found.push_back(Found::Message(Recorded {
                    at: entry.at,
                    from: entry.from,
                    to: entry.to,
                    transport: entry.transport,
                    protocol,
                    packet: self.summary.packets,
                    bytes,
                }));
                self.skip = end;
            }
        }
        true
    }

    fn warn(&mut self, packet: u64, fault: Fault) {
        self.found.push_back(Found::Warning(Warning { packet, fault }));
    }
}

/// How much of the buffer a step has used.
enum Taken {
    Nothing,
    Bytes(usize),
    Over,
}

fn taken(
    step: Step<'_>,
    summary: &mut Summary,
    network: &mut Network,
    found: &mut VecDeque<Found>,
) -> Taken {
    match step {
        Step::Need => Taken::Nothing,
        Step::Skip(length) => Taken::Bytes(length),
        Step::Frame(frame, length) => {
            count(summary, frame.at);
            network.add(&frame, summary.packets, found);
            Taken::Bytes(length)
        }
        Step::Bad(fault, length) => {
            summary.packets += 1;
            found.push_back(Found::Warning(Warning { packet: summary.packets, fault }));
            Taken::Bytes(length)
        }
        Step::End(fault) => {
            let packet = summary.packets + 1;
            found.push_back(Found::Warning(Warning { packet, fault }));
            Taken::Over
        }
    }
}

fn count(summary: &mut Summary, at: Moment) {
    summary.packets += 1;
    if at != Moment::default() {
        summary.first = Some(summary.first.map_or(at, |first| first.min(at)));
        summary.last = summary.last.max(Some(at));
    }
}

/// The two bytes that gzip begins with, and its only method.
const GZIP: [u8; 3] = [0x1f, 0x8b, 8];
/// Bytes that all magic numbers and most logs' first lines fit in.
const ENOUGH: usize = 512;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_log_says_the_same_in_pieces_of_any_size(
            parts in proptest::collection::vec(proptest::sample::select(PARTS.to_vec()), 0..12),
            size in 1_usize..90,
            limit in 100_usize..600,
        ) {
            let log = parts.concat();
            prop_assert_eq!(read(&log, size, limit), read(&log, log.len().max(1), limit));
        }
    }

    /// Found by fuzzing: where a body ends, half of the next start line said that none comes.
    #[test]
    fn half_a_start_line_behind_a_body_that_looks_like_messages_says_nothing() {
        let body = "MSRP t SEND\r\nabc\r\n";
        let length = body.len();
        // Long enough that it is known to be a log before its end.
        let log = format!(
            "MESSAGE sip:a SIP/2.0\r\nContent-Length: {ENOUGH}\r\n\r\n{}\r\n\
             MESSAGE sip:a SIP/2.0\r\nContent-Length: {length}\r\n\r\n{body}\
             SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
            "x".repeat(ENOUGH)
        );
        let at_once = read(&log, log.len(), 1000);
        assert_eq!(at_once.0.len(), 3);
        for size in 1..log.len() {
            assert_eq!(read(&log, size, 1000), at_once, "in pieces of {size}");
        }
    }

    const PARTS: &[&str] = &[
        "2023/11/14 22:13:20.000007 192.0.2.1:5060 -> 192.0.2.2:5061\n",
        "proto:UDP 2023-11-14T22:13:20+00:00  192.0.2.1:5060 ---> 192.0.2.2:5060\r\n",
        "====================\ntag: rcv\ntime: 1.5\nproto: tcp\nsrcip: 192.0.2.1\n~~~~~~~~~~~~~~~~~~~~\n",
        "||||||||||||||||||||\n",
        "----------------------------------------------- 2023-11-14\t22:13:20.000000\n\
         UDP message sent (5 bytes):\n",
        "OPTIONS sip:a SIP/2.0\r\nContent-Length: 0\r\n\r\n",
        "MESSAGE sip:a SIP/2.0\nl: 4\n\nab\nc",
        "SIP/2.0 200 OK\r\nContent-Length: 99\r\n\r\n",
        "MSRP tx SEND\r\n\r\nabc\r\n-------tx$\r\n",
        "MSRP ty SEND\r\n",
        "Call-ID: x\r\n",
        "HTTP/1.1 200 OK\r\n",
        "MESSAGE sip:a SIP/2.0\r\nContent-Length: 14\r\n\r\n",
        "\r\n",
        "\n",
        "====================",
        "2023/11/14",
    ];

    fn read(log: &str, size: usize, limit: usize) -> (Vec<Found>, Summary) {
        let mut reader = Reader::new(Limits { message: limit, ..Limits::default() });
        let mut found = Vec::new();
        for piece in log.as_bytes().chunks(size) {
            reader.feed(piece);
            found.extend(std::iter::from_fn(|| reader.poll()));
        }
        reader.end();
        found.extend(std::iter::from_fn(|| reader.poll()));
        (found, reader.summary())
    }
}
