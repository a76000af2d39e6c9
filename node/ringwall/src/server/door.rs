//! Who may enter at the TLS listener: the node's own certificate, the authority of clients, their tokens.
//!
//! A client is known by its certificate, whose one DNS name (subject alternative name) is its name, or by a
//! token. One that sends a token is meant by it, whatever its certificate says.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use axum::http::{HeaderMap, header};
use config::{Principal, Remote};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ServerConfig, ServerConnection, version};
use webpki::EndEntityCert;

use crate::bearer::{Token, Tokens};
use crate::pem;

use super::rejection::Rejection;

/// What is spoken inside TLS.
const HTTP: &[u8] = b"http/1.1";

/// What the node file names, as it was read last.
#[derive(Debug)]
pub(crate) struct Door {
    remote: Remote,
    papers: RwLock<Arc<Papers>>,
}

#[derive(Debug)]
struct Papers {
    tls: Arc<ServerConfig>,
    tokens: Tokens,
}

/// Whom a connection's certificate names. That it is a good one was seen in the handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// It has shown none.
    Anonymous,
    /// It has one with no name, or several.
    Nameless,
    /// It has this name.
    Named(String),
}

/// Why nobody may enter.
#[derive(Debug)]
pub(crate) enum DoorError {
    /// A file.
    File { path: PathBuf, error: io::Error },
    /// The certificate and the key, or what clients are judged by.
    Tls { path: PathBuf, error: String },
}

impl Door {
    /// Reads the files.
    pub(crate) fn open(remote: Remote) -> Result<Self, DoorError> {
        let papers = RwLock::new(Arc::new(Papers::read(&remote)?));
        Ok(Self { remote, papers })
    }

    /// Reads the files again. If something is wrong with one of them, all is as before.
    pub(crate) fn reopen(&self) -> Result<(), DoorError> {
        let papers = Arc::new(Papers::read(&self.remote)?);
        tracing::info!(
            tokens = papers.tokens.len(),
            "SIGHUP: certificate and tokens are read again"
        );
        *self.papers.write().unwrap_or_else(PoisonError::into_inner) = papers;
        Ok(())
    }

    /// How a connection that begins now is encrypted.
    pub(super) fn tls(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.papers().tls)
    }

    /// Who sends a request with these headers on the connection of `caller`.
    pub(super) fn who(&self, caller: &Caller, headers: &HeaderMap) -> Result<Principal, Rejection> {
        let mut sent = headers.get_all(header::AUTHORIZATION).iter();
        match (sent.next(), sent.next()) {
            (Some(credentials), None) => {
                let token = credentials.to_str().ok().and_then(bearer).ok_or(Rejection::Token)?;
                let papers = self.papers();
                let holder = papers.tokens.holder(&token).ok_or(Rejection::Token)?;
                Ok(Principal::Token(holder.to_owned()))
            }
            (Some(_), Some(_)) => Err(Rejection::Token),
            (None, _) => match caller {
                Caller::Anonymous => Err(Rejection::Anonymous),
                Caller::Nameless => Err(Rejection::Nameless),
                Caller::Named(name) => Ok(Principal::Certificate(name.clone())),
            },
        }
    }

    fn papers(&self) -> Arc<Papers> {
        Arc::clone(&self.papers.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The token of an `Authorization` header (RFC 6750, 2.1).
fn bearer(credentials: &str) -> Option<Token> {
    let (scheme, token) = credentials.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Token::of(token.trim()))?
}

impl Papers {
    fn read(remote: &Remote) -> Result<Self, DoorError> {
        let tokens = match &remote.tokens {
            Some(path) => file(path, Tokens::read)?,
            None => Tokens::default(),
        };
        let chain = file(&remote.certificate, pem::certificates)?;
        let key = file(&remote.key, pem::key)?;
        let broken = |path: &str| {
            let path = PathBuf::from(path);
            move |error: rustls::Error| DoorError::Tls { path, error: error.to_string() }
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let clients = clients(remote, &provider)?;
        let tls = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13])
            .map_err(broken(&remote.certificate))?
            .with_client_cert_verifier(clients)
            .with_single_cert(chain, key)
            .map_err(broken(&remote.certificate))?;
        Ok(Self { tls: Arc::new(unresumed(tls)), tokens })
    }
}

/// Nothing is resumed: each connection shows its certificate, and it is looked at.
fn unresumed(mut tls: ServerConfig) -> ServerConfig {
    tls.session_storage = Arc::new(NoServerSessionStorage {});
    tls.send_tls13_tickets = 0;
    tls.alpn_protocols = vec![HTTP.to_vec()];
    tls
}

/// What clients' certificates are judged by. Where no token counts, a client without one gets no further than
/// the handshake.
fn clients(
    remote: &Remote,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, DoorError> {
    let Some(path) = &remote.client_ca else { return Ok(WebPkiClientVerifier::no_client_auth()) };
    let roots = Arc::new(file(path, pem::roots)?);
    let clients = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
    let clients = match remote.tokens {
        Some(_) => clients.allow_unauthenticated(),
        None => clients,
    };
    clients.build().map_err(|error| DoorError::Tls { path: path.into(), error: error.to_string() })
}

fn file<T>(path: &str, read: impl FnOnce(&Path) -> io::Result<T>) -> Result<T, DoorError> {
    read(Path::new(path)).map_err(|error| DoorError::File { path: path.into(), error })
}

impl Caller {
    /// Whom the certificate of a finished handshake names.
    pub(super) fn of(connection: &ServerConnection) -> Self {
        let shown = connection.peer_certificates().and_then(<[_]>::first);
        shown.map_or(Self::Anonymous, Self::named)
    }

    fn named(certificate: &CertificateDer<'_>) -> Self {
        let Ok(certificate) = EndEntityCert::try_from(certificate) else { return Self::Nameless };
        let mut names = certificate.valid_dns_names();
        match (names.next(), names.next()) {
            (Some(name), None) => Self::Named(name.to_owned()),
            (None, _) | (Some(_), Some(_)) => Self::Nameless,
        }
    }
}

impl fmt::Display for DoorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Tls { path, error } => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for DoorError {}
