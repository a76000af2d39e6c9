//! `show cluster`.

use cluster_net::Counter;
use config::api::{self, Cluster, ClusterMember, ClusterStream, MemberKind};

use super::agreement::{self, With};
use crate::daemon::Daemon;
use crate::failure::Failure;
use crate::out::Out;
use crate::table::{Table, duration, or_none};

pub(super) fn run(daemon: &Daemon, out: &mut Out<'_>) -> Result<(), Failure> {
    let client = daemon.client()?;
    let cluster: Cluster = client.get(api::CLUSTER)?;
    let status = agreement::ask(&client)?;
    if out.json() {
        return Ok(out.value(&With { answer: &cluster, policy_status: status.as_ref() })?);
    }
    this_node(&cluster, out)?;
    if let Some(status) = &status {
        agreement::policy(status, out)?;
        agreement::log(status, out)?;
        agreement::members(status, out)?;
    }
    seen(&cluster, out)
}

/// What this node sees of the others, and what it exchanges with them.
fn seen(cluster: &Cluster, out: &mut Out<'_>) -> Result<(), Failure> {
    if cluster.kind == MemberKind::Firewall {
        let (on, into) = (cluster.passed_on, cluster.passed_in);
        out.line(format!(
            "packets passed on to the new owner {on}, taken over from the old one {into}"
        ))?;
    }
    let mut members =
        Table::new(&["NODE", "KIND", "HEARD", "ROLE", "TERM", "FITNESS", "REPLICAS", "POLICY"]);
    cluster.members.iter().for_each(|it| members.row(member(it)));
    members.print("no other member", out)?;
    let mut paths = Table::new(&["NODE", "PATH", "STATE", "ROUND TRIP"]);
    for it in &cluster.members {
        for path in &it.paths {
            let trip = microseconds(path.round_trip_microseconds);
            paths.row([it.node.to_string(), path.name.clone(), path.state.clone(), trip]);
        }
    }
    paths.print("no path", out)?;
    let heading =
        ["WORKER", "PEER", "BEHIND", "BY", "ROUND TRIP", "HELD", "P50", "P99", "BULK", "IN SYNC"];
    let mut streams = Table::new(&heading);
    cluster.streams.iter().for_each(|it| streams.row(stream(it)));
    streams.print("no worker answers", out)?;
    let heading = [
        "WORKER",
        "OPENED",
        "UPDATED",
        "ENDED",
        "STALE",
        "REFUSED",
        "CONFLICTS",
        "EXPIRED",
        "SKIPPED",
        "INBOX FULL",
    ];
    let mut counts = Table::new(&heading);
    cluster.streams.iter().for_each(|it| counts.row(counted(it)));
    counts.print("", out)?;
    let mut losses = Table::new(&["REFUSED OR LOST", "COUNT", "MEANING"]);
    lost(cluster).into_iter().for_each(|it| losses.row(it));
    Ok(losses.print("nothing was refused or lost on the fabric", out)?)
}

/// What the cluster's port and connections did not take or carry: name, how often, what it means.
fn lost(cluster: &Cluster) -> Vec<[String; 3]> {
    let row = |(name, count): (&String, &u64)| {
        let counter = Counter::named(name);
        // A newer daemon may count what this program does not know.
        let told = *count > 0 && counter.is_none_or(Counter::is_loss);
        let meaning = counter.map_or("", |it| it.explain().trim());
        told.then(|| [name.clone(), count.to_string(), meaning.to_owned()])
    };
    cluster.net.iter().filter_map(row).collect()
}

