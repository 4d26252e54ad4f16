//! A connection as the HTTP library sees it: nothing of it that the [`Intake`] has not let pass, and
//! nobody who is too slow.

use std::any::Any;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::intake::{Awaited, HeadLimits, Intake, Refused, Step};

/// How long a client may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For the head of a request; for the first one, from the moment that it has connected.
    pub head: Duration,
    /// For the body of a request.
    pub body: Duration,
    /// For reading anything of what is written to it.
    pub write: Duration,
}

/// A connection behind its `Intake`.
pub struct Doorway<T> {
    io: T,
    intake: Intake,
    patience: Patience,
    /// What has come in and was not handed on.
    held: BytesMut,
    /// How much of that may be.
    ready: usize,
    /// How much was thrown away since a request was refused, if one was.
    refused: Option<usize>,
    /// What is awaited, if anything is.
    awaited: Option<Deadline>,
    /// When a client that does not read is given up.
    stalled: Option<Pin<Box<Sleep>>>,
    /// What lasts as long as the connection.
    _kept: Option<Box<dyn Any>>,
}

/// What has become of a client while it waited for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meanwhile {
    /// It has hung up, or will at least say nothing more.
    Ended,
    /// It has said as much as is held, or thrown away. Whether it hangs up then is not seen.
    Full,
}

/// The moment at which something is too late.
struct Deadline {
    what: Awaited,
    /// For which request of the connection.
    request: u64,
    late: Pin<Box<Sleep>>,
}

impl<T> Doorway<T> {
    /// Opens the doorway to a new connection.
    #[must_use]
    pub fn new(io: T, limits: HeadLimits, patience: Patience) -> Self {
        Self {
            io,
            intake: Intake::new(limits),
            patience,
            held: BytesMut::new(),
            ready: 0,
            refused: None,
            awaited: None,
            stalled: None,
            _kept: None,
        }
    }

    /// Keeps something until the connection is gone.
    #[must_use]
    pub fn keeping(self, kept: impl Any) -> Self {
        Self { _kept: Some(Box::new(kept)), ..self }
    }

    /// Judges what has come in.
    fn judge(&mut self) {
        loop {
            let rest = &self.held[self.ready..];
            match self.intake.step(rest) {
                Step::Pass(count) => self.ready += count,
                step @ (Step::More | Step::Refuse(_) | Step::Break) => return self.follow(step),
            }
        }
    }

    /// Does what was said of bytes that may not pass as they are.
    fn follow(&mut self, step: Step) {
        match step {
            Step::Pass(_) | Step::More => {}
            Step::Refuse(why) => self.refuse(why),
            // No body goes on like this, wherever it was: the library gives up on it.
            Step::Break => self.replace(b"\r!"),
        }
    }

    fn refuse(&mut self, why: Refused) {
        let substitute = why.substitute(&self.held[self.ready..]);
        self.replace(&substitute);
    }

    /// Puts something in the place of what may not pass, and of all that might follow.
    fn replace(&mut self, bytes: &[u8]) {
        self.held.truncate(self.ready);
        self.held.extend_from_slice(bytes);
        self.ready = self.held.len();
        self.refused = Some(0);
        self.awaited = None;
    }

    /// Hands on what may pass.
    fn hand_on(&mut self, out: &mut ReadBuf<'_>) {
        let count = self.ready.min(out.remaining());
        out.put_slice(&self.held[..count]);
        self.held.advance(count);
        self.ready -= count;
        if self.held.is_empty() {
            // An idle connection holds no memory.
            self.held = BytesMut::new();
        }
    }

    /// Tells what is overdue, if anything is.
    fn overdue(&mut self, cx: &mut Context<'_>) -> Option<Awaited> {
        let (what, request) = self.intake.awaited(self.held.len() - self.ready);
        let wait = match what {
            // Idle connections are the library's business.
            Awaited::Next => {
                self.awaited = None;
                return None;
            }
            Awaited::First | Awaited::Head => self.patience.head,
            Awaited::Body => self.patience.body,
        };
        let fresh = || {
            let late = Box::pin(sleep_until(Instant::now() + wait));
            Deadline { what, request, late }
        };
        let known = self.awaited.get_or_insert_with(fresh);
        // The first head may take no longer because some of it has come.
        let is_same = known.what == what || (known.what, what) == (Awaited::First, Awaited::Head);
        if !is_same || known.request != request {
            *known = fresh();
        }
        known.what = what;
        known.late.as_mut().poll(cx).is_ready().then_some(what)
    }
}

