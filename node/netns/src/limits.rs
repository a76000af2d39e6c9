//! Bounds of this crate.

use std::time::Duration;

/// Receive buffer for one netlink datagram, bytes. The kernel fills dumps up to 32 KiB a datagram.
pub(crate) const NETLINK_BUFFER: usize = 32 * 1024;

/// How long one netlink answer may take. The kernel answers in microseconds; creating links under
/// memory pressure was seen to take half a second.
pub(crate) const NETLINK_TIMEOUT: Duration = Duration::from_secs(5);

/// How long links may take to be up with usable addresses before it is called a failure.
pub(crate) const READY_TIMEOUT: Duration = Duration::from_secs(5);

/// Pause between two looks at a link that is not ready yet: the kernel has no event for "the
/// address is no longer tentative *and* the carrier is there".
pub(crate) const READY_POLL: Duration = Duration::from_millis(2);
