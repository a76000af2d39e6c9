//! The policy's actor: one mailbox for everything that happens, one match for everything that follows.
//!
//! Nothing here waits: compiling, switching, proposing and asking are tasks that send back what came of
//! them. If the actor panics, the permit is revoked, and the node stops forwarding.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cluster_core::NodeId;
use cluster_core::policy::coordinator::{self, Answer, Liveness, Ticket};
use cluster_core::policy::local::{self, Facts, Purpose, Report};
use cluster_core::policy::{Command, Coordinator, Line, Local, Log, PolicyText, Summary, Version};
use cluster_net::raft::{Leadership, Raft};
use cluster_net::store::Roster;
use cluster_net::transport::{Call, Sender};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use wire::Time;

use super::aside::aside;
use super::check::Checker;
use super::disk::{self, Disk, Note, Writer};
use super::founding::{Founding, Grounds};
use super::housekeeping::House;
use super::lately::Lately;
use super::permit::Permit;
use super::workbench::{Order, Ready, Workbench};
use super::{InForce, peers, roster, say};
use crate::clock;
use crate::cluster::Admitted;

/// What membership says, as far as it concerns the policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The other members.
    pub(crate) members: Vec<(NodeId, Liveness)>,
    /// Whether this node may go on without any other.
    pub(crate) alone: bool,
    /// Who owns, and since which term, if that is known.
    pub(crate) owner: Option<(NodeId, cluster_core::Term)>,
}

/// What others see of this node's machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The trial that it is on.
    pub(crate) trial: Option<local::Armed>,
    /// Whether a lease may begin, or go on.
    pub(crate) may_forward: bool,
    /// Why it cannot run the newest policy.
    pub(crate) unable: Option<Line>,
}

/// What the actor is told.
pub(crate) enum PolicyMessage {
    /// The log has moved.
    Applied,
    /// Raft has a leader, or another, or none.
    Leadership(Leadership),
    /// A policy is compiled, or cannot be.
    Compiled(Purpose, Version, Box<Result<Ready, Line>>),
    /// Every worker runs it.
    Switched(Version),
    /// It is on the disk.
    Saved(Facts),
    /// Membership says this.
    Standing(Standing),
    /// A member asks something.
    Asked(Call),
    /// A member's report has come.
    Reported(Box<Report>),
    /// A member's log stands still, as it said when it was asked.
    StandsStill { node: NodeId, asked: Time, why: Line },
    /// The leader has cleared this node.
    Cleared { asked: Time, index: u64 },
    /// As the leader, this node has made sure that it leads, for the sake of who wants to be cleared.
    Leading { node: NodeId, asked: Time, index: u64 },
    /// An operator wants something, and this node leads.
    Request(Box<Command>, oneshot::Sender<Answer>),
    /// A node was let in here.
    Admitted(Admitted),
    /// What was to be appended for a request cannot be.
    NotAppended(Box<Command>),
    /// Time has passed.
    Tick,
}

/// The behaviour; its state is [`Driver`].
pub(crate) struct PolicyActor;

/// What the actor is started with.
pub(crate) struct Staff {
    pub(crate) node: NodeId,
    pub(crate) founding: Founding,
    pub(crate) grounds: Grounds,
    pub(crate) sender: Option<Sender>,
    pub(crate) permit: Permit,
    pub(crate) standing: watch::Receiver<Standing>,
    /// What the log says of the members, for the part in the cluster.
    pub(crate) roster: watch::Sender<Roster>,
    /// Who was let in here.
    pub(crate) admitted: mpsc::Receiver<Admitted>,
    pub(crate) in_force: watch::Sender<InForce>,
    pub(crate) epochs: crate::epochs::Epochs,
    pub(crate) ports: Vec<String>,
    pub(crate) implicit: Vec<super::Implicit>,
    pub(crate) shards: Vec<crate::shard::Shard>,
    pub(crate) program: Option<Arc<std::sync::Mutex<crate::gate::Gate>>>,
}

impl Staff {
    /// What texts are checked for; none on a witness.
    pub(super) fn checker(&self) -> Option<Checker> {
        let checker = || Checker::new(self.ports.clone(), self.implicit.clone());
        self.program.is_some().then(checker)
    }
}

