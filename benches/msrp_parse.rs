//! How fast MSRP frames are read, beside what the machine and the best known parser of like heads
//! can do in the same run: `cargo bench --bench msrp_parse`.
//!
//! Yardsticks: httparse on HTTP heads with as many lines, and one `memmem` searcher over the same
//! bytes. Rounds of all candidates take turns, and the best round of each counts: what else runs on
//! the machine disturbs all alike.
#![allow(clippy::print_stdout, missing_docs)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use chatbridge::msrp::{Limits, Parser};
use memchr::memmem::Finder;

fn main() {
    println!("| corpus | octets | read size | ours M/s | MB/s | memmem M/s | ours / memmem |");
    println!("|---|---|---|---|---|---|---|");
    let text = send(200);
    let ok = response();
    let in_turns = [text.clone(), of_another_session(&text)].concat();
    for (name, frames, stream, reads) in [
        ("text SEND", 1, &text, &[WHOLE][..]),
        ("text SEND, two sessions in turns", 2, &in_turns, &[WHOLE]),
        ("200 OK", 1, &ok, &[WHOLE]),
        ("chunk 2 KB", 1, &send(2048), &[WHOLE, 1448]),
        ("chunk 64 KB", 1, &send(65_536), &[WHOLE, 65_536, 16_384, 8192, 4096, 1448]),
    ] {
        for &read in reads {
            let [ours, memmem] = race([&mut || parse_all(stream, read), &mut || find_all(stream)]);
            let millions = 1e-6 / ours;
            let length = stream.len() / frames;
            let read = if read == WHOLE { "-".to_owned() } else { read.to_string() };
            println!(
                "| {name} | {} | {read} | {millions:.2} | {:.0} | {:.2} | {:.2} |",
                length,
                millions * length as f64,
                1e-6 / memmem,
                memmem / ours
            );
        }
    }
    println!();
    println!("| head | lines | ours ns/line | httparse ns/line | httparse / ours |");
    println!("|---|---|---|---|---|");
    for (name, frame, http) in
        [("text SEND", &text, http_request()), ("200 OK", &ok, http_response())]
    {
        let (lines, http_lines) = (lines(frame), lines(http.as_bytes()));
        let [ours, theirs] =
            race([&mut || parse_all(frame, WHOLE), &mut || httparse_all(http.as_bytes())]);
        let ours = ours * 1e9 / lines as f64;
        let theirs = theirs * 1e9 / http_lines as f64;
        println!("| {name} | {lines} | {ours:.1} | {theirs:.1} | {:.2} |", theirs / ours);
    }
}

/// Runs all candidates in turns; gives the seconds per message of each one's best round.
fn race<const N: usize>(mut candidates: [&mut dyn FnMut() -> Spent; N]) -> [f64; N] {
    let mut best = [f64::INFINITY; N];
    let until = Instant::now() + Duration::from_millis(1500);
    while Instant::now() < until {
        for (candidate, best) in candidates.iter_mut().zip(&mut best) {
            let Spent { messages, time } = candidate();
            *best = best.min(time.as_secs_f64() / messages as f64);
        }
    }
    best
}

/// Reads the same frames over and over, in reads of `read` octets. What the kernel would do is not
/// counted: filling the buffer, which then grows in place read by read.
fn parse_all(stream: &[u8], read: usize) -> Spent {
    let mut parser = Parser::new(Limits::default());
    filled(stream, read, |reads| {
        let mut buffer = BytesMut::new();
        let mut messages = 0;
        for read in reads.drain(..) {
            buffer.unsplit(read);
            while let Some(frame) = parser.next(&mut buffer).expect("the corpus is good") {
                black_box(&frame);
                messages += 1;
            }
        }
        messages
    })
}

/// Finds what looks like an end-line in the same bytes, which lie as far from the processor.
fn find_all(stream: &[u8]) -> Spent {
    let finder = Finder::new(b"\r\n-------");
    filled(stream, usize::MAX, |reads| {
        reads.iter().map(|whole| finder.find_iter(whole).map(black_box).count()).sum()
    })
}

