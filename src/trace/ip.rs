//! One IP packet of either version (RFC 791, RFC 8200), down to what it carries.

use std::net::IpAddr;

use super::field::{take, u16_at, u32_at};
use super::link::in_gre;

/// An IP packet, unwrapped from tunnels.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    pub(super) from: IpAddr,
    pub(super) to: IpAddr,
    /// The number of the protocol that it carries.
    pub(super) protocol: u8,
    /// Which part of a datagram it is, where it is not a whole one.
    pub(super) part: Option<Part>,
    pub(super) payload: &'a [u8],
    /// Bytes that belong to the payload, and that the capture did not keep.
    pub(super) missing: usize,
}

/// A part of a fragmented datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) id: u32,
    /// Where it stands in the datagram.
    pub(super) offset: usize,
    /// Whether it is not the last.
    pub(super) more: bool,
}

pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
pub(super) const ESP: u8 = 50;

/// Reads a packet; `None` where its headers contradict themselves.
pub(super) fn parse(bytes: &[u8]) -> Option<Packet<'_>> {
    let mut packet = parse_one(bytes)?;
    for _ in 0..MAX_TUNNELS {
        let inner = match packet.protocol {
            IP_IN_IP | IPV6_IN_IP if packet.part.is_none() => packet.payload,
            GRE if packet.part.is_none() => match in_gre(packet.payload) {
                Some(inner) => inner,
                None => return Some(packet),
            },
            _ => return Some(packet),
        };
        packet = parse_one(inner)?;
    }
    Some(packet)
}

fn parse_one(bytes: &[u8]) -> Option<Packet<'_>> {
    match bytes.first()? >> 4 {
        4 => parse_v4(bytes),
        6 => parse_v6(bytes),
        _ => None,
    }
}

fn parse_v4(bytes: &[u8]) -> Option<Packet<'_>> {
    let header = usize::from(bytes.first()? & 0xf) * 4;
    let total = match usize::from(u16_at(bytes, 2)?) {
        // What the network card was left to cut up has no length yet.
        0 => bytes.len(),
        total => total,
    };
    if header < 20 || total < header {
        return None;
    }
    let (payload, missing) = payload(bytes, header, total)?;
    let fragment = u16_at(bytes, 6)?;
    let (offset, more) = (usize::from(fragment & 0x1fff) * 8, fragment & 0x2000 != 0);
    let part = Part { id: u32::from(u16_at(bytes, 4)?), offset, more };
    Some(Packet {
        from: IpAddr::from(take::<4>(bytes, 12)?),
        to: IpAddr::from(take::<4>(bytes, 16)?),
        protocol: *bytes.get(9)?,
        part: (more || offset > 0).then_some(part),
        payload,
        missing,
    })
}

fn parse_v6(bytes: &[u8]) -> Option<Packet<'_>> {
    let total = match usize::from(u16_at(bytes, 4)?) {
        0 => bytes.len(),
        payload => 40 + payload,
    };
    let (mut protocol, mut at, mut part) = (*bytes.get(6)?, 40, None);
    for _ in 0..MAX_EXTENSIONS {
        let length = match protocol {
            HOP_BY_HOP | ROUTING | DESTINATION => (usize::from(*bytes.get(at + 1)?) + 1) * 8,
            AUTHENTICATION => (usize::from(*bytes.get(at + 1)?) + 2) * 4,
            FRAGMENT => {
                let word = u16_at(bytes, at + 2)?;
                let (offset, more) = (usize::from(word & 0xfff8), word & 1 != 0);
                let this = Part { id: u32_at(bytes, at + 4)?, offset, more };
                part = (more || offset > 0).then_some(this);
                8
            }
            _ => break,
        };
        protocol = *bytes.get(at)?;
        at += length;
        // The headers behind the first one of a later part stand in the first part.
        if part.is_some_and(|part| part.offset > 0) {
            break;
        }
    }
    let (payload, missing) = payload(bytes, at, total)?;
    Some(Packet {
        from: IpAddr::from(take::<16>(bytes, 8)?),
        to: IpAddr::from(take::<16>(bytes, 24)?),
        protocol,
        part,
        payload,
        missing,
    })
}

/// Gives the bytes behind the header, and how many of them were not kept.
fn payload(bytes: &[u8], header: usize, total: usize) -> Option<(&[u8], usize)> {
    let kept = bytes.get(header.min(total)..total.min(bytes.len()))?;
    Some((kept, total.saturating_sub(bytes.len().max(header))))
}

const HOP_BY_HOP: u8 = 0;
const IP_IN_IP: u8 = 4;
const IPV6_IN_IP: u8 = 41;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const GRE: u8 = 47;
const AUTHENTICATION: u8 = 51;
const DESTINATION: u8 = 60;

const MAX_TUNNELS: usize = 4;
const MAX_EXTENSIONS: usize = 8;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_packet_is_read_without_the_padding_of_its_link() {
        let bytes = v4(UDP, 0, b"hello");
        let padded = [&bytes[..], &[0; 9]].concat();
        let packet = parse(&padded).unwrap();
        assert_eq!((packet.protocol, packet.payload, packet.missing), (UDP, &b"hello"[..], 0));
        assert_eq!(packet.from.to_string(), "192.0.2.1");
        assert_eq!(parse(&bytes[..22]).unwrap().missing, 3);
    }

    #[test]
    fn tunnels_are_left_behind() {
        let inner = v4(TCP, 0, b"hello");
        let mut outer = v4(IP_IN_IP, 0, &inner);
        assert_eq!(parse(&outer).unwrap().payload, b"hello");
        let gre = [&[0x20, 0, 8, 0, 1, 2, 3, 4][..], &inner].concat();
        assert_eq!(parse(&v4(GRE, 0, &gre)).unwrap().protocol, TCP);
        for _ in 0..20 {
            outer = v4(IP_IN_IP, 0, &outer);
        }
        assert_eq!(parse(&outer).unwrap().protocol, IP_IN_IP);
    }

    #[test]
    fn the_sixth_version_has_a_chain_of_headers() {
        let mut bytes = vec![0x60, 0, 0, 0, 0, 8 + 8 + 3, HOP_BY_HOP, 64];
        bytes.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        bytes.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        bytes.extend([FRAGMENT, 0, 1, 4, 0, 0, 0, 0]);
        bytes.extend([UDP, 0, 0, 9, 0, 0, 0, 5]);
        bytes.extend(b"abc");
        let packet = parse(&bytes).unwrap();
        assert_eq!((packet.protocol, packet.payload), (UDP, &b"abc"[..]));
        assert_eq!(packet.part, Some(Part { id: 5, offset: 8, more: true }));
        for end in 0..bytes.len() {
            let cut = parse(&bytes[..end]);
            assert!(cut.is_none_or(|packet| packet.missing > 0), "{end}");
        }
    }

    #[test]
    fn headers_that_contradict_themselves_are_none() {
        for broken in [&[0x44; 40][..], &[0x45; 10], &[0x15; 40], &[]] {
            assert_eq!(parse(broken), None);
        }
    }

    fn v4(protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
        let total = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
        let [high, low] = fragment.to_be_bytes();
        let head =
            [0x45, 0, total[0], total[1], 0, 7, high, low, 64, protocol, 0, 0, 192, 0, 2, 1, 192];
        [&head[..], &[0, 2, 2], payload].concat()
    }
}
