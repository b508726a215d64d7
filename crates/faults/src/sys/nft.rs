//! nf_tables: tables that belong to a socket, and vanish with it.
//!
//! A [`Table`] is made with the flag `NFT_TABLE_F_OWNER` (Linux 5.12): nobody else can change or delete it, and when its socket
//! closes, because we close it or because we are killed, the kernel removes it with all that is in it. Its chains are mostly on
//! the way in, before connection tracking; their rules hand packets to a queue, drop them or turn them away.
//!
//! On the way *in*, because packets that are held on the way out still belong to the sender's socket, and a TCP sender with
//! data in its own queue stops sending: 5 ms of delay would leave 9 Mbit/s.

use std::{
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
};

use serde::{Deserialize, Serialize};

use super::netlink::{Attributes, Error, Family, Message, Reply, Socket, flags};
use crate::parameters::Network;

/// Which packets a rule is for: those that fit everything that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    /// They come in here, or go out here; without it, anywhere but through the loopback.
    pub interface: Option<String>,
    /// They come from here.
    pub source: Option<Network>,
    /// They go there.
    pub destination: Option<Network>,
    /// They are of this protocol.
    pub protocol: Option<Protocol>,
    /// They come from one of these ports (needs a protocol).
    pub source_ports: Option<RangeInclusive<u16>>,
    /// They go to one of these ports (needs a protocol).
    pub destination_ports: Option<RangeInclusive<u16>>,
    /// They open a TCP connection (needs the protocol).
    pub opening: bool,
    /// They do *not* carry this mark: packets that we sent ourselves do.
    pub unless_mark: Option<u32>,
    /// Nor any of these.
    pub unless_marks: Option<RangeInclusive<u32>>,
    /// They are for this host itself, and not passed on by it.
    pub local: bool,
    /// They belong to a socket of this control group, or of one within.
    pub cgroup: Option<ControlGroup>,
}

/// A control group of the second version, as the kernel names it to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlGroup {
    /// How deep it lies; the root is 0.
    pub level: u32,
    /// The inode number of its folder.
    pub id: u64,
}

/// Where in the kernel packets meet a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// As they come in, whether they will stay or go on.
    Arriving,
    /// When it is clear that they stay.
    Received,
    /// As a process of this host sends them.
    Sent,
    /// The same, of each connection the first alone: here it can be led elsewhere.
    Opened,
}

impl Hook {
    /// `NF_INET_*`.
    const fn number(self) -> u32 {
        match self {
            Self::Arriving => 0,
            Self::Received => 1,
            Self::Sent | Self::Opened => 3,
        }
    }

    /// What a chain there is called by its kind.
    const fn kind(self) -> &'static str {
        match self {
            Self::Arriving | Self::Received | Self::Sent => "filter",
            Self::Opened => "nat",
        }
    }
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
    /// They are dropped, and the sender is told that nobody listens: by a reset where the rule is for TCP, else by ICMP.
    Reject,
    /// Their connection is led to this port of this host (at [`Hook::Opened`]).
    Redirect(u16),
    /// Their connection is taken by this listener, as if it were the one they are for (at [`Hook::Arriving`]; for packets of
    /// its version of IP). The listener must have [said](super::option::take_diverted) that it may be.
    Divert(SocketAddr),
}

/// A table of ours. Dropping it removes it.
#[derive(Debug)]
pub struct Table {
    socket: Socket,
    name: String,
}

