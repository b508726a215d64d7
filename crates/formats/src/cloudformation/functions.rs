//! Functions that need nothing of the template but their arguments.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::node::{Node, Value};

/// The functions that have a value here.
pub(super) const EVALUATED: &[&str] = &[
    "Ref",
    "GetAtt",
    "Sub",
    "Join",
    "Split",
    "Select",
    "GetAZs",
    "FindInMap",
    "If",
    "Equals",
    "Not",
    "And",
    "Or",
    "Condition",
    "Base64",
    "Cidr",
    "ImportValue",
    "Length",
    "ToJsonString",
];

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// RFC 4648, section 4, with padding.
pub(super) fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        // Three bytes are four digits of six bits; a shorter rest has one digit more than bytes.
        for digit in 0..4 {
            let index = (bits >> (18 - 6 * digit)) & 0x3F;
            let shown = usize::try_from(digit).is_ok_and(|digit| digit <= chunk.len());
            text.push(if shown { char::from(ALPHABET[index as usize]) } else { '=' });
        }
    }
    text
}

/// The first `count` blocks of 2^`bits` addresses in an address block; nothing where they do not fit or are more than
/// CloudFormation's 256.
pub(super) fn cidr(block: &str, count: u32, bits: u32) -> Option<Vec<String>> {
    let (address, prefix) = block.split_once('/')?;
    let prefix: u32 = prefix.parse().ok()?;
    let (start, width) = match address.parse::<Ipv4Addr>() {
        Ok(address) => (u128::from(u32::from(address)), 32),
        Err(_) => (u128::from(address.parse::<Ipv6Addr>().ok()?), 128),
    };
    let host_bits = u32::checked_sub(width, prefix)?;
    // A block of 2^128 addresses is the whole of IPv6, which nobody divides.
    let fits = (1..=256).contains(&count) && bits <= host_bits && host_bits < 128;
    if !fits || u128::from(count) > 1 << (host_bits - bits) {
        return None;
    }
    let start = start >> host_bits << host_bits;
    let shown = |n: u32| {
        let at = start + (u128::from(n) << bits);
        let length = width - bits;
        match u32::try_from(at) {
            Ok(at) if width == 32 => format!("{}/{length}", Ipv4Addr::from(at)),
            _ => format!("{}/{length}", Ipv6Addr::from(at)),
        }
    };
    Some((0..count).map(shown).collect())
}

/// Whether a value that could not be computed is in it.
pub(super) fn has_unknown(node: &Node) -> bool {
    match &node.value {
        Value::Scalar(_) => node.is_unknown(),
        Value::Sequence(items) => items.iter().any(has_unknown),
        Value::Mapping(entries) => entries.iter().any(|entry| has_unknown(&entry.value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        // The test vectors of RFC 4648, section 10.
        for (text, wanted) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(text.as_bytes()), wanted);
        }
    }

    #[test]
    fn address_blocks_are_divided_in_order_and_never_beyond_their_end() {
        let blocks = |block, count, bits| cidr(block, count, bits).map(|blocks| blocks.join(" "));
        assert_eq!(blocks("192.168.0.0/24", 3, 5).as_deref(), Some("192.168.0.0/27 192.168.0.32/27 192.168.0.64/27"));
        assert_eq!(blocks("10.0.7.9/16", 1, 8).as_deref(), Some("10.0.0.0/24"), "host bits are cut off");
        assert_eq!(blocks("2001:db8::/56", 2, 64).as_deref(), Some("2001:db8::/64 2001:db8:0:1::/64"));
        assert_eq!(blocks("0.0.0.0/0", 2, 31).as_deref(), Some("0.0.0.0/1 128.0.0.0/1"));
        for (block, count, bits) in [
            ("10.0.0.0/24", 2, 8),
            ("10.0.0.0/24", 0, 5),
            ("10.0.0.0/8", 257, 8),
            ("10.0.0.0/33", 1, 1),
            ("10.0.0.0/16", 1, 40),
            ("::/0", 1, 64),
            ("vpc/16", 1, 8),
        ] {
            assert_eq!(cidr(block, count, bits), None, "{block} {count} {bits}");
        }
    }
}
