//! How fast a recording is read, reassembled and summed up, and in how much memory, with tshark
//! beside it on the same file in the same run: `cargo bench --bench trace`.
//!
//! The file is made here: chats of SIP over UDP and MSRP over TCP, with segments out of order,
//! twice, and several messages in one, and other traffic between them. Ours is `chatbridge replay
//! info`, tshark's is `tshark -q -z sip,stat`; each is a process of its own, from its start to its
//! end, and both take turns. Words behind `--` change the run: `megabytes=100`, `rounds=5`.
#![allow(clippy::print_stdout, missing_docs, reason = "a program that prints a table")]

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A reader that holds no more than this of a file of any size.
const MEMORY_GOAL: u64 = 150 * 1024 * 1024;

fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` runs this too, but wants no figures.
    if !words.iter().any(|word| word == "--bench") {
        return Ok(());
    }
    let number = |name: &str, usual: usize| {
        let given = words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        given.map_or(usual, |given| given.parse().expect("a number"))
    };
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench.pcap");
    let chats = Recording::create(&file)?.fill(number("megabytes", 100) * 1_000_000)?;
    let size = fs::metadata(&file)?.len();
    println!("{chats} chats in {:.0} MB\n", size as f64 / 1e6);

    let ours = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chatbridge"));
        command.args(["replay", "info"]).arg(&file);
        command
    };
    let tshark = || {
        let mut command = Command::new("tshark");
        command.args(["-q", "-z", "sip,stat", "-r"]).arg(&file);
        command
    };
    let mut runs = [(Vec::new(), 0), (Vec::new(), 0)];
    for _ in 0..number("rounds", 5) {
        for (command, (times, peak)) in [ours(), tshark()].into_iter().zip(&mut runs) {
            let Some((time, memory)) = run(command)? else { continue };
            times.push(time);
            *peak = memory.max(*peak);
        }
    }
    println!("| program | best, median s | MB/s | peak resident |\n|---|---|---|---|");
    let [ours, theirs] = runs.map(|(mut times, peak)| {
        times.sort();
        (times, peak)
    });
    for (name, (times, peak)) in [("chatbridge replay info", &ours), ("tshark sip,stat", &theirs)] {
        let (Some(best), Some(median)) = (times.first(), times.get(times.len() / 2)) else {
            println!("| {name} | not there | | |");
            continue;
        };
        let (best, median) = (best.as_secs_f64(), median.as_secs_f64());
        let (rate, peak) = (size as f64 / 1e6 / best, *peak as f64 / 1e6);
        println!("| {name} | {best:.2}, {median:.2} | {rate:.0} | {peak:.0} MB |");
    }
    if let (Some(ours), Some(theirs)) = (ours.0.first(), theirs.0.first()) {
        println!("\n{:.1} times tshark's speed", theirs.as_secs_f64() / ours.as_secs_f64());
    }
    println!("memory {} the bound", if ours.1 <= MEMORY_GOAL { "keeps" } else { "MISSES" });
    fs::remove_file(file)
}

/// Runs a program to its end; gives its time and its peak memory, or nothing where there is none.
fn run(mut command: Command) -> io::Result<Option<(Duration, u64)>> {
    let start = Instant::now();
    let spawned = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut peak = 0;
    loop {
        if let Some(exit) = child.try_wait()? {
            let time = start.elapsed();
            return if exit.success() {
                Ok(Some((time, peak)))
            } else {
                Err(io::Error::other(format!("{command:?} failed: {exit}")))
            };
        }
        // The mark only rises, so the last look sees all but the end.
        let text = fs::read_to_string(&status).unwrap_or_default();
        let mark = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = mark.and_then(|mark| mark.split_whitespace().next()?.parse::<u64>().ok());
        peak = kilobytes.map_or(peak, |kilobytes| kilobytes * 1024);
        thread::sleep(Duration::from_millis(2));
    }
}

/// A capture under way.
struct Recording {
    file: BufWriter<File>,
    written: usize,
    micros: u64,
}

/// The two ends of a chat.
const CALLER: [u8; 4] = [192, 0, 2, 10];
const CALLEE: [u8; 4] = [198, 51, 100, 5];

impl Recording {
    fn create(path: &Path) -> io::Result<Self> {
        let mut file = BufWriter::new(File::create(path)?);
        let head = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 1];
        file.write_all(&head.map(u32::to_le_bytes).concat())?;
        Ok(Self { file, written: 24, micros: 1_700_000_000_000_000 })
    }

    /// Writes chats until there are so many bytes; gives how many chats.
    fn fill(mut self, bytes: usize) -> io::Result<usize> {
        let mut chats = 0;
        while self.written < bytes {
            self.chat(chats)?;
            chats += 1;
        }
        self.file.flush()?;
        Ok(chats)
    }

    fn chat(&mut self, number: usize) -> io::Result<()> {
        let sip = |line: &str, cseq: &str, body: &str| {
            let more = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
            format!(
                "{line}\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK{number}-{cseq}\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:+447700900001@ims.example>;tag=f{number}\r\n\
                 To: <sip:+447700900002@ims.example>;tag=t{number}\r\nCall-ID: c{number}@bench\r\n\
                 CSeq: {cseq}\r\nContact: <sip:192.0.2.10:5060>;+g.oma.sip-im\r\n\
                 Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, NOTIFY, REFER, MESSAGE\r\n\
                 P-Asserted-Identity: <sip:+447700900001@ims.example>\r\nSupported: timer, 100rel\r\n\
                 {more}Content-Length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        let sdp = |id: &str| {
            format!(
                "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
                 m=message 2855 TCP/MSRP *\r\na=accept-types:message/cpim\r\n\
                 a=path:msrp://192.0.2.10:2855/{id}{number};tcp\r\na=setup:actpass\r\n"
            )
        };
        let invite = sip("INVITE sip:+447700900002@ims.example SIP/2.0", "1 INVITE", &sdp("a"));
        let invite = invite.replace(&format!(";tag=t{number}"), "");
        self.datagram(true, &invite)?;
        self.datagram(true, &invite)?;
        for (line, body) in [("100 Trying", ""), ("180 Ringing", ""), ("200 OK", &*sdp("b"))] {
            self.datagram(false, &sip(&format!("SIP/2.0 {line}"), "1 INVITE", body))?;
        }
        self.datagram(true, &sip("ACK sip:+447700900002@ims.example SIP/2.0", "1 ACK", ""))?;
        self.stream(number)?;
        self.datagram(true, &sip("BYE sip:+447700900002@ims.example SIP/2.0", "2 BYE", ""))?;
        self.datagram(false, &sip("SIP/2.0 200 OK", "2 BYE", ""))
    }

    /// Twenty texts in segments of all sizes: some out of order, some twice.
    fn stream(&mut self, number: usize) -> io::Result<()> {
        let text: String = (0..20)
            .map(|index| {
                format!(
                    "MSRP tx{index}a SEND\r\nTo-Path: msrp://192.0.2.10:2855/b{number};tcp\r\n\
                     From-Path: msrp://192.0.2.10:2855/a{number};tcp\r\nMessage-ID: m{index}\r\n\
                     Byte-Range: 1-200/200\r\nContent-Type: text/plain\r\n\r\n{}\r\n\
                     -------tx{index}a$\r\n",
                    "x".repeat(200)
                )
            })
            .collect();
        let port = u16::try_from(10_000 + number % 50_000).unwrap_or_default();
        let start = u32::try_from(number).unwrap_or_default().wrapping_mul(0x9e37_79b9);
        self.segment(port, start, 0x02, b"")?;
        let mut parts: Vec<(usize, &[u8])> =
            text.as_bytes().chunks(700).enumerate().map(|(i, part)| (i * 700, part)).collect();
        parts.swap(3, 4);
        parts.insert(8, parts[6]);
        for (at, part) in parts {
            let at = u32::try_from(at).unwrap_or_default();
            self.segment(port, start.wrapping_add(1 + at), 0x18, part)?;
            // Between the chats runs what nobody asks for.
            self.packet(
                true,
                17,
                &[&[0x1f, 0x40, 0x1f, 0x42, 0, 168, 0, 0][..], &[0x80; 160]].concat(),
            )?;
        }
        let end = u32::try_from(text.len()).unwrap_or_default();
        self.segment(port, start.wrapping_add(1 + end), 0x11, b"")
    }

    fn datagram(&mut self, forward: bool, text: &str) -> io::Result<()> {
        let length = u16::try_from(8 + text.len()).unwrap_or_default().to_be_bytes();
        let head = [0x13, 0xc4, 0x13, 0xc4, length[0], length[1], 0, 0];
        self.packet(forward, 17, &[&head[..], text.as_bytes()].concat())
    }

    fn segment(&mut self, port: u16, sequence: u32, flags: u8, payload: &[u8]) -> io::Result<()> {
        let tail = [0x50, flags, 0xfa, 0xf0, 0, 0, 0, 0];
        let head =
            [&port.to_be_bytes(), &[0x0b, 0x27], &sequence.to_be_bytes()[..], &[0; 4], &tail];
        self.packet(true, 6, &[&head.concat()[..], payload].concat())
    }

    fn packet(&mut self, forward: bool, protocol: u8, payload: &[u8]) -> io::Result<()> {
        self.micros += 200;
        let (from, to) = if forward { (CALLER, CALLEE) } else { (CALLEE, CALLER) };
        let total = u16::try_from(20 + payload.len()).unwrap_or_default().to_be_bytes();
        let ip = [0x45, 0, total[0], total[1], 0, 1, 0x40, 0, 64, protocol, 0, 0];
        let frame = [&[2; 12][..], &[8, 0], &ip, &from, &to, payload].concat();
        let length = u32::try_from(frame.len()).unwrap_or_default();
        let word = |number: u64| u32::try_from(number).unwrap_or_default();
        let head = [word(self.micros / 1_000_000), word(self.micros % 1_000_000), length, length];
        self.file.write_all(&head.map(u32::to_le_bytes).concat())?;
        self.file.write_all(&frame)?;
        self.written += 16 + frame.len();
        Ok(())
    }
}
