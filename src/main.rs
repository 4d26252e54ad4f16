//! The command line of chatbridge: `serve`, `check`, `outcomes`, `password`, `replay`.

use std::fmt::Write as _;
use std::io::{self, BufRead as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use chatbridge::app;
use chatbridge::bridge::{delivery, group_outcomes, roster_outcomes, sip_outcomes};
use chatbridge::config::{Config, CoreMode, Faults};
use chatbridge::digest::{Credentials, Password};
use chatbridge::replay::{
    self, Expect, Form, Level, Mapping, Outcome, Pace, Picture, Rewriting, Run, Side, Target,
};
use clap::{Args, Parser, Subcommand, ValueEnum as _};

/// `EX_USAGE` of sysexits.h: the configuration is bad, and nothing was started.
const BAD_CONFIGURATION: u8 = 64;

/// A SIP/MSRP back-to-back bridge that exposes the OMA RESTful Chat API.
#[derive(Debug, Parser)]
#[command(version, after_long_help = GUIDE, args_conflicts_with_subcommands = true)]
struct CommandLine {
    #[command(subcommand)]
    word: Option<Word>,
    #[command(flatten)]
    file: ConfigFile,
}

#[derive(Debug, Subcommand)]
enum Word {
    /// Run the bridge until it is interrupted (the default)
    Serve(ConfigFile),
    /// List every fault of the configuration with its key and its line
    Check(ConfigFile),
    /// Print what SIP and MSRP answers mean to an application, and why
    Outcomes,
    /// Hash the password in the first line of standard input, for [auth] users
    Password,
    /// Look at recorded traffic, or play it: captures, and the logs of sngrep, HOMER, sipdump and SIPp
    #[command(subcommand)]
    Replay(Replay),
}

#[derive(Debug, Subcommand)]
#[command(after_long_help = REPLAY_GUIDE)]
enum Replay {
    /// Tell the dialogs, the MSRP sessions and the REST calls in a trace
    Info {
        #[command(flatten)]
        trace: Trace,
    },
    /// Draw SIP, MSRP and REST of a trace in one picture
    Ladder {
        #[command(flatten)]
        trace: Trace,
        /// How to draw it
        #[arg(long, value_enum, default_value_t = Picture::Txt)]
        format: Picture,
    },
    /// Play a trace against a bridge, and judge what becomes of it
    Run(Box<Rehearsal>),
    /// Compare two traces, dialog by dialog
    Diff {
        /// The one trace
        left: PathBuf,
        /// The other trace
        right: PathBuf,
        /// How closely to compare
        #[arg(long, value_enum, default_value_t = Level::Flow)]
        level: Level,
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct Trace {
    /// The file, known by its content, gzip or not; `-` is standard input
    #[arg(value_name = "TRACE")]
    path: PathBuf,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Rehearsal {
    /// The trace, or the folder that it lies in; `-` is standard input
    #[arg(value_name = "TRACE")]
    path: PathBuf,
    /// Play to the bridge whose REST face is there, such as http://127.0.0.1:8080 or
    /// https://bridge.example; without it, one is started on free ports
    #[arg(long, value_name = "URL")]
    target: Option<String>,
    /// Where that bridge takes SIP, if it does not speak first
    #[arg(long, value_name = "ADDR", requires = "target")]
    sip: Option<SocketAddr>,
    /// Where that bridge looks for its core: what is played takes SIP there
    #[arg(long, value_name = "ADDR", requires = "target", default_value = "127.0.0.1:5060")]
    listen: SocketAddr,
    /// Who the application is to that bridge, by [auth] mode "basic"
    #[arg(long, value_name = "NAME:PASSWORD", requires = "target")]
    login: Option<String>,
    /// The token of the application for that bridge, by [auth] mode "bearer" or "jwt"
    #[arg(long, value_name = "TOKEN", requires = "target", conflicts_with = "login")]
    token: Option<String>,
    /// Who vouches for the certificate of an https:// target, a file of PEM; else the platform says
    #[arg(long, value_name = "FILE", requires = "target")]
    ca: Option<PathBuf>,
    /// Compute the Digest credentials of the trace anew with these; a bridge that is started answers
    /// the challenges of the trace with them
    #[arg(long, value_name = "USER:PASSWORD[@REALM]", value_parser = credentials)]
    auth: Option<Credentials>,
    /// Play to this host, though it is not this one; a bridge that is started may call it
    #[arg(long, value_name = "HOST")]
    allow_target: Vec<String>,
    /// The side that is played: network, or ue for the device's. Both at once cannot be played, for
    /// the bridge stands for one of them
    #[arg(long = "as", value_name = "SIDE", value_parser = side, default_value = "network")]
    side: Side,
    /// Play what this address sent, whatever its side
    #[arg(long, value_name = "IP[:PORT]", conflicts_with = "side")]
    play: Option<String>,
    /// Put another number or domain into the URIs of all messages, of heads and of bodies
    #[arg(long, value_name = "FROM=TO")]
    map: Vec<Mapping>,
    /// Leave this as it was recorded, where else it would be rewritten; a bridge that is started is held
    /// back from calling hosts that were recorded, one that runs already is not
    #[arg(long, value_enum, value_name = "NAME", value_delimiter = ',')]
    keep: Vec<Rewriting>,
    /// Give conversations ids of their own: Conversation-ID, Contribution-ID
    #[arg(long)]
    fresh_ids: bool,
    /// Send what the trace has, as often as it has it, and nothing else: no retransmission, no ACK
    /// of what comes again, no answer to what the trace does not have
    #[arg(long)]
    raw: bool,
    /// Tell each step, and what was rewritten in it and why
    #[arg(long)]
    explain: bool,
    /// How closely to compare
    #[arg(long, value_enum, default_value_t = Level::Flow)]
    level: Level,
    /// What the trace has nothing for is a fault too
    #[arg(long)]
    strict: bool,
    /// Where the expected notifications are taken from
    #[arg(long, value_enum, default_value_t = Expect::File)]
    expect: Expect,
    /// How many times as fast as recorded; `max` waits for nothing but the bridge
    #[arg(long, value_name = "N", default_value = "max", value_parser = speed)]
    speed: Speed,
    /// The longest pause, such as 200ms or 2s; a bare number is of milliseconds
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = milliseconds)]
    max_gap: Duration,
    /// How long the bridge may take for each thing, such as 5s or 500ms; a bare number is of seconds
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = seconds)]
    timeout: Duration,
    /// How long to wait for an answer before a request is sent again by UDP (T1 of RFC 3261)
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = milliseconds)]
    t1: Duration,
    /// Draw identifiers from this number, the same ones in each run
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// End a run that has more messages than this
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    max_messages: usize,
    /// Write the verdict as JUnit does
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write what was really said as pcapng
    #[arg(long, value_name = "FILE")]
    write_pcap: Option<PathBuf>,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

