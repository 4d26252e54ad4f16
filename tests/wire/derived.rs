//! What must be told is derived from the trace: of every fixture all of it, and a bridge that tells
//! something else does not get away with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chatbridge::app::{Running, rehearse};
use chatbridge::config::{Config, CoreMode, GroupFocus, HostPort, Profile, StoreKind};
use chatbridge::replay::{self, Exit, Expect, Family, Outcome, Pace, Run, Stand, Wanted};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::played::{FLOWS, PACE, TRACES as RECORDED, order, shown};

const TRACES: &str = "sip-fixtures/traces";

#[test]
fn all_that_a_bridge_tells_of_a_fixture_is_derived() {
    let traces = files(TRACES).into_iter().filter(|file| {
        let kind = file.extension().and_then(|kind| kind.to_str()).unwrap_or_default();
        file.is_file() && !matches!(kind, "json" | "md")
    });
    let all: Vec<PathBuf> =
        files(FLOWS).into_iter().filter(|it| it.is_dir()).chain(traces).collect();
    assert_eq!(all.len(), 19 + RECORDED.len(), "{all:?}");
    for trace in all {
        let run = Run { expect: Expect::Derive, strict: true, ..order(&trace) };
        let outcome = rehearse(&run);
        // What is said outside of a session has no call: it is told as not played.
        let is_paged = trace.ends_with("cpm-pager-imdn.pcap");
        let wanted = if is_paged { Exit::Unexpected } else { Exit::Good };
        assert_eq!(outcome.exit, wanted, "{}", shown(&outcome));
        assert_eq!(outcome.text.contains("  not played "), is_paged, "{}", outcome.text);
        assert!(outcome.text.contains("  expected   derived from the trace\n"), "{}", outcome.text);
        assert!(!outcome.text.contains("  also said "), "{}", outcome.text);
    }
}

#[test]
fn what_is_not_judged_is_told() {
    let trace = Path::new(TRACES).join("cpm-group.sngrep.txt");
    let outcome = rehearse(&Run { expect: Expect::Derive, ..order(&trace) });
    for told in [
        "  left out   1 NOTIFY: ",
        "  may be     SIP SUBSCRIBE more: a state is missing, and the whole is asked for\n",
    ] {
        assert!(outcome.text.contains(told), "{told} is not in {}", outcome.text);
    }
}

#[test]
fn a_bridge_that_tells_something_else_is_found() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    for (flow, lie, exit) in [
        ("05-starting-a-group", ("", ""), Exit::Good),
        (
            "05-starting-a-group",
            ("\"status\":\"Disconnected\"", "\"status\":\"Connected\"   "),
            DIFFERS,
        ),
        ("05-starting-a-group", ("\"status\":\"Connected\"", "\"status\":\"Invited\"  "), DIFFERS),
        ("05-starting-a-group", ("\"yourown\":true", "\"yourown\":null"), DIFFERS),
        ("05-starting-a-group", ("tel:+19585550102", "tel:+19585550109"), DIFFERS),
        ("05-starting-a-group", ("participantStatusNotif", "participantStatusNotix"), DIFFERS),
        ("12-originator-leaves", ("cause=410", "cause=480"), DIFFERS),
        ("12-originator-leaves", ("\"SessionEnded\"", "\"Declined\"    "), DIFFERS),
        ("09-accepting-a-group", ("\"subject\":\"Trip\"", "\"subject\":\"Trap\""), DIFFERS),
        ("long-lived-other-focus", ("", ""), Exit::Good),
        ("long-lived-other-focus", ("\"status\":\"Invited\"", "\"status\":\"Waiting\""), DIFFERS),
        ("hosted-by-a-participant", ("", ""), Exit::Good),
        ("hosted-by-a-participant", ("by the originator", "by no originator!"), DIFFERS),
        ("14-sending", ("\"MessageSuccess\"", "\"MessageFailure\""), DIFFERS),
        ("14-sending", ("", ""), Exit::Good),
    ] {
        let outcome = runtime.block_on(played(&Path::new(FLOWS).join(flow), lie));
        assert_eq!(outcome.exit, exit, "{flow} {lie:?}: {}", shown(&outcome));
    }
}

const DIFFERS: Exit = Exit::Differs;

/// Plays a flow against a bridge of which the application hears through somebody who puts one word
/// in the place of another.
async fn played(flow: &Path, lie: (&'static str, &'static str)) -> Outcome {
    assert_eq!(lie.0.len(), lie.1.len());
    let mut started = None;
    let pace = Pace { timeout: Duration::from_secs(2), ..PACE };
    let pace = if lie.0.is_empty() { PACE } else { pace };
    let run = Run { expect: Expect::Derive, strict: lie.0.is_empty(), pace, ..order(flow) };
    let outcome = replay::run(&run, async |wanted| {
        let running = Running::start(&config(&wanted)).await?;
        let ear = TcpListener::bind("127.0.0.1:0").await?;
        let rest = format!("http://{}", ear.local_addr()?);
        let liar = tokio::spawn(repeats(ear, running.rest().to_string(), lie));
        let stand = Stand { rest, sip: Some(running.sip()) };
        started = Some((running, liar));
        Ok(stand)
    })
    .await;
    let (running, liar) = started.unwrap();
    running.stop(Duration::ZERO).await;
    liar.abort();
    outcome
}

/// Repeats what each side says, and lies to the one that has called.
async fn repeats(ear: TcpListener, to: String, (truth, lie): (&'static str, &'static str)) {
    while let Ok((stream, _)) = ear.accept().await {
        let to = to.clone();
        tokio::spawn(async move {
            let Ok(bridge) = TcpStream::connect(to).await else { return };
            let (mut from_caller, mut to_caller) = stream.into_split();
            let (mut from_bridge, mut to_bridge) = bridge.into_split();
            let asking = tokio::spawn(async move {
                let _ = tokio::io::copy(&mut from_caller, &mut to_bridge).await;
            });
            let mut said = Vec::new();
            let _ = from_bridge.read_to_end(&mut said).await;
            let text = String::from_utf8(said).unwrap();
            let text = if truth.is_empty() { text } else { text.replace(truth, lie) };
            let _ = to_caller.write_all(text.as_bytes()).await;
            let _ = to_caller.shutdown().await;
            asking.abort();
        });
    }
}

fn config(wanted: &Wanted) -> Config {
    let mut config = Config::default();
    for listen in [&mut config.rest.listen, &mut config.sip.listen, &mut config.msrp.listen] {
        *listen = "127.0.0.1:0".parse().unwrap();
    }
    config.msrp.ports = 1;
    config.store.kind = StoreKind::Memory;
    config.notify.farewell = Duration::ZERO;
    config.core.mode = CoreMode::Peer;
    config.core.trusted = true;
    let (host, port) = (wanted.core.ip().to_string(), Some(wanted.core.port()));
    config.core.next_hop = Some(HostPort { host, port });
    if let Some(domain) = &wanted.domain {
        config.core.domain.clone_from(domain);
    }
    if wanted.hosts {
        config.group.focus = GroupFocus::Host;
    }
    config.sip.profile = match wanted.family {
        Family::Plain => Profile::Plain,
        Family::SimpleIm => Profile::SimpleIm,
        Family::Cpm => Profile::Cpm,
    };
    config.sip.mtu_switch = 0;
    config
}

fn files(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}
