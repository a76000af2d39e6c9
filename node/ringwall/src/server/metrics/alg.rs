//! Metrics of gateways.

use config::api::Algs;
use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

pub(super) fn describe() {
    let counter = "What became of control channels and of what they announced";
    describe_counter!("ringwall_alg_total", Unit::Count, counter);
    describe_gauge!("ringwall_alg_channels", Unit::Count, "Control channels that are read");
    describe_gauge!("ringwall_alg_pinholes", Unit::Count, "Pinholes that stand open");
}

/// Nothing of a node that has never had a control channel to read.
pub(super) fn algs(algs: &Algs) {
    if algs.counters.channels + algs.counters.unread == 0 {
        return;
    }
    for (name, count) in algs.counters.entries() {
        counter!("ringwall_alg_total", "event" => name).absolute(count);
    }
    for of in &algs.channels {
        gauge!("ringwall_alg_channels", "alg" => of.alg.clone()).set(of.channels as f64);
    }
    gauge!("ringwall_alg_pinholes").set(algs.pinholes as f64);
}
