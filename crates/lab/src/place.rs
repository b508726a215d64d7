//! Where on disk a user's labs have what cannot be without a name: control sockets, journals of faults.

use std::{
    env, fs, io,
    ops::Deref,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::PathBuf,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use faults::{Host, Program, journal::OpenError};
use rustix::process::geteuid;

/// What a journal's name ends in.
const JOURNAL: &str = "journal";

/// The user's own folder: in `XDG_RUNTIME_DIR`, or under the folder for temporary files, with the user's number in its name.
/// Made if need be, readable by nobody else.
///
/// # Errors
///
/// When it cannot be made, or there is something of that name which belongs to somebody else or is open to others.
pub(crate) fn folder() -> io::Result<PathBuf> {
    let folder = match env::var_os("XDG_RUNTIME_DIR").filter(|runtime| !runtime.is_empty()) {
        Some(runtime) => PathBuf::from(runtime).join("shaketable"),
        None => env::temp_dir().join(format!("shaketable-{}", user_outside())),
    };
    match fs::DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = fs::symlink_metadata(&folder)?;
    // A user namespace shows the user's own files as those of its root.
    let own = found.is_dir() && found.uid() == geteuid().as_raw() && found.permissions().mode().trailing_zeros() >= 6;
    if own {
        Ok(folder)
    } else {
        let why = format!("{} is not a folder that only you can read; remove it", folder.display());
        Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
    }
}

/// Removes the user's folder, if nothing is in it any more.
pub(crate) fn leave() {
    if let Ok(folder) = folder() {
        // Another lab may be using it.
        let _in_use = fs::remove_dir(folder);
    }
}

/// The number of the user outside of the user namespace which the process may have entered.
fn user_outside() -> u32 {
    let inside = geteuid().as_raw();
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let outside = map.lines().find_map(|line| {
        let mut numbers = line.split_whitespace().map(str::parse::<u32>);
        let (first, outside, count) = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
        let at = inside.checked_sub(first)?;
        (at < count).then(|| outside + at)
    });
    outside.unwrap_or(inside)
}

/// A host with a journal in the user's folder. When it is dropped, everything is undone and both are gone.
#[derive(Debug)]
pub(crate) struct OwnHost(Option<Host>);

impl Deref for OwnHost {
    type Target = Host;

    fn deref(&self) -> &Host {
        self.0.as_ref().expect("only drop takes it")
    }
}

impl Drop for OwnHost {
    fn drop(&mut self) {
        drop(self.0.take());
        leave();
    }
}

/// Opens a journal of its own, after having undone what labs that have died left in theirs.
pub(crate) fn open_host(program: PathBuf, document: &str) -> io::Result<OwnHost> {
    let program = Program::of(program);
    static OPENED: AtomicU32 = AtomicU32::new(0);
    let folder = folder()?;
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == JOURNAL) {
            // That of a living lab is locked, and none of our business; otherwise opening undoes, and dropping removes it.
            match Host::with_program(&path, document, program.clone()) {
                Ok(host) => {
                    tracing::info!(journal = %path.display(), undone = host.leftovers().len(), "a lab had died");
                }
                Err(why) => tracing::debug!(journal = %path.display(), %why, "left alone"),
            }
        }
    }
    loop {
        let number = OPENED.fetch_add(1, Ordering::Relaxed);
        let journal = folder.join(format!("{}-{number}.{JOURNAL}", process::id()));
        match Host::with_program(&journal, document, program.clone()) {
            Ok(host) => return Ok(OwnHost(Some(host))),
            // A process of this number in another pid namespace has it, or another lab that just looks whether its owner died.
            Err(OpenError::Busy { .. }) => {}
            Err(why) => return Err(why.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_for_its_user_alone() {
        let folder = folder().unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o077, 0);
        leave();
    }

    #[test]
    fn outside_of_any_namespace_a_user_is_who_it_is() {
        // The tests do not run in a user namespace; where they do, this is not the same number, and that is the point.
        if fs::read_to_string("/proc/self/uid_map").unwrap().split_whitespace().eq(["0", "0", "4294967295"]) {
            assert_eq!(user_outside(), geteuid().as_raw());
        }
    }
}
