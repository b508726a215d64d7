//! What of this host can be hit: from a census to resources, and from a resource to the object that faults are given.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use faults::{Kind, Object, sys::namespace::NetworkNamespace};
use model::resource::{Resource, ResourceId};

use crate::census::{Census, Inhabitant, container, unit};

/// A resource and the processes it is.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) resource: Resource,
    kind: Kind,
    /// The process that leads it; a machine has none.
    lead: Option<Inhabitant>,
}

/// Everything that can be hit, processes first, each kind in the order of its start.
pub(crate) fn found(census: &Census) -> Vec<Found> {
    let host = host_name();
    let mut all: Vec<Found> = census.inhabitants.iter().map(|one| of_process(one, &host)).collect();
    let services = gathered(census, |one| unit(one.cgroup.as_deref()?).filter(|unit| !census.spared.contains(unit)));
    all.extend(services.into_iter().map(|(unit, members)| {
        let resource = whole("host:service", "service", &unit, &unit, &members, &host);
        Found { resource, kind: Kind::Service, lead: lead(&members) }
    }));
    all.extend(gathered(census, |one| container_of(one, census)).into_iter().map(|(id, members)| {
        let name = format!("container-{id}");
        let resource = whole("host:container", "container", &name, &id, &members, &host);
        Found { resource, kind: Kind::Container, lead: lead(&members) }
    }));
    all.push(machine(&host));
    all
}

/// The container a process lives in: by the name of its cgroup, else by its pid namespace.
fn container_of(one: &Inhabitant, census: &Census) -> Option<String> {
    if one.pid_namespace.is_some_and(|namespace| census.spared_namespaces.contains(&namespace)) {
        return None;
    }
    let by_name = one.cgroup.as_deref().and_then(container);
    match by_name {
        Some(id) => (!census.spared.contains(&id)).then_some(id),
        None => one.pid_namespace.map(|namespace| namespace.to_string()),
    }
}

/// The inhabitants that share something, by what it is called.
fn gathered(census: &Census, by: impl Fn(&Inhabitant) -> Option<String>) -> BTreeMap<String, Vec<&Inhabitant>> {
    let mut gathered: BTreeMap<String, Vec<&Inhabitant>> = BTreeMap::new();
    for one in &census.inhabitants {
        if let Some(name) = by(one) {
            gathered.entry(name).or_default().push(one);
        }
    }
    gathered
}

/// Who leads: the init of a namespace, else the first one whose parent is none of them.
fn lead(members: &[&Inhabitant]) -> Option<Inhabitant> {
    let parent_outside = |one: &&&Inhabitant| members.iter().all(|other| other.process.pid != one.parent);
    let lead = members
        .iter()
        .find(|one| one.is_init)
        .or_else(|| members.iter().find(parent_outside))
        .or_else(|| members.first());
    lead.map(|one| (**one).clone())
}

fn process_id(one: &Inhabitant) -> ResourceId {
    ResourceId(format!("{}[{}]", one.name, one.process.pid))
}

fn of_process(one: &Inhabitant, host: &str) -> Found {
    let id = process_id(one);
    let mut tags = one.tags.clone();
    tags.insert("name".to_owned(), one.name.clone());
    tags.insert("user".to_owned(), one.user.clone());
    let attributes = attributes([
        ("Name", Some(one.name.clone())),
        ("Pid", Some(one.process.pid.to_string())),
        ("User", Some(one.user.clone())),
        ("Executable", one.executable.clone()),
        ("CommandLine", Some(one.command_line.clone())),
        ("Unit", one.cgroup.as_deref().and_then(unit)),
        ("Container", one.cgroup.as_deref().and_then(container)),
    ]);
    let resource = Resource {
        arn: arn(host, "process", &one.process.pid.to_string()),
        types: vec!["host:process".to_owned()],
        tags,
        // Processes of one name do one work: limits count shares of them.
        group: Some(one.name.clone()),
        attributes,
        id,
        ..Resource::default()
    };
    Found { resource, kind: Kind::Process, lead: Some(one.clone()) }
}

fn whole(resource_type: &str, word: &str, id: &str, name: &str, members: &[&Inhabitant], host: &str) -> Resource {
    let mut tags: BTreeMap<String, String> = BTreeMap::new();
    for one in members {
        tags.extend(one.tags.clone());
    }
    tags.insert("name".to_owned(), name.to_owned());
    let pids = members.iter().map(|one| one.process.pid.to_string()).collect();
    let mut attributes = attributes([("Name", Some(name.to_owned()))]);
    attributes.insert("Pid".to_owned(), pids);
    Resource {
        id: ResourceId(id.to_owned()),
        types: vec![resource_type.to_owned()],
        arn: arn(host, word, name),
        tags,
        group: Some(name.to_owned()),
        attributes,
        contains: members.iter().map(|one| process_id(one)).collect(),
        ..Resource::default()
    }
}

