//! The folder of a user's journals: it outlives a reboot, and nobody else can write there.
//!
//! Root's is `/var/lib/shaketable`. Others' is `$XDG_STATE_HOME/shaketable`, `~/.local/state/shaketable`, or where there is no
//! home, `/var/tmp/shaketable-UID`. `SHAKETABLE_STATE` names another, for root too; root's does not depend on anything else in the
//! environment, so that a start by hand, by a supervisor and at boot see the same journals.

use std::{
    env, fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use rustix::process::geteuid;

use crate::{
    Host, Program, abandoned,
    book::Book,
    journal::{self, Journal, OpenError, Replayed},
    recovery::{self, Leftover},
};

/// The variable that names another folder.
pub const VARIABLE: &str = "SHAKETABLE_STATE";
/// Root's folder: where the hierarchy of file systems (FHS 3.0, 5.8) has what programs must not lose.
pub const OF_ROOT: &str = "/var/lib/shaketable";
/// What a journal's name ends in.
const JOURNAL: &str = "journal";

/// A folder of journals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    folder: PathBuf,
}

/// A journal, as somebody sees it who does not have it.
#[derive(Debug)]
pub struct Seen {
    /// What it is called: its file's name without the ending.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Whether a living process has it: the one that injects, or its guardian.
    pub held: bool,
    /// What it says, or why it cannot be read.
    pub says: Result<Replayed, OpenError>,
}

impl Seen {
    /// What its runner says of itself.
    #[must_use]
    pub fn book(&self) -> Option<Book> {
        Book::of(&self.path)
    }
}

/// What became of a journal that nobody had.
#[derive(Debug)]
pub struct Recovered {
    /// Where it is, or was.
    pub path: PathBuf,
    /// What it had on record.
    pub leftovers: Vec<Leftover>,
}

impl State {
    /// This user's. Made if need be, readable by nobody else.
    ///
    /// # Errors
    ///
    /// When it cannot be made, or there is something of that name which belongs to somebody else or is open to others.
    pub fn of_user() -> io::Result<Self> {
        let folder =
            place(user_outside(), |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from));
        match Self::at(&folder) {
            // A home that cannot be written to: that of `nobody`, or one that is not mounted.
            Err(why) if !env_names(VARIABLE) && user_outside() != 0 && why.kind() != io::ErrorKind::AlreadyExists => {
                Self::at(&homeless(user_outside())).map_err(|_| why)
            }
            other => other,
        }
    }

    /// A folder of one's own.
    ///
    /// # Errors
    ///
    /// As [`of_user`](Self::of_user).
    pub fn at(folder: &Path) -> io::Result<Self> {
        let named = |why: io::Error| {
            io::Error::new(why.kind(), format!("{}: {why}; {VARIABLE} names another", folder.display()))
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(named)?;
        private(folder)?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its journals, by name.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read.
    pub fn journals(&self) -> io::Result<Vec<PathBuf>> {
        let mut journals = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == JOURNAL) {
                journals.push(path);
            }
        }
        journals.sort();
        Ok(journals)
    }

    /// Looks at its journals without taking them.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read.
    pub fn look(&self) -> io::Result<Vec<Seen>> {
        let look = |path: PathBuf| {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            // In this order: what is held now and free then has been undone meanwhile, and not the other way round.
            let says = journal::read(&path);
            let held = journal::is_held(&path).unwrap_or(false);
            Seen { name, path, held, says }
        };
        let seen = self.journals()?.into_iter().map(look);
        // One that has gone in between is not there.
        Ok(seen.filter(|seen| seen.path.exists()).collect())
    }

    /// Undoes what all journals that nobody has say, and removes those of which nothing is left. A process that has one and has
    /// hung for longer than its faults may live, while nobody watches it, is ended first: see [`vigil`](crate::vigil).
    ///
    /// # Errors
    ///
    /// When the folder cannot be read. A journal that cannot be opened is passed over, and said in the log.
    pub fn recover(&self) -> io::Result<Vec<Recovered>> {
        let mut recovered = Vec::new();
        let mut busy = Vec::new();
        for path in self.journals()? {
            match recover(&path) {
                Ok(Some(leftovers)) => recovered.push(Recovered { path, leftovers }),
                Ok(None) => {}
                // That of a living process is none of our business, as long as it lives up to its leases.
                Err(OpenError::Busy { .. }) => busy.push(path),
                Err(why) => tracing::warn!(%why, "a journal is left alone"),
            }
        }
        for path in abandoned::take_over(busy) {
            match recover(&path) {
                Ok(Some(leftovers)) => recovered.push(Recovered { path, leftovers }),
                Ok(None) => {}
                Err(why) => tracing::warn!(%why, "a process that hangs was ended, and its journal is left alone"),
            }
        }
        Ok(recovered)
    }

    /// Recovers what others left, and opens a host with a journal of its own.
    ///
    /// # Errors
    ///
    /// When the file system refuses.
    pub fn open_host(&self, document: &str, program: &Program) -> io::Result<Host> {
        static OPENED: AtomicU32 = AtomicU32::new(0);
        for Recovered { path, leftovers } in self.recover()? {
            for left in &leftovers {
                if let Some((residue, repair)) = left.residue() {
                    let (fault, object) = (&left.undo.fault, &left.undo.object.name);
                    tracing::warn!(journal = %path.display(), fault, object, residue, repair, "an earlier run left this behind");
                }
            }
            tracing::info!(journal = %path.display(), faults = leftovers.len(), "a process that injected had died");
        }
        loop {
            let number = OPENED.fetch_add(1, Ordering::Relaxed);
            let path = self.folder.join(format!("{}-{number}.{JOURNAL}", process::id()));
            if path.exists() {
                // Of a process that had this number: in another pid namespace, or with something on record that is not undone.
                continue;
            }
            match Host::with_program(&path, document, program.clone()) {
                // Somebody was faster, or just looks.
                Err(OpenError::Busy { .. }) => {}
                other => return Ok(other?),
            }
        }
    }
}

