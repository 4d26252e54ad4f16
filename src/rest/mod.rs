//! The face of the API: HTTP in, commands down, documents out.
//!
//! `routes` shows the whole URL tree; each resource has a file of its own, in which every method
//! takes the same three steps: parse, command, answer. Errors become responses in [`fault`] only.

mod answer;
pub mod body;
mod channels;
mod docs;
mod door;
mod doorway;
mod extend;
pub mod fault;
mod group_sessions;
mod health;
mod intake;
mod message_status;
mod messages;
mod notify_url;
mod observe;
mod openapi;
mod participant_status;
mod participants;
mod path;
mod poller;
mod posted;
mod repeat;
mod resource;
mod router;
mod routes;
mod session_status;
mod sessions;
#[cfg(test)]
mod stage;
mod subscriptions;
mod written;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::{HttpRequest, web};
use tokio::sync::Semaphore;

use crate::ids::Random;
use crate::store::durable::{Change, Created, StoreError};
use crate::store::{Channels, Correlators, Keeper, Sessions, Subscriptions};

pub use door::{Door, DoorSettings};
pub use doorway::{Doorway, Meanwhile, Patience};
pub use fault::Fault;
pub use health::{Readiness, Reason};
pub use intake::{HeadLimits, Refused, is_read_by_polls, poll_length};
pub use notify_url::{AnyCallback, CallbackDenied, CallbackPolicy, NotifyUrl, NotifyUrlError};
pub use poller::Poller;
pub use routes::configure;

/// What all resources share: the directories behind them and how they are set.
pub struct Face {
    /// The running sessions.
    pub sessions: Arc<Sessions>,
    /// Who is told of events.
    pub subscriptions: Arc<Subscriptions>,
    /// The channels that applications poll.
    pub channels: Arc<Channels>,
    /// What was answered to requests that may be repeated.
    pub correlators: Arc<Correlators<Created>>,
    /// Where resources are kept over a restart.
    pub keeper: Keeper,
    /// Which callback URLs may be named.
    pub callback_policy: Arc<dyn CallbackPolicy>,
    /// The source of new identifiers.
    pub random: Mutex<Random>,
    /// Who may come in.
    pub door: Door,
    /// Whether this process is of use.
    pub readiness: Readiness,
    /// The long polls that may still be held.
    pub polls: Semaphore,
    /// How the face is set.
    pub settings: Settings,
}

impl Face {
    /// Finds what [`configure`] has given to every request.
    fn of(request: &HttpRequest) -> Result<&web::Data<Self>, Fault> {
        request.app_data().ok_or_else(|| Fault::internal("the face was not wired"))
    }

    /// Waits until changes are durable, so that they can be told.
    async fn keep(&self, changes: Vec<Change>) -> Result<(), Fault> {
        self.keeper.keep(changes).await.map_err(|error| self.unkept(&error))
    }

    /// Refuses what would have to be kept while nothing can be.
    fn demand_store(&self) -> Result<(), Fault> {
        match self.keeper.health().fault() {
            None => Ok(()),
            Some(why) => Err(self.unkept(&StoreError::Unwritable(why))),
        }
    }

    fn unkept(&self, error: &StoreError) -> Fault {
        tracing::warn!(%error, "a request was not kept");
        let why = match error {
            StoreError::Full | StoreError::Slow => "the store is too slow",
            StoreError::Unusable { .. }
            | StoreError::Unwritable(_)
            | StoreError::Unreadable(_)
            | StoreError::Closed => "the store cannot be written",
        };
        Fault::Unavailable { why: why.to_owned(), retry_after: self.settings.retry_after }
    }

    /// Draws the text of a new identifier.
    fn draw(&self) -> String {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).token()
    }
}

impl fmt::Debug for Face {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Face").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// How the face is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `{serverRoot}` with scheme and base path, for emitted URLs; `None` takes the request's host.
    pub server_root: Option<String>,
    /// Whether clients come over TLS.
    pub secure: bool,
    /// The host and port of this server, for clients that name none (HTTP/1.0).
    pub host: String,
    /// The scheme of the credentials that callers are asked for (RFC 9110 section 11.1), if any.
    pub scheme: Option<&'static str>,
    /// The path in front of `/{apiVersion}`, empty or like `/exampleAPI`.
    pub base_path: String,
    /// The longest body that is read, in bytes.
    pub max_body: usize,
    /// How long a client may take to send a body.
    pub body_wait: Duration,
    /// The longest text of a chat message, in bytes.
    pub max_text: usize,
    /// The longest life time of a subscription that is granted, in seconds; `None` is no limit.
    pub max_duration: Option<u32>,
    /// How many sessions a user may have.
    pub sessions_per_user: usize,
    /// When a client that met a limit should try again.
    pub retry_after: Duration,
    /// What a create answers with.
    pub created: CreatedBody,
}

impl Settings {
    /// Gives the base path as routes and URLs want it: empty, or with a leading slash only.
    #[must_use]
    pub fn base(&self) -> String {
        match self.base_path.trim_matches('/') {
            "" => String::new(),
            path => format!("/{path}"),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            server_root: None,
            secure: false,
            host: "localhost".to_owned(),
            scheme: None,
            base_path: String::new(),
            max_body: 256 * 1024,
            body_wait: Duration::from_secs(30),
            max_text: 64 * 1024,
            max_duration: None,
            sessions_per_user: 1000,
            retry_after: Duration::from_secs(2),
            created: CreatedBody::Copy,
        }
    }
}

/// What the body of a `201` shows (TS Chat 6.1.5.1 and 6.1.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CreatedBody {
    /// A copy of the resource.
    #[default]
    Copy,
    /// A `resourceReference` to it.
    Reference,
}
