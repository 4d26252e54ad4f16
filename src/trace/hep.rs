//! What a capture agent sent on to a HOMER: a HEP version 3 packet, which wraps one message
//! (<https://github.com/sipcapture/HEP>).

use std::net::{IpAddr, SocketAddr};

use super::field::{take, u16_at, u32_at};
use super::{Moment, Transport};

/// A message with the addresses and the time that the agent saw.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrapped<'a> {
    pub(super) at: Moment,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) transport: Transport,
    pub(super) payload: &'a [u8],
}

pub(super) fn is_hep(bytes: &[u8]) -> bool {
    bytes.starts_with(b"HEP3")
}

/// Unwraps a packet; `None` where it contradicts itself or leaves out whom it is about.
pub(super) fn unwrap(bytes: &[u8]) -> Option<Wrapped<'_>> {
    let total = usize::from(u16_at(bytes, 4)?);
    let bytes = bytes.get(..total)?;
    let (mut from, mut to, mut ports) = (None, None, (0, 0));
    let (mut seconds, mut micros) = (0, 0);
    let (mut transport, mut payload) = (Transport::Udp, None);
    let mut at = 6;
    while at < bytes.len() {
        let length = usize::from(u16_at(bytes, at + 4)?);
        let chunk = bytes.get(at..at.checked_add(length)?)?;
        let value = chunk.get(6..)?;
        // Chunks of other vendors than 0 mean what those say.
        if u16_at(chunk, 0)? == 0 {
            match u16_at(chunk, 2)? {
                2 if value.first() == Some(&super::ip::TCP) => transport = Transport::Tcp,
                3 => from = Some(IpAddr::from(take::<4>(value, 0)?)),
                4 => to = Some(IpAddr::from(take::<4>(value, 0)?)),
                5 => from = Some(IpAddr::from(take::<16>(value, 0)?)),
                6 => to = Some(IpAddr::from(take::<16>(value, 0)?)),
                7 => ports.0 = u16_at(value, 0)?,
                8 => ports.1 = u16_at(value, 0)?,
                9 => seconds = u32_at(value, 0)?,
                10 => micros = u32_at(value, 0)?,
                15 => payload = Some(value),
                _ => {}
            }
        }
        at += length;
    }
    Some(Wrapped {
        at: Moment::new(u64::from(seconds), u64::from(micros) * 1000),
        from: SocketAddr::new(from?, ports.0),
        to: SocketAddr::new(to?, ports.1),
        transport,
        payload: payload?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_unwrapped_with_its_ends_and_its_time() {
        let chunks: [(u16, &[u8]); 9] = [
            (1, &[2]),
            (2, &[17]),
            (3, &[192, 0, 2, 1]),
            (4, &[192, 0, 2, 2]),
            (7, &[0x13, 0xc4]),
            (8, &[0x13, 0xc5]),
            (9, &[0, 0, 0, 9]),
            (10, &[0, 0, 0, 7]),
            (15, b"OPTIONS"),
        ];
        let packet = wrap(&chunks);
        let Some(wrapped) = unwrap(&packet) else { panic!("it is sound") };
        assert_eq!(wrapped.from.to_string(), "192.0.2.1:5060");
        assert_eq!(wrapped.to.to_string(), "192.0.2.2:5061");
        assert_eq!((wrapped.at, wrapped.payload), (Moment::new(9, 7000), &b"OPTIONS"[..]));
        for end in 0..packet.len() {
            assert_eq!(unwrap(&packet[..end]), None, "{end}");
        }
        assert_eq!(unwrap(&wrap(&chunks[3..])), None);
        let still = [&b"HEP3\0\x0c"[..], &[0; 6]].concat();
        assert_eq!(unwrap(&still), None);
    }

    fn wrap(chunks: &[(u16, &[u8])]) -> Vec<u8> {
        let number = |number: usize| u16::try_from(number).unwrap_or_default().to_be_bytes();
        let body: Vec<u8> = chunks
            .iter()
            .flat_map(|(kind, value)| {
                [&[0, 0], &kind.to_be_bytes()[..], &number(value.len() + 6), value].concat()
            })
            .collect();
        [b"HEP3", &number(body.len() + 6)[..], &body].concat()
    }
}
