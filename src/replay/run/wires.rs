//! The sockets of a run: SIP as datagrams and streams, MSRP as streams; what comes in is an event.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc::{self, Sender};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::api::{Exchange, Told};
use crate::net::HeldBack;
use crate::trace::{Cut, Framer, Protocol, Transport};

/// What happens to a run.
#[derive(Debug)]
pub(super) enum Event {
    /// A message came in.
    Heard {
        protocol: Protocol,
        bytes: Bytes,
        way: Way,
        ends: (SocketAddr, SocketAddr),
        /// When.
        came: Instant,
    },
    /// Somebody connected, or we did.
    Opened { stream: usize, outbox: Sender<Bytes>, ends: (SocketAddr, SocketAddr) },
    /// A REST call was answered, or was not.
    Called { call: usize, result: Result<Exchange, String> },
    /// The application was told something.
    Told { told: Vec<Told>, exchange: Exchange, came: Instant },
    /// A bridge of our own was held back from calling somebody else.
    Held(HeldBack),
    /// The application of a user cannot be told any more.
    Deaf { user: String, why: String },
}

/// The way that a message came, and that its answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// As a datagram, from there.
    Datagram(SocketAddr),
    /// On a stream.
    Stream(usize),
}

/// The sockets of the side that is played.
pub(super) struct Wires {
    udp: Arc<UdpSocket>,
    pub(super) sip: SocketAddr,
    pub(super) msrp: SocketAddr,
    streams: BTreeMap<usize, (Sender<Bytes>, (SocketAddr, SocketAddr))>,
    events: Sender<Event>,
    /// Ends with the run.
    tasks: JoinSet<()>,
    opened: usize,
}

impl Wires {
    /// Binds SIP, on UDP and TCP, and MSRP on the same host.
    pub(super) async fn bind(sip: SocketAddr, events: Sender<Event>) -> io::Result<Self> {
        let (udp, tcp) = bind_both(sip).await?;
        let local = udp.local_addr()?;
        let msrp = TcpListener::bind((local.ip(), 0)).await?;
        let (udp, msrp_local) = (Arc::new(udp), msrp.local_addr()?);
        let mut tasks = JoinSet::new();
        tasks.spawn(read_datagrams(Arc::clone(&udp), local, events.clone()));
        tasks.spawn(accept(tcp, 0, events.clone()));
        tasks.spawn(accept(msrp, 1, events.clone()));
        Ok(Self {
            udp,
            sip: local,
            msrp: msrp_local,
            streams: BTreeMap::new(),
            events,
            tasks,
            opened: 0,
        })
    }

    /// Enters a stream that was opened.
    pub(super) fn enter(
        &mut self,
        stream: usize,
        outbox: Sender<Bytes>,
        ends: (SocketAddr, SocketAddr),
    ) {
        self.streams.insert(stream, (outbox, ends));
    }

    /// Connects, and gives the stream.
    pub(super) async fn connect(&mut self, to: SocketAddr, limit: Duration) -> io::Result<usize> {
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no connection in time");
        let tcp = timeout(limit, TcpStream::connect(to)).await.map_err(late)??;
        let ends = (tcp.local_addr()?, tcp.peer_addr()?);
        self.opened += 1;
        let stream = self.opened * 3 + 2;
        let outbox = serve(tcp, stream, ends, self.events.clone(), &mut self.tasks);
        self.enter(stream, outbox, ends);
        Ok(stream)
    }

    /// Sends; gives the two ends, and what carries the message.
    pub(super) async fn send(
        &self,
        way: Way,
        bytes: Bytes,
    ) -> io::Result<((SocketAddr, SocketAddr), Transport)> {
        match way {
            Way::Datagram(to) => {
                self.udp.send_to(&bytes, to).await?;
                Ok(((self.sip, to), Transport::Udp))
            }
            Way::Stream(stream) => {
                let gone = || io::Error::new(io::ErrorKind::NotConnected, "the stream has closed");
                let (outbox, ends) = self.streams.get(&stream).ok_or_else(gone)?;
                outbox.send(bytes).await.map_err(|_| gone())?;
                Ok((*ends, Transport::Tcp))
            }
        }
    }
}

