//! Instances: the name of a device that stays the same when it starts anew (RFC 5626 section 4.1).

use sha2::{Digest, Sha256};

/// Gives the URN for `+sip.instance` of what `name` names: the same for the same name, and nothing
/// that the name could be read from (a UUID of version 8, RFC 9562 section 5.8).
#[must_use]
pub fn instance_urn(name: &str) -> String {
    let mut bytes = [0_u8; 16];
    bytes.copy_from_slice(&Sha256::digest(name.as_bytes())[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let groups = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    format!("urn:uuid:{}", groups.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_instance_of_the_right_form() {
        let urn = instance_urn("tel:+19585550100 at 192.0.2.1:5060");
        assert_eq!(urn, instance_urn("tel:+19585550100 at 192.0.2.1:5060"));
        assert_ne!(urn, instance_urn("tel:+19585550101 at 192.0.2.1:5060"));
        let uuid = urn.strip_prefix("urn:uuid:").unwrap_or_default();
        let lengths: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!((uuid.get(14..15), urn.contains("1958")), (Some("8"), false), "{uuid}");
    }
}
