//! The way through a recording: fed in pieces, drained of what it finds.

use std::collections::VecDeque;
use std::fmt;

use bytes::{Buf, Bytes, BytesMut};

use super::inflate::Inflate;
use super::network::Network;
use super::pcap::{self, Pcap, Step};
use super::pcapng::{self, PcapNg};
use super::relined;
use super::text::{self, Preamble, Text};
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
    /// The log of SOFIA, which FreeSWITCH's is one of, and its dump.
    Sofia,
    /// The log of pjsip.
    Pjsip,
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
            Self::Sofia => "SOFIA log",
            Self::Pjsip => "pjsip log",
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
    preamble: Preamble,
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
            preamble: Preamble::new(),
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
            self.preamble = Preamble::new();
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
        } else if let Some(format) = self.preamble.recognise(bytes, all) {
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
            text::Step::Entry(entry, message) => {
                count(&mut self.summary, entry.at);
                let bytes = &self.buffer[message.begin..message.end];
                let bytes = match message.relined {
                    Some(indent) => relined::restored(bytes, indent).into(),
                    None => Bytes::copy_from_slice(bytes),
                };
                self.found.push_back(Found::Message(Recorded {
                    at: entry.at,
                    from: entry.from,
                    to: entry.to,
                    transport: entry.transport,
                    protocol: message.protocol,
                    packet: self.summary.packets,
                    bytes,
                }));
                self.skip = message.end;
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

    use super::super::{End, Transport};
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

    /// However few bytes come at a time, each is looked at a bounded number of times.
    #[test]
    fn twice_the_log_in_small_pieces_is_twice_the_work() {
        let invite = "INVITE sip:a SIP/2.0\r\n";
        for (what, before, again, behind) in [
            ("a body", "MESSAGE sip:a SIP/2.0\r\nl: 9999999\r\n\r\n", "a line of text\n", ""),
            ("a line", "MESSAGE sip:a SIP/2.0\r\nl: 9999999\r\n\r\n", "abcdefghij", "\n"),
            ("fields", invite, "X: a header field\r\n", "\r\n"),
            ("a field", &[invite, "X: "].concat(), "abcdefghij", "\r\n\r\n"),
            ("a frame", "MSRP tx1 SEND\r\n\r\n", "-------t of many\r\n", "-------tx1$\r\n"),
            ("blank lines", "", "\r\n\r\n\r\n\r\n", invite),
            ("blank lines behind", "OPTIONS sip:a SIP/2.0\r\nl: 0\r\n\r\n", "\r\n\r\n\r\n", "x"),
            ("no message", "", "neither a message\nnor a log\n", ""),
            ("no message, in one line", "", "abcdefghij", "\n"),
        ] {
            for mark in [
                "2023/11/14 22:13:20.000007 192.0.2.1:5060 -> 192.0.2.2:5061\n",
                "proto:UDP 2023-11-14T22:13:20+00:00  192.0.2.1:5060 ---> 192.0.2.2:5060\r\n",
                "====================\ntime: 1.5\n~~~~~~~~~~~~~~~~~~~~\n",
                "------------------------ 2023-11-14\t22:13:20.0\nUDP message sent (5 bytes):\n",
                "recv 9 bytes from udp/[192.0.2.1]:5060 at 22:13:20.000007:\n",
                "22:13:20.007  pjsua_core.c  .TX 9 bytes Request msg X/cseq=1 (t) to UDP 192.0.2.1:5060:\n",
                "OPTIONS sip:b SIP/2.0\r\nContent-Length: 0\r\n\r\n",
            ] {
                let log = |count| [mark, before, &again.repeat(count), behind].concat();
                let (once, twice) = (work(&log(2000)), work(&log(4000)));
                assert!(twice < 3 * once, "{what} behind {mark:?}: {once} and {twice}");
            }
        }
    }

    /// Counts the bytes looked at for a log that comes in small pieces under gzip.
    fn work(log: &str) -> usize {
        use std::io::Write as _;

        use super::super::extent::tests::LOOKED;

        let mut reader = Reader::new(Limits::default());
        LOOKED.set(0);
        for piece in log.as_bytes().chunks(100) {
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packed.write_all(piece).expect("memory");
            reader.feed(&packed.finish().expect("memory"));
            while reader.poll().is_some() {}
        }
        reader.end();
        while reader.poll().is_some() {}
        LOOKED.get()
    }

    /// What FreeSWITCH writes: its own words among the messages, and line breaks of its own.
    #[test]
    fn a_log_of_sofia_has_the_messages_of_the_wire_again() {
        let dashes = "-".repeat(72);
        let log = format!(
            "2023-11-14 23:59:58.1 [NOTICE] mod_sofia.c:1 hello\n\
             recv 4 bytes from udp/[192.0.2.1]:5060 at 23:59:59.000001:\n{dashes}\n\n\n\
             recv 99 bytes from tcp/[2001:db8::1]:5062/7;comp=sigcomp at 23:59:59.000002:\n{dashes}\n\
             MESSAGE sip:a SIP/2.0\nContent-Length: 9\n\nab\ncd\nz\
             send 50 bytes to udp/[192.0.2.1] at 00:00:01.5:\n{dashes}\n\
             SIP/2.0 200 OK\nl: 0\n\n2023-11-15 00:00:01.6 [INFO] more words\nof some lines\n\
             \u{1b}[35msend 61 bytes to wss/192.0.2.1:5060 at 00:00:02.000000:\n   {dashes}\n\
             \x20  MESSAGE sip:b SIP/2.0\n   Content-Length: 11\n\n   one\n   three\n   {dashes}\nwords\n"
        );
        let found = messages(&log);
        let said: Vec<_> = found.iter().map(|it| String::from_utf8_lossy(&it.bytes)).collect();
        assert_eq!(
            said,
            [
                "MESSAGE sip:a SIP/2.0\r\nContent-Length: 9\r\n\r\nab\r\ncd\r\nz",
                "SIP/2.0 200 OK\r\nl: 0\r\n\r\n",
                "MESSAGE sip:b SIP/2.0\r\nContent-Length: 11\r\n\r\none\r\nthree\r\n",
            ]
        );
        let at = |text: &str| End::At(text.parse().expect("an address"));
        let told: Vec<_> = found.iter().map(|it| (it.from, it.to, it.transport)).collect();
        assert_eq!(
            told,
            [
                (at("[2001:db8::1]:5062"), End::Writer, Transport::Tcp),
                (End::Writer, at("192.0.2.1:5060"), Transport::Udp),
                (End::Writer, at("192.0.2.1:5060"), Transport::Tls),
            ]
        );
        // It tells no day, but it is the next one behind midnight.
        let times: Vec<_> = found.iter().map(|it| it.at.to_string()).collect();
        assert_eq!(
            times,
            [
                "1970-01-01T23:59:59.000002Z",
                "1970-01-02T00:00:01.500000Z",
                "1970-01-02T00:00:02.000000Z"
            ]
        );
    }

    /// The dump of SOFIA has the bytes of the wire, and a vertical tab behind them.
    #[test]
    fn a_dump_of_sofia_is_taken_as_it_is() {
        let one = "MESSAGE sip:a SIP/2.0\r\nl: 7\r\n\r\na\nb\r\nc!";
        let other = "SIP/2.0 200 OK\r\nl: 0\r\n\r\n";
        let log = format!(
            "dump started at Tue Nov 14 22:13:20 2023\n\n\n\
             recv 9 bytes from udp/[192.0.2.1]:5060 at 22:13:20.000007:\n{one}\x0b\n\
             sent 9 bytes to udp/[192.0.2.1]:5060 at 22:13:20.000008:\n{other}\x0b\n"
        );
        let found = messages(&log);
        let said: Vec<_> = found.iter().map(|it| String::from_utf8_lossy(&it.bytes)).collect();
        assert_eq!(said, [one, other]);
    }

    #[test]
    fn a_log_of_pjsip_has_its_addresses_and_times() {
        let raw = "MESSAGE sip:a SIP/2.0\r\nContent-Length: 18\r\n\r\nx\r\n--end msg--\r\ny!";
        let log = format!(
            "22:13:19.000  sip_endpoint.c  Creating endpoint instance...\n\
             22:13:20.123   pjsua_core.c  .TX 99 bytes Request msg MESSAGE/cseq=1 (tdta0x1) to UDP 192.0.2.1:5060:\n\
             {raw}\n--end msg--\n22:13:20.124 pjsua_acc.c  ....words\n\
             >>> Nov 14 22:13:20 host app: 2023-11-14 22:13:21.5 pjsua_core.c !.RX 99 bytes Response msg \
             200/MESSAGE/cseq=1 (rdata0x1) from TLS [2001:db8::1]:5061:\r\n\
             SIP/2.0 200 OK\nContent-Length:     5\n\n12\n3\n--end msg--\n\
             22:13:22.000 simpleua.c RX 9 bytes Request msg BYE/cseq=2 (r) from 192.0.2.1:5062:\n\
             BYE sip:a SIP/2.0\n\n\n--end msg--\n"
        );
        let found = messages(&log);
        let said: Vec<_> = found.iter().map(|it| String::from_utf8_lossy(&it.bytes)).collect();
        assert_eq!(
            said,
            [
                raw,
                "SIP/2.0 200 OK\r\nContent-Length:     5\r\n\r\n12\r\n3",
                "BYE sip:a SIP/2.0\r\n\r\n"
            ]
        );
        let at = |text: &str| End::At(text.parse().expect("an address"));
        let told: Vec<_> = found.iter().map(|it| (it.from, it.to, it.transport)).collect();
        assert_eq!(
            told,
            [
                (End::Writer, at("192.0.2.1:5060"), Transport::Udp),
                (at("[2001:db8::1]:5061"), End::Writer, Transport::Tls),
                (at("192.0.2.1:5062"), End::Writer, Transport::Udp),
            ]
        );
        let times: Vec<_> = found.iter().map(|it| it.at.to_string()).collect();
        assert_eq!(times[0], "1970-01-01T22:13:20.123000Z");
        assert_eq!(times[1], "2023-11-14T22:13:21.500000Z");
    }

    /// Reads a log at once and byte by byte, which is the same.
    fn messages(log: &str) -> Vec<Recorded> {
        let (at_once, _) = read(log, log.len(), 4096);
        for size in [1, 7, 64] {
            assert_eq!(read(log, size, 4096).0, at_once, "in pieces of {size}");
        }
        let message = |found| match found {
            Found::Message(message) => message,
            Found::Warning(warning) => panic!("{warning}"),
        };
        at_once.into_iter().map(message).collect()
    }

    const PARTS: &[&str] = &[
        "recv 9 bytes from udp/[192.0.2.1]:5060 at 22:13:20.000007:\n",
        "   ------------------------------------------------------------------------\n",
        "   OPTIONS sip:a SIP/2.0\n   Content-Length: 4\n   \n   ab\n",
        "\x0b\n",
        "22:13:20.007  pjsua_core.c  .TX 9 bytes Request msg X/cseq=1 (t) to UDP 192.0.2.1:5060:\n",
        "--end msg--\n",
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
