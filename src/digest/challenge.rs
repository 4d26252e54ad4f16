//! Challenges: what a server or a proxy asks (RFC 7616 section 3.3).

use std::fmt;

use super::fields::{Fields, digests};
use super::{Algorithm, Qop};

/// One challenge that we know how to answer. Texts are those between the quotes, escapes and all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Whose password is asked for.
    pub realm: String,
    /// What is hashed with it.
    pub nonce: String,
    /// What the answer gives back as it is.
    pub opaque: Option<String>,
    /// The URIs for which the answer is also good.
    pub domain: Option<String>,
    /// How to hash. `None` means MD5, and the answer does not name it either.
    pub algorithm: Option<Algorithm>,
    /// The protections to choose from, as far as we know them; `None` is the way of RFC 2069.
    pub qops: Option<Vec<Qop>>,
    /// Whether only the nonce of the last answer was wrong.
    pub stale: bool,
}

impl Challenge {
    /// Reads the challenges of one line, in order. What is no Digest, is malformed, or wants an
    /// algorithm that we do not know, is left out.
    pub fn read_all(line: &str) -> impl Iterator<Item = Self> {
        digests(line).into_iter().filter_map(|fields| Self::read(&fields))
    }

    /// Gives the algorithm, named or not.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm.unwrap_or(Algorithm::Md5)
    }

    /// Chooses the protection: over the body only where nothing else will do, as intermediaries
    /// may touch it. The outer `None` says that none will do, the inner one that none is asked.
    pub(super) fn choose_qop(&self) -> Option<Option<Qop>> {
        match &self.qops {
            Some(qops) if qops.contains(&Qop::Auth) => Some(Some(Qop::Auth)),
            Some(qops) => qops.first().map(|qop| Some(*qop)),
            // A key for each session needs the cnonce that only goes with a qop.
            None => (!self.algorithm().is_session()).then_some(None),
        }
    }

    fn read(fields: &Fields<'_>) -> Option<Self> {
        let algorithm = match fields.get("algorithm") {
            Some(token) => Some(Algorithm::parse(token)?),
            None => None,
        };
        let qops = fields
            .get("qop")
            .map(|list| list.split(',').filter_map(|token| Qop::parse(token.trim())).collect());
        Some(Self {
            realm: fields.get("realm")?.to_owned(),
            nonce: fields.get("nonce")?.to_owned(),
            opaque: fields.get("opaque").map(str::to_owned),
            domain: fields.get("domain").map(str::to_owned),
            algorithm,
            qops,
            stale: fields.get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
        })
    }
}

/// The value of the header.
impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest realm=\"{}\", nonce=\"{}\"", self.realm, self.nonce)?;
        for (name, value) in [("opaque", &self.opaque), ("domain", &self.domain)] {
            if let Some(value) = value {
                write!(f, ", {name}=\"{value}\"")?;
            }
        }
        if let Some(qops) = &self.qops {
            let tokens: Vec<_> = qops.iter().map(|qop| qop.token()).collect();
            write!(f, ", qop=\"{}\"", tokens.join(","))?;
        }
        if self.stale {
            f.write_str(", stale=true")?;
        }
        match self.algorithm {
            Some(algorithm) => write!(f, ", algorithm={}", algorithm.token()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is read is written so that it reads the same: nothing breaks out of its quotes.
        #[test]
        fn a_challenge_survives_writing_and_reading(
            pieces in prop::collection::vec(
                prop_oneof![
                    Just("Digest "), Just("realm="), Just("nonce="), Just("qop="), Just("opaque="),
                    Just("stale="), Just("algorithm="), Just("MD5"), Just("auth"), Just("true"),
                    Just("\""), Just("\\"), Just(","), Just(" "), Just("="), Just("<"), Just("x"),
                    Just(r#"Digest realm="r", nonce="n""#), Just("é"),
                ],
                0..24,
            ),
        ) {
            let read = |line: &str| Challenge::read_all(line).collect::<Vec<_>>();
            for challenge in read(&pieces.concat()) {
                prop_assert_eq!(read(&challenge.to_string()), [challenge]);
            }
        }
    }

    #[test]
    fn several_challenges_in_one_line_are_all_read() {
        let line = r#"Digest realm="a", nonce="1", algorithm=sha-256, qop="auth , auth-int,token", Basic realm="b", Digest realm="c", nonce="2", Digest realm="d", nonce="3", algorithm=SHA-3, Digest realm="e", Digest realm="f", nonce="4", stale=TRUE, algorithm="MD5", opaque="", x-unknown="?""#;
        let texts: Vec<_> = Challenge::read_all(line).map(|it| it.to_string()).collect();
        assert_eq!(
            texts,
            [
                r#"Digest realm="a", nonce="1", qop="auth,auth-int", algorithm=SHA-256"#,
                r#"Digest realm="c", nonce="2""#,
                r#"Digest realm="f", nonce="4", opaque="", stale=true, algorithm=MD5"#,
            ]
        );
    }

    /// The challenge of RFC 3310 section 4.
    #[test]
    fn a_challenge_to_a_card_is_read() {
        let line = r#"Digest realm="RoamingUsers@mobile.biz", nonce="CjPk9mRqNuT25eRkajM09uTl9nM09uTl9nMz5OX25PZz==", qop="auth,auth-int", opaque="5ccc069c403ebaf9f0171e9517f40e41", algorithm=AKAv1-MD5"#;
        let found: Vec<_> = Challenge::read_all(line).collect();
        let [challenge] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(challenge.algorithm, Some(Algorithm::AkaV1Md5));
        assert_eq!(challenge.choose_qop(), Some(Some(Qop::Auth)));
    }

    #[test]
    fn a_protection_that_nobody_knows_cannot_be_answered() {
        let chosen =
            |text: &str| Challenge::read_all(text).next().map(|challenge| challenge.choose_qop());
        assert_eq!(chosen(r#"Digest realm="a", nonce="1", qop="other""#), Some(None));
        assert_eq!(chosen(r#"Digest realm="a", nonce="1", algorithm=MD5-sess"#), Some(None));
        assert_eq!(chosen(r#"Digest realm="a", nonce="1""#), Some(Some(None)));
        assert_eq!(
            chosen(r#"Digest realm="a", nonce="1", qop="auth-int""#),
            Some(Some(Some(Qop::AuthInt)))
        );
    }
}
