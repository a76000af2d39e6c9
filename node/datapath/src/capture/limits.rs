//! The bounds of the capture reader; a file cannot make it use more.

/// Longest packet read, in bytes: libpcap's own `MAXIMUM_SNAPLEN`, four times the largest datagram.
pub const PACKET_BYTES: usize = 256 * 1024;

/// Most interfaces in one pcapng section: a record each is kept while the section lasts, and a
/// capture of every port of a large switch stays below it.
pub const INTERFACES: usize = 4096;

/// Longest pcapng block passed over, in bytes: the file format's own advice is to refuse more than
/// 16 MiB, as a length field that was never written by a capture program.
pub const BLOCK_BYTES: u32 = 16 * 1024 * 1024;

/// Buffer in front of the file, in bytes: one system call for about 40 full frames.
pub const READ_BUFFER_BYTES: usize = 64 * 1024;
