//! What was said in a run as a capture: pcapng with raw IP, each message in packets of its own, with
//! a comment that says what it is.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::head::Head;
use crate::trace::{End, Recorded, Transport};

/// Writes messages as a capture. Streams have their bytes in order and no handshake.
pub(super) fn write(log: &[Recorded]) -> Vec<u8> {
    let mut file = Vec::new();
    // The section's length is not known (-1); then one interface: raw IP, nanoseconds.
    block(
        &mut file,
        0x0a0d_0d0a,
        &[
            &0x1a2b_3c4d_u32.to_le_bytes(),
            &1_u16.to_le_bytes(),
            &0_u16.to_le_bytes(),
            &u64::MAX.to_le_bytes(),
        ],
    );
    block(
        &mut file,
        1,
        &[
            &LINK_RAW.to_le_bytes(),
            &0_u16.to_le_bytes(),
            &0_u32.to_le_bytes(),
            &option(9, &[9]),
            &option(0, &[]),
        ],
    );
    let mut sent: BTreeMap<(SocketAddr, SocketAddr), u32> = BTreeMap::new();
    for message in log {
        let (End::At(from), End::At(to)) = (message.from, message.to) else { continue };
        let comment = Head::read(&message.bytes).first_line().to_owned();
        let pieces: Vec<&[u8]> = match message.transport {
            // What a datagram cannot hold was none.
            Transport::Udp => vec![&message.bytes[..message.bytes.len().min(MAX_PAYLOAD)]],
            Transport::Tcp | Transport::Tls => message.bytes.chunks(MAX_SEGMENT).collect(),
        };
        for (index, piece) in pieces.into_iter().enumerate() {
            let payload = match message.transport {
                Transport::Udp => udp((from, to), piece),
                Transport::Tcp | Transport::Tls => {
                    let acknowledged = sent.get(&(to, from)).copied().unwrap_or(1);
                    let next = sent.entry((from, to)).or_insert(1);
                    let segment = tcp((from, to), (*next, acknowledged), piece);
                    *next = next.wrapping_add(u32::try_from(piece.len()).unwrap_or_default());
                    segment
                }
            };
            let protocol = if message.transport == Transport::Udp { 17 } else { 6 };
            let Some(packet) = ip((from.ip(), to.ip()), protocol, &payload) else { continue };
            let comment = if index == 0 { comment.as_str() } else { "" };
            enhanced_packet(&mut file, message.at.nanoseconds(), &packet, comment);
        }
    }
    file
}

fn block(file: &mut Vec<u8>, kind: u32, parts: &[&[u8]]) {
    let length: usize = 12 + parts.iter().map(|part| part.len()).sum::<usize>();
    let length = u32::try_from(length).unwrap_or_default().to_le_bytes();
    file.extend_from_slice(&kind.to_le_bytes());
    file.extend_from_slice(&length);
    parts.iter().for_each(|part| file.extend_from_slice(part));
    file.extend_from_slice(&length);
}

/// Writes an option, filled up to four bytes.
fn option(code: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = code.to_le_bytes().to_vec();
    bytes.extend_from_slice(&u16::try_from(value.len()).unwrap_or_default().to_le_bytes());
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn enhanced_packet(file: &mut Vec<u8>, at: u64, packet: &[u8], comment: &str) {
    let length = u32::try_from(packet.len()).unwrap_or_default().to_le_bytes();
    let (high, low) = ((at >> 32) as u32, at as u32);
    let mut data = packet.to_vec();
    data.resize(data.len().next_multiple_of(4), 0);
    let comment: String = comment.chars().take(MAX_COMMENT).collect();
    let options = match comment.is_empty() {
        true => Vec::new(),
        false => [option(1, comment.as_bytes()), option(0, &[])].concat(),
    };
    block(
        file,
        6,
        &[
            &0_u32.to_le_bytes(),
            &high.to_le_bytes(),
            &low.to_le_bytes(),
            &length,
            &length,
            &data,
            &options,
        ],
    );
}

/// Puts a payload into an IP packet; `None` where the two ends are not of one family.
fn ip((from, to): (IpAddr, IpAddr), protocol: u8, payload: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(payload.len()).ok()?;
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let total = length.checked_add(20)?.to_be_bytes();
            let mut head = vec![0x45, 0, total[0], total[1], 0, 0, 0x40, 0, 64, protocol, 0, 0];
            head.extend_from_slice(&from.octets());
            head.extend_from_slice(&to.octets());
            let sum = checksum(&[&head]).to_be_bytes();
            head[10..12].copy_from_slice(&sum);
            Some([head.as_slice(), payload].concat())
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let length = length.to_be_bytes();
            let mut head = vec![0x60, 0, 0, 0, length[0], length[1], protocol, 64];
            head.extend_from_slice(&from.octets());
            head.extend_from_slice(&to.octets());
            Some([head.as_slice(), payload].concat())
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
    }
}

