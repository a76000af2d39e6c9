//! The rings shared with the kernel: one writer, one reader, each with its own index.
//!
//! The producer writes entries, then publishes them by a release store of its index; the consumer
//! sees the index by an acquire load, reads the entries, and hands the places back by a release
//! store of *its* index, which the producer acquires before it writes there again. The indices run
//! freely over 2^32 and are masked for use. Each side keeps a copy of the other's index and looks
//! again only when the copy says that there is nothing to do, so a burst costs one shared read.
#![allow(unsafe_code)]

#[cfg(test)]
mod tests;

use crate::mapping::Mapping;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering, fence};

/// An entry of an RX or TX ring (`struct xdp_desc`).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Descriptor {
    /// Offset of the data in the UMEM, in bytes.
    pub(crate) address: u64,
    /// Bytes of data.
    pub(crate) len: u32,
    /// `XDP_PKT_CONTD` and the like; none is used here.
    pub(crate) options: u32,
}

/// Types that a ring may carry.
///
/// # Safety
/// Any bytes must be a valid value, because the other side writes them.
pub(crate) unsafe trait Entry: Copy {}

// SAFETY: every bit pattern is a `u64`.
unsafe impl Entry for u64 {}
// SAFETY: three integers without padding, so every bit pattern is valid.
unsafe impl Entry for Descriptor {}

/// Byte offsets of a ring's parts in its mapping (`struct xdp_ring_offset`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) producer: usize,
    pub(crate) consumer: usize,
    pub(crate) flags: usize,
    pub(crate) entries: usize,
}

impl Layout {
    /// Bytes to map for `size` entries of type `T`.
    pub(crate) fn bytes<T: Entry>(&self, size: u32) -> usize {
        self.entries + size as usize * size_of::<T>()
    }
}

/// The parts of a mapped ring.
struct Shared<T> {
    producer: NonNull<AtomicU32>,
    consumer: NonNull<AtomicU32>,
    flags: NonNull<AtomicU32>,
    entries: NonNull<T>,
    size: u32,
    mapping: Arc<Mapping>,
    carries: PhantomData<T>,
}

// SAFETY: the pointers lead into `mapping`, which is `Send` and lives as long; a ring end is used
// by one thread at a time because its methods that write take `&mut self`.
unsafe impl<T: Entry> Send for Shared<T> {}

impl<T: Entry> Shared<T> {
    fn new(mapping: Arc<Mapping>, layout: Layout, size: u32) -> Self {
        assert!(size.is_power_of_two() && layout.bytes::<T>(size) <= mapping.len());
        let part = |offset: usize, align: usize| {
            assert!(offset.is_multiple_of(align) && offset < mapping.len());
            // SAFETY: the offset was just checked to lie in the mapping.
            unsafe { mapping.base().add(offset) }
        };
        let word = |offset: usize| part(offset, align_of::<AtomicU32>()).cast();
        Self {
            producer: word(layout.producer),
            consumer: word(layout.consumer),
            flags: word(layout.flags),
            entries: part(layout.entries, align_of::<T>()).cast(),
            size,
            mapping: Arc::clone(&mapping),
            carries: PhantomData,
        }
    }

    fn producer(&self) -> &AtomicU32 {
        // SAFETY: aligned and inside the mapping (checked in `new`), zeroed when mapped, and
        // touched by both sides only as an atomic word.
        unsafe { self.producer.as_ref() }
    }

    fn consumer(&self) -> &AtomicU32 {
        // SAFETY: as for `producer`.
        unsafe { self.consumer.as_ref() }
    }

    fn wants_wakeup(&self) -> bool {
        // The index stored just before must be visible to the kernel before its flag is read:
        // otherwise it could go to sleep without having seen the new entries, and not be woken.
        fence(Ordering::SeqCst);
        // SAFETY: as for `producer`.
        let flags = unsafe { self.flags.as_ref() };
        flags.load(Ordering::Relaxed) & libc::XDP_RING_NEED_WAKEUP != 0
    }

    /// Where the entry with this index lies.
    #[inline]
    fn place(&self, index: u32) -> NonNull<T> {
        // SAFETY: masked to less than `size`, and `size` entries fit into the mapping.
        unsafe { self.entries.add((index & (self.size - 1)) as usize) }
    }
}

