//! `show anomalies`.

use clap::{Args, ValueEnum};
use config::api::{
    self, Anomalies, AnomaliesRequest, AnomalyOrder, AnomalyRow, Attack, Prefix, SCREEN_ROWS,
    ScreenSide,
};

use crate::daemon::Daemon;
use crate::failure::Failure;
use crate::out::Out;
use crate::table::{Table, duration, or_none};

#[derive(Args, Debug)]
pub(super) struct Options {
    #[command(flatten)]
    daemon: Daemon,
    /// By whom the table goes
    #[arg(long, value_enum, default_value = "source")]
    by: By,
    /// What comes first
    #[arg(long, value_enum, default_value = "anomalies")]
    order: Order,
    /// Sources within this prefix
    #[arg(long, value_name = "PREFIX")]
    source: Option<Prefix>,
    /// Destinations within this prefix
    #[arg(long, value_name = "PREFIX")]
    destination: Option<Prefix>,
    /// Leave out rows with fewer anomalies
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    threshold: u64,
    /// Most rows
    #[arg(long, value_name = "NUMBER", default_value_t = SCREEN_ROWS)]
    rows: u32,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum By {
    /// Suspected attackers
    Source,
    /// Sites under attack
    Destination,
    /// Both together
    Pair,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Order {
    Anomalies,
    Bytes,
    Flows,
    Packets,
}

impl Options {
    fn request(&self) -> AnomaliesRequest {
        AnomaliesRequest {
            by: match self.by {
                By::Source => ScreenSide::Source,
                By::Destination => ScreenSide::Destination,
                By::Pair => ScreenSide::Pair,
            },
            order: match self.order {
                Order::Anomalies => AnomalyOrder::Anomalies,
                Order::Bytes => AnomalyOrder::Bytes,
                Order::Flows => AnomalyOrder::Flows,
                Order::Packets => AnomalyOrder::Packets,
            },
            source: self.source,
            destination: self.destination,
            threshold: self.threshold,
            rows: self.rows,
        }
    }
}

pub(super) fn run(options: &Options, out: &mut Out<'_>) -> Result<(), Failure> {
    let answer: Anomalies = options.daemon.client()?.post(api::ANOMALIES, &options.request())?;
    if out.json() {
        return Ok(out.value(&answer)?);
    }
    if !answer.screening {
        return Ok(out.line("no zone has a screen: nothing is known of attacks")?);
    }
    let heading =
        ["ATTACK", "KIND", "ZONE", "SOURCE", "DESTINATION", "SEEN", "FROM", "ACTION", "FOR"];
    let mut attacks = Table::new(&heading);
    answer.attacks.iter().for_each(|it| attacks.row(attack(it)));
    attacks.print("no attack goes on", out)?;
    let heading = [
        "ZONE",
        "SOURCE",
        "DESTINATION",
        "ANOMALIES",
        "SESSIONS",
        "PACKETS",
        "BYTES",
        "PORTS",
        "PEERS",
    ];
    let mut rows = Table::new(&heading);
    answer.rows.iter().for_each(|it| rows.row(row(it)));
    rows.print("no anomalies", out)?;
    for block in &answer.blocks {
        let rest = duration(block.rest_ms);
        out.line(format!("{} of {} is blocked for {rest}", block.source, block.zone))?;
    }
    let [attacks, blocks, scopes] = answer.beyond_limits;
    if attacks + blocks + scopes > 0 {
        out.line(format!(
            "for want of room {attacks} attacks were not followed, {blocks} sources not blocked, \
             {scopes} scopes not modelled"
        ))?;
    }
    Ok(())
}

fn attack(it: &Attack) -> [String; 9] {
    let threshold = match it.expected {
        Some(expected) => format!("{expected:.0} expected"),
        None => it.threshold.to_string(),
    };
    [
        it.number.to_string(),
        it.kind.clone(),
        it.zone.clone(),
        or_none(it.source.as_deref()),
        or_none(it.destination.as_deref()),
        it.seen.to_string(),
        threshold,
        it.action.clone(),
        duration(it.lasted_ms),
    ]
}

fn row(it: &AnomalyRow) -> [String; 9] {
    [
        it.zone.clone(),
        or_none(it.source.as_deref()),
        or_none(it.destination.as_deref()),
        it.anomalies.to_string(),
        it.sessions.to_string(),
        it.packets.to_string(),
        it.bytes.to_string(),
        it.ports.to_string(),
        it.peers.to_string(),
    ]
}
