//! Our caller against our callee: two processes, which this program starts of itself.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chatbridge::net::{Inbound, SipOutbound, SipSettings, bind_sip};
use chatbridge::sip::{Body, Call, Hop, Local, NameAddr, Timers, Transport, Uri};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::process::{Run, cpu_of_children, resident};
use super::{CONCURRENCY, shard, tasks};

/// Who owns the dialogs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Model {
    /// One task owns them all.
    Shard,
    /// Each has a task, as the conversations of the bridge have.
    Tasks,
}

impl Model {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Shard => "one task for all",
            Self::Tasks => "one task each",
        }
    }
}

/// What one side is told to do.
pub(crate) struct Order {
    pub(crate) model: Model,
    pub(crate) transport: Transport,
    pub(crate) timers: Timers,
    /// Whom to call; the callee has nobody.
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) calls: usize,
    /// How many calls are made at a time.
    pub(crate) concurrency: usize,
    /// Whether the calls stay open.
    pub(crate) hold: bool,
}

impl Order {
    /// Reads the words that `start` has written.
    pub(crate) fn of(words: &[String]) -> Option<Self> {
        let [side, model, transport, t1, peer, calls, concurrency, hold] = words else {
            return None;
        };
        let t1 = Duration::from_millis(t1.parse().ok()?);
        (side == "side").then_some(())?;
        Some(Self {
            model: if model == "shard" { Model::Shard } else { Model::Tasks },
            transport: transport.parse().ok()?,
            timers: Timers { t1, t2: t1 * 8, t4: t1 * 10 },
            peer: peer.parse().ok(),
            calls: calls.parse().ok()?,
            concurrency: concurrency.parse().ok()?,
            hold: hold == "hold",
        })
    }

    /// Starts a process that does as this orders.
    fn start(&self) -> Side {
        let model = if self.model == Model::Shard { "shard" } else { "tasks" };
        let peer = self.peer.map_or_else(|| "-".to_owned(), |peer| peer.to_string());
        let hold = if self.hold { "hold" } else { "end" };
        let mut child = Command::new(env::current_exe().expect("this program has a path"))
            .args(["side", model, self.transport.param()])
            .args([self.timers.t1.as_millis().to_string(), peer, self.calls.to_string()])
            .args([self.concurrency.to_string(), hold.to_owned()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program can be started again");
        let lines = BufReader::new(child.stdout.take().expect("it is piped"));
        Side { child, lines }
    }
}

/// A process of ours.
struct Side {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Side {
    /// Waits for the line that begins with `word`, and gives the rest of it.
    fn hear(&mut self, word: &str) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("it speaks");
        let rest = line.strip_prefix(word).unwrap_or_else(|| panic!("{word} expected, not {line}"));
        rest.trim().to_owned()
    }

    /// Lets the process end: that its input closes is the sign.
    fn end(mut self) {
        drop(self.child.stdin.take());
        self.child.wait().expect("it ends");
    }
}

/// Makes many calls, a few at a time.
pub(crate) fn speed(transport: Transport, model: Model, calls: usize) -> Run {
    let before = cpu_of_children();
    let (mut caller, callee) = start(Order {
        model,
        transport,
        timers: Timers::default(),
        peer: None,
        calls,
        concurrency: CONCURRENCY,
        hold: false,
    });
    let began = Instant::now();
    caller.hear("at 25%");
    let failed = caller.hear("done");
    let wall = began.elapsed();
    caller.end();
    callee.end();
    let failed = failed.parse().expect("a number");
    Run::new(calls, failed, wall, cpu_of_children() - before)
}

/// Opens many calls and lets them stand; gives the bytes that each costs the caller and the callee.
/// The transactions of their INVITEs, which live for 32 s, are among them.
pub(crate) fn open(transport: Transport, calls: usize) -> [f64; 2] {
    let (mut caller, callee) = start(Order {
        model: Model::Shard,
        transport,
        timers: Timers::default(),
        peer: None,
        calls,
        concurrency: CONCURRENCY,
        hold: true,
    });
    caller.hear("at 25%");
    let early = [resident(&caller.child), resident(&callee.child)];
    caller.hear("done");
    let late = [resident(&caller.child), resident(&callee.child)];
    caller.end();
    callee.end();
    let between = calls as f64 * 0.75;
    [(late[0] - early[0]) / between, (late[1] - early[1]) / between]
}

/// Makes very many calls; gives the bytes that caller and callee hold after a quarter of them, and
/// after all. What is over lingers for 64 times T1. With the usual 32 s nothing would go before the
/// run is over, and all of it would look like a leak: T1 is short enough here that as much comes as
/// goes long before the first quarter is done.
pub(crate) fn flat(transport: Transport, calls: usize) -> [[f64; 2]; 2] {
    let t1 = FLAT_T1;
    let (mut caller, callee) = start(Order {
        model: Model::Shard,
        transport,
        timers: Timers { t1, t2: t1 * 8, t4: t1 * 10 },
        peer: None,
        calls,
        concurrency: CONCURRENCY,
        hold: false,
    });
    caller.hear("at 25%");
    let early = [resident(&caller.child), resident(&callee.child)];
    caller.hear("done");
    let late = [resident(&caller.child), resident(&callee.child)];
    caller.end();
    callee.end();
    [[early[0], late[0]], [early[1], late[1]]]
}

pub(crate) const FLAT_T1: Duration = Duration::from_millis(10);

/// Starts the callee, and then the caller that is to call it.
fn start(order: Order) -> (Side, Side) {
    let mut callee = order.start();
    let peer = callee.hear("ready").parse().expect("an address");
    let caller = Order { peer: Some(peer), ..order }.start();
    (caller, callee)
}

/// Is one side, until it is done or its input closes.
pub(crate) fn run(order: &Order) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("there is a runtime").block_on(async {
        let (stop, all) = (CancellationToken::new(), TaskTracker::new());
        let listen = "127.0.0.1:0".parse().expect("an address");
        let sockets = bind_sip(listen, SipSettings::default(), stop.clone(), all);
        let sockets = sockets.await.expect("there is a port");
        let ground = Ground::new(order, sockets.local, sockets.outbound);
        if order.peer.is_none() {
            say(&format!("ready {}", sockets.local));
        }
        tokio::select! {
            () = serve(order.model, ground, sockets.inbound) => {}
            () = input_closed() => {}
        }
        stop.cancel();
    });
}

async fn serve(model: Model, ground: Ground, inbound: mpsc::Receiver<Inbound>) {
    match model {
        Model::Shard => shard::run(ground, inbound).await,
        Model::Tasks => tasks::run(ground, inbound).await,
    }
}

async fn input_closed() {
    let read = || drop(std::io::stdin().read_to_end(&mut Vec::new()));
    drop(tokio::task::spawn_blocking(read).await);
}

/// Tells the process that has started this one.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("somebody listens");
}

