//! What is said about one packet.

use std::io;

use engine::session::SessionId;
use engine::{Decision, State, Verdict};
use serde::{Serialize, Serializer};

use super::firewall::Side;
use crate::out::Out;

/// The fate of one packet of the capture.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Line {
    /// Counts the IP packets, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) n: Option<u64>,
    /// The port it entered by.
    pub(super) port: Side,
    pub(super) verdict: &'static str,
    /// Why it was dropped; null unless it was.
    pub(super) reason: Option<&'static str>,
    #[serde(serialize_with = "name")]
    pub(super) state: State,
    #[serde(serialize_with = "identity")]
    pub(super) session: Option<SessionId>,
    /// Frames of this packet's sender that leave on the far side because of it.
    pub(super) frames: u32,
    /// Frames sent back.
    pub(super) answers: u32,
}

impl Line {
    /// A line without frames.
    pub(super) fn new(n: Option<u64>, port: Side, decision: &Decision) -> Self {
        let (verdict, reason) = match decision.verdict {
            Verdict::Forward(_) => ("forward", None),
            Verdict::Answer => ("answer", None),
            Verdict::Consume => ("consume", None),
            // With one worker there is nobody to hand off to; if there were, the packet would wait.
            Verdict::Hold | Verdict::HandOff(_) => ("hold", None),
            Verdict::Drop(reason) => ("drop", Some(reason.name())),
        };
        let (state, session) = (decision.state, decision.session);
        Self { n, port, verdict, reason, state, session, frames: 0, answers: 0 }
    }

    pub(super) fn print(&self, out: &mut Out<'_>) -> io::Result<()> {
        if out.json() { out.value(self) } else { out.line(self.text()) }
    }

    fn text(&self) -> String {
        let n = self.n.map(|n| n.to_string()).unwrap_or_else(|| "-".to_owned());
        let session = self.session.map(|session| session.to_string()).unwrap_or_default();
        let Self { verdict, frames, answers, .. } = self;
        let state = self.state.name();
        let (port, reason) = (self.port.name(), self.reason.unwrap_or_default());
        let mut text = format!("{n:>6} {port:7} {verdict:7} {state:11} {session:10} {reason}");
        text.truncate(text.trim_end().len());
        if *frames > 1 {
            text.push_str(&format!(" frames {frames}"));
        }
        if *answers > 0 {
            text.push_str(&format!(" answers {answers}"));
        }
        text
    }
}

fn name<S: Serializer>(state: &State, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.name())
}

fn identity<S: Serializer>(session: &Option<SessionId>, serializer: S) -> Result<S::Ok, S::Error> {
    match session {
        Some(session) => serializer.collect_str(session),
        None => serializer.serialize_none(),
    }
}
