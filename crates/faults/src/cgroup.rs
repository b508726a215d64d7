//! Control groups: limits on all processes of a target at once, of either version of the kernel's interface.
//!
//! A target that has a group to itself is limited there. Else a group is made for it beside those its processes are in, and
//! they are moved there and back. What was before is in the plan: the limits' values, and where each process was.
//!
//! With version 2 several faults may need a group for one target, and a process can be in one only: they share it. Its name
//! follows from the target, so that those that begin at once plan the same; it bears a mark of each, and says where the
//! processes were to whoever comes later ([`marks`]). With the last mark it goes, whoever that is, in whatever order.

mod marks;

use std::{
    fs, io, iter,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use model::event::Cleanliness;
use serde::{Deserialize, Serialize};

use self::marks::{Marked, Marks};
use crate::{
    fault::{self, Failed, Refused, UndoError},
    helper,
    object::Object,
    ourselves,
    process::Process,
};

/// Which version of the interface a group is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Version {
    One,
    Two,
}

/// A limit: a file of the group, what it says and what it is to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limit {
    pub(crate) file: String,
    before: String,
    pub(crate) value: String,
}

/// Which group is limited, and how it came to be the target's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) version: Version,
    pub(crate) folder: PathBuf,
    /// Where the processes were that are moved into it; none: it is the target's own.
    homes: Vec<(Process, PathBuf)>,
    pub(crate) limits: Vec<Limit>,
    /// Which of those that share it this is.
    #[serde(default)]
    mark: u64,
}

/// What a group that is made is called, before a number of sixteen digits.
const NAME: &str = "shaketable-";
/// What a limit of version 2 says that is none: in every group that was just made.
const UNLIMITED: &str = "max";

impl Group {
    /// Finds or plans the group of a target under a controller (`cpu`, `memory`, `pids`).
    pub(crate) fn plan(object: &Object, controller: &str) -> Result<Self, Refused> {
        let first = object.process()?;
        let members: Vec<Process> = first.members().into_iter().filter(|member| !helper::is_one(*member)).collect();
        if members.iter().any(|member| ourselves::is_among(*member)) {
            return Err(Refused(format!(
                "{} has this very process among its processes, or one that it was started by: it would be limited, too",
                object.name
            )));
        }
        let homes = members.iter().filter_map(|member| Some((*member, Home::find(*member, controller)?)));
        let homes: Vec<(Process, Home)> = homes.collect();
        let Some((_, home)) = homes.first() else {
            return Err(none_has(&format!("the processes of {}", object.name), controller));
        };
        let version = home.version;
        // Of those that are made, only the one for this target is as good as its processes' own.
        let made = homes.iter().map(|(_, home)| &home.folder).find(|folder| is_made(folder));
        let folder = made.map_or_else(|| home.place().join(name_for(first)), Clone::clone);
        if made.is_some() && !folder.ends_with(name_for(first)) {
            return Err(taken(object, &folder));
        }
        let alone = home.holds_only(&members) && homes.iter().all(|(_, other)| other.folder.starts_with(&home.folder));
        if alone && !home.is_root() && made.is_none() {
            return Ok(Self::new(version, home.folder.clone(), Vec::new()));
        }
        let homes = homes.into_iter().map(|(member, home)| (member, home.folder));
        let homes = originals(homes, &folder).ok_or_else(|| taken(object, &folder))?;
        Ok(Self::new(version, folder, homes))
    }

    fn new(version: Version, folder: PathBuf, homes: Vec<(Process, PathBuf)>) -> Self {
        Self { version, folder, homes, limits: Vec::new(), mark: fault::seed() }
    }

    /// Plans a group within the one of version 2 that all processes of a target are in: what limits them there, limits them still.
    pub(crate) fn within(object: &Object) -> Result<Self, Refused> {
        let members: Vec<Process> =
            object.process()?.members().into_iter().filter(|one| !helper::is_one(*one)).collect();
        if members.iter().any(|member| ourselves::is_among(*member)) {
            let why = "has this very process among its processes, or one that it was started by";
            return Err(Refused(format!("{} {why}", object.name)));
        }
        let homes: Vec<(Process, PathBuf)> =
            members.into_iter().filter_map(|member| Some((member, of(member).unified?))).collect();
        let Some((_, home)) = homes.first() else {
            let why = "control groups of the second version are not mounted, by which its packets could be told";
            return Err(Refused(format!("{}: {why}", object.name)));
        };
        if let Some((other, _)) = homes.iter().find(|(_, other)| other != home) {
            let why = "not all processes are in one control group";
            return Err(Refused(format!("{}: {why}: process {} is in another than the first", object.name, other.pid)));
        }
        if is_made(home) {
            let folder = home.clone();
            let homes = originals(homes.into_iter(), &folder).ok_or_else(|| taken(object, &folder))?;
            return Ok(Self::new(Version::Two, folder, homes));
        }
        rustix::fs::access(home.join("cgroup.procs"), rustix::fs::Access::WRITE_OK).map_err(|why| {
            Refused(format!(
                "{} would have to be put into a control group of its own, in {}, to tell its packets from others': {why}; be root",
                object.name,
                home.display()
            ))
        })?;
        let folder = home.join(format!("{NAME}{:016x}", fault::seed()));
        Ok(Self::new(Version::Two, folder, homes))
    }

