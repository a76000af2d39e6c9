//! Every state × received state × timer, then the rest of RFC 5880 §6.8.6.

use super::*;

const ALL: [State; 4] = [State::AdminDown, State::Down, State::Init, State::Up];
const RATE: Rate = Rate { interval: Duration::from_millis(10), detect_multiplier: 5 };

fn control(state: State) -> Control {
    Control {
        state,
        detect_multiplier: 5,
        my_discriminator: 9,
        your_discriminator: 7,
        desired_tx_us: 10_000,
        required_rx_us: 10_000,
        ..Control::default()
    }
}

/// A session brought to `state` by messages alone.
fn session_in(state: State) -> Session {
    let mut session = Session::new(7, RATE);
    match state {
        State::AdminDown => assert!(session.set_enabled(false).is_some()),
        State::Down => {}
        State::Init => {
            session.handle_control(&control(State::Down), Time::ZERO).unwrap();
        }
        State::Up => {
            session.handle_control(&control(State::Init), Time::ZERO).unwrap();
        }
    }
    assert_eq!(session.state(), state);
    session
}

/// The prose of RFC 5880 §6.8.6, written down a second time.
fn by_the_prose(state: State, received: State) -> State {
    if state == State::AdminDown {
        return state;
    }
    if received == State::AdminDown {
        return State::Down;
    }
    match (state, received) {
        (State::Down, State::Down) => State::Init,
        (State::Down, State::Init) | (State::Init, State::Init | State::Up) => State::Up,
        (State::Up, State::Down) => State::Down,
        _ => state,
    }
}

#[test]
fn every_state_times_received_state() {
    for state in ALL {
        for received in ALL {
            let mut session = session_in(state);
            let change = session.handle_control(&control(received), Time::ZERO);
            let wanted = by_the_prose(state, received);
            assert_eq!(session.state(), wanted, "{state:?} × {received:?}");
            assert_eq!(NEXT[state as usize][received as usize], wanted);
            match change {
                Ok(change) => assert_eq!(change.is_some(), state != wanted),
                Err(why) => assert_eq!((why, state), (Ignored::SwitchedOff, State::AdminDown)),
            }
        }
    }
}

#[test]
fn every_state_times_timer() {
    for state in ALL {
        let mut session = session_in(state);
        let at = session.next_deadline();
        assert_eq!(at.is_some(), matches!(state, State::Init | State::Up));
        assert_eq!(session.handle_timeout(Time::from_millis(49)), None);
        let change = session.handle_timeout(Time::from_millis(50));
        let wanted = if state == State::AdminDown { state } else { State::Down };
        assert_eq!(session.state(), wanted);
        assert_eq!(EXPIRED[state as usize], wanted);
        let why = change.map(|change| change.diagnostic);
        assert_eq!(why, (state != wanted).then_some(Diagnostic::TimeExpired));
        assert_eq!(session.next_deadline(), None);
    }
}

#[test]
fn every_state_times_the_switch() {
    for state in ALL {
        let mut session = session_in(state);
        let off = session.set_enabled(false);
        assert_eq!(off.is_some(), state != State::AdminDown);
        assert_eq!(session.control().diagnostic, Diagnostic::AdminDown);
        assert_eq!(session.set_enabled(true).map(|it| it.to), Some(State::Down));
        assert_eq!(session.set_enabled(true), None);
    }
}

#[test]
fn two_ends_come_up_and_one_that_restarts_is_noticed() {
    let mut ends = [Session::new(1, RATE), Session::new(2, RATE)];
    for round in 0..3 {
        for (from, to) in [(0, 1), (1, 0)] {
            let said = ends[from].control();
            ends[to].handle_control(&said, Time::from_millis(round * 10)).unwrap();
        }
    }
    assert_eq!(ends.each_ref().map(Session::state), [State::Up; 2]);
    ends[0] = Session::new(3, RATE);
    let said = ends[0].control();
    let change = ends[1].handle_control(&said, Time::from_millis(30)).unwrap().unwrap();
    assert_eq!((change.to, change.diagnostic), (State::Down, Diagnostic::NeighborDown));
    let late = Control { your_discriminator: 1, ..ends[1].control() };
    assert_eq!(ends[0].handle_control(&late, Time::from_millis(31)), Err(Ignored::OtherSession));
}

#[test]
fn what_says_nothing_about_the_session_is_ignored() {
    let mut session = Session::new(7, RATE);
    let good = control(State::Up);
    for (bad, why) in [
        (Control { detect_multiplier: 0, ..good }, Ignored::NoMultiplier),
        (Control { my_discriminator: 0, ..good }, Ignored::NoDiscriminator),
        (Control { your_discriminator: 8, ..good }, Ignored::OtherSession),
        (Control { your_discriminator: 0, ..good }, Ignored::UnknownSession),
    ] {
        assert_eq!(session.handle_control(&bad, Time::ZERO), Err(why));
    }
    let first = Control { your_discriminator: 0, ..control(State::Down) };
    assert!(session.handle_control(&first, Time::ZERO).is_ok());
}

#[test]
fn the_slower_end_decides_each_way() {
    let mut session = Session::new(7, RATE);
    let slow = Control {
        desired_tx_us: 20_000,
        required_rx_us: 50_000,
        detect_multiplier: 3,
        ..control(State::Down)
    };
    session.handle_control(&slow, Time::ZERO).unwrap();
    assert_eq!(session.transmit_interval(), Duration::from_millis(50));
    assert_eq!(session.detection_time(), Duration::from_millis(60));
    assert_eq!(session.next_deadline(), Some(Time::from_millis(60)));
}
