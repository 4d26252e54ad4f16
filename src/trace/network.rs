//! From the frames of a capture to messages: link, IP, fragments, UDP and TCP.

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use super::field::{u16_at, u32_at};
use super::fragments::Fragments;
use super::framing::in_datagram;
use super::link::{Carried, carried};
use super::pcap::Frame;
use super::reader::Found;
use super::streams::{Segment, Streams, Way};
use super::{End, Fault, Limits, Moment, Recorded, Transport, Warning, hep, ip};

/// The recorded network.
pub(super) struct Network {
    fragments: Fragments,
    streams: Streams,
    unknown_links: BTreeSet<u32>,
    encrypted_packets: u64,
}

/// Where and when something was seen.
#[derive(Clone, Copy)]
struct Seen {
    at: Moment,
    packet: u64,
    from: IpAddr,
    to: IpAddr,
}

/// Bytes behind those that the capture kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Missing {
    pub(super) bytes: usize,
    /// The packet that it cut off.
    pub(super) packet: u64,
}

impl Network {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            fragments: Fragments::new(limits.datagrams),
            streams: Streams::new(limits),
            unknown_links: BTreeSet::new(),
            encrypted_packets: 0,
        }
    }

    /// Takes the next frame, and appends the messages that it completes.
    pub(super) fn add(&mut self, frame: &Frame<'_>, number: u64, found: &mut VecDeque<Found>) {
        let mut warn = |fault| found.push_back(warning(number, fault));
        let bytes = match carried(frame.link, frame.bytes) {
            Carried::Ip(bytes) => bytes,
            Carried::Other => return,
            Carried::Damaged => return warn(Fault::Header("link")),
            Carried::UnknownLink => {
                if self.unknown_links.len() < MAX_LINKS && self.unknown_links.insert(frame.link) {
                    warn(Fault::LinkType(frame.link));
                }
                return;
            }
        };
        let Some(packet) = ip::parse(bytes) else { return warn(Fault::Header("IP")) };
        let seen = Seen { at: frame.at, packet: number, from: packet.from, to: packet.to };
        let Some(part) = packet.part else {
            let missing = Missing { bytes: packet.missing, packet: number };
            return self.carry(seen, packet.protocol, packet.payload, missing, found);
        };
        let mut warn = |warning| found.push_back(Found::Warning(warning));
        if let Some(whole) = self.fragments.add(&packet, part, number, &mut warn) {
            self.carry(seen, packet.protocol, &whole.bytes, whole.missing, found);
        }
    }

    /// Ends the capture: what is not complete will not be.
    pub(super) fn end(&mut self, found: &mut VecDeque<Found>) {
        self.fragments.end(&mut |warning| found.push_back(Found::Warning(warning)));
        self.streams.end(found);
    }

    /// How many connections were found to be encrypted by TLS.
    pub(super) fn encrypted_streams(&self) -> u64 {
        self.streams.encrypted()
    }

    /// How many packets were encrypted by IPsec.
    pub(super) fn encrypted_packets(&self) -> u64 {
        self.encrypted_packets
    }

    fn carry(
        &mut self,
        seen: Seen,
        protocol: u8,
        bytes: &[u8],
        missing: Missing,
        found: &mut VecDeque<Found>,
    ) {
        let read = match protocol {
            ip::UDP => datagram(seen, bytes, missing, found),
            ip::TCP => match segment(seen, bytes, missing.bytes) {
                Some(segment) => {
                    self.streams.add(segment, found);
                    Some(())
                }
                None => None,
            },
            ip::ESP => {
                self.encrypted_packets += 1;
                Some(())
            }
            _ => Some(()),
        };
        if read.is_none() {
            let name = if protocol == ip::UDP { "UDP" } else { "TCP" };
            found.push_back(warning(seen.packet, Fault::Header(name)));
        }
    }
}

/// Reads a datagram (RFC 768); `None` where its header contradicts itself.
fn datagram(seen: Seen, bytes: &[u8], missing: Missing, found: &mut VecDeque<Found>) -> Option<()> {
    let ports = (u16_at(bytes, 0)?, u16_at(bytes, 2)?);
    let length = match usize::from(u16_at(bytes, 4)?) {
        // A jumbogram (RFC 2675), or one that the network card was left to finish.
        0 => bytes.len(),
        length => length,
    };
    let payload = bytes.get(8..length.min(bytes.len()))?;
    let (from, to) = (SocketAddr::new(seen.from, ports.0), SocketAddr::new(seen.to, ports.1));
    if !hep::is_hep(payload) {
        message(seen, (from, to), Transport::Udp, payload, missing, found);
        return Some(());
    }
    match hep::unwrap(payload) {
        Some(inner) => {
            let seen = Seen { at: inner.at, ..seen };
            let ends = (inner.from, inner.to);
            message(seen, ends, inner.transport, inner.payload, missing, found);
        }
        None => found.push_back(warning(seen.packet, Fault::Hep)),
    }
    Some(())
}

/// Takes the message of a datagram, if it holds one.
fn message(
    seen: Seen,
    (from, to): (SocketAddr, SocketAddr),
    transport: Transport,
    payload: &[u8],
    missing: Missing,
    found: &mut VecDeque<Found>,
) {
    let Some(inner) = in_datagram(payload) else { return };
    let bytes = &payload[inner.begin..inner.begin + inner.length];
    if missing.bytes > 0 {
        found.push_back(warning(missing.packet, Fault::CutOff { missing: missing.bytes }));
    } else if inner.short {
        found.push_back(warning(seen.packet, Fault::Unfinished { held: bytes.len() }));
    }
    found.push_back(Found::Message(Recorded {
        at: seen.at,
        from: End::At(from),
        to: End::At(to),
        transport,
        protocol: inner.protocol,
        packet: seen.packet,
        bytes: Bytes::copy_from_slice(bytes),
    }));
}

/// Reads a segment (RFC 9293 section 3.1); `None` where its header contradicts itself.
fn segment(seen: Seen, bytes: &[u8], missing: usize) -> Option<Segment<'_>> {
    let ports = (u16_at(bytes, 0)?, u16_at(bytes, 2)?);
    let header = usize::from(bytes.get(12)? >> 4) * 4;
    let flags = bytes.get(13)?;
    // Options may be cut off; there is no payload then.
    let payload = match bytes.get(header..) {
        Some(payload) if header >= 20 => payload,
        None if header >= 20 && missing > 0 => &[],
        Some(_) | None => return None,
    };
    let (from, to) = (SocketAddr::new(seen.from, ports.0), SocketAddr::new(seen.to, ports.1));
    Some(Segment {
        way: Way { from, to },
        at: seen.at,
        packet: seen.packet,
        sequence: u32_at(bytes, 4)?,
        syn: flags & 0x02 != 0,
        rst: flags & 0x04 != 0,
        payload,
        missing: missing.saturating_sub(header.saturating_sub(bytes.len())),
    })
}

fn warning(packet: u64, fault: Fault) -> Found {
    Found::Warning(Warning { packet, fault })
}

/// Unknown link types that are told one by one.
const MAX_LINKS: usize = 64;
