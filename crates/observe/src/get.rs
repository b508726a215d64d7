//! A GET request now and then, over HTTP or HTTPS: what probes and scrapes need of a client.
//!
//! Every request has a connection of its own. A probe that kept one would not notice that no new one can be made.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::{
    response::{Malformed, Progress, ResponseReader},
    url::{Hosts, Url, UrlError},
};

/// Largest body that is read: a large Prometheus exposition has a few MiB.
pub const LARGEST_BODY: usize = 32 * 1024 * 1024;

/// Where distributions keep the authorities that the system trusts; the first that exists is taken.
const SYSTEM_AUTHORITIES: [&str; 4] = [
    // Debian, Ubuntu, Arch, Gentoo
    "/etc/ssl/certs/ca-certificates.crt",
    // Fedora, RHEL
    "/etc/pki/tls/certs/ca-bundle.crt",
    // openSUSE
    "/etc/ssl/ca-bundle.pem",
    // Alpine
    "/etc/ssl/cert.pem",
];

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum GetError {
    /// The host has no address.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// No connection.
    #[error("cannot connect to {address}")]
    Connect {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No trust.
    #[error("cannot speak TLS with {host}")]
    Tls {
        /// The host.
        host: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The connection broke.
    #[error("the connection broke before the response was complete")]
    Broken(#[source] io::Error),
    /// It is not HTTP.
    #[error("{0}")]
    Malformed(String),
    /// The body is too large.
    #[error("the body is larger than {} MiB", LARGEST_BODY / 1_048_576)]
    TooLarge,
    /// The time is over.
    #[error("no complete response within {0:?}")]
    Timeout(Duration),
}

impl From<Malformed> for GetError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed.to_string())
    }
}

/// Why the authorities to trust are not known.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file cannot be used.
    #[error("cannot read certificates from {}: {why}; give a PEM file with at least one certificate", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The TLS library refuses.
    #[error("TLS is not available")]
    Tls(#[source] rustls::Error),
}

/// Whom a client believes.
#[derive(Debug, Clone)]
pub struct Trust(Arc<ClientConfig>);

impl Trust {
    /// The system's authorities and those of a PEM file. A system without authorities trusts only the file's.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or has no certificate.
    pub fn load(ca_file: Option<&Path>) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        if let Some(path) = SYSTEM_AUTHORITIES.iter().map(Path::new).find(|path| path.exists()) {
            // One certificate that cannot be read does not make the others less trusted.
            if let Ok(certificates) = CertificateDer::pem_file_iter(path) {
                roots.add_parsable_certificates(certificates.flatten());
            }
        }
        if let Some(path) = ca_file {
            let failed = |why: String| TrustError::File { path: path.to_owned(), why };
            let before = roots.len();
            for certificate in CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))? {
                let certificate = certificate.map_err(|error| failed(error.to_string()))?;
                roots.add(certificate).map_err(|error| failed(error.to_string()))?;
            }
            if roots.len() == before {
                return Err(failed("it contains no certificate".to_owned()));
            }
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TrustError::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }
}

/// Asks once. `trust` is needed for `https://` only.
///
/// # Errors
///
/// When there is no complete response within the timeout. A response with any status is an answer.
pub async fn get(
    url: &Url,
    accept: &str,
    hosts: &Hosts,
    trust: Option<&Trust>,
    timeout: Duration,
) -> Result<Answer, GetError> {
    // Boxed: a TLS connection is large, and few of these run at once.
    let asking = Box::pin(ask(url, accept, hosts, trust));
    tokio::time::timeout(timeout, asking).await.unwrap_or(Err(GetError::Timeout(timeout)))
}

/// Asks once, as [`get`] does, for as long as it takes.
pub(crate) async fn ask(url: &Url, accept: &str, hosts: &Hosts, trust: Option<&Trust>) -> Result<Answer, GetError> {
    let address = address(&url.host, url.port, hosts).await?;
    let socket = TcpStream::connect(address).await.map_err(|source| GetError::Connect { address, source })?;
    if !url.tls {
        return exchange(socket, url, accept).await;
    }
    let failed = |source| GetError::Tls { host: url.host.clone(), source };
    let trust = trust.ok_or_else(|| failed(io::Error::other("no authorities are given that could be trusted")))?;
    let name = ServerName::try_from(url.host.clone()).map_err(|error| failed(io::Error::other(error)))?;
    let stream = TlsConnector::from(Arc::clone(&trust.0)).connect(name, socket).await.map_err(failed)?;
    exchange(stream, url, accept).await
}

/// The address of a host, by the given names first and the system's resolver second.
pub(crate) async fn address(host: &str, port: u16, hosts: &Hosts) -> Result<SocketAddr, UrlError> {
    if hosts.contains_key(host) || host.parse::<std::net::IpAddr>().is_ok() {
        return crate::url::resolve(host, port, hosts);
    }
    let failed = |source| UrlError::Resolve { host: host.to_owned(), source };
    let mut found = tokio::net::lookup_host((host, port)).await.map_err(failed)?;
    found.next().ok_or_else(|| failed(io::Error::new(io::ErrorKind::NotFound, "the resolver gave no address")))
}

async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    url: &Url,
    accept: &str,
) -> Result<Answer, GetError> {
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: shaketable/{}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n",
        url.path,
        url.authority(),
        env!("CARGO_PKG_VERSION"),
    );
    stream.write_all(request.as_bytes()).await.map_err(GetError::Broken)?;
    stream.flush().await.map_err(GetError::Broken)?;
    let mut reader = ResponseReader::default();
    reader.begin(false);
    let mut body = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let length = stream.read(&mut buffer).await.map_err(GetError::Broken)?;
        if length == 0 {
            return if reader.is_complete_at_close() {
                Ok(Answer { status: reader.status(), body })
            } else {
                Err(GetError::Broken(io::ErrorKind::UnexpectedEof.into()))
            };
        }
        let progress = reader.feed(&buffer[..length], |part| body.extend_from_slice(part))?;
        if body.len() > LARGEST_BODY {
            return Err(GetError::TooLarge);
        }
        if matches!(progress, Progress::Complete { .. }) {
            return Ok(Answer { status: reader.status(), body });
        }
    }
}

/// An error and all its causes in one line, for results that are told to people.
pub(crate) fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
