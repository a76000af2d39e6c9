use super::*;
use crate::tcp::segment::Opening;

/// What comes later, by the transition table.
const ORDER: [State; 10] = [
    State::None,
    State::SynSent,
    State::SynSent2,
    State::SynReceived,
    State::Established,
    State::FinWait,
    State::CloseWait,
    State::LastAck,
    State::TimeWait,
    State::Close,
];

fn in_state(state: State, attempt: u8) -> Tcp {
    Tcp { state, opening: Opening(attempt << 1), ..Tcp::IDLE }
}

#[test]
fn of_each_two_states_the_later_stays() {
    for (here, a) in ORDER.into_iter().enumerate() {
        for (there, b) in ORDER.into_iter().enumerate() {
            let (one, other) = (in_state(a, 3), in_state(b, 3));
            let expected = Standing { ahead: here > there, behind: here < there };
            assert_eq!(one.standing(&other), expected, "{a:?} {b:?}");
            for fresher in [true, false] {
                assert_eq!(one.merged(&other, fresher).state, ORDER[here.max(there)]);
            }
        }
    }
}

#[test]
fn a_later_attempt_stays_in_whichever_state() {
    for (old, new) in [(0, 1), (5, 6), (127, 0), (100, 20)] {
        for (a, b) in ORDER.into_iter().flat_map(|a| ORDER.map(|b| (a, b))) {
            let (one, other) = (in_state(a, old), in_state(b, new));
            assert_eq!(one.standing(&other), Standing { ahead: false, behind: true });
            assert_eq!(one.merged(&other, true), other);
            assert_eq!(other.merged(&one, false), other);
        }
    }
}

#[test]
fn the_table_leads_to_later_states_only() {
    use crate::tcp::Class;
    use crate::tcp::table::{Cell, cell};
    for state in ORDER {
        for (peer, class) in Peer::BOTH.into_iter().flat_map(|it| Class::ALL.map(|c| (it, c))) {
            if let Cell::To(next) = cell(peer, class, state) {
                assert!(next.rank() >= state.rank(), "{peer:?} {class:?} {state:?}");
            }
        }
    }
}
