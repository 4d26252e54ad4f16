//! The addresses of a name, for whoever is to be connected to.
//!
//! The library of the system lets a thread wait for each question, for as long as its servers are
//! silent, and there are only so many threads: whoever names enough hosts that nobody knows would
//! have all others wait, too. Here a question costs a socket, and is forgotten with whoever asks.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use hickory_resolver::config::LookupIpStrategy;
use hickory_resolver::lookup_ip::LookupIp;
use hickory_resolver::net::NetError;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{Hosts, TokioResolver};
use tracing::warn;

/// Asks the servers of the system and its file of hosts, as `/etc/resolv.conf` and `/etc/hosts` were
/// when the first name was asked for. A copy asks with it.
#[derive(Clone, Default)]
pub struct Names(Arc<OnceLock<Option<Known>>>);

/// Who is asked, in this order.
struct Known {
    hosts: Hosts,
    servers: TokioResolver,
}

impl Names {
    /// Gives all addresses of a name, or the one that it is. Whoever asks has a deadline.
    ///
    /// # Errors
    /// There are none, or nobody says so.
    pub async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        let Some(known) = self.0.get_or_init(of_system) else {
            return Err(io::Error::other("the system names no server that knows names"));
        };
        let noted = known.noted(host);
        if !noted.is_empty() {
            return Ok(noted);
        }
        let found = known.servers.lookup_ip(host).await.map_err(io::Error::other)?;
        Ok(found.iter().collect())
    }
}

impl Known {
    /// Gives what the file of hosts says. The resolver would still ask the servers for the family of
    /// which it says nothing.
    fn noted(&self, host: &str) -> Vec<IpAddr> {
        let Ok(name) = Name::from_str_relaxed(host) else { return Vec::new() };
        let of = |kind| self.hosts.lookup_static_host(&Query::query(name.clone(), kind));
        let found = [RecordType::A, RecordType::AAAA].into_iter().filter_map(of);
        found.flat_map(|found| LookupIp::from(found).iter().collect::<Vec<_>>()).collect()
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names").finish_non_exhaustive()
    }
}

fn of_system() -> Option<Known> {
    let servers = || -> Result<TokioResolver, NetError> {
        let mut builder = TokioResolver::builder_tokio()?;
        // Whether a name may be called is judged by all that it stands for.
        builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        builder.build()
    };
    let servers =
        servers().inspect_err(|error| warn!(%error, "no names can be turned into addresses"));
    let hosts = Hosts::from_system()
        .inspect_err(|error| warn!(%error, "the file of hosts cannot be read"))
        .unwrap_or_default();
    Some(Known { hosts, servers: servers.ok()? })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hickory_resolver::config::ResolverConfig;
    use hickory_resolver::net::runtime::TokioRuntimeProvider;
    use tokio::time::timeout;

    use super::super::dns::name_server::{Entry, NameServer};
    use super::super::dns::server;
    use super::*;

    fn asking(address: std::net::SocketAddr) -> Names {
        asking_with(address, Hosts::default())
    }

    fn asking_with(address: std::net::SocketAddr, hosts: Hosts) -> Names {
        let config = ResolverConfig::from_name_servers(vec![server(&address)]);
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let servers = builder.build().ok();
        Names(Arc::new(OnceLock::from(servers.map(|servers| Known { hosts, servers }))))
    }

    #[tokio::test]
    async fn an_address_is_its_own_and_the_file_of_hosts_is_read() {
        let names = Names::default();
        for (host, address) in [("192.0.2.7", "192.0.2.7"), ("2001:db8::7", "2001:db8::7")] {
            let found = names.addresses(host).await.expect("an address");
            assert_eq!(found, [address.parse::<IpAddr>().expect("an address")]);
        }
        let found = names.addresses("localhost").await.expect("every system knows it");
        assert!(found.iter().all(IpAddr::is_loopback) && !found.is_empty(), "{found:?}");
    }

    /// With a thread for each question they would have to wait for each other: there is one only.
    #[test]
    fn h06_names_that_nobody_knows_delay_no_other() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(1)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let zone = [("app.test.", Entry::A(1)), ("app.test.", Entry::A(2))];
            let server = NameServer::start(60, &zone).await;
            let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
            let mute = asking(silent.local_addr().expect("an address"));
            let waiting: Vec<_> = (0..600)
                .map(|number| {
                    let mute = mute.clone();
                    tokio::spawn(async move { mute.addresses(&format!("n{number}.test.")).await })
                })
                .collect();
            tokio::task::yield_now().await;
            let mut hosts = Hosts::default();
            hosts.read_hosts_conf(&b"192.0.2.9 noted.test\n"[..]).expect("a file of hosts");
            let noted = asking_with(silent.local_addr().expect("an address"), hosts);
            let found = timeout(Duration::from_secs(60), noted.addresses("noted.test")).await;
            assert_eq!(found.expect("in time").expect("it is noted").len(), 1);
            let known = asking(server.address);
            let found = timeout(Duration::from_secs(60), known.addresses("app.test.")).await;
            assert_eq!(found.expect("in time").expect("it is known").len(), 2);
            assert!(waiting.iter().all(|task| !task.is_finished()));
            waiting.iter().for_each(tokio::task::JoinHandle::abort);
            assert!(known.addresses("nobody.test.").await.is_err());
        });
    }
}
