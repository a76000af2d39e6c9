//! A UMEM: the frames of one worker, who owns each of them, and the free ones.

mod audit;
mod owner;
#[cfg(test)]
mod tests;

pub use audit::Audit;
pub(crate) use owner::{Endpoint, SlotId};

use crate::error::Error;
use crate::frame::{self, Abandoned, Frame, LentFrame, NoRoom};
use crate::limits::SHORTEST_FRAME;
use crate::region::Region;
use crate::ring::Descriptor;
use owner::{Owner, Slot};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Size and shape of a UMEM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UmemConfig {
    /// Number of frames.
    pub frames: u32,
    /// Bytes in a frame: 2048 or 4096 if sockets are to use it, anything above `headroom` + 256
    /// otherwise.
    pub frame_size: u32,
    /// Bytes kept free in front of received data, besides the 256 that are always free.
    pub headroom: u32,
    /// Ask for 2 MiB pages, and take ordinary ones where there are none.
    pub huge_pages: bool,
}

impl Default for UmemConfig {
    fn default() -> Self {
        Self { frames: 8192, frame_size: 2048, headroom: 0, huge_pages: false }
    }
}

/// One mapped region cut into frames, with an owner noted for each.
///
/// Every frame is at all times in exactly one place: free, held by a [`Frame`] token, lent to
/// another thread, or with the kernel (in the fill and RX rings of a socket, or in its TX and
/// completion rings). Each move checks where the frame comes from, so neither a bug here nor a
/// wrong descriptor from a driver can lose one or hand it out twice.
#[derive(Debug)]
pub struct Umem {
    region: Arc<Region>,
    owners: Vec<Owner>,
    free: Vec<u32>,
    slots: Vec<Slot>,
    abandoned: u64,
    abandoned_seen: u64,
    refused: u64,
}

impl Umem {
    /// Maps the memory, with all frames free. No privilege is needed before a socket uses it.
    pub fn new(config: &UmemConfig) -> Result<Self, Error> {
        let id = next_id();
        let region = Arc::new(Region::new(id, config)?);
        Abandoned::open(id);
        Ok(Self {
            owners: vec![Owner::Free; config.frames as usize],
            free: (0..config.frames).rev().collect(),
            slots: Vec::new(),
            abandoned: 0,
            abandoned_seen: Abandoned::ever(),
            refused: 0,
            region,
        })
    }

    /// A free frame, empty, its data to start behind the usual headroom. None when all are in use:
    /// the caller drops what it wanted to build, and counts it.
    #[inline]
    pub fn alloc(&mut self) -> Option<Frame> {
        let index = self.take_free()?;
        self.owners[index as usize] = Owner::Held;
        Some(Frame::new(self.region.id, index, self.region.data_offset(), 0))
    }

    /// Gives a frame back.
    #[inline]
    pub fn free(&mut self, frame: Frame) {
        let index = self.admit(frame, Owner::Held);
        self.release(index);
    }

    /// The data of a frame.
    #[inline]
    pub fn data<'a>(&'a self, frame: &'a Frame) -> &'a [u8] {
        self.region.bytes(frame)
    }

    /// The data of a frame, to be changed. Two frames may be worked on at the same time.
    #[inline]
    pub fn data_mut<'a>(&'a self, frame: &'a mut Frame) -> &'a mut [u8] {
        self.region.bytes_mut(frame)
    }

    /// Replaces the data of a frame by a copy of `bytes`, behind the usual headroom.
    pub fn write(&self, frame: &mut Frame, bytes: &[u8]) -> Result<(), NoRoom> {
        frame::write(&self.region, frame, bytes)
    }

    /// Sets the number of data bytes, from where the data starts. New bytes are whatever the frame
    /// held before.
    pub fn set_len(&self, frame: &mut Frame, len: usize) -> Result<(), NoRoom> {
        assert!(frame.is_of(self.region.id), "frame of another UMEM");
        let room = (self.region.frame_size - frame.offset()) as usize;
        if len > room {
            return Err(NoRoom);
        }
        frame.place(frame.offset(), len as u32);
        Ok(())
    }

    /// Moves the start of the data by `bytes`: to the front (negative, for a header to be added)
    /// or to the back (positive, for one to be taken off). The end of the data stays.
    pub fn move_start(&self, frame: &mut Frame, bytes: isize) -> Result<(), NoRoom> {
        let start = (frame.offset() as isize).checked_add(bytes).ok_or(NoRoom)?;
        let start = u32::try_from(start).map_err(|_| NoRoom)?;
        let len = frame.end().checked_sub(start).ok_or(NoRoom)?;
        frame.place(start, len);
        Ok(())
    }

    /// Lends a frame to another thread.
    pub fn lend(&mut self, frame: Frame) -> LentFrame {
        assert!(frame.is_of(self.region.id), "frame of another UMEM");
        self.owners[frame.index() as usize] = Owner::Lent;
        LentFrame::new(frame, Arc::clone(&self.region))
    }

    /// Takes a lent frame back, with what the other thread wrote into it. A frame of another UMEM
    /// is refused and stays with the caller.
    pub fn take_back(&mut self, lent: LentFrame) -> Result<Frame, LentFrame> {
        if !lent.frame().is_of(self.region.id) {
            return Err(lent);
        }
        let frame = lent.into_frame();
        self.owners[frame.index() as usize] = Owner::Held;
        Ok(frame)
    }

    /// Frames in all.
    pub fn capacity(&self) -> u32 {
        self.region.frames
    }

    /// Frames that are not free.
    pub fn in_use(&self) -> u32 {
        self.region.frames - self.free.len() as u32
    }

