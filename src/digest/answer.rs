//! Answers to challenges: the credentials of a request (RFC 7616 section 3.4).

use std::fmt;

use super::fields::{Fields, digests, in_quotes};
use super::{Algorithm, Credentials, Qop};

/// The value of Authorization or Proxy-Authorization. Texts are those between the quotes, escapes
/// and all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Who answers.
    pub username: String,
    /// The realm of the challenge.
    pub realm: String,
    /// The nonce of the challenge.
    pub nonce: String,
    /// The Request-URI that was hashed; not written where it is empty.
    pub uri: String,
    /// The hash.
    pub response: String,
    /// The algorithm, if it is named.
    pub algorithm: Option<Algorithm>,
    /// The opaque text of the challenge.
    pub opaque: Option<String>,
    /// The protection with the count and the nonce of the client; absent in the way of RFC 2069.
    pub protection: Option<AnswerProtection>,
}

/// What goes with a qop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerProtection {
    /// The protection.
    pub qop: Qop,
    /// How often the nonce was used, this time included.
    pub count: u32,
    /// The nonce of the client.
    pub cnonce: String,
}

impl AnswerProtection {
    /// Gives the count as it is hashed and written: eight hexadecimal digits.
    #[must_use]
    pub fn digits(&self) -> String {
        format!("{:08x}", self.count)
    }
}

impl Answer {
    /// Reads the answers of one line, in order; malformed ones are left out.
    pub fn read_all(line: &str) -> impl Iterator<Item = Self> {
        digests(line).into_iter().filter_map(|fields| Self::read(&fields))
    }

    /// Gives the algorithm, named or not.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm.unwrap_or(Algorithm::Md5)
    }

    /// Says who asks, and proves nothing: an answer to no challenge.
    #[must_use]
    pub fn introduction(credentials: &Credentials, realm: &str, uri: &str) -> Self {
        Self {
            username: in_quotes(&credentials.username),
            realm: realm.to_owned(),
            nonce: String::new(),
            uri: uri.to_owned(),
            response: String::new(),
            algorithm: None,
            opaque: None,
            protection: None,
        }
    }

    /// Whether this answers no challenge, but only says who asks (3GPP TS 24.229 section
    /// 5.1.1.2.1).
    #[must_use]
    pub fn is_introduction(&self) -> bool {
        self.nonce.is_empty() && self.response.is_empty()
    }

    /// Computes what the response must be (RFC 7616 section 3.4.1); `password` is what
    /// [`super::Password::for_nonce`] gives.
    #[must_use]
    pub fn expected(&self, method: &str, body: &[u8], password: &[u8]) -> String {
        let hash = |parts: &[&[u8]]| self.algorithm().hash(parts);
        let text = str::as_bytes;
        let (nonce, uri, method) = (text(&self.nonce), text(&self.uri), text(method));
        let cnonce = self.protection.as_ref().map_or("", |it| &it.cnonce).as_bytes();
        let mut key = hash(&[text(&self.username), text(&self.realm), password]);
        if self.algorithm().is_session() {
            key = hash(&[text(&key), nonce, cnonce]);
        }
        let request = match self.protection.as_ref().map(|it| it.qop) {
            Some(Qop::AuthInt) => hash(&[method, uri, text(&hash(&[body]))]),
            Some(Qop::Auth) | None => hash(&[method, uri]),
        };
        match &self.protection {
            Some(protection) => hash(&[
                text(&key),
                nonce,
                text(&protection.digits()),
                cnonce,
                text(protection.qop.token()),
                text(&request),
            ]),
            None => hash(&[text(&key), nonce, text(&request)]),
        }
    }

    fn read(fields: &Fields<'_>) -> Option<Self> {
        let text = |name: &str| fields.get(name).map(str::to_owned);
        let algorithm = match fields.get("algorithm") {
            Some(token) => Some(Algorithm::parse(token)?),
            None => None,
        };
        let protection = match fields.get("qop") {
            Some(token) => Some(AnswerProtection {
                qop: Qop::parse(token)?,
                count: fields.get("nc").and_then(count)?,
                cnonce: text("cnonce")?,
            }),
            None => None,
        };
        Some(Self {
            username: text("username")?,
            realm: text("realm")?,
            nonce: text("nonce")?,
            uri: text("uri")?,
            response: text("response")?,
            algorithm,
            opaque: text("opaque"),
            protection,
        })
    }
}

