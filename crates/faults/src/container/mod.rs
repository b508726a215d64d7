//! Faults of containers: by their control groups, or by their runtime's API.

pub mod kill;
pub mod pause;
mod runtime;
pub mod stop;

use std::path::{Path, PathBuf};

use model::catalogue::TargetKind;
pub(crate) use runtime::try_runtime;

use crate::{
    CONTAINERS, cgroup,
    fault::Refused,
    object::{Kind, Object},
    ourselves,
    process::Process,
};

/// What these faults hit.
const TARGETS: &[TargetKind] = &[CONTAINERS];

/// Who made a container, as far as the name of its control group tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maker {
    /// Docker.
    Docker,
    /// Podman.
    Podman,
    /// containerd or CRI-O for Kubernetes, which looks after the container itself.
    Kubernetes,
    /// Somebody who calls the group by the id alone.
    Unknown,
}

/// A container's id, as the path of its control group has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Id {
    /// Who made it.
    pub maker: Maker,
    /// 64 digits.
    pub digits: String,
}

impl Id {
    /// The container that a control group belongs to: `docker-ID.scope`, `/docker/ID`, `libpod-ID.scope`,
    /// `cri-containerd-ID.scope`, `crio-ID.scope`, `SLICE:cri-containerd:ID`, or the id alone. The group of a container's
    /// monitor (`libpod-conmon-ID.scope`) is none of the container.
    #[must_use]
    pub fn of_group(path: &str) -> Option<Self> {
        Self::place_in(path).map(|(id, _)| id)
    }

    /// The first twelve digits, as container tools show it.
    #[must_use]
    pub fn short(&self) -> &str {
        self.digits.get(..12).unwrap_or(&self.digits)
    }

    /// The container, and the path of the group that has all of it.
    fn place_in(path: &str) -> Option<(Self, &str)> {
        let mut end = path.len();
        for part in path.rsplit('/') {
            let above = &path[..end - part.len()];
            let name = part.strip_suffix(".scope").unwrap_or(part);
            let (prefix, digits) = name.rfind(['-', ':']).map_or(("", name), |at| (&name[..at], &name[at + 1..]));
            let is_id = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            if let Some(maker) = maker(prefix, above).filter(|_| is_id) {
                return Some((Self { maker, digits: digits.to_owned() }, &path[..end]));
            }
            end = above.trim_end_matches('/').len();
        }
        None
    }
}

/// From what stands before the id, and above it.
fn maker(prefix: &str, above: &str) -> Option<Maker> {
    // Where a slice of systemd was meant and none is: `system.slice:docker:ID`.
    let prefix = prefix.rsplit(':').next().unwrap_or(prefix);
    match prefix {
        "" if above.contains("kubepods") => Some(Maker::Kubernetes),
        "" if above.ends_with("/docker/") => Some(Maker::Docker),
        "" | "nerdctl" => Some(Maker::Unknown),
        "docker" if above.contains("kubepods") => Some(Maker::Kubernetes),
        "docker" => Some(Maker::Docker),
        "libpod" => Some(Maker::Podman),
        "cri-containerd" | "crio" => Some(Maker::Kubernetes),
        _ => None,
    }
}

/// A container as a fault finds it.
struct Container {
    /// Its first process.
    init: Process,
    id: Option<Id>,
    /// The folder of its own control group of version 2, if it has one.
    unified: Option<PathBuf>,
    /// The same of the freezer of version 1.
    freezer: Option<PathBuf>,
}

impl Container {
    /// The container that an object is, if this program does not live in it.
    fn of(object: &Object) -> Result<Self, Refused> {
        if object.kind != Kind::Container {
            return Err(Refused(format!("{} is not a container", object.name)));
        }
        let init = object.process()?;
        if init.members().into_iter().any(ourselves::is_among) {
            return Err(Refused(format!(
                "{} has this very process among its processes, or one that it was started by",
                object.name
            )));
        }
        let groups = cgroup::of(init);
        let own = |path: &Option<PathBuf>| path.as_deref().and_then(own_group);
        let id = groups.paths.iter().find_map(|path| Id::of_group(path));
        Ok(Self { init, id, unified: own(&groups.unified), freezer: own(&groups.freezer) })
    }
}

/// The folder that has all of a container and nothing else, from one in which a process of it is.
fn own_group(folder: &Path) -> Option<PathBuf> {
    let (_, whole) = Id::place_in(folder.to_str()?)?;
    Some(PathBuf::from(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4f9c0c0e4f0b6f2f7e1d1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f";

    #[test]
    fn containers_are_told_from_the_paths_of_control_groups() {
        for (path, maker, below) in [
            ("/system.slice/docker-ID.scope", Maker::Docker, ""),
            ("/docker/ID", Maker::Docker, "/nested/deeper"),
            ("/system.slice/system.slice:docker:ID", Maker::Docker, ""),
            ("/machine.slice/libpod-ID.scope", Maker::Podman, "/container"),
            ("/libpod_parent/libpod-ID", Maker::Podman, ""),
            ("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope", Maker::Podman, "/container"),
            ("/kubepods.slice/kubepods-burstable.slice/cri-containerd-ID.scope", Maker::Kubernetes, ""),
            ("/kubepods.slice/kubepods-pod1.slice/crio-ID.scope", Maker::Kubernetes, "/system.slice/a.service"),
            ("/kubepods/besteffort/pod9e2a/ID", Maker::Kubernetes, ""),
            ("/system.slice/kubepods-pod1.slice:cri-containerd:ID", Maker::Kubernetes, ""),
            ("/kubepods.slice/docker-ID.scope", Maker::Kubernetes, ""),
            ("/default/ID", Maker::Unknown, ""),
            ("/system.slice/nerdctl-ID.scope", Maker::Unknown, ""),
        ] {
            let whole = path.replace("ID", ID);
            let id = Id { maker, digits: ID.to_owned() };
            assert_eq!(Id::place_in(&format!("{whole}{below}")), Some((id.clone(), whole.as_str())), "{path}");
            assert_eq!(id.short(), "4f9c0c0e4f0b");
        }
    }

    #[test]
    fn monitors_services_and_short_ids_are_no_containers() {
        for path in [
            "/machine.slice/libpod-conmon-ID.scope",
            "/kubepods.slice/crio-conmon-ID.scope",
            "/system.slice/nginx.service",
            "/docker/4f9c0c0e4f0b",
            "/system.slice/web-ID.service",
            "/",
            "",
        ] {
            assert_eq!(Id::of_group(&path.replace("ID", ID)), None, "{path}");
        }
    }
}
