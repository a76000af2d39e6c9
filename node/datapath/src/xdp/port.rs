//! What the program knows of a port and of the host's addresses, as bytes in its maps.

use std::net::IpAddr;

use super::limits::SLOTS;

/// `struct port` of the program.
pub(super) type PortValue = [u8; 16];

/// `struct address` of the program.
pub(super) type AddressKey = [u8; 20];

/// `OWN` of the program: the kernel has the address.
pub(super) const OWN: u8 = 1;

/// `VIP` of the program: the address is the cluster's.
pub(super) const VIP: u8 = 2;

/// `NAT_ALL` of the program: the address is the host's, and all that is sent there the workers'.
pub(super) const NAT_ALL: u8 = 4;

/// `NAT_RANGE` of the program: of it, what source NAT gives away.
pub(super) const NAT_RANGE: u8 = 8;

/// `NAT_FORWARDED` of the program: of it, what the map `forwarded` has.
pub(super) const NAT_FORWARDED: u8 = 16;

/// `PORT_CHECK_MAC` of the program.
const CHECK_MAC: u8 = 1;

/// How a port treats frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A router's port: the host has addresses on it.
    Routed,
    /// One side of a bump in the wire: every frame goes to the worker.
    Wire,
}

/// One port, as the program sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortConfig {
    /// Number of the port on this node, below [`super::MAX_PORTS`].
    pub index: u16,
    pub mode: Mode,
    /// Routing domain of the port's addresses.
    pub domain: u16,
    /// The port's own MAC. With it, a routed port ignores unicast frames to other stations, as a
    /// kernel does; without it the sender's choice of MAC does not matter.
    pub mac: Option<[u8; 6]>,
}

impl PortConfig {
    /// The program's entry for the interface that is this port.
    pub(super) fn value(&self, ifindex: u32) -> PortValue {
        let mode = match self.mode {
            Mode::Routed => 0,
            Mode::Wire => 1,
        };
        let word = u64::from(ifindex) << 32
            | u64::from(self.domain) << 16
            | mode << 8
            | u64::from(self.index);
        let mut value = [0; 16];
        value[0..8].copy_from_slice(&word.to_ne_bytes());
        if let Some(mac) = self.mac {
            value[8..14].copy_from_slice(&mac);
            value[14] = CHECK_MAC;
        }
        value
    }
}

/// The place where the program looks for an interface first.
pub(super) const fn slot(ifindex: u32) -> u32 {
    ifindex % SLOTS
}

/// The interface that an entry is of; 0 for an empty one.
pub(super) fn ifindex_of(value: &PortValue) -> u32 {
    let (words, _) = value.as_chunks::<8>();
    (u64::from_ne_bytes(words[0]) >> 32) as u32
}

/// A source that enters by a zone, as the map `blocked` has it: 0 is no zone.
pub(super) fn source_key(zone: u8, address: IpAddr) -> AddressKey {
    address_key(u16::from(zone) + 1, address)
}

/// IPv4 is written as `::ffff:a.b.c.d`.
pub(super) fn address_key(domain: u16, address: IpAddr) -> AddressKey {
    let octets = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    };
    let mut key = [0; 20];
    key[..16].copy_from_slice(&octets);
    key[16..20].copy_from_slice(&u32::from(domain).to_ne_bytes());
    key
}
