//! Requests that change something: asked again, under one id, until it is known what came of them.
//!
//! | what came | then |
//! |---|---|
//! | an answer, or a refusal | that is the outcome |
//! | at the first try, nobody at the socket | nothing was sent: it failed |
//! | a broken connection, nothing in time, or "unknown" | asked again: the id is known by then, or not done |
//! | later, nobody at the socket, or nobody who could decide | asked again: the first may have counted |

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use config::api::RequestId;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::client::{Client, ClientError};
use crate::daemon::Daemon;
use crate::failure::Failure;
use crate::limits::{ANSWER_TIMEOUT, INSIST_FOR, INSIST_PAUSE, INSIST_PAUSE_MOST};

/// Which daemon is asked, and under which id.
#[derive(Args, Debug)]
pub(crate) struct Insistence {
    #[command(flatten)]
    daemon: Daemon,
    /// Id of an attempt whose outcome is not known: tells what came of it, and does nothing twice
    #[arg(long, value_name = "ID")]
    request: Option<RequestId>,
}

impl Insistence {
    /// The daemon meant.
    pub(crate) fn client(&self) -> Result<Client, ClientError> {
        self.daemon.client()
    }

    /// Sends the request with its id to `path` until it is known what came of it. What goes wrong meanwhile
    /// is told on stderr.
    pub(crate) fn post<Req: Serialize, Res: DeserializeOwned>(
        &self,
        path: &str,
        request: impl FnOnce(RequestId) -> Req,
    ) -> Result<Res, Failure> {
        let client = self.client()?;
        let id = self.request.map_or_else(random, Ok)?;
        let request = request(id);
        // Whoever read stderr may have gone.
        let say = |text: &str| drop(writeln!(io::stderr(), "{text}"));
        insist(id, INSIST_FOR, |within| client.post_within(path, &request, within), say)
    }
}

/// An id that nobody else has.
fn random() -> Result<RequestId, Failure> {
    const SOURCE: &str = "/dev/urandom";
    let mut bytes = [0; 16];
    let read = File::open(SOURCE).and_then(|mut source| source.read_exact(&mut bytes));
    read.map_err(Failure::file(SOURCE))?;
    Ok(RequestId(u128::from_ne_bytes(bytes)))
}

/// Asks until there is an outcome, for `patience` after the first time that there is none.
fn insist<T>(
    id: RequestId,
    patience: Duration,
    mut ask: impl FnMut(Duration) -> Result<T, ClientError>,
    mut say: impl FnMut(&str),
) -> Result<T, Failure> {
    let mut error = match ask(ANSWER_TIMEOUT) {
        Err(error) if error.leaves_open() => error,
        settled => return Ok(settled?),
    };
    let (end, mut pause) = (Instant::now() + patience, INSIST_PAUSE);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Failure::Unknown { id, error });
        }
        let seconds = left.as_millis().div_ceil(1_000);
        say(&format!("{error}; asking again what came of request {id}, for {seconds} s at most"));
        thread::sleep(pause.min(left));
        pause = (pause * 2).min(INSIST_PAUSE_MOST);
        match ask(left) {
            Ok(answer) => return Ok(answer),
            Err(ClientError::Refused(refused)) if !refused.unknown && !refused.undecided => {
                return Err(ClientError::Refused(refused).into());
            }
            Err(again) => error = again,
        }
    }
}

#[cfg(test)]
mod tests;
