//! A reader of aligned PER (X.691), as far as H.225.0 and H.245 need it.
//!
//! It knows no structure: whoever calls it says what comes next. Places are bits from the start of the whole
//! message, so that what is found inside an open type or an octet string has its place in the message too.
//! Both begin at a whole octet, hence alignment (§10.7) is the same seen from inside and from outside.
//!
//! Every call either fails or moves forward by what it gave, so reading is linear in the message.

use super::Error;
use crate::limits::H323_LIST_MAX;

/// A place in a message, and how far it may go.
#[derive(Clone, Debug)]
pub(super) struct Per<'a> {
    /// The message up to the end of the structure that is read.
    bytes: &'a [u8],
    /// Bits read, from the start of the message.
    at: usize,
}

impl<'a> Per<'a> {
    /// A reader of what stands in `message` from the octet `start` on.
    pub(super) const fn new(message: &'a [u8], start: usize) -> Self {
        Self { bytes: message, at: start.saturating_mul(8) }
    }

    /// One BOOLEAN, extension bit or presence bit.
    pub(super) fn bit(&mut self) -> Result<bool, Error> {
        let octet = self.bytes.get(self.at / 8).ok_or(Error::Truncated)?;
        let shift = 7 - self.at % 8;
        self.at += 1;
        Ok(octet >> shift & 1 != 0)
    }

    /// A field of up to 32 bits, unaligned: an INTEGER with up to 255 values (§10.5.7.1).
    pub(super) fn bits(&mut self, count: u32) -> Result<u32, Error> {
        (0..count).try_fold(0, |value, _| Ok(value << 1 | u32::from(self.bit()?)))
    }

    /// Passes over `count` bits.
    pub(super) fn skip_bits(&mut self, count: usize) -> Result<(), Error> {
        let at = self.at.checked_add(count).ok_or(Error::Truncated)?;
        if at.div_ceil(8) > self.bytes.len() {
            return Err(Error::Truncated);
        }
        self.at = at;
        Ok(())
    }

    /// Passes over the padding, then over `count` octets: gives the first one's place.
    pub(super) fn octets(&mut self, count: usize) -> Result<usize, Error> {
        let start = self.at.div_ceil(8);
        let end = start.checked_add(count).ok_or(Error::Truncated)?;
        if end > self.bytes.len() {
            return Err(Error::Truncated);
        }
        self.at = end * 8;
        Ok(start)
    }

    /// `N` aligned octets.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let start = self.octets(N)?;
        let rest = self.bytes.get(start..).ok_or(Error::Truncated)?;
        rest.first_chunk().copied().ok_or(Error::Truncated)
    }

    /// An INTEGER with 256 values (§10.5.7.2), less its least value.
    pub(super) fn octet(&mut self) -> Result<u8, Error> {
        self.array().map(|[octet]| octet)
    }

    /// An INTEGER with 257 to 65,536 values (§10.5.7.3), less its least value.
    pub(super) fn half(&mut self) -> Result<u16, Error> {
        self.array().map(u16::from_be_bytes)
    }

    /// An INTEGER with more values that needs three or four octets (§10.5.7.4), less its least value: two
    /// bits tell how many there are.
    pub(super) fn word(&mut self) -> Result<u32, Error> {
        let count = self.bits(2)? + 1;
        self.octets(0)?;
        self.bits(8 * count)
    }

    /// A length without bounds (§10.9.3.5 to §10.9.3.8).
    ///
    /// # Errors
    /// [`Error::Fragmented`] for 16,384 and more: nothing that an H.323 message has is as long.
    pub(super) fn length(&mut self) -> Result<usize, Error> {
        let first = self.octet()?;
        match first >> 6 {
            0 | 1 => Ok(usize::from(first)),
            2 => Ok(usize::from(first & 0x3f) << 8 | usize::from(self.octet()?)),
            _ => Err(Error::Fragmented),
        }
    }

    /// How many elements a SEQUENCE OF without bounds has.
    pub(super) fn count(&mut self) -> Result<usize, Error> {
        self.length().and_then(few)
    }

    /// Reads a SEQUENCE OF without bounds.
    pub(super) fn each(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let count = self.count()?;
        (0..count).try_for_each(|_| read(self))
    }

    /// An OCTET STRING without bounds, or an open type: a reader of what is in it.
    pub(super) fn contents(&mut self) -> Result<Self, Error> {
        let length = self.length()?;
        let start = self.octets(length)?;
        let bytes = self.bytes.get(..start + length).ok_or(Error::Truncated)?;
        Ok(Self::new(bytes, start))
    }

    /// Passes over an OCTET STRING without bounds, an open type, or an OBJECT IDENTIFIER.
    pub(super) fn skip_contents(&mut self) -> Result<(), Error> {
        self.contents().map(drop)
    }

    /// The beginning of a SEQUENCE that has an extension marker and so many OPTIONAL components before it.
    pub(super) fn sequence(&mut self, optional: u32) -> Result<Sequence, Error> {
        let extended = self.bit()?;
        let present = self.bits(optional)? << (u32::BITS - optional).min(u32::BITS - 1);
        Ok(Sequence { extended, present })
    }

    /// Which alternative of a CHOICE with an extension marker comes; `bits` is the width of the index of
    /// those before the marker.
    pub(super) fn choice(&mut self, bits: u32) -> Result<Choice<'a>, Error> {
        if !self.bit()? {
            return self.bits(bits).map(Choice::Root);
        }
        let index = self.small()?;
        Ok(Choice::Addition(index, self.contents()?))
    }

    /// A CHOICE with an extension marker whose alternatives before it are all NULL.
    pub(super) fn skip_choice_of_nulls(&mut self, bits: u32) -> Result<(), Error> {
        self.choice(bits).map(drop)
    }

    /// A normally small number (§10.6); one beyond 63 is passed over, for no CHOICE here has so many
    /// alternatives.
    fn small(&mut self) -> Result<usize, Error> {
        match self.bit()? {
            false => self.bits(6).map(|number| number as usize),
            true => self.skip_contents().map(|()| usize::MAX),
        }
    }
}

