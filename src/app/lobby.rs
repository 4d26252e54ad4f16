//! Where those wait who poll: long polls are served here, before the HTTP library has a connection.
//!
//! The library keeps two buffers of 8 KB for each connection, whatever that does. Most connections
//! of this API do nothing but wait at a channel, thousands of them at a time. So a connection is
//! handed to the library with its first request that is anything else; until then its requests are
//! decoded and its answers encoded by the library's own codec, in buffers that are there only
//! while there is something in them.

use std::future::{pending, poll_fn};
use std::io;
use std::mem::take;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_http::body::{BodySize, BoxBody, MessageBody};
use actix_http::error::DispatchError;
use actix_http::h1::{Codec, Message};
use actix_http::{KeepAlive, Request, ServiceConfig};
use actix_server::GracefulShutdownSignal;
use actix_service::{Service, ServiceFactory};
use actix_web::dev::ServiceResponse;
use actix_web::{HttpMessage, HttpResponse};
use bytes::BytesMut;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until};
use tokio_util::codec::{Decoder, Encoder};

use crate::rest::{Doorway, Meanwhile, Poller, is_read_by_polls, poll_length};

/// Makes the service for every connection thread.
pub(super) struct Lobby<A, H> {
    /// What answers polls.
    pub(super) polls: A,
    /// What serves everything else.
    pub(super) http: H,
    /// What stands in front of all paths.
    pub(super) base: Rc<str>,
    /// Says when the server stops.
    pub(super) ending: GracefulShutdownSignal,
    /// How long a connection may be idle between two requests.
    pub(super) idle: Duration,
}

/// The service.
pub(super) struct Waiting<A, H>(Rc<Room<A, H>>);

struct Room<A, H> {
    polls: A,
    http: H,
    base: Rc<str>,
    config: ServiceConfig,
    ending: GracefulShutdownSignal,
    idle: Duration,
}

impl<A, H, T> ServiceFactory<(Doorway<T>, SocketAddr)> for Lobby<A, H>
where
    A: ServiceFactory<Request, Config = (), Response = ServiceResponse, Error = actix_web::Error>,
    A::Service: 'static,
    A::Future: 'static,
    H: ServiceFactory<
            (Doorway<T>, Option<SocketAddr>),
            Config = (),
            Response = (),
            Error = DispatchError,
        >,
    H::Service: 'static,
    H::Future: 'static,
    T: AsyncRead + AsyncWrite + Unpin + 'static,
{
    type Response = ();
    type Error = DispatchError;
    type Config = ();
    type Service = Waiting<A::Service, H::Service>;
    type InitError = ();
    type Future = LocalBoxFuture<'static, Result<Self::Service, ()>>;

    fn new_service(&self, (): ()) -> Self::Future {
        let (polls, http) = (self.polls.new_service(()), self.http.new_service(()));
        let (base, ending, idle) = (Rc::clone(&self.base), self.ending.clone(), self.idle);
        Box::pin(async move {
            let (polls, http) = (polls.await.map_err(drop)?, http.await.map_err(drop)?);
            let keep_alive = KeepAlive::from(idle);
            let none = Duration::ZERO;
            let config = ServiceConfig::new(keep_alive, none, none, false, None);
            Ok(Waiting(Rc::new(Room { polls, http, base, config, ending, idle })))
        })
    }
}

impl<A, H, T> Service<(Doorway<T>, SocketAddr)> for Waiting<A, H>
where
    A: Service<Request, Response = ServiceResponse, Error = actix_web::Error> + 'static,
    H: Service<(Doorway<T>, Option<SocketAddr>), Response = (), Error = DispatchError> + 'static,
    T: AsyncRead + AsyncWrite + Unpin + 'static,
{
    type Response = ();
    type Error = DispatchError;
    type Future = LocalBoxFuture<'static, Result<(), DispatchError>>;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), DispatchError>> {
        // What answers polls is made of the same.
        self.0.http.poll_ready(cx)
    }

    fn call(&self, (mut doorway, peer): (Doorway<T>, SocketAddr)) -> Self::Future {
        let room = Rc::clone(&self.0);
        Box::pin(async move {
            // Both in boxes of their own: who waits has no room for what the library keeps, nor the
            // other way round.
            match Box::pin(room.wait(&mut doorway, peer)).await? {
                Then::Serve => Box::pin(room.http.call((doorway, Some(peer)))).await,
                Then::Close => Ok(doorway.shutdown().await?),
                Then::Drop => Ok(()),
            }
        })
    }
}

/// What follows the polls of a connection.
enum Then {
    /// A request that is none.
    Serve,
    /// Nothing more.
    Close,
    /// The client is gone.
    Drop,
}

