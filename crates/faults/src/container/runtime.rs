//! A container runtime, asked over the socket of Docker's API, which podman speaks as well.
//!
//! One request per connection, in HTTP/1.0: the answer ends with the connection, so that nothing has to be known of chunks.
//! The calls are those of the [Docker Engine API](https://docs.docker.com/reference/api/engine/) since its version 1.24.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use super::{Id, Maker};

/// Where runtimes listen: Docker, podman, and the podman of a user of its own.
fn sockets(maker: Maker) -> Vec<PathBuf> {
    let docker = PathBuf::from("/run/docker.sock");
    let user = rustix::process::geteuid().as_raw();
    let podman = [PathBuf::from("/run/podman/podman.sock"), format!("/run/user/{user}/podman/podman.sock").into()];
    match maker {
        Maker::Docker => vec![docker],
        Maker::Podman => podman.to_vec(),
        Maker::Unknown => podman.into_iter().chain([docker]).collect(),
        // Behind the back of Kubernetes nothing is stopped: it starts another at once.
        Maker::Kubernetes => Vec::new(),
    }
}

/// Why a runtime does not do what it is asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// It says no.
    #[error("{message} (status {status})")]
    Refused { status: u16, message: String },
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Error {
    /// Whether that is because there is no such container.
    pub(super) const fn is_gone(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }
}

/// What a runtime knows of a container.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Known {
    pub(super) name: String,
    pub(super) state: State,
    host_config: HostConfig,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct State {
    /// `running`, `paused`, `exited` ...
    pub(super) status: String,
    pub(super) running: bool,
    /// Its first process; 0 when it does not run.
    pub(super) pid: i32,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HostConfig {
    #[serde(default)]
    auto_remove: bool,
}

impl Known {
    /// Whether it is removed when it ends.
    pub(super) const fn is_fleeting(&self) -> bool {
        self.host_config.auto_remove
    }
}

/// The socket of the runtime that knows a container, and what it knows.
pub(super) fn find(id: &Id) -> Result<(PathBuf, Known), String> {
    let mut why = match id.maker {
        Maker::Kubernetes => return Err("Kubernetes looks after it, and starts another at once".to_owned()),
        _ => String::new(),
    };
    for socket in sockets(id.maker) {
        match inspect(&socket, &id.digits) {
            Ok(known) => return Ok((socket, known)),
            Err(error) => {
                let separator = if why.is_empty() { "" } else { "; " };
                why = format!("{why}{separator}{}: {error}", socket.display());
            }
        }
    }
    Err(why)
}

/// What a runtime knows of a container.
pub(super) fn inspect(socket: &Path, id: &str) -> Result<Known, Error> {
    let body = request(socket, "GET", &format!("/containers/{id}/json"), ANSWER)?;
    serde_json::from_slice(&body).map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why).into())
}

/// Has it stopped: asked to end, and killed when it has not after so many seconds.
pub(super) fn stop(socket: &Path, id: &str, grace: u64) -> Result<(), Error> {
    let answer = Duration::from_secs(grace) + ANSWER;
    request(socket, "POST", &format!("/containers/{id}/stop?t={grace}"), answer).map(drop)
}

/// Has it started.
pub(super) fn start(socket: &Path, id: &str) -> Result<(), Error> {
    request(socket, "POST", &format!("/containers/{id}/start"), ANSWER).map(drop)
}

/// Whether some runtime answers, for the doctor.
pub(crate) fn try_runtime() -> Result<(), String> {
    let answers = |socket: &PathBuf| request(socket, "GET", "/_ping", ANSWER).is_ok();
    let all: Vec<PathBuf> = sockets(Maker::Unknown);
    if all.iter().any(answers) {
        return Ok(());
    }
    let shown: Vec<String> = all.iter().map(|socket| socket.display().to_string()).collect();
    Err(format!("nobody answers at {}", shown.join(", ")))
}

/// How long an answer may take: starting a container on a slow disk takes seconds.
const ANSWER: Duration = Duration::from_secs(30);
/// More than what is known of any container.
const LONGEST: u64 = 8 << 20;

fn request(socket: &Path, method: &str, path: &str, patience: Duration) -> Result<Vec<u8>, Error> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer)?;
    read(&answer)
}

/// The body of an answer that is no refusal. That something was so already (304) is none.
fn read(answer: &[u8]) -> Result<Vec<u8>, Error> {
    let nonsense = || io::Error::new(io::ErrorKind::InvalidData, "it does not answer in HTTP");
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(nonsense)?;
    let head = std::str::from_utf8(&answer[..end]).map_err(|_| nonsense())?;
    let status = head.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse().ok()).ok_or_else(nonsense)?;
    let body = &answer[end + 4..];
    if (200..300).contains(&status) || status == 304 {
        return Ok(body.to_vec());
    }
    // {"message":"No such container: web"}
    let message = serde_json::from_slice::<serde_json::Value>(body).ok();
    let message = message.and_then(|body| body.get("message")?.as_str().map(str::to_owned));
    Err(Error::Refused { status, message: message.unwrap_or_else(|| "it gives no reason".to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_bodies_or_reasons() {
        assert_eq!(read(b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\n{}").unwrap(), b"{}");
        assert_eq!(read(b"HTTP/1.1 304 Not Modified\r\n\r\n").unwrap(), b"");
        let gone = read(b"HTTP/1.0 404 Not Found\r\n\r\n{\"message\":\"No such container: web\"}").unwrap_err();
        assert!(gone.is_gone());
        assert_eq!(gone.to_string(), "No such container: web (status 404)");
        for nonsense in [&b""[..], b"HTTP/1.0 200 OK\r\n", b"SSH-2.0-x\r\n\r\n", b"HTTP/1.0 \xff\xff\xff\r\n\r\n"] {
            assert!(matches!(read(nonsense), Err(Error::Io(_))));
        }
    }

    #[test]
    fn what_is_known_of_a_container_is_read() {
        let text = r#"{"Id":"4f","Name":"/web","State":{"Status":"running","Running":true,"Paused":false,"Pid":71},
            "HostConfig":{"AutoRemove":true,"NetworkMode":"none"}}"#;
        let known: Known = serde_json::from_str(text).unwrap();
        assert!(known.state.running && known.is_fleeting());
        assert_eq!((known.name.as_str(), known.state.pid), ("/web", 71));
    }
}
