//! Signatures of callbacks, so that an application knows who speaks: Standard Webhooks
//! (<https://www.standardwebhooks.com>), HMAC with SHA-256.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac::{self, HMAC_SHA256};
use thiserror::Error;

/// A secret that is shared with applications.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(Box<[u8]>);

/// Why a text is no [`SigningKey`]; it never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("whsec_ and behind it 24 to 64 octets in base64 are wanted")]
pub struct SigningKeyError;

impl SigningKey {
    /// Reads a secret as it is written down: `whsec_` and base64.
    ///
    /// # Errors
    /// It is written in another way, or shorter or longer than is permitted.
    pub fn parse(text: &str) -> Result<Self, SigningKeyError> {
        let text = text.strip_prefix("whsec_").ok_or(SigningKeyError)?;
        let key = STANDARD.decode(text).map_err(|_| SigningKeyError)?;
        if !(24..=64).contains(&key.len()) {
            return Err(SigningKeyError);
        }
        Ok(Self(key.into()))
    }

    /// Signs a body that is sent with that id at that time, in seconds since 1970.
    fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut signing = hmac::Context::with_key(&hmac::Key::new(HMAC_SHA256, &self.0));
        signing.update(format!("{id}.{timestamp}.").as_bytes());
        signing.update(body);
        format!("v1,{}", STANDARD.encode(signing.sign()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// Writes the value of `webhook-signature`: one signature for each key, so that applications can
/// change from one to the other; nothing where there is no key.
pub(super) fn signatures(
    keys: &[SigningKey],
    (id, timestamp): (&str, i64),
    body: &[u8],
) -> Option<String> {
    let all: Vec<String> = keys.iter().map(|key| key.sign(id, timestamp, body)).collect();
    (!all.is_empty()).then(|| all.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A secret, a message and its signature as libraries for applications test them.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const MESSAGE: (&str, i64) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330);
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    #[test]
    fn a_message_is_signed_with_every_key() {
        let key = SigningKey::parse(SECRET).expect("a good secret");
        let other = SigningKey::parse(&format!("whsec_{}", "A".repeat(32))).expect("a good secret");
        assert_eq!(signatures(&[], MESSAGE, BODY), None);
        let one = std::slice::from_ref(&key);
        assert_eq!(signatures(one, MESSAGE, BODY).as_deref(), Some(SIGNATURE));
        let two = signatures(&[other, key], MESSAGE, BODY).expect("two signatures");
        let (first, second) = two.split_once(' ').expect("two signatures");
        assert!(first.starts_with("v1,") && first != SIGNATURE, "{first}");
        assert_eq!(second, SIGNATURE);
    }

    #[test]
    fn only_what_is_long_enough_is_a_secret_and_nothing_shows_it() {
        for text in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_?", "whsec_AAAA"] {
            let error = SigningKey::parse(text).expect_err(text);
            assert!(text.len() < 7 || !error.to_string().contains(text), "{error}");
        }
        let long = format!("whsec_{}", "A".repeat(88));
        assert_eq!(SigningKey::parse(&long), Err(SigningKeyError));
        let key = SigningKey::parse(SECRET).expect("a good secret");
        assert_eq!(format!("{key:?}"), "SigningKey(…)");
    }
}
