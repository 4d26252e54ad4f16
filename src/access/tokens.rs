//! Static bearer tokens (RFC 6750), each with the users that it is for.

use std::collections::BTreeMap;
use std::fmt;

use ring::hmac;

use super::lines::{LineFault, caller, entries};
use super::{Caller, Refusal};

/// The tokens, known by their keyed sums: how long a look takes says nothing about any of them.
pub struct Tokens {
    key: hmac::Key,
    callers: BTreeMap<Box<[u8]>, Caller>,
}

impl Tokens {
    /// Reads a list of `token user …`, one to a line; `*` is everybody. `secret` is drawn anew by
    /// each process.
    ///
    /// # Errors
    /// Names the first line that is wrong.
    pub fn read(text: &str, secret: &[u8; 32]) -> Result<Self, LineFault> {
        let mut tokens =
            Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret), callers: BTreeMap::new() };
        for (line, words) in entries(text) {
            let fault = |what: &str| LineFault { line, what: what.to_owned() };
            let [token, users @ ..] = words.as_slice() else { continue };
            if token.len() < SHORTEST {
                return Err(fault("a token of less than 16 characters can be guessed"));
            }
            if super::bearer(format!("Bearer {token}").as_bytes()).is_none() {
                return Err(fault("a token is made of letters, digits and -._~+/="));
            }
            let caller = caller(users).map_err(|what| fault(&what))?;
            let sum = tokens.sum(token.as_bytes());
            if tokens.callers.insert(sum, caller).is_some() {
                return Err(fault("the token stands here twice"));
            }
        }
        Ok(tokens)
    }

    /// Tells whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.callers.is_empty()
    }

    pub(super) fn judge(&self, token: Option<&[u8]>) -> Result<Caller, Refusal> {
        let found = token.and_then(|token| self.callers.get(&self.sum(token)));
        found.cloned().ok_or(Refusal::Invalid(None))
    }

    fn sum(&self, token: &[u8]) -> Box<[u8]> {
        hmac::sign(&self.key, token).as_ref().into()
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("count", &self.callers.len()).finish_non_exhaustive()
    }
}

/// The shortest token that is taken, in characters.
const SHORTEST: usize = 16;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::address::Address;

    const LIST: &str =
        "# who\n\n0123456789abcdef tel:+1 sip:bob@x.example\nall-of-them-have-it *\n";

    #[test]
    fn a_token_opens_for_its_users() {
        let tokens = Tokens::read(LIST, &[7; 32]).unwrap();
        let caller = tokens.judge(Some(b"0123456789abcdef")).unwrap();
        let covers = |caller: &Caller, user: &str| caller.covers(&Address::parse(user).unwrap());
        assert!(covers(&caller, "+1") && covers(&caller, "sip:bob@x.example"));
        assert!(!covers(&caller, "tel:+2"));
        assert!(covers(&tokens.judge(Some(b"all-of-them-have-it")).unwrap(), "tel:+2"));
        for wrong in [Some(&b"0123456789abcde"[..]), Some(b"0123456789abcdeF"), Some(b""), None] {
            assert_eq!(tokens.judge(wrong), Err(Refusal::Invalid(None)));
        }
        assert!(!format!("{tokens:?}").contains("0123456789"));
    }

    #[test]
    fn a_bad_line_is_named_and_its_token_is_not() {
        for (text, what) in [
            ("\nshort tel:+1", "line 2: a token of less than 16 characters can be guessed"),
            ("0123456789abcde! *", "line 1: a token is made of letters, digits and -._~+/="),
            ("0123456789abcdef", "line 1: names nobody whom the credential is for"),
            ("0123456789abcdef bob", "line 1: a user is wrong: the address must begin with"),
            ("0123456789abcdef *\n0123456789abcdef tel:+1", "line 2: the token stands here twice"),
        ] {
            let fault = Tokens::read(text, &[7; 32]).unwrap_err().to_string();
            assert!(fault.starts_with(what) && !fault.contains("0123"), "{fault}");
        }
    }
}
