//! The directory of open SIP connections: peer address to the queue of its writer.

use std::net::SocketAddr;

use bytes::Bytes;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use tokio::sync::mpsc;

/// What waits for a connection's writer.
pub struct Outgoing {
    /// The bytes of one message.
    pub bytes: Bytes,
    /// Called when they cannot be sent.
    pub on_failure: OnFailure,
}

/// What is to be done when a message cannot be sent.
pub struct OnFailure(Box<dyn FnOnce() + Send>);

impl OnFailure {
    /// Wraps what is to be done.
    pub fn new(act: impl FnOnce() + Send + 'static) -> Self {
        Self(Box::new(act))
    }

    /// Does nothing.
    #[must_use]
    pub fn ignore() -> Self {
        Self::new(|| {})
    }

    /// Does it.
    pub fn call(self) {
        (self.0)();
    }
}

/// The open connections, by the address of the peer.
#[derive(Debug, Default)]
pub struct Connections {
    by_peer: DashMap<SocketAddr, mpsc::Sender<Outgoing>>,
}

impl Connections {
    /// Queues a message on the connection to `peer`, or gives it back where there is none.
    ///
    /// # Errors
    /// There is no connection to `peer` yet; one whose queue is full fails the message.
    pub fn queue(&self, peer: SocketAddr, outgoing: Outgoing) -> Result<(), Outgoing> {
        let Some(queue) = self.by_peer.get(&peer).map(|queue| queue.clone()) else {
            return Err(outgoing);
        };
        match queue.try_send(outgoing) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(outgoing)) => {
                outgoing.on_failure.call();
                Ok(())
            }
            Err(mpsc::error::TrySendError::Closed(outgoing)) => {
                self.by_peer.remove_if(&peer, |_, queue| queue.is_closed());
                Err(outgoing)
            }
        }
    }

    /// Enters a connection; `false` where there is a live one to the same peer.
    pub fn enter(&self, peer: SocketAddr, queue: mpsc::Sender<Outgoing>) -> bool {
        match self.by_peer.entry(peer) {
            Entry::Occupied(mut slot) if slot.get().is_closed() => {
                slot.insert(queue);
                true
            }
            Entry::Occupied(_) => false,
            Entry::Vacant(slot) => {
                slot.insert(queue);
                true
            }
        }
    }

    /// Enters an accepted connection; an older one from the same address was lost by the peer.
    pub fn replace(&self, peer: SocketAddr, queue: mpsc::Sender<Outgoing>) {
        self.by_peer.insert(peer, queue);
    }

    /// Strikes out the connection to `peer` whose queue is closed.
    pub fn leave(&self, peer: SocketAddr) {
        self.by_peer.remove_if(&peer, |_, queue| queue.is_closed());
    }

    /// Tells how many connections are open.
    #[must_use]
    pub fn count(&self) -> usize {
        self.by_peer.len()
    }
}
