//! The configuration: one TOML file and one environment variable per key, read into one typed value.
//!
//! Every fault names its key and its line or variable, and all faults are told at once. A key that
//! nobody asks for is a fault, too, so that a slip of the keyboard cannot pass for a default.
//! `config/chatbridge.example.toml` shows every key with its default.

mod accounts;
mod auth;
mod fault;
mod focus;
mod group;
mod reader;
mod rest;
mod sections;
mod store;
mod tls;
mod users;
mod values;

pub use accounts::Account;
pub use auth::{Auth, AuthFault, AuthMode};
pub use fault::{Fault, Faults, Place};
pub use focus::Focus;
pub use group::{Group, GroupFocus};
pub use rest::Rest;
pub use sections::{Core, Dns, ImServer, Limits, Log, Msrp, Notify, Session, Sip};
pub use store::{Store, StoreKind};
pub use users::{Ue, User};
pub use values::{
    CoreMode, CoreTransport, CreateAnswer, HostPort, LogFormat, Profile, Secret, TargetUri,
};

use std::env;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::address::Scheme;
use crate::notify::read_authorities;
use reader::{Choice, FILE_VARIABLE, Reader};

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The face towards applications.
    pub rest: Rest,
    /// Who may use it.
    pub auth: Auth,
    /// SIP as this process speaks it.
    pub sip: Sip,
    /// How names are turned into addresses.
    pub dns: Dns,
    /// The core that carries the sessions.
    pub core: Core,
    /// The registrations of the users.
    pub ue: Ue,
    /// The embedded IM server.
    pub im_server: ImServer,
    /// MSRP as this process speaks it.
    pub msrp: Msrp,
    /// Chat sessions.
    pub session: Session,
    /// Groups.
    pub group: Group,
    /// Notifications.
    pub notify: Notify,
    /// What outlives a restart.
    pub store: Store,
    /// Bounds against hostile input and overload.
    pub limits: Limits,
    /// The log.
    pub log: Log,
}