/// The writing end of a ring.
pub(crate) struct Producer<T> {
    shared: Shared<T>,
    /// Next entry to be written; published by `submit`.
    head: u32,
    /// The reader's index when last looked at.
    tail: u32,
}

impl<T: Entry> Producer<T> {
    /// The only writing end of the ring in `mapping`.
    ///
    /// # Safety
    /// No other writing end of this ring may exist, in this process or the kernel, and `layout`
    /// must be the ring's own.
    pub(crate) unsafe fn new(mapping: Arc<Mapping>, layout: Layout, size: u32) -> Self {
        let shared = Shared::new(mapping, layout, size);
        let head = shared.producer().load(Ordering::Relaxed);
        let tail = shared.consumer().load(Ordering::Acquire);
        Self { shared, head, tail }
    }

    /// Writes an entry, not yet visible to the reader. False if the ring is full.
    #[inline]
    pub(crate) fn push(&mut self, entry: T) -> bool {
        if self.room(1) == 0 {
            return false;
        }
        // SAFETY: the place is inside the mapping. The reader has handed it back (its index,
        // acquired, is less than a ring's size behind), and does not read it before `submit`.
        unsafe { self.shared.place(self.head).write(entry) };
        self.head = self.head.wrapping_add(1);
        true
    }

    /// Entries that can be written, up to `wanted`.
    #[inline]
    pub(crate) fn room(&mut self, wanted: u32) -> u32 {
        let size = self.shared.size;
        let room = |head: u32, tail: u32| size.saturating_sub(head.wrapping_sub(tail));
        if room(self.head, self.tail) < wanted {
            self.tail = self.shared.consumer().load(Ordering::Acquire);
        }
        room(self.head, self.tail).min(wanted)
    }

    /// Publishes what was written.
    #[inline]
    pub(crate) fn submit(&self) {
        self.shared.producer().store(self.head, Ordering::Release);
    }

    /// Published entries that the reader has not taken.
    #[inline]
    pub(crate) fn unread(&self) -> u32 {
        let published = self.shared.producer().load(Ordering::Relaxed);
        published.wrapping_sub(self.shared.consumer().load(Ordering::Acquire))
    }

    /// Whether the kernel asks to be called before it looks at this ring again.
    pub(crate) fn wants_wakeup(&self) -> bool {
        self.shared.wants_wakeup()
    }
}

/// The reading end of a ring.
pub(crate) struct Consumer<T> {
    shared: Shared<T>,
    /// Next entry to be read; handed back by `release`.
    tail: u32,
    /// The writer's index when last looked at.
    head: u32,
}

impl<T: Entry> Consumer<T> {
    /// The only reading end of the ring in `mapping`.
    ///
    /// # Safety
    /// No other reading end of this ring may exist, in this process or the kernel, and `layout`
    /// must be the ring's own.
    pub(crate) unsafe fn new(mapping: Arc<Mapping>, layout: Layout, size: u32) -> Self {
        let shared = Shared::new(mapping, layout, size);
        let tail = shared.consumer().load(Ordering::Relaxed);
        let head = shared.producer().load(Ordering::Acquire);
        Self { shared, tail, head }
    }

    /// Reads the next entry, if there is one. Its place stays taken until `release`.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<T> {
        if self.tail == self.head {
            self.head = self.shared.producer().load(Ordering::Acquire);
            if self.tail == self.head {
                return None;
            }
        }
        // SAFETY: the place is inside the mapping. The writer has published it (its index was
        // acquired) and does not write it again before `release`.
        let entry = unsafe { self.shared.place(self.tail).read() };
        self.tail = self.tail.wrapping_add(1);
        Some(entry)
    }

    /// Hands the places of what was read back to the writer.
    #[inline]
    pub(crate) fn release(&self) {
        self.shared.consumer().store(self.tail, Ordering::Release);
    }

    /// Published entries not read yet.
    pub(crate) fn waiting(&self) -> u32 {
        self.shared.producer().load(Ordering::Acquire).wrapping_sub(self.tail)
    }
}

impl<T> std::fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").field("size", &self.size).field("at", &self.mapping.base()).finish()
    }
}

impl<T> std::fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Producer({:?}, {})", self.shared, self.head)
    }
}

impl<T> std::fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Consumer({:?}, {})", self.shared, self.tail)
    }
}
