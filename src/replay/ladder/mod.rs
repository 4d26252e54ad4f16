//! `replay ladder`: SIP, MSRP and REST in one picture.

mod html;
mod mermaid;
mod txt;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use clap::ValueEnum;
use serde_json::json;

use super::book::{Book, Keep, Step};
use super::{Exit, Form, Outcome, json, open, printable};
use crate::trace::{End, Protocol};

/// How a ladder is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Picture {
    /// Characters, for a terminal.
    Txt,
    /// A sequence diagram that Markdown viewers draw.
    Mermaid,
    /// That diagram in a Markdown document.
    Md,
    /// A page of its own, with the messages below the picture.
    Html,
}

/// Draws a trace; `-` is standard input.
#[must_use]
pub fn ladder(trace: &Path, picture: Picture, form: Form) -> Outcome {
    let keep = match picture {
        Picture::Html => Keep::Messages,
        Picture::Txt | Picture::Mermaid | Picture::Md => Keep::Lines,
    };
    let mut trace = match open(trace, keep, form) {
        Ok(trace) => trace,
        Err(failure) => return failure,
    };
    if trace.book.totals.steps_untold > 0 {
        let untold = trace.book.totals.steps_untold;
        trace.warnings.push(format!("{}: {untold} more messages are left out", trace.name));
    }
    let hidden = trace.hidden();
    trace.warnings.extend(hidden.iter().cloned());
    let text = match form {
        Form::Json => {
            let steps = json::steps(&trace.book);
            format!("{:#}\n", json!({"trace": trace.name, "hidden": hidden, "steps": steps}))
        }
        Form::Text => {
            let ladder = Ladder::of(&trace.book);
            match picture {
                Picture::Txt => printable(&txt::draw(&ladder)),
                Picture::Mermaid => mermaid::draw(&ladder),
                Picture::Md => mermaid::document(&ladder, &trace.name),
                Picture::Html => html::draw(&ladder, &trace.name),
            }
        }
    };
    Outcome { text, warnings: trace.warnings, exit: Exit::Good }
}

/// Draws accounts for a terminal, with more to say beside each of the steps.
pub(super) fn picture(book: &Book, beside: impl Fn(usize) -> String) -> String {
    let mut ladder = Ladder::of(book);
    for rung in &mut ladder.rungs {
        rung.more = beside(rung.index);
    }
    printable(&txt::draw(&ladder))
}

/// The rails of a ladder, and its rungs in the order of time.
struct Ladder<'a> {
    rails: Vec<String>,
    rungs: Vec<Rung<'a>>,
}

/// One message between two rails.
struct Rung<'a> {
    step: &'a Step,
    /// The place of the step in the book.
    index: usize,
    /// What else is said of it.
    more: String,
    from: usize,
    to: usize,
    /// Seconds behind the first message.
    seconds: f64,
}

/// What a rail stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rail {
    Host(IpAddr),
    End(End),
    /// Whoever makes REST calls on this host: its ports change.
    Caller(IpAddr),
}

impl<'a> Ladder<'a> {
    fn of(book: &'a Book) -> Self {
        let mut steps: Vec<(usize, &Step)> = book.steps.iter().enumerate().collect();
        // What a gap held back was completed later than what it was sent before.
        steps.sort_by_key(|(_, step)| step.at);
        let first = steps.first().map(|(_, step)| step.at).unwrap_or_default();
        let is_among_hosts = steps.iter().all(|(_, step)| match (step.from, step.to) {
            (End::At(from), End::At(to)) => from.ip() != to.ip(),
            _ => true,
        });
        let mut rails: Vec<Rail> = Vec::new();
        let mut place = |rail: Rail| match rails.iter().position(|known| *known == rail) {
            Some(place) => place,
            None => {
                rails.push(rail);
                rails.len() - 1
            }
        };
        let rungs = steps
            .into_iter()
            .map(|(index, step)| {
                let (from, to) = rails_of(step, is_among_hosts);
                let (from, to) = (place(from), place(to));
                let seconds = step.at.since(first).as_secs_f64();
                Rung { step, index, more: String::new(), from, to, seconds }
            })
            .collect();
        Self { rails: names(&rails), rungs }
    }
}

