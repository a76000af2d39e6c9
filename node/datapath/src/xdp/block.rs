//! Sources that the program drops for a time, by the zone whose ports they come in by, and destinations whose
//! SYNs it answers.

use std::collections::BTreeMap;
use std::net::IpAddr;

use aya::Ebpf;
use aya::maps::{Array, HashMap, MapData};
use wire::Time;

use super::error::Error;
use super::filter::{FilterWords, filter};
use super::guard::GuardList;
use super::limits::{MAX_BLOCKED, MAX_PORTS};
use super::port::{AddressKey, source_key};
use super::{removed, take};

/// `struct screen` of the program.
type ScreenValue = [u8; 28];

/// How the zone of a port counts sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceBits {
    /// The zone's number.
    pub zone: u8,
    /// Bits of an IPv4 source that count, 32 at most.
    pub v4: u8,
    /// Of an IPv6 source, 128 at most.
    pub v6: u8,
}

/// The program's list of blocked sources. The program looks at the end of each by itself; what has ended
/// stays in the list until [`Self::expire`], or until another one needs its place.
pub struct BlockList {
    screens: Array<MapData, ScreenValue>,
    blocked: HashMap<MapData, AddressKey, u64>,
    filter: Array<MapData, FilterWords>,
    /// What is in `blocked`.
    ends: BTreeMap<AddressKey, Time>,
    guards: GuardList,
    /// What is in `screens`.
    ports: Vec<Option<SourceBits>>,
}

impl BlockList {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, Error> {
        Ok(Self {
            screens: take(ebpf, "screens")?,
            blocked: take(ebpf, "blocked")?,
            filter: take(ebpf, "blocked_filter")?,
            ends: BTreeMap::new(),
            guards: GuardList::take(ebpf)?,
            ports: Vec::new(),
        })
    }

    /// Says what zone a port, by its number, is in, and forgets who was blocked: of other zones, or by other
    /// bits. `None`: nobody is looked for at this port.
    ///
    /// # Errors
    /// [`Error::Map`], with more ports than [`MAX_PORTS`] also.
    pub fn set_zones(
        &mut self,
        ports: impl IntoIterator<Item = Option<SourceBits>>,
    ) -> Result<(), Error> {
        self.clear()?;
        self.guards.clear()?;
        let all = ports.into_iter().chain(core::iter::repeat(None));
        self.ports = all.take(usize::from(MAX_PORTS)).collect();
        self.tell_screens()
    }

    /// Answers SYNs to a destination with cookies until then, if they enter by this zone, and announces this
    /// MSS. In a full list the one that ends first gives way.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn guard(
        &mut self,
        zone: u8,
        destination: IpAddr,
        mss: u16,
        until: Time,
        now: Time,
    ) -> Result<(), Error> {
        self.guards.guard(zone, destination, mss, until, now)?;
        self.tell_screens()
    }

    /// Says what cookies are made with.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn set_cookie(&mut self, context: &wire::cookie::Context) -> Result<(), Error> {
        self.guards.set_cookie(context)
    }

    /// How many SYNs were answered for each guarded destination since this was last asked; those of which
    /// none was are left out.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn take_answered(&mut self) -> Result<Vec<(u8, IpAddr, u64)>, Error> {
        self.guards.take_answered()
    }

    /// How many destinations are guarded.
    pub fn guarded(&self) -> usize {
        self.guards.len()
    }

    /// The program looks for guards at ports of those zones alone that have one.
    fn tell_screens(&mut self) -> Result<(), Error> {
        for (port, zone) in (0..).zip(&self.ports) {
            let value = zone.map_or([0; _], |bits| bits.value(self.guards.has_zone(bits.zone)));
            self.screens.set(port, value, 0).map_err(Error::map("screens"))?;
        }
        Ok(())
    }

    /// Drops what comes from a source until then. In a full list the block that ends first gives way.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn block(&mut self, zone: u8, source: IpAddr, until: Time, now: Time) -> Result<(), Error> {
        let key = source_key(zone, source);
        if !self.ends.contains_key(&key) && self.ends.len() >= MAX_BLOCKED {
            self.expire(now)?;
            self.make_room()?;
        }
        self.ends.insert(key, until);
        self.cover()?;
        self.blocked.insert(key, until.0, 0).map_err(Error::map("blocked"))
    }

    /// Lets a source through again. One that is not blocked is no error.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn unblock(&mut self, zone: u8, source: IpAddr) -> Result<(), Error> {
        self.remove(&source_key(zone, source))?;
        self.cover()
    }

    /// Forgets what has ended by `now`: then the program asks for fewer sources.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn expire(&mut self, now: Time) -> Result<(), Error> {
        if self.guards.expire(now)? {
            self.tell_screens()?;
        }
        let over: Vec<_> =
            self.ends.iter().filter(|(_, end)| **end <= now).map(|(key, _)| *key).collect();
        if over.is_empty() {
            return Ok(());
        }
        over.iter().try_for_each(|key| self.remove(key))?;
        self.cover()
    }

    /// How many are in the list.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether nobody is.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    fn clear(&mut self) -> Result<(), Error> {
        for key in self.ends.keys().copied().collect::<Vec<_>>() {
            self.remove(&key)?;
        }
        self.cover()
    }

    fn make_room(&mut self) -> Result<(), Error> {
        while self.ends.len() >= MAX_BLOCKED {
            let first = self.ends.iter().min_by_key(|(_, end)| **end).map(|(key, _)| *key);
            let Some(first) = first else { return Ok(()) };
            self.remove(&first)?;
        }
        Ok(())
    }

    fn remove(&mut self, key: &AddressKey) -> Result<(), Error> {
        if self.ends.remove(key).is_some() {
            removed("blocked", self.blocked.remove(key))?;
        }
        Ok(())
    }

    /// Before a key is there, and after it is gone.
    fn cover(&mut self) -> Result<(), Error> {
        self.filter.set(0, *filter(self.ends.keys()), 0).map_err(Error::map("blocked_filter"))
    }
}

impl SourceBits {
    /// The program's entry.
    fn value(self, guarded: bool) -> ScreenValue {
        let v4 = u32::MAX.checked_shl(32 - u32::from(self.v4.min(32))).unwrap_or(0);
        let v6 = u128::MAX.checked_shl(128 - u32::from(self.v6.min(128))).unwrap_or(0);
        let mut value: ScreenValue = [0; _];
        let zone = u32::from(self.zone) + 1;
        value[..4].copy_from_slice(&zone.to_ne_bytes());
        value[4..8].copy_from_slice(&v4.to_be_bytes());
        value[8..24].copy_from_slice(&v6.to_be_bytes());
        value[24..].copy_from_slice(&(if guarded { zone } else { 0 }).to_ne_bytes());
        value
    }
}

impl std::fmt::Debug for BlockList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (blocked, guarded) = (self.len(), self.guarded());
        let mut list = f.debug_struct("BlockList");
        list.field("blocked", &blocked).field("guarded", &guarded).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_of_a_zone_are_masks_in_network_order() {
        let value = SourceBits { zone: 2, v4: 24, v6: 64 }.value(true);
        assert_eq!(value[..4], 3_u32.to_ne_bytes());
        assert_eq!(value[4..8], [255, 255, 255, 0]);
        assert_eq!(value[8..24], [[255; 8], [0; 8]].concat());
        assert_eq!(value[24..], 3_u32.to_ne_bytes());
        let whole = SourceBits { zone: 0, v4: 32, v6: 128 }.value(false);
        assert_eq!(whole[4..], [vec![255; 20], vec![0; 4]].concat());
    }
}
