//! Frames that tell a segment where an address is now: an ARP announcement (RFC 5227 §3), and an
//! unsolicited neighbour advertisement (RFC 4861 §7.2.6); and those that ask for one.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd as _, OwnedFd};

use datapath::Lease;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, bind, send, socket};

use crate::clock;

const MAC: usize = 6;
const ETHERNET: usize = 14;
/// The shortest Ethernet frame, without its checksum.
const FRAME_MIN: usize = 60;
/// IPv6 header, and an advertisement with one option.
const ADVERTISEMENT: usize = 40 + 32;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// Flags of an advertisement (RFC 4861 §4.4): from a router, overrides what is known.
const ROUTER_OVERRIDE: u8 = 0b1010_0000;

/// An announcement that only needs to be sent.
pub(super) struct Announcement {
    frame: Vec<u8>,
    packets: OwnedFd,
}

impl Announcement {
    /// That of `address` by `interface`, whose link-layer address is `mac`.
    pub(super) fn new(interface: &str, mac: [u8; MAC], address: IpAddr) -> io::Result<Self> {
        let frame = match address {
            IpAddr::V4(address) => arp(mac, address, address),
            IpAddr::V6(address) => advertisement(mac, address),
        };
        let mut links = nix::ifaddrs::getifaddrs()?.filter(|it| it.interface_name == interface);
        let link = links.find_map(|it| it.address?.as_link_addr().copied());
        let link = link.ok_or(io::ErrorKind::NotFound)?;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let packets = socket(AddressFamily::Packet, SockType::Raw, flags, None)?;
        bind(packets.as_raw_fd(), &link)?;
        Ok(Self { frame, packets })
    }

    /// Sends it, unless the lease has ended by now: the order to announce may be old. Whether it was.
    pub(super) fn send(self, lease: &Lease) -> io::Result<bool> {
        // Nothing stands between this look and the system call that could take long, but a pause of
        // the whole process; the new owner's later announcements outlast that.
        if !lease.covers(clock::now()) {
            return Ok(false);
        }
        send(self.packets.as_raw_fd(), &self.frame, MsgFlags::empty())?;
        Ok(true)
    }
}

/// An ARP request for `address` in the name of `sender`; of both alike, an announcement.
pub(super) fn arp(mac: [u8; MAC], sender: Ipv4Addr, address: Ipv4Addr) -> Vec<u8> {
    let mut frame = [&[0xff; MAC][..], &mac, &[0x08, 0x06]].concat();
    // Ethernet, IPv4, lengths of their addresses, request.
    frame.extend([0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(mac);
    frame.extend(sender.octets());
    frame.extend([0; MAC]);
    frame.extend(address.octets());
    frame.resize(FRAME_MIN, 0);
    frame
}

pub(super) fn advertisement(mac: [u8; MAC], address: Ipv6Addr) -> Vec<u8> {
    let mut body = vec![136, 0, 0, 0, ROUTER_OVERRIDE, 0, 0, 0];
    body.extend(address.octets());
    body.extend([2, 1]); // target link-layer address, in units of 8 bytes
    body.extend(mac);
    multicast(mac, address, ALL_NODES, body)
}

/// A neighbour solicitation for `address` in the name of `sender` (RFC 4861 §4.3).
pub(super) fn solicitation(mac: [u8; MAC], sender: Ipv6Addr, address: Ipv6Addr) -> Vec<u8> {
    let mut body = vec![135, 0, 0, 0, 0, 0, 0, 0];
    body.extend(address.octets());
    body.extend([1, 1]); // source link-layer address
    body.extend(mac);
    let [.., a, b, c] = address.octets();
    // The solicited-node address (RFC 4291 §2.7.1).
    let group =
        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]));
    multicast(mac, sender, group, body)
}

/// An ICMPv6 message of this link, whose checksum is still to be filled in.
fn multicast(mac: [u8; MAC], source: Ipv6Addr, group: Ipv6Addr, mut body: Vec<u8>) -> Vec<u8> {
    let sum = checksum(source, group, &body);
    body[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut frame = Vec::with_capacity(ETHERNET + ADVERTISEMENT);
    let [.., a, b, c, d] = group.octets();
    frame.extend([0x33, 0x33, a, b, c, d]); // RFC 2464 §7
    frame.extend(mac);
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, body.len() as u8, 58, 255]);
    frame.extend(source.octets());
    frame.extend(group.octets());
    frame.extend(body);
    frame
}