impl<T: AsyncRead + Unpin> Doorway<T> {
    /// Reads once; gives how many bytes have come.
    fn read_once(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [const { MaybeUninit::uninit() }; PORTION];
        let mut space = ReadBuf::uninit(&mut space);
        match Pin::new(&mut self.io).poll_read(cx, &mut space) {
            Poll::Ready(Ok(())) => {
                if self.refused.is_none() {
                    self.held.extend_from_slice(space.filled());
                }
                Poll::Ready(Ok(space.filled().len()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Reads once where nothing is held: what may pass goes straight to `out`, and what may not is
    /// held. Gives how many bytes have come.
    fn read_through(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let before = out.filled().len();
        if let Err(error) = ready!(Pin::new(&mut self.io).poll_read(cx, out)) {
            return Poll::Ready(Err(error));
        }
        let come = out.filled().len() - before;
        let mut passed = 0;
        while passed < come {
            match self.intake.step(&out.filled()[before + passed..]) {
                Step::Pass(count) => passed += count,
                step @ (Step::More | Step::Refuse(_) | Step::Break) => {
                    self.held.extend_from_slice(&out.filled()[before + passed..]);
                    self.follow(step);
                    break;
                }
            }
        }
        out.set_filled(before + passed);
        Poll::Ready(Ok(come))
    }

    /// Reads on, so that the answer to what was refused is not lost over what was not read
    /// (RFC 9112 section 9.6), but not without end.
    fn throw_away(&mut self, cx: &mut Context<'_>) {
        while let Some(thrown) = self.refused.filter(|thrown| *thrown < MOST_THROWN_AWAY) {
            match self.read_once(cx) {
                Poll::Ready(Ok(count @ 1..)) => self.refused = Some(thrown + count),
                Poll::Ready(Ok(_) | Err(_)) => self.refused = Some(MOST_THROWN_AWAY),
                Poll::Pending => return,
            }
        }
    }
}

/// For those who serve without the library.
impl<T: AsyncRead + Unpin> Doorway<T> {
    /// Waits until something may pass, and shows it; nothing where the connection is at its end.
    ///
    /// # Errors
    /// The connection is broken.
    pub async fn peek(&mut self) -> io::Result<Option<&[u8]>> {
        let is_open = poll_fn(|cx| self.poll_peek(cx)).await?;
        Ok(is_open.then(|| &self.held[..self.ready]))
    }

    /// Takes out what was peeked at, or the beginning of it.
    pub fn take(&mut self, count: usize) -> BytesMut {
        let count = count.min(self.ready);
        self.ready -= count;
        let taken = self.held.split_to(count);
        if self.held.is_empty() {
            self.held = BytesMut::new();
        }
        taken
    }

    /// Listens to a client that waits for an answer. What it says meanwhile is held, but not
    /// without end.
    pub fn poll_meanwhile(&mut self, cx: &mut Context<'_>) -> Poll<Meanwhile> {
        // Nothing is due from who waits for an answer.
        self.awaited = None;
        loop {
            let is_full = match self.refused {
                Some(thrown) => thrown >= MOST_THROWN_AWAY,
                None => self.held.len() >= PORTION,
            };
            if is_full {
                return Poll::Ready(Meanwhile::Full);
            }
            match (ready!(self.read_once(cx)), &mut self.refused) {
                (Ok(0) | Err(_), _) => return Poll::Ready(Meanwhile::Ended),
                (Ok(count), Some(thrown)) => *thrown += count,
                (Ok(_), None) => self.judge(),
            }
        }
    }

    fn poll_peek(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            if self.ready > 0 {
                return Poll::Ready(Ok(true));
            }
            if self.refused.is_some() {
                self.throw_away(cx);
                return Poll::Pending;
            }
            match self.read_once(cx)? {
                Poll::Ready(0) => return Poll::Ready(Ok(false)),
                Poll::Ready(_) => self.judge(),
                Poll::Pending => match self.overdue(cx) {
                    None => return Poll::Pending,
                    Some(Awaited::Head) => self.refuse(Refused::Slow),
                    Some(Awaited::First | Awaited::Next | Awaited::Body) => {
                        return Poll::Ready(Ok(false));
                    }
                },
            }
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Doorway<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.ready > 0 {
                this.hand_on(out);
                return Poll::Ready(Ok(()));
            }
            if this.refused.is_some() {
                this.throw_away(cx);
                return Poll::Pending;
            }
            let before = out.filled().len();
            let has_come = match this.held.is_empty() {
                true => this.read_through(cx, out),
                false => this.read_once(cx).map_ok(|count| {
                    this.judge();
                    count
                }),
            };
            match has_come {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(_)) if out.filled().len() > before => {
                    this.hand_on(out);
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => match this.overdue(cx) {
                    None => return Poll::Pending,
                    Some(Awaited::Head) => this.refuse(Refused::Slow),
                    // Who has said nothing is told nothing; who is in the middle of a body was
                    // told before, or is told that it is not whole.
                    Some(Awaited::First | Awaited::Next | Awaited::Body) => {
                        return Poll::Ready(Ok(()));
                    }
                },
            }
        }
    }
}

impl<T: AsyncWrite + Unpin> Doorway<T> {
    /// Gives a client up that reads nothing for too long.
    fn watched<R>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut T>, &mut Context<'_>) -> Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        let done = poll(Pin::new(&mut self.io), cx);
        if done.is_ready() {
            self.stalled = None;
            return done;
        }
        let late = Instant::now() + self.patience.write;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep_until(late)));
        match stalled.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Doorway<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().watched(cx, |io, cx| io.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().watched(cx, |io, cx| io.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().watched(cx, |io, cx| io.poll_shutdown(cx))
    }
}

impl<T> fmt::Debug for Doorway<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doorway").field("intake", &self.intake).finish_non_exhaustive()
    }
}

/// How much is read at once, in bytes.
const PORTION: usize = 8 * 1024;

/// How much is read behind a refused request, in bytes.
const MOST_THROWN_AWAY: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::timeout;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_head_passes_as_a_whole_and_a_body_as_it_comes() {
        let (mut client, mut doorway) = pair();
        client.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n").await.unwrap();
        let mut seen = [0; 1024];
        assert!(timeout(SECOND, doorway.read(&mut seen)).await.is_err(), "half a head");
        client.write_all(b"\r\nab").await.unwrap();
        let count = doorway.read(&mut seen).await.unwrap();
        assert!(seen[..count].ends_with(b"\r\n\r\nab"));
        client.write_all(b"cdGET").await.unwrap();
        assert_eq!(doorway.read(&mut seen).await.unwrap(), 2);
        drop(client);
        assert_eq!(doorway.read(&mut seen).await.unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_pass_does_not_wait_for_what_may_not() {
        let (mut client, mut doorway) = pair();
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        client.write_all(&[&head[..], b"GET /b HT"].concat()).await.unwrap();
        let mut seen = [0; 1024];
        assert_eq!(doorway.read(&mut seen).await.unwrap(), head.len());
        client.write_all(b"TP/1.1\r\nHost: b\r\n\r\n").await.unwrap();
        let count = doorway.read(&mut seen).await.unwrap();
        assert_eq!(&seen[..count], b"GET /b HTTP/1.1\r\nHost: b\r\n\r\n");
        // A reader with little room gets it piece by piece.
        client.write_all(head).await.unwrap();
        let mut whole = Vec::new();
        while whole.len() < head.len() {
            let count = doorway.read(&mut seen[..7]).await.unwrap();
            whole.extend_from_slice(&seen[..count]);
        }
        assert_eq!(whole, head);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_passes_behind_a_refused_request() {
        let (mut client, mut doorway) = pair();
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nbad\r\n\r\nGET /").await.unwrap();
        let mut seen = vec![0; 1024];
        let count = doorway.read(&mut seen).await.unwrap();
        let text = String::from_utf8(seen[..count].to_vec()).unwrap();
        assert!(
            text.starts_with("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /-/refused/400 HTTP/1.1\r\n")
        );
        assert_eq!(text.matches("GET").count(), 2, "{text}");
        client.write_all(b" HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        client.shutdown().await.unwrap();
        assert!(timeout(100 * SECOND, doorway.read(&mut seen)).await.is_err());
        doorway.write_all(b"answer").await.unwrap();
        assert_eq!(client.read(&mut seen).await.unwrap(), 6);
    }

    #[tokio::test(start_paused = true)]
    async fn behind_a_refused_request_a_client_that_waits_is_not_heard_without_end() {
        const PIECE: usize = 4000;
        let (mut client, mut doorway) = pair();
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nbad\r\n\r\n").await.unwrap();
        assert!(doorway.peek().await.unwrap().is_some());
        let mut written = 0;
        let flood = async {
            while client.write_all(&[b'x'; PIECE]).await.is_ok() {
                written += PIECE;
                assert!(written < 2 * MOST_THROWN_AWAY, "read without end");
            }
        };
        let heard = poll_fn(|cx| doorway.poll_meanwhile(cx));
        let seen = tokio::select! { seen = heard => seen, () = flood => Meanwhile::Ended };
        assert_eq!(seen, Meanwhile::Full);
        assert!(written >= MOST_THROWN_AWAY - 2 * PIECE, "{written}");

        let (mut client, mut doorway) = pair();
        client.write_all(b"bad\r\n\r\nmore").await.unwrap();
        drop(client);
        assert_eq!(poll_fn(|cx| doorway.poll_meanwhile(cx)).await, Meanwhile::Ended);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_slow_is_cut_off_and_who_is_idle_is_not() {
        let slow_start = pair();
        let mut seen = [0; 1024];
        let (client, mut doorway) = slow_start;
        assert_eq!(doorway.read(&mut seen).await.unwrap(), 0, "silence");
        drop(client);

        let (mut client, mut doorway) = pair();
        let drip = tokio::spawn(async move {
            for byte in b"GET / HTTP/1.1\r\nHost: a\r\n" {
                tokio::time::sleep(SECOND).await;
                if client.write_all(&[*byte]).await.is_err() {
                    break;
                }
            }
            client
        });
        let began = Instant::now();
        let count = doorway.read(&mut seen).await.unwrap();
        assert_eq!(began.elapsed(), 5 * SECOND);
        assert!(seen[..count].starts_with(b"GET /-/refused/408 HTTP/1.1\r\n"));
        drip.abort();

        let (mut client, mut doorway) = pair();
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n";
        client.write_all(head).await.unwrap();
        assert_eq!(doorway.read(&mut seen).await.unwrap(), head.len());
        let began = Instant::now();
        assert_eq!(doorway.read(&mut seen).await.unwrap(), 0, "a body that never comes");
        assert_eq!(began.elapsed(), 30 * SECOND);

        let (mut client, mut doorway) = pair();
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        assert!(doorway.read(&mut seen).await.unwrap() > 0);
        assert!(timeout(3600 * SECOND, doorway.read(&mut seen)).await.is_err(), "idle");
        client.write_all(b"GET").await.unwrap();
        let began = Instant::now();
        let count = doorway.read(&mut seen).await.unwrap();
        assert!(seen[..count].starts_with(b"GET /-/refused/408"), "the second head");
        assert_eq!(began.elapsed(), 5 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_is_given_up() {
        let (client, mut doorway) = pair();
        let began = Instant::now();
        let written = doorway.write_all(&[0; 100_000]).await;
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed(), 20 * SECOND);
        drop(client);
    }

    fn pair() -> (DuplexStream, Doorway<DuplexStream>) {
        let (client, server) = duplex(4096);
        let limits = HeadLimits { uri: 100, bytes: 1000, fields: 10 };
        let patience = Patience { head: 5 * SECOND, body: 30 * SECOND, write: 20 * SECOND };
        (client, Doorway::new(server, limits, patience))
    }
}
