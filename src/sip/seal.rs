//! A seal: what we wrote ourselves, and nobody else could have (HMAC-SHA-256, RFC 2104).

use std::fmt;

use sha2::{Digest, Sha256};

use crate::digest::hexadecimal;
use crate::ids::Random;

/// Seals texts that others keep for us: nonces, and the routes of dialogs.
///
/// Whatever bears a seal needs no memory of ours. The key is drawn anew for every life of the
/// process, so that nothing outlives it.
#[derive(Clone)]
pub struct Seal {
    key: [u8; 32],
}

impl Seal {
    /// Draws a fresh key.
    #[must_use]
    pub fn new(random: &mut Random) -> Self {
        let mut key = [0; 32];
        for (half, token) in key.chunks_mut(16).zip([random.token(), random.token()]) {
            half.copy_from_slice(&Sha256::digest(token.as_bytes())[..half.len()]);
        }
        Self { key }
    }

    /// Gives the seal of a text, in 64 hexadecimal digits.
    #[must_use]
    pub fn of(&self, text: &str) -> String {
        let mut block = [0_u8; 64];
        block[..self.key.len()].copy_from_slice(&self.key);
        let padded = |pad: u8| block.map(|byte| byte ^ pad);
        let inner = Sha256::new().chain_update(padded(0x36)).chain_update(text).finalize();
        hexadecimal(&Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize())
    }

    /// Tells whether `seal` is that of the text, or the beginning of it that is long enough not to
    /// be guessed (RFC 2104 section 5). The time that it takes tells nothing about the seal.
    #[must_use]
    pub fn fits(&self, text: &str, seal: &str) -> bool {
        let whole = self.of(text);
        seal.len() >= SHORTEST
            && whole.get(..seal.len()).is_some_and(|own| same(own.as_bytes(), seal.as_bytes()))
    }
}

/// A key is nobody's business, not that of a log either.
impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(…)")
    }
}

/// Compares without telling by the time how much was right.
pub(super) fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).fold(0, |differs, (left, right)| differs | (left ^ right)) == 0
}

/// How many digits of a seal must be there: 128 bits.
const SHORTEST: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231 section 4.2, with the key that the test case has.
    #[test]
    fn the_seal_is_an_hmac() {
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        assert_eq!(
            Seal { key }.of("Hi There"),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
    }

    #[test]
    fn a_seal_fits_its_text_whole_or_in_part_and_no_other() {
        let seal = Seal::new(&mut Random::seeded(1));
        let whole = seal.of("text");
        assert!(seal.fits("text", &whole));
        assert!(seal.fits("text", &whole[..32]));
        assert!(!seal.fits("text", &whole[..31]));
        assert!(!seal.fits("text", ""));
        assert!(!seal.fits("text", &format!("{whole}0")));
        assert!(!seal.fits("other", &whole));
        assert!(!seal.fits("text", &"é".repeat(16)));
        assert!(!Seal::new(&mut Random::seeded(2)).fits("text", &whole));
        assert_eq!(format!("{seal:?}"), "Seal(…)");
    }
}
