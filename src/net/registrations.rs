//! The keeper of the registrations: one loop that drives the roster, and tells the directory.

use std::future::pending;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::time::{Instant as Tick, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::core::Core;
use super::driver::now;
use super::sip_outbound::SipOutbound;
use crate::bridge::{Roster, RosterInput, RosterOutput};
use crate::ids::Random;
use crate::sip::RegistrationFailure;
use crate::store::connections::OnFailure;
use crate::store::{RegistrationLetter, Registrations, Sessions};

/// The ways to the core.
pub struct KeeperWays {
    /// The way out to SIP peers.
    pub outbound: SipOutbound,
    /// Where the core is.
    pub core: Core,
    /// The sessions that the core carries.
    pub sessions: Arc<Sessions>,
    /// Randomness: which hop of several comes first.
    pub random: Random,
}

impl KeeperWays {
    fn hops(&mut self) -> RosterInput {
        RosterInput::Hops(self.core.hops(now(), &mut self.random).unwrap_or_default())
    }
}

/// Keeps all users registered until they are told to leave, and have left, or the server stops.
pub async fn run(
    mut roster: Roster,
    (directory, mut letters): (Arc<Registrations>, mpsc::Receiver<RegistrationLetter>),
    mut ways: KeeperWays,
    stop: CancellationToken,
) {
    // Where nobody knows where the core is, nobody is begun; the core itself says so in the log.
    roster.handle(now(), ways.hops());
    loop {
        while let Some(output) = roster.poll() {
            carry_out(output, &directory, &ways);
        }
        if roster.is_finished() {
            return;
        }
        let deadline = roster.next_timeout().map(Tick::from_std);
        let timer = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => pending().await,
            }
        };
        let input = tokio::select! {
            () = stop.cancelled() => return,
            Some(letter) = letters.recv() => match letter {
                RegistrationLetter::Response(response) => RosterInput::Response(response),
                RegistrationLetter::SendFailed { user, hop } => {
                    RosterInput::SendFailed { user, hop }
                }
                RegistrationLetter::Doubt(user) => RosterInput::Doubt(user),
                RegistrationLetter::Leave(within) => RosterInput::Leave(within),
            },
            () = timer => {
                roster.handle(now(), ways.hops());
                RosterInput::Timeout
            }
        };
        roster.handle(now(), input);
    }
}

/// Does what the roster wants, and writes one line for each thing that has become of a user.
fn carry_out(output: RosterOutput, directory: &Arc<Registrations>, ways: &KeeperWays) {
    match output {
        RosterOutput::Send { user, bytes, hop } => {
            let (directory, to) = (Arc::clone(directory), hop.clone());
            let tell = OnFailure::new(move || {
                if !directory.offer(RegistrationLetter::SendFailed { user, hop: to }) {
                    debug!("too many failed REGISTERs, their timers will tell");
                }
            });
            ways.outbound.send(bytes, &hop, tell);
        }
        RosterOutput::Spare { hop, wait } => ways.core.spare(now(), hop, wait),
        RosterOutput::Registered { access, aliases } => {
            if let Some(user) = &access.user {
                let via = access.hop.as_ref().map(ToString::to_string);
                let (routes, also) = (access.service_route.len(), aliases.len());
                info!(%user, via, routes, also, "registered");
            }
            directory.keep(access, aliases);
        }
        RosterOutput::Failed { user, why, again_at } => {
            let why = reason(why);
            match again_at {
                Some(at) => {
                    warn!(%user, why, again_s = seconds_until(at), "registration failed");
                }
                None => error!(%user, why, "registration failed for good"),
            }
            directory.expect(&user, again_at);
        }
        RosterOutput::Lost { user, why, again_at } => {
            let why = why.map_or_else(|| "not refreshed in time".to_owned(), reason);
            warn!(%user, why, again_s = again_at.map(seconds_until), "registration lost");
            for name in directory.lose(&user) {
                ways.sessions.tell_core_lost(&name);
            }
            directory.expect(&user, again_at);
        }
        RosterOutput::Unusable { user, why } => error!(%user, %why, "registration impossible"),
        RosterOutput::Gone(user) => {
            info!(%user, "registration taken back");
            directory.lose(&user);
        }
    }
}

fn reason(why: RegistrationFailure) -> String {
    match why {
        RegistrationFailure::Status(status) => format!("{} {}", status.code(), status.reason()),
        RegistrationFailure::NotKept => "the registrar does not keep our contact".to_owned(),
        RegistrationFailure::Timeout => "no answer".to_owned(),
        RegistrationFailure::Transport => "the next hop cannot be reached".to_owned(),
    }
}

fn seconds_until(at: Instant) -> u64 {
    at.saturating_duration_since(now()).as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)
}
