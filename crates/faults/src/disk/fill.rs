//! `disk:fill`: the disk runs full.

use std::{
    fs::File,
    io::{self, Write},
    time::Duration,
};

use model::{
    catalogue::{Entry, Parameter, ParameterKind, Reversibility},
    event::{Cleanliness, Proof},
};
use rand::{RngCore, SeedableRng, rngs::SmallRng};
use rustix::{
    fs::{FallocateFlags, OFlags, fallocate},
    io::Errno,
};
use serde::{Deserialize, Serialize};

use crate::{
    TARGETS_AND_MACHINES,
    disk::folder::{self, Folder, Space, amount},
    fault::{self, Abort, Failed, Fault, Injection, Refused, Tools, Undo, UndoError, Undone},
    helper::{self, Answer, Job},
    network::DURATION,
    object::Object,
    parameters::{Checked, Size},
    stress::{self, Load},
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "disk:fill",
    about: "Takes the free space of a file system, up to a reserve. What was to get so full is kept so: what others free meanwhile is taken, too.",
    targets: TARGETS_AND_MACHINES,
    parameters: &[
        DURATION,
        folder::PATH,
        Parameter {
            name: "size",
            kind: ParameterKind::Size,
            required: false,
            default: Some("95%"),
            about: "How full it gets (95% in use, as `df` counts), or how much is taken (2GiB).",
        },
        folder::RESERVE,
        folder::SHARED,
    ],
    reversibility: Reversibility::SelfEnding,
    undone_by: "The process that holds the file ends; the file has no name, so that the kernel frees it then, also when this process dies.",
    proven_by: "The space that the kernel says is in use and free on the file system.",
    needs: &[],
    exclusive: &[],
    fis: &["aws:ssm:send-command AWSFIS-Run-Disk-Fill"],
    chaos_mesh: Some("PhysicalMachineChaos disk-fill"),
};

/// What the helper is to do: take space, and hold it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fill {
    folder: Folder,
    /// This much, in bytes.
    bytes: u64,
    /// Rather as much as leaves this free, in bytes, whatever others take and free.
    #[serde(default)]
    level: Option<u64>,
    /// In bytes.
    reserve: u64,
}

/// What is taken between two looks at the reserve: a thousandth of a second's work for the kernel, some of a disk that must
/// be written to.
const CHUNK: u64 = 256 << 20;
/// What is written at a time where space cannot be had without writing.
const BLOCK: usize = 1 << 20;
/// How often it is looked whether others have freed something.
const LOOK: Duration = Duration::from_millis(50);

impl Fill {
    pub(crate) fn run(&self) -> Result<(), String> {
        let file = self.folder.nameless(OFlags::empty()).map_err(|why| nameless_failed(&self.folder, &why))?;
        let mut held = Held { file, bytes: 0, allocated: true };
        let failed = |why| format!("cannot fill {}: {why}", self.folder);
        while held.bytes < self.bytes && self.take(&mut held, self.bytes).map_err(failed)? {}
        helper::say(&Answer::Ready)?;
        // Where space is written it is counted later, and what is free already would be taken again.
        let look = self.level.filter(|_| held.allocated).map(|_| LOOK);
        while !helper::released(look) {
            // What cannot be had now is tried again; how full the disk has been in the end is seen there.
            self.take(&mut held, u64::MAX).ok();
        }
        Ok(())
    }

    /// Takes a part of what is to be held at most; whether there was any to take.
    fn take(&self, held: &mut Held, most: u64) -> Result<bool, String> {
        // Others use it, too; what they took since is not to come out of the reserve.
        let free = self.folder.space().map_err(|why| why.to_string())?.free;
        let above = self.level.map_or(u64::MAX, |level| free.saturating_sub(level));
        let length = CHUNK.min(above).min(most - held.bytes);
        if length == 0 {
            return Ok(false);
        }
        if free < self.reserve.saturating_add(length) {
            return Err(format!("{} are left, {} of them in reserve", amount(free), amount(self.reserve)));
        }
        match fallocate(&held.file, FallocateFlags::empty(), held.bytes, length) {
            Ok(()) => {}
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                held.allocated = false;
                write(&mut held.file, length).map_err(|why| why.to_string())?;
            }
            // Somebody was faster: there is less to take, if anything.
            Err(Errno::NOSPC) if self.level.is_some() => return Ok(false),
            Err(why) => return Err(why.to_string()),
        }
        held.bytes += length;
        Ok(true)
    }
}

/// What has been taken.
struct Held {
    file: File,
    bytes: u64,
    /// Whether it could be had without writing, and so was counted at once.
    allocated: bool,
}

/// Takes space by writing something that no file system can compress.
fn write(file: &mut File, length: u64) -> io::Result<()> {
    let mut noise = SmallRng::seed_from_u64(fault::seed());
    let mut block = vec![0; BLOCK];
    let mut left = length;
    while left > 0 {
        let part = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
        noise.fill_bytes(&mut block[..part]);
        file.write_all(&block[..part])?;
        left -= part as u64;
    }
    Ok(())
}

