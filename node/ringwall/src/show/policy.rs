//! `show policy`.

use config::api::{self, Policy, Rule};

use crate::daemon::Daemon;
use crate::failure::Failure;
use crate::out::Out;
use crate::table::{Table, duration};

pub(super) fn run(daemon: &Daemon, out: &mut Out<'_>) -> Result<(), Failure> {
    let policy: Policy = daemon.client()?.get(api::POLICY)?;
    if out.json() {
        return Ok(out.value(&policy)?);
    }
    let comment = policy.comment.as_deref().map(|text| format!(" ({text})")).unwrap_or_default();
    out.line(format!("epoch {}{comment}, digest {}", policy.epoch, policy.digest))?;
    for zone in &policy.zones {
        out.line(format!("zone {}: {}", zone.name, zone.ports.join(", ")))?;
    }
    let heading =
        ["RULE", "FROM", "TO", "SOURCE", "DESTINATION", "SERVICE", "ACTION", "HITS", "LAST HIT"];
    let mut table = Table::new(&heading);
    policy.rules.iter().for_each(|rule| table.row(row(rule)));
    table.print("no rules: everything is denied", out)?;
    Ok(out.line(format!("no rule matched {} packets", policy.no_rule_hits))?)
}

fn row(rule: &Rule) -> [String; 9] {
    let any = |text: Option<&str>| text.unwrap_or("any").to_owned();
    let last = rule.last_hit_milliseconds.map(|ago| format!("{} ago", duration(ago)));
    [
        rule.id.clone(),
        any(rule.from.as_deref()),
        any(rule.to.as_deref()),
        list(&rule.source),
        list(&rule.destination),
        list(&rule.service),
        rule.action.name().to_owned(),
        rule.hits.to_string(),
        last.unwrap_or_else(|| "never".to_owned()),
    ]
}

/// The first few of a list: a rule may name thousands.
fn list(entries: &[String]) -> String {
    const SHOWN: usize = 3;
    match entries.len() {
        0 => "any".to_owned(),
        1..=SHOWN => entries.join(","),
        more => format!("{},+{}", entries[..SHOWN].join(","), more - SHOWN),
    }
}
