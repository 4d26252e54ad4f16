//! The servers: they tell their address, and run until their input ends.

use std::fs;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::time::Duration;

use actix_web::http::header::LOCATION;
use actix_web::{App, HttpResponse, HttpServer, web};
use chatbridge::app::Running;
use chatbridge::bridge::delivery::SuccessOn;
use chatbridge::config::{Config, CoreMode, HostPort, StoreKind};
use serde_json::Value;

use super::process::Kind;

pub(crate) fn run(kind: Kind, core: Option<SocketAddr>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match kind {
        Kind::Echo => runtime.block_on(echo()),
        Kind::Memory | Kind::Sqlite => runtime.block_on(bridge(kind, core)),
    }
}

async fn echo() {
    let server = HttpServer::new(|| App::new().default_service(web::post().to(answer)))
        .bind("127.0.0.1:0")
        .unwrap();
    let address = server.addrs()[0];
    let server = server.disable_signals().run();
    let handle = server.handle();
    let server = tokio::spawn(server);
    until_told(address).await;
    handle.stop(false).await;
    server.await.unwrap().unwrap();
}

async fn answer(document: web::Json<Value>) -> HttpResponse {
    HttpResponse::Created().insert_header((LOCATION, LOCATION_OF_ALL)).json(document)
}

const LOCATION_OF_ALL: &str =
    "http://127.0.0.1:8080/1/chat/tel%3A%2B19585550100/sessions/0123456789/messages/0123456789";

async fn bridge(kind: Kind, core: Option<SocketAddr>) {
    let mut config = Config::default();
    if let Some(core) = core {
        config.core.mode = CoreMode::Peer;
        let (host, port) = (core.ip().to_string(), Some(core.port()));
        config.core.next_hop = Some(HostPort { host, port });
    } else {
        // The notified rows: the embedded IM server reports on nothing itself.
        config.session.success_on = SuccessOn::Hop;
    }
    let anywhere = "127.0.0.1:0".parse().unwrap();
    (config.rest.listen, config.sip.listen, config.im_server.listen) =
        (anywhere, anywhere, anywhere);
    (config.msrp.listen, config.msrp.ports) = (anywhere, 1);
    config.session.invitation_timeout = Duration::from_secs(3600);
    config.notify.poll = Duration::from_secs(600);
    config.notify.farewell = Duration::ZERO;
    config.notify.queue = 100_000;
    config.notify.max_notifications = 1000;
    config.notify.max_channels = 10_000;
    (config.limits.rest_per_source, config.limits.connections) = (20_000, 4096);
    let path = std::env::temp_dir().join(format!("chatbridge-rest-{}.db", std::process::id()));
    config.store.path.clone_from(&path);
    config.store.kind = match kind {
        Kind::Sqlite => StoreKind::Sqlite,
        Kind::Memory | Kind::Echo => StoreKind::Memory,
    };
    let running = Running::start(&config).await.unwrap();
    until_told(running.rest()).await;
    running.stop(Duration::ZERO).await;
    for suffix in ["", "-wal", "-shm"] {
        // Not all of them are there.
        let _ = fs::remove_file(format!("{}{suffix}", path.display()));
    }
}

async fn until_told(address: SocketAddr) {
    println!("{address}");
    let read = || io::stdin().read_to_end(&mut Vec::new());
    tokio::task::spawn_blocking(read).await.unwrap().unwrap();
}