impl Config {
    /// Reads the text of a file, and the environment, whose variables
    /// `CHATBRIDGE_<SECTION>_<KEY>` override keys.
    ///
    /// # Errors
    /// Gives every fault: first those of the file by line, then those of variables.
    pub fn read(
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Vec<Fault>> {
        Self::read_with((text, Path::new("")), environment, |path| fs::read_to_string(path))
    }

    /// As [`Self::read`], for a text that lies in `home`: the paths in it are meant from there. The
    /// file that lists the users comes from `open`.
    fn read_with(
        (text, home): (&str, &Path),
        environment: impl IntoIterator<Item = (String, String)>,
        open: impl FnOnce(&Path) -> io::Result<String>,
    ) -> Result<Self, Vec<Fault>> {
        let mut reader = Reader::new((text, home), environment);
        let mut config = Self::assemble(&mut reader);
        if config.core.mode == CoreMode::Ue {
            config.ue.read_file(&mut reader, open);
        }
        config.check_relations(&mut reader);
        let faults = reader.finish();
        if faults.is_empty() { Ok(config) } else { Err(faults) }
    }

    /// Reads the file that `file` or `CHATBRIDGE_CONFIG` names, if any, and this process's
    /// environment; nothing else in the program looks at either.
    ///
    /// # Errors
    /// Gives every fault, and the file that they stand in.
    pub fn from_process(file: Option<PathBuf>) -> Result<Self, Faults> {
        let file = file.or_else(|| env::var_os(FILE_VARIABLE).map(PathBuf::from));
        let text = match &file {
            None => String::new(),
            Some(path) => match fs::read_to_string(path) {
                Ok(text) => text,
                Err(error) => {
                    let what = format!("cannot be read: {error}");
                    let fault = Fault { place: Place::Nowhere, key: None, what };
                    return Err(Faults { file, list: vec![fault] });
                }
            },
        };
        let variables = env::vars_os().map(|(name, value)| {
            (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
        });
        // A path is meant from where the file lies, whatever directory the process was started in.
        let home = file.as_deref().and_then(Path::parent).map(Path::to_owned).unwrap_or_default();
        let open = |path: &Path| fs::read_to_string(path);
        Self::read_with((&text, &home), variables, open).map_err(|list| Faults { file, list })
    }

    fn assemble(reader: &mut Reader<'_>) -> Self {
        Self {
            rest: Rest::read(reader),
            auth: Auth::read(reader),
            sip: Sip::read(reader),
            dns: Dns::read(reader),
            core: Core::read(reader),
            ue: Ue::read(reader),
            im_server: ImServer::read(reader),
            msrp: Msrp::read(reader),
            session: Session::read(reader),
            group: Group::read(reader),
            notify: Notify::read(reader),
            store: Store::read(reader),
            limits: Limits::read(reader),
            log: Log::read(reader),
        }
    }

    /// Finds what single keys cannot show: keys that do not go together.
    fn check_relations(&self, reader: &mut Reader<'_>) {
        self.check_core(reader);
        if self.core.username.is_some() != self.core.password.is_some() {
            let (wanted, given) = if self.core.username.is_some() {
                (("core", "password"), ("core", "username"))
            } else {
                (("core", "username"), ("core", "password"))
            };
            let what = format!("is wanted beside [core] {}", given.1);
            reader.discord(wanted, given, what);
        }
        self.check_rest(reader);
        self.check_auth(reader);
        let last = u32::from(self.msrp.listen.port()) + u32::from(self.msrp.ports) - 1;
        if last > u32::from(u16::MAX) {
            let what =
                format!("{} ports from {} on end above 65535", self.msrp.ports, self.msrp.listen);
            reader.discord(("msrp", "ports"), ("msrp", "listen"), what);
        }
        self.check_notify(reader);
        if self.sip.t1 > self.sip.t2 {
            reader.discord(
                ("sip", "t1_ms"),
                ("sip", "t2_ms"),
                "is longer than [sip] t2_ms".to_owned(),
            );
        }
        if self.msrp.chunk > self.msrp.max_message {
            reader.discord(
                ("msrp", "chunk"),
                ("msrp", "max_message"),
                "is larger than [msrp] max_message".to_owned(),
            );
        }
        if self.session.tracked_messages < self.msrp.queue {
            let what = "is less than [msrp] queue: a message that waits must be remembered";
            let keys = (("session", "tracked_messages"), ("msrp", "queue"));
            reader.discord(keys.0, keys.1, what.to_owned());
        }
        self.check_reachable(reader);
        self.check_tls(reader);
        if self.core.mode == CoreMode::Embedded {
            self.check_embedded(reader);
        }
        self.check_rooms(reader);
    }

    /// Finds rooms that could not be told of: the whole of a room goes in one NOTIFY.
    fn check_rooms(&self, reader: &mut Reader<'_>) {
        let has_rooms =
            self.core.mode == CoreMode::Embedded || self.group.focus == GroupFocus::Host;
        let most = self.im_server.focus.max_participants;
        let wanted = NOTIFY_HEAD + most * NOTIFY_EACH;
        if has_rooms && self.limits.sip_message < wanted {
            let what = format!("is less than {wanted}, which a room of {most} takes to be told of");
            let keys = (("limits", "sip_message"), ("im_server", "max_participants"));
            reader.discord(keys.0, keys.1, what);
        }
    }

    /// Finds what does not go together in the way of notifications.
    fn check_notify(&self, reader: &mut Reader<'_>) {
        let notify = &self.notify;
        if notify.retry_first > notify.retry_max {
            let what = "is longer than [notify] retry_max_s".to_owned();
            reader.discord(("notify", "retry_first_s"), ("notify", "retry_max_s"), what);
        }
        if notify.previous_secret.is_some() && notify.secret.is_none() {
            let what = "is wanted beside [notify] previous_secret".to_owned();
            reader.discord(("notify", "secret"), ("notify", "previous_secret"), what);
        }
        if let Some(Err(what)) = notify.ca.as_deref().map(read_authorities) {
            reader.discord(("notify", "ca"), ("notify", "ca"), what);
        }
    }

    /// Finds what does not go together with the mode of the core.
    fn check_core(&self, reader: &mut Reader<'_>) {
        let core = &self.core;
        let mode = ("core", "mode");
        if core.mode != CoreMode::Embedded && core.next_hop.is_none() {
            let what = format!(
                "is wanted in mode {:?}: the host of the core, with or without a port",
                core.mode.word()
            );
            reader.discord(("core", "next_hop"), mode, what);
        }
        if core.mode == CoreMode::Ue {
            if self.ue.users.is_empty() {
                let (key, what) = match self.ue.users_file {
                    Some(_) => ("users_file", "lists nobody: nobody could chat"),
                    None => {
                        ("users", "is empty, and there is no [ue] users_file: nobody could chat")
                    }
                };
                reader.discord(("ue", key), mode, what.to_owned());
            }
            if core.username.is_some() {
                let what = "is for the other modes: in mode \"ue\" every user has a name and a \
                            password of its own, in [ue]";
                reader.discord(("core", "username"), mode, what.to_owned());
            }
        }
        if core.mode == CoreMode::Ue && self.group.focus == GroupFocus::Host {
            let what =
                "must be \"network\" in mode \"ue\": the core routes nothing to a room of ours";
            reader.discord(("group", "focus"), mode, what.to_owned());
        }
        if core.orig && core.mode != CoreMode::As {
            reader.discord(("core", "orig"), mode, "is for mode \"as\"".to_owned());
        }
        if core.trusted && core.mode != CoreMode::Peer {
            let what = "is for mode \"peer\": in the others the core is trusted in any case";
            reader.discord(("core", "trusted"), mode, what.to_owned());
        }
    }

    /// Finds listen addresses that no peer could be told.
    fn check_reachable(&self, reader: &mut Reader<'_>) {
        let what = |listen: SocketAddr| {
            format!("is wanted where listen is {listen}: peers cannot send to that address")
        };
        if self.sip.listen.ip().is_unspecified() && self.sip.advertise.is_none() {
            reader.discord(("sip", "advertise"), ("sip", "listen"), what(self.sip.listen));
        }
        if self.msrp.listen.ip().is_unspecified() && self.msrp.advertise.is_none() {
            reader.discord(("msrp", "advertise"), ("msrp", "listen"), what(self.msrp.listen));
        }
        let hosts = self.group.host_listen;
        let is_host = self.group.focus == GroupFocus::Host;
        if is_host && hosts.ip().is_unspecified() && self.group.host_advertise.is_none() {
            let keys = (("group", "host_advertise"), ("group", "host_listen"));
            reader.discord(keys.0, keys.1, what(hosts));
        }
        let server = self.im_server.listen;
        if self.core.mode == CoreMode::Embedded && server.ip().is_unspecified() {
            let what = format!("{server} is no address that others could be told: name one host");
            reader.discord(("im_server", "listen"), ("core", "mode"), what);
        }
    }

    fn check_embedded(&self, reader: &mut Reader<'_>) {
        let (server, bridge) = (self.im_server.listen, self.sip.listen);
        if server == bridge && server.port() != 0 {
            let what = format!("{server} is also [sip] listen: the two need a port each");
            reader.discord(("im_server", "listen"), ("sip", "listen"), what);
        }
        let domain = &self.core.domain;
        let (mut known, key) = (Vec::new(), ("im_server", "accounts"));
        for address in self.im_server.accounts.iter().map(|account| &account.address) {
            let host = address.key().rsplit_once('@').map_or(&**domain, |(_, host)| host);
            if address.scheme() == Scheme::Sip && !host.eq_ignore_ascii_case(domain) {
                let what = format!("{address} is no user of [core] domain");
                reader.discord(key, ("core", "domain"), what);
            } else if known.contains(&address) {
                let what = format!("{address} has a password in [im_server] accounts_file too");
                reader.discord(key, ("im_server", "accounts_file"), what);
            }
            known.push(address);
        }
        if self.im_server.min_expires > self.im_server.max_expires {
            let keys = (("im_server", "min_expires_s"), ("im_server", "max_expires_s"));
            let what = "is longer than [im_server] max_expires_s".to_owned();
            reader.discord(keys.0, keys.1, what);
        }
        let nobody = self.im_server.users.is_empty() && self.im_server.accounts.is_empty();
        if nobody && !self.im_server.create_users {
            let what = "is empty, and [im_server] create_users is false: nobody could chat";
            reader.discord(("im_server", "users"), ("im_server", "create_users"), what.to_owned());
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::read("", []).expect("the defaults are without fault")
    }
}

/// How much a NOTIFY with all of a room takes beside its participants, in bytes …
const NOTIFY_HEAD: usize = 8192;

/// … and for each of them, its name included.
const NOTIFY_EACH: usize = 512;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const EXAMPLE: &str = include_str!("../../config/chatbridge.example.toml");

    fn faults(text: &str) -> Vec<String> {
        faults_in(text, &[])
    }

    fn faults_in(text: &str, environment: &[(&str, &str)]) -> Vec<String> {
        match Config::read(text, owned(environment)) {
            Ok(_) => Vec::new(),
            Err(faults) => faults.iter().map(Fault::to_string).collect(),
        }
    }

    fn owned(environment: &[(&str, &str)]) -> Vec<(String, String)> {
        environment.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    /// Takes the comment sign off every `# key = value` of the example.
    fn uncommented() -> String {
        let key = |line: &str| {
            let name = line.strip_prefix("# ").and_then(|rest| rest.split_once(" = "));
            name.is_some_and(|(name, _)| {
                name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            })
        };
        let lines = EXAMPLE
            .lines()
            .map(|line| if key(line) { line.trim_start_matches("# ") } else { line });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_defaults_are_those_of_the_quickstart() {
        let config = Config::default();
        assert_eq!(config.rest.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(config.rest.base_path, "");
        assert_eq!(config.sip.listen.to_string(), "127.0.0.1:5080");
        assert_eq!(config.im_server.listen.to_string(), "127.0.0.1:5060");
        assert_eq!(config.msrp.listen.to_string(), "127.0.0.1:2855");
        let users: Vec<&str> = config.im_server.users.iter().map(|user| user.key()).collect();
        assert_eq!(users, ["tel:+19585550100", "tel:+19585550101"]);
        assert_eq!(config.core.domain, "example.com");
        assert_eq!(config.core.mode, CoreMode::Embedded);
    }

    #[test]
    fn the_example_shows_every_key_with_its_default() {
        let default = Ok(Config::default());
        assert_eq!(Config::read(EXAMPLE, []), default);
        assert_eq!(Config::read(&uncommented(), []), default);

        let mut reader = Reader::new(("", Path::new("")), []);
        Config::assemble(&mut reader);
        let keys = reader.keys();
        let shown = uncommented();
        let mut section = "";
        let mut found = Vec::new();
        for line in shown.lines() {
            if let Some(name) = line.strip_prefix('[') {
                section = name.trim_end_matches(']');
            } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#'))
            {
                found.push((section, key));
            }
        }
        assert_eq!(found, keys, "the keys of the example, in order");
    }

    #[test]
    fn every_key_of_the_example_is_explained() {
        let shown = uncommented();
        let lines: Vec<&str> = shown.lines().collect();
        for pair in lines.windows(2) {
            let is_key = !pair[1].starts_with('#') && pair[1].contains(" = ");
            assert!(!is_key || pair[0].starts_with("# "), "{} is not explained", pair[1]);
        }
    }

    #[test]
    fn keys_are_read_into_their_types() {
        let config = Config::read(
            "[rest]\nlisten = \"[::1]:80\"\nserver_root = \"https://a.example/\"\nanswer = \"reference\"\n\
             [core]\nmode = \"peer\"\nnext_hop = \"core.example.com:5060\"\ntransport = \"tcp\"\n\
             [sip]\nprofile = \"cpm\"\nt1_ms = 0x64\n\
             [im_server]\nusers = [\"sip:alice@example.com\"]\ncreate_users = false\n\
             [session]\ntimer_s = 90\ndecline_code = 603\nsuccess_on = \"hop\"\n",
            [],
        );
        let config = config.expect("a good file");
        assert_eq!(config.rest.listen.to_string(), "[::1]:80");
        assert_eq!(config.rest.server_root.as_deref(), Some("https://a.example"));
        assert_eq!(config.rest.answer, CreateAnswer::Reference);
        assert_eq!(config.core.next_hop.map(|hop| hop.host).as_deref(), Some("core.example.com"));
        assert_eq!(config.sip.profile.as_str(), "cpm");
        assert_eq!(config.sip.t1, Duration::from_millis(100));
        assert_eq!(config.im_server.users.len(), 1);
        assert_eq!(config.session.timer, Some(Duration::from_secs(90)));
        assert_eq!(config.session.decline_code, 603);
    }

    #[test]
    fn every_fault_names_its_line_and_all_are_told() {
        assert_eq!(
            faults(
                "[rest]\nlisten = \"localhost\"\nlisen = 1\n\n[sip]\nt1_ms = \"fast\"\nt2_ms = -1\n\
                 profile = \"cmp\"\n[smtp]\nx = 1\n[session]\ndecline_code = 200\ntimer_s = 89\n"
            ),
            [
                "line 2: [rest] listen: \"localhost\" is no IP address with a port, such as 127.0.0.1:8080",
                "line 3: [rest] lisen: unknown key; did you mean listen?",
                "line 6: [sip] t1_ms: \"fast\" is a text; a whole number is wanted",
                "line 7: [sip] t2_ms: -1 is out of range: 100 to 60000",
                "line 8: [sip] profile: \"cmp\" is none of plain, simple-im, rcs-e, cpm, cpm-cmcc; did you mean cpm?",
                "line 9: [smtp]: unknown section; did you mean msrp?",
                "line 12: [session] decline_code: 200 is none of 480, 486, 603",
                "line 13: [session] timer_s: 89 is neither 0 nor 90 to 86400",
            ]
        );
    }

    #[test]
    fn what_is_no_toml_is_a_fault_with_its_line_beside_the_others() {
        let found = faults("[rest]\nlisten = \n[sip]\nt1_ms = true\n");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("line 2: "), "{found:?}");
        assert!(found[1].starts_with("line 4: [sip] t1_ms: "), "{found:?}");
        assert_eq!(faults("[rest]\nmax_body = 2000\nmax_body = 2000\n").len(), 1);
    }

    #[test]
    fn what_stands_outside_of_its_place_is_a_fault() {
        assert_eq!(
            faults("listen = \"127.0.0.1:1\"\nrest = 1\n"),
            [
                "line 1: listen: stands outside of a section",
                "line 2: rest: is a section: write [rest]"
            ]
        );
        assert_eq!(faults("[rest.tls]\nx = 1\n"), ["line 1: [rest] tls: unknown key"]);
        let odd = faults("[im_server]\nusers = [\"bob\", 1]\n[rest]\nmax_body = 1.5\n");
        assert_eq!(odd.len(), 2, "{odd:?}");
    }

    #[test]
    fn the_environment_overrides_every_key() {
        let environment = owned(&[
            ("CHATBRIDGE_REST_LISTEN", "127.0.0.1:9999"),
            ("CHATBRIDGE_IM_SERVER_USERS", "tel:+1, sip:bob@example.com"),
            ("CHATBRIDGE_IM_SERVER_CREATE_USERS", "false"),
            ("CHATBRIDGE_SESSION_INVITATION_TIMEOUT_S", "7"),
            ("CHATBRIDGE_CONFIG", "elsewhere.toml"),
            ("PATH", "/bin"),
        ]);
        let config = Config::read("[rest]\nlisten = \"127.0.0.1:1\"\n", environment);
        let config = config.expect("a good environment");
        assert_eq!(config.rest.listen.port(), 9999);
        assert_eq!(config.im_server.users.len(), 2);
        assert!(!config.im_server.create_users);
        assert_eq!(config.session.invitation_timeout, Duration::from_secs(7));
    }

    #[test]
    fn a_fault_of_the_environment_names_its_variable() {
        assert_eq!(
            faults_in(
                "[rest]\nmax_body = 1\n",
                &[("CHATBRIDGE_REST_LISTN", "x"), ("CHATBRIDGE_SIP_T1_MS", "soon")]
            ),
            [
                "line 2: [rest] max_body: 1 is out of range: 1024 to 16777216",
                "CHATBRIDGE_REST_LISTN: overrides no key; did you mean CHATBRIDGE_REST_LISTEN?",
                "CHATBRIDGE_SIP_T1_MS: [sip] t1_ms: \"soon\" is wrong; a whole number is wanted",
            ]
        );
    }

    #[test]
    fn a_host_of_groups_can_be_reached() {
        let found = faults("[group]\nfocus = \"host\"\nhost_listen = \"0.0.0.0:2890\"\n");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("[group] host_advertise"), "{found:?}");
        assert_eq!(faults("[group]\nhost_listen = \"0.0.0.0:2890\"\n"), [""; 0], "nobody hosts");
        let ue = "[core]\nmode = \"ue\"\nnext_hop = \"x:1\"\n[group]\nfocus = \"host\"\n";
        let found = faults(ue);
        assert!(found.iter().any(|fault| fault.contains("[group] focus")), "{found:?}");
    }

    #[test]
    fn keys_that_do_not_go_together_are_faults() {
        let one = |text: &str| {
            let found = faults(text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            found.concat()
        };
        assert!(one("[core]\nmode = \"peer\"\n").starts_with("line 2: [core] next_hop: is wanted"));
        assert!(one("[core]\nmode = \"peer\"\nnext_hop = \"x:0\"\n").contains("no host:port"));
        assert_eq!(faults("[core]\nmode = \"peer\"\nnext_hop = \"core.example.com\"\n"), [""; 0]);
        assert_eq!(faults("[core]\nmode = \"peer\"\nnext_hop = \"[2001:db8::1]\"\n"), [""; 0]);
        assert!(one("[dns]\nservers = [\"resolver\"]\n").starts_with("line 2: [dns] servers: "));
        assert!(one("[core]\nmode = \"as\"\n").contains("is wanted in mode \"as\""));
        assert!(
            one("[core]\norig = true\n").starts_with("line 2: [core] orig: is for mode \"as\"")
        );
        assert!(one("[core]\ntrusted = true\n").contains("in any case"));
        let core =
            "[core]\nmode = \"ue\"\nnext_hop = \"x:1\"\nusername = \"a\"\npassword = \"b\"\n";
        assert!(one(&format!("{core}[ue]\nusers = [\"tel:+1\"]\n")).contains("of its own"));
        assert!(!one("[core]\nusername = \"a\"\npassword = 12345\n").contains("12345"));
        assert!(one("[rest]\nlisten = \"0.0.0.0:8080\"\n").starts_with("line 2: [rest] listen: "));
        assert_eq!(faults("[rest]\nlisten = \"0.0.0.0:8080\"\nallow_remote = true\n"), [""; 0]);
        assert!(one("[msrp]\nlisten = \"127.0.0.1:65530\"\n").contains("end above 65535"));
        assert!(one("[notify]\nretry_first_s = 900\n").contains("retry_max_s"));
        assert!(one("[sip]\nt1_ms = 5000\n").contains("t2_ms"));
        assert!(one("[sip]\nlisten = \"127.0.0.1:5060\"\n").contains("a port each"));
        assert!(one("[im_server]\nusers = []\ncreate_users = false\n").contains("nobody"));
        let crowd = "[im_server]\nmax_participants = 250\n";
        assert!(one(crowd).contains("[limits] sip_message: is less than 136192"));
        assert_eq!(faults(&format!("{crowd}[limits]\nsip_message = 136192\n")), [""; 0]);
        assert_eq!(faults(&format!("{crowd}[core]\nmode = \"peer\"\nnext_hop = \"x\"\n")), [""; 0]);
        assert!(one("[log]\nfilter = \"chatbridge=loud\"\n").starts_with("line 2: [log] filter: "));
    }
}