fn machine(host: &str) -> Found {
    let resource = Resource {
        id: ResourceId(host.to_owned()),
        types: vec!["host:machine".to_owned()],
        arn: arn(host, "machine", host),
        tags: BTreeMap::from([("name".to_owned(), host.to_owned())]),
        attributes: attributes([("Name", Some(host.to_owned()))]),
        ..Resource::default()
    };
    Found { resource, kind: Kind::Machine, lead: None }
}

fn attributes<const N: usize>(of: [(&str, Option<String>); N]) -> BTreeMap<String, Vec<String>> {
    of.into_iter().filter_map(|(path, value)| Some((path.to_owned(), vec![value?]))).collect()
}

fn arn(host: &str, word: &str, name: &str) -> String {
    format!("arn:shaketable:host::{host}:{word}/{name}")
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

impl Found {
    /// What faults are given.
    pub(crate) fn object(&self) -> Object {
        let network = self.lead.as_ref().filter(|lead| lead.network_namespace.is_some());
        Object {
            name: self.resource.id.to_string(),
            kind: self.kind,
            pid: self.lead.as_ref().map(|lead| lead.process.pid),
            started: self.lead.as_ref().map(|lead| lead.process.started),
            cgroup: self.cgroup(),
            // When it cannot be entered, faults of the network say so.
            network: network.and_then(|lead| NetworkNamespace::of_process(lead.process.pid).ok()).map(Arc::new),
            memory_bytes: memory_total(),
            ..Object::default()
        }
    }

    /// Where its cgroup lies in the file system, in the one hierarchy of version 2.
    fn cgroup(&self) -> Option<PathBuf> {
        const ROOT: &str = "/sys/fs/cgroup";
        let path = self.lead.as_ref().filter(|_| self.kind != Kind::Process)?.cgroup.as_ref()?;
        let folder = Path::new(ROOT).join(path.trim_start_matches('/'));
        (Path::new(ROOT).join("cgroup.controllers").exists() && folder.is_dir()).then_some(folder)
    }
}

/// The memory of the machine in bytes.
fn memory_total() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kibibytes = total.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kibibytes.unwrap_or_default() * 1024
}

#[cfg(test)]
mod tests {
    use faults::process::Process;

    use super::*;

    fn inhabitant(pid: i32, name: &str, cgroup: Option<&str>) -> Inhabitant {
        Inhabitant {
            process: Process { pid, started: u64::from(pid.unsigned_abs()) },
            parent: 1,
            name: name.to_owned(),
            executable: None,
            command_line: name.to_owned(),
            user: "nobody".to_owned(),
            cgroup: cgroup.map(str::to_owned),
            pid_namespace: None,
            is_init: false,
            network_namespace: None,
            tags: BTreeMap::new(),
        }
    }

    fn ids(census: &Census, resource_type: &str) -> Vec<String> {
        found(census).into_iter().filter(|one| one.resource.is_a(resource_type)).map(|one| one.resource.id.0).collect()
    }

    #[test]
    fn a_service_is_its_processes_led_by_the_one_that_was_started_from_outside() {
        let unit = Some("/system.slice/nginx.service");
        let worker = Inhabitant { parent: 10, ..inhabitant(9, "nginx", unit) };
        let census = Census { inhabitants: vec![worker, inhabitant(10, "nginx", unit)], ..Census::default() };
        let services: Vec<Found> = found(&census).into_iter().filter(|one| one.resource.is_a("host:service")).collect();
        assert_eq!(services.len(), 1);
        assert_eq!(services[0].resource.id.0, "nginx.service");
        assert_eq!(services[0].resource.contains.len(), 2);
        assert_eq!(services[0].object().pid, Some(10));
        assert_eq!(ids(&census, "host:process"), ["nginx[9]", "nginx[10]"]);
    }

    #[test]
    fn what_somebody_lives_in_who_must_not_be_hit_is_not_offered() {
        let mut census =
            Census { inhabitants: vec![inhabitant(5, "sshd", Some("/system.slice/ssh.service"))], ..Census::default() };
        census.inhabitants.push(Inhabitant { pid_namespace: Some(77), ..inhabitant(6, "x", None) });
        assert_eq!(ids(&census, "host:service"), ["ssh.service"]);
        assert_eq!(ids(&census, "host:container"), ["container-77"]);
        census.spared.insert("ssh.service".to_owned());
        census.spared_namespaces.insert(77);
        assert!(ids(&census, "host:service").is_empty() && ids(&census, "host:container").is_empty());
    }
}
