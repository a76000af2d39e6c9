//! A cursor each way over a heartbeat's bytes: big-endian, and never past the end.

use std::time::Duration;

/// Reads from the front; `None` past the end.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (front, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*front)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn micros(&mut self) -> Option<Duration> {
        self.u32().map(|it| Duration::from_micros(it.into()))
    }
}

/// Writes to the front of what is left. The layout is constant, so a body that is too short is a
/// mistake of this crate.
pub(super) struct Writer<'a> {
    rest: &'a mut [u8],
}

impl<'a> Writer<'a> {
    pub(super) const fn new(bytes: &'a mut [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn array<const N: usize>(&mut self, bytes: [u8; N]) {
        let rest = core::mem::take(&mut self.rest);
        let (front, rest) = rest.split_first_chunk_mut::<N>().expect("the body has room");
        *front = bytes;
        self.rest = rest;
    }

    pub(super) fn u8(&mut self, it: u8) {
        self.array([it]);
    }

    pub(super) fn u16(&mut self, it: u16) {
        self.array(it.to_be_bytes());
    }

    pub(super) fn u32(&mut self, it: u32) {
        self.array(it.to_be_bytes());
    }

    pub(super) fn u64(&mut self, it: u64) {
        self.array(it.to_be_bytes());
    }

    /// Whole microseconds; what is longer than 71 minutes is written as that.
    pub(super) fn micros(&mut self, it: Duration) {
        self.u32(u32::try_from(it.as_micros()).unwrap_or(u32::MAX));
    }
}
