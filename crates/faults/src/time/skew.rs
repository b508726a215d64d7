//! `time:skew`: the clock of running processes is wrong.

use std::{
    collections::BTreeMap,
    fs, io,
    path::Path,
    sync::{
        Arc, Mutex,
        mpsc::{self, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use model::{
    catalogue::{Entry, Need, Parameter, ParameterKind, Reversibility},
    claim::{Claim, Exclusive},
    event::{Cleanliness, Proof},
    parameter::signed_duration,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    TARGETS, boot,
    fault::{self, Abort, Failed, Fault, Injection, Refused, Tools, Undo, UndoError, Undone},
    helper,
    lock::lock,
    measure,
    network::DURATION,
    object::Object,
    parameters::Checked,
    process::Process,
    standstill::{Standstill, status, traced_by},
    sys::{
        apart::apart,
        memory::{Memory, mappings},
        vdso::{Clocks, Vdso, ask_kernel},
    },
    time::skew_stub::{Bytes, Found, Function, Offset, Patch},
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "time:skew",
    about: "Makes the clock of a target's processes wrong by an offset, on x86-64. Processes that it starts later follow within a second; what reads the clock by a system call of its own, past the vDSO, is not reached.",
    targets: TARGETS,
    parameters: &[
        DURATION,
        Parameter {
            name: "offset",
            kind: ParameterKind::SignedDuration { max_seconds: LONGEST.as_secs() },
            required: true,
            default: None,
            about: "By how much, as an ISO 8601 duration with a sign: `PT1H` is fast by an hour, `-PT24H` slow by a day.",
        },
        Parameter {
            name: "clocks",
            kind: ParameterKind::ListOf { values: &["realtime", "monotonic", "boottime"] },
            required: false,
            default: Some("realtime"),
            about: "Which clocks: the wall clock, the one for intervals, the one that counts suspensions too.",
        },
        Parameter {
            name: "process",
            kind: ParameterKind::Text,
            required: false,
            default: None,
            about: "Name of the processes; without it, all of the target.",
        },
    ],
    reversibility: Reversibility::SelfEnding,
    undone_by: "The code with which processes read the clock is made again as it was; unless this process says otherwise twice a second, it adds nothing any more after five.",
    proven_by: "That code, read back from each process and run, says a time that is wrong by the offset, within 10 ms.",
    needs: &[Need::Ptrace],
    exclusive: &[Claim::on_part(Exclusive::Clock, "process"), Claim::on_part(Exclusive::Tracer, "process")],
    fis: &[],
    chaos_mesh: Some("TimeChaos"),
};

pub(crate) struct Skew;

/// What is done: the whole record.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Plan {
    offset: Offset,
    /// The name of the processes that are meant; without it, all.
    named: Option<String>,
    patch: Patch,
    /// Which clocks, in words.
    clocks: String,
}

/// The longest offset: ten years, so that no time before 1970 comes out.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);
/// How long a stub works that nobody renews. A runner that is alive is not kept from its work for so long.
const LIFE: Duration = Duration::from_secs(5);
/// Between two renewals, and two looks for new processes.
const BEAT: Duration = Duration::from_millis(500);
/// How long a process may be without a vDSO, on a busy machine.
const MOMENT: Duration = Duration::from_millis(100);
/// After so many rounds in vain the clock of a new process stays right.
const TRIES: u32 = 5;
/// How long is tried to stop a process, or to find it outside of the code that is changed.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long all of it may take, for all processes.
const ALL: Duration = Duration::from_secs(12);
/// What an offset that is read back may differ by: a clock that is being set, or a machine that is busy between two readings.
const TOLERANCE: i128 = 10_000_000;

impl Fault for Skew {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn plan(&self, object: &Object, parameters: Checked<'_>) -> Result<serde_json::Value, Refused> {
        if !cfg!(target_arch = "x86_64") {
            return Err(Refused(
                "time:skew changes the code with which processes read the clock, and knows that of x86-64 alone"
                    .to_owned(),
            ));
        }
        let offset = offset(parameters.text("offset").unwrap_or_default())?;
        let clocks = parameters.text("clocks").unwrap_or_default();
        let clocks = clocks.split(',').map(str::trim).collect::<Vec<_>>().join(", ");
        let named = parameters.text("process").map(str::to_owned);
        let own = Vdso::own().map_err(|why| Refused(format!("this process has no vDSO to compare with: {why}")))?;
        let patch = Patch::plan(&own.bytes, mask(&clocks))
            .map_err(|why| Refused(format!("the vDSO of this kernel cannot be changed: {why}")))?;
        let plan = Plan { offset, named, patch, clocks };
        let chosen = plan.chosen(object)?;
        for process in &chosen {
            may_be_skewed(*process, &own, &plan.patch)
                .map_err(|why| Refused(format!("process {} of {}: {why}", named_process(*process), object.name)))?;
        }
        if !chosen.iter().any(|process| uses_vdso(*process)) {
            return Err(Refused(format!(
                "no process of {} has the code to find the vDSO: they read the clock by system calls, which cannot be made wrong",
                object.name
            )));
        }
        fault::written(&plan)
    }

    fn inject(&self, undo: &Undo, _: &Tools) -> Result<Box<dyn Injection>, Failed> {
        let plan: Plan = undo.plan()?;
        let chosen = plan.chosen(&undo.object).map_err(|Refused(why)| Failed(why))?;
        if let Err(why) = plan.skew(undo.token, &chosen) {
            plan.restore(undo.token)?;
            return Err(why);
        }
        let keeper = Keeper::start(plan.clone(), undo).map_err(Failed::to("start a thread"))?;
        Ok(Box::new(Live { keeper, plan, undo: undo.clone() }))
    }

    fn undo(&self, undo: &Undo) -> Result<Cleanliness, UndoError> {
        let plan: Plan = undo.plan().map_err(|Failed(why)| unrestored(why))?;
        plan.cleaned(undo)
    }
}

/// `-PT24H`.
fn offset(text: &str) -> Result<Offset, Refused> {
    let refused = |why: String| Refused(format!("time:skew: `offset`: {why}"));
    let (slow, length) = signed_duration(text, LONGEST.as_secs()).map_err(refused)?;
    let length = length.get();
    let seconds = i64::try_from(length.as_secs()).map_err(|why| refused(why.to_string()))?;
    Ok(match (slow, length.subsec_nanos()) {
        (false, nanos) => Offset { seconds, nanos },
        (true, 0) => Offset { seconds: -seconds, nanos: 0 },
        (true, nanos) => Offset { seconds: -seconds - 1, nanos: 1_000_000_000 - nanos },
    })
}

/// A bit for each id of these clocks.
fn mask(clocks: &str) -> u32 {
    clocks.split(", ").flat_map(ids).fold(0, |mask, id| mask | 1 << id)
}

/// The ids of a clock: those that are slower to read or coarser are the same clock.
fn ids(clock: &str) -> &'static [i32] {
    match clock {
        "monotonic" => &[libc::CLOCK_MONOTONIC, libc::CLOCK_MONOTONIC_RAW, libc::CLOCK_MONOTONIC_COARSE],
        "boottime" => &[libc::CLOCK_BOOTTIME, libc::CLOCK_BOOTTIME_ALARM],
        _ => &[libc::CLOCK_REALTIME, libc::CLOCK_REALTIME_COARSE, libc::CLOCK_REALTIME_ALARM, libc::CLOCK_TAI],
    }
}

fn named_process(process: Process) -> String {
    process.names().first().map_or_else(|| process.pid.to_string(), |name| format!("{} ({name})", process.pid))
}

/// Whether the clock of a process can be made wrong without harm.
fn may_be_skewed(process: Process, own: &Vdso, patch: &Patch) -> Result<(), String> {
    let vdso = match vdso_of(process) {
        Ok(vdso) => vdso,
        Err(_) if !process.is_alive() => return Ok(()),
        Err(why) => return Err(format!("its vDSO cannot be changed: {why}")),
    };
    if vdso.bytes.len() != own.bytes.len() {
        return Err("it has another vDSO than this program: it is not of 64 bits".to_owned());
    }
    // A token that nobody has: whatever is there is not of this injection.
    match patch.look(&vdso.memory, vdso.base, 0) {
        Ok(Found::Original) if vdso.bytes == own.bytes => {}
        Ok(_) => return Err("its vDSO is changed already: its clock may be wrong by another fault".to_owned()),
        Err(_) if !process.is_alive() => return Ok(()),
        Err(why) => return Err(format!("its vDSO cannot be read: {why}")),
    }
    if let Some(tracer) = traced_by(process) {
        return Err(format!("process {tracer} traces it, so that we cannot"));
    }
    if status(process, "Seccomp") == Some(1) {
        return Err("the system call that reads the clock would kill it (seccomp, strict)".to_owned());
    }
    let space = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/time")).ok();
    // One that has just ended is in none.
    if space(&process.pid.to_string()) != space("self") && process.is_alive() {
        return Err("it lives in a time namespace of its own, whose clocks are set apart already".to_owned());
    }
    Ok(())
}

/// The vDSO of a process; one that is about to run another program has none for a moment.
fn vdso_of(process: Process) -> io::Result<Vdso> {
    let found = Abort::default().until(MOMENT, || Vdso::of(process.pid).ok());
    found.map_or_else(|| Vdso::of(process.pid), Ok)
}

/// Whether a process has the code to find the clock in the vDSO, which it must do by name.
fn uses_vdso(process: Process) -> bool {
    const NAME: &[u8] = b"__vdso_clock_gettime";
    /// More is not searched: interpreters and databases have their C library within.
    const MOST: u64 = 256 << 20;
    let (Ok(memory), Ok(mut mappings)) = (Memory::open(process.pid), mappings(process.pid)) else { return false };
    mappings.retain(|mapping| mapping.readable && mapping.name.starts_with('/'));
    // The loader and the C library first: there it is.
    mappings.sort_by_key(|mapping| {
        let file = Path::new(&mapping.name).file_name().unwrap_or_default().to_string_lossy();
        !(file.starts_with("ld") || file.starts_with("libc"))
    });
    let mut searched = 0;
    mappings.iter().any(|mapping| {
        let length = mapping.range.end - mapping.range.start;
        searched += length;
        let length = usize::try_from(length).ok().filter(|_| searched <= MOST);
        length.is_some_and(|length| contains(&memory.read_up_to(mapping.range.start, length), NAME))
    })
}

fn contains(bytes: &[u8], name: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == name[0]) {
        rest = &rest[at..];
        if rest.starts_with(name) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}

impl Plan {
    /// The processes that are meant, as of now.
    fn chosen(&self, object: &Object) -> Result<Vec<Process>, Refused> {
        let mut chosen = match &self.named {
            None => object.process()?.members(),
            Some(name) => object.processes_named(name)?,
        };
        let own = Process::own().map_err(|why| Refused(format!("cannot find this process: {why}")))?;
        if chosen.contains(&own) || chosen.iter().any(|process| process.pid == 1) {
            return Err(Refused(format!(
                "{} has this very process or the first of the machine among its own: their clocks stay right",
                object.name
            )));
        }
        chosen.retain(|process| !helper::is_one(*process));
        Ok(chosen)
    }

    /// Makes the clocks of these processes wrong.
    fn skew(&self, token: u64, processes: &[Process]) -> Result<(), Failed> {
        let failed: Vec<(Process, String)> = in_a_process_apart(|| {
            let end = Instant::now() + ALL;
            let outcome = |process: &Process| Some((*process, self.skew_one(token, *process, end).err()?));
            processes.iter().filter_map(outcome).collect()
        })?;
        match failed.iter().find(|(process, _)| process.is_alive()) {
            None => Ok(()),
            Some((process, why)) => {
                Err(Failed(format!("cannot make the clock of process {} wrong: {why}", named_process(*process))))
            }
        }
    }

    fn skew_one(&self, token: u64, process: Process, end: Instant) -> Result<(), String> {
        let vdso = vdso_of(process).map_err(|why| why.to_string())?;
        let held = hold(process, &vdso, end)?;
        let look = self.patch.look(&vdso.memory, vdso.base, token).map_err(|why| why.to_string())?;
        let written = match look {
            Found::Original => self.patch.write(&vdso.memory, vdso.base, token, self.offset, expiry()),
            // Born of one that was changed meanwhile.
            Found::Ours => Ok(()),
            Found::Unfinished | Found::Foreign => Err(io::Error::other("its vDSO is changed already")),
        };
        drop(held);
        written.map_err(|why| why.to_string())
    }

    /// Makes all that this injection has changed as it was, wherever it is: also in processes that nobody has on record,
    /// because they were born of one that has been changed. Those in which that cannot be done, and why.
    fn restore(&self, token: u64) -> Result<Vec<(i32, String)>, Failed> {
        in_a_process_apart(|| {
            let end = Instant::now() + ALL;
            let mut left = BTreeMap::new();
            // Born of such a process while we were looking are few, and then none.
            for _ in 0..5 {
                let mut changed = self.changed(token);
                changed.retain(|pid, _| !left.contains_key(pid));
                if changed.is_empty() {
                    break;
                }
                for (pid, vdso) in changed {
                    if let Err(why) = self.restore_one(token, pid, &vdso, end) {
                        left.insert(pid, why);
                    }
                }
            }
            left.into_iter().collect()
        })
    }

    /// The processes of this machine whose vDSO has anything of this injection.
    fn changed(&self, token: u64) -> BTreeMap<i32, Vdso> {
        let own = std::process::id().cast_signed();
        let entries = fs::read_dir("/proc").into_iter().flatten();
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
        let changed = |pid: i32| {
            let vdso = Vdso::of(pid).ok()?;
            let found = self.patch.look(&vdso.memory, vdso.base, token).ok()?;
            matches!(found, Found::Ours | Found::Unfinished).then_some((pid, vdso))
        };
        pids.filter(|pid| *pid != own).filter_map(changed).collect()
    }

    fn restore_one(&self, token: u64, pid: i32, vdso: &Vdso, end: Instant) -> Result<(), String> {
        let (memory, base) = (&vdso.memory, vdso.base);
        let look = || self.patch.look(memory, base, token);
        // From here on the clock is right, whether or not the rest succeeds.
        if look().is_ok_and(|found| found == Found::Ours) {
            self.patch.expire(memory, base, 0).ok();
        }
        let Ok(process) = Process::find(pid) else { return Ok(()) };
        let held = match hold(process, vdso, end) {
            Ok(held) => held,
            Err(_) if !process.is_alive() => return Ok(()),
            // It may have become another's business while we waited.
            Err(_) if look().is_ok_and(|found| matches!(found, Found::Original | Found::Foreign)) => return Ok(()),
            Err(why) => return Err(why),
        };
        // What it is was seen before it stood still.
        let restored = match look() {
            Ok(Found::Ours | Found::Unfinished) => self.patch.restore(memory, base).and_then(|()| match look()? {
                Found::Original => Ok(()),
                _ => Err(io::Error::other("what was written is not there")),
            }),
            Ok(Found::Original | Found::Foreign) => Ok(()),
            Err(why) => Err(why),
        };
        drop(held);
        match restored {
            Err(why) if process.is_alive() => Err(why.to_string()),
            _ => Ok(()),
        }
    }

    /// Undoes it, and says what is left.
    fn cleaned(&self, undo: &Undo) -> Result<Cleanliness, UndoError> {
        let left = self.restore(undo.token).map_err(|Failed(why)| unrestored(why))?;
        if !left.is_empty() {
            let why: Vec<String> = left.iter().map(|(pid, why)| format!("process {pid}: {why}")).collect();
            let pids: Vec<String> = left.iter().map(|(pid, _)| pid.to_string()).collect();
            return Err(UndoError {
                why: format!(
                    "the clocks are right, but the code that made them wrong is still there: {}",
                    why.join("; ")
                ),
                repair: format!("end what holds process {}, and undo again; or restart it", pids.join(", ")),
            });
        }
        Ok(if undo.object.has_ended() { Cleanliness::Gone } else { Cleanliness::Clean })
    }

    /// By how much the clocks of these processes are wrong, in nanoseconds, as their own code says; or why that is not known.
    fn measure(&self, token: u64, processes: &[Bytes]) -> Result<Vec<Result<i64, String>>, Failed> {
        in_a_process_apart(|| {
            let measure = |bytes: &Bytes| {
                // What a process has made of its vDSO itself, we shall not run.
                if !self.patch.is_ours(bytes, token, self.offset) {
                    return Err("its vDSO is not as it was made".to_owned());
                }
                self.run(bytes).map_err(|why| why.to_string())
            };
            processes.iter().map(measure).collect()
        })
    }

    /// Makes our own vDSO the same, and reads the clocks that it concerns, in all ways there are. Of what they show, the offset
    /// that is furthest from what it should be.
    fn run(&self, bytes: &Bytes) -> io::Result<i64> {
        let own = Vdso::own()?;
        self.patch.copy(bytes, &own.memory, own.base)?;
        let clocks = Clocks::own()?;
        let mut shown = Vec::new();
        for clock in self.clocks.split(", ").flat_map(|clock| ids(clock).first()) {
            shown.push(compared(*clock, 0, self.nanoseconds(), || clocks.clock_gettime(*clock))?);
        }
        let wall = libc::CLOCK_REALTIME;
        for function in self.patch.functions() {
            shown.extend(match function {
                Function::ClockGettime => None,
                Function::Gettimeofday => Some(compared(wall, 999, self.nanoseconds(), || Ok(clocks.gettimeofday()))?),
                Function::Time => Some(compared(wall, 999_999_999, self.nanoseconds(), || Ok(clocks.time()))?),
            });
        }
        let worst = shown.into_iter().max_by_key(|offset| offset.abs_diff(self.nanoseconds()));
        worst.and_then(|offset| i64::try_from(offset).ok()).ok_or_else(|| io::Error::other("no clock was read"))
    }

    fn nanoseconds(&self) -> i128 {
        i128::from(self.offset.seconds) * 1_000_000_000 + i128::from(self.offset.nanos)
    }

    fn words(&self) -> String {
        format!("{} {}", self.clocks, ahead(self.nanoseconds()))
    }
}

/// `3600.000 s ahead`.
fn ahead(nanoseconds: i128) -> String {
    let millis = nanoseconds.unsigned_abs() / 1_000_000;
    let side = if nanoseconds < 0 { "behind" } else { "ahead" };
    format!("{}.{:03} s {side}", millis / 1000, millis % 1000)
}

/// By how much a reading is apart from what the kernel says, in nanoseconds: of all that this may be, the nearest to what it
/// should be. `grain`: by how much the reading is rounded down at most.
fn compared(clock: i32, grain: i128, wanted: i128, read: impl Fn() -> io::Result<i128>) -> io::Result<i128> {
    let mut last = None;
    // On a busy machine other work may come between two readings, and again.
    for _ in 0..100 {
        let (before, read, after) = (ask_kernel(clock)?, read()?, ask_kernel(clock)?);
        last = Some(wanted.clamp((read - after).min(read - before), read - before + grain));
        if (0..=TOLERANCE).contains(&(after - before)) {
            break;
        }
    }
    last.ok_or_else(|| io::Error::other("the clock was not read"))
}

fn expiry() -> u64 {
    (boot::now() + LIFE).as_secs()
}

/// Does something in a process apart: there it may trace, and change its own vDSO.
fn in_a_process_apart<T: Serialize + DeserializeOwned>(work: impl FnOnce() -> T) -> Result<T, Failed> {
    // Longer than everything that is tried within.
    let said = apart(ALL + PATIENCE, || serde_json::to_vec(&work()).unwrap_or_default());
    let said = said.map_err(Failed::to("change the clocks"))?;
    serde_json::from_slice(&said).map_err(Failed::to("understand what became of the clocks"))
}

fn unrestored(why: String) -> UndoError {
    UndoError { why, repair: "restart the processes whose clock was wrong; it is right again already".to_owned() }
}

/// A process whose clock is wrong.
struct Patient {
    process: Process,
    vdso: Vdso,
}

/// What a keeper knows.
#[derive(Default)]
struct Ward {
    patients: Vec<Patient>,
    /// In how many rounds the clock of a process could not be made wrong.
    tries: BTreeMap<i32, (Process, u32)>,
    /// When their stubs expire, in seconds after boot.
    expires: u64,
    /// How often nobody renewed them in time.
    lapses: u32,
    /// How many joined after the beginning.
    joined: usize,
}

impl Ward {
    /// The processes whose clock stays right.
    fn hopeless(&self) -> Vec<Process> {
        let hopeless = self.tries.values().filter(|(process, tries)| *tries >= TRIES && process.is_alive());
        hopeless.map(|(process, _)| *process).collect()
    }
}

/// Renews the stubs, and takes in what is born, until it is dropped.
struct Keeper {
    ward: Arc<Mutex<Ward>>,
    life: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
}

impl Keeper {
    fn start(plan: Plan, undo: &Undo) -> io::Result<Self> {
        let ward = Arc::new(Mutex::new(Ward { expires: u64::MAX, ..Ward::default() }));
        ward_round(&plan, undo, &mut lock(&ward));
        lock(&ward).joined = 0;
        let (alive, ended) = mpsc::channel();
        let (shared, undo) = (Arc::clone(&ward), undo.clone());
        let rounds = move || {
            while ended.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
                ward_round(&plan, &undo, &mut lock(&shared));
            }
        };
        let thread = thread::Builder::new().name("clocks".to_owned()).spawn(rounds)?;
        Ok(Self { ward, life: Some((alive, thread)) })
    }

    fn stop(&mut self) {
        if let Some((alive, thread)) = self.life.take() {
            drop(alive);
            thread.join().ok();
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Renews what is there, and takes in what is new.
fn ward_round(plan: &Plan, undo: &Undo, ward: &mut Ward) {
    let found = |vdso: &Vdso| plan.patch.look(&vdso.memory, vdso.base, undo.token);
    if boot::now().as_secs() >= ward.expires && !ward.patients.is_empty() {
        ward.lapses += 1;
    }
    let expires = expiry();
    // One that runs another program since has no memory any more where we knew it, and is found again as a new one.
    ward.patients.retain(|Patient { vdso, .. }| {
        found(vdso).is_ok_and(|found| found == Found::Ours)
            && plan.patch.expire(&vdso.memory, vdso.base, expires).is_ok()
    });
    ward.expires = expires;
    let mut chosen = plan.chosen(&undo.object).unwrap_or_default();
    ward.tries.retain(|_, (process, _)| process.is_alive());
    let hopeless = ward.hopeless();
    chosen.retain(|process| {
        !hopeless.contains(process) && ward.patients.iter().all(|patient| patient.process != *process)
    });
    let is =
        |process: Process, what| Vdso::of(process.pid).is_ok_and(|vdso| found(&vdso).is_ok_and(|found| found == what));
    let fresh: Vec<Process> = chosen.iter().copied().filter(|process| is(*process, Found::Original)).collect();
    if !fresh.is_empty()
        && let Err(Failed(why)) = plan.skew(undo.token, &fresh)
    {
        tracing::warn!(object = undo.object.name, %why, "the clock of a new process stays right");
    }
    for process in chosen {
        match Vdso::of(process.pid) {
            Ok(vdso) if found(&vdso).is_ok_and(|found| found == Found::Ours) => {
                // What it was born with may be old.
                plan.patch.expire(&vdso.memory, vdso.base, expires).ok();
                ward.patients.push(Patient { process, vdso });
                ward.joined += 1;
            }
            _ => {
                let tried = ward.tries.entry(process.pid).or_insert((process, 0));
                // The number may have been another's.
                *tried = (process, if tried.0 == process { tried.1 + 1 } else { 1 });
            }
        }
    }
}

struct Live {
    keeper: Keeper,
    plan: Plan,
    undo: Undo,
}

impl Live {
    fn measured(&self) -> Result<(String, bool), Failed> {
        let ward = lock(&self.keeper.ward);
        let read = |patient: &Patient| {
            Some((patient.process, self.plan.patch.read(&patient.vdso.memory, patient.vdso.base).ok()?))
        };
        let (processes, bytes): (Vec<_>, Vec<_>) = ward.patients.iter().filter_map(read).unzip();
        let hopeless = ward.hopeless();
        drop(ward);
        let measured = self.plan.measure(self.undo.token, &bytes)?;
        let wanted = self.plan.nanoseconds();
        let mut words = Vec::new();
        let mut right = Vec::new();
        for (process, offset) in processes.iter().zip(measured) {
            match offset {
                Ok(offset) if i128::from(offset).abs_diff(wanted) <= TOLERANCE.unsigned_abs() => right.push(offset),
                Ok(offset) => words.push(format!("that of {} {}", named_process(*process), ahead(offset.into()))),
                Err(why) => words.push(format!("process {}: {why}", named_process(*process))),
            }
        }
        words.extend(hopeless.iter().map(|process| format!("that of {} stays right", named_process(*process))));
        let holds = words.is_empty() && !right.is_empty();
        if let Some(offset) = right.first() {
            words.insert(0, format!("the clock of {} processes {}", right.len(), ahead((*offset).into())));
        }
        // They are beside the point, but whoever reads the verdict must know.
        let deaf: Vec<String> =
            processes.iter().filter(|process| !uses_vdso(**process)).map(|process| named_process(*process)).collect();
        if !deaf.is_empty() {
            words.push(format!("not reached, because they read it by system calls: {}", deaf.join(", ")));
        }
        Ok((words.join("; "), holds))
    }
}

impl Injection for Live {
    fn prove(&mut self, abort: &Abort) -> Proof {
        let (achieved, holds) = measure::patiently(abort, || self.measured());
        Proof { configured: self.plan.words(), achieved, holds }
    }

    fn end(mut self: Box<Self>) -> Result<Undone, UndoError> {
        self.keeper.stop();
        let (lapses, joined, right) = {
            let ward = lock(&self.keeper.ward);
            (ward.lapses, ward.joined, ward.hopeless().len())
        };
        let cleanliness = self.plan.cleaned(&self.undo)?;
        let all_the_time = match lapses {
            0 => "wrong all the time".to_owned(),
            _ => format!("right in between, {lapses} times, because it was not renewed"),
        };
        let missed = if right > 0 { format!(", {right} could not be made wrong") } else { String::new() };
        let achieved = format!("{all_the_time}; {joined} processes joined{missed}");
        let proof = Proof { configured: self.plan.words(), achieved, holds: lapses == 0 && right == 0 };
        Ok(Undone { cleanliness, proof: Some(proof) })
    }
}

/// Whether a clock of this process is wrong by such a fault just now.
///
/// # Errors
///
/// When it has ended, has no vDSO, or may not be traced.
pub fn is_skewed(pid: i32) -> io::Result<bool> {
    let vdso = Vdso::of(pid)?;
    let own = Vdso::own()?;
    let expires = |clock: i32| {
        let patch = Patch::plan(&own.bytes, 1 << clock).map_err(io::Error::other)?;
        patch.expires(&vdso.memory, vdso.base)
    };
    let now = boot::now().as_secs();
    // Where the stub is may depend on whether the wall clock is among those that are wrong.
    Ok(vdso.bytes != own.bytes && (expires(libc::CLOCK_REALTIME)? > now || expires(libc::CLOCK_MONOTONIC)? > now))
}

/// Stops all threads of a process where none is in the middle of its vDSO.
fn hold(process: Process, vdso: &Vdso, end: Instant) -> Result<Standstill, String> {
    let end = end.min(Instant::now() + PATIENCE);
    // All of the vDSO, not only what is changed: its functions call helpers beside them, which come back into them. (Linux 6.1
    // without a clock that can be read from user space does so for its system call.)
    let all = vdso.base..vdso.base + vdso.bytes.len() as u64;
    Standstill::outside(process, &vdso.memory, &[all], end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_have_a_sign() {
        let read = |text| offset(text).map(|offset| (offset.seconds, offset.nanos));
        assert_eq!(read("PT1H"), Ok((3600, 0)));
        assert_eq!(read("+PT0.25S"), Ok((0, 250_000_000)));
        assert_eq!(read("-PT24H"), Ok((-86_400, 0)));
        assert_eq!(read("-PT1.25S"), Ok((-2, 750_000_000)));
        for text in ["", "-", "PT0S", "--PT1S", "1h", "P11Y", "PT999999999999H"] {
            assert!(offset(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_offset_is_told_in_milliseconds() {
        assert_eq!(ahead(3_600_000_000_000), "3600.000 s ahead");
        assert_eq!(ahead(-1_250_000_000), "1.250 s behind");
    }

    #[test]
    fn a_name_is_found_wherever_it_is() {
        assert!(contains(b"a__vdso__vdso_x", b"__vdso_x"));
        assert!(!contains(b"a__vdso__vdso_", b"__vdso_x"));
        assert!(!contains(b"", b"__vdso_x"));
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_stub_makes_all_ways_to_read_the_clock_wrong_until_it_expires() {
        let own = Vdso::own().unwrap();
        for (text, clocks) in [
            ("PT1H", "realtime"),
            ("-PT24H", "realtime"),
            ("-PT0.75S", "realtime, monotonic"),
            ("PT0.999999999S", "boottime"),
        ] {
            let plan = Plan {
                offset: offset(text).unwrap(),
                named: None,
                patch: Patch::plan(&own.bytes, mask(clocks)).unwrap(),
                clocks: clocks.to_owned(),
            };
            // The process apart is one whose clock is wrong: it changes itself, reads, and changes itself back.
            let (measured, expired, restored): (Result<i64, String>, Result<i64, String>, bool) =
                in_a_process_apart(|| {
                    let own = Vdso::own().unwrap();
                    plan.patch.write(&own.memory, own.base, 7, plan.offset, expiry()).unwrap();
                    let bytes = plan.patch.read(&own.memory, own.base).unwrap();
                    assert!(plan.patch.is_ours(&bytes, 7, plan.offset) && !plan.patch.is_ours(&bytes, 8, plan.offset));
                    let measured = plan.run(&bytes).map_err(|why| why.to_string());
                    plan.patch.expire(&own.memory, own.base, 0).unwrap();
                    let bytes = plan.patch.read(&own.memory, own.base).unwrap();
                    let expired = plan.run(&bytes).map_err(|why| why.to_string());
                    plan.patch.restore(&own.memory, own.base).unwrap();
                    (measured, expired, Vdso::own().unwrap().bytes == own.bytes)
                })
                .unwrap();
            let apart = i128::from(measured.unwrap()).abs_diff(plan.nanoseconds());
            assert!(apart <= TOLERANCE.unsigned_abs(), "{text}: {apart}");
            let apart = expired.unwrap().unsigned_abs();
            // Of the seconds that are read, a part is rounding.
            assert!(u128::from(apart) <= 999_999_999 + TOLERANCE.unsigned_abs(), "{text}: {apart}");
            assert!(restored, "{text}");
        }
    }
}
