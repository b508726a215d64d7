//! An archive in the `newc` format of cpio: what a kernel unpacks as its first root file system.

use std::{collections::BTreeSet, fs, io::Write, path::Path};

use anyhow::{Context, Result};

/// What files are made: directories and programs alike may be read and run by everybody.
const FOLDER: u32 = 0o040_755;
const FILE: u32 = 0o100_755;

/// An archive being written.
pub(crate) struct Archive<W> {
    to: W,
    /// The number of the next file.
    next: u32,
    /// The folders it has so far.
    folders: BTreeSet<String>,
}

impl<W: Write> Archive<W> {
    pub(crate) const fn new(to: W) -> Self {
        Self { to, next: 1, folders: BTreeSet::new() }
    }

    /// Adds a folder, and those that it is in.
    pub(crate) fn folder(&mut self, path: &str) -> Result<()> {
        let path = path.trim_matches('/');
        let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
        for folder in ends.map(|end| &path[..end]).filter(|folder| !folder.is_empty()) {
            if self.folders.insert(folder.to_owned()) {
                self.entry(folder, FOLDER, &[])?;
            }
        }
        Ok(())
    }

    /// Adds a file, and the folders that it is in.
    pub(crate) fn file(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        let path = path.trim_matches('/');
        if let Some((folder, _)) = path.rsplit_once('/') {
            self.folder(folder)?;
        }
        self.entry(path, FILE, bytes)
    }

    /// Adds a copy of a file of this machine.
    pub(crate) fn copy(&mut self, path: &str, from: &Path) -> Result<()> {
        self.file(path, &fs::read(from).with_context(|| format!("cannot read {}", from.display()))?)
    }

    /// Writes the end, without which it is not whole.
    pub(crate) fn finish(mut self) -> Result<W> {
        self.entry("TRAILER!!!", 0, &[])?;
        Ok(self.to)
    }

    /// `Documentation/driver-api/early-userspace/buffer-format.rst` of the kernel: thirteen numbers of eight hexadecimal
    /// digits after the magic, then name and contents, each filled up to four bytes.
    fn entry(&mut self, name: &str, mode: u32, bytes: &[u8]) -> Result<()> {
        const HEADER: usize = 110;
        let size = u32::try_from(bytes.len()).with_context(|| format!("{name} is too big for an archive"))?;
        let name_size = u32::try_from(name.len() + 1)?;
        // number, mode, user, group, links, time, size, device (2), device of a special file (2), size of the name, checksum
        let numbers = [self.next, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
        self.next += 1;
        self.to.write_all(b"070701")?;
        for number in numbers {
            write!(self.to, "{number:08x}")?;
        }
        self.to.write_all(name.as_bytes())?;
        self.to.write_all(&[0])?;
        self.fill(HEADER + name.len() + 1)?;
        self.to.write_all(bytes)?;
        self.fill(bytes.len())
    }

    fn fill(&mut self, written: usize) -> Result<()> {
        Ok(self.to.write_all(&[0; 3][..written.next_multiple_of(4) - written])?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_has_each_folder_once_and_before_what_is_in_it() {
        let mut archive = Archive::new(Vec::new());
        archive.file("/bin/one", b"first").unwrap();
        archive.file("bin/two", b"").unwrap();
        archive.folder("/a/b").unwrap();
        let bytes = archive.finish().unwrap();
        assert_eq!(bytes.len() % 4, 0);
        let starts: Vec<usize> =
            bytes.windows(6).enumerate().filter(|(_, six)| *six == b"070701").map(|(at, _)| at).collect();
        let names = starts.iter().map(|at| {
            let name = &bytes[at + 110..];
            String::from_utf8_lossy(&name[..name.iter().position(|byte| *byte == 0).unwrap()]).into_owned()
        });
        assert_eq!(names.collect::<Vec<_>>(), ["bin", "bin/one", "bin/two", "a", "a/b", "TRAILER!!!"]);
        assert!(starts.iter().all(|at| at % 4 == 0));
        assert_eq!(&bytes[starts[1]..starts[1] + 22], b"07070100000002000081ed");
        assert!(bytes.windows(5).any(|five| five == b"first"));
    }
}
