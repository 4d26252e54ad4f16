//! AKA: what the card in a phone answers to a challenge (RFC 3310, 3GPP TS 33.102 section 6.3), by
//! the MILENAGE algorithms (3GPP TS 35.206 section 4.1).
//!
//! A card also counts, and refuses a number that it has seen. Here every registration and every
//! call is asked on its own, in no order, so that only the proof of the network counts: whoever
//! repeats an old challenge gets the old answer, which no network takes twice.

use std::fmt;

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};

/// What is on the card of a user, and known to the home network.
#[derive(Clone, PartialEq, Eq)]
pub struct Sim {
    k: [u8; 16],
    opc: [u8; 16],
}

impl Sim {
    /// A card with the subscriber's key and the operator's, already bound to it (OPc).
    #[must_use]
    pub fn new(k: [u8; 16], opc: [u8; 16]) -> Self {
        Self { k, opc }
    }

    /// A card with the subscriber's key and that of the operator (OP), which all cards share.
    #[must_use]
    pub fn of_operator(k: [u8; 16], op: [u8; 16]) -> Self {
        Self { k, opc: xor(encrypt(&k, op), op) }
    }

    /// Gives RES for the nonce of a challenge; `None` where it is none of AKA, or not one of our
    /// home network.
    pub(super) fn answer(&self, nonce: &str) -> Option<[u8; 8]> {
        // RAND and AUTN, and behind them what the server likes (RFC 3310 section 3.2).
        let nonce = decode(nonce)?;
        let (rand, rest) = nonce.split_first_chunk::<16>()?;
        let (hidden, rest) = rest.split_first_chunk::<6>()?;
        let (amf, rest) = rest.split_first_chunk::<2>()?;
        let mac = rest.first_chunk::<8>()?;
        let mixed = encrypt(&self.k, xor(*rand, self.opc));
        let out2 = self.output(xor(mixed, self.opc), 1);
        let mut number = *hidden;
        number.iter_mut().zip(out2).for_each(|(byte, anonymity)| *byte ^= anonymity);
        let mut input = [0; 16];
        let half = number.iter().chain(amf);
        input.iter_mut().zip(half.clone().chain(half)).for_each(|(to, from)| *to = *from);
        let mut turned = xor(input, self.opc);
        turned.rotate_left(8);
        let out1 = self.output(xor(mixed, turned), 0);
        let proof = out1.first_chunk::<8>()?;
        if u64::from_be_bytes(*proof) != u64::from_be_bytes(*mac) {
            return None;
        }
        out2.last_chunk::<8>().copied()
    }

    /// The last step of each function: a constant, the cipher, the operator.
    fn output(&self, mut input: [u8; 16], constant: u8) -> [u8; 16] {
        input[15] ^= constant;
        xor(encrypt(&self.k, input), self.opc)
    }
}

/// Keys are nobody's business, not that of a log either.
impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sim(…)")
    }
}

fn encrypt(key: &[u8; 16], block: [u8; 16]) -> [u8; 16] {
    let mut block = block.into();
    Aes128::new(key.into()).encrypt_block(&mut block);
    block.into()
}

fn xor(mut one: [u8; 16], other: [u8; 16]) -> [u8; 16] {
    one.iter_mut().zip(other).for_each(|(byte, other)| *byte ^= other);
    one
}

/// Reads base64 (RFC 4648 section 4); the padding may be missing.
fn decode(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    if text.len() > MAX_NONCE || digits.len() % 4 == 1 {
        return None;
    }
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for digit in digits.bytes() {
        let value = ALPHABET.iter().position(|known| *known == digit)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
    }
    Some(bytes)
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Longer than any nonce of AKA, with all that its server likes to add.
const MAX_NONCE: usize = 1024;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    // 3GPP TS 35.208 section 4.3, test set 1.
    const K: u128 = 0x465b5ce8b199b49faa5f0a2ee238a6bc;
    const OP: u128 = 0xcdc202d5123e20f62b6d676ac72cb318;
    const OPC: u128 = 0xcd63cb71954a9f4e48a5994e37a02baf;
    const RAND: u128 = 0x23553cbe9637a89d218ae64dae47bf35;
    const SQN: u64 = 0xff9bb4d0b607;
    const AK: u64 = 0xaa689c648370;
    const AMF: u16 = 0xb9b9;
    const MAC: u64 = 0x4a9ffac354dfafb3;
    const RES: u64 = 0xa54211d5e3ba50bf;

    #[test]
    fn the_card_answers_as_the_test_set_says() {
        let sim = Sim::new(K.to_be_bytes(), OPC.to_be_bytes());
        assert_eq!(sim, Sim::of_operator(K.to_be_bytes(), OP.to_be_bytes()));
        for tail in [&b""[..], b"for the server"] {
            let nonce = encode(&[&challenge(MAC), tail].concat());
            assert_eq!(sim.answer(&nonce), Some(RES.to_be_bytes()), "{nonce}");
            assert_eq!(sim.answer(nonce.trim_end_matches('=')), Some(RES.to_be_bytes()));
        }
        assert_eq!(format!("{sim:?}"), "Sim(…)");
    }

    #[test]
    fn nobody_gets_an_answer_who_is_not_the_home_network() {
        let sim = Sim::new(K.to_be_bytes(), OPC.to_be_bytes());
        let forged = encode(&challenge(MAC ^ 1));
        let short = encode(&challenge(MAC)[..31]);
        let long = "A".repeat(MAX_NONCE + 1);
        for nonce in [forged.as_str(), &short, &long, "", "=", "A", "n1", "ä", "AAAA!AAA"] {
            assert_eq!(sim.answer(nonce), None, "{nonce}");
        }
        let other = Sim::new(K.to_be_bytes(), OP.to_be_bytes());
        assert_eq!(other.answer(&encode(&challenge(MAC))), None);
    }

    fn challenge(mac: u64) -> Vec<u8> {
        let hidden = (SQN ^ AK).to_be_bytes();
        [&RAND.to_be_bytes()[..], &hidden[2..], &AMF.to_be_bytes(), &mac.to_be_bytes()].concat()
    }

    fn encode(bytes: &[u8]) -> String {
        let mut text = String::new();
        for piece in bytes.chunks(3) {
            let mut block = [0; 4];
            block[1..=piece.len()].copy_from_slice(piece);
            let bits = u32::from_be_bytes(block);
            for at in 0..4 {
                let digit = ALPHABET[(bits >> (18 - 6 * at) & 63) as usize];
                text.push(if at <= piece.len() { digit.into() } else { '=' });
            }
        }
        text
    }
}
