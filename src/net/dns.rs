//! DNS: carries out the questions of [`Locator`], within a budget.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::rdata;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::{debug, warn};

use super::driver::now;
use crate::reach::{Reach, reach};
use crate::sip::{Destination, Located, Locator, Naptr, Question, Records, Srv, Transport};

/// How names are turned into addresses.
#[derive(Debug, Clone)]
pub struct DnsSettings {
    /// The servers that are asked; without any, those of the system.
    pub servers: Vec<SocketAddr>,
    /// How long finding one destination may take, all questions together.
    pub budget: Duration,
    /// How many answers are remembered.
    pub cache: usize,
    /// How many destinations are looked for at a time.
    pub lookups: usize,
    /// Whether a name may stand for a private or loopback address.
    pub allow_private: bool,
    /// The transports that may be chosen, best first.
    pub transports: Vec<Transport>,
}

impl Default for DnsSettings {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            budget: Duration::from_secs(5),
            cache: 1024,
            lookups: 256,
            allow_private: true,
            transports: vec![Transport::Udp, Transport::Tcp, Transport::Tls],
        }
    }
}

/// Finds where destinations are.
#[derive(Clone)]
pub(super) struct Dns {
    /// Absent where the system has no configuration that can be read.
    resolver: Option<TokioResolver>,
    settings: Arc<DnsSettings>,
    /// The kinds of addresses that our sockets can send to, best first.
    addresses: &'static [RecordType],
    lookups: Arc<Semaphore>,
}

/// What was found, and until when it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) located: Located,
    pub(super) valid_until: Instant,
}

/// Why a destination was not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotFound {
    /// DNS knows of no address that we could send to.
    #[error("DNS knows no address that can be sent to")]
    Nothing,
    /// DNS gives no answer.
    #[error("DNS gives no answer")]
    Silence,
    /// Too many others are looked for.
    #[error("too many names are looked for at a time")]
    Busy,
}

/// The answer to one question.
struct Answer {
    records: Records,
    /// How long it holds; nothing, where no server has answered.
    valid_until: Option<Instant>,
}

impl Dns {
    /// Gets ready to find addresses for a socket that is bound to `local`.
    pub(super) fn new(settings: DnsSettings, local: SocketAddr) -> Self {
        let resolver = resolver(&settings)
            .inspect_err(|error| warn!(%error, "no names can be turned into addresses"))
            .ok();
        let addresses: &[RecordType] = match local.ip() {
            IpAddr::V4(_) => &[RecordType::A],
            // A socket for all of IPv6 is one for IPv4, too.
            IpAddr::V6(ip) if ip.is_unspecified() => &[RecordType::AAAA, RecordType::A],
            IpAddr::V6(_) => &[RecordType::AAAA],
        };
        let lookups = Arc::new(Semaphore::new(settings.lookups));
        Self { resolver, settings: Arc::new(settings), addresses, lookups }
    }

    /// Finds a destination within the budget; where the time is up, what is known so far counts.
    pub(super) async fn locate(&self, destination: Destination) -> Result<Found, NotFound> {
        let _place = self.lookups.try_acquire().map_err(|_| NotFound::Busy)?;
        let mut locator = Locator::new(destination, &self.settings.transports);
        // Answers that never end are no reason to ask for ever.
        let mut valid_until = now() + LONGEST;
        let mut is_silent = false;
        let asking = async {
            while let Some(question) = locator.next_question() {
                let answer = self.ask(&question).await;
                match answer.valid_until {
                    Some(end) => valid_until = valid_until.min(end),
                    None => is_silent = true,
                }
                debug!(?question, records = ?answer.records, "asked DNS");
                locator.handle(answer.records);
            }
        };
        is_silent |= timeout(self.settings.budget, asking).await.is_err();
        let located = locator.into_located();
        match located.is_empty() {
            false => Ok(Found { located, valid_until }),
            true if is_silent => Err(NotFound::Silence),
            true => Err(NotFound::Nothing),
        }
    }

