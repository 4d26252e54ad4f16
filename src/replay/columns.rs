//! Two messages side by side, for people.

use std::fmt::Write as _;

/// Writes two messages beside each other, line by line; `!` marks lines that are not the same.
pub(super) fn beside(left: &[u8], right: &[u8]) -> String {
    let lines = |bytes: &[u8]| -> Vec<String> {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_BYTES)]).into_owned();
        text.lines().take(MAX_LINES).map(|line| short(&line.replace('\t', " "))).collect()
    };
    let (left, right) = (lines(left), lines(right));
    let width = left.iter().map(|line| line.chars().count()).max().unwrap_or_default();
    let mut text = "\n".to_owned();
    for place in 0..left.len().max(right.len()) {
        let line = |side: &[String]| side.get(place).cloned().unwrap_or_default();
        let (left, right) = (line(&left), line(&right));
        let mark = if left == right { '|' } else { '!' };
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{}", format!("    {left:<width$} {mark} {right}").trim_end());
    }
    text
}

fn short(line: &str) -> String {
    match line.char_indices().nth(MAX_WIDTH) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// What is shown of a message.
const MAX_BYTES: usize = 16 * 1024;
const MAX_LINES: usize = 60;
const MAX_WIDTH: usize = 70;

#[cfg(test)]
mod tests {
    use super::beside;

    #[test]
    fn what_is_not_the_same_is_marked_and_length_has_an_end() {
        assert_eq!(
            beside(b"SIP/2.0 200 OK\r\nTo:\ta\r\n\r\n", b"SIP/2.0 486 No\r\nTo: a\r\nX: y\r\n"),
            "\n    SIP/2.0 200 OK ! SIP/2.0 486 No\n    To: a          | To: a\n                   ! X: y\n"
        );
        let long = beside("\u{e9}\n".repeat(9000).as_bytes(), &[0xff; 9000]);
        assert_eq!(long.lines().count(), 61);
        assert!(long.lines().all(|line| line.chars().count() < 100));
    }
}