/// What the actor works with.
pub(crate) struct Driver {
    pub(super) node: NodeId,
    pub(super) myself: ActorRef<PolicyMessage>,
    pub(super) raft: Raft<Log>,
    pub(super) sender: Option<Sender>,
    pub(super) leadership: Leadership,
    pub(super) local: Local,
    pub(super) coordinator: Coordinator,
    pub(super) standing: Standing,
    pub(super) house: House,
    roster: watch::Sender<Roster>,
    pub(super) checker: Option<Checker>,
    permit: Permit,
    bench: Workbench,
    disk: Disk,
    writer: Writer,
    in_force: watch::Sender<InForce>,
    seen: watch::Sender<Seen>,
    /// Texts that were on the disk at the start, should the log not have them.
    remembered: Vec<(cluster_core::policy::Epoch, PolicyText)>,
    waiting: BTreeMap<Ticket, (Option<cluster_core::policy::RequestId>, oneshot::Sender<Answer>)>,
    tickets: u64,
    /// Who waits to be cleared, by its question.
    clearing: Vec<(NodeId, Time, Call)>,
    /// Whether the log has moved since it was looked at.
    moved: Arc<AtomicBool>,
    lately: Lately,
    tick: Option<JoinHandle<Result<(), ractor::MessagingErr<PolicyMessage>>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Driver {
    fn start(
        myself: ActorRef<PolicyMessage>,
        (staff, checker): (Staff, Option<Checker>),
        seen: watch::Sender<Seen>,
        lately: Lately,
    ) -> std::io::Result<Self> {
        let Founding { disk, remembered, .. } = staff.founding;
        let Grounds { raft, applied, plan } = staff.grounds;
        let clocks = clock::all();
        let moved = Arc::new(AtomicBool::new(true));
        let told = myself.clone();
        let writer = Writer::start(disk.clone(), move |facts| {
            drop(told.cast(PolicyMessage::Saved(facts)));
        })?;
        let tasks = vec![
            tokio::spawn(peers::tell_applied(applied, Arc::clone(&moved), myself.clone())),
            tokio::spawn(peers::tell_leadership(raft.leadership(), myself.clone())),
            tokio::spawn(peers::tell_standing(staff.standing.clone(), myself.clone())),
            tokio::spawn(peers::tell_admitted(staff.admitted, myself.clone())),
        ];
        let ready = Vec::new();
        let (ports, implicit) = (staff.ports, staff.implicit);
        let (shards, program) = (staff.shards, staff.program);
        let mut it = Self {
            node: staff.node,
            myself,
            raft,
            sender: staff.sender,
            leadership: Leadership::default(),
            local: Local::new(staff.node, remembered.facts, &clocks),
            coordinator: Coordinator::new(staff.node),
            standing: Standing::default(),
            house: House::new(plan),
            roster: staff.roster,
            checker,
            permit: staff.permit,
            bench: Workbench { ports, implicit, shards, program, ready, epochs: staff.epochs },
            disk,
            writer,
            in_force: staff.in_force,
            seen,
            remembered: remembered.texts,
            waiting: BTreeMap::new(),
            tickets: 0,
            clearing: Vec::new(),
            moved,
            lately,
            tick: None,
            tasks,
        };
        if let Some(sender) = &it.sender {
            let calls = sender.answer_calls(cluster_net::transport::Channel::Policy);
            it.tasks.push(tokio::spawn(peers::tell_calls(calls, it.myself.clone())));
        }
        it.see_log();
        it.settle();
        Ok(it)
    }

    fn take(&mut self, message: PolicyMessage) {
        match message {
            PolicyMessage::Applied => self.see_log(),
            PolicyMessage::Leadership(leadership) => self.lead(leadership),
            PolicyMessage::Compiled(purpose, version, result) => {
                self.compiled(purpose, version, *result);
            }
            PolicyMessage::Switched(version) => self.switched(version),
            PolicyMessage::Saved(facts) => self.tell_local(local::Input::Saved(facts)),
            PolicyMessage::Standing(standing) => self.stand(standing),
            PolicyMessage::Asked(call) => peers::answer(self, call),
            PolicyMessage::Reported(report) => {
                self.tell_coordinator(coordinator::Input::Report(&report));
            }
            PolicyMessage::StandsStill { node, asked, why } => {
                let told = coordinator::Input::StandsStill { node, asked, why: &why };
                self.tell_coordinator(told);
            }
            PolicyMessage::Cleared { asked, index } => {
                // Nobody tells of Raft's own entries.
                self.see_log();
                self.tell_local(local::Input::Cleared { asked, index });
            }
            PolicyMessage::Leading { node, asked, index } => {
                self.tell_coordinator(coordinator::Input::Clearance { node, asked, index });
            }
            PolicyMessage::Request(command, answer) => self.request(&command, answer),
            PolicyMessage::Admitted(admitted) => self.house.admit(admitted),
            PolicyMessage::NotAppended(command) => self.not_appended(&command),
            PolicyMessage::Tick => {
                self.tell_local(local::Input::Tick);
                self.tell_coordinator(coordinator::Input::Tick);
            }
        }
        self.settle();
    }

    /// Tells this node's machine something. Whether there is a lease is looked at first, with none to begin
    /// meanwhile: a machine that moves must know whether the node forwards.
    pub(super) fn tell_local(&mut self, input: local::Input) {
        let clocks = clock::all();
        let holds = self.permit.close();
        self.local.handle(local::Input::Lease(holds), &clocks);
        self.local.handle(input, &clocks);
        self.permit.open(self.local.may_begin_until(&clocks), self.local.may_go_on());
    }

    pub(super) fn tell_coordinator(&mut self, input: coordinator::Input<'_>) {
        self.coordinator.handle(input, &clock::all());
    }

    fn see_log(&mut self) {
        self.moved.store(false, Ordering::SeqCst);
        let summary = self.raft.look(|log, index| {
            let summary = log.summary();
            // Raft's own entries count: the leader's question for what is committed counts them, too.
            Summary { applied: summary.applied.max(index.unwrap_or(0)), ..summary }
        });
        self.tell_roster();
        self.tell_local(local::Input::Log(summary));
        let trial = self.local.trial();
        let coordinator = &mut self.coordinator;
        self.raft.look(|log, _| {
            coordinator.handle(coordinator::Input::Log(log, trial), &clock::all());
        });
        self.house.look();
    }

    /// Tells the part in the cluster who belongs to it, if that is news.
    pub(super) fn tell_roster(&self) {
        let roster = self.raft.look(|log, _| roster::of(log.cluster()));
        self.roster.send_if_modified(|it| {
            let changed = *it != roster;
            *it = roster;
            changed
        });
    }

    fn lead(&mut self, leadership: Leadership) {
        if leadership.leader != self.leadership.leader {
            // What the last one was told, the next one may not know.
            self.tell_local(local::Input::Asked);
        }
        if leadership.running != self.leadership.running {
            let why = (!leadership.running).then(|| self.why_stalled());
            self.tell_local(local::Input::Stalled(why));
        }
        self.leadership = leadership;
        let leads = self.leads();
        self.tell_coordinator(coordinator::Input::Leads(leads));
        self.house.look();
    }

    fn why_stalled(&self) -> Line {
        Line::cut(&match self.raft.status().ailment {
            Some(why) => format!("its disk failed ({why}), and its log stands still"),
            None => "its log has stopped".to_owned(),
        })
    }

    /// Whether this node leads, and a majority said so lately.
    pub(super) fn leads(&self) -> bool {
        self.leadership.own && self.leadership.leader == Some(self.node)
    }

    fn stand(&mut self, standing: Standing) {
        tracing::debug!(?standing, "membership");
        for (node, liveness) in &standing.members {
            self.coordinator.handle(coordinator::Input::Liveness(*node, *liveness), &clock::all());
        }
        self.tell_local(local::Input::Alone(standing.alone));
        self.standing = standing;
        self.house.look();
    }

    fn compiled(&mut self, purpose: Purpose, version: Version, result: Result<Ready, Line>) {
        let running = self.local.running();
        let result = result.map(|ready| self.bench.keep(ready, running));
        self.tell_local(local::Input::Compiled { purpose, version, result });
    }

    fn switched(&mut self, version: Version) {
        if let Some(ready) = self.bench.get(version) {
            let changed = self.in_force.borrow().version != version;
            self.in_force.send_replace(ready.in_force.clone());
            if changed {
                let (epoch, revision) = (version.epoch.0, version.source.0);
                tracing::info!(epoch, revision, "another policy is in force");
            }
        }
        self.tell_local(local::Input::Running(version));
    }

    fn request(&mut self, command: &Command, answer: oneshot::Sender<Answer>) {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.waiting.retain(|_, (_, waiting)| !waiting.is_closed());
        self.waiting.insert(ticket, (command.request, answer));
        let coordinator = &mut self.coordinator;
        self.raft.look(|log, _| {
            coordinator.handle(coordinator::Input::Request(ticket, command, log), &clock::all());
        });
    }

    /// The log did not take a request: nobody need wait for its outcome.
    fn not_appended(&mut self, command: &Command) {
        let Some(request) = command.request else { return };
        let waits = |(asked, _): &(Option<_>, _)| *asked == Some(request);
        let tickets: Vec<Ticket> =
            self.waiting.iter().filter(|(_, it)| waits(it)).map(|(ticket, _)| *ticket).collect();
        for ticket in tickets {
            self.answer(ticket, Answer::Unknown { down: Vec::new() });
        }
    }

    fn answer(&mut self, ticket: Ticket, answer: Answer) {
        if let Some((_, waiting)) = self.waiting.remove(&ticket) {
            // Whoever asked may have gone.
            let _ = waiting.send(answer);
        }
    }

    /// Carries out what follows, until nothing does, and sees to it that time is noticed.
    fn settle(&mut self) {
        loop {
            if let Some(output) = self.local.poll_output() {
                self.carry_out(output);
            } else if let Some(output) = self.coordinator.poll_output() {
                self.carry_out_leading(output);
            } else {
                break;
            }
        }
        super::housekeeping::keep(self);
        self.show();
        self.wind_up();
    }

    fn show(&self) {
        let seen = Seen {
            trial: self.local.trial(),
            may_forward: self.local.may_forward(&clock::all()),
            unable: self.local.unable().cloned(),
        };
        self.seen.send_if_modified(|it| {
            let changed = *it != seen;
            *it = seen;
            changed
        });
    }

    /// The zones of the policy that runs.
    pub(super) fn zones(&self) -> Vec<String> {
        let in_force = self.in_force.borrow();
        in_force.source.zones.iter().map(|zone| zone.name.clone()).collect()
    }

    fn carry_out(&mut self, output: local::Output) {
        match output {
            local::Output::Compile { purpose, version } => self.compile(purpose, version),
            local::Output::Run(version) => self.run(version),
            local::Output::Save(facts) => {
                let texts = disk::sources(&facts);
                let texts = texts.filter_map(|source| Some((source, self.text(source)?)));
                self.writer.write(Note { facts, texts: texts.collect() });
            }
            local::Output::Tell(report) => peers::tell(self, report),
            // A witness forwards nothing.
            local::Output::AskClearance { .. } if self.bench.program.is_none() => {}
            local::Output::AskClearance { asked } => peers::ask_clearance(self, asked),
            local::Output::Event(event) => say::event(&event),
        }
    }

    fn carry_out_leading(&mut self, output: coordinator::Output) {
        match output {
            coordinator::Output::Append(command) => peers::append(self, command),
            coordinator::Output::Ask(node) if node == self.node => {
                let report = self.local.report();
                self.tell_coordinator(coordinator::Input::Report(&report));
            }
            coordinator::Output::Ask(node) => peers::ask_report(self, node),
            coordinator::Output::Clear { node, asked, index } if node == self.node => {
                self.see_log();
                self.tell_local(local::Input::Cleared { asked, index });
            }
            coordinator::Output::Clear { node, asked, index } => {
                let waits = |(who, when, _): &(NodeId, Time, _)| (*who, *when) == (node, asked);
                if let Some(at) = self.clearing.iter().position(waits) {
                    let (_, _, call) = self.clearing.remove(at);
                    peers::cleared(call, index);
                }
            }
            coordinator::Output::Answer(ticket, answer) => self.answer(ticket, answer),
        }
    }

    /// Notes who waits to be cleared; who asked long ago does not wait any more.
    pub(super) fn clear_later(&mut self, node: NodeId, asked: Time, call: Call) {
        self.clearing.retain(|(who, _, _)| *who != node);
        self.clearing.push((node, asked, call));
    }

    fn compile(&self, purpose: Purpose, version: Version) {
        let strict = matches!(purpose, Purpose::Proposal(_));
        if let Some(ready) = self.bench.get(version).filter(|_| !strict) {
            let ready = Box::new(Ok(ready.clone()));
            drop(self.myself.cast(PolicyMessage::Compiled(purpose, version, ready)));
            return;
        }
        let Some(text) = self.text(version.source) else {
            let why = Line::cut("its text has not come yet");
            let missing = Box::new(Err(why));
            drop(self.myself.cast(PolicyMessage::Compiled(purpose, version, missing)));
            return;
        };
        let (file, comment) = self.label(version);
        let (ports, implicit) = (self.bench.ports.clone(), self.bench.implicit.clone());
        let disk = strict.then(|| self.disk.clone());
        let parsed = self.lately.take(&text);
        let order = Order { version, file, text, parsed, comment, strict, disk, ports, implicit };
        let told = self.myself.clone();
        aside(move || {
            let compiled = Box::new(order.compile());
            drop(told.cast(PolicyMessage::Compiled(purpose, version, compiled)));
        });
    }

    fn run(&self, version: Version) {
        let told = self.myself.clone();
        let Some(ready) = self.bench.get(version) else {
            // It was compiled a moment ago; three are kept.
            tracing::error!(epoch = version.epoch.0, "a compiled policy is gone");
            return;
        };
        let run = self.bench.run(ready);
        tokio::spawn(async move {
            run.await;
            drop(told.cast(PolicyMessage::Switched(version)));
        });
    }

    /// A revision's text, from the log or, before that is there, from the disk.
    fn text(&self, source: cluster_core::policy::Epoch) -> Option<PolicyText> {
        let noted = || self.remembered.iter().find(|(epoch, _)| *epoch == source);
        let logged = self.raft.look(|log, _| log.text(source).cloned());
        logged.or_else(|| noted().map(|(_, text)| text.clone()))
    }

    /// The file that a version came from, and its author's remark.
    fn label(&self, version: Version) -> (String, Option<String>) {
        self.raft.look(|log, _| {
            let pending = log.pending().map(|it| &it.revision);
            let pending = pending.filter(|it| it.version == version);
            let found = pending.or_else(|| log.revision(version.epoch));
            let Some(it) = found.or_else(|| log.revision(version.source)) else {
                return ("policy".to_owned(), None);
            };
            let comment = it.comment.as_str();
            let comment = (!comment.is_empty()).then(|| comment.to_owned());
            (it.file.as_str().to_owned(), comment)
        })
    }

    /// Wakes up when a machine wants to be told that time has passed.
    fn wind_up(&mut self) {
        if let Some(tick) = self.tick.take() {
            tick.abort();
        }
        let clocks = clock::all();
        let local = self.local.next_deadline().since(clocks.boottime);
        let leading = self.coordinator.next_deadline(&clocks).map(|at| at.since(clocks.now));
        let house = self.house.next(clocks.now);
        let wait = [Some(local), leading, house].into_iter().flatten().min();
        // A deadline that has passed is looked at again soon, not at once: what it waits for is under way.
        let wait = wait.unwrap_or(local).max(Duration::from_millis(1));
        self.tick = Some(self.myself.send_after(wait, || PolicyMessage::Tick));
    }

    fn stop(&mut self) {
        self.permit.revoke();
        if let Some(tick) = self.tick.take() {
            tick.abort();
        }
        self.tasks.drain(..).for_each(|task| task.abort());
    }
}

impl Drop for Driver {
    /// Also after a panic: who does not hear of commits must not forward.
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            tracing::error!("THE POLICY'S ACTOR PANICKED: this node forwards nothing; restart it");
        }
    }
}

impl Actor for PolicyActor {
    type Msg = PolicyMessage;
    type State = Driver;
    type Arguments = (Staff, Option<Checker>, watch::Sender<Seen>, Lately);

    async fn pre_start(
        &self,
        myself: ActorRef<PolicyMessage>,
        (staff, checker, seen, lately): Self::Arguments,
    ) -> Result<Driver, ActorProcessingErr> {
        Ok(Driver::start(myself, (staff, checker), seen, lately)?)
    }

    async fn handle(
        &self,
        _: ActorRef<PolicyMessage>,
        message: PolicyMessage,
        driver: &mut Driver,
    ) -> Result<(), ActorProcessingErr> {
        driver.take(message);
        Ok(())
    }

    async fn post_stop(
        &self,
        _: ActorRef<PolicyMessage>,
        driver: &mut Driver,
    ) -> Result<(), ActorProcessingErr> {
        driver.stop();
        driver.raft.stop().await;
        Ok(())
    }
}
