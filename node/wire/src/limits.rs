//! The limits of the parser, each with its unit and its reason.

/// VLAN tags passed over in one frame: one service tag and one customer tag (IEEE 802.1Q, "QinQ").
pub const MAX_VLAN_TAGS: u8 = 2;

/// IPv6 extension headers in one packet. RFC 8200 §4.1 lists at most 7 in a well-formed packet (one
/// header twice); longer chains exist to slow down or to hide from whoever reads them.
pub const MAX_EXTENSION_HEADERS: u8 = 8;

/// SACK blocks kept of one segment: what fits into 40 bytes of TCP options (RFC 2018 §3).
pub const MAX_SACK_BLOCKS: usize = 4;

/// Largest window scale that is used (RFC 7323 §2.3: a larger one counts as 14).
pub const MAX_WINDOW_SCALE: u8 = 14;

/// Bytes of an ICMPv4 error that quotes a packet, IP header included (RFC 1812 §4.3.2.3).
pub const MAX_ERROR_LEN_V4: usize = 576;

/// Bytes of an ICMPv6 error that quotes a packet, IP header included: the least MTU (RFC 4443
/// §2.4 c).
pub const MAX_ERROR_LEN_V6: usize = 1280;

/// Times that a packet may be passed on from node to node: to the owner, to the next one if the ownership
/// moves meanwhile, and once more. A packet that goes in circles ends here.
pub const PASS_HOPS_MAX: u8 = 3;

/// Bytes of Geneve options: what its length field can say (RFC 8926 §3.4).
pub const GENEVE_OPTIONS_MAX: usize = 252;
