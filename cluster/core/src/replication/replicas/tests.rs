use super::Event as E;
use super::*;
use Outcome::{Abandoned, Complete, DeadlinePassed};
use Purpose::{Join, Merge, Repair};
use Readiness::{BulkRunning, BulkWaiting, Ready};

/// Each event, what is then asked for, and how complete the replicas are then.
#[track_caller]
fn goes(steps: &[(E, Option<Purpose>, Readiness)]) {
    let mut replicas = Replicas::new();
    for (step, (event, asked, readiness)) in steps.iter().enumerate() {
        assert_eq!(replicas.handle(*event), *asked, "step {step}: {event:?}");
        assert_eq!(replicas.readiness(), *readiness, "step {step}: {event:?}");
    }
}

const JOINED: [(E, Option<Purpose>, Readiness); 2] =
    [(E::Connected, Some(Join), BulkRunning), (E::Ended(Join, Complete), None, Ready)];

#[test]
fn who_starts_joins_as_soon_as_it_can() {
    goes(&JOINED);
    let [connected, _] = JOINED;
    let passed = Readiness::DeadlinePassed;
    goes(&[connected, (E::Ended(Join, DeadlinePassed), None, passed)]);
    goes(&[(E::Followed, None, BulkWaiting), connected]);
    goes(&[connected, (E::Ended(Repair, Complete), None, BulkRunning)]);
}

#[test]
fn who_owns_has_the_truth_and_asks_for_nothing() {
    goes(&[
        (E::Owned, None, Ready),
        (E::Connected, None, Ready),
        (E::Lost, None, Ready),
        (E::Connected, None, Ready),
    ]);
    let [connected, _] = JOINED;
    goes(&[connected, (E::Owned, None, Ready), (E::Ended(Join, Abandoned), None, Ready)]);
}

#[test]
fn replicas_are_as_complete_as_the_connection_lets_them_be() {
    let [connected, ended] = JOINED;
    let lost = (E::Lost, None, BulkWaiting);
    goes(&[connected, ended, lost, connected, ended]);
    goes(&[connected, lost, (E::Ended(Join, DeadlinePassed), None, BulkWaiting)]);
    goes(&[connected, lost, (E::Lost, None, BulkWaiting), connected]);
}

#[test]
fn who_ceased_to_own_is_complete_until_another_owns() {
    let join = (E::Followed, Some(Join), BulkRunning);
    goes(&[
        (E::Owned, None, Ready),
        (E::Connected, None, Ready),
        (E::Disowned, None, Ready),
        join,
        (E::Ended(Join, Complete), None, Ready),
    ]);
    let [connected, _] = JOINED;
    goes(&[
        (E::Owned, None, Ready),
        (E::Disowned, None, Ready),
        (E::Followed, None, BulkWaiting),
        connected,
    ]);
}

/// After a split both tables count, also that of the node that stands by from then on.
#[test]
fn a_split_is_merged_by_both() {
    let alone = [(E::Owned, None, Ready), (E::SplitHealed, None, Ready)];
    let keeper = [(E::Connected, Some(Merge), Ready), (E::Ended(Merge, Complete), None, Ready)];
    goes(&[alone[0], alone[1], keeper[0], keeper[1], (E::Lost, None, Ready)]);
    goes(&[
        alone[0],
        alone[1],
        (E::Disowned, None, Ready),
        (E::Followed, None, BulkWaiting),
        (E::Connected, Some(Merge), BulkRunning),
        (E::Ended(Merge, Complete), None, Ready),
        (E::Followed, Some(Join), BulkRunning),
    ]);
}

#[test]
fn a_merge_goes_on_whoever_owns_and_begins_anew_with_the_connection() {
    let merge = (E::SplitHealed, Some(Merge), Ready);
    let owns = [(E::Owned, None, Ready), (E::Connected, None, Ready), merge];
    let again = (E::Connected, Some(Merge), BulkRunning);
    goes(&[
        owns[0],
        owns[1],
        owns[2],
        (E::Disowned, None, Ready),
        (E::Followed, None, BulkRunning),
        (E::Ended(Merge, DeadlinePassed), None, Readiness::DeadlinePassed),
        (E::Lost, None, BulkWaiting),
        again,
        (E::Ended(Merge, Complete), None, Ready),
        (E::Lost, None, BulkWaiting),
        (E::Connected, Some(Join), BulkRunning),
    ]);
}
