//! The registrations of the users: begun with the server, taken back before it stops.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::settings;
use crate::bridge::{self, Roster};
use crate::config::Config;
use crate::ids::Random;
use crate::net::{Core, KeeperWays, SipOutbound, run_registrations};
use crate::store::{RegistrationLetter, Registrations, Sessions};

/// The directory of the registered users, and the task that keeps them so.
#[derive(Debug, Default)]
pub(super) struct Registry {
    /// Nothing where the bridge registers nobody.
    directory: Option<Arc<Registrations>>,
    /// Ends when all registrations are taken back.
    keeper: TaskTracker,
}

impl Registry {
    /// Begins to register the users of mode `ue`.
    pub(super) fn start(
        config: &Config,
        settings: Arc<bridge::Settings>,
        (outbound, core, stop): (SipOutbound, Core, CancellationToken),
        sessions: Arc<Sessions>,
        random: &mut Random,
    ) -> Self {
        let subscribers = settings::subscribers(config);
        if subscribers.is_empty() {
            return Self::default();
        }
        let (terms, pace) = settings::registrations(config);
        let manner = (settings, terms, pace);
        let roster = Roster::new(Instant::now().into_std(), manner, &subscribers, random.fork());
        // An answer for everybody, and some doubts.
        let room = config.limits.inbox + 2 * subscribers.len();
        let (directory, letters) = Registrations::new(roster.accesses(), room);
        let (directory, keeper) = (Arc::new(directory), TaskTracker::new());
        let desk = (Arc::clone(&directory), letters);
        let ways = KeeperWays { outbound, core, sessions, random: random.fork() };
        keeper.spawn(run_registrations(roster, desk, ways, stop));
        Self { directory: Some(directory), keeper }
    }

    pub(super) fn directory(&self) -> Option<Arc<Registrations>> {
        self.directory.clone()
    }

    /// Tells how many users are registered.
    pub(super) fn count(&self) -> usize {
        self.directory.as_ref().map_or(0, |directory| directory.count())
    }

    /// Takes all registrations back, in what is left of the time, or in a second.
    pub(super) async fn leave(&self, deadline: Instant) {
        let Some(directory) = &self.directory else { return };
        self.keeper.close();
        let left = (deadline - Instant::now()).max(Duration::from_secs(1));
        let taken_back = async {
            if directory.deliver(RegistrationLetter::Leave(left / 2)).await {
                self.keeper.wait().await;
            }
        };
        if timeout(left, taken_back).await.is_err() {
            warn!(registered = directory.count(), "not all registrations were taken back");
        }
    }
}
