//! The keys that access tokens are signed with: a JSON Web Key Set (RFC 7517 section 5).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde_json::{Map, Value};

/// The keys of an issuer, as far as they are any use here.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

/// Why a text is no [`KeySet`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeySetFault {
    /// It is no JSON object with a list `keys`.
    #[error("is no JSON Web Key Set: {0}")]
    Syntax(String),
    /// There are more keys than any issuer has.
    #[error("holds more than {MOST_KEYS} keys")]
    TooMany,
    /// None of its keys is one that tokens may be signed with.
    #[error("holds no public key for RS, PS, ES256, ES384 or EdDSA signatures")]
    NoKey,
}

/// How a token is signed (RFC 7518 section 3.1, RFC 8037 section 3.1). `none` and the HS family are
/// not among them: nobody can be asked to sign with what all of us know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

#[derive(Debug)]
struct Key {
    id: Option<Box<str>>,
    /// The one algorithm that it is for, where it says so.
    algorithm: Option<Algorithm>,
    material: Material,
}

/// A public key. Its type says which algorithms it can be used with, whatever a token claims.
#[derive(Debug)]
enum Material {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl KeySet {
    /// Reads a key set. Keys that are no use are passed over (RFC 7517 section 5).
    ///
    /// # Errors
    /// It is no key set, or none of its keys is any use.
    pub fn read(text: &str) -> Result<Self, KeySetFault> {
        let syntax = |what: &str| KeySetFault::Syntax(what.to_owned());
        let value: Value =
            serde_json::from_str(text).map_err(|error| syntax(&error.to_string()))?;
        let keys = value.get("keys").and_then(Value::as_array);
        let keys = keys.ok_or_else(|| syntax("it has no list \"keys\""))?;
        if keys.len() > MOST_KEYS {
            return Err(KeySetFault::TooMany);
        }
        let keys: Vec<Key> = keys.iter().filter_map(|key| Key::read(key.as_object()?)).collect();
        if keys.is_empty() { Err(KeySetFault::NoKey) } else { Ok(Self { keys }) }
    }

    /// Verifies a signature. A token that names its key is held against that one only.
    pub(super) fn verify(
        &self,
        (algorithm, id): (Algorithm, Option<&str>),
        message: &[u8],
        signature: &[u8],
    ) -> Verified {
        let named = |key: &&Key| id.is_none() || key.id.as_deref() == id;
        let mut known = self.keys.iter().filter(named).peekable();
        if known.peek().is_none() {
            return Verified::UnknownKey;
        }
        let mut fitting = known.filter(|key| key.is_for(algorithm));
        match fitting.any(|key| key.material.verifies(algorithm, message, signature)) {
            true => Verified::Good,
            false => Verified::Bad,
        }
    }
}

/// What became of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verified {
    Good,
    Bad,
    UnknownKey,
}

impl Algorithm {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" | "Ed25519" => Self::EdDsa,
            _ => return None,
        })
    }

    /// Gives how ring verifies it with an RSA key.
    fn rsa(self) -> Option<&'static signature::RsaParameters> {
        Some(match self {
            Self::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Self::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
            Self::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
            Self::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
            Self::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
            Self::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
            Self::Es256 | Self::Es384 | Self::EdDsa => return None,
        })
    }
}

impl Key {
    fn read(key: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        if text("use").is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let operations = key.get("key_ops").and_then(Value::as_array);
        if operations.is_some_and(|all| !all.iter().any(|one| one == "verify")) {
            return None;
        }
        let algorithm = match text("alg") {
            Some(name) => Some(Algorithm::named(name)?),
            None => None,
        };
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
        // An uncompressed point (SEC 1 section 2.3.3).
        let point = |size: usize| {
            let (x, y) = (bytes("x")?, bytes("y")?);
            (x.len() == size && y.len() == size).then(|| [&[4][..], &x, &y].concat())
        };
        let material = match (text("kty")?, text("crv")) {
            ("RSA", _) => {
                let (modulus, exponent) = (whole(bytes("n")?), whole(bytes("e")?));
                // ring refuses others, but only when a token is at hand.
                let is_fit = (256..=1024).contains(&modulus.len()) && !exponent.is_empty();
                is_fit.then_some(Material::Rsa { modulus, exponent })?
            }
            ("EC", Some("P-256")) => Material::P256(point(32)?),
            ("EC", Some("P-384")) => Material::P384(point(48)?),
            ("OKP", Some("Ed25519")) => {
                Material::Ed25519(bytes("x").filter(|key| key.len() == 32)?)
            }
            _ => return None,
        };
        Some(Self { id: text("kid").map(Into::into), algorithm, material })
    }

