//! Tokens that are good, and every way in which they are not.
#![allow(clippy::unwrap_used)]

use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::rsa;
use ring::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    Ed25519KeyPair, KeyPair, RsaEncoding,
};
use serde_json::json;

use super::super::{Gate, Verdict};
use super::*;

const NOW: i64 = 1_700_000_000;

#[test]
fn every_algorithm_of_a_public_key_is_taken() {
    let issuer = Issuer::new();
    for (algorithm, key) in ALGORITHMS {
        let token = issuer.sign(json!({"alg": algorithm, "typ": "at+jwt", "kid": key}), &claims());
        let caller = issuer.judge(&token).unwrap_or_else(|why| panic!("{algorithm}: {why:?}"));
        assert!(caller.covers(&Address::parse("tel:+19585550100").unwrap()));
        assert!(!caller.covers(&Address::parse("tel:+19585550101").unwrap()));
        // Without a name all keys are tried that fit.
        let token = issuer.sign(json!({"alg": algorithm, "typ": "at+jwt"}), &claims());
        assert!(issuer.judge_by(&token, key).is_ok(), "{algorithm}");
        // One bit less, anywhere.
        for at in 0..token.len() {
            let mut other = token.clone().into_bytes();
            other[at] ^= 1;
            assert!(issuer.judge_bytes(&other).is_err(), "{algorithm}: {at}");
        }
    }
}

#[test]
fn h10_no_algorithm_passes_that_is_not_of_the_key() {
    let issuer = Issuer::new();
    let header =
        |algorithm: &str, key: &str| json!({"alg": algorithm, "typ": "at+jwt", "kid": key});
    for algorithm in ["none", "None", "nOnE", "", "HS256", "HS384", "HS512", "ES512", "rs256"] {
        for key in ["rsa", "p256", "ed"] {
            let bare = unsigned(&header(algorithm, key), &claims());
            for signature in ["", "AAAA"] {
                let token = format!("{bare}.{signature}");
                assert_eq!(issuer.flaw(&token), Some(Flaw::Algorithm), "{algorithm}");
            }
        }
    }
    // The classic: a MAC whose key is the public key, as every text of it.
    for public in [issuer.public("rsa"), issuer.jwks(), issuer.modulus()] {
        let bare = unsigned(&header("HS256", "rsa"), &claims());
        let mac = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, public.as_bytes());
        let mac = ring::hmac::sign(&mac, bare.as_bytes());
        let token = format!("{bare}.{}", URL_SAFE_NO_PAD.encode(mac));
        assert_eq!(issuer.flaw(&token), Some(Flaw::Algorithm));
    }
    // A good signature of another key, or under another name of algorithm.
    for (algorithm, key) in ALGORITHMS {
        for (claimed, by) in ALGORITHMS {
            if (claimed, by) == (algorithm, key) {
                continue;
            }
            let bare = unsigned(&header(claimed, by), &claims());
            let token = format!("{bare}.{}", issuer.signature(algorithm, &bare));
            assert_eq!(issuer.flaw(&token), Some(Flaw::Signature), "{claimed} by {algorithm}");
        }
    }
    let unknown = issuer.sign(json!({"alg": "ES256", "typ": "at+jwt", "kid": "x"}), &claims());
    assert_eq!(issuer.flaw(&unknown), Some(Flaw::UnknownKey));
}

#[test]
fn h10_each_claim_has_to_be_right() {
    let issuer = Issuer::new();
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        issuer.flaw(&issuer.sign(header(), &claims))
    };
    for (name, value, flaw) in [
        ("iss", json!("https://other.example"), Some(Flaw::Issuer)),
        ("iss", json!(["https://issuer.example"]), Some(Flaw::Issuer)),
        ("iss", Value::Null, Some(Flaw::Issuer)),
        ("aud", json!("https://other.example"), Some(Flaw::Audience)),
        ("aud", json!([]), Some(Flaw::Audience)),
        ("aud", Value::Null, Some(Flaw::Audience)),
        ("aud", json!(["https://other.example", "https://chat.example"]), None),
        ("exp", json!(NOW - 29), None),
        ("exp", json!(NOW - 30), Some(Flaw::Expired)),
        ("exp", json!(NOW as f64 + 0.5), None),
        ("exp", json!("tomorrow"), Some(Flaw::Expired)),
        ("exp", Value::Null, Some(Flaw::Expired)),
        ("nbf", json!(NOW + 30), None),
        ("nbf", json!(NOW + 31), Some(Flaw::NotYet)),
        ("nbf", json!("now"), Some(Flaw::NotYet)),
    ] {
        assert_eq!(with(name, value.clone()), flaw, "{name} {value}");
    }
    let mut endless = claims();
    endless.as_object_mut().unwrap().remove("exp");
    assert_eq!(issuer.flaw(&issuer.sign(header(), &endless)), Some(Flaw::Expired));
}

