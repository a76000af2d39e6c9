//! A node's API: one HTTP request over its Unix socket, as light as can be, because it shares the
//! machine with what is measured.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::api::{self, Cluster, ClusterRequest, ClusterVerb};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::failure::Failure;

/// A busy node answers within this time, or not at all.
const PATIENCE: Duration = Duration::from_secs(5);

/// The way to a node.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    socket: PathBuf,
    patience: Duration,
}

/// Why a request was not done, or that nobody knows.
#[derive(Debug)]
pub(crate) enum Undone {
    /// The node says so.
    Refused(api::Error),
    /// There is nobody at the socket.
    NotSent(String),
    /// The connection broke, or nobody could tell in time.
    Unknown(String),
}

impl Api {
    pub(crate) fn new(socket: PathBuf) -> Self {
        Self { socket, patience: PATIENCE }
    }

    /// The same way, for requests that may take longer.
    pub(crate) fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// `show cluster`.
    pub(crate) fn cluster(&self) -> Result<Cluster, Failure> {
        self.ask("GET", api::CLUSTER, "")
    }

    /// `cluster failover`, and the others.
    pub(crate) fn request(&self, verb: ClusterVerb) -> Result<(), Failure> {
        let _: api::Done = self.post(api::CLUSTER_REQUEST, &ClusterRequest { verb })?;
        Ok(())
    }

    pub(crate) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        request: &impl Serialize,
    ) -> Result<T, Failure> {
        let strange = |error: serde_json::Error| Failure::Strange {
            what: format!("a request to {path}"),
            said: error.to_string(),
        };
        let body = serde_json::to_string(request).map_err(strange)?;
        self.ask("POST", path, &body)
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.ask("GET", path, "")
    }

    fn ask<T: DeserializeOwned>(&self, verb: &str, path: &str, body: &str) -> Result<T, Failure> {
        let what = || format!("{verb} {path} at {}", self.socket.display());
        let answer = self.exchange(verb, path, body).map_err(Failure::system(what()))?;
        let strange = || Failure::Strange { what: what(), said: answer.clone() };
        let (head, content) = answer.split_once("\r\n\r\n").ok_or_else(strange)?;
        if !head.starts_with("HTTP/1.1 200") {
            return Err(Failure::Refused { what: what(), said: content.to_owned() });
        }
        serde_json::from_str(content).map_err(|_| strange())
    }

    /// A request that changes something, once.
    pub(crate) fn change<T: DeserializeOwned>(
        &self,
        path: &str,
        request: &impl Serialize,
    ) -> Result<T, Undone> {
        let unknown = |error: &dyn std::fmt::Display| Undone::Unknown(error.to_string());
        let body = serde_json::to_string(request).map_err(|error| unknown(&error))?;
        let stream = UnixStream::connect(&self.socket);
        let stream = stream.map_err(|error| Undone::NotSent(error.to_string()))?;
        let answer = self.exchange_on(stream, "POST", path, &body);
        let answer = answer.map_err(|error| unknown(&error))?;
        let Some((head, content)) = answer.split_once("\r\n\r\n") else {
            return Err(Undone::Unknown("the connection broke".to_owned()));
        };
        if head.starts_with("HTTP/1.1 200") {
            return serde_json::from_str(content).map_err(|error| unknown(&error));
        }
        match serde_json::from_str::<api::Error>(content) {
            Ok(error) if !error.unknown => Err(Undone::Refused(error)),
            Ok(error) => Err(Undone::Unknown(error.error)),
            Err(error) => Err(unknown(&error)),
        }
    }

    fn exchange(&self, verb: &str, path: &str, body: &str) -> std::io::Result<String> {
        self.exchange_on(UnixStream::connect(&self.socket)?, verb, path, body)
    }

    fn exchange_on(
        &self,
        mut stream: UnixStream,
        verb: &str,
        path: &str,
        body: &str,
    ) -> std::io::Result<String> {
        stream.set_read_timeout(Some(self.patience))?;
        stream.set_write_timeout(Some(self.patience))?;
        let length = body.len();
        write!(
            stream,
            "{verb} {path} HTTP/1.1\r\nhost: ringwall\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}
