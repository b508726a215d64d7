//! Namespaces: networks of one's own, and what an ordinary user needs to make them.
//!
//! A namespace made here is *anonymous*: it has no name in the file system, is held by a descriptor and by the threads and
//! processes inside, and is gone with the last of them. So nothing is left behind by any death of its maker.

use std::{
    ffi::CString,
    fs::{self, File},
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    thread,
};

use rustix::{
    mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, unmount},
    process::{getegid, geteuid},
    thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe},
};

/// A network namespace, held by a descriptor.
#[derive(Debug)]
pub struct NetworkNamespace(OwnedFd);

impl NetworkNamespace {
    /// Makes a new, empty namespace. The calling thread stays where it is.
    ///
    /// # Errors
    ///
    /// Making one needs `CAP_SYS_ADMIN` in the user namespace of the process (root has it; an ordinary user after
    /// [`enter_user_namespace`]), and fails beyond `/proc/sys/user/max_net_namespaces`.
    pub fn create() -> io::Result<Self> {
        // On a thread of its own, because an ordinary user cannot come back: the namespace it would have to return to
        // belongs to a user namespace in which it has no rights.
        on_own_thread(|| {
            unshare(UnshareFlags::NEWNET)?;
            Self::current()
        })
    }

    /// The namespace in which the calling thread is.
    ///
    /// # Errors
    ///
    /// Those of opening `/proc/thread-self/ns/net`.
    pub fn current() -> io::Result<Self> {
        Ok(Self(File::open("/proc/thread-self/ns/net")?.into()))
    }

    /// The namespace in which a process lives.
    ///
    /// # Errors
    ///
    /// When it has ended, or we may not look into it (`PTRACE_MODE_READ`: root, or the same user).
    pub fn of_process(pid: i32) -> io::Result<Self> {
        Ok(Self(File::open(format!("/proc/{pid}/ns/net"))?.into()))
    }

    /// Moves the calling thread into the namespace, for good; other threads stay. Sockets belong to the namespace in which
    /// they were opened.
    ///
    /// # Errors
    ///
    /// Needs `CAP_SYS_ADMIN` in the user namespaces of both the process and this namespace; nothing, if it is there already.
    pub fn enter(&self) -> io::Result<()> {
        match move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network)) {
            Err(why) if !Self::current().is_ok_and(|here| here.is_same(self)) => Err(why.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Runs something inside the namespace, on a thread that exists for it alone, and waits for it.
    ///
    /// # Errors
    ///
    /// Those of [`enter`](Self::enter) and of what is run.
    pub fn run<T: Send>(&self, inside: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        on_own_thread(|| {
            self.enter()?;
            inside()
        })
    }

    /// Whether both are the same namespace.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let identity = |network: &Self| rustix::fs::fstat(network).map(|stat| (stat.st_dev, stat.st_ino));
        matches!((identity(self), identity(other)), (Ok(one), Ok(another)) if one == another)
    }

    /// A second descriptor of the same namespace.
    ///
    /// # Errors
    ///
    /// When the process has no descriptors left.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }
}

impl AsFd for NetworkNamespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Moves the process into a user namespace of its own, in which it is root: it may then make and administer network, pid
/// and mount namespaces. Outside it stays who it was.
///
/// # Errors
///
/// Refused where unprivileged user namespaces are switched off or used up; `EINVAL` when the process has more than one
/// thread.
pub fn enter_user_namespace() -> io::Result<()> {
    let (user, group) = (geteuid(), getegid());
    unshare(UnshareFlags::NEWUSER)?;
    // An ordinary user may map exactly itself, and its group only after it has given up `setgroups` (user_namespaces(7)).
    fs::write("/proc/self/uid_map", format!("0 {} 1\n", user.as_raw()))?;
    fs::write("/proc/self/setgroups", "deny\n")?;
    fs::write("/proc/self/gid_map", format!("0 {} 1\n", group.as_raw()))
}

