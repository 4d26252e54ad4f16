//! Digest authentication as arithmetic: challenges, the answers to them, and what is hashed
//! (RFC 7616, RFC 8760, RFC 3310).
//!
//! SIP and MSRP carry the same words in header fields of their own. A [`Challenge`] says what to
//! hash, an [`Answer`] what came out; both are written in one grammar (`fields`). A [`Pledge`] is
//! what a client remembers of one challenge from answer to answer. A [`Fingerprint`] is another
//! digest that shows who somebody is: that of a certificate (RFC 8122).

mod aka;
mod answer;
mod challenge;
mod fields;
mod fingerprint;
mod pledge;

use std::borrow::Cow;
use std::fmt;
use std::fmt::Write as _;

use md5::Md5;
use sha2::{Digest, Sha256, Sha512_256};

pub use aka::Sim;
pub use answer::{Answer, AnswerProtection};
pub use challenge::Challenge;
pub use fields::realms;
pub use fingerprint::Fingerprint;
pub use pledge::{Asked, Pledge};

/// What is done with the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// MD5, what is meant where nothing is named.
    Md5,
    /// MD5 with a key of its own for each nonce.
    Md5Sess,
    /// SHA-256.
    Sha256,
    /// SHA-256 with a key of its own for each nonce.
    Sha256Sess,
    /// SHA-512 of 256 bits.
    Sha512Of256,
    /// SHA-512 of 256 bits with a key of its own for each nonce.
    Sha512Of256Sess,
    /// MD5 over what the card in the phone has answered to the nonce (RFC 3310).
    AkaV1Md5,
}

impl Algorithm {
    /// All of them, the usual first.
    pub const ALL: [Self; 7] = [
        Self::Md5,
        Self::Md5Sess,
        Self::Sha256,
        Self::Sha256Sess,
        Self::Sha512Of256,
        Self::Sha512Of256Sess,
        Self::AkaV1Md5,
    ];

    /// Finds the algorithm of a token, whatever its case.
    #[must_use]
    pub fn parse(token: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.token().eq_ignore_ascii_case(token))
    }

    /// Gives the token.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Md5Sess => "MD5-sess",
            Self::Sha256 => "SHA-256",
            Self::Sha256Sess => "SHA-256-sess",
            Self::Sha512Of256 => "SHA-512-256",
            Self::Sha512Of256Sess => "SHA-512-256-sess",
            Self::AkaV1Md5 => "AKAv1-MD5",
        }
    }

    /// Whether the key is bound to the nonce (RFC 7616 section 3.4.2).
    #[must_use]
    pub fn is_session(self) -> bool {
        matches!(self, Self::Md5Sess | Self::Sha256Sess | Self::Sha512Of256Sess)
    }

    /// Ranks by the hash: the more, the stronger.
    fn strength(self) -> u8 {
        match self {
            Self::Md5 | Self::Md5Sess | Self::AkaV1Md5 => 0,
            Self::Sha256 | Self::Sha256Sess => 1,
            Self::Sha512Of256 | Self::Sha512Of256Sess => 2,
        }
    }

    /// Hashes the parts with colons between them, in lower-case hexadecimal.
    fn hash(self, parts: &[&[u8]]) -> String {
        match self {
            Self::Md5 | Self::Md5Sess | Self::AkaV1Md5 => hash_with::<Md5>(parts),
            Self::Sha256 | Self::Sha256Sess => hash_with::<Sha256>(parts),
            Self::Sha512Of256 | Self::Sha512Of256Sess => hash_with::<Sha512_256>(parts),
        }
    }
}

/// What the hash protects (RFC 7616 section 3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qop {
    /// Method and URI.
    Auth,
    /// Method, URI and body.
    AuthInt,
}

impl Qop {
    /// Finds the protection of a token, whatever its case.
    #[must_use]
    pub fn parse(token: &str) -> Option<Self> {
        [Self::Auth, Self::AuthInt].into_iter().find(|qop| qop.token().eq_ignore_ascii_case(token))
    }

    /// Gives the token.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::AuthInt => "auth-int",
        }
    }
}

/// How we prove who we are, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The name that the realm knows us by: in IMS the private identity.
    pub username: String,
    /// What we share with the realm.
    pub password: Password,
    /// The realms to which we prove it. Whoever else asks gets no hash to try passwords on; an
    /// empty list trusts everybody who can answer our requests.
    pub realms: Vec<String>,
}

impl Credentials {
    /// Whether this realm is one of ours.
    fn trust(&self, realm: &str) -> bool {
        self.realms.is_empty() || self.realms.iter().any(|known| known == realm)
    }
}

/// What is shared with a realm.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// A password, for all algorithms but AKA.
    Text(String),
    /// RES, what a card has answered to the nonce, for AKAv1-MD5 only (RFC 3310 section 3.3).
    Res(Vec<u8>),
    /// The card itself, which answers every nonce of its home network; for AKAv1-MD5 only.
    Sim(Sim),
}

impl Password {
    /// Gives what is hashed with a nonce; nothing, where the nonce is none that a card answers.
    #[must_use]
    pub fn for_nonce(&self, nonce: &str) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Text(text) => Some(text.as_bytes().into()),
            Self::Res(res) => Some(res.into()),
            Self::Sim(sim) => sim.answer(nonce).map(|res| res.to_vec().into()),
        }
    }

    /// Whether this is what the algorithm asks for.
    fn fits(&self, algorithm: Algorithm) -> bool {
        !matches!(self, Self::Text(_)) == (algorithm == Algorithm::AkaV1Md5)
    }
}

/// A password is nobody's business, not that of a log either.
impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text(…)",
            Self::Res(_) => "Res(…)",
            Self::Sim(_) => "Sim(…)",
        })
    }
}

fn hash_with<D: Digest>(parts: &[&[u8]]) -> String {
    let mut hasher = D::new();
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            hasher.update(b":");
        }
        hasher.update(part);
    }
    hexadecimal(&hasher.finalize())
}

/// Gives the SHA-256 of some octets (FIPS 180-4) in lower-case hexadecimal.
#[must_use]
pub fn sha256(octets: &[u8]) -> String {
    Algorithm::Sha256.hash(&[octets])
}

/// Writes bytes in lower-case hexadecimal.
#[must_use]
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hash that RFC 7616 section 3.9.2 chooses, by the one vector that FIPS 180-4 gives.
    #[test]
    fn sha_512_256_is_not_a_sha_512_cut_short() {
        assert_eq!(
            Algorithm::Sha512Of256.hash(&[b"abc"]),
            "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23"
        );
    }

    #[test]
    fn tokens_are_found_in_any_case() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::parse(&algorithm.token().to_lowercase()), Some(algorithm));
        }
        assert_eq!(Algorithm::parse("SHA256"), None);
        assert_eq!(Qop::parse("AUTH-INT"), Some(Qop::AuthInt));
    }

    #[test]
    fn nobody_reads_a_password_in_a_log() {
        let credentials = Credentials {
            username: "alice".to_owned(),
            password: Password::Text("secret".to_owned()),
            realms: Vec::new(),
        };
        assert!(!format!("{credentials:?}").contains("secret"));
    }
}
