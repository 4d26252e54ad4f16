//! Notices on their way from conversations to those who tell the applications, and who waits until
//! they are durable.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::chat::Notice;

/// A notice on its way.
#[derive(Debug)]
pub struct Told {
    /// The notice.
    pub notice: Notice,
    /// Whom to tell once it, and all before it, are durable.
    pub receipt: Option<Receipt>,
}

/// The promise to say when something is durable; dropped, it says that it never will be.
#[derive(Debug)]
pub struct Receipt(oneshot::Sender<()>);

/// The other end of a [`Receipt`].
#[derive(Debug)]
pub struct Receipted(oneshot::Receiver<()>);

impl Receipt {
    /// Draws a receipt up.
    #[must_use]
    pub fn new() -> (Self, Receipted) {
        let (give, given) = oneshot::channel();
        (Self(give), Receipted(given))
    }

    /// Says that it is durable.
    pub fn give(self) {
        // Who has stopped waiting does not need to know.
        let _ = self.0.send(());
    }
}

impl Receipted {
    /// Waits for the receipt; tells whether it was given. Cancel safe, until it has told.
    pub async fn wait(&mut self) -> bool {
        (&mut self.0).await.is_ok()
    }
}

/// The way of the notices.
#[derive(Debug, Clone)]
pub struct Notices {
    /// Where they go.
    pub sender: mpsc::Sender<Told>,
    /// How long it may take until they are durable; `None` where nobody has to wait for that.
    pub patience: Option<Duration>,
}
