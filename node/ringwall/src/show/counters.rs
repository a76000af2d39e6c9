//! `show counters`.

use std::collections::BTreeMap;

use clap::Args;
use config::api::{self, Counters};
use engine::{Anomaly, Reason};
use serde::Serialize;

use crate::daemon::Daemon;
use crate::failure::Failure;
use crate::out::Out;
use crate::table::{Table, or_none};

#[derive(Args, Debug)]
pub(super) struct Options {
    #[command(flatten)]
    daemon: Daemon,
    /// Counters that are zero, too
    #[arg(long)]
    all: bool,
    /// What each drop reason and each anomaly means
    #[arg(long)]
    explain: bool,
}

/// Counters in JSON, with the meanings that were asked for.
#[derive(Serialize)]
struct Explained<'a> {
    #[serde(flatten)]
    counters: &'a Counters,
    meanings: BTreeMap<&'a str, &'static str>,
}

pub(super) fn run(options: &Options, out: &mut Out<'_>) -> Result<(), Failure> {
    let counters: Counters = options.daemon.client()?.get(api::COUNTERS)?;
    match (out.json(), options.explain) {
        (true, true) => Ok(out.value(&explained(&counters))?),
        (true, false) => Ok(out.value(&counters)?),
        (false, _) => print(&counters, options, out),
    }
}

fn explained(counters: &Counters) -> Explained<'_> {
    let names = counters.total.keys();
    let meanings = names.filter_map(|name| Some((name.as_str(), meaning(name)?))).collect();
    Explained { counters, meanings }
}

fn print(counters: &Counters, options: &Options, out: &mut Out<'_>) -> Result<(), Failure> {
    let heading = ["COUNTER", "TOTAL", "BY WORKER", "MEANING"];
    let columns = if options.explain { 4 } else { 3 };
    let mut table = Table::new(&heading[..columns]);
    let wanted = counters.total.iter().filter(|(_, value)| options.all || **value > 0);
    for (name, value) in wanted {
        let workers = counters.workers.iter();
        let each = workers.map(|worker| worker.get(name).copied().unwrap_or(0).to_string());
        let each: Vec<_> = each.collect();
        let cells = [name.clone(), value.to_string(), each.join(" ")];
        match options.explain {
            false => table.row(cells),
            true => {
                let [name, value, each] = cells;
                let meaning = or_none(meaning(&name));
                table.row([name, value, each, meaning]);
            }
        }
    }
    Ok(table.print("nothing was counted yet", out)?)
}

/// What a drop reason or an anomaly of the API's counters means.
fn meaning(counter: &str) -> Option<&'static str> {
    let (kind, name) = counter.split_once('.')?;
    match kind {
        "dropped" => {
            let mut reasons = Reason::ALL.iter();
            reasons.find(|reason| reason.name() == name).map(|reason| reason.explain())
        }
        "anomaly" => {
            let mut anomalies = Anomaly::ALL.iter();
            anomalies.find(|anomaly| anomaly.name() == name).map(|anomaly| anomaly.explain())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{explained, meaning};
    use config::api::Counters;
    use engine::{Anomaly, Reason};

    #[test]
    fn every_reason_and_every_anomaly_has_its_meaning() {
        for reason in Reason::ALL {
            assert_eq!(meaning(&format!("dropped.{reason}")), Some(reason.explain()));
        }
        for anomaly in Anomaly::ALL {
            assert_eq!(meaning(&format!("anomaly.{}", anomaly.name())), Some(anomaly.explain()));
        }
        for other in ["received", "dropped", "dropped.no-such", "xdp.to-worker"] {
            assert_eq!(meaning(other), None, "{other}");
        }
    }

    #[test]
    fn in_json_meanings_stand_beside_the_counters() {
        let named = [("received", 3), ("anomaly.udp-unreachable", 0)];
        let named = named.map(|(name, value)| (name.to_owned(), value));
        let counters = Counters { total: named.into(), workers: Vec::new() };
        let json = serde_json::to_value(explained(&counters)).unwrap();
        assert_eq!(json["total"]["received"], 3);
        let meanings = json["meanings"].as_object().unwrap();
        assert_eq!(meanings.len(), 1);
        let meant = Anomaly::UdpUnreachable.explain();
        assert_eq!(meanings["anomaly.udp-unreachable"], meant);
    }
}
