//! The rules: each takes text and gives violations.

use std::fmt;

use super::lexer::{Token, tokens};
use super::map::Map;
use super::paths::{Named, module_of, paths};

/// The highest floor on which things are only decided.
const TOP_PURE_FLOOR: u8 = 2;

/// A place that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "src/{}:{}: {}", self.file, self.line, self.what)
    }
}

/// Holds one file to the map; `path` is below `src`.
pub(crate) fn check_file(map: &Map, path: &str, text: &str) -> Vec<Violation> {
    let tokens = tokens(text);
    let file = File { map, path, named: paths(path, &tokens), tokens };
    let mut violations = Vec::new();
    let mut report = |line: usize, what: String| {
        violations.push(Violation { file: path.to_owned(), line, what });
    };
    first_sentence(text, &mut report);
    file.imports(&mut report);
    file.fences(&mut report);
    if file.floor().is_some_and(|floor| floor <= TOP_PURE_FLOOR) && !is_test_file(path) {
        file.purity(&mut report);
    }
    violations
}

/// Holds the map to the modules that there are: `lib` is the text of `lib.rs`, `files` all paths.
pub(crate) fn map_matches_source(map: &Map, lib: &str, files: &[&str]) -> Vec<Violation> {
    let tokens = tokens(lib);
    let declared: Vec<(&str, usize)> = tokens
        .windows(2)
        .filter(|pair| pair[0].text == "mod")
        .map(|pair| (pair[1].text.as_str(), pair[1].line))
        .collect();
    let mut violations = Vec::new();
    let mut report = |file: &str, line: usize, what: String| {
        violations.push(Violation { file: file.to_owned(), line, what });
    };
    if map.rows.is_empty() {
        report("lib.rs", 1, "holds no map".to_owned());
    }
    for (name, line) in &declared {
        if map.floor(name).is_none() {
            report("lib.rs", *line, format!("module {name} is missing from the map"));
        }
    }
    for row in &map.rows {
        let folder = &row.folder;
        if !declared.iter().any(|(name, _)| name == folder) {
            report("lib.rs", 1, format!("the map names {folder}, which is no module"));
        }
        if map.rows.iter().filter(|other| other.folder == *folder).count() > 1 {
            report("lib.rs", 1, format!("the map names {folder} more than once"));
        }
    }
    for path in files {
        let module = module_of(path);
        if let Some(top) = module.first().filter(|top| map.floor(top).is_none()) {
            report(path, 1, format!("{top} is missing from the map"));
        }
    }
    violations
}

/// Demands that a file tell in its first sentence what it is.
fn first_sentence(text: &str, report: &mut impl FnMut(usize, String)) {
    let doc = text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
    let paragraph: Vec<&str> = doc.take_while(|line| !line.is_empty()).collect();
    if !paragraph.last().is_some_and(|last| last.ends_with(['.', '!', '?', ':'])) {
        report(1, "does not begin with a sentence in `//!`".to_owned());
    }
}

fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

struct File<'a> {
    map: &'a Map,
    path: &'a str,
    tokens: Vec<Token>,
    named: Vec<Named>,
}

