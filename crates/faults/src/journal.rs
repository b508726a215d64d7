//! The journal: what was planned, injected and undone, on disk before it happens.
//!
//! An append-only file. After eight bytes that say what it is, records of
//!
//! ```text
//! marker 4 bytes | length u32 | CRC-32 of the payload u32 | payload (JSON of a Record)
//! ```
//!
//! with numbers in little-endian order. A record that was being written when the machine died is torn and ignored; a record
//! that rotted is skipped, and reading goes on at the next marker, so that one bad byte costs one record.
//!
//! [`Journal::append`] returns when the record is on the disk. Threads that append at the same time share one `fdatasync`.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use model::event::{Cleanliness, InjectionId};
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use crate::{book, boot, fault::Undo, process::Process};

/// One line of the journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "record")]
pub enum Record {
    /// A process begins to inject.
    Begun(Begun),
    /// A fault is about to be injected.
    Planned {
        /// Which injection.
        id: InjectionId,
        /// How to undo it.
        undo: Box<Undo>,
        /// How long it may live when nobody renews it.
        lease: Duration,
        /// When, by the wall clock.
        at: SystemTime,
    },
    /// It is in effect.
    Injected {
        /// Which injection.
        id: InjectionId,
        /// The token of its undo record.
        token: u64,
    },
    /// It is undone.
    Undone {
        /// Which injection.
        id: InjectionId,
        /// The token of its undo record: every run counts its injections from the same number.
        token: u64,
        /// What was found when its traces were compared with how things were before.
        fingerprint: Cleanliness,
    },
}

/// Who injects, and for what.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Begun {
    /// The process.
    pub runner: Process,
    /// The [id](crate::boot::id) of the boot in which it ran.
    pub boot: String,
    /// When it began, by the wall clock.
    pub at: SystemTime,
    /// What it was told to do, for people: an experiment, a lab.
    pub document: String,
}

impl Begun {
    /// This process, now.
    ///
    /// # Errors
    ///
    /// When `/proc` does not show it.
    pub fn now(document: &str) -> io::Result<Self> {
        Ok(Self {
            runner: Process::own()?,
            boot: boot::id().to_owned(),
            at: SystemTime::now(),
            document: document.to_owned(),
        })
    }
}

/// Why a journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A living process has it open.
    #[error(
        "the journal {path} is in use by another process that injects faults; wait until it has ended, or use another journal"
    )]
    Busy {
        /// Which file.
        path: PathBuf,
    },
    /// The file exists and is no journal.
    #[error("{path} exists and is not a journal; move it away or name another file")]
    Foreign {
        /// Which file.
        path: PathBuf,
    },
    /// The file is a journal that this program cannot read.
    #[error(
        "the journal {path} has format {version}, and this program reads format {FORMAT}: use the version of it that wrote the \
         journal"
    )]
    Version {
        /// Which file.
        path: PathBuf,
        /// Of which format.
        version: u8,
    },
    /// The file system refuses.
    #[error("cannot open the journal {path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The journal, open and locked.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    tail: Mutex<Tail>,
    synced: Condvar,
}

#[derive(Debug)]
struct Tail {
    file: File,
    /// How many records are written, and how many of these are known to be on the disk.
    written: u64,
    on_disk: u64,
    /// Somebody is in `fdatasync` now.
    syncing: bool,
    /// A write or sync failed: the file's end is unknown, so nothing may follow.
    broken: bool,
}

/// What a journal said when it was opened.
#[derive(Debug, Default)]
pub struct Replayed {
    /// Who injected last, and for what; unknown if it died before it could say so.
    pub begun: Option<Begun>,
    /// What is not undone, or left something behind, in the order in which it was planned.
    pub open: Vec<Open>,
    /// How many stretches of the file could not be read.
    pub damaged: usize,
}

/// An injection on record that is not undone, or not wholly.
#[derive(Debug, Clone)]
pub struct Open {
    /// Its number in the run that made it.
    pub id: InjectionId,
    /// How to undo it.
    pub undo: Undo,
    /// How long it may live when nobody renews it.
    pub lease: Duration,
    /// When it was planned, by the wall clock.
    pub at: SystemTime,
    /// Whether it is known to have been in effect.
    pub injected: bool,
    /// What the last attempt to undo it found: what is left, and the command that repairs it.
    pub left: Option<(String, String)>,
}

