//! The names of header fields: the vocabulary of `rsip` by number, and every other name as it
//! stands, whatever their case, in long or compact form (RFC 3261 section 7.3).

use rsip::headers::UntypedHeader;
use rsip::{Header, headers};

/// What a header field is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name<'a> {
    /// A name of the vocabulary.
    Known(Known),
    /// Any other.
    Other(&'a str),
}

impl<'a> Name<'a> {
    /// Looks a name up.
    pub(super) fn of(name: &'a str) -> Self {
        Known::of(name.as_bytes()).map_or(Self::Other(name), Self::Known)
    }
}

/// Ties the names of the wire to the variants of `rsip`, once for all directions. A letter in
/// brackets is the compact form (IANA registry of SIP header fields); what stands behind
/// `beyond rsip` is known to us alone.
macro_rules! vocabulary {
    (
        $($name:literal $variant:ident $([$letter:literal])?,)+
        beyond rsip
        $($other:literal $own:ident $([$short:literal])?,)+
    ) => {
        /// A name of the vocabulary.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Known {
            $($variant,)+
            $($own,)+
        }

        const KNOWN: &[(&str, Known)] =
            &[$(($name, Known::$variant),)+ $(($other, Known::$own),)+];

        impl Known {
            /// The name as it goes on the wire.
            pub(super) fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                    $(Self::$own => $other,)+
                }
            }

            /// Looks up a compact name.
            fn of_letter(letter: u8) -> Option<Self> {
                match letter.to_ascii_lowercase() {
                    $($($letter => Some(Self::$variant),)?)+
                    $($($short => Some(Self::$own),)?)+
                    _ => None,
                }
            }
        }

        /// One field in the words of `rsip`.
        pub(super) fn to_rsip(name: Name<'_>, value: String) -> Header {
            match name {
                $(Name::Known(Known::$variant) => {
                    Header::$variant(headers::$variant::from(value))
                })+
                $(Name::Known(Known::$own) => Header::Other($other.to_owned(), value),)+
                Name::Other(name) => Header::Other(name.to_owned(), value),
            }
        }

        /// The name and the value of a field of `rsip`.
        pub(super) fn of_rsip(header: &Header) -> (&str, &str) {
            match header {
                $(Header::$variant(inner) => ($name, inner.value()),)+
                Header::Other(name, value) => (name, value),
            }
        }
    };
}

vocabulary! {
    "Via" Via [b'v'],
    "From" From [b'f'],
    "To" To [b't'],
    "Call-ID" CallId [b'i'],
    "CSeq" CSeq,
    "Contact" Contact [b'm'],
    "Max-Forwards" MaxForwards,
    "Route" Route,
    "Record-Route" RecordRoute,
    "Content-Type" ContentType [b'c'],
    "Content-Length" ContentLength [b'l'],
    "Allow" Allow,
    "Supported" Supported [b'k'],
    "Require" Require,
    "User-Agent" UserAgent,
    "Accept" Accept,
    "Accept-Encoding" AcceptEncoding,
    "Accept-Language" AcceptLanguage,
    "Alert-Info" AlertInfo,
    "Authentication-Info" AuthenticationInfo,
    "Authorization" Authorization,
    "Call-Info" CallInfo,
    "Content-Disposition" ContentDisposition,
    "Content-Encoding" ContentEncoding [b'e'],
    "Content-Language" ContentLanguage,
    "Date" Date,
    "Error-Info" ErrorInfo,
    "Event" Event [b'o'],
    "Expires" Expires,
    "In-Reply-To" InReplyTo,
    "MIME-Version" MimeVersion,
    "Min-Expires" MinExpires,
    "Organization" Organization,
    "Priority" Priority,
    "Proxy-Authenticate" ProxyAuthenticate,
    "Proxy-Authorization" ProxyAuthorization,
    "Proxy-Require" ProxyRequire,
    "Reply-To" ReplyTo,
    "Retry-After" RetryAfter,
    "Server" Server,
    "Subject" Subject [b's'],
    "Subscription-State" SubscriptionState,
    "Timestamp" Timestamp,
    "Unsupported" Unsupported,
    "Warning" Warning,
    "WWW-Authenticate" WwwAuthenticate,
    beyond rsip
    "Accept-Contact" AcceptContact [b'a'],
    "Allow-Events" AllowEvents [b'u'],
    "Identity" Identity [b'y'],
    "Identity-Info" IdentityInfo [b'n'],
    "Refer-To" ReferTo [b'r'],
    "Referred-By" ReferredBy [b'b'],
    "Reject-Contact" RejectContact [b'j'],
    "Request-Disposition" RequestDisposition [b'd'],
    "Session-Expires" SessionExpires [b'x'],
}

