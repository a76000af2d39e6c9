//! Fragments of IPv4 and IPv6: held until their datagram is complete, then judged as one packet.
//!
//! ```text
//!   fragment ─► check alone ─► find or open its queue ─► check against the others ─► store
//!               (incoming)      (queues)                  (queue)                    (pieces)
//!                                                                                       │ last one
//!   frames  ◄── refragment ◄── judged, rewritten by the pipeline ◄── Datagram ◄─────────┘
//! ```
//!
//! Nothing leaves before the last fragment has come, so every later stage sees whole datagrams, and what
//! it judged is what leaves: overlaps cannot show two faces. All memory is taken at construction. When
//! it is used up the *oldest* incomplete datagram gives way: honest datagrams complete within
//! milliseconds, so a flood of first fragments pushes out mostly itself.
//!
//! A fragment that is wrong by itself is dropped alone; one that contradicts those already held takes
//! its datagram with it. Only one with exactly the range of a held one leaves the others in peace: it is
//! a duplicate (RFC 8200 §4.5), or somebody's try to spoil the datagram.

mod datagram;
mod incoming;
mod index;
mod pieces;
mod queue;
mod queues;
mod refragment;
mod wrap;

use std::time::Duration;

use wire::{FragmentKey, Packet, Time};

use crate::{Reason, limits};

pub use datagram::Datagram;

use datagram::Assembly;
use incoming::Incoming;
use pieces::Pieces;
use queue::Place;
use queues::Queues;

/// The incomplete datagrams of one engine. Holds copies of their fragments in memory of its own.
pub struct Fragments {
    limits: Limits,
    pieces: Pieces,
    queues: Queues,
    /// Where the next datagram is put together; `None` while one is being judged.
    spare: Option<Box<Assembly>>,
    held: u32,
}

/// The bounds, and what counts as too small.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Memory for fragments, bytes.
    pub memory: usize,
    /// Incomplete datagrams in all.
    pub datagrams: usize,
    /// Incomplete datagrams of one source address in one domain.
    pub per_source: usize,
    /// Fragments of one datagram, at most [`limits::FRAGMENTS_PER_DATAGRAM`].
    pub per_datagram: usize,
    /// Time from the first fragment that arrives, whichever it is, to the last.
    pub lifetime: Duration,
    /// Drop IPv4 fragments that split the fixed TCP header (RFC 1858 §3 and §4, RFC 3128). They cannot
    /// deceive this firewall, which judges whole datagrams, and Linux forwards them; but no honest
    /// stack makes them, and a filter behind this one may be deceived.
    pub tiny: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: limits::FRAGMENT_MEMORY_BYTES,
            datagrams: limits::FRAGMENT_DATAGRAMS,
            per_source: limits::FRAGMENT_DATAGRAMS_PER_SOURCE,
            per_datagram: limits::FRAGMENTS_PER_DATAGRAM,
            lifetime: limits::FRAGMENT_LIFETIME,
            tiny: true,
        }
    }
}

/// What became of a fragment, and of older ones that had to make room for it.
#[derive(Debug)]
pub struct Insertion {
    /// The fragment's own fate.
    pub outcome: Outcome,
    /// Fragments of *other* datagrams that left the memory. They were held and are now dropped.
    pub given_up: GivenUp,
}

/// The fate of one fragment.
#[derive(Debug)]
pub enum Outcome {
    /// Kept until the rest has come.
    Held,
    /// A copy of a fragment that is held already; the held one stays.
    Duplicate,
    /// Refused. `released` fragments of the same datagram were held and are dropped with it.
    Dropped { reason: Reason, released: u32 },
    /// The last one: here is the datagram. [`Datagram::held`] fragments leave the memory with it.
    /// Give it back with [`Fragments::done`].
    Complete(Datagram),
}

/// Numbers of held fragments that were given up, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GivenUp {
    /// Their datagram was not complete in time.
    pub timeout: u32,
    /// The oldest, for want of memory or of a place for another datagram.
    pub memory: u32,
    /// The oldest of a source that had too many.
    pub per_source: u32,
}

