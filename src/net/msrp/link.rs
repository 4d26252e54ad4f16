//! The connection of one session, in whatever state it is.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::debug;

use super::MsrpSettings;
use super::dial::dial;
use super::hub::{self, Hub};
use super::line::Line;
use crate::digest::Fingerprint;
use crate::msrp::{Frame, Input, Kind, ParseError};
use crate::store::{MsrpArrival, MsrpPort, MsrpWay, Sessions};

/// Where a connection goes.
#[derive(Debug, Clone)]
pub struct Reach {
    /// A name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether under TLS.
    pub secure: bool,
    /// The fingerprints of which the certificate there has to have one; without any, somebody has
    /// to vouch for it.
    pub fingerprints: Vec<Fingerprint>,
}

/// The connection of one session, in whatever state it is.
#[derive(Debug)]
pub struct MsrpLink {
    settings: Arc<MsrpSettings>,
    sessions: Arc<Sessions>,
    session_id: String,
    state: LinkState,
    /// The connection is closed once all is written.
    closing: bool,
}

#[derive(Debug)]
enum LinkState {
    Absent,
    Connecting(JoinHandle<io::Result<Line>>),
    Open(Box<Line>),
    Shared(Shared),
}

/// A part in a connection that others have a part in, too.
#[derive(Debug)]
struct Shared {
    port: MsrpPort,
    /// What the hub has no room for yet.
    backlog: VecDeque<Bytes>,
    bytes: usize,
}

impl MsrpLink {
    /// Makes a link that has no connection yet, for the session with that session-id.
    #[must_use]
    pub fn new(
        settings: impl Into<Arc<MsrpSettings>>,
        sessions: Arc<Sessions>,
        session_id: &str,
    ) -> Self {
        let (settings, state) = (settings.into(), LinkState::Absent);
        let session_id = session_id.to_owned();
        Self { settings, sessions, session_id, state, closing: false }
    }

    /// Starts to open a connection.
    pub fn connect(&mut self, reach: Reach) {
        self.close();
        let dialling = tokio::spawn(dial(reach, Arc::clone(&self.settings)));
        self.state = LinkState::Connecting(dialling);
    }

    /// Takes over an accepted connection and gives the frame that has named the session, unless the
    /// session has a connection already (RFC 4975 section 7.3.1).
    pub fn adopt(&mut self, arrival: MsrpArrival) -> Option<Frame> {
        let MsrpArrival { first, shown, way } = arrival;
        let is_free = match &self.state {
            LinkState::Absent | LinkState::Connecting(_) => true,
            LinkState::Open(_) | LinkState::Shared(_) => false,
        };
        match way {
            MsrpWay::Own(connection) => {
                let mut line = Box::new(Line::resume(*connection, shown));
                if !is_free {
                    line.answer(&first, 506);
                    // What does not fit its empty send buffer is not worth waiting for.
                    drop(line.try_flush());
                    return None;
                }
                self.close();
                self.state = LinkState::Open(line);
            }
            MsrpWay::Shared(port) => {
                if !is_free {
                    if let Some(answer) = first.answer(506) {
                        let mut bytes = BytesMut::new();
                        answer.write(&mut bytes);
                        // A peer that does not read its answers misses this one.
                        drop(port.frames.try_send(bytes.freeze()));
                    }
                    return None;
                }
                self.close();
                let shared = Shared { port, backlog: VecDeque::new(), bytes: 0 };
                self.state = LinkState::Shared(shared);
            }
        }
        Some(first)
    }

