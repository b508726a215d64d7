//! Faults of disks.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::FileExt,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use faults::{InjectError, Parameters, process::Process};
use model::event::Cleanliness;
use rustix::process::Signal;

use crate::harness::{DISK, DISK_SIZE, FIRST, LEASE, World, inject_and_undo, needed, parameters, privileged, until};

fn refused(world: &World, fault: &str, given: &Parameters) -> String {
    let error = world.host().inject(FIRST, fault, given, &world.object, LEASE).unwrap_err();
    assert!(matches!(error, InjectError::Refused(_)), "{error}");
    error.to_string()
}

#[test]
fn a_disk_is_filled_to_its_level_and_is_as_free_as_before_afterwards() {
    if !privileged() {
        return;
    }
    let world = World::new();
    fs::write(world.disk().join("data"), vec![1; 20 << 20]).unwrap();
    let before = world.free();
    let last = inject_and_undo(&world, "disk:fill", [("path", DISK), ("size", "90%")], |_| {
        // It takes whole pages.
        assert!((DISK_SIZE / 10).abs_diff(world.free()) <= 4096, "{}", world.free());
        // Whoever needs more gets what a full disk gives.
        let error = fs::write(world.disk().join("more"), vec![1; 10 << 20]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::NOSPC.raw_os_error()));
        fs::remove_file(world.disk().join("more")).unwrap();
    });
    assert!(last.unwrap().holds);
    assert_eq!(world.free(), before);
    let names: Vec<_> = fs::read_dir(world.disk()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["data"]);
}

#[test]
fn what_others_free_on_a_full_disk_is_taken_too() {
    if !privileged() {
        return;
    }
    let world = World::new();
    fs::write(world.disk().join("data"), vec![1; 20 << 20]).unwrap();
    let host = world.host();
    host.inject(FIRST, "disk:fill", &parameters([("path", DISK), ("size", "90%")]), &world.object, LEASE).unwrap();
    fs::remove_file(world.disk().join("data")).unwrap();
    until("it is as full as it was", || (DISK_SIZE / 10).abs_diff(world.free()) <= 4096);
    let undone = host.undo(FIRST).unwrap();
    assert_eq!(undone.cleanliness, Cleanliness::Clean);
    assert!(undone.proof.unwrap().holds);
    assert_eq!(world.free(), DISK_SIZE);
}

#[test]
fn an_amount_is_added_to_what_is_there() {
    if !privileged() {
        return;
    }
    let world = World::new();
    let before = world.free();
    inject_and_undo(&world, "disk:fill", [("path", "/mnt/./"), ("size", "16MiB")], |_| {
        assert_eq!(world.free(), before - (16 << 20));
    });
}

#[test]
fn the_reserve_is_never_taken() {
    if !privileged() {
        return;
    }
    let world = World::new();
    let why = refused(&world, "disk:fill", &parameters([("path", DISK), ("size", "100%")]));
    assert!(why.contains("the reserve leaves"), "{why}");
    let given = parameters([("path", DISK), ("size", "60MiB"), ("reserve", "50%")]);
    assert!(refused(&world, "disk:fill", &given).contains("the reserve leaves"));
    assert_eq!(world.free(), DISK_SIZE);
}

