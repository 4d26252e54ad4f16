//! The grammar of challenges and credentials: schemes with their parameters, several to a line
//! (RFC 3261 section 25.1, RFC 7235 section 2.1).

/// The parameters of one challenge or of one set of credentials.
///
/// A value is what stands between the quotes, escapes and all: digests are computed over that very
/// text (RFC 7616 section 3.4), and so it is also written back.
#[derive(Debug, Default)]
pub(super) struct Fields<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Fields<'a> {
    /// Gives the value of a parameter, whatever the case of its name.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    /// Adds `name = value`. Something twice may mean either, and more than anybody needs is an
    /// attack: both are refused.
    fn add(&mut self, text: &'a str) -> Option<()> {
        let (name, value) = text.split_once('=')?;
        let (name, value) = (trimmed(name), value_of(trimmed(value))?);
        let sound = !name.is_empty() && name.bytes().all(is_token_byte);
        if !sound || self.get(name).is_some() || self.0.len() >= MAX_FIELDS {
            return None;
        }
        self.0.push((name, value));
        Some(())
    }
}

/// Reads the `Digest` parts of a line; those that are malformed, and other schemes, are left out.
pub(super) fn digests(line: &str) -> Vec<Fields<'_>> {
    let mut found: Vec<Option<Fields<'_>>> = Vec::new();
    for piece in pieces(line).map(trimmed).filter(|piece| !piece.is_empty()) {
        let word_ends = piece.bytes().position(|byte| !is_token_byte(byte));
        let (word, rest) = piece.split_at(word_ends.unwrap_or(piece.len()));
        let rest = trimmed(rest);
        if word.is_empty() || rest.starts_with('=') {
            continue_last(&mut found, piece);
        } else if word.eq_ignore_ascii_case("Digest") {
            found.push(Some(Fields::default()));
            continue_last(&mut found, rest);
        } else {
            // Another scheme: a place that takes its parameters in, and is never read.
            found.push(None);
        }
    }
    found.into_iter().flatten().collect()
}

fn continue_last<'a>(found: &mut [Option<Fields<'a>>], text: &'a str) {
    if let Some(last) = found.last_mut()
        && last.as_mut().is_some_and(|fields| fields.add(text).is_none())
    {
        *last = None;
    }
}

/// Gives the realms that the `Digest` parts of a line name, be the rest of them sound or not.
pub fn realms(line: &str) -> impl Iterator<Item = &str> {
    digests(line).into_iter().filter_map(|fields| fields.get("realm"))
}

/// Splits at commas that stand outside quotes.
fn pieces(line: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    line.split(move |character: char| {
        let plain = !escaped;
        escaped = quoted && plain && character == '\\';
        quoted ^= plain && character == '"';
        character == ',' && !quoted
    })
}

/// Writes a text as it stands between quotes; controls become spaces, for no header may carry them.
pub(super) fn in_quotes(text: &str) -> String {
    let mut inner = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '\\' => inner.extend(['\\', character]),
            control if control.is_ascii_control() => inner.push(' '),
            other => inner.push(other),
        }
    }
    inner
}

fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

/// Gives what a value says, without its quotes. Without quotes nothing may stand there that would
/// break out of them when the value is written back.
fn value_of(text: &str) -> Option<&str> {
    let Some(inner) = text.strip_prefix('"') else {
        let outlaw = |byte: u8| byte <= b' ' || byte == 0x7f || b"\"\\".contains(&byte);
        return (!text.is_empty() && !text.bytes().any(outlaw)).then_some(text);
    };
    let mut escaped = false;
    let end = inner.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })?;
    (end + 1 == inner.len()).then_some(&inner[..end])
}

/// More parameters than any honest challenge has.
const MAX_FIELDS: usize = 32;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::digests;

    #[test]
    fn commas_and_escapes_stand_in_quotes() {
        let found = digests(r#"Digest realm="a, \"b\"" , nonce = "n,=" ,Opaque=o==, flag="" "#);
        let [fields] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(fields.get("REALM"), Some(r#"a, \"b\""#));
        assert_eq!(fields.get("nonce"), Some("n,="));
        assert_eq!(fields.get("opaque"), Some("o=="));
        assert_eq!(fields.get("flag"), Some(""));
    }

    #[test]
    fn what_is_put_in_quotes_stays_in_them() {
        let name = super::in_quotes("a\\\", realm=\"x\r\né");
        assert_eq!(name, r#"a\\\", realm=\"x  é"#);
        let line = format!("Digest username=\"{name}\"");
        let found = digests(&line);
        assert_eq!(found[0].get("username"), Some(name.as_str()));
        assert_eq!(found[0].get("realm"), None);
    }

    #[test]
    fn several_schemes_stand_in_one_line() {
        let found = digests(
            r#"Basic realm="x", Digest realm="1", nonce="a", digest realm=2,nonce="b",
               Negotiate, NTLM abc==, DIGEST nonce="c""#
                .replace('\n', " ")
                .as_str(),
        )
        .iter()
        .map(|fields| format!("{:?} {:?}", fields.get("realm"), fields.get("nonce")))
        .collect::<Vec<_>>();
        assert_eq!(
            found,
            [r#"Some("1") Some("a")"#, r#"Some("2") Some("b")"#, r#"None Some("c")"#]
        );
    }

    #[test]
    fn what_is_malformed_is_left_out_and_hurts_nobody_else() {
        for text in [
            "Digest",
            "Digest realm",
            r#"Digest realm="x"#,
            r#"Digest realm="x" y"#,
            r#"Digest realm="x", realm="y""#,
            r"Digest nonce=a\",
            "Digest nonce=a b",
            "Digest =x",
            r#"Digest nonce="a\""#,
            "nonce=x",
            "",
        ] {
            assert!(digests(text).is_empty(), "{text}");
            let line = format!(r#"Digest nonce="ok", {text}"#);
            assert!(digests(&line).len() <= 1, "{text}");
        }
        let many: String = (0..100).map(|at| format!("p{at}=1,")).collect();
        assert!(digests(&format!("Digest {many}")).is_empty());
        assert_eq!(digests(r#"Digest realm, Digest nonce="n""#).len(), 1);
    }
}
