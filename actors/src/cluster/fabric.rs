//! Between the transport and the workers' streams: messages in and out, and whether the peer is there.
//!
//! The peer counts as connected while the transport has a connection to the same number of workers *and*
//! heartbeats are heard: QUIC takes seconds to notice a death, and held packets wait for that.

use core::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;

use bytes::Bytes;
use cluster_core::NodeId;
use cluster_core::replication::envelope::Message;
use cluster_net::transport::{Datagram, Event, Inbox, Transport};
use datapath::Bell;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

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

/// How many workers the peer has: sessions are replicated from each worker to the same one of the peer,
/// so both need as many.
#[derive(Clone, Debug, Default)]
pub(super) struct PeerWorkers(Arc<AtomicU16>);

impl PeerWorkers {
    fn set(&self, workers: u16) {
        self.0.store(workers, Ordering::Relaxed);
    }

    /// Why nothing can be replicated between it and a node with `own` workers.
    pub(super) fn mismatch(&self, own: usize) -> Option<String> {
        let theirs = self.0.load(Ordering::Relaxed);
        let differ = theirs != 0 && usize::from(theirs) != own;
        differ
            .then(|| format!("this node has {own} `workers`, its peer {theirs}: both need as many"))
    }
}

/// What the transport's task works with.
pub(super) struct Fabric {
    pub(super) transport: Transport,
    pub(super) inbox: Inbox,
    pub(super) peer: NodeId,
    pub(super) ends: Vec<StreamEnd>,
    pub(super) room: MessageRoom,
    pub(super) outgoing: mpsc::Receiver<Bytes>,
    pub(super) heard: watch::Receiver<bool>,
    pub(super) link: Link,
    pub(super) peer_workers: PeerWorkers,
}

/// Whether there is a peer to replicate to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Link {
    /// The transport has a connection that fits.
    connected: bool,
    /// Heartbeats come.
    heard: bool,
    /// What the streams were told.
    told: bool,
}

impl Link {
    /// What to tell the streams after a change: that the peer is there, or that it is not.
    fn tell(&mut self) -> Option<bool> {
        let there = self.connected && self.heard;
        (std::mem::replace(&mut self.told, there) != there).then_some(there)
    }
}

impl Fabric {
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
                Some(message) = self.outgoing.recv() => {
                    // Each refusal is counted by the transport; the machine sends it again.
                    let _ = self.transport.sender().try_datagram(self.peer, message);
                }
                _ = look.tick() => self.look_at_path(),
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
        if let Some(bytes) = self.transport.sender().datagram_bytes(self.peer) {
            self.room.set(bytes);
        }
    }

    async fn event(&mut self, event: Event) {
        match event {
            Event::PeerUp { node, boot, version: _, hello } => {
                self.look_at_path();
                self.peer_workers.set(hello.workers);
                let mismatch = self.peer_workers.mismatch(self.ends.len());
                self.link.connected = node == self.peer && mismatch.is_none();
                match mismatch {
                    Some(why) => tracing::error!(%node, why, "NO SESSION IS REPLICATED"),
                    None => tracing::info!(%node, boot = boot.0, "connected to the peer"),
                }
                self.pass_on().await;
            }
            Event::PeerDown { node, boot: _, why } => {
                tracing::warn!(%node, ?why, "the connection to the peer is gone");
                self.link.connected = false;
                self.pass_on().await;
            }
            Event::Control { node, message } => {
                tracing::debug!(%node, ?message, "control message");
            }
            Event::BulkLost { node } => tracing::debug!(%node, "the bulk connection broke"),
        }
    }

    /// Tells every stream; not lost, since a worker reads its words within a turn.
    async fn pass_on(&mut self) {
        let Some(there) = self.link.tell() else { return };
        for end in &self.ends {
            let word = if there { Word::Connected } else { Word::Lost };
            // A worker that is gone needs no word.
            let _ = end.words.send(word).await;
            end.bell.ring();
        }
    }

    fn deliver(&self, datagram: &Datagram) {
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
        let peer = PeerWorkers::default();
        assert_eq!(peer.mismatch(2), None, "not heard yet");
        peer.set(2);
        assert_eq!(peer.mismatch(2), None);
        peer.set(1);
        assert_eq!(
            peer.mismatch(2).expect("they differ"),
            "this node has 2 `workers`, its peer 1: both need as many"
        );
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
    fn streams_are_told_of_a_peer_that_is_connected_and_heard() {
        let mut link = Link::default();
        assert_eq!(link.tell(), None);
        link.connected = true;
        assert_eq!(link.tell(), None, "not heard");
        link.heard = true;
        assert_eq!((link.tell(), link.tell()), (Some(true), None));
        link.heard = false;
        assert_eq!((link.tell(), link.tell()), (Some(false), None));
        link.connected = false;
        assert_eq!(link.tell(), None);
    }
}
