//! The newer capture format (draft-ietf-opsawg-pcapng): sections of blocks, of which some describe
//! interfaces and some hold packets.

use super::field::{Order, take, u32_at};
use super::pcap::{Frame, Step};
use super::{Fault, Moment};

/// The beginning of every section, the same in both orders of bytes.
pub(super) const MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// A capture, section by section.
#[derive(Debug)]
pub(super) struct PcapNg {
    order: Order,
    /// The interfaces of this section.
    interfaces: Vec<Interface>,
    limit: usize,
}

#[derive(Debug, Clone, Copy)]
struct Interface {
    link: u32,
    /// How many bytes of a packet are kept; 0 is all.
    keeps: usize,
    /// Units of time in a second.
    resolution: u64,
    /// Seconds to be added to every time.
    offset: i64,
}

impl PcapNg {
    pub(super) fn new(limit: usize) -> Self {
        Self { order: Order::Little, interfaces: Vec::new(), limit }
    }

    /// Gives the link type of the first interface.
    pub(super) fn link(&self) -> Option<u32> {
        self.interfaces.first().map(|interface| interface.link)
    }

    pub(super) fn next<'a>(&mut self, bytes: &'a [u8]) -> Step<'a> {
        if bytes.starts_with(&MAGIC) {
            self.order = match take(bytes, 8) {
                Some([0x1a, 0x2b, 0x3c, 0x4d]) => Order::Big,
                Some([0x4d, 0x3c, 0x2b, 0x1a]) => Order::Little,
                Some(_) => return Step::End(Fault::Block("a section of no order of bytes")),
                None => return Step::Need,
            };
        }
        let (Some(kind), Some(claimed)) = (self.order.u32(bytes, 0), self.order.u32(bytes, 4))
        else {
            return Step::Need;
        };
        let length = usize::try_from(claimed).unwrap_or(usize::MAX);
        if length < 12 || !length.is_multiple_of(4) {
            return Step::End(Fault::Length(u64::from(claimed)));
        }
        let holds_packet = matches!(kind, ENHANCED_PACKET | SIMPLE_PACKET | PACKET);
        if length > self.limit {
            return if holds_packet || kind == SECTION || length > MAX_PASSED_OVER {
                Step::End(Fault::Length(u64::from(claimed)))
            } else {
                Step::Skip(length)
            };
        }
        let Some(block) = bytes.get(..length) else {
            return match kind {
                SECTION | INTERFACE => Step::Need,
                _ if holds_packet => Step::Need,
                _ => Step::Skip(length),
            };
        };
        let body = &block[8..length - 4];
        match kind {
            SECTION => self.interfaces.clear(),
            INTERFACE => return self.interface(body, length),
            ENHANCED_PACKET => return self.packet(body, self.order.u32(body, 0), length),
            // The obsolete block has 16 bits for the interface, and 16 for packets lost.
            PACKET => {
                return self.packet(body, self.order.u16(body, 0).map(u32::from), length);
            }
            SIMPLE_PACKET => return self.simple_packet(body, length),
            _ => {}
        }
        Step::Skip(length)
    }

    fn interface<'a>(&mut self, body: &[u8], length: usize) -> Step<'a> {
        let (Some(link), Some(keeps)) = (self.order.u16(body, 0), self.order.u32(body, 4)) else {
            return Step::Bad(Fault::Block("an interface without a link type"), length);
        };
        if self.interfaces.len() >= MAX_INTERFACES {
            return Step::End(Fault::Block("too many interfaces"));
        }
        let mut interface = Interface {
            link: u32::from(link),
            keeps: usize::try_from(keeps).unwrap_or_default(),
            resolution: MICROSECONDS,
            offset: 0,
        };
        let mut options = body.get(8..).unwrap_or_default();
        while let (Some(code), Some(size)) =
            (self.order.u16(options, 0), self.order.u16(options, 2))
        {
            let size = usize::from(size);
            let Some(value) = options.get(4..4 + size) else { break };
            match (code, value) {
                (0, _) => break,
                (9, [resolution, ..]) => interface.resolution = units_per_second(*resolution),
                (14, value) => {
                    interface.offset = self.order.u64(value, 0).unwrap_or_default().cast_signed();
                }
                _ => {}
            }
            options = options.get(4 + size.next_multiple_of(4)..).unwrap_or_default();
        }
        self.interfaces.push(interface);
        Step::Skip(length)
    }

    fn packet<'a>(&self, body: &'a [u8], interface: Option<u32>, length: usize) -> Step<'a> {
        let number = |at| self.order.u32(body, at);
        let (Some(interface), Some(high), Some(low), Some(kept)) =
            (interface, number(4), number(8), number(12))
        else {
            return Step::Bad(Fault::Block("a packet without its fields"), length);
        };
        let known = usize::try_from(interface).ok().and_then(|it| self.interfaces.get(it));
        let Some(interface) = known else {
            return Step::Bad(Fault::Block("a packet of an interface that is not there"), length);
        };
        let kept = usize::try_from(kept).unwrap_or(usize::MAX);
        let Some(bytes) = body.get(20..).and_then(|rest| rest.get(..kept)) else {
            return Step::Bad(Fault::Block("a packet longer than its block"), length);
        };
        let at = interface.moment(u64::from(high) << 32 | u64::from(low));
        Step::Frame(Frame { at, link: interface.link, bytes }, length)
    }

    /// A simple packet is of the first interface and knows no time.
    fn simple_packet<'a>(&self, body: &'a [u8], length: usize) -> Step<'a> {
        let (Some(interface), Some(original)) = (self.interfaces.first(), self.order.u32(body, 0))
        else {
            return Step::Bad(Fault::Block("a packet of an interface that is not there"), length);
        };
        let keeps = if interface.keeps == 0 { usize::MAX } else { interface.keeps };
        let kept = usize::try_from(original).unwrap_or(usize::MAX).min(keeps).min(body.len() - 4);
        let bytes = &body[4..4 + kept];
        Step::Frame(Frame { at: Moment::default(), link: interface.link, bytes }, length)
    }
}

