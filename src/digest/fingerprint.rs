//! Fingerprints of certificates, by which a session description vouches for a connection
//! (RFC 8122).

use std::fmt;

use sha2::{Digest, Sha256, Sha384, Sha512};

/// The hash of a certificate, as `a=fingerprint` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    function: Function,
    octets: Vec<u8>,
}

/// What a fingerprint was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Sha256,
    Sha384,
    Sha512,
    /// MD5 and SHA-1, which prove nothing any more, and what nobody knows.
    Worthless,
}

impl Fingerprint {
    /// Makes the fingerprint of a certificate in DER, with SHA-256.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Self {
        let function = Function::Sha256;
        Self { function, octets: function.hash(certificate) }
    }

    /// Reads the value of `a=fingerprint`: the name of a hash function and hexadecimal pairs with
    /// colons between. One of a function that proves nothing is read, too, and matches nothing:
    /// a peer that gives no other must not be taken for one that gives none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, pairs) = text.trim().split_once(' ')?;
        let named = |known: &&Function| known.name().eq_ignore_ascii_case(name);
        let function = Function::KNOWN.iter().find(named).copied().unwrap_or(Function::Worthless);
        let pair = |pair: &str| {
            let is_pair = pair.len() == 2 && pair.bytes().all(|octet| octet.is_ascii_hexdigit());
            is_pair.then(|| u8::from_str_radix(pair, 16).ok()).flatten()
        };
        let octets = pairs.trim().split(':').take(MOST_OCTETS + 1).map(pair);
        let octets = octets.collect::<Option<Vec<u8>>>()?;
        (octets.len() <= MOST_OCTETS).then_some(Self { function, octets })
    }

    /// Makes one that matches nothing.
    #[must_use]
    pub fn unreadable() -> Self {
        Self { function: Function::Worthless, octets: Vec::new() }
    }

    /// Tells whether this is the fingerprint of a certificate in DER.
    #[must_use]
    pub fn is_of(&self, certificate: &[u8]) -> bool {
        self.function != Function::Worthless && self.octets == self.function.hash(certificate)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.function.name())?;
        for (at, octet) in self.octets.iter().enumerate() {
            let colon = if at == 0 { "" } else { ":" };
            write!(f, "{colon}{octet:02X}")?;
        }
        Ok(())
    }
}

impl Function {
    const KNOWN: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
            Self::Worthless => "sha-1",
        }
    }

    fn hash(self, octets: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(octets).to_vec(),
            Self::Sha384 => Sha384::digest(octets).to_vec(),
            Self::Sha512 => Sha512::digest(octets).to_vec(),
            Self::Worthless => Vec::new(),
        }
    }
}

/// As many as SHA-512 has.
const MOST_OCTETS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// The hash of "abc" (FIPS 180-4).
    const ABC: &str = "sha-256 BA:78:16:BF:8F:01:CF:EA:41:41:40:DE:5D:AE:22:23:B0:03:61:A3:96:17:\
                       7A:9C:B4:10:FF:61:F2:00:15:AD";

    #[test]
    fn a_fingerprint_is_written_read_and_matched() {
        let ours = Fingerprint::of(b"abc");
        assert_eq!(ours.to_string(), ABC);
        assert_eq!(Fingerprint::parse(ABC), Some(ours.clone()));
        assert_eq!(Fingerprint::parse(&ABC.to_lowercase()), Some(ours.clone()));
        assert!(ours.is_of(b"abc") && !ours.is_of(b"abd"));
        let cut = Fingerprint::parse("SHA-256 BA:78");
        assert!(cut.is_some_and(|cut| !cut.is_of(b"abc")), "a part is not the whole");
        let long = Fingerprint { function: Function::Sha512, octets: Function::Sha512.hash(b"a") };
        assert_eq!(Fingerprint::parse(&long.to_string()), Some(long.clone()));
        assert!(long.is_of(b"a"));
    }

    #[test]
    fn what_proves_nothing_matches_nothing() {
        for text in ["sha-1 A9:99", "md5 90:01", "sha-257 00", "SHA-1 00"] {
            let read = Fingerprint::parse(text);
            assert!(read.is_some_and(|read| !read.is_of(b"abc") && !read.is_of(b"")), "{text}");
        }
        let endless = format!("sha-512 00{}", ":00".repeat(64));
        for text in ["", "sha-256", "sha-256 ", "sha-256 0", "sha-256 000", "sha-256 +1", &endless]
        {
            assert_eq!(Fingerprint::parse(text), None, "{text}");
        }
    }
}
