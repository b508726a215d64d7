//! `disk:stress`: somebody else keeps the disk busy.

use std::{
    fmt, fs,
    fs::File,
    io,
    num::NonZeroU64,
    os::unix::fs::FileExt,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use model::{
    catalogue::{Entry, Parameter, ParameterKind, Reversibility},
    event::{Cleanliness, Proof},
};
use rand::{Rng, RngCore, SeedableRng, rngs::SmallRng};
use rustix::fs::{Advice, FallocateFlags, OFlags, fadvise, fallocate};
use serde::{Deserialize, Serialize};

use crate::{
    TARGETS_AND_MACHINES,
    disk::{
        fill::nameless_failed,
        folder::{self, Folder, amount},
    },
    fault::{self, Abort, Failed, Fault, Injection, Refused, Tools, Undo, UndoError, Undone},
    helper::Job,
    load, measure,
    network::DURATION,
    object::Object,
    parameters::{Checked, Size},
    stress::{self, Load},
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "disk:stress",
    about: "Reads and writes on a disk, beside the processes of a target.",
    targets: TARGETS_AND_MACHINES,
    parameters: &[
        DURATION,
        folder::PATH,
        Parameter {
            name: "workers",
            kind: ParameterKind::Integer { min: 1, max: 128 },
            required: false,
            default: Some("1"),
            about: "How many threads read and write, each in a file of its own.",
        },
        Parameter {
            name: "size",
            kind: ParameterKind::Size,
            required: false,
            default: Some("64MiB"),
            about: "How much their files take, together: of the free space (80%), or an amount.",
        },
        Parameter {
            name: "blockSize",
            kind: ParameterKind::Size,
            required: false,
            default: Some("64KiB"),
            about: "How much is read or written at a time: 512 bytes to 16 MiB.",
        },
        Parameter {
            name: "readPercent",
            kind: ParameterKind::Integer { min: 0, max: 100 },
            required: false,
            default: Some("0"),
            about: "The share of operations that read what was written before; the others write.",
        },
        Parameter {
            name: "sync",
            kind: ParameterKind::Boolean,
            required: false,
            default: Some("true"),
            about: "Whether each write waits until the disk has it, and not just the kernel.",
        },
        Parameter {
            name: "bytesPerSecond",
            kind: ParameterKind::Size,
            required: false,
            default: None,
            about: "How much is read and written per second, together (20MiB); without it, as much as the disk takes.",
        },
        folder::RESERVE,
        folder::SHARED,
    ],
    reversibility: Reversibility::SelfEnding,
    undone_by: "The process that reads and writes ends; its files have no name, so that the kernel frees them then, also when this process dies.",
    proven_by: "The bytes that the process has read and written, as the kernel counts them, over half a second, or some seconds where the machine is busy.",
    needs: &[],
    exclusive: &[],
    fis: &["aws:ssm:send-command AWSFIS-Run-IO-Stress"],
    chaos_mesh: Some("PhysicalMachineChaos disk-write-payload, disk-read-payload"),
};

/// What the helper is to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Traffic {
    folder: Folder,
    workers: usize,
    /// Of one operation, in bytes.
    block: usize,
    /// Of each worker's file, in bytes; a multiple of a block.
    file: u64,
    read_percent: u32,
    sync: bool,
    /// Of all workers, in bytes per second.
    rate: Option<u64>,
}

/// What a worker writes before it begins, if it is to read: what was never written is read from nowhere.
const PREPARED: u64 = 64 << 20;
/// What a worker did not get of its rate it makes up for at most this much later.
const DEBT: Duration = Duration::from_secs(1);
/// The longest that a worker looks away from the order to stop.
const NAP: Duration = Duration::from_millis(20);

impl Traffic {
    pub(crate) fn run(&self) -> Result<(), String> {
        let open = || {
            let more = if self.sync { OFlags::DSYNC } else { OFlags::empty() };
            let file = self.folder.nameless(more).map_err(|why| nameless_failed(&self.folder, &why))?;
            self.prepare(&file).map_err(|why| format!("cannot write to {}: {why}", self.folder))?;
            Ok(file)
        };
        let files: Vec<File> = (0..self.workers).map(|_| open()).collect::<Result<_, String>>()?;
        load::work_until_released(&files, |file, stop| {
            // A disk that fails is a disk that is not loaded: the proof says so.
            self.work(file, stop).ok();
        })
    }

    fn prepare(&self, file: &File) -> io::Result<()> {
        match fallocate(file, FallocateFlags::empty(), 0, self.file) {
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
            Err(why) => return Err(why.into()),
        }
        if self.read_percent == 0 {
            return Ok(());
        }
        let block = vec![1; self.block];
        let blocks = (PREPARED.min(self.file) / self.block as u64).max(1);
        (0..blocks).try_for_each(|number| file.write_all_at(&block, number * self.block as u64))
    }