impl Interface {
    fn moment(&self, units: u64) -> Moment {
        let seconds = (units / self.resolution).saturating_add_signed(self.offset);
        let rest = u128::from(units % self.resolution) * 1_000_000_000;
        let nanoseconds = rest / u128::from(self.resolution);
        Moment::new(seconds, u64::try_from(nanoseconds).unwrap_or_default())
    }
}

/// Reads `if_tsresol`: a negative power of 10, or of 2 where the highest bit is set.
fn units_per_second(resolution: u8) -> u64 {
    let power = u32::from(resolution & 0x7f);
    let base: u64 = if resolution & 0x80 == 0 { 10 } else { 2 };
    base.checked_pow(power).unwrap_or(u64::MAX)
}

/// Tells whether the bytes behind the magic can be a section's.
pub(super) fn is_magic(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC) && matches!(u32_at(bytes, 8), Some(0x1a2b_3c4d | 0x4d3c_2b1a))
}

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

const MICROSECONDS: u64 = 1_000_000;
const MAX_INTERFACES: usize = 4096;
/// Blocks of other kinds, such as the secrets of TLS, may be longer than packets.
const MAX_PASSED_OVER: usize = 1 << 30;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sections_have_their_own_order_and_interfaces() {
        let big = Writer { big: true };
        let little = Writer { big: false };
        let file = [
            big.section(),
            big.interface(101, &[]),
            big.interface(1, &[9, 0, 1, 9]),
            big.packet(1, 1_700_000_000_000_000_007, b"abcde"),
            big.block(5, &[0; 8]),
            little.section(),
            little.interface(113, &[9, 0, 1, 0x80 | 10]),
            little.packet(0, 1024 + 512, b"fg"),
        ]
        .concat();
        let frames = [
            (Moment::new(1_700_000_000, 7), 1, b"abcde".to_vec()),
            (Moment::new(1, 500_000_000), 113, b"fg".to_vec()),
        ];
        assert_eq!(frames_in(&file), (frames.to_vec(), vec![]));
    }

    #[test]
    fn older_and_simpler_packets_are_read_too() {
        let writer = Writer { big: false };
        let old =
            [&[0, 0, 9, 9], &[0; 4][..], &[64, 66, 15, 0], &[2, 0, 0, 0], &[2, 0, 0, 0], b"hi\0\0"];
        let simple = [&[5, 0, 0, 0][..], b"hello\0\0\0"].concat();
        let file = [
            writer.section(),
            writer.interface(1, &[14, 0, 8, 100]),
            writer.block(2, &old.concat()),
            writer.block(3, &simple),
        ]
        .concat();
        let (frames, faults) = frames_in(&file);
        assert_eq!(frames[0], (Moment::new(101, 0), 1, b"hi".to_vec()));
        assert_eq!(frames[1], (Moment::default(), 1, b"hello".to_vec()));
        assert_eq!(faults, []);
    }

    #[test]
    fn blocks_that_contradict_themselves_are_told() {
        let writer = Writer { big: false };
        let mut long = writer.packet(0, 0, b"abcd");
        long[20] = 200;
        let file = [
            writer.section(),
            writer.packet(0, 0, b"x"),
            writer.interface(1, &[]),
            long,
            writer.packet(0, 0, b"good"),
            vec![6, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff],
        ]
        .concat();
        let (frames, faults) = frames_in(&file);
        assert_eq!((frames.len(), faults.len()), (1, 3), "{faults:?}");
    }

    type Frames = Vec<(Moment, u32, Vec<u8>)>;

    fn frames_in(mut bytes: &[u8]) -> (Frames, Vec<Fault>) {
        let (mut reader, mut frames, mut faults) = (PcapNg::new(1000), Vec::new(), Vec::new());
        loop {
            let length = match reader.next(bytes) {
                Step::Need => return (frames, faults),
                Step::Frame(frame, length) => {
                    frames.push((frame.at, frame.link, frame.bytes.to_vec()));
                    length
                }
                Step::Skip(length) => length,
                Step::Bad(fault, length) => {
                    faults.push(fault);
                    length
                }
                Step::End(fault) => {
                    faults.push(fault);
                    return (frames, faults);
                }
            };
            bytes = &bytes[length..];
        }
    }

    struct Writer {
        big: bool,
    }

    impl Writer {
        fn number(&self, number: u32) -> [u8; 4] {
            if self.big { number.to_be_bytes() } else { number.to_le_bytes() }
        }

        fn short(&self, number: u16) -> [u8; 2] {
            if self.big { number.to_be_bytes() } else { number.to_le_bytes() }
        }

        fn block(&self, kind: u32, body: &[u8]) -> Vec<u8> {
            let padded = [body, &vec![0; body.len().next_multiple_of(4) - body.len()]].concat();
            let length = self.number(u32::try_from(padded.len() + 12).unwrap());
            [&self.number(kind), &length[..], &padded, &length].concat()
        }

        fn section(&self) -> Vec<u8> {
            let body = [&self.number(0x1a2b_3c4d)[..], &[0; 4], &[0xff; 8]].concat();
            self.block(SECTION, &body)
        }

        /// An option is given as code, and size and one byte of value.
        fn interface(&self, link: u16, option: &[u8]) -> Vec<u8> {
            let mut body = [&self.short(link)[..], &[0; 2], &self.number(0)].concat();
            if let [code, _, size, value] = option {
                let size = u16::from(*size);
                body.extend(self.short(u16::from(*code)));
                body.extend(self.short(size));
                body.push(*value);
                body.resize(12 + usize::from(size.next_multiple_of(4)), 0);
            }
            self.block(INTERFACE, &body)
        }

        fn packet(&self, interface: u32, units: u64, bytes: &[u8]) -> Vec<u8> {
            let length = u32::try_from(bytes.len()).unwrap();
            let high = u32::try_from(units >> 32).unwrap();
            let low = u32::try_from(units & 0xffff_ffff).unwrap();
            let head = [interface, high, low, length, length].map(|n| self.number(n)).concat();
            self.block(ENHANCED_PACKET, &[&head, bytes].concat())
        }
    }
}
