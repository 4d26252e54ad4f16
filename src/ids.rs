//! Identifiers as newtypes, and the source of randomness that the shell hands to the pure floors.

use std::fmt;

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

/// A cryptographically strong, seedable source of identifiers.
///
/// Pure machines own one each, so that a run with the same seed is the same run, byte for byte.
///
/// It keeps nothing but a key, and each draw makes the next one and forgets the last: small enough
/// for every leg to have its own, and what has been drawn cannot be found out from what is kept.
#[derive(Debug)]
pub struct Random([u8; 32]);

impl Random {
    /// Builds a source from 256 bits, taken from the operating system by the shell.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self(seed)
    }

    /// Builds a reproducible source for tests and replays.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self::of(&mut StdRng::seed_from_u64(seed))
    }

    fn of(source: &mut StdRng) -> Self {
        let mut key = [0_u8; 32];
        source.fill_bytes(&mut key);
        Self(key)
    }

    /// Gives what one draw is made of, and forgets the key that it came from.
    fn once(&mut self) -> StdRng {
        let mut source = StdRng::from_seed(self.0);
        *self = Self::of(&mut source);
        source
    }

    /// Splits off an independent source for another machine.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self::of(&mut self.once())
    }

    /// Draws 22 letters and digits, 131 bits: a token of RFC 3261, an `ident` of RFC 4975.
    pub fn token(&mut self) -> String {
        const ALPHABET: &[u8; 62] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        const LENGTH: usize = 22;
        let mut source = self.once();
        let mut token = String::with_capacity(LENGTH);
        while token.len() < LENGTH {
            let mut bytes = [0_u8; 32];
            source.fill_bytes(&mut bytes);
            // Of 64 numbers that are equally likely, those without a character are passed over.
            let numbers = bytes.iter().map(|byte| usize::from(byte % 64));
            let characters = numbers.filter_map(|number| ALPHABET.get(number).copied());
            token.extend(characters.map(char::from).take(LENGTH - token.len()));
        }
        token
    }

    /// Draws a version 4 UUID in its 36-character form (RFC 9562 section 5.4).
    pub fn uuid(&mut self) -> String {
        let mut bytes = [0_u8; 16];
        self.once().fill_bytes(&mut bytes);
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        [&hex[0..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..32]].join("-")
    }

    /// Draws a session-id of RFC 4975: as long as peers want it, who take nothing shorter than a
    /// UUID, and with more than the 122 bits of chance that one has.
    pub fn msrp_session_id(&mut self) -> String {
        format!("{}{:06x}", self.uuid(), self.below(1 << 24))
    }

    /// Draws a number from `0` up to but not including `bound`; `0` where `bound` is `0`.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.once().random_range(0..bound) }
    }
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// Takes over an identifier, drawn by us or named in a URL.
            pub fn new(text: impl Into<Box<str>>) -> Self {
                Self(text.into())
            }

            /// Gives the text as it stands in URLs.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

identifier! {
    /// One user's side of a chat session: `{sessionId}` of TS Chat 5.1.
    SessionId
}
identifier! {
    /// A chat message within its session: `{messageId}` of TS Chat 5.1, also its `imdn.Message-ID`.
    MessageId
}
identifier! {
    /// A participation in a group session: `{participantId}` of TS Chat 5.1.
    ParticipantId
}
identifier! {
    /// A subscription to notifications: `{subscriptionId}` of TS Chat 5.1.
    SubscriptionId
}
identifier! {
    /// A notification channel: `{channelId}` of the Notification Channel API.
    ChannelId
}
identifier! {
    /// A notification, the same on every retry.
    NotificationId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_identifiers() {
        let (mut one, mut two) = (Random::seeded(7), Random::seeded(7));
        assert_eq!(one.token(), two.token());
        assert_eq!(one.uuid(), two.uuid());
        assert_ne!(one.token(), one.token());
        assert_eq!(one.below(0), 0);
    }

    #[test]
    fn a_token_has_every_letter_and_digit_about_as_often() {
        let mut random = Random::seeded(2);
        let mut seen = std::collections::BTreeMap::new();
        for _ in 0..6200 {
            let token = random.token();
            assert_eq!(token.len(), 22);
            for c in token.chars() {
                *seen.entry(c).or_insert(0) += 1;
            }
        }
        // 2200 of each are to be expected; nine standard deviations are 422.
        assert!(seen.len() == 62 && seen.values().all(|n| (1778..2622).contains(n)), "{seen:?}");
    }

    #[test]
    fn a_uuid_has_its_version_and_variant() {
        let uuid = Random::seeded(1).uuid();
        assert_eq!(uuid.len(), 36);
        assert_eq!(uuid.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&uuid.as_bytes()[19]));
    }
}
