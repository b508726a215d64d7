//! How the demo application is configured, and how that is written on a command line and in the environment.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use model::lab::DemoApp;

/// The environment variable with the addresses of the lab's names: see [`Hosts`].
pub const HOSTS_ENV: &str = "SHAKETABLE_HOSTS";

/// Everything an instance of the demo application is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The address it listens on (`HOST`).
    pub host: IpAddr,
    /// The port it listens on (`PORT`); 0 takes any free one.
    pub port: u16,
    /// Its instance id (`INSTANCE_ID`).
    pub id: String,
    /// Its zone (`ZONE`).
    pub zone: String,
    /// What it does.
    pub app: DemoApp,
    /// Addresses of names.
    pub hosts: Hosts,
}

impl Options {
    /// The arguments of `shaketable demo-app` that say the same; [`Options::hosts`] goes into the environment, as
    /// [`HOSTS_ENV`].
    ///
    /// ```text
    /// --host 10.0.0.2 --port 8080 --id i-0a --zone local-1a --work PT0.005S --startup PT1S --spool /mnt
    /// --downstream http://api.lab/ --timeout PT1S --retries 2 --breaker-failures 5 --breaker-open-for PT5S --fallback
    /// ```
    #[must_use]
    pub fn to_args(&self) -> Vec<String> {
        let mut args = Vec::new();
        let mut add = |name: &str, value: &dyn fmt::Display| args.extend([format!("--{name}"), value.to_string()]);
        add("host", &self.host);
        add("port", &self.port);
        add("id", &self.id);
        add("zone", &self.zone);
        add("work", &self.app.work);
        add("startup", &self.app.startup);
        if let Some(folder) = &self.app.spool {
            add("spool", &folder.display());
        }
        if let Some(downstream) = &self.app.downstream {
            add("downstream", &downstream.url);
            if let Some(timeout) = &downstream.timeout {
                add("timeout", timeout);
            }
            add("retries", &downstream.retries);
            if let Some(breaker) = &downstream.breaker {
                add("breaker-failures", &breaker.failures);
                add("breaker-open-for", &breaker.open_for);
            }
            let flags = [("--no-timeout", downstream.timeout.is_none()), ("--fallback", downstream.fallback)];
            args.extend(flags.into_iter().filter(|(_, set)| *set).map(|(flag, _)| flag.to_owned()));
        }
        args
    }
}

/// Addresses of the lab's names, written `web.lab=10.0.0.2,api.lab=10.0.0.3:8081`: what DNS would say, and where a balancer
/// could not have its own address or port, the port as well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts(BTreeMap<String, Host>);

/// An address, and the port if it is not the one the URL says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Host {
    ip: IpAddr,
    port: Option<u16>,
}

impl Hosts {
    /// Adds a name. With a port, connections to the name go to that port whatever the URL says.
    pub fn insert(&mut self, name: impl Into<String>, ip: IpAddr, port: Option<u16>) {
        self.0.insert(name.into(), Host { ip, port });
    }

    /// Where a connection to this name and port goes; nothing if the name is not here.
    #[must_use]
    pub fn resolve(&self, name: &str, port: u16) -> Option<SocketAddr> {
        self.0.get(name).map(|host| SocketAddr::new(host.ip, host.port.unwrap_or(port)))
    }
}

impl fmt::Display for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (name, host)) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            match host.port {
                Some(port) => write!(f, "{comma}{name}={}", SocketAddr::new(host.ip, port))?,
                None => write!(f, "{comma}{name}={}", host.ip)?,
            }
        }
        Ok(())
    }
}

/// Why a text is not [`Hosts`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{entry}` is not NAME=ADDRESS or NAME=ADDRESS:PORT; write for example {HOSTS_ENV}=web.lab=10.0.0.2,api.lab=10.0.0.3"
)]
pub struct HostsError {
    /// The entry that could not be read.
    pub entry: String,
}

impl FromStr for Hosts {
    type Err = HostsError;

    fn from_str(text: &str) -> Result<Self, HostsError> {
        let mut hosts = Self::default();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let wrong = || HostsError { entry: entry.to_owned() };
            let (name, address) = entry.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(wrong)?;
            match (address.parse::<IpAddr>(), address.parse::<SocketAddr>()) {
                (Ok(ip), _) => hosts.insert(name, ip, None),
                (_, Ok(address)) => hosts.insert(name, address.ip(), Some(address.port())),
                (Err(_), Err(_)) => return Err(wrong()),
            }
        }
        Ok(hosts)
    }
}

#[cfg(test)]
mod tests {
    use model::{
        Period,
        lab::{Breaker, Downstream},
    };
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn all_options_are_on_the_command_line_under_their_names() {
        let options = Options {
            host: "10.0.0.2".parse().unwrap(),
            port: 8080,
            id: "i-0a".to_owned(),
            zone: "local-1a".to_owned(),
            app: DemoApp {
                work: Period::from_millis(5),
                startup: Period::from_secs(1),
                downstream: Some(Downstream {
                    url: "http://api.lab/".to_owned(),
                    timeout: Some(Period::from_secs(1)),
                    retries: 2,
                    breaker: Some(Breaker { failures: 5, open_for: Period::from_secs(5) }),
                    fallback: true,
                }),
                spool: Some("/mnt".into()),
            },
            hosts: Hosts::default(),
        };
        assert_eq!(
            options.to_args().join(" "),
            "--host 10.0.0.2 --port 8080 --id i-0a --zone local-1a --work PT0.005S --startup PT1S --spool /mnt \
             --downstream http://api.lab/ --timeout PT1S --retries 2 --breaker-failures 5 --breaker-open-for PT5S --fallback"
        );
    }

    #[test]
    fn what_is_not_configured_is_not_on_the_command_line() {
        let options = Options {
            host: "::1".parse().unwrap(),
            port: 0,
            id: "i".to_owned(),
            zone: "z".to_owned(),
            app: DemoApp::default(),
            hosts: Hosts::default(),
        };
        assert_eq!(options.to_args().join(" "), "--host ::1 --port 0 --id i --zone z --work PT0S --startup PT0S");
    }

    #[test]
    fn a_name_resolves_to_its_address_and_to_its_port_if_it_has_one() {
        let hosts: Hosts = "web.lab=10.0.0.2, api.lab=127.0.0.1:9001,six.lab=[::1]:80".parse().unwrap();
        assert_eq!(hosts.resolve("web.lab", 80), Some("10.0.0.2:80".parse().unwrap()));
        assert_eq!(hosts.resolve("api.lab", 80), Some("127.0.0.1:9001".parse().unwrap()));
        assert_eq!(hosts.resolve("db.lab", 80), None);
    }

    #[test]
    fn what_is_not_a_name_with_an_address_is_refused_by_name() {
        for entry in ["web.lab", "=10.0.0.1", "web.lab=", "web.lab=10.0.0", "web.lab=10.0.0.1:http"] {
            assert_eq!(format!("a.lab=10.0.0.1,{entry}").parse::<Hosts>(), Err(HostsError { entry: entry.to_owned() }));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_the_same(
            entries in proptest::collection::btree_map("[a-z]{1,8}\\.lab", (any::<IpAddr>(), any::<Option<u16>>()), 0..6),
        ) {
            let mut hosts = Hosts::default();
            for (name, (ip, port)) in entries {
                hosts.insert(name, ip, port);
            }
            prop_assert_eq!(hosts.to_string().parse(), Ok(hosts));
        }
    }
}
