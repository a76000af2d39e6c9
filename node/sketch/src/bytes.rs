//! Reading what a peer wrote: big-endian, never past the end, and never more than a limit.

use core::fmt;

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// They end too early.
    Truncated,
    /// A version that this code does not know.
    Version(u8),
    /// A number of things beyond its limit.
    Limit,
    /// A value that cannot be.
    Value,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the bytes end too early"),
            Self::Version(version) => write!(f, "version {version} is not known"),
            Self::Limit => f.write_str("more of something than its limit"),
            Self::Value => f.write_str("a value that cannot be"),
        }
    }
}

/// Reads from the front.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Over all of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (front, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(*front)
    }

    /// The next `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (front, rest) = self.rest.split_at_checked(count).ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(front)
    }

    /// A byte.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(|[byte]| byte)
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    /// A finite number of eight bytes.
    pub fn f64(&mut self) -> Result<f64, Malformed> {
        let number = f64::from_bits(self.u64()?);
        if number.is_finite() { Ok(number) } else { Err(Malformed::Value) }
    }

    /// A number as [`put_count`] writes it: seven bits a byte, the lowest first.
    pub fn count(&mut self) -> Result<u64, Malformed> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && byte > 1 {
                return Err(Malformed::Limit);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed::Limit)
    }

    /// The version byte of an encoding, which must be `known`.
    pub fn version(&mut self, known: u8) -> Result<(), Malformed> {
        match self.u8()? {
            version if version == known => Ok(()),
            version => Err(Malformed::Version(version)),
        }
    }
}

/// Appends a number that is mostly small.
pub fn put_count(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn counts_are_these_bytes() {
        let cases: [(u64, &[u8]); 5] = [
            (0, &[0]),
            (127, &[127]),
            (128, &[0x80, 1]),
            (300, &[0xac, 2]),
            (u64::MAX, &[255, 255, 255, 255, 255, 255, 255, 255, 255, 1]),
        ];
        for (value, bytes) in cases {
            let mut out = Vec::new();
            put_count(value, &mut out);
            assert_eq!(out, bytes);
            assert_eq!(Reader::new(bytes).count(), Ok(value));
        }
        assert_eq!(Reader::new(&[0x80]).count(), Err(Malformed::Truncated));
        assert_eq!(Reader::new(&[0xff; 11]).count(), Err(Malformed::Limit));
        let nan = f64::NAN.to_bits().to_be_bytes();
        assert_eq!(Reader::new(&nan).f64(), Err(Malformed::Value));
    }

    proptest! {
        #[test]
        fn a_count_comes_back(value in any::<u64>()) {
            let mut out = Vec::new();
            put_count(value, &mut out);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.count(), Ok(value));
            prop_assert!(reader.is_empty());
        }
    }
}
