//! What the leader looks after by itself: that the log names the members, gives zones their numbers and
//! records the owner, and that members vote.
//!
//! ```text
//! listed, connected   ─► learns all ─► named in the log ─► votes   one step at a time
//! is to leave         ─► forwards nothing ─► votes no more ─► is named no more
//! first policy        ─► proposed once the log names this node
//! ```
//!
//! A node that does not lead brings those into the log that only its own papers have.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cluster_core::NodeId;
use cluster_core::membership::Kind;
use cluster_core::policy::coordinator;
use cluster_core::policy::log::{Action, Cluster, Content, Invitation, Member, Placement, Stamp};
use cluster_core::policy::{Command, Epoch, Line, Log, RequestId};
use cluster_net::raft::{Change, Generation};
use tokio::sync::oneshot;
use wire::Time;

use super::driver::{Driver, PolicyMessage};
use super::founding::{Origin, Plan, text};
use super::limits::{
    APPEND_TIMEOUT, CHANGE_TIMEOUT, CHORE_LOOK, HOUSEKEEPING, LEARN_AGAIN, PARTING,
};
use super::{peers, roster};
use crate::clock;
use crate::cluster::Admitted;

/// What is being looked after.
pub(super) struct House {
    plan: Plan,
    /// When to look again.
    due: Time,
    /// Something is under way until it is over. It tells who has learned all that there is.
    busy: Option<oneshot::Receiver<Option<NodeId>>>,
    /// Who has, since this node's start.
    learned: BTreeSet<NodeId>,
    /// Who did not in time, and when it may try again: a node with another history never will.
    resting: BTreeMap<NodeId, Time>,
    /// Who was let in by this run, and is to be invited even if it has left before.
    admitted: BTreeSet<NodeId>,
    /// Since when the log says of who takes part in it that it is to leave, or has left.
    parting: BTreeMap<NodeId, Time>,
}

/// What should be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Chore {
    /// An entry.
    Append(Action),
    /// A node becomes a learner, or a voter.
    Change(Change),
    /// The first policy.
    Seed,
}

/// What is known when the leader looks.
struct View<'a> {
    log: &'a Log,
    plan: &'a Plan,
    own: NodeId,
    connected: Vec<NodeId>,
    voters: BTreeSet<NodeId>,
    /// Who takes part, and was told that it is not to: it votes no more.
    parting: BTreeSet<NodeId>,
    /// Who takes part no more, and is still named.
    parted: BTreeSet<NodeId>,
    /// Who has learned all that there is, and who is not to try it now.
    learned: &'a BTreeSet<NodeId>,
    resting: BTreeSet<NodeId>,
    owner: Option<(NodeId, cluster_core::Term)>,
    zones: Vec<String>,
    /// The history that this node has a part of.
    generation: Option<Generation>,
}

impl House {
    pub(super) fn new(plan: Plan) -> Self {
        let (learned, resting, parting) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
        let admitted = BTreeSet::new();
        Self { plan, due: Time::ZERO, busy: None, learned, resting, admitted, parting }
    }

    /// A node was let in here.
    pub(super) fn admit(&mut self, (node, member): Admitted) {
        let Some(address) = member.addresses.first().copied() else { return };
        let member = Member { kind: member.kind, address, name: Default::default() };
        self.plan.roster.retain(|(known, _)| *known != node);
        self.plan.roster.push((node, member));
        self.admitted.insert(node);
        self.resting.remove(&node);
        self.look();
    }

    /// Something has changed.
    pub(super) fn look(&mut self) {
        self.due = Time::ZERO;
    }

    /// When to look again.
    pub(super) fn next(&self, now: Time) -> Option<Duration> {
        Some(self.due.since(now))
    }

    /// Of those that are not to take part: who does, and was told so by now.
    fn parting(&mut self, out: &BTreeSet<NodeId>, part: &[NodeId], now: Time) -> BTreeSet<NodeId> {
        let leaves = |node: &NodeId| out.contains(node) && part.contains(node);
        self.parting.retain(|node, _| leaves(node));
        for node in part.iter().filter(|node| leaves(node)) {
            self.parting.entry(*node).or_insert(now);
        }
        // Who comes back learns anew.
        self.learned.retain(|node| !out.contains(node));
        let told = |(_, since): &(&NodeId, &Time)| now.since(**since) >= PARTING;
        self.parting.iter().filter(told).map(|(node, _)| *node).collect()
    }

