//! The kernel of the guest: Debian's own, from its package, and the modules that are wanted of it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

/// The package that depends on the newest kernel for virtual machines: fewer drivers, otherwise as any other.
const NEWEST: &str = "linux-image-cloud-amd64";

/// A kernel as it is in its package.
pub(crate) struct Kernel {
    /// What is booted.
    pub(crate) image: PathBuf,
    /// Its modules, by name.
    modules: BTreeMap<String, PathBuf>,
}

impl Kernel {
    /// Gets the package, once, and unpacks it: nothing is installed.
    pub(crate) fn fetch(into: &Path) -> Result<Self> {
        let package = newest()?;
        let folder = into.join(&package);
        if !folder.exists() {
            println!("getting {package}");
            let fresh = tempfile::tempdir_in(into)?;
            // As its own user apt could not write here; what it gets it checks all the same.
            let arguments = ["-o", "APT::Sandbox::User=root", "--quiet=2", "download", &package];
            succeed(Command::new("apt-get").args(arguments).current_dir(&fresh))?;
            let archive = files(fresh.path(), "deb")?.pop().context("apt-get downloaded nothing")?;
            succeed(Command::new("dpkg-deb").arg("--extract").arg(archive).arg(fresh.path().join("whole")))?;
            fs::rename(fresh.path().join("whole"), &folder)?;
        }
        let image = fs::read_dir(folder.join("boot"))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz")))
            .with_context(|| format!("{} has no kernel", folder.display()))?;
        let modules =
            files(&folder.join("lib/modules"), "ko")?.into_iter().map(|path| (name_of(&path), path)).collect();
        Ok(Self { image, modules })
    }

    /// These modules and all that they need, each after what it needs.
    pub(crate) fn modules(&self, wanted: &[&str]) -> Result<Vec<&Path>> {
        let mut order = Vec::new();
        for name in wanted {
            self.gather(name, &mut order)?;
        }
        Ok(order)
    }

    fn gather<'a>(&'a self, name: &str, order: &mut Vec<&'a Path>) -> Result<()> {
        let path = self.modules.get(name).with_context(|| format!("the kernel has no module {name}"))?;
        if !order.contains(&path.as_path()) {
            for needed in depends(&fs::read(path)?) {
                self.gather(&needed, order)?;
            }
            order.push(path);
        }
        Ok(())
    }
}

/// The name of the package of the newest kernel.
fn newest() -> Result<String> {
    let output = Command::new("apt-cache").args(["depends", NEWEST]).output().context("cannot start apt-cache")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let package = text.lines().find_map(|line| line.trim().strip_prefix("Depends: linux-image-"));
    let package = package.with_context(|| format!("apt knows no package {NEWEST}; `apt-get update` may tell it"))?;
    Ok(format!("linux-image-{package}"))
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {:?}", command.get_program()))?;
    if !status.success() {
        bail!("{command:?} failed: {status}");
    }
    Ok(())
}

/// All files under a folder with this ending.
fn files(folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(files(&entry.path(), ending)?);
        } else if entry.path().extension().is_some_and(|own| own == ending) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Modules are named with underscores, and some of their files with hyphens.
fn name_of(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().replace('-', "_")
}

/// What a module needs: its section `.modinfo` has it among its strings, as `depends=nfnetlink,nf_tables`.
fn depends(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|bytes| bytes == KEY) else { return Vec::new() };
    let value = module[at + KEY.len()..].split(|byte| *byte == 0).next().unwrap_or_default();
    let names = String::from_utf8_lossy(value);
    names.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_module_needs_is_read_from_its_own_words() {
        assert_eq!(depends(b"license=GPL\0depends=nfnetlink,nf-tables\0retpoline=Y\0"), ["nfnetlink", "nf_tables"]);
        assert_eq!(depends(b"license=GPL\0depends=\0name=veth\0"), [""; 0]);
        assert_eq!(depends(b"independs=x"), [""; 0]);
    }

    #[test]
    fn modules_come_after_what_they_need_and_once() {
        let folder = tempfile::tempdir().unwrap();
        let module = |name: &str, needs: &str| {
            let path = folder.path().join(format!("{name}.ko"));
            fs::write(&path, format!("\0depends={needs}\0")).unwrap();
            (name_of(&path), path)
        };
        let modules = [module("a", ""), module("b-x", "a"), module("c", "b_x,a"), module("unwanted", "")].into();
        let kernel = Kernel { image: PathBuf::new(), modules };
        let order: Vec<String> = kernel.modules(&["c", "a"]).unwrap().into_iter().map(name_of).collect();
        assert_eq!(order, ["a", "b_x", "c"]);
        assert!(kernel.modules(&["d"]).unwrap_err().to_string().contains("no module d"));
    }
}
