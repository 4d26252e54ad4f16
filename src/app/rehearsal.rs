//! A bridge for `replay run`: on free ports of this host, with the player as its core.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::Running;
use crate::config::{Config, CoreMode, GroupFocus, HostPort, Profile, Secret, StoreKind};
use crate::digest::{Credentials, Password};
use crate::replay::{Exit, Family, Outcome, Run, Stand, Wanted, run};

/// Plays a recording against a bridge that runs, or against one of its own.
#[must_use]
pub fn rehearse(order: &Run) -> Outcome {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let warnings = vec![error.to_string()];
            return Outcome { text: String::new(), warnings, exit: Exit::Unreachable };
        }
    };
    runtime.block_on(rehearsed(order))
}

/// As [`rehearse`], within a runtime.
pub async fn rehearsed(order: &Run) -> Outcome {
    let mut started = None;
    let outcome = run(order, async |wanted| {
        let running = Running::start_tethered(&config(&wanted), Some(wanted.tether)).await?;
        let stand = Stand { rest: format!("http://{}", running.rest()), sip: Some(running.sip()) };
        started = Some(running);
        Ok(stand)
    })
    .await;
    if let Some(running) = started {
        running.stop(Duration::ZERO).await;
    }
    outcome
}

fn config(wanted: &Wanted) -> Config {
    let mut config = Config::default();
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    config.rest.listen = anywhere;
    config.sip.listen = anywhere;
    config.msrp.listen = anywhere;
    config.msrp.ports = 1;
    config.store.kind = StoreKind::Memory;
    config.notify.farewell = Duration::ZERO;
    config.core.mode = CoreMode::Peer;
    config.core.trusted = true;
    config.core.next_hop =
        Some(HostPort { host: wanted.core.ip().to_string(), port: Some(wanted.core.port()) });
    // A recording may hold a 503 and go on.
    config.core.retry_after_max = Duration::ZERO;
    if let Some(domain) = &wanted.domain {
        config.core.domain.clone_from(domain);
    }
    if let Some(Credentials { username, password: Password::Text(text), realms }) =
        &wanted.credentials
    {
        config.core.username = Some(username.clone());
        config.core.password = Some(Secret::new(text.clone()));
        config.core.realms.clone_from(realms);
    }
    if wanted.hosts {
        config.group.focus = GroupFocus::Host;
    }
    config.sip.profile = match wanted.family {
        Family::Plain => Profile::Plain,
        Family::SimpleIm => Profile::SimpleIm,
        Family::Cpm => Profile::Cpm,
    };
    // The player listens on both; a recording has few requests by TCP.
    config.sip.mtu_switch = 0;
    config
}

/// Draws a seed for a run that was given none.
#[must_use]
pub fn fresh_seed() -> u64 {
    rand::random()
}
