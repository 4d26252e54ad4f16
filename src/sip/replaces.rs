//! The Replaces header: the dialog whose place an INVITE is to take (RFC 3891).

use thiserror::Error;

use super::grammar::{is_token, split_outside};
use super::headers::Headers;

/// The option tag of RFC 3891.
pub const REPLACES: &str = "replaces";

/// A dialog as the sender of the INVITE names it to who receives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaces {
    /// Its Call-ID.
    pub call_id: String,
    /// The tag of who receives the INVITE.
    pub to_tag: String,
    /// The tag of the other side; `0` is also that of one from before RFC 3261, which has none.
    pub from_tag: String,
    /// Whether it is to be replaced only as long as nobody has accepted it.
    pub early_only: bool,
}

/// A Replaces header that has to be refused with 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadReplaces {
    /// There are several, or one beside a Join header, which contradicts it (RFC 3891 section 3).
    #[error("more than one dialog is named")]
    Ambiguous,
    /// It does not name a Call-ID and both tags, each once.
    #[error("no dialog is named")]
    Malformed,
}

impl Replaces {
    /// Reads the header, where there is one.
    ///
    /// # Errors
    /// It cannot be followed, so that RFC 3891 section 3 wants the INVITE refused.
    pub fn of(headers: &Headers) -> Result<Option<Self>, BadReplaces> {
        let mut all = headers.all("Replaces");
        let Some(value) = all.next() else { return Ok(None) };
        if all.next().is_some() || headers.has("Join") {
            return Err(BadReplaces::Ambiguous);
        }
        Self::parse(value).map(Some)
    }

    /// Reads a value.
    ///
    /// # Errors
    /// It names no dialog.
    pub fn parse(value: &str) -> Result<Self, BadReplaces> {
        // A Call-ID may hold brackets and quotes that mean nothing.
        let (call_id, params) = value.split_once(';').ok_or(BadReplaces::Malformed)?;
        let call_id = Some(call_id.trim());
        let call_id = call_id.filter(|it| !it.is_empty() && !it.contains([',', ' ', '\t']));
        let (mut to_tag, mut from_tag, mut early_only) = (None, None, false);
        for part in split_outside(params, b';') {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (name.trim(), value.trim());
            let tag = match name.to_ascii_lowercase().as_str() {
                "to-tag" => &mut to_tag,
                "from-tag" => &mut from_tag,
                "early-only" => {
                    early_only = true;
                    continue;
                }
                _ => continue,
            };
            if !is_token(value) || tag.replace(value.to_owned()).is_some() {
                return Err(BadReplaces::Malformed);
            }
        }
        match (call_id, to_tag, from_tag) {
            (Some(call_id), Some(to_tag), Some(from_tag)) => {
                Ok(Self { call_id: call_id.to_owned(), to_tag, from_tag, early_only })
            }
            (_, _, _) => Err(BadReplaces::Malformed),
        }
    }

    /// Tells whether `tag` is that of the other side.
    #[must_use]
    pub fn is_from(&self, tag: Option<&str>) -> bool {
        self.from_tag == tag.unwrap_or("0")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_dialog_is_named_by_its_call_id_and_both_tags() {
        let parsed = Replaces::parse("98732@a.example ;from-tag=r33 ; To-Tag=44;x=y").unwrap();
        let named = (parsed.call_id.as_str(), parsed.to_tag.as_str(), parsed.from_tag.as_str());
        assert_eq!(named, ("98732@a.example", "44", "r33"));
        assert!(!parsed.early_only && parsed.is_from(Some("r33")));
        assert!(!parsed.is_from(Some("R33")) && !parsed.is_from(None));
        let old = Replaces::parse("a;to-tag=1;from-tag=0;early-only").unwrap();
        assert!(old.early_only && old.is_from(None) && old.is_from(Some("0")));
    }

    #[test]
    fn what_names_no_dialog_or_several_is_refused() {
        for bad in [
            "",
            ";to-tag=1;from-tag=2",
            "a;to-tag=1",
            "a;from-tag=2",
            "a;to-tag=1;from-tag=",
            "a;to-tag=1;from-tag=2;to-tag=1",
            "a;to-tag=\"1\";from-tag=2",
            "a;to-tag=1;from-tag=2, b;to-tag=3;from-tag=4",
            "a b;to-tag=1;from-tag=2",
        ] {
            assert_eq!(Replaces::parse(bad), Err(BadReplaces::Malformed), "{bad}");
        }
        let headers = |lines: &[(&str, &str)]| Headers::from_iter(lines.iter().copied());
        let one = ("Replaces", "a;to-tag=1;from-tag=2");
        assert_eq!(Replaces::of(&headers(&[])), Ok(None));
        assert!(Replaces::of(&headers(&[one])).unwrap().is_some());
        for two in [[one, one], [one, ("Join", "b;to-tag=1;from-tag=2")]] {
            assert_eq!(Replaces::of(&headers(&two)), Err(BadReplaces::Ambiguous));
        }
    }
}
