//! Addresses, routes and neighbour entries.

use std::net::IpAddr;

use crate::netlink::{CREATE, DUMP, Message, REPLACE, attributes, read_u32};
use crate::{Error, Namespace};

/// `struct ifaddrmsg` is family u8, prefix length u8, flags u8, scope u8, index u32.
const IFADDR: usize = 8;
/// Usable at once, without duplicate address detection.
const NODAD: u32 = libc::IFA_F_NODAD;
const TENTATIVE: u32 = libc::IFA_F_TENTATIVE;

impl Namespace {
    /// Adds an address such as `10.0.1.1/24` or `fd00::1/64`; it is usable at once.
    ///
    /// # Errors
    /// [`Error::BadPrefix`], [`Error::NoLink`], [`Error::Netlink`].
    pub fn add_address(&self, link: &str, prefix: &str) -> Result<(), Error> {
        let mut message = self.address_message(libc::RTM_NEWADDR, CREATE, link, prefix)?;
        message.number(libc::IFA_FLAGS, NODAD);
        self.route_request(&format!("add address {prefix} to {link}"), message).map(drop)
    }

    /// # Errors
    /// [`Error::BadPrefix`], [`Error::NoLink`], [`Error::Netlink`].
    pub fn delete_address(&self, link: &str, prefix: &str) -> Result<(), Error> {
        let message = self.address_message(libc::RTM_DELADDR, 0, link, prefix)?;
        self.route_request(&format!("delete address {prefix} of {link}"), message).map(drop)
    }

    /// The IPv6 link-local address the kernel gave the link.
    ///
    /// # Errors
    /// [`Error::NoLink`], [`Error::Netlink`].
    pub fn link_local(&self, link: &str) -> Result<Option<IpAddr>, Error> {
        let addresses = self.dump_addresses(link)?;
        Ok(addresses
            .into_iter()
            .map(|(address, _)| address)
            .find(|address| matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())))
    }

    /// True if none of the link's addresses is still tentative.
    pub(crate) fn addresses_usable(&self, link: &str) -> Result<bool, Error> {
        Ok(self.dump_addresses(link)?.iter().all(|(_, flags)| flags & TENTATIVE == 0))
    }

    /// A route to `prefix` through the neighbour `via`.
    ///
    /// # Errors
    /// [`Error::BadPrefix`], [`Error::BadAddress`], [`Error::Netlink`].
    pub fn add_route(&self, prefix: &str, via: &str) -> Result<(), Error> {
        let gateway = parse_address(via)?;
        let mut message =
            route_message(libc::RTM_NEWROUTE, CREATE, libc::RT_SCOPE_UNIVERSE, prefix)?;
        message.attribute(libc::RTA_GATEWAY, &octets(gateway));
        self.route_request(&format!("add route {prefix} via {via}"), message).map(drop)
    }

    /// A route to `prefix` straight onto a link.
    ///
    /// # Errors
    /// [`Error::BadPrefix`], [`Error::NoLink`], [`Error::Netlink`].
    pub fn add_link_route(&self, prefix: &str, link: &str) -> Result<(), Error> {
        let mut message = route_message(libc::RTM_NEWROUTE, CREATE, libc::RT_SCOPE_LINK, prefix)?;
        message.number(libc::RTA_OIF, self.link(link)?.index);
        self.route_request(&format!("add route {prefix} on {link}"), message).map(drop)
    }

    /// # Errors
    /// [`Error::BadPrefix`], [`Error::Netlink`].
    pub fn delete_route(&self, prefix: &str) -> Result<(), Error> {
        let message = route_message(libc::RTM_DELROUTE, 0, libc::RT_SCOPE_NOWHERE, prefix)?;
        self.route_request(&format!("delete route {prefix}"), message).map(drop)
    }

    /// A permanent neighbour entry; replaces one that is there.
    ///
    /// # Errors
    /// [`Error::BadAddress`], [`Error::NoLink`], [`Error::Netlink`].
    pub fn set_neighbour(&self, link: &str, address: &str, mac: [u8; 6]) -> Result<(), Error> {
        let mut message = self.neighbour_message(libc::RTM_NEWNEIGH, REPLACE, link, address)?;
        message.attribute(libc::NDA_LLADDR, &mac);
        self.route_request(&format!("set neighbour {address} on {link}"), message).map(drop)
    }

    /// # Errors
    /// [`Error::BadAddress`], [`Error::NoLink`], [`Error::Netlink`].
    pub fn delete_neighbour(&self, link: &str, address: &str) -> Result<(), Error> {
        let message = self.neighbour_message(libc::RTM_DELNEIGH, 0, link, address)?;
        self.route_request(&format!("delete neighbour {address} on {link}"), message).map(drop)
    }

    fn address_message(
        &self,
        kind: u16,
        flags: u16,
        link: &str,
        prefix: &str,
    ) -> Result<Message, Error> {
        let (address, length) = parse_prefix(prefix)?;
        let mut header = [0; IFADDR];
        header[0] = family(address);
        header[1] = length;
        header[4..8].copy_from_slice(&self.link(link)?.index.to_ne_bytes());
        let mut message = Message::new(kind, flags, &header);
        message.attribute(libc::IFA_LOCAL, &octets(address));
        message.attribute(libc::IFA_ADDRESS, &octets(address));
        Ok(message)
    }

    /// `struct ndmsg`: family u8, pad u8, pad u16, index i32, state u16, flags u8, type u8.
    fn neighbour_message(
        &self,
        kind: u16,
        flags: u16,
        link: &str,
        address: &str,
    ) -> Result<Message, Error> {
        let ip = parse_address(address)?;
        let mut header = [0; 12];
        header[0] = family(ip);
        header[4..8].copy_from_slice(&self.link(link)?.index.to_ne_bytes());
        header[8..10].copy_from_slice(&libc::NUD_PERMANENT.to_ne_bytes());
        let mut message = Message::new(kind, flags, &header);
        message.attribute(libc::NDA_DST, &octets(ip));
        Ok(message)
    }

    /// Every address of the link with its flags.
    fn dump_addresses(&self, link: &str) -> Result<Vec<(IpAddr, u32)>, Error> {
        let index = self.link(link)?.index;
        let message = Message::new(libc::RTM_GETADDR, DUMP, &[0; IFADDR]);
        let answers = self.route_request("list addresses", message)?;
        let own = answers.iter().filter(|answer| read_u32(answer, 4) == Some(index));
        Ok(own.filter_map(|answer| parse_answer(answer)).collect())
    }
}