impl<A, H> Room<A, H>
where
    A: Service<Request, Response = ServiceResponse, Error = actix_web::Error>,
{
    /// Serves polls until there is something else.
    async fn wait<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        doorway: &mut Doorway<T>,
        peer: SocketAddr,
    ) -> io::Result<Then> {
        let mut is_first = true;
        loop {
            let head = tokio::select! {
                biased;
                head = doorway.peek() => head?,
                () = self.patience(is_first) => None,
            };
            let Some(head) = head else { return Ok(Then::Close) };
            let Some(length) = poll_length(head, &self.base) else { return Ok(Then::Serve) };
            is_first = false;
            let mut codec = Codec::new(self.config.clone());
            let request = codec.decode(&mut doorway.take(length));
            let Ok(Some(Message::Item(request))) = request else {
                return Err(io::Error::other("a poll was read in two ways"));
            };
            let Some(response) = self.answer(request, doorway, peer).await else {
                return Ok(Then::Drop);
            };
            write(doorway, &mut codec, response).await?;
            if !codec.keep_alive() || self.ending.notified().now_or_never().is_some() {
                return Ok(Then::Close);
            }
        }
    }

    /// Waits until an idle connection has been so for too long, or the server stops. A new one is
    /// given up by its doorway.
    async fn patience(&self, is_first: bool) {
        let late = Instant::now() + self.idle;
        let idle = async { if is_first { pending().await } else { sleep_until(late).await } };
        tokio::select! {
            () = idle => {}
            () = self.ending.notified() => {}
        }
    }

    /// Waits for the answer; gives none where the client does not.
    async fn answer<T: AsyncRead + Unpin>(
        &self,
        mut request: Request,
        doorway: &mut Doorway<T>,
        peer: SocketAddr,
    ) -> Option<HttpResponse> {
        let head = request.head_mut();
        head.peer_addr = Some(peer);
        // The library has made room for 28 fields, and in each of them for four values: 7 KB.
        let fields = take(&mut head.headers).into_iter();
        head.headers = fields.filter(|(name, _)| is_read_by_polls(name.as_str())).collect();
        let poller = Poller::default();
        request.extensions_mut().insert(poller.clone());
        let mut answer = pin!(self.polls.call(request));
        let answer = poll_fn(|cx| {
            match doorway.poll_meanwhile(cx) {
                Poll::Ready(Meanwhile::Ended) => poller.end(),
                // An answer to somebody who may be gone must have nothing in it.
                Poll::Ready(Meanwhile::Full) => poller.hurry(),
                Poll::Pending => {}
            }
            match answer.as_mut().poll(cx) {
                // Who may still read is told what is there, but nobody waits for what is not.
                Poll::Pending if poller.has_ended() => Poll::Ready(None),
                answer @ (Poll::Ready(_) | Poll::Pending) => answer.map(Some),
            }
        });
        Some(match answer.await? {
            Ok(response) => response.into_parts().1,
            Err(error) => error.error_response(),
        })
    }
}

/// Writes an answer. Where its body has nothing to give at the moment, all that it gave is written
/// first: so a body knows that it was written when it is asked again.
async fn write<T: AsyncWrite + AsyncRead + Unpin>(
    doorway: &mut Doorway<T>,
    codec: &mut Codec,
    response: HttpResponse,
) -> io::Result<()> {
    let (response, body) = response.into_parts();
    let mut body = pin!(body);
    let mut out = BytesMut::new();
    let size = body.size();
    codec.encode(Message::Item((response.into(), size)), &mut out)?;
    if matches!(size, BodySize::None | BodySize::Sized(0)) {
        doorway.write_all_buf(&mut out).await?;
        return doorway.flush().await;
    }
    loop {
        let mut next = next_of(body.as_mut());
        let chunk = match (&mut next).now_or_never() {
            Some(chunk) => chunk,
            None => {
                doorway.write_all_buf(&mut out).await?;
                doorway.flush().await?;
                next.await
            }
        };
        let chunk = chunk.transpose().map_err(|error| io::Error::other(error.to_string()))?;
        let is_last = chunk.is_none();
        codec.encode(Message::Chunk(chunk), &mut out)?;
        if is_last {
            break;
        }
    }
    doorway.write_all_buf(&mut out).await?;
    doorway.flush().await
}

