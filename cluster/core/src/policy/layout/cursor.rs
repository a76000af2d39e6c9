//! Numbers, texts and collections as bytes: big-endian, each with its length before it, and each within
//! its limit.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::limits::{LINE_BYTES, MEMBERS_MAX, POLICY_TEXT_BYTES, SECRET_BYTES, ZONES_PER_COMMAND};
use crate::membership::Kind;
use crate::placement;
use crate::policy::coordinator::Excused;
use crate::policy::{Epoch, Line, Malformed, PolicyText, ProposalId, RequestId, Secret, WallTime};
use crate::{NodeId, Term};

/// Reads from the front.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

/// What has a layout.
pub(super) trait Layout: Sized {
    fn write(&self, out: &mut Vec<u8>);
    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed>;
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (front, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(*front)
    }

    /// A length and so many bytes, at most `max`.
    pub(super) fn bytes(&mut self, max: usize) -> Result<&'a [u8], Malformed> {
        let length = self.count(max)?;
        let (front, rest) = self.rest.split_at_checked(length).ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(front)
    }

    fn text(&mut self, max: usize) -> Result<&'a str, Malformed> {
        core::str::from_utf8(self.bytes(max)?).map_err(|_| Malformed::Value)
    }

    fn count(&mut self, max: usize) -> Result<usize, Malformed> {
        let count = usize::try_from(u32::read(self)?).map_err(|_| Malformed::Limit)?;
        if count <= max { Ok(count) } else { Err(Malformed::Limit) }
    }

    /// Items one after the other; room is made as they come, so a count alone costs nothing.
    pub(super) fn deque<T: Layout>(&mut self, max: usize) -> Result<VecDeque<T>, Malformed> {
        let count = self.count(max)?;
        (0..count).map(|_| T::read(self)).collect()
    }

    /// Entries in the order of their keys, each key once.
    pub(super) fn map<K: Layout + Ord, V: Layout>(
        &mut self,
        max: usize,
    ) -> Result<BTreeMap<K, V>, Malformed> {
        let mut map = BTreeMap::new();
        for _ in 0..self.count(max)? {
            let (key, value) = (K::read(self)?, V::read(self)?);
            if map.last_key_value().is_some_and(|(last, _)| *last >= key) {
                return Err(Malformed::Value);
            }
            map.insert(key, value);
        }
        Ok(map)
    }
}

fn write_count(count: usize, out: &mut Vec<u8>) {
    u32::try_from(count).expect("what is written is within its limit").write(out);
}

pub(super) fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_count(bytes.len(), out);
    out.extend_from_slice(bytes);
}

pub(super) fn write_deque<T: Layout>(items: &VecDeque<T>, out: &mut Vec<u8>) {
    write_count(items.len(), out);
    items.iter().for_each(|item| item.write(out));
}

pub(super) fn write_map<K: Layout, V: Layout>(map: &BTreeMap<K, V>, out: &mut Vec<u8>) {
    write_count(map.len(), out);
    map.iter().for_each(|(key, value)| {
        key.write(out);
        value.write(out);
    });
}

macro_rules! integers {
    ($($kind:ty),*) => { $(
        impl Layout for $kind {
            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }
            fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
                r.array().map(Self::from_be_bytes)
            }
        }
    )* };
}

macro_rules! numbers {
    ($($kind:ident),*) => { $(
        impl Layout for $kind {
            fn write(&self, out: &mut Vec<u8>) {
                self.0.write(out);
            }
            fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
                Layout::read(r).map(Self)
            }
        }
    )* };
}

integers!(u8, u16, u32, u64, u128);
numbers!(NodeId, Term, Epoch, ProposalId, RequestId, WallTime);

impl<T: Layout> Layout for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_some()));
        if let Some(it) = self {
            it.write(out);
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        match u8::read(r)? {
            0 => Ok(None),
            1 => T::read(r).map(Some),
            _ => Err(Malformed::Value),
        }
    }
}

impl Layout for Line {
    fn write(&self, out: &mut Vec<u8>) {
        write_bytes(self.as_str().as_bytes(), out);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Self::new(r.text(LINE_BYTES)?).map_err(|_| Malformed::Limit)
    }
}

impl Layout for PolicyText {
    fn write(&self, out: &mut Vec<u8>) {
        write_bytes(self.as_str().as_bytes(), out);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Self::new(Arc::from(r.text(POLICY_TEXT_BYTES)?)).map_err(|_| Malformed::Limit)
    }
}

impl Layout for Secret {
    fn write(&self, out: &mut Vec<u8>) {
        write_bytes(self.expose(), out);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Self::new(r.bytes(SECRET_BYTES)?).map_err(|_| Malformed::Limit)
    }
}

/// Zones of one command.
impl Layout for Vec<Line> {
    fn write(&self, out: &mut Vec<u8>) {
        write_count(self.len(), out);
        self.iter().for_each(|line| line.write(out));
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        r.deque(ZONES_PER_COMMAND).map(Self::from)
    }
}

/// Nodes that an answer names, or something of each: of more than a cluster has, the first are told.
macro_rules! of_members {
    ($($kind:ty),*) => { $(
        impl Layout for Vec<$kind> {
            fn write(&self, out: &mut Vec<u8>) {
                let told = &self[..self.len().min(MEMBERS_MAX)];
                write_count(told.len(), out);
                told.iter().for_each(|it| it.write(out));
            }

            fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
                r.deque(MEMBERS_MAX).map(Self::from)
            }
        }
    )* };
}

of_members!(NodeId, Excused, placement::Member);

/// Whole milliseconds.
impl Layout for Duration {
    fn write(&self, out: &mut Vec<u8>) {
        u64::try_from(self.as_millis()).unwrap_or(u64::MAX).write(out);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        u64::read(r).map(Self::from_millis)
    }
}

impl Layout for SocketAddr {
    fn write(&self, out: &mut Vec<u8>) {
        match self.ip() {
            IpAddr::V4(ip) => {
                out.push(4);
                out.extend_from_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                out.push(6);
                out.extend_from_slice(&ip.octets());
            }
        }
        self.port().write(out);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let ip = match u8::read(r)? {
            4 => IpAddr::from(r.array::<4>()?),
            6 => IpAddr::from(r.array::<16>()?),
            _ => return Err(Malformed::Tag),
        };
        Ok(Self::new(ip, u16::read(r)?))
    }
}

impl Layout for Kind {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Firewall => 1,
            Self::Witness => 2,
        });
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        match u8::read(r)? {
            1 => Ok(Self::Firewall),
            2 => Ok(Self::Witness),
            _ => Err(Malformed::Tag),
        }
    }
}