    /// Forgets whom it let in once the log knows of them.
    fn note_invited(&mut self, cluster: &Cluster) {
        let invited = cluster.invited();
        let known =
            |node: &NodeId| invited.contains_key(node) || cluster.members().contains_key(node);
        self.admitted.retain(|node| !known(node));
    }

    fn is_busy(&mut self) -> bool {
        let Some(busy) = &mut self.busy else { return false };
        match busy.try_recv() {
            Err(oneshot::error::TryRecvError::Empty) => return true,
            Ok(learned) => self.learned.extend(learned),
            Err(oneshot::error::TryRecvError::Closed) => {}
        }
        self.busy = None;
        false
    }
}

/// Does what is due, if this node leads.
pub(super) fn keep(driver: &mut Driver) {
    let now = clock::now();
    if driver.house.due > now {
        return;
    }
    let (raft, house) = (&driver.raft, &mut driver.house);
    raft.look(|log, _| house.note_invited(log.cluster()));
    if driver.house.is_busy() {
        driver.house.due = now + CHORE_LOOK;
        return;
    }
    driver.house.due = now + HOUSEKEEPING;
    let (leads, own) = (driver.leads(), driver.node);
    let (raft, house) = (&driver.raft, &mut driver.house);
    if let Some(invitation) = raft.look(|log, _| invitation(log, house, own, leads)) {
        return carry_out(driver, invitation);
    }
    if !leads {
        return;
    }
    let status = driver.raft.status();
    let connected = driver.sender.as_ref().map(|sender| sender.peers()).unwrap_or_default();
    let connected = connected.into_iter().map(|(node, _)| node).collect();
    let zones = driver.zones();
    let (gone, leaving) =
        driver.raft.look(|log, _| (log.cluster().gone(), log.cluster().leaving()));
    let part: Vec<NodeId> = status.voters.iter().chain(&status.learners).copied().collect();
    let parting = driver.house.parting(&gone.union(&leaving).copied().collect(), &part, now);
    let parted = leaving.into_iter().filter(|node| !part.contains(node)).collect();
    let House { plan, learned, resting, .. } = &driver.house;
    let resting = resting.iter().filter(|(_, until)| **until > now).map(|(node, _)| *node);
    let (owner, own, resting) = (driver.standing.owner, driver.node, resting.collect());
    let chore = driver.raft.look(|log, _| {
        let (voters, generation) = (status.voters, status.generation);
        chore(&View {
            log,
            plan,
            own,
            connected,
            voters,
            parting,
            parted,
            learned,
            resting,
            owner,
            zones,
            generation,
        })
    });
    if let Some(chore) = chore {
        carry_out(driver, chore);
    }
}

/// Who is to be brought into the log because this node let it in: the next one, if there is any. What a
/// leader knows from its papers it names without that.
fn invitation(log: &Log, house: &House, own: NodeId, leads: bool) -> Option<Chore> {
    let cluster = log.cluster();
    let (invited, gone) = (cluster.invited(), cluster.gone());
    let is_new = |(node, _): &&(NodeId, Member)| {
        let named = cluster.members().contains_key(node);
        let admitted = house.admitted.contains(node);
        let wanted = admitted || !leads && !gone.contains(node);
        *node != own && !named && !invited.contains_key(node) && wanted
    };
    let new = house.plan.roster.iter().find(is_new);
    let (node, it) = new.filter(|_| cluster.members().contains_key(&own))?;
    let (key, value) = Invitation { kind: it.kind, address: it.address }.setting(*node);
    Some(Chore::Append(Action::SetSetting { key, value: Some(value) }))
}

fn chore(view: &View<'_>) -> Option<Chore> {
    let View { log, plan, own, .. } = view;
    if let Some(chore) = recovered(view) {
        return Some(chore);
    }
    if let Some(node) = view.parting.first() {
        return Some(Chore::Change(Change::Remove(node.0)));
    }
    if let Some(node) = view.parted.first() {
        return Some(Chore::Append(Action::RemoveMember { node: *node }));
    }
    let named = |node: NodeId| log.cluster().members().get(&node);
    for (node, member) in &roster::wanted(log.cluster(), *own, &plan.roster) {
        let (node, is_own) = (*node, node == own);
        let votes = view.voters.contains(&node);
        if is_own && named(node) != Some(member) {
            return Some(set_member(node, member));
        }
        let learned = view.learned.contains(&node);
        let rests = !learned && view.resting.contains(&node);
        if is_own || votes || rests || !view.connected.contains(&node) {
            continue;
        }
        return Some(if !learned {
            Chore::Change(Change::AddLearner(node.0))
        } else if named(node) != Some(member) {
            set_member(node, member)
        } else {
            Chore::Change(Change::Promote(node.0))
        });
    }
    let is_empty = log.revisions().next().is_none() && log.pending().is_none();
    let seeded = matches!(plan.origin, Origin::Founder(Some(_)));
    if is_empty && seeded && named(*own).is_some_and(|it| it.kind == Kind::Firewall) {
        return Some(Chore::Seed);
    }
    owner(view).or_else(|| zones(view))
}