/// Why a file without a name could not be made.
pub(crate) fn nameless_failed(folder: &Folder, why: &io::Error) -> String {
    match Errno::from_io_error(why) {
        Some(Errno::OPNOTSUPP | Errno::ISDIR) => format!(
            "the file system of {folder} has no files without a name (O_TMPFILE), which would end by themselves"
        ),
        _ => format!("cannot make a file in {folder}: {why}"),
    }
}

pub(crate) struct DiskFill;

struct Live {
    load: Load,
    plan: Plan,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Plan {
    fill: Fill,
    size: Size,
    /// What may be free when it is done.
    free: u64,
}

impl Fault for DiskFill {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn plan(&self, object: &Object, parameters: Checked<'_>) -> Result<serde_json::Value, Refused> {
        let (folder, space) = Folder::plan_disk(object, parameters)?;
        let size: Size = parameters.read("size")?;
        let reserve: Size = parameters.read("reserve")?;
        let bytes = wanted(space, size);
        if bytes == 0 {
            return Err(Refused(format!("the disk of {folder} is {:.1} % full already", space.percent_used())));
        }
        let most = space.beyond(reserve);
        if bytes > most {
            return Err(Refused(format!(
                "{} would have to be taken from the disk of {folder}; {} are free, and the reserve leaves {}: ask for less, \
                 or for a smaller reserve",
                amount(bytes),
                amount(space.free),
                amount(most)
            )));
        }
        let free = space.free - bytes;
        let level = matches!(size, Size::Percent(_)).then_some(free);
        let fill = Fill { folder, bytes, level, reserve: reserve.of(space.whole()) };
        fault::written(&Plan { fill, size, free })
    }

    fn inject(&self, undo: &Undo, tools: &Tools) -> Result<Box<dyn Injection>, Failed> {
        let plan: Plan = undo.plan()?;
        let load = Load::start(undo, tools, &Job::Fill(plan.fill.clone()))?;
        Ok(Box::new(Live { load, plan }))
    }

    fn undo(&self, undo: &Undo) -> Result<Cleanliness, UndoError> {
        stress::undo_record(undo)
    }
}

/// How much must be taken for that.
fn wanted(space: Space, size: Size) -> u64 {
    match size {
        Size::Bytes(bytes) => bytes,
        level @ Size::Percent(_) => level.of(space.whole()).saturating_sub(space.used),
    }
}

/// How much more may be free than was meant, in percent of the whole: others delete files, too.
const TOLERANCE: f64 = 1.0;
/// File systems that count in the background have counted after this.
const PATIENCE: Duration = Duration::from_secs(2);

impl Live {
    fn configured(&self) -> String {
        let folder = &self.plan.fill.folder;
        match self.plan.size {
            Size::Bytes(bytes) => format!("{} taken from the disk of {folder}", amount(bytes)),
            Size::Percent(percent) => format!("the disk of {folder} {percent} % full"),
        }
    }

    fn is_full(&self, space: Space) -> bool {
        space.free <= self.plan.free.saturating_add(Size::Percent(TOLERANCE).of(space.whole()))
    }

    fn proof(&self, space: Option<Space>, to_the_end: &str) -> Proof {
        let alive = self.load.is_alive();
        let achieved = match space {
            _ if !alive => "what held it has ended".to_owned(),
            None => "the target has ended".to_owned(),
            Some(space) => {
                format!("{:.1} % full, {} free{to_the_end}", space.percent_used(), amount(space.free))
            }
        };
        let holds = alive && space.is_some_and(|space| self.is_full(space));
        Proof { configured: self.configured(), achieved, holds }
    }

    fn space(&self) -> Option<Space> {
        self.plan.fill.folder.space().ok()
    }
}

impl Injection for Live {
    fn prove(&mut self, abort: &Abort) -> Proof {
        abort.until(PATIENCE, || self.space().filter(|space| self.is_full(*space)));
        self.proof(self.space(), "")
    }

    fn end(self: Box<Self>) -> Result<Undone, UndoError> {
        let proof = self.proof(self.space(), " to the end");
        Ok(Undone { cleanliness: self.load.end(), proof: Some(proof) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_what_is_in_use_in_the_end_and_an_amount_is_what_is_added() {
        let space = Space { used: 600, free: 400 };
        assert_eq!(wanted(space, Size::Percent(95.0)), 350);
        assert_eq!(wanted(space, Size::Percent(50.0)), 0);
        assert_eq!(wanted(space, Size::Bytes(30)), 30);
    }

    #[test]
    fn what_cannot_be_allocated_is_written() {
        let mut file = tempfile::tempfile().unwrap();
        write(&mut file, (BLOCK + 5) as u64).unwrap();
        assert_eq!(file.metadata().unwrap().len(), (BLOCK + 5) as u64);
    }
}
