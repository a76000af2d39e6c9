//! Random lives of sessions over a foul network.
//!
//! That these tests can fail was seen: with each of the mistakes below made in turn in the code,
//! the named test failed.
//!
//! | mistake | found by |
//! |---|---|
//! | a message is acknowledged, and what is in it not applied if it was overtaken | all of these |
//! | tombstones are not looked at: a delete is overtaken by an older record | all of these |
//! | tombstones end two messages too early | all of these |
//! | a note takes its place out of the insert queue without putting it into another | `…broke_again…` |
//! | what a lost message carried is sent again but for deletes | `…without_the_digests_help` |
//! | what a lost message carried is sent again but for records | all of these |
//! | what was under way when the connection broke is forgotten | `…broke_again…` |
//! | an acknowledgment counts for messages that were given up | `…a_joiner_is_complete…` |
//! | a release lets later packets go, too | all of these |
//! | the peer does not look at the floor | `…bounded_memory` |
//! | the floor is one message too high | all of these |
//! | a message that came twice is applied twice | `…after_any_weather` |
//! | one difference of digests is believed | `…without_the_digests_help` |
//! | the sweep drops all, or nothing | `…a_joiner_is_complete…` |
//!
//! And by the scenarios: records of sessions that ended here are taken, or the memory of them ends
//! with the acknowledgment (`after_a_split…`); an older ownership is not refused (`an_older…`); holds
//! outlive the connection (`without_a_peer…`).

use engine::session::CloseReason;

use super::network::{Dice, FAIR, FOUL, Pair, Weather};
use crate::Term;
use crate::replication::{Outcome, Purpose};

/// Few flows, so that keys are used again and again.
const FLOWS: u64 = 12;

fn weather(dice: &mut Dice) -> Weather {
    let jitter_micros = 1 + dice.below(8_000);
    let (loss_percent, doubled_percent) = (dice.below(50), dice.below(30));
    Weather { loss_percent, doubled_percent, jitter_micros }
}

/// Something happens to a flow at the owner.
fn act(pair: &mut Pair, owner: usize) {
    let n = pair.dice.below(FLOWS) as u16;
    let sync = pair.dice.percent(50);
    match pair.dice.below(10) {
        0..4 => pair.open(owner, n, sync),
        4..6 => pair.change(owner, n, true, sync),
        6..8 => pair.change(owner, n, false, false),
        _ => pair.close(owner, n, CloseReason::TcpFin),
    }
}

fn pause(pair: &mut Pair) {
    let millis = pair.dice.below(4);
    pair.run(millis);
}

/// The network is fair for a while, and both nodes must agree.
fn settle(pair: &mut Pair) -> Result<(), String> {
    if !pair.connected {
        pair.connect();
    }
    pair.weather = FAIR;
    pair.run(3_000);
    pair.check_quiet()
}

/// Runs a story with many seeds, and names the seed that ends badly.
fn seeds(count: u64, story: impl Fn(u64) -> Result<(), String>) {
    for seed in 0..count {
        if let Err(error) = story(seed) {
            panic!("seed {seed}: {error}");
        }
    }
}

#[test]
fn tables_agree_after_any_weather() {
    seeds(2_000, |seed| {
        let mut dice = Dice::new(!seed);
        let mut pair = Pair::new(seed, weather(&mut dice));
        for _ in 0..80 {
            act(&mut pair, 0);
            if pair.dice.percent(40) {
                pause(&mut pair);
            }
            pair.check()?;
        }
        settle(&mut pair)
    });
}

#[test]
fn tables_agree_after_the_connection_broke_again_and_again() {
    seeds(1_000, |seed| {
        let mut dice = Dice::new(!seed);
        let mut pair = Pair::new(seed, weather(&mut dice));
        for _ in 0..80 {
            act(&mut pair, 0);
            pause(&mut pair);
            match pair.connected {
                true if pair.dice.percent(5) => pair.cut(),
                false if pair.dice.percent(30) => pair.connect(),
                true | false => {}
            }
            pair.check()?;
        }
        settle(&mut pair)
    });
}

/// Deletes alone must bring about that tables agree, so digests do not get the time to.
#[test]
fn tables_agree_without_the_digests_help() {
    seeds(1_000, |seed| {
        let mut dice = Dice::new(!seed);
        let mut pair = Pair::new(seed, weather(&mut dice));
        for _ in 0..60 {
            act(&mut pair, 0);
            pause(&mut pair);
        }
        pair.weather = FAIR;
        pair.run(600);
        pair.check_quiet()?;
        let repairs = pair.views()[1].received.repairs;
        if repairs > 0 { Err(format!("{repairs} repairs")) } else { Ok(()) }
    });
}

#[test]
fn a_joiner_is_complete_while_the_owner_goes_on() {
    seeds(300, |seed| {
        let mut dice = Dice::new(!seed);
        let mut pair = Pair::new(seed, FAIR);
        (100..200).for_each(|n| pair.open(0, n, false));
        pair.run(50);
        let anew = pair.dice.percent(50);
        if anew {
            pair.restart(1, 2);
            pair.role(1, false, Term(1));
        }
        pair.nodes[0].table.lose(150);
        pair.weather = weather(&mut dice);
        if !pair.connected {
            pair.connect();
        }
        pair.want(1, Purpose::Join);
        for _ in 0..60 {
            act(&mut pair, 0);
            pause(&mut pair);
            match pair.connected {
                true if pair.dice.percent(2) => pair.cut(),
                false if pair.dice.percent(50) => pair.connect(),
                true | false => {}
            }
            pair.check()?;
        }
        settle(&mut pair)?;
        match pair.nodes[1].outcomes.as_slice() {
            [(Purpose::Join, Outcome::Complete)] => Ok(()),
            other => Err(format!("outcomes {other:?}")),
        }
    });
}

#[test]
fn tables_agree_after_the_owner_changed() {
    seeds(500, |seed| {
        let mut dice = Dice::new(!seed);
        let mut pair = Pair::new(seed, weather(&mut dice));
        let mut owner = 0;
        for term in 2..6 {
            for _ in 0..25 {
                act(&mut pair, owner);
                pause(&mut pair);
                pair.check()?;
            }
            // A planned change: the old owner is drained first.
            pair.weather = FAIR;
            pair.run(300);
            pair.role(owner, false, Term(term));
            owner = 1 - owner;
            pair.role(owner, true, Term(term));
            pair.weather = weather(&mut dice);
        }
        settle(&mut pair)
    });
}

#[test]
fn a_foul_network_costs_bounded_memory() {
    let mut pair = Pair::new(7, Weather { loss_percent: 40, ..FOUL });
    for round in 0..2_000_u32 {
        act(&mut pair, 0);
        act(&mut pair, 0);
        if round % 4 == 0 {
            pair.run(1);
        }
        let [sender, receiver] = pair.views();
        assert!(sender.lag.queued <= FLOWS as u32, "a session stands in one queue at most");
        assert!(u64::from(sender.lag.in_flight) <= crate::limits::WINDOW_MESSAGES * 64);
        assert!(sender.ended[0] <= crate::limits::DELETES_MAX);
        assert!(receiver.ended[1] <= crate::limits::TOMBSTONES_MAX);
    }
    settle(&mut pair).unwrap();
    let [sender, receiver] = pair.views();
    assert_eq!((sender.ended[0], receiver.ended[1]), (0, 0), "nothing is left");
}
