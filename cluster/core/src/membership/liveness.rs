//! One path to one peer: a session after RFC 5880 (BFD), asynchronous mode.
//!
//! ```text
//!                       received
//!   state      AdminDown   Down     Init      Up      timer
//!   AdminDown      –         –        –        –        –
//!   Down           –        Init     Up        –        –
//!   Init          Down       –       Up       Up       Down
//!   Up            Down      Down      –        –       Down
//! ```
//!
//! Deliberately otherwise than the RFC: heartbeats go at the full rate in every state (§6.8.3 wants one
//! a second until the session is up), because they carry more than liveness; and without jitter
//! (§6.8.7), because leases count on the interval. There is no demand mode, echo or poll sequence.

#[cfg(test)]
mod tests;

use std::time::Duration;

use wire::Time;

/// States of a session (RFC 5880 §6.2), with their numbers on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// Switched off by the operator.
    AdminDown = 0,
    /// Nothing is heard, or the peer does not hear us.
    #[default]
    Down = 1,
    /// The peer is heard, but does not yet say that it hears us.
    Init = 2,
    /// Both hear each other.
    Up = 3,
}

/// Why a session went down (RFC 5880 §4.1), as far as it is used here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Diagnostic {
    /// Nothing to tell.
    #[default]
    None = 0,
    /// Control Detection Time Expired.
    TimeExpired = 1,
    /// Neighbor Signaled Session Down.
    NeighborDown = 3,
    /// Administratively Down.
    AdminDown = 7,
}

/// What the two ends of a session tell each other: the BFD part of a heartbeat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// The sender's state.
    pub state: State,
    /// Why the sender's session last went down.
    pub diagnostic: Diagnostic,
    /// Detect Mult.
    pub detect_multiplier: u8,
    /// My Discriminator; never zero.
    pub my_discriminator: u32,
    /// Your Discriminator; zero while the other's is unknown.
    pub your_discriminator: u32,
    /// Desired Min TX Interval, microseconds.
    pub desired_tx_us: u32,
    /// Required Min RX Interval, microseconds.
    pub required_rx_us: u32,
}

/// Why a control part changes nothing (RFC 5880 §6.8.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// Detect Mult is zero.
    NoMultiplier,
    /// My Discriminator is zero.
    NoDiscriminator,
    /// Your Discriminator is of another session: of our last boot, mostly.
    OtherSession,
    /// Your Discriminator is zero in a state that must know it.
    UnknownSession,
    /// The session is switched off here.
    SwitchedOff,
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Before.
    pub from: State,
    /// Now.
    pub to: State,
    /// Why.
    pub diagnostic: Diagnostic,
}

/// How fast this end sends and wants to be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Desired Min TX and Required Min RX.
    pub interval: Duration,
    /// Detect Mult.
    pub detect_multiplier: u8,
}

/// One end of a session.
#[derive(Clone, Debug)]
pub struct Session {
    state: State,
    diagnostic: Diagnostic,
    discriminator: u32,
    rate: Rate,
    remote: Remote,
    /// When the session goes down for silence; none while nothing was ever heard.
    detect_at: Option<Time>,
}

/// What the other end said last.
#[derive(Clone, Copy, Debug, Default)]
struct Remote {
    discriminator: u32,
    detect_multiplier: u8,
    desired_tx: Duration,
    required_rx: Duration,
}

/// The state after a control part was received: `NEXT[state][received]`, RFC 5880 §6.8.6.
pub const NEXT: [[State; 4]; 4] = {
    use State::{AdminDown as A, Down as D, Init as I, Up as U};
    [
        // received: A  D  I  U
        [A, A, A, A], // AdminDown
        [D, I, U, D], // Down
        [D, I, U, U], // Init
        [D, D, U, U], // Up
    ]
};

/// The state after the detection time passed in silence, RFC 5880 §6.8.4.
pub const EXPIRED: [State; 4] = [State::AdminDown, State::Down, State::Down, State::Down];

