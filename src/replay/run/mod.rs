//! `replay run`: a recording played against a bridge, and judged.
//!
//! `sides` tells who the bridge is in the recording, `script` makes a cue of each of its messages
//! and finds the REST call that causes it, `hosting` the one behind many. The `player` goes from cue to cue: what is ours is
//! rewritten and sent (`speaking`) over the sockets of `wires`, what is the bridge's is waited for
//! and recognised (`matching`); `actions` makes the calls through `api`, `courtesy` answers what the
//! recording has nothing for, and `fence` holds all of it back from hosts that were not meant.
//! `expected` is what the application must be told, `notice` by `notice` and `wish` by `wish`, and `verdict` sets all of it against what was
//! really said (`report` tells programs), `order` the one after the other.

mod actions;
mod api;
mod courtesy;
mod derive;
mod expected;
mod fence;
mod held;
mod hosting;
mod matching;
mod members;
mod notice;
mod order;
mod pairing;
mod player;
mod report;
mod script;
mod sides;
mod speaking;
mod verdict;
mod wires;
mod wish;

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::book::Keep;
use super::junit::Case;
use super::rewrite::{Kept, Mapping, Mappings, Names};
use super::source::Trace;
use super::{Exit, Form, Level, Outcome, capture, junit, open};
use crate::digest::Credentials;
use crate::ids::Random;
use crate::net::{Tether, WebClient};
use api::{Api, Pass};
pub use expected::Expect;
use expected::Expected;
use fence::{Holds, enclose, reach};
use player::{Halt, Manner, Player};
use script::Script;
pub use sides::Side;
use sides::Sides;
use wires::Wires;

/// What to play, and how.
#[derive(Debug, Clone)]
pub struct Run {
    /// The recording; in a folder, the one in it.
    pub trace: PathBuf,
    /// Whether the report is for people or for programs.
    pub form: Form,
    /// How closely messages are compared.
    pub level: Level,
    /// Whether what the recording has nothing for is a fault.
    pub strict: bool,
    /// Which side is played.
    pub side: Side,
    /// The address whose messages are played, instead.
    pub play: Option<String>,
    /// Where the notifications come from that are expected.
    pub expect: Expect,
    /// How fast.
    pub pace: Pace,
    /// Of what identifiers are drawn.
    pub seed: u64,
    /// The bridge that runs already; else one is started.
    pub target: Option<Target>,
    /// Hosts beside this one that may be played to, and that a bridge of our own may call.
    pub allowed: Vec<String>,
    /// Who is known to whom in SIP: us to the bridge, and a bridge of our own to us.
    pub credentials: Option<Credentials>,
    /// What is left as it was recorded, where else it would be rewritten.
    pub kept: Kept,
    /// Numbers and domains, each with what stands for it.
    pub map: Vec<Mapping>,
    /// Whether conversations get ids of their own.
    pub fresh_ids: bool,
    /// Whether nothing is sent but what the recording has, and as often as it has it.
    pub raw: bool,
    /// Whether each step is told, with what is rewritten and why.
    pub explain: bool,
    /// How many messages a run may have.
    pub max_messages: usize,
    /// Where to write the verdict for test runners.
    pub junit: Option<PathBuf>,
    /// Where to write what was really said.
    pub capture: Option<PathBuf>,
}

/// How fast a recording is played.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// How many times as fast as it was recorded; without it, nothing but the bridge is waited for.
    pub speed: Option<f64>,
    /// The longest pause.
    pub max_gap: Duration,
    /// How long each wait may take.
    pub timeout: Duration,
    /// How long an answer is waited for before a request is sent again (T1, RFC 3261 section
    /// 17.1.1.1); doubled each time.
    pub t1: Duration,
}

/// A bridge that runs already.
#[derive(Debug, Clone)]
pub struct Target {
    /// What stands before `/1/chat` in its URLs.
    pub rest: String,
    /// Where it takes SIP.
    pub sip: Option<SocketAddr>,
    /// Where it looks for its core, and so for us.
    pub listen: SocketAddr,
    /// What its REST face wants in `Authorization`.
    pub authorization: Option<String>,
    /// Who vouches for its certificate; else the platform says.
    pub ca: Option<PathBuf>,
}

/// What a recording wants of the bridge that plays in it.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// What it answers challenges with.
    pub credentials: Option<Credentials>,
    /// Where its core is.
    pub core: SocketAddr,
    /// The family of cores that the recording is of.
    pub family: Family,
    /// The domain of the users.
    pub domain: Option<String>,
    /// Whether its users host their groups themselves.
    pub hosts: bool,
    /// Whom it may call: those who play, and nobody who was recorded.
    pub tether: Arc<Tether>,
}

/// Families of cores, by what their clients say that they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Nobody says.
    Plain,
    /// OMA SIMPLE IM.
    SimpleIm,
    /// OMA CPM.
    Cpm,
}