#[test]
fn a_header_has_to_be_that_of_an_access_token() {
    let issuer = Issuer::new();
    for (header, flaw) in [
        (json!({"alg": "ES256", "typ": "application/AT+JWT", "kid": "p256"}), None),
        (json!({"alg": "ES256", "typ": "JWT", "kid": "p256"}), Some(Flaw::Type)),
        (json!({"alg": "ES256", "kid": "p256"}), Some(Flaw::Type)),
        (json!({"alg": "ES256", "typ": 7, "kid": "p256"}), Some(Flaw::Malformed)),
        (json!({"alg": "ES256", "typ": "at+jwt", "kid": 7}), Some(Flaw::Malformed)),
        (json!({"typ": "at+jwt", "kid": "p256"}), Some(Flaw::Malformed)),
        (
            json!({"alg": "ES256", "typ": "at+jwt", "kid": "p256", "crit": ["b64"], "b64": false}),
            Some(Flaw::Critical),
        ),
    ] {
        assert_eq!(issuer.flaw(&issuer.sign(header.clone(), &claims())), flaw, "{header}");
    }
    for token in ["", ".", "..", "...", "a.b.c", "e30.e30.e30", "e30.e30", "e30=.e30.", "\u{e4}.."]
    {
        let flaw = issuer.flaw(token);
        assert!(matches!(flaw, Some(Flaw::Malformed | Flaw::Type)), "{token}: {flaw:?}");
    }
    assert_eq!(issuer.flaw(&"a".repeat(100 * 1024)), Some(Flaw::TooLong));
}

#[test]
fn the_scope_stands_in_one_of_two_claims_and_the_users_in_one_of_choice() {
    let issuer = Issuer::new();
    for (scope, is_in) in [
        (json!({"scope": "openid oma_rest_chat.all_v1"}), true),
        (json!({"scp": ["oma_rest_chat.all_v1"]}), true),
        (json!({"scp": "a oma_rest_chat.all_v1 b", "scope": "c"}), true),
        (json!({"scope": "oma_rest_chat.all_v10"}), false),
        (json!({"scope": 7}), false),
        (json!({}), false),
    ] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove("scope");
        claims.as_object_mut().unwrap().append(&mut scope.as_object().unwrap().clone());
        let judged = issuer.judge(&issuer.sign(header(), &claims));
        assert_eq!(judged.err(), (!is_in).then_some(Refusal::Scope), "{scope}");
    }
    let alice = Address::parse("tel:+19585550100").unwrap();
    for (users, covered, is_own) in [
        (json!(["sip:+19585550100@x.example;user=phone", "sip:bob@x.example"]), true, false),
        (json!(["+19585550100", "tel:+1-958-555-0100"]), true, true),
        (json!(["b0b", 7, "tel:+19585550100"]), true, true),
        (json!("0b5e1f7a"), false, false),
        (json!("*"), false, false),
        (json!({"tel:+19585550100": 1}), false, false),
        (Value::Null, false, false),
    ] {
        let mut claims = claims();
        claims["sub"] = users.clone();
        let caller = issuer.judge(&issuer.sign(header(), &claims)).unwrap();
        assert_eq!((caller.covers(&alice), caller.own().is_some()), (covered, is_own), "{users}");
    }
}

#[test]
fn the_challenge_tells_what_is_wanted() {
    let issuer = Issuer::new();
    let gate = Gate::Jwt(Box::new(TokenJudge::new(rules(), KeySet::read(&issuer.jwks()).unwrap())));
    let told = |field: Option<&str>| match gate.judge(NOW, field.map(str::as_bytes)) {
        Verdict::Refused(refusal) => gate.challenge("chat \"1\"", &refusal),
        verdict @ (Verdict::Admitted(_) | Verdict::Costly(_)) => panic!("{verdict:?}"),
    };
    assert_eq!(told(None), "Bearer realm=\"chat '1'\"");
    assert_eq!(told(Some("Basic abc")), "Bearer realm=\"chat '1'\", error=\"invalid_token\"");
    assert_eq!(
        told(Some("Bearer a.b.c")),
        "Bearer realm=\"chat '1'\", error=\"invalid_token\", \
         error_description=\"it is no signed token\""
    );
    let mut other = claims();
    other["scope"] = json!("openid");
    assert_eq!(
        told(Some(&format!("Bearer {}", issuer.sign(header(), &other)))),
        "Bearer realm=\"chat '1'\", error=\"insufficient_scope\", scope=\"oma_rest_chat.all_v1\""
    );
}

/// Every algorithm, with the name of the key that it is used with.
const ALGORITHMS: [(&str, &str); 9] = [
    ("RS256", "rsa"),
    ("RS384", "rsa"),
    ("RS512", "rsa"),
    ("PS256", "rsa"),
    ("PS384", "rsa"),
    ("PS512", "rsa"),
    ("ES256", "p256"),
    ("ES384", "p384"),
    ("EdDSA", "ed"),
];