/// Undoes what a journal that nobody has says, and removes it if nothing is left; `None`: it has gone meanwhile.
///
/// # Errors
///
/// When it cannot be opened; [`OpenError::Busy`] when somebody has it.
pub fn recover(path: &Path) -> Result<Option<Vec<Leftover>>, OpenError> {
    if !path.exists() {
        return Ok(None);
    }
    let io_error = |source| OpenError::Io { path: path.to_owned(), source };
    let (journal, replayed) = Journal::open(path)?;
    let journal = Arc::new(journal);
    let leftovers = recovery::recover(&journal, replayed).map_err(io_error)?;
    if leftovers.iter().all(Leftover::is_undone) {
        journal.remove().map_err(io_error)?;
    }
    Ok(Some(leftovers))
}

/// Sees to it that a folder is this user's, and open to nobody else.
///
/// # Errors
///
/// Says what is wrong with it.
pub fn private(folder: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(folder)?;
    // A user namespace shows the user's own files as those of its root.
    let own = found.is_dir() && found.uid() == geteuid().as_raw() && found.permissions().mode().trailing_zeros() >= 6;
    if own {
        return Ok(());
    }
    let why =
        format!("{} is not a folder of yours that only you can read: `chmod 700` it, or remove it", folder.display());
    Err(io::Error::new(io::ErrorKind::AlreadyExists, why))
}

fn place(user: u32, variable: impl Fn(&str) -> Option<PathBuf>) -> PathBuf {
    let home = || Some(variable("HOME")?.join(".local/state"));
    match (variable(VARIABLE), user) {
        (Some(named), _) => named,
        (None, 0) => PathBuf::from(OF_ROOT),
        (None, user) => match variable("XDG_STATE_HOME").or_else(home).filter(|folder| folder.is_absolute()) {
            Some(states) => states.join("shaketable"),
            None => homeless(user),
        },
    }
}

/// For who has no home: a folder for temporary files that are kept across reboots.
fn homeless(user: u32) -> PathBuf {
    PathBuf::from(format!("/var/tmp/shaketable-{user}"))
}

fn env_names(variable: &str) -> bool {
    env::var_os(variable).is_some_and(|value| !value.is_empty())
}

/// The number of the user outside of the user namespace which the process may have entered.
#[must_use]
pub fn user_outside() -> u32 {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(user: u32, environment: &[(&str, &str)]) -> PathBuf {
        place(user, |name| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| PathBuf::from(*value)))
    }

    #[test]
    fn roots_folder_depends_on_nothing_but_what_names_it() {
        let here = [("HOME", "/home/me"), ("XDG_STATE_HOME", "/home/me/states")];
        assert_eq!(placed(0, &here), Path::new("/var/lib/shaketable"));
        assert_eq!(placed(0, &[(VARIABLE, "/elsewhere")]), Path::new("/elsewhere"));
    }

    #[test]
    fn a_users_folder_is_where_states_are_kept() {
        assert_eq!(placed(7, &[("HOME", "/home/me")]), Path::new("/home/me/.local/state/shaketable"));
        let both = [("HOME", "/home/me"), ("XDG_STATE_HOME", "/states")];
        assert_eq!(placed(7, &both), Path::new("/states/shaketable"));
        assert_eq!(placed(7, &[]), Path::new("/var/tmp/shaketable-7"));
        // The XDG specification: what is not absolute is ignored.
        assert_eq!(placed(7, &[("XDG_STATE_HOME", "states")]), Path::new("/var/tmp/shaketable-7"));
    }

    #[test]
    fn a_folder_that_is_open_to_others_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let made = State::at(&folder.path().join("new/state")).unwrap();
        assert_eq!(fs::metadata(made.folder()).unwrap().permissions().mode() & 0o077, 0);
        fs::set_permissions(made.folder(), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(State::at(made.folder()).unwrap_err().to_string().contains("only you"));
    }

    #[test]
    fn journals_are_seen_whether_held_or_free_and_free_ones_are_recovered() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::at(&folder.path().join("state")).unwrap();
        let held = Journal::open(&state.folder().join("1-0.journal")).unwrap();
        drop(Journal::open(&state.folder().join("2-0.journal")).unwrap());
        fs::write(state.folder().join("3-0.journal"), "my diary").unwrap();
        fs::write(state.folder().join("notes"), "no journal").unwrap();
        let seen: Vec<_> =
            state.look().unwrap().into_iter().map(|seen| (seen.name, seen.held, seen.says.is_ok())).collect();
        let name = str::to_owned;
        assert_eq!(seen, [(name("1-0"), true, true), (name("2-0"), false, true), (name("3-0"), false, false)]);
        let recovered: Vec<_> = state.recover().unwrap().into_iter().map(|one| one.path).collect();
        assert_eq!(recovered, [state.folder().join("2-0.journal")]);
        assert_eq!(state.journals().unwrap().len(), 2);
        drop(held);
    }

    #[test]
    fn outside_of_any_namespace_a_user_is_who_it_is() {
        // The tests do not run in a user namespace; where they do, this is not the same number, and that is the point.
        if fs::read_to_string("/proc/self/uid_map").unwrap().split_whitespace().eq(["0", "0", "4294967295"]) {
            assert_eq!(user_outside(), geteuid().as_raw());
        }
    }
}
