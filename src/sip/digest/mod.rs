//! Digest authentication in SIP, both sides (RFC 3261 section 22).
//!
//! The arithmetic is that of [`crate::digest`]; here it is put into header fields and taken out of
//! them. `client` answers challenges, `server` makes them.

mod client;
mod server;

use crate::digest::{Answer, Challenge};
use crate::sip::Headers;

pub use client::{DigestClient, GiveUp};
pub use server::{DigestServer, DigestSettings, Verdict};

/// Who asks for credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// The other end: 401, WWW-Authenticate, Authorization.
    Server,
    /// A proxy on the way: 407, Proxy-Authenticate, Proxy-Authorization.
    Proxy,
}

impl Asker {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Server, Self::Proxy];

    /// Gives the header of the challenge.
    #[must_use]
    pub fn challenge_header(self) -> &'static str {
        match self {
            Self::Server => "WWW-Authenticate",
            Self::Proxy => "Proxy-Authenticate",
        }
    }

    /// Gives the header of the answer.
    #[must_use]
    pub fn answer_header(self) -> &'static str {
        match self {
            Self::Server => "Authorization",
            Self::Proxy => "Proxy-Authorization",
        }
    }
}

/// Reads the challenges of a response, over all its lines and in order. What is no Digest, is
/// malformed, or wants an algorithm that we do not know, is left out.
#[must_use]
pub fn challenges(headers: &Headers, asker: Asker) -> Vec<Challenge> {
    let lines = headers.all(asker.challenge_header());
    lines.flat_map(Challenge::read_all).take(MAX_CHALLENGES).collect()
}

/// Reads the answers of a request to one asker, over all lines; malformed ones are left out.
fn answers(headers: &Headers, asker: Asker) -> Vec<Answer> {
    let lines = headers.all(asker.answer_header());
    lines.flat_map(Answer::read_all).take(MAX_ANSWERS).collect()
}

/// More challenges than any honest response carries.
const MAX_CHALLENGES: usize = 16;

/// More realms than any honest request answers.
const MAX_ANSWERS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_challenges_in_one_line_and_in_several_are_all_read() {
        let headers = Headers::from_iter([
            (
                "WWW-Authenticate",
                r#"Digest realm="a", nonce="1", algorithm=sha-256, qop="auth , auth-int,token", Basic realm="b", Digest realm="c", nonce="2""#,
            ),
            (
                "Proxy-Authenticate",
                r#"Digest realm="p", nonce="3", stale=TRUE, algorithm="MD5", opaque="", x-unknown="?""#,
            ),
            (
                "www-authenticate",
                r#"Digest realm="d", nonce="4", algorithm=MD5-SESS, qop=auth-int, domain="sip:a sip:b""#,
            ),
            ("WWW-Authenticate", r#"Digest realm="e", nonce="5", algorithm=SHA-3"#),
            ("WWW-Authenticate", r#"Digest realm="f""#),
        ]);
        let texts = |asker| challenges(&headers, asker).iter().map(ToString::to_string).collect();
        let server: Vec<String> = texts(Asker::Server);
        assert_eq!(
            server,
            [
                r#"Digest realm="a", nonce="1", qop="auth,auth-int", algorithm=SHA-256"#,
                r#"Digest realm="c", nonce="2""#,
                r#"Digest realm="d", nonce="4", domain="sip:a sip:b", qop="auth-int", algorithm=MD5-sess"#,
            ]
        );
        let proxy: Vec<String> = texts(Asker::Proxy);
        assert_eq!(proxy, [r#"Digest realm="p", nonce="3", opaque="", stale=true, algorithm=MD5"#]);
    }

    #[test]
    fn each_asker_has_his_own_answer() {
        let text = r#"Digest username="a", realm="r", nonce="n", uri="sip:r", response="00""#;
        let headers = Headers::from_iter([("Proxy-Authorization", text)]);
        assert_eq!(answers(&headers, Asker::Proxy).len(), 1);
        assert!(answers(&headers, Asker::Server).is_empty());
    }
}
