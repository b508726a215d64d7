//! A folder of the target's: where faults of disks act.

use std::{
    fmt, fs, io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::{Component, Path, PathBuf},
};

use model::catalogue::{Parameter, ParameterKind};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, StatVfs, fstatvfs, openat, openat2};
use serde::{Deserialize, Serialize};

use crate::{
    fault::Refused,
    object::{Kind, Object},
    parameters::{Checked, Size},
    process::Process,
};

/// Which disk.
pub(crate) const PATH: Parameter = Parameter {
    name: "path",
    kind: ParameterKind::Folder,
    required: false,
    default: None,
    about: "A folder on the disk, as the target sees it; without it, that of the target's own disk, or `/` of a machine.",
};
/// Whether the fault may reach others than the target, on a file system that they share.
pub(crate) const SHARED: Parameter = Parameter {
    name: "shared",
    kind: ParameterKind::Boolean,
    required: false,
    default: Some("false"),
    about: "Whether the file system may be one that other processes of this host see too.",
};
/// What is never taken.
pub(crate) const RESERVE: Parameter = Parameter {
    name: "reserve",
    kind: ParameterKind::Size,
    required: false,
    default: Some("1%"),
    about: "What stays free whatever is asked for: of the file system (1%), or an amount.",
};

/// A folder, as the target's processes see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Folder {
    /// Whose root it starts from.
    pub(crate) of: Process,
    /// Absolute, and without `..`.
    pub(crate) path: PathBuf,
}

impl Folder {
    /// The folder that the parameter `path` names, or the one of the target's own disk.
    ///
    /// # Errors
    ///
    /// When it is not absolute, climbs, or is no folder in the sight of the target; or when none is named, and the target has no
    /// disk of its own.
    pub(crate) fn plan(object: &Object, parameters: Checked<'_>) -> Result<Self, Refused> {
        let root = || (object.kind == Kind::Machine).then(|| PathBuf::from("/"));
        let own = || object.disk.clone().or_else(root);
        let path = parameters.text("path").map(plain).transpose().map_err(Refused)?.or_else(own);
        let none = || Refused(format!("{} has no disk of its own: say which folder, by `path`", object.name));
        // What a machine sees is what this process sees.
        let of = object.company()?.map_or_else(Process::own, Ok);
        let of = of.map_err(|why| Refused(format!("this process cannot be found: {why}")))?;
        let folder = Self { of, path: path.ok_or_else(none)? };
        folder.open().map_err(|why| Refused(format!("{folder} of {} cannot be used: {why}", object.name)))?;
        Ok(folder)
    }

    /// The folder of a disk that may be loaded, and what that disk has.
    ///
    /// # Errors
    ///
    /// As [`plan`](Self::plan); and when the disk is not the target's alone, though the parameters do not allow that.
    pub(crate) fn plan_disk(object: &Object, parameters: Checked<'_>) -> Result<(Self, Space), Refused> {
        let folder = Self::plan(object, parameters)?;
        folder.alone_or_allowed(object, parameters)?;
        let space = folder.space();
        let space = space.map_err(|why| Refused(format!("how full the disk of {folder} is cannot be read: {why}")))?;
        Ok((folder, space))
    }

    /// Opens it, as a place to look up names from. Links on the way are followed as the target would: they do not lead out of
    /// its root.
    ///
    /// # Errors
    ///
    /// When it is not there, or is no folder; or when the target has ended.
    pub(crate) fn open(&self) -> io::Result<OwnedFd> {
        let root = root_of(self.of)?;
        let within = self.path.strip_prefix("/").unwrap_or(&self.path);
        let within = if within.as_os_str().is_empty() { Path::new(".") } else { within };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(openat2(&root, within, flags, Mode::empty(), ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)?)
    }