/// The value of the header: quotes where, and only where, the grammar has them.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest username=\"{}\", realm=\"{}\"", self.username, self.realm)?;
        write!(f, ", nonce=\"{}\"", self.nonce)?;
        if !self.uri.is_empty() {
            write!(f, ", uri=\"{}\"", self.uri)?;
        }
        write!(f, ", response=\"{}\"", self.response)?;
        if let Some(algorithm) = self.algorithm {
            write!(f, ", algorithm={}", algorithm.token())?;
        }
        if let Some(protection) = &self.protection {
            let (qop, count) = (protection.qop.token(), protection.digits());
            write!(f, ", cnonce=\"{}\", qop={qop}, nc={count}", protection.cnonce)?;
        }
        match &self.opaque {
            Some(opaque) => write!(f, ", opaque=\"{opaque}\""),
            None => Ok(()),
        }
    }
}

/// Reads eight hexadecimal digits.
fn count(digits: &str) -> Option<u32> {
    let sound = digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if sound { u32::from_str_radix(digits, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// RFC 2617 section 3.5, and RFC 7616 section 3.9.1 with the same request.
    #[test]
    fn the_examples_of_the_rfcs_come_out() {
        let password = b"Circle Of Life";
        let rfc_2617 = protected(mufasa(), Qop::Auth, "0a4f113b");
        assert_eq!(rfc_2617.expected("GET", b"", password), "6629fae49393a05397450978507c4ef1");
        let password = b"Circle of Life";
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let mut rfc_7616 = protected(mufasa(), Qop::Auth, cnonce);
        rfc_7616.realm = "http-auth@example.org".to_owned();
        rfc_7616.nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v".to_owned();
        assert_eq!(rfc_7616.expected("GET", b"", password), "8ca523f5e9506fed4657c9700eebdbec");
        rfc_7616.algorithm = Some(Algorithm::Sha256);
        assert_eq!(
            rfc_7616.expected("GET", b"", password),
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
        );
    }

    /// RFC 2069 section 2.4, with the response that its erratum 749 gives.
    #[test]
    fn the_way_of_rfc_2069_has_no_count() {
        let password = b"CircleOfLife";
        assert_eq!(mufasa().expected("GET", b"", password), "1949323746fe6a43ef61f9606e7febea");
    }

    #[test]
    fn each_algorithm_and_protection_is_itself() {
        let mut answer = mufasa();
        let mut responses = BTreeSet::new();
        for algorithm in Algorithm::ALL {
            answer.algorithm = Some(algorithm);
            for qop in [Qop::Auth, Qop::AuthInt] {
                let answer = protected(answer.clone(), qop, "c");
                let password = b"p";
                responses.insert(answer.expected("REGISTER", b"body", password));
            }
        }
        // AKAv1-MD5 is MD5 with another password (RFC 3310 section 3.3).
        assert_eq!(responses.len(), 12);
    }

    fn mufasa() -> Answer {
        Answer {
            username: "Mufasa".to_owned(),
            realm: "testrealm@host.com".to_owned(),
            nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093".to_owned(),
            uri: "/dir/index.html".to_owned(),
            response: String::new(),
            algorithm: None,
            opaque: None,
            protection: None,
        }
    }

    fn protected(answer: Answer, qop: Qop, cnonce: &str) -> Answer {
        let protection = AnswerProtection { qop, count: 1, cnonce: cnonce.to_owned() };
        Answer { protection: Some(protection), ..answer }
    }

    #[test]
    fn an_answer_survives_writing_and_reading() {
        let text = r#"Digest username="a\"b", realm="r, s", nonce="n", uri="sip:r;x=y", response="00ff", algorithm=SHA-256, cnonce="c", qop=auth-int, nc=0000000a, opaque="o""#;
        let found: Vec<_> = Answer::read_all(text).collect();
        let [answer] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(answer.protection.as_ref().map(|it| it.count), Some(10));
        assert_eq!(answer.to_string(), text);
    }

    #[test]
    fn a_count_has_eight_hexadecimal_digits() {
        assert_eq!(count("0000000A"), Some(10));
        for text in ["a", "000000001", "+0000001", "0000000g", ""] {
            assert_eq!(count(text), None, "{text}");
        }
    }

    #[test]
    fn what_lacks_a_part_is_no_answer() {
        let whole = r#"Digest username="a", realm="r", nonce="n", uri="sip:r", response="0", qop=auth, nc=00000001, cnonce="c""#;
        let read = |text: &str| Answer::read_all(text).count();
        assert_eq!(read(whole), 1);
        for part in ["username", "realm", "nonce", "uri", "response", "nc", "cnonce"] {
            assert_eq!(read(&whole.replacen(&format!("{part}="), "x=", 1)), 0, "{part}");
        }
        assert_eq!(read(&whole.replace("qop=auth", "qop=other")), 0);
    }
}
