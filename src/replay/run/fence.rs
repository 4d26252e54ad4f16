//! Where a run may send anything: to this host, and to those that were named on purpose. A bridge
//! that names another one, in a description or in a link, changes nothing about that, and one of our
//! own is held back likewise from whom a recording names.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::timeout;

use super::api::Url;
use super::wires::Event;
use super::{Exit, Stand, Target};
use crate::net::{HeldBack, Tether};

/// The hosts beside this one that may be played to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fence {
    allowed: BTreeSet<IpAddr>,
    /// Names that may be looked up: a look-up of another one tells somebody of the run.
    names: BTreeSet<String>,
}

impl Fence {
    /// Tells whether something may be sent to a host.
    pub(super) fn permits(&self, host: IpAddr) -> bool {
        let host = host.to_canonical();
        host.is_loopback() || self.allowed.contains(&host)
    }

    /// Gives the first address behind a URL that may be sent to.
    pub(super) async fn find(&self, url: &Url<'_>) -> io::Result<SocketAddr> {
        let host = url.host();
        let is_known = host.parse::<IpAddr>().is_ok()
            || host.eq_ignore_ascii_case("localhost")
            || self.names.contains(&host.to_ascii_lowercase());
        if !is_known {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, another(host)));
        }
        let mut denied = None;
        for address in lookup_host((url.host(), url.port)).await? {
            if self.permits(address.ip()) {
                return Ok(address);
            }
            denied = Some(address.ip());
        }
        Err(match denied {
            Some(host) => io::Error::new(io::ErrorKind::PermissionDenied, another(host)),
            None => io::Error::new(io::ErrorKind::NotFound, "no such host"),
        })
    }
}

/// What a bridge of our own was held back from, on its way into the events of a run.
#[derive(Debug)]
pub(super) struct Holds {
    events: Sender<Event>,
    /// The first one that found the queue full: without it a run would end for silence.
    kept: Mutex<Option<HeldBack>>,
}

impl Holds {
    pub(super) fn new(events: Sender<Event>) -> Self {
        Self { events, kept: Mutex::default() }
    }

    /// Takes what was held back, and does not wait.
    fn take(&self, held: HeldBack) {
        // The first ones are enough, and where the run is over nobody wants to know.
        let sent = self.events.try_send(Event::Held(held));
        if let Err(TrySendError::Full(Event::Held(held))) = sent {
            self.kept.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(held);
        }
    }

    /// Gives the next event of the run: before those that wait, what found no place among them.
    pub(super) async fn next(&self, events: &mut Receiver<Event>) -> Option<Event> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        match kept {
            Some(held) => Some(Event::Held(held)),
            None => events.recv().await,
        }
    }
}

/// Finds a bridge that runs, and holds back from hosts that were not meant.
pub(super) async fn reach(
    target: &Target,
    allowed: &[String],
    limit: Duration,
) -> Result<(Stand, Fence), (Exit, String)> {
    let gone = |error: io::Error| (Exit::Unreachable, format!("{}: {error}", target.rest));
    let late = |_| gone(io::Error::new(io::ErrorKind::TimedOut, "no answer in time"));
    let usage = |error: io::Error| (Exit::Usage, error.to_string());
    let url = Url::read(&target.rest).map_err(usage)?;
    let mut fence = Fence::default();
    fence.names.insert(url.host().to_ascii_lowercase());
    for host in allowed {
        fence.names.insert(bare(host).to_ascii_lowercase());
        fence.allowed.extend(addresses(host, limit).await?);
    }
    if let Some(host) = target.sip.map(|sip| sip.ip()).filter(|host| !fence.permits(*host)) {
        return Err((Exit::Usage, another(host)));
    }
    let address = match timeout(limit, fence.find(&url)).await.map_err(late)? {
        Ok(address) => address,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(usage(error)),
        Err(error) => return Err(gone(error)),
    };
    timeout(limit, TcpStream::connect(address)).await.map_err(late)?.map_err(gone)?;
    Ok((Stand { rest: target.rest.clone(), sip: target.sip }, fence))
}

