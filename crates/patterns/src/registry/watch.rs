//! Reloading when the file changes.
//!
//! By looking at it from time to time: that works on every file system, for mounted secrets and config maps that are
//! exchanged by renaming, and needs nothing of the operating system.

use std::{
    error, fmt, fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::{Changes, Document, Problems, Registry};
use crate::{clock::Clock, error::InvalidOption};

/// A file, and what it looked like when it was last read.
#[derive(Clone, Debug)]
pub struct FileWatch {
    path: PathBuf,
    seen: Option<(Option<SystemTime>, u64)>,
}

/// Why a file did not become the registry's pipelines. Those go on as they were.
#[derive(Debug)]
pub enum ReloadError {
    /// It cannot be read.
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What it says is wrong.
    Problems {
        /// The file.
        path: PathBuf,
        /// Everything that is wrong.
        problems: Problems,
    },
    /// Its options make no sense.
    Invalid(InvalidOption),
}

impl FileWatch {
    /// Watches a file that has not been read yet: the first [`changed`](FileWatch::changed) reads it.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), seen: None }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its text, if it looks different from the last time: by modification time and length.
    ///
    /// # Errors
    ///
    /// When it cannot be read; it is tried again the next time.
    pub fn changed(&mut self) -> io::Result<Option<String>> {
        let metadata = fs::metadata(&self.path)?;
        // Looked at before it is read: a change while it is read is seen the next time.
        let looks = Some((metadata.modified().ok(), metadata.len()));
        if looks == self.seen {
            return Ok(None);
        }
        let text = fs::read_to_string(&self.path)?;
        self.seen = looks;
        Ok(Some(text))
    }

    /// Reads it into the registry if it has changed; otherwise nothing.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or what it says is wrong; the pipelines go on as they were.
    pub fn reload<C: Clock>(
        &mut self,
        registry: &Registry<C>,
        read: impl Fn(&str) -> Result<Document, Problems>,
    ) -> Result<Option<Changes>, ReloadError> {
        let text = self.changed().map_err(|source| ReloadError::Io { path: self.path.clone(), source })?;
        let Some(text) = text else { return Ok(None) };
        let document = read(&text).map_err(|problems| ReloadError::Problems { path: self.path.clone(), problems })?;
        registry.reload(&document).map(Some).map_err(ReloadError::Invalid)
    }
}

/// Reads a file into the registry now and whenever it has changed, looking at it at this interval by the clock; until the
/// future is dropped. What came of each change is told.
///
/// ```no_run
/// # #[cfg(all(feature = "toml", feature = "tokio"))]
/// # async fn example() {
/// use std::time::Duration;
/// use patterns::{TokioClock, registry::{Document, FileWatch, Registry, watch}};
///
/// let registry = Registry::new(TokioClock);
/// let file = FileWatch::new("pipelines.toml");
/// tokio::spawn(watch(registry.clone(), TokioClock, file, Duration::from_secs(2), Document::from_toml, |reloaded| {
///     match reloaded {
///         Ok(changes) => println!("pipelines reloaded: {changes:?}"),
///         Err(error) => eprintln!("pipelines stay as they are: {error}"),
///     }
/// }));
/// # }
/// ```
#[expect(clippy::infinite_loop, reason = "it ends when the future is dropped")]
pub async fn watch<C: Clock, D: Clock>(
    registry: Registry<C>,
    clock: D,
    mut file: FileWatch,
    every: Duration,
    read: impl Fn(&str) -> Result<Document, Problems>,
    tell: impl Fn(Result<Changes, ReloadError>),
) {
    let mut last_error = None;
    loop {
        match file.reload(&registry, &read) {
            Ok(Some(changes)) => {
                last_error = None;
                tell(Ok(changes));
            }
            Ok(None) => {}
            Err(error) => {
                // A file that stays away is told of once, not at every look.
                let text = error.to_string();
                if last_error.replace(text.clone()) != Some(text) {
                    tell(Err(error));
                }
            }
        }
        clock.sleep_until(clock.now() + every).await;
    }
}

impl fmt::Display for ReloadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, source } => write!(out, "cannot read {}: {source}", path.display()),
            Self::Problems { path, problems } => {
                let mut first = true;
                for problem in problems {
                    let newline = if std::mem::take(&mut first) { "" } else { "\n" };
                    write!(out, "{newline}{}: {problem}", path.display())?;
                }
                Ok(())
            }
            Self::Invalid(invalid) => invalid.fmt(out),
        }
    }
}

impl error::Error for ReloadError {}