/// Binds UDP and TCP to one port.
async fn bind_both(address: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    let mut last = None;
    for _ in 0..TRIES {
        let udp = UdpSocket::bind(address).await?;
        match TcpListener::bind(udp.local_addr()?).await {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::other("no port")))
}

async fn read_datagrams(udp: Arc<UdpSocket>, local: SocketAddr, events: Sender<Event>) {
    let mut datagram = vec![0; 65_536];
    // On some systems an error tells of an earlier datagram that found nobody.
    let mut errors = 0;
    while errors < MAX_ERRORS {
        let Ok((length, from)) = udp.recv_from(&mut datagram).await else {
            errors += 1;
            continue;
        };
        let bytes = Bytes::copy_from_slice(&datagram[..length]);
        if bytes.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let event = Event::Heard {
            protocol: Protocol::Sip,
            bytes,
            way: Way::Datagram(from),
            ends: (from, local),
            came: Instant::now(),
        };
        if events.send(event).await.is_err() {
            return;
        }
    }
}

async fn accept(listener: TcpListener, kind: usize, events: Sender<Event>) {
    let mut tasks = JoinSet::new();
    let mut errors = 0;
    for count in 0..MAX_STREAMS {
        // A connection that has gone before it was accepted is no reason to take no other.
        let (tcp, peer) = loop {
            match listener.accept().await {
                Ok(accepted) => break accepted,
                Err(_) if errors < MAX_ERRORS => errors += 1,
                Err(_) => return,
            }
        };
        let Ok(local) = tcp.local_addr() else { continue };
        let (stream, ends) = (count * 3 + kind, (local, peer));
        let outbox = serve(tcp, stream, ends, events.clone(), &mut tasks);
        if events.send(Event::Opened { stream, outbox, ends }).await.is_err() {
            return;
        }
    }
}

/// Reads and writes a stream until it ends; gives the way to write.
fn serve(
    tcp: TcpStream,
    stream: usize,
    (local, peer): (SocketAddr, SocketAddr),
    events: Sender<Event>,
    tasks: &mut JoinSet<()>,
) -> Sender<Bytes> {
    let (mut input, mut output) = tcp.into_split();
    let (outbox, mut waiting) = mpsc::channel::<Bytes>(QUEUE);
    tasks.spawn(async move {
        while let Some(bytes) = waiting.recv().await {
            if output.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    tasks.spawn(async move {
        let (mut framer, mut held) = (Framer::new(MAX_MESSAGE), BytesMut::new());
        loop {
            match framer.next(&held) {
                Cut::Need if held.len() > MAX_MESSAGE => return,
                Cut::Need => match input.read_buf(&mut held).await {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                },
                Cut::Noise(length) | Cut::TooLong(length) => held.advance(length),
                Cut::Message(protocol, length) => {
                    let bytes = held.split_to(length).freeze();
                    let way = Way::Stream(stream);
                    let (ends, came) = ((peer, local), Instant::now());
                    let event = Event::Heard { protocol, bytes, way, ends, came };
                    if events.send(event).await.is_err() {
                        return;
                    }
                }
            }
        }
    });
    outbox
}

/// Gives an address of this host that a peer may be told of.
pub(super) fn loopback(like: Option<SocketAddr>) -> SocketAddr {
    match like {
        Some(address) => address,
        None => SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 0),
    }
}

const TRIES: usize = 16;
const MAX_ERRORS: usize = 1000;
const MAX_STREAMS: usize = 10_000;
const MAX_MESSAGE: usize = 4 * 1024 * 1024;
const QUEUE: usize = 256;
