//! Ethernet II and VLAN tags (IEEE 802.3, IEEE 802.1Q).
use crate::Malformed;
use crate::bytes::{be16, chunk};
use crate::limits::MAX_VLAN_TAGS;

/// Bytes of an Ethernet header without tags.
pub const HEADER_LEN: usize = 14;
/// Bytes of one VLAN tag.
pub const TAG_LEN: usize = 4;
/// Offset of the destination address, 6 bytes.
pub const DESTINATION: usize = 0;
/// Offset of the source address, 6 bytes.
pub const SOURCE: usize = 6;
/// Offset of the EtherType, 2 bytes, of an untagged frame.
pub const ETHERTYPE: usize = 12;

/// EtherType of IPv4.
pub const IPV4: u16 = 0x0800;
/// EtherType of ARP.
pub const ARP: u16 = 0x0806;
/// EtherType of IPv6.
pub const IPV6: u16 = 0x86dd;
/// EtherType of a customer VLAN tag.
pub const VLAN: u16 = 0x8100;
/// EtherType of a service VLAN tag (802.1ad).
pub const SERVICE_VLAN: u16 = 0x88a8;
/// EtherType of an outer VLAN tag before 802.1ad.
pub const OLD_SERVICE_VLAN: u16 = 0x9100;

/// An Ethernet address.
pub type Mac = [u8; 6];
/// The broadcast address.
pub const BROADCAST: Mac = [0xff; 6];

/// What stands before the payload of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ethernet {
    /// EtherType after the tags.
    pub ethertype: u16,
    /// VLAN tags passed over.
    pub vlans: u8,
    /// Offset of the payload.
    pub payload: usize,
}

impl Ethernet {
    /// Reads the header and passes over VLAN tags.
    #[inline]
    pub fn parse(frame: &[u8]) -> Result<Self, Malformed> {
        let header: &[u8; HEADER_LEN] = chunk(frame, 0).ok_or(Malformed::FrameTooShort)?;
        let mut found = Self { ethertype: be16(header, 12), vlans: 0, payload: HEADER_LEN };
        while is_tag(found.ethertype) {
            if found.vlans == MAX_VLAN_TAGS {
                return Err(Malformed::VlanTagsTooMany);
            }
            let tag: &[u8; TAG_LEN] =
                chunk(frame, found.payload).ok_or(Malformed::FrameTooShort)?;
            found.ethertype = be16(tag, 2);
            found.vlans += 1;
            found.payload += TAG_LEN;
        }
        Ok(found)
    }
}

/// Whether the EtherType is that of a VLAN tag.
#[inline]
pub const fn is_tag(ethertype: u16) -> bool {
    matches!(ethertype, VLAN | SERVICE_VLAN | OLD_SERVICE_VLAN)
}

/// Destination and source address, if the frame holds them.
#[inline]
pub fn addresses(frame: &[u8]) -> Option<(Mac, Mac)> {
    Some((*chunk(frame, DESTINATION)?, *chunk(frame, SOURCE)?))
}

/// The frame's outermost VLAN id (12 bits), if it is tagged.
#[inline]
pub fn vlan_id(frame: &[u8]) -> Option<u16> {
    let header: &[u8; HEADER_LEN + TAG_LEN] = chunk(frame, 0)?;
    is_tag(be16(header, 12)).then(|| be16(header, 14) & 0x0fff)
}
