//! The first process of the guest: makes the machine as tests expect one, runs them, says how they ended, and switches it off.

use std::{
    ffi::CString,
    fs,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, ExitStatus, id},
};

use anyhow::{Context, Result, bail};
use rustix::{
    io::Errno,
    mount::{MountFlags, mount},
    process::{Pid, WaitOptions, wait},
    system::{RebootCommand, finit_module, reboot},
    termios::tcdrain,
};

/// The hidden subcommand of it.
pub(crate) const SUBCOMMAND: &str = "__guest-init";
/// Where the archive has the tests' program.
pub(crate) const TESTS: &str = "/tests";
/// Where it has the modules; they are loaded in the order of their names.
pub(crate) const MODULES: &str = "/modules";
/// Where it has the programs that tests run.
pub(crate) const PROGRAMS: &str = "/bin";
/// Where it has programs that tests would build otherwise, and by what the tests know that.
pub(crate) const READY: &str = "/programs";
pub(crate) const READY_VARIABLE: &str = "SHAKETABLE_PROGRAMS";
/// What it says last, before how the tests ended.
pub(crate) const VERDICT: &str = "guest: the tests ended with ";

/// What is mounted where.
const MOUNTS: [(&str, &str); 6] = [
    ("devtmpfs", "/dev"),
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("cgroup2", "/sys/fs/cgroup"),
    ("tmpfs", "/tmp"),
    ("tmpfs", "/run"),
];

/// Runs the tests with these arguments; does not come back.
pub(crate) fn init(arguments: &[&str]) -> Result<()> {
    if id() != 1 {
        bail!("`{SUBCOMMAND}` is for the first process of a guest; `cargo xtask guest` boots one");
    }
    match prepare().and_then(|()| run(arguments)) {
        Ok(status) => println!("{VERDICT}{status}"),
        Err(error) => println!("{VERDICT}an error of the guest: {error:#}"),
    }
    // The serial line is slow, and what it has not said by then is lost.
    tcdrain(std::io::stdout())?;
    // QEMU is told to end instead of starting again.
    reboot(RebootCommand::Restart)?;
    Ok(())
}

fn prepare() -> Result<()> {
    for (kind, at) in MOUNTS {
        fs::create_dir_all(at)?;
        mount(kind, at, kind, MountFlags::empty(), None).with_context(|| format!("cannot mount {at}"))?;
    }
    let mut modules: Vec<_> = fs::read_dir(MODULES)?.collect::<Result<_, _>>()?;
    modules.sort_by_key(fs::DirEntry::file_name);
    for module in modules {
        let file = fs::File::open(module.path())?;
        match finit_module(&file, &CString::default(), 0) {
            // Built in, or loaded by another.
            Ok(()) | Err(Errno::EXIST) => {}
            Err(why) => bail!("cannot load {}: {why}", module.path().display()),
        }
    }
    // As a service manager does: what is below the root may be limited.
    let controllers = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers")?;
    for controller in controllers.split_whitespace() {
        fs::write("/sys/fs/cgroup/cgroup.subtree_control", format!("+{controller}"))
            .with_context(|| format!("cannot switch on the controller {controller}"))?;
    }
    Ok(())
}

/// Runs the tests, and reaps whatever is orphaned meanwhile.
fn run(arguments: &[&str]) -> Result<ExitStatus> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    println!("guest: Linux {}", release.trim());
    let child = Command::new(Path::new(TESTS))
        .args(arguments)
        .env_clear()
        .envs([
            ("PATH", PROGRAMS),
            ("TMPDIR", "/tmp"),
            ("CI", "true"),
            ("SHAKETABLE_GUEST", "1"),
            (READY_VARIABLE, READY),
        ])
        .spawn()
        .context("cannot start the tests")?;
    let tests = Pid::from_child(&child);
    loop {
        if let Some((pid, status)) = wait(WaitOptions::empty())?
            && pid == tests
        {
            return Ok(ExitStatus::from_raw(status.as_raw()));
        }
    }
}
