//! Queueing disciplines: what the kernel does to packets that leave an interface, and sch_netem among them.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::netlink::{Error, Family, Message, Reply, Socket, flags};

const RTM_GETADDR: u16 = 22;
const RTM_NEWQDISC: u16 = 36;
const RTM_DELQDISC: u16 = 37;
const RTM_GETQDISC: u16 = 38;
const RTM_NEWTFILTER: u16 = 44;

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TCA_MATCHALL_ACT: u16 = 2;
const TCA_ACT_KIND: u16 = 1;
const TCA_ACT_OPTIONS: u16 = 2;
const TCA_MIRRED_PARMS: u16 = 2;

const TC_H_ROOT: u32 = 0xffff_ffff;
const TC_H_INGRESS: u32 = 0xffff_fff1;
/// The handle that the discipline for what comes in always has.
const INGRESS: u32 = 0xffff_0000;
/// Length of `struct tcmsg`.
const HEADER: usize = 20;
/// Length of `struct ifaddrmsg`.
const ADDRESS_HEADER: usize = 8;

/// One discipline, as the kernel tells it: enough to make it once more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discipline {
    /// `fq_codel`, `netem`.
    pub kind: String,
    /// Its handle; 0 for those that the kernel puts where nobody has asked for another.
    pub handle: u32,
    /// Its options, in the kernel's own form.
    pub options: Vec<u8>,
}

/// What sch_netem does to packets: the numbers of `struct tc_netem_qopt` and its attributes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Netem {
    /// How long packets wait, in nanoseconds.
    pub latency: i64,
    /// By how much that varies, in nanoseconds.
    pub jitter: i64,
    /// How it varies, as deviations in units of 1/8192 of the jitter, each as probable as any other; empty: evenly.
    pub distribution: Vec<i16>,
    /// The share of packets that come twice, of 2^32.
    pub duplicate: u32,
    /// The share of packets that do not wait, of 2^32; with a gap.
    pub reorder: u32,
    /// After one that did not, this many less one do.
    pub gap: u32,
    /// Gilbert and Elliott's model: p, r, h and 1-k, of 2^32.
    pub loss: Option<[u32; 4]>,
}

/// How many packets netem holds at most: at 20,000 a second ten seconds' worth.
const LIMIT: u32 = 200_000;

impl Netem {
    fn options(&self, message: Message) -> Message {
        const TCA_NETEM_DELAY_DIST: u16 = 2;
        const TCA_NETEM_REORDER: u16 = 3;
        const TCA_NETEM_LOSS: u16 = 5;
        const TCA_NETEM_LATENCY64: u16 = 10;
        const TCA_NETEM_JITTER64: u16 = 11;
        const NETEM_LOSS_GE: u16 = 2;
        let bytes = |numbers: &[u32]| numbers.iter().flat_map(|number| number.to_ne_bytes()).collect::<Vec<u8>>();
        // latency and jitter in ticks, which the attributes below replace; limit, loss, gap, duplicate
        let mut message = message
            .header(&bytes(&[0, LIMIT, 0, self.gap, self.duplicate, 0]))
            .attribute(TCA_NETEM_LATENCY64, &self.latency.to_ne_bytes())
            .attribute(TCA_NETEM_JITTER64, &self.jitter.to_ne_bytes());
        if !self.distribution.is_empty() {
            let table: Vec<u8> = self.distribution.iter().flat_map(|deviation| deviation.to_ne_bytes()).collect();
            message = message.attribute(TCA_NETEM_DELAY_DIST, &table);
        }
        if self.reorder > 0 {
            message = message.attribute(TCA_NETEM_REORDER, &bytes(&[self.reorder, 0]));
        }
        if let Some(loss) = self.loss {
            message = message.nested(TCA_NETEM_LOSS, |model| model.attribute(NETEM_LOSS_GE, &bytes(&loss)));
        }
        message
    }
}

/// The disciplines of one network namespace.
#[derive(Debug)]
pub struct Disciplines(Socket);

impl Disciplines {
    /// Those of the namespace in which the calling thread is.
    ///
    /// # Errors
    ///
    /// When no descriptor is free.
    pub fn open() -> Result<Self, Error> {
        Socket::open(Family::Route).map(Self)
    }