/// `NFNL_SUBSYS_NFTABLES`, in the upper byte of a message's type.
const SUBSYSTEM: u16 = 10;

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
    /// Makes a table without chains in the network namespace of the calling thread.
    ///
    /// # Errors
    ///
    /// `EPERM` without `CAP_NET_ADMIN` there; `EINVAL` or `EOPNOTSUPP` from kernels without owned tables (5.12); `EEXIST` when
    /// there is one of this name.
    pub fn create(name: &str) -> Result<Self, Error> {
        let mut socket = Socket::open(Family::Netfilter)?;
        let make = message(message::NEW_TABLE, flags::CREATE | flags::EXCL).string(1, name).be32(2, OWNER);
        socket.batch(transaction(vec![make]))?;
        Ok(Self { socket, name: name.to_owned() })
    }

    /// Adds a chain without rules; those of lower priority are passed first.
    ///
    /// # Errors
    ///
    /// What the kernel says against it.
    pub fn add_chain(&mut self, chain: &str, hook: Hook, priority: i32) -> Result<(), Error> {
        let make = message(message::NEW_CHAIN, flags::CREATE | flags::EXCL)
            .string(1, &self.name)
            .string(3, chain)
            .nested(4, |list| list.be32(1, hook.number()).attribute(2, &priority.to_be_bytes()))
            .be32(5, 1 /* NF_ACCEPT */)
            .string(7, hook.kind());
        self.socket.batch(transaction(vec![make]))
    }

    /// Adds rules, all at once, behind those that are in a chain. The comment goes with each, for people and for
    /// [`comments`].
    ///
    /// # Errors
    ///
    /// What the kernel says against it, `ENOENT` if it has no queues in nf_tables; then none is added.
    pub fn add(&mut self, chain: (&str, Hook), rules: &[(Match, Action)], comment: &str) -> Result<(), Error> {
        let all = |native| {
            let place = Place { table: &self.name, chain: chain.0, hook: chain.1, comment };
            transaction(rules.iter().map(|(packets, action)| rule(place, packets, *action, native)).collect())
        };
        // The old way in (an xtables target) exists on kernels without the native expression, ours for one, and the other
        // way round; owned tables are younger than both.
        let (compatible, native) = (all(false), all(true));
        self.socket.batch(compatible).or_else(|_| self.socket.batch(native))
    }

    /// Removes all rules of a chain, which stays. Packets that are held in queues stay held.
    ///
    /// # Errors
    ///
    /// What the kernel says against it.
    pub fn clear(&mut self, chain: &str) -> Result<(), Error> {
        self.socket.batch(transaction(vec![message(message::DELETE_RULE, 0).string(1, &self.name).string(2, chain)]))
    }

    /// What the rules of a chain count: each one that drops or rejects, in order, the packets that it did.
    ///
    /// # Errors
    ///
    /// What the kernel says against it.
    pub fn counted(&mut self, chain: &str) -> Result<Vec<u64>, Error> {
        Ok(self.rules(chain)?.iter().flat_map(|rule| counters(rule.attributes(4))).collect())
    }

    /// How many rules are in a chain.
    ///
    /// # Errors
    ///
    /// What the kernel says against it.
    pub fn count(&mut self, chain: &str) -> Result<usize, Error> {
        self.rules(chain).map(|rules| rules.len())
    }

    fn rules(&mut self, chain: &str) -> Result<Vec<Reply>, Error> {
        self.socket.dump(message(message::GET_RULE, 0).string(1, &self.name).string(2, chain))
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

/// The comments of all rules in the network namespace of the calling thread.
///
/// # Errors
///
/// `EPERM` without `CAP_NET_ADMIN`.
pub fn comments() -> Result<Vec<String>, Error> {
    let rules = Socket::open(Family::Netfilter)?.dump(message_of(message::GET_RULE, 0, 0 /* any family */))?;
    // Of the user's data, the first is the comment, as nft(8) writes it: its type, its length, itself and a zero.
    let comment = |rule: &Reply| match rule.attributes(4).get(7)? {
        [0, length, text @ ..] => text.get(..usize::from(*length).checked_sub(1)?).map(<[u8]>::to_vec),
        _ => None,
    };
    Ok(rules.iter().filter_map(comment).map(|text| String::from_utf8_lossy(&text).into_owned()).collect())
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

/// Where a rule goes.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    table: &'a str,
    chain: &'a str,
    hook: Hook,
    comment: &'a str,
}

fn rule(place: Place<'_>, packets: &Match, action: Action, native: bool) -> Message {
    let length = u8::try_from(place.comment.len() + 1).expect("comments are ours, and short");
    let comment = [&[0, length], place.comment.as_bytes(), &[0]].concat();
    let message = message(message::NEW_RULE, flags::CREATE | flags::APPEND).string(1, place.table);
    message
        .string(2, place.chain)
        .nested(4, |list| act(conditions(list, place.hook, packets), packets, action, native))
        .attribute(7, &comment)
}

fn act(list: Message, packets: &Match, action: Action, native: bool) -> Message {
    match action {
        Action::Drop => {
            let list = expression(list, "counter", |data| data);
            expression(list, "immediate", |data| {
                // Into the verdict register: NF_DROP.
                data.be32(1, 0).nested(2, |value| value.nested(2, |verdict| verdict.be32(1, 0)))
            })
        }
        Action::Reject => {
            let list = expression(list, "counter", |data| data);
            let reset = packets.protocol == Some(Protocol::Tcp);
            expression(list, "reject", |data| {
                // NFT_REJECT_TCP_RST; NFT_REJECT_ICMPX_UNREACH, whose code 1 is the port.
                if reset { data.be32(1, 1) } else { data.be32(1, 2).attribute(2, &[1]) }
            })
        }
        Action::Redirect(port) => {
            let list = expression(list, "immediate", |data| {
                data.be32(1, machine::REGISTER).nested(2, |value| value.attribute(1, &port.to_be_bytes()))
            });
            expression(list, "redir", |data| data.be32(1, machine::REGISTER))
        }
        Action::Divert(to) => divert(list, to),
        Action::Queue(queue) if native => expression(list, "queue", |data| {
            data.attribute(1, &queue.to_be_bytes()).attribute(2, &1u16.to_be_bytes()).attribute(3, &1u16.to_be_bytes())
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
}

fn divert(list: Message, to: SocketAddr) -> Message {
    let (family, address) = match to.ip() {
        IpAddr::V4(address) => (2, address.octets().to_vec()),
        IpAddr::V6(address) => (10, address.octets().to_vec()),
    };
    let load = |list, register, value: &[u8]| {
        expression(list, "immediate", |data| data.be32(1, register).nested(2, |data| data.attribute(1, value)))
    };
    let list = load(list, machine::REGISTER, &to.port().to_be_bytes());
    let list = load(list, machine::SECOND_REGISTER, &address);
    expression(list, "tproxy", |data| data.be32(1, family).be32(2, machine::SECOND_REGISTER).be32(3, machine::REGISTER))
}

/// Registers, operators and keys of nf_tables' little machine.
mod machine {
    pub(super) const REGISTER: u32 = 1;
    pub(super) const SECOND_REGISTER: u32 = 2;
    pub(super) const EQUAL: u32 = 0;
    pub(super) const NOT_EQUAL: u32 = 1;
    pub(super) const AT_MOST: u32 = 3;
    pub(super) const AT_LEAST: u32 = 5;
    pub(super) const META_MARK: u32 = 3;
    pub(super) const META_IN: u32 = 6;
    pub(super) const META_OUT: u32 = 7;
    pub(super) const META_FAMILY: u32 = 15;
    pub(super) const META_PROTOCOL: u32 = 16;
    pub(super) const NETWORK_HEADER: u32 = 1;
    pub(super) const TRANSPORT_HEADER: u32 = 2;
}

fn conditions(list: Message, hook: Hook, packets: &Match) -> Message {
    use machine::{
        AT_LEAST, AT_MOST, EQUAL, META_IN, META_MARK, META_OUT, META_PROTOCOL, NOT_EQUAL, REGISTER, TRANSPORT_HEADER,
    };

    let (name, operator) = packets.interface.as_deref().map_or(("lo", NOT_EQUAL), |name| (name, EQUAL));
    let mut interface = [0; 16]; // IFNAMSIZ
    let length = name.len().min(15);
    interface[..length].copy_from_slice(&name.as_bytes()[..length]);
    let side = if matches!(hook, Hook::Sent | Hook::Opened) { META_OUT } else { META_IN };
    let mut list = compare(meta(list, side), operator, &interface);
    if let Some(mark) = packets.unless_mark {
        list = compare(meta(list, META_MARK), NOT_EQUAL, &mark.to_ne_bytes());
    }
    if let Some(marks) = &packets.unless_marks {
        list = outside(meta(list, META_MARK), marks);
    }
    if packets.local {
        // Of the destination's address its kind (NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_DADDR), which is RTN_LOCAL.
        list = expression(list, "fib", |data| data.be32(1, REGISTER).be32(2, 3).be32(3, 1 << 1));
        list = compare(list, EQUAL, &2u32.to_ne_bytes());
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
    for (ports, offset) in [(&packets.source_ports, 0), (&packets.destination_ports, 2)] {
        let Some(ports) = ports else { continue };
        let (first, last) = (ports.start().to_be_bytes(), ports.end().to_be_bytes());
        list = payload(list, TRANSPORT_HEADER, offset, 2);
        list = if first == last {
            compare(list, EQUAL, &first)
        } else {
            compare(compare(list, AT_LEAST, &first), AT_MOST, &last)
        };
    }
    if packets.opening {
        // Of the flags, SYN without ACK.
        let flags = payload(list, TRANSPORT_HEADER, 13, 1);
        list = compare(masked(flags, &[0x12]), EQUAL, &[0x02]);
    }
    if let Some(ControlGroup { level, id }) = packets.cgroup {
        // NFT_SOCKET_CGROUPV2.
        list = expression(list, "socket", |data| data.be32(1, 3).be32(2, REGISTER).be32(3, level));
        list = compare(list, EQUAL, &id.to_ne_bytes());
    }
    list
}

/// Compares an address in the network header, at one of two offsets (IPv4, IPv6).
fn address(list: Message, network: Network, offsets: [u32; 2]) -> Message {
    use machine::{EQUAL, META_FAMILY, NETWORK_HEADER};

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
    compare(masked(list, &mask), EQUAL, &bytes)
}

/// Leaves of the register only these bits.
fn masked(list: Message, mask: &[u8]) -> Message {
    let length = u32::try_from(mask.len()).expect("1 to 16");
    expression(list, "bitwise", |data| {
        data.be32(1, machine::REGISTER)
            .be32(2, machine::REGISTER)
            .be32(3, length)
            .nested(4, |value| value.attribute(1, mask))
            .nested(5, |value| value.attribute(1, &vec![0; mask.len()]))
    })
}

/// Whether the number in the register, in the machine's byte order, is outside of a range.
fn outside(list: Message, range: &RangeInclusive<u32>) -> Message {
    let list = expression(list, "byteorder", |data| {
        // NFT_BYTEORDER_HTON, of four bytes at once.
        data.be32(1, machine::REGISTER).be32(2, machine::REGISTER).be32(3, 1).be32(4, 4).be32(5, 4)
    });
    expression(list, "range", |data| {
        // NFT_RANGE_NEQ.
        data.be32(1, machine::REGISTER)
            .be32(2, 1)
            .nested(3, |value| value.attribute(1, &range.start().to_be_bytes()))
            .nested(4, |value| value.attribute(1, &range.end().to_be_bytes()))
    })
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
                    source_ports: Some(1..=1),
                    destination_ports: Some(1..=65_535),
                    opening: true,
                    unless_mark: Some(7),
                    unless_marks: Some(8..=9),
                    local: true,
                    cgroup: Some(ControlGroup { level: 1, id: 7 }),
                };
                let mut table = Table::create("shaketable-test").unwrap();
                assert!(Table::create("shaketable-test").is_err());
                table.add_chain("in", Hook::Arriving, -300).unwrap();
                table.add_chain("out", Hook::Sent, -300).unwrap();
                let actions = [Action::Queue(5), Action::Drop, Action::Reject];
                let rules = actions.map(|action| (everything.clone(), action));
                table.add(("in", Hook::Arriving), &rules, "of a test").unwrap();
                assert_eq!(tables().unwrap(), ["shaketable-test"]);
                assert_eq!(comments().unwrap(), ["of a test"; 3]);
                assert_eq!(table.counted("in").unwrap(), [0, 0]);
                table.add(("out", Hook::Sent), &[(Match::default(), Action::Reject)], "").unwrap();
                table.clear("in").unwrap();
                assert_eq!((table.count("in").unwrap(), table.count("out").unwrap()), (0, 1));
                drop(table);
                assert!(tables().unwrap().is_empty());
                let mut table = Table::create("shaketable-test").unwrap();
                table.delete().unwrap();
                assert!(tables().unwrap().is_empty());
                Ok(())
            })
            .unwrap();
    }
}
