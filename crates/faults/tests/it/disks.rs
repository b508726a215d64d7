//! Faults of disks.

use std::fs;

use faults::{InjectError, Parameters};
use model::event::Cleanliness;

use crate::harness::{DISK, DISK_SIZE, FIRST, LEASE, World, inject_and_undo, needed, parameters, privileged};

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
    assert!(last.unwrap().achieved.contains("KiB written"));
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
