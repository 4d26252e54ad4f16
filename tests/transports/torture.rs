//! The torture messages on their way through sockets: to the bridge and to the embedded IM server,
//! in datagrams and on streams. Each is answered as it deserves, and the server lives on.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use chatbridge::app::Running;
use chatbridge::config::Config;
use chatbridge::sip::{Decoded, Message, Method, WireLimits, decode_datagram};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::corpus::{Row, read, rows};
use crate::element::soon;

#[tokio::test]
async fn the_bridge_endures_the_torture_in_datagrams() {
    let (running, _core) = bridge().await;
    Server { place: running.sip(), excuses: BRIDGE, once_complete: 488 }.endure_datagrams().await;
    running.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn the_bridge_endures_the_torture_on_streams() {
    let (running, _core) = bridge().await;
    Server { place: running.sip(), excuses: BRIDGE, once_complete: 488 }.endure_streams().await;
    running.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn the_im_server_endures_the_torture_in_datagrams() {
    let running = im_server().await;
    let place = running.im_server().unwrap();
    Server { place, excuses: IM_SERVER, once_complete: 407 }.endure_datagrams().await;
    running.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn the_im_server_endures_the_torture_on_streams() {
    let running = im_server().await;
    let place = running.im_server().unwrap();
    Server { place, excuses: IM_SERVER, once_complete: 407 }.endure_streams().await;
    running.stop(Duration::ZERO).await;
}

/// What a server answers where the RFC names the status of somebody with another office.
type Excuse = (&'static str, u16, &'static str);

const BRIDGE: &[Excuse] = &[
    ("rfc4475/unksm2.dat", 405, "it is no registrar"),
    ("rfc4475/regaut01.dat", 405, "it is no registrar"),
    ("rfc4475/cparam01.dat", 405, "it is no registrar"),
    ("rfc4475/cparam02.dat", 405, "it is no registrar"),
    ("rfc4475/regescrt.dat", 405, "it is no registrar"),
    ("rfc4475/sdp01.dat", 488, "it looks for a chat first, and there is none"),
];

const IM_SERVER: &[Excuse] = &[
    ("rfc4475/intmeth.dat", 407, ASKS_FIRST),
    ("rfc4475/esc02.dat", 407, ASKS_FIRST),
    ("rfc4475/invut.dat", 407, ASKS_FIRST),
    ("rfc4475/sdp01.dat", 407, ASKS_FIRST),
    ("rfc4475/unksm2.dat", 401, ASKS_FIRST),
    ("rfc4475/cparam01.dat", 401, ASKS_FIRST),
    ("rfc4475/cparam02.dat", 401, ASKS_FIRST),
    ("rfc4475/regescrt.dat", 401, ASKS_FIRST),
];

const ASKS_FIRST: &str = "a closed server asks who one is before it looks at what one wants";

/// Bytes behind which nobody knows where the next message begins: no `Content-Length`, a negative
/// one, two that differ, and more behind a message than another one.
const UNFRAMED: [&str; 4] =
    ["rfc4475/inv2543.dat", "rfc4475/ncl.dat", "rfc4475/mcl01.dat", "rfc4475/dblreq.dat"];

/// What says that a message cannot be read.
const UNREADABLE: [u16; 5] = [400, 414, 416, 505, 513];

struct Server {
    place: SocketAddr,
    excuses: &'static [Excuse],
    /// What it says to an INVITE without a chat in it.
    once_complete: u16,
}

impl Server {
    async fn endure_datagrams(&self) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut buffer = vec![0; 65_536];
        for (number, row) in rows().into_iter().enumerate() {
            let bytes = asking_for_an_answer(&message_of(&row, number));
            socket.send_to(&bytes, self.place).await.unwrap();
            socket.send_to(&self.still_alive("UDP", number), self.place).await.unwrap();
            let (mut answer, mut alive) = (None, false);
            while !alive || (is_due(&bytes) && answer.is_none()) {
                let heard = timeout(PATIENCE, socket.recv(&mut buffer)).await;
                let length = heard.unwrap_or_else(|_| panic!("{}: silence", row.file)).unwrap();
                let Some(heard) = Answer::read(&buffer[..length]) else { continue };
                if heard.number != number.to_string() {
                    // Refusals of INVITEs are said again until an ACK comes.
                } else if heard.is_of_life {
                    assert_eq!(heard.code, 200, "{}", row.file);
                    alive = true;
                } else {
                    answer = Some(heard.code);
                }
            }
            self.judge(&row, answer);
        }
    }

    async fn endure_streams(&self) {
        for (number, row) in rows().into_iter().enumerate() {
            let bytes = as_on_a_stream(&row, message_of(&row, number));
            let is_unframed = UNFRAMED.contains(&row.file.as_str());
            let mut stream = Stream::connect(self.place).await;
            stream.say(&bytes).await;
            if !is_unframed {
                stream.say(&self.still_alive("TCP", number)).await;
            }
            let (mut answer, mut alive) = (None, false);
            while !alive || (is_due(&bytes) && answer.is_none()) {
                let heard = timeout(PATIENCE, stream.hear()).await;
                let heard = heard.unwrap_or_else(|_| panic!("{}: silence", row.file));
                let Some(heard) = heard else { break };
                match heard.is_of_life {
                    true => alive = heard.code == 200,
                    false => answer = answer.or(Some(heard.code)),
                }
            }
            assert_eq!(alive, !is_unframed, "{}", row.file);
            match row.file.as_str() {
                // Without a length there is no body on a stream, and no message.
                "rfc4475/inv2543.dat" => assert_eq!(answer, Some(400)),
                // What is missing of its body comes as white space.
                "rfc4475/clerr.dat" => assert_eq!(answer, Some(self.once_complete)),
                // The stream ends with what is behind the second message.
                "rfc4475/dblreq.dat" => {}
                _ => self.judge(&row, answer),
            }
            let mut stream = Stream::connect(self.place).await;
            stream.say(&self.still_alive("TCP", number + 100)).await;
            let heard = soon(stream.hear()).await.map(|it| it.code);
            assert_eq!(heard, Some(200), "{}", row.file);
        }
    }

    /// Holds an answer against the verdict on its message.
    fn judge(&self, row: &Row, answer: Option<u16>) {
        let file = row.file.as_str();
        let is_named = |code: u16| row.statuses.contains(&code);
        let is_read = |code: u16| !UNREADABLE.contains(&code);
        let excuse = self.excuses.iter().find(|excuse| excuse.0 == file);
        let is_right = match (row.verdict.as_str(), answer) {
            (_, Some(code)) if excuse.is_some_and(|excuse| excuse.1 == code) => true,
            ("reject" | "app", Some(code)) => is_named(code),
            ("either", Some(code)) => is_named(code) || is_read(code),
            ("accept", Some(code)) => row.statuses.is_empty() && is_read(code) || is_named(code),
            ("drop", None) => true,
            // Responses, and a request without a Via.
            ("accept", None) => ["rfc4475/unreason.dat", "rfc4475/noreason.dat"].contains(&file),
            ("reject", None) => file == "rfc4475/test.dat",
            (_, _) => false,
        };
        assert!(is_right, "{file} ({}): {} wanted, got {answer:?}", row.section, row.verdict);
    }

    /// Writes a question that every server answers.
    fn still_alive(&self, transport: &str, number: usize) -> Vec<u8> {
        let place = self.place;
        format!(
            "OPTIONS sip:{place} SIP/2.0\r\n\
             Via: SIP/2.0/{transport} alive.example;branch=z9hG4bKalive{number};rport\r\n\
             From: <sip:a@alive.example>;tag=a{number}\r\nTo: <sip:{place}>\r\n\
             Call-ID: alive-{number}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n\
             Content-Length: 0\r\n\r\n"
        )
        .into_bytes()
    }
}

/// A final response, as far as it matters here. Of a request that cannot be read it repeats what
/// cannot be read.
#[derive(Debug)]
struct Answer {
    code: u16,
    /// The number of the message that it answers.
    number: String,
    is_of_life: bool,
}

impl Answer {
    /// Reads a final response; provisional ones and requests are none.
    fn read(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let code = text.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok().filter(|it| *it >= 200)?;
        let marked = ["z9hG4bKalive", MARK].map(|mark| text.split_once(mark));
        let is_of_life = marked[0].is_some();
        let (_, rest) = marked.into_iter().flatten().next()?;
        let number = rest.chars().take_while(char::is_ascii_digit).collect();
        Some(Self { code, number, is_of_life })
    }
}

/// A stream to the server, from which final responses are read.
struct Stream {
    stream: TcpStream,
    heard: Vec<u8>,
}

impl Stream {
    async fn connect(server: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(server).await.unwrap(), heard: Vec::new() }
    }

    async fn say(&mut self, bytes: &[u8]) {
        soon(self.stream.write_all(bytes)).await.unwrap();
    }

    /// The next final response; none where the stream has ended. None of them has a body.
    async fn hear(&mut self) -> Option<Answer> {
        loop {
            if let Some(at) = self.heard.windows(4).position(|end| end == b"\r\n\r\n") {
                let rest = self.heard.split_off(at + 4);
                let message = std::mem::replace(&mut self.heard, rest);
                match Answer::read(&message) {
                    Some(answer) => return Some(answer),
                    None => continue,
                }
            }
            if self.stream.read_buf(&mut self.heard).await.unwrap() == 0 {
                return None;
            }
        }
    }
}

/// Only a failing test waits in vain.
const PATIENCE: Duration = Duration::from_secs(20);

/// Stands in the top Via of every message.
const MARK: &str = ";x-row=";

/// The message of a row. Some share a transaction or a call with others, and shall not be taken for
/// their repetitions; all are marked.
fn message_of(row: &Row, number: usize) -> Vec<u8> {
    let mut bytes = read(&row.file);
    for shared in [b"=z9hG4bKkdjuw".as_slice(), b"=z9hG4bKbh19", b"=z9hG4bKas3", b"SSG95599"] {
        if let Some(at) = bytes.windows(shared.len()).position(|it| it == shared) {
            let at = at + shared.len();
            bytes.splice(at..at, format!("-{number}").into_bytes());
        }
    }
    into_top_via(&bytes, &format!("{MARK}{number}"))
}

/// Asks for the answer where the message comes from (RFC 3581): the ports that it names are not
/// ours to listen at.
fn asking_for_an_answer(bytes: &[u8]) -> Vec<u8> {
    into_top_via(bytes, ";rport")
}

/// Puts a parameter into the top Via, whatever else it holds.
fn into_top_via(bytes: &[u8], param: &str) -> Vec<u8> {
    let is_via = |line: &[u8]| {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default().trim_ascii();
        name.eq_ignore_ascii_case(b"Via") || name.eq_ignore_ascii_case(b"v")
    };
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let Some(first) = lines.iter().position(|line| is_via(line)) else { return bytes.to_vec() };
    let is_fold = |line: &&&[u8]| line.starts_with(b" ") || line.starts_with(b"\t");
    let folds = lines[first + 1..].iter().take_while(is_fold).count();
    let start: usize = lines[..first].iter().map(|line| line.len()).sum();
    let via: usize = lines[first..=first + folds].iter().map(|line| line.len()).sum();
    let via = &bytes[start..start + via];
    let element = via.split(|byte| *byte == b',').next().unwrap_or_default();
    let at = start + element.trim_ascii_end().len();
    let mut out = bytes.to_vec();
    out.splice(at..at, param.bytes());
    out
}

/// What a stream needs and a datagram does not: the empty line behind the head, and the body whole.
fn as_on_a_stream(row: &Row, mut bytes: Vec<u8>) -> Vec<u8> {
    if !bytes.windows(4).any(|end| end == b"\r\n\r\n" || end.ends_with(b"\n\n")) {
        bytes.extend_from_slice(b"\r\n");
    }
    if row.file == "rfc4475/clerr.dat" {
        let body = bytes.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
        bytes.resize(body + 9999, b' ');
    }
    bytes
}

/// Whether somebody waits for an answer: behind an ACK and behind a response nobody does.
fn is_due(bytes: &[u8]) -> bool {
    match decode_datagram(Bytes::copy_from_slice(bytes), &WireLimits::default()) {
        Decoded::Message(Message::Request(request)) => request.method != Method::Ack,
        Decoded::Reject { answer, .. } => answer.is_some(),
        Decoded::Message(Message::Response(_)) | Decoded::KeepAlive(_) | Decoded::Fatal(_) => false,
    }
}

/// A bridge whose core is on this host, so that it takes what comes from here for the core's.
async fn bridge() -> (Running, UdpSocket) {
    let core = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let place = core.local_addr().unwrap();
    let text = format!("{ANYWHERE}[core]\nmode = \"peer\"\nnext_hop = \"{place}\"\n");
    (Running::start(&Config::read(&text, []).unwrap()).await.unwrap(), core)
}

async fn im_server() -> Running {
    let text = format!("{ANYWHERE}[im_server]\nlisten = \"127.0.0.1:0\"\n");
    Running::start(&Config::read(&text, []).unwrap()).await.unwrap()
}

const ANYWHERE: &str = "[store]\nkind = \"memory\"\n[rest]\nlisten = \"127.0.0.1:0\"\n[msrp]\nlisten = \"127.0.0.1:0\"\n\
    [sip]\nlisten = \"127.0.0.1:0\"\n";
