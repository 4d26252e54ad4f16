//! The directory of open SIP connections: peer address to the queue of its writer.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use dashmap::DashMap;
use tokio::sync::mpsc;

use crate::sip::Transport;

/// What waits for a connection's writer.
pub struct Outgoing {
    /// The bytes of one message.
    pub bytes: Bytes,
    /// Called when they cannot be sent.
    pub on_failure: OnFailure,
    /// Which connections may carry it.
    pub way: Way,
}

/// Which connections may carry a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// The one that the request came on, which this message answers; none is opened for it.
    Back,
    /// One to this host, which a TLS peer must have proved to be; opened where there is none.
    To(Box<str>),
}

/// How a message has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// It has not left, or not as a whole: it may be sent elsewhere.
    Unsent,
    /// It has left, and its connection has died before the final response: nobody knows whether it
    /// has arrived.
    Unanswered,
}

/// What is to be done when a message cannot be sent.
pub struct OnFailure(Box<dyn FnOnce(Failure) + Send>);

impl OnFailure {
    /// Wraps what is to be done, however the message has failed.
    pub fn new(act: impl FnOnce() + Send + 'static) -> Self {
        Self::told(|_| act())
    }

    /// Wraps what is to be done.
    pub fn told(act: impl FnOnce(Failure) + Send + 'static) -> Self {
        Self(Box::new(act))
    }

    /// Does nothing.
    #[must_use]
    pub fn ignore() -> Self {
        Self::new(|| {})
    }

    /// Does it for a message that has not left.
    pub fn call(self) {
        self.tell(Failure::Unsent);
    }

    /// Does it.
    pub fn tell(self, failure: Failure) {
        (self.0)(failure);
    }
}

/// One end of a connection, as connections are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// The transport.
    pub transport: Transport,
    /// The address of the peer; IPv4 never in the guise of IPv6.
    pub peer: SocketAddr,
}

impl Place {
    /// The place of a peer.
    #[must_use]
    pub fn new(transport: Transport, peer: SocketAddr) -> Self {
        Self { transport, peer: SocketAddr::new(peer.ip().to_canonical(), peer.port()) }
    }
}

/// What a peer has proved to be.
pub trait Proof: Debug + Send + Sync {
    /// Tells whether it has proved to be `host`.
    fn covers(&self, host: &str) -> bool;
}

/// A connection as others use it.
#[derive(Debug, Clone)]
pub struct Line {
    /// The queue of its writer.
    pub queue: mpsc::Sender<Outgoing>,
    /// Who the peer is, where the transport can show it; without, any host will do.
    pub proof: Option<Arc<dyn Proof>>,
}

impl Line {
    fn takes(&self, way: &Way) -> bool {
        match (way, &self.proof) {
            (Way::Back, _) | (Way::To(_), None) => true,
            (Way::To(host), Some(proof)) => proof.covers(host),
        }
    }
}

/// The number of a connection in the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineId(u64);

/// The open connections, by the address of the peer.
#[derive(Debug, Default)]
pub struct Connections {
    /// Several only where peers at one address have proved to be several.
    by_place: DashMap<Place, Vec<(LineId, Line)>>,
    /// By the address that the peer claims to be reached at (RFC 5923).
    by_alias: DashMap<Place, (LineId, Line)>,
    next: AtomicU64,
}