/// What the file is: a name, and the version of its format.
const MAGIC: &[u8; 8] = b"SHKJNL\0\x02";
/// That version.
const FORMAT: u8 = MAGIC[7];
/// Begins every record, so that reading can go on behind a damaged one. Not valid UTF-8, so JSON never contains it.
const MARKER: [u8; 4] = [0xfe, 0xed, 0xfa, 0x17];
/// Marker, length, checksum.
const HEAD: usize = 12;
/// No record is longer: an undo record is some hundred bytes, one with many processes some thousand.
const LONGEST: usize = 1 << 20;

impl Journal {
    /// Opens the journal, or creates it, and says what its last owner left undone.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub fn open(path: &Path) -> Result<(Self, Replayed), OpenError> {
        let io_error = |source| OpenError::Io { path: path.to_owned(), source };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            // For its owner alone: whoever can write there could name processes for us to signal.
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io_error)?;
        }
        let mut file = Self::lock(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io_error)?;
        let replayed = interpret(path, &bytes)?;
        if bytes.len() < MAGIC.len() {
            file.set_len(0).and_then(|()| file.rewind()).map_err(io_error)?;
            file.write_all(MAGIC).and_then(|()| file.sync_all()).map_err(io_error)?;
            sync_folder_of(path).map_err(io_error)?;
        }
        // Whoever gets it handed over may have another working directory.
        let path = std::path::absolute(path).map_err(io_error)?;
        Ok((Self::of(path, file), replayed))
    }

    fn of(path: PathBuf, file: File) -> Self {
        let tail = Tail { file, written: 0, on_disk: 0, syncing: false, broken: false };
        Self { path, tail: Mutex::new(tail), synced: Condvar::new() }
    }

    /// A journal that another process has opened and locked, by a descriptor it has handed over.
    pub(crate) fn adopt(path: PathBuf, descriptor: OwnedFd) -> Self {
        Self::of(path, File::from(descriptor))
    }

    /// A descriptor to hand over. The lock belongs to both: it ends with the last of them.
    pub(crate) fn share(&self) -> io::Result<OwnedFd> {
        self.tail().file.try_clone().map(OwnedFd::from)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Shows by the file's time of change that whoever has the journal is at work.
    pub(crate) fn touch(&self) {
        // For people alone, in `status`.
        self.tail().file.set_modified(SystemTime::now()).ok();
    }

    /// What it says now.
    pub(crate) fn replay(&self) -> Result<Replayed, OpenError> {
        let io_error = |source| OpenError::Io { path: self.path.clone(), source };
        let tail = self.tail();
        let length = tail.file.metadata().map_err(io_error)?.len();
        let mut bytes = vec![0; usize::try_from(length).map_err(|why| io_error(io::Error::other(why)))?];
        // Not from where the descriptor stands: that it shares with other processes.
        tail.file.read_exact_at(&mut bytes, 0).map_err(io_error)?;
        interpret(&self.path, &bytes)
    }

    /// Opens and locks the file that has this name *now*: its last owner may remove it between our opening and locking it.
    fn lock(path: &Path) -> Result<File, OpenError> {
        let io_error = |source| OpenError::Io { path: path.to_owned(), source };
        loop {
            let file = OpenOptions::new()
                .read(true)
                .append(true)
                .create(true)
                .mode(0o600) // it names processes and addresses
                .open(path)
                .map_err(io_error)?;
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => return Err(OpenError::Busy { path: path.to_owned() }),
                Err(why) => return Err(io_error(why.into())),
            }
            if is_named(&file, path).map_err(io_error)? {
                return Ok(file);
            }
        }
    }

    /// Appends a record; returns when it is on the disk.
    ///
    /// # Errors
    ///
    /// When the disk is full or broken. Nothing more can be appended then: nobody knows where the file ends.
    pub fn append(&self, record: &Record) -> io::Result<()> {
        let bytes = encode(record)?;
        let mut tail = self.tail();
        tail.check()?;
        if let Err(why) = tail.file.write_all(&bytes) {
            tail.broken = true;
            return Err(why);
        }
        tail.written += 1;
        let mine = tail.written;
        while tail.on_disk < mine {
            tail.check()?;
            if tail.syncing {
                tail = self.synced.wait(tail).unwrap_or_else(PoisonError::into_inner);
            } else {
                tail = self.sync(tail)?;
            }
        }
        Ok(())
    }

    /// Syncs all that is written so far, for everybody who waits; others go on appending meanwhile.
    fn sync<'a>(&'a self, mut tail: MutexGuard<'a, Tail>) -> io::Result<MutexGuard<'a, Tail>> {
        tail.syncing = true;
        let upto = tail.written;
        let file = tail.file.try_clone();
        drop(tail);
        let outcome = file.and_then(|file| file.sync_data());
        let mut tail = self.tail();
        tail.syncing = false;
        match outcome {
            Ok(()) => tail.on_disk = upto,
            Err(_) => tail.broken = true,
        }
        self.synced.notify_all();
        outcome.map(|()| tail)
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets everything: to be called when all is undone.
    ///
    /// # Errors
    ///
    /// When the file system refuses.
    pub fn clear(&self) -> io::Result<()> {
        let tail = self.tail();
        let keep = u64::try_from(MAGIC.len()).map_err(io::Error::other)?;
        tail.file.set_len(keep)?;
        tail.file.sync_data()
    }

    /// Removes the file, if it still goes by its name: to be called when all is undone and nothing will follow.
    ///
    /// # Errors
    ///
    /// When the file system refuses.
    pub fn remove(&self) -> io::Result<()> {
        if !is_named(&self.tail().file, &self.path)? {
            return Ok(());
        }
        book::remove(&self.path);
        fs::remove_file(&self.path)
    }
}

