//! OAuth 2 access tokens: JSON Web Tokens that somebody else has signed (RFC 9068, RFC 7519).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::jwks::{Algorithm, KeySet, Verified};
use super::{Caller, Refusal};
use crate::address::Address;

/// What a token has to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRules {
    /// Who has made it: `iss`, letter by letter.
    pub issuer: String,
    /// For whom it was made: one of these stands in `aud`.
    pub audiences: Vec<String>,
    /// What it is good for: all of these stand in `scope` or `scp`.
    pub scopes: Vec<String>,
    /// The claim that names the user, or the users.
    pub users_claim: String,
    /// What it may say that it is: `typ`, without `application/` (RFC 9068 section 2.1).
    pub types: Vec<String>,
    /// By how many seconds clocks may differ.
    pub leeway: u32,
    /// The longest token that is looked at, in bytes.
    pub max_bytes: usize,
}

/// Judges tokens by the rules and the keys of their issuer.
#[derive(Debug)]
pub struct TokenJudge {
    rules: TokenRules,
    keys: KeySet,
}

/// What is wrong with a token, as its bearer may know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// It is longer than any token of ours.
    TooLong,
    /// It is no signed token.
    Malformed,
    /// It says that it is something else than an access token.
    Type,
    /// It is not signed, or in a way that is not taken.
    Algorithm,
    /// It demands that an extension be understood (RFC 7515 section 4.1.11).
    Critical,
    /// It names a key that is not known.
    UnknownKey,
    /// Its signature is wrong, or is not of the key that it names.
    Signature,
    /// Somebody else has made it.
    Issuer,
    /// It was made for somebody else.
    Audience,
    /// Its time is over, or it has none.
    Expired,
    /// Its time has not come.
    NotYet,
}

impl TokenJudge {
    /// Makes a judge.
    #[must_use]
    pub fn new(rules: TokenRules, keys: KeySet) -> Self {
        Self { rules, keys }
    }

    /// Gives the scopes that a token must have, as a challenge tells them.
    pub(super) fn scope(&self) -> String {
        self.rules.scopes.join(" ")
    }

    /// Judges a token, in seconds since 1970 `now`.
    pub(super) fn judge(&self, now: i64, token: &[u8]) -> Result<Caller, Refusal> {
        let claims = self.claims(now, token).map_err(|flaw| Refusal::Invalid(Some(flaw)))?;
        let scopes = scopes(&claims);
        if !self.rules.scopes.iter().all(|wanted| scopes.contains(&wanted.as_str())) {
            return Err(Refusal::Scope);
        }
        Ok(Caller::of(users(claims.get(&self.rules.users_claim))))
    }

    /// Gives the claims of a token that is what it should be.
    fn claims(&self, now: i64, token: &[u8]) -> Result<Map<String, Value>, Flaw> {
        if token.len() > self.rules.max_bytes {
            return Err(Flaw::TooLong);
        }
        let text = str::from_utf8(token).map_err(|_| Flaw::Malformed)?;
        let (signed, signature) = text.rsplit_once('.').ok_or(Flaw::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(Flaw::Malformed)?;
        let header = object(header)?;
        let algorithm = self.algorithm(&header)?;
        let id = match header.get("kid") {
            None => None,
            Some(Value::String(id)) => Some(id.as_str()),
            Some(_) => return Err(Flaw::Malformed),
        };
        // No claim is looked at before it is known who makes it.
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Flaw::Malformed)?;
        match self.keys.verify((algorithm, id), signed.as_bytes(), &signature) {
            Verified::Good => {}
            Verified::Bad => return Err(Flaw::Signature),
            Verified::UnknownKey => return Err(Flaw::UnknownKey),
        }
        let claims = object(payload)?;
        self.check(now, &claims)?;
        Ok(claims)
    }

    fn algorithm(&self, header: &Map<String, Value>) -> Result<Algorithm, Flaw> {
        if header.contains_key("crit") {
            return Err(Flaw::Critical);
        }
        let named = header.get("typ").map_or(Some("JWT"), Value::as_str).ok_or(Flaw::Malformed)?;
        let named = without_application(named);
        if !self.rules.types.iter().any(|known| without_application(known) == named) {
            return Err(Flaw::Type);
        }
        let name = header.get("alg").and_then(Value::as_str).ok_or(Flaw::Malformed)?;
        Algorithm::named(name).ok_or(Flaw::Algorithm)
    }

    fn check(&self, now: i64, claims: &Map<String, Value>) -> Result<(), Flaw> {
        let rules = &self.rules;
        if claims.get("iss").and_then(Value::as_str) != Some(&rules.issuer) {
            return Err(Flaw::Issuer);
        }
        let meant = claims.get("aud").map(texts).unwrap_or_default();
        if !meant.iter().any(|audience| rules.audiences.iter().any(|own| own == audience)) {
            return Err(Flaw::Audience);
        }
        let (now, leeway) = (now as f64, f64::from(rules.leeway));
        let ends = claims.get("exp").and_then(Value::as_f64).ok_or(Flaw::Expired)?;
        if ends.is_nan() || now >= ends + leeway {
            return Err(Flaw::Expired);
        }
        match claims.get("nbf").map(Value::as_f64) {
            None => Ok(()),
            Some(Some(begins)) if now + leeway >= begins => Ok(()),
            Some(_) => Err(Flaw::NotYet),
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the token is too long",
            Self::Malformed => "it is no signed token",
            Self::Type => "it is no access token",
            Self::Algorithm => "the token is not signed as it should be",
            Self::Critical => "the token has critical extensions",
            Self::UnknownKey => "the key of the token is not known",
            Self::Signature => "the signature of the token is wrong",
            Self::Issuer => "the token is of another issuer",
            Self::Audience => "the token is for another audience",
            Self::Expired => "the token has expired",
            Self::NotYet => "the token is not valid yet",
        })
    }
}

/// Decodes a part of a token: an object in JSON.
fn object(part: &str) -> Result<Map<String, Value>, Flaw> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| Flaw::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| Flaw::Malformed)
}

/// Gives what a claim says that is one text or a list of them.
fn texts(claim: &Value) -> Vec<&str> {
    match claim {
        Value::String(text) => vec![text],
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}

/// Gives the scopes: words of `scope` (RFC 8693 section 4.2), or `scp` as others write it.
fn scopes(claims: &Map<String, Value>) -> Vec<&str> {
    let all = [claims.get("scope"), claims.get("scp")];
    let all = all.into_iter().flatten().flat_map(texts);
    all.flat_map(str::split_ascii_whitespace).collect()
}

/// Gives the users that a claim names; what is no address names nobody of ours.
fn users(claim: Option<&Value>) -> Vec<Address> {
    let all = claim.map(texts).unwrap_or_default();
    all.into_iter().filter_map(|text| Address::parse(text).ok()).collect()
}

/// A media type stands without `application/` (RFC 7515 section 4.1.9), in any case.
fn without_application(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    name.strip_prefix("application/").map(str::to_owned).unwrap_or(name)
}

#[cfg(test)]
mod tests;
