//! Every form of a recorded chat holds the same messages, and a damaged one gives what is left.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use chatbridge::trace::{
    End, Fault, Format, Found, Limits, Protocol, Reader, Recorded, Summary, Transport,
};
use flate2::Compression;
use flate2::write::GzEncoder;

#[test]
fn every_link_and_every_log_of_one_trace_holds_the_same_messages() {
    let mut read_by_a_test = BTreeSet::from(["SOURCES.md".to_owned(), "expected.json".to_owned()]);
    for (name, sip, msrp) in [
        ("cpm-1to1", 7, 16),
        ("cpm-group", 28, 8),
        ("simple-im-declines", 65, 0),
        ("cpm-pager-imdn", 6, 0),
    ] {
        let (reference, warnings, _) = read(&fixture(&format!("{name}.pcap")), 4096);
        assert_eq!(warnings, [], "{name}");
        assert_eq!(count(&reference, Protocol::Sip), sip, "{name}");
        assert_eq!(count(&reference, Protocol::Msrp), msrp, "{name}");
        for file in files().into_iter().filter(|file| file.starts_with(&format!("{name}."))) {
            let (messages, warnings, summary) = read(&fixture(&file), 4096);
            assert_eq!(warnings, [], "{file}");
            let log = !matches!(summary.format, Some(Format::Pcap | Format::PcapNg));
            let wanted: Vec<&Recorded> = reference
                .iter()
                .filter(|message| !log || message.protocol == Protocol::Sip)
                .collect();
            assert_eq!(messages.len(), wanted.len(), "{file}");
            for (message, wanted) in messages.iter().zip(wanted) {
                assert_same(message, wanted, &file);
            }
            read_by_a_test.insert(file);
        }
    }
    assert_eq!(read_by_a_test, files().into_iter().collect(), "a fixture that nothing reads");
}

#[test]
fn a_recording_is_known_by_its_content() {
    for (file, format, link) in [
        ("cpm-1to1.pcap", Format::Pcap, Some(1)),
        ("cpm-1to1.null.pcap", Format::Pcap, Some(0)),
        ("cpm-1to1.rawip-nano-be.pcap", Format::Pcap, Some(101)),
        ("cpm-1to1.sll.pcap", Format::Pcap, Some(113)),
        ("cpm-1to1.sll2.pcap", Format::Pcap, Some(276)),
        ("cpm-1to1.pcapng", Format::PcapNg, Some(1)),
        ("cpm-1to1.sngrep.txt", Format::Sngrep, None),
        ("cpm-1to1.homer.txt", Format::Homer, None),
        ("cpm-1to1.sipdump.txt", Format::Sipdump, None),
        ("cpm-1to1.sipp_messages.log", Format::SippLog, None),
        ("cpm-1to1.sofia.log", Format::Sofia, None),
        ("cpm-1to1.pjsip.log", Format::Pjsip, None),
    ] {
        let (.., summary) = read(&fixture(file), 1000);
        assert_eq!((summary.format, summary.link), (Some(format), link), "{file}");
        let seconds = summary.last.unwrap().since(summary.first.unwrap()).as_secs_f64();
        assert!((1.5..1.6).contains(&seconds), "{file} {seconds}");
    }
    for nothing in [&b""[..], b"\0\0\0\0\0\0\0\0", b"{\"json\": true}\n", &[b'x'; 200_000]] {
        let (messages, warnings, summary) = read(nothing, 1000);
        assert_eq!((messages.len(), summary.format), (0, None));
        assert_eq!(warnings, [(0, Fault::UnknownFormat)]);
    }
}

