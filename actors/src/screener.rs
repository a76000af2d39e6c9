//! The screener: fetches what the workers noted, has the node's detector judge it, carries out what it says.
//!
//! ```text
//! workers ─ books, 10 a second ─► detector ─► log: one line an attack and second
//!    ▲                             │ ▲  │ └──► show anomalies, show top
//!    └─ block, unblock, curb, guard ┘ │  ▼
//!                        digests of, and to, the other nodes
//! ```
//!
//! A block is in the digest that follows it, half a second later at most, and on every worker and in the XDP
//! program of the other nodes with the next beat. Without a screen in the policy there is no detector, and no
//! worker is asked.

mod front;
mod noter;
mod obey;
mod say;
mod tables;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use cluster_core::screen::{Action, Detector, Output, Screens, Settings};
use cluster_core::{Boot, NodeId};
use cluster_net::transport::Sender;
use datapath::xdp::BlockList;
use engine::screen::Observation;
use futures_util::future::join_all;
use rtrb::Consumer;
use sketch::{Book, Place, Seed};
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;
use wire::Time;
use wire::cookie::{Context, Key};

use crate::clock;
use crate::cluster::Ownership;
use crate::flow::XskWorker;
use crate::limits::{GUARD_LIFE, SCREEN_INTERVAL};
use crate::policy::InForce;
use crate::shard::Shard;

use self::front::Front;
use self::noter::Noter;
use self::obey::mss;
pub use self::obey::obey;

/// What a screener works with.
pub(crate) struct Parts {
    pub(crate) node: NodeId,
    pub(crate) boot: Boot,
    /// Of all sketches of the cluster.
    pub(crate) seed: Seed,
    pub(crate) shards: Vec<Shard>,
    pub(crate) in_force: watch::Receiver<InForce>,
    /// On a node of a cluster.
    pub(crate) fabric: Option<FabricEnd>,
    /// The XDP program's list of blocked sources and guarded destinations.
    pub(crate) blocks: Option<BlockList>,
    /// What each worker observes.
    pub(crate) observed: Vec<Consumer<Observation>>,
    /// What cookies are made with, on all nodes of the cluster.
    pub(crate) key: Key,
}

/// The way to the other nodes' detectors.
pub(crate) struct FabricEnd {
    pub(crate) sender: Sender,
    pub(crate) heard: mpsc::Receiver<Bytes>,
    pub(crate) ownership: Ownership,
}

/// The node's detector as questions see it.
#[derive(Clone)]
pub(crate) struct Watch {
    detector: Arc<Mutex<Option<Box<Detector>>>>,
    in_force: watch::Receiver<InForce>,
}

/// The task.
struct Screener {
    settings: Settings,
    shards: Vec<Shard>,
    in_force: watch::Receiver<InForce>,
    fabric: Option<FabricEnd>,
    detector: Arc<Mutex<Option<Box<Detector>>>>,
    /// A book for each shard, which is with its worker or here.
    books: Vec<Arc<Mutex<Book>>>,
    noter: Noter,
    front: Front,
    key: Key,
    /// The slot that was told last.
    slot: Option<u32>,
}

/// Starts it; it ends with the policy actor.
///
/// # Errors
/// The system gives no thread.
pub(crate) fn start(parts: Parts) -> std::io::Result<Watch> {
    let Parts { node, boot, seed, shards, in_force, fabric, blocks, observed, key } = parts;
    let settings = Settings { node, boot, seed };
    let detector = Arc::<Mutex<Option<Box<Detector>>>>::default();
    let watch = Watch { detector: Arc::clone(&detector), in_force: in_force.clone() };
    let (books, front) = (Vec::new(), Front::new(blocks));
    let (noter, slot) = (Noter::start(observed)?, None);
    let screener =
        Screener { settings, shards, in_force, fabric, detector, books, noter, front, key, slot };
    let task = tokio::spawn(screener.run());
    tokio::spawn(async move {
        if task.await.is_err() {
            tracing::error!("the screener panicked: NO ATTACK IS TOLD until the daemon restarts");
        }
    });
    Ok(watch)
}

