//! Numbers at a place in a slice, in either order of bytes; outside of the slice there are none.

/// The order of the bytes of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Big,
    Little,
}

impl Order {
    pub(super) fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let field = take(bytes, at)?;
        Some(match self {
            Self::Big => u16::from_be_bytes(field),
            Self::Little => u16::from_le_bytes(field),
        })
    }

    pub(super) fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let field = take(bytes, at)?;
        Some(match self {
            Self::Big => u32::from_be_bytes(field),
            Self::Little => u32::from_le_bytes(field),
        })
    }

    pub(super) fn u64(self, bytes: &[u8], at: usize) -> Option<u64> {
        let field = take(bytes, at)?;
        Some(match self {
            Self::Big => u64::from_be_bytes(field),
            Self::Little => u64::from_le_bytes(field),
        })
    }
}

/// Gives a number in the order of the network.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Order::Big.u16(bytes, at)
}

/// Gives a number in the order of the network.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Order::Big.u32(bytes, at)
}

/// Gives the bytes of a field of known size.
pub(super) fn take<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_both_orders_and_never_beyond_the_end() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(Order::Big.u16(&bytes, 6), Some(0x0708));
        assert_eq!(Order::Little.u32(&bytes, 1), Some(0x0504_0302));
        assert_eq!(Order::Little.u64(&bytes, 0), Some(0x0807_0605_0403_0201));
        assert_eq!(u16_at(&bytes, 7), None);
        assert_eq!(u32_at(&bytes, usize::MAX), None);
    }
}
