//! Several sessions on one connection (RFC 4975 section 5.4): the task that owns it.
//!
//! Each session has a queue of its own for what comes, and one queue is shared by what leaves. A
//! session that does not empty its queue in time is cut off, so that no other waits for it longer.
//! The connection is closed when the last session has left it.

use std::collections::HashMap;
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

type News = Result<Frame, ParseError>;

/// A connection with the sessions that have a part in it.
pub(super) struct Hub {
    line: Line,
    /// Where new parts come from; the parts alone keep the queue open.
    frames: mpsc::WeakSender<Bytes>,
    outgoing: mpsc::Receiver<Bytes>,
    members: HashMap<String, mpsc::Sender<News>>,
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
        Self { line, frames, outgoing, members, sessions }
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
            let is_free = !self.line.is_congested();
            tokio::select! {
                frame = self.outgoing.recv(), if is_free => match frame {
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
        let Some(frame) = self.deliver(&named, Ok(frame)).await else { return };
        let Ok(frame) = frame else { return };
        let inbox = self.sessions.msrp_session(&named);
        let frames = self.frames.upgrade().filter(|_| self.members.len() < MEMBERS);
        let (Kind::Request(_), Some(inbox), Some(frames)) = (&frame.kind, inbox, frames) else {
            return self.line.answer(&frame, 481);
        };
        let (news_in, news) = mpsc::channel(INCOMING);
        let way = MsrpWay::Shared(MsrpPort { news, frames });
        let arrival = MsrpArrival { first: frame, shown: self.line.shown.clone(), way };
        match timeout(PATIENCE, inbox.deliver(Letter::Msrp(Box::new(arrival)))).await {
            Ok(Ok(())) => {
                self.members.insert(named, news_in);
            }
            Ok(Err(_)) | Err(_) => debug!(session = named, "the session takes no connection"),
        }
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
            Err(_) => {
                warn!(session = named, "a session does not take its frames, cut off");
                self.members.remove(named);
            }
        }
        None
    }

    /// Gives a bad frame to the session that it names, or to all what ends the connection.
    async fn complain(&mut self, why: ParseError) {
        match &why {
            ParseError::Frame(bad) => {
                let named = bad.to_path.as_ref().and_then(|path| path.first().session_id());
                let named = named.unwrap_or_default().to_owned();
                let refusal = bad.answer(None);
                if self.deliver(&named, Err(why)).await.is_some()
                    && let Some(refusal) = refusal
                {
                    let mut bytes = bytes::BytesMut::new();
                    refusal.write(&mut bytes);
                    self.line.push(bytes.freeze());
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
/// How many sessions share a connection.
const MEMBERS: usize = 1024;
