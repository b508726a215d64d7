//! The memory of another process, through `/proc/PID/mem`.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader},
    ops::Range,
    os::unix::fs::FileExt,
};

/// The memory of a process. It stays that of the program which ran when it was opened: when the process runs another, or has
/// ended and its number is somebody else's, nothing is read or written any more.
#[derive(Debug)]
pub struct Memory(File);

/// A part of a process's memory, as `/proc/PID/maps` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Its addresses.
    pub range: Range<u64>,
    /// Whether the process can read it.
    pub readable: bool,
    /// The file it is of, or its name in brackets; or nothing.
    pub name: String,
}

impl Memory {
    /// Opens the memory of a process, to change it.
    ///
    /// # Errors
    ///
    /// When it has ended, or may not be traced.
    pub fn open(pid: i32) -> io::Result<Self> {
        OpenOptions::new().read(true).write(true).open(format!("/proc/{pid}/mem")).map(Self)
    }

    /// Reads so many bytes.
    ///
    /// # Errors
    ///
    /// When they are not all there: the process has ended, or has no memory there.
    pub fn read(&self, address: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.0.read_exact_at(&mut bytes, address)?;
        Ok(bytes)
    }

    /// Reads up to so many bytes, as far as there are any.
    #[must_use]
    pub fn read_up_to(&self, address: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let mut read = 0;
        while let Ok(more @ 1..) = self.0.read_at(&mut bytes[read..], address.wrapping_add(read as u64)) {
            read += more;
        }
        bytes.truncate(read);
        bytes
    }

    /// Writes bytes, also where the process itself may not. Eight that do not straddle a multiple of eight are written at once.
    ///
    /// # Errors
    ///
    /// `WriteZero` when the process has ended or runs another program; when the kernel allows nobody to do so
    /// (`proc_mem.force_override=never`).
    pub fn write(&self, address: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, address)
    }
}

/// What is in the memory of a process.
///
/// # Errors
///
/// When it has ended, or may not be traced.
pub fn mappings(pid: i32) -> io::Result<Vec<Mapping>> {
    let maps = BufReader::new(File::open(format!("/proc/{pid}/maps"))?);
    let mut found = Vec::new();
    for line in maps.split(b'\n') {
        // Names of files may be anything.
        found.extend(parse(&String::from_utf8_lossy(&line?)));
    }
    Ok(found)
}

fn parse(line: &str) -> Option<Mapping> {
    // Range, rights, offset, device, inode, and behind many blanks the name, which may have blanks itself.
    let mut fields = line.splitn(6, ' ');
    let (start, end) = fields.next()?.split_once('-')?;
    let address = |text| u64::from_str_radix(text, 16).ok();
    let readable = fields.next()?.starts_with('r');
    let name = fields.nth(3).unwrap_or_default().trim_start().to_owned();
    Some(Mapping { range: address(start)?..address(end)?, readable, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_mappings_may_have_blanks() {
        let line = "7f48-7f4a r-xp 00000000 00:00 17                          /tmp/a b (deleted)";
        let mapping = Mapping { range: 0x7f48..0x7f4a, readable: true, name: "/tmp/a b (deleted)".to_owned() };
        assert_eq!(parse(line), Some(mapping));
        let anonymous = parse("0-1 ---p 0 00:00 0 ").unwrap();
        assert_eq!((anonymous.readable, anonymous.name.as_str()), (false, ""));
        assert_eq!(parse("cut"), None);
    }

    #[test]
    fn our_own_memory_is_what_we_know_of_it() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let known = *b"known to us";
        let memory = Memory::open(pid).unwrap();
        let address = known.as_ptr() as u64;
        assert_eq!(memory.read(address, known.len()).unwrap(), known);
        assert!(mappings(pid).unwrap().iter().any(|mapping| mapping.range.contains(&address)));
        assert!(memory.read(0, 1).is_err());
        assert!(memory.read_up_to(0, 16).is_empty());
    }
}