    /// A file in it that has no name, and so is gone when its last descriptor is closed, however that comes.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` when the file system has no such files.
    pub(crate) fn nameless(&self, more: OFlags) -> io::Result<fs::File> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC | more;
        Ok(openat(self.open()?, ".", flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    /// What its file system has.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub(crate) fn space(&self) -> io::Result<Space> {
        Ok(Space::of(&fstatvfs(self.open()?)?))
    }

    /// Refuses a file system that is not the target's alone, unless the parameters allow it or the target is this machine.
    ///
    /// # Errors
    ///
    /// When it is shared, or cannot be found out.
    fn alone_or_allowed(&self, object: &Object, parameters: Checked<'_>) -> Result<(), Refused> {
        if object.kind == Kind::Machine || parameters.read("shared")? {
            return Ok(());
        }
        let shared = self.is_shared();
        let shared = shared.map_err(|why| Refused(format!("whose file system {self} is on cannot be found: {why}")))?;
        if shared {
            return Err(Refused(format!(
                "the file system of {self} is not that of {} alone: others on this host would suffer too; name a folder on \
                 one of its own, or say `shared: true`",
                object.name
            )));
        }
        Ok(())
    }

    /// Whether its file system is mounted where this process sees it, too.
    fn is_shared(&self) -> io::Result<bool> {
        let folder = self.open()?;
        let information = fs::read_to_string(format!("/proc/self/fdinfo/{}", folder.as_fd().as_raw_fd()))?;
        let mount = information.lines().find_map(|line| line.strip_prefix("mnt_id:")).map(str::trim);
        let mount = mount.ok_or_else(|| io::Error::other("the kernel does not say which mount it is on"))?;
        let theirs = fs::read_to_string(format!("/proc/{}/mountinfo", self.of.pid))?;
        let device =
            device_of(&theirs, mount).ok_or_else(|| io::Error::other("its mount is not among the target's"))?;
        let ours = fs::read_to_string("/proc/self/mountinfo")?;
        Ok(devices(&ours).any(|(_, ours)| ours == device))
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

/// The root folder of a process, surely this one's.
pub(crate) fn root_of(process: Process) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, format!("/proc/{}/root", process.pid), flags, Mode::empty())?;
    // It was alive after the root was opened, so that was its.
    if process.is_alive() { Ok(root) } else { Err(io::Error::other(format!("process {} has ended", process.pid))) }
}

/// An absolute path without `..`.
fn plain(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    if !path.is_absolute() {
        return Err(format!("`path`: `{text}` must begin with `/`: it is looked up in the target's root folder"));
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(format!("`path`: `{text}` must not contain `..`"));
    }
    Ok(path.components().collect())
}

/// Mounts and their devices: the first and third field of proc_pid_mountinfo(5).
fn devices(mounts: &str) -> impl Iterator<Item = (&str, &str)> {
    mounts.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        Some((fields.next()?, fields.nth(1)?))
    })
}

fn device_of<'a>(mounts: &'a str, mount: &str) -> Option<&'a str> {
    devices(mounts).find_map(|(id, device)| (id == mount).then_some(device))
}

/// What a file system has, in bytes, as `df` counts: what only root may use is neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Space {
    /// In use.
    pub(crate) used: u64,
    /// Free for everybody.
    pub(crate) free: u64,
}

impl Space {
    fn of(stat: &StatVfs) -> Self {
        Self {
            used: stat.f_blocks.saturating_sub(stat.f_bfree).saturating_mul(stat.f_frsize),
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
        }
    }

    /// All of it.
    pub(crate) const fn whole(self) -> u64 {
        self.used.saturating_add(self.free)
    }

    /// How much of it is in use, in percent.
    #[expect(clippy::cast_precision_loss, reason = "a percentage needs no 53 bits")]
    pub(crate) fn percent_used(self) -> f64 {
        self.used as f64 / (self.whole() as f64).max(1.0) * 100.0
    }

    /// What may be taken when this much is to stay free.
    pub(crate) fn beyond(self, reserve: Size) -> u64 {
        self.free.saturating_sub(reserve.of(self.whole()))
    }
}

/// Bytes for people: `512 MiB`, and smaller things in smaller units.
pub(crate) fn amount(bytes: u64) -> String {
    // From ten of a unit on, what is cut off is below a tenth.
    const KIBIBYTES: u64 = 10 << 10;
    const MEBIBYTES: u64 = 10 << 20;
    match bytes {
        0..KIBIBYTES => format!("{bytes} bytes"),
        KIBIBYTES..MEBIBYTES => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_absolute_and_do_not_climb() {
        for path in ["/", "/srv/data", "/srv//data/./x/"] {
            assert!(plain(path).is_ok(), "{path}");
        }
        for path in ["", "srv", "../srv", "/srv/../etc", "/..", "./x"] {
            assert!(plain(path).is_err(), "{path}");
        }
    }

    #[test]
    fn links_of_the_target_lead_nowhere_outside_of_its_root() {
        let own = Process::find(i32::try_from(std::process::id()).unwrap()).unwrap();
        let place = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/proc/self/root", place.path().join("magic")).unwrap();
        let folder = |name: &str| Folder { of: own, path: place.path().join(name) };
        assert!(folder(".").open().is_ok());
        assert!(folder("magic").open().is_err());
        assert!(folder("missing").open().is_err());
        let gone = Folder { of: Process { started: 1, ..own }, path: "/".into() };
        assert!(gone.open().is_err());
    }

    #[test]
    fn what_others_have_mounted_is_shared() {
        let own = Process::find(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(Folder { of: own, path: "/".into() }.is_shared().unwrap());
    }

    #[test]
    fn space_is_counted_like_df() {
        let space = Space { used: 750, free: 250 };
        assert!((space.percent_used() - 75.0).abs() < f64::EPSILON);
        assert_eq!(space.beyond(Size::Percent(5.0)), 200);
        assert_eq!(space.beyond(Size::Bytes(300)), 0);
    }
}