/// Holds back from hosts that were not meant, and a bridge of our own likewise: what it has for
/// another host is an event.
pub(super) async fn enclose(
    allowed: &[String],
    limit: Duration,
    holds: &Arc<Holds>,
) -> Result<(Fence, Arc<Tether>), (Exit, String)> {
    let holds = Arc::clone(holds);
    let tether = Arc::new(Tether::new(move |held| holds.take(held)));
    let mut fence = Fence::default();
    for host in allowed {
        let found = addresses(host, limit).await?;
        tether.permit_host(bare(host), found.iter().copied());
        fence.names.insert(bare(host).to_ascii_lowercase());
        fence.allowed.extend(found);
    }
    Ok((fence, tether))
}

/// Finds the addresses of a host that was named on purpose.
async fn addresses(host: &str, limit: Duration) -> Result<Vec<IpAddr>, (Exit, String)> {
    let failed = |error: io::Error| (Exit::Unreachable, format!("--allow-target {host}: {error}"));
    let late = |_| failed(io::Error::new(io::ErrorKind::TimedOut, "no answer in time"));
    let found = timeout(limit, lookup_host((bare(host), 0))).await.map_err(late)?;
    let found = found.map_err(failed)?;
    Ok(found.map(|address| address.ip().to_canonical()).collect())
}

pub(super) fn another(host: impl std::fmt::Display) -> String {
    format!("{host} is another host: --allow-target {host} if it is meant")
}

fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Held;

    #[test]
    fn this_host_is_permitted_under_all_its_addresses_and_others_where_they_are_named() {
        let host = |text: &str| text.parse::<IpAddr>().expect("an address");
        let fence = Fence { allowed: [host("192.0.2.7")].into(), ..Fence::default() };
        for permitted in ["127.0.0.1", "127.3.2.1", "::1", "::ffff:127.0.0.1", "192.0.2.7"] {
            assert!(fence.permits(host(permitted)), "{permitted}");
        }
        for denied in ["192.0.2.70", "192.0.2.8", "0.0.0.0", "2001:db8::1"] {
            assert!(!fence.permits(host(denied)), "{denied}");
        }
    }

    #[tokio::test]
    async fn what_is_held_back_is_told_however_many_events_wait() {
        let (sender, mut events) = tokio::sync::mpsc::channel(1);
        let holds = Holds::new(sender.clone());
        let held = |host: &str| HeldBack { what: Held::Msrp, host: host.to_owned(), port: None };
        let gone = || Event::Deaf { user: "a".to_owned(), why: "b".to_owned() };
        sender.try_send(gone()).expect("a place");
        for host in ["first.test", "second.test"] {
            holds.take(held(host));
        }
        let next = holds.next(&mut events).await;
        assert!(matches!(&next, Some(Event::Held(it)) if *it == held("first.test")), "{next:?}");
        assert!(matches!(holds.next(&mut events).await, Some(Event::Deaf { .. })));
        // Where there is a place it has its turn.
        holds.take(held("third.test"));
        let next = holds.next(&mut events).await;
        assert!(matches!(&next, Some(Event::Held(it)) if *it == held("third.test")), "{next:?}");
    }

    #[tokio::test]
    async fn a_name_that_was_not_named_on_purpose_is_not_even_looked_up() {
        let fence = Fence { names: ["known.invalid".to_owned()].into(), ..Fence::default() };
        // Nobody has either: only the one that is looked up is not found.
        for (name, is_denied) in [("other.invalid", true), ("KNOWN.invalid", false)] {
            let url = format!("http://{name}/polls/1");
            let url = Url::read(&url).expect("a URL");
            let error = fence.find(&url).await.expect_err("nobody is there");
            assert_eq!(error.kind() == io::ErrorKind::PermissionDenied, is_denied, "{error}");
        }
    }
}
