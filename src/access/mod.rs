//! Who may come in: credentials, what they cover, and how often somebody may try.
//!
//! A [`Gate`] is made of what the configuration names: nothing, passwords (RFC 7617), static tokens
//! (RFC 6750) or the keys that access tokens are signed with (RFC 9068). It looks at the one header
//! field `Authorization` and says whose credential it is. It reads no file and no clock.

mod attempts;
mod basic;
mod crowd;
mod generations;
mod jwks;
mod jwt;
mod lines;
mod rate;
mod tokens;

use std::collections::BTreeSet;
use std::fmt;

pub use attempts::{AttemptLimits, Attempts, source_of};
pub use basic::{PasswordCheck, Passwords, Proven, basic_credentials, hash_password};
pub use crowd::Crowd;
pub use jwks::{KeySet, KeySetFault};
pub use jwt::{Flaw, TokenJudge, TokenRules};
pub use lines::LineFault;
pub use rate::{Rate, Rates};
pub use tokens::Tokens;

use crate::address::Address;

/// What an `Authorization` is held against.
#[derive(Debug)]
pub enum Gate {
    /// Nobody is asked for anything.
    Open,
    /// A name and a password (RFC 7617).
    Basic(Passwords),
    /// One of some fixed tokens (RFC 6750).
    Bearer(Tokens),
    /// An access token that somebody else has signed (RFC 9068).
    Jwt(Box<TokenJudge>),
}

impl Gate {
    /// Judges the field `Authorization`, in seconds since 1970 `now`.
    #[must_use]
    pub fn judge(&self, now: i64, authorization: Option<&[u8]>) -> Verdict {
        let verdict = match (self, authorization) {
            (Self::Open, _) => Ok(Caller::anybody()),
            (_, None) => Err(Refusal::Missing),
            (Self::Basic(passwords), Some(field)) => return passwords.judge(field),
            (Self::Bearer(tokens), Some(field)) => tokens.judge(bearer(field)),
            (Self::Jwt(judge), Some(field)) => match bearer(field) {
                Some(token) => judge.judge(now, token),
                None => Err(Refusal::Invalid(None)),
            },
        };
        verdict.map_or_else(Verdict::Refused, Verdict::Admitted)
    }

    /// Gives the challenge that tells a client what is wanted (RFC 7617 section 2, RFC 6750 section
    /// 3).
    #[must_use]
    pub fn challenge(&self, realm: &str, refusal: &Refusal) -> String {
        let realm = realm.replace(['"', '\\'], "'");
        let (mut challenge, scope) = match self {
            Self::Open | Self::Basic(_) => {
                return format!("Basic realm=\"{realm}\", charset=\"UTF-8\"");
            }
            Self::Bearer(_) => (format!("Bearer realm=\"{realm}\""), String::new()),
            Self::Jwt(judge) => (format!("Bearer realm=\"{realm}\""), judge.scope()),
        };
        match refusal {
            // Who has shown nothing is told no error (RFC 6750 section 3.1).
            Refusal::Missing => {}
            Refusal::Invalid(flaw) => {
                challenge.push_str(", error=\"invalid_token\"");
                if let Some(flaw) = flaw {
                    challenge.push_str(&format!(", error_description=\"{flaw}\""));
                }
            }
            Refusal::Scope => {
                challenge.push_str(&format!(", error=\"insufficient_scope\", scope=\"{scope}\""));
            }
        }
        challenge
    }

    /// Tells whether a credential could be found by trying: then who has failed too often is not
    /// even heard. Tokens cannot be guessed, and a good one is let in whoever else failed nearby.
    #[must_use]
    pub fn is_guessable(&self) -> bool {
        match self {
            Self::Basic(_) => true,
            Self::Open | Self::Bearer(_) | Self::Jwt(_) => false,
        }
    }
}

/// What became of a credential.
#[derive(Debug)]
pub enum Verdict {
    /// It is good.
    Admitted(Caller),
    /// It is not.
    Refused(Refusal),
    /// It takes a computation that is slow on purpose to find out.
    Costly(PasswordCheck),
}

/// Why a credential is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is none.
    Missing,
    /// It is wrong, and what about it may be told.
    Invalid(Option<Flaw>),
    /// It is good, but not for this API.
    Scope,
}

/// Somebody who came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    covers: Coverage,
}

impl Caller {
    /// Makes a caller who may act for everybody.
    #[must_use]
    pub fn anybody() -> Self {
        Self { covers: Coverage::Everybody }
    }

    /// Makes a caller who may act for some users.
    #[must_use]
    pub fn of(users: impl IntoIterator<Item = Address>) -> Self {
        Self { covers: Coverage::Users(users.into_iter().collect()) }
    }

    /// Tells whether the caller may act for a user, in whatever spelling.
    #[must_use]
    pub fn covers(&self, user: &Address) -> bool {
        match &self.covers {
            Coverage::Everybody => true,
            Coverage::Users(users) => users.contains(user),
        }
    }

    /// Gives the one user whom the credential is for, where it is for one: `acr:auth`.
    #[must_use]
    pub fn own(&self) -> Option<&Address> {
        match &self.covers {
            Coverage::Users(users) if users.len() == 1 => users.first(),
            Coverage::Users(_) | Coverage::Everybody => None,
        }
    }
}

/// For whom a credential is good.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Coverage {
    Everybody,
    Users(BTreeSet<Address>),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("no credential"),
            Self::Invalid(None) => f.write_str("a wrong credential"),
            Self::Invalid(Some(flaw)) => write!(f, "{flaw}"),
            Self::Scope => f.write_str("a token without the scope of this API"),
        }
    }
}

/// Gives the token of a field `Authorization: Bearer …` (RFC 6750 section 2.1).
fn bearer(field: &[u8]) -> Option<&[u8]> {
    credentials(field, b"bearer").filter(|token| {
        let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
        !token.is_empty() && token.iter().all(is_token)
    })
}

/// Gives what stands behind the scheme of a field (RFC 9110 section 11.4).
fn credentials<'a>(field: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (found, rest) = field.split_at_checked(scheme.len())?;
    let rest = rest.strip_prefix(b" ").filter(|_| found.eq_ignore_ascii_case(scheme))?;
    Some(rest.trim_ascii())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn one_identity_is_covered_in_every_spelling() {
        let caller = Caller::of([Address::parse("tel:+19585550100").unwrap()]);
        let covers = |user: &str| caller.covers(&Address::parse(user).unwrap());
        assert!(covers("+19585550100") && covers("sip:+19585550100@x.example;user=phone"));
        assert!(!covers("tel:+19585550101") && !covers("sip:19585550100@x.example"));
        assert_eq!(caller.own().unwrap().key(), "tel:+19585550100");
        assert_eq!(Caller::anybody().own(), None);
        let two = ["tel:+1", "tel:+2"].map(|user| Address::parse(user).unwrap());
        assert_eq!(Caller::of(two).own(), None);
    }

    #[test]
    fn the_scheme_is_read_without_case_and_the_token_with() {
        assert_eq!(bearer(b"bEaReR abc.def"), Some(&b"abc.def"[..]));
        assert_eq!(bearer(b"Bearer   abc"), Some(&b"abc"[..]));
        for field in [&b"Bearer"[..], b"Bearer ", b"Bearerabc", b"Basic abc", b"Bearer a b", b""] {
            assert_eq!(bearer(field), None);
        }
    }
}