    /// Tells whether there is a connection.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match &self.state {
            LinkState::Absent | LinkState::Connecting(_) => false,
            LinkState::Open(_) | LinkState::Shared(_) => true,
        }
    }

    /// Queues a frame; it leaves while [`MsrpLink::next`] is awaited.
    pub fn write(&mut self, frame: Bytes) {
        match &mut self.state {
            LinkState::Open(line) => line.push(frame),
            LinkState::Shared(shared) => shared.push(frame),
            LinkState::Absent | LinkState::Connecting(_) => {}
        }
    }

    /// Queues one frame in parts, of which none is copied where the connection is the session's own.
    pub fn write_parts(&mut self, parts: [Bytes; 3]) {
        match &mut self.state {
            LinkState::Open(line) => line.push_parts(parts),
            // Frames of others go between those that are handed to a hub.
            LinkState::Shared(shared) => shared.push(parts.concat().into()),
            LinkState::Absent | LinkState::Connecting(_) => {}
        }
    }

    /// Closes the connection once what waits has left.
    pub fn close_when_flushed(&mut self) {
        let is_done = match &mut self.state {
            LinkState::Open(line) => line.try_flush().unwrap_or(true),
            LinkState::Shared(shared) => shared.backlog.is_empty(),
            LinkState::Absent | LinkState::Connecting(_) => true,
        };
        if is_done {
            self.close();
        } else {
            self.closing = true;
        }
    }

    /// Drops the connection and all that waits on it.
    pub fn close(&mut self) {
        if let LinkState::Connecting(dialling) = &self.state {
            dialling.abort();
        }
        self.state = LinkState::Absent;
        self.closing = false;
    }

    /// Gives what has come with the bytes of an earlier event, without waiting: to be asked until
    /// nothing is left, so that all answers leave together.
    #[inline]
    pub fn buffered(&mut self) -> Option<Input> {
        let line = match &mut self.state {
            LinkState::Open(line) => line,
            LinkState::Shared(shared) => return shared.buffered(),
            LinkState::Absent | LinkState::Connecting(_) => return None,
        };
        match line.parsed()? {
            Ok(frame) if self.is_for_another(&frame) => {
                self.share(frame);
                None
            }
            Ok(frame) => Some(Input::Frame(frame)),
            Err(why) => Some(Input::Malformed(why)),
        }
    }

    /// Moves bytes until something happens. Cancel safe: nothing is lost when it is dropped.
    pub async fn next(&mut self) -> Input {
        loop {
            if let Some(event) = self.buffered() {
                return event;
            }
            let closing = self.closing;
            let (moved, event) = match &mut self.state {
                LinkState::Absent => std::future::pending().await,
                LinkState::Connecting(dialling) => match dialling.await {
                    Ok(Ok(line)) => {
                        self.state = LinkState::Open(Box::new(line));
                        return Input::Connected;
                    }
                    Ok(Err(error)) => (Err(error), None),
                    Err(_) => (Err(io::ErrorKind::Interrupted.into()), None),
                },
                LinkState::Open(line) if closing => (
                    line.flush().await.and_then(|()| Err(io::ErrorKind::ConnectionAborted.into())),
                    None,
                ),
                LinkState::Open(line) => (line.transfer().await, None),
                // In a box, because hardly any link has to have room for it.
                LinkState::Shared(shared) => Box::pin(shared.transfer(closing)).await,
            };
            if let Err(error) = moved {
                debug!(session = self.session_id, %error, "no MSRP connection");
                self.close();
                return Input::Closed;
            }
            if let Some(event) = event {
                return event;
            }
        }
    }

    /// Tells whether a request names another session of ours (RFC 4975 section 7.3).
    fn is_for_another(&self, frame: &Frame) -> bool {
        let Kind::Request(_) = &frame.kind else { return false };
        let named = frame.to_path.first();
        frame.to_path.hops() == 1
            && !named.is_of_session(&self.session_id)
            && named.session_id().is_some_and(|it| self.sessions.msrp_session(it).is_some())
    }

    /// Leaves the connection to a hub, and takes part in it like the session that `frame` names.
    fn share(&mut self, frame: Frame) {
        let LinkState::Open(line) = std::mem::replace(&mut self.state, LinkState::Absent) else {
            return;
        };
        debug!(session = self.session_id, "the MSRP connection is shared from now on");
        let (frames, outgoing) = mpsc::channel(hub::OUTGOING);
        let (news_in, news) = mpsc::channel(hub::INCOMING);
        let members = HashMap::from([(self.session_id.clone(), news_in)]);
        let sessions = Arc::clone(&self.sessions);
        let hub = Hub::new(*line, (frames.downgrade(), outgoing), members, sessions);
        tokio::spawn(hub.run(frame));
        let port = MsrpPort { news, frames };
        self.state = LinkState::Shared(Shared { port, backlog: VecDeque::new(), bytes: 0 });
    }
}

impl Drop for MsrpLink {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn push(&mut self, frame: Bytes) {
        if !self.backlog.is_empty() {
            return self.wait(frame);
        }
        match self.port.frames.try_send(frame) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(frame)) => self.wait(frame),
            // The connection is gone, as the next event tells.
            Err(mpsc::error::TrySendError::Closed(_)) => {}
        }
    }

    fn wait(&mut self, frame: Bytes) {
        self.bytes += frame.len();
        self.backlog.push_back(frame);
    }

    fn is_congested(&self) -> bool {
        self.bytes > BACKLOG
    }

    fn buffered(&mut self) -> Option<Input> {
        if self.is_congested() {
            return None;
        }
        self.port.news.try_recv().ok().map(input_of)
    }

    /// Hands the backlog on as there is room, and waits for news while there is not too much of it.
    async fn transfer(&mut self, closing: bool) -> (io::Result<()>, Option<Input>) {
        let gone = || (Err(io::ErrorKind::ConnectionAborted.into()), None);
        if closing && self.backlog.is_empty() {
            return gone();
        }
        let is_congested = self.is_congested();
        tokio::select! {
            biased;
            room = self.port.frames.reserve(), if !self.backlog.is_empty() => {
                let (Ok(room), Some(frame)) = (room, self.backlog.pop_front()) else {
                    return gone();
                };
                self.bytes -= frame.len();
                room.send(frame);
                (Ok(()), None)
            }
            news = self.port.news.recv(), if !closing && !is_congested => match news {
                Some(news) => (Ok(()), Some(input_of(news))),
                None => gone(),
            },
        }
    }
}

fn input_of(news: Result<Box<Frame>, ParseError>) -> Input {
    match news {
        Ok(frame) => Input::Frame(*frame),
        Err(why) => Input::Malformed(why),
    }
}

/// How many bytes may wait for a hub before its news does.
const BACKLOG: usize = 256 * 1024;
