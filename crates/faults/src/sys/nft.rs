//! nf_tables: tables that belong to a socket, and vanish with it.
//!
//! A [`Table`] is made in one transaction with the flag `NFT_TABLE_F_OWNER` (Linux 5.12): nobody else can change or delete it,
//! and when its socket closes, because we close it or because we are killed, the kernel removes it with all that is in it. It
//! has one chain on the way in, before connection tracking, and in it rules that hand packets to a queue or drop them.
//!
//! On the way *in*, because packets that are held on the way out still belong to the sender's socket, and a TCP sender with
//! data in its own queue stops sending: 5 ms of delay would leave 9 Mbit/s.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::netlink::{Attributes, Error, Family, Message, Socket, flags};
use crate::parameters::Network;

/// Which packets a rule is for: those that fit everything that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    /// They come in here; without it, anywhere but the loopback.
    pub interface: Option<String>,
    /// They come from here.
    pub source: Option<Network>,
    /// They go there.
    pub destination: Option<Network>,
    /// They are of this protocol.
    pub protocol: Option<Protocol>,
    /// They come from this port (needs a protocol).
    pub source_port: Option<u16>,
    /// They go to this port (needs a protocol).
    pub destination_port: Option<u16>,
    /// They do *not* carry this mark: packets that we sent ourselves do.
    pub unless_mark: Option<u32>,
}

/// A protocol with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// What happens to packets that match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// They wait in this queue for somebody's verdict; when nobody listens, they pass.
    Queue(u16),
    /// They are dropped, and nobody is told.
    Drop,
}

/// A table of ours. Dropping it removes it.
#[derive(Debug)]
pub struct Table {
    socket: Socket,
    name: String,
}

/// The one chain of a table.
const CHAIN: &str = "in";
/// `NFNL_SUBSYS_NFTABLES`, in the upper byte of a message's type.
const SUBSYSTEM: u16 = 10;
/// `NF_IP_PRI_RAW`: before connection tracking, so that a packet held here leaves no half-open entry there.
const PRIORITY: i32 = -300;

mod message {
    pub(super) const BATCH_BEGIN: u16 = 16;
    pub(super) const BATCH_END: u16 = 17;
    pub(super) const NEW_TABLE: u16 = super::SUBSYSTEM << 8;
    pub(super) const GET_TABLE: u16 = super::SUBSYSTEM << 8 | 1;
    pub(super) const DELETE_TABLE: u16 = super::SUBSYSTEM << 8 | 2;
    pub(super) const NEW_CHAIN: u16 = super::SUBSYSTEM << 8 | 3;
    pub(super) const NEW_RULE: u16 = super::SUBSYSTEM << 8 | 6;
    pub(super) const GET_RULE: u16 = super::SUBSYSTEM << 8 | 7;
    pub(super) const DELETE_RULE: u16 = super::SUBSYSTEM << 8 | 8;
}

impl Table {
    /// Makes a table with these rules in the network namespace of the calling thread, in one transaction.
    ///
    /// # Errors
    ///
    /// `EPERM` without `CAP_NET_ADMIN` there; `EINVAL` or `EOPNOTSUPP` from kernels without owned tables (5.12); `ENOENT` from
    /// those without queues in nf_tables.
    pub fn create(name: &str, rules: &[(Match, Action)]) -> Result<Self, Error> {
        let mut socket = Socket::open(Family::Netfilter)?;
        let with = |socket: &mut Socket, native| {
            let mut messages = vec![
                message(message::NEW_TABLE, flags::CREATE | flags::EXCL).string(1, name).be32(2, OWNER),
                message(message::NEW_CHAIN, flags::CREATE)
                    .string(1, name)
                    .string(3, CHAIN)
                    .nested(4, |hook| hook.be32(1, 0 /* NF_INET_PRE_ROUTING */).attribute(2, &PRIORITY.to_be_bytes()))
                    .be32(5, 1 /* NF_ACCEPT */)
                    .string(7, "filter"),
            ];
            messages.extend(rules.iter().map(|(packets, action)| rule(name, packets, *action, native)));
            socket.batch(transaction(messages))
        };
        // The old way in (an xtables target) exists on kernels without the native expression, ours for one, and the other
        // way round; owned tables are younger than both.
        with(&mut socket, false).or_else(|_| with(&mut socket, true))?;
        Ok(Self { socket, name: name.to_owned() })
    }

    /// Adds rules behind those that are there.
    ///
    /// # Errors
    ///
    /// What the kernel says against it; then none is added.
    pub fn add(&mut self, rules: &[(Match, Action)]) -> Result<(), Error> {
        let all = |native| rules.iter().map(|(packets, action)| rule(&self.name, packets, *action, native)).collect();
        let (compatible, native) = (transaction(all(false)), transaction(all(true)));
        self.socket.batch(compatible).or_else(|_| self.socket.batch(native))
    }

    /// Removes all rules; the chain stays. Packets that are held in queues stay held.
    ///
    /// # Errors
    ///
    /// What the kernel says against it.
    pub fn clear(&mut self) -> Result<(), Error> {
        self.socket.batch(transaction(vec![message(message::DELETE_RULE, 0).string(1, &self.name).string(2, CHAIN)]))
    }

