//! What the engine knows of the node's ports.

use crate::PortId;

/// One port, as far as judging and rewriting packets needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The name that policies use.
    pub name: String,
    /// Routing domain.
    pub domain: u16,
    /// Routed, or one end of a wire.
    pub mode: Mode,
    /// Own link-layer address; all zero accepts any destination (capture files).
    pub mac: [u8; 6],
    /// Largest IP packet, in bytes.
    pub mtu: u32,
    /// Whether transport checksums are verified.
    pub checksum: Checksum,
    /// Whether the link is up.
    pub up: bool,
}

/// How a port passes packets on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By the routing table; link-layer addresses and the hop limit change.
    Routed,
    /// To the other end of the wire; the frame is not changed.
    Wire(PortId),
}

/// What to do about transport checksums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// A wrong checksum drops the packet.
    Verify,
    /// Believe them; one left to hardware is completed before the packet leaves.
    Trust,
}
