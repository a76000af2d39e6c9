//! Records never go back: on each node the state class of a session, and what it has counted, only
//! rise, by identity.

use std::collections::BTreeMap;

use engine::session::{Session, SessionId};
use engine::tcp::State;

pub(crate) const NAME: &str = "records-go-forward";

/// How far each session ever was on one node.
#[derive(Debug, Default)]
pub(crate) struct Monotone {
    furthest: BTreeMap<SessionId, Picture>,
    found: Option<String>,
}

/// What may only rise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) class: u8,
    pub(crate) packets: [u64; 2],
    pub(crate) bytes: [u64; 2],
}

impl Picture {
    pub(crate) fn of(session: &Session) -> Self {
        let class = class(session.tcp.state());
        Self { class, packets: session.packets, bytes: session.bytes }
    }

    fn is_behind(&self, other: &Self) -> bool {
        let less = |a: [u64; 2], b: [u64; 2]| a[0] < b[0] || a[1] < b[1];
        self.class < other.class
            || less(self.packets, other.packets)
            || less(self.bytes, other.bytes)
    }
}

/// Opening, open, closing, closed.
const fn class(state: State) -> u8 {
    match state {
        State::None => 0,
        State::SynSent | State::SynSent2 | State::SynReceived | State::PickedUp => 1,
        State::Established => 2,
        State::FinWait | State::CloseWait | State::LastAck => 3,
        State::TimeWait | State::Close => 4,
    }
}

impl Monotone {
    /// A session as it stands.
    pub(crate) fn see(&mut self, id: SessionId, picture: Picture) {
        let before = self.furthest.insert(id, picture);
        if let Some(before) = before.filter(|before| picture.is_behind(before))
            && self.found.is_none()
        {
            self.found = Some(format!("session {id} was {before:?} and is {picture:?}"));
        }
    }

    /// What was found since this was last asked.
    pub(crate) const fn take(&mut self) -> Option<String> {
        self.found.take()
    }
}
