//! Giving a packet to the worker that owns its flow.
//!
//! ```text
//!  worker A (received it)                       worker B (owns the flow)
//!     loans  ◄──────────── empty frames of B's UMEM ──────────── tops up each turn
//!     copies the packet into one
//!     given  ────────────────────────────────────────────────►  takes the frame back, decides
//! ```
//!
//! Both rings are single-producer, single-consumer and bounded. The frame lent is B's, so B can send
//! it by its own sockets; the copy is the price of a NIC that hashes differently. A reassembled
//! datagram is larger than a frame and travels in a carrier, which goes back and forth the same way.

use af_xdp::{LentFrame, Umem};
use engine::fragment::Datagram;
use engine::{Engine, PortId, WorkerId};
use rtrb::{Consumer, Producer, RingBuffer};

use crate::limits::{HANDOFF_DATAGRAMS, HANDOFF_FRAMES};
use crate::wake::Bell;

/// A packet on its way to its owner.
#[derive(Debug)]
pub struct Given {
    /// The packet, in a frame of the owner's UMEM.
    pub frame: LentFrame,
    /// The port that it arrived at.
    pub ingress: PortId,
}

/// A reassembled datagram on its way to its owner, or its emptied memory on the way back.
#[derive(Debug)]
pub struct Carrier {
    /// The datagram.
    pub datagram: Datagram,
    /// The port that its fragments arrived at.
    pub ingress: PortId,
}

/// A worker's end towards one other worker, both ways.
#[derive(Debug)]
pub struct Peer {
    /// The other worker.
    pub worker: WorkerId,
    bell: Bell,
    given: bool,
    loans: Consumer<LentFrame>,
    give: Producer<Given>,
    lend: Producer<LentFrame>,
    take: Consumer<Given>,
    carriers: Consumer<Carrier>,
    give_datagram: Producer<Carrier>,
    take_datagram: Consumer<Carrier>,
    return_carrier: Producer<Carrier>,
}

/// The owner's ring is full or it lends no frame: the packet stays with the caller, who drops it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Peer {
    /// Connects two workers; `bells` are theirs. The first result is for the first worker.
    #[must_use]
    pub fn pair(workers: [WorkerId; 2], bells: [Bell; 2]) -> [Self; 2] {
        let [a, b] = bells;
        let (lend_a, loans_b) = RingBuffer::new(HANDOFF_FRAMES);
        let (lend_b, loans_a) = RingBuffer::new(HANDOFF_FRAMES);
        let (give_a, take_b) = RingBuffer::new(HANDOFF_FRAMES);
        let (give_b, take_a) = RingBuffer::new(HANDOFF_FRAMES);
        let (carriers_a, carry_ab, arrive_b, return_b) = carriers();
        let (carriers_b, carry_ba, arrive_a, return_a) = carriers();
        [
            Self {
                worker: workers[1],
                bell: b,
                given: false,
                loans: loans_a,
                give: give_a,
                lend: lend_a,
                take: take_a,
                carriers: carriers_a,
                give_datagram: carry_ab,
                take_datagram: arrive_a,
                return_carrier: return_a,
            },
            Self {
                worker: workers[0],
                bell: a,
                given: false,
                loans: loans_b,
                give: give_b,
                lend: lend_b,
                take: take_b,
                carriers: carriers_b,
                give_datagram: carry_ba,
                take_datagram: arrive_b,
                return_carrier: return_b,
            },
        ]
    }

    /// Gives a copy of `packet` to the other worker; [`ring_if_given`](Self::ring_if_given) tells it.
    ///
    /// # Errors
    /// No frame is lent to us, or the packet does not fit into one.
    pub fn give(&mut self, ingress: PortId, packet: &[u8]) -> Result<(), Full> {
        if self.give.is_full() {
            return Err(Full);
        }
        let mut frame = self.loans.pop().map_err(|_| Full)?;
        let fits = frame.write(packet).is_ok();
        if !fits {
            frame.write(&[]).map_err(|_| Full)?;
        }
        // An empty frame goes back all the same: it is the other worker's, not ours to keep.
        self.given = true;
        self.give.push(Given { frame, ingress }).map_err(|_| Full)?;
        if fits { Ok(()) } else { Err(Full) }
    }

    /// Gives the datagram that `engine` has put together to the other worker, an empty one taking its
    /// place.
    ///
    /// # Errors
    /// All carriers are on their way; the engine still has the datagram.
    pub fn give_datagram(&mut self, engine: &mut Engine) -> Result<(), Full> {
        if self.give_datagram.is_full() {
            return Err(Full);
        }
        let empty = self.carriers.pop().map_err(|_| Full)?;
        let Some((ingress, datagram)) = engine.exchange_datagram(empty.datagram) else {
            return Err(Full);
        };
        self.given = true;
        self.give_datagram.push(Carrier { datagram, ingress }).map_err(|_| Full)
    }

    /// Wakes the other worker if something was given to it since the last call and it sleeps.
    pub fn ring_if_given(&mut self) {
        if core::mem::take(&mut self.given) {
            self.bell.ring();
        }
    }

    /// The port that the oldest packet given to us arrived at.
    #[must_use]
    pub fn next_ingress(&self) -> Option<PortId> {
        self.take.peek().ok().map(|given| given.ingress)
    }

    /// Takes the oldest packet that was given to us.
    pub fn take(&mut self) -> Option<Given> {
        self.take.pop().ok()
    }

    /// Takes the oldest datagram that was given to us; [`give_back`](Self::give_back) the carrier.
    pub fn take_datagram(&mut self) -> Option<Carrier> {
        self.take_datagram.pop().ok()
    }

    /// Returns an emptied carrier to its owner.
    pub fn give_back(&mut self, carrier: Carrier) {
        // As many carriers exist as the ring has places.
        let _ = self.return_carrier.push(carrier);
    }

    /// Lends frames until the other worker has as many as it may, or ours run short.
    pub fn top_up(&mut self, umem: &mut Umem) {
        while !self.lend.is_full() && umem.in_use() < umem.capacity() / 4 * 3 {
            let Some(frame) = umem.alloc() else { break };
            if let Err(rtrb::PushError::Full(lent)) = self.lend.push(umem.lend(frame)) {
                match umem.take_back(lent) {
                    Ok(frame) => umem.free(frame),
                    Err(_) => unreachable!("lent by this UMEM two lines above"),
                }
                break;
            }
        }
    }

    /// Whether something waits to be taken.
    #[must_use]
    pub fn has_work(&self) -> bool {
        !self.take.is_empty() || !self.take_datagram.is_empty()
    }
}

type Carriers = (Consumer<Carrier>, Producer<Carrier>, Consumer<Carrier>, Producer<Carrier>);

/// The rings of one direction, with all carriers at their sender.
fn carriers() -> Carriers {
    let (mut return_carrier, empty) = RingBuffer::new(HANDOFF_DATAGRAMS);
    let (carry, arrive) = RingBuffer::new(HANDOFF_DATAGRAMS);
    for _ in 0..HANDOFF_DATAGRAMS {
        // The ring has exactly this many places.
        let _ = return_carrier.push(Carrier { datagram: Datagram::empty(), ingress: PortId(0) });
    }
    (empty, carry, arrive, return_carrier)
}
