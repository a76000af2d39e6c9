//! What `show cluster` and the metrics tell, in the words of the API.

use std::collections::BTreeMap;

use config::api;

use cluster_core::membership::lease::Ground;
use cluster_core::membership::liveness::State;
use cluster_core::membership::view::{MemberView, PathView};
use cluster_core::membership::{Kind, Readiness, Refused, Request, View, Why};
use cluster_core::replication::{Link, Purpose};
use cluster_net::Counters;
use core::time::Duration;
use wire::Time;

use super::stream::StreamView;

pub(super) fn cluster(
    view: &View,
    streams: &[Option<StreamView>],
    names: &[String],
    now: Time,
) -> api::Cluster {
    let numbered = (0..).zip(streams);
    api::Cluster {
        node: view.node.0,
        kind: api::MemberKind::default(), // The node's part knows it.
        boot: view.boot.0,
        role: view.role.name().to_owned(),
        term: view.term.0,
        owner: view.owner.map(|node| node.0),
        replicates_with: view.partner.map(|node| node.0),
        lease_milliseconds: view.lease.map(|(left, _)| milliseconds(left)),
        lease_ground: view.lease.map(|(_, ground)| ground_name(ground).to_owned()),
        fitness: view.fitness.to_string(),
        readiness: readiness_name(view.readiness).to_owned(),
        policy_differs: view.policy_differs,
        saving: view.saving,
        unconfirmed: String::new(),
        not_replicating: None,
        passed_on: 0, // The workers count them.
        passed_in: 0,
        net: BTreeMap::new(), // The transport counts it.
        members: view.members.iter().map(|it| member(it, names)).collect(),
        members_settled: view.list.1,
        streams: numbered.filter_map(|(at, it)| Some(stream(at, it.as_ref()?, now))).collect(),
        last_failover: view.last_failover.map(|it| api::Failover {
            ago_milliseconds: milliseconds(now.since(it.at)),
            from: it.from.map(|node| node.0),
            term: it.term.0,
            why: why_name(it.why).to_owned(),
            detection_microseconds: microseconds(it.detection),
            claiming_microseconds: microseconds(it.claiming),
        }),
    }
}

/// What the transport counted, by name.
pub(super) fn net(counters: &Counters) -> BTreeMap<String, u64> {
    counters.by_name().into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
}

fn member(view: &MemberView, names: &[String]) -> api::ClusterMember {
    let said = view.said.as_ref();
    api::ClusterMember {
        node: view.node.0,
        kind: kind(view.kind),
        boot: view.boot.map(|boot| boot.0),
        heard_milliseconds: view.heard_ago.map(milliseconds),
        role: said.map(|said| said.role.name().to_owned()),
        term: said.map(|said| said.term.0),
        fitness: said.map(|said| said.fitness.to_string()),
        readiness: said.map(|said| readiness_name(said.readiness).to_owned()),
        same_policy: said.map(|said| said.same_policy),
        paths: view.paths.iter().map(|it| path(it, names)).collect(),
    }
}

fn path(view: &PathView, names: &[String]) -> api::ClusterPath {
    let state = match view.state {
        State::AdminDown => "admin-down",
        State::Down => "down",
        State::Init => "init",
        State::Up => "up",
    };
    let name = names.get(usize::from(view.path.0)).cloned();
    api::ClusterPath {
        name: name.unwrap_or_else(|| view.path.0.to_string()),
        state: state.to_owned(),
        round_trip_microseconds: view.round_trip.map(microseconds),
    }
}