/// Fills a buffer time and again, and times what `take` does with its parts of `read` octets, which
/// lie one behind the other. It counts the messages.
fn filled(stream: &[u8], read: usize, mut take: impl FnMut(&mut Vec<BytesMut>) -> usize) -> Spent {
    let fill = stream.repeat((WHOLE / stream.len()).max(4));
    let mut spent = Spent::default();
    for _ in 0..ROUND.div_ceil(fill.len()) {
        let (mut arriving, mut reads) = (BytesMut::from(fill.as_slice()), Vec::new());
        while !arriving.is_empty() {
            reads.push(arriving.split_to(read.min(arriving.len())));
        }
        let started = Instant::now();
        spent.messages += take(&mut reads);
        spent.time += started.elapsed();
    }
    spent
}

fn httparse_all(head: &[u8]) -> Spent {
    let is_response = head.starts_with(b"HTTP");
    timed(head.len(), || {
        let mut headers = [httparse::EMPTY_HEADER; 16];
        if is_response {
            let mut response = httparse::Response::new(&mut headers);
            black_box(response.parse(black_box(head)).is_ok_and(|status| status.is_complete()));
        } else {
            let mut request = httparse::Request::new(&mut headers);
            black_box(request.parse(black_box(head)).is_ok_and(|status| status.is_complete()));
        }
    })
}

/// Reads as many messages of `length` octets as one turn has.
fn timed(length: usize, mut read: impl FnMut()) -> Spent {
    let messages = ROUND / length;
    let started = Instant::now();
    (0..messages).for_each(|_| read());
    Spent { messages, time: started.elapsed() }
}

/// What one turn of a candidate took.
#[derive(Default)]
struct Spent {
    messages: usize,
    time: Duration,
}

fn lines(frame: &[u8]) -> usize {
    let head = frame.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(frame.len());
    frame
        .get(..head)
        .unwrap_or(frame)
        .split(|byte| *byte == b'\n')
        .filter(|it| it.len() > 1)
        .count()
}

/// The text SEND has 476 octets with a body of 200.
fn send(body: usize) -> Vec<u8> {
    let text = "All work and no play makes a dull chat. ".repeat(body / 40 + 1);
    let body = text.get(..body).unwrap_or(&text);
    format!(
        "MSRP a786hjs2 SEND\r\n\
         To-Path: msrp://bob.example.com:8888/9di4eae923wzd;tcp\r\n\
         From-Path: msrp://alice.example.com:7777/iau39soe2843z;tcp\r\n\
         Message-ID: 87652491.k3j2h\r\n\
         Byte-Range: 1-{length}/{length}\r\n\
         Success-Report: no\r\n\
         Failure-Report: yes\r\n\
         Content-Type: text/plain\r\n\
         \r\n\
         {body}\r\n\
         -------a786hjs2$\r\n",
        length = body.len()
    )
    .into_bytes()
}

/// The same frame with other paths: what has been seen of one session is of no use for the other.
fn of_another_session(frame: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(frame);
    text.replace("bob.example", "eve.example").replace("iau39soe2843z", "jbv40tpf3954a").into()
}

fn response() -> Vec<u8> {
    b"MSRP a786hjs2k4m8q1zx 200 OK\r\n\
      To-Path: msrp://alice.example.com:7777/iau39soe2843z;tcp\r\n\
      From-Path: msrp://bob.example.com:8888/9di4eae923wzd;tcp\r\n\
      -------a786hjs2k4m8q1zx$\r\n"
        .to_vec()
}

fn http_request() -> String {
    "POST /chat/sessions/a786hjs2k4m8q1zx HTTP/1.1\r\n\
     Host: bob.example.com:8888\r\n\
     Referer: http://alice.example.com:7777/iau39soe2843z\r\n\
     X-Message-Id: 87652491.k3j2h1\r\n\
     Content-Range: bytes 1-200/200\r\n\
     Connection: keep-alive\r\n\
     Accept: application/json\r\n\
     Content-Type: text/plain\r\n\r\n"
        .to_owned()
}

fn http_response() -> String {
    "HTTP/1.1 200 OK\r\n\
     Location: http://alice.example.com:7777/iau39soe2843z\r\n\
     Via: 1.1 http://bob.example.com:8888/9di4eae923wzd\r\n\r\n"
        .to_owned()
}

/// How much is filled into the buffer at once, and the largest read.
const WHOLE: usize = 256 * 1024;

/// About how many octets a candidate reads before the next one has its turn.
const ROUND: usize = 1024 * 1024;
