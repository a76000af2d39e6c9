//! `show top`.

use clap::{Args, ValueEnum};
use config::api::{self, SCREEN_ROWS, Top, TopFlow, TopOrder, TopRequest, TopRow, TopSide};

use crate::daemon::Daemon;
use crate::failure::Failure;
use crate::out::Out;
use crate::table::{Table, or_none};

#[derive(Args, Debug)]
pub(super) struct Options {
    #[command(flatten)]
    daemon: Daemon,
    /// By whom
    #[arg(long, value_enum, default_value = "source")]
    by: By,
    /// What comes first
    #[arg(long, value_enum, default_value = "bandwidth")]
    order: Order,
    /// Most rows
    #[arg(long, value_name = "NUMBER", default_value_t = SCREEN_ROWS)]
    rows: u32,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum By {
    Source,
    Destination,
    Pair,
    Flow,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Order {
    Bandwidth,
    Packets,
    Sessions,
}

impl Options {
    fn request(&self) -> TopRequest {
        TopRequest {
            by: match self.by {
                By::Source => TopSide::Source,
                By::Destination => TopSide::Destination,
                By::Pair => TopSide::Pair,
                By::Flow => TopSide::Flow,
            },
            order: match self.order {
                Order::Bandwidth => TopOrder::Bandwidth,
                Order::Packets => TopOrder::Packets,
                Order::Sessions => TopOrder::Sessions,
            },
            rows: self.rows,
        }
    }
}

pub(super) fn run(options: &Options, out: &mut Out<'_>) -> Result<(), Failure> {
    let answer: Top = options.daemon.client()?.post(api::TOP, &options.request())?;
    if out.json() {
        return Ok(out.value(&answer)?);
    }
    if !answer.screening {
        return Ok(out.line("no zone has a screen: nothing is known of talkers")?);
    }
    let heading = ["ZONE", "SOURCE", "DESTINATION", "FLOW", "BIT/S", "PACKETS/S", "SESSIONS/S"];
    let mut table = Table::new(&heading);
    answer.rows.iter().for_each(|it| table.row(row(it)));
    Ok(table.print("nobody talks", out)?)
}

fn row(it: &TopRow) -> [String; 7] {
    [
        it.zone.clone(),
        or_none(it.source.as_deref()),
        or_none(it.destination.as_deref()),
        it.flow.as_ref().map(flow).unwrap_or_default(),
        format!("{:.0}", it.bits),
        format!("{:.1}", it.packets),
        format!("{:.1}", it.sessions),
    ]
}

fn flow(it: &TopFlow) -> String {
    format!("{} {} to {}", it.protocol, it.source_port, it.port)
}
