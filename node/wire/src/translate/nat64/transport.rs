//! Transport headers in a packet of the other version (RFC 7915 §4.2 to §4.5, §5.2 to §5.5).
use core::net::IpAddr;

use super::{Untranslatable, icmp};
use crate::bytes::chunk_mut;
use crate::checksum::{finish, fold, pseudo, sum};
use crate::icmp::CHECKSUM;
use crate::translate::{Change, Delta, Ends, Place, Shape, Zero};
use crate::{Embedded, Icmp, Options, Packet, Protocol, Transport, Version};
use crate::{ipv6, udp};

/// The transport header of a packet, or of one in an error, that was copied to its new place.
pub(super) struct Part {
    from: Ends,
    to: Ends,
    /// Its offset.
    transport: usize,
    /// Bytes of the whole packet from there on, where they are known.
    length: Option<usize>,
    shape: Shape,
    icmp: Option<Icmp>,
}

impl Part {
    /// That of a whole packet.
    pub(super) fn of(packet: &Packet, to: &Ends, transport: usize) -> Self {
        Self {
            from: Ends::of(packet),
            to: *to,
            transport,
            length: Some(packet.transport_len() as usize),
            shape: Shape::of(packet),
            icmp: match packet.body {
                Transport::Icmp(icmp) => Some(icmp),
                Transport::Tcp(_)
                | Transport::Udp(_)
                | Transport::Sctp(_)
                | Transport::Gre(_)
                | Transport::Esp { .. }
                | Transport::None
                | Transport::Other => None,
            },
        }
    }

    /// That of an embedded packet, which had `length` bytes from there on.
    pub(super) fn of_embedded(
        frame: &[u8],
        embedded: &Embedded,
        inner: &Ends,
        transport: usize,
        length: usize,
    ) -> Self {
        let mut from = Ends::of_embedded(embedded);
        // What its checksum counts (RFC 8200 §8.1).
        if embedded.options.contains(Options::SEGMENTS_LEFT)
            && let Some(last) = ipv6::final_destination(frame, embedded.network as usize)
        {
            from.destination.0 = last.into();
        }
        Self {
            from,
            to: *inner,
            transport,
            length: embedded.fragment.is_none().then_some(length),
            shape: Shape::of_embedded(embedded),
            icmp: embedded.icmp,
        }
    }

    /// Changes ports, type and checksum, as far as `bytes` hold them.
    pub(super) fn translate(&self, bytes: &mut [u8]) -> Result<(), Untranslatable> {
        let version = Version::of(self.to.source.0);
        let end = bytes.len();
        let mut change = Change { bytes, sum: 0 };
        if let Some(icmp) = &self.icmp {
            return self.translate_query(&mut change, version, icmp);
        }
        let place = Place {
            version,
            network: 0,
            transport: self.transport,
            end,
            length: self.length,
            shape: self.shape,
        };
        place.rewrite_transport(&mut change, &self.to, Delta::between(&self.from, &self.to));
        Ok(())
    }

    fn translate_query(
        &self,
        change: &mut Change<'_>,
        version: Version,
        message: &Icmp,
    ) -> Result<(), Untranslatable> {
        if message.embedded {
            return Err(Untranslatable::NestedError);
        }
        let refused = Untranslatable::Icmp(message.kind, message.code);
        let kind = icmp::query(version, message.kind).ok_or(refused)?;
        let at = self.transport;
        let mut difference = change.put(at, u16::from_be_bytes([kind, message.code]));
        difference += change.put(at + 4, self.to.source.1);
        // Only ICMPv6 counts a pseudo-header, with a length that a fragment does not tell.
        let Some(length) = self.length else { return Ok(()) };
        difference += match version {
            Version::V6 => u32::from(pseudo_icmpv6(&self.to, length)),
            Version::V4 => u32::from(!pseudo_icmpv6(&self.from, length)),
        };
        change.checksum(at + CHECKSUM, fold(difference), Zero::IsASum);
        Ok(())
    }
}

/// The sum of the pseudo-header of a message of `length` bytes, folded.
pub(super) fn pseudo_icmpv6(ends: &Ends, length: usize) -> u16 {
    let (source, destination): (IpAddr, IpAddr) = (ends.source.0, ends.destination.0);
    fold(pseudo(source, destination, Protocol::ICMPV6, length as u32))
}

/// Gives the datagram of `length` bytes at `transport` a checksum.
pub(super) fn fill_udp(bytes: &mut [u8], transport: usize, length: usize, ends: &Ends) {
    let Some(datagram) = bytes.get_mut(transport..transport + length) else { return };
    let pseudo = pseudo(ends.source.0, ends.destination.0, Protocol::UDP, length as u32);
    let checksum = finish(pseudo + sum(datagram));
    if let Some(field) = chunk_mut::<2>(datagram, udp::CHECKSUM) {
        // Zero means "none" in UDP, and is the same number as all ones (RFC 768).
        *field = if checksum == 0 { 0xffff } else { checksum }.to_be_bytes();
    }
}
