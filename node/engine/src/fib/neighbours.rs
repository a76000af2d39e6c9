//! Link-layer addresses of the hosts and routers on our links.

use std::collections::HashMap;
use std::net::IpAddr;

use super::Applied;
use crate::ids::PortId;
use crate::keyed::Keyed;
use crate::limits::NEIGHBOURS_MAX;

/// (port, address) → MAC and state.
#[derive(Debug)]
pub(super) struct Neighbours(HashMap<(PortId, IpAddr), Neighbour, Keyed>);

impl Neighbours {
    pub(super) fn new(seed: u64) -> Self {
        Self(HashMap::with_hasher(Keyed::new(seed)))
    }

    pub(super) fn find(&self, port: PortId, address: IpAddr) -> Option<Neighbour> {
        self.0.get(&(port, address)).copied()
    }

    pub(super) fn set(&mut self, port: PortId, address: IpAddr, new: Neighbour) -> Applied {
        let full = self.0.len() >= NEIGHBOURS_MAX;
        match self.0.get_mut(&(port, address)) {
            Some(old) => {
                let applied =
                    if old.mac == new.mac { Applied::Unchanged } else { Applied::Changed };
                *old = new;
                applied
            }
            None if full => Applied::Full,
            None => {
                self.0.insert((port, address), new);
                Applied::Changed
            }
        }
    }

    pub(super) fn lose(&mut self, port: PortId, address: IpAddr) -> Applied {
        match self.0.remove(&(port, address)) {
            Some(_) => Applied::Changed,
            None => Applied::Unchanged,
        }
    }

    /// Forgets all neighbours of a port; true if there was one.
    pub(super) fn lose_port(&mut self, port: PortId) -> bool {
        let before = self.0.len();
        self.0.retain(|(of, _), _| *of != port);
        self.0.len() != before
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// A neighbour whose link-layer address is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Its link-layer address.
    pub mac: [u8; 6],
    /// How sure the kernel is of it.
    pub state: NeighbourState,
}

/// How sure the kernel is of a neighbour. Frames are sent in every one of these states (RFC 4861
/// §7.3.2); a stale one in use should be probed, which only the kernel's side can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeighbourState {
    /// Confirmed lately (NUD_REACHABLE).
    Reachable,
    /// Known, not confirmed lately (NUD_STALE, NUD_DELAY, NUD_PROBE).
    Stale,
    /// Set by an operator or needing no resolution (NUD_PERMANENT, NUD_NOARP).
    Permanent,
}
