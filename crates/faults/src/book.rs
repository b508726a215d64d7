//! The book: beside a journal, what its runner has in effect, until when, and who watches it.
//!
//! The runner writes it anew twice a second, as a sign of life too, from its first injection on. It is for those who look on
//! (`shaketable status`) and those who come next: nothing that is needed to undo is in it, so it is not synced, and a book that is
//! missing or cannot be read is nothing worse than an unknown.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{boot, grant::Grant, process::Process};

/// What a book says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Book {
    /// The [id](boot::id) of the boot on whose clock its times are.
    boot: String,
    /// When it was written.
    pub pulse: Duration,
    /// The runner's guardian, if it has one.
    pub guardian: Option<Process>,
    /// What may be in effect, by the token of its undo record.
    pub grants: BTreeMap<u64, Grant>,
}

impl Book {
    /// A book of now.
    #[must_use]
    pub fn now(guardian: Option<Process>, grants: BTreeMap<u64, Grant>) -> Self {
        Self { boot: boot::id().to_owned(), pulse: boot::now(), guardian, grants }
    }

    /// The book of a journal; `None` when there is none, or it is of another boot.
    #[must_use]
    pub fn of(journal: &Path) -> Option<Self> {
        // Whoever reads while it is being written reads again.
        (0..3)
            .find_map(|_| {
                let bytes = fs::read(place(journal)).ok()?;
                let line = bytes.split(|byte| *byte == b'\n').next()?;
                serde_json::from_slice(line).ok()
            })
            .filter(|book: &Self| book.boot == boot::id())
    }

    /// How long ago it was written.
    #[must_use]
    pub fn age(&self) -> Duration {
        boot::now().saturating_sub(self.pulse)
    }
}

/// A book that is being kept.
#[derive(Debug)]
pub(crate) struct Keeper {
    path: PathBuf,
    file: Option<File>,
}

impl Keeper {
    /// Of a journal. It begins with the first line.
    pub(crate) fn of(journal: &Path) -> Self {
        Self { path: place(journal), file: None }
    }

    /// Writes it anew. In its place: a disk that a fault has filled has no room for another.
    pub(crate) fn write(&mut self, book: &Book) -> io::Result<()> {
        let file = match &self.file {
            Some(file) => file,
            None => {
                let mut open = OpenOptions::new();
                let file = open.write(true).create(true).truncate(true).mode(0o600).open(&self.path)?;
                self.file.insert(file)
            }
        };
        let mut line = serde_json::to_vec(book)?;
        // What follows is left of a longer one.
        line.push(b'\n');
        file.write_all_at(&line, 0)
    }
}

/// Removes the book of a journal.
pub(crate) fn remove(journal: &Path) {
    fs::remove_file(place(journal)).ok();
}

fn place(journal: &Path) -> PathBuf {
    journal.with_extension("book")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_a_shorter_book_hides_what_a_longer_one_said() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("1-0.journal");
        assert_eq!(Book::of(&journal), None);
        let grant = Grant { until: Duration::from_secs(15), end: None };
        let long = Book::now(Some(Process::own().unwrap()), (0..20).map(|token| (token, grant)).collect());
        let short = Book::now(None, BTreeMap::new());
        let mut keeper = Keeper::of(&journal);
        for book in [&long, &short, &long] {
            keeper.write(book).unwrap();
            assert_eq!(Book::of(&journal).as_ref(), Some(book));
        }
        assert!(short.age() < Duration::from_secs(3600));
        remove(&journal);
        assert_eq!(Book::of(&journal), None);
    }

    #[test]
    fn a_book_of_another_boot_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("1-0.journal");
        let book = Book { boot: "another".to_owned(), ..Book::now(None, BTreeMap::new()) };
        Keeper::of(&journal).write(&book).unwrap();
        assert_eq!(Book::of(&journal), None);
        fs::write(place(&journal), "no book").unwrap();
        assert_eq!(Book::of(&journal), None);
    }
}