fn parse_answer(answer: &[u8]) -> Option<(IpAddr, u32)> {
    let mut flags = u32::from(*answer.get(2)?);
    let mut address = None;
    for (kind, value) in attributes(answer.get(IFADDR..)?) {
        match kind {
            libc::IFA_ADDRESS => address = from_octets(value),
            libc::IFA_FLAGS => flags = read_u32(value, 0)?,
            _ => {}
        }
    }
    Some((address?, flags))
}

/// `struct rtmsg`: family, destination length, source length, tos, table, protocol, scope, type
/// (a byte each), flags u32.
fn route_message(kind: u16, flags: u16, scope: u8, prefix: &str) -> Result<Message, Error> {
    let (address, length) = parse_prefix(prefix)?;
    let (table, protocol) = (libc::RT_TABLE_MAIN, libc::RTPROT_STATIC);
    let unicast = libc::RTN_UNICAST;
    let header = [family(address), length, 0, 0, table, protocol, scope, unicast, 0, 0, 0, 0];
    let mut message = Message::new(kind, flags, &header);
    message.attribute(libc::RTA_DST, &octets(address));
    Ok(message)
}

fn parse_prefix(text: &str) -> Result<(IpAddr, u8), Error> {
    let bad = || Error::BadPrefix(text.to_owned());
    let (address, length) = text.split_once('/').ok_or_else(bad)?;
    let address: IpAddr = address.parse().map_err(|_| bad())?;
    let length: u8 = length.parse().map_err(|_| bad())?;
    if length > if address.is_ipv4() { 32 } else { 128 } {
        return Err(bad());
    }
    Ok((address, length))
}

fn parse_address(text: &str) -> Result<IpAddr, Error> {
    text.parse().map_err(|_| Error::BadAddress(text.to_owned()))
}

fn family(address: IpAddr) -> u8 {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    u8::try_from(family).expect("address families fit a byte")
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

fn from_octets(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}
