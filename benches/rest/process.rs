//! A server as a process, and what the system tells of it.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// What serves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// actix-web with one handler.
    Echo,
    /// The bridge, with its store in memory.
    Memory,
    /// The bridge, with its store in a file.
    Sqlite,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Echo, Self::Memory, Self::Sqlite];

    /// Reads the word that [`Server::start`] has written.
    pub(crate) fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == word)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Memory => "memory",
            Self::Sqlite => "sqlite",
        }
    }
}

/// A server that runs until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Server {
    /// Starts one; a bridge sends to the SIP `core` there, else it has its embedded IM server.
    pub(crate) fn start(kind: Kind, core: Option<SocketAddr>) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .arg(kind.name())
            .args(core.map(|core| core.to_string()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address =
            line.trim().parse().unwrap_or_else(|_| panic!("{} has not begun", kind.name()));
        Self { address, child }
    }

    /// Gives the bytes that it holds in memory.
    pub(crate) fn resident(&self) -> f64 {
        let statm = self.file("statm");
        let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<f64>().ok());
        pages.expect("the second is the resident size") * PAGE
    }

    /// Gives the seconds of CPU that it has used.
    pub(crate) fn cpu(&self) -> f64 {
        let stat = self.file("stat");
        // The name in brackets may hold anything; `utime` and `stime` are the 14th and 15th.
        let behind = stat.rsplit_once(')').map_or("", |(_, behind)| behind);
        let ticks = behind.split_whitespace().skip(11).take(2);
        ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
    }

    fn file(&self, name: &str) -> String {
        let path = format!("/proc/{}/{name}", self.child.id());
        fs::read_to_string(path).expect("the system tells of processes")
    }
}

impl Drop for Server {
    /// It stops when nobody speaks to it any more.
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _status = self.child.wait();
    }
}

/// `USER_HZ`, which is 100 on every Linux that this is built for.
const TICKS: f64 = 100.0;

const PAGE: f64 = 4096.0;
