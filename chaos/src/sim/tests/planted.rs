//! Mistakes that are planted, each found by its invariant; without them the same seeds are clean.

use core::time::Duration;

use wire::Time;

use super::super::fault::{Fault, Planned, Target};
use super::super::invariants::{
    agreement, conservation, forgery, monotone, overlap, policy, survival, translation,
};
use super::super::world::World;
use super::super::{Outcome, Planted, Sim};
use crate::limits::SECONDS_MIN;

/// A run with these faults at these milliseconds, for so many.
fn run(planted: Planted, faults: &[(u64, u64, Fault)]) -> Outcome {
    run_from(11, planted, faults)
}

fn run_from(seed: u64, planted: Planted, faults: &[(u64, u64, Fault)]) -> Outcome {
    let mut sim = Sim::new(seed, SECONDS_MIN);
    sim.planted = planted;
    let planned = |(at, lasts, fault): &(u64, u64, Fault)| Planned {
        at: Time::from_millis(*at),
        lasts: Duration::from_millis(*lasts),
        target: Target::Owner,
        fault: fault.clone(),
    };
    let mut world = World::with_faults(sim, faults.iter().map(planned).collect());
    world.run();
    Outcome::of(&world)
}

#[track_caller]
fn finds(planted: Planted, faults: &[(u64, u64, Fault)], invariant: &str) {
    let clean = run(Planted::Nothing, faults);
    assert_eq!(clean.violation, None, "without the mistake");
    let broken = run(planted, faults);
    let found = broken.violation.as_ref().map(|violation| violation.invariant);
    assert_eq!(found, Some(invariant), "{broken}");
    assert!(broken.to_string().contains("seed 11"), "a report names its seed");
}

const SWITCHOVER: (u64, u64, Fault) = (6_000, 0, Fault::Switchover);
const CRASH: (u64, u64, Fault) = (9_000, 1_500, Fault::Crash);

#[test]
fn a_lease_word_that_is_not_closed_at_a_switchover_is_found() {
    finds(Planted::KeepsTheLease, &[SWITCHOVER], overlap::NAME);
}

#[test]
fn a_node_that_forwards_without_a_lease_is_found() {
    let pause = (5_000, 900, Fault::Pause);
    finds(Planted::IgnoresTheLease, &[pause], overlap::NAME);
}

#[test]
fn a_packet_that_the_engine_dropped_and_the_driver_sent_is_found() {
    finds(Planted::PassesWhatIsDenied, &[], policy::NAME);
}

#[test]
fn sessions_that_were_not_replicated_are_found() {
    // Translated datagrams are mapped anew before a connection finds out.
    finds(Planted::LosesNotes, &[CRASH], translation::NAME);
}

/// Where a connection finds out first.
#[test]
fn connections_that_were_not_replicated_are_found_to_break() {
    let broken = |seed| run_from(seed, Planted::LosesNotes, &[CRASH]).violation;
    let found = (11..60).filter_map(broken).find(|it| it.invariant == survival::NAME);
    assert!(found.is_some(), "no seed of fifty breaks a connection first");
}

#[test]
fn a_standby_that_does_not_know_how_to_translate_is_found() {
    finds(Planted::LosesTranslations, &[CRASH], translation::NAME);
}

#[test]
fn a_frame_that_the_network_swallows_is_found() {
    finds(Planted::SwallowsFrames, &[], conservation::NAME);
}

#[test]
fn a_session_that_goes_back_is_found() {
    finds(Planted::GoesBack, &[], monotone::NAME);
}

#[test]
fn a_forged_frame_behind_the_firewall_is_found() {
    finds(Planted::LetsForgeryIn, &[], forgery::NAME);
}

#[test]
fn a_standby_that_never_joined_is_found() {
    finds(Planted::NeverJoins, &[], agreement::NAME);
}

/// A machine that is frozen with its clock, as a virtual one can be, wakes up with a lease that lives
/// for it: no lease can hold against that. The simulator sees it; it is no fault that runs draw.
#[test]
fn a_machine_that_is_frozen_with_its_clock_overlaps() {
    let outcome = run(Planted::Nothing, &[(5_000, 2_000, Fault::Freeze)]);
    let found = outcome.violation.map(|violation| violation.invariant);
    assert_eq!(found, Some(overlap::NAME));
}