/// A speed, or none: as fast as the bridge is.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Speed(Option<f64>);

fn speed(text: &str) -> Result<Speed, String> {
    match text.parse::<f64>() {
        _ if text == "max" => Ok(Speed(None)),
        Ok(speed) if speed.is_finite() && speed >= 0.001 => Ok(Speed(Some(speed))),
        Ok(_) | Err(_) => Err("a number of 0.001 or more is wanted, or max".to_owned()),
    }
}

/// Reads which side is played; with both there would be nobody left for the bridge to be.
fn side(text: &str) -> Result<Side, String> {
    match (Side::from_str(text, true), text) {
        (Ok(side), _) => Ok(side),
        (Err(_), "both") => {
            Err("the bridge stands for one side of a trace, so that only the other \
            one can be played: --as network, --as ue or --play IP[:PORT]"
                .to_owned())
        }
        (Err(_), _) => Err("network or ue is wanted".to_owned()),
    }
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    time(text, Duration::from_millis(1))
}

fn seconds(text: &str) -> Result<Duration, String> {
    time(text, Duration::from_secs(1))
}

/// Reads a time with its unit; a bare number is of the usual one.
fn time(text: &str, usual: Duration) -> Result<Duration, String> {
    let (number, unit) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => (number, Duration::from_millis(1)),
        (None, Some(number)) => (number, Duration::from_secs(1)),
        (None, None) => (text, usual),
    };
    let time = number.parse().ok().and_then(|number: u32| unit.checked_mul(number));
    let is_good = |time: &Duration| (Duration::from_millis(1)..=LONGEST).contains(time);
    time.filter(is_good).ok_or_else(|| "a time from 1ms to 3600s is wanted".to_owned())
}

/// The longest wait of a run.
const LONGEST: Duration = Duration::from_secs(3600);

/// Reads credentials; a password may have an `@` in it where a realm stands behind it.
fn credentials(text: &str) -> Result<Credentials, String> {
    let (pair, realm) = match text.rsplit_once('@') {
        Some((pair, realm)) if pair.contains(':') => (pair, Some(realm.to_owned())),
        Some(_) | None => (text, None),
    };
    let (username, password) = pair.split_once(':').ok_or("USER:PASSWORD is wanted")?;
    Ok(Credentials {
        username: username.to_owned(),
        password: Password::Text(password.to_owned()),
        realms: realm.into_iter().collect(),
    })
}