    /// Plans a group for one process alone, within the one that it is in or beside that.
    pub(crate) fn around(process: Process, controller: &str) -> Result<Self, Refused> {
        let home = Home::find(process, controller)
            .ok_or_else(|| none_has(&format!("the threads of process {}", process.pid), controller))?;
        let folder = home.place().join(format!("{NAME}{:016x}", fault::seed()));
        // The group that it is in may be one that was made, and gone when this one goes.
        let before = Marks::of(&home.folder).homes().unwrap_or_default();
        let homes = iter::once((process, home.folder)).chain(before).collect();
        Ok(Self::new(home.version, folder, homes))
    }

    /// Whether it is made, and not the target's own.
    pub(crate) const fn is_made(&self) -> bool {
        !self.homes.is_empty()
    }

    /// Plans a limit.
    pub(crate) fn limit(&mut self, file: &str, value: String) -> Result<(), Refused> {
        let before =
            if self.is_made() { UNLIMITED.to_owned() } else { self.read(file).map_err(|Failed(why)| Refused(why))? };
        self.limits.push(Limit { file: file.to_owned(), before, value });
        Ok(())
    }

    /// What a file of the group says.
    pub(crate) fn read(&self, file: &str) -> Result<String, Failed> {
        let path = self.folder.join(file);
        let text = fs::read_to_string(&path).map_err(Failed::to(format_args!("read {}", path.display())))?;
        Ok(text.trim().to_owned())
    }

    /// What a file of the group says, or would say had it been made, of numbers; `max` is none.
    pub(crate) fn number(&self, file: &str) -> Option<u64> {
        self.read(file).ok()?.parse().ok()
    }

    /// Whether all limits are in force.
    pub(crate) fn is_limited(&self) -> bool {
        self.limits.iter().all(|limit| self.read(&limit.file).is_ok_and(|now| now == limit.value))
    }

    /// The folder it has, or will have.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether all processes of a target are in it.
    pub(crate) fn has_all_of(&self, object: &Object) -> bool {
        let inside = members(&self.folder);
        let all = object.process().map(Process::members).unwrap_or_default();
        all.into_iter().filter(|member| !helper::is_one(*member)).all(|member| inside.contains(&member.pid))
    }

    /// Who is in it now; none when there is no such group.
    pub(crate) fn members(&self) -> Vec<Process> {
        members(&self.folder).into_iter().filter_map(|pid| Process::find(pid).ok()).collect()
    }

    /// How many processes the kernel has ended in it for want of memory.
    pub(crate) fn killed(&self) -> u64 {
        let file = match self.version {
            Version::One => "memory.oom_control",
            Version::Two => "memory.events",
        };
        fs::read_to_string(self.folder.join(file)).ok().and_then(|text| field(&text, "oom_kill")).unwrap_or_default()
    }

    /// How much memory can be taken in it before a limit of a group around it is reached, in bytes.
    pub(crate) fn room_around(&self) -> u64 {
        let around = self.folder.ancestors().skip(1);
        around.filter_map(|folder| room_in(folder, self.version)).min().unwrap_or(u64::MAX)
    }

    /// Makes it, limits it, and moves the processes in.
    pub(crate) fn enter(&self, object: &Object) -> Result<(), Failed> {
        self.enter_with(object, || self.move_in(object))
    }

    /// Makes it, limits it, and moves those in for whom it was planned, and nobody else of the target.
    pub(crate) fn enter_alone(&self, object: &Object) -> Result<(), Failed> {
        // Whoever else is in the list was in the group around, and is there for its homes' sake.
        self.enter_with(object, || self.homes.iter().take(1).try_for_each(|(process, _)| self.admit(*process)))
    }

