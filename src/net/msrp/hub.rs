//! Several sessions on one connection (RFC 4975 section 5.4): the task that owns it.
//!
//! Each session has a queue of its own for what comes, and one queue is shared by what leaves. A
//! session that does not empty its queue in time is cut off, so that no other waits for it longer,
//! and none waits for it twice. The connection is closed when the last session has left it, or when
//! its peer takes nothing any more.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::{debug, warn};

use super::line::Line;
use crate::msrp::{Frame, Kind, ParseError};
use crate::store::{Letter, MsrpArrival, MsrpPort, MsrpWay, Sessions};

/// How many frames wait for one session.
pub(super) const INCOMING: usize = 64;
/// How many frames of all sessions wait to leave.
pub(super) const OUTGOING: usize = 256;

type News = Result<Box<Frame>, ParseError>;

/// A connection with the sessions that have a part in it.
pub(super) struct Hub {
    line: Line,
    /// Where new parts come from; the parts alone keep the queue open.
    frames: mpsc::WeakSender<Bytes>,
    outgoing: mpsc::Receiver<Bytes>,
    members: HashMap<String, mpsc::Sender<News>>,
    /// Sessions that have kept the others waiting: they have no part in the connection any more.
    cut_off: HashSet<String>,
    sessions: Arc<Sessions>,
}

impl Hub {
    /// Takes over a connection.
    pub(super) fn new(
        line: Line,
        (frames, outgoing): (mpsc::WeakSender<Bytes>, mpsc::Receiver<Bytes>),
        members: HashMap<String, mpsc::Sender<News>>,
        sessions: Arc<Sessions>,
    ) -> Self {
        Self { line, frames, outgoing, members, cut_off: HashSet::new(), sessions }
    }

    /// Routes `first` and all that comes, until the connection is broken or nobody needs it.
    pub(super) async fn run(mut self, first: Frame) {
        self.route(first).await;
        loop {
            while let Some(news) = self.line.parsed() {
                match news {
                    Ok(frame) => self.route(frame).await,
                    Err(why) => self.complain(why).await,
                }
            }
            if self.line.is_congested() {
                match timeout(STANDSTILL, self.line.relieve()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return debug!(%error, "a shared MSRP connection is gone"),
                    Err(_) => return warn!("the peer of a shared MSRP connection takes nothing"),
                }
            }
            tokio::select! {
                frame = self.outgoing.recv() => match frame {
                    Some(frame) => self.take(frame),
                    None => return self.finish().await,
                },
                moved = self.line.transfer() => if let Err(error) = moved {
                    return debug!(%error, "a shared MSRP connection is gone");
                },
            }
        }
    }

    /// Queues what leaves, all that is there in one go.
    fn take(&mut self, frame: Bytes) {
        self.line.push(frame);
        while !self.line.is_congested()
            && let Ok(frame) = self.outgoing.try_recv()
        {
            self.line.push(frame);
        }
    }

    /// Gives a frame to the session that it names: one that has a part in the connection, or one
    /// that gets one.
    async fn route(&mut self, frame: Frame) {
        let named = frame.to_path.first().session_id().unwrap_or_default().to_owned();
        let Some(frame) = self.deliver(&named, Ok(Box::new(frame))).await else { return };
        let Ok(frame) = frame else { return };
        // Places of sessions that have left are found out only here or with a frame for them.
        if self.members.len() >= MEMBERS {
            self.members.retain(|_, member| !member.is_closed());
        }
        let has_room = self.members.len() < MEMBERS && !self.cut_off.contains(&named);
        let inbox = self.sessions.msrp_session(&named).filter(|_| has_room);
        let (Kind::Request(_), Some(inbox), Some(frames)) =
            (&frame.kind, inbox, self.frames.upgrade())
        else {
            return self.line.answer(&frame, 481);
        };
        let (news_in, news) = mpsc::channel(INCOMING);
        let way = MsrpWay::Shared(MsrpPort { news, frames });
        let arrival = MsrpArrival { first: *frame, shown: self.line.shown.clone(), way };
        match timeout(PATIENCE, inbox.deliver(Letter::Msrp(Box::new(arrival)))).await {
            Ok(Ok(())) => {
                self.members.insert(named, news_in);
            }
            Ok(Err(_)) => debug!(session = named, "the session is gone"),
            Err(_) => self.cut_off(named),
        }
    }

    /// Lets nobody wait for a session again.
    fn cut_off(&mut self, named: String) {
        warn!(session = named, "a session does not take its frames, cut off");
        self.members.remove(&named);
        if self.cut_off.len() >= MEMBERS {
            self.cut_off.clear();
        }
        self.cut_off.insert(named);
    }

    /// Gives news to a member; gives them back where there is none of that name.
    async fn deliver(&mut self, named: &str, news: News) -> Option<News> {
        let Some(member) = self.members.get(named) else { return Some(news) };
        let news = match member.try_send(news) {
            Ok(()) => return None,
            Err(mpsc::error::TrySendError::Closed(news)) => {
                self.members.remove(named);
                return Some(news);
            }
            Err(mpsc::error::TrySendError::Full(news)) => news,
        };
        match timeout(PATIENCE, member.send(news)).await {
            Ok(Ok(())) => {}
            Ok(Err(mpsc::error::SendError(news))) => {
                self.members.remove(named);
                return Some(news);
            }
            Err(_) => self.cut_off(named.to_owned()),
        }
        None
    }

