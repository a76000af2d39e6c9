//! A whole packet as a datagram, for a router that has to fragment it (RFC 791 §3.2).

use std::fmt;

use wire::{Packet, Version};

use super::Fragments;
use super::datagram::{Assembly, Datagram, HEADROOM};

impl Fragments {
    /// Copies a whole IPv4 packet, so that [`Datagram::refragment`] can cut it for a smaller link.
    /// `None` for IPv6, which only its sender may fragment (RFC 8200 §5), and while another datagram
    /// is in hand.
    pub fn wrap(&mut self, frame: &[u8], packet: &Packet) -> Option<Datagram> {
        if packet.version != Version::V4 {
            return None;
        }
        let mut assembly = self.spare.take()?;
        if assembly.wrap(frame, packet) {
            return Some(Datagram::new(assembly, 0));
        }
        self.spare = Some(assembly);
        None
    }
}

impl Assembly {
    /// Whether `frame` fits.
    fn wrap(&mut self, frame: &[u8], packet: &Packet) -> bool {
        let frame = frame.get(..packet.end as usize).unwrap_or(frame);
        let start = HEADROOM;
        let Some(space) = self.buffer.get_mut(start..start + frame.len()) else { return false };
        space.copy_from_slice(frame);
        (self.start, self.end) = (start, start + frame.len());
        self.network = packet.network as usize;
        self.payload = packet.transport as usize;
        // No boundaries of a sender to keep: the pieces are as large as the link allows.
        self.lengths[0] = u16::try_from(packet.transport_len()).unwrap_or(u16::MAX);
        self.fragments = 1;
        self.largest = packet.ip_len();
        self.dont_fragment = false;
        self.version = packet.version;
        true
    }
}

impl fmt::Debug for Fragments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Fragments");
        shown.field("held", &self.held()).field("datagrams", &self.datagrams());
        shown.finish_non_exhaustive()
    }
}
