//! Neighbour solicitations and advertisements (RFC 4861 §4.3, §4.4, §7.1).
use core::net::{IpAddr, Ipv6Addr};

use crate::build::Builder;
use crate::bytes::chunk;
use crate::ethernet::Mac;
use crate::{Packet, Transport, Version, icmp};

/// Hop limit of every neighbour discovery message: a larger distance cannot be faked.
pub const HOP_LIMIT: u8 = 255;
/// Option: source link-layer address.
pub const SOURCE_LINK: u8 = 1;
/// Option: target link-layer address.
pub const TARGET_LINK: u8 = 2;

const ROUTER: u32 = 1 << 31;
const SOLICITED: u32 = 1 << 30;
const OVERRIDE: u32 = 1 << 29;
/// Bytes of a link-layer address option for Ethernet.
const LINK_OPTION_LEN: usize = 8;

/// A solicitation or an advertisement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbor {
    /// Which of the two, and what only that has.
    pub kind: Kind,
    /// The address asked for or spoken of.
    pub target: Ipv6Addr,
    /// The Ethernet address: the source's in a solicitation, the target's in an advertisement.
    pub link: Option<Mac>,
}

/// Solicitation or advertisement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Who has the target?
    Solicitation,
    /// The target is at this address.
    Advertisement {
        /// The sender is a router.
        router: bool,
        /// It answers a solicitation.
        solicited: bool,
        /// It overrides what is cached.
        overrides: bool,
    },
}

impl Neighbor {
    /// Reads the message of a parsed packet; `None` if it is another one, or fails a check of RFC
    /// 4861 §7.1 (the checksum is not checked here).
    pub fn parse(frame: &[u8], packet: &Packet) -> Option<Self> {
        let Transport::Icmp(message) = packet.body else { return None };
        let plain = packet.version == Version::V6 && packet.hop_limit == HOP_LIMIT;
        if !plain || message.code != 0 {
            return None;
        }
        let kind = kind(message.kind, message.rest)?;
        let start = packet.transport as usize + icmp::HEADER_LEN;
        let body = frame.get(start..packet.end as usize)?;
        let target: &[u8; 16] = chunk(body, 0)?;
        let link = link_option(&body[16..], kind.option())?;
        let neighbor = Self { kind, target: Ipv6Addr::from(*target), link };
        neighbor.fits(packet).then_some(neighbor)
    }

    /// The question who has `target`, from the owner of `link`.
    pub const fn solicitation(link: Mac, target: Ipv6Addr) -> Self {
        Self { kind: Kind::Solicitation, target, link: Some(link) }
    }

    /// Writes a frame with this message; how many bytes it took, `None` if `out` is too short. A
    /// solicitation usually goes to [`solicited_node`] and [`multicast_mac`].
    pub fn write(
        &self,
        out: &mut [u8],
        macs: (Mac, Mac),
        source: Ipv6Addr,
        destination: Ipv6Addr,
    ) -> Option<usize> {
        let mut body = [0; 16 + LINK_OPTION_LEN];
        body[..16].copy_from_slice(&self.target.octets());
        if let Some(mac) = self.link {
            body[16..18].copy_from_slice(&[self.kind.option(), 1]);
            body[18..].copy_from_slice(&mac);
        }
        let len = if self.link.is_some() { body.len() } else { 16 };
        Builder::new(source.into(), destination.into())
            .ethernet(macs.0, macs.1)
            .hop_limit(HOP_LIMIT)
            .icmp(self.kind.message(), 0, self.kind.flags())
            .payload(&body[..len])
            .write(out)
    }

    fn fits(&self, packet: &Packet) -> bool {
        let (IpAddr::V6(source), IpAddr::V6(destination)) = (packet.source, packet.destination)
        else {
            return false;
        };
        let fits = match self.kind {
            Kind::Solicitation if source.is_unspecified() => {
                self.link.is_none() && destination == solicited_node(self.target)
            }
            Kind::Solicitation => true,
            Kind::Advertisement { solicited, .. } => !(solicited && destination.is_multicast()),
        };
        fits && !self.target.is_multicast()
    }
}

impl Kind {
    const fn message(self) -> u8 {
        match self {
            Self::Solicitation => icmp::v6::NEIGHBOR_SOLICITATION,
            Self::Advertisement { .. } => icmp::v6::NEIGHBOR_ADVERTISEMENT,
        }
    }

    const fn option(self) -> u8 {
        match self {
            Self::Solicitation => SOURCE_LINK,
            Self::Advertisement { .. } => TARGET_LINK,
        }
    }

    fn flags(self) -> u32 {
        match self {
            Self::Solicitation => 0,
            Self::Advertisement { router, solicited, overrides } => {
                let bit = |set: bool, bit: u32| if set { bit } else { 0 };
                bit(router, ROUTER) | bit(solicited, SOLICITED) | bit(overrides, OVERRIDE)
            }
        }
    }
}

/// The group that the owner of `address` listens to (RFC 4291 §2.7.1).
pub const fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let last = address.to_bits() & 0xff_ffff;
    Ipv6Addr::from_bits(0xff02_0000_0000_0000_0000_0001_ff00_0000 | last)
}

/// The Ethernet address of an IPv6 group (RFC 2464 §7).
pub const fn multicast_mac(group: Ipv6Addr) -> Mac {
    let [.., a, b, c, d] = group.octets();
    [0x33, 0x33, a, b, c, d]
}

const fn kind(message: u8, flags: u32) -> Option<Kind> {
    match message {
        icmp::v6::NEIGHBOR_SOLICITATION => Some(Kind::Solicitation),
        icmp::v6::NEIGHBOR_ADVERTISEMENT => Some(Kind::Advertisement {
            router: flags & ROUTER != 0,
            solicited: flags & SOLICITED != 0,
            overrides: flags & OVERRIDE != 0,
        }),
        _ => None,
    }
}

/// The Ethernet address in the option `wanted`, if there is one; `None` if an option has length 0
/// or is cut.
fn link_option(mut options: &[u8], wanted: u8) -> Option<Option<Mac>> {
    let mut found = None;
    while !options.is_empty() {
        let len = usize::from(*options.get(1)?) * 8;
        if len == 0 {
            return None;
        }
        let option = options.get(..len)?;
        if option[0] == wanted && len == LINK_OPTION_LEN {
            found = chunk(option, 2).copied();
        }
        options = &options[len..];
    }
    Some(found)
}