    /// The number of the interface that has this address.
    ///
    /// # Errors
    ///
    /// What the kernel says against it.
    pub fn interface_of(&mut self, address: IpAddr) -> Result<Option<u32>, Error> {
        let octets = match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let replies = self.0.dump(Message::new(RTM_GETADDR, 0).header(&[0; ADDRESS_HEADER]))?;
        let found = replies.iter().find(|reply| {
            let attributes = reply.attributes(ADDRESS_HEADER);
            let own = attributes.get(IFA_LOCAL).or_else(|| attributes.get(IFA_ADDRESS));
            own == Some(octets.as_slice())
        });
        Ok(found.and_then(|reply| word(&reply.body, 4)))
    }

    /// The discipline at the root of an interface.
    ///
    /// # Errors
    ///
    /// What the kernel says against it.
    pub fn root(&mut self, interface: u32) -> Result<Option<Discipline>, Error> {
        self.at(interface, TC_H_ROOT)
    }

    /// The discipline of what comes in by an interface: there is none unless somebody wants one.
    ///
    /// # Errors
    ///
    /// What the kernel says against it.
    pub fn ingress(&mut self, interface: u32) -> Result<Option<Discipline>, Error> {
        self.at(interface, TC_H_INGRESS)
    }

    fn at(&mut self, interface: u32, parent: u32) -> Result<Option<Discipline>, Error> {
        let mut all = self.all()?.into_iter();
        Ok(all.find(|(at, under, _)| (*at, *under) == (interface, parent)).map(|(_, _, found)| found))
    }

    /// All there are: with the number of the interface, and the handle of what each is under.
    ///
    /// # Errors
    ///
    /// What the kernel says against it.
    pub fn all(&mut self) -> Result<Vec<(u32, u32, Discipline)>, Error> {
        let replies = self.0.dump(Message::new(RTM_GETQDISC, 0).header(&header(0, 0, 0, 0)))?;
        let read = |reply: &Reply| {
            let attributes = reply.attributes(HEADER);
            let discipline = Discipline {
                kind: attributes.text(TCA_KIND)?,
                handle: word(&reply.body, 8)?,
                options: attributes.get(TCA_OPTIONS).unwrap_or_default().to_vec(),
            };
            Some((word(&reply.body, 4)?, word(&reply.body, 12)?, discipline))
        };
        Ok(replies.iter().filter_map(read).collect())
    }

    /// Puts a discipline at the root of an interface that needs no options, instead of what is there.
    ///
    /// # Errors
    ///
    /// When the kernel has none of this kind. Needs `CAP_NET_ADMIN`.
    pub fn put(&mut self, interface: u32, kind: &str, handle: u32) -> Result<(), Error> {
        let header = header(interface, handle, TC_H_ROOT, 0);
        self.0.request(new(RTM_NEWQDISC, flags::CREATE | flags::REPLACE, header).string(TCA_KIND, kind))
    }

    /// Puts netem at the root of an interface, instead of what is there.
    ///
    /// # Errors
    ///
    /// When the kernel has no sch_netem. Needs `CAP_NET_ADMIN`.
    pub fn put_netem(&mut self, interface: u32, handle: u32, netem: &Netem) -> Result<(), Error> {
        let message = new(RTM_NEWQDISC, flags::CREATE | flags::REPLACE, header(interface, handle, TC_H_ROOT, 0));
        self.0.request(message.string(TCA_KIND, "netem").nested(TCA_OPTIONS, |options| netem.options(options)))
    }

    /// Puts a discipline back at the root of an interface: one of the kernel's own choice by taking away what is there.
    ///
    /// # Errors
    ///
    /// What the kernel says against it.
    pub fn put_back(&mut self, interface: u32, before: &Discipline) -> Result<(), Error> {
        if before.handle == 0 {
            return self.0.request(new(RTM_DELQDISC, 0, header(interface, 0, TC_H_ROOT, 0)));
        }
        let header = header(interface, before.handle, TC_H_ROOT, 0);
        let message = new(RTM_NEWQDISC, flags::CREATE | flags::REPLACE, header).string(TCA_KIND, &before.kind);
        self.0.request(match before.options.as_slice() {
            [] => message,
            options => message.attribute(TCA_OPTIONS, options),
        })
    }