#[test]
fn a_disk_that_is_not_the_targets_alone_is_refused_unless_that_is_meant() {
    if !privileged() {
        return;
    }
    let world = World::new();
    for fault in ["disk:fill", "disk:stress"] {
        for (path, part) in [
            ("/", "not that of i-1 alone"),
            ("/mnt/../etc", "`..`"),
            ("mnt", "begin with"),
            ("/none", "cannot be used"),
        ] {
            let why = refused(&world, fault, &parameters([("path", path), ("size", "1MiB")]));
            assert!(why.contains(part), "{fault} {path}: {why}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    inject_and_undo(&world, "disk:fill", [("path", path), ("size", "1MiB"), ("shared", "true")], |_| {});
}

#[test]
fn a_disk_that_goes_with_its_instance_needs_no_undo() {
    if !privileged() {
        return;
    }
    for fault in ["disk:fill", "disk:stress"] {
        let mut world = World::new();
        let host = world.host();
        host.inject(FIRST, fault, &needed(fault), &world.object, LEASE).unwrap();
        world.child.kill().unwrap();
        world.child.wait().unwrap();
        assert_eq!(host.undo(FIRST).unwrap().cleanliness, Cleanliness::Gone);
        assert_eq!(host.undo(FIRST).unwrap().cleanliness, Cleanliness::Gone);
    }
}

#[test]
fn a_disk_is_kept_busy_at_the_rate_that_was_asked_for() {
    if !privileged() {
        return;
    }
    let given =
        [("path", DISK), ("workers", "2"), ("readPercent", "50"), ("bytesPerSecond", "8MiB"), ("size", "16MiB")];
    let last = inject_and_undo(&World::new(), "disk:stress", given, |proof| {
        assert!(proof.configured.starts_with("8192 KiB per second"), "{}", proof.configured);
    });
    let last = last.unwrap();
    assert!(last.holds && !last.achieved.starts_with("0 bytes written"), "{last:?}");
}

#[test]
fn a_real_disk_is_written_to_and_read_from() {
    if !privileged() {
        return;
    }
    // Where the build is, is a disk; and it is this host's.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = folder.path().to_str().unwrap();
    let given =
        [("path", path), ("shared", "true"), ("readPercent", "50"), ("size", "4MiB"), ("bytesPerSecond", "1MiB")];
    inject_and_undo(&World::new(), "disk:stress", given, |proof| println!("{}", proof.achieved));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_load_that_fits_no_disk_is_refused() {
    if !privileged() {
        return;
    }
    let world = World::new();
    for (given, part) in [
        (("size", "100%"), "the reserve leaves"),
        (("size", "4KiB"), "less than a block"),
        (("blockSize", "100"), "`blockSize`"),
        (("bytesPerSecond", "5%"), "`bytesPerSecond`"),
    ] {
        let why = refused(&world, "disk:stress", &parameters([("path", DISK), given]));
        assert!(why.contains(part), "{why}");
    }
}

/// Where the writer tells how it fares.
const LOG: &str = "WRITER_LOG";

/// Not a test: a target that has a file open all the time, writes to it, has it on disk, and opens another.
#[test]
#[ignore = "a target, started by the tests here"]
fn the_writer() {
    let mut log = OpenOptions::new().append(true).open(std::env::var_os(LOG).unwrap()).unwrap();
    let place = Path::new(DISK);
    let file = File::create(place.join("open")).unwrap();
    for number in 0u64.. {
        let start = Instant::now();
        let written = file.write_at(b"1", 0).map(drop);
        let write = start.elapsed();
        let start = Instant::now();
        let synced = file.sync_all();
        let sync = start.elapsed();
        let made = File::create(place.join("new")).map(drop);
        let read = fs::read(place.join("open")).map(drop);
        let error = |outcome: std::io::Result<()>| outcome.err().and_then(|why| why.raw_os_error()).unwrap_or(0);
        let outcomes = [written, synced, made, read].map(error);
        // In one piece, so that nobody reads half a line.
        let line = format!("{number} {} {} {outcomes:?}\n", write.as_micros(), sync.as_micros());
        log.write_all(line.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// An instance that writes, and what it says.
struct Writer {
    world: World,
    log: tempfile::NamedTempFile,
}

impl Writer {
    fn start() -> Self {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "--nocapture", "--ignored", "disks::the_writer"]).env(LOG, log.path());
        let writer = Self { world: World::running(&mut command), log };
        writer.next();
        writer
    }

    fn lines(&self) -> Vec<String> {
        fs::read_to_string(self.log.path()).unwrap().lines().map(str::to_owned).collect()
    }

    /// Whether there is such a round among the next ones, by how long a write and a sync took: of what is not delayed on
    /// purpose, a busy machine delays some, but not all.
    fn has_round(&self, is: impl Fn(Duration, Duration) -> bool) -> bool {
        (0..50).any(|_| {
            let (write, sync, _) = self.next();
            is(write, sync)
        })
    }

    /// What it says of a round that it begins from now on: how long a write and a sync took, and how its operations ended.
    fn next(&self) -> (Duration, Duration, String) {
        let before = self.lines().len();
        loop {
            // The round that is going on does not count.
            if let [_, line, ..] = &self.lines()[before..] {
                let mut parts = line.splitn(4, ' ').skip(1);
                let mut time = || Duration::from_micros(parts.next().unwrap().parse().unwrap());
                return (time(), time(), parts.next().unwrap().to_owned());
            }
            assert!(self.world.child.id() > 0);
            std::thread::yield_now();
        }
    }
}

#[test]
fn what_a_target_writes_is_delayed_and_nothing_else() {
    if !privileged() {
        return;
    }
    let writer = Writer::start();
    let given = [("path", DISK), ("operations", "write"), ("delayMilliseconds", "50")];
    let last = inject_and_undo(&writer.world, "disk:latency", given, |proof| {
        assert!(proof.achieved.contains("20 of 20 probes (write) delayed"), "{}", proof.achieved);
        // The file was open before.
        let (write, sync, outcomes) = writer.next();
        let delay = Duration::from_millis(50);
        assert!(write >= delay, "{write:?}");
        assert!(sync < delay || writer.has_round(|_, sync| sync < delay), "{sync:?}");
        assert_eq!(outcomes, "[0, 0, 0, 0]");
    });
    let last = last.unwrap();
    assert!(last.holds, "{last:?}");
    let delayed_by = last.achieved.split_once(" operations of the target delayed, by ").map(|(_, by)| by);
    let milliseconds: f64 = delayed_by.unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(milliseconds >= 50.0, "{last:?}");
    assert_eq!(writer.next().2, "[0, 0, 0, 0]");
}

#[test]
fn a_sync_is_slow_and_a_write_is_not() {
    if !privileged() {
        return;
    }
    let writer = Writer::start();
    let given = [("path", DISK), ("operations", "sync"), ("delayMilliseconds", "40"), ("jitterMilliseconds", "20")];
    inject_and_undo(&writer.world, "disk:latency", given, |_| {
        let (write, sync, _) = writer.next();
        let shortest = Duration::from_millis(20);
        assert!(sync >= shortest, "{sync:?}");
        assert!(write < shortest || writer.has_round(|write, _| write < shortest), "{write:?}");
    });
}

#[test]
fn what_a_target_does_fails_as_asked_for() {
    if !privileged() {
        return;
    }
    let writer = Writer::start();
    let error = |errno: rustix::io::Errno| errno.raw_os_error();
    let given = [("path", DISK), ("operations", "sync,open"), ("error", "ENOSPC")];
    let enospc = error(rustix::io::Errno::NOSPC);
    inject_and_undo(&writer.world, "disk:error", given, |proof| {
        assert!(proof.achieved.starts_with("20 of 20 probes (sync) got ENOSPC"), "{}", proof.achieved);
        assert_eq!(writer.next().2, format!("[0, {enospc}, {enospc}, {enospc}]"));
    });
    // A third of them.
    let last = inject_and_undo(&writer.world, "disk:error", [("path", DISK), ("percent", "30")], |_| {
        let eio = error(rustix::io::Errno::IO).to_string();
        while !writer.next().2.contains(&eio) {}
        while writer.next().2.contains(&eio) {}
    });
    println!("{}", last.unwrap().achieved);
    assert_eq!(writer.next().2, "[0, 0, 0, 0]");
}

#[test]
fn a_disk_that_is_read_only_is_read() {
    if !privileged() {
        return;
    }
    let writer = Writer::start();
    let erofs = rustix::io::Errno::ROFS.raw_os_error();
    inject_and_undo(&writer.world, "disk:read-only", [("path", DISK)], |proof| {
        assert_eq!(proof.configured, "/mnt read-only");
        assert_eq!(writer.next().2, format!("[{erofs}, 0, {erofs}, 0]"));
        // Others are not concerned.
        fs::write(writer.world.disk().join("by others"), "1").unwrap();
        fs::remove_file(writer.world.disk().join("by others")).unwrap();
    });
    assert_eq!(writer.next().2, "[0, 0, 0, 0]");
}

#[test]
fn what_a_target_starts_is_hit_too_and_signals_reach_it() {
    if !privileged() {
        return;
    }
    let log = tempfile::NamedTempFile::new().unwrap();
    let script = format!(
        "trap 'echo signal >> {log}' USR1; while :; do (touch {DISK}/x 2>/dev/null && echo made || echo refused) >> {log}; \
         sleep 0.01; done",
        log = log.path().display()
    );
    let world = World::running(Command::new("sh").args(["-c", &script]));
    let said = |what: &str| fs::read_to_string(log.path()).unwrap().contains(what);
    let wait = |what: &str| {
        while !said(what) {
            std::thread::yield_now();
        }
    };
    wait("made");
    let host = world.host();
    host.inject(FIRST, "disk:read-only", &needed("disk:read-only"), &world.object, LEASE).unwrap();
    wait("refused");
    Process::find(world.object.pid.unwrap()).unwrap().signal(Signal::USR1).unwrap();
    wait("signal");
    assert_eq!(host.undo(FIRST).unwrap().cleanliness, Cleanliness::Clean);
    log.as_file().set_len(0).unwrap();
    wait("made");
}

#[test]
fn a_target_that_is_traced_is_refused_and_so_is_everything() {
    if !privileged() {
        return;
    }
    let world = World::new();
    let host = world.host();
    host.inject(FIRST, "disk:error", &needed("disk:error"), &world.object, LEASE).unwrap();
    let again =
        host.inject(model::event::InjectionId(2), "disk:latency", &needed("disk:latency"), &world.object, LEASE);
    assert!(again.unwrap_err().to_string().contains("the tracer of its processes is disk:error's"));
    assert_eq!(host.undo(FIRST).unwrap().cleanliness, Cleanliness::Clean);
    drop(host);
    let refused = |fault, name, text| refused(&world, fault, &parameters([("path", DISK), (name, text)]));
    for fault in ["disk:error", "disk:latency", "disk:read-only"] {
        assert!(refused(fault, "path", "/").contains("everything"));
    }
    assert!(refused("disk:latency", "jitterMilliseconds", "101").contains("not be more"));
    assert!(refused("disk:error", "operations", "delete").contains("none of read"));
}
