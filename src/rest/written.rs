//! What waits for a response to be written.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::Bytes;

/// Does `then` once the response was written; never, where it could not be.
pub(super) fn when_written(response: HttpResponse, then: impl FnOnce() + 'static) -> HttpResponse {
    response
        .map_body(|_, body| WatchedBody {
            body,
            then: Some(Box::new(then)),
            sent: 0,
            is_flushing: false,
        })
        .map_into_boxed_body()
}

/// A body that tells when its last byte has gone to the socket.
///
/// The server flushes its buffer when a body has nothing to give at the moment. So this one says
/// so once, at its end: when it is asked again, the flush has not failed.
///
/// A client that has read its answer may hang up so fast that the body is never asked again. A body
/// that an empty socket takes at once counts as written then, lest every such client be told twice;
/// a larger one may be on its way still, and does not.
struct WatchedBody {
    body: BoxBody,
    then: Option<Box<dyn FnOnce()>>,
    /// How many bytes the body has given.
    sent: usize,
    is_flushing: bool,
}

/// The bytes that the send buffer of an idle connection takes at once, whatever the system.
const TAKEN_AT_ONCE: usize = 8 * 1024;

impl Drop for WatchedBody {
    fn drop(&mut self) {
        if self.is_flushing
            && self.sent <= TAKEN_AT_ONCE
            && let Some(then) = self.then.take()
        {
            then();
        }
    }
}

impl MessageBody for WatchedBody {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if !self.is_flushing {
            if let Some(chunk) = ready!(Pin::new(&mut self.body).poll_next(cx)) {
                self.sent += chunk.as_ref().map_or(0, Bytes::len);
                return Poll::Ready(Some(chunk));
            }
            self.is_flushing = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(then) = self.then.take() {
            then();
        }
        Poll::Ready(None)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::task::Waker;

    use super::*;

    #[test]
    fn the_end_comes_after_the_flush() {
        let (mut body, is_written) = watched("made");
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(body.size(), BodySize::Sized(4));
        let chunk = Pin::new(&mut body).poll_next(&mut cx);
        assert!(matches!(chunk, Poll::Ready(Some(Ok(bytes))) if bytes == "made"));
        assert!(Pin::new(&mut body).poll_next(&mut cx).is_pending());
        assert!(!is_written.get());
        assert!(matches!(Pin::new(&mut body).poll_next(&mut cx), Poll::Ready(None)));
        assert!(is_written.get());
    }

    #[test]
    fn what_is_dropped_was_not_written() {
        let (mut body, is_written) = watched("made");
        let mut cx = Context::from_waker(Waker::noop());
        let _ = Pin::new(&mut body).poll_next(&mut cx);
        drop(body);
        assert!(!is_written.get());
    }

    #[test]
    fn who_hangs_up_during_the_flush_has_read_what_is_small() {
        let large = "x".repeat(TAKEN_AT_ONCE + 1);
        for (text, written) in [("made", true), (large.as_str(), false)] {
            let (mut body, is_written) = watched(text);
            let mut cx = Context::from_waker(Waker::noop());
            let _ = Pin::new(&mut body).poll_next(&mut cx);
            assert!(Pin::new(&mut body).poll_next(&mut cx).is_pending());
            drop(body);
            assert_eq!(is_written.get(), written, "{} bytes", text.len());
        }
    }

    fn watched(text: &str) -> (BoxBody, Rc<Cell<bool>>) {
        let is_written = Rc::new(Cell::new(false));
        let told = Rc::clone(&is_written);
        let response = HttpResponse::Created().body(text.to_owned());
        (when_written(response, move || told.set(true)).into_body(), is_written)
    }
}
