//! From a frame of a capture to the IP packet in it, by the capture's link type
//! (<https://www.tcpdump.org/linktypes.html>).

use super::field::{Order, take, u16_at, u32_at};

/// What a frame holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Carried<'a> {
    /// An IP packet of either version, with the padding of the link behind it.
    Ip(&'a [u8]),
    /// Something else, such as ARP.
    Other,
    /// Less than the headers of the link.
    Damaged,
    /// Frames of a link that is not known.
    UnknownLink,
}

pub(super) fn carried(link: u32, frame: &[u8]) -> Carried<'_> {
    match link {
        NULL => by_family(frame, take(frame, 0).map(family_of_this_or_that_host)),
        LOOP => by_family(frame, u32_at(frame, 0)),
        ETHERNET => by_ethertype(frame, 12),
        PPP | PPP_SERIAL => ppp(frame),
        RAW_BSD | RAW_OPENBSD | RAW | IPV4 | IPV6 => by_version(frame, 0),
        SLL => by_ethertype(frame, 14),
        SLL2 => match u16_at(frame, 0) {
            Some(ethertype) => by_ethertype_at(frame, ethertype, 20),
            None => Carried::Damaged,
        },
        _ => Carried::UnknownLink,
    }
}

/// The loopback of BSD writes the family in the order of its machine; families are small numbers.
fn family_of_this_or_that_host(bytes: [u8; 4]) -> u32 {
    let (big, little) = (u32::from_be_bytes(bytes), u32::from_le_bytes(bytes));
    big.min(little)
}

fn by_family(frame: &[u8], family: Option<u32>) -> Carried<'_> {
    match family {
        // AF_INET everywhere; AF_INET6 of NetBSD, FreeBSD and Darwin, and of Linux.
        Some(2 | 10 | 24 | 28 | 30) => by_version(frame, 4),
        Some(_) => Carried::Other,
        None => Carried::Damaged,
    }
}

fn by_version(frame: &[u8], at: usize) -> Carried<'_> {
    match frame.get(at).map(|byte| byte >> 4) {
        Some(4 | 6) => Carried::Ip(frame.get(at..).unwrap_or_default()),
        Some(_) => Carried::Other,
        None => Carried::Damaged,
    }
}

fn by_ethertype(frame: &[u8], at: usize) -> Carried<'_> {
    match u16_at(frame, at) {
        Some(ethertype) => by_ethertype_at(frame, ethertype, at + 2),
        None => Carried::Damaged,
    }
}

/// Passes the tags of virtual networks (IEEE 802.1Q, 802.1ad, and older numbers of it) and of
/// PPPoE (RFC 2516); `at` is where the payload begins.
fn by_ethertype_at(frame: &[u8], mut ethertype: u16, mut at: usize) -> Carried<'_> {
    for _ in 0..MAX_TAGS {
        match ethertype {
            0x0800 | 0x86dd => return by_version(frame, at),
            0x8100 | 0x88a8 | 0x9100 | 0x9200 => {
                let Some(next) = u16_at(frame, at + 2) else { return Carried::Damaged };
                (ethertype, at) = (next, at + 4);
            }
            0x8864 => return ppp_protocol(frame, at + 6),
            _ => return Carried::Other,
        }
    }
    Carried::Other
}

/// PPP, with or without the framing of HDLC (RFC 1662).
fn ppp(frame: &[u8]) -> Carried<'_> {
    let framed = frame.starts_with(&[0xff, 0x03]);
    ppp_protocol(frame, if framed { 2 } else { 0 })
}

fn ppp_protocol(frame: &[u8], at: usize) -> Carried<'_> {
    match u16_at(frame, at) {
        Some(0x0021 | 0x0057) => by_version(frame, at + 2),
        // RFC 1661 section 6.5 lets the first byte be left out.
        Some(short) if matches!(short >> 8, 0x21 | 0x57) => by_version(frame, at + 1),
        Some(_) => Carried::Other,
        None => Carried::Damaged,
    }
}

/// What a GRE tunnel carries (RFC 2784, RFC 2890).
pub(super) fn in_gre(packet: &[u8]) -> Option<&[u8]> {
    let flags = Order::Big.u16(packet, 0)?;
    let fields = [0x8000, 0x2000, 0x1000].iter().filter(|flag| flags & **flag != 0).count();
    match by_ethertype_at(packet, u16_at(packet, 2)?, 4 + 4 * fields) {
        Carried::Ip(packet) => Some(packet),
        Carried::Other | Carried::Damaged | Carried::UnknownLink => None,
    }
}

const NULL: u32 = 0;
const ETHERNET: u32 = 1;
const PPP: u32 = 9;
const RAW_BSD: u32 = 12;
const RAW_OPENBSD: u32 = 14;
const PPP_SERIAL: u32 = 50;
const RAW: u32 = 101;
const LOOP: u32 = 108;
const SLL: u32 = 113;
const IPV4: u32 = 228;
const IPV6: u32 = 229;
const SLL2: u32 = 276;

/// Two are usual, one for the carrier and one for its customer.
const MAX_TAGS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_leads_to_the_ip_packet() {
        let ethernet = [0; 12];
        for (link, head) in [
            (NULL, vec![2, 0, 0, 0]),
            (NULL, vec![0, 0, 0, 30]),
            (LOOP, vec![0, 0, 0, 2]),
            (ETHERNET, [&ethernet[..], &[8, 0]].concat()),
            (ETHERNET, [&ethernet[..], &[0x81, 0, 0, 7, 8, 0]].concat()),
            (ETHERNET, [&ethernet[..], &[0x88, 0xa8, 0, 7, 0x81, 0, 0, 8, 0x86, 0xdd]].concat()),
            (ETHERNET, [&ethernet[..], &[0x88, 0x64, 0x11, 0, 0, 1, 0, 9, 0, 0x21]].concat()),
            (PPP, vec![0xff, 3, 0, 0x21]),
            (PPP, vec![0x21]),
            (PPP_SERIAL, vec![0, 0x57]),
            (RAW, vec![]),
            (RAW_BSD, vec![]),
            (IPV4, vec![]),
            (IPV6, vec![]),
            (SLL, [&[0; 14][..], &[8, 0]].concat()),
            (SLL2, [&[8, 0][..], &[0; 18]].concat()),
        ] {
            let frame = [&head[..], &[0x45, 1, 2]].concat();
            assert_eq!(carried(link, &frame), Carried::Ip(&[0x45, 1, 2]), "{link} {head:?}");
            for end in 0..=head.len() {
                assert_eq!(carried(link, &frame[..end]), Carried::Damaged, "{link} {end}");
            }
        }
    }

    #[test]
    fn what_is_not_ip_is_left_alone() {
        let arp = [&[0; 12][..], &[8, 6, 0, 1]].concat();
        assert_eq!(carried(ETHERNET, &arp), Carried::Other);
        assert_eq!(carried(RAW, &[0x15, 0, 0]), Carried::Other);
        assert_eq!(carried(105, &arp), Carried::UnknownLink);
        let tags = [&[0; 12][..], &[0x81, 0, 0, 1].repeat(9), &[8, 0, 0x45]].concat();
        assert_eq!(carried(ETHERNET, &tags), Carried::Other);
    }
}
