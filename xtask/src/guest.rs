//! `cargo xtask guest`: the tests of the faults once more, in a virtual machine with Debian's own kernel, which has what the
//! kernel of the host may lack: sch_netem, and control groups with all their controllers.
//!
//! The guest is one archive that the kernel unpacks: this very program as its first process ([`mod@init`]), the tests, the few
//! programs that they run, and modules. It needs nothing from the host but files, and leaves nothing on it.

mod archive;
mod init;
mod kernel;
mod machine;

use std::{
    env, fs,
    io::{BufWriter, ErrorKind},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::{root, suite};
use archive::Archive;
pub(crate) use init::{SUBCOMMAND, init};
use kernel::Kernel;
use machine::Machine;

/// What the tests need of the kernel that is not built into it. There is no modprobe in the guest that would load it when it
/// is first used, as any real machine has.
const MODULES: &[&str] = &[
    "act_mirred",
    "cls_matchall",
    "ifb",
    "nf_tables",
    "nfnetlink_queue",
    "nft_chain_nat",
    "nft_compat",
    "nft_fib_inet",
    "nft_queue",
    "nft_redir",
    "nft_reject_inet",
    "nft_socket",
    "nft_tproxy",
    "sch_ingress",
    "sch_netem",
    "tcp_diag",
    "udp_diag",
    "veth",
    "xt_NFQUEUE",
];

/// The programs that tests run.
const PROGRAMS: &[&str] = &["dd", "setpriv", "sh", "sleep", "tail", "touch", "true", "unshare"];

/// What of the tests runs unless others are named: what depends on the kernel, and not how fast it is.
const SUITE: &[&str] = &[
    "clocks::",
    "crash::the_kernels_own_engine",
    "disks::",
    "doctor::",
    "guest::",
    "limits::",
    "loads::an_instance_whose_memory_runs_out",
    "loads::killed_while_memory_runs_out",
    "loads::the_kernel_ends_one_process",
    "names::",
    "network::a_",
    "network::established",
    "network::latency",
    "network::new_connections",
    "processes::",
];

/// What cannot run there: it has no disk but its memory.
const WITHOUT: &[&str] = &["disks::a_real_disk"];

/// Boots a guest and runs the tests whose names contain one of these words, or the [`SUITE`]; gives back how many passed.
///
/// Where it cannot be had it is skipped, but not in CI.
pub(crate) fn guest(words: &[&str]) -> Result<u64> {
    let (options, filters): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| word.starts_with("--"));
    let kvm = match options.as_slice() {
        [] => false,
        ["--kvm"] => true,
        _ => bail!("usage: cargo xtask guest [--kvm] [FILTER...]"),
    };
    let filters = if filters.is_empty() { SUITE } else { filters.as_slice() };
    if let Some(why) = lacking() {
        if env::var_os("CI").is_some() {
            bail!("no guest can be had: {why}");
        }
        println!("skipped: no guest can be had: {why}");
        return Ok(0);
    }
    let folder = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from).join("guest");
    fs::create_dir_all(&folder)?;
    let kernel = Kernel::fetch(&folder)?;
    let archive = folder.join("initramfs");
    let tests = tests()?;
    pack(&kernel, &tests, &ready(&tests, &folder)?, &archive)?;
    let machine = Machine { image: &kernel.image, archive: &archive, kvm };
    let skipped: Vec<&str> = WITHOUT.iter().flat_map(|name| ["--skip", name]).collect();
    let text = machine.run(&[&[SUBCOMMAND, "--test-threads=1"], skipped.as_slice(), filters].concat())?;
    judge(&text)
}

/// Why there can be no guest here.
fn lacking() -> Option<String> {
    if !cfg!(target_arch = "x86_64") {
        return Some("it is one for x86-64".to_owned());
    }
    let programs = [
        ("qemu-system-x86_64", "--version"),
        ("apt-cache", "--version"),
        ("dpkg-deb", "--version"),
        ("ldd", "--version"),
    ];
    let missing =
        programs.iter().find(|(name, say)| !Command::new(name).arg(say).output().is_ok_and(|it| it.status.success()));
    missing.map(|(name, _)| format!("there is no {name} (on Debian: `apt-get install qemu-system-x86`)"))
}

/// Builds the tests, and gives back their program.
fn tests() -> Result<PathBuf> {
    let arguments = [
        "test",
        "--package",
        "shaketable-faults",
        "--test",
        "it",
        "--no-run",
        "--message-format",
        "json-render-diagnostics",
    ];
    let mut command = Command::new("cargo");
    command.args(arguments).current_dir(root()).stderr(Stdio::inherit());
    let output = command.output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("`cargo {}` failed: {}", arguments.join(" "), output.status);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let artefacts = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let program = artefacts.filter_map(|artefact| artefact["executable"].as_str().map(PathBuf::from)).next_back();
    program.context("cargo built no tests")
}

