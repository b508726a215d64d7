//! Who must not be hit: this process, and those that it was started by.

use std::iter;

use crate::process::{self, Process};

/// Whether it is this process or one of its ancestors: what stops or starves one of those stops the undo.
pub(crate) fn is_among(process: Process) -> bool {
    let own = i32::try_from(std::process::id()).ok();
    let mut ancestors = iter::successors(own, |pid| process::stat(*pid).ok().map(|stat| stat.parent));
    ancestors.any(|pid| pid == process.pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_and_who_started_it_are_and_who_it_starts_is_not() {
        let find = |pid: u32| Process::find(i32::try_from(pid).unwrap()).unwrap();
        assert!(is_among(find(std::process::id())));
        assert!(is_among(find(std::os::unix::process::parent_id())));
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        assert!(!is_among(find(child.id())));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
