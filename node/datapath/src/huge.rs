//! An allocator that puts what is as large as a session table on huge pages.
//!
//! A table of a million sessions is 200 MB: with pages of 4 KiB nearly every packet's session costs
//! a walk through the page tables before the cache miss, with pages of 2 MiB next to none does. Most
//! kernels give huge pages only to memory that asks for them (`transparent_hugepage=madvise`), and
//! the engine, which owns the tables, speaks to no kernel: so the allocator asks.

#![allow(unsafe_code, reason = "an allocator is unsafe by its interface")]

use std::alloc::{GlobalAlloc, Layout, System};

use crate::limits::{HUGE_MIN, HUGE_PAGE};

/// The system's allocator, which it is for everything below [`HUGE_MIN`] bytes. To be the
/// `#[global_allocator]` of a program that runs workers.
#[derive(Clone, Copy, Debug, Default)]
pub struct HugePages;

// SAFETY: every block is System's. Its layout is a function of the one asked for, at least as
// strict, so that `dealloc` tells System the layout that `alloc` told it.
unsafe impl GlobalAlloc for HugePages {
    unsafe fn alloc(&self, asked: Layout) -> *mut u8 {
        let layout = layout(asked);
        // SAFETY: the caller's promises about `asked` hold for `layout`, whose size is the same.
        let block = unsafe { System.alloc(layout) };
        if layout != asked && !block.is_null() {
            ask_for_huge_pages(block, layout.size());
        }
        block
    }

    unsafe fn alloc_zeroed(&self, asked: Layout) -> *mut u8 {
        if layout(asked) == asked {
            // SAFETY: the caller's promises, passed on.
            return unsafe { System.alloc_zeroed(asked) };
        }
        // SAFETY: the caller's promises, passed on.
        let block = unsafe { self.alloc(asked) };
        if !block.is_null() {
            // SAFETY: `block` is that long, and ours alone.
            unsafe { block.write_bytes(0, asked.size()) };
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, asked: Layout) {
        // SAFETY: `block` came from `alloc` or `alloc_zeroed` with `asked`, hence from System with
        // this layout.
        unsafe { System.dealloc(block, layout(asked)) }
    }

    unsafe fn realloc(&self, block: *mut u8, asked: Layout, size: usize) -> *mut u8 {
        let small = asked.size().max(size) < HUGE_MIN;
        if small {
            // SAFETY: both layouts are System's own.
            return unsafe { System.realloc(block, asked, size) };
        }
        // SAFETY: the caller promises that `size` makes a layout with the old alignment.
        let new = unsafe { Layout::from_size_align_unchecked(size, asked.align()) };
        // SAFETY: the caller's promises, passed on.
        let moved = unsafe { self.alloc(new) };
        if !moved.is_null() {
            // SAFETY: both blocks are that long and do not overlap, since both live.
            unsafe { moved.copy_from_nonoverlapping(block, asked.size().min(size)) };
            // SAFETY: `block` is not used any more.
            unsafe { self.dealloc(block, asked) };
        }
        moved
    }
}

/// What System is asked for: a large block begins where a huge page does.
fn layout(asked: Layout) -> Layout {
    if asked.size() < HUGE_MIN {
        return asked;
    }
    asked.align_to(HUGE_PAGE).unwrap_or(asked)
}

fn ask_for_huge_pages(block: *mut u8, size: usize) {
    // SAFETY: the range is a block of ours, and the advice changes no byte of it. A kernel without
    // huge pages refuses, which costs nothing but speed.
    unsafe { libc::madvise(block.cast(), size, libc::MADV_HUGEPAGE) };
}

#[cfg(test)]
mod tests {
    use std::alloc::{GlobalAlloc, Layout};

    use super::HugePages;
    use crate::limits::{HUGE_MIN, HUGE_PAGE};

    /// The bytes that a block keeps while it grows and shrinks over the bound.
    #[test]
    fn blocks_keep_their_bytes_and_large_ones_are_aligned() {
        let sizes = [64, HUGE_MIN - 1, HUGE_MIN, 3 * HUGE_MIN + 5, HUGE_MIN - 64, 16];
        let layout = |size| Layout::from_size_align(size, 16).expect("a valid layout");
        // SAFETY: sizes are not 0; each block is used within its size and freed once.
        unsafe {
            let mut block = HugePages.alloc_zeroed(layout(sizes[0]));
            block.write_bytes(0x5a, 16);
            for pair in sizes.windows(2) {
                block = HugePages.realloc(block, layout(pair[0]), pair[1]);
                assert!(!block.is_null());
                assert_eq!(std::slice::from_raw_parts(block, 16), [0x5a; 16]);
                block.add(pair[1] - 1).write(1);
                if pair[1] >= HUGE_MIN {
                    assert!(block.addr().is_multiple_of(HUGE_PAGE));
                }
            }
            HugePages.dealloc(block, layout(16));
        }
    }

    #[test]
    fn a_large_zeroed_block_is_zero() {
        let layout = Layout::from_size_align(HUGE_MIN, 8).expect("a valid layout");
        // SAFETY: the block is used within its size and freed once.
        unsafe {
            for _ in 0..2 {
                let block = HugePages.alloc_zeroed(layout);
                let bytes = std::slice::from_raw_parts_mut(block, HUGE_MIN);
                assert!(bytes.iter().all(|byte| *byte == 0));
                bytes.fill(0xff);
                HugePages.dealloc(block, layout);
            }
        }
    }
}
