//! `shaketable install-recovery`: a systemd unit that undoes, early at boot, what a crash of the machine left behind.
//!
//! What survives a boot is on disk: files a fault has replaced. So the unit runs as soon as the file systems are there, and
//! before the services that might read those files; it needs no network, and waits for none. It starts no other unit (one that
//! comes after `basic.target` would wait for this one), and a time limit keeps it from holding up the boot. Where nothing is on
//! record it does not run at all.

use std::{
    env, fs, io,
    os::unix::fs::{MetadataExt, symlink},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use faults::state::{self, State};
use rustix::process::geteuid;

use crate::{args::InstallRecovery, terminal};

const UNIT: &str = "shaketable-recovery.service";
/// What starts it: where `systemctl enable` would make a link for `WantedBy=basic.target`.
const WANTED: &str = "basic.target.wants";

/// Installs the unit, removes it, or shows it.
pub(crate) fn install_recovery(call: &InstallRecovery) -> Result<ExitCode> {
    let program = env::current_exe().context("cannot find this program's own file")?;
    let named = env::var_os(state::VARIABLE).filter(|named| !named.is_empty()).map(PathBuf::from);
    if call.print {
        // Without touching anything: root's folder, or the one that is named.
        let folder = named.clone().unwrap_or_else(|| PathBuf::from(state::OF_ROOT));
        terminal::out(&unit(&program, &folder, named.is_some())?);
        return Ok(ExitCode::SUCCESS);
    }
    if !geteuid().is_root() {
        bail!("only root needs it: of what an ordinary user injects nothing outlives a boot; `--print` shows the unit");
    }
    if call.uninstall {
        return uninstall(&call.into);
    }
    is_trusted(&program)?;
    let state = State::of_user()?;
    let (file, link) = (call.into.join(UNIT), call.into.join(WANTED).join(UNIT));
    let write = || -> io::Result<()> {
        fs::create_dir_all(call.into.join(WANTED))?;
        fs::write(&file, unit(&program, state.folder(), named.is_some()).map_err(io::Error::other)?)?;
        absent_is_fine(fs::remove_file(&link))?;
        symlink(Path::new("..").join(UNIT), &link)
    };
    write().with_context(|| format!("cannot write {}", file.display()))?;
    terminal::out(&format!("{} will run at every boot; `systemctl start {UNIT}` runs it now\n", file.display()));
    Ok(ExitCode::SUCCESS)
}

fn uninstall(folder: &Path) -> Result<ExitCode> {
    for path in [folder.join(WANTED).join(UNIT), folder.join(UNIT)] {
        absent_is_fine(fs::remove_file(&path)).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn absent_is_fine(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// At boot root runs this program: nobody else may be able to write it, or to put another in its place.
fn is_trusted(program: &Path) -> Result<()> {
    for path in program.ancestors() {
        let found = fs::metadata(path).with_context(|| format!("cannot look at {}", path.display()))?;
        // Bits for writing by the group and by others; in a folder with the sticky bit others cannot replace what is root's.
        let sticky = found.is_dir() && found.mode() & 0o1000 != 0;
        if found.uid() != 0 || (found.mode() & 0o022 != 0 && !sticky) {
            bail!(
                "others than root can change {}, and root would run {} at boot; put the program where only root can, such as \
                 /usr/local/bin, and call it there",
                path.display(),
                program.display()
            );
        }
    }
    Ok(())
}

/// The unit's text.
fn unit(program: &Path, folder: &Path, named: bool) -> Result<String> {
    let (program, folder) = (quoted(program)?, quoted(folder)?);
    let environment = if named { format!("Environment=\"{}={folder}\"\n", state::VARIABLE) } else { String::new() };
    Ok(format!(
        "\
[Unit]
Description=Undo faults that Shaketable left behind
# What outlives a boot is in files: as soon as these are there, and before the services that read them.
DefaultDependencies=no
RequiresMountsFor=\"{folder}\"
After=local-fs.target
Before=basic.target shutdown.target
Conflicts=shutdown.target
ConditionDirectoryNotEmpty={folder}

[Service]
Type=oneshot
{environment}ExecStart=\"{program}\" undo --all
# The boot goes on without it: what could not be undone stays on record, and `shaketable status` says so.
TimeoutStartSec=90

[Install]
WantedBy=basic.target
"
    ))
}

/// A path in a unit file: `%` begins a specifier, `$` a variable, and quotes end.
fn quoted(path: &Path) -> Result<String> {
    let text = path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))?;
    if text.chars().any(|c| c.is_control() || matches!(c, '"' | '\'' | '\\')) {
        bail!("{} has characters that a unit file cannot have in a path", path.display());
    }
    Ok(text.replace('%', "%%").replace('$', "$$"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_names_program_and_folder() {
        let text = unit(Path::new("/usr/bin/shaketable"), Path::new("/var/lib/shaketable"), false).unwrap();
        assert!(text.contains("\nExecStart=\"/usr/bin/shaketable\" undo --all\n"), "{text}");
        assert!(text.contains("\nConditionDirectoryNotEmpty=/var/lib/shaketable\n"), "{text}");
        assert!(!text.contains("Environment="), "{text}");
        let text = unit(Path::new("/opt/100%/shaketable"), Path::new("/state"), true).unwrap();
        assert!(text.contains("ExecStart=\"/opt/100%%/shaketable\""), "{text}");
        assert!(text.contains("Environment=\"SHAKETABLE_STATE=/state\""), "{text}");
    }

    #[test]
    fn a_path_that_would_be_read_as_more_than_one_word_is_refused() {
        for path in ["/opt/a\" -x \"", "/opt/a\nExecStartPre=/bin/b", "/opt/a\\"] {
            assert!(unit(Path::new(path), Path::new("/state"), false).is_err(), "{path}");
        }
    }

    #[test]
    fn a_program_that_others_can_replace_is_not_run_by_root() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("shaketable");
        fs::write(&program, "").unwrap();
        fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        assert!(is_trusted(&program).unwrap_err().to_string().contains("others than root"));
    }
}
