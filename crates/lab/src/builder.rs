//! Makes instances from their group's specification: identity, address, network, command, environment, log.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Mutex},
};

use model::lab::{Group, Lab, Run};

use crate::{
    addresses::Addresses,
    demo_app::{HOSTS_ENV, Hosts, Options},
    fabric::Fabric,
    group::Ordinal,
    identity::Identity,
    instance::{Home, Instance},
    loopback::Loopback,
    shim::DISK_ENV,
};

/// What instances stand on.
#[derive(Debug)]
pub(crate) enum Ground {
    /// A network each.
    Fabric(Fabric),
    /// The loopback interface, and links between addresses of it.
    Loopback(Arc<Loopback>),
}

/// Makes instances.
#[derive(Debug)]
pub(crate) struct Builder {
    pub(crate) spec: Arc<Lab>,
    pub(crate) identity: Identity,
    pub(crate) ground: Ground,
    /// The program with the subcommands for shim and demo application.
    pub(crate) program: PathBuf,
    /// Where the balancers listen.
    pub(crate) balancers: Vec<(String, SocketAddr)>,
    /// Interfaces made so far: their names must differ.
    pub(crate) interfaces: u32,
}

impl Builder {
    pub(crate) const fn identity(&self) -> Identity {
        self.identity
    }

    /// Makes an instance of a group; its process is not started yet.
    pub(crate) fn build(
        &mut self,
        group: &str,
        ordinal: Ordinal,
        zone: &str,
        addresses: &mut Addresses,
    ) -> io::Result<Instance> {
        let unknown = || io::Error::other(format!("the lab has no group `{group}`"));
        let spec = self.spec.groups.get(group).ok_or_else(unknown)?.clone();
        let address = addresses.take(zone).map_err(io::Error::other)?;
        let made = self.build_at(group, &spec, ordinal, zone, address, addresses);
        if made.is_err() {
            addresses.release(address);
        }
        made
    }

    fn build_at(
        &mut self,
        group: &str,
        spec: &Group,
        ordinal: Ordinal,
        zone: &str,
        address: Ipv4Addr,
        addresses: &mut Addresses,
    ) -> io::Result<Instance> {
        let id = self.identity.instance(group, ordinal);
        let region = self.spec.regions.iter().find(|region| region.zones.iter().any(|name| name == zone));
        let (home, balancers) = match &self.ground {
            Ground::Fabric(fabric) => {
                self.interfaces += 1;
                let interface = format!("veth{}", self.interfaces);
                // A balancer's requests come from the balancer's address, so that a fault can tell them from others.
                let balancer = self.spec.balancers.iter().find(|(_, one)| one.group == group);
                let source = balancer.and_then(|(name, _)| addresses.balancers().get(name).copied());
                let network = fabric.connect(&interface, address, source.unwrap_or_else(|| addresses.fabric()))?;
                let home = Home { network: Arc::new(network), fabric: Arc::clone(fabric.network()), interface };
                (Some(home), self.balancers.clone())
            }
            Ground::Loopback(loopback) => {
                (None, loopback.connect(&id, (address, spec.port), &self.balancers, addresses)?)
            }
        };
        let mut hosts = Hosts::default();
        for (name, at) in &balancers {
            let wanted = self.spec.balancers.get(name).map(|one| one.port);
            hosts.insert(format!("{name}.lab"), at.ip(), (wanted != Some(at.port())).then_some(at.port()));
        }
        let given = [
            ("HOST", address.to_string()),
            ("PORT", spec.port.to_string()),
            ("INSTANCE_ID", id.to_string()),
            ("ZONE", zone.to_owned()),
            ("GROUP", group.to_owned()),
            (HOSTS_ENV, hosts.to_string()),
        ];
        let disk = spec.disk.map(|bytes| (DISK_ENV.to_owned(), bytes.to_string()));
        let own = spec.env.iter().map(|(name, value)| (name.clone(), value.clone()));
        Ok(Instance {
            command: self.command(spec, address, zone, &id.0),
            // What the lab says comes last, and overrules.
            environment: own.chain(given.map(|(name, value)| (name.to_owned(), value))).chain(disk).collect(),
            id,
            group: group.to_owned(),
            ordinal,
            region: region.map(|region| region.name.clone()).unwrap_or_default(),
            zone: zone.to_owned(),
            address,
            port: spec.port,
            home,
            program: self.program.clone(),
            log: tempfile::tempfile()?,
            process: Mutex::new(None),
        })
    }

    fn command(&self, spec: &Group, address: Ipv4Addr, zone: &str, id: &str) -> Vec<String> {
        match &spec.run {
            Run::DemoApp(app) => {
                let options = Options {
                    host: IpAddr::V4(address),
                    port: spec.port,
                    id: id.to_owned(),
                    zone: zone.to_owned(),
                    app: app.clone(),
                    // They are in the environment.
                    hosts: Hosts::default(),
                };
                let program = self.program.to_string_lossy().into_owned();
                [program, "demo-app".to_owned()].into_iter().chain(options.to_args()).collect()
            }
            Run::Command(words) => {
                let (host, port) = (address.to_string(), spec.port.to_string());
                words.iter().map(|word| word.replace("{host}", &host).replace("{port}", &port)).collect()
            }
        }
    }

    /// Where the lab's balancers reach an instance.
    pub(crate) fn reached_at(&self, instance: &Instance) -> SocketAddr {
        match &self.ground {
            Ground::Fabric(_) => instance.socket(),
            Ground::Loopback(loopback) => loopback.reached_at(&instance.id).unwrap_or_else(|| instance.socket()),
        }
    }

    /// Takes away the network of an instance that is gone for good.
    pub(crate) fn dismantle(&self, instance: &Instance, addresses: &mut Addresses) {
        match (&self.ground, &instance.home) {
            (Ground::Fabric(fabric), Some(home)) => fabric.disconnect(&home.interface),
            (Ground::Loopback(loopback), _) => loopback.disconnect(&instance.id),
            (Ground::Fabric(_), None) => {}
        }
        addresses.release(instance.address);
    }
}
