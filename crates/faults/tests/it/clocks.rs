//! Faults of clocks, on programs that do nothing but read them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use faults::{
    Host, InjectError,
    process::{self, Process},
    sys::vdso::Vdso,
    time::skew::is_skewed,
};
use model::event::{Cleanliness, InjectionId};
use rustix::process::Signal;

use crate::{
    harness::{self, FIRST, LEASE, World, inject_and_undo, parameters, privileged, until},
    victim::Victim,
};

/// Reads the clock on four threads without a pause, and on a fifth writes what it says to a file.
const CLOCK: &str = r#"
use std::{hint::black_box, os::unix::fs::FileExt, thread, time::{Duration, SystemTime, UNIX_EPOCH}};

fn main() {
    let file = std::fs::File::create(std::env::args().nth(1).unwrap()).unwrap();
    for _ in 0..4 {
        thread::spawn(|| loop { black_box(SystemTime::now()); });
    }
    loop {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        file.write_all_at(format!("{:020}", now.as_millis()).as_bytes(), 0).unwrap();
        thread::sleep(Duration::from_millis(1));
    }
}
"#;

/// Has no C library, and so no way to find the vDSO.
const BARE: &str = r#"
#![no_std]
#![no_main]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! { loop {} }
#[unsafe(no_mangle)]
pub extern "C" fn _start() -> ! {
    loop { unsafe { core::arch::asm!("syscall", inlateout("rax") 34 => _, out("rcx") _, out("r11") _) } }
}
"#;

const STATIC: &[&str] = &["-C", "target-feature=+crt-static"];
const BARE_BONES: &[&str] = &[
    "-C",
    "panic=abort",
    "-C",
    "relocation-model=static",
    "-C",
    "link-arg=-nostartfiles",
    "-C",
    "link-arg=-nostdlib",
    "-C",
    "link-arg=-static",
];

/// The programs, by name: what they are built from, and how.
const PROGRAMS: [(&str, &str, &[&str]); 3] =
    [("clock", CLOCK, &[]), ("static-clock", CLOCK, STATIC), ("bare", BARE, BARE_BONES)];

/// The folder in which they lie, built: for where there is no compiler.
const BUILT: &str = "SHAKETABLE_PROGRAMS";

/// Not a test: builds the programs into that folder, for a guest.
#[test]
#[ignore = "builds what the tests here run, for where they cannot build it"]
fn the_programs() {
    let folder = PathBuf::from(std::env::var_os(BUILT).expect("a folder is named"));
    for (name, ..) in PROGRAMS {
        assert!(build(&folder, name), "{name}");
    }
}

/// A program, built if it has to be; says so when that cannot be done here. In CI it must.
fn built(folder: &Path, name: &str) -> Option<PathBuf> {
    if let Some(ready) = std::env::var_os(BUILT) {
        return Some(PathBuf::from(ready).join(name));
    }
    if build(folder, name) {
        return Some(folder.join(name));
    }
    assert!(std::env::var_os("CI").is_none(), "CI must be able to build a program");
    println!("skipped: no program can be built");
    None
}

/// Builds a program in a folder; whether that could be done.
fn build(folder: &Path, name: &str) -> bool {
    let (_, source, options) = PROGRAMS.into_iter().find(|(own, ..)| *own == name).unwrap();
    let file = folder.join(name).with_extension("rs");
    fs::write(&file, source).unwrap();
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(compiler);
    command.args(["--edition", "2024", "-O", "-o"]).args([&folder.join(name), &file]).args(options);
    command.status().is_ok_and(|status| status.success())
}

/// A world whose instance runs a clock, and where that says what it shows.
struct Clock {
    world: World,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

impl Clock {
    fn new(name: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("shown");
        let program = built(folder.path(), name)?;
        let world = World::running(Command::new(program).arg(&file));
        until("the clock runs", || fs::read_to_string(&file).is_ok_and(|text| text.len() == 20));
        Some(Self { world, file, _folder: folder })
    }

    fn process(&self) -> Process {
        Process::find(self.world.object.pid.unwrap()).unwrap()
    }

    /// Waits until it shows a time that is wrong by so many seconds, give or take one.
    fn shows(&self, seconds: i128) {
        until(&format!("a clock wrong by {seconds} s"), || shown(&self.file).abs_diff(seconds * 1000) < 1000);
    }

    /// Whether its code to read the clock is the kernel's, byte by byte.
    fn is_pristine(&self) -> bool {
        Vdso::of(self.process().pid).unwrap().bytes == Vdso::own().unwrap().bytes
    }
}

/// By how many milliseconds the clock that writes to a file is wrong.
fn shown(file: &Path) -> i128 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let shown = fs::read_to_string(file).ok().and_then(|text| text.parse::<i128>().ok()).unwrap_or_default();
    shown - i128::try_from(now).unwrap()
}