/// A node that went on alone for good says so: the others are no members any more.
fn recovered(view: &View<'_>) -> Option<Chore> {
    let Generation { number, founder } = view.generation?;
    let new = number > 1 && number > view.log.cluster().generation();
    let alone = founder == view.own.0 && view.log.cluster().members().contains_key(&view.own);
    let action = Action::Recover { generation: number, survivor: view.own };
    (new && alone).then_some(Chore::Append(action))
}

fn set_member(node: NodeId, member: &Member) -> Chore {
    Chore::Append(Action::SetMember { node, member: member.clone() })
}

fn owner(view: &View<'_>) -> Option<Chore> {
    let (owner, term) = view.owner?;
    let new = term > view.log.cluster().placement().term;
    let placement = Placement { owner, term };
    new.then_some(Chore::Append(Action::SetPlacement { placement }))
}

fn zones(view: &View<'_>) -> Option<Chore> {
    let numbered = view.log.cluster().zones();
    let names = view.zones.iter().filter_map(|name| Line::new(name).ok());
    let zones: Vec<Line> = names.filter(|name| !numbered.contains_key(name)).collect();
    (!zones.is_empty()).then_some(Chore::Append(Action::NumberZones { zones }))
}

fn carry_out(driver: &mut Driver, chore: Chore) {
    let (done, busy) = oneshot::channel();
    let raft = driver.raft.clone();
    match chore {
        Chore::Append(action) => {
            let command = Command { request: None, stamp: stamp(driver.node), action };
            tokio::spawn(async move {
                if let Err(error) = peers::propose(&raft, &command, APPEND_TIMEOUT).await {
                    tracing::debug!(?error, "an entry of the leader's own");
                }
                let _ = done.send(None);
            });
        }
        Chore::Change(change) => {
            let learner = match change {
                Change::AddLearner(node) => Some(NodeId(node)),
                Change::Promote(_) | Change::Remove(_) | Change::Replace { .. } => None,
            };
            if let Some(node) = learner {
                driver.house.resting.insert(node, clock::now() + LEARN_AGAIN);
            }
            tracing::info!(?change, "members of the log");
            tokio::spawn(async move {
                let changed = raft.change(change, CHANGE_TIMEOUT).await;
                if let Err(error) = &changed {
                    tracing::warn!(?error, ?change, "the members of the log did not change");
                }
                let _ = done.send(learner.filter(|_| changed.is_ok()));
            });
        }
        Chore::Seed => seed(driver, done),
    }
    driver.house.busy = Some(busy);
    driver.house.due = clock::now() + CHORE_LOOK;
}

/// Proposes the first policy, as if an operator did.
fn seed(driver: &mut Driver, done: oneshot::Sender<Option<NodeId>>) {
    let Origin::Founder(Some(seed)) = driver.house.plan.origin.clone() else { return };
    let text = match text(&seed.text) {
        Ok(text) => text,
        Err(error) => {
            tracing::error!(%error, "the first policy is not taken");
            driver.house.plan.origin = Origin::Founder(None);
            return;
        }
    };
    let action = Action::Propose {
        base: Epoch::NONE,
        content: Content::Text { text },
        file: Line::cut(&seed.file),
        comment: Line::cut("first policy"),
        confirm: None,
    };
    let request = Some(RequestId(super::desk::random()));
    let command = Command { request, stamp: stamp(driver.node), action };
    let (answer, answered) = oneshot::channel();
    drop(driver.myself.cast(PolicyMessage::Request(Box::new(command), answer)));
    tokio::spawn(async move {
        match answered.await {
            Ok(coordinator::Answer::Done { outcome, .. }) if outcome.moves_policy() => {}
            Ok(answer) => tracing::error!(?answer, "the first policy is not in force"),
            Err(_) => {}
        }
        let _ = done.send(None);
    });
}