impl Known {
    /// Looks up the name in front of a colon, spelled as in the RFC, and gives its length. Where
    /// the name is short the colon is found, and the name compared, in two numbers: nothing has to
    /// be decided letter by letter. What is not found so may still be found by [`Self::of`].
    #[inline(always)]
    pub(super) fn in_front(text: &[u8]) -> Option<(Self, usize)> {
        let (low, behind) = text.split_first_chunk()?;
        let (low, high) = (u64::from_le_bytes(*low), u64::from_le_bytes(*behind.first_chunk()?));
        // With the colon, lest a zero behind the name pass for none.
        let (name, length) = match up_to_colon(low) {
            Some((low, length)) => ([low, 0], length),
            None => up_to_colon(high).map(|(high, length)| ([low, high], 8 + length))?,
        };
        let (same, known) = WORDS[word_slot(name)];
        (same == name).then_some((known, length))
    }

    /// Looks a name up: one slot, one comparison.
    pub(super) fn of(name: &[u8]) -> Option<Self> {
        if let &[letter] = name {
            return Self::of_letter(letter);
        }
        let index = SLOTS[slot(name)?];
        let (known, variant) = KNOWN.get(usize::from(index))?;
        // Nearly all are spelled as in the RFC.
        let known = known.as_bytes();
        let is_same = known.len() == name.len() && known.iter().zip(name).all(|(a, b)| a == b);
        (is_same || known.eq_ignore_ascii_case(name)).then_some(*variant)
    }

    /// The place of this name in a set of bits.
    pub(super) const fn bit(self) -> u64 {
        const { assert!(KNOWN.len() <= 64, "a set of names has 64 places") };
        1 << (self as u32)
    }
}

/// Where each name of the vocabulary is found.
static SLOTS: [u8; SLOT_COUNT] = {
    let mut slots = [FREE; SLOT_COUNT];
    let mut index = 0;
    while index < KNOWN.len() {
        let Some(at) = slot(KNOWN[index].0.as_bytes()) else { panic!("a name is not empty") };
        assert!(slots[at] == FREE, "two names share a slot: choose other factors");
        slots[at] = index as u8;
        index += 1;
    }
    slots
};

/// The names of up to 15 letters as numbers, each in its slot.
static WORDS: [([u64; 2], Known); SLOT_COUNT] = {
    let mut words = [(NOBODY, Known::Via); SLOT_COUNT];
    let mut index = 0;
    while index < KNOWN.len() {
        let (name, known) = KNOWN[index];
        if let Some(word) = word_of(name.as_bytes()) {
            let slot = &mut words[word_slot(word)];
            assert!(slot.0[0] == NOBODY[0], "two names share a slot: choose another factor");
            *slot = (word, known);
        }
        index += 1;
    }
    words
};

/// A name and its colon as numbers; `None` where it is too long for them.
const fn word_of(name: &[u8]) -> Option<[u64; 2]> {
    let mut bytes = [0; 16];
    if name.len() >= bytes.len() {
        return None;
    }
    let mut at = 0;
    while at < name.len() {
        bytes[at] = name[at];
        at += 1;
    }
    bytes[at] = b':';
    let word = u128::from_le_bytes(bytes);
    Some([word as u64, (word >> 64) as u64])
}

