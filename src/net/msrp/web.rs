//! MSRP over WebSocket (RFC 7977), as a server: one message of WebSocket carries one frame.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

use super::MsrpSettings;
use crate::store::MsrpWire;

/// A WebSocket that carries frames.
#[derive(Debug)]
pub(super) struct WebWire<S> {
    socket: WebSocketStream<S>,
    outgoing: VecDeque<Bytes>,
    waiting: usize,
    is_held: bool,
    /// The peer writes texts, and is answered in texts.
    texts: bool,
    pings: Interval,
    /// The last ping was not followed by a sign of life.
    is_silent: bool,
}

/// Takes one who wants to speak the subprotocol `msrp`, from a page of an origin that may.
///
/// # Errors
/// It does not speak WebSocket, or wants something else, or comes from elsewhere.
pub(super) async fn accept<S>(stream: S, settings: &MsrpSettings) -> io::Result<WebWire<S>>
where
    S: AsyncRead + AsyncWrite + Debug + Send + Unpin,
{
    let limits = settings.framing.limits();
    let most = limits.max_chunk_in.saturating_add(limits.max_header_bytes).min(MOST);
    let config = WebSocketConfig::default()
        .max_message_size(Some(most))
        .max_frame_size(Some(most))
        .read_buffer_size(BUFFER)
        .write_buffer_size(BATCH);
    let origins = &settings.origins;
    #[expect(clippy::result_large_err, reason = "the handshake wants it so")]
    let judge = |request: &Request, mut response: Response| match judge(request, origins) {
        Ok(()) => {
            let chosen = HeaderValue::from_static(SUBPROTOCOL);
            response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, chosen);
            Ok(response)
        }
        Err((status, why)) => {
            let mut refusal = ErrorResponse::new(Some(why.to_owned()));
            *refusal.status_mut() = status;
            Err(refusal)
        }
    };
    let socket = accept_hdr_async_with_config(stream, judge, Some(config)).await.map_err(broken)?;
    let mut pings = interval_at(Instant::now() + settings.ping, settings.ping.max(SHORTEST_PING));
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Ok(WebWire {
        socket,
        outgoing: VecDeque::new(),
        waiting: 0,
        is_held: false,
        texts: false,
        pings,
        is_silent: false,
    })
}

/// Judges who asks to come in: for MSRP (RFC 7977 section 4.1), from a page that may.
fn judge(request: &Request, origins: &[String]) -> Result<(), (StatusCode, &'static str)> {
    let named = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL);
    let mut named = named.iter().filter_map(|value| value.to_str().ok());
    let wanted =
        named.any(|list| list.split(',').any(|name| name.trim().eq_ignore_ascii_case(SUBPROTOCOL)));
    if !wanted {
        return Err((StatusCode::BAD_REQUEST, "the subprotocol msrp is spoken here"));
    }
    // Programs that are no browsers name no origin, and could name any.
    let origin = request.headers().get(header::ORIGIN);
    let may_come = |origin: &HeaderValue| {
        origins.iter().any(|known| origin.as_bytes().eq_ignore_ascii_case(known.as_bytes()))
    };
    match origin {
        Some(origin) if !origins.is_empty() && !may_come(origin) => {
            Err((StatusCode::FORBIDDEN, "pages of this origin may not connect"))
        }
        Some(_) | None => Ok(()),
    }
}

impl<S: AsyncRead + AsyncWrite + Debug + Send + Unpin> WebWire<S> {
    /// Asks for a sign of life now and then, and misses it once.
    fn poll_ping(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while self.pings.poll_tick(cx).is_ready() {
            if std::mem::replace(&mut self.is_silent, true) {
                return Err(io::ErrorKind::TimedOut.into());
            }
            if let Poll::Ready(ready) = Pin::new(&mut self.socket).poll_ready(cx) {
                ready.map_err(broken)?;
                let ping = Message::Ping(Bytes::new());
                Pin::new(&mut self.socket).start_send(ping).map_err(broken)?;
                self.is_held = true;
            }
        }
        Ok(())
    }
}

impl<S: AsyncRead + AsyncWrite + Debug + Send + Unpin> MsrpWire for WebWire<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut BytesMut) -> Poll<io::Result<usize>> {
        self.poll_ping(cx)?;
        if self.is_held
            && let Poll::Ready(Err(error)) = self.poll_flush(cx)
        {
            return Poll::Ready(Err(error));
        }
        loop {
            let message = ready!(Pin::new(&mut self.socket).poll_next(cx));
            self.is_silent = false;
            let frame = match message {
                None => return Poll::Ready(Ok(0)),
                Some(Err(error)) => return Poll::Ready(Err(broken(error))),
                Some(Ok(Message::Text(text))) => {
                    self.texts = true;
                    Bytes::from(text)
                }
                Some(Ok(Message::Binary(bytes))) => {
                    self.texts = false;
                    bytes
                }
                Some(Ok(
                    Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_),
                )) => continue,
            };
            if !frame.is_empty() {
                into.extend_from_slice(&frame);
                return Poll::Ready(Ok(frame.len()));
            }
        }
    }

    fn push(&mut self, frame: Bytes) {
        self.waiting += frame.len();
        self.outgoing.push_back(frame);
    }

    fn waiting(&self) -> usize {
        self.waiting
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(broken)?;
            let Some(frame) = self.outgoing.pop_front() else { break };
            self.waiting -= frame.len();
            let message = match self.texts {
                true => {
                    Utf8Bytes::try_from(frame.clone()).map_or(Message::Binary(frame), Message::Text)
                }
                false => Message::Binary(frame),
            };
            Pin::new(&mut self.socket).start_send(message).map_err(broken)?;
            self.is_held = true;
        }
        if self.is_held {
            ready!(Pin::new(&mut self.socket).poll_flush(cx)).map_err(broken)?;
            self.is_held = false;
        }
        Poll::Ready(Ok(()))
    }
}

fn broken(error: tungstenite::Error) -> io::Error {
    if let tungstenite::Error::Io(error) = error { error } else { io::Error::other(error) }
}

/// The name of MSRP as a subprotocol (RFC 7977 section 4.1).
const SUBPROTOCOL: &str = "msrp";
/// The largest message of WebSocket that is read, whatever the limits of MSRP allow: it is held
/// before it is known for whom it is.
const MOST: usize = 256 * 1024;
const BUFFER: usize = 4096;
/// How many bytes of messages leave together.
const BATCH: usize = 16 * 1024;
const SHORTEST_PING: Duration = Duration::from_millis(1);
