//! A ladder as a sequence diagram of Mermaid.

use std::fmt::Write as _;

use super::Ladder;
use crate::trace::Protocol;

pub(super) fn draw(ladder: &Ladder<'_>) -> String {
    let mut text = "sequenceDiagram\n".to_owned();
    for (index, name) in ladder.rails.iter().enumerate() {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "    participant p{index} as {}", escape(name));
    }
    for rung in &ladder.rungs {
        let arrow = match rung.step.protocol {
            Protocol::Sip => "->>",
            Protocol::Msrp => "-->>",
            Protocol::Http => "-)",
        };
        let protocol = match rung.step.protocol {
            Protocol::Sip => "",
            Protocol::Msrp => "MSRP ",
            Protocol::Http => "REST ",
        };
        let words = format!("{protocol}{} {}", rung.step.label, rung.beside());
        let (from, to) = (rung.from, rung.to);
        let label = escape(words.trim());
        let _ = writeln!(text, "    p{from}{arrow}p{to}: {:.3} {label}", rung.seconds);
    }
    text
}

/// Draws it as a Markdown document of its own.
pub(super) fn document(ladder: &Ladder<'_>, name: &str) -> String {
    // In a span of code only what ends it, or the line, has a meaning.
    let ends = |c: char| c == '`' || c.is_control();
    let name: String = name.chars().map(|c| if ends(c) { '\u{fffd}' } else { c }).collect();
    format!(
        "# `{name}`\n\n```mermaid\n{}```\n\n`->>` SIP, `-->>` MSRP, `-)` REST, [n] dialog\n",
        draw(ladder)
    )
}

/// Writes what has a meaning to Mermaid, or to the page around it, as entities of Mermaid.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '#' | ';' | ':' | '<' | '>' | '&' | '"' | '%' | '`' | '{' | '}' | '\\' => {
                let _ = write!(escaped, "#{};", u32::from(c));
            }
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}