/// Reads a journal without opening it: a living process may have it, and goes on writing meanwhile.
///
/// # Errors
///
/// See [`OpenError`].
pub fn read(path: &Path) -> Result<Replayed, OpenError> {
    let bytes = fs::read(path).map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
    interpret(path, &bytes)
}

/// Whether a living process has the journal. One that somebody looks at like this cannot be opened for that moment.
///
/// # Errors
///
/// When it cannot be opened.
pub fn is_held(path: &Path) -> io::Result<bool> {
    match rustix::fs::flock(File::open(path)?, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
        Err(why) => Err(why.into()),
    }
}

/// Whether this is the file that has this name now.
fn is_named(file: &File, path: &Path) -> io::Result<bool> {
    let own = file.metadata()?;
    match fs::metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (own.dev(), own.ino())),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(why) => Err(why),
    }
}

fn interpret(path: &Path, bytes: &[u8]) -> Result<Replayed, OpenError> {
    match bytes.strip_prefix(MAGIC) {
        Some(records) => {
            let (records, damaged) = decode(records);
            Ok(replay(records, damaged))
        }
        // Empty, or the owner died while writing the first eight bytes.
        None if MAGIC.starts_with(bytes) => Ok(Replayed::default()),
        None => Err(match bytes.strip_prefix(&MAGIC[..7]) {
            Some([version, ..]) => OpenError::Version { path: path.to_owned(), version: *version },
            _ => OpenError::Foreign { path: path.to_owned() },
        }),
    }
}

impl Tail {
    fn check(&self) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("an earlier write to the journal failed"));
        }
        Ok(())
    }
}

/// The name of a new file is on the disk when its folder is.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    File::open(folder)?.sync_all()
}

fn encode(record: &Record) -> io::Result<Vec<u8>> {
    let payload = serde_json::to_vec(record)?;
    if payload.len() > LONGEST {
        return Err(io::Error::other(format!(
            "an undo record of {} bytes; the longest allowed is {LONGEST}",
            payload.len()
        )));
    }
    let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
    let mut bytes = Vec::with_capacity(HEAD + payload.len());
    bytes.extend_from_slice(&MARKER);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&crc32(&payload).to_le_bytes());
    bytes.extend_from_slice(&payload);
    Ok(bytes)
}

/// Reads all records that are whole, and counts the stretches between them that are not.
fn decode(bytes: &[u8]) -> (Vec<Record>, usize) {
    let (mut records, mut damaged, mut at, mut lost) = (Vec::new(), 0, 0, false);
    while at < bytes.len() {
        if let Some((record, length)) = decode_one(&bytes[at..]) {
            records.push(record);
            at += length;
            lost = false;
        } else {
            if !lost {
                damaged += 1;
            }
            lost = true;
            at += 1;
        }
    }
    (records, damaged)
}

fn decode_one(bytes: &[u8]) -> Option<(Record, usize)> {
    let rest = bytes.strip_prefix(&MARKER)?;
    let length = usize::try_from(u32::from_le_bytes(*rest.first_chunk()?)).ok().filter(|length| *length <= LONGEST)?;
    let checksum = u32::from_le_bytes(*rest.get(4..)?.first_chunk()?);
    let payload = bytes.get(HEAD..HEAD + length)?;
    if crc32(payload) != checksum {
        return None;
    }
    Some((serde_json::from_slice(payload).ok()?, HEAD + length))
}