#[test]
fn a_recording_says_the_same_in_pieces_of_any_size_and_compressed() {
    for file in [
        "cpm-group.pcap",
        "cpm-1to1.pcapng",
        "cpm-1to1.sipdump.txt",
        "cpm-1to1.homer.txt",
        "cpm-1to1.sofia.log",
        "cpm-1to1.pjsip.log",
    ] {
        let bytes = fixture(file);
        let whole = read(&bytes, bytes.len()).0;
        for size in [1, 7, 100, 5000] {
            assert!(read(&bytes, size).0 == whole, "{file} by {size}");
        }
        let packed = gzip(&bytes);
        let (messages, warnings, summary) = read(&packed, 100);
        assert!(messages == whole && summary.compressed, "{file}");
        assert_eq!((warnings.len(), summary.bytes), (0, bytes.len() as u64), "{file}");
        let (some, warnings, _) = read(&packed[..packed.len() / 2], 100);
        assert!(!some.is_empty() && whole.starts_with(&some[..some.len() - 1]), "{file}");
        assert!(matches!(warnings[..], [(0, Fault::Compression(_)), ..]), "{file} {warnings:?}");
    }
}

#[test]
fn f9_what_is_left_of_a_damaged_recording_is_read_with_warnings_that_name_the_packet() {
    let whole = fixture("cpm-1to1.pcap");
    let all = read(&whole, 4096).0;
    // The file ends within a packet.
    let (messages, warnings, _) = read(&whole[..whole.len() - 100], 4096);
    assert_eq!(messages, all);
    assert_eq!(warnings, [(48, Fault::FileEnds)]);
    // A packet claims 2^31 bytes and more.
    let mut packets = Packets::of(&whole);
    packets.header(3)[8..12].copy_from_slice(&0x8000_0001_u32.to_le_bytes());
    let (messages, warnings, _) = read(&packets.file(), 4096);
    assert_eq!(messages, all[..3]);
    assert_eq!(warnings, [(4, Fault::Length(0x8000_0001))]);
    // The capture kept 200 bytes of each packet.
    let mut packets = Packets::of(&whole);
    packets.cut(200);
    let (messages, warnings, _) = read(&packets.file(), 4096);
    assert_eq!(count(&messages, Protocol::Sip), 7);
    assert!(messages[0].bytes.starts_with(b"INVITE ") && messages[0].bytes.len() == 158);
    assert_eq!(warnings[0], (1, Fault::CutOff { missing: 1415 - 200 }));
    // Of the first message, which came in two fragments, the end of one or the other was not kept.
    let group = fixture("cpm-group.pcap");
    for (index, kept) in [(0, 1514 - 100), (1, 524 - 100)] {
        let mut packets = Packets::of(&group);
        packets.cut_one(index, kept);
        let (messages, warnings, _) = read(&packets.file(), 4096);
        let whole = &read(&group, 4096).0[0].bytes;
        let missing = [100 + 524 - 34, 100][index];
        assert_eq!(messages[0].bytes, whole[..whole.len() - missing]);
        assert_eq!(warnings, [(index as u64 + 1, Fault::CutOff { missing })]);
    }
    // One packet was lost, another came twice, and two changed places.
    let mut packets = Packets::of(&whole);
    let again = packets.0[30].clone();
    packets.0.insert(32, again);
    packets.0.swap(35, 36);
    packets.0.remove(12);
    let (messages, warnings, _) = read(&packets.file(), 4096);
    assert_eq!(messages.len(), all.len() - 1);
    assert!(matches!(warnings[..], [(_, Fault::Gap { missing: 698 })]), "{warnings:?}");
}

#[test]
fn f9_no_damage_makes_the_reader_panic_or_hold_more_than_it_may() {
    for file in files() {
        let bytes = fixture(&file);
        for seed in 0..40_usize {
            let mut damaged = bytes.clone();
            for step in 0..=seed % 9 {
                let at = (seed * 7919 + step * 104_729) % damaged.len();
                damaged[at] = (seed * 31 + step) as u8;
            }
            damaged.truncate(damaged.len() - seed * damaged.len() / 80);
            let (messages, ..) = read(&damaged, 3000);
            let sum: usize = messages.iter().map(|message| message.bytes.len()).sum();
            assert!(sum <= damaged.len());
        }
    }
}