#[test]
fn a_program_that_is_linked_statically_and_reads_the_clock_on_many_threads_is_wrong_by_the_offset() {
    if !privileged() {
        return;
    }
    let Some(clock) = Clock::new("static-clock") else { return };
    clock.shows(0);
    assert!(clock.is_pristine());
    let whole = inject_and_undo(&clock.world, "time:skew", [("offset", "PT1H")], |proof| {
        assert!(proof.achieved.contains("3600.0"), "{}", proof.achieved);
        clock.shows(3600);
        assert!(!clock.is_pristine());
    });
    assert!(whole.unwrap().holds);
    clock.shows(0);
    assert!(clock.is_pristine());
}

#[test]
fn threads_that_are_always_reading_the_clock_survive_every_change_of_it() {
    if !privileged() {
        return;
    }
    let Some(clock) = Clock::new("clock") else { return };
    let host = clock.world.host();
    let threads = clock.process().threads().len();
    for round in 0..12 {
        let offset = if round % 2 == 0 { "-PT24H" } else { "PT0.5S" };
        let id = InjectionId(round);
        host.inject(id, "time:skew", &parameters([("offset", offset)]), &clock.world.object, LEASE).unwrap();
        assert_eq!(host.undo(id).unwrap().cleanliness, Cleanliness::Clean);
        assert!(clock.is_pristine());
    }
    assert_eq!(clock.process().threads().len(), threads);
    clock.shows(0);
}

#[test]
fn what_an_instance_starts_later_is_wrong_as_well() {
    if !privileged() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (file, sign) = (folder.path().join("shown"), folder.path().join("sign"));
    let Some(program) = built(folder.path(), "clock") else { return };
    let script = "until [ -e \"$2\" ]; do sleep 0.01; done; \"$0\" \"$1\" & wait";
    let world = World::running(Command::new("sh").args(["-c", script]).args([&program, &file, &sign]));
    let before = world.view();
    let host = world.host();
    host.inject(FIRST, "time:skew", &parameters([("offset", "-PT2H")]), &world.object, LEASE).unwrap();
    fs::write(&sign, "").unwrap();
    until("a new clock is wrong", || shown(&file).abs_diff(-7_200_000) < 1000);
    let undone = host.undo(FIRST).unwrap();
    assert_eq!(undone.cleanliness, Cleanliness::Clean);
    assert!(!undone.proof.unwrap().achieved.contains("; 0 processes joined"));
    until("the new clock is right", || shown(&file).abs_diff(0) < 1000);
    let members = Process::find(world.object.pid.unwrap()).unwrap().members();
    for member in members {
        if let Ok(vdso) = Vdso::of(member.pid) {
            assert!(vdso.bytes == Vdso::own().unwrap().bytes);
        }
    }
    drop(host);
    // The clock itself is a child that was not there before.
    let mut after = world.view();
    after.insert("children".to_owned(), before["children"].clone());
    assert_eq!(after, before);
}

#[test]
fn the_clock_of_a_stopped_process_is_changed_and_it_stays_stopped() {
    if !privileged() {
        return;
    }
    let Some(clock) = Clock::new("clock") else { return };
    clock.process().signal(Signal::STOP).unwrap();
    let is_stopped = || process::stat(clock.process().pid).unwrap().state == 'T';
    until("it stands still", is_stopped);
    inject_and_undo(&clock.world, "time:skew", [("offset", "PT1H")], |_| {
        until("it stands still again", is_stopped);
        clock.process().signal(Signal::CONT).unwrap();
        clock.shows(3600);
        clock.process().signal(Signal::STOP).unwrap();
        until("it stands still", is_stopped);
    });
    until("it stands still again", is_stopped);
    clock.process().signal(Signal::CONT).unwrap();
    clock.shows(0);
}

#[test]
fn only_the_processes_and_clocks_that_are_named_are_wrong() {
    if !privileged() {
        return;
    }
    let world = World::running(Command::new("sh").args(["-c", "sleep 1000 & wait"]));
    let first = Process::find(world.object.pid.unwrap()).unwrap();
    until("it has a child", || first.members().iter().any(|member| member.names().contains(&"sleep".to_owned())));
    let child = *first.members().last().unwrap();
    let given = [("offset", "PT1H"), ("process", "sleep"), ("clocks", "monotonic,boottime")];
    inject_and_undo(&world, "time:skew", given, |proof| {
        assert!(proof.configured.contains("monotonic, boottime"), "{}", proof.configured);
        assert!(is_skewed(child.pid).unwrap());
        assert!(!is_skewed(first.pid).unwrap());
    });
    assert!(!is_skewed(child.pid).unwrap());
    child.signal(Signal::KILL).unwrap();
}

