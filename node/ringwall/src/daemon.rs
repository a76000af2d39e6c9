//! Which daemon a verb talks to.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::bearer::Token;
use crate::client::{Client, ClientError, Remote, Url};
use crate::limits::TOKENS_FILE_BYTES;
use crate::{files, pem};

/// How the operator names a daemon.
#[derive(Args, Debug)]
pub(crate) struct Daemon {
    /// The daemon's socket; without it $RINGWALL_SOCKET, or the only one in /run/ringwall
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// A daemon on another machine, instead: https://HOST:PORT, the `listen` of its API
    #[arg(long, value_name = "URL", conflicts_with = "socket", requires = "ca")]
    api: Option<Url>,
    /// Authorities of that daemon's certificate, which names HOST
    #[arg(long, value_name = "FILE", requires = "api")]
    ca: Option<PathBuf>,
    /// Our certificate for it, by its client-ca
    #[arg(long, value_name = "FILE", requires_all = ["api", "key"])]
    cert: Option<PathBuf>,
    /// The private key of our certificate
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Our token for it; without it $RINGWALL_TOKEN holds the token, unless a certificate says who we are
    #[arg(long, value_name = "FILE", requires = "api")]
    token_file: Option<PathBuf>,
}

/// Where daemons have their sockets unless the node file says otherwise.
const FOLDER: &str = "/run/ringwall";
const VARIABLE: &str = "RINGWALL_SOCKET";
const TOKEN_VARIABLE: &str = "RINGWALL_TOKEN";

impl Daemon {
    /// The daemon meant.
    pub(crate) fn client(&self) -> Result<Client, ClientError> {
        if let (Some(url), Some(ca)) = (&self.api, &self.ca) {
            return self.remote(url, ca).map(Client::remote);
        }
        let named = self.socket.clone();
        let named = named.or_else(|| std::env::var_os(VARIABLE).map(PathBuf::from));
        match named {
            Some(socket) => Ok(Client::new(socket)),
            None => only(sockets(Path::new(FOLDER)), Path::new(FOLDER)).map(Client::new),
        }
    }
}

impl Daemon {
    fn remote(&self, url: &Url, ca: &Path) -> Result<Remote, ClientError> {
        let papers = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => Some((file(cert, pem::certificates)?, file(key, pem::key)?)),
            (_, _) => None,
        };
        let token = match &self.token_file {
            Some(path) => Some(file(path, token_of)?),
            // A certificate that was named is meant, whatever stands in the environment.
            None if papers.is_some() => None,
            None => token_of_environment()?,
        };
        if papers.is_none() && token.is_none() {
            let why = format!(
                "nothing says who you are: name --cert and --key, or --token-file, or set ${TOKEN_VARIABLE}"
            );
            return Err(ClientError::Unready(why));
        }
        file(ca, |ca| Remote::new(url.clone(), ca, papers, token))
    }
}

fn file<T>(path: &Path, read: impl FnOnce(&Path) -> io::Result<T>) -> Result<T, ClientError> {
    read(path).map_err(|error| ClientError::Unready(format!("{}: {error}", path.display())))
}

fn token_of(path: &Path) -> io::Result<Token> {
    let text = files::read_private(path, TOKENS_FILE_BYTES)?;
    let why = "not a token, which is one word alone";
    Token::of(text.trim()).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, why))
}

fn token_of_environment() -> Result<Option<Token>, ClientError> {
    let Some(text) = std::env::var_os(TOKEN_VARIABLE) else { return Ok(None) };
    let token = text.to_str().and_then(|text| Token::of(text.trim()));
    let why =
        || ClientError::Unready(format!("${TOKEN_VARIABLE} holds no token, which is one word"));
    token.map(Some).ok_or_else(why)
}

fn only(mut found: Vec<PathBuf>, folder: &'static Path) -> Result<PathBuf, ClientError> {
    match (found.pop(), found.is_empty()) {
        (Some(socket), true) => Ok(socket),
        (last, _) => {
            found.extend(last);
            Err(ClientError::NoSocket { found, folder })
        }
    }
}

fn sockets(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let is_socket = |path: &PathBuf| path.extension() == Some(&OsString::from("sock"));
    let mut found: Vec<_> = paths.filter(is_socket).collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::{only, sockets};
    use std::path::Path;

    #[test]
    fn the_only_socket_is_meant() {
        let folder = tempfile::tempdir().unwrap();
        let here = Path::new("/nowhere");
        assert!(sockets(here).is_empty());
        let none = only(sockets(folder.path()), here).unwrap_err().to_string();
        assert!(none.contains("ringwall run"), "{none}");
        let fw1 = folder.path().join("fw1.sock");
        std::fs::write(&fw1, "").unwrap();
        std::fs::write(folder.path().join("fw1.pid"), "").unwrap();
        assert_eq!(only(sockets(folder.path()), here).unwrap(), fw1);
        std::fs::write(folder.path().join("fw2.sock"), "").unwrap();
        let several = only(sockets(folder.path()), here).unwrap_err().to_string();
        assert!(several.contains("fw1.sock") && several.contains("fw2.sock"), "{several}");
    }
}