/// The numbers of no name.
const NOBODY: [u64; 2] = [u64::MAX; 2];

/// The slot of a name as numbers: the top byte of a product, by a factor that was searched for.
const fn word_slot([low, high]: [u64; 2]) -> usize {
    (low.wrapping_add(high).wrapping_mul(0x795b_929e_9a9a_80fd) >> 56) as usize
}

/// Cuts a number off behind the first of its bytes that is a colon, and tells how many there are
/// before that.
#[inline(always)]
fn up_to_colon(word: u64) -> Option<(u64, usize)> {
    const EACH: u64 = u64::from_le_bytes([1; 8]);
    let others = word ^ (EACH * b':' as u64);
    // The lowest of the bytes that are zero now has its top bit set here.
    let found = others.wrapping_sub(EACH) & !others & (EACH << 7);
    if found == 0 {
        return None;
    }
    let top = found.trailing_zeros();
    Some((word & (u64::MAX >> (63 - top)), top as usize / 8))
}

const SLOT_COUNT: usize = 256;
const FREE: u8 = u8::MAX;

/// The slot of a name, whatever its case: three of its letters and its length tell all names of
/// the vocabulary apart, which is checked when this is compiled.
const fn slot(name: &[u8]) -> Option<usize> {
    let (Some(first), Some(last)) = (name.first(), name.last()) else { return None };
    let middle = name[name.len() / 2];
    // A set sixth bit makes a letter small.
    let small = [(*first | 0x20) as usize, (middle | 0x20) as usize, (*last | 0x20) as usize];
    Some((name.len() + small[0] + small[1] * 5 + small[2] * 28) % SLOT_COUNT)
}

#[cfg(test)]
mod tests {
    use super::{KNOWN, Known, Name, of_rsip, to_rsip};

    #[test]
    fn every_name_of_the_vocabulary_is_found_in_any_case() {
        for (name, known) in KNOWN {
            for spelled in [(*name).to_owned(), name.to_lowercase(), name.to_uppercase()] {
                assert_eq!(Name::of(&spelled), Name::Known(*known), "{spelled}");
            }
            assert_eq!(known.as_str(), *name);
        }
    }

    #[test]
    fn names_in_front_of_a_colon_are_found_as_spelled() {
        for (name, known) in KNOWN.iter().filter(|(name, _)| name.len() < 16) {
            let found = Known::in_front(format!("{name}: and more than enough").as_bytes());
            assert_eq!(found, Some((*known, name.len())), "{name}");
        }
        for line in ["Vja: and more than enough", "vIA: and more than enough", "Via: short"] {
            assert_eq!(Known::in_front(line.as_bytes()), None, "{line}");
        }
        for line in ["Via\0: and more than enough", "\0: and more than enough"] {
            assert_eq!(Known::in_front(line.as_bytes()), None, "{line:?}");
        }
        for line in [": and more than enough", "Content-Disposition: x", "Via  : more than enough"]
        {
            assert_eq!(Known::in_front(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn compact_names_are_long_ones_and_others_stay() {
        assert_eq!(Name::of("V"), Name::Known(Known::Via));
        assert_eq!(Name::of("x"), Name::Known(Known::SessionExpires));
        for other in ["z", "Vib", "X-Via", "", "Path"] {
            assert_eq!(Name::of(other), Name::Other(other));
        }
    }

    #[test]
    fn the_words_of_rsip_are_the_same_both_ways() {
        for name in KNOWN.iter().map(|(name, _)| *name).chain(["X-Thing"]) {
            let header = to_rsip(Name::of(name), "a value".to_owned());
            assert_eq!(of_rsip(&header), (name, "a value"));
        }
    }
}
