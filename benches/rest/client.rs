//! A client that costs little: one HTTP connection that is kept, requests written by hand.

use std::net::SocketAddr;

use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One connection.
pub(crate) struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn location(&self) -> &str {
        field(&self.head, "location").expect("a Location")
    }

    /// Gives the value of the first text member of that name.
    pub(crate) fn member(&self, name: &str) -> &str {
        let begin = format!("\"{name}\":\"");
        let at = self.body.find(&begin).unwrap_or_else(|| panic!("no {name} in {}", self.body));
        self.body[at + begin.len()..].split('"').next().unwrap()
    }
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, read: Vec::new() }
    }

    /// Sends a request and waits for the answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Answer {
        self.try_exchange(request).await.expect("the server answers")
    }

    /// The same; nothing where the server has hung up.
    pub(crate) async fn try_exchange(&mut self, request: &[u8]) -> Option<Answer> {
        self.stream.write_all(request).await.ok()?;
        let head = loop {
            if let Some(end) = memmem::find(&self.read, b"\r\n\r\n") {
                break end + 4;
            }
            self.more().await?;
        };
        let text = String::from_utf8_lossy(&self.read[..head]).into_owned();
        let length = field(&text, "content-length").map_or(0, |length| length.parse().unwrap());
        while self.read.len() < head + length {
            self.more().await?;
        }
        let body = String::from_utf8_lossy(&self.read[head..head + length]).into_owned();
        self.read.drain(..head + length);
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
        Some(Answer { status, head: text, body })
    }

    pub(crate) async fn send(&mut self, request: &[u8]) {
        self.stream.write_all(request).await.unwrap();
    }

    async fn more(&mut self) -> Option<()> {
        let count = self.stream.read_buf(&mut self.read).await.ok()?;
        (count > 0).then_some(())
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(": "));
    fields.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Writes a request; the URL may have a host, which is not repeated.
pub(crate) fn request(method: &str, url: &str, body: &str) -> Vec<u8> {
    let path = url.strip_prefix("http://").map_or(url, |rest| &rest[rest.find('/').unwrap()..]);
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
