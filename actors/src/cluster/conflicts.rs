//! Whether somebody else uses an address that this node holds: what the segments say of it, by ARP
//! (RFC 5227 §2.4) and neighbour advertisements (RFC 4861 §4.4).
//!
//! Who asks for a tracked target (`targets.rs`) hears its answer in the same way.
//!
//! The sockets are looked at from time to time: what a conflict brings about is told to people, and
//! answered at most once in a while.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::sys::socket::{MsgFlags, bind, recv, send};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use super::limits::CLAIMS_PER_LOOK;

type Mac = [u8; 6];

const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// Lets neighbour advertisements through, so that other IPv6 does not fill the socket:
/// `ldb [20]; jne 58; ldb [54]; jne 136; accept; drop`.
const ADVERTISEMENTS: [SockFilter; 6] = [
    SockFilter::new(0x30, 0, 0, 20),
    SockFilter::new(0x15, 0, 3, 58),
    SockFilter::new(0x30, 0, 0, 54),
    SockFilter::new(0x15, 0, 1, 136),
    SockFilter::new(0x06, 0, 0, FRAME as u32),
    SockFilter::new(0x06, 0, 0, 0),
];
/// Bytes of a frame that are read: all that an ARP packet or an advertisement with one option has.
const FRAME: usize = 128;

/// Hears who claims addresses on one interface.
#[derive(Debug)]
pub(super) struct Listener {
    /// The interface's number.
    pub(super) index: u32,
    sockets: [OwnedFd; 2],
}

impl Listener {
    /// Listens from now on.
    pub(super) fn open(interface: &str, index: u32) -> io::Result<Self> {
        let open = |ethertype| open(interface, ethertype);
        Ok(Self { index, sockets: [open(ETHERTYPE_ARP)?, open(ETHERTYPE_IPV6)?] })
    }

    /// Sends a frame by the interface.
    pub(super) fn say(&self, frame: &[u8]) -> io::Result<()> {
        send(self.sockets[0].as_raw_fd(), frame, MsgFlags::MSG_DONTWAIT)?;
        Ok(())
    }

    /// Shows who claimed which address since the last look.
    pub(super) fn look(&self, mut seen: impl FnMut(Mac, IpAddr)) {
        let mut frame = [0; FRAME];
        for socket in &self.sockets {
            for _ in 0..CLAIMS_PER_LOOK {
                // Nothing more, or the interface is gone: the next look opens it anew.
                let Ok(length) = recv(socket.as_raw_fd(), &mut frame, MsgFlags::MSG_DONTWAIT)
                else {
                    break;
                };
                if let Some((mac, address)) = claim(&frame[..length.min(FRAME)]) {
                    seen(mac, address);
                }
            }
        }
    }
}

fn open(interface: &str, ethertype: u16) -> io::Result<OwnedFd> {
    let mut links = nix::ifaddrs::getifaddrs()?.filter(|it| it.interface_name == interface);
    let link = links.find_map(|it| it.address?.as_link_addr().copied());
    let link = link.ok_or(io::ErrorKind::NotFound)?;
    let protocol = Protocol::from(i32::from(ethertype.to_be()));
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol))?;
    if ethertype == ETHERTYPE_IPV6 {
        socket.attach_filter(&ADVERTISEMENTS)?;
    }
    let socket: OwnedFd = socket.into();
    // A protocol of zero in the address leaves the socket's own.
    bind(socket.as_raw_fd(), &link)?;
    Ok(socket)
}

/// Who says that an address is its own, and which.
fn claim(frame: &[u8]) -> Option<(Mac, IpAddr)> {
    let ethertype = u16::from_be_bytes(field(frame, 12)?);
    let body = frame.get(14..)?;
    match ethertype {
        ETHERTYPE_ARP => arp_claim(body),
        ETHERTYPE_IPV6 => advertised(field(frame, 6)?, body),
        _ => None,
    }
}

/// The sender of an ARP packet for IPv4 on Ethernet. A probe has none (RFC 5227 §1.1).
fn arp_claim(arp: &[u8]) -> Option<(Mac, IpAddr)> {
    let known = arp.get(..6)? == [0, 1, 8, 0, 6, 4];
    let address = Ipv4Addr::from(field::<4>(arp, 14)?);
    (known && !address.is_unspecified()).then_some((field(arp, 8)?, address.into()))
}

/// The target of a neighbour advertisement, and the link-layer address that it names, or came from.
fn advertised(source: Mac, packet: &[u8]) -> Option<(Mac, IpAddr)> {
    let [next_header, hop_limit] = field(packet, 6)?;
    let icmp = packet.get(40..)?;
    if (next_header, hop_limit, *icmp.first()?) != (58, 255, 136) {
        return None;
    }
    let target = Ipv6Addr::from(field::<16>(icmp, 8)?);
    let named = field(icmp, 26).filter(|_: &Mac| icmp.get(24..26) == Some(&[2, 1]));
    Some((named.unwrap_or(source), target.into()))
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::super::announce::{advertisement, arp};
    use super::*;

    const OTHER: Mac = [2, 0, 0, 0, 0, 9];

    #[test]
    fn an_announcement_claims_its_address() {
        let v4 = Ipv4Addr::new(10, 0, 1, 1);
        assert_eq!(claim(&arp(OTHER, v4, v4)), Some((OTHER, v4.into())));
        let v6: Ipv6Addr = "fd01::1".parse().expect("an address");
        let frame = advertisement(OTHER, v6);
        assert_eq!(claim(&frame), Some((OTHER, v6.into())));
        // Without the option: whoever sent it.
        assert_eq!(claim(&frame[..frame.len() - 8]), Some((OTHER, v6.into())));
    }

    #[test]
    fn nothing_else_claims_one() {
        let own = Ipv4Addr::new(10, 0, 1, 1);
        let v4 = arp(OTHER, own, own);
        let v6 = advertisement(OTHER, Ipv6Addr::LOCALHOST);
        assert_eq!(claim(&arp(OTHER, Ipv4Addr::UNSPECIFIED, own)), None, "a probe");
        let changed = |frame: &[u8], at: usize, byte| {
            let mut frame = frame.to_vec();
            frame[at] = byte;
            frame
        };
        assert_eq!(claim(&changed(&v4, 15, 6)), None, "another link type");
        assert_eq!(claim(&changed(&v6, 54, 135)), None, "a solicitation");
        assert_eq!(claim(&changed(&v6, 21, 64)), None, "it was routed");
        for frame in [v4, v6] {
            for length in 0..28 {
                assert_eq!(claim(&frame[..length]), None);
            }
        }
    }
}
