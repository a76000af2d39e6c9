//! Metrics of attacks, as the node's screens see them. Sources and destinations are no labels: an attacker
//! would say how many there are.

use config::api::Screening;
use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use super::one_if;

/// Counters: name, help.
const COUNTERS: [(&str, &str); 5] = [
    ("ringwall_attacks_begun_total", "Attacks that began, by kind"),
    ("ringwall_screen_blocks_total", "Blocks of sources that began"),
    ("ringwall_screen_noted_total", "What the workers noted for the screens"),
    ("ringwall_screen_evicted_total", "Rows of the workers' notes that gave way to others"),
    ("ringwall_screen_digests_total", "Digests between nodes, by what became of them"),
];

/// Gauges: name, help.
const GAUGES: [(&str, &str); 6] = [
    ("ringwall_screening", "1 if some zone has a screen"),
    ("ringwall_attacks", "Attacks that go on, by kind"),
    ("ringwall_screen_blocked_sources", "Sources that are blocked now"),
    ("ringwall_screen_guarded", "Destinations whose SYNs are answered in their place now"),
    ("ringwall_screen_curbs", "Rates that are held down now, in sum over all workers"),
    ("ringwall_screen_learned_ratio", "How far a baseline has learned; it judges from 1 on"),
];

pub(super) fn describe() {
    COUNTERS.iter().for_each(|(name, help)| describe_counter!(*name, Unit::Count, *help));
    GAUGES.iter().for_each(|(name, help)| describe_gauge!(*name, Unit::Count, *help));
}

pub(super) fn screening(it: &Screening) {
    gauge!("ringwall_screening").set(one_if(it.screening));
    for kind in &it.kinds {
        let label = [("kind", kind.kind.clone())];
        gauge!("ringwall_attacks", &label).set(kind.live as f64);
        counter!("ringwall_attacks_begun_total", &label).absolute(kind.begun);
    }
    gauge!("ringwall_screen_blocked_sources").set(it.blocked as f64);
    gauge!("ringwall_screen_guarded").set(it.guarded as f64);
    gauge!("ringwall_screen_curbs").set(it.curbs as f64);
    counter!("ringwall_screen_blocks_total").absolute(it.blocks);
    counter!("ringwall_screen_noted_total").absolute(it.noted);
    counter!("ringwall_screen_evicted_total").absolute(it.evicted);
    let digests = [
        ("made", it.digests_made),
        ("taken", it.digests_taken),
        ("refused", it.digests_refused),
        ("lost", it.digests_lost),
    ];
    for (what, count) in digests {
        counter!("ringwall_screen_digests_total", "what" => what).absolute(count);
    }
    // Of prefixes there are as many as there is traffic to.
    for zone in it.baselines.iter().filter(|it| it.prefix.is_none()) {
        gauge!("ringwall_screen_learned_ratio", "zone" => zone.zone.clone()).set(zone.learned);
    }
}