impl Session {
    /// A session that has heard nothing. `discriminator` is unique in this boot, and not zero.
    pub fn new(discriminator: u32, rate: Rate) -> Self {
        debug_assert_ne!(discriminator, 0, "RFC 5880 §6.8.1: bfd.LocalDiscr is nonzero");
        Self {
            state: State::Down,
            diagnostic: Diagnostic::None,
            discriminator,
            rate,
            remote: Remote::default(),
            detect_at: None,
        }
    }

    /// Takes in what the other end says.
    ///
    /// # Errors
    /// Why it says nothing about this session.
    pub fn handle_control(
        &mut self,
        control: &Control,
        now: Time,
    ) -> Result<Option<Change>, Ignored> {
        self.check(control)?;
        self.remote = Remote {
            discriminator: control.my_discriminator,
            detect_multiplier: control.detect_multiplier,
            desired_tx: Duration::from_micros(control.desired_tx_us.into()),
            required_rx: Duration::from_micros(control.required_rx_us.into()),
        };
        self.detect_at = Some(now + self.detection_time());
        let next = NEXT[self.state as usize][control.state as usize];
        Ok(self.go(next, Diagnostic::NeighborDown))
    }

    /// Goes down if the detection time has passed in silence.
    pub fn handle_timeout(&mut self, now: Time) -> Option<Change> {
        self.detect_at.filter(|at| *at <= now)?;
        self.detect_at = None;
        // RFC 5880 §6.8.1: after a detection time of silence the other's discriminator is unknown.
        self.remote.discriminator = 0;
        self.go(EXPIRED[self.state as usize], Diagnostic::TimeExpired)
    }

    /// Switches the session off, or on again (RFC 5880 §6.8.16).
    pub fn set_enabled(&mut self, enabled: bool) -> Option<Change> {
        match (enabled, self.state) {
            (true, State::AdminDown) => self.go(State::Down, Diagnostic::None),
            (false, State::Down | State::Init | State::Up) => {
                self.go(State::AdminDown, Diagnostic::AdminDown)
            }
            (true, State::Down | State::Init | State::Up) | (false, State::AdminDown) => None,
        }
    }

    /// What to send.
    pub fn control(&self) -> Control {
        let interval = u32::try_from(self.rate.interval.as_micros()).unwrap_or(u32::MAX);
        Control {
            state: self.state,
            diagnostic: self.diagnostic,
            detect_multiplier: self.rate.detect_multiplier,
            my_discriminator: self.discriminator,
            your_discriminator: self.remote.discriminator,
            desired_tx_us: interval,
            required_rx_us: interval,
        }
    }

    /// How often to send: the slower of what we want and the peer can take (RFC 5880 §6.8.7).
    pub fn transmit_interval(&self) -> Duration {
        self.rate.interval.max(self.remote.required_rx)
    }

    /// The silence after which the session is down (RFC 5880 §6.8.4).
    pub fn detection_time(&self) -> Duration {
        let interval = self.rate.interval.max(self.remote.desired_tx);
        interval * u32::from(self.remote.detect_multiplier)
    }

    /// When [`Session::handle_timeout`] has something to do.
    pub fn next_deadline(&self) -> Option<Time> {
        self.detect_at
    }

    /// The session's state.
    pub fn state(&self) -> State {
        self.state
    }

    fn check(&self, control: &Control) -> Result<(), Ignored> {
        let expects_known = matches!(control.state, State::Init | State::Up);
        if control.detect_multiplier == 0 {
            Err(Ignored::NoMultiplier)
        } else if control.my_discriminator == 0 {
            Err(Ignored::NoDiscriminator)
        } else if control.your_discriminator == 0 && expects_known {
            Err(Ignored::UnknownSession)
        } else if control.your_discriminator != 0
            && control.your_discriminator != self.discriminator
        {
            Err(Ignored::OtherSession)
        } else if self.state == State::AdminDown {
            Err(Ignored::SwitchedOff)
        } else {
            Ok(())
        }
    }

    fn go(&mut self, to: State, why: Diagnostic) -> Option<Change> {
        let from = self.state;
        if from == to {
            return None;
        }
        self.state = to;
        self.diagnostic = match to {
            State::Down | State::AdminDown => why,
            State::Init | State::Up => Diagnostic::None,
        };
        Some(Change { from, to, diagnostic: self.diagnostic })
    }
}