    fn enter_with(&self, object: &Object, move_in: impl FnOnce() -> Result<(), Failed>) -> Result<(), Failed> {
        if self.is_made() {
            self.make()?;
        }
        let entered = self.set_limits().and_then(|()| move_in());
        if let Err(Failed(why)) = entered {
            return Err(match self.leave(object) {
                Ok(_) => Failed(why),
                Err(left) => Failed(format!("{why}; and {left}")),
            });
        }
        Ok(())
    }

    /// Makes it, unless it is there for others who share it, and marks it. On an error nothing is left of that.
    fn make(&self) -> Result<(), Failed> {
        let shown = self.folder.display();
        let _nobody_else = self.lock().map_err(Failed)?;
        let made = fs::create_dir(&self.folder);
        let shared = made.as_ref().is_err_and(|why| why.kind() == io::ErrorKind::AlreadyExists);
        if !shared {
            made.map_err(Failed::to(format_args!("make the control group {shown}")))?;
        }
        let marked = match Marks::of(&self.folder).add(self.mark, &self.homes) {
            Ok(Marked::Unable) if shared => Err("it is there already, for another fault".to_owned()),
            Ok(_) => Ok(()),
            Err(why) => {
                // Of two attributes, one may be there.
                Marks::of(&self.folder).remove(self.mark).ok();
                Err(why.to_string())
            }
        };
        if marked.is_err() && !shared {
            fs::remove_dir(&self.folder).map_err(Failed::to(format_args!("remove the control group {shown}")))?;
        }
        marked.map_err(Failed::to(format_args!("share the control group {shown}")))
    }

    fn set_limits(&self) -> Result<(), Failed> {
        for Limit { file, value, .. } in &self.limits {
            let path = self.folder.join(file);
            fs::write(&path, value).map_err(Failed::to(format_args!("write {value} to {}", path.display())))?;
        }
        Ok(())
    }

    /// Keeps others who would make or remove the group away, in this process and in others.
    fn lock(&self) -> Result<OwnedFd, String> {
        let around = self.folder.parent().unwrap_or(&self.folder);
        marks::lock(around).map_err(|why| format!("cannot lock {}: {why}", around.display()))
    }

    /// A process that is not in yet may start others until it is.
    fn move_in(&self, object: &Object) -> Result<(), Failed> {
        if !self.is_made() {
            return Ok(());
        }
        loop {
            let inside = members(&self.folder);
            let process = object.process().map_err(|Refused(why)| Failed(why))?;
            let outside = process.members().into_iter().filter(|member| !helper::is_one(*member));
            let outside: Vec<Process> = outside.filter(|member| !inside.contains(&member.pid)).collect();
            if outside.is_empty() {
                return Ok(());
            }
            for member in outside {
                if let Some(other) = self.other_made(member) {
                    let why = "another fault has put it there meanwhile";
                    return Err(Failed(format!("process {} is in {}: {why}", member.pid, other.display())));
                }
                self.admit(member)?;
            }
        }
    }

    /// The other group that was made for a process and in which it is, if it was not there when this was planned.
    fn other_made(&self, process: Process) -> Option<PathBuf> {
        let now = of(process).unified.filter(|_| self.version == Version::Two)?;
        let known = self.homes.iter().any(|(_, home)| *home == now);
        (is_made(&now) && !known && now != self.folder).then_some(now)
    }

    /// Moves a process in. One that has ended stays where it is.
    pub(crate) fn admit(&self, process: Process) -> Result<(), Failed> {
        let what = format!("move process {} to {}", process.pid, self.folder.display());
        transfer(process, &self.folder).map_err(Failed::to(what))
    }

    /// Gives it back its limits; and, if it was made, moves the processes back and removes it, unless others share it.
    pub(crate) fn leave(&self, object: &Object) -> Result<Cleanliness, UndoError> {
        if !self.is_made() {
            self.restore()?;
        } else if self.folder.is_dir() {
            let _nobody_else = self.lock().map_err(|why| self.stays(why))?;
            let marks = Marks::of(&self.folder);
            let all = marks.list();
            let others = all.iter().any(|mark| *mark != self.mark);
            // One that is not marked by us any more has been made anew, or is there for others.
            if all.contains(&self.mark) && others {
                self.restore()?;
                marks.remove(self.mark).map_err(|why| self.stays(format!("its mark stays: {why}")))?;
            } else if !others {
                self.unmake()?;
            }
        }
        Ok(if object.has_ended() { Cleanliness::Gone } else { Cleanliness::Clean })
    }

