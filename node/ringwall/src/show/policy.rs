//! `show policy`.

use config::api::{self, Policy, Rule, Zone};

use super::agreement::{self, With};
use crate::daemon::Daemon;
use crate::failure::Failure;
use crate::out::Out;
use crate::table::{Table, duration};

pub(super) fn run(daemon: &Daemon, out: &mut Out<'_>) -> Result<(), Failure> {
    let client = daemon.client()?;
    let policy: Policy = client.get(api::POLICY)?;
    let status = agreement::ask(&client)?;
    if out.json() {
        return Ok(out.value(&With { answer: &policy, policy_status: status.as_ref() })?);
    }
    let comment = policy.comment.as_deref().map(|text| format!(" ({text})")).unwrap_or_default();
    out.line(format!("epoch {}{comment}, digest {}", policy.epoch, policy.digest))?;
    if let Some(status) = &status {
        agreement::policy(status, out)?;
        agreement::log(status, out)?;
    }
    rules(&policy, out)
}

fn rules(policy: &Policy, out: &mut Out<'_>) -> Result<(), Failure> {
    for zone in &policy.zones {
        out.line(zone_line(zone))?;
    }
    let heading = [
        "RULE",
        "FROM",
        "TO",
        "SOURCE",
        "DESTINATION",
        "SERVICE",
        "ACTION",
        "SESSIONS",
        "HITS",
        "LAST HIT",
    ];
    let mut table = Table::new(&heading);
    policy.rules.iter().for_each(|rule| table.row(row(rule)));
    table.print("no rules: everything is denied", out)?;
    Ok(out.line(format!("no rule matched {} packets", policy.no_rule_hits))?)
}

fn zone_line(zone: &Zone) -> String {
    let sessions = used(zone.sessions, zone.sessions_max);
    format!("zone {}: {}; sessions {sessions}", zone.name, zone.ports.join(", "))
}

/// How many there are, and how many there may be.
fn used(sessions: u64, max: Option<u32>) -> String {
    max.map_or_else(|| sessions.to_string(), |max| format!("{sessions}/{max}"))
}

fn row(rule: &Rule) -> [String; 10] {
    let any = |text: Option<&str>| text.unwrap_or("any").to_owned();
    let last = rule.last_hit_milliseconds.map(|ago| format!("{} ago", duration(ago)));
    [
        rule.id.clone(),
        any(rule.from.as_deref()),
        any(rule.to.as_deref()),
        list(&rule.source),
        list(&rule.destination),
        list(&rule.service),
        action(rule),
        used(rule.sessions, rule.sessions_max),
        rule.hits.to_string(),
        last.unwrap_or_else(|| "never".to_owned()),
    ]
}

fn action(rule: &Rule) -> String {
    let pick_up = if rule.pick_up { ",pick-up" } else { "" };
    let algs: String = rule.alg.iter().map(|alg| format!(",{alg}")).collect();
    format!("{}{pick_up}{algs}", rule.action.name())
}

/// The first few of a list: a rule may name thousands.
pub(super) fn list(entries: &[String]) -> String {
    const SHOWN: usize = 3;
    match entries.len() {
        0 => "any".to_owned(),
        1..=SHOWN => entries.join(","),
        more => format!("{},+{}", entries[..SHOWN].join(","), more - SHOWN),
    }
}
