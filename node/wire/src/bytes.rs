//! Reading fixed headers: one bounds check a header, constant indices after it. And writing, in order.

/// The `N` bytes at `at`, if the slice holds them.
#[inline(always)]
pub(crate) fn chunk<const N: usize>(bytes: &[u8], at: usize) -> Option<&[u8; N]> {
    bytes.get(at..)?.first_chunk()
}

/// The mutable `N` bytes at `at`, if the slice holds them.
#[inline(always)]
pub(crate) fn chunk_mut<const N: usize>(bytes: &mut [u8], at: usize) -> Option<&mut [u8; N]> {
    bytes.get_mut(at..)?.first_chunk_mut()
}

/// Big-endian 16 bits of a fixed header; `at` is a constant inside it.
#[inline(always)]
pub(crate) fn be16<const N: usize>(header: &[u8; N], at: usize) -> u16 {
    u16::from_be_bytes([header[at], header[at + 1]])
}

/// Big-endian 32 bits of a fixed header; `at` is a constant inside it.
#[inline(always)]
pub(crate) fn be32<const N: usize>(header: &[u8; N], at: usize) -> u32 {
    u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

/// A buffer and how much of it is written. What does not fit is refused.
pub(crate) struct Writer<'o> {
    pub(crate) out: &'o mut [u8],
    pub(crate) at: usize,
}

impl Writer<'_> {
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Option<()> {
        self.out.get_mut(self.at..self.at + bytes.len())?.copy_from_slice(bytes);
        self.at += bytes.len();
        Some(())
    }

    pub(crate) fn zeros(&mut self, count: usize) -> Option<()> {
        self.out.get_mut(self.at..self.at + count)?.fill(0);
        self.at += count;
        Some(())
    }

    pub(crate) fn set16(&mut self, at: usize, value: u16) -> Option<()> {
        *chunk_mut(self.out, at)? = value.to_be_bytes();
        Some(())
    }
}
