//! Between the transport and the workers' streams: messages in and out, and with whom there is to replicate.
//!
//! That is the partner that membership names, while its heartbeats are heard *and* the transport has a
//! connection to it and as many workers: QUIC takes seconds to notice a death, and held packets wait for
//! that. What others send is not for the streams.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use cluster_core::NodeId;
use cluster_core::replication::envelope::Message;
use cluster_core::screen;
use cluster_net::transport::{Datagram, Event, Inbox, Transport};
use datapath::Bell;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use super::heart::{Command, Line};
use super::limits::{MESSAGE_BYTES, PATH_LOOK};
use super::stream::Word;

/// One worker's stream, from outside.
pub(super) struct StreamEnd {
    pub(super) words: mpsc::Sender<Word>,
    pub(super) bell: Bell,
    pub(super) refused: InboxFull,
}

impl StreamEnd {
    /// Gives the worker a message of the peer.
    fn deliver(&self, message: Bytes) {
        if self.words.try_send(Word::Message(message)).is_err() {
            self.refused.count();
        }
        self.bell.ring();
    }
}

/// Messages that found a worker's inbox full: lost on the way, and sent again by the peer.
#[derive(Clone, Debug, Default)]
pub(super) struct InboxFull(Arc<AtomicU64>);

impl InboxFull {
    fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many there were.
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Bytes of a message that the path to the peer carries, as the transport finds out.
#[derive(Clone, Debug)]
pub(super) struct MessageRoom(Arc<AtomicUsize>);

impl Default for MessageRoom {
    fn default() -> Self {
        Self(Arc::new(AtomicUsize::new(MESSAGE_BYTES)))
    }
}

impl MessageRoom {
    fn set(&self, bytes: usize) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// How many workers the other nodes have: sessions are replicated from each worker to the same one of the
/// peer, so both need as many. A witness has none.
#[derive(Clone, Debug, Default)]
pub(super) struct PeerWorkers(Arc<Mutex<BTreeMap<NodeId, u16>>>);

impl PeerWorkers {
    fn set(&self, node: NodeId, workers: u16) {
        self.all().insert(node, workers);
    }

    /// Why nothing can be replicated between a node with `own` workers and `node`.
    pub(super) fn mismatch(&self, node: NodeId, own: usize) -> Option<String> {
        let theirs = *self.all().get(&node)?;
        let differ = theirs != 0 && own != 0 && usize::from(theirs) != own;
        differ.then(|| {
            format!("this node has {own} `workers`, node {node} has {theirs}: both need as many")
        })
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<NodeId, u16>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Partner = watch::Receiver<Option<NodeId>>;

/// What the transport's task works with.
pub(super) struct Fabric {
    transport: Transport,
    inbox: Inbox,
    pub(super) ends: Vec<StreamEnd>,
    room: MessageRoom,
    outgoing: mpsc::Receiver<(NodeId, Bytes)>,
    /// The partner, while it is heard.
    heard: watch::Receiver<Option<NodeId>>,
    link: Link,
    peer_workers: PeerWorkers,
    /// Members that do not know this node as one, and who is told of them.
    disowned: BTreeSet<NodeId>,
    told_disowned: bool,
    line: Line,
    /// Where digests of attacks go.
    digests: Option<mpsc::Sender<Bytes>>,
}

/// With whom there is to replicate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Link {
    /// To whom the transport has a connection that fits.
    connected: BTreeSet<NodeId>,
    /// The partner whose heartbeats come.
    heard: Option<NodeId>,
    /// What the streams were told.
    told: Option<NodeId>,
}

impl Link {
    /// What to tell the streams after a change: that the one that was there is not any more, and who is.
    fn tell(&mut self) -> (bool, Option<NodeId>) {
        let there = self.heard.filter(|node| self.connected.contains(node));
        let before = std::mem::replace(&mut self.told, there);
        let changed = before != there;
        (changed && before.is_some(), there.filter(|_| changed))
    }
}

impl Fabric {
    /// Nobody is there yet.
    pub(super) fn new(
        (transport, inbox): (Transport, Inbox),
        (ends, outgoing, room): (Vec<StreamEnd>, mpsc::Receiver<(NodeId, Bytes)>, MessageRoom),
        (heard, line, digests): (Partner, Line, Option<mpsc::Sender<Bytes>>),
        peer_workers: PeerWorkers,
    ) -> Self {
        Self {
            transport,
            inbox,
            ends,
            room,
            outgoing,
            heard,
            link: Link::default(),
            peer_workers,
            disowned: BTreeSet::new(),
            told_disowned: false,
            line,
            digests,
        }
    }

    /// Runs until the streams or the membership thread are gone.
    pub(super) async fn run(mut self) {
        self.link.heard = *self.heard.borrow_and_update();
        let mut look = tokio::time::interval(PATH_LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(event) = self.inbox.events.recv() => self.event(event).await,
                Some(datagram) = self.inbox.datagrams.recv() => self.deliver(&datagram),
                // Bulks travel as records among the others; nobody sends blocks yet.
                Some(_) = self.inbox.bulk.recv() => {}
                Some((to, message)) = self.outgoing.recv() => {
                    // Each refusal is counted by the transport; the machine sends it again.
                    let _ = self.transport.sender().try_datagram(to, message);
                }
                _ = look.tick() => {
                    self.look_at_path();
                    self.tell_disowned();
                }
                changed = self.heard.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    self.link.heard = *self.heard.borrow_and_update();
                    self.pass_on().await;
                }
            }
        }
        self.transport.stop().await;
    }

    /// Messages may be as long as the path carries.
    fn look_at_path(&self) {
        let sender = self.transport.sender();
        if let Some(bytes) = self.link.told.and_then(|node| sender.datagram_bytes(node)) {
            self.room.set(bytes);
        }
    }

