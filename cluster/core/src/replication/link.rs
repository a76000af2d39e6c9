//! The connection to the peer, and which run of its daemon stands behind it.

use crate::Boot;

/// Whether there is a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Link {
    /// There is none.
    #[default]
    Down,
    /// There is one.
    Up,
}

/// What happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Event {
    /// The transport has a connection.
    Connected,
    /// The transport has none any more, or the peer was declared dead.
    Lost,
    /// A message came, from a run of the peer's daemon that compares so with the one known.
    Message(Run),
}

/// Which run of its daemon a peer's message is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Run {
    /// None was known.
    First,
    /// The known one.
    Same,
    /// A later one.
    Newer,
    /// An earlier one.
    Older,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Action {
    /// Nothing.
    Nothing,
    /// What waits may leave.
    Resume,
    /// What is under way waits again, and held packets may go.
    GiveUp,
    /// Remember the run, take the message.
    Meet,
    /// Take the message.
    Take,
    /// The peer has nothing of what was sent: what is under way waits again; then take the message.
    Restart,
    /// Do not take the message: there is no connection that it could have come by.
    RefuseUnconnected,
    /// Do not take the message: it is from a run that has ended.
    RefuseOldRun,
}

/// State × event.
pub(super) const fn step(link: Link, event: Event) -> (Link, Action) {
    use {Action as A, Event as E};
    match (link, event) {
        (Link::Down, E::Connected) => (Link::Up, A::Resume),
        (Link::Up, E::Connected) | (Link::Down, E::Lost) => (link, A::Nothing),
        (Link::Up, E::Lost) => (Link::Down, A::GiveUp),
        (Link::Down, E::Message(_)) => (Link::Down, A::RefuseUnconnected),
        (Link::Up, E::Message(Run::First)) => (Link::Up, A::Meet),
        (Link::Up, E::Message(Run::Same)) => (Link::Up, A::Take),
        (Link::Up, E::Message(Run::Newer)) => (Link::Up, A::Restart),
        (Link::Up, E::Message(Run::Older)) => (Link::Up, A::RefuseOldRun),
    }
}

impl Run {
    pub(super) fn of(boot: Boot, known: Option<Boot>) -> Self {
        match known.map(|known| boot.cmp(&known)) {
            None => Self::First,
            Some(core::cmp::Ordering::Equal) => Self::Same,
            Some(core::cmp::Ordering::Greater) => Self::Newer,
            Some(core::cmp::Ordering::Less) => Self::Older,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_and_event() {
        use {Action as A, Event as E, Link as L};
        let message = [Run::First, Run::Same, Run::Newer, Run::Older].map(E::Message);
        let events = [[E::Connected, E::Lost].as_slice(), &message].concat();
        let unconnected = (L::Down, A::RefuseUnconnected);
        let down = [(L::Up, A::Resume), (L::Down, A::Nothing)];
        let down = [down.as_slice(), &[unconnected; 4]].concat();
        let up = [A::Meet, A::Take, A::Restart, A::RefuseOldRun].map(|action| (L::Up, action));
        let up = [[(L::Up, A::Nothing), (L::Down, A::GiveUp)].as_slice(), &up].concat();
        for (link, row) in [(L::Down, down), (L::Up, up)] {
            for (event, expected) in events.iter().zip(row) {
                assert_eq!(step(link, *event), expected, "{link:?} × {event:?}");
            }
        }
    }

    #[test]
    fn runs_compare_by_their_number() {
        assert_eq!(Run::of(Boot(2), None), Run::First);
        assert_eq!(Run::of(Boot(2), Some(Boot(2))), Run::Same);
        assert_eq!(Run::of(Boot(3), Some(Boot(2))), Run::Newer);
        assert_eq!(Run::of(Boot(1), Some(Boot(2))), Run::Older);
    }
}
