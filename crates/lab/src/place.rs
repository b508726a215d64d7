//! Where on disk a user's labs have what cannot be without a name: control sockets, and journals of faults.

use std::{env, fs, io, os::unix::fs::DirBuilderExt, path::PathBuf};

use faults::{
    Host, Program,
    state::{self, State},
};

/// The user's own folder: in `XDG_RUNTIME_DIR`, or under the folder for temporary files, with the user's number in its name.
/// Made if need be, readable by nobody else.
///
/// # Errors
///
/// When it cannot be made, or there is something of that name which belongs to somebody else or is open to others.
pub(crate) fn folder() -> io::Result<PathBuf> {
    let folder = match env::var_os("XDG_RUNTIME_DIR").filter(|runtime| !runtime.is_empty()) {
        Some(runtime) => PathBuf::from(runtime).join("shaketable"),
        None => env::temp_dir().join(format!("shaketable-{}", state::user_outside())),
    };
    match fs::DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    state::private(&folder)?;
    Ok(folder)
}

/// Removes the user's folder, if nothing is in it any more.
pub(crate) fn leave() {
    if let Ok(folder) = folder() {
        // Another lab may be using it.
        let _in_use = fs::remove_dir(folder);
    }
}

/// Opens a host with a journal of its own, after having undone what others that have died left in theirs. When it is dropped,
/// everything is undone.
pub(crate) fn open_host(program: PathBuf, document: &str) -> io::Result<Host> {
    State::of_user()?.open_host(document, &Program::of(program))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_folder_is_for_its_user_alone() {
        let folder = folder().unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o077, 0);
        leave();
    }
}