fn stamp(node: NodeId) -> Stamp {
    Stamp { author: Line::cut(&format!("node {node}")), wall: clock::wall() }
}

#[cfg(test)]
mod tests {
    use cluster_core::Term;
    use cluster_core::policy::{Replicated as _, encode_command};

    use super::*;
    use crate::node::Seed;

    fn member(kind: Kind) -> Member {
        Member { kind, address: ([10, 0, 0, 1], 7_400).into(), name: Line::default() }
    }

    fn apply(log: &mut Log, action: Action) {
        let command = Command { request: None, stamp: Stamp::default(), action };
        let index = log.summary().applied + 1;
        log.apply(index, &encode_command(&command));
    }

    /// A pair: what the leader does, step by step, until nothing is left.
    #[test]
    fn a_pair_comes_together_one_step_at_a_time() {
        let [one, two] = [NodeId(1), NodeId(2)];
        let seed = Seed { file: "p.toml".to_owned(), text: "[zones]\n".to_owned() };
        let roster = vec![(one, member(Kind::Firewall)), (two, member(Kind::Firewall))];
        let plan = Plan { origin: Origin::Founder(Some(seed)), roster };
        let mut log = Log::default();
        let (mut voters, mut learned) = (BTreeSet::from([one]), BTreeSet::new());
        let mut connected = vec![];
        let mut done = Vec::new();
        for _ in 0..9 {
            let view = View {
                log: &log,
                plan: &plan,
                own: one,
                connected: connected.clone(),
                voters: voters.clone(),
                parting: BTreeSet::new(),
                parted: BTreeSet::new(),
                learned: &learned,
                // It has just begun to learn; that it has counts more.
                resting: learned.clone(),
                owner: Some((two, Term(3))),
                zones: vec!["a".to_owned()],
                generation: Some(Generation { number: 1, founder: 1 }),
            };
            let Some(chore) = chore(&view) else { break };
            done.push(chore.clone());
            match chore {
                Chore::Append(action) => apply(&mut log, action),
                Chore::Change(Change::AddLearner(node)) => {
                    learned.insert(NodeId(node));
                }
                Chore::Change(Change::Promote(node)) => {
                    voters.insert(NodeId(node));
                }
                Chore::Change(other) => panic!("{other:?}"),
                Chore::Seed => {
                    let text = text("[zones]\n").expect("short");
                    let content = Content::Text { text };
                    let (file, comment) = (Line::default(), Line::default());
                    let base = Epoch::NONE;
                    apply(
                        &mut log,
                        Action::Propose { base, content, file, comment, confirm: None },
                    );
                    let proposal = log.pending().expect("pending").proposal;
                    apply(&mut log, Action::Switch { proposal });
                    connected.push(two);
                }
            }
        }
        let placement = Placement { owner: two, term: Term(3) };
        let expected = [
            set_member(one, &member(Kind::Firewall)),
            Chore::Seed,
            Chore::Change(Change::AddLearner(2)),
            set_member(two, &member(Kind::Firewall)),
            Chore::Change(Change::Promote(2)),
            Chore::Append(Action::SetPlacement { placement }),
            Chore::Append(Action::NumberZones { zones: vec![Line::cut("a")] }),
        ];
        assert_eq!(done, expected);
    }

    #[test]
    fn who_does_not_learn_is_left_alone_for_a_while() {
        let [one, two] = [NodeId(1), NodeId(2)];
        let roster = vec![(one, member(Kind::Firewall)), (two, member(Kind::Firewall))];
        let plan = Plan { origin: Origin::Founder(None), roster };
        let mut log = Log::default();
        apply(&mut log, Action::SetMember { node: one, member: member(Kind::Firewall) });
        let learned = BTreeSet::new();
        let with = |resting| View {
            log: &log,
            plan: &plan,
            own: one,
            connected: vec![two],
            voters: BTreeSet::from([one]),
            parting: BTreeSet::new(),
            parted: BTreeSet::new(),
            learned: &learned,
            resting,
            owner: None,
            zones: Vec::new(),
            generation: None,
        };
        assert_eq!(chore(&with(BTreeSet::from([two]))), None);
        let learns = Chore::Change(Change::AddLearner(2));
        assert_eq!(chore(&with(BTreeSet::new())), Some(learns));
    }
}
