//! A lab that is used by hand: a socket by which other processes of the same user look at it and end it.
//!
//! ```text
//!   shaketable lab up FILE      ── serve ── NAME.lab (unix socket, in the user's own folder)
//!   shaketable lab status FILE  ── status ──▶ "status\n"  ◀── one line of JSON
//!   shaketable lab down FILE    ── down   ──▶ "down\n"    ◀── "down\n", when nothing is left
//! ```

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::Notify,
    task::JoinHandle,
};

use crate::{lab::Lab, place, status::Status};

const STATUS: &str = "status";
const DOWN: &str = "down";

/// Why a lab cannot be controlled.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// A lab of this name is up already.
    #[error("a lab named `{name}` is up already; `shaketable lab down` ends it")]
    Up {
        /// The name.
        name: String,
    },
    /// No lab of this name is up.
    #[error("no lab named `{name}` is up; `shaketable lab up` starts it")]
    NotUp {
        /// The name.
        name: String,
    },
    /// It answered with something else than was asked for: it is of another version.
    #[error("lab `{name}` answers in a way that this version does not understand")]
    Foreign {
        /// The name.
        name: String,
    },
    /// The system refused something.
    #[error("cannot talk to lab `{name}`: {source}")]
    System {
        /// The name.
        name: String,
        /// Why.
        source: io::Error,
    },
}

/// Answers for a lab until it is dropped.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
    task: JoinHandle<()>,
    asked: Arc<Notify>,
}

impl Control {
    /// Waits until somebody asks for the lab's end. Dropping the control, after the lab has gone down, tells whoever asked.
    pub async fn down_requested(&self) {
        self.asked.notified().await;
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.task.abort();
        // Somebody may have tidied up.
        let _gone = fs::remove_file(&self.path);
        place::leave();
    }
}

/// Answers for a lab from now on.
///
/// # Errors
///
/// When a lab of the same name is up, or no socket can be made.
pub async fn serve(lab: &Lab) -> Result<Control, ControlError> {
    let name = lab.spec().name.clone();
    let system = |source| ControlError::System { name: name.clone(), source };
    let path = path(&name).map_err(system)?;
    if UnixStream::connect(&path).await.is_ok() {
        return Err(ControlError::Up { name });
    }
    // That of a lab which died.
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(system(error)),
        _ => {}
    }
    let listener = UnixListener::bind(&path).map_err(system)?;
    let asked = Arc::new(Notify::new());
    let task = tokio::spawn(answer_all(listener, lab.clone(), Arc::clone(&asked)));
    Ok(Control { path, task, asked })
}

async fn answer_all(listener: UnixListener, lab: Lab, asked: Arc<Notify>) {
    let mut clients = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (lab, asked) = (lab.clone(), Arc::clone(&asked));
        clients.spawn(async move {
            // A client that goes away needs no answer.
            let _gone = answer(stream, &lab, &asked).await;
        });
    }
}

async fn answer(stream: UnixStream, lab: &Lab, asked: &Notify) -> io::Result<()> {
    let (reading, mut writing) = stream.into_split();
    let mut lines = BufReader::new(reading).lines();
    while let Some(line) = lines.next_line().await? {
        match line.as_str() {
            STATUS => {
                let mut text = serde_json::to_string(&lab.status().await)?;
                text.push('\n');
                writing.write_all(text.as_bytes()).await?;
            }
            DOWN => {
                lab.down().await;
                writing.write_all(format!("{DOWN}\n").as_bytes()).await?;
                asked.notify_one();
            }
            _ => return Ok(()),
        }
    }
    Ok(())
}

/// What the lab of this name looks like.
///
/// # Errors
///
/// When no such lab of this user is up, or it does not answer.
pub async fn status(name: &str) -> Result<Status, ControlError> {
    let line = ask(name, STATUS).await?;
    serde_json::from_str(&line).map_err(|_| ControlError::Foreign { name: name.to_owned() })
}

/// Ends the lab of this name, and returns when nothing is left of it.
///
/// # Errors
///
/// When no such lab of this user is up, or it does not answer.
pub async fn down(name: &str) -> Result<(), ControlError> {
    let line = ask(name, DOWN).await?;
    if line == DOWN { Ok(()) } else { Err(ControlError::Foreign { name: name.to_owned() }) }
}

async fn ask(name: &str, question: &str) -> Result<String, ControlError> {
    let system = |source: io::Error| ControlError::System { name: name.to_owned(), source };
    let path = path(name).map_err(system)?;
    let stream = UnixStream::connect(&path).await.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ControlError::NotUp { name: name.to_owned() },
        _ => system(error),
    })?;
    let (reading, mut writing) = stream.into_split();
    writing.write_all(format!("{question}\n").as_bytes()).await.map_err(system)?;
    let line = BufReader::new(reading).lines().next_line().await.map_err(system)?;
    line.ok_or_else(|| ControlError::Foreign { name: name.to_owned() })
}

/// The socket of a lab. A name may have characters that a file's may not.
fn path(name: &str) -> io::Result<PathBuf> {
    let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
    Ok(place::folder()?.join(Path::new(&plain).with_extension("lab")))
}
