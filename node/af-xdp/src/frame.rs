//! The token of a frame. Who holds it owns the frame; there is never a second one.

use crate::region::Region;
use std::collections::BTreeMap;
use std::fmt;
use std::mem;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Exclusive ownership of one frame of one [`Umem`](crate::Umem), and where its data lies in it.
///
/// A token cannot be copied, and every way to part with it takes it: free it, transmit it, lend
/// it. One that is dropped all the same (a panic in the middle of a burst) is not lost either: the
/// UMEM finds it again and counts it as abandoned.
#[must_use = "a frame goes back to its UMEM by `free`, `transmit` or `lend`"]
#[derive(PartialEq, Eq)]
pub struct Frame {
    // Two words, not four halves: so a token travels in two registers. Put together in memory from
    // halves and then read as a whole, it costs a failed store forwarding, twice a packet.
    /// Number of the frame (high half) and of its UMEM.
    name: NonZeroU64,
    /// Offset of the data (high half) and its length, in bytes.
    place: u64,
}

impl Frame {
    /// Only the UMEM's table of owners may make a token, for a frame that it marks as held.
    #[inline]
    pub(crate) fn new(umem: NonZeroU32, index: u32, offset: u32, len: u32) -> Self {
        let name = NonZeroU64::from(umem) | u64::from(index) << 32;
        Self { name, place: u64::from(offset) << 32 | u64::from(len) }
    }

    /// Bytes of data.
    #[inline]
    pub fn len(&self) -> usize {
        self.place as u32 as usize
    }

    /// Whether there is no data.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of the frame in its UMEM.
    #[inline]
    pub fn index(&self) -> u32 {
        (self.name.get() >> 32) as u32
    }

    /// Bytes in front of the data, counted from the start of the frame.
    #[inline]
    pub fn offset(&self) -> u32 {
        (self.place >> 32) as u32
    }

    /// First byte behind the data, counted from the start of the frame.
    #[inline]
    pub(crate) fn end(&self) -> u32 {
        self.offset().saturating_add(self.place as u32)
    }

    /// Whether it is a frame of this UMEM.
    #[inline]
    pub(crate) fn is_of(&self, umem: NonZeroU32) -> bool {
        self.umem() == umem.get()
    }

    fn umem(&self) -> u32 {
        self.name.get() as u32
    }

    /// Moves the data's bounds; the caller has checked them against the frame size.
    #[inline]
    pub(crate) fn place(&mut self, offset: u32, len: u32) {
        self.place = u64::from(offset) << 32 | u64::from(len);
    }

    /// Ends the token, its frame being accounted for elsewhere from now on.
    #[inline]
    pub(crate) fn surrender(self) -> u32 {
        let index = self.index();
        mem::forget(self);
        index
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        Abandoned::push(self.umem(), self.index());
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (umem, index) = (self.umem(), self.index());
        write!(f, "Frame({umem}:{index} [{}; {}])", self.offset(), self.len())
    }
}

/// A frame lent to another thread, which may fill it and hand it back.
///
/// It keeps the memory mapped, so it may outlive the UMEM itself.
#[must_use = "a lent frame goes back to its UMEM by `take_back`"]
#[derive(Debug)]
pub struct LentFrame {
    frame: Frame,
    region: Arc<Region>,
}

impl LentFrame {
    #[inline]
    pub(crate) fn new(frame: Frame, region: Arc<Region>) -> Self {
        Self { frame, region }
    }

    pub(crate) fn into_frame(self) -> Frame {
        self.frame
    }

    pub(crate) fn frame(&self) -> &Frame {
        &self.frame
    }

    /// The data.
    pub fn data(&self) -> &[u8] {
        self.region.bytes(&self.frame)
    }

    /// The data, to be changed.
    pub fn data_mut(&mut self) -> &mut [u8] {
        self.region.bytes_mut(&mut self.frame)
    }

    /// Bytes that [`write`](Self::write) takes at most.
    pub fn capacity(&self) -> usize {
        (self.region.frame_size - self.region.data_offset()) as usize
    }

    /// Replaces the data by a copy of `bytes`, at the usual offset, so the headroom is the same as
    /// in a received frame.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), NoRoom> {
        write(&self.region, &mut self.frame, bytes)
    }
}

/// The data would not fit into its frame; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the data does not fit into the frame")
    }
}

impl std::error::Error for NoRoom {}

/// Puts a copy of `bytes` into `frame` at the usual offset.
pub(crate) fn write(region: &Region, frame: &mut Frame, bytes: &[u8]) -> Result<(), NoRoom> {
    let offset = region.data_offset();
    if bytes.len() > (region.frame_size - offset) as usize {
        return Err(NoRoom);
    }
    frame.place(offset, bytes.len() as u32);
    region.bytes_mut(frame).copy_from_slice(bytes);
    Ok(())
}

/// Frames whose token was dropped, by UMEM. A static, because a token must stay small and plain:
/// an `Arc` in each would cost two atomic operations a packet, for something that never happens.
pub(crate) struct Abandoned;

static ABANDONED: Mutex<BTreeMap<u32, Vec<u32>>> = Mutex::new(BTreeMap::new());
static ABANDONED_EVER: AtomicU64 = AtomicU64::new(0);

impl Abandoned {
    /// Starts to collect for a UMEM.
    pub(crate) fn open(umem: NonZeroU32) {
        Self::lists().insert(umem.get(), Vec::new());
    }

    /// Forgets a UMEM that is gone; tokens dropped later are ignored.
    pub(crate) fn close(umem: NonZeroU32) {
        Self::lists().remove(&umem.get());
    }

    /// Tokens dropped in this process so far: tells without a lock that there is nothing new.
    pub(crate) fn ever() -> u64 {
        ABANDONED_EVER.load(Ordering::Acquire)
    }

    /// Numbers of the frames abandoned since the last call.
    pub(crate) fn take(umem: NonZeroU32) -> Vec<u32> {
        Self::lists().get_mut(&umem.get()).map(mem::take).unwrap_or_default()
    }

    fn push(umem: u32, index: u32) {
        if let Some(list) = Self::lists().get_mut(&umem) {
            list.push(index);
            ABANDONED_EVER.fetch_add(1, Ordering::Release);
        }
    }

    fn lists() -> MutexGuard<'static, BTreeMap<u32, Vec<u32>>> {
        ABANDONED.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
