//! What a poll is told of its client.

use std::cell::Cell;
use std::rc::Rc;

use actix_web::HttpMessage;
use tokio::sync::Notify;

/// The client of a poll. Whoever serves its connection lays it into the request.
#[derive(Debug, Clone, Default)]
pub struct Poller(Rc<Told>);

#[derive(Debug, Default)]
struct Told {
    hurry: Notify,
    has_ended: Cell<bool>,
}

impl Poller {
    /// Finds the client of a request; one of whom nothing will be told, where none was laid in.
    pub fn of(request: &impl HttpMessage) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_default()
    }

    /// Ends the poll.
    pub fn hurry(&self) {
        self.0.hurry.notify_one();
    }

    /// Waits until the poll must end, with nothing in its answer.
    pub async fn in_a_hurry(&self) {
        self.0.hurry.notified().await;
    }

    /// Notes that the client says nothing more. Whether it still reads nobody knows.
    pub fn end(&self) {
        self.0.has_ended.set(true);
    }

    /// Tells whether the client says nothing more: what is written to it may never be read.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.0.has_ended.get()
    }
}