    /// Gives a bad frame to the session that it names, or to all what ends the connection.
    async fn complain(&mut self, why: ParseError) {
        match &why {
            ParseError::Frame(bad) => {
                let named = bad.to_path.as_ref().and_then(|path| path.first().session_id());
                let named = named.unwrap_or_default().to_owned();
                if let Some(Err(why)) = self.deliver(&named, Err(why)).await {
                    self.line.refuse(&why);
                }
            }
            ParseError::Stream(_) => {
                let all: Vec<String> = self.members.keys().cloned().collect();
                for named in all {
                    self.deliver(&named, Err(why.clone())).await;
                }
            }
        }
    }

    /// Writes what the last one has left behind.
    async fn finish(mut self) {
        match timeout(PATIENCE, self.line.flush()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => debug!("a shared MSRP connection ends before all is written"),
        }
    }
}

/// How long the others wait for one session.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a peer may leave what is written to it where it is: as long as a response may take.
const STANDSTILL: Duration = Duration::from_secs(30);
/// How many sessions share a connection.
const MEMBERS: usize = 1024;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io;
    use std::sync::Mutex;
    use std::task::{Context, Poll};

    use bytes::BytesMut;
    use tokio::time::Instant;

    use super::*;
    use crate::bridge::Shown;
    use crate::msrp::{Limits, Method, Path, TransactionId};
    use crate::store::{Bounds, Inbox, MsrpWire};

    /// A connection on which nothing comes, and nothing leaves before it was asked so often.
    #[derive(Debug)]
    struct Slow {
        refusals: u32,
        queued: usize,
        written: Arc<Mutex<usize>>,
    }

    impl MsrpWire for Slow {
        fn poll_read(
            &mut self,
            _cx: &mut Context<'_>,
            _into: &mut BytesMut,
        ) -> Poll<io::Result<usize>> {
            Poll::Pending
        }

        fn push(&mut self, frame: Bytes) {
            self.queued += frame.len();
        }

        fn waiting(&self) -> usize {
            self.queued
        }

        fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            if self.queued > 0 && self.refusals > 0 {
                if self.refusals < u32::MAX {
                    self.refusals -= 1;
                    cx.waker().wake_by_ref();
                }
                return Poll::Pending;
            }
            *self.written.lock().unwrap() += std::mem::take(&mut self.queued);
            Poll::Ready(Ok(()))
        }
    }

    struct Stage {
        hub: Hub,
        frames: mpsc::Sender<Bytes>,
        written: Arc<Mutex<usize>>,
        sessions: Arc<Sessions>,
    }

    fn stage(refusals: u32) -> Stage {
        let written = Arc::default();
        let wire = Slow { refusals, queued: 0, written: Arc::clone(&written) };
        let line = Line::new(Box::new(wire), &Limits::default().into(), Shown::default());
        let (frames, outgoing) = mpsc::channel(OUTGOING);
        let sessions = Arc::new(Sessions::new(Bounds::default()).0);
        let ends = (frames.downgrade(), outgoing);
        let hub = Hub::new(line, ends, HashMap::new(), Arc::clone(&sessions));
        Stage { hub, frames, written, sessions }
    }

    fn frame(session: &str) -> Frame {
        let path = |text: &str| Path::parse(text).unwrap();
        let (to, from) = (format!("msrp://a:1/{session};tcp"), "msrp://b:2/p;tcp");
        let tid = TransactionId::new("tid1").unwrap();
        Frame::request(Method::Report, tid, path(&to), path(from))
    }

    fn large() -> Bytes {
        Bytes::from(vec![b'x'; 300_000])
    }

    #[tokio::test(start_paused = true)]
    async fn m13_a_peer_that_takes_nothing_does_not_keep_the_connection() {
        let Stage { hub, frames, .. } = stage(u32::MAX);
        for _ in 0..3 {
            frames.send(large()).await.unwrap();
        }
        drop(frames);
        timeout(2 * STANDSTILL, hub.run(frame("nobody"))).await.unwrap();
    }

    /// What waits behind a full connection leaves once there is room, though the peer is silent.
    #[tokio::test(start_paused = true)]
    async fn m13_what_waits_leaves_when_there_is_room() {
        let Stage { hub, frames, written, .. } = stage(3);
        for _ in 0..3 {
            frames.send(large()).await.unwrap();
        }
        assert!(timeout(PATIENCE, hub.run(frame("nobody"))).await.is_err(), "it goes on");
        assert_eq!(*written.lock().unwrap(), 900_000);
        drop(frames);
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_that_have_left_take_no_room() {
        let Stage { mut hub, frames, sessions, .. } = stage(0);
        for at in 0..MEMBERS {
            hub.members.insert(format!("gone-{at}"), mpsc::channel(1).0);
        }
        let (inbox, mut letters) = Inbox::new(1);
        sessions.route_msrp("s", inbox);
        hub.route(frame("s")).await;
        assert!(matches!(letters.try_recv(), Some(Letter::Msrp(_))));
        assert_eq!(hub.members.len(), 1);
        drop(frames);
    }

    #[tokio::test(start_paused = true)]
    async fn m13_nobody_waits_for_one_session_twice() {
        let Stage { mut hub, frames, sessions, .. } = stage(0);
        let (inbox, mut letters) = Inbox::new(1);
        sessions.route_msrp("s", inbox);
        let began = Instant::now();
        // One letter and a queue of frames find room, and the next one is waited for.
        for _ in 0..3 * INCOMING {
            hub.route(frame("s")).await;
        }
        assert_eq!(began.elapsed(), PATIENCE);
        assert!(matches!(letters.try_recv(), Some(Letter::Msrp(_))));
        let other = Inbox::new(1);
        sessions.route_msrp("full", other.0.clone());
        other.0.offer(Letter::Stop).ok().unwrap();
        for _ in 0..3 {
            hub.route(frame("full")).await;
        }
        assert_eq!(began.elapsed(), 2 * PATIENCE);
        drop(frames);
    }
}