    /// Bytes in a frame.
    pub fn frame_size(&self) -> u32 {
        self.region.frame_size
    }

    /// Data bytes that fit into a frame behind the usual headroom.
    pub fn frame_capacity(&self) -> usize {
        (self.region.frame_size - self.region.data_offset()) as usize
    }

    /// Whether the memory is of huge pages.
    pub fn huge_pages(&self) -> bool {
        self.region.huge_pages()
    }

    /// Frames each of `sockets` sockets may keep in its fill ring, and in its TX ring, so that all
    /// of them full leave a quarter of the frames for packets being worked on, held or lent.
    pub fn fair_share(&self, sockets: u32) -> u32 {
        (self.capacity() / 8 * 3 / sockets.max(1)).max(1)
    }

    /// Finds frames whose token was dropped, and frees them. Done by itself when frames run out;
    /// to be called after a panic was caught.
    pub fn reclaim(&mut self) -> u32 {
        let ever = Abandoned::ever();
        if ever == self.abandoned_seen {
            return 0;
        }
        self.abandoned_seen = ever;
        let found = Abandoned::take(self.region.id);
        for &index in &found {
            self.release(index);
        }
        self.abandoned += found.len() as u64;
        found.len() as u32
    }

    /// Takes back what a closed socket left with the kernel. The kernel gives no sign when it has
    /// let go: a new socket on the same queue is one, and an interface that went away is another,
    /// and both do this by themselves. Call it for a queue that is not to be opened again, when it
    /// is sure that nothing is in flight any more (its driver was reset, or a second has passed).
    /// Frames freed; 0 while the socket is open.
    pub fn release_retired(&mut self, interface: u32, queue: u32) -> u32 {
        let dead = |slot: &Slot| slot.is(interface, queue) && !slot.alive();
        let slots: Vec<SlotId> = self.slot_ids(dead).collect();
        slots.into_iter().map(|slot| self.release_slot(slot)).sum()
    }

    pub(crate) fn region(&self) -> &Arc<Region> {
        &self.region
    }

    #[inline]
    fn take_free(&mut self) -> Option<u32> {
        if self.free.is_empty() {
            self.reclaim();
        }
        self.free.pop()
    }

    #[inline]
    fn release(&mut self, index: u32) {
        self.owners[index as usize] = Owner::Free;
        self.free.push(index);
    }

    /// Ends a token. Panics if it is not of this UMEM, which only a bug of the caller can cause:
    /// the table of owners is right only if tokens stay with their UMEM.
    #[inline]
    fn admit(&self, frame: Frame, expected: Owner) -> u32 {
        assert!(frame.is_of(self.region.id), "frame of another UMEM");
        debug_assert_eq!(self.owners[frame.index() as usize], expected);
        frame.surrender()
    }
}

/// The moves between the free list, tokens and the rings of a socket. Only a UMEM whose frame size
/// is a power of two gets here (see `register`), so addresses are cut by shifts.
impl Umem {
    /// Takes a free frame for the fill ring of `slot`: the address to be put there.
    #[inline]
    pub(crate) fn give_fill(&mut self, slot: SlotId) -> Option<u64> {
        let index = self.take_free()?;
        self.owners[index as usize] = Owner::Fill(slot);
        Some(u64::from(index) << self.region.shift())
    }

    /// The token for a frame that arrived in the RX ring of `slot`. None if that socket was not
    /// given this frame, or the data is not inside it.
    #[inline]
    pub(crate) fn accept_received(&mut self, slot: SlotId, received: Descriptor) -> Option<Frame> {
        let size = u64::from(self.region.frame_size);
        let index = received.address >> self.region.shift();
        let offset = (received.address & (size - 1)) as u32;
        let inside = u64::from(offset) + u64::from(received.len) <= size;
        let given = self.owners.get(index as usize) == Some(&Owner::Fill(slot));
        if !(inside && given) {
            self.refused += 1;
            return None;
        }
        self.owners[index as usize] = Owner::Held;
        Some(Frame::new(self.region.id, index as u32, offset, received.len))
    }

    /// Ends a token for the TX ring of `slot`: the descriptor to be put there. A frame that the
    /// kernel would refuse, and so never complete, is freed instead.
    #[inline]
    pub(crate) fn give_transmit(&mut self, slot: SlotId, frame: Frame) -> Option<Descriptor> {
        let (offset, len) = (frame.offset(), frame.len() as u32);
        let index = self.admit(frame, Owner::Held);
        if len < SHORTEST_FRAME {
            self.release(index);
            return None;
        }
        self.owners[index as usize] = Owner::Transmit(slot);
        let address = u64::from(index) << self.region.shift() | u64::from(offset);
        Some(Descriptor { address, len, options: 0 })
    }

    /// Frees a frame that arrived in the completion ring of `slot`. False if that socket was not
    /// given this frame.
    #[inline]
    pub(crate) fn accept_completed(&mut self, slot: SlotId, address: u64) -> bool {
        let index = address >> self.region.shift();
        if self.owners.get(index as usize) != Some(&Owner::Transmit(slot)) {
            self.refused += 1;
            return false;
        }
        self.release(index as u32);
        true
    }
}

impl Drop for Umem {
    fn drop(&mut self) {
        Abandoned::close(self.region.id);
    }
}

/// Numbers are never used again, so a token can never be taken for one of a later UMEM.
fn next_id() -> NonZeroU32 {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let id = LAST.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
    NonZeroU32::new(id).expect("fewer than 2^32 UMEMs in one process")
}