    async fn event(&mut self, event: Event) {
        match event {
            Event::PeerUp { node, boot, version: _, hello } => {
                self.disowned.remove(&node);
                self.tell_disowned();
                self.peer_workers.set(node, hello.workers);
                match self.peer_workers.mismatch(node, self.ends.len()) {
                    Some(why) => {
                        self.link.connected.remove(&node);
                        tracing::error!(%node, why, "NO SESSION IS REPLICATED");
                    }
                    None => {
                        self.link.connected.insert(node);
                        tracing::info!(%node, boot = boot.0, "connected to the peer");
                    }
                }
                self.pass_on().await;
            }
            Event::PeerDown { node, boot: _, why } => {
                tracing::warn!(%node, ?why, "the connection to the peer is gone");
                self.link.connected.remove(&node);
                self.pass_on().await;
            }
            Event::Control { node, message } => {
                tracing::debug!(%node, ?message, "control message");
            }
            Event::Disowned { node } => self.disown(node),
            Event::BulkLost { node } => tracing::debug!(%node, "the bulk connection broke"),
        }
    }

    /// A member refuses this node. It may not know of it yet; or not any more.
    fn disown(&mut self, node: NodeId) {
        if self.disowned.insert(node) {
            tracing::error!(
                %node,
                "the node refuses this one: it is no member there. THIS NODE DOES NOT OWN meanwhile. It was \
                 removed, or that node went on alone (`ringwall cluster recover`), unless it was let in a \
                 moment ago. Then stop its daemon, wipe the folder `cluster` of its data directory, and let \
                 it join anew (`ringwall cluster token` there, `ringwall cluster join` here)"
            );
        }
        self.tell_disowned();
    }

    /// Tells the membership thread whether a member refuses this node, if that is news.
    fn tell_disowned(&mut self) {
        let sender = self.transport.sender();
        self.disowned.retain(|node| sender.is_member(*node));
        let disowned = !self.disowned.is_empty();
        if disowned != self.told_disowned && self.line.tell(Command::Disowned(disowned)) {
            self.told_disowned = disowned;
        }
    }

    /// Tells every stream; not lost, since a worker reads its words within a turn.
    async fn pass_on(&mut self) {
        let (lost, there) = self.link.tell();
        self.look_at_path();
        for end in &self.ends {
            let words = lost.then_some(Word::Lost).into_iter().chain(there.map(Word::Connected));
            for word in words {
                // A worker that is gone needs no word.
                let _ = end.words.send(word).await;
                end.bell.ring();
            }
        }
    }

    fn deliver(&self, datagram: &Datagram) {
        // These come from everybody, whoever replicates with whom.
        if screen::is_digest(&datagram.bytes) {
            if let Some(digests) = &self.digests {
                // Full: its rows are told again.
                let _ = digests.try_send(datagram.bytes.clone());
            }
            return;
        }
        if self.link.told != Some(datagram.node) {
            return;
        }
        let Ok(message) = Message::parse(&datagram.bytes) else { return };
        if let Some(end) = self.ends.get(usize::from(message.header.stream)) {
            end.deliver(datagram.bytes.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_with_unequal_numbers_of_workers_say_so() {
        let (peers, two, three) = (PeerWorkers::default(), NodeId(2), NodeId(3));
        assert_eq!(peers.mismatch(two, 2), None, "not heard yet");
        peers.set(two, 2);
        peers.set(three, 1);
        peers.set(NodeId(4), 0);
        assert_eq!(peers.mismatch(two, 2), None);
        assert_eq!(
            peers.mismatch(three, 2).expect("they differ"),
            "this node has 2 `workers`, node 3 has 1: both need as many"
        );
        assert_eq!(peers.mismatch(NodeId(4), 2), None, "a witness has none");
        assert_eq!(peers.mismatch(three, 0), None, "this node is a witness");
    }

    #[test]
    fn a_message_that_finds_no_room_is_counted() {
        let (words, mut inbox) = mpsc::channel(1);
        let bell = Bell::new().expect("a bell");
        let end = StreamEnd { words, bell, refused: InboxFull::default() };
        let message = || Bytes::from_static(b"news");
        end.deliver(message());
        assert_eq!(end.refused.get(), 0);
        end.deliver(message());
        end.deliver(message());
        assert_eq!(end.refused.get(), 2);
        assert!(inbox.try_recv().is_ok(), "the first is there");
        end.deliver(message());
        assert_eq!(end.refused.get(), 2, "there is room again");
    }

    #[test]
    fn streams_are_told_of_a_partner_that_is_connected_and_heard() {
        const NOTHING: (bool, Option<NodeId>) = (false, None);
        let (two, three) = (NodeId(2), NodeId(3));
        let mut link = Link::default();
        assert_eq!(link.tell(), NOTHING);
        link.connected.insert(two);
        assert_eq!(link.tell(), NOTHING, "not heard");
        link.heard = Some(three);
        assert_eq!(link.tell(), NOTHING, "not connected");
        link.heard = Some(two);
        assert_eq!((link.tell(), link.tell()), ((false, Some(two)), NOTHING));
        link.heard = Some(three);
        assert_eq!((link.tell(), link.tell()), ((true, None), NOTHING));
        link.heard = Some(two);
        assert_eq!(link.tell(), (false, Some(two)));
        link.connected.insert(three);
        assert_eq!(link.tell(), NOTHING);
        link.heard = Some(three);
        assert_eq!((link.tell(), link.tell()), ((true, Some(three)), NOTHING));
        link.connected.remove(&three);
        assert_eq!((link.tell(), link.tell()), ((true, None), NOTHING));
    }
}