impl Screener {
    async fn run(mut self) {
        let mut beat = tokio::time::interval(SCREEN_INTERVAL);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.follow().await;
        loop {
            tokio::select! {
                _ = beat.tick() => self.beat().await,
                Some(digest) = heard(&mut self.fabric) => self.hear(&digest),
                changed = self.in_force.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.follow().await;
                }
            }
        }
    }

    /// Another policy is in force.
    async fn follow(&mut self) {
        let (source, compiled) = {
            let in_force = self.in_force.borrow_and_update();
            (Arc::clone(&in_force.source), Arc::clone(&in_force.compiled))
        };
        if source.screens.is_empty() {
            self.front.follow(&Screens::default(), &compiled);
            *lock(&self.detector) = None;
            self.books.clear();
            self.noter.stop();
            return;
        }
        let screens = Screens::new(&source);
        self.front.follow(&screens, &compiled);
        self.noter.follow(self.settings.seed, screens.aggregation());
        let blocks: Vec<(Place, Time)> = {
            let mut detector = lock(&self.detector);
            match &mut *detector {
                Some(detector) => detector.screen(screens, clock::now()),
                None => {
                    let new = Detector::new(self.settings, screens, clock::now());
                    *detector = Some(Box::new(new));
                }
            }
            let known = detector.iter().flat_map(|it| it.blocks().map(|(at, end)| (*at, end)));
            known.collect()
        };
        if self.books.is_empty() {
            let book = |_: &Shard| Arc::new(Mutex::new(Book::new(self.settings.seed, &[])));
            self.books = self.shards.iter().map(book).collect();
        }
        // Workers forget blocks with the numbers of zones.
        for (source, until) in blocks {
            self.enforce(Output::Act(Action::Block { source, until })).await;
        }
    }

    async fn beat(&mut self) {
        if self.books.is_empty() {
            return;
        }
        self.tell_slot().await;
        let fetched = self.shards.iter().zip(&self.books).map(|(shard, book)| {
            let book = Arc::clone(book);
            shard.ask(move |worker| {
                let mut book = lock(&book);
                // Asked again after a panic, it has been fetched already.
                book.noted() > 0 || worker.engine().exchange_book(&mut book)
            })
        });
        // A shard that does not answer notes nothing either.
        join_all(fetched).await;
        let now = clock::now();
        self.front.expire(now);
        let answered = self.front.take_answered();
        let (said, digests) = self.judge(&answered, now);
        for output in said {
            self.carry_out(output).await;
        }
        if let Some(fabric) = &self.fabric {
            for digest in digests {
                send(&fabric.sender, &digest.into());
            }
        }
    }

    fn judge(&self, answered: &[(Place, u64)], now: Time) -> (Vec<Output>, Vec<Vec<u8>>) {
        let owner = |fabric: &FabricEnd| fabric.ownership.is_owner();
        let forwards = self.fabric.as_ref().is_none_or(owner);
        let mut detector = lock(&self.detector);
        let Some(detector) = &mut *detector else { return (Vec::new(), Vec::new()) };
        self.books.iter().for_each(|book| detector.take(&mut lock(book), now));
        self.noter.read(|book| detector.take(book, now));
        answered.iter().for_each(|(place, syns)| detector.answered(*place, *syns, now));
        let said = detector.tick(now, clock::second_of_day(), forwards);
        let digests = if self.fabric.is_some() { detector.digests(now) } else { Vec::new() };
        (said, digests)
    }

    fn hear(&self, digest: &[u8]) {
        let mut detector = lock(&self.detector);
        let Some(detector) = &mut *detector else { return };
        if let Err(error) = detector.hear(digest, clock::now()) {
            tracing::debug!(?error, "a digest of another node is not taken");
        }
    }

    async fn carry_out(&mut self, output: Output) {
        let zones = || self.in_force.borrow().compiled.zones().to_vec();
        match &output {
            Output::Started(attack) => say::attack("attack-start", attack, &zones()),
            Output::GoingOn(attack) => say::attack("attack", attack, &zones()),
            Output::Ended(attack) => say::attack("attack-end", attack, &zones()),
            Output::Act(Action::Block { source, until }) => {
                say::block(source, Some(until.since(clock::now())), &zones());
            }
            Output::Undo(Action::Block { source, until: _ }) => say::block(source, None, &zones()),
            Output::Act(Action::Proxy { .. } | Action::Drop(_))
            | Output::Undo(Action::Proxy { .. } | Action::Drop(_)) => {}
        }
        self.enforce(output).await;
    }

    /// Has the XDP program and every worker do it.
    async fn enforce(&mut self, output: Output) {
        let now = clock::now();
        match &output {
            Output::Started(_) | Output::GoingOn(_) | Output::Ended(_) => return,
            Output::Act(Action::Block { source, until }) => self.front.block(source, *until, now),
            Output::Undo(Action::Block { source, until: _ }) => self.front.unblock(source),
            Output::Act(Action::Proxy { destination }) => {
                self.front.guard(destination, mss(destination), now + GUARD_LIFE, now);
            }
            Output::Undo(Action::Proxy { destination }) => {
                self.front.guard(destination, mss(destination), now, now);
            }
            Output::Act(Action::Drop(_)) | Output::Undo(Action::Drop(_)) => {}
        }
        self.on_workers(move |worker| obey(worker.engine(), &output, now)).await;
    }

    /// Tells in which slot of the wall clock cookies are made, if it is another one than before.
    async fn tell_slot(&mut self) {
        let slot = wire::cookie::slot(clock::wall().0 / 1_000);
        if self.slot != Some(slot) {
            self.slot = Some(slot);
            self.front.set_cookie(&Context { key: self.key, slot });
            self.on_workers(move |worker| worker.engine().set_cookie_slot(slot)).await;
        }
    }

    /// Has every worker do something that may be done twice. One that does not answer is restarted with its
    /// daemon, or its lease ends.
    async fn on_workers(&self, what: impl Fn(&mut XskWorker) + Send + Clone + 'static) {
        join_all(self.shards.iter().map(|shard| shard.ask(what.clone()))).await;
    }
}

async fn heard(fabric: &mut Option<FabricEnd>) -> Option<Bytes> {
    match fabric {
        Some(fabric) => fabric.heard.recv().await,
        None => None,
    }
}

/// To everybody who is connected; a witness passes it over. What finds no room is told again.
fn send(sender: &Sender, digest: &Bytes) {
    for (node, _) in sender.peers() {
        let _ = sender.try_datagram(node, digest.clone());
    }
}

/// Takes a lock. Its holders change nothing that a panic could leave half done, or are gone.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
