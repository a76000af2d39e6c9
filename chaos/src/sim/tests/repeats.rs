//! The same seed gives the same run.

use super::super::{Sim, run};

#[test]
fn the_same_seed_gives_the_same_events() {
    let sim = Sim { log_all: true, ..Sim::new(7, 40) };
    let [a, b] = [run(&sim), run(&sim)];
    assert!(a.lines.len() > 10_000, "only {} events", a.lines.len());
    assert_eq!(a.lines.len(), b.lines.len());
    let differ = a.lines.iter().zip(&b.lines).find(|(a, b)| a != b);
    assert_eq!(differ, None);
    assert_eq!(a.log, b.log);
}

#[test]
fn another_seed_gives_another_run() {
    assert_ne!(run(&Sim::new(1, 30)).log, run(&Sim::new(2, 30)).log);
}
