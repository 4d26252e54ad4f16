//! The application in front of the bridge: REST calls, and the notifications that follow.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep, timeout};

use super::super::head::Head;
use super::fence::Fence;
use super::player::now;
use super::wires::Event;
use crate::net::WebClient;
use crate::trace::Moment;

/// An exchange with the REST face.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    pub(super) status: u16,
    pub(super) location: Option<String>,
    pub(super) body: Value,
    /// Whether the body is JSON, or none.
    is_understood: bool,
    /// When it was asked for.
    pub(super) at: Moment,
    /// What was on the wire, and between whom.
    pub(super) request: Bytes,
    pub(super) answer: Bytes,
    pub(super) ends: (SocketAddr, SocketAddr),
}

/// A notification.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Told {
    pub(super) user: String,
    /// The root element.
    pub(super) name: String,
    pub(super) value: Value,
}

/// A request to the REST face.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) url: String,
    pub(super) body: Option<String>,
}

impl Request {
    pub(super) fn post(url: String, body: &Value) -> Self {
        Self { method: "POST", url, body: Some(body.to_string()) }
    }

    pub(super) fn get(url: String) -> Self {
        Self { method: "GET", url, body: None }
    }

    pub(super) fn delete(url: String) -> Self {
        Self { method: "DELETE", url, body: None }
    }

    /// Makes the exchange, on a connection of its own.
    pub(super) async fn send(&self, limit: Duration, pass: &Pass) -> io::Result<Exchange> {
        match timeout(limit, self.exchange(pass)).await {
            Ok(result) => result,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")),
        }
    }

    async fn exchange(&self, pass: &Pass) -> io::Result<Exchange> {
        let url = Url::read(&self.url)?;
        let address = pass.fence.find(&url).await?;
        let stream = TcpStream::connect(address).await?;
        let ends = (stream.local_addr()?, stream.peer_addr()?);
        let (authority, path) = (url.authority, url.path);
        let mut request = format!(
            "{} {path} HTTP/1.1\r\nHost: {authority}\r\nAccept: application/json\r\n\
             Connection: close\r\n",
            self.method
        );
        if let Some(body) = &self.body {
            request.push_str("Content-Type: application/json\r\n");
            request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        } else {
            request.push_str("\r\n");
        }
        let at = now();
        // What is logged has no credentials in it.
        let sent = match pass.to(&url) {
            Some(pass) => request.replacen("\r\n", &format!("\r\nAuthorization: {pass}\r\n"), 1),
            None => request.clone(),
        };
        let answer = match (url.is_secure, &pass.tls) {
            (false, _) => ask(stream, sent.as_bytes()).await?,
            (true, Some(tls)) => {
                ask(tls.connect(url.host(), stream).await?, sent.as_bytes()).await?
            }
            (true, None) => {
                let why = format!("{}: this run began without TLS", self.url);
                return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
            }
        };
        let head = Head::read(&answer);
        let status = head.first_line().split(' ').nth(1).and_then(|code| code.parse().ok());
        let Some(status) = status else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "that is no HTTP"));
        };
        let chunked = head.field("Transfer-Encoding");
        let chunked = chunked.is_some_and(|it| it.to_ascii_lowercase().contains("chunked"));
        let body = if chunked { without_chunks(head.body) } else { head.body.to_vec() };
        let parsed = serde_json::from_slice(&body);
        Ok(Exchange {
            status,
            location: head.field("Location").map(std::borrow::Cow::into_owned),
            is_understood: parsed.is_ok() || body.trim_ascii().is_empty(),
            body: parsed.unwrap_or_default(),
            at,
            request: request.into(),
            answer: Bytes::copy_from_slice(&answer),
            ends,
        })
    }
}

