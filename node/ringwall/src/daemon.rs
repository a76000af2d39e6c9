//! Which daemon a verb talks to.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::client::{Client, ClientError};

/// How the operator names a daemon.
#[derive(Args, Debug)]
pub(crate) struct Daemon {
    /// The daemon's socket; without it $RINGWALL_SOCKET, or the only one in /run/ringwall
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

/// Where daemons have their sockets unless the node file says otherwise.
const FOLDER: &str = "/run/ringwall";
const VARIABLE: &str = "RINGWALL_SOCKET";

impl Daemon {
    /// The daemon meant.
    pub(crate) fn client(&self) -> Result<Client, ClientError> {
        let named = self.socket.clone();
        let named = named.or_else(|| std::env::var_os(VARIABLE).map(PathBuf::from));
        match named {
            Some(socket) => Ok(Client::new(socket)),
            None => only(sockets(Path::new(FOLDER)), Path::new(FOLDER)).map(Client::new),
        }
    }
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