impl Rehearsal {
    fn order(self) -> Run {
        let (listen, allowed, sip, ca) = (self.listen, self.allow_target, self.sip, self.ca);
        let login = self.login.map(|login| app::basic_credentials(&login));
        let authorization = login.or(self.token.map(|token| format!("Bearer {token}")));
        let target = self.target.map(|rest| Target { rest, sip, listen, authorization, ca });
        Run {
            trace: self.path,
            form: if self.json { Form::Json } else { Form::Text },
            level: self.level,
            strict: self.strict,
            side: self.side,
            play: self.play,
            expect: self.expect,
            pace: Pace {
                speed: self.speed.0,
                max_gap: self.max_gap,
                timeout: self.timeout,
                t1: self.t1,
            },
            seed: self.seed.unwrap_or_else(app::fresh_seed),
            target,
            allowed,
            credentials: self.auth,
            kept: self.keep.into_iter().collect(),
            map: self.map,
            fresh_ids: self.fresh_ids,
            raw: self.raw,
            explain: self.explain,
            max_messages: self.max_messages,
            junit: self.junit,
            capture: self.write_pcap,
        }
    }
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration file; without one, the built-in defaults hold
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

const GUIDE: &str = "\
Examples:
  chatbridge                            everything on loopback: REST on 127.0.0.1:8080, the embedded
                                        IM server on 127.0.0.1:5060, and two lab users,
                                        tel:+19585550100 and tel:+19585550101
  chatbridge --config chatbridge.toml   the same, as the file says
  CHATBRIDGE_REST_LISTEN=127.0.0.1:9090 chatbridge
                                        one key from the environment: [rest] listen
  chatbridge check --config chatbridge.toml
  chatbridge outcomes | less -S
  chatbridge replay ladder chat.pcapng.gz
  chatbridge replay run chat.pcapng.gz

Configuration:
  One TOML file; config/chatbridge.example.toml shows every key with its default. The environment
  variable CHATBRIDGE_<SECTION>_<KEY> overrides a key, and CHATBRIDGE_CONFIG names the file where
  --config does not. Unknown keys and variables are faults.

Exit status:
  0   stopped in good order; check: no fault
  1   check: there are faults; serve: something failed, such as a port in use; replay: the traces
      differ, or a run was not as expected (replay --help tells the rest)
  2   a command line that is not understood
  3   replay: the trace cannot be read, or holds no SIP and no MSRP
  64  serve: the configuration has faults, all of them told on standard error

The README has a tour with curl (Quick start), every key (Configuration), and the tables (What the
network's answers mean).";

const REPLAY_GUIDE: &str = "\
Examples:
  chatbridge replay info chat.pcap
  tcpdump -w - port 5060 or port 2855 | chatbridge replay ladder -
  chatbridge replay ladder --format html chat.pcapng > chat.html
  chatbridge replay diff --level headers before.pcap after.pcap
  chatbridge replay run chat.pcap
  chatbridge replay run --level body --junit chat.xml --write-pcap run.pcapng chat.pcap
  chatbridge replay run --explain --map +15550100=+15550199 --map ims.example=lab.example chat.pcap
  chatbridge replay run --keep contact,route --target https://bridge.lab --allow-target bridge.lab \
      --ca lab.pem --login alice:secret chat.pcap

Exit status:
  0   as expected
  1   diff: the traces differ; run: something is not as expected
  2   a command line that is not understood, a file that cannot be written
  3   the trace cannot be read, or holds no SIP (run) or no SIP and no MSRP (the others)
  4   run: the bridge cannot be reached, or an address is taken
  5   run: what was expected did not come in time
  6   run --strict: something came that was not expected
  130 run: interrupted

What cannot be read of a trace is told on standard error, with the number of the packet.";

fn main() -> ExitCode {
    let line = CommandLine::parse();
    match line.word.unwrap_or(Word::Serve(line.file)) {
        Word::Serve(file) => serve(file),
        Word::Check(file) => check(file),
        Word::Outcomes => outcomes(),
        Word::Password => password(),
        Word::Replay(word) => replay(word),
    }
}

fn replay(word: Replay) -> ExitCode {
    let form = |json| if json { Form::Json } else { Form::Text };
    let Outcome { text, warnings, exit } = match word {
        Replay::Info { trace } => replay::info(&trace.path, form(trace.json)),
        Replay::Ladder { trace, format } => replay::ladder(&trace.path, format, form(trace.json)),
        Replay::Run(rehearsal) => app::rehearse(&rehearsal.order()),
        Replay::Diff { left, right, level, json } => replay::diff(&left, &right, level, form(json)),
    };
    for warning in warnings {
        // Where standard error is closed, only the exit status is left to tell.
        let _ = writeln!(io::stderr(), "chatbridge: {warning}");
    }
    match say(&text) {
        Ok(()) => ExitCode::from(exit.code()),
        Err(error) => done(Err(error)),
    }
}

fn serve(file: ConfigFile) -> ExitCode {
    match Config::from_process(file.config) {
        Ok(config) => done(app::serve(config)),
        Err(faults) => {
            tell(&faults);
            ExitCode::from(BAD_CONFIGURATION)
        }
    }
}

fn check(file: ConfigFile) -> ExitCode {
    match Config::from_process(file.config) {
        Ok(config) => done(say(&format!("the configuration is good: {}\n", summary(&config)))),
        Err(faults) => {
            tell(&faults);
            ExitCode::FAILURE
        }
    }
}

fn outcomes() -> ExitCode {
    match tables() {
        Ok(text) => done(say(&text)),
        Err(error) => done(Err(io::Error::other(error))),
    }
}

fn password() -> ExitCode {
    let mut line = String::new();
    done(io::stdin().lock().read_line(&mut line).and_then(|_| {
        match line.trim_end_matches(['\r', '\n']) {
            "" => Err(io::Error::new(io::ErrorKind::InvalidInput, "a password is wanted")),
            password => say(&format!("{}\n", app::hash_password(password))),
        }
    }))
}

fn tables() -> Result<String, std::fmt::Error> {
    let mut text = "## What SIP means to a chat session\n\n".to_owned();
    sip_outcomes::print(&mut text)?;
    text.push_str("\n## What becomes of a message\n\n");
    delivery::print(&mut text)?;
    text.push_str("\n## What becomes of a group\n\n");
    group_outcomes::print(&mut text)?;
    text.push_str("\n## What a conference says of its participants\n\n");
    roster_outcomes::print(&mut text)?;
    Ok(text)
}

fn summary(config: &Config) -> String {
    let mut text = format!("REST on {}, SIP on {}, ", config.rest.listen, config.sip.listen);
    // Writing to a `String` cannot fail.
    let _ = match (config.core.mode, &config.core.next_hop) {
        (CoreMode::Embedded, _) => write!(text, "IM server on {}", config.im_server.listen),
        (CoreMode::Ue, Some(hop)) => {
            write!(text, "{} users registered at {hop}", config.ue.users.len())
        }
        (CoreMode::Peer | CoreMode::As, Some(hop)) => write!(text, "core at {hop}"),
        (CoreMode::Peer | CoreMode::Ue | CoreMode::As, None) => write!(text, "no core"),
    };
    let _ = write!(text, ", MSRP on {}", config.msrp.listen);
    text
}

/// Writes faults to standard error, one per line.
fn tell(faults: &Faults) {
    // Where standard error is closed, only the exit status is left to tell.
    let _ = write!(io::stderr(), "{faults}");
}

/// Writes to standard output; that the reader has gone (`| head`) is no failure.
fn say(text: &str) -> io::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

fn done(result: io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "chatbridge: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        CommandLine::command().debug_assert();
    }

    #[test]
    fn one_side_is_played_and_who_wants_both_is_told_what_there_is() {
        let parsed = |side: &str| {
            let line = ["chatbridge", "replay", "run", "--as", side, "a.pcap"];
            CommandLine::try_parse_from(line).map(|_| ()).map_err(|error| error.to_string())
        };
        assert_eq!((parsed("network"), parsed("ue")), (Ok(()), Ok(())));
        let told = parsed("both").expect_err("there is nobody left for the bridge to be");
        assert!(told.contains("the bridge stands for one side"), "{told}");
        assert!(told.contains("--as network, --as ue or --play IP[:PORT]"), "{told}");
        assert!(parsed("core").is_err_and(|told| told.contains("network or ue is wanted")));
        let help = CommandLine::try_parse_from(["chatbridge", "replay", "run", "--help"]);
        let help = help.expect_err("the help").to_string();
        assert!(help.contains("Both at once cannot be played"), "{help}");
    }

    #[test]
    fn serve_is_the_default_and_takes_its_file_with_and_without_the_word() {
        for line in
            [&["chatbridge", "--config", "a"][..], &["chatbridge", "serve", "--config", "a"]]
        {
            let parsed = CommandLine::try_parse_from(line).expect("a good command line");
            let Word::Serve(file) = parsed.word.unwrap_or(Word::Serve(parsed.file)) else {
                panic!("{line:?} does not serve");
            };
            assert_eq!(file.config, Some(PathBuf::from("a")));
        }
        assert!(CommandLine::try_parse_from(["chatbridge", "replay"]).is_err());
    }

    #[test]
    fn both_tables_are_printed() {
        let text = tables().expect("a string takes everything");
        assert!(text.contains("SIP <code> <phrase>") && text.contains("IMDN-failed"));
    }

    #[test]
    fn a_good_configuration_is_summed_up_in_a_line() {
        assert_eq!(
            summary(&Config::default()),
            "REST on 127.0.0.1:8080, SIP on 127.0.0.1:5080, IM server on 127.0.0.1:5060, \
             MSRP on 127.0.0.1:2855"
        );
    }
}
