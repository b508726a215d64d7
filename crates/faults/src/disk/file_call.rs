//! Which system calls act on files, what they do to them, and to which.

use std::{
    fmt, fs,
    fs::File,
    io,
    os::{
        fd::{AsFd, AsRawFd},
        unix::{ffi::OsStringExt, fs::FileExt},
    },
    path::{Component, Path, PathBuf},
    str::FromStr,
};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use serde::{Deserialize, Serialize};

use crate::sys::calls::Call;

/// What a call does to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Operation {
    /// Reads its content, or a folder's entries.
    Read,
    /// Changes its content or length.
    Write,
    /// Waits until the disk has what was written.
    Sync,
    /// Opens it.
    Open,
    /// Asks whether it is there and how it is.
    Lookup,
    /// Creates, removes or renames it, or changes its attributes.
    Change,
}

/// Their names, in documents.
pub(crate) const OPERATIONS: &[&str] = &["read", "write", "sync", "open", "lookup", "change"];

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Sync => "sync",
            Self::Open => "open",
            Self::Lookup => "lookup",
            Self::Change => "change",
        })
    }
}

impl FromStr for Operation {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let all = [Self::Read, Self::Write, Self::Sync, Self::Open, Self::Lookup, Self::Change];
        all.into_iter().find(|operation| operation.to_string() == text).ok_or(())
    }
}

/// Which arguments of a call say which file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    /// The descriptor in this one.
    By(usize),
    /// The path in this one, from the working folder on.
    Path(usize),
    /// The path in the second, from the folder on whose descriptor is in the first.
    PathAt(usize, usize),
}

type Row = (i64, Operation, Named);

#[cfg(not(target_arch = "x86_64"))]
const CALLS: &[Row] = &[];

