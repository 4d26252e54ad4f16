//! A core that moves, falls silent, and asks for pauses.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::net::dns::name_server::{Entry, NameServer, loopback};
use crate::net::{DnsSettings, SipSettings, bind_sip};
use crate::sip::Transport;

#[tokio::test]
async fn a_core_is_followed_where_dns_moves_it() {
    let (mut scout, core, server) = scout(&[("core.test.", Entry::A(7))]).await;
    assert_eq!(hops(&core), Err("the address of the core is not known".to_owned()));
    scout.look().await;
    assert_eq!(hops(&core), Ok(vec!["udp:127.0.0.7:5060".to_owned()]));
    assert!(core.lives_at(loopback(7)));
    server.know(&[("core.test.", Entry::A(8)), ("core.test.", Entry::A(9))]);
    // Its records hold for no time at all, so that it is asked again.
    assert_eq!(scout.look().await, SOONEST);
    assert_eq!(hops(&core).unwrap().len(), 2);
    assert!(core.lives_at(loopback(8)) && core.lives_at(loopback(9)));
    assert!(!core.lives_at(loopback(7)));
    server.know(&[]);
    assert_eq!(scout.look().await, LOOK_AGAIN);
    assert!(hops(&core).is_err() && !core.lives_at(loopback(8)));
}

#[tokio::test]
async fn what_is_known_serves_on_while_dns_is_silent() {
    let (mut scout, core, server) = scout(&[("core.test.", Entry::A(7))]).await;
    scout.look().await;
    server.fall_silent();
    assert_eq!(scout.look().await, LOOK_AGAIN);
    assert!(hops(&core).is_ok() && core.lives_at(loopback(7)));
    scout.known_until = Some(now());
    scout.look().await;
    assert_eq!(hops(&core), Err("the address of the core is not known".to_owned()));
}

#[tokio::test]
async fn s19_a_core_that_is_not_found_at_the_start_refuses_sessions() {
    let server = NameServer::start(0, &[]).await;
    server.fall_silent();
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let settings = SipSettings { dns: briefly(&server), ..SipSettings::default() };
    let listen = "127.0.0.1:0".parse().unwrap();
    let sockets = bind_sip(listen, settings, stop.clone(), tasks.clone()).await.unwrap();
    let ending = (stop.clone(), tasks.clone());
    let core = Core::find(named(), &sockets.outbound, CoreSettings::default(), ending).await;
    let refusal = core.hops(now(), &mut Random::seeded(1)).unwrap_err();
    let why = "the address of the core is not known";
    assert_eq!(refusal, Refusal::Unavailable { why, retry_after: LOOK_AGAIN });
    stop.cancel();
    tasks.close();
    tasks.wait().await;
}

#[tokio::test]
async fn an_address_is_not_looked_for() {
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let listen = "127.0.0.1:0".parse().unwrap();
    let sockets = bind_sip(listen, SipSettings::default(), stop.clone(), tasks.clone());
    let destination = Destination { host: "192.0.2.1".to_owned(), ..named() };
    let (outbound, settings) = (sockets.await.unwrap().outbound, CoreSettings::default());
    let core = Core::find(destination, &outbound, settings, (stop, tasks)).await;
    assert_eq!(hops(&core), Ok(vec!["udp:192.0.2.1:5060".to_owned()]));
    assert!(core.lives_at("192.0.2.1".parse().unwrap()));
}

#[test]
fn a_core_that_asks_for_a_pause_is_not_called() {
    let hop = Hop::new(Transport::Udp, "192.0.2.1", 5060);
    let core = Core::fixed(hop.clone(), &CoreSettings::default());
    assert!(hops(&core).is_ok());
    let start = now();
    core.spare(start, hop, Duration::from_secs(20));
    let refusal = core.hops(start, &mut Random::seeded(1)).unwrap_err();
    let why = "the core is overloaded and asks for a pause";
    assert_eq!(refusal, Refusal::Unavailable { why, retry_after: Duration::from_secs(20) });
    assert!(core.hops(start + Duration::from_secs(20), &mut Random::seeded(1)).is_ok());
}

async fn scout(zone: &[(&str, Entry)]) -> (Scout, Core, NameServer) {
    let server = NameServer::start(0, zone).await;
    let dns = Dns::new(briefly(&server), "127.0.0.1:0".parse().unwrap());
    let (news, located) = watch::channel(None);
    let CoreSettings { stale, retry_after_max } = CoreSettings::default();
    let core = Core { located, resting: Arc::new(Resting::new(retry_after_max)) };
    (Scout { dns, destination: named(), stale, news, known_until: None }, core, server)
}

fn named() -> Destination {
    let transport = Some(Transport::Udp);
    Destination { host: "core.test".to_owned(), port: Some(5060), transport, secure: false }
}

fn briefly(server: &NameServer) -> DnsSettings {
    DnsSettings { budget: Duration::from_millis(300), ..server.settings() }
}

fn hops(core: &Core) -> Result<Vec<String>, String> {
    let hops = core.hops(now(), &mut Random::seeded(1));
    let shown = |hops: Vec<Hop>| hops.iter().map(ToString::to_string).collect();
    hops.map(shown).map_err(|refusal| refusal.to_string())
}
