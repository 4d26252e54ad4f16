//! The way of a response out: it holds the notices of its session back until it was written.

use actix_web::HttpResponse;

use super::written::when_written;
use crate::store::Flushed;

/// Ties the hold on a session's notices to the response: nothing is told of a resource before the
/// response that names it was written, or its client is gone (TS Chat 5.3.1).
pub(super) fn holding(response: HttpResponse, flushed: Flushed) -> HttpResponse {
    if !flushed.is_awaited() {
        // Nobody is told of anything.
        return response;
    }
    when_written(response, move || drop(flushed))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use actix_web::body::{BodySize, MessageBody};
    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;
    use crate::store::Ticket;

    #[test]
    fn the_hold_lasts_until_the_body_was_flushed() {
        let (ticket, mut released) = Ticket::new(());
        let response = holding(HttpResponse::Created().body("made"), ticket.flushed);
        let mut body = response.into_body();
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(body.size(), BodySize::Sized(4));
        let chunk = Pin::new(&mut body).poll_next(&mut cx);
        assert!(matches!(chunk, Poll::Ready(Some(Ok(bytes))) if bytes == "made"));
        assert!(Pin::new(&mut body).poll_next(&mut cx).is_pending());
        assert!(matches!(released.try_recv(), Err(TryRecvError::Empty)));
        assert!(matches!(Pin::new(&mut body).poll_next(&mut cx), Poll::Ready(None)));
        assert!(matches!(released.try_recv(), Err(TryRecvError::Closed)));
    }
}
