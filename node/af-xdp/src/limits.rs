//! Every limit of this crate, with its unit and the reason for it.

/// Bytes the kernel keeps free in front of every received frame, whatever headroom was asked for
/// (`XDP_PACKET_HEADROOM`, include/uapi/linux/bpf.h).
pub const PACKET_HEADROOM: u32 = 256;

/// Bytes: the shortest frame given to the kernel. A descriptor that the kernel finds invalid is
/// skipped and never completed, so its frame would be lost; a header-less frame is not sent.
pub const SHORTEST_FRAME: u32 = 14;

/// Bytes: chunk sizes the kernel registers in aligned mode, `XDP_UMEM_MIN_CHUNK_SIZE` to a page.
pub const REGISTERED_FRAME_SIZES: [u32; 2] = [2048, 4096];

/// Bytes: one UMEM. 4 GiB is two million frames; more is a mistake in a configuration.
pub const LARGEST_REGION: usize = 1 << 32;

/// Sockets sharing one UMEM: the owner of a frame is noted in one byte.
pub const MAX_SOCKETS: usize = 256;

/// Entries in one ring: beyond this a ring no longer fits any cache and only adds delay.
pub const LARGEST_RING: u32 = 1 << 16;

/// Frames one `sendto` takes in copy mode unless the socket may raise it
/// (`TX_BATCH_SIZE`, net/xdp/xsk.c; raised by `XDP_MAX_TX_SKB_BUDGET` from Linux 6.17 on).
pub const COPY_BATCH: u32 = 32;

/// Bytes: a huge page as `MAP_HUGETLB` gives it by default on x86-64 and arm64.
pub const HUGE_PAGE: usize = 2 << 20;

/// Frames that the kernel makes at a time for a flood of its own: what fills one poll of a device.
#[cfg(feature = "bare")]
pub const FLOOD_BATCH: u32 = 64;
