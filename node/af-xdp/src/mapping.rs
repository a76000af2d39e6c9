//! A mapped range of memory that is unmapped when its last user goes.
#![allow(unsafe_code)]

use crate::limits::HUGE_PAGE;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};

/// Memory shared with the kernel: the frames of a UMEM, or one ring.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    len: usize,
    huge: bool,
}

// SAFETY: a mapping is an address range and nothing in it belongs to a thread. Who may read or
// write which bytes when is decided by the ring protocol and by frame tokens, not here.
unsafe impl Send for Mapping {}
// SAFETY: as above; `Mapping` itself has no method that touches the mapped bytes.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Zeroed memory of at least `len` bytes, faulted in at once. `huge` asks for huge pages, and
    /// ordinary ones are taken where there are none. Not inherited by a forked child: the kernel
    /// pins these pages, and a child's copy would be a copy of every frame.
    pub(crate) fn anonymous(len: usize, huge: bool) -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
        let rounded = len.next_multiple_of(HUGE_PAGE);
        let mapping = match huge {
            true => Self::map(rounded, flags | libc::MAP_HUGETLB, None)
                .or_else(|_| Self::map(len, flags, None)),
            false => Self::map(len, flags, None),
        }?;
        // SAFETY: the range was mapped just now and is not shared yet; the advice changes only
        // what a fork copies.
        unsafe { libc::madvise(mapping.base.as_ptr().cast(), mapping.len, libc::MADV_DONTFORK) };
        Ok(mapping)
    }

    /// The ring that the kernel offers at `offset` of an AF_XDP socket.
    pub(crate) fn of_socket(fd: BorrowedFd<'_>, offset: i64, len: usize) -> io::Result<Self> {
        Self::map(len, libc::MAP_SHARED | libc::MAP_POPULATE, Some((fd, offset)))
    }

    fn map(len: usize, flags: i32, file: Option<(BorrowedFd<'_>, i64)>) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let (fd, offset) = file.map_or((-1, 0), |(fd, offset)| (fd.as_raw_fd(), offset));
        // SAFETY: no address is asked for, so no existing mapping can be replaced; the result is
        // checked before use.
        let base = unsafe { libc::mmap(ptr::null_mut(), len, protection, flags, fd, offset) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, len, huge: flags & libc::MAP_HUGETLB != 0 })
    }

    /// The first byte. Valid for `len` bytes as long as `self` lives; aligned to a page.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Bytes mapped.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether huge pages were had.
    pub(crate) fn huge(&self) -> bool {
        self.huge
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by `map` and is unmapped only here. Whoever holds a pointer
        // into it also holds the `Arc` of this mapping, so none is left.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}
