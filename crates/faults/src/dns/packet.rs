//! Datagrams as packets: what is in one, and one that answers it.

use crate::packet::flow::header_length;

/// The number of UDP among protocols.
const UDP: u8 = 17;
/// The length of its header.
const UDP_HEADER: usize = 8;
/// How far a packet may go, by custom.
const HOPS: u8 = 64;

/// A datagram, from its network header on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Datagram<'a> {
    /// Version 4 or 6.
    version: u8,
    /// The addresses of sender and receiver.
    source: &'a [u8],
    destination: &'a [u8],
    /// Their ports, source first.
    ports: &'a [u8; 4],
    /// What it carries.
    pub(crate) payload: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// Reads a packet. `None`: it is no datagram, not all of one, or of IPv6 with extensions.
    pub(crate) fn read(packet: &'a [u8]) -> Option<Self> {
        let header = header_length(packet)?;
        let (version, protocol, fragment) = match packet[0] >> 4 {
            4 => (4, *packet.get(9)?, [packet.get(6)? & 0x3f, *packet.get(7)?] != [0, 0]),
            _ => (6, *packet.get(6)?, false),
        };
        if protocol != UDP || fragment || header < 20 {
            return None;
        }
        let (source, destination) = if version == 4 {
            (packet.get(12..16)?, packet.get(16..20)?)
        } else {
            (packet.get(8..24)?, packet.get(24..40)?)
        };
        let udp = packet.get(header..)?;
        let length = usize::from(u16::from_be_bytes(*udp.get(4..)?.first_chunk()?));
        Some(Self { version, source, destination, ports: udp.first_chunk()?, payload: udp.get(UDP_HEADER..length)? })
    }

    /// The packet that answers it, with this in it. `None`: that is too long for one.
    pub(crate) fn answer(&self, payload: &[u8]) -> Option<Vec<u8>> {
        let udp = u16::try_from(UDP_HEADER + payload.len()).ok()?;
        let mut packet = if self.version == 4 {
            let mut header = vec![0x45, 0];
            header.extend(udp.checked_add(20)?.to_be_bytes());
            // No identification is needed for what must not be fragmented.
            header.extend([0, 0, 0x40, 0, HOPS, UDP, 0, 0]);
            header
        } else {
            let mut header = vec![0x60, 0, 0, 0];
            header.extend(udp.to_be_bytes());
            header.extend([UDP, HOPS]);
            header
        };
        packet.extend(self.destination);
        packet.extend(self.source);
        if self.version == 4 {
            let sum = checksum(&[&packet]);
            packet[10..12].copy_from_slice(&sum);
        }
        let body = packet.len();
        packet.extend([self.ports[2], self.ports[3], self.ports[0], self.ports[1]]);
        packet.extend(udp.to_be_bytes());
        packet.extend([0, 0]);
        packet.extend(payload);
        // Over a pseudo header too: the addresses, the protocol and the length. Zero would say that there is no checksum.
        let pseudo = [&[0, UDP][..], &udp.to_be_bytes()].concat();
        let sum = match checksum(&[self.source, self.destination, &pseudo, &packet[body..]]) {
            [0, 0] => [0xff, 0xff],
            sum => sum,
        };
        packet[body + 6..body + 8].copy_from_slice(&sum);
        Some(packet)
    }
}

/// The checksum of the internet (RFC 1071). All parts but the last are of even length.
fn checksum(parts: &[&[u8]]) -> [u8; 2] {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let mut sum: u32 = words.map(|word| u32::from(word[0]) << 8 | word.get(1).copied().map_or(0, u32::from)).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let [_, _, high, low] = (!sum).to_be_bytes();
    [high, low]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// From 10.0.0.1:4000 to 10.0.0.2:53.
    fn query(payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(28 + payload.len()).unwrap();
        let mut packet = vec![0x45, 0, 0, length, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        packet.extend([0x0f, 0xa0, 0, 53, 0, length - 20, 0, 0]);
        packet.extend(payload);
        packet
    }

    #[test]
    fn the_answer_goes_back_where_the_question_came_from() {
        let packet = query(b"what?");
        let asked = Datagram::read(&packet).unwrap();
        assert_eq!(asked.payload, b"what?");
        let bytes = asked.answer(b"that").unwrap();
        let answer = Datagram::read(&bytes).unwrap();
        assert_eq!((answer.source, answer.destination), (asked.destination, asked.source));
        assert_eq!((answer.ports, answer.payload), (&[0, 53, 0x0f, 0xa0], &b"that"[..]));
        // With its checksum in it, a header sums up to nothing.
        assert_eq!(checksum(&[&bytes[..20]]), [0, 0]);
        let pseudo = [0, UDP, 0, 12];
        assert_eq!(checksum(&[answer.source, answer.destination, &pseudo, &bytes[20..]]), [0, 0]);
    }

    #[test]
    fn fragments_and_other_protocols_are_not_read() {
        for (at, byte) in [(6, 0x20), (7, 1), (9, 6), (0, 0x44), (25, 200), (0, 0x15)] {
            let mut packet = query(b"what?");
            packet[at] = byte;
            assert!(Datagram::read(&packet).is_none(), "{at}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..120), payload in prop::collection::vec(any::<u8>(), 0..600)) {
            if let Some(datagram) = Datagram::read(&bytes) {
                let answer = datagram.answer(&payload).unwrap();
                prop_assert_eq!(Datagram::read(&answer).unwrap().payload, &payload[..]);
            }
        }
    }
}
