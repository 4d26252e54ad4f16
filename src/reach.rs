//! How far an IP address reaches: what a peer or an application may make this process call.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far an address reaches (RFC 6890 and its registries).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The whole internet.
    Global,
    /// A part of it: somebody's own network, or this machine; the text says which.
    Private(&'static str),
    /// No place that anybody should be made to call; the text says why.
    Never(&'static str),
}

/// Tells how far an address reaches, whatever form it hides in.
#[must_use]
pub fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => reach_v4(address),
        IpAddr::V6(address) => reach_v6(address),
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    if METADATA_V4.contains(&address) {
        return METADATA;
    }
    match address.octets() {
        [0, ..] => Reach::Never("unspecified"),
        [169, 254, ..] => Reach::Never("link-local"),
        [224..=239, ..] => Reach::Never("multicast"),
        [240..=255, ..] => Reach::Never("reserved"),
        [127, ..] => Reach::Private("loopback"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Reach::Private("private"),
        [100, 64..=127, ..] => Reach::Private("shared by a carrier"),
        [192, 0, 0, _] => Reach::Private("for protocol assignments"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Reach::Private("documentation"),
        [198, 18..=19, ..] => Reach::Private("for benchmarks"),
        _ => Reach::Global,
    }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    if METADATA_V6.contains(&address) {
        return METADATA;
    }
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Reach::Never("unspecified"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Private("loopback"),
        // Addresses that carry an IPv4 address are as good as that: IPv4-compatible and -mapped
        // (RFC 4291 section 2.5.5), IPv4-translated (RFC 2765 section 2.1), NAT64 (RFC 6052
        // section 2.1), 6to4 (RFC 3056 section 2).
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => reach_v4(embedded(high, low)),
        [0x2002, high, low, ..] => reach_v4(embedded(high, low)),
        [0x64, 0xff9b, 1, ..] => Reach::Private("a local translation prefix"),
        [0x2001, 0, ..] => Reach::Private("a tunnel"),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0x0fff, ..] => Reach::Private("documentation"),
        [0x2001, 2, 0, ..] => Reach::Private("for benchmarks"),
        [0x100, 0, 0, 0, ..] => Reach::Never("discarded"),
        [0xfc00..=0xfdff, ..] => Reach::Private("private"),
        [0xfe80..=0xfebf, ..] => Reach::Never("link-local"),
        [0xfec0..=0xfeff, ..] => Reach::Private("site-local"),
        [0xff00..=0xffff, ..] => Reach::Never("multicast"),
        _ => Reach::Global,
    }
}

fn embedded(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))
}

const METADATA: Reach = Reach::Never("a metadata service");

/// Metadata services of clouds that do not live at a link-local address.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];
const METADATA_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Reach {
        reach(text.parse().expect("an address"))
    }

    #[test]
    fn an_address_inside_another_is_judged_as_itself() {
        for text in ["10.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::"] {
            assert_eq!(of(text), Reach::Private("private"), "{text}");
        }
        assert!(matches!(of("::ffff:169.254.169.254"), Reach::Never(_)));
        assert_eq!(of("192.0.3.1"), Reach::Global);
    }
}
