//! `show nat`.

use clap::Args;
use config::api::{self, NAT_PORTS_OF_ADDRESS, Nat, NatPool, NatPoolKind, NatRequest, NatRule};

use super::policy::list;
use crate::daemon::Daemon;
use crate::failure::Failure;
use crate::out::Out;
use crate::table::Table;

#[derive(Args, Debug)]
pub(super) struct Options {
    #[command(flatten)]
    daemon: Daemon,
    /// Also the inside addresses with the most ports; the daemon looks at every session for that
    #[arg(long)]
    users: bool,
}

pub(super) fn run(options: &Options, out: &mut Out<'_>) -> Result<(), Failure> {
    let request = NatRequest { users: options.users };
    let nat: Nat = options.daemon.client()?.post(api::NAT, &request)?;
    if out.json() {
        return Ok(out.value(&nat)?);
    }
    pools(&nat, out)?;
    rules(&nat, out)?;
    out.line(format!(
        "endpoint-independent mappings: {}; first packets refused for want of a port: {}",
        nat.mappings, nat.refused
    ))?;
    if options.users { users(&nat, out) } else { Ok(()) }
}

fn pools(nat: &Nat, out: &mut Out<'_>) -> Result<(), Failure> {
    let heading = [
        "POOL",
        "ADDRESSES",
        "PORTS",
        "TCP",
        "UDP",
        "ICMP",
        "SCTP",
        "FULLEST ADDRESS",
        "BORROWED",
        "REFUSED",
    ];
    let mut table = Table::new(&heading);
    for pool in &nat.pools {
        let [tcp, udp, icmp, sctp] = pool.used.entries().map(|(_, used)| used.to_string());
        let (addresses, ports) = (list(&pool.addresses), pool.ports.to_string());
        let [borrowed, refused] = [pool.borrowed, pool.refused].map(|it| it.to_string());
        let full = fullest(pool);
        table.row([name(pool), addresses, ports, tcp, udp, icmp, sctp, full, borrowed, refused]);
    }
    Ok(table.print("no pools, and no interface is translated to", out)?)
}

fn name(pool: &NatPool) -> String {
    match pool.kind {
        NatPoolKind::Pool => pool.name.clone(),
        NatPoolKind::Interface => format!("interface {}", pool.name),
        NatPoolKind::Former => "of an earlier policy".to_owned(),
    }
}

/// The address with the fewest ports left: whoever has it may be refused while others still have some.
fn fullest(pool: &NatPool) -> String {
    let address = pool.fullest().filter(|it| it.used.most() > 0);
    address.map_or_else(String::new, |it| {
        let percent = it.used.most() * 100 / NAT_PORTS_OF_ADDRESS;
        format!("{} {percent} %", it.address)
    })
}

fn rules(nat: &Nat, out: &mut Out<'_>) -> Result<(), Failure> {
    let heading = [
        "RULE",
        "TYPE",
        "FROM",
        "TO",
        "SOURCE",
        "DESTINATION",
        "SERVICE",
        "TRANSLATE",
        "SESSIONS",
        "HITS",
    ];
    let mut table = Table::new(&heading);
    nat.rules.iter().for_each(|rule| table.row(row(rule)));
    Ok(table.print("no rules: nothing is translated", out)?)
}

fn row(rule: &NatRule) -> [String; 10] {
    let any = |text: Option<&str>| text.unwrap_or("any").to_owned();
    [
        rule.id.clone(),
        rule.kind.clone(),
        any(rule.from.as_deref()),
        any(rule.to.as_deref()),
        list(&rule.source),
        list(&rule.destination),
        list(&rule.service),
        rule.translate.clone(),
        rule.sessions.to_string(),
        rule.hits.to_string(),
    ]
}

fn users(nat: &Nat, out: &mut Out<'_>) -> Result<(), Failure> {
    let mut table = Table::new(&["POOL", "USER", "PORTS"]);
    for pool in &nat.pools {
        for user in &pool.users {
            table.row([name(pool), user.address.to_string(), user.ports.to_string()]);
        }
    }
    Ok(table.print("nobody has a port", out)?)
}