    /// Lets what comes in by one interface leave by another first.
    ///
    /// # Errors
    ///
    /// When the first has a discipline for what comes in already, or the kernel lacks cls_matchall or act_mirred.
    pub fn redirect(&mut self, from: u32, to: u32) -> Result<(), Error> {
        const ALL_PROTOCOLS: u16 = 0x0003;
        const STOLEN: i32 = 4;
        const EGRESS_REDIRECT: i32 = 1;
        let message = new(RTM_NEWQDISC, flags::CREATE | flags::EXCL, header(from, INGRESS, TC_H_INGRESS, 0));
        self.0.request(message.string(TCA_KIND, "ingress"))?;
        // struct tc_mirred: index, capabilities, action, references, bindings, what to do, interface
        let numbers = [0, 0, STOLEN.cast_unsigned(), 0, 0, EGRESS_REDIRECT.cast_unsigned(), to];
        let mirred: Vec<u8> = numbers.iter().flat_map(|number: &u32| number.to_ne_bytes()).collect();
        // The priority of the filter, and the protocol in the network's order.
        let info = 1 << 16 | u32::from(ALL_PROTOCOLS.to_be());
        let filter = new(RTM_NEWTFILTER, flags::CREATE | flags::EXCL, header(from, 0, INGRESS, info));
        self.0.request(filter.string(TCA_KIND, "matchall").nested(TCA_OPTIONS, |options| {
            options.nested(TCA_MATCHALL_ACT, |actions| {
                actions.nested(1, |first| {
                    first
                        .string(TCA_ACT_KIND, "mirred")
                        .nested(TCA_ACT_OPTIONS, |options| options.attribute(TCA_MIRRED_PARMS, &mirred))
                })
            })
        }))
    }

    /// Takes away the discipline of what comes in, with its filters.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn delete_ingress(&mut self, interface: u32) -> Result<(), Error> {
        self.0.request(new(RTM_DELQDISC, 0, header(interface, INGRESS, TC_H_INGRESS, 0)))
    }
}

fn new(kind: u16, more: u16, header: [u8; HEADER]) -> Message {
    Message::new(kind, flags::REQUEST | more).header(&header)
}

/// `struct tcmsg`: family, padding, interface, handle, parent, info.
fn header(interface: u32, handle: u32, parent: u32, info: u32) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    for (at, number) in [(4, interface), (8, handle), (12, parent), (16, info)] {
        header[at..at + 4].copy_from_slice(&number.to_ne_bytes());
    }
    header
}

fn word(body: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(body.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::{
        super::{link::Links, namespace::NetworkNamespace, netlink::Attributes},
        *,
    };

    #[test]
    fn an_interface_is_found_by_its_address_and_has_a_discipline_of_the_kernels_choice() {
        let Ok(network) = NetworkNamespace::create() else { return };
        network
            .run(|| {
                let address = Ipv4Addr::new(10, 0, 0, 1);
                let mut links = Links::open()?;
                links.up("lo")?;
                links.add_address("lo", address)?;
                let mut disciplines = Disciplines::open()?;
                assert_eq!(disciplines.interface_of(address.into())?, Some(1));
                assert_eq!(disciplines.interface_of(Ipv4Addr::new(10, 0, 0, 2).into())?, None);
                let root = disciplines.root(1)?.unwrap();
                assert_eq!((root.kind.as_str(), root.handle), ("noqueue", 0));
                assert_eq!(disciplines.ingress(1)?, None);
                Ok(())
            })
            .unwrap();
    }

    #[test]
    fn options_are_written_as_the_kernel_reads_them() {
        let netem = Netem { latency: 50_000_000, loss: Some([1, 2, 3, 4]), ..Netem::default() };
        let mut bytes = Vec::new();
        netem.options(Message::new(RTM_NEWQDISC, 0)).seal_into(1, &mut bytes);
        let attributes = Attributes::new(&bytes[16 + 24..]);
        assert_eq!(attributes.get(10), Some(50_000_000i64.to_ne_bytes().as_slice()));
        let loss = Attributes::new(attributes.get(5).unwrap()).get(2).unwrap();
        assert_eq!((loss.len(), word(loss, 12)), (16, Some(4)));
        assert_eq!((attributes.get(2), attributes.get(3)), (None, None));
    }
}