    fn work(&self, file: &File, stop: &AtomicBool) -> io::Result<()> {
        let mut chance = SmallRng::seed_from_u64(fault::seed());
        let mut block = vec![0; self.block];
        chance.fill_bytes(&mut block);
        let size = self.block as u64;
        let blocks = self.file / size;
        let mut written = if self.read_percent == 0 { 0 } else { (PREPARED.min(self.file) / size).max(1) };
        let mut next = 0;
        let mut pace = self.rate.map(|rate| Pace::new(rate, self.workers, self.block));
        while !stop.load(Ordering::Relaxed) {
            if let Some(pace) = &mut pace
                && !pace.is_due()
            {
                continue;
            }
            if chance.random_range(0..100) < self.read_percent {
                let place = chance.random_range(0..written) * size;
                // Else it would come from the kernel's memory. One that cannot forget is not made slower by it.
                fadvise(file, place, NonZeroU64::new(size), Advice::DontNeed).ok();
                file.read_exact_at(&mut block, place)?;
            } else {
                file.write_all_at(&block, next * size)?;
                next = (next + 1) % blocks;
                written = written.max(next);
            }
        }
        Ok(())
    }
}

/// When a worker's next operation is due.
struct Pace {
    every: Duration,
    due: Instant,
}

impl Pace {
    fn new(rate: u64, workers: usize, block: usize) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a rate, and some kilobytes")]
        let every = (block * workers) as f64 / rate.max(1) as f64;
        Self { every: Duration::from_secs_f64(every), due: Instant::now() }
    }

    /// Whether it is; else sleeps towards it.
    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        if now < self.due {
            thread::sleep((self.due - now).min(NAP));
            return false;
        }
        self.due = (self.due + self.every).max(now.checked_sub(DEBT).unwrap_or(now));
        true
    }
}

pub(crate) struct DiskStress;

struct Live {
    load: Load,
    plan: Traffic,
    begun: (Instant, Moved),
}

impl Fault for DiskStress {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn plan(&self, object: &Object, parameters: Checked<'_>) -> Result<serde_json::Value, Refused> {
        let (folder, space) = Folder::plan_disk(object, parameters)?;
        let workers: usize = parameters.read("workers")?;
        let size = parameters.read::<Size>("size")?.of(space.free);
        let most = space.beyond(parameters.read("reserve")?);
        if size > most {
            return Err(Refused(format!(
                "files of {} are asked for on the disk of {folder}; {} are free, and the reserve leaves {}",
                amount(size),
                amount(space.free),
                amount(most)
            )));
        }
        let block = block_size(parameters)?;
        let blocks = size / workers as u64 / block as u64;
        if blocks == 0 {
            return Err(Refused(format!("files of {} are less than a block for each worker", amount(size))));
        }
        let rate = match parameters.maybe::<Size>("bytesPerSecond")? {
            Some(Size::Bytes(bytes)) => Some(bytes),
            Some(Size::Percent(_)) => {
                return Err(Refused("`bytesPerSecond`: give an amount, such as 20MiB".to_owned()));
            }
            None => None,
        };
        let plan = Traffic {
            folder,
            workers,
            block,
            file: blocks * block as u64,
            read_percent: parameters.read("readPercent")?,
            sync: parameters.read("sync")?,
            rate,
        };
        fault::written(&plan)
    }

    fn inject(&self, undo: &Undo, tools: &Tools) -> Result<Box<dyn Injection>, Failed> {
        let plan: Traffic = undo.plan()?;
        let load = Load::start(undo, tools, &Job::Traffic(plan.clone()))?;
        let begun = (Instant::now(), Moved::by(&load).map_err(Failed::to("read what the load has moved"))?);
        Ok(Box::new(Live { load, plan, begun }))
    }

    fn undo(&self, undo: &Undo) -> Result<Cleanliness, UndoError> {
        stress::undo_record(undo)
    }
}

/// From what the smallest disks write at once to what fits a worker's memory many times.
fn block_size(parameters: Checked<'_>) -> Result<usize, Refused> {
    match parameters.read("blockSize")? {
        Size::Bytes(bytes @ 512..=0x100_0000) => usize::try_from(bytes).map_err(|why| Refused(why.to_string())),
        _ => Err(Refused("`blockSize`: give an amount from 512 bytes to 16 MiB, such as 64KiB".to_owned())),
    }
}

/// What a process has moved so far, in bytes: proc_pid_io(5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Moved {
    /// By its calls.
    read: u64,
    written: u64,
    /// To and from devices.
    fetched: u64,
    stored: u64,
}

