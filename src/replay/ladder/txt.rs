//! A ladder of characters: `-` is SIP, `=` is MSRP, `~` is REST.

use std::fmt::Write as _;

use super::{Ladder, Rung};
use crate::trace::Protocol;

pub(super) fn draw(ladder: &Ladder<'_>) -> String {
    let mut text = " ".repeat(MARGIN);
    for name in &ladder.rails {
        let _ = write!(text, "{:<GAP$}", short(name, GAP - 1));
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    for rung in &ladder.rungs {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{:>9.3}  #{:<7}", rung.seconds, rung.step.packet);
        text.push_str(&rails(ladder, rung));
        let beside = format!("  {}", rung.beside());
        let _ = writeln!(text, "{}", beside.trim_end());
    }
    text.push_str("\n--> SIP   ==> MSRP   ~~> REST   [n] dialog   #n packet\n");
    text
}

/// Draws the rails of one line, and the arrow between two of them.
fn rails(ladder: &Ladder<'_>, rung: &Rung<'_>) -> String {
    let (left, right) = (rung.from.min(rung.to), rung.from.max(rung.to));
    let mut line = String::new();
    let mut at = 0;
    while at < ladder.rails.len() {
        line.push('|');
        if at == left && left < right {
            line.push_str(&arrow(rung, (right - left) * GAP - 1));
            at = right;
            continue;
        }
        if at == left {
            // Somebody who talks to himself.
            let _ = write!(line, "{:<width$}", format!("@ {}", rung.step.label), width = GAP - 1);
        } else if at + 1 < ladder.rails.len() {
            line.push_str(&" ".repeat(GAP - 1));
        }
        at += 1;
    }
    line
}

fn arrow(rung: &Rung<'_>, width: usize) -> String {
    let stroke = match rung.step.protocol {
        Protocol::Sip => "-",
        Protocol::Msrp => "=",
        Protocol::Http => "~",
    };
    let label = format!(" {} ", short(&rung.step.label, width - 6));
    let strokes = width.saturating_sub(label.chars().count() + 1);
    let (before, behind) = (strokes / 2, strokes - strokes / 2);
    let (before, behind) = (stroke.repeat(before), stroke.repeat(behind));
    if rung.from < rung.to {
        format!("{before}{label}{behind}>")
    } else {
        format!("<{before}{label}{behind}")
    }
}

fn short(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// The width of time and packet.
const MARGIN: usize = 19;
/// From one rail to the next.
const GAP: usize = 36;