impl File<'_> {
    /// Gives the folder on the map that the file belongs to; `lib.rs` and `main.rs` have none.
    fn folder(&self) -> Option<String> {
        module_of(self.path).into_iter().next()
    }

    fn floor(&self) -> Option<u8> {
        self.map.floor(&self.folder()?)
    }

    /// A folder imports lower floors only; the top floor is wiring and knows everybody.
    fn imports(&self, report: &mut impl FnMut(usize, String)) {
        let (Some(folder), Some(floor)) = (self.folder(), self.floor()) else {
            return;
        };
        for named in self.named.iter().filter(|named| named.is(&["crate"])) {
            let Some(target) = named.segments.get(1).filter(|name| *name != "*") else {
                if named.import {
                    report(named.line, "imports the whole crate".to_owned());
                }
                continue;
            };
            if *target == folder || floor == self.map.top_floor() {
                continue;
            }
            match self.map.floor(target) {
                None => report(named.line, format!("imports {target}, which is not on the map")),
                Some(other) if other > floor => {
                    report(named.line, format!("floor {floor} imports {target} of floor {other}"));
                }
                Some(other) if other == floor => {
                    report(named.line, format!("{folder} imports its neighbour {target}"));
                }
                Some(_) => {}
            }
        }
    }

    /// A foreign crate stays inside its fence; `tokio` stays above the pure floors.
    fn fences(&self, report: &mut impl FnMut(usize, String)) {
        let folder = self.folder().unwrap_or_default();
        let fences = self.map.fences();
        for named in self.named.iter().filter(|named| named.segments.len() > 1) {
            let first = named.segments[0].as_str();
            if let Some(homes) = fences.get(first).filter(|homes| !homes.contains(&folder.as_str()))
            {
                let homes = homes.join(", ");
                report(named.line, format!("uses {first}, which lives only in {homes}"));
            }
        }
    }

    /// Below the third floor things are only decided.
    fn purity(&self, report: &mut impl FnMut(usize, String)) {
        for named in self.named.iter().filter(|named| !named.test) {
            if let Some(what) = impure_path(named) {
                report(named.line, format!("{what}: {}", named.segments.join("::")));
            }
        }
        for (index, token) in self.tokens.iter().enumerate().filter(|(_, token)| !token.test) {
            let next = self.tokens.get(index + 1).map_or("", |token| &token.text);
            if let Some(what) = impure_token(&token.text, next) {
                report(token.line, format!("{what}: {}", token.text));
            }
        }
    }
}

fn impure_path(named: &Named) -> Option<&'static str> {
    let segments: Vec<&str> = named.segments.iter().map(String::as_str).collect();
    match segments.as_slice() {
        ["tokio" | "tokio_util" | "async_std" | "smol", ..] => Some("a runtime on a pure floor"),
        ["std", "net", "IpAddr" | "Ipv4Addr" | "Ipv6Addr", ..]
        | ["std", "net", "SocketAddr" | "SocketAddrV4" | "SocketAddrV6" | "AddrParseError", ..] => {
            None
        }
        ["std", "net", ..] => Some("a socket on a pure floor"),
        ["std", "fs" | "env" | "thread" | "process" | "os", ..] => {
            Some("the operating system on a pure floor")
        }
        ["std", "sync", "Arc" | "Weak", ..] => None,
        ["std", "sync", ..] => Some("a lock on a pure floor"),
        ["std", "*"] => Some("all of std on a pure floor"),
        ["rand", "rng" | "random" | "thread_rng" | "random_range" | "*", ..] => {
            Some("randomness of its own on a pure floor")
        }
        [_, .., "now" | "now_utc" | "now_local"] => Some("a clock on a pure floor"),
        _ => None,
    }
}

