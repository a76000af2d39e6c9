//! VLAN tags must stay in the frame: a NIC that takes them out hides them from the program, and
//! frames of another VLAN would pass for untagged ones.

use std::io;
use std::os::fd::AsRawFd;

use nix::net::if_::if_indextoname;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// Commands and flag of linux/ethtool.h.
const GET_FLAGS: u32 = 0x25;
const SET_FLAGS: u32 = 0x26;
const STRIP_VLAN: u32 = 1 << 8;

/// `struct ethtool_value`.
#[repr(C)]
struct EthtoolValue {
    command: u32,
    data: u32,
}

/// Makes the interface leave VLAN tags in received frames; true if it does so now.
pub(super) fn keep_tags(ifindex: u32) -> bool {
    let Ok(flags) = flags(ifindex, GET_FLAGS, 0) else { return false };
    if flags & STRIP_VLAN == 0 {
        return true;
    }
    let switched = flags_set(ifindex, flags & !STRIP_VLAN);
    switched.is_ok_and(|now| now & STRIP_VLAN == 0)
}

/// Sets the flags and reads what came of it: a driver may keep some.
fn flags_set(ifindex: u32, wanted: u32) -> io::Result<u32> {
    flags(ifindex, SET_FLAGS, wanted)?;
    flags(ifindex, GET_FLAGS, 0)
}

/// One ethtool request about the offload flags; what the kernel left in `data`.
#[allow(unsafe_code)]
fn flags(ifindex: u32, command: u32, data: u32) -> io::Result<u32> {
    let name = if_indextoname(ifindex)?;
    // Any socket will do; it says which network namespace is meant.
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    let mut value = EthtoolValue { command, data };
    let mut request = libc::ifreq {
        ifr_name: [0; libc::IFNAMSIZ],
        ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_data: (&raw mut value).cast() },
    };
    for (to, from) in request.ifr_name.iter_mut().zip(name.to_bytes()) {
        *to = *from as libc::c_char;
    }
    // SAFETY: SIOCETHTOOL reads the zero-terminated name and, for these commands, reads and writes
    // one `struct ethtool_value` at `ifru_data`; both outlive the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(value.data) }
}
