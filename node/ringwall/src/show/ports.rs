//! `show ports`.

use config::api::{self, BindMode, Port, PortState, Ports, XdpMode};

use crate::daemon::Daemon;
use crate::failure::Failure;
use crate::out::Out;
use crate::table::{Table, or_none};

pub(super) fn run(daemon: &Daemon, out: &mut Out<'_>) -> Result<(), Failure> {
    let ports: Ports = daemon.client()?.get(api::PORTS)?;
    if out.json() {
        return Ok(out.value(&ports)?);
    }
    let heading = [
        "PORT",
        "INTERFACE",
        "ZONE",
        "STATE",
        "WIRE",
        "AF_XDP",
        "XDP",
        "QUEUES",
        "MTU",
        "RECEIVED",
        "SENT",
        "LOST",
    ];
    let mut table = Table::new(&heading);
    ports.ports.iter().for_each(|port| table.row(row(port)));
    table.print("no ports", out)?;
    for port in &ports.ports {
        for (cause, frames) in port.drops.iter().filter(|(_, frames)| **frames > 0) {
            out.line(format!("{}: {frames} lost, {cause}", port.name))?;
        }
    }
    Ok(())
}

fn row(port: &Port) -> [String; 12] {
    let state = match port.state {
        PortState::Up => "up",
        PortState::Down => "down",
        PortState::Gone => "gone",
    };
    let mode = match port.mode {
        BindMode::ZeroCopy => "zero-copy",
        BindMode::Copy => "copy",
        BindMode::None => "-",
    };
    let xdp = match port.xdp {
        XdpMode::Native => "native",
        XdpMode::Generic => "generic",
        XdpMode::None => "-",
    };
    [
        port.name.clone(),
        port.interface.clone(),
        or_none(port.zone.as_deref()),
        state.to_owned(),
        or_none(port.wire.as_deref()),
        mode.to_owned(),
        xdp.to_owned(),
        port.queues.to_string(),
        port.mtu.map(|mtu| mtu.to_string()).unwrap_or_default(),
        port.received_packets.to_string(),
        port.sent_packets.to_string(),
        port.drops.values().sum::<u64>().to_string(),
    ]
}