/// The OPTIONAL components of a SEQUENCE, taken one by one in the order of the ASN.1, and then its additions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sequence {
    extended: bool,
    /// Presence, the next component at the top.
    present: u32,
}

impl Sequence {
    /// Whether the next OPTIONAL component is there.
    pub(super) const fn next(&mut self) -> bool {
        let there = self.present >> (u32::BITS - 1) != 0;
        self.present <<= 1;
        there
    }

    /// Reads the next OPTIONAL component, if it is there.
    pub(super) fn optional<'a, T>(
        &mut self,
        per: &mut Per<'a>,
        read: impl FnOnce(&mut Per<'a>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        match self.next() {
            true => read(per).map(Some),
            false => Ok(None),
        }
    }

    /// The additions behind the extension marker (§18.7 to §18.9).
    pub(super) fn additions(self, per: &mut Per<'_>) -> Result<Additions, Error> {
        if !self.extended {
            return Ok(Additions { present: 0, next: 0 });
        }
        // One less than their number is encoded, as a normally small length (§10.9.3.4).
        let count = match per.bit()? {
            false => per.bits(6)? + 1,
            true => return Err(Error::Unknown),
        };
        let (high, low) = (per.bits(count.min(32))?, per.bits(count.saturating_sub(32))?);
        let [high, low] = [(high, count.min(32)), (low, count.saturating_sub(32))]
            .map(|(bits, width)| u64::from(bits) << (32 - width));
        Ok(Additions { present: high << 32 | low, next: 0 })
    }

    /// Passes over the additions.
    pub(super) fn skip_additions(self, per: &mut Per<'_>) -> Result<(), Error> {
        let mut additions = self.additions(per)?;
        while additions.next(per)?.is_some() {}
        Ok(())
    }
}

/// The additions of a SEQUENCE that are there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Additions {
    /// Presence, the next one at the top.
    present: u64,
    next: usize,
}

impl Additions {
    /// The next addition that is there: how many the ASN.1 has before it, and a reader of it.
    pub(super) fn next<'a>(
        &mut self,
        per: &mut Per<'a>,
    ) -> Result<Option<(usize, Per<'a>)>, Error> {
        if self.present == 0 {
            return Ok(None);
        }
        let absent = self.present.leading_zeros();
        // In two steps: the last of 64 additions would be a shift by the whole width.
        self.present = self.present << absent << 1;
        let index = self.next + absent as usize;
        self.next = index + 1;
        Ok(Some((index, per.contents()?)))
    }
}

/// The alternative of a CHOICE.
#[derive(Debug)]
pub(super) enum Choice<'a> {
    /// One before the extension marker: its contents come next.
    Root(u32),
    /// One behind it, and a reader of it.
    Addition(usize, Per<'a>),
}

/// Refuses a list that is longer than any we know.
pub(super) const fn few(count: usize) -> Result<usize, Error> {
    if count > H323_LIST_MAX { Err(Error::TooMany) } else { Ok(count) }
}