impl Connections {
    /// Queues a message on a connection to `place`, or gives it back where there is none.
    ///
    /// # Errors
    /// There is no connection to `place` that may carry it; one whose queue is full fails a request
    /// at once, and drops an answer.
    pub fn queue(&self, place: Place, outgoing: Outgoing) -> Result<(), Outgoing> {
        let Some(queue) = self.find(place, &outgoing.way) else { return Err(outgoing) };
        match queue.try_send(outgoing) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(outgoing)) => {
                // A peer that does not read its answers is not offered another connection.
                if outgoing.way != Way::Back {
                    outgoing.on_failure.call();
                }
                Ok(())
            }
            Err(mpsc::error::TrySendError::Closed(outgoing)) => Err(outgoing),
        }
    }

    /// Enters a connection that is about to be opened for `way`; `None` where there is a live one
    /// that may carry the same.
    pub fn enter(&self, place: Place, line: Line, way: &Way) -> Option<LineId> {
        let mut lines = self.by_place.entry(place).or_default();
        lines.retain(|(_, line)| !line.queue.is_closed());
        if lines.iter().any(|(_, line)| line.takes(way)) {
            return None;
        }
        let id = self.draw();
        lines.push((id, line));
        Some(id)
    }

    /// Enters an accepted connection; an older one from the same address was lost by the peer.
    pub fn accept(&self, place: Place, line: Line) -> LineId {
        let id = self.draw();
        self.by_place.insert(place, vec![(id, line)]);
        id
    }

    /// Enters a connection at the address that its peer claims, unless a live one was there first.
    pub fn alias(&self, place: Place, id: LineId, line: Line) {
        let mut there = self.by_alias.entry(place).or_insert_with(|| (id, line.clone()));
        if there.1.queue.is_closed() {
            *there = (id, line);
        }
    }

    /// Strikes out a connection, and the alias that it has.
    pub fn leave(&self, place: Place, id: LineId, alias: Option<Place>) {
        if let Some(mut lines) = self.by_place.get_mut(&place) {
            lines.retain(|(known, _)| *known != id);
        }
        self.by_place.remove_if(&place, |_, lines| lines.is_empty());
        if let Some(alias) = alias {
            self.by_alias.remove_if(&alias, |_, (known, _)| *known == id);
        }
    }

    /// Tells whether nothing is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_place.is_empty() && self.by_alias.is_empty()
    }

    fn find(&self, place: Place, way: &Way) -> Option<mpsc::Sender<Outgoing>> {
        let fits = |line: &Line| !line.queue.is_closed() && line.takes(way);
        let direct = self.by_place.get(&place).and_then(|lines| {
            lines.iter().find(|(_, line)| fits(line)).map(|(_, line)| line.queue.clone())
        });
        direct.or_else(|| match way {
            Way::Back => None,
            Way::To(_) => {
                let alias = self.by_alias.get(&place)?;
                fits(&alias.1).then(|| alias.1.queue.clone())
            }
        })
    }

    fn draw(&self) -> LineId {
        LineId(self.next.fetch_add(1, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[derive(Debug)]
    struct Only(&'static str);

    impl Proof for Only {
        fn covers(&self, host: &str) -> bool {
            self.0 == host
        }
    }

    fn line(proof: Option<&'static str>) -> (Line, mpsc::Receiver<Outgoing>) {
        let (queue, waiting) = mpsc::channel(1);
        let proof = proof.map(|host| -> Arc<dyn Proof> { Arc::new(Only(host)) });
        (Line { queue, proof }, waiting)
    }

    fn place(transport: Transport, peer: &str) -> Place {
        Place::new(transport, peer.parse().unwrap())
    }

    fn to(host: &str) -> Way {
        Way::To(host.into())
    }

    fn give(connections: &Connections, place: Place, way: Way) -> bool {
        let outgoing = Outgoing { bytes: Bytes::new(), on_failure: OnFailure::ignore(), way };
        connections.queue(place, outgoing).is_ok()
    }

    #[test]
    fn a_connection_is_found_by_transport_and_address() {
        let connections = Connections::default();
        let tcp = place(Transport::Tcp, "192.0.2.1:5060");
        let (line, mut waiting) = line(None);
        let id = connections.enter(tcp, line.clone(), &to("a")).unwrap();
        assert_eq!(connections.enter(tcp, line, &to("b")), None, "there is one");
        assert!(give(&connections, place(Transport::Tcp, "[::ffff:192.0.2.1]:5060"), to("a")));
        assert!(waiting.try_recv().is_ok());
        assert!(!give(&connections, place(Transport::Tls, "192.0.2.1:5060"), to("a")));
        assert!(!give(&connections, place(Transport::Tcp, "192.0.2.1:5061"), to("a")));
        connections.leave(tcp, id, None);
        assert!(!give(&connections, tcp, to("a")) && connections.is_empty());
    }

    #[test]
    fn peers_at_one_address_are_told_apart_by_what_they_proved() {
        let connections = Connections::default();
        let tls = place(Transport::Tls, "192.0.2.1:5061");
        let ((one, mut first), (two, mut second)) = (line(Some("one")), line(Some("two")));
        assert!(connections.enter(tls, one, &to("one")).is_some());
        assert!(!give(&connections, tls, to("two")), "RFC 5923 section 9.3");
        assert!(connections.enter(tls, two, &to("two")).is_some());
        assert!(give(&connections, tls, to("two")) && second.try_recv().is_ok());
        assert!(give(&connections, tls, Way::Back) && first.try_recv().is_ok());
    }

    #[test]
    fn an_alias_carries_requests_until_its_connection_is_gone() {
        let connections = Connections::default();
        let (source, claimed) =
            (place(Transport::Tls, "192.0.2.1:40000"), place(Transport::Tls, "192.0.2.1:5061"));
        let (line, mut waiting) = line(Some("one"));
        let id = connections.accept(source, line.clone());
        connections.alias(claimed, id, line);
        assert!(!give(&connections, claimed, to("two")));
        assert!(give(&connections, claimed, to("one")) && waiting.try_recv().is_ok());
        assert!(!give(&connections, claimed, Way::Back), "no request came from there");
        connections.leave(source, id, Some(claimed));
        assert!(!give(&connections, claimed, to("one")) && connections.is_empty());
    }

    #[test]
    fn an_alias_is_taken_from_the_dead_only() {
        let connections = Connections::default();
        let claimed = place(Transport::Tcp, "192.0.2.1:5060");
        let ((one, mut first), (two, mut second)) = (line(None), line(None));
        let first_id = connections.accept(place(Transport::Tcp, "192.0.2.1:1"), one.clone());
        let second_id = connections.accept(place(Transport::Tcp, "192.0.2.1:2"), two.clone());
        connections.alias(claimed, first_id, one);
        connections.alias(claimed, second_id, two.clone());
        assert!(give(&connections, claimed, to("a")) && first.try_recv().is_ok());
        drop(first);
        connections.alias(claimed, second_id, two);
        assert!(give(&connections, claimed, to("a")) && second.try_recv().is_ok());
    }

    #[test]
    fn a_full_queue_fails_the_message_at_once() {
        let connections = Connections::default();
        let tcp = place(Transport::Tcp, "192.0.2.1:5060");
        let (line, _waiting) = line(None);
        connections.accept(tcp, line);
        assert!(give(&connections, tcp, to("a")));
        let told = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&told);
        let on_failure = OnFailure::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let outgoing = Outgoing { bytes: Bytes::new(), on_failure, way: to("a") };
        assert!(connections.queue(tcp, outgoing).is_ok());
        assert_eq!(told.load(Ordering::Relaxed), 1);
    }
}
