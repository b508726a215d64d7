//! The virtual machine: QEMU, for as long as the tests take and no longer.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::run;

/// A guest that has not ended by then hangs. Its tests take about a minute.
const PATIENCE: Duration = Duration::from_secs(600);

/// A virtual machine that has never been on.
pub(crate) struct Machine<'a> {
    pub(crate) image: &'a Path,
    pub(crate) archive: &'a Path,
    /// Whether the host's processor runs the guest, and not an emulation of one.
    pub(crate) kvm: bool,
}

impl Machine<'_> {
    /// Boots it, gives its first process these arguments, and gives back what it said until it went off.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<String> {
        let mut child = self.command(arguments).spawn().context("cannot start qemu-system-x86_64")?;
        let output = child.stdout.take().context("stdout was piped")?;
        let (said, hear) = channel();
        thread::spawn(move || said.send(run::tee(output, std::io::stdout())));
        let text = match hear.recv_timeout(PATIENCE) {
            Ok(text) => text,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                child.kill()?;
                child.wait()?;
                bail!("the guest had not ended after {} s, and was", PATIENCE.as_secs());
            }
        };
        let status = child.wait()?;
        if !status.success() {
            bail!("qemu-system-x86_64 failed: {status}");
        }
        Ok(text)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("qemu-system-x86_64");
        command.args(["-M", "pc", "-m", "1024", "-display", "none", "-no-reboot", "-nodefaults", "-serial", "stdio"]);
        command.args(if self.kvm {
            ["-accel", "kvm", "-cpu", "host"].as_slice()
        } else {
            // The guest's time is the count of its instructions, four nanoseconds each, and where it only waits it jumps: so
            // however busy the host is, the guest is a quiet machine, and delays are what they are on one. (With a time as
            // fast as the host's, the tests fail whenever something else runs.)
            ["-accel", "tcg", "-cpu", "qemu64", "-icount", "shift=2,sleep=off"].as_slice()
        });
        command.arg("-kernel").arg(self.image).arg("-initrd").arg(self.archive);
        command.arg("-append").arg(format!("console=ttyS0 quiet panic=-1 -- {}", arguments.join(" ")));
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }
}