/// Hosts are rails where hosts talk to each other. On one host ports are; an MSRP connection then
/// belongs to the SIP ends that agreed on it.
fn rails_of(step: &Step, is_among_hosts: bool) -> (Rail, Rail) {
    let rail = |end: End| match end {
        End::At(address) if is_among_hosts => Rail::Host(address.ip()),
        End::At(_) | End::Writer | End::Peer => Rail::End(end),
    };
    if is_among_hosts {
        return (rail(step.from), rail(step.to));
    }
    match step.protocol {
        Protocol::Sip => (rail(step.from), rail(step.to)),
        Protocol::Msrp => {
            (rail(step.parties.0.unwrap_or(step.from)), rail(step.parties.1.unwrap_or(step.to)))
        }
        Protocol::Http => {
            let caller = |end: End| match end {
                End::At(address) => Rail::Caller(address.ip()),
                End::Writer | End::Peer => Rail::End(end),
            };
            if step.forward {
                (caller(step.from), rail(step.to))
            } else {
                (rail(step.from), caller(step.to))
            }
        }
    }
}

fn names(rails: &[Rail]) -> Vec<String> {
    let hosts: BTreeSet<IpAddr> = rails
        .iter()
        .filter_map(|rail| match rail {
            Rail::Caller(host) => Some(*host),
            Rail::Host(_) | Rail::End(_) => None,
        })
        .collect();
    rails
        .iter()
        .map(|rail| match rail {
            Rail::Host(address) => address.to_string(),
            Rail::End(end) => end.to_string(),
            Rail::Caller(_) if hosts.len() == 1 => "application".to_owned(),
            Rail::Caller(host) => format!("application at {host}"),
        })
        .collect()
}

impl Rung<'_> {
    /// Says in words what stands beside the arrow.
    fn beside(&self) -> String {
        let mut words = Vec::new();
        if let Some(dialog) = self.step.dialog {
            words.push(format!("[{}]", dialog + 1));
        }
        if let Some(method) = &self.step.about {
            words.push(format!("({method})"));
        }
        if !self.step.note.is_empty() {
            words.push(self.step.note.clone());
        }
        match self.step.repeats {
            0 => {}
            1 => words.push("(and once again)".to_owned()),
            times => words.push(format!("(and {times} times again)")),
        }
        if !self.more.is_empty() {
            words.push(self.more.clone());
        }
        words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::read_from;
    use super::*;

    /// A bridge on one host: REST on 8080, SIP 5080 to 5060, MSRP between ports of no meaning.
    const LOG: &str = "\
2023/11/14 22:13:20 127.0.0.1:40001 -> 127.0.0.1:8080
POST /chat/v1/tel%3A%2B1/sessions HTTP/1.1\r\nContent-Length: 0\r\n\r
2023/11/14 22:13:21 127.0.0.1:5080 -> 127.0.0.1:5060
INVITE sip:b SIP/2.0\r\nFrom: <sip:a>;tag=f\r\nTo: <sip:b>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r
Content-Length: 33\r\n\r\na=path:msrp://127.0.0.1:1/s1;tcp\n
2023/11/14 22:13:22 127.0.0.1:8080 -> 127.0.0.1:40001
HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r
2023/11/14 22:13:23 127.0.0.1:5060 -> 127.0.0.1:5080
SIP/2.0 200 OK\r\nFrom: <sip:a>;tag=f\r\nTo: <sip:b>;tag=t\r\nCall-ID: c\r\nCSeq: 1 INVITE\r
Content-Length: 33\r\n\r\na=path:msrp://127.0.0.1:2/s2;tcp\n
2023/11/14 22:13:24 127.0.0.1:40002 -> 127.0.0.1:2855
MSRP tx SEND\r\nTo-Path: msrp://127.0.0.1:2/s2;tcp\r\nFrom-Path: msrp://127.0.0.1:1/s1;tcp\r
-------tx$\r
";

    #[test]
    fn on_one_host_a_connection_belongs_to_the_ends_that_agreed_on_it() {
        let trace = read_from("test".to_owned(), &mut LOG.as_bytes(), Keep::Lines);
        let trace = trace.unwrap_or_else(|error| panic!("{error}"));
        let ladder = Ladder::of(&trace.book);
        assert_eq!(
            ladder.rails,
            ["application", "127.0.0.1:8080", "127.0.0.1:5080", "127.0.0.1:5060"]
        );
        let rungs: Vec<_> = ladder.rungs.iter().map(|rung| (rung.from, rung.to)).collect();
        assert_eq!(rungs, [(0, 1), (2, 3), (1, 0), (3, 2), (2, 3)]);
        let text = txt::draw(&ladder);
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        assert!(lines[1].contains("|~~~~~~~~~~~~~~ POST ~~~~~~~~~~~~~~>|    "), "{text}");
        assert!(lines[3].contains("|<~~~~~~~~~~ 201 Created ~~~~~~~~~~~|    "), "{text}");
        assert!(lines[5].ends_with("|============== SEND ==============>|  [1]"), "{text}");
    }
}
