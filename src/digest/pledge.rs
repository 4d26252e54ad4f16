//! What a client answers to one realm, from request to request (RFC 7616 sections 3.4 and 3.5).

use super::answer::{Answer, AnswerProtection};
use super::challenge::Challenge;
use super::fields::{digests, in_quotes};
use super::{Algorithm, Credentials, Qop};

/// One challenge, how often it was answered, and whether that has got us through.
#[derive(Debug)]
pub struct Pledge {
    challenge: Challenge,
    qop: Option<Qop>,
    cnonce: String,
    count: u32,
    /// Whether no request has got through with it yet.
    is_untried: bool,
}

/// The request that is asked for credentials, as far as it is hashed.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The method.
    pub method: &'a str,
    /// The URI, as it stands in the request.
    pub uri: &'a str,
    /// The body.
    pub body: &'a [u8],
}

impl Pledge {
    /// Takes a challenge, if it is one that `credentials` can and may answer.
    #[must_use]
    pub fn new(credentials: &Credentials, challenge: Challenge) -> Option<Self> {
        let fits = credentials.password.fits(challenge.algorithm());
        if !fits || !credentials.trust(&challenge.realm) {
            return None;
        }
        let qop = challenge.choose_qop()?;
        // A card says nothing to a network that does not prove to be its own.
        credentials.password.for_nonce(&challenge.nonce)?;
        Some(Self { challenge, qop, cnonce: String::new(), count: 0, is_untried: true })
    }

    /// Gives the nonce that is ours, random and our own to choose.
    pub fn begin(&mut self, cnonce: String) {
        self.cnonce = cnonce;
    }

    /// Whether both are of one realm.
    #[must_use]
    pub fn is_for(&self, other: &Self) -> bool {
        self.challenge.realm == other.challenge.realm
    }

    /// Whether a count protects the answer (RFC 7616 section 3.4: `qop`).
    #[must_use]
    pub fn is_protected(&self) -> bool {
        self.qop.is_some()
    }

    /// Whether a challenge of the same realm says that our answer was wrong: it is neither stale
    /// nor to another request, or the nonce is the old one. Nor is a hash given to whoever would
    /// suddenly do with a weaker one.
    #[must_use]
    pub fn is_rejected_by(&self, new: &Self) -> bool {
        let another = new.challenge.nonce != self.challenge.nonce;
        let asks_anew = another && (new.challenge.stale || !self.is_untried);
        self.is_for(new) && !(asks_anew && new.strength() >= self.strength())
    }

    /// Ranks a challenge: first by the hash, then by whether a count protects it.
    #[must_use]
    pub fn strength(&self) -> (u8, bool) {
        (self.challenge.algorithm().strength(), self.is_protected())
    }

    /// Takes note that a request got through: whoever asks from now on asks anew.
    pub fn keep(&mut self) {
        self.is_untried = false;
    }

    /// Takes the next nonce that a server may name in the `Authentication-Info` of a success. A key
    /// that is bound to the first one stays with it, and so does what a card has answered to it.
    pub fn take_info(&mut self, info: &str) {
        // The header is a list without a scheme; with one, it reads like any other.
        let line = format!("Digest {info}");
        let found = digests(&line);
        let next = found.first().and_then(|fields| fields.get("nextnonce"));
        if let Some(nonce) = next.filter(|nonce| !nonce.is_empty())
            && !self.challenge.algorithm().is_session()
            && self.challenge.algorithm() != Algorithm::AkaV1Md5
        {
            nonce.clone_into(&mut self.challenge.nonce);
            self.count = 0;
        }
    }

    /// Answers with the next count.
    pub fn answer(&mut self, credentials: &Credentials, asked: Asked<'_>) -> Answer {
        self.count = self.count.saturating_add(1);
        let (count, cnonce) = (self.count, self.cnonce.clone());
        let mut answer = Answer {
            username: in_quotes(&credentials.username),
            realm: self.challenge.realm.clone(),
            nonce: self.challenge.nonce.clone(),
            uri: asked.uri.to_owned(),
            response: String::new(),
            algorithm: self.challenge.algorithm,
            opaque: self.challenge.opaque.clone(),
            protection: self.qop.map(|qop| AnswerProtection { qop, count, cnonce }),
        };
        let secret = credentials.password.for_nonce(&answer.nonce).unwrap_or_default();
        answer.response = answer.expected(asked.method, asked.body, &secret);
        answer
    }
}
