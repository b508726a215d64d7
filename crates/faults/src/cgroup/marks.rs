//! Marks on a group that several faults share: one for each of them, and where its processes were before.
//!
//! They are extended attributes of the group's folder, which the kernel keeps as long as the group (`user.*` of version 2, since
//! Linux 5.7): so they are there for whoever undoes, in whatever process, and gone with the group.

use std::{
    fs::File,
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    fs::{FlockOperation, XattrFlags, flock, getxattr, listxattr, removexattr, setxattr},
    io::Errno,
};

use crate::{fault::Abort, process::Process};

/// The marks of a group.
pub(super) struct Marks<'a>(&'a Path);

/// Whether a group can be marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marked {
    Yes,
    /// The kernel has no such attributes there.
    Unable,
}

const MARK: &str = "user.shaketable.mark-";
const HOMES: &str = "user.shaketable.homes";
/// What the kernel allows an attribute, and a list of their names (`XATTR_SIZE_MAX`, `XATTR_LIST_MAX`).
const LONGEST: usize = 1 << 16;
/// Whoever has the lock moves some processes, and waits at most two seconds for others to end.
const PATIENCE: Duration = Duration::from_secs(10);

impl<'a> Marks<'a> {
    pub(super) const fn of(group: &'a Path) -> Self {
        Self(group)
    }

    /// Adds a mark. Who comes first says where the processes were; of those that were all at one place, one is enough.
    pub(super) fn add(&self, mark: u64, homes: &[(Process, PathBuf)]) -> io::Result<Marked> {
        match setxattr(self.0, name_of(mark), &[], XattrFlags::empty()) {
            Err(Errno::OPNOTSUPP | Errno::PERM) => return Ok(Marked::Unable),
            set => set?,
        }
        let together = homes.windows(2).all(|pair| pair[0].1 == pair[1].1);
        let homes = serde_json::to_vec(if together { &homes[..homes.len().min(1)] } else { homes })?;
        match setxattr(self.0, HOMES, &homes, XattrFlags::CREATE) {
            Err(Errno::EXIST) => Ok(Marked::Yes),
            set => set.map(|()| Marked::Yes).map_err(io::Error::from),
        }
    }

    /// Takes a mark away, if it is there.
    pub(super) fn remove(&self, mark: u64) -> io::Result<()> {
        match removexattr(self.0, name_of(mark)) {
            Err(Errno::NODATA) => Ok(()),
            removed => Ok(removed?),
        }
    }

    /// The marks that there are.
    pub(super) fn list(&self) -> Vec<u64> {
        let mut names = vec![0_u8; LONGEST];
        let length = listxattr(self.0, &mut names[..]).unwrap_or_default();
        let names = names[..length].split(|byte| *byte == 0).filter_map(|name| std::str::from_utf8(name).ok());
        names.filter_map(|name| u64::from_str_radix(name.strip_prefix(MARK)?, 16).ok()).collect()
    }

    /// Where the processes were. `None`: nobody says.
    pub(super) fn homes(&self) -> Option<Vec<(Process, PathBuf)>> {
        let mut text = vec![0_u8; LONGEST];
        let length = getxattr(self.0, HOMES, &mut text[..]).ok()?;
        serde_json::from_slice(&text[..length]).ok()
    }
}

fn name_of(mark: u64) -> String {
    format!("{MARK}{mark:016x}")
}

/// Locks a folder, until what this gives back is dropped, or its process ends.
pub(super) fn lock(folder: &Path) -> io::Result<OwnedFd> {
    let file = File::open(folder)?;
    let take = || match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => None,
        taken => Some(taken),
    };
    let taken = Abort::default().until(PATIENCE, take);
    taken.ok_or_else(|| io::Error::other("somebody else keeps it locked"))??;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_come_and_go_and_the_first_says_where_all_were() {
        let folder = tempfile::tempdir().unwrap();
        let marks = Marks::of(folder.path());
        assert_eq!((marks.list(), marks.homes()), (Vec::new(), None));
        let own = Process::own().unwrap();
        let at = |place: &str| (own, PathBuf::from(place));
        if marks.add(7, &[at("/a"), at("/a")]).unwrap() == Marked::Unable {
            // Some file systems have no such attributes; the guest's control groups do.
            assert!(marks.list().is_empty());
            return;
        }
        assert_eq!(marks.homes(), Some(vec![at("/a")]));
        assert_eq!(marks.add(u64::MAX, &[at("/b"), at("/c")]).unwrap(), Marked::Yes);
        let mut all = marks.list();
        all.sort_unstable();
        assert_eq!((all, marks.homes()), (vec![7, u64::MAX], Some(vec![at("/a")])));
        for _ in 0..2 {
            marks.remove(7).unwrap();
            assert_eq!(marks.list(), [u64::MAX]);
        }
    }

    #[test]
    fn a_lock_is_free_again_when_whoever_had_it_has_gone() {
        let folder = tempfile::tempdir().unwrap();
        let file = File::open(folder.path()).unwrap();
        let first = lock(folder.path()).unwrap();
        let try_again = || flock(&file, FlockOperation::NonBlockingLockExclusive);
        assert_eq!(try_again(), Err(Errno::WOULDBLOCK));
        drop(first);
        assert_eq!(try_again(), Ok(()));
    }
}