/// RFC 8200 §8.1, over the pseudo-header and `body`, whose own field is zero.
fn checksum(source: Ipv6Addr, group: Ipv6Addr, body: &[u8]) -> u16 {
    let pseudo = [0, 0, 0, body.len() as u8, 0, 0, 0, 58];
    let bytes = [&source.octets()[..], &group.octets(), &pseudo, body].concat();
    let words = bytes.as_chunks::<2>().0.iter().map(|word| u32::from(u16::from_be_bytes(*word)));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: [u8; MAC] = [2, 0, 0, 0, 0, 7];

    #[test]
    fn nothing_is_announced_when_the_lease_has_ended() {
        if let Err(reason) = netns::available() {
            assert!(std::env::var_os("RINGWALL_REQUIRE_ALL").is_none(), "{reason}");
            eprintln!("skipped: {reason}");
            return;
        }
        let namespace = netns::Namespace::new("announce").expect("a network namespace");
        let sent = |address: &str, lease: &Lease| {
            let address = address.parse().expect("an address");
            namespace.run(|| Announcement::new("lo", OWN, address)?.send(lease)).expect("prepared")
        };
        let lease = Lease::default();
        for address in ["10.0.1.1", "fd01::1"] {
            lease.renew(clock::now() + core::time::Duration::from_secs(60));
            assert!(sent(address, &lease));
            lease.renew(clock::now());
            assert!(!sent(address, &lease));
        }
    }

    #[test]
    fn an_arp_announcement_names_its_address_twice() {
        let own = Ipv4Addr::new(10, 0, 1, 1);
        let frame = arp(OWN, own, own);
        assert_eq!(frame.len(), FRAME_MIN);
        assert_eq!(
            (&frame[..6], &frame[6..12], &frame[12..14]),
            (&[0xff; 6][..], &OWN[..], &[8, 6][..])
        );
        assert_eq!(frame[20..22], [0, 1], "a request");
        assert_eq!((&frame[22..28], &frame[28..32]), (&OWN[..], &[10, 0, 1, 1][..]), "sender");
        assert_eq!((&frame[32..38], &frame[38..42]), (&[0; 6][..], &[10, 0, 1, 1][..]), "target");
    }

    #[test]
    fn an_advertisement_overrides_and_its_checksum_is_right() {
        let address: Ipv6Addr = "fd01::1".parse().expect("an address");
        let frame = advertisement(OWN, address);
        assert_eq!(frame.len(), ETHERNET + ADVERTISEMENT);
        assert_eq!(frame[21], 255, "hop limit (RFC 4861 §7.1.2)");
        let body = &frame[ETHERNET + 40..];
        assert_eq!((body[0], body[4]), (136, 0xa0));
        assert_eq!(body[8..24], address.octets());
        assert_eq!(body[24..32], [&[2, 1][..], &OWN].concat());
        let sum = checksum(address, ALL_NODES, body);
        assert_eq!(sum, 0, "with its checksum in it, the sum is all ones");
    }

    #[test]
    fn a_solicitation_goes_to_the_group_of_its_target() {
        let sender: Ipv6Addr = "fe80::7".parse().expect("an address");
        let target: Ipv6Addr = "fd01::12:3456".parse().expect("an address");
        let frame = solicitation(OWN, sender, target);
        assert_eq!(frame[..6], [0x33, 0x33, 0xff, 0x12, 0x34, 0x56]);
        let group: Ipv6Addr = "ff02::1:ff12:3456".parse().expect("an address");
        assert_eq!((&frame[22..38], &frame[38..54]), (&sender.octets()[..], &group.octets()[..]));
        let body = &frame[ETHERNET + 40..];
        assert_eq!((body[0], &body[8..24]), (135, &target.octets()[..]));
        assert_eq!(body[24..32], [&[1, 1][..], &OWN].concat());
        assert_eq!(checksum(sender, group, body), 0);
    }
}