impl Moved {
    fn by(load: &Load) -> io::Result<Self> {
        let text = fs::read_to_string(format!("/proc/{}/io", load.process().pid))?;
        Self::parse(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, text))
    }

    fn parse(text: &str) -> Option<Self> {
        let number = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        Some(Self {
            read: number("rchar:")?,
            written: number("wchar:")?,
            fetched: number("read_bytes:")?,
            stored: number("write_bytes:")?,
        })
    }

    const fn since(self, before: Self) -> Self {
        Self {
            read: self.read.saturating_sub(before.read),
            written: self.written.saturating_sub(before.written),
            fetched: self.fetched.saturating_sub(before.fetched),
            stored: self.stored.saturating_sub(before.stored),
        }
    }
}

/// Long enough for a slow disk to finish some operations, and for a rate to even out.
const WINDOW: Duration = Duration::from_millis(500);
/// How far the measured rate may be from the configured one.
const TOLERANCE: f64 = 0.1;
/// Longest wait for the first operation: a disk that answers later than this answers nobody.
const PATIENCE: Duration = Duration::from_secs(10);

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { folder, workers, block, read_percent, .. } = self;
        match self.rate {
            Some(rate) => write!(f, "{} per second on the disk of {folder}", amount(rate))?,
            None => write!(f, "the disk of {folder} used by {workers} worker{}", if *workers == 1 { "" } else { "s" })?,
        }
        write!(f, ", {} at a time, {read_percent} % reads", amount(*block as u64))
    }
}

impl Live {
    /// What the load has moved by now.
    fn now(&self) -> Option<(Instant, Moved)> {
        let (at, moved) = measure::at_a_moment(|| Moved::by(&self.load));
        Some((at, moved.ok()?))
    }

    /// What it has moved since, in words, and whether that is as it should be.
    fn achieved(&self, (since, before): (Instant, Moved), abort: Option<&Abort>) -> (String, bool) {
        let look = || self.now().map(|(at, now)| (at, now.since(before)));
        // Blocks arrive whole: over a window, half a block more or less is no error of the rate.
        let some = |moved: &Moved| moved.read + moved.written >= self.plan.block as u64;
        let seen = match abort {
            Some(abort) => abort.until(PATIENCE, || look().filter(|(_, moved)| some(moved))).or_else(look),
            None => look(),
        };
        let Some((at, moved)) = seen.filter(|_| self.load.is_alive()) else {
            return ("the load has ended".to_owned(), false);
        };
        let seconds = (at - since).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "some gigabytes")]
        let achieved = (moved.read + moved.written) as f64 / seconds;
        #[expect(clippy::cast_precision_loss, reason = "some megabytes")]
        let holds = some(&moved)
            && self.plan.rate.is_none_or(|rate| {
                let slack = (self.plan.block * self.plan.workers) as f64 / seconds;
                (achieved - rate as f64).abs() <= rate as f64 * TOLERANCE + slack
            });
        let words = format!(
            "{} written ({} to the device) and {} read ({} from it) in {seconds:.1} s",
            amount(moved.written),
            amount(moved.stored),
            amount(moved.read),
            amount(moved.fetched)
        );
        (words, holds)
    }
}

impl Injection for Live {
    fn prove(&mut self, abort: &Abort) -> Proof {
        let (achieved, holds) = measure::longer_and_longer(abort, WINDOW, |window| {
            let start = self.now().unwrap_or(self.begun);
            abort.until(window, || None::<()>);
            Ok(self.achieved(start, Some(abort)))
        });
        Proof { configured: self.plan.to_string(), achieved, holds }
    }

    fn end(self: Box<Self>) -> Result<Undone, UndoError> {
        let (achieved, holds) = self.achieved(self.begun, None);
        let proof = Proof { configured: self.plan.to_string(), achieved, holds };
        Ok(Undone { cleanliness: self.load.end(), proof: Some(proof) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_counts_is_read() {
        let text = "rchar: 10\nwchar: 20\nsyscr: 1\nsyscw: 2\nread_bytes: 4096\nwrite_bytes: 8192\n";
        let moved = Moved::parse(text).unwrap();
        assert_eq!(moved, Moved { read: 10, written: 20, fetched: 4096, stored: 8192 });
        assert_eq!(moved.since(Moved { read: 4, ..Moved::default() }).read, 6);
        assert_eq!(Moved::parse("rchar: 10\n"), None);
    }

    #[test]
    fn a_worker_that_waits_for_a_slow_disk_makes_up_for_a_second_of_its_rate_and_no_more() {
        let mut pace = Pace::new(1 << 20, 1, 1 << 16);
        assert!(pace.is_due());
        assert!(!pace.is_due());
        let late = Instant::now().checked_sub(Duration::from_secs(100)).unwrap();
        pace.due = late;
        let missed = std::iter::from_fn(|| pace.is_due().then_some(())).take(100).count();
        // 16 blocks a second, and those that came due while counting.
        assert!((16..40).contains(&missed), "{missed}");
    }
}