fn replay(records: Vec<Record>, damaged: usize) -> Replayed {
    let (mut begun, mut open) = (None, Vec::<Open>::new());
    for record in records {
        match record {
            Record::Begun(who) => begun = Some(who),
            Record::Planned { id, undo, lease, at } => {
                open.push(Open { id, undo: *undo, lease, at, injected: false, left: None });
            }
            Record::Injected { token, .. } => {
                open.iter_mut().filter(|one| one.undo.token == token).for_each(|one| one.injected = true);
            }
            // Until somebody has repaired it, each start looks again.
            Record::Undone { token, fingerprint: Cleanliness::Dirty { residue, repair }, .. } => {
                let left = Some((residue, repair));
                open.iter_mut().filter(|one| one.undo.token == token).for_each(|one| one.left.clone_from(&left));
            }
            Record::Undone { token, .. } => open.retain(|one| one.undo.token != token),
        }
    }
    Replayed { begun, open, damaged }
}

/// CRC-32 as in zip and Ethernet (polynomial 0xEDB88320, reflected).
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut index = 0;
        while index < 256 {
            #[expect(clippy::cast_possible_truncation, reason = "index < 256")]
            let mut value = index as u32;
            let mut bit = 0;
            while bit < 8 {
                value = if value & 1 == 1 { (value >> 1) ^ 0xEDB8_8320 } else { value >> 1 };
                bit += 1;
            }
            table[index] = value;
            index += 1;
        }
        table
    };
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        let [low, ..] = crc.to_le_bytes();
        (crc >> 8) ^ TABLE[usize::from(low ^ byte)]
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::object::Object;

    fn planned(id: u32) -> Record {
        let object = Object { name: format!("i-{id}"), pid: Some(4711), ..Object::default() };
        let undo =
            Undo { fault: "process:pause".to_owned(), token: u64::from(id), object, plan: serde_json::json!([1, 2]) };
        Record::Planned {
            id: InjectionId(id),
            undo: Box::new(undo),
            lease: Duration::from_secs(3),
            at: SystemTime::UNIX_EPOCH,
        }
    }

    /// Copies a journal as if the machine had been booted again since.
    pub(crate) fn copy_to_another_boot(from: &Path, to: &Path) {
        let bytes = fs::read(from).unwrap();
        let mut copy = MAGIC.to_vec();
        let mut rest = bytes.strip_prefix(MAGIC).unwrap();
        while let Some((_, length)) = decode_one(rest) {
            let record = std::str::from_utf8(&rest[HEAD..length]).unwrap();
            let record = record.replace(boot::id(), "00000000-0000-0000-0000-000000000000");
            copy.extend_from_slice(&MARKER);
            copy.extend_from_slice(&u32::try_from(record.len()).unwrap().to_le_bytes());
            copy.extend_from_slice(&crc32(record.as_bytes()).to_le_bytes());
            copy.extend_from_slice(record.as_bytes());
            rest = &rest[length..];
        }
        fs::write(to, copy).unwrap();
    }

    fn undone(id: u32) -> Record {
        Record::Undone { id: InjectionId(id), token: u64::from(id), fingerprint: Cleanliness::Clean }
    }

    fn ids(replayed: &Replayed) -> Vec<u32> {
        replayed.open.iter().map(|one| one.id.0).collect()
    }

    #[test]
    fn the_checksum_is_the_well_known_one() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn what_is_not_undone_is_there_after_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/journal");
        let (journal, replayed) = Journal::open(&path).unwrap();
        assert!(replayed.open.is_empty());
        for record in [planned(1), Record::Injected { id: InjectionId(1), token: 1 }, planned(2), undone(1)] {
            journal.append(&record).unwrap();
        }
        drop(journal);
        let (journal, replayed) = Journal::open(&path).unwrap();
        assert_eq!((ids(&replayed), replayed.damaged), (vec![2], 0));
        journal.clear().unwrap();
        journal.append(&planned(3)).unwrap();
        drop(journal);
        assert_eq!(ids(&Journal::open(&path).unwrap().1), [3]);
    }

    #[test]
    fn what_left_something_behind_is_there_after_reopening_until_it_is_clean() {
        let dirty = Cleanliness::Dirty { residue: "a table".to_owned(), repair: "delete it".to_owned() };
        let left = Record::Undone { id: InjectionId(1), token: 1, fingerprint: dirty };
        assert_eq!(ids(&replay(vec![planned(1), left.clone()], 0)), [1]);
        assert!(ids(&replay(vec![planned(1), left, undone(1)], 0)).is_empty());
    }

    #[test]
    fn another_injection_of_the_same_number_does_not_make_good_what_the_first_left_behind() {
        let dirty = Cleanliness::Dirty { residue: "a table".to_owned(), repair: "delete it".to_owned() };
        let left = Record::Undone { id: InjectionId(1), token: 1, fingerprint: dirty };
        let Record::Planned { undo, lease, at, .. } = planned(2) else { panic!() };
        let again = Record::Planned { id: InjectionId(1), undo, lease, at };
        let clean = Record::Undone { id: InjectionId(1), token: 2, fingerprint: Cleanliness::Clean };
        let tokens = |records| replay(records, 0).open.iter().map(|one| one.undo.token).collect::<Vec<_>>();
        assert_eq!(tokens(vec![planned(1), left.clone(), again.clone()]), [1, 2]);
        assert_eq!(tokens(vec![planned(1), left, again, clean]), [1]);
    }

    #[test]
    fn the_folder_it_makes_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let made = folder.path().join("new");
        Journal::open(&made.join("journal")).unwrap();
        assert_eq!(fs::metadata(made).unwrap().mode() & 0o077, 0);
    }

    #[test]
    fn only_one_process_at_a_time_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let first = Journal::open(&path).unwrap();
        assert!(matches!(Journal::open(&path), Err(OpenError::Busy { .. })));
        drop(first);
        Journal::open(&path).unwrap();
    }

    #[test]
    fn another_file_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        fs::write(&path, "my diary").unwrap();
        assert!(matches!(Journal::open(&path), Err(OpenError::Foreign { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "my diary");
    }

    #[test]
    fn a_journal_of_another_format_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        fs::write(&path, b"SHKJNL\0\x01 and more").unwrap();
        assert!(matches!(Journal::open(&path), Err(OpenError::Version { version: 1, .. })));
        assert_eq!(fs::read(&path).unwrap(), b"SHKJNL\0\x01 and more");
    }

    #[test]
    fn a_shared_descriptor_keeps_the_lock_and_reads_and_writes_the_same_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (first, _) = Journal::open(&path).unwrap();
        first.append(&Record::Begun(Begun::now("test").unwrap())).unwrap();
        first.append(&planned(1)).unwrap();
        let second = Journal::adopt(path.clone(), first.share().unwrap());
        drop(first);
        assert!(matches!(Journal::open(&path), Err(OpenError::Busy { .. })));
        assert!(is_held(&path).unwrap());
        assert_eq!(ids(&second.replay().unwrap()), [1]);
        second.append(&undone(1)).unwrap();
        let said = read(&path).unwrap();
        assert!(said.open.is_empty());
        assert_eq!(said.begun.map(|begun| begun.document).as_deref(), Some("test"));
        second.remove().unwrap();
        assert!(!path.exists());
        // A second time, and when another file has the name.
        second.remove().unwrap();
        fs::write(&path, "my diary").unwrap();
        second.remove().unwrap();
        assert!(path.exists());
    }

    #[test]
    fn cut_off_at_any_byte_it_has_all_records_that_are_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut bytes = MAGIC.to_vec();
        let mut ends = Vec::new();
        for id in 0..4 {
            bytes.extend(encode(&planned(id)).unwrap());
            ends.push(bytes.len());
        }
        for cut in 0..=bytes.len() {
            fs::write(&path, &bytes[..cut]).unwrap();
            let (journal, replayed) = Journal::open(&path).unwrap();
            let whole = ends.iter().filter(|end| **end <= cut).count();
            assert_eq!(replayed.open.len(), whole, "cut at {cut}");
            // And it takes more, behind the torn record.
            journal.append(&planned(100)).unwrap();
            drop(journal);
            assert_eq!(Journal::open(&path).unwrap().1.open.len(), whole + 1, "cut at {cut}");
        }
    }

    #[test]
    fn threads_that_append_at_once_all_find_their_record_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (journal, _) = Journal::open(&path).unwrap();
        std::thread::scope(|scope| {
            for id in 0..20 {
                let journal = &journal;
                scope.spawn(move || journal.append(&planned(id)).unwrap());
            }
        });
        drop(journal);
        let mut found = ids(&Journal::open(&path).unwrap().1);
        found.sort_unstable();
        assert_eq!(found, (0..20).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn a_flipped_bit_costs_no_other_record(byte in any::<prop::sample::Index>(), bit in 0u8..8) {
            let records: Vec<Vec<u8>> = (0..5).map(|id| encode(&planned(id)).unwrap()).collect();
            let mut bytes = records.concat();
            let hit = byte.index(bytes.len());
            bytes[hit] ^= 1 << bit;
            let mut end = 0;
            let victim = records.iter().position(|record| { end += record.len(); hit < end }).unwrap();
            let (read, damaged) = decode(&bytes);
            let survivors: Vec<usize> = (0..5).filter(|id| *id != victim).collect();
            let read: Vec<usize> = ids(&replay(read, 0)).into_iter().map(|id| id as usize).collect();
            prop_assert_eq!((read, damaged), (survivors, 1));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            decode(&bytes);
        }
    }
}