/// Has the tests build what they run and cannot build in the guest, and gives back these programs.
fn ready(tests: &Path, into: &Path) -> Result<Vec<PathBuf>> {
    let folder = tempfile::tempdir_in(into)?;
    let arguments = ["--exact", "--ignored", "clocks::the_programs"];
    let output = Command::new(tests).args(arguments).env(init::READY_VARIABLE, folder.path()).output()?;
    if !output.status.success() {
        bail!("the tests cannot build their programs: {}", String::from_utf8_lossy(&output.stdout));
    }
    let place = into.join("programs");
    fs::remove_dir_all(&place).or_else(|why| if why.kind() == ErrorKind::NotFound { Ok(()) } else { Err(why) })?;
    fs::rename(folder.path(), &place)?;
    let files = fs::read_dir(&place)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    Ok(files.into_iter().filter(|file| file.extension().is_none()).collect())
}

/// Whether a program is linked with libraries: ldd fails on others.
fn is_linked(program: &Path) -> bool {
    Command::new("ldd").arg(program).output().is_ok_and(|output| output.status.success())
}

/// Writes everything that is in the guest.
fn pack(kernel: &Kernel, tests: &Path, ready: &[PathBuf], to: &Path) -> Result<()> {
    let own = env::current_exe()?;
    let mut programs: Vec<PathBuf> = PROGRAMS.iter().map(|name| find(name)).collect::<Result<_>>()?;
    let mut archive = Archive::new(BufWriter::new(fs::File::create(to)?));
    archive.copy("/init", &own)?;
    archive.copy(init::TESTS, tests)?;
    for (name, path) in PROGRAMS.iter().zip(&programs) {
        archive.copy(&format!("{}/{name}", init::PROGRAMS), path)?;
    }
    programs.extend([own, tests.to_owned()]);
    programs.extend(ready.iter().filter(|program| is_linked(program)).cloned());
    for library in libraries(&programs)? {
        archive.copy(&library, Path::new(&library))?;
    }
    for program in ready {
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        archive.copy(&format!("{}/{name}", init::READY), program)?;
    }
    // Whoever looks up names reads it, and tests put others in its place.
    archive.file("/etc/resolv.conf", b"")?;
    for (number, module) in kernel.modules(MODULES)?.into_iter().enumerate() {
        let name = module.file_name().unwrap_or_default().to_string_lossy();
        archive.copy(&format!("{}/{number:03}-{name}", init::MODULES), module)?;
    }
    archive.folder("/mnt")?;
    archive.finish()?.into_inner()?.sync_all()?;
    Ok(())
}

fn find(program: &str) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file());
    found.with_context(|| format!("there is no `{program}`, which tests run"))
}

/// The libraries that programs are linked with, and what loads these: by path, each once.
fn libraries(programs: &[PathBuf]) -> Result<Vec<String>> {
    let output = Command::new("ldd").args(programs).output().context("cannot start ldd")?;
    if !output.status.success() {
        bail!("ldd failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    // 	libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f…)
    // 	/lib64/ld-linux-x86-64.so.2 (0x00007f…)
    let text = String::from_utf8_lossy(&output.stdout);
    let words = text.lines().filter(|line| line.starts_with('\t')).flat_map(str::split_whitespace);
    let mut paths: Vec<String> = words.filter(|word| word.starts_with('/')).map(str::to_owned).collect();
    paths.sort();
    paths.dedup();
    Ok(paths)
}

/// How many tests passed, from what the guest said.
fn judge(text: &str) -> Result<u64> {
    let verdict = text.lines().find_map(|line| line.strip_prefix(init::VERDICT));
    match verdict {
        Some("exit status: 0") => {}
        Some(other) => bail!("in the guest the tests ended with {other}"),
        None => bail!("the guest ended before its tests had"),
    }
    match suite::count_cargo(text) {
        0 => bail!("in the guest no test ran"),
        passed => Ok(passed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSED: &str = "running 2 tests\ntest result: ok. 2 passed; 0 failed; 0 ignored\n";

    #[test]
    fn only_tests_that_ran_and_ended_well_are_counted() {
        let ended = |how: &str| format!("{PASSED}{}{how}\n", init::VERDICT);
        assert_eq!(judge(&ended("exit status: 0")).unwrap(), 2);
        assert!(judge(&ended("exit status: 101")).unwrap_err().to_string().contains("101"));
        assert!(judge(PASSED).unwrap_err().to_string().contains("before"));
        let none = format!("test result: ok. 0 passed; 0 failed\n{}exit status: 0", init::VERDICT);
        assert!(judge(&none).unwrap_err().to_string().contains("no test ran"));
    }
}
