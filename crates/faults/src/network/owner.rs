//! Whose packets: how those of one object are told from others' in a namespace that they share.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
};

use crate::{
    fault::Refused,
    object::{Kind, Object},
    process::Process,
    sys::{
        connection::{States, connections},
        namespace::NetworkNamespace,
        nft::ControlGroup,
    },
};

/// Whose packets of a namespace are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    /// All that come and go: the object has the namespace for itself.
    Namespace,
    /// Those of the host's own sockets, as far as a filter says: the object is the host.
    Host,
    /// Those of the sockets of a control group: of a service, or a container in the host's network.
    Group(ControlGroup),
    /// Those to the ports on which the object's processes listen, and the answers from there: nothing else tells a process's
    /// packets by itself.
    Doors(Vec<Door>),
}

/// A TCP port on which somebody listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Door {
    pub(crate) port: u16,
    /// Whether it is open to others than those who come over the loopback.
    pub(crate) outside: bool,
}

impl Owner {
    /// Finds out how the packets of an object can be told in its namespace.
    pub(crate) fn of(object: &Object, network: &NetworkNamespace) -> Result<Self, Refused> {
        if let Some(whole) = Self::of_all(object, network)? {
            return Ok(whole);
        }
        let members = object.process()?.members();
        let doors = doors(&members, network)
            .map_err(|why| Refused(format!("the ports of {} cannot be looked up: {why}", object.name)))?;
        if doors.is_empty() {
            return Err(Refused(format!(
                "{} listens on no TCP port now: in a network that it shares with others, nothing else tells a process's packets from \
                 theirs; choose it when it listens, or a service or container with a control group of the second version",
                object.name
            )));
        }
        Ok(Self::Doors(doors))
    }

    /// How all packets of an object can be told in its namespace. `None`: at most those of some ports can.
    pub(crate) fn of_all(object: &Object, network: &NetworkNamespace) -> Result<Option<Self>, Refused> {
        if object.kind == Kind::Machine {
            return Ok(Some(Self::Host));
        }
        let shared = NetworkNamespace::current().is_ok_and(|ours| ours.is_same(network));
        match object.kind {
            Kind::Instance | Kind::Container if !shared => return Ok(Some(Self::Namespace)),
            Kind::Instance => {
                let why = format!("{} has no network of its own: its packets would be all of this host", object.name);
                return Err(Refused(why));
            }
            _ => {}
        }
        if let Some(folder) = &object.cgroup {
            return control_group(folder).map(|group| Some(Self::Group(group))).map_err(|why| {
                Refused(format!(
                    "the packets of {} cannot be told by its control group {}: {why}",
                    object.name,
                    folder.display()
                ))
            });
        }
        let members = object.process()?.members();
        let alone = !shared
            && members.iter().all(|member| lives_in(*member, network))
            && others_in(network, &members).is_empty();
        Ok(alone.then_some(Self::Namespace))
    }
}

/// The control group whose folder this is.
pub(crate) fn control_group(folder: &Path) -> io::Result<ControlGroup> {
    let wrong = |why: &str| io::Error::new(io::ErrorKind::InvalidInput, why.to_owned());
    let folder = folder.canonicalize()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let (root, mount) = mounts
        .lines()
        .filter_map(mounted)
        .filter(|(_, mount)| folder.starts_with(mount))
        .max_by_key(|(_, mount)| mount.as_os_str().len())
        .ok_or_else(|| wrong("it is not of the second version of control groups"))?;
    let depth = |path: &Path| path.components().filter(|part| matches!(part, Component::Normal(_))).count();
    let inner = folder.strip_prefix(&mount).map_err(io::Error::other)?;
    let level = depth(&root) + depth(inner);
    if level == 0 {
        return Err(wrong("it is the root, to which everything belongs"));
    }
    Ok(ControlGroup { level: u32::try_from(level).map_err(io::Error::other)?, id: fs::metadata(&folder)?.ino() })
}

/// Of a line of `mountinfo`, what is mounted where, if it is the second version of control groups.
fn mounted(line: &str) -> Option<(PathBuf, PathBuf)> {
    let (mount, kind) = line.split_once(" - ")?;
    let mut fields = mount.split(' ').skip(3);
    let (root, place) = (fields.next()?, fields.next()?);
    (kind.split(' ').next()? == "cgroup2").then(|| (root.into(), place.into()))
}

fn lives_in(process: Process, network: &NetworkNamespace) -> bool {
    NetworkNamespace::of_process(process.pid).is_ok_and(|its| its.is_same(network))
}

/// Processes in a namespace beside these.
fn others_in(network: &NetworkNamespace, members: &[Process]) -> Vec<Process> {
    Process::all().into_iter().filter(|process| !members.contains(process) && lives_in(*process, network)).collect()
}

/// The TCP ports on which these processes listen.
fn doors(members: &[Process], network: &NetworkNamespace) -> io::Result<Vec<Door>> {
    // A process of somebody else, which does not show what it has: that would look as if it had nothing.
    for member in members {
        match fs::read_dir(format!("/proc/{}/fd", member.pid)) {
            Err(why) if why.kind() == io::ErrorKind::PermissionDenied => {
                return Err(io::Error::new(why.kind(), "this user may not look at its sockets; be its user, or root"));
            }
            _ => {}
        }
    }
    let own = sockets(members);
    let listening = network.run(|| Ok(connections(States::LISTENING)?))?;
    let mut doors: BTreeMap<u16, bool> = BTreeMap::new();
    for socket in listening.iter().filter(|socket| own.contains(&socket.inode)) {
        *doors.entry(socket.local.port()).or_default() |= !socket.local.ip().is_loopback();
    }
    Ok(doors.into_iter().map(|(port, outside)| Door { port, outside }).collect())
}

/// The numbers of the sockets that processes have.
pub(crate) fn sockets(members: &[Process]) -> BTreeSet<u32> {
    let inode = |link: PathBuf| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok();
    let of = |process: &Process| fs::read_dir(format!("/proc/{}/fd", process.pid)).ok();
    members.iter().filter_map(of).flatten().filter_map(|entry| inode(fs::read_link(entry.ok()?.path()).ok()?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_mountinfo_are_read() {
        let hybrid = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:5 - cgroup2 cgroup2 rw";
        assert_eq!(mounted(hybrid), Some(("/".into(), "/sys/fs/cgroup/unified".into())));
        let inside = "29 23 0:26 /machine/a /sys/fs/cgroup rw - cgroup2 cgroup rw,nsdelegate";
        assert_eq!(mounted(inside), Some(("/machine/a".into(), "/sys/fs/cgroup".into())));
        assert_eq!(mounted("32 31 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu"), None);
        assert_eq!(mounted("nonsense"), None);
    }

    #[test]
    fn a_folder_that_is_no_control_group_is_none() {
        assert!(control_group(Path::new("/tmp")).unwrap_err().to_string().contains("second version"));
        assert!(control_group(Path::new("/nowhere/at/all")).is_err());
    }
}