/// Who signs tokens, with a key of each type.
struct Issuer {
    random: SystemRandom,
    rsa: rsa::KeyPair,
    p256: EcdsaKeyPair,
    p384: EcdsaKeyPair,
    ed: Ed25519KeyPair,
}

impl Issuer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let ecdsa = |algorithm| {
            let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
            EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap()
        };
        let p256 = ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING);
        let p384 = ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING);
        let ed = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let ed = Ed25519KeyPair::from_pkcs8(ed.as_ref()).unwrap();
        let rsa = rsa::KeyPair::from_der(&STANDARD.decode(RSA).unwrap()).unwrap();
        Self { random, rsa, p256, p384, ed }
    }

    fn public(&self, name: &str) -> String {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let point = |public: &[u8]| {
            let (x, y) = public[1..].split_at(public.len() / 2);
            (text(x), text(y))
        };
        let key = match name {
            "rsa" => {
                let public = rsa::PublicKeyComponents::<Vec<u8>>::from(self.rsa.public());
                json!({"kty": "RSA", "kid": name, "n": text(&public.n), "e": text(&public.e)})
            }
            "p256" => {
                let (x, y) = point(self.p256.public_key().as_ref());
                json!({"kty": "EC", "kid": name, "crv": "P-256", "x": x, "y": y, "alg": "ES256"})
            }
            "p384" => {
                let (x, y) = point(self.p384.public_key().as_ref());
                json!({"kty": "EC", "kid": name, "crv": "P-384", "x": x, "y": y, "use": "sig"})
            }
            _ => {
                let x = text(self.ed.public_key().as_ref());
                json!({"kty": "OKP", "kid": name, "crv": "Ed25519", "x": x})
            }
        };
        key.to_string()
    }

    fn modulus(&self) -> String {
        let public = rsa::PublicKeyComponents::<Vec<u8>>::from(self.rsa.public());
        URL_SAFE_NO_PAD.encode(public.n)
    }

    fn jwks(&self) -> String {
        let keys = ["rsa", "p256", "p384", "ed"].map(|name| self.public(name));
        format!("{{\"keys\":[{}]}}", keys.join(","))
    }

    fn signature(&self, algorithm: &str, message: &str) -> String {
        let message = message.as_bytes();
        let with_rsa = |encoding: &'static dyn RsaEncoding| {
            let mut signature = vec![0; self.rsa.public().modulus_len()];
            self.rsa.sign(encoding, &self.random, message, &mut signature).unwrap();
            signature
        };
        let signature = match algorithm {
            "RS256" => with_rsa(&signature::RSA_PKCS1_SHA256),
            "RS384" => with_rsa(&signature::RSA_PKCS1_SHA384),
            "RS512" => with_rsa(&signature::RSA_PKCS1_SHA512),
            "PS256" => with_rsa(&signature::RSA_PSS_SHA256),
            "PS384" => with_rsa(&signature::RSA_PSS_SHA384),
            "PS512" => with_rsa(&signature::RSA_PSS_SHA512),
            "ES256" => self.p256.sign(&self.random, message).unwrap().as_ref().to_vec(),
            "ES384" => self.p384.sign(&self.random, message).unwrap().as_ref().to_vec(),
            _ => self.ed.sign(message).as_ref().to_vec(),
        };
        URL_SAFE_NO_PAD.encode(signature)
    }

    fn sign(&self, header: Value, claims: &Value) -> String {
        let bare = unsigned(&header, claims);
        let algorithm = header.get("alg").and_then(Value::as_str).unwrap_or("ES256");
        format!("{bare}.{}", self.signature(algorithm, &bare))
    }

    fn judge(&self, token: &str) -> Result<Caller, Refusal> {
        self.judge_bytes(token.as_bytes())
    }

    fn judge_bytes(&self, token: &[u8]) -> Result<Caller, Refusal> {
        TokenJudge::new(rules(), KeySet::read(&self.jwks()).unwrap()).judge(NOW, token)
    }

    /// Judges by one key only, which has no name.
    fn judge_by(&self, token: &str, key: &str) -> Result<Caller, Refusal> {
        let nameless = self.public(key).replace("\"kid\"", "\"x\"");
        let keys = KeySet::read(&format!("{{\"keys\":[{nameless}]}}")).unwrap();
        TokenJudge::new(rules(), keys).judge(NOW, token.as_bytes())
    }

    fn flaw(&self, token: &str) -> Option<Flaw> {
        match self.judge(token) {
            Err(Refusal::Invalid(flaw)) => flaw,
            Ok(_) | Err(Refusal::Missing | Refusal::Scope) => None,
        }
    }
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

