//! The capture format of libpcap (draft-ietf-opsawg-pcap): a header, and packets behind it.

use super::field::Order;
use super::{Fault, Moment};

/// One frame of a capture.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) at: Moment,
    /// The link type that says what the bytes begin with.
    pub(super) link: u32,
    pub(super) bytes: &'a [u8],
}

/// What stands at the beginning of a capture's bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// Not enough to tell.
    Need,
    /// A frame, and how many bytes it takes in the file.
    Frame(Frame<'a>, usize),
    /// So many bytes, some of which may be yet to come, that hold no frame.
    Skip(usize),
    /// The same, for they hold a frame that cannot be read.
    Bad(Fault, usize),
    /// A fault behind which nothing can be found.
    End(Fault),
}

/// A capture of libpcap behind its header.
#[derive(Debug)]
pub(super) struct Pcap {
    order: Order,
    /// Nanoseconds in the unit of the fraction of a second.
    unit: u64,
    link: u32,
    /// Bytes of the header of a packet: a variant of old has eight more.
    header: usize,
    limit: usize,
}

/// Bytes of the header of a capture.
pub(super) const HEADER: usize = 24;

impl Pcap {
    pub(super) fn is_magic(bytes: &[u8]) -> bool {
        magic(bytes).is_some()
    }

    /// Reads the header.
    pub(super) fn read(bytes: &[u8], limit: usize) -> Option<Self> {
        let (order, unit, header) = magic(bytes)?;
        // The upper half tells of check sequences behind the frames.
        let link = order.u32(bytes, 20)? & 0xffff;
        Some(Self { order, unit, link, header, limit })
    }

    pub(super) fn link(&self) -> u32 {
        self.link
    }

    pub(super) fn next<'a>(&self, bytes: &'a [u8]) -> Step<'a> {
        let Some(header) = bytes.get(..self.header) else { return Step::Need };
        let number = |at| self.order.u32(header, at).unwrap_or_default();
        let (seconds, fraction, length) = (number(0), number(4), number(8));
        let length = match usize::try_from(length) {
            Ok(length) if length <= self.limit => length,
            Ok(_) | Err(_) => return Step::End(Fault::Length(u64::from(length))),
        };
        let end = self.header + length;
        let Some(bytes) = bytes.get(self.header..end) else { return Step::Need };
        let at = Moment::new(u64::from(seconds), u64::from(fraction) * self.unit);
        Step::Frame(Frame { at, link: self.link, bytes }, end)
    }
}

fn magic(bytes: &[u8]) -> Option<(Order, u64, usize)> {
    [Order::Big, Order::Little].into_iter().find_map(|order| match order.u32(bytes, 0)? {
        0xa1b2_c3d4 => Some((order, 1000, 16)),
        0xa1b2_3c4d => Some((order, 1, 16)),
        // The patched libpcap of Linux 2.2.
        0xa1b2_cd34 => Some((order, 1000, 24)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn both_orders_and_both_units_are_read() {
        for (magic, header, nanos) in [
            ([0xa1, 0xb2, 0xc3, 0xd4], 16, 7000),
            ([0xd4, 0xc3, 0xb2, 0xa1], 16, 7000),
            ([0xa1, 0xb2, 0x3c, 0x4d], 16, 7),
            ([0x4d, 0x3c, 0xb2, 0xa1], 16, 7),
            ([0x34, 0xcd, 0xb2, 0xa1], 24, 7000),
        ] {
            let big = magic[0] == 0xa1;
            let number = |n: u32| if big { n.to_be_bytes() } else { n.to_le_bytes() };
            let head = [magic, number(0), [0; 4], [0; 4], number(65_535), number(113)].concat();
            let pcap = Pcap::read(&head, 1000).unwrap();
            let packet = [number(9), number(7), number(3), number(3)].concat();
            let packet = [&packet[..], &vec![0; header - 16], b"abc", b"more"].concat();
            let frame = Frame { at: Moment::new(9, nanos), link: 113, bytes: b"abc" };
            assert_eq!(pcap.next(&packet), Step::Frame(frame, header + 3));
            assert_eq!(pcap.next(&packet[..header + 2]), Step::Need);
        }
    }

    #[test]
    fn f9_a_length_beyond_all_packets_ends_the_reading() {
        let head =
            [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
        let pcap = Pcap::read(&head, 1000).unwrap();
        for length in [1001_u32, 1 << 31, u32::MAX] {
            let packet = [[0; 4], [0; 4], length.to_le_bytes(), [0; 4]].concat();
            assert_eq!(pcap.next(&packet), Step::End(Fault::Length(u64::from(length))));
        }
    }
}