impl GivenUp {
    /// Each reason with its number, zeros included.
    #[must_use]
    pub fn reasons(self) -> [(Reason, u32); 3] {
        [
            (Reason::FragmentTimeout, self.timeout),
            (Reason::FragmentMemory, self.memory),
            (Reason::FragmentPerSource, self.per_source),
        ]
    }

    /// All of them.
    #[must_use]
    pub fn total(self) -> u32 {
        self.timeout + self.memory + self.per_source
    }
}

/// A datagram whose time ran out.
#[derive(Clone, Copy, Debug)]
pub struct Expired<'a> {
    /// Fragments that were held and are now dropped with [`Reason::FragmentTimeout`].
    pub held: u32,
    /// What [`Fragments::insert`] was told.
    pub ingress: u16,
    /// The frame of the fragment with offset 0: only if it came may an ICMP time exceeded of code 1 be
    /// sent (RFC 792, RFC 4443 §3.3). Empty otherwise.
    pub first: &'a [u8],
}

impl Fragments {
    /// Takes all the memory that will ever be used. `seed` keys the hash of the datagrams.
    #[must_use]
    pub fn new(limits: Limits, seed: u64) -> Self {
        let per_datagram = limits.per_datagram.min(limits::FRAGMENTS_PER_DATAGRAM);
        Self {
            limits: Limits { per_datagram, ..limits },
            pieces: Pieces::new(limits.memory),
            queues: Queues::new(limits.datagrams, seed),
            spare: Some(Box::new(Assembly::new())),
            held: 0,
        }
    }

    /// Another lifetime or strictness, at once also for what is held.
    pub fn configure(&mut self, lifetime: Duration, tiny: bool) {
        self.limits = Limits { lifetime, tiny, ..self.limits };
    }

    /// Fragments in memory: the engine's gauge `held` counts exactly these.
    #[must_use]
    pub fn held(&self) -> u32 {
        self.held
    }

    /// Incomplete datagrams.
    #[must_use]
    pub fn datagrams(&self) -> usize {
        self.queues.len()
    }

