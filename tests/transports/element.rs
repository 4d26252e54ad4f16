//! An element that sends and receives, and peers that are nothing but a socket.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use chatbridge::net::{Inbound, SipOutbound, SipSettings, SipSockets, TlsSettings, bind_sip};
use chatbridge::sip::{
    Hop, Message, Request, Response, Status, Transport, response_to, stamp_source,
};
use chatbridge::store::connections::{Failure, OnFailure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Waits for what will come; only a failing test waits in vain.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    let patience = Duration::from_secs(20);
    tokio::time::timeout(patience, what).await.expect("it should have come by now")
}

/// The sockets of one element.
pub(crate) struct Element {
    pub(crate) sockets: SipSockets,
    _stop: DropGuard,
}

impl Element {
    pub(crate) async fn new(settings: SipSettings) -> Self {
        Self::on("127.0.0.1:0", settings).await
    }

    pub(crate) async fn secure(tls: TlsSettings) -> Self {
        Self::new(SipSettings { tls, ..SipSettings::default() }).await
    }

    pub(crate) async fn on(listen: &str, settings: SipSettings) -> Self {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let listen = listen.parse().unwrap();
        let sockets = bind_sip(listen, settings, stop.clone(), tasks).await.unwrap();
        Self { sockets, _stop: stop.drop_guard() }
    }

    pub(crate) fn outbound(&self) -> &SipOutbound {
        &self.sockets.outbound
    }

    /// Where it is reached.
    pub(crate) fn hop(&self, transport: Transport) -> Hop {
        let place = match transport {
            Transport::Udp | Transport::Tcp => self.sockets.local,
            Transport::Tls => self.sockets.tls.unwrap(),
        };
        hop(transport, place)
    }

    /// The same, found by its name.
    pub(crate) fn named(&self, host: &str) -> Hop {
        Hop { host: host.to_owned(), ..self.hop(Transport::Tls) }
    }

    /// Sends; the receiver is told if it fails, and closed when that cannot come any more.
    pub(crate) fn send(&self, bytes: impl Into<Bytes>, hop: &Hop) -> oneshot::Receiver<Failure> {
        let (failed, told) = oneshot::channel();
        let tell = OnFailure::told(move |failure| {
            // A test that does not care has dropped the other end.
            let _unheard = failed.send(failure);
        });
        self.outbound().send(bytes.into(), hop, tell);
        told
    }

    pub(crate) async fn next(&mut self) -> Inbound {
        soon(self.sockets.inbound.recv()).await.expect("the sockets are open")
    }

    /// Takes the next message, which is a request, and where it came from.
    pub(crate) async fn request(&mut self) -> (Request, Hop) {
        let Inbound { message, source } = self.next().await;
        let Message::Request(mut request) = message else { panic!("{message:?}") };
        stamp_source(&mut request, &source);
        (request, source)
    }

    /// Takes the next message, which is a response, and where it came from.
    pub(crate) async fn response(&mut self) -> (Response, Hop) {
        let Inbound { message, source } = self.next().await;
        let Message::Response(response) = message else { panic!("{message:?}") };
        (response, source)
    }
}

pub(crate) fn hop(transport: Transport, place: SocketAddr) -> Hop {
    Hop::new(transport, &place.ip().to_string(), place.port())
}

/// An OPTIONS request of one that is reached at `from`; `number` makes it another one.
pub(crate) fn options(from: &Hop, number: u32, via_params: &str) -> String {
    let sent_by = from.authority();
    let token = from.transport.via_token();
    format!(
        "OPTIONS sip:b@b.example SIP/2.0\r\n\
         Via: SIP/2.0/{token} {sent_by};branch=z9hG4bK{number};rport{via_params}\r\n\
         From: <sip:a@a.example>;tag=a\r\nTo: <sip:b@b.example>\r\nCall-ID: call-{number}\r\n\
         CSeq: {number} OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
}

pub(crate) fn ok(request: &Request) -> Bytes {
    response_to(request, Status::OK, Some("b")).encode()
}

pub(crate) fn call_id(request: &Request) -> &str {
    request.call_id().unwrap_or_default()
}

/// A peer that listens and does nothing by itself.
pub(crate) struct Listener(TcpListener);

impl Listener {
    pub(crate) async fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) fn hop(&self) -> Hop {
        hop(Transport::Tcp, self.0.local_addr().unwrap())
    }

    pub(crate) async fn accept(&self) -> Peer {
        Peer { stream: soon(self.0.accept()).await.unwrap().0, heard: String::new() }
    }
}

/// One connection of such a peer.
pub(crate) struct Peer {
    stream: TcpStream,
    heard: String,
}

impl Peer {
    pub(crate) async fn connect(place: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(place).await.unwrap(), heard: String::new() }
    }

    pub(crate) fn hop(&self) -> Hop {
        hop(Transport::Tcp, self.stream.local_addr().unwrap())
    }

    pub(crate) async fn say(&mut self, text: &str) {
        soon(self.stream.write_all(text.as_bytes())).await.unwrap();
    }

    /// Reads up to and with the next `end`.
    pub(crate) async fn hear(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = self.heard.find(end) {
                let rest = self.heard.split_off(at + end.len());
                return std::mem::replace(&mut self.heard, rest);
            }
            let mut chunk = [0; 4096];
            let length = soon(self.stream.read(&mut chunk)).await.unwrap();
            assert!(length > 0, "closed after {:?}", self.heard);
            self.heard.push_str(std::str::from_utf8(&chunk[..length]).unwrap());
        }
    }

    /// Reads until the other side has closed.
    pub(crate) async fn read_all(&mut self, heard: &mut Vec<u8>) {
        // A reset is an end, too.
        drop(soon(self.stream.read_to_end(heard)).await);
    }

    /// Waits until the other side has closed; whatever it says before is not looked at.
    pub(crate) async fn is_closed(&mut self) {
        self.read_all(&mut Vec::new()).await;
    }

    /// Goes away as a process that dies.
    pub(crate) fn die(self) {
        self.stream.set_zero_linger().unwrap();
    }
}
