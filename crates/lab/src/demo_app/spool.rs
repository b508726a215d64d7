//! Requests kept on disk until they are answered, as a service does that must not lose any: so that disks have something to do.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use tokio::task::spawn_blocking;

/// What a request takes: some blocks of a disk.
const SIZE: usize = 16 << 10;

/// A folder with a file for each request under way.
#[derive(Debug)]
pub(super) struct Spool {
    folder: PathBuf,
    /// Begins the names of its files: several instances may use one folder.
    prefix: String,
    next: AtomicU64,
}

/// A request that is kept.
#[derive(Debug)]
pub(super) struct Kept(PathBuf);

impl Spool {
    pub(super) fn new(folder: PathBuf, id: &str) -> Self {
        Self { folder, prefix: id.replace('/', "-"), next: AtomicU64::new(0) }
    }

    /// Keeps a request, and waits until the disk has it.
    pub(super) async fn keep(&self) -> io::Result<Kept> {
        let path = self.folder.join(format!("{}-{}", self.prefix, self.next.fetch_add(1, Relaxed)));
        on_disk(move || {
            let mut file = fs::File::create(&path)?;
            let kept = file.write_all(&[b'.'; SIZE]).and_then(|()| file.sync_all());
            if kept.is_err() {
                // As far as that goes.
                fs::remove_file(&path).ok();
            }
            kept.map(|()| Kept(path))
        })
        .await
    }
}

impl Kept {
    /// It has been answered.
    pub(super) async fn forget(self) -> io::Result<()> {
        on_disk(move || fs::remove_file(self.0)).await
    }
}

async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_is_on_disk_until_it_is_answered() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::new(folder.path().to_owned(), "i-1");
        let files = || fs::read_dir(folder.path()).unwrap().count();
        let (one, other) = (spool.keep().await.unwrap(), spool.keep().await.unwrap());
        assert_eq!(files(), 2);
        one.forget().await.unwrap();
        other.forget().await.unwrap();
        assert_eq!(files(), 0);
        let nowhere = Spool::new(folder.path().join("none"), "i-1");
        assert_eq!(nowhere.keep().await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
