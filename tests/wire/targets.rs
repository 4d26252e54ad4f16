//! Recorded flows, played from the command line against bridges that run already: good ones behind
//! TLS and credentials, and one that keeps to no rule.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use chatbridge::app::Running;
use chatbridge::config::{AuthMode, Config, CoreMode, HostPort, Secret, StoreKind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};

use super::certificates::Authority;

const FLOWS: &str = "sip-fixtures/flows";
const ALICE: &str = "tel:+19585550100";
const TOKEN: &str = "0123456789abcdef0123";

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_lets_in_who_has_the_password() {
    let core = free();
    let running = bridge(core, |config| {
        config.auth.mode = AuthMode::Basic;
        config.auth.users = vec![Secret::new(format!("alice s3cret {ALICE}"))];
    })
    .await;
    let flow = Path::new(FLOWS).join("02-starting");
    for (login, code, told) in [
        (&["--login", "alice:s3cret"][..], 0, "as expected: "),
        (&["--login", "alice:wrong"], 1, "gives 401"),
        (&[], 1, "gives 401"),
    ] {
        let output = play(&flow, &target(&running, core), login).await;
        shows(&output, code, told);
    }
    let both = play(&flow, &target(&running, core), &["--login", "a:b", "--token", "t"]).await;
    shows(&both, 2, "cannot be used with");
    running.stop(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_behind_tls_lets_in_who_has_the_token() {
    let (core, authority) = (free(), Authority::new());
    let (certificate, key) = authority.issue(&["localhost"]);
    let running = bridge(core, |config| {
        config.auth.mode = AuthMode::Bearer;
        config.auth.tokens = vec![Secret::new(format!("{TOKEN} {ALICE}"))];
        config.rest.certificate = Some(certificate);
        config.rest.private_key = Some(key);
    })
    .await;
    let flow = Path::new(FLOWS).join("14-sending");
    let url = |host: &str| format!("https://{host}:{}", running.rest().port());
    let ca = authority.file().display().to_string();
    let another = Authority::new();
    let other = another.file().display().to_string();
    for (host, ca, token, code, told) in [
        ("localhost", ca.as_str(), TOKEN, 0, "as expected: "),
        ("localhost", &ca, "another-token-of-twenty", 1, "gives 401"),
        ("localhost", &other, TOKEN, 4, "invalid peer certificate"),
        // It shows no certificate for this name.
        ("127.0.0.1", &ca, TOKEN, 4, "invalid peer certificate"),
        ("localhost", "no-such-file", TOKEN, 2, "no-such-file cannot be read"),
    ] {
        let target = ["--target".into(), url(host), "--listen".into(), core.to_string()];
        let output = play(&flow, &target, &["--ca", ca, "--token", token]).await;
        shows(&output, code, told);
    }
    running.stop(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn challenges_of_the_trace_are_answered_with_the_credentials_of_the_command_line() {
    let from = fs::read_to_string(Path::new(FLOWS).join("02-starting-declined/trace.txt")).unwrap();
    let first = from.find("2026/01/15").unwrap();
    let invite = &from[first..first + from[first..].find("\n2026/").unwrap() + 1];
    let second = |text: &str| text.replace("branch=z9hG4bKone1u", "branch=z9hG4bKone0u");
    let challenge = "2026/01/15 10:00:00.010000 198.51.100.5:5060 -> 192.0.2.10:5060\n\
        SIP/2.0 407 Proxy Authentication Required\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKone0u\r\n\
        From: <sip:+19585550100@example.com;user=phone>;tag=u-one\r\n\
        To: <sip:+19585550101@example.com;user=phone>;tag=c\r\nCall-ID: one@192.0.2.10\r\nCSeq: 1 INVITE\r\n\
        Proxy-Authenticate: Digest realm=\"example.com\", nonce=\"abc\", qop=\"auth\"\r\nContent-Length: 0\r\n\r\n\n\
        2026/01/15 10:00:00.020000 192.0.2.10:5060 -> 198.51.100.5:5060\n\
        ACK sip:+19585550101@example.com;user=phone SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKone0u\r\n\
        From: <sip:+19585550100@example.com;user=phone>;tag=u-one\r\n\
        To: <sip:+19585550101@example.com;user=phone>;tag=c\r\nCall-ID: one@192.0.2.10\r\nCSeq: 1 ACK\r\n\
        Content-Length: 0\r\n\r\n\n";
    // The first one is as the other, with the branch of its own, and earlier.
    let early = second(invite).replacen("10:00:00.", "09:59:59.", 1);
    let rest = from[first..].replace("CSeq: 1 ", "CSeq: 2 ");
    let folder = scratch("challenged");
    let trace = folder.join("trace.txt");
    fs::write(&trace, format!("{early}{challenge}{rest}")).unwrap();
    let with = play(&trace, &[], &["--auth", "alice:s3cret@example.com", "--timeout", "10s"]).await;
    shows(&with, 0, "as expected: ");
    for (wrong, code) in [("alice:s3cret@elsewhere", 5), ("nobody", 2)] {
        let output = play(&trace, &[], &["--auth", wrong, "--timeout", "1s"]).await;
        shows(&output, code, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_is_read_from_standard_input_and_expects_what_it_says_itself() {
    let trace = fs::read(Path::new(FLOWS).join("13-leaving/trace.txt")).unwrap();
    let mut run = Command::new(env!("CARGO_BIN_EXE_chatbridge"))
        .args(["replay", "run", "-"])
        // Beside it is nothing, whatever lies in the working directory.
        .current_dir(Path::new(FLOWS).join("15-receiving"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    run.stdin.take().unwrap().write_all(&trace).unwrap();
    let output = run.wait_with_output().unwrap();
    shows(&output, 0, "expected   derived from the trace\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn pauses_are_no_longer_than_they_may_be() {
    // At this speed the pauses of the trace would take some minutes.
    let flow = Path::new(FLOWS).join("03-ending");
    let output = play(&flow, &[], &["--speed", "0.001", "--max-gap", "3ms"]).await;
    shows(&output, 0, "as expected: ");
    for wrong in [["--timeout", "0"], ["--timeout", "3601s"], ["--max-gap", "1h"], ["--t1", "x"]] {
        shows(&play(&flow, &[], &wrong).await, 2, "a time from 1ms to 3600s is wanted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_lasts_as_long_as_it_may_and_a_bridge_that_does_not_stop_is_stopped() {
    let flow = Path::new(FLOWS).join("02-starting-declined");
    let mute = Lawless::start(|_| Vec::new()).await;
    let output = play(&flow, &mute.target(), &["--timeout", "300ms"]).await;
    shows(&output, 5, "nothing within 0.3 s");
    let talker = Lawless::start(|number| {
        let options = |n: usize| request("OPTIONS", &format!("o{number}x{n}"), &format!("{n}"));
        (0..200).map(options).collect()
    })
    .await;
    let output = play(&flow, &talker.target(), &["--max-messages", "50"]).await;
    shows(&output, 1, "there are more than 50 messages");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ack_before_its_answer_is_out_of_order() {
    let flow = Path::new(FLOWS).join("02-starting-declined");
    let hasty =
        Lawless::start(|_| vec![request("ACK", "call", "1"), request("INVITE", "call", "1")]).await;
    let output = play(&flow, &hasty.target(), &["--timeout", "1s", "--expect", "derive"]).await;
    // What is expected beside it does not come: it is told as well.
    shows(&output, 1, "SIP ACK after SIP 603 (INVITE) | SIP ACK before SIP 603 (INVITE)\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_cannot_send_a_run_to_another_host() {
    let flow = Path::new(FLOWS).join("02-starting-declined");
    let elsewhere = Lawless::linking("http://192.0.2.1:9/polls/s3cret?t=1").await;
    let output = play(&flow, &elsewhere.target(), &["--timeout", "1s"]).await;
    shows(
        &output,
        4,
        "is told nothing any more: GET http://192.0.2.1:9/polls/**********: 192.0.2.1 is another host",
    );
    shows(&output, 4, "the bridge was lost: ");
    for (target, code) in [("http://192.0.2.1", 2), ("ftp://127.0.0.1", 2), ("http://", 2)] {
        let target = ["--target".to_owned(), target.to_owned()];
        shows(&play(&flow, &target, &["--listen", "127.0.0.1:0"]).await, code, "");
    }
    // The host has to be the one, and not only to begin like it.
    let target = ["--target".to_owned(), "http://192.0.2.10".to_owned()];
    let output =
        play(&flow, &target, &["--listen", "127.0.0.1:0", "--allow-target", "192.0.2.1"]).await;
    shows(&output, 2, "--allow-target 192.0.2.10 if it is meant");
}

/// Plays a flow from the command line.
async fn play(trace: &Path, target: &[String], more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chatbridge"));
    command.args(["replay", "run"]).arg(trace).args(target).args(more);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn shows(output: &Output, code: i32, told: &str) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let all = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{all}");
    // How wide the columns are depends on where the trace lies.
    let lines =
        all.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n");
    let words = told.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    assert!(lines.collect::<String>().contains(&words), "{told} is not in {all}");
}

/// A bridge whose core is there.
async fn bridge(core: SocketAddr, change: impl FnOnce(&mut Config)) -> Running {
    let mut config = Config::default();
    for listen in [&mut config.rest.listen, &mut config.sip.listen, &mut config.msrp.listen] {
        *listen = "127.0.0.1:0".parse().unwrap();
    }
    config.msrp.ports = 1;
    config.store.kind = StoreKind::Memory;
    config.notify.farewell = Duration::ZERO;
    config.core.mode = CoreMode::Peer;
    config.core.trusted = true;
    config.core.next_hop = Some(HostPort { host: core.ip().to_string(), port: Some(core.port()) });
    config.core.domain = "example.com".to_owned();
    change(&mut config);
    Running::start(&config).await.unwrap()
}

fn target(running: &Running, core: SocketAddr) -> [String; 4] {
    let rest = format!("http://{}", running.rest());
    ["--target".to_owned(), rest, "--listen".to_owned(), core.to_string()]
}

/// An address of this host that nobody has: a run has to be told one, and to bind it itself.
fn free() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let [low, high, ..] = std::process::id().to_le_bytes();
    SocketAddr::from(([127, 100 + (high & 63), low, number], 5060))
}

/// Something that takes REST calls as a bridge does, and says in SIP whatever it likes when an
/// application calls.
struct Lawless {
    rest: SocketAddr,
    core: SocketAddr,
}

impl Lawless {
    /// Starts it; `says` gives what is said at each call for a session.
    async fn start(says: fn(usize) -> Vec<String>) -> Self {
        Self::with(says, None).await
    }

    /// Starts one whose channels are elsewhere.
    async fn linking(poll: &'static str) -> Self {
        Self::with(|_| Vec::new(), Some(poll)).await
    }

    async fn with(says: fn(usize) -> Vec<String>, poll: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (rest, core) = (listener.local_addr().unwrap(), free());
        let root = format!("http://{rest}");
        tokio::spawn(async move {
            let sip = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let mut calls = 0;
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut asked = vec![0; 4096];
                let length = stream.read(&mut asked).await.unwrap_or(0);
                let asked = String::from_utf8_lossy(&asked[..length]).into_owned();
                let path = asked.split(' ').nth(1).unwrap_or_default().to_owned();
                if asked.starts_with("GET") {
                    // Nothing is ever told: the poll stays open.
                    tokio::spawn(async move {
                        let _ = stream.read(&mut [0; 16]).await;
                    });
                    continue;
                }
                let poll = poll.map_or(format!("{root}/poll"), str::to_owned);
                let body = match path.ends_with("/channels") {
                    true => format!(
                        "{{\"notificationChannel\":{{\"channelData\":{{\"channelURL\":\"{poll}\"}},\
                         \"callbackURL\":\"{root}/c\",\"resourceURL\":\"{root}/r\"}}}}"
                    ),
                    false => "{}".to_owned(),
                };
                let head = format!(
                    "HTTP/1.1 201 Created\r\nLocation: {root}{path}/1\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
                if path.ends_with("/sessions") {
                    calls += 1;
                    for message in says(calls) {
                        sip.send_to(message.as_bytes(), core).await.unwrap();
                    }
                }
            }
        });
        Self { rest, core }
    }

    fn target(&self) -> [String; 4] {
        let rest = format!("http://{}", self.rest);
        ["--target".to_owned(), rest, "--listen".to_owned(), self.core.to_string()]
    }
}

fn request(method: &str, call: &str, branch: &str) -> String {
    let tag = if method == "ACK" { ";tag=n" } else { "" };
    format!(
        "{method} sip:+19585550101@example.com;user=phone SIP/2.0\r\n\
         Via: SIP/2.0/UDP 127.0.0.1:9;rport;branch=z9hG4bK{call}{branch}\r\n\
         From: <sip:+19585550100@example.com;user=phone>;tag=f\r\n\
         To: <sip:+19585550101@example.com;user=phone>{tag}\r\nCall-ID: {call}\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:127.0.0.1:9>\r\nContent-Length: 0\r\n\r\n"
    )
}

fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("targets").join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}
