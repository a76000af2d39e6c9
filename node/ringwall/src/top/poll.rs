//! Asks the daemon, in a thread of its own: a daemon that does not answer must not stop the keys.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::{Instant, SystemTime};

use config::api::{self, AnomaliesRequest};

use super::state::{Facts, View};
use crate::client::{Client, ClientError};
use crate::limits::TOP_ANSWER_TIMEOUT;

/// The thread's other end: one question at a time, and its answer.
pub(super) struct Poller {
    questions: SyncSender<(View, Instant)>,
    answers: Receiver<Result<Facts, String>>,
}

impl Poller {
    /// Starts the thread; it ends with this value.
    pub(super) fn start(client: Client) -> io::Result<Self> {
        let (questions, asked) = sync_channel::<(View, Instant)>(1);
        let (answer, answers) = sync_channel(1);
        let ask = move || {
            for (view, began) in asked {
                let answered = facts(&client, view, began).map_err(|error| error.to_string());
                if answer.send(answered).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("poller".to_owned()).spawn(ask)?;
        Ok(Self { questions, answers })
    }

    /// Asks; times count from `began`.
    pub(super) fn ask(&self, view: View, began: Instant) {
        // The state asks when it has the answer to the question before, so that there is room.
        let _ = self.questions.try_send((view, began));
    }

    /// What came of it, once.
    pub(super) fn answer(&self) -> io::Result<Option<Result<Facts, String>>> {
        match self.answers.try_recv() {
            Ok(answer) => Ok(Some(answer)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => {
                Err(io::Error::other("the thread that asks the daemon has panicked"))
            }
        }
    }
}

/// Asks for everything that the screen shows.
pub(super) fn facts(client: &Client, view: View, began: Instant) -> Result<Facts, ClientError> {
    let within = TOP_ANSWER_TIMEOUT;
    let status = client.get_within(api::STATUS, within)?;
    let top = client.post_within(api::TOP, &view.request(), within)?;
    // Attacks alone, without the table of anomalies.
    let attacks = AnomaliesRequest { rows: 0, ..AnomaliesRequest::default() };
    let anomalies = client.post_within(api::ANOMALIES, &attacks, within)?;
    let ports = client.get_within(api::PORTS, within)?;
    let at = began.elapsed();
    let unix_seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let unix_seconds = unix_seconds.map_or(0, |since| since.as_secs());
    Ok(Facts { at, unix_seconds, view, status, ports, anomalies, top })
}
