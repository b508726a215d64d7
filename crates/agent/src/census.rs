//! Who lives on this host, as `/proc` shows it at one moment.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use faults::{
    container::Id,
    process::{self, Process},
};

/// The variable by which a process says what it is: `SHAKETABLE_TAGS=app=web,tier=front`.
const TAGS: &str = "SHAKETABLE_TAGS";

/// One process that may be hit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inhabitant {
    pub(crate) process: Process,
    pub(crate) parent: i32,
    /// What the kernel calls it (at most 15 characters), or the file it runs where that says more.
    pub(crate) name: String,
    pub(crate) executable: Option<String>,
    pub(crate) command_line: String,
    pub(crate) user: String,
    /// Path of its cgroup, from the root of the hierarchy.
    pub(crate) cgroup: Option<String>,
    /// Its pid namespace, when that is not ours.
    pub(crate) pid_namespace: Option<u64>,
    /// Whether it is the init of that namespace.
    pub(crate) is_init: bool,
    /// Its network namespace, when that is not ours.
    pub(crate) network_namespace: Option<u64>,
    /// What it says of itself.
    pub(crate) tags: BTreeMap<String, String>,
}

/// Everybody who may be hit, and the cgroups of those who may not.
#[derive(Debug, Clone, Default)]
pub(crate) struct Census {
    pub(crate) inhabitants: Vec<Inhabitant>,
    /// Units and containers in which somebody lives who must not be hit.
    pub(crate) spared: BTreeSet<String>,
    /// Pid namespaces of the same kind.
    pub(crate) spared_namespaces: BTreeSet<u64>,
}

impl Census {
    /// Looks at everybody.
    pub(crate) fn take() -> Self {
        let own = i32::try_from(std::process::id()).unwrap_or_default();
        let family = family(own);
        let users = users();
        let ours = (namespace(own, "pid"), namespace(own, "net"));
        let mut census = Self::default();
        for pid in numbered(Path::new("/proc")) {
            let Ok(stat) = process::stat(pid) else { continue };
            // Kernel threads descend from kthreadd, whose id is 2.
            if stat.has_ended() || pid == 2 || stat.parent == 2 {
                continue;
            }
            let spared = pid == 1 || family.contains(&pid);
            let cgroup = cgroup(pid);
            if spared {
                census.spared.extend(cgroup.iter().filter_map(|path| unit(path).or_else(|| container(path))));
                census.spared_namespaces.extend(namespace(pid, "pid"));
                continue;
            }
            let of_process = Process { pid, started: stat.started };
            census.inhabitants.push(look(of_process, stat.parent, cgroup, ours, &users));
        }
        // In the order in which they were started, which is what makes a choice repeatable.
        census.inhabitants.sort_by_key(|one| (one.process.started, one.process.pid));
        census
    }
}

fn look(
    process: Process,
    parent: i32,
    cgroup: Option<String>,
    (our_pids, our_network): (Option<u64>, Option<u64>),
    users: &BTreeMap<u32, String>,
) -> Inhabitant {
    let folder = PathBuf::from(format!("/proc/{}", process.pid));
    let line = fs::read(folder.join("cmdline")).unwrap_or_default();
    let words: Vec<String> = line
        .split(|byte| *byte == 0)
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .filter(|word| !word.is_empty())
        .collect();
    let uid = fs::metadata(&folder).map_or(0, |found| found.uid());
    let pid_namespace = namespace(process.pid, "pid").filter(|one| Some(*one) != our_pids);
    Inhabitant {
        process,
        parent,
        name: process.names().into_iter().next().unwrap_or_else(|| "?".to_owned()),
        executable: fs::read_link(folder.join("exe")).ok().map(|path| path.display().to_string()),
        command_line: words.join(" "),
        user: users.get(&uid).cloned().unwrap_or_else(|| uid.to_string()),
        cgroup,
        pid_namespace,
        is_init: pid_namespace.is_some() && innermost(process.pid) == Some(1),
        network_namespace: namespace(process.pid, "net").filter(|one| Some(*one) != our_network),
        tags: tags(&fs::read(folder.join("environ")).unwrap_or_default()),
    }
}

/// A process, everything it descends from, and everything that descends from it.
fn family(own: i32) -> BTreeSet<i32> {
    let parents: BTreeMap<i32, i32> = numbered(Path::new("/proc"))
        .into_iter()
        .filter_map(|pid| Some((pid, process::stat(pid).ok()?.parent)))
        .collect();
    let mut family = BTreeSet::from([own]);
    let mut at = own;
    // An id that was given away while we were reading must not lead us in a circle.
    while let Some(parent) = parents.get(&at).filter(|parent| **parent > 0 && !family.contains(*parent)) {
        family.insert(*parent);
        at = *parent;
    }
    let mut generation = vec![own];
    while let Some(parent) = generation.pop() {
        for (child, _) in parents.iter().filter(|(_, of)| **of == parent) {
            if family.insert(*child) {
                generation.push(*child);
            }
        }
    }
    family
}

