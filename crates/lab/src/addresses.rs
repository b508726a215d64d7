//! Who has which address.
//!
//! ```text
//!   netns      10.0.0.1            the fabric itself: gateway of all instances, source of load and probes
//!              10.0.0.2 ...        load balancers, in the order of their names
//!              10.R.Z.10 ...       instances: region R counted from 1, zone Z of the region counted from 0; a /24 per zone
//!
//!   loopback   127.L.0.1, .2 ...   the same, in a /16 of the loopback network that the lab has to itself
//!              127.L.Z.10 ...      instances; zones of all regions counted from 1
//!              127.L.(100+Z).10 ...  the link through which balancers reach the instance 127.L.Z.10
//!              127.L.200.1 ...     links through which instances reach balancers: one per instance and balancer
//! ```
//!
//! An address is given again only when its zone has used up the others: who still talks to the old one must not meet a
//! newcomer.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use model::lab::Lab;

/// Instances are numbered from here on; what is below looks like infrastructure.
const FIRST_INSTANCE: u8 = 10;
/// The last address of a /24 that is not its broadcast address.
const LAST_INSTANCE: u8 = 254;
/// Zones of a lab on loopback addresses: the third byte from 100 on is for links.
const LOOPBACK_ZONES: usize = 99;

/// Why a lab has too few addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// More regions, zones or balancers than the scheme has numbers for.
    #[error("the lab has {count} {what}; there are addresses for {limit}")]
    TooMany {
        /// Regions, zones, load balancers.
        what: &'static str,
        /// How many the lab has.
        count: usize,
        /// How many it may have.
        limit: usize,
    },
    /// All addresses of a zone are in use.
    #[error("zone `{zone}` has no address left; there are {} per zone", LAST_INSTANCE - FIRST_INSTANCE + 1)]
    ZoneFull {
        /// The zone.
        zone: String,
    },
    /// No such zone.
    #[error("no region of the lab has a zone `{zone}`")]
    UnknownZone {
        /// The zone.
        zone: String,
    },
}

/// The addresses of a lab, and which of them are in use.
#[derive(Debug)]
pub(crate) struct Addresses {
    /// Its first two bytes, where the whole lab has a /16 of the loopback network.
    loopback: Option<[u8; 2]>,
    /// The first three bytes of each zone's subnet.
    zones: BTreeMap<String, [u8; 3]>,
    balancers: BTreeMap<String, Ipv4Addr>,
    taken: BTreeSet<Ipv4Addr>,
    /// The last byte given most recently, by zone.
    latest: BTreeMap<String, u8>,
    links: u16,
}

impl Addresses {
    /// Addresses for instances with networks of their own.
    pub(crate) fn networks(lab: &Lab) -> Result<Self, AddressError> {
        within("regions", lab.regions.len(), 255)?;
        let mut zones = BTreeMap::new();
        for (region, r) in lab.regions.iter().zip(1..=255) {
            within("zones in a region", region.zones.len(), 256)?;
            zones.extend(region.zones.iter().cloned().zip((0..=255).map(|z| [10, r, z])));
        }
        Self::new(lab, None, zones, [10, 0, 0])
    }

    /// Addresses for instances that share the loopback interface; `slot` is the second byte.
    pub(crate) fn loopback(lab: &Lab, slot: u8) -> Result<Self, AddressError> {
        let names: Vec<_> = lab.regions.iter().flat_map(|region| region.zones.iter().cloned()).collect();
        within("zones", names.len(), LOOPBACK_ZONES)?;
        let zones = names.into_iter().zip((1..=255).map(|z| [127, slot, z])).collect();
        Self::new(lab, Some([127, slot]), zones, [127, slot, 0])
    }

    fn new(
        lab: &Lab,
        loopback: Option<[u8; 2]>,
        zones: BTreeMap<String, [u8; 3]>,
        infrastructure: [u8; 3],
    ) -> Result<Self, AddressError> {
        within("load balancers", lab.balancers.len(), 253)?;
        let balancers =
            lab.balancers.keys().cloned().zip((2..=254).map(|host| address(infrastructure, host))).collect();
        Ok(Self { loopback, zones, balancers, taken: BTreeSet::new(), latest: BTreeMap::new(), links: 0 })
    }

    /// The fabric's own address.
    pub(crate) fn fabric(&self) -> Ipv4Addr {
        match self.loopback {
            Some([a, b]) => address([a, b, 0], 1),
            None => Ipv4Addr::new(10, 0, 0, 1),
        }
    }

    /// The addresses of load balancers, by name.
    pub(crate) const fn balancers(&self) -> &BTreeMap<String, Ipv4Addr> {
        &self.balancers
    }

    /// A zone's subnet, a /24.
    pub(crate) fn subnet(&self, zone: &str) -> Option<Ipv4Addr> {
        self.zones.get(zone).map(|&prefix| address(prefix, 0))
    }

