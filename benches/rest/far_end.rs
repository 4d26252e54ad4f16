//! The far end of Alice's sessions: a SIP peer that takes every call, and acknowledges every message
//! on the MSRP connection that follows. It knows no more of either protocol than that takes.

use std::net::SocketAddr;
use std::sync::Arc;

use memchr::{memchr, memmem};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use super::chat::Book;

/// The peer: SIP over UDP, MSRP over TCP.
pub(crate) struct FarEnd {
    sip: UdpSocket,
    msrp: TcpListener,
}

impl FarEnd {
    pub(crate) async fn start() -> Self {
        let sip = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let msrp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { sip, msrp }
    }

    /// Where SIP goes.
    pub(crate) fn address(&self) -> SocketAddr {
        self.sip.local_addr().unwrap()
    }

    /// Takes calls and messages, and enters the messages in the book.
    pub(crate) async fn run(self, book: Arc<Book>) {
        let Self { sip, msrp } = self;
        let port = msrp.local_addr().unwrap().port();
        tokio::join!(take_calls(sip, port), take_connections(msrp, book));
    }
}

async fn take_calls(sip: UdpSocket, msrp_port: u16) {
    let contact = sip.local_addr().unwrap();
    let mut datagram = vec![0; 65_536];
    loop {
        let (length, from) = sip.recv_from(&mut datagram).await.unwrap();
        let text = String::from_utf8_lossy(&datagram[..length]);
        if text.starts_with("ACK ") || text.starts_with("SIP/2.0 ") {
            continue;
        }
        let call = text.lines().find_map(|line| line.strip_prefix("Call-ID: ")).unwrap();
        let mut answer = String::from("SIP/2.0 200 OK\r\n");
        for line in text.split("\r\n").take_while(|line| !line.is_empty()) {
            let name = line.split(':').next().unwrap();
            if ["Via", "From", "To", "Call-ID", "CSeq"].contains(&name) {
                let is_new = name == "To" && !line.contains(";tag=");
                answer.push_str(&format!("{line}{}\r\n", if is_new { ";tag=far" } else { "" }));
            }
        }
        answer.push_str(&format!("Contact: <sip:{contact}>\r\n"));
        let mut body = String::new();
        if text.starts_with("INVITE ") {
            answer.push_str("Content-Type: application/sdp\r\n");
            let session: String = call.chars().filter(char::is_ascii_alphanumeric).collect();
            body = format!(
                "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                 m=message {msrp_port} TCP/MSRP *\r\na=accept-types:message/cpim\r\n\
                 a=accept-wrapped-types:*\r\na=setup:passive\r\n\
                 a=path:msrp://127.0.0.1:{msrp_port}/{session};tcp\r\n"
            );
        }
        answer.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        sip.send_to(answer.as_bytes(), from).await.unwrap();
    }
}

async fn take_connections(msrp: TcpListener, book: Arc<Book>) {
    loop {
        let (stream, _) = msrp.accept().await.unwrap();
        tokio::spawn(take_messages(stream, Arc::clone(&book)));
    }
}

/// Answers what comes, all that was read together with one write.
async fn take_messages(mut stream: TcpStream, book: Arc<Book>) {
    stream.set_nodelay(true).unwrap();
    let (mut read, mut answers, mut taken) = (Vec::new(), Vec::new(), Vec::new());
    while stream.read_buf(&mut read).await.is_ok_and(|count| count > 0) {
        let mut rest = &read[..];
        while let Some((request, behind)) = cut(rest) {
            taken.extend(answer(request, &mut answers));
            rest = behind;
        }
        let left = rest.len();
        read.drain(..read.len() - left);
        if stream.write_all(&answers).await.is_err() {
            return;
        }
        answers.clear();
        for id in taken.drain(..) {
            book.take(&id);
        }
    }
}

/// Cuts the first request off.
fn cut(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = bytes.strip_prefix(b"MSRP ")?;
    let tid = &start[..memchr(b' ', start)?];
    let mut end = b"\r\n-------".to_vec();
    end.extend_from_slice(tid);
    let at = memmem::find(bytes, &end)? + end.len();
    let behind = at + b"$\r\n".len();
    (bytes.len() >= behind).then(|| (&bytes[..at], &bytes[behind..]))
}

/// Writes the 200 of a request; gives the id of the message in it, where there is one.
fn answer(request: &[u8], answers: &mut Vec<u8>) -> Option<String> {
    let (mut tid, mut to, mut from, mut id, mut has_content) = (None, None, None, None, false);
    let mut rest = request;
    while let Some(end) = memchr(b'\r', rest) {
        let line = &rest[..end];
        rest = rest.get(end + 2..).unwrap_or_default();
        if let Some(start) = line.strip_prefix(b"MSRP ") {
            let (number, method) = start.split_at(memchr(b' ', start)?);
            assert_eq!(method, b" SEND", "the bridge sends messages only");
            tid = Some(number);
        } else if let Some(value) = line.strip_prefix(b"To-Path: ") {
            to = Some(value);
        } else if let Some(value) = line.strip_prefix(b"From-Path: ") {
            from = Some(value);
        } else if let Some(value) = line.strip_prefix(b"Message-ID: ") {
            id = Some(value);
        } else if line.is_empty() {
            // The first request may bind the connection only, and has none.
            has_content = true;
            break;
        }
    }
    let tid = tid?;
    let head = [b"MSRP ", tid, b" 200 OK\r\nTo-Path: ", from?, b"\r\nFrom-Path: ", to?];
    let end = [b"\r\n-------", tid, b"$\r\n"];
    head.into_iter().chain(end).for_each(|part| answers.extend_from_slice(part));
    id.filter(|_| has_content).map(|id| String::from_utf8_lossy(id).into_owned())
}
