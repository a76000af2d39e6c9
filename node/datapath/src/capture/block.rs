//! The block types and options of pcapng (draft-ietf-opsawg-pcapng §4).

/// Section header; the same in both byte orders.
pub(super) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
/// Interface description.
pub(super) const INTERFACE: u32 = 1;
/// Packet, obsolete since 2004 but still found.
pub(super) const OBSOLETE_PACKET: u32 = 2;
/// Simple packet: no time, interface 0.
pub(super) const SIMPLE_PACKET: u32 = 3;
/// Enhanced packet.
pub(super) const ENHANCED_PACKET: u32 = 6;

/// Byte-order magic, as the section's writer sees it.
pub(super) const BYTE_ORDER: u32 = 0x1a2b_3c4d;

/// Bytes around every block's body: type, length, and the length again.
pub(super) const FRAME_BYTES: u32 = 12;

/// Option: end of the list.
pub(super) const OPTION_END: u16 = 0;
/// Interface option: name.
pub(super) const IF_NAME: u16 = 2;
/// Interface option: resolution of timestamps.
pub(super) const IF_TSRESOL: u16 = 9;
/// Interface option: seconds to add to every timestamp, signed.
pub(super) const IF_TSOFFSET: u16 = 14;

/// Bytes that fill `length` up to a multiple of four.
pub(super) fn padding(length: u32) -> u32 {
    length.wrapping_neg() & 3
}
