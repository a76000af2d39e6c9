//! The search gives the same answer as trying all orders, on random small histories.

use super::super::register::{Register, RegisterAnswer, RegisterCall, Value};
use super::super::{History, Model, Operation, Verdict, check_keys};
use crate::sim::dice::Dice;

type Registers = History<RegisterCall, RegisterAnswer>;
type Registered = Operation<RegisterCall, RegisterAnswer>;

#[test]
fn the_search_and_all_orders_agree() {
    let mut verdicts = [0; 2];
    for seed in 0..4_000 {
        let history = random(&mut Dice::new(seed, 0));
        let found = check_keys(&Register, &history, |_| "");
        let operations = history.operations();
        let expected = any_order(operations, Register.start());
        assert_eq!(found == Verdict::Linearizable, expected, "seed {seed}: {history:?}\n{found:?}");
        verdicts[usize::from(expected)] += 1;
        if let Verdict::Violation(violation) = found {
            let cut = |events: usize| any_order(&prefix(operations, events), Register.start());
            assert!(!cut(violation.events), "seed {seed}: the prefix can be explained");
            assert!(cut(violation.events - 1), "seed {seed}: it is not the shortest");
        }
    }
    assert!(verdicts.iter().all(|it| *it > 400), "both kinds are there: {verdicts:?}");
}

/// All orders that time allows, one after the other, without any memory.
fn any_order(left: &[Registered], state: Value) -> bool {
    let ends = left.iter().filter_map(|it| it.answered.as_ref().map(|end| end.at));
    let Some(first_end) = ends.min() else { return true };
    (0..left.len()).filter(|&at| left[at].called < first_end).any(|at| {
        let answer = left[at].answered.as_ref().map(|end| &end.answer);
        let after = Register.step(&state, &left[at].call, answer);
        let mut rest = left.to_vec();
        rest.remove(at);
        after.is_some_and(|after| any_order(&rest, after))
    })
}

fn prefix(operations: &[Registered], events: usize) -> Vec<Registered> {
    let cut = |it: &Registered| {
        let answered = it.answered.clone().filter(|end| end.at <= events);
        Registered { answered, ..it.clone() }
    };
    operations.iter().filter(|it| it.called <= events).map(cut).collect()
}

fn random(dice: &mut Dice) -> Registers {
    let mut history = Registers::default();
    for _ in 0..14 {
        let process = dice.below(3) as u32;
        let Some(call) = history.waits_for(process).copied() else {
            history.call(process, random_call(dice)).unwrap();
            continue;
        };
        match (dice.below(8), call) {
            (0, _) => history.give_up(process).unwrap(),
            (_, RegisterCall::Read) => {
                let value = Some(dice.below(3) as i64).filter(|value| *value > 0);
                history.answer(process, RegisterAnswer::Value(Value(value))).unwrap();
            }
            (_, RegisterCall::Write(_)) => history.answer(process, RegisterAnswer::Done).unwrap(),
            (roll, RegisterCall::CompareAndSet(..)) => {
                let answer = if roll < 4 { RegisterAnswer::Done } else { RegisterAnswer::Differs };
                history.answer(process, answer).unwrap();
            }
        }
    }
    history
}

fn random_call(dice: &mut Dice) -> RegisterCall {
    let mut value = || 1 + dice.below(2) as i64;
    let (one, other) = (value(), value());
    match dice.below(3) {
        0 => RegisterCall::Read,
        1 => RegisterCall::Write(one),
        _ => RegisterCall::CompareAndSet(one, other),
    }
}
