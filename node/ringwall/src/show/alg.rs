//! `show alg`.

use config::api::{self, Algs, Pinhole};

use crate::daemon::Daemon;
use crate::failure::Failure;
use crate::out::Out;
use crate::table::{Table, duration};

pub(super) fn run(daemon: &Daemon, out: &mut Out<'_>) -> Result<(), Failure> {
    let algs: Algs = daemon.client()?.get(api::ALG)?;
    if out.json() {
        return Ok(out.value(&algs)?);
    }
    let mut channels = Table::new(&["GATEWAY", "CONTROL CHANNELS"]);
    algs.channels.iter().for_each(|it| channels.row([it.alg.clone(), it.channels.to_string()]));
    channels.print("no control channel is read now", out)?;
    let heading = ["PINHOLE OF", "SESSION", "FROM", "TO", "MEANS", "USES", "CLOSES IN"];
    let mut pinholes = Table::new(&heading);
    algs.open.iter().for_each(|it| pinholes.row(row(it)));
    pinholes.print("no pinhole is open", out)?;
    if algs.pinholes > algs.open.len() as u64 {
        out.line(format!("and {} more", algs.pinholes - algs.open.len() as u64))?;
    }
    let counters = algs.counters.entries().map(|(name, count)| format!("{name} {count}"));
    Ok(out.line(format!("since the start: {}", counters.join(", ")))?)
}

fn row(pinhole: &Pinhole) -> [String; 7] {
    let endpoint = |address, port| std::net::SocketAddr::new(address, port).to_string();
    let to = endpoint(pinhole.destination, pinhole.destination_port);
    let means = endpoint(pinhole.inside, pinhole.inside_port);
    let means = if means == to { String::new() } else { means };
    [
        pinhole.alg.clone(),
        pinhole.session.clone(),
        pinhole.source.to_string(),
        to,
        means,
        pinhole.uses.to_string(),
        duration(pinhole.remaining_milliseconds),
    ]
}
