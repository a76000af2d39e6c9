//! Destinations whose SYNs the program answers with cookies, by the zone whose ports they come in by.

use std::collections::BTreeMap;
use std::net::IpAddr;

use aya::Ebpf;
use aya::maps::{Array, HashMap, MapData};
use wire::{Time, cookie};

use super::error::Error;
use super::filter::{FilterWords, filter};
use super::limits::MAX_GUARDED;
use super::port::{AddressKey, source_key};
use super::{removed, take};

/// `struct guard` of the program.
type GuardValue = [u64; 3];
/// `struct cookie` of the program.
type CookieValue = [u64; 3];

/// The program's list of guarded destinations.
pub(super) struct GuardList {
    guards: HashMap<MapData, AddressKey, GuardValue>,
    filter: Array<MapData, FilterWords>,
    cookies: Array<MapData, CookieValue>,
    /// What is in `guards`.
    known: BTreeMap<AddressKey, Known>,
}

#[derive(Clone, Copy)]
struct Known {
    zone: u8,
    destination: IpAddr,
    until: Time,
    /// SYNs answered that were told of.
    told: u64,
}

impl GuardList {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, Error> {
        Ok(Self {
            guards: take(ebpf, "guards")?,
            filter: take(ebpf, "guards_filter")?,
            cookies: take(ebpf, "cookies")?,
            known: BTreeMap::new(),
        })
    }

    pub(super) fn guard(
        &mut self,
        zone: u8,
        destination: IpAddr,
        mss: u16,
        until: Time,
        now: Time,
    ) -> Result<(), Error> {
        // Addresses of a zone have their keys as blocked sources have.
        let key = source_key(zone, destination);
        if !self.known.contains_key(&key) {
            self.expire(now)?;
            self.make_room()?;
        }
        let told = self.known.get(&key).map_or(0, |known| known.told);
        self.known.insert(key, Known { zone, destination, until, told });
        self.cover()?;
        // The count goes on: what the program adds in this moment is lost.
        let answered = self.guards.get(&key, 0).map_or(told, |[_, answered, _]| answered);
        let value = [until.0, answered, u64::from(mss)];
        self.guards.insert(key, value, 0).map_err(Error::map("guards"))
    }

    pub(super) fn set_cookie(&mut self, context: &cookie::Context) -> Result<(), Error> {
        let [first, second] = context.key.words();
        let value = [first, second, u64::from(context.slot)];
        self.cookies.set(0, value, 0).map_err(Error::map("cookies"))
    }

    pub(super) fn take_answered(&mut self) -> Result<Vec<(u8, IpAddr, u64)>, Error> {
        let mut all = Vec::new();
        for (key, known) in &mut self.known {
            let [_, answered, _] = self.guards.get(key, 0).map_err(Error::map("guards"))?;
            let news = answered.saturating_sub(known.told);
            known.told = answered;
            if news > 0 {
                all.push((known.zone, known.destination, news));
            }
        }
        Ok(all)
    }

    /// Forgets what has ended; whether anything has.
    pub(super) fn expire(&mut self, now: Time) -> Result<bool, Error> {
        self.forget(|known| known.until <= now)
    }

    pub(super) fn clear(&mut self) -> Result<(), Error> {
        self.forget(|_| true).map(|_| ())
    }

    pub(super) fn has_zone(&self, zone: u8) -> bool {
        self.known.values().any(|known| known.zone == zone)
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    fn forget(&mut self, is_over: impl Fn(&Known) -> bool) -> Result<bool, Error> {
        let over = self.known.iter().filter(|(_, known)| is_over(known));
        let over: Vec<_> = over.map(|(key, _)| *key).collect();
        for key in &over {
            self.known.remove(key);
            removed("guards", self.guards.remove(key))?;
        }
        if !over.is_empty() {
            self.cover()?;
        }
        Ok(!over.is_empty())
    }

    fn make_room(&mut self) -> Result<(), Error> {
        while self.known.len() >= MAX_GUARDED {
            let first = self.known.iter().min_by_key(|(_, known)| known.until);
            let Some(key) = first.map(|(key, _)| *key) else { return Ok(()) };
            self.known.remove(&key);
            removed("guards", self.guards.remove(&key))?;
        }
        Ok(())
    }

    /// Before a key is there, and after it is gone.
    fn cover(&mut self) -> Result<(), Error> {
        self.filter.set(0, *filter(self.known.keys()), 0).map_err(Error::map("guards_filter"))
    }
}