fn assert_same(message: &Recorded, wanted: &Recorded, file: &str) {
    let same = message.protocol == wanted.protocol && message.transport == wanted.transport;
    assert!(same && message.bytes == wanted.bytes, "{file}: {message:?}\n{wanted:?}");
    // Logs cut off or round what is finer than a microsecond, and the one datagram that came in
    // two fragments has the time of the first there, 21 microseconds before the last. That of
    // pjsip has milliseconds, and that of SOFIA no day.
    let day = if file.ends_with(".sofia.log") { 86_400_000_000_000 } else { u64::MAX };
    let apart = (message.at.nanoseconds()).abs_diff(wanted.at.nanoseconds() % day);
    let coarse = if file.ends_with(".pjsip.log") { 1_000_000 } else { 22_000 };
    assert!(apart <= coarse, "{file}: {} {}", message.at, wanted.at);
    match (message.from, message.to) {
        (own @ End::Writer, peer @ End::At(_)) | (peer @ End::At(_), own @ End::Writer) => {
            let sends = message.from == own;
            let ends = if sends { (wanted.to, wanted.from) } else { (wanted.from, wanted.to) };
            assert_eq!((peer, WRITER.parse().map(End::At)), (ends.0, Ok(ends.1)), "{file}");
        }
        (End::At(_), End::At(_)) => {
            assert_eq!((message.from, message.to), (wanted.from, wanted.to), "{file}");
        }
        (End::Writer, End::Peer) | (End::Peer, End::Writer) => {
            assert_eq!(message.transport, Transport::Udp, "{file}");
        }
        ends => panic!("{file}: {ends:?}"),
    }
}

/// The device, which has written the logs that do not tell its address.
const WRITER: &str = "192.0.2.10:5060";

fn read(bytes: &[u8], size: usize) -> (Vec<Recorded>, Vec<(u64, Fault)>, Summary) {
    let (mut reader, mut messages, mut warnings) =
        (Reader::new(Limits::default()), Vec::new(), Vec::new());
    let mut take = |found| match found {
        Found::Message(message) => messages.push(message),
        Found::Warning(warning) => warnings.push((warning.packet, warning.fault)),
    };
    for piece in bytes.chunks(size.max(1)) {
        reader.feed(piece);
        while let Some(found) = reader.poll() {
            take(found);
        }
    }
    reader.end();
    while let Some(found) = reader.poll() {
        take(found);
    }
    (messages, warnings, reader.summary())
}

fn count(messages: &[Recorded], protocol: Protocol) -> usize {
    messages.iter().filter(|message| message.protocol == protocol).count()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sip-fixtures/traces")
}

fn fixture(file: &str) -> Vec<u8> {
    fs::read(home().join(file)).unwrap()
}

fn files() -> Vec<String> {
    let entries = fs::read_dir(home()).unwrap().map(Result::unwrap);
    let entries = entries.filter(|entry| entry.file_type().unwrap().is_file());
    let mut files: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    files.sort();
    files
}

/// The packets of a little-endian pcap, each with its header.
struct Packets(Vec<Vec<u8>>, Vec<u8>);

impl Packets {
    fn of(file: &[u8]) -> Self {
        let (head, mut rest) = file.split_at(24);
        let mut packets = Vec::new();
        while !rest.is_empty() {
            let length = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
            let (packet, more) = rest.split_at(16 + length);
            packets.push(packet.to_vec());
            rest = more;
        }
        Self(packets, head.to_vec())
    }

    fn header(&mut self, index: usize) -> &mut [u8] {
        &mut self.0[index][..16]
    }

    /// Keeps so many bytes of each packet, as a capture with a snapshot length does.
    fn cut(&mut self, length: usize) {
        for index in 0..self.0.len() {
            self.cut_one(index, length);
        }
    }

    fn cut_one(&mut self, index: usize, length: usize) {
        let packet = &mut self.0[index];
        packet.truncate(16 + length);
        let kept = u32::try_from(packet.len() - 16).unwrap();
        packet[8..12].copy_from_slice(&kept.to_le_bytes());
    }

    fn file(&self) -> Vec<u8> {
        [&self.1[..], &self.0.concat()].concat()
    }
}
