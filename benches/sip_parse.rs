//! How fast SIP messages are read and written, beside `rsip`'s own parser on the same bytes in the
//! same run: `cargo bench --bench sip_parse`.
//!
//! Ours does more in that time: it holds the framing, the limits and the mandatory header fields
//! to the rules, and reads every `Via`, `Route` and `Contact` before it hands a message on, where
//! `rsip` only cuts it up. Rounds of both take turns, so that whatever else runs on the machine
//! disturbs them alike; the best round of each counts.
#![allow(clippy::print_stdout, missing_docs, reason = "a program that prints a table")]

use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use chatbridge::sip::{Contacts, Decoded, Message, WireLimits, decode_datagram};
use rsip::SipMessage;
use rsip::headers::ToTypedHeader;
use rsip::message::HeadersExt;

/// As an IMS core brings it: two proxies, an offer of MSRP, identity and feature tags.
const INVITE: &[u8] = include_bytes!("material/invite.sip");
const OK: &[u8] = include_bytes!("material/ok.sip");

/// How many times faster than `rsip` reading has to be.
const GOAL: f64 = 3.0;
const ROUNDS: usize = 2001;
/// Few enough for most rounds to end before the machine turns to something else.
const MESSAGES: usize = 50;

fn main() {
    // `cargo test --benches` runs this too, but wants no figures.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    println!("| message | what | ours ns (min, median) | rsip ns (min, median) | rsip / ours |");
    println!("|---|---|---|---|---|");
    let mut meets = true;
    for (name, bytes) in [("INVITE", INVITE), ("200 OK", OK)] {
        let name = format!("{name}, {} B", bytes.len());
        let shared = Bytes::from_static(bytes);
        meets &= GOAL
            <= compare(
                &name,
                "read",
                || drop(black_box(decode(black_box(&shared)))),
                || drop(black_box(decode_rsip(black_box(bytes)))),
            );
        compare(
            &name,
            "read, and five typed views",
            || look(&decode(black_box(&shared))),
            || look_rsip(&decode_rsip(black_box(bytes))),
        );
        let (ours, theirs) = (decode(&shared), decode_rsip(bytes));
        compare(
            &name,
            "written",
            || drop(black_box(black_box(&ours).encode())),
            // It can only be written by giving it away.
            || drop(black_box(Vec::<u8>::from(black_box(&theirs).clone()))),
        );
    }
    println!();
    println!("reading {} {GOAL} times the speed of rsip", if meets { "has" } else { "MISSES" });
}

fn decode(bytes: &Bytes) -> Message {
    match decode_datagram(bytes.clone(), &WireLimits::default()) {
        Decoded::Message(message) => message,
        other @ (Decoded::KeepAlive(_) | Decoded::Reject { .. } | Decoded::Fatal(_)) => {
            panic!("the material is good: {other:?}")
        }
    }
}

fn decode_rsip(bytes: &[u8]) -> SipMessage {
    SipMessage::try_from(bytes).expect("the material is good for rsip, too")
}

fn look(message: &Message) {
    let headers = message.headers();
    let good = black_box(headers.via()).is_ok()
        && black_box(headers.from()).is_ok()
        && black_box(headers.to()).is_ok()
        && black_box(headers.cseq()).is_ok()
        && matches!(black_box(headers.contacts()), Ok(Contacts::List(_)));
    assert!(good, "the views are there");
}

fn look_rsip(message: &SipMessage) {
    let good = message.via_header().is_ok_and(|it| black_box(it.typed()).is_ok())
        && message.from_header().is_ok_and(|it| black_box(it.typed()).is_ok())
        && message.to_header().is_ok_and(|it| black_box(it.typed()).is_ok())
        && message.cseq_header().is_ok_and(|it| black_box(it.typed()).is_ok())
        && message.contact_header().is_ok_and(|it| black_box(it.typed()).is_ok());
    assert!(good, "rsip has the views, too");
}

/// Lets both take turns, prints the row, and gives how many times faster ours is.
fn compare(name: &str, what: &str, mut ours: impl FnMut(), mut theirs: impl FnMut()) -> f64 {
    let (mut our_rounds, mut their_rounds) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        our_rounds.push(time(&mut ours));
        their_rounds.push(time(&mut theirs));
    }
    let (our_least, our_median) = least_and_median(our_rounds);
    let (their_least, their_median) = least_and_median(their_rounds);
    let ratio = their_least / our_least;
    println!(
        "| {name} | {what} | {our_least:.0}, {our_median:.0} | {their_least:.0}, {their_median:.0} \
         | {ratio:.2} |"
    );
    ratio
}

/// Gives the nanoseconds per message of one round.
fn time(work: &mut impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..MESSAGES {
        work();
    }
    start.elapsed().as_secs_f64() * 1e9 / MESSAGES as f64
}

fn least_and_median(mut rounds: Vec<f64>) -> (f64, f64) {
    rounds.sort_by(f64::total_cmp);
    let at = |index: usize| rounds.get(index).copied().unwrap_or(f64::NAN);
    (at(0), at(rounds.len() / 2))
}