/// The calls of x86-64 that act on files; a call that acts on two has two rows. Not among them: what needs no call (memory that
/// is a file's) or hides behind others (`io_uring`).
#[cfg(target_arch = "x86_64")]
const CALLS: &[Row] = {
    use Named::{By, Path, PathAt};
    use Operation::{Change, Lookup, Open, Read, Sync, Write};
    &[
        (libc::SYS_read, Read, By(0)),
        (libc::SYS_pread64, Read, By(0)),
        (libc::SYS_readv, Read, By(0)),
        (libc::SYS_preadv, Read, By(0)),
        (libc::SYS_preadv2, Read, By(0)),
        (libc::SYS_sendfile, Read, By(1)),
        (libc::SYS_splice, Read, By(0)),
        (libc::SYS_copy_file_range, Read, By(0)),
        (libc::SYS_getdents, Read, By(0)),
        (libc::SYS_getdents64, Read, By(0)),
        (libc::SYS_write, Write, By(0)),
        (libc::SYS_pwrite64, Write, By(0)),
        (libc::SYS_writev, Write, By(0)),
        (libc::SYS_pwritev, Write, By(0)),
        (libc::SYS_pwritev2, Write, By(0)),
        (libc::SYS_sendfile, Write, By(0)),
        (libc::SYS_splice, Write, By(2)),
        (libc::SYS_copy_file_range, Write, By(2)),
        (libc::SYS_truncate, Write, Path(0)),
        (libc::SYS_ftruncate, Write, By(0)),
        (libc::SYS_fallocate, Write, By(0)),
        (libc::SYS_fsync, Sync, By(0)),
        (libc::SYS_fdatasync, Sync, By(0)),
        (libc::SYS_sync_file_range, Sync, By(0)),
        (libc::SYS_syncfs, Sync, By(0)),
        (libc::SYS_open, Open, Path(0)),
        (libc::SYS_creat, Open, Path(0)),
        (libc::SYS_openat, Open, PathAt(0, 1)),
        (libc::SYS_openat2, Open, PathAt(0, 1)),
        (libc::SYS_stat, Lookup, Path(0)),
        (libc::SYS_lstat, Lookup, Path(0)),
        (libc::SYS_fstat, Lookup, By(0)),
        (libc::SYS_newfstatat, Lookup, PathAt(0, 1)),
        (libc::SYS_statx, Lookup, PathAt(0, 1)),
        (libc::SYS_access, Lookup, Path(0)),
        (libc::SYS_faccessat, Lookup, PathAt(0, 1)),
        (libc::SYS_faccessat2, Lookup, PathAt(0, 1)),
        (libc::SYS_readlink, Lookup, Path(0)),
        (libc::SYS_readlinkat, Lookup, PathAt(0, 1)),
        (libc::SYS_unlink, Change, Path(0)),
        (libc::SYS_unlinkat, Change, PathAt(0, 1)),
        (libc::SYS_rename, Change, Path(0)),
        (libc::SYS_rename, Change, Path(1)),
        (libc::SYS_renameat, Change, PathAt(0, 1)),
        (libc::SYS_renameat, Change, PathAt(2, 3)),
        (libc::SYS_renameat2, Change, PathAt(0, 1)),
        (libc::SYS_renameat2, Change, PathAt(2, 3)),
        (libc::SYS_mkdir, Change, Path(0)),
        (libc::SYS_mkdirat, Change, PathAt(0, 1)),
        (libc::SYS_rmdir, Change, Path(0)),
        (libc::SYS_link, Change, Path(1)),
        (libc::SYS_linkat, Change, PathAt(2, 3)),
        (libc::SYS_symlink, Change, Path(1)),
        (libc::SYS_symlinkat, Change, PathAt(1, 2)),
        (libc::SYS_mknod, Change, Path(0)),
        (libc::SYS_mknodat, Change, PathAt(0, 1)),
        (libc::SYS_chmod, Change, Path(0)),
        (libc::SYS_fchmod, Change, By(0)),
        (libc::SYS_fchmodat, Change, PathAt(0, 1)),
        (libc::SYS_fchmodat2, Change, PathAt(0, 1)),
        (libc::SYS_chown, Change, Path(0)),
        (libc::SYS_lchown, Change, Path(0)),
        (libc::SYS_fchown, Change, By(0)),
        (libc::SYS_fchownat, Change, PathAt(0, 1)),
        (libc::SYS_utime, Change, Path(0)),
        (libc::SYS_utimes, Change, Path(0)),
        (libc::SYS_futimesat, Change, PathAt(0, 1)),
        (libc::SYS_utimensat, Change, PathAt(0, 1)),
        (libc::SYS_setxattr, Change, Path(0)),
        (libc::SYS_lsetxattr, Change, Path(0)),
        (libc::SYS_fsetxattr, Change, By(0)),
        (libc::SYS_removexattr, Change, Path(0)),
        (libc::SYS_lremovexattr, Change, Path(0)),
        (libc::SYS_fremovexattr, Change, By(0)),
    ]
};

/// What calls are looked for: operations on what is in a folder.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    rows: Vec<Row>,
    /// As the kernel writes it for this process.
    folder: PathBuf,
    /// Of those that open files, only those that can change something.
    only_to_write: bool,
}

impl Filter {
    pub(crate) fn new(operations: &[Operation], folder: &impl AsFd, only_to_write: bool) -> io::Result<Self> {
        let rows = CALLS.iter().filter(|(_, operation, _)| operations.contains(operation)).copied().collect();
        let folder = fs::read_link(format!("/proc/self/fd/{}", folder.as_fd().as_raw_fd()))?;
        Ok(Self { rows, folder, only_to_write })
    }

    /// Whether a call of a thread that is stopped at its beginning is one of those. What cannot be read is none: the kernel
    /// will say so to the thread.
    pub(crate) fn concerns(&self, thread: i32, call: &Call) -> bool {
        let rows = self.rows.iter().filter(|(number, ..)| *number == call.number);
        rows.into_iter().any(|(_, operation, named)| {
            let Some(file) = Self::file(thread, call, *named) else { return false };
            let inside = file.path.starts_with(&self.folder);
            inside && !(self.only_to_write && *operation == Operation::Open && !opens_to_write(thread, call, &file))
        })
    }