    /// How many packets the dropping rules have dropped.
    ///
    /// # Errors
    ///
    /// What the kernel says against it.
    pub fn dropped(&mut self) -> Result<u64, Error> {
        let rules = self.socket.dump(message(message::GET_RULE, 0).string(1, &self.name).string(2, CHAIN))?;
        Ok(rules.iter().flat_map(|rule| counters(rule.attributes(4))).sum())
    }

    /// Removes the table. Faster than dropping it: closing the socket of a table waits for the kernel's readers to pass by.
    ///
    /// The kernel drops what *any* queue of the namespace holds when a chain goes; release held packets before.
    ///
    /// # Errors
    ///
    /// What the kernel says against it.
    pub fn delete(&mut self) -> Result<(), Error> {
        self.socket.batch(transaction(vec![message(message::DELETE_TABLE, 0).string(1, &self.name)]))
    }

    /// Whether the kernel still has it.
    ///
    /// # Errors
    ///
    /// What the kernel says against being asked.
    pub fn exists(&mut self) -> Result<bool, Error> {
        Ok(names(&mut self.socket)?.contains(&self.name))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The names of all tables in the network namespace of the calling thread.
///
/// # Errors
///
/// `EPERM` without `CAP_NET_ADMIN`.
pub fn tables() -> Result<Vec<String>, Error> {
    names(&mut Socket::open(Family::Netfilter)?)
}

fn names(socket: &mut Socket) -> Result<Vec<String>, Error> {
    let tables = socket.dump(message_of(message::GET_TABLE, 0, 0 /* any family */))?;
    Ok(tables.iter().filter_map(|table| table.attributes(4).text(1)).collect())
}

/// `NFT_TABLE_F_OWNER`.
const OWNER: u32 = 2;

/// Messages as one transaction: between a beginning and an end, the last of which but one is acknowledged.
fn transaction(mut messages: Vec<Message>) -> Vec<Message> {
    let mark =
        |kind| Message::new(kind, flags::REQUEST).header(&[0, 0, 0, 10 /* NFNL_SUBSYS_NFTABLES, big-endian */]);
    messages.insert(0, mark(message::BATCH_BEGIN));
    messages.push(mark(message::BATCH_END));
    messages
}

/// A message about our tables, which are of family `inet`: IPv4 and IPv6 together.
fn message(kind: u16, flags: u16) -> Message {
    message_of(kind, flags, 1 /* NFPROTO_INET */)
}

fn message_of(kind: u16, flags: u16, family: u8) -> Message {
    // struct nfgenmsg: family, version 0, resource 0.
    Message::new(kind, flags | flags::REQUEST | flags::ACK).header(&[family, 0, 0, 0])
}

fn rule(table: &str, packets: &Match, action: Action, native: bool) -> Message {
    message(message::NEW_RULE, flags::CREATE | flags::APPEND).string(1, table).string(2, CHAIN).nested(4, |list| {
        let list = conditions(list, packets);
        match action {
            Action::Drop => {
                let list = expression(list, "counter", |data| data);
                expression(list, "immediate", |data| {
                    // Into the verdict register: NF_DROP.
                    data.be32(1, 0).nested(2, |value| value.nested(2, |verdict| verdict.be32(1, 0)))
                })
            }
            Action::Queue(queue) if native => expression(list, "queue", |data| {
                data.attribute(1, &queue.to_be_bytes())
                    .attribute(2, &1u16.to_be_bytes())
                    .attribute(3, &1u16.to_be_bytes())
            }),
            Action::Queue(queue) => expression(list, "target", |data| {
                // struct xt_NFQ_info_v3: queue, number of queues, flags (bypass); aligned to eight bytes.
                let mut info = [0; 8];
                info[0..2].copy_from_slice(&queue.to_ne_bytes());
                info[2..4].copy_from_slice(&1u16.to_ne_bytes());
                info[4..6].copy_from_slice(&1u16.to_ne_bytes());
                data.string(1, "NFQUEUE").be32(2, 3).attribute(3, &info)
            }),
        }
    })
}

/// Registers, operators and keys of nf_tables' little machine.
mod machine {
    pub(super) const REGISTER: u32 = 1;
    pub(super) const EQUAL: u32 = 0;
    pub(super) const NOT_EQUAL: u32 = 1;
    pub(super) const META_MARK: u32 = 3;
    pub(super) const META_INTERFACE: u32 = 6;
    pub(super) const META_FAMILY: u32 = 15;
    pub(super) const META_PROTOCOL: u32 = 16;
    pub(super) const NETWORK_HEADER: u32 = 1;
    pub(super) const TRANSPORT_HEADER: u32 = 2;
}

fn conditions(list: Message, packets: &Match) -> Message {
    use machine::{EQUAL, META_INTERFACE, META_MARK, META_PROTOCOL, NOT_EQUAL, TRANSPORT_HEADER};

    let (name, operator) = packets.interface.as_deref().map_or(("lo", NOT_EQUAL), |name| (name, EQUAL));
    let mut interface = [0; 16]; // IFNAMSIZ
    let length = name.len().min(15);
    interface[..length].copy_from_slice(&name.as_bytes()[..length]);
    let mut list = compare(meta(list, META_INTERFACE), operator, &interface);
    if let Some(mark) = packets.unless_mark {
        list = compare(meta(list, META_MARK), NOT_EQUAL, &mark.to_ne_bytes());
    }
    if let Some(network) = packets.source {
        list = address(list, network, [12, 8]);
    }
    if let Some(network) = packets.destination {
        list = address(list, network, [16, 24]);
    }
    if let Some(protocol) = packets.protocol {
        let number = match protocol {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
        };
        list = compare(meta(list, META_PROTOCOL), EQUAL, &[number]);
    }
    for (port, offset) in [(packets.source_port, 0), (packets.destination_port, 2)] {
        if let Some(port) = port {
            list = compare(payload(list, TRANSPORT_HEADER, offset, 2), EQUAL, &port.to_be_bytes());
        }
    }
    list
}

/// Compares an address in the network header, at one of two offsets (IPv4, IPv6).
fn address(list: Message, network: Network, offsets: [u32; 2]) -> Message {
    use machine::{EQUAL, META_FAMILY, NETWORK_HEADER, REGISTER};

    let (family, offset, bytes) = match network.address {
        IpAddr::V4(address) => (2, offsets[0], address.octets().to_vec()),
        IpAddr::V6(address) => (10, offsets[1], address.octets().to_vec()),
    };
    let list = compare(meta(list, META_FAMILY), EQUAL, &[family]);
    if network.prefix == 0 {
        return list;
    }
    let length = u32::try_from(bytes.len()).expect("4 or 16");
    let list = payload(list, NETWORK_HEADER, offset, length);
    let mask: Vec<u8> = (0..length)
        .map(|at| {
            let bits = u32::from(network.prefix).saturating_sub(at * 8).min(8);
            0xffu8.checked_shl(8 - bits).unwrap_or(0)
        })
        .collect();
    let list = expression(list, "bitwise", |data| {
        data.be32(1, REGISTER)
            .be32(2, REGISTER)
            .be32(3, length)
            .nested(4, |value| value.attribute(1, &mask))
            .nested(5, |value| value.attribute(1, &vec![0; mask.len()]))
    });
    compare(list, EQUAL, &bytes)
}

fn meta(list: Message, key: u32) -> Message {
    expression(list, "meta", |data| data.be32(1, machine::REGISTER).be32(2, key))
}

fn payload(list: Message, base: u32, offset: u32, length: u32) -> Message {
    expression(list, "payload", |data| data.be32(1, machine::REGISTER).be32(2, base).be32(3, offset).be32(4, length))
}

fn compare(list: Message, operator: u32, with: &[u8]) -> Message {
    expression(list, "cmp", |data| {
        data.be32(1, machine::REGISTER).be32(2, operator).nested(3, |value| value.attribute(1, with))
    })
}

fn expression(list: Message, name: &str, data: impl FnOnce(Message) -> Message) -> Message {
    list.nested(1, |element| element.string(1, name).nested(2, data))
}

/// The packet counts of a rule's counters.
fn counters(rule: Attributes<'_>) -> Vec<u64> {
    let expressions = rule.get(4).map(Attributes::new).into_iter().flatten();
    expressions
        .map(|(_, element)| Attributes::new(element))
        .filter(|element| element.text(1).as_deref() == Some("counter"))
        .filter_map(|element| {
            Attributes::new(element.get(2)?).get(2)?.first_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::namespace::NetworkNamespace;

    #[test]
    fn a_table_is_there_until_its_socket_closes() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        NetworkNamespace::create()
            .unwrap()
            .run(|| {
                assert!(tables().unwrap().is_empty());
                let everything = Match {
                    interface: Some("eth0".to_owned()),
                    source: Some("10.1.0.0/15".parse().unwrap()),
                    destination: Some("fd00::/9".parse().unwrap()),
                    protocol: Some(Protocol::Tcp),
                    source_port: Some(1),
                    destination_port: Some(65_535),
                    unless_mark: Some(7),
                };
                let table = Table::create(
                    "shaketable-test",
                    &[(everything.clone(), Action::Queue(5)), (everything, Action::Drop)],
                );
                let mut table = table.unwrap();
                assert_eq!(tables().unwrap(), ["shaketable-test"]);
                assert_eq!(table.dropped().unwrap(), 0);
                table.add(&[(Match::default(), Action::Drop)]).unwrap();
                table.clear().unwrap();
                drop(table);
                assert!(tables().unwrap().is_empty());
                let mut table = Table::create("shaketable-test", &[]).unwrap();
                assert!(Table::create("shaketable-test", &[]).is_err());
                table.delete().unwrap();
                assert!(tables().unwrap().is_empty());
                Ok(())
            })
            .unwrap();
    }
}