fn stream(worker: u16, it: &StreamView, now: Time) -> api::ClusterStream {
    let (view, sent, got) = (&it.machine, &it.machine.sent, &it.machine.received);
    let (lag, engine) = (view.lag, &it.engine);
    api::ClusterStream {
        worker,
        connected: view.link == Link::Up,
        behind: [lag.queued, lag.deletes_queued, lag.bulk_queued, lag.in_flight]
            .map(u64::from)
            .iter()
            .sum(),
        behind_milliseconds: lag.oldest_nanos / 1_000_000,
        round_trip_microseconds: view.round_trip.map(microseconds),
        holds: view.holds.count(),
        hold_p50_microseconds: view.holds.below(500).map(microseconds),
        hold_p99_microseconds: view.holds.below(990).map(microseconds),
        bulk: view.bulk.map(|bulk| api::Bulk {
            purpose: purpose_name(bulk.purpose).to_owned(),
            done: bulk.done,
            total: bulk.total,
            eta_milliseconds: bulk.eta.map(milliseconds),
        }),
        in_sync_milliseconds: view.in_sync_as_of.map(|at| milliseconds(now.since(at))),
        unequal_slots: view.unequal_slots,
        records_sent: sent.records,
        records_received: got.records,
        records_refused: got.refused_full + got.refused_malformed + got.refused_unknown,
        messages_lost: sent.lost_overtaken + sent.lost_expired + sent.lost_connection + it.unsent,
        notes_lost: it.notes_lost,
        inbox_full: it.inbox_full,
        replicas_opened: engine.opened,
        replicas_updated: engine.updated,
        replicas_ended: engine.deleted,
        records_stale: engine.stale,
        conflicts: engine.conflicts,
        takeovers: engine.takeovers,
        holds_expired: engine.holds_expired,
        holds_skipped: engine.holds_skipped,
    }
}

pub(super) fn request(verb: api::ClusterVerb) -> Request {
    match verb {
        api::ClusterVerb::Failover => Request::Failover,
        api::ClusterVerb::Drain => Request::Drain,
        api::ClusterVerb::Resume => Request::Resume,
        api::ClusterVerb::Claim => Request::Claim,
    }
}

/// Why a request was refused, for people.
pub(super) fn refusal(refused: Refused) -> String {
    match refused {
        Refused::NotOwner(Some(owner)) => format!("this node is not active; node {owner} is"),
        Refused::NotOwner(None) => "this node is not active, and nobody else is".to_owned(),
        Refused::Owned(owner) => format!("node {owner} is active already"),
        Refused::NoPeer => "no other firewall is heard that could take over".to_owned(),
        Refused::PeerUnfit(peer, fitness) => format!("node {peer} cannot take over: {fitness}"),
        Refused::PeerNotReady(peer, readiness) => {
            let readiness = readiness_name(readiness);
            format!("the replicas of node {peer} are not complete: {readiness}")
        }
        Refused::PeerPolicyDiffers(peer) => {
            format!("node {peer} runs another policy: commit the same one there first")
        }
        Refused::Busy => "a switchover is under way".to_owned(),
        Refused::NotDrained => "the node is in service already".to_owned(),
        Refused::Unable(fitness) => format!("the node cannot own: {fitness}"),
    }
}

pub(super) const fn kind(kind: Kind) -> api::MemberKind {
    match kind {
        Kind::Firewall => api::MemberKind::Firewall,
        Kind::Witness => api::MemberKind::Witness,
    }
}

const fn ground_name(ground: Ground) -> &'static str {
    match ground {
        Ground::Votes => "votes",
        Ground::Alone => "alone",
    }
}

const fn readiness_name(readiness: Readiness) -> &'static str {
    match readiness {
        Readiness::Ready => "ready",
        Readiness::DeadlinePassed => "deadline-passed",
        Readiness::BulkWaiting => "bulk-waiting",
        Readiness::BulkRunning => "bulk-running",
    }
}

const fn why_name(why: Why) -> &'static str {
    match why {
        Why::Start => "start",
        Why::OwnerSilent => "owner-silent",
        Why::OwnerStopped => "owner-stopped",
        Why::Switchover => "switchover",
        Why::Regained => "regained",
    }
}

const fn purpose_name(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Join => "join",
        Purpose::Merge => "merge",
        Purpose::Repair => "repair",
    }
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn microseconds(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