    fn file(thread: i32, call: &Call, named: Named) -> Option<Place> {
        match named {
            Named::By(argument) => Place::of_descriptor(thread, descriptor(call, argument)),
            Named::Path(path) => Place::find(thread, None, &text(thread, call.arguments[path])?),
            Named::PathAt(folder, path) => {
                let at = descriptor(call, folder);
                let path = text(thread, call.arguments[path])?;
                if path.as_os_str().is_empty() {
                    return Place::of_descriptor(thread, at);
                }
                Place::find(thread, (at != libc::AT_FDCWD).then_some(at), &path)
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the kernel takes the lower half for the descriptor, too")]
const fn descriptor(call: &Call, argument: usize) -> i32 {
    (call.arguments[argument] as u32).cast_signed()
}

/// Where a file is, in the words in which the kernel writes paths for this process.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    path: PathBuf,
    exists: bool,
}

impl Place {
    fn of_descriptor(thread: i32, descriptor: i32) -> Option<Self> {
        let path = fs::read_link(format!("/proc/{thread}/fd/{descriptor}")).ok()?;
        // What is no file has a name like `socket:[123]`.
        path.is_absolute().then_some(Self { path, exists: true })
    }

    /// Where a path leads, from a folder on, or the working folder; through links, in the root of the thread.
    fn find(thread: i32, from: Option<i32>, path: &Path) -> Option<Self> {
        let root_link = format!("/proc/{thread}/root");
        let root = fs::read_link(&root_link).ok()?;
        let absolute = if path.is_absolute() {
            path.to_owned()
        } else {
            let from = match from {
                Some(descriptor) => fs::read_link(format!("/proc/{thread}/fd/{descriptor}")).ok()?,
                None => fs::read_link(format!("/proc/{thread}/cwd")).ok()?,
            };
            Path::new("/").join(from.strip_prefix(&root).ok()?).join(path)
        };
        let root = File::open(root_link).ok()?;
        let lead = |path: &Path| {
            let within = path
                .strip_prefix("/")
                .ok()
                .filter(|rest| !rest.as_os_str().is_empty())
                .unwrap_or_else(|| Path::new("."));
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            let file = openat2(&root, within, flags, Mode::empty(), ResolveFlags::IN_ROOT).ok()?;
            fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()
        };
        if let Some(path) = lead(&absolute) {
            return Some(Self { path, exists: true });
        }
        // It may be about to be made: then where it will be.
        match absolute.components().next_back()? {
            Component::Normal(name) => Some(Self { path: lead(absolute.parent()?)?.join(name), exists: false }),
            _ => None,
        }
    }
}

/// The longest path that the kernel takes: `PATH_MAX`.
const LONGEST: usize = 4096;

/// A text that ends with a zero, from the memory of a thread.
fn text(thread: i32, address: u64) -> Option<PathBuf> {
    let mut bytes = memory(thread, address, LONGEST)?;
    bytes.truncate(bytes.iter().position(|byte| *byte == 0)?);
    Some(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
}

/// As many bytes as there are, up to so many.
fn memory(thread: i32, address: u64, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    let read = File::open(format!("/proc/{thread}/mem")).ok()?.read_at(&mut bytes, address).ok()?;
    bytes.truncate(read);
    Some(bytes)
}

/// Whether a call that opens a file would make it or let it be changed.
#[cfg(target_arch = "x86_64")]
fn opens_to_write(thread: i32, call: &Call, file: &Place) -> bool {
    let flags = match call.number {
        libc::SYS_creat => return true,
        libc::SYS_open => call.arguments[1],
        libc::SYS_openat => call.arguments[2],
        // The first number of `struct open_how`.
        _ => match memory(thread, call.arguments[2], 8).and_then(|bytes| bytes.try_into().ok()) {
            Some(bytes) => u64::from_ne_bytes(bytes),
            None => return false,
        },
    };
    let has = |flag: libc::c_int| flags & u64::from(flag.cast_unsigned()) != 0;
    let path_only = has(libc::O_PATH);
    !path_only && (has(libc::O_WRONLY | libc::O_RDWR | libc::O_TRUNC) || (has(libc::O_CREAT) && !file.exists))
}

#[cfg(not(target_arch = "x86_64"))]
const fn opens_to_write(_: i32, _: &Call, _: &Place) -> bool {
    false
}

#[cfg(test)]
#[cfg(target_arch = "x86_64")]
mod tests {
    use std::os::{fd::IntoRawFd, unix::fs::symlink};

    use super::*;

    fn own() -> i32 {
        i32::try_from(std::process::id()).unwrap()
    }

    fn call(number: i64, arguments: &[u64]) -> Call {
        let mut all = [0; 6];
        all[..arguments.len()].copy_from_slice(arguments);
        Call { number, arguments: all }
    }

    /// The address of a text that stays.
    fn at(path: &Path) -> u64 {
        let text = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        text.into_raw() as u64
    }

    fn cwd() -> u64 {
        u64::from(libc::AT_FDCWD.cast_unsigned())
    }

    #[test]
    fn operations_have_names() {
        for name in OPERATIONS {
            assert_eq!(name.parse::<Operation>().unwrap().to_string(), *name);
        }
        assert_eq!("delete".parse::<Operation>(), Err(()));
    }

    #[test]
    fn calls_on_what_is_in_the_folder_are_found_whatever_way_they_name_it() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("data");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("old"), "1").unwrap();
        fs::write(outer.path().join("other"), "1").unwrap();
        symlink(&folder, outer.path().join("link")).unwrap();
        symlink(outer.path().join("other"), folder.join("out")).unwrap();
        let open = |path: &Path| u64::try_from(File::open(path).unwrap().into_raw_fd()).unwrap();
        let all: Vec<Operation> = OPERATIONS.iter().map(|name| name.parse().unwrap()).collect();
        let filter = Filter::new(&all, &File::open(&folder).unwrap(), false).unwrap();
        let concerned = |call: Call| filter.concerns(own(), &call);
        assert!(concerned(call(libc::SYS_read, &[open(&folder.join("old"))])));
        assert!(!concerned(call(libc::SYS_read, &[open(&outer.path().join("other"))])));
        assert!(!concerned(call(libc::SYS_read, &[u64::MAX])));
        assert!(concerned(call(libc::SYS_open, &[at(&folder.join("new"))])));
        assert!(concerned(call(libc::SYS_openat, &[cwd(), at(&outer.path().join("link/new"))])));
        assert!(concerned(call(libc::SYS_openat, &[open(&folder), at(Path::new("old"))])));
        // Through what is no folder there is no way.
        assert!(!concerned(call(libc::SYS_openat, &[open(outer.path()), at(Path::new("other/../data/old"))])));
        assert!(concerned(call(libc::SYS_openat, &[open(outer.path()), at(Path::new("./data/../data/old"))])));
        assert!(!concerned(call(libc::SYS_open, &[at(&folder.join("out"))])));
        assert!(!concerned(call(libc::SYS_open, &[at(&folder.join("../other"))])));
        assert!(!concerned(call(libc::SYS_open, &[at(&outer.path().join("database"))])));
        assert!(concerned(call(libc::SYS_rename, &[at(&outer.path().join("other")), at(&folder.join("in"))])));
        assert!(concerned(call(libc::SYS_newfstatat, &[open(&folder), at(Path::new(""))])));
        assert!(!concerned(call(libc::SYS_getpid, &[])));
        assert!(!concerned(call(libc::SYS_open, &[8])));
    }

    #[test]
    fn opening_to_read_changes_nothing_unless_it_makes_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let old = folder.path().join("old");
        fs::write(&old, "1").unwrap();
        let filter = Filter::new(&[Operation::Open], &File::open(folder.path()).unwrap(), true).unwrap();
        let flags = |flags: libc::c_int| u64::from(flags.cast_unsigned());
        let open = |path: &Path, how| filter.concerns(own(), &call(libc::SYS_openat, &[cwd(), at(path), flags(how)]));
        assert!(!open(&old, libc::O_RDONLY));
        assert!(!open(&old, libc::O_RDONLY | libc::O_CREAT));
        assert!(open(&folder.path().join("new"), libc::O_RDONLY | libc::O_CREAT));
        assert!(open(&old, libc::O_WRONLY) && open(&old, libc::O_RDWR) && open(&old, libc::O_TRUNC));
        let how = Box::leak(Box::new([flags(libc::O_WRONLY), 0, 0]));
        assert!(filter.concerns(own(), &call(libc::SYS_openat2, &[cwd(), at(&old), how.as_ptr() as u64, 24])));
        assert!(filter.concerns(own(), &call(libc::SYS_creat, &[at(&old)])));
    }
}