    /// What somebody else has set since stays.
    fn restore(&self) -> Result<(), UndoError> {
        for limit in self.limits.iter().rev() {
            let path = self.folder.join(&limit.file);
            let now = || fs::read_to_string(&path).map(|text| text.trim().to_owned());
            let done =
                now().and_then(|text| if text == limit.value { fs::write(&path, &limit.before) } else { Ok(()) });
            let gone = |why: &io::Error| why.kind() == io::ErrorKind::NotFound || !self.folder.is_dir();
            match done {
                Err(why) if !gone(&why) => {
                    return Err(UndoError {
                        why: format!("the limit in {} stays at {}: {why}", path.display(), limit.value),
                        repair: format!("echo {} > {}", limit.before, path.display()),
                    });
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn unmake(&self) -> Result<(), UndoError> {
        let shown = self.folder.display();
        // Each look moves all that are there; those they start meanwhile are fewer each time, or there is no end to them.
        for _ in 0..1000 {
            for pid in members(&self.folder) {
                let Ok(process) = Process::find(pid) else { continue };
                let home = self.home_of(process).ok_or_else(|| self.stays("no group is left to put it".to_owned()))?;
                transfer(process, home).map_err(|why| self.stays(format!("process {pid} stays in {shown}: {why}")))?;
            }
            match fs::remove_dir(&self.folder) {
                Ok(()) => return Ok(()),
                Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(()),
                // Somebody is in it still, or about to end.
                Err(why) if why.kind() == io::ErrorKind::ResourceBusy => std::thread::sleep(AGAIN),
                Err(why) => return Err(self.stays(format!("the control group {shown} stays: {why}"))),
            }
        }
        Err(self.stays(format!("the control group {shown} does not become empty")))
    }

    /// It could not be removed.
    fn stays(&self, why: String) -> UndoError {
        let shown = self.folder.display();
        let first = self.homes.first().map_or_else(|| Path::new("/"), |(_, home)| home).display();
        let repair =
            format!("for p in $(cat {shown}/cgroup.procs); do echo $p > {first}/cgroup.procs; done; rmdir {shown}");
        UndoError { why, repair }
    }

    /// Where a process was, or who started it, as far as that is there still.
    fn home_of(&self, process: Process) -> Option<&Path> {
        let there = || self.homes.iter().filter(|(_, home)| home.is_dir());
        let mut pid = process.pid;
        while pid > 1 {
            if let Some((_, home)) = there().find(|(member, _)| member.pid == pid) {
                return Some(home);
            }
            let Ok(stat) = crate::process::stat(pid) else { break };
            pid = stat.parent;
        }
        there().next().map(|(_, home)| home.as_path())
    }
}

/// What the group is called that is made for a target: of its first process, so that all who need it call it the same.
fn name_for(first: Process) -> String {
    // Numbers of processes have 22 bits, and 40 bits of clock ticks are three hundred years.
    let pid = u64::from(first.pid.unsigned_abs());
    format!("{NAME}{:016x}", pid << 40 | first.started & ((1 << 40) - 1))
}

/// Whether a group was made by such a fault.
fn is_made(folder: &Path) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix(NAME));
    name.is_some_and(|number| number.len() == 16 && number.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Where processes were before some of them were put into a group: as the group says of these. `None`: it does not say.
fn originals(homes: impl Iterator<Item = (Process, PathBuf)>, group: &Path) -> Option<Vec<(Process, PathBuf)>> {
    let (inside, mut outside): (Vec<_>, Vec<_>) = homes.partition(|(_, home)| home == group);
    if inside.is_empty() {
        return Some(outside);
    }
    let mut before = Marks::of(group).homes()?;
    before.append(&mut outside);
    Some(before)
}

fn taken(object: &Object, folder: &Path) -> Refused {
    Refused(format!(
        "processes of {} are in {}, which was made for another fault and cannot be shared: end that first",
        object.name,
        folder.display()
    ))
}

/// Until processes that are about to end have ended.
const AGAIN: std::time::Duration = std::time::Duration::from_millis(2);

fn transfer(process: Process, folder: &Path) -> io::Result<()> {
    match fs::write(folder.join("cgroup.procs"), process.pid.to_string()) {
        Err(_) if !process.is_alive() => Ok(()),
        other => other,
    }
}

/// A line such as `oom_kill 3` of a file of them.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// How much memory a group still lets be taken, in bytes. What the kernel can drop at once counts as free. `None`: it has no limit.
fn room_in(folder: &Path, version: Version) -> Option<u64> {
    let [most, used, droppable] = match version {
        Version::One => ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"],
        Version::Two => ["memory.max", "memory.current", "inactive_file"],
    };
    let read = |file: &str| fs::read_to_string(folder.join(file)).ok();
    let number = |file: &str| read(file)?.trim().parse::<u64>().ok();
    let droppable = read("memory.stat").and_then(|text| field(&text, droppable)).unwrap_or_default();
    Some(number(most)?.saturating_sub(number(used)?.saturating_sub(droppable)))
}

fn none_has(who: &str, controller: &str) -> Refused {
    Refused(format!(
        "{who} are in no control group with the controller `{controller}`: mount it, or with version 2 delegate it to them \
         (`Delegate=yes` for their systemd unit)"
    ))
}

fn members(folder: &Path) -> Vec<i32> {
    let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

/// The control groups that a process is in.
pub(crate) struct Groups {
    /// Their paths, in all hierarchies.
    pub(crate) paths: Vec<String>,
    /// The folder of the one of version 2.
    pub(crate) unified: Option<PathBuf>,
    /// The folder of the one of version 1's freezer.
    pub(crate) freezer: Option<PathBuf>,
}

/// The control groups that a process is in; none, when it has ended.
pub(crate) fn of(process: Process) -> Groups {
    let text = fs::read_to_string(format!("/proc/{}/cgroup", process.pid)).unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let (unified, others): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with("0::"));
    let folder = |groups: &[&str], version| {
        let home = Home::among(&groups.join("\n"), &mounts, "freezer").filter(|home| home.version == version);
        home.map(|home| home.folder)
    };
    Groups {
        paths: text.lines().filter_map(|line| Some(line.split_once(':')?.1.split_once(':')?.1.to_owned())).collect(),
        unified: folder(&unified, Version::Two),
        freezer: folder(&others, Version::One),
    }
}

/// Makes a group that can be frozen, and removes it.
pub(crate) fn try_freezer() -> io::Result<()> {
    let Groups { unified, freezer, .. } = of(Process::own()?);
    let try_in = |folder: Option<PathBuf>, file: &str| {
        let folder = folder.ok_or(io::ErrorKind::NotFound)?.join(format!("{NAME}{:016x}", fault::seed()));
        fs::create_dir(&folder)?;
        let there = folder.join(file).exists();
        fs::remove_dir(&folder)?;
        if there { Ok(()) } else { Err(io::Error::from(io::ErrorKind::NotFound)) }
    };
    try_in(unified, "cgroup.freeze").or_else(|first| try_in(freezer, "freezer.state").map_err(|_| first))
}

/// Makes a group with a controller as it would be made for a target, and removes it.
pub(crate) fn try_controller(controller: &str) -> io::Result<()> {
    let own = Process::own()?;
    let none = || io::Error::other(format!("no control group of this process has the controller `{controller}`"));
    let folder = Home::find(own, controller).ok_or_else(none)?.place().join(format!("{NAME}{:016x}", fault::seed()));
    fs::create_dir(&folder)?;
    let limit = ["cpu.max", "cpu.cfs_quota_us", "memory.max", "memory.limit_in_bytes", "pids.max"];
    let there = limit.iter().any(|file| file.starts_with(controller) && folder.join(file).exists());
    fs::remove_dir(&folder)?;
    if there { Ok(()) } else { Err(none()) }
}

/// The group that a process is in.
#[derive(Debug, PartialEq, Eq)]
struct Home {
    version: Version,
    folder: PathBuf,
    /// The root of the hierarchy, as far as it is seen.
    mount: PathBuf,
}

impl Home {
    /// Under a controller. `None`: there is none that has it.
    fn find(process: Process, controller: &str) -> Option<Self> {
        let groups = fs::read_to_string(format!("/proc/{}/cgroup", process.pid)).ok()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let home = Self::among(&groups, &mounts, controller)?;
        let has = |folder: &Path| {
            let text = fs::read_to_string(folder.join("cgroup.controllers")).unwrap_or_default();
            text.split_whitespace().any(|other| other == controller)
        };
        (home.version == Version::One || has(&home.folder)).then_some(home)
    }

    /// By what cgroups(7) and proc_pid_mountinfo(5) say.
    fn among(groups: &str, mounts: &str, controller: &str) -> Option<Self> {
        let lines = || groups.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
        let named = |list: &str| list.split(',').any(|one| one == controller);
        let one = lines().find(|(list, _)| named(list)).map(|(_, path)| (Version::One, path));
        let (version, path) =
            one.or_else(|| lines().find(|(list, _)| list.is_empty()).map(|(_, path)| (Version::Two, path)))?;
        let mount = |line: &str| {
            let (front, back) = line.split_once(" - ")?;
            let mut front = front.split_whitespace().skip(3);
            let (root, point) = (front.next()?, front.next()?);
            let mut back = back.split_whitespace();
            let (kind, options) = (back.next()?, back.nth(1)?);
            let fits = match version {
                Version::One => kind == "cgroup" && named(options),
                Version::Two => kind == "cgroup2",
            };
            let within = Path::new(path).strip_prefix(root).ok().filter(|_| fits)?;
            Some(Self { version, folder: Path::new(point).join(within), mount: PathBuf::from(point) })
        };
        mounts.lines().find_map(mount)
    }

    /// Where another group can be made for its processes: in it; but with version 2 a group has processes or groups, not both, so
    /// beside it.
    fn place(&self) -> &Path {
        match self.version {
            Version::Two if !self.is_root() => self.folder.parent().unwrap_or(&self.folder),
            _ => &self.folder,
        }
    }

    fn is_root(&self) -> bool {
        self.folder.components().eq(self.mount.components())
    }

    /// Whether nobody is in it, or in groups in it, but these.
    fn holds_only(&self, processes: &[Process]) -> bool {
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            let known = |pid: &i32| processes.iter().any(|process| process.pid == *pid);
            if !members(&folder).iter().all(known) {
                return false;
            }
            let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
            folders.extend(
                entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()),
            );
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "30 25 0:26 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
                          31 25 0:27 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n";

    #[test]
    fn the_group_of_a_controller_is_found_in_either_version() {
        let groups = "4:cpu,cpuacct:/a/b\n0::/user.slice/x.scope\n";
        let home = |controller| Home::among(groups, HYBRID, controller).unwrap();
        assert_eq!(home("cpu").folder, Path::new("/sys/fs/cgroup/cpu/a/b"));
        assert_eq!(home("cpu").version, Version::One);
        assert_eq!(home("memory").folder, Path::new("/sys/fs/cgroup/unified/user.slice/x.scope"));
        assert_eq!(home("memory").version, Version::Two);
    }

    #[test]
    fn what_a_group_around_leaves_is_counted_without_what_the_kernel_can_drop() {
        let folder = tempfile::tempdir().unwrap();
        let put = |file: &str, text: &str| fs::write(folder.path().join(file), text).unwrap();
        assert_eq!(room_in(folder.path(), Version::Two), None);
        put("memory.max", "max\n");
        put("memory.current", "700\n");
        put("memory.stat", "anon 1\ninactive_file 300\n");
        assert_eq!(room_in(folder.path(), Version::Two), None);
        put("memory.max", "1000\n");
        assert_eq!(room_in(folder.path(), Version::Two), Some(600));
        put("memory.events", "low 0\noom 2\noom_kill 1\noom_group_kill 0\n");
        let group = Group::new(Version::Two, folder.path().into(), Vec::new());
        assert_eq!(group.killed(), 1);
        let inner = Group { folder: folder.path().join("inner"), ..group };
        assert_eq!((inner.killed(), inner.room_around()), (0, 600));
    }

    #[test]
    fn a_group_that_is_made_is_called_after_its_target_and_known_by_its_name() {
        let process = |pid, started| Process { pid, started };
        let name = name_for(process(4711, 99));
        assert_eq!(name, name_for(process(4711, 99)));
        assert!(is_made(&Path::new("/sys/fs/cgroup").join(&name)), "{name}");
        assert!([name_for(process(4711, 98)), name_for(process(4712, 99))].iter().all(|other| *other != name));
        for other in ["/sys/fs/cgroup", "/a/shaketable-server.service", "/a/shaketable-0123456789abcdeg", "/"] {
            assert!(!is_made(Path::new(other)), "{other}");
        }
    }

    #[test]
    fn a_mount_that_begins_below_the_root_is_allowed_for() {
        let mounts = HYBRID.replace("0:26 / ", "0:26 /docker/1 ");
        let home = Home::among("4:cpu:/docker/1\n", &mounts, "cpu").unwrap();
        assert_eq!(home.folder, Path::new("/sys/fs/cgroup/cpu"));
        assert!(home.is_root());
        assert_eq!(Home::among("4:cpu:/other\n", &mounts, "cpu"), None);
    }
}
