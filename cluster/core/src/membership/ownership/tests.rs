//! The whole table once more, as sentences.

use super::*;

/// What must follow, written independently of the table: by trigger first.
fn wanted(role: Role, trigger: Trigger) -> Step {
    use Role::{Active, Closed, Drained, Listening, Standby, TakingOver, Yielding};
    let (next, act) = match (trigger, role) {
        // Whoever hears a better claim votes for it; an owner stops first.
        (Trigger::Follow, Listening | Standby | Closed) => (Standby, Act::Follow),
        (Trigger::Follow, Drained) => (Drained, Act::Follow),
        (Trigger::Follow, TakingOver) => (Standby, Act::Abandon),
        (Trigger::Follow, Active | Yielding) => (Standby, Act::Stop),
        // Whoever does not own and may, claims.
        (Trigger::Vacant, Listening | Standby | Closed) => (TakingOver, Act::Claim),
        (Trigger::Offered, Standby) => (TakingOver, Act::Claim),
        (Trigger::Granted, TakingOver | Closed) => (Active, Act::Own),
        // Without a lease, or unable to use one, an owner closes.
        (Trigger::Lapsed | Trigger::Unable, Active | Yielding) => (Closed, Act::Stop),
        (Trigger::Lapsed | Trigger::Unable, TakingOver) => (Standby, Act::Abandon),
        // A planned switchover, in its order.
        (Trigger::HandOver | Trigger::Drain, Active) => (Yielding, Act::Offer),
        (Trigger::Taken, Yielding) => (Yielding, Act::Concede),
        (Trigger::Conceded, Yielding) => (Yielding, Act::End),
        (Trigger::Stopped, Yielding) => (Standby, Act::Leave),
        (Trigger::Withdrawn, Yielding) => (Active, Act::Withdraw),
        // Out of service and back.
        (Trigger::Drain, Listening | Standby | Closed) => (Drained, Act::Drain),
        (Trigger::Drain, TakingOver) => (Standby, Act::Abandon),
        (Trigger::Resume, Drained) => (Standby, Act::Resume),
        _ => (role, Act::Keep),
    };
    Step { next, act }
}

#[test]
fn every_role_times_trigger() {
    for role in Role::ALL {
        for trigger in Trigger::ALL {
            assert_eq!(step(role, trigger), wanted(role, trigger), "{role} × {trigger:?}");
        }
    }
}

#[test]
fn laws_of_the_table() {
    for role in Role::ALL {
        for trigger in Trigger::ALL {
            let Step { next, act } = step(role, trigger);
            let cell = format!("{role} × {trigger:?}");
            assert!(next.owns() <= (role.owns() || act == Act::Own), "{cell}: owns by Own alone");
            let stops = matches!(act, Act::Stop | Act::Leave);
            assert_eq!(role.owns() && !next.owns(), stops, "{cell}: an owner stops");
            assert!(act != Act::Claim || next == Role::TakingOver, "{cell}");
            assert!(role != Role::Drained || !next.claims(), "{cell}: drained never claims");
            assert!(act == Act::Keep || trigger != Trigger::Granted || next.owns(), "{cell}");
        }
    }
}

#[test]
fn codes_and_names() {
    for (code, role) in (0..).zip(Role::ALL) {
        assert_eq!((role as u8, Role::from_code(code)), (code, Some(role)));
        assert!(!role.name().is_empty());
    }
    assert_eq!(Role::from_code(7), None);
    for (code, trigger) in Trigger::ALL.into_iter().enumerate() {
        assert_eq!(trigger as usize, code);
    }
}
