//! What a seed plays: a network, connections, and how their ends behave.

use crate::dice::Dice;

/// Microseconds of virtual time.
pub(crate) type Micros = u64;

pub(crate) const SECOND: Micros = 1_000_000;

pub(crate) struct Plan {
    /// The engine is a wire; otherwise a router.
    pub(crate) wire: bool,
    /// From each side to the firewall, and from the firewall to the far side; by sending side.
    pub(crate) before: [Leg; 2],
    pub(crate) behind: [Leg; 2],
    /// From then on nothing is lost any more, so that everything ends.
    pub(crate) calm: Micros,
    /// One forged segment for so many honest ones; 0 for none.
    pub(crate) forged_in: u64,
    pub(crate) mtu: [usize; 2],
    pub(crate) connections: Vec<Connection>,
}

/// One way through one half of the network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leg {
    pub(crate) delay: Micros,
    /// Added at most: what sends two packets closer together than this may see them change places.
    pub(crate) jitter: Micros,
    /// One packet in so many is lost, or comes twice; 0 for never.
    pub(crate) lost_in: u64,
    pub(crate) doubled_in: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) v6: bool,
    pub(crate) ports: [u16; 2],
    pub(crate) opening: Opening,
    pub(crate) start: Micros,
    /// How often the same ports are used, one after the other.
    pub(crate) rounds: u32,
    /// How long after a round's end.
    pub(crate) rest: Micros,
    pub(crate) ends: [End; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// This side connects, the other one listens.
    By(usize),
    /// Both connect at nearly the same time.
    Both,
    /// This side connects, and nobody listens.
    Refused(usize),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    /// Bytes to send.
    pub(crate) data: usize,
    pub(crate) receive_buffer: usize,
    pub(crate) send_buffer: usize,
    /// After so many bytes nothing is read for so long: the window closes.
    pub(crate) pause: Option<(usize, Micros)>,
    pub(crate) keep_alive: Option<Micros>,
    pub(crate) nagle: bool,
    pub(crate) delayed_ack: bool,
    pub(crate) timestamps: bool,
    pub(crate) closing: Closing,
    /// Its first initial sequence number on the network.
    pub(crate) initial: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    /// As soon as everything is handed to the stack: the other half may go on.
    Sent,
    /// When the other end has closed.
    Received,
    /// Without a goodbye, once so many bytes have been received.
    Abort(usize),
}

impl Plan {
    pub(crate) fn of(dice: &mut Dice) -> Self {
        let count = dice.pick(&[1, 1, 2, 3, 4, 6]);
        Self {
            wire: dice.one_in(3),
            before: [Leg::of(dice), Leg::of(dice)],
            behind: [Leg::of(dice), Leg::of(dice)],
            calm: dice.within(5..30) * SECOND,
            forged_in: dice.pick(&[0, 2, 5, 20]),
            mtu: [dice.within(1_280..1_501) as usize, dice.within(1_280..1_501) as usize],
            connections: (0..count).map(|number| Connection::of(number, dice)).collect(),
        }
    }
}

impl Leg {
    fn of(dice: &mut Dice) -> Self {
        let delay = dice.pick(&[20, 500, 5_000, 40_000]);
        Self {
            delay,
            jitter: dice.pick(&[0, 0, delay / 2, 3 * delay, 100_000]),
            lost_in: dice.pick(&[0, 0, 200, 50, 15, 6]),
            doubled_in: dice.pick(&[0, 0, 100, 20, 5]),
        }
    }
}

impl Connection {
    fn of(number: u16, dice: &mut Dice) -> Self {
        let opening = match dice.below(12) {
            0..=5 => Opening::By(0),
            6..=8 => Opening::By(1),
            9..=10 => Opening::Both,
            _ => Opening::Refused(dice.below(2) as usize),
        };
        let mut ends = [End::of(dice), End::of(dice)];
        if opening == Opening::Both {
            // Whoever is refused tries again, and could not tell that from an abort.
            for end in ends.iter_mut().filter(|end| matches!(end.closing, Closing::Abort(_))) {
                end.closing = Closing::Sent;
            }
        }
        // Somebody must close first.
        if ends.iter().all(|end| end.closing == Closing::Received) {
            ends[dice.below(2) as usize].closing = Closing::Sent;
        }
        Self {
            v6: dice.one_in(3),
            ports: [40_000 + number, 2_000 + number],
            opening,
            start: dice.below(3) * dice.below(SECOND),
            rounds: dice.pick(&[1, 1, 1, 2, 3]),
            rest: dice.pick(&[1, 5, 12, 90, 140]) * SECOND,
            ends,
        }
    }

    pub(crate) fn aborts(&self) -> bool {
        self.ends.iter().any(|end| matches!(end.closing, Closing::Abort(_)))
    }
}

impl End {
    fn of(dice: &mut Dice) -> Self {
        let most =
            dice.pick(&[0, 1, 200, 5_000, 5_000, 20_000, 60_000]) * dice.pick(&[1, 1, 1, 1, 4]);
        let data = dice.below(most + 1) as usize;
        let buffer = |dice: &mut Dice| dice.pick(&[600, 4_000, 16_000, 65_535, 100_000, 400_000]);
        Self {
            data,
            receive_buffer: buffer(dice),
            send_buffer: buffer(dice),
            pause: dice
                .one_in(4)
                .then(|| (dice.below(most + 1) as usize, dice.pick(&[1, 7, 40]) * SECOND)),
            keep_alive: dice.one_in(3).then(|| dice.within(1..20) * SECOND),
            nagle: dice.one_in(2),
            delayed_ack: !dice.one_in(3),
            timestamps: dice.one_in(2),
            closing: match dice.below(10) {
                0..=5 => Closing::Sent,
                6..=8 => Closing::Received,
                _ => Closing::Abort(dice.below(most + 1) as usize),
            },
            initial: match dice.below(4) {
                0 => u32::MAX - dice.below(60_000) as u32,
                1 => i32::MAX as u32 - dice.below(60_000) as u32,
                _ => dice.next() as u32,
            },
        }
    }
}
