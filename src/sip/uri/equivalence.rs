//! When two URIs mean the same resource. This is no equivalence in the strict sense, for it is not
//! transitive (RFC 3261 section 19.1.4).

use std::net::Ipv6Addr;

use super::{Parts, Uri};

impl Uri {
    /// Whether both mean the same resource (RFC 3261 section 19.1.4, RFC 3966 section 4).
    pub fn equivalent(&self, other: &Self) -> bool {
        match (&self.parts, &other.parts) {
            (Parts::Sip(mine), Parts::Sip(theirs)) => {
                mine.secure == theirs.secure
                    && self.user().map(canonical) == other.user().map(canonical)
                    && self.password().map(canonical) == other.password().map(canonical)
                    && same_host(self.host(), other.host())
                    && mine.port == theirs.port
                    && self.sip_params_agree(other)
                    && other.sip_params_agree(self)
                    && self.header_set() == other.header_set()
            }
            (Parts::Tel { .. }, Parts::Tel { .. }) => {
                self.number().map(bare_number) == other.number().map(bare_number)
                    && self.param_set() == other.param_set()
            }
            (Parts::Opaque { scheme: mine }, Parts::Opaque { scheme: theirs }) => {
                self.at(*mine).eq_ignore_ascii_case(other.at(*theirs))
                    && self.text[mine.end()..] == other.text[theirs.end()..]
            }
            (Parts::Sip(_), Parts::Tel { .. } | Parts::Opaque { .. })
            | (Parts::Tel { .. }, Parts::Sip(_) | Parts::Opaque { .. })
            | (Parts::Opaque { .. }, Parts::Sip(_) | Parts::Tel { .. }) => false,
        }
    }

    /// Every parameter here that the other has too agrees with it, and those which count by
    /// their presence are there too.
    fn sip_params_agree(&self, other: &Self) -> bool {
        self.params().all(|(name, _)| match other.param(name) {
            Some(_) => self.values_of(name).eq(other.values_of(name)),
            None => !["user", "ttl", "method", "maddr", "transport"]
                .iter()
                .any(|strict| name.eq_ignore_ascii_case(strict)),
        })
    }

    /// The values of a parameter: one, but for URIs that break RFC 3261 section 19.1.1.
    fn values_of(&self, name: &str) -> impl Iterator<Item = String> {
        self.params()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| canonical_lower(value.unwrap_or("")))
    }

    fn header_set(&self) -> Vec<(String, String)> {
        let mut set: Vec<_> =
            self.headers().map(|(name, value)| (canonical_lower(name), canonical(value))).collect();
        set.sort();
        set
    }

    fn param_set(&self) -> Vec<(String, String)> {
        let mut set: Vec<_> = self
            .params()
            .map(|(name, value)| (name.to_ascii_lowercase(), bare_number(value.unwrap_or(""))))
            .collect();
        set.sort();
        set
    }
}

/// Undoes the escapes of all but reserved characters: `%41` is `A`, but `%3B` is not `;`.
fn canonical(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let hex = rest.get(at + 1..at + 3).unwrap_or("");
        match u8::from_str_radix(hex, 16) {
            Ok(byte) if byte.is_ascii_graphic() && !b";/?:@&=+$,%".contains(&byte) => {
                out.push(char::from(byte));
            }
            _ => {
                out.push('%');
                out.push_str(&hex.to_ascii_uppercase());
            }
        }
        rest = rest.get(at + 1 + hex.len()..).unwrap_or("");
    }
    out.push_str(rest);
    out
}

fn canonical_lower(text: &str) -> String {
    canonical(text).to_ascii_lowercase()
}

/// A number, or a parameter of one, without visual separators (RFC 3966 section 4).
fn bare_number(number: &str) -> String {
    number.to_ascii_lowercase().replace(['-', '.', '(', ')'], "")
}

fn same_host(mine: Option<&str>, theirs: Option<&str>) -> bool {
    let (Some(mine), Some(theirs)) = (mine, theirs) else { return mine == theirs };
    match (mine.parse::<Ipv6Addr>(), theirs.parse::<Ipv6Addr>()) {
        (Ok(mine), Ok(theirs)) => mine == theirs,
        _ => mine.eq_ignore_ascii_case(theirs),
    }
}

#[cfg(test)]
mod tests {
    use super::Uri;

    /// The examples of RFC 3261 section 19.1.4.
    #[test]
    fn equivalence_is_that_of_the_rfc() {
        let same = [
            ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
            (
                "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
                "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            ),
            (
                "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
                "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
            ),
            ("sip:a@[2001:DB8::0:1]", "sip:a@[2001:db8::1]"),
            ("tel:+1-202-555", "tel:+1(202)555"),
            ("URN:service:sos", "urn:service:sos"),
            ("sip:a@b;x=1;x=2", "sip:a@b;X=1;x=2"),
        ];
        let different = [
            ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
            ("sip:a@b", "sips:a@b"),
            ("sip:a%3Bb@c", "sip:a;b@c"),
            ("sip:a@b", "sip:a:x@b"),
            ("tel:+1202", "tel:+1202;ext=1"),
            ("tel:+1202", "sip:+1202@h"),
            ("sip:a@b;x=1;x=2", "sip:a@b;x=1"),
        ];
        for (mine, theirs) in same {
            assert!(uri(mine).equivalent(&uri(theirs)), "{mine} {theirs}");
            assert!(uri(theirs).equivalent(&uri(mine)), "{theirs} {mine}");
        }
        for (mine, theirs) in different {
            assert!(!uri(mine).equivalent(&uri(theirs)), "{mine} {theirs}");
            assert!(!uri(theirs).equivalent(&uri(mine)), "{theirs} {mine}");
        }
    }

    fn uri(text: &str) -> Uri {
        Uri::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }
}
