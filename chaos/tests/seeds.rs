//! Seeds: a few that nobody has chosen, and those that once broke something, by what it was.

use ringwall_chaos::sim::{Outcome, Sim, run};

#[track_caller]
fn clean(seed: u64) -> Outcome {
    let outcome = run(&Sim::new(seed, 60));
    assert!(outcome.violation.is_none(), "{outcome}");
    outcome
}

#[test]
fn a_few_seeds_are_clean_and_do_what_they_are_for() {
    let [mut faults, mut forged, mut connections] = [0; 3];
    for seed in 1..=4 {
        let outcome = clean(seed);
        faults += outcome.tally.faults;
        forged += outcome.tally.forged;
        connections += outcome.connections[1];
    }
    assert!(faults >= 20 && forged >= 200 && connections >= 800, "{faults} {forged} {connections}");
}

/// A link of the fabric is down, and the owner is drained: its standby had been ready, but what was
/// opened since replication lost its connection it did not have. Readiness falls with the connection.
#[test]
fn nobody_hands_over_to_a_standby_that_replication_does_not_reach() {
    clean(298);
}

/// The owner dies, and its heir before it has taken over: nobody is left who has the connections.
#[test]
fn two_that_die_within_a_takeover_time_take_connections_with_them() {
    clean(332);
}

/// A node is drained, and dead when it is to be resumed.
#[test]
fn who_is_drained_is_resumed_even_if_it_was_dead_by_then() {
    clean(463);
}

/// The standby is dead and the owner slow. A connection that is opened then may break as one that was
/// opened before.
#[test]
fn what_is_opened_during_a_double_failure_may_break() {
    clean(967);
}

/// An owner that loses its lease for being slow has the best table there is. Its peer, which has only
/// just started, is not to own before it.
#[test]
fn whoever_ceased_to_own_is_ready_until_another_owns() {
    clean(1288);
}

/// A paused owner becomes standby while replication has no connection: it is not ready, and is not
/// handed the ownership.
#[test]
fn who_follows_without_a_connection_is_not_ready() {
    clean(1407);
}

/// A record of the last policy came to an owner under the next one, whose sweep was over: the rule of
/// that session was never found out, so digests differed for ever and its standby was never ready.
#[test]
fn an_owner_judges_what_it_is_told_under_an_older_policy() {
    clean(2625);
}

/// A commit while the owner was stopped and its peer dead: the owner took the dead one's last words for a
/// claim, and then for the words of an owner with another policy. Nobody owned any more.
#[test]
fn a_pause_does_not_make_old_words_new() {
    clean(1518);
}

/// Whoever has only the SYN of a connection takes the responder's ACK for that of an old one and passes
/// it. Data are not part of that.
#[test]
fn no_data_pass_before_the_handshake() {
    for seed in [129, 1_183] {
        clean(seed);
    }
}

/// Behind a cut a client's SYN came to one node, and its connection was opened by the other. The first
/// one kept, and its session was kept: nothing told it from a forged ACK. The open one stays.
#[test]
fn after_a_split_the_open_half_of_a_connection_stays() {
    for seed in [1_063, 2_243] {
        clean(seed);
    }
}

/// Both nodes forward, a node that is down or paused at the heal tells nobody yet, and what was opened
/// meanwhile has a half on each of them.
#[test]
fn a_split_is_told_of_when_both_nodes_run() {
    clean(3_936);
}

/// Two claims in a row, each on its way to a disk: the second is not on it before the first.
#[test]
fn a_disk_writes_one_thing_after_the_other() {
    clean(3_003);
}

/// An owner votes for its heir, which is on its disk, and the heir is heard, before it ceases to own. It
/// stayed in its old term, and nothing that it said was taken: it never joined.
#[test]
fn who_hands_over_follows_into_the_term_of_its_heir() {
    for seed in [18, 38] {
        clean(seed);
    }
}

/// A node forwards alone, behind a cut, and then loses its memory. The other one cannot know, so the
/// time is not marked; nothing else may come of it.
#[test]
fn a_split_of_which_one_node_forgets_heals() {
    clean(42);
}

/// A challenge ACK of the engine tells of data that its receiver never got. Its sequence number keeps an
/// honest peer from believing it.
#[test]
fn a_challenge_acknowledges_nothing() {
    clean(23);
}

/// Its SYN comes when the owner has stopped and still has its lease; the next owner hears of the pinhole
/// that it used up, and not of its session.
#[test]
fn a_transfer_that_comes_while_its_node_stops_is_let_in_by_the_next_one() {
    clean(20_539);
}

/// What is left of a channel after a double failure may say a thing twice; that announces nothing.
#[test]
fn what_a_broken_dialog_hears_again_is_no_new_announcement() {
    for seed in [30_133, 30_376, 30_764] {
        clean(seed);
    }
}
