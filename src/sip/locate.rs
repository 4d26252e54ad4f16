//! Where a request goes: from the host of a URI to the hops that DNS knows for it (RFC 3263 section
//! 4, RFC 2782).
//!
//! ```text
//!   literal ───────────────────────────────────────────▶ found
//!   host, nothing else ──▶ NAPTR ──▶ SRV, service by service ──▶ A or AAAA, target by target
//!   host and transport ─────────────▶ SRV ──▶   ""    (no SRV at all: of the host itself)
//!   host and port ────────────────────────────────────▶ A or AAAA of the host
//! ```
//! Drain [`Locator::next_question`], give each answer to [`Locator::handle`], and take what there is
//! with [`Locator::into_located`], at the end or when the time is up. Aliases (CNAME) are the
//! resolver's matter; how many questions there are at most does not depend on the answers.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;

use crate::ids::Random;
use crate::sip::{Hop, Transport, Uri};

/// What is to be located: a host with what is known of port and transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// An IP literal without brackets, or a name.
    pub host: String,
    /// The port, if one is named.
    pub port: Option<u16>,
    /// The transport, if one is named.
    pub transport: Option<Transport>,
    /// Whether only TLS will do (`sips`).
    pub secure: bool,
}

/// A question to DNS. A name with a dot at its end is complete; any other may be completed by the
/// resolver's search list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// The services of a domain.
    Naptr(String),
    /// The servers of a service.
    Srv(String),
    /// The addresses of a host.
    Addresses(String),
}

/// The answer to a question; what does not exist, or cannot be had, is an empty list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Records {
    /// To [`Question::Naptr`].
    Naptr(Vec<Naptr>),
    /// To [`Question::Srv`].
    Srv(Vec<Srv>),
    /// To [`Question::Addresses`].
    Addresses(Vec<IpAddr>),
}

/// A NAPTR record (RFC 2915 section 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naptr {
    /// The lower, the earlier.
    pub order: u16,
    /// The lower, the better among those of one order.
    pub preference: u16,
    /// What kind of record comes next: `s` for SRV.
    pub flags: String,
    /// The service, such as `SIP+D2U`.
    pub service: String,
    /// How a text is rewritten; empty in the records of SIP.
    pub regexp: String,
    /// The name to ask for next.
    pub replacement: String,
}

/// An SRV record (RFC 2782).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Srv {
    /// The lower, the earlier.
    pub priority: u16,
    /// The share among those of one priority.
    pub weight: u16,
    /// The port of the server.
    pub port: u16,
    /// Its name; the root says that there is no such service.
    pub target: String,
}

/// What DNS knows of a destination: servers with their addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Located {
    servers: Vec<Server>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Server {
    priority: u16,
    weight: u16,
    hops: Vec<Hop>,
}

/// Asks its way from a destination to its hops.
#[derive(Debug)]
pub struct Locator {
    destination: Destination,
    /// The transports that we speak, best first.
    transports: Vec<Transport>,
    stage: Stage,
    found: Located,
}