/// Sends a request and reads until its answer ends.
async fn ask(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &[u8],
) -> io::Result<Vec<u8>> {
    stream.write_all(request).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    let mut stream = stream.take(MAX_ANSWER);
    loop {
        match stream.read_buf(&mut answer).await {
            Ok(0) if stream.limit() == 0 => {
                let why = format!("the answer has more than {MAX_ANSWER} octets");
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
            }
            Ok(0) if is_counted(&answer) => {
                let why = "the answer ends before its end";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
            }
            Ok(0) => return Ok(answer),
            Ok(_) if is_whole(&answer) => return Ok(answer),
            Ok(_) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Tells whether an answer has all the octets that it counts.
fn is_whole(answer: &[u8]) -> bool {
    length(answer).is_some_and(|length| answer.len() >= length)
}

/// Tells whether an answer counts its octets.
fn is_counted(answer: &[u8]) -> bool {
    length(answer).is_some()
}

/// Gives the length of an answer that counts its octets, with its head.
fn length(answer: &[u8]) -> Option<usize> {
    let head = memchr::memmem::find(answer, b"\r\n\r\n")? + 4;
    let body: usize = Head::read(&answer[..head]).field("Content-Length")?.parse().ok()?;
    head.checked_add(body)
}

/// Puts the chunks of a body together (RFC 9112 section 7.1).
fn without_chunks(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = memchr::memchr(b'\n', body) {
        let line = String::from_utf8_lossy(&body[..end]);
        let size = line.split(';').next().unwrap_or_default().trim();
        let Ok(size @ 1..) = usize::from_str_radix(size, 16) else { break };
        let rest = &body[end + 1..];
        whole.extend_from_slice(&rest[..size.min(rest.len())]);
        body = rest.get(size.saturating_add(2)..).unwrap_or_default();
    }
    whole
}

/// A URL of the REST face.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Url<'a> {
    pub(super) is_secure: bool,
    /// The host, and the port where it is told.
    authority: &'a str,
    pub(super) port: u16,
    path: &'a str,
}

impl<'a> Url<'a> {
    pub(super) fn read(url: &'a str) -> io::Result<Self> {
        let why = || format!("{url}: http:// or https:// with a host is wanted");
        let wrong = || io::Error::new(io::ErrorKind::InvalidInput, why());
        let (is_secure, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(rest), _) => (false, rest),
            (None, Some(rest)) => (true, rest),
            (None, None) => return Err(wrong()),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let path = if path.is_empty() { "/" } else { path };
        let usual = if is_secure { 443 } else { 80 };
        let port = match authority.rsplit_once(':') {
            Some((_, port)) if !port.ends_with(']') => port.parse().map_err(|_| wrong())?,
            Some(_) | None => usual,
        };
        let url = Self { is_secure, authority, port, path };
        let odd = |c: char| c.is_whitespace() || c.is_control() || c == '@';
        match url.host().is_empty() || rest.contains(odd) {
            true => Err(wrong()),
            false => Ok(url),
        }
    }

    /// Gives the host without the brackets of an IPv6 address.
    pub(super) fn host(&self) -> &'a str {
        let host = match self.authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => host,
            Some(_) | None => self.authority,
        };
        host.trim_start_matches('[').trim_end_matches(']')
    }
}

/// What lets an application in, and where: nobody else gets it, whatever a link says.
#[derive(Clone, Default)]
pub(super) struct Pass {
    /// Whether it is by TLS, the host and the port that it is for.
    door: Option<(bool, String, u16)>,
    authorization: Option<String>,
    pub(super) tls: Option<WebClient>,
    pub(super) fence: Fence,
}

impl Pass {
    /// Makes what lets an application in at a URL.
    pub(super) fn new(
        root: &str,
        authorization: Option<&str>,
        (tls, fence): (Option<WebClient>, Fence),
    ) -> Self {
        let door = Url::read(root).ok().map(|url| door_of(&url));
        Self { door, authorization: authorization.map(str::to_owned), tls, fence }
    }

    fn to(&self, url: &Url<'_>) -> Option<&str> {
        self.authorization.as_deref().filter(|_| self.door == Some(door_of(url)))
    }
}

fn door_of(url: &Url<'_>) -> (bool, String, u16) {
    (url.is_secure, url.host().to_ascii_lowercase(), url.port)
}

/// Why an application is told nothing.
#[derive(Debug)]
pub(super) enum Deaf {
    /// The bridge does not let it.
    Refused(String),
    /// The bridge says nothing, or that it cannot.
    Unreached(String),
}

/// The REST face of a bridge.
#[derive(Clone)]
pub(super) struct Api {
    /// What stands before `/1/chat`.
    root: String,
    limit: Duration,
    pub(super) pass: Pass,
}

impl Api {
    pub(super) fn new(root: &str, limit: Duration, pass: Pass) -> Self {
        Self { root: root.trim_end_matches('/').to_owned(), limit, pass }
    }

    /// Gives the URL of something of a user.
    pub(super) fn url(&self, user: &str, rest: &str) -> String {
        format!("{}/1/chat/{}{rest}", self.root, escaped(user))
    }

