//! Who owns a frame, and the sockets that share a UMEM.

use super::Umem;
use crate::error::Error;
use crate::limits::MAX_SOCKETS;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};

/// Index into the UMEM's list of sockets.
pub(crate) type SlotId = u8;

/// Where a frame is. Two bytes, so that the table of a thousand frames is 2 kB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// In the free list.
    Free,
    /// A `Frame` exists.
    Held,
    /// A `LentFrame` exists.
    Lent,
    /// In the fill ring, the kernel or the RX ring of a socket.
    Fill(SlotId),
    /// In the TX ring, the kernel or the completion ring of a socket.
    Transmit(SlotId),
}

/// One socket as the UMEM knows it. It lives as long as the socket; what it left with the kernel
/// is found by its slot afterwards.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// None only where a test stands in for the kernel.
    pub(crate) fd: Option<OwnedFd>,
    pub(crate) interface: u32,
    pub(crate) queue: u32,
    /// Inherited by every socket opened later.
    pub(crate) need_wakeup: bool,
}

/// A place for a socket.
#[derive(Debug)]
pub(super) struct Slot {
    endpoint: Weak<Endpoint>,
    interface: u32,
    queue: u32,
}

impl Slot {
    pub(super) fn is(&self, interface: u32, queue: u32) -> bool {
        (self.interface, self.queue) == (interface, queue)
    }

    pub(super) fn alive(&self) -> bool {
        self.endpoint.strong_count() > 0
    }
}

impl Umem {
    /// The open sockets, any of which may be named to share the UMEM.
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = Arc<Endpoint>> {
        self.slots.iter().filter_map(|slot| slot.endpoint.upgrade())
    }

    /// Whether a socket may be opened on this queue.
    pub(crate) fn check_open(&self, interface: u32, queue: u32) -> Result<(), Error> {
        if self.slots.iter().any(|slot| slot.alive() && slot.is(interface, queue)) {
            return Err(Error::AlreadyOpen { interface, queue });
        }
        let room = self.slots.len() < MAX_SOCKETS || self.empty_slot().is_some();
        if room { Ok(()) } else { Err(Error::TooManySockets) }
    }

    /// Notes a socket that was bound just now. That the kernel let it bind is the proof that it
    /// holds nothing any more from an earlier socket on that queue.
    pub(crate) fn register(&mut self, endpoint: &Arc<Endpoint>) -> Result<SlotId, Error> {
        debug_assert!(self.frame_size().is_power_of_two(), "checked when opening");
        let (interface, queue) = (endpoint.interface, endpoint.queue);
        self.check_open(interface, queue)?;
        self.release_retired(interface, queue);
        let slot = Slot { endpoint: Arc::downgrade(endpoint), interface, queue };
        if let Some(id) = self.empty_slot() {
            self.slots[usize::from(id)] = slot;
            return Ok(id);
        }
        self.slots.push(slot);
        Ok((self.slots.len() - 1) as SlotId)
    }

    /// Frees what `slot` left with the kernel.
    pub(crate) fn release_slot(&mut self, slot: SlotId) -> u32 {
        let before = self.free.len();
        for index in 0..self.owners.len() {
            let owner = self.owners[index];
            if owner == Owner::Fill(slot) || owner == Owner::Transmit(slot) {
                self.release(index as u32);
            }
        }
        (self.free.len() - before) as u32
    }

    /// Frames of `slot` that are with the kernel.
    pub(crate) fn with_kernel(&self, slot: SlotId) -> u32 {
        let theirs =
            |&&owner: &&Owner| owner == Owner::Fill(slot) || owner == Owner::Transmit(slot);
        self.owners.iter().filter(theirs).count() as u32
    }

    pub(super) fn slot_ids(&self, wanted: impl Fn(&Slot) -> bool) -> impl Iterator<Item = SlotId> {
        self.slots
            .iter()
            .enumerate()
            .filter(move |(_, slot)| wanted(slot))
            .map(|(n, _)| n as SlotId)
    }

    /// A slot of a closed socket that left nothing behind.
    fn empty_slot(&self) -> Option<SlotId> {
        self.slot_ids(|slot| !slot.alive()).find(|&slot| self.with_kernel(slot) == 0)
    }
}
