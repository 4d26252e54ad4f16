//! A ladder as a page that needs nothing else: a drawing, and every message below it.

use std::fmt::Write as _;

use super::{Ladder, Rung};
use crate::trace::Protocol;

pub(super) fn draw(ladder: &Ladder<'_>, name: &str) -> String {
    let name = escape(name);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{name}</title>\n<style>{STYLE}</style>\n<h1>{name}</h1>\n"
    );
    drawing(&mut page, ladder);
    page.push_str("<h2>Messages</h2>\n");
    for (index, rung) in ladder.rungs.iter().enumerate() {
        message(&mut page, ladder, index, rung);
    }
    page.push_str("</html>\n");
    page
}

// Writing to a `String` cannot fail, so what `write!` gives is not looked at below.

fn drawing(page: &mut String, ladder: &Ladder<'_>) {
    let width = LEFT + ladder.rails.len() * GAP + NOTES;
    let height = TOP + (ladder.rungs.len() + 1) * RUNG;
    let _ = writeln!(
        page,
        "<svg width=\"{width}\" height=\"{height}\" role=\"img\" aria-label=\"ladder\">\n\
         <defs><marker id=\"tip\" markerWidth=\"8\" markerHeight=\"8\" refX=\"8\" refY=\"4\" \
         orient=\"auto\"><path d=\"M0 0 8 4 0 8z\"/></marker></defs>"
    );
    for (index, name) in ladder.rails.iter().enumerate() {
        let x = rail(index);
        let _ = writeln!(
            page,
            "<text class=\"rail\" x=\"{x}\" y=\"16\">{}</text>\
             <line class=\"rail\" x1=\"{x}\" y1=\"24\" x2=\"{x}\" y2=\"{height}\"/>",
            escape(name)
        );
    }
    let notes = rail(ladder.rails.len().saturating_sub(1)) + 12;
    for (index, rung) in ladder.rungs.iter().enumerate() {
        let y = TOP + (index + 1) * RUNG;
        let (from, to) = (rail(rung.from), rail(rung.to));
        let to = if from == to { from + GAP / 2 } else { to };
        let (text, kind) = (usize::midpoint(from, to), class(rung.step.protocol));
        let _ = writeln!(
            page,
            "<a href=\"#m{index}\"><text class=\"time\" x=\"4\" y=\"{y}\">{:.3} #{}</text>\
             <line class=\"{kind}\" x1=\"{from}\" y1=\"{y}\" x2=\"{to}\" y2=\"{y}\" \
             marker-end=\"url(#tip)\"/>\
             <text class=\"label\" x=\"{text}\" y=\"{}\">{}</text>\
             <text x=\"{notes}\" y=\"{y}\">{}</text></a>",
            rung.seconds,
            rung.step.packet,
            y - 5,
            escape(&rung.step.label),
            escape(&rung.beside()),
        );
    }
    page.push_str("</svg>\n");
}

fn message(page: &mut String, ladder: &Ladder<'_>, index: usize, rung: &Rung<'_>) {
    let step = rung.step;
    let name = |rail: usize| ladder.rails.get(rail).map(String::as_str).unwrap_or_default();
    let _ = writeln!(
        page,
        "<details id=\"m{index}\"><summary>{} #{} {} {} → {}: {}</summary><pre>{}</pre></details>",
        step.at,
        step.packet,
        step.protocol,
        escape(name(rung.from)),
        escape(name(rung.to)),
        escape(&step.label),
        escape(&String::from_utf8_lossy(&step.bytes)),
    );
}

fn class(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Sip => "sip",
        Protocol::Msrp => "msrp",
        Protocol::Http => "rest",
    }
}

fn rail(index: usize) -> usize {
    LEFT + index * GAP
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(c),
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
}

const LEFT: usize = 160;
const GAP: usize = 280;
const NOTES: usize = 320;
const TOP: usize = 20;
const RUNG: usize = 26;

const STYLE: &str = "body{font:14px system-ui,sans-serif;margin:1em}\
    svg{font-size:12px;overflow:visible}svg a{text-decoration:none}\
    text.rail,text.label{text-anchor:middle}text.rail{font-weight:bold}\
    line{stroke:#222;stroke-width:1.5}line.rail{stroke:#bbb}\
    line.msrp{stroke:#06c;stroke-width:3}line.rest{stroke:#080;stroke-dasharray:5 3}\
    text.time{fill:#666}pre{background:#f4f4f4;padding:.5em;overflow:auto}\
    details:target{outline:2px solid #06c}";
