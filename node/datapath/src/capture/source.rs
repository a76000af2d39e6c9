//! Bytes of a file with the position known, read in order, in a byte order that the file chooses.

use std::io::{self, BufRead, BufReader, Read};

use super::{CaptureError, limits};

/// A counting reader. All of its errors carry the offset at which the wanted part began.
pub(super) struct Source<R> {
    inner: BufReader<R>,
    offset: u64,
}

/// The byte order of a file or section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl<R: Read> Source<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner: BufReader::with_capacity(limits::READ_BUFFER_BYTES, inner), offset: 0 }
    }

    /// Bytes consumed so far.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// True at the end of the file.
    pub(super) fn at_end(&mut self) -> Result<bool, CaptureError> {
        loop {
            match self.inner.fill_buf() {
                Ok(bytes) => return Ok(bytes.is_empty()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(CaptureError::Io { offset: self.offset, error }),
            }
        }
    }

    /// Fills `into` or fails.
    pub(super) fn read(&mut self, into: &mut [u8]) -> Result<(), CaptureError> {
        let offset = self.offset;
        self.inner.read_exact(into).map_err(|error| failure(offset, error))?;
        self.offset += into.len() as u64;
        Ok(())
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], CaptureError> {
        let mut bytes = [0; N];
        self.read(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn u32(&mut self, order: Order) -> Result<u32, CaptureError> {
        Ok(order.u32(self.array()?))
    }

    pub(super) fn u16(&mut self, order: Order) -> Result<u16, CaptureError> {
        Ok(order.u16(self.array()?))
    }

    /// Passes over `count` bytes, which must exist.
    pub(super) fn skip(&mut self, count: u32) -> Result<(), CaptureError> {
        let offset = self.offset;
        let mut left = count as usize;
        while left > 0 {
            if self.at_end()? {
                return Err(CaptureError::Truncated { offset });
            }
            let step = left.min(self.inner.buffer().len());
            self.inner.consume(step);
            self.offset += step as u64;
            left -= step;
        }
        Ok(())
    }
}

impl Order {
    pub(super) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    pub(super) fn u64(self, bytes: [u8; 8]) -> u64 {
        match self {
            Self::Little => u64::from_le_bytes(bytes),
            Self::Big => u64::from_be_bytes(bytes),
        }
    }
}

fn failure(offset: u64, error: io::Error) -> CaptureError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        CaptureError::Truncated { offset }
    } else {
        CaptureError::Io { offset, error }
    }
}