    fn is_for(&self, algorithm: Algorithm) -> bool {
        self.algorithm.is_none_or(|own| own == algorithm)
    }
}

impl Material {
    /// Verifies a signature, where the algorithm is one of this type of key.
    fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let verified = match (self, algorithm) {
            (Self::Rsa { modulus, exponent }, algorithm) => {
                let Some(parameters) = algorithm.rsa() else { return false };
                let key = RsaPublicKeyComponents { n: modulus, e: exponent };
                key.verify(parameters, message, signature)
            }
            (Self::P256(point), Algorithm::Es256) => {
                UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point)
                    .verify(message, signature)
            }
            (Self::P384(point), Algorithm::Es384) => {
                UnparsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, point)
                    .verify(message, signature)
            }
            (Self::Ed25519(key), Algorithm::EdDsa) => {
                UnparsedPublicKey::new(&signature::ED25519, key).verify(message, signature)
            }
            (Self::P256(_) | Self::P384(_) | Self::Ed25519(_), _) => return false,
        };
        verified.is_ok()
    }
}

/// Takes leading zeros off a number, which some write and RFC 7518 section 2 forbids.
fn whole(mut number: Vec<u8>) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.drain(..zeros);
    number
}

/// The most keys that are looked at: where a token names none, all may be tried.
const MOST_KEYS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_no_use_are_passed_over() {
        let modulus = "A".repeat(340) + "AQAB";
        let long = "Z".repeat(344);
        let x = URL_SAFE_NO_PAD.encode([1; 32]);
        for (key, is_taken) in [
            (format!(r#"{{"kty":"RSA","n":"{long}","e":"AQAB"}}"#), true),
            (format!(r#"{{"kty":"RSA","n":"{long}","e":"AQAB","use":"enc"}}"#), false),
            (format!(r#"{{"kty":"RSA","n":"{long}","e":"AQAB","alg":"RSA-OAEP"}}"#), false),
            (format!(r#"{{"kty":"RSA","n":"{long}","e":"AQAB","key_ops":["sign"]}}"#), false),
            (format!(r#"{{"kty":"RSA","n":"{modulus}","e":"AQAB"}}"#), false),
            (format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{x}"}}"#), true),
            (format!(r#"{{"kty":"EC","crv":"P-384","x":"{x}","y":"{x}"}}"#), false),
            (format!(r#"{{"kty":"EC","crv":"secp256k1","x":"{x}","y":"{x}"}}"#), false),
            (format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#), true),
            (format!(r#"{{"kty":"OKP","crv":"X25519","x":"{x}"}}"#), false),
            (format!(r#"{{"kty":"oct","k":"{x}"}}"#), false),
            ("7".to_owned(), false),
        ] {
            let read = KeySet::read(&format!(r#"{{"keys":[{key}]}}"#));
            assert_eq!(read.is_ok(), is_taken, "{key}: {read:?}");
        }
    }

    #[test]
    fn what_is_no_key_set_is_told() {
        let fault = |text: &str| KeySet::read(text).map(drop).map_err(|fault| fault.to_string());
        for text in ["", "[]", "{\"keys\":{}}", "-----BEGIN"] {
            assert!(fault(text).is_err_and(|what| what.contains("no JSON Web Key Set")), "{text}");
        }
        assert_eq!(KeySet::read("{\"keys\":[]}").err(), Some(KeySetFault::NoKey));
        let many = format!("{{\"keys\":[{}]}}", ["{}"; 65].join(","));
        assert_eq!(KeySet::read(&many).err(), Some(KeySetFault::TooMany));
    }
}