/// Puts the children that the calling thread makes from now on into a new pid namespace; the first of them is its init,
/// with whose end everything in the namespace is killed. The caller itself stays outside. Once per thread, unless it dies.
///
/// # Errors
///
/// Needs `CAP_SYS_ADMIN`; fails beyond `/proc/sys/user/max_pid_namespaces`.
pub fn new_pid_namespace_for_children() -> io::Result<()> {
    unshare(UnshareFlags::NEWPID)
}

/// Gives the calling thread its own view of the mounts, and the processes that it makes from now on: what is mounted in it,
/// nobody else sees. Once per thread, unless it dies.
///
/// # Errors
///
/// Needs `CAP_SYS_ADMIN`.
pub fn new_mount_namespace() -> io::Result<()> {
    unshare(UnshareFlags::NEWNS)?;
    Ok(mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?)
}

/// Gives the calling process its own view of the mounts, in which a file has this content. Nobody else sees it, and nothing
/// of it is on any disk.
///
/// # Errors
///
/// Needs `CAP_SYS_ADMIN`, and tmpfs; the file must exist.
pub fn replace_file_privately(place: &Path, content: &[u8]) -> io::Result<()> {
    new_mount_namespace()?;
    // Mounted for a moment over a directory that is there for certain: the bind below outlives it.
    let cover = std::env::temp_dir();
    mount("tmpfs", &cover, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, None)?;
    let copy = cover.join("content");
    let replaced = fs::write(&copy, content).and_then(|()| Ok(mount_bind(&copy, place)?));
    unmount(&cover, UnmountFlags::DETACH)?;
    replaced
}

/// Gives the calling process its own view of the mounts, in which a folder is a disk of so many bytes, of memory. Nobody else
/// sees it, and it ends with the last process that does.
///
/// # Errors
///
/// Needs `CAP_SYS_ADMIN`, and tmpfs; the folder must exist.
pub fn mount_disk_privately(place: &Path, bytes: u64) -> io::Result<()> {
    new_mount_namespace()?;
    let size = CString::new(format!("size={bytes}"))?;
    Ok(mount("tmpfs", place, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, size.as_c_str())?)
}

fn unshare(what: UnshareFlags) -> io::Result<()> {
    debug_assert!(!what.contains(UnshareFlags::FILES), "see the safety comment");
    // SAFETY: unsharing is unsafe for the table of descriptors alone (I/O safety counts on one table per process), and
    // nobody here asks for that.
    Ok(unsafe { unshare_unsafe(what) }?)
}

fn on_own_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("namespace".to_owned()).spawn_scoped(scope, work)?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(of: &NetworkNamespace) -> u64 {
        rustix::fs::fstat(of).unwrap().st_ino
    }

    #[test]
    fn a_new_network_has_only_a_loopback_and_the_maker_stays_outside() {
        if !geteuid().is_root() {
            return;
        }
        let before = identity(&NetworkNamespace::current().unwrap());
        let made = NetworkNamespace::create().unwrap();
        assert_ne!(identity(&made), before);
        assert_eq!(identity(&NetworkNamespace::current().unwrap()), before);
        let (inside, interfaces) = made
            .run(|| Ok((identity(&NetworkNamespace::current()?), fs::read_to_string("/proc/thread-self/net/dev")?)))
            .unwrap();
        assert_eq!(inside, identity(&made));
        // Two lines of heading, then one per interface.
        assert_eq!(interfaces.lines().skip(2).count(), 1, "{interfaces}");
    }

    #[test]
    fn whoever_is_there_already_needs_no_rights_to_enter() {
        let here = NetworkNamespace::current().unwrap();
        assert_eq!(here.run(|| Ok(identity(&NetworkNamespace::current()?))).unwrap(), identity(&here));
    }

    #[test]
    fn an_error_inside_comes_out() {
        if !geteuid().is_root() {
            return;
        }
        let made = NetworkNamespace::create().unwrap();
        let error = made.run(|| Err::<(), _>(io::Error::from(io::ErrorKind::AddrInUse))).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