/// What both models stand on.
pub(crate) struct Ground {
    pub(crate) outbound: SipOutbound,
    pub(crate) local: Arc<Local>,
    pub(crate) timers: Timers,
    pub(crate) answer: Body,
    pub(crate) calls: Option<Calls>,
}

/// The calls that are to be made.
pub(crate) struct Calls {
    template: Call,
    all: usize,
    started: usize,
    ended: usize,
    failed: usize,
    pub(crate) concurrency: usize,
    pub(crate) hold: bool,
}

impl Ground {
    fn new(order: &Order, local: SocketAddr, outbound: SipOutbound) -> Self {
        let hop = Hop::new(order.transport, &local.ip().to_string(), local.port());
        let body = Body {
            content_type: "application/sdp".to_owned(),
            bytes: Bytes::from_static(SDP.as_bytes()),
        };
        let calls = order.peer.map(|peer| Calls {
            template: template(order.transport, peer, body.clone()),
            all: order.calls,
            started: 0,
            ended: 0,
            failed: 0,
            concurrency: order.concurrency,
            hold: order.hold,
        });
        let local = Local::new(hop, "load").into();
        Self { outbound, local, timers: order.timers, answer: body, calls }
    }
}

impl Calls {
    /// Gives the next call, while there are any.
    pub(crate) fn next(&mut self) -> Option<Call> {
        if self.started == self.all {
            return None;
        }
        self.started += 1;
        Some(self.template.clone())
    }

    /// Takes note that a call has come to its end, or as far as it shall.
    pub(crate) fn end(&mut self, is_well: bool) {
        self.ended += 1;
        self.failed += usize::from(!is_well);
        if self.ended == self.all / 4 {
            say("at 25%");
        }
        if self.ended == self.all {
            say(&format!("done {}", self.failed));
        }
    }
}

fn template(transport: Transport, peer: SocketAddr, body: Body) -> Call {
    let hop = Hop::new(transport, &peer.ip().to_string(), peer.port());
    let address =
        |user: &str| NameAddr::new(Uri::sip(Some(user), &hop.authority()).expect("an address"));
    Call {
        target: Uri::sip(Some("service"), &hop.authority()).expect("an address"),
        from: address("caller"),
        to: address("service"),
        next_hops: vec![hop.clone()],
        proxy: None,
        route: Vec::new(),
        orig: false,
        headers: Vec::new(),
        contact_user: None,
        contact_params: String::new(),
        body,
        letter: None,
    }
}

/// As long as that of SIPp.
const SDP: &str = "v=0\r\no=user1 53655765 2353687637 IN IP4 127.0.0.1\r\ns=-\r\n\
    c=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";
