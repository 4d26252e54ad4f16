//! The decoder of `Content-Transfer-Encoding: base64` (RFC 2045 section 6.8).

/// Decodes base64 text; `None` where it is not.
///
/// White space and line breaks are passed over, padding may be missing; bits that encode nothing
/// are ignored.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut bits, mut held) = (0_u32, 0_u8);
    let (mut digits, mut padding) = (0_usize, 0_usize);
    for &byte in text {
        if byte.is_ascii_whitespace() {
            continue;
        }
        if byte == b'=' {
            padding += 1;
            continue;
        }
        if padding > 0 {
            return None;
        }
        bits = (bits << 6) | u32::from(sextet(byte)?);
        held += 6;
        digits += 1;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    let whole = digits % 4 != 1;
    let padded = padding == 0 || (digits + padding).is_multiple_of(4) && padding <= 2;
    (whole && padded).then_some(out)
}

fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_vectors_of_rfc_4648_decode() {
        for (text, plain) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmE=", "fooba"),
            ("Zm9v\r\nYmFy", "foobar"),
            ("Zm9vYmE", "fooba"),
        ] {
            assert_eq!(decode(text.as_bytes()).as_deref(), Some(plain.as_bytes()), "{text}");
        }
    }

    #[test]
    fn what_is_not_base64_is_refused() {
        for text in ["Z", "Zm9v!", "Zg==Zg==", "Zg=", "====", "Zm9v=", "Zm9vY"] {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
        }
    }
}