fn udp((from, to): (SocketAddr, SocketAddr), payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 8).unwrap_or(u16::MAX);
    let mut datagram = Vec::with_capacity(payload.len() + 8);
    for number in [from.port(), to.port(), length, 0] {
        datagram.extend_from_slice(&number.to_be_bytes());
    }
    datagram.extend_from_slice(payload);
    // A sum of 0 means that there is none (RFC 768), so it is written as all ones.
    let sum = match checksum(&[&pseudo(from, to, 17, datagram.len()), &datagram]) {
        0 => u16::MAX,
        sum => sum,
    };
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    datagram
}

fn tcp(
    (from, to): (SocketAddr, SocketAddr),
    (next, acknowledged): (u32, u32),
    payload: &[u8],
) -> Vec<u8> {
    let mut segment = Vec::with_capacity(payload.len() + 20);
    segment.extend_from_slice(&from.port().to_be_bytes());
    segment.extend_from_slice(&to.port().to_be_bytes());
    segment.extend_from_slice(&next.to_be_bytes());
    segment.extend_from_slice(&acknowledged.to_be_bytes());
    // Five words of head; ACK and PSH; a full window.
    segment.extend_from_slice(&[0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
    segment.extend_from_slice(payload);
    let sum = checksum(&[&pseudo(from, to, 6, segment.len()), &segment]);
    segment[16..18].copy_from_slice(&sum.to_be_bytes());
    segment
}

/// Gives what UDP and TCP sum up beside themselves (RFC 9293 section 3.1, RFC 8200 section 8.1).
fn pseudo(from: SocketAddr, to: SocketAddr, protocol: u8, length: usize) -> Vec<u8> {
    let mut head = Vec::new();
    for end in [from, to] {
        match end.ip() {
            IpAddr::V4(ip) => head.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => head.extend_from_slice(&ip.octets()),
        }
    }
    head.extend_from_slice(&u32::from(protocol).to_be_bytes());
    head.extend_from_slice(&u32::try_from(length).unwrap_or_default().to_be_bytes());
    head
}

/// Sums up as RFC 1071 has it; every part but the last has an even length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0_u32;
    for part in parts {
        for pair in part.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or_default());
            sum = (sum & 0xffff) + (sum >> 16);
        }
    }
    !(sum as u16)
}

const LINK_RAW: u16 = 101;
/// What fits into one IP packet with all heads before it.
const MAX_PAYLOAD: usize = 65_507;
const MAX_SEGMENT: usize = 16 * 1024;
const MAX_COMMENT: usize = 200;

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::trace::{Found, Limits, Moment, Protocol, Reader};

    #[test]
    fn what_is_written_is_read_again() {
        let message = |n: u64, transport, protocol, ends: (&str, &str), text: String| Recorded {
            at: Moment::new(1_700_000_000, n),
            from: End::At(ends.0.parse().expect("an address")),
            to: End::At(ends.1.parse().expect("an address")),
            transport,
            protocol,
            packet: n,
            bytes: Bytes::from(text),
        };
        let sip = "OPTIONS sip:a SIP/2.0\r\nCall-ID: c1\r\nContent-Length: 0\r\n\r\n".to_owned();
        let frame = |size: usize| {
            let text = "x".repeat(size);
            format!(
                "MSRP t1 SEND\r\nTo-Path: msrp://a:1/b;tcp\r\nFrom-Path: msrp://c:1/d;tcp\r\n\
                     Content-Type: text/plain\r\n\r\n{text}\r\n-------t1$\r\n"
            )
        };
        let (udp, tcp) = (Transport::Udp, Transport::Tcp);
        let six = ("[::1]:5060", "[::1]:5062");
        let log = [
            message(1, udp, Protocol::Sip, ("127.0.0.1:5060", "127.0.0.1:5080"), sip.clone()),
            message(2, udp, Protocol::Sip, six, sip),
            message(3, tcp, Protocol::Msrp, ("127.0.0.1:2855", "127.0.0.1:9"), frame(3)),
            message(5, tcp, Protocol::Msrp, ("127.0.0.1:2855", "127.0.0.1:9"), frame(40_000)),
            message(6, tcp, Protocol::Msrp, ("127.0.0.1:9", "127.0.0.1:2855"), frame(1)),
        ];
        let mut reader = Reader::new(Limits::default());
        reader.feed(&write(&log));
        reader.end();
        let mut read = Vec::new();
        while let Some(found) = reader.poll() {
            match found {
                Found::Message(message) => read.push(message),
                Found::Warning(warning) => panic!("{warning}"),
            }
        }
        // The packet is another one where a message takes several.
        let without_packet = |message: &Recorded| Recorded { packet: 0, ..message.clone() };
        let (read, log): (Vec<_>, Vec<_>) =
            (read.iter().map(without_packet).collect(), log.iter().map(without_packet).collect());
        assert_eq!(read, log);
    }
}