fn impure_token(text: &str, next: &str) -> Option<&'static str> {
    match (text, next) {
        ("UdpSocket" | "TcpStream" | "TcpListener" | "UnixStream", _) => {
            Some("a socket on a pure floor")
        }
        ("Mutex" | "RwLock" | "Condvar" | "OnceLock" | "LazyLock", _) => {
            Some("a lock on a pure floor")
        }
        ("HashMap" | "HashSet", _) => Some("an order that differs from run to run"),
        ("async" | "await", _) => Some("waiting on a pure floor"),
        ("elapsed", "(") => Some("a clock on a pure floor"),
        ("thread_rng" | "OsRng" | "SysRng", _) => Some("randomness of its own on a pure floor"),
        ("println" | "print" | "eprintln" | "eprint" | "dbg" | "thread_local", "!")
        | ("stdin" | "stdout" | "stderr", "(") => Some("an effect on a pure floor"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIB: &str = "\
//! | 6 | `app` | wiring | `actix_web` |
//! | 6 | `config` | the file | `toml` |
//! | 5 | `rest` | faces | `actix_web` |
//! | 4 | `net` | hands | |
//! | 2 | `bridge` | translators | |
//! | 2 | `oma` | documents | `quick_xml` |
//! | 1 | `chat` | rules | |
//! | 1 | `sip` | RFC 3261 | `rsip` |
//! | 0 | `ids` | words | `rand` |
pub mod app; pub mod config; pub mod rest; pub mod net; pub mod bridge; pub mod oma; pub mod chat;
pub mod sip; pub mod ids;
";

    fn check(path: &str, text: &str) -> Vec<String> {
        let text = format!("//! A file.\n{text}");
        let found = check_file(&Map::parse(LIB), path, &text);
        found
            .into_iter()
            .map(|violation| format!("{}: {}", violation.line, violation.what))
            .collect()
    }

    #[track_caller]
    fn refused(path: &str, text: &str, what: &str) {
        let found = check(path, text);
        assert!(found.iter().any(|found| found.contains(what)), "{text:?} gives {found:?}");
    }

    #[track_caller]
    fn allowed(path: &str, text: &str) {
        assert_eq!(check(path, text), Vec::<String>::new(), "{text:?}");
    }

    #[test]
    fn imports_go_down() {
        allowed("bridge/leg.rs", "use crate::{chat::Session, sip::{Leg, Status}, ids};");
        allowed("app.rs", "use crate::config::Config; use crate::rest;");
        allowed(
            "sip/leg.rs",
            "use super::dialog::Dialog; use crate::sip::Status; pub(crate) fn f() {}",
        );
        refused("sip/leg.rs", "use crate::bridge::Leg;", "floor 1 imports bridge of floor 2");
        refused(
            "sip/leg.rs",
            "\n\nuse crate::{\n ids,\n net::{Driver},\n};",
            "6: floor 1 imports net",
        );
        refused("sip/leg.rs", "use super::super::rest;", "floor 1 imports rest");
        refused("sip/mod.rs", "fn f() { super::net::go() }", "floor 1 imports net");
        refused("sip/leg.rs", "fn f(x: crate::rest::Face) {}", "floor 1 imports rest");
        refused(
            "sip/leg.rs",
            "mod a { mod b { use super::super::super::super::net; } }",
            "imports net",
        );
        refused(
            "chat/mod.rs",
            "#[cfg(test)] mod tests { use crate::bridge::x; }",
            "imports bridge",
        );
    }

    #[test]
    fn neighbours_are_strangers() {
        refused("chat/session.rs", "use crate::sip::Status;", "chat imports its neighbour sip");
        refused("oma/mod.rs", "use crate::bridge;", "oma imports its neighbour bridge");
        refused("oma/mod.rs", "use crate::unheard::Of;", "not on the map");
        refused("oma/mod.rs", "use crate::*;", "whole crate");
        refused("oma/mod.rs", "use crate as house;", "whole crate");
        refused("oma/mod.rs", "use super::*;", "whole crate");
        allowed("oma/xml.rs", "use super::*;");
    }

    #[test]
    fn pure_floors_have_no_effects() {
        for (text, what) in [
            ("use tokio::time::Instant;", "runtime"),
            ("use std::net::UdpSocket;", "socket"),
            ("use std::net::{IpAddr, TcpStream};", "socket"),
            ("use std::net::*;", "socket"),
            ("use std::{fs, fmt};", "operating system"),
            ("fn f() { std::env::var(\"X\"); }", "operating system"),
            ("use std::thread;", "operating system"),
            ("use std::sync::{Arc, Mutex};", "lock"),
            ("use std::sync::atomic::AtomicBool;", "lock"),
            ("use std::sync::mpsc;", "lock"),
            ("use std::sync;", "lock"),
            ("fn f() { Instant::now(); }", "clock"),
            ("fn f() { let t = std::time::SystemTime::now(); }", "clock"),
            ("fn f() { OffsetDateTime::now_utc(); }", "clock"),
            ("fn f(at: Instant) { at.elapsed(); }", "clock"),
            ("async fn f() {}", "waiting"),
            ("fn f() { async move {} }", "waiting"),
            ("use std::collections::HashMap;", "order"),
            ("type T = std::collections::HashSet<u8>;", "order"),
            ("fn f() { println!(\"x\"); }", "effect"),
            ("fn f() { eprintln!(\"x\"); }", "effect"),
            ("use std::*;", "all of std"),
        ] {
            refused("chat/session.rs", text, what);
            allowed("net/driver.rs", text);
            allowed("chat/session.rs", &format!("#[cfg(test)]\nmod tests {{ {text} }}"));
            allowed("chat/tests.rs", text);
        }
        refused("ids.rs", "fn f() { rand::rng(); }", "randomness");
        refused("ids.rs", "fn f() { rand::random(); }", "randomness");
        refused("ids.rs", "use rand::{RngExt, rng};", "randomness");
        refused("chat/session.rs", "#[cfg(test)] mod tests {} fn f() { Instant::now(); }", "clock");
        refused("chat/session.rs", "#[cfg(not(test))] fn f() { Instant::now(); }", "clock");
    }

    #[test]
    fn values_that_only_look_like_effects_are_allowed() {
        allowed(
            "sip/via.rs",
            "use std::net::{IpAddr, Ipv4Addr, SocketAddr}; use std::sync::Arc; \
             fn f(now: Instant) { g(now, \"Instant::now()\"); /* std::fs */ } // async",
        );
        allowed("ids.rs", "use rand::rngs::StdRng;");
    }

    #[test]
    fn foreign_crates_stay_inside_their_fences() {
        allowed("sip/message.rs", "use rsip::Header; fn f() { rsip::headers::x() }");
        allowed("rest/mod.rs", "use actix_web::web;");
        allowed("app.rs", "use actix_web::web;");
        refused("bridge/leg.rs", "use rsip::Header;", "uses rsip, which lives only in sip");
        refused("net/mod.rs", "fn f() { rsip::headers::x() }", "uses rsip");
        refused(
            "net/mod.rs",
            "use ::actix_web::rt;",
            "uses actix_web, which lives only in app, rest",
        );
        refused("sip/leg.rs", "#[cfg(test)] mod tests { use toml::Value; }", "uses toml");
        refused("main.rs", "use toml::Value;", "uses toml");
    }

    #[test]
    fn every_file_begins_with_a_sentence() {
        let says = |text: &str| check_file(&Map::parse(LIB), "ids.rs", text).len();
        assert_eq!(says("//! Words.\n"), 0);
        assert_eq!(says("//! Words that go on\n//! to the next line.\n//!\n//! More"), 0);
        for bad in ["", "use a;\n//! Words.", "//! words without an end\n\n", "// Words.", "//!\n"]
        {
            assert_eq!(says(bad), 1, "{bad:?}");
        }
    }

    #[test]
    fn the_map_and_the_modules_are_the_same() {
        let map = Map::parse(LIB);
        let of = |lib: &str, files: &[&str]| -> Vec<String> {
            map_matches_source(&map, lib, files).into_iter().map(|v| v.what).collect()
        };
        assert_eq!(of(LIB, &["lib.rs", "main.rs", "app.rs", "sip/leg.rs"]), Vec::<String>::new());
        let more = format!("{LIB}mod attic;");
        assert_eq!(of(&more, &[]), ["module attic is missing from the map"]);
        assert_eq!(of(LIB, &["attic/mod.rs"]), ["attic is missing from the map"]);
        let fewer = LIB.replace("pub mod ids;", "");
        assert_eq!(of(&fewer, &[]), ["the map names ids, which is no module"]);
        let none = map_matches_source(&Map::default(), "", &[]);
        assert_eq!(none[0].to_string(), "src/lib.rs:1: holds no map");
    }
}
