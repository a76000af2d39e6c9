//! ICMP echo by the kernel's unprivileged ICMP sockets, which need no raw packets.

use std::io;
use std::net::{IpAddr, UdpSocket};
use std::time::{Duration, Instant};

use netns::Namespace;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

use super::limits::{ALLOWED, PINGS, SILENCE};
use super::report::Seen;

/// Types of the echo request and its reply (RFC 792, RFC 4443).
const V4: [u8; 2] = [8, 0];
const V6: [u8; 2] = [128, 129];

/// Pings a host that must answer each time.
pub(super) fn answered(from: &Namespace, to: IpAddr) -> Seen {
    let socket = open(from, to, ALLOWED).map_err(|error| format!("socket: {error}"))?;
    let mut longest = Duration::ZERO;
    for sequence in 1..=PINGS {
        let begun = Instant::now();
        exchange(&socket, to, sequence).map_err(|error| format!("echo {sequence}: {error}"))?;
        longest = longest.max(begun.elapsed());
    }
    Ok(format!("{PINGS} of {PINGS} answered, at most {:.2} ms", longest.as_secs_f64() * 1e3))
}

/// Pings a host that must not answer.
pub(super) fn silent(from: &Namespace, to: IpAddr) -> Seen {
    let socket = open(from, to, SILENCE).map_err(|error| format!("socket: {error}"))?;
    match exchange(&socket, to, 1) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok("no answer".to_owned()),
        Err(error) => Err(format!("not silence: {error}")),
        Ok(()) => Err("answered".to_owned()),
    }
}

/// An ICMP socket behaves as a UDP socket whose datagrams start with the ICMP header; the kernel
/// writes the identifier and the checksum.
fn open(from: &Namespace, to: IpAddr, wait: Duration) -> io::Result<UdpSocket> {
    let (family, protocol) = match to {
        IpAddr::V4(_) => (AddressFamily::Inet, SockProtocol::Icmp),
        IpAddr::V6(_) => (AddressFamily::Inet6, SockProtocol::IcmpV6),
    };
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = from.run(|| socket(family, SockType::Datagram, flags, protocol))?;
    let socket = UdpSocket::from(socket);
    socket.connect((to, 0))?;
    socket.set_read_timeout(Some(wait))?;
    Ok(socket)
}

fn exchange(socket: &UdpSocket, to: IpAddr, sequence: u16) -> io::Result<()> {
    let [request, reply] = if to.is_ipv4() { V4 } else { V6 };
    let mut message = [0x55; 64];
    message[..8].copy_from_slice(&[request, 0, 0, 0, 0, 0, 0, 0]);
    message[6..8].copy_from_slice(&sequence.to_be_bytes());
    socket.send(&message)?;
    let mut answer = [0; 128];
    let length = socket.recv(&mut answer)?;
    let same = answer[6..length] == message[6..];
    if answer[0] == reply && same {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidData, "another answer"))
    }
}