fn numbered(folder: &Path) -> Vec<i32> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// The number of a process's namespace.
pub(crate) fn namespace(pid: i32, kind: &str) -> Option<u64> {
    let link = fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok()?;
    link.to_str()?.strip_prefix(kind)?.strip_prefix(":[")?.strip_suffix(']')?.parse().ok()
}

/// The id a process has in its own pid namespace.
fn innermost(pid: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("NSpid:"))?.split_whitespace().last()?.parse().ok()
}

fn cgroup(pid: i32) -> Option<String> {
    path_of_cgroup(&fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?)
}

/// The path in the one hierarchy of version 2, else in the hierarchy that systemd names, else in that of the pids controller.
fn path_of_cgroup(text: &str) -> Option<String> {
    let path = |wanted: &str| {
        text.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            (controllers == wanted && path != "/").then(|| path.to_owned())
        })
    };
    path("").or_else(|| path("name=systemd")).or_else(|| path("pids"))
}

/// The systemd unit to which a cgroup belongs: `nginx.service`.
pub(crate) fn unit(cgroup: &str) -> Option<String> {
    // A user's own services lie inside the service of the user's manager.
    cgroup.rsplit('/').find(|part| part.ends_with(".service")).map(str::to_owned)
}

/// The container to which a cgroup belongs, by the first twelve digits of its id, as container tools show it.
pub(crate) fn container(cgroup: &str) -> Option<String> {
    Id::of_group(cgroup).map(|id| id.short().to_owned())
}

/// What an environment says of the process: `app=web,tier=front`.
fn tags(environment: &[u8]) -> BTreeMap<String, String> {
    let lines = environment.split(|byte| *byte == 0);
    let text = lines.filter_map(|line| std::str::from_utf8(line).ok()?.strip_prefix(TAGS)?.strip_prefix('=')).next();
    let pairs = text.unwrap_or_default().split(',').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .filter(|(key, _)| !key.is_empty())
        .collect()
}

/// Names of users, as far as this file system knows them.
fn users() -> BTreeMap<u32, String> {
    let text = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let user = |line: &str| {
        let mut fields = line.split(':');
        let (name, _, uid) = (fields.next()?, fields.next()?, fields.next()?.parse().ok()?);
        Some((uid, name.to_owned()))
    };
    text.lines().filter_map(user).collect()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn units_and_containers_are_told_from_the_paths_of_cgroups() {
        assert_eq!(unit("/system.slice/nginx.service").as_deref(), Some("nginx.service"));
        let of_user = "/user.slice/user-1000.slice/user@1000.service/app.slice/web.service";
        assert_eq!(unit(of_user).as_deref(), Some("web.service"));
        assert_eq!(unit("/user.slice/session-1.scope"), None);
        let id = "4f9c0c0e4f0b".to_owned() + &"0".repeat(52);
        assert_eq!(container(&format!("/system.slice/docker-{id}.scope")).as_deref(), Some("4f9c0c0e4f0b"));
        // What looks after a container is not in it.
        assert_eq!(container(&format!("/machine.slice/libpod-conmon-{id}.scope")), None);
        assert_eq!(container("/system.slice/nginx.service"), None);
    }

    #[test]
    fn the_path_is_that_of_version_two_or_of_systemd() {
        assert_eq!(path_of_cgroup("0::/system.slice/a.service\n").as_deref(), Some("/system.slice/a.service"));
        let hybrid = "12:pids:/b\n1:name=systemd:/system.slice/c.service\n0::/\n";
        assert_eq!(path_of_cgroup(hybrid).as_deref(), Some("/system.slice/c.service"));
        assert_eq!(path_of_cgroup("0::/\n"), None);
    }

    #[test]
    fn a_process_says_what_it_is() {
        let said = tags(b"HOME=/\0SHAKETABLE_TAGS=app=web, tier=front,nonsense,=x\0SHAKETABLE_TAGSX=a=b\0");
        assert_eq!(
            said,
            BTreeMap::from([("app".to_owned(), "web".to_owned()), ("tier".to_owned(), "front".to_owned())])
        );
    }

    #[test]
    fn neither_we_nor_who_began_us_nor_our_children_nor_the_first_process_are_among_those_who_may_be_hit() {
        let mut child = Command::new("sleep").arg("100").stdin(Stdio::null()).spawn().unwrap();
        let census = Census::take();
        let own = i32::try_from(std::process::id()).unwrap();
        let parent = process::stat(own).unwrap().parent;
        let child_pid = i32::try_from(child.id()).unwrap();
        for pid in [1, own, parent, child_pid] {
            assert!(census.inhabitants.iter().all(|one| one.process.pid != pid), "{pid}");
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