/// Where a bridge is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stand {
    /// What stands before `/1/chat` in its URLs.
    pub rest: String,
    /// Where it takes SIP.
    pub sip: Option<SocketAddr>,
}

/// Plays a recording; a bridge is started by `start` where none runs that was named.
pub async fn run(run: &Run, start: impl AsyncFnOnce(Wanted) -> io::Result<Stand>) -> Outcome {
    let outcome = match trace_in(&run.trace) {
        Ok(file) => match open(&file, keep_of(run), run.form) {
            Ok(trace) => {
                let hidden = trace.hidden();
                match played(run, &file, trace, start).await {
                    Ok(outcome) => return outcome,
                    Err((exit, why)) => {
                        Outcome::failure(exit, [vec![why], hidden].concat(), run.form)
                    }
                }
            }
            Err(failure) => failure,
        },
        Err(error) => {
            let why = format!("{}: {error}", run.trace.display());
            Outcome::failure(Exit::NoTrace, vec![why], run.form)
        }
    };
    unplayed(run, outcome)
}

/// Says whether what comes again is played again.
fn keep_of(run: &Run) -> Keep {
    if run.raw { Keep::Repeats } else { Keep::Messages }
}

/// Leaves a report of a run that came to nothing: whoever reads only that must not miss it.
fn unplayed(run: &Run, mut outcome: Outcome) -> Outcome {
    if let Some(path) = &run.junit {
        let (name, failures) = ("the run".to_owned(), outcome.warnings.clone());
        let cases = vec![Case { name, failures, skipped: false }];
        let report = junit::write(&run.trace.display().to_string(), cases);
        keep(path, report.as_bytes(), (&mut outcome.exit, &mut outcome.warnings));
    }
    outcome
}

async fn played(
    run: &Run,
    file: &Path,
    mut trace: Trace,
    start: impl AsyncFnOnce(Wanted) -> io::Result<Stand>,
) -> Result<Outcome, (Exit, String)> {
    let book = &trace.book;
    let told = |why| format!("{}: {why}", trace.name);
    if book.totals.sip == 0 {
        return Err((Exit::NoTrace, told("no SIP in it".to_owned())));
    }
    let is_kept = |step: &super::book::Step| !step.bytes.is_empty();
    let totals = &book.totals;
    let untold = totals.steps_untold + totals.dialogs_untold + totals.sessions_untold;
    if untold > 0 || !book.steps.iter().all(is_kept) {
        return Err((Exit::NoTrace, told("it is too long to be played".to_owned())));
    }
    let sides =
        Sides::find(book, run.side, run.play.as_deref()).map_err(|why| (Exit::Usage, told(why)))?;
    // What is expected beside a trace is expected of the bridge in its usual place.
    let usual = Sides::find(book, Side::Network, None);
    let is_usual = usual.is_ok_and(|usual| sides.is_bridge(usual.bridge));
    let map = Mappings::of(&run.map);
    let mapped = map.translate(&mut trace.book);
    let book = &trace.book;
    let script = Script::of(book, &sides);
    if script.cues.is_empty() {
        return Err((Exit::NoTrace, told("nothing in it can be played".to_owned())));
    }
    let from = if is_usual { run.expect } else { Expect::Derive };
    let expected = Expected::find(file, from, (book, &script), &map)?;
    let gone = |error: io::Error| (Exit::Unreachable, error.to_string());
    // One ear for all of it: what is not listened for would be lost in between.
    let mut interrupt = pin!(tokio::signal::ctrl_c());
    let (sender, events) = mpsc::channel(QUEUE);
    let holds = Arc::new(Holds::new(sender.clone()));
    let listen = run.target.as_ref().map(|target| target.listen);
    let wires = Wires::bind(wires::loopback(listen), sender.clone())
        .await
        .map_err(|error| (Exit::Unreachable, format!("{}: {error}", wires::loopback(listen))))?;
    let (stand, fence) = match &run.target {
        Some(target) => {
            let reached = reach(target, &run.allowed, run.pace.timeout);
            let stopped = Err((Exit::Interrupted, "interrupted".to_owned()));
            unless_interrupted(&mut interrupt, reached).await.unwrap_or(stopped)?
        }
        None => {
            let (fence, tether) = enclose(&run.allowed, run.pace.timeout, &holds).await?;
            [wires.sip, wires.msrp].into_iter().for_each(|own| tether.permit(own));
            let wanted = wanted((book, &script), run, (wires.sip, tether));
            (start(wanted).await.map_err(gone)?, fence)
        }
    };
    let mut random = Random::seeded(run.seed);
    let names = Names::new(random.token(), (wires.sip, wires.msrp), stand.sip);
    let mut names = names.with(run.kept, run.fresh_ids);
    names.pledges.credentials.clone_from(&run.credentials);
    let authorization = run.target.as_ref().and_then(|target| target.authorization.as_deref());
    let pass = Pass::new(&stand.rest, authorization, (trust(run)?, fence));
    let api = Api::new(&stand.rest, run.pace.timeout, pass);
    let manner = Manner {
        pace: run.pace,
        raw: run.raw,
        explains: run.explain,
        max_messages: run.max_messages,
        mapped,
    };
    let mut player =
        Player::new((book, &script), names, (wires, api, manner), (sender, events, holds));
    let playing = async {
        player.listen().await?;
        player.play(&expected).await?;
        verdict::wait(&mut player, &expected).await
    };
    let played = unless_interrupted(&mut interrupt, playing).await;
    let halt = played.unwrap_or(Err(Halt::Interrupted)).err();
    let mut verdict = verdict::of(&player, &expected, run, halt);
    let mut warnings = trace.warnings.clone();
    if let Some(path) = &run.capture {
        let mut log = player.log.clone();
        log.sort_by_key(|message| message.at);
        keep(path, &capture::write(&log), (&mut verdict.exit, &mut warnings));
    }
    if let Some(path) = &run.junit {
        let report = junit::write(&trace.name, verdict.cases(&player));
        keep(path, report.as_bytes(), (&mut verdict.exit, &mut warnings));
    }
    let stage = verdict::Stage { trace: &trace, sides: &sides, stand: &stand, expected: &expected };
    player.tidy(run.target.is_some()).await;
    Ok(Outcome { warnings, ..verdict.outcome(&player, &stage, run) })
}