/// Waits for what a body gives next.
fn next_of(
    mut body: Pin<&mut BoxBody>,
) -> impl Future<Output = Option<Result<bytes::Bytes, <BoxBody as MessageBody>::Error>>> + Unpin {
    poll_fn(move |cx| body.as_mut().poll_next(cx))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::cell::{Cell, RefCell};

    use actix_server::Server;
    use actix_service::fn_service;
    use actix_web::test::TestRequest;
    use tokio::io::{AsyncReadExt, DuplexStream, duplex};

    use super::*;
    use crate::rest::{HeadLimits, Patience};

    const POLL: &str = "GET /base/1/notificationchannel/u/polls/s HTTP/1.1\r\nHost: h\r\n\r\n";
    const OTHER: &str = "GET /livez HTTP/1.1\r\nHost: h\r\n\r\n";

    #[tokio::test(start_paused = true)]
    async fn a_poll_whose_client_may_have_hung_up_ends_with_nothing() {
        local(async {
            for (behind, hangs_up, ends) in
                [(0, true, 0), (100, true, 0), (300, true, 1), (300, false, 1), (1000, true, 1)]
            {
                let ended = Rc::new(Cell::new(0));
                let count = Rc::clone(&ended);
                let room = room(move |poller: Poller| {
                    let count = Rc::clone(&count);
                    async move {
                        poller.in_a_hurry().await;
                        count.set(count.get() + 1);
                        "nothing"
                    }
                });
                let (mut client, mut doorway) = pair();
                client
                    .write_all((POLL.to_owned() + &OTHER.repeat(behind)).as_bytes())
                    .await
                    .unwrap();
                if hangs_up {
                    drop(client);
                    let _broken = room.wait(&mut doorway, peer()).await;
                } else {
                    let then = room.wait(&mut doorway, peer()).await.unwrap();
                    assert!(matches!(then, Then::Serve), "what lies behind the poll");
                    let told = said(&mut client).await;
                    assert!(
                        told.starts_with("HTTP/1.1 200 ") && told.ends_with("nothing"),
                        "{told}"
                    );
                }
                assert_eq!(ended.get(), ends, "{behind} behind");
            }
        })
        .await;
    }

    /// Runs what needs a thread of its own, as the clock of the HTTP library does.
    async fn local<T>(test: impl Future<Output = T>) -> T {
        tokio::task::LocalSet::new().run_until(test).await
    }

    #[tokio::test(start_paused = true)]
    async fn who_will_ask_nothing_more_is_told_what_is_there_at_once() {
        local(async {
            for (is_there, ends, wanted) in
                [(true, false, "HTTP/1.1 200 "), (true, true, "HTTP/1.1 200 "), (false, true, "")]
            {
                let known = Rc::new(RefCell::new(None));
                let seen = Rc::clone(&known);
                let room = room(move |poller| {
                    seen.replace(Some(poller));
                    async move { if is_there { "told" } else { pending().await } }
                });
                let (mut client, mut doorway) = pair();
                client.write_all(POLL.as_bytes()).await.unwrap();
                if ends {
                    client.shutdown().await.unwrap();
                }
                let then = room.wait(&mut doorway, peer()).await.unwrap();
                assert!(matches!(then, Then::Close | Then::Drop));
                drop(doorway);
                let told = said(&mut client).await;
                assert!(told.starts_with(wanted) && told.is_empty() != is_there, "{told}");
                let poller = known.take().unwrap();
                assert_eq!(poller.has_ended(), ends, "whether it may be counted as read");
            }
        })
        .await;
    }

    /// Makes a room where polls are answered with a text.
    fn room<F: Future<Output = &'static str>>(
        answer: impl Fn(Poller) -> F + Clone,
    ) -> Room<impl Service<Request, Response = ServiceResponse, Error = actix_web::Error>, ()> {
        let polls = fn_service(move |request: Request| {
            let coming = answer(Poller::of(&request));
            async move {
                let request = TestRequest::default().to_http_request();
                Ok(ServiceResponse::new(request, HttpResponse::Ok().body(coming.await)))
            }
        });
        let (none, idle) = (Duration::ZERO, Duration::from_secs(60));
        let config = ServiceConfig::new(KeepAlive::from(idle), none, none, false, None);
        let ending = Server::build().graceful_shutdown_signal();
        Room { polls, http: (), base: "/base".into(), config, ending, idle }
    }

    fn pair() -> (DuplexStream, Doorway<DuplexStream>) {
        let (client, server) = duplex(100_000);
        let limits = HeadLimits { uri: 1000, bytes: 1000, fields: 10 };
        let second = Duration::from_secs(1);
        let patience = Patience { head: second, body: second, write: second };
        (client, Doorway::new(server, limits, patience))
    }

    fn peer() -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], 5))
    }

    /// Reads what the client was told.
    async fn said(client: &mut DuplexStream) -> String {
        let mut bytes = vec![0; 10_000];
        let count = client.read(&mut bytes).await.unwrap();
        String::from_utf8(bytes[..count].to_vec()).unwrap()
    }
}
