//! What a poll that waits is told of its client.

use std::rc::Rc;

use actix_web::HttpMessage;
use tokio::sync::Notify;

/// The client of a poll. Whoever serves its connection lays it into the request.
#[derive(Debug, Clone, Default)]
pub struct Poller(Rc<Notify>);

impl Poller {
    /// Finds the client of a request; one of whom nothing will be told, where none was laid in.
    pub fn of(request: &impl HttpMessage) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_default()
    }

    /// Ends the poll.
    pub fn hurry(&self) {
        self.0.notify_one();
    }

    /// Waits until the poll must end, with nothing in its answer.
    pub async fn in_a_hurry(&self) {
        self.0.notified().await;
    }
}