    /// Subscribes a user to everything; what is told comes as events. Notes what has to be deleted
    /// when all is over.
    pub(super) async fn listen(
        &self,
        user: &str,
        events: Sender<Event>,
        leavings: &mut Vec<String>,
    ) -> Result<(), Deaf> {
        let url = format!("{}/1/notificationchannel/{}/channels", self.root, escaped(user));
        let channel = serde_json::json!({"notificationChannel": {"channelType": "LongPolling"}});
        let made = self.create(Request::post(url, &channel)).await?;
        let made = &made.body["notificationChannel"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let poll = text(&made["channelData"]["channelURL"]);
        leavings.push(text(&made["resourceURL"]));
        let subscription = serde_json::json!({"chatNotificationSubscription": {
            "callbackReference": {
                "notifyURL": made["callbackURL"], "notificationFormat": "JSON",
            },
        }});
        let url = self.url(user, "/subscriptions?echo=false");
        let subscribed = self.create(Request::post(url, &subscription)).await?;
        leavings.extend(subscribed.location);
        tokio::spawn(poll_for(user.to_owned(), poll, self.pass.clone(), events));
        Ok(())
    }

    async fn create(&self, request: Request) -> Result<Exchange, Deaf> {
        let sent = request.send(self.limit, &self.pass).await;
        let exchange = sent.map_err(|error| Deaf::Unreached(error.to_string()))?;
        let why = || format!("POST {} gives {}", request.url, exchange.status);
        match exchange.status {
            201 => Ok(exchange),
            500.. => Err(Deaf::Unreached(why())),
            _ => Err(Deaf::Refused(why())),
        }
    }
}

/// Polls until nobody listens any more, or the channel is gone.
async fn poll_for(user: String, url: String, pass: Pass, events: Sender<Event>) {
    let request = Request::get(url);
    loop {
        let exchange = match request.send(POLL, &pass).await {
            Ok(exchange) if exchange.status == 200 && exchange.is_understood => {
                exchange.masked(&request.url)
            }
            other => {
                let why = match other {
                    Ok(exchange) if exchange.status == 200 => {
                        format!("GET {} gives no JSON", request.url)
                    }
                    Ok(exchange) => format!("GET {} gives {}", request.url, exchange.status),
                    Err(error) => format!("GET {}: {error}", request.url),
                };
                let why = why.replace(&request.url, &masked(&request.url));
                // Where the run is over, nobody wants to know.
                let _ = events.send(Event::Deaf { user, why }).await;
                return;
            }
        };
        let came = Instant::now();
        let list = exchange.body["notificationList"].as_array().cloned().unwrap_or_default();
        let told: Vec<Told> = list
            .into_iter()
            .filter_map(|entry| entry.as_object()?.clone().into_iter().next())
            .map(|(name, value)| Told { user: user.clone(), name, value })
            .collect();
        let is_empty = told.is_empty();
        if !is_empty && events.send(Event::Told { told, exchange, came }).await.is_err() {
            return;
        }
        if events.is_closed() {
            return;
        }
        if is_empty {
            // Whoever answers at once with nothing is not to be asked without end.
            sleep(PAUSE).await;
        }
    }
}

impl Exchange {
    /// Hides the secret of a URL wherever it stands in what was on the wire.
    fn masked(self, url: &str) -> Self {
        let target = Url::read(url).map_or(url, |url| url.path).as_bytes();
        let mask = masked(&String::from_utf8_lossy(target)).into_bytes();
        let hide = |bytes: Bytes| {
            let mut hidden = bytes.to_vec();
            // One is as long as the other: what counts octets stays right.
            for at in memchr::memmem::find_iter(&bytes, target) {
                hidden[at..at + target.len()].copy_from_slice(&mask);
            }
            Bytes::from(hidden)
        };
        let (request, answer) = (hide(self.request), hide(self.answer));
        Self { request, answer, ..self }
    }
}

/// Masks what lets anybody read a channel who knows its URL: the last segment of the path, and the
/// query.
fn masked(url: &str) -> String {
    let path = url.split('?').next().unwrap_or_default();
    let authority = url.find("://").map_or(0, |at| at + 3);
    let begin = path[authority.min(path.len())..].rfind('/').map(|at| authority + at + 1);
    let begin = begin.unwrap_or(path.len());
    format!("{}{}", &url[..begin], "*".repeat(url.len() - begin))
}

fn escaped(user: &str) -> String {
    percent_encoding::utf8_percent_encode(user, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Longer than a server holds a poll.
const POLL: Duration = Duration::from_secs(90);
/// Between two polls where the first had nothing.
const PAUSE: Duration = Duration::from_millis(20);
/// Octets of an answer: a poll gives all that waits in a channel, which may be what a whole recording
/// says.
const MAX_ANSWER: u64 = 256 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_as_they_are_written_and_nonsense_is_none() {
        let read = |url| {
            let url = Url::read(url).expect("a URL");
            (url.is_secure, url.host(), url.port, url.path)
        };
        assert_eq!(read("http://h"), (false, "h", 80, "/"));
        assert_eq!(read("https://[::1]/a?b"), (true, "::1", 443, "/a?b"));
        assert_eq!(read("http://[2001:db8::1]:8080/a"), (false, "2001:db8::1", 8080, "/a"));
        assert_eq!(read("https://h:8443?x"), (true, "h", 8443, "?x"));
        for wrong in ["ftp://h", "h:80", "http://", "http://:80/", "http://h:x/", "http://h:99999/"]
        {
            assert!(Url::read(wrong).is_err(), "{wrong}");
        }
        for odd in ["http://a@h/", "http://h/\r\nX: y", "http://h/a b"] {
            assert!(Url::read(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_pass_is_shown_at_its_own_door_only() {
        let pass = Pass::new("https://Bridge.example", Some("Bearer t"), (None, Fence::default()));
        let shown = |url| pass.to(&Url::read(url).expect("a URL"));
        assert_eq!(shown("https://bridge.example:443/1/chat"), Some("Bearer t"));
        for other in [
            "http://bridge.example/",
            "https://bridge.example:8443/",
            "https://bridge.example.org/",
        ] {
            assert_eq!(shown(other), None, "{other}");
        }
    }

    #[test]
    fn the_secret_of_a_channel_is_masked_and_nothing_else() {
        for (url, shown) in [
            ("http://h:80/1/polls/s3cret", "http://h:80/1/polls/******"),
            ("http://h/polls/s3cret?a=b/c", "http://h/polls/************"),
            ("/polls/s", "/polls/*"),
            ("http://h/", "http://h/"),
            ("http://h?s", "http://h**"),
            ("h", "h"),
        ] {
            assert_eq!(masked(url), shown);
        }
        let exchange = Exchange {
            status: 200,
            location: None,
            body: Value::Null,
            is_understood: true,
            at: Moment::default(),
            request: "GET /polls/s3 HTTP/1.1\r\nHost: s3\r\n\r\n".into(),
            answer: "HTTP/1.1 200 OK\r\n\r\nhttp://h/polls/s3 s3".into(),
            ends: (SocketAddr::from(([0; 4], 0)), SocketAddr::from(([0; 4], 0))),
        };
        let exchange = exchange.masked("http://h/polls/s3");
        assert_eq!(exchange.request, "GET /polls/** HTTP/1.1\r\nHost: s3\r\n\r\n");
        assert_eq!(exchange.answer, "HTTP/1.1 200 OK\r\n\r\nhttp://h/polls/** s3");
    }

    #[tokio::test]
    async fn an_answer_that_is_cut_is_none() {
        let long = "x".repeat(5 * 1024 * 1024);
        let of =
            |length: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{long}");
        for (answer, is_whole) in [
            (of(long.len()), true),
            (of(long.len() + 1), false),
            (format!("HTTP/1.1 200 OK\r\n\r\n{long}"), true),
        ] {
            let (here, mut there) = tokio::io::duplex(64 * 1024);
            let bytes = answer.clone();
            tokio::spawn(async move { there.write_all(bytes.as_bytes()).await });
            let found = ask(here, b"").await;
            assert_eq!(found.is_ok_and(|found| found == answer.as_bytes()), is_whole);
        }
    }

    #[test]
    fn an_answer_ends_where_it_says_or_in_chunks() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
        assert!(!is_whole(&head[..20]) && !is_whole(head) && !is_whole(b""));
        assert!(is_whole(&[head, &b"ok"[..]].concat()));
        assert_eq!(without_chunks(b"4;x=y\r\n{\"a\"\r\n3\r\n:1}\r\n0\r\n\r\n"), b"{\"a\":1}");
        for odd in [&b"zz\r\n"[..], b"ffffffffffffffff\r\nab", b"5\r\nab", b"5", b""] {
            assert!(without_chunks(odd).len() <= 2, "{odd:?}");
        }
    }
}