    /// Bytes of memory in use, in whole blocks.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.pieces.used_bytes()
    }

    /// Takes in the fragment `packet` of `frame`. Fragments that differ in `ingress` (the zone they came
    /// from) never form one datagram, so nobody can complete what came from a better trusted side.
    pub fn insert(
        &mut self,
        key: FragmentKey,
        ingress: u16,
        frame: &[u8],
        packet: &Packet,
        now: Time,
    ) -> Insertion {
        let mut given_up = GivenUp::default();
        let outcome = match Incoming::check(frame, packet, self.limits.tiny) {
            Err(reason) => Outcome::Dropped { reason, released: 0 },
            Ok(incoming) => {
                let at = self.queue(key, ingress, now, &mut given_up);
                self.join(at, incoming, &mut given_up)
            }
        };
        Insertion { outcome, given_up }
    }

    /// Takes back the memory of a datagram that has been judged.
    pub fn done(&mut self, datagram: Datagram) {
        self.spare = Some(datagram.into_assembly());
    }

    /// After a panic that lost the datagram in hand: provides memory for the next one.
    pub fn recover(&mut self) {
        if self.spare.is_none() {
            self.spare = Some(Box::new(Assembly::new()));
        }
    }

    /// Gives up at most `budget` datagrams whose time is over, and tells `expired` about each.
    /// Returns how many they were.
    pub fn expire(&mut self, now: Time, budget: u32, mut expired: impl FnMut(Expired<'_>)) -> u32 {
        for count in 0..budget {
            let Some(at) = self.queues.oldest().filter(|&at| self.is_over(at, now)) else {
                return count;
            };
            self.tell(at, &mut expired);
            self.close(at);
        }
        budget
    }

    /// When [`Fragments::expire`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        let oldest = self.queues.oldest()?;
        Some(self.queues[oldest].created + self.limits.lifetime)
    }

    /// Gives up everything; returns the number of fragments that were held.
    pub fn clear(&mut self) -> u32 {
        let held = self.held;
        while let Some(at) = self.queues.oldest() {
            self.close(at);
        }
        held
    }

    /// The queue of this datagram, opened if there is none or its time is over.
    fn queue(
        &mut self,
        key: FragmentKey,
        ingress: u16,
        now: Time,
        given_up: &mut GivenUp,
    ) -> Option<u32> {
        match self.queues.find(&key, ingress) {
            Some(at) if !self.is_over(at, now) => return Some(at),
            Some(at) => given_up.timeout += self.close(at),
            None => {}
        }
        let (count, oldest) = self.queues.of_source(&key);
        if let Some(oldest) = oldest.filter(|_| count >= self.limits.per_source) {
            given_up.per_source += self.close(oldest);
        } else if let Some(oldest) = self.queues.oldest().filter(|_| self.queues.is_full()) {
            given_up.memory += self.close(oldest);
        }
        self.queues.open(key, ingress, now)
    }

    /// The fragment against the others of its datagram. On a contradiction the queue is closed.
    fn join(&mut self, at: Option<u32>, incoming: Incoming<'_>, given_up: &mut GivenUp) -> Outcome {
        let Some(at) = at else {
            return Outcome::Dropped { reason: Reason::FragmentMemory, released: 0 };
        };
        match self.place(at, &incoming, given_up) {
            Err(reason) => Outcome::Dropped { reason, released: self.close(at) },
            Ok(Place::Duplicate) => Outcome::Duplicate,
            Ok(Place::Forged) => Outcome::Dropped { reason: Reason::FragmentOverlap, released: 0 },
            Ok(Place::Behind((previous, piece))) => {
                self.queues[at].link(&mut self.pieces, previous, piece, &incoming);
                self.held += 1;
                self.complete(at)
            }
        }
    }

    /// Checks, and stores the bytes; changes nothing of the queue yet.
    fn place(
        &mut self,
        at: u32,
        incoming: &Incoming<'_>,
        given_up: &mut GivenUp,
    ) -> Result<Place<(u32, u32)>, Reason> {
        let queue = &self.queues[at];
        let position = queue.position(&self.pieces, incoming);
        // A last fragment that lies within another one has a wrong end, too; it is known as teardrop.
        if position.is_ok() {
            queue.check_lengths(incoming)?;
        }
        let previous = match position? {
            Place::Behind(previous) => previous,
            Place::Duplicate => return Ok(Place::Duplicate),
            Place::Forged => return Ok(Place::Forged),
        };
        queue.check_bounds(incoming, self.limits.per_datagram)?;
        if self.spare.is_none() || !self.make_room(at, incoming.stored().len(), given_up) {
            return Err(Reason::FragmentMemory);
        }
        let piece = self.pieces.put(incoming).ok_or(Reason::FragmentMemory)?;
        Ok(Place::Behind((previous, piece)))
    }

    /// Gives up the oldest datagrams other than `keep` until `bytes` fit.
    fn make_room(&mut self, keep: u32, bytes: usize, given_up: &mut GivenUp) -> bool {
        while !self.pieces.has_room(bytes) {
            let Some(oldest) = self.queues.oldest_but(keep) else { return false };
            given_up.memory += self.close(oldest);
        }
        true
    }

    fn complete(&mut self, at: u32) -> Outcome {
        let queue = &self.queues[at];
        if !queue.is_complete() {
            return Outcome::Held;
        }
        // `place` saw to it that there is one.
        let Some(mut assembly) = self.spare.take() else { return Outcome::Held };
        assembly.fill(queue, &self.pieces);
        let held = self.close(at) - 1;
        Outcome::Complete(Datagram::new(assembly, held))
    }

    fn is_over(&self, at: u32, now: Time) -> bool {
        now.since(self.queues[at].created) >= self.limits.lifetime
    }

    /// Frees a queue with all it holds; returns how many fragments those were.
    fn close(&mut self, at: u32) -> u32 {
        let fragments = self.queues[at].release(&mut self.pieces);
        self.queues.close(at);
        self.held -= fragments;
        fragments
    }

    fn tell(&mut self, at: u32, expired: &mut impl FnMut(Expired<'_>)) {
        let queue = &self.queues[at];
        let first = match &mut self.spare {
            Some(assembly) => assembly.first_frame(queue, &self.pieces),
            None => &[],
        };
        expired(Expired { held: queue.fragments(), ingress: queue.ingress, first });
    }
}

#[cfg(test)]
mod tests;
