//! Where the core is: fixed by an address, or followed as DNS moves it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::dns::{Dns, Found, NotFound};
use super::driver::now;
use super::sip_outbound::SipOutbound;
use crate::chat::Refusal;
use crate::ids::Random;
use crate::sip::{Destination, Hop, Located};
use crate::store::Resting;

/// How the core is looked for, and how long it may be avoided.
#[derive(Debug, Clone)]
pub struct CoreSettings {
    /// How long its last known addresses serve on while DNS gives no answer at all (RFC 8767).
    pub stale: Duration,
    /// The longest pause that it may ask for.
    pub retry_after_max: Duration,
}

/// The way to the core, shared by all conversations.
#[derive(Debug, Clone)]
pub struct Core {
    /// Nothing as long as no address is known.
    located: watch::Receiver<Option<Located>>,
    resting: Arc<Resting>,
}

impl Default for CoreSettings {
    fn default() -> Self {
        let (hour, minutes) = (Duration::from_secs(3600), Duration::from_secs(300));
        Self { stale: hour, retry_after_max: minutes }
    }
}

impl Core {
    /// A core whose address never changes.
    #[must_use]
    pub fn fixed(hop: Hop, settings: &CoreSettings) -> Self {
        let (_, located) = watch::channel(Some(Located::at(hop)));
        Self { located, resting: Arc::new(Resting::new(settings.retry_after_max)) }
    }

    /// Looks for a core, and keeps looking whenever what DNS has said is no longer valid. That it is
    /// not found at once is no failure: sessions are refused until it is.
    pub async fn find(
        destination: Destination,
        outbound: &SipOutbound,
        settings: CoreSettings,
        (stop, tasks): (CancellationToken, TaskTracker),
    ) -> Self {
        if destination.hop().address().is_some() {
            return Self::fixed(destination.hop(), &settings);
        }
        let (news, located) = watch::channel(None);
        let resting = Arc::new(Resting::new(settings.retry_after_max));
        let dns = outbound.shared.dns.clone();
        let mut scout = Scout { dns, destination, stale: settings.stale, news, known_until: None };
        let wait = scout.look().await;
        tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = scout.follow(wait) => {}
            }
        });
        Self { located, resting }
    }

    /// Gives the hops for one session, in the order in which to try them.
    ///
    /// # Errors
    /// No address is known, or all hops have asked for a pause.
    pub(super) fn hops(&self, now: Instant, random: &mut Random) -> Result<Vec<Hop>, Refusal> {
        let drawn = self.located.borrow().as_ref().map(|located| located.draw(random));
        let Some(hops) = drawn.filter(|hops| !hops.is_empty()) else {
            let why = "the address of the core is not known";
            return Err(Refusal::Unavailable { why, retry_after: LOOK_AGAIN });
        };
        let why = "the core is overloaded and asks for a pause";
        self.resting
            .awake(now, hops)
            .map_err(|retry_after| Refusal::Unavailable { why, retry_after })
    }

    /// Tells why no session could go to the core now, where none could.
    #[must_use]
    pub fn refusal(&self, now: Instant) -> Option<Refusal> {
        // Which hop would be drawn makes no difference.
        self.hops(now, &mut Random::new([0; 32])).err()
    }

    /// Keeps a hop from new sessions for a while.
    pub(super) fn spare(&self, now: Instant, hop: Hop, wait: Duration) {
        warn!(%hop, ?wait, "overloaded: 503 with Retry-After");
        self.resting.spare(now, hop, wait);
    }

    /// Tells whether this is an address of the core.
    pub(super) fn lives_at(&self, address: IpAddr) -> bool {
        let located = self.located.borrow();
        located.as_ref().is_some_and(|located| located.addresses().contains(&address))
    }
}

/// Who goes and looks where the core is.
struct Scout {
    dns: Dns,
    destination: Destination,
    stale: Duration,
    news: watch::Sender<Option<Located>>,
    /// Until when what is known would serve if DNS fell silent.
    known_until: Option<Instant>,
}

impl Scout {
    /// Looks again and again, first after `wait`.
    async fn follow(mut self, mut wait: Duration) {
        loop {
            sleep(wait).await;
            wait = self.look().await;
        }
    }

    /// Looks once; gives the time until the next look.
    async fn look(&mut self) -> Duration {
        let core = self.destination.hop();
        match self.dns.locate(self.destination.clone()).await {
            Ok(Found { located, valid_until }) => {
                self.known_until = Some(valid_until.max(now()) + self.stale);
                self.tell(Some(located));
                valid_until.saturating_duration_since(now()).clamp(SOONEST, LATEST)
            }
            Err(NotFound::Nothing) => {
                warn!(%core, "the core is not found: {}", NotFound::Nothing);
                self.tell(None);
                LOOK_AGAIN
            }
            Err(why @ (NotFound::Silence | NotFound::Busy)) => {
                let serves_on = self.known_until.is_some_and(|end| now() < end);
                warn!(%core, serves_on, "the core is not found: {why}");
                if !serves_on {
                    self.tell(None);
                }
                LOOK_AGAIN
            }
        }
    }

    fn tell(&self, located: Option<Located>) {
        self.news.send_if_modified(|known| {
            let is_news = *known != located;
            if is_news {
                let addresses = located.as_ref().map(Located::addresses).unwrap_or_default();
                info!(core = %self.destination.hop(), ?addresses, "where the core is");
                *known = located;
            }
            is_news
        });
    }
}

/// The pause after a look that found nothing.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Records that are valid for less are looked for at this pace.
const SOONEST: Duration = Duration::from_secs(1);

/// Records that are valid for longer are looked for at this pace.
const LATEST: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests;
