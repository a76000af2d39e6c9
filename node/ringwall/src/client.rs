//! The operator's side of the API: one HTTP request over the daemon's Unix socket, or over TLS.

mod remote;

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::api;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

use crate::limits::{ANSWER_BYTES, ANSWER_TIMEOUT};

pub(crate) use remote::{Remote, Url};

/// The daemon at a socket, or on another machine.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Socket(PathBuf),
    Remote(Remote),
}

/// A connection of either kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Client {
    /// The daemon that listens at `socket`; nothing is sent yet.
    pub(crate) fn new(socket: impl Into<PathBuf>) -> Self {
        Self { place: Place::Socket(socket.into()) }
    }

    /// The daemon on another machine; nothing is sent yet.
    pub(crate) fn remote(remote: Remote) -> Self {
        Self { place: Place::Remote(remote) }
    }

    /// Asks for what is at `path`.
    pub(crate) fn get<Res: DeserializeOwned>(&self, path: &str) -> Result<Res, ClientError> {
        self.get_within(path, ANSWER_TIMEOUT)
    }

    /// Asks for what is at `path`, and waits so long for the answer.
    pub(crate) fn get_within<Res: DeserializeOwned>(
        &self,
        path: &str,
        within: Duration,
    ) -> Result<Res, ClientError> {
        self.call(Method::GET, path, Bytes::new(), within)
    }

    /// Sends a request to `path`.
    pub(crate) fn post<Res: DeserializeOwned>(
        &self,
        path: &str,
        request: &impl Serialize,
    ) -> Result<Res, ClientError> {
        self.post_within(path, request, ANSWER_TIMEOUT)
    }

    /// Sends a request to `path`, and waits so long for the answer.
    pub(crate) fn post_within<Res: DeserializeOwned>(
        &self,
        path: &str,
        request: &impl Serialize,
        within: Duration,
    ) -> Result<Res, ClientError> {
        let body = serde_json::to_vec(request).map_err(|error| self.strange(error))?;
        self.call(Method::POST, path, body.into(), within)
    }

    fn call<Res: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        within: Duration,
    ) -> Result<Res, ClientError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| self.unreachable(error))?;
        let exchange = self.exchange(method, path, body);
        let (status, bytes) = runtime
            .block_on(async { tokio::time::timeout(within, exchange).await })
            .map_err(|_| ClientError::TimedOut { at: self.at(), within })??;
        if status == StatusCode::OK {
            return serde_json::from_slice(&bytes).map_err(|error| self.strange(error));
        }
        let refused = serde_json::from_slice(&bytes);
        Err(refused.map_or_else(|error| self.strange(error), ClientError::Refused))
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let stream = self.connect().await.map_err(|error| self.unreachable(error))?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| self.broken(&error))?;
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "ringwall")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| self.strange(error))?;
        if let Some(value) = self.authorization() {
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        let exchange = async {
            let answer = sender.send_request(request).await.map_err(|error| self.broken(&error))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), ANSWER_BYTES).collect().await;
            let body = body.map_err(|error| self.broken(error.as_ref()))?;
            Ok((status, body.to_bytes()))
        };
        tokio::pin!(exchange);
        // The connection must be driven while the exchange goes on; it may end just before it.
        tokio::select! {
            answered = &mut exchange => answered,
            _ = connection => exchange.await,
        }
    }

    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match &self.place {
            Place::Socket(socket) => Box::new(UnixStream::connect(socket).await?),
            Place::Remote(remote) => Box::new(remote.connect().await?),
        })
    }

    fn authorization(&self) -> Option<header::HeaderValue> {
        match &self.place {
            Place::Socket(_) => None,
            Place::Remote(remote) => remote.authorization(),
        }
    }

    /// What the operator calls the place.
    fn at(&self) -> String {
        match &self.place {
            Place::Socket(socket) => socket.display().to_string(),
            Place::Remote(remote) => remote.url.to_string(),
        }
    }

    fn unreachable(&self, error: io::Error) -> ClientError {
        let hint = match &self.place {
            Place::Socket(_) => unreachable_hint(&error),
            Place::Remote(_) => "",
        };
        ClientError::Unreachable { at: self.at(), error, hint }
    }

    fn broken(&self, error: &(dyn Error + 'static)) -> ClientError {
        if remote::is_alert(error) {
            let hint = "; the daemon refuses our certificate, or wants one: see --cert and --key";
            let error = io::Error::new(io::ErrorKind::PermissionDenied, chain(error));
            return ClientError::Unreachable { at: self.at(), error, hint };
        }
        ClientError::Broken { at: self.at(), error: error.to_string() }
    }

    fn strange(&self, error: impl fmt::Display) -> ClientError {
        ClientError::Strange { at: self.at(), error: error.to_string() }
    }
}

/// The first cause of an error, which says more than what it became on its way.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

/// Why the daemon did not do what it was asked to.
#[derive(Debug)]
pub(crate) enum ClientError {
    /// There is no socket to talk to, or there are several.
    NoSocket { found: Vec<PathBuf>, folder: &'static Path },
    /// What is needed for a daemon on another machine.
    Unready(String),
    /// Nobody answers there, or the two ends do not trust each other: nothing was asked.
    Unreachable { at: String, error: io::Error, hint: &'static str },
    /// The daemon took too long.
    TimedOut { at: String, within: Duration },
    /// The connection ended before the answer did.
    Broken { at: String, error: String },
    /// What answers is no daemon of this version.
    Strange { at: String, error: String },
    /// The daemon says no, and why.
    Refused(api::Error),
}

impl ClientError {
    /// Whether what was asked for may have been done, or may still be, so that asking again tells.
    pub(crate) const fn leaves_open(&self) -> bool {
        match self {
            Self::TimedOut { .. } | Self::Broken { .. } => true,
            Self::Refused(error) => error.unknown,
            Self::NoSocket { .. }
            | Self::Unready(_)
            | Self::Unreachable { .. }
            | Self::Strange { .. } => false,
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSocket { found, folder } if found.is_empty() => write!(
                f,
                "no daemon runs here: there is no socket in {}; start one with `ringwall run`, or \
                 name its socket with --socket",
                folder.display()
            ),
            Self::NoSocket { found, .. } => {
                write!(f, "several daemons run here; choose one with --socket:")?;
                found.iter().try_for_each(|socket| write!(f, " {}", socket.display()))
            }
            Self::Unready(why) => f.write_str(why),
            Self::Unreachable { at, error, hint } => write!(f, "{at}: {error}{hint}"),
            Self::TimedOut { at, within } => {
                write!(f, "{at}: the daemon did not answer within {} s", within.as_secs())
            }
            Self::Broken { at, error } => write!(f, "{at}: the connection broke: {error}"),
            Self::Strange { at, error } => {
                write!(f, "{at}: not an answer that this version understands: {error}")
            }
            Self::Refused(error) => f.write_str(&error.error),
        }
    }
}

#[allow(clippy::wildcard_enum_match_arm)] // the kinds that have a remedy, of very many
fn unreachable_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "; no daemon has this socket: start one with `ringwall run --node FILE`"
        }
        io::ErrorKind::ConnectionRefused => {
            "; the daemon that had this socket has ended: start it again with `ringwall run`"
        }
        io::ErrorKind::PermissionDenied => "; only root may talk to the daemon: try it with sudo",
        _ => "",
    }
}