#[derive(Debug)]
enum Stage {
    /// Which services the domain offers.
    Domain,
    /// Which servers these services have, best first; and whether one was denied.
    Services(VecDeque<Service>, Denied),
    /// Which addresses these hosts have.
    Hosts(Vec<Host>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Service {
    transport: Transport,
    name: String,
}

/// Whether a domain has said in so many words that it does not offer a service.
type Denied = bool;

#[derive(Debug)]
struct Host {
    name: String,
    port: u16,
    transport: Transport,
    priority: u16,
    weight: u16,
}

impl Destination {
    /// Reads where a request to a SIP URI goes; `None` for another scheme, and for a transport that
    /// this stack does not speak.
    #[must_use]
    pub fn of_uri(uri: &Uri) -> Option<Self> {
        let hop = uri.hop()?;
        let transport = uri.param("transport").map(|_| hop.transport);
        Some(Self { transport, secure: uri.is_secure(), port: uri.port(), ..Self::of_hop(&hop) })
    }

    /// Takes a hop whose transport is settled, and its port too unless it is `0`.
    #[must_use]
    pub fn of_hop(hop: &Hop) -> Self {
        Self {
            host: hop.host.clone(),
            port: (hop.port != 0).then_some(hop.port),
            transport: Some(hop.transport),
            secure: hop.transport == Transport::Tls,
        }
    }

    /// Gives the hop as a Route names it: the host as it is written, never what DNS makes of it
    /// (RFC 3263 section 4).
    #[must_use]
    pub fn hop(&self) -> Hop {
        let transport = self.transport();
        let hop = Hop::new(transport, &self.host, 0);
        let default = if hop.address().is_some() { transport.default_port() } else { 0 };
        Hop { port: self.port.unwrap_or(default), ..hop }
    }

    /// Gives the transport, or what stands in for one that nothing names (section 4.1).
    fn transport(&self) -> Transport {
        match self.transport {
            Some(transport) => transport,
            None if self.secure => Transport::Tls,
            None => Transport::Udp,
        }
    }

    /// Gives the service of this destination over `transport` (section 4.2).
    fn service(&self, transport: Transport) -> Service {
        let label = match transport {
            Transport::Udp => "_sip._udp",
            Transport::Tcp => "_sip._tcp",
            Transport::Tls => "_sips._tcp",
        };
        Service { transport, name: absolute(&format!("{label}.{}", self.host)) }
    }
}

impl Located {
    /// What needs no DNS.
    #[must_use]
    pub fn at(hop: Hop) -> Self {
        Self { servers: vec![Server { priority: 0, weight: 0, hops: vec![hop] }] }
    }

    /// Orders the hops for one transaction: by priority, then by a draw in which weights count (RFC
    /// 2782, "Usage rules"). At most [`MAX_HOPS`], none twice.
    #[must_use]
    pub fn draw(&self, random: &mut Random) -> Vec<Hop> {
        let mut left: Vec<&Server> = self.servers.iter().collect();
        // Those without weight come first, for the draw to give them a very small chance.
        left.sort_by_key(|server| (server.priority, server.weight != 0));
        let mut hops: Vec<Hop> = Vec::new();
        while let Some(priority) = left.first().map(|server| server.priority) {
            let equals = left.iter().take_while(|server| server.priority == priority);
            let weights: Vec<u64> = equals.map(|server| server.weight.into()).collect();
            let drawn = random.below(weights.iter().sum::<u64>() + 1);
            let running = weights.iter().scan(0, |sum, weight| {
                *sum += weight;
                Some(*sum)
            });
            let chosen = running.take_while(|sum| *sum < drawn).count();
            for hop in &left.remove(chosen).hops {
                if hops.len() < MAX_HOPS && !hops.contains(hop) {
                    hops.push(hop.clone());
                }
            }
        }
        hops
    }

    /// Gives every address.
    #[must_use]
    pub fn addresses(&self) -> BTreeSet<IpAddr> {
        let hops = self.servers.iter().flat_map(|server| &server.hops);
        hops.filter_map(Hop::address).map(|ip| ip.to_canonical()).collect()
    }

    /// Tells whether there is nowhere to go.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }
}

impl Locator {
    /// Begins to locate `destination` with the transports that we speak, best first.
    #[must_use]
    pub fn new(destination: Destination, transports: &[Transport]) -> Self {
        let transport = destination.transport();
        let (mut found, mut hosts) = (Located::default(), Vec::new());
        let stage = if destination.hop().address().is_some() {
            found = Located::at(destination.hop());
            Stage::Hosts(hosts)
        } else if let Some(port) = destination.port {
            hosts.push(Host::new(&destination.host, transport, port));
            Stage::Hosts(hosts)
        } else if destination.transport.is_some() {
            Stage::Services(VecDeque::from([destination.service(transport)]), false)
        } else {
            Stage::Domain
        };
        let usable = |transport: &Transport| !destination.secure || *transport == Transport::Tls;
        let transports = transports.iter().copied().filter(usable).collect();
        Self { destination, transports, stage, found }
    }

    /// Gives the question that is open, until it is answered.
    #[must_use]
    pub fn next_question(&self) -> Option<Question> {
        match &self.stage {
            Stage::Domain => Some(Question::Naptr(absolute(&self.destination.host))),
            Stage::Services(services, _) => {
                services.front().map(|service| Question::Srv(service.name.clone()))
            }
            Stage::Hosts(hosts) => hosts.first().map(|host| Question::Addresses(host.name.clone())),
        }
    }

    /// Takes the answer to the question that is open; one to another question is dropped.
    pub fn handle(&mut self, records: Records) {
        match (&mut self.stage, records) {
            (Stage::Domain, Records::Naptr(records)) => {
                self.stage = Stage::Services(self.services(records), false);
            }
            (Stage::Services(services, denied), Records::Srv(records)) => {
                let Some(service) = services.pop_front() else { return };
                let is_denied = records.iter().any(|record| is_root(&record.target));
                let hosts = servers(service.transport, records);
                *denied |= is_denied && hosts.is_empty();
                if !hosts.is_empty() {
                    self.stage = Stage::Hosts(hosts);
                } else if services.is_empty() {
                    let hosts = if *denied { Vec::new() } else { vec![self.host(&service)] };
                    self.stage = Stage::Hosts(hosts);
                }
            }
            (Stage::Hosts(hosts), Records::Addresses(addresses)) => {
                let Some(name) = hosts.first().map(|host| host.name.clone()) else { return };
                for host in hosts.extract_if(.., |host| host.name == name) {
                    self.found.enter(&host, &addresses);
                }
            }
            (Stage::Domain | Stage::Services(..) | Stage::Hosts(_), _) => {}
        }
    }

    /// Gives what was found, be it that questions are still open.
    #[must_use]
    pub fn into_located(self) -> Located {
        self.found
    }

    /// Chooses among the services of a domain those that we speak, best first; without any, all
    /// that we speak are worth a question (section 4.1).
    fn services(&self, mut records: Vec<Naptr>) -> VecDeque<Service> {
        records.truncate(MAX_RECORDS);
        records.sort_by_key(|record| (record.order, record.preference));
        let offered = records.iter().filter_map(|record| {
            let transport = record.transport()?;
            let name = absolute(&record.replacement);
            self.transports.contains(&transport).then_some(Service { transport, name })
        });
        let mut services = VecDeque::new();
        for service in offered.take(MAX_SERVICES) {
            if !services.contains(&service) {
                services.push_back(service);
            }
        }
        if services.is_empty() {
            let spoken = self.transports.iter();
            services.extend(spoken.map(|transport| self.destination.service(*transport)));
        }
        if services.is_empty() {
            services.push_back(self.destination.service(self.destination.transport()));
        }
        services
    }

    /// Gives the host itself, where no service of it has servers. Unless NAPTR has named
    /// the transport, it is the one that stands in (section 4.1).
    fn host(&self, last: &Service) -> Host {
        let own = self.destination.service(last.transport);
        let transport = if own == *last { self.destination.transport() } else { last.transport };
        Host::new(&self.destination.host, transport, transport.default_port())
    }
}

impl Located {
    fn enter(&mut self, host: &Host, addresses: &[IpAddr]) {
        let hop = |ip: &IpAddr| Hop::new(host.transport, &ip.to_string(), host.port);
        let hops: Vec<Hop> = addresses.iter().take(MAX_ADDRESSES).map(hop).collect();
        if !hops.is_empty() {
            let Host { priority, weight, .. } = *host;
            self.servers.push(Server { priority, weight, hops });
        }
    }
}

impl Host {
    fn new(name: &str, transport: Transport, port: u16) -> Self {
        Self { name: name.to_owned(), port, transport, priority: 0, weight: 0 }
    }
}

impl Naptr {
    /// Reads which transport leads to the servers behind this record; `None` if that is no service
    /// of SIP, or not one that leads on to SRV records.
    fn transport(&self) -> Option<Transport> {
        if !self.flags.eq_ignore_ascii_case("s") || !self.regexp.is_empty() {
            return None;
        }
        let known = [
            ("SIP+D2U", Transport::Udp),
            ("SIP+D2T", Transport::Tcp),
            ("SIPS+D2T", Transport::Tls),
        ];
        let mut known = known.into_iter();
        known.find(|(name, _)| self.service.eq_ignore_ascii_case(name)).map(|(_, it)| it)
    }
}

/// Takes the best of the servers, none twice.
fn servers(transport: Transport, mut records: Vec<Srv>) -> Vec<Host> {
    records.truncate(MAX_RECORDS);
    records.retain(|record| !is_root(&record.target) && record.port != 0);
    // The name settles what is equal otherwise, so that the same records are the same choice.
    records.sort_by(|a, b| {
        let by_rank = a.priority.cmp(&b.priority).then(b.weight.cmp(&a.weight));
        by_rank.then_with(|| (&a.target, a.port).cmp(&(&b.target, b.port)))
    });
    let mut hosts: Vec<Host> = Vec::new();
    for Srv { priority, weight, port, target } in records {
        let name = absolute(&target);
        if !hosts.iter().any(|host| host.port == port && host.name == name) {
            hosts.push(Host { name, port, transport, priority, weight });
        }
    }
    hosts.truncate(MAX_TARGETS);
    hosts
}

/// Tells the name that stands for "there is no such service" (RFC 2782).
fn is_root(name: &str) -> bool {
    name.is_empty() || name == "."
}

/// Completes a name.
fn absolute(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    if name.ends_with('.') { name } else { name + "." }
}

/// More hops than anybody tries in the time of one request.
pub const MAX_HOPS: usize = 16;

/// How many records of an answer are looked at.
const MAX_RECORDS: usize = 100;

/// How many targets of a service are asked for their addresses.
const MAX_TARGETS: usize = 16;

/// How many services of a domain are tried.
const MAX_SERVICES: usize = 8;

/// How many addresses of a host are taken.
const MAX_ADDRESSES: usize = 8;

#[cfg(test)]
mod tests;
