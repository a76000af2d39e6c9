//! Others' evidence: captures of real and hostile traffic, through the shipped engine, packet by
//! packet against what Linux netfilter did with them.
//!
//! Most captures are not in this repository; `RINGWALL_CORPUS` names their folder (see
//! [`Corpus`](ringwall_tests::Corpus)). Without it that test says `SKIPPED` and is no failure. Those in
//! `own/` were recorded for it between two Linux hosts, and are always replayed.
//!
//! | file | what it does |
//! |------|--------------|
//! | `oracle.rs` | reads what netfilter did |
//! | `replay.rs` | runs `ringwall replay` |
//! | `compare.rs` | a capture, both verdicts beside each other |
//! | `attacks.rs` | which captures are told as attacks |
//! | `attacks.tsv` | the reviewed list of them |
//! | `listed.rs` | reads the reviewed list of differences |
//! | `differences.tsv` | that list: each with its reason |
//! | `own/` | recordings and netfilter's verdicts; its `README.md` tells how they came about |

#![allow(clippy::unwrap_used)]

mod attacks;
mod compare;
mod listed;
mod oracle;
mod replay;

use std::io::Write as _;

use ringwall_tests::Corpus;

use compare::{Capture, Compared, Figures, OF_GATEWAYS};
use listed::List;
use replay::Window;

/// The least share of packets and of captures that agree before any list, in percent.
const LEAST: [f64; 2] = [99.0, 90.0];

/// The bound of the reviewed list: entries about calls and transfers, and others.
const DIFFERENCES_MAX: [usize; 2] = [10, 20];
/// So many sessions at least are expected there, in Linux.
const EXPECTED_LEAST: usize = 20;

#[test]
fn own_recordings_are_judged_alike() {
    let both = Both::of(&Capture::own());
    both.say("own recordings");
    both.agrees_with_the_list();
    both.falls_without_the_window();
}

#[test]
fn own_recordings_raise_what_is_listed() {
    attacks::compare(&Capture::own(), |name| name.starts_with("own/"));
}

#[test]
fn the_corpus_raises_what_is_listed_and_nothing_else() {
    let Some(corpus) = Corpus::from_env() else { return };
    attacks::compare(&Capture::of_corpus(&corpus), |name| !name.starts_with("own/"));
}

#[test]
fn the_corpus_is_judged_alike() {
    let Some(corpus) = Corpus::from_env() else { return };
    let (both, own) = (Both::of(&Capture::of_corpus(&corpus)), Both::of(&Capture::own()));
    both.say("corpus");
    both.agrees_with_the_list();
    enough_agree(Figures::of(&both.checked));
    let expected: usize = both.checked.iter().map(|capture| capture.expected).sum();
    assert!(expected >= EXPECTED_LEAST, "{expected} announced sessions show nothing");
    let together = Both {
        checked: [own.checked, both.checked].into_iter().flatten().collect(),
        unchecked: own.unchecked.and(both.unchecked),
    };
    together.say("both together");
    together.falls_without_the_window();
    enough_agree(Figures::of(&together.checked));
    assert_eq!(List::read().strangers(&together.checked), [""; 0]);
}

#[test]
fn the_list_is_short_and_gives_reasons() {
    let list = List::read();
    let of_gateways = |name: &&str| OF_GATEWAYS.iter().any(|folder| name.starts_with(folder));
    let (gateways, others): (Vec<_>, Vec<_>) = list.captures().partition(of_gateways);
    let counts = [gateways.len(), others.len()];
    let short = counts.iter().zip(DIFFERENCES_MAX).all(|(count, most)| *count <= most);
    assert!(short, "{counts:?} are too many");
}

#[track_caller]
fn enough_agree(figures: Figures) {
    let [packets, captures] = figures.percent();
    assert!(packets >= LEAST[0] && captures >= LEAST[1], "too few agree: {figures}");
}

/// Captures, compared with the window check and without.
struct Both {
    checked: Vec<Compared>,
    unchecked: Figures,
}

impl Both {
    fn of(captures: &[Capture]) -> Self {
        let checked = compare::replay(captures, Window::Check);
        let unchecked = Figures::of(&compare::replay(captures, Window::Off));
        Self { checked, unchecked }
    }

    /// The figures are seen without `--nocapture` too: they are what the test is for.
    fn say(&self, what: &str) {
        let lines = [
            ("all packets", Figures::of(&self.checked)),
            ("the same with tcp-window = off", self.unchecked),
        ];
        for (of, figures) in lines {
            let _ = writeln!(std::io::stderr(), "{what}, {of}: {figures}");
        }
    }

    fn agrees_with_the_list(&self) {
        let offences = List::read().offences(&self.checked);
        assert!(offences.is_empty(), "against the list:\n  {}", offences.join("\n  "));
    }

    /// The window check earns its agreement: without it, fewer packets agree.
    fn falls_without_the_window(&self) {
        let (checked, unchecked) = (Figures::of(&self.checked), self.unchecked);
        let fallen = unchecked.packets_alike < checked.packets_alike;
        assert!(fallen, "checked {checked}, unchecked {unchecked}");
    }
}
