//! SIPp as a process: one scenario, one call.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tokio::task::JoinHandle;

/// A running SIPp, which ends with its scenario, or after 20 s.
pub(crate) struct Sipp {
    end: JoinHandle<io::Result<bool>>,
    folder: PathBuf,
}

/// Tells whether SIPp is installed; says so where it is not.
pub(crate) fn is_there() -> bool {
    let found = Command::new("sipp").arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if found.is_ok() {
        return true;
    }
    assert!(std::env::var_os("TESTS_NEED_SIPP").is_none(), "sipp is not installed");
    eprintln!("sipp is not installed: nothing is shown");
    false
}

impl Sipp {
    /// Starts a scenario of this folder, against `remote` or waiting on `port`.
    pub(crate) fn start(scenario: &str, transport: &str, port: u16, remote: SocketAddr) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/scenarios");
        let name = format!("chatbridge-{}-{scenario}-{transport}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let mut command = Command::new("sipp");
        command.current_dir(&folder).arg("-sf").arg(root.join(scenario).with_extension("xml"));
        command.args(["-m", "1", "-i", "127.0.0.1", "-p", &port.to_string(), "-t", transport]);
        command.args(["-timeout", "20", "-timeout_error", "-nostdin"]);
        command.args([
            "-trace_err",
            "-error_file",
            "errors",
            "-trace_msg",
            "-message_file",
            "wire",
        ]);
        command.arg(remote.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        Self { end: tokio::task::spawn_blocking(move || wait(child)), folder }
    }

    /// Waits until the scenario has been seen to its end.
    pub(crate) async fn end(&mut self) {
        let is_content = (&mut self.end).await.unwrap().unwrap();
        let read = |name: &str| std::fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        assert!(is_content, "SIPp is not content:\n{}\n{}", read("errors"), read("wire"));
    }
}

impl Drop for Sipp {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

fn wait(mut child: Child) -> io::Result<bool> {
    child.wait().map(|status| status.success())
}
