//! The memory of a UMEM, cut into frames, and the only access to its bytes.
#![allow(unsafe_code)]

use crate::error::Error;
use crate::frame::Frame;
use crate::limits::{LARGEST_REGION, PACKET_HEADROOM};
use crate::mapping::Mapping;
use crate::umem::UmemConfig;
use std::num::NonZeroU32;
use std::ops::Range;
use std::slice;

/// `frames` frames of `frame_size` bytes, one behind the other. Shared by the UMEM, its sockets
/// and every lent frame, and unmapped with the last of them.
#[derive(Debug)]
pub(crate) struct Region {
    mapping: Mapping,
    pub(crate) id: NonZeroU32,
    pub(crate) frames: u32,
    pub(crate) frame_size: u32,
    pub(crate) headroom: u32,
}

impl Region {
    pub(crate) fn new(id: NonZeroU32, config: &UmemConfig) -> Result<Self, Error> {
        let UmemConfig { frames, frame_size, headroom, huge_pages } = *config;
        if frame_size <= headroom.saturating_add(PACKET_HEADROOM) {
            return Err(Error::FrameSize { bytes: frame_size, headroom });
        }
        let bytes = frames as usize * frame_size as usize;
        if bytes == 0 || bytes > LARGEST_REGION {
            return Err(Error::FrameCount { frames });
        }
        let mapping =
            Mapping::anonymous(bytes, huge_pages).map_err(|_| Error::OutOfMemory { bytes })?;
        Ok(Self { mapping, id, frames, frame_size, headroom })
    }

    /// Offset in a frame at which received data starts, and at which a new frame's data is put.
    #[inline]
    pub(crate) fn data_offset(&self) -> u32 {
        PACKET_HEADROOM + self.headroom
    }

    /// Bits of an address that count bytes inside a frame, if the frame size is a power of two.
    #[inline]
    pub(crate) fn shift(&self) -> u32 {
        self.frame_size.trailing_zeros()
    }

    /// Address and length as the kernel registers them.
    pub(crate) fn span(&self) -> (u64, u64) {
        let bytes = u64::from(self.frames) * u64::from(self.frame_size);
        (self.mapping.base().as_ptr() as u64, bytes)
    }

    pub(crate) fn huge_pages(&self) -> bool {
        self.mapping.huge()
    }

    /// The data of a frame.
    #[inline]
    pub(crate) fn bytes<'a>(&'a self, frame: &'a Frame) -> &'a [u8] {
        let range = self.locate(frame);
        // SAFETY: `locate` gives a range inside the mapping, which lives as long as `self`. The
        // token is the only one for this frame and is borrowed, so neither the kernel (which holds
        // no frame that has a token) nor other code writes these bytes meanwhile. The memory is
        // zeroed when mapped, so it is initialised.
        unsafe { slice::from_raw_parts(self.mapping.base().as_ptr().add(range.start), range.len()) }
    }

    /// The data of a frame, to be changed.
    #[expect(
        clippy::needless_pass_by_ref_mut,
        reason = "the borrow of the token is that of the bytes"
    )]
    #[inline]
    pub(crate) fn bytes_mut<'a>(&'a self, frame: &'a mut Frame) -> &'a mut [u8] {
        let range = self.locate(frame);
        // SAFETY: as in `bytes`; the token is borrowed exclusively, so no other slice of this
        // frame exists. Frames do not overlap, and `locate` stays inside the frame.
        unsafe {
            slice::from_raw_parts_mut(self.mapping.base().as_ptr().add(range.start), range.len())
        }
    }

    /// Where a frame's data lies in the mapping. A frame of another UMEM is a bug of the caller,
    /// and is refused here because its number may be in the kernel's hands in this one.
    #[inline]
    fn locate(&self, frame: &Frame) -> Range<usize> {
        assert!(frame.is_of(self.id), "frame of another UMEM");
        assert!(frame.end() <= self.frame_size, "frame data ends inside the frame");
        let start = frame.index() as usize * self.frame_size as usize + frame.offset() as usize;
        start..start + frame.len()
    }
}