/// A host with a journal of its own.
fn another_host() -> (tempfile::TempDir, Host) {
    let folder = tempfile::tempdir().unwrap();
    let host = harness::host(&folder.path().join("journal"));
    (folder, host)
}

#[test]
fn a_clock_that_is_wrong_already_is_left_alone() {
    if !privileged() {
        return;
    }
    let world = World::new();
    let host = world.host();
    let given = parameters([("offset", "PT1H")]);
    host.inject(FIRST, "time:skew", &given, &world.object, LEASE).unwrap();
    // By another runner, which knows nothing of the first.
    let (_folder, other) = another_host();
    let error = other.inject(FIRST, "time:skew", &given, &world.object, LEASE).unwrap_err();
    assert!(matches!(&error, InjectError::Refused(why) if why.0.contains("changed already")), "{error}");
    assert!(is_skewed(world.object.pid.unwrap()).unwrap());
    host.undo(FIRST).unwrap();
    assert!(!is_skewed(world.object.pid.unwrap()).unwrap());
}

#[test]
fn a_process_that_is_held_is_right_at_once_and_as_it_was_when_it_is_let_go() {
    if !privileged() {
        return;
    }
    let Some(clock) = Clock::new("clock") else { return };
    // One runner refuses to hold what it must trace; another knows nothing of that.
    let (host, (_folder, other)) = (clock.world.host(), another_host());
    host.inject(FIRST, "time:skew", &parameters([("offset", "PT1H")]), &clock.world.object, LEASE).unwrap();
    clock.shows(3600);
    other.inject(FIRST, "process:pause", &parameters([]), &clock.world.object, LEASE).unwrap();
    let error = host.undo(FIRST).unwrap_err();
    assert!(error.why.contains("the clocks are right") && error.why.contains("traces it"), "{error}");
    assert!(!is_skewed(clock.process().pid).unwrap() && !clock.is_pristine());
    other.undo(FIRST).unwrap();
    clock.shows(0);
    assert_eq!(host.undo(FIRST).unwrap().cleanliness, Cleanliness::Clean);
    assert!(clock.is_pristine());
}

#[test]
fn a_clock_that_is_gone_needs_no_undo() {
    if !privileged() {
        return;
    }
    let mut world = World::new();
    let host = world.host();
    host.inject(FIRST, "time:skew", &parameters([("offset", "PT1H")]), &world.object, LEASE).unwrap();
    world.child.kill().unwrap();
    world.child.wait().unwrap();
    for _ in 0..2 {
        assert_eq!(host.undo(FIRST).unwrap().cleanliness, Cleanliness::Gone);
    }
}

#[test]
fn what_cannot_be_wrong_is_refused() {
    if !privileged() {
        return;
    }
    let world = World::new();
    let host = world.host();
    let refused = |world: &World, offset| {
        let outcome = host.inject(FIRST, "time:skew", &parameters([("offset", offset)]), &world.object, LEASE);
        match outcome {
            Err(InjectError::Refused(why)) => why.0,
            other => panic!("{other:?}"),
        }
    };
    assert!(refused(&world, "PT0S").contains("`offset`"));
    assert!(refused(&world, "soon").contains("`offset`"));
    let mut own = World::new();
    own.object.pid = Some(std::process::id().cast_signed());
    own.object.started = None;
    assert!(refused(&own, "PT1H").contains("this very process"));
    let folder = tempfile::tempdir().unwrap();
    let Some(program) = built(folder.path(), "bare") else { return };
    let bare = World::running(&mut Command::new(program));
    assert!(refused(&bare, "PT1H").contains("by system calls"));
}

#[test]
fn a_stub_that_nobody_renews_adds_nothing_any_more() {
    if !privileged() {
        return;
    }
    let Some(clock) = Clock::new("static-clock") else { return };
    let victim = Victim::start(&clock.world, "time:skew");
    clock.shows(3600);
    // It hangs, and its guardian too.
    victim.kill_with_guardian(|| {
        clock.shows(0);
        assert!(!clock.is_pristine() && !is_skewed(clock.process().pid).unwrap());
    });
    until("nobody holds the journal", || !faults::journal::is_held(&clock.world.journal()).unwrap_or(true));
    let next = clock.world.host();
    assert!(matches!(next.leftovers()[0].outcome, Ok(Cleanliness::Clean)), "{:?}", next.leftovers());
    assert!(clock.is_pristine());
}
