//! `explain`: what a running daemon, or a policy file alone, would do with a packet, stage by stage;
//! nothing changes.

mod offline;

use std::net::IpAddr;

use clap::Args;
use config::api::{self, ExplainRequest, Explanation, Protocol};

use crate::daemon::Daemon;
use crate::failure::Failure;
use crate::out::Out;
use crate::table::Table;

#[derive(Args, Debug)]
#[command(after_help = "\
Example: ringwall explain --from lan --source 10.0.1.5 --destination 192.0.2.9 --protocol tcp \
--source-port 40000 --destination-port 443

With --policy FILE no daemon is asked and no root is needed. The engine is the same; what only a running \
node knows is not there: sessions, routes, neighbours, the host's own addresses.")]
pub(crate) struct Options {
    #[command(flatten)]
    daemon: Daemon,
    #[command(flatten)]
    files: offline::Files,
    /// Port that the packet enters by
    #[arg(long, value_name = "PORT")]
    from: String,
    /// Source address
    #[arg(long, value_name = "ADDRESS")]
    source: IpAddr,
    /// Destination address, of the same family
    #[arg(long, value_name = "ADDRESS")]
    destination: IpAddr,
    /// IP protocol: tcp, udp, icmp, icmp6, … or its number
    #[arg(long, default_value = "tcp")]
    protocol: Protocol,
    /// Source port of TCP, UDP or SCTP
    #[arg(long, value_name = "NUMBER")]
    source_port: Option<u16>,
    /// Destination port; TCP, UDP and SCTP need it
    #[arg(long, value_name = "NUMBER")]
    destination_port: Option<u16>,
    /// TCP flags by their letters, as S, SA, A, F, R; S if not given
    #[arg(long, value_name = "LETTERS")]
    tcp_flags: Option<String>,
    /// ICMP type; echo request if not given
    #[arg(long, value_name = "NUMBER")]
    icmp_type: Option<u8>,
    /// ICMP code; 0 if not given
    #[arg(long, value_name = "NUMBER")]
    icmp_code: Option<u8>,
}

impl From<&Options> for ExplainRequest {
    fn from(options: &Options) -> Self {
        Self {
            port: options.from.clone(),
            source: options.source,
            destination: options.destination,
            protocol: options.protocol,
            source_port: options.source_port,
            destination_port: options.destination_port,
            tcp_flags: options.tcp_flags.clone(),
            icmp_type: options.icmp_type,
            icmp_code: options.icmp_code,
        }
    }
}

pub(crate) fn run(options: &Options, out: &mut Out<'_>) -> Result<(), Failure> {
    if options.source.is_ipv4() != options.destination.is_ipv4() {
        let why = "source and destination are of different IP versions";
        return Err(Failure::Usage(why.to_owned()));
    }
    let request = ExplainRequest::from(options);
    if request.lacks_destination_port() {
        let why = "--destination-port is missing: without it nothing can be said of a packet of";
        return Err(Failure::Usage(format!("{why} {}", options.protocol)));
    }
    let explanation: Explanation = match options.files.ask(&request)? {
        Some(explanation) => explanation,
        None => options.daemon.client()?.post(api::EXPLAIN, &request)?,
    };
    if out.json() {
        return Ok(out.value(&explanation)?);
    }
    print(&explanation, out)
}

fn print(explanation: &Explanation, out: &mut Out<'_>) -> Result<(), Failure> {
    let mut table = Table::new(&["STAGE", "FINDING"]);
    for stage in &explanation.stages {
        table.row([stage.name.clone(), stage.finding.clone()]);
    }
    table.print("no stage was reached", out)?;
    let Explanation { verdict, reason, rule, port, session, .. } = explanation;
    let mut last = format!("verdict: {verdict}");
    let facts = [("reason", reason), ("rule", rule), ("out by port", port), ("session", session)];
    for (name, fact) in facts {
        if let Some(fact) = fact {
            last.push_str(&format!(", {name} {fact}"));
        }
    }
    Ok(out.line(last)?)
}