/// Writes a file that is wanted; that it cannot be written counts where all else is good.
fn keep(path: &Path, bytes: &[u8], (exit, warnings): (&mut Exit, &mut Vec<String>)) {
    if let Err(error) = fs::write(path, bytes) {
        warnings.push(format!("{}: {error}", path.display()));
        if *exit == Exit::Good {
            *exit = Exit::Usage;
        }
    }
}

/// Does something, unless somebody interrupts it.
async fn unless_interrupted<T>(
    interrupt: &mut (impl Future<Output = io::Result<()>> + Unpin),
    work: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        _ = interrupt => None,
    }
}

/// Gives the recording in a folder: the first of its files that is neither an expectation nor told
/// for people.
fn trace_in(path: &Path) -> io::Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        files.push(entry?.path());
    }
    files.retain(|file| {
        let kind = file.extension().and_then(|kind| kind.to_str()).unwrap_or_default();
        file.is_file() && !matches!(kind, "json" | "md" | "tsv")
    });
    files.sort();
    let none = || io::Error::new(io::ErrorKind::NotFound, "no trace in this folder");
    files.into_iter().next().ok_or_else(none)
}

/// Reads whom we trust, where the bridge is spoken to by TLS.
fn trust(run: &Run) -> Result<Option<WebClient>, (Exit, String)> {
    match &run.target {
        Some(target) if target.rest.starts_with("https://") => {
            let client = WebClient::new(target.ca.as_deref());
            client.map(Some).map_err(|fault| (Exit::Usage, fault.to_string()))
        }
        Some(_) | None => Ok(None),
    }
}

/// Tells what the bridge has to be for a recording.
fn wanted(
    (book, script): (&super::book::Book, &Script),
    run: &Run,
    (core, tether): (SocketAddr, Arc<Tether>),
) -> Wanted {
    let has = |words: &str| {
        let found = |bytes: &[u8]| memchr::memmem::find(bytes, words.as_bytes()).is_some();
        script.cues.iter().any(|cue| found(&book.steps[cue.step].bytes))
    };
    let family = match (has("oma.cpm."), has("+g.oma.sip-im")) {
        (true, _) => Family::Cpm,
        (false, true) => Family::SimpleIm,
        (false, false) => Family::Plain,
    };
    let domain = script.cues.iter().find_map(|cue| match &cue.said {
        script::Said::Sip(sip) => {
            let (_, host) = sip.from.address.split_once('@')?;
            Some(host.split([';', ':', '>']).next()?.to_owned())
        }
        script::Said::Msrp(_) => None,
    });
    let hosts = !script.hosting.is_empty();
    Wanted { credentials: run.credentials.clone(), core, family, domain, hosts, tether }
}

/// Says why a run stopped, and how that ends.
fn exit_of(halt: &Halt) -> Exit {
    match halt {
        Halt::Differs { .. } | Halt::Refused { .. } | Halt::Endless(_) => Exit::Differs,
        // What has the bridge call somebody else is either the command line or the bridge.
        Halt::Held { is_asked_for: true, .. } => Exit::Usage,
        Halt::Held { is_asked_for: false, .. } => Exit::Differs,
        Halt::Silent { .. } => Exit::Silent,
        Halt::Gone(_) | Halt::Lost(_) => Exit::Unreachable,
        Halt::Interrupted => Exit::Interrupted,
    }
}

/// Events that wait to be looked at.
const QUEUE: usize = 1024;