fn this_node(cluster: &Cluster, out: &mut Out<'_>) -> Result<(), Failure> {
    let Cluster { node, kind, role, term, fitness, readiness, .. } = cluster;
    match kind {
        MemberKind::Firewall => {}
        MemberKind::Witness => {
            let owner = owner(cluster);
            return Ok(out.line(format!("node {node} is a witness in term {term}; {owner}"))?);
        }
    }
    out.line(format!("node {node} is {role} in term {term}; {}", owner(cluster)))?;
    let lease = match (cluster.lease_milliseconds, &cluster.lease_ground) {
        (Some(left), Some(ground)) => format!("{left} ms left ({ground})"),
        _ => "none: it forwards nothing".to_owned(),
    };
    out.line(format!("lease {lease}; fitness {fitness}; replicas {readiness}"))?;
    let connected = cluster.streams.iter().any(|stream| stream.connected);
    out.line(match cluster.replicates_with {
        Some(partner) if connected => format!("sessions are replicated with node {partner}"),
        Some(partner) => {
            format!("sessions would be replicated with node {partner}, which is absent")
        }
        None => "sessions are replicated with nobody".to_owned(),
    })?;
    out.line(format!("packets that the peer does not confirm: {}", cluster.unconfirmed))?;
    if let Some(why) = &cluster.not_replicating {
        out.line(format!("NO SESSION IS REPLICATED: {why}"))?;
    }
    if cluster.policy_differs {
        out.line("the dead owner ran ANOTHER POLICY: commit it here, or `cluster claim`")?;
    }
    if cluster.saving {
        out.line("it waits for its disk")?;
    }
    if let Some(last) = &cluster.last_failover {
        let (ago, why) = (duration(last.ago_milliseconds), &last.why);
        let (detection, claiming) = (last.detection_microseconds, last.claiming_microseconds);
        out.line(format!(
            "it took over {ago} ago: {why}; detection {detection} µs, disk and votes {claiming} µs"
        ))?;
    }
    Ok(())
}

fn owner(cluster: &Cluster) -> String {
    match cluster.owner {
        Some(owner) => format!("node {owner} owns"),
        None => "nobody is known to own".to_owned(),
    }
}

fn member(it: &ClusterMember) -> [String; 8] {
    let policy = it.same_policy.map(|same| if same { "same" } else { "DIFFERS" });
    [
        it.node.to_string(),
        it.kind.name().to_owned(),
        it.heard_milliseconds.map_or_else(|| "never".to_owned(), |ago| format!("{ago} ms ago")),
        or_none(it.role.as_deref()),
        it.term.map(|term| term.to_string()).unwrap_or_default(),
        or_none(it.fitness.as_deref()),
        or_none(it.readiness.as_deref()),
        or_none(policy),
    ]
}

fn stream(it: &ClusterStream) -> [String; 10] {
    let bulk =
        it.bulk.as_ref().map(|bulk| format!("{} {}/{}", bulk.purpose, bulk.done, bulk.total));
    let in_sync = match (it.in_sync_milliseconds, it.unequal_slots) {
        (Some(ago), Some(0) | None) => format!("{} ago", duration(ago)),
        (_, Some(slots)) if slots > 0 => format!("{slots} slots differ"),
        _ => "-".to_owned(),
    };
    [
        it.worker.to_string(),
        if it.connected { "connected" } else { "ABSENT" }.to_owned(),
        it.behind.to_string(),
        format!("{} ms", it.behind_milliseconds),
        microseconds(it.round_trip_microseconds),
        it.holds.to_string(),
        microseconds(it.hold_p50_microseconds),
        microseconds(it.hold_p99_microseconds),
        or_none(bulk.as_deref()),
        in_sync,
    ]
}

/// Replicas opened, updated and ended; records not taken; holds that did not end by a confirmation.
fn counted(it: &ClusterStream) -> [String; 10] {
    [
        u64::from(it.worker),
        it.replicas_opened,
        it.replicas_updated,
        it.replicas_ended,
        it.records_stale,
        it.records_refused,
        it.conflicts,
        it.holds_expired,
        it.holds_skipped,
        it.inbox_full,
    ]
    .map(|count| count.to_string())
}

fn microseconds(span: Option<u64>) -> String {
    span.map_or_else(|| "-".to_owned(), |span| format!("{span} µs"))
}

#[cfg(test)]
mod tests {
    use super::lost;
    use cluster_net::Counter;
    use config::api::Cluster;

    #[test]
    fn what_was_refused_is_told_with_its_meaning_and_what_was_done_is_not() {
        let net = [("not-quic", 3), ("datagrams-sent", 9), ("stalled", 0), ("later", 1)];
        let net = net.map(|(name, count)| (name.to_owned(), count)).into();
        let told = lost(&Cluster { net, ..Cluster::default() });
        let not_quic = Counter::NotQuic.explain().trim();
        assert_eq!(told, [["later", "1", ""], ["not-quic", "3", not_quic]]);
    }
}