    async fn ask(&self, question: &Question) -> Answer {
        match question {
            Question::Naptr(name) => {
                let (records, valid_until) = self.look_up(name, RecordType::NAPTR, naptr).await;
                Answer { records: Records::Naptr(records), valid_until }
            }
            Question::Srv(name) => {
                let (records, valid_until) = self.look_up(name, RecordType::SRV, srv).await;
                Answer { records: Records::Srv(records), valid_until }
            }
            Question::Addresses(name) => {
                let (mut all, mut valid_until) = (Vec::new(), Some(now() + LONGEST));
                for kind in self.addresses {
                    let (some, end) = self.look_up(name, *kind, RData::ip_addr).await;
                    all.extend(some.into_iter().filter(|ip| self.permits(*ip)));
                    valid_until = valid_until.zip(end).map(|(known, end)| known.min(end));
                }
                Answer { records: Records::Addresses(all), valid_until }
            }
        }
    }

    /// Looks up the records of one kind that `read` understands, and until when they hold; nothing,
    /// where no server has answered.
    async fn look_up<T>(
        &self,
        name: &str,
        kind: RecordType,
        read: impl Fn(&RData) -> Option<T>,
    ) -> (Vec<T>, Option<Instant>) {
        let Some(resolver) = &self.resolver else { return (Vec::new(), None) };
        // What is no name has no records.
        let Ok(full_name) = Name::from_ascii(name) else {
            return (Vec::new(), Some(now() + LONGEST));
        };
        match resolver.lookup(full_name, kind).await {
            Ok(lookup) => {
                let data = lookup.answers().iter().map(|record| &record.data);
                (data.filter_map(read).collect(), Some(lookup.valid_until()))
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
                let holds = none.negative_ttl.map_or(BRIEF, |ttl| Duration::from_secs(ttl.into()));
                (Vec::new(), Some(now() + holds))
            }
            Err(error) => {
                debug!(%error, name, %kind, "DNS failed");
                (Vec::new(), None)
            }
        }
    }

    /// A name must not lead where nobody should be made to send.
    fn permits(&self, address: IpAddr) -> bool {
        match reach(address) {
            Reach::Global => true,
            Reach::Private(_) => self.settings.allow_private,
            Reach::Never(why) => {
                debug!(%address, why, "an address that DNS gave is not used");
                false
            }
        }
    }
}

fn naptr(data: &RData) -> Option<Naptr> {
    let RData::NAPTR(record) = data else { return None };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(Naptr {
        order: record.order,
        preference: record.preference,
        flags: text(&record.flags),
        service: text(&record.services),
        regexp: text(&record.regexp),
        replacement: record.replacement.to_ascii(),
    })
}

fn srv(data: &RData) -> Option<Srv> {
    let RData::SRV(rdata::SRV { priority, weight, port, target, .. }) = data else { return None };
    let target = target.to_ascii();
    Some(Srv { priority: *priority, weight: *weight, port: *port, target })
}

fn resolver(settings: &DnsSettings) -> Result<TokioResolver, NetError> {
    let mut builder = if settings.servers.is_empty() {
        TokioResolver::builder_tokio()?
    } else {
        let servers = settings.servers.iter().map(server).collect();
        let config = ResolverConfig::from_name_servers(servers);
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    };
    let options = builder.options_mut();
    options.cache_size = u64::try_from(settings.cache).unwrap_or(u64::MAX);
    // One lost datagram must not use up the time of all the questions that follow.
    options.timeout = options.timeout.min(settings.budget / 3);
    options.negative_max_ttl = Some(LONGEST);
    builder.build()
}

pub(super) fn server(address: &SocketAddr) -> NameServerConfig {
    let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    connections.iter_mut().for_each(|connection| connection.port = address.port());
    NameServerConfig::new(address.ip(), true, connections)
}

/// How long anything is believed at the most.
const LONGEST: Duration = Duration::from_secs(3600);

/// How long it is believed that there is nothing, where the answer does not tell.
const BRIEF: Duration = Duration::from_secs(5);

#[cfg(test)]
pub(super) mod name_server;
#[cfg(test)]
mod tests;
