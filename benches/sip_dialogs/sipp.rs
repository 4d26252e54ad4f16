//! SIPp against SIPp, with the scenarios that it brings.

use std::net::{TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use chatbridge::sip::Transport;

use super::CONCURRENCY;
use super::process::{Run, cpu_of_children};

/// Lets SIPp call SIPp; `None` where there is none.
pub(crate) fn speed(transport: Transport, calls: usize) -> Option<Run> {
    let before = cpu_of_children();
    let (ours, theirs) = (free_port(), free_port());
    let mut callee = start(transport, &["-sn", "uas", "-p", &theirs.to_string()])?;
    // It says nothing when it is ready.
    sleep(Duration::from_millis(500));
    let began = Instant::now();
    let mut caller = start(
        transport,
        &[
            "-sn",
            "uac",
            &format!("127.0.0.1:{theirs}"),
            "-p",
            &ours.to_string(),
            "-m",
            &calls.to_string(),
            "-l",
            &CONCURRENCY.to_string(),
            // More than it can do: the concurrency is what holds it back.
            "-r",
            "50000",
            "-d",
            "0",
            "-timeout",
            "120",
        ],
    )?;
    let status = caller.wait().expect("sipp ends");
    let wall = began.elapsed();
    callee.kill().expect("it is ours");
    callee.wait().expect("sipp ends");
    let failed = if status.success() { 0 } else { calls };
    Some(Run::new(calls, failed, wall, cpu_of_children() - before))
}

fn start(transport: Transport, words: &[&str]) -> Option<Child> {
    let mode = if transport == Transport::Udp { "u1" } else { "t1" };
    let mut command = Command::new("sipp");
    command.args(words).args(["-i", "127.0.0.1", "-t", mode, "-nostdin"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
}

/// Finds a port that is free for both transports.
fn free_port() -> u16 {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").expect("there is a port");
        let port = udp.local_addr().expect("it has an address").port();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