fn header() -> Value {
    json!({"alg": "ES256", "typ": "at+jwt", "kid": "p256"})
}

fn claims() -> Value {
    json!({
        "iss": "https://issuer.example",
        "aud": "https://chat.example",
        "sub": "tel:+19585550100",
        "exp": NOW + 300,
        "nbf": NOW - 300,
        "scope": "openid oma_rest_chat.all_v1",
    })
}

fn rules() -> TokenRules {
    TokenRules {
        issuer: "https://issuer.example".into(),
        audiences: vec!["https://chat.example".into()],
        scopes: vec!["oma_rest_chat.all_v1".into()],
        users_claim: "sub".into(),
        types: vec!["at+jwt".into()],
        leeway: 30,
        max_bytes: 8192,
    }
}

/// A key that signs nothing but the tokens of these tests.
const RSA: &str = concat!(
    "MIIEowIBAAKCAQEA9zbK1P06f8vYgoH0SyVsicI0kC+4daxX/OyiZqU08lTZ0CF1N3b22boAsvKQFkSBoVEDd58UiW",
    "nmebIP7ntjO88KDEtFtsWJzyryzWzv/wEes0LwwuTcWIn2pECy9CzyCk+SMIK90vhjIj7V6e23fAymXIqWubksg6gd",
    "lNYyN90vOpjozQSZsd74iOh+yCvtFpWm+HT/pTzjPK9A5KQMLAz4qs1NXNMO0SI1NymYwoNIqpO9O5C10SzUYbz8sh",
    "oCLBW2g/R+/GWNsnIncV1QGd5XyF0E7zYBwYs8GgszuiMCbjRX3CntCLmMrKGbxWd4EzQBfFbJcggX1scGxYHwGwID",
    "AQABAoIBAD93zDxBZRbxRT1AUvFGAucdOnR4I/HmFNLlB861hHHgsej65gae3sJIPCy1FKP645MAYxT/fPzIePjua6",
    "Os/u2YenpsitHhRj+vRZXS7Yy5A2I/geNvcViz1uQVjjwdG+jkw+H7dvOmfIEKw82ij7Rj5QQmOoslDNYiP7H6CfuI",
    "Jws9cdfBYpn6qftCwo2uqxxpTGWmfAnqq9GRq+qLyXzi8eZrrfsVQ8plxyxwfDIBxdiWvtab2qOkma7tyU5js1L4wr",
    "SfaRDdZQfxmGpKhTTVo2QZPC13oHMTbm6/zZRktc84XicjTAis+PM/h35YZGIyknxi8/Vwu6P+PNSDFvUCgYEA/1y6",
    "fttoXqBqgLNseJO7g5oER/9jII4P+sA/UseGqBU7rExjrdfVxWr2FztL81t4TU100jkqkdm6PNS8ZAFaW+JMSfHoHo",
    "wero6Fee7L/GRAtvAV9wXv3b6GLYJC1+r5CzyqDt7UJsc45gIMt840WY3x17xMMe0EMLvrfbvV/QUCgYEA99TapZlI",
    "olOsmMpvSNULl861GUYXBsXTQf4GBr5WZLm7tDC+WW9pKboDeBtKO8e0S/HK8pDapzgGKEaC/jeq5J8YlcZFppVJtf",
    "iTNzkE9BPnzEmkgh7Np4MQO3eAHOCDIUlws/lJ44903XeoRU41WjM0YhOkIPk5eTnxk7Eswp8CgYAzHx02yDXcu8CW",
    "g1Tzzp97eRniT/5IRihsyo/iwo7yl02a8LAD3XGuU/twKy7JSUaMMzVv4IHlMPFXvD76xkqQmn0rUIJnmyWJTH7sKi",
    "IsJOXPucCr80RR4BJ8iddX4nJ5DWv+Dh3qpXd+lGp3YZCZXRFNXyTh2dE88GH0ieYNAQKBgQC9rMzCnPQ4OG4KajSN",
    "u3Ap+WwlMb2B03oCMdaO5rHcWUJNgFjOvjPwWYs6Kzi/U/KrhRzcVPzjqj8cKAstYZGLdDAuwRahjfRiLyMMyrj9zR",
    "ZFBb/ATq77G5YazTTh5Pq3SSvWsl5YqXy521CP6nFu3W2j+oBNNDFGlJBNhvZI5QKBgCs8lEuVtPQy8ZvcVRL4Ss1L",
    "BuS+qpj09y3GvTKk9NSDc5f3j9TJaLHdMTCTng/FFcMUVS++Jaqaq2Q7VSTYMfNSRTchhjdqP59IRQLzbkDLn+uzt7",
    "r1WMf/liz8l7Spaa9rk7i+/yWyFq29/6nmDL3DDxjqdgOP/FoB9+owXgs0",
);