    /// A free address in a zone.
    pub(crate) fn take(&mut self, zone: &str) -> Result<Ipv4Addr, AddressError> {
        let unknown = || AddressError::UnknownZone { zone: zone.to_owned() };
        let prefix = *self.zones.get(zone).ok_or_else(unknown)?;
        let latest = self.latest.get(zone).copied().unwrap_or(FIRST_INSTANCE - 1);
        let free = (latest + 1..=LAST_INSTANCE)
            .chain(FIRST_INSTANCE..=latest)
            .find(|&host| !self.taken.contains(&address(prefix, host)))
            .ok_or_else(|| AddressError::ZoneFull { zone: zone.to_owned() })?;
        self.latest.insert(zone.to_owned(), free);
        let found = address(prefix, free);
        self.taken.insert(found);
        Ok(found)
    }

    /// Gives an address back.
    pub(crate) fn release(&mut self, address: Ipv4Addr) {
        self.taken.remove(&address);
    }

    /// Where the link listens that leads to an instance on a loopback address.
    pub(crate) fn link_to(instance: Ipv4Addr) -> Ipv4Addr {
        let [a, b, zone, host] = instance.octets();
        Ipv4Addr::new(a, b, zone + 100, host)
    }

    /// An address for one more link from an instance to a balancer. There are 14,000; then they begin again.
    pub(crate) fn link_from(&mut self) -> Ipv4Addr {
        let [a, b] = self.loopback.unwrap_or([127, 0]);
        let number = self.links;
        self.links = (self.links + 1) % (56 * 250);
        let [high, low] = [number / 250, number % 250].map(|byte| u8::try_from(byte).unwrap_or(u8::MAX));
        Ipv4Addr::new(a, b, 200 + high, 1 + low)
    }
}

fn within(what: &'static str, count: usize, limit: usize) -> Result<(), AddressError> {
    if count > limit { Err(AddressError::TooMany { what, count, limit }) } else { Ok(()) }
}

fn address([a, b, c]: [u8; 3], d: u8) -> Ipv4Addr {
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use model::lab::Region;

    use super::*;

    fn lab() -> Lab {
        let region = |name: &str, zones: &[&str]| Region {
            name: name.to_owned(),
            zones: zones.iter().map(|&zone| zone.to_owned()).collect(),
        };
        Lab { regions: vec![region("local-1", &["1a", "1b"]), region("local-2", &["2a"])], ..Lab::default() }
    }

    #[test]
    fn every_zone_has_a_subnet_of_its_own() {
        let addresses = Addresses::networks(&lab()).unwrap();
        assert_eq!(addresses.subnet("1a"), Some(Ipv4Addr::new(10, 1, 0, 0)));
        assert_eq!(addresses.subnet("1b"), Some(Ipv4Addr::new(10, 1, 1, 0)));
        assert_eq!(addresses.subnet("2a"), Some(Ipv4Addr::new(10, 2, 0, 0)));
        let addresses = Addresses::loopback(&lab(), 77).unwrap();
        assert_eq!(addresses.subnet("2a"), Some(Ipv4Addr::new(127, 77, 3, 0)));
    }

    #[test]
    fn a_returned_address_is_given_again_last() {
        let mut addresses = Addresses::networks(&lab()).unwrap();
        let first = addresses.take("1a").unwrap();
        assert_eq!(first, Ipv4Addr::new(10, 1, 0, 10));
        addresses.release(first);
        for _ in 11..=254 {
            assert_ne!(addresses.take("1a").unwrap(), first);
        }
        assert_eq!(addresses.take("1a").unwrap(), first);
        assert_eq!(addresses.take("1a"), Err(AddressError::ZoneFull { zone: "1a".to_owned() }));
        assert_eq!(addresses.take("9z"), Err(AddressError::UnknownZone { zone: "9z".to_owned() }));
    }

    #[test]
    fn links_have_addresses_that_nobody_else_has() {
        let mut addresses = Addresses::loopback(&lab(), 77).unwrap();
        let instance = addresses.take("1b").unwrap();
        assert_eq!(Addresses::link_to(instance), Ipv4Addr::new(127, 77, 102, 10));
        let links: BTreeSet<_> = (0..56 * 250).map(|_| addresses.link_from()).collect();
        assert_eq!(links.len(), 56 * 250);
        assert!(links.iter().all(|link| link.octets()[2] >= 200));
    }

    #[test]
    fn too_many_zones_are_refused() {
        let zones = (0..100).map(|z| z.to_string()).collect();
        let lab = Lab { regions: vec![Region { name: "r".to_owned(), zones }], ..Lab::default() };
        assert!(matches!(Addresses::loopback(&lab, 1), Err(AddressError::TooMany { what: "zones", .. })));
    }
}
