//! Flows: which packets belong together.

use std::net::IpAddr;

/// What makes packets a flow: addresses, protocol and, for TCP and UDP, ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flow {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) protocol: u8,
    pub(crate) ports: Option<(u16, u16)>,
}

impl Flow {
    /// The flow of a packet, read from its first bytes. `None`: no IP packet, or cut off within its network header.
    pub(crate) fn of(head: &[u8]) -> Option<Self> {
        let (source, destination, protocol, rest): (IpAddr, IpAddr, u8, &[u8]) = match head.first()? >> 4 {
            4 => {
                let length = usize::from(head[0] & 0xf) * 4;
                // Only the first fragment has ports; all of them must be one flow.
                let fragment = u16::from_be_bytes([*head.get(6)?, *head.get(7)?]) & 0x3fff != 0;
                (
                    head.get(12..16)?.first_chunk::<4>().map(|bytes| IpAddr::from(*bytes))?,
                    head.get(16..20)?.first_chunk::<4>().map(|bytes| IpAddr::from(*bytes))?,
                    head[9],
                    if fragment { &[] } else { head.get(length..).unwrap_or_default() },
                )
            }
            6 => (
                head.get(8..24)?.first_chunk::<16>().map(|bytes| IpAddr::from(*bytes))?,
                head.get(24..40)?.first_chunk::<16>().map(|bytes| IpAddr::from(*bytes))?,
                head[6],
                head.get(40..).unwrap_or_default(),
            ),
            _ => return None,
        };
        let ports = match (protocol, rest) {
            (6 | 17, [a, b, c, d, ..]) => Some((u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]))),
            _ => None,
        };
        Some(Self { source, destination, protocol, ports })
    }

    /// Where the flow lies in [0, 1): evenly spread over flows, the same for all packets of one, and for their answers.
    pub(crate) fn place(&self, seed: u64) -> f64 {
        let fold = |state: u64, value: u128| {
            let [low, high] = [value & u128::from(u64::MAX), value >> 64].map(|half| u64::try_from(half).unwrap_or(0));
            mix(mix(state ^ low) ^ high)
        };
        let bits = |address: IpAddr| match address {
            IpAddr::V4(address) => u128::from(address.to_bits()),
            IpAddr::V6(address) => address.to_bits(),
        };
        let (from, to) = self.ports.unwrap_or_default();
        let mut ends = [(bits(self.source), from), (bits(self.destination), to)];
        ends.sort_unstable();
        let [(one, from), (other, to)] = ends;
        let ports = u128::from(from) << 32 | u128::from(to) << 16 | u128::from(self.protocol);
        let place = fold(fold(fold(mix(seed), one), other), ports);
        // The upper 53 bits are what a double holds exactly.
        #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
        let place = (place >> 11) as f64 / (1u64 << 53) as f64;
        place
    }
}

/// How long the network header of a packet is; of IPv6 without extensions. `None`: no IP packet.
pub(crate) fn header_length(packet: &[u8]) -> Option<usize> {
    match packet.first()? >> 4 {
        4 => Some(usize::from(packet[0] & 0xf) * 4),
        6 => Some(40),
        _ => None,
    }
}

/// SplitMix64's finalizer (Steele, Lea, Flood 2014): every input bit changes every output bit with probability one half.
const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn udp(source_port: u16) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        packet.extend(source_port.to_be_bytes());
        packet.extend(53u16.to_be_bytes());
        packet
    }

    #[test]
    fn reads_addresses_and_ports() {
        let flow = Flow::of(&udp(4000)).unwrap();
        assert_eq!((flow.source, flow.destination), (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2])));
        assert_eq!((flow.protocol, flow.ports), (17, Some((4000, 53))));
    }

    #[test]
    fn all_fragments_of_a_packet_are_one_flow() {
        let (mut first, mut second) = (udp(4000), udp(9));
        first[6] = 0x20; // more fragments follow
        second[7] = 185; // at offset 1480
        assert_eq!(Flow::of(&first), Flow::of(&second));
    }

    #[test]
    fn flows_are_spread_evenly() {
        let below = (0..10_000).filter(|port| Flow::of(&udp(*port)).unwrap().place(42) < 0.3).count();
        // Binomial with n = 10,000, p = 0.3: a standard deviation is 46.
        assert!((2_770..3_230).contains(&below), "{below}");
    }

    #[test]
    fn an_answer_belongs_to_the_flow_of_its_question() {
        let question = Flow::of(&udp(4000)).unwrap();
        let Flow { source, destination, protocol, .. } = question;
        let answer = Flow { source: destination, destination: source, protocol, ports: Some((53, 4000)) };
        assert!((question.place(3) - answer.place(3)).abs() < f64::EPSILON);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some(flow) = Flow::of(&bytes) {
                prop_assert!((0.0..1.0).contains(&flow.place(1)));
            }
        }
    }
}
