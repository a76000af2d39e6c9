//! Links: veth pairs, up, down, delete, and waiting until they carry traffic.

use std::os::fd::{AsFd, AsRawFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::socket::SockProtocol;

use crate::limits::{READY_POLL, READY_TIMEOUT};
use crate::netlink::{CREATE, Message, Socket, attributes, read_u32};
use crate::{Error, Namespace};

/// `VETH_INFO_PEER` of linux/veth.h.
const VETH_INFO_PEER: u16 = 1;
const UP: u32 = libc::IFF_UP as u32;
const CARRIER: u32 = libc::IFF_RUNNING as u32;

/// `IFLA_BRPORT_STATE` and `IFLA_BRPORT_ISOLATED` of linux/if_link.h.
const PORT_STATE: u16 = 1;
const PORT_ISOLATED: u16 = 33;
/// `BR_STATE_DISABLED` and `BR_STATE_FORWARDING` of linux/if_bridge.h.
const DISABLED: u8 = 0;
const FORWARDING: u8 = 3;

/// One end of a veth pair.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    pub namespace: &'a Namespace,
    pub name: &'a str,
    /// Drawn by the kernel if not given.
    pub mac: Option<[u8; 6]>,
}

impl<'a> End<'a> {
    pub fn new(namespace: &'a Namespace, name: &'a str) -> Self {
        Self { namespace, name, mac: None }
    }

    pub fn with_mac(self, mac: [u8; 6]) -> Self {
        Self { mac: Some(mac), ..self }
    }
}

/// What both ends of a veth pair have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VethOptions {
    /// Bytes of payload a frame may carry.
    pub mtu: u32,
    /// Receive queues and transmit queues of each end.
    pub queues: u32,
    /// Leave checksums and segmentation to "hardware", as veth does by default. Frames read by
    /// AF_XDP then have unfinished checksums, so the default here is off.
    pub offloads: bool,
}

impl Default for VethOptions {
    fn default() -> Self {
        Self { mtu: 1500, queues: 1, offloads: false }
    }
}

/// A link as the kernel shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    pub index: u32,
    pub mac: [u8; 6],
    pub mtu: u32,
    /// Receive queues; a veth has as many transmit queues.
    pub queues: u32,
    pub up: bool,
    /// Up, and the other end is too.
    pub carrier: bool,
}

/// Makes a veth pair between two namespaces (or within one) and brings both ends up.
///
/// # Errors
/// [`Error::Netlink`], for instance `EEXIST` for a name in use.
pub fn veth(a: End<'_>, b: End<'_>, options: &VethOptions) -> Result<(), Error> {
    let mut message = Message::new(libc::RTM_NEWLINK, CREATE, &ifinfo(0, 0, 0));
    describe(&mut message, a, options);
    message.nest(libc::IFLA_LINKINFO, |info| {
        info.text(libc::IFLA_INFO_KIND, "veth");
        info.nest(libc::IFLA_INFO_DATA, |data| {
            data.nest(VETH_INFO_PEER, |peer| {
                peer.raw(&ifinfo(0, 0, 0));
                describe(peer, b, options);
                let namespace = b.namespace.as_fd().as_raw_fd();
                peer.number(libc::IFLA_NET_NS_FD, namespace.cast_unsigned());
            });
        });
    });
    a.namespace.route_request(&format!("make veth {} - {}", a.name, b.name), message)?;
    for end in [a, b] {
        if !options.offloads {
            end.namespace.offloads_off(end.name)?;
        }
        end.namespace.up(end.name)?;
    }
    Ok(())
}

/// Waits until every link has a carrier and none of its addresses is tentative.
///
/// # Errors
/// [`Error::NotReady`] with the first that is not, after five seconds.
pub fn wait_ready(links: &[(&Namespace, &str)]) -> Result<(), Error> {
    let deadline = Instant::now() + READY_TIMEOUT;
    for (namespace, link) in links {
        while !(namespace.link(link)?.carrier && namespace.addresses_usable(link)?) {
            if Instant::now() > deadline {
                let (namespace, link) = (namespace.name().to_owned(), (*link).to_owned());
                return Err(Error::NotReady { namespace, link });
            }
            std::thread::sleep(READY_POLL);
        }
    }
    Ok(())
}

impl Namespace {
    /// # Errors
    /// [`Error::NoLink`], [`Error::Netlink`].
    pub fn up(&self, link: &str) -> Result<(), Error> {
        self.set_flags(link, UP)
    }

    /// # Errors
    /// [`Error::NoLink`], [`Error::Netlink`].
    pub fn down(&self, link: &str) -> Result<(), Error> {
        self.set_flags(link, 0)
    }

    /// Makes a bridge: a switch for the links that [`Namespace::plug`] puts into it.
    ///
    /// # Errors
    /// [`Error::Netlink`], for instance `EEXIST` for a name in use.
    pub fn add_bridge(&self, name: &str) -> Result<(), Error> {
        let mut message = Message::new(libc::RTM_NEWLINK, CREATE, &ifinfo(0, 0, 0));
        message.text(libc::IFLA_IFNAME, name);
        message.nest(libc::IFLA_LINKINFO, |info| {
            info.text(libc::IFLA_INFO_KIND, "bridge");
        });
        self.route_request(&format!("make bridge {name}"), message)?;
        self.up(name)
    }

    /// Puts a link into a bridge of the same namespace.
    ///
    /// # Errors
    /// [`Error::NoLink`], [`Error::Netlink`].
    pub fn plug(&self, link: &str, bridge: &str) -> Result<(), Error> {
        let index = self.link(link)?.index;
        let mut message = Message::new(libc::RTM_NEWLINK, 0, &ifinfo(index, 0, 0));
        message.number(libc::IFLA_MASTER, self.link(bridge)?.index);
        self.route_request(&format!("plug {link} into {bridge}"), message).map(drop)
    }

    /// Lets a bridge's port pass frames, or none in either direction. Its link keeps its carrier: what
    /// is behind it cannot tell.
    ///
    /// # Errors
    /// [`Error::NoLink`], [`Error::Netlink`], for instance for a link that is in no bridge.
    pub fn enable_port(&self, link: &str, enabled: bool) -> Result<(), Error> {
        let state = if enabled { FORWARDING } else { DISABLED };
        self.set_port(link, PORT_STATE, state)
    }

    /// Isolated ports of one bridge pass no frames to each other, but to all others. Their links keep
    /// their carrier.
    ///
    /// # Errors
    /// As [`Namespace::enable_port`].
    pub fn isolate_port(&self, link: &str, isolated: bool) -> Result<(), Error> {
        self.set_port(link, PORT_ISOLATED, u8::from(isolated))
    }

    fn set_port(&self, link: &str, attribute: u16, value: u8) -> Result<(), Error> {
        let mut header = ifinfo(self.link(link)?.index, 0, 0);
        header[0] = libc::AF_BRIDGE as u8;
        let mut message = Message::new(libc::RTM_SETLINK, 0, &header);
        message.nest(libc::IFLA_PROTINFO, |port| {
            port.attribute(attribute, &[value]);
        });
        self.route_request(&format!("set the bridge's port {link}"), message).map(drop)
    }

    /// Deletes the link, and with a veth its other end.
    ///
    /// # Errors
    /// [`Error::NoLink`], [`Error::Netlink`].
    pub fn delete(&self, link: &str) -> Result<(), Error> {
        let index = self.link(link)?.index;
        let message = Message::new(libc::RTM_DELLINK, 0, &ifinfo(index, 0, 0));
        self.route_request(&format!("delete {link}"), message).map(drop)
    }

    /// # Errors
    /// [`Error::NoLink`], [`Error::Netlink`].
    pub fn set_mtu(&self, link: &str, mtu: u32) -> Result<(), Error> {
        let mut message = Message::new(libc::RTM_NEWLINK, 0, &ifinfo(self.link(link)?.index, 0, 0));
        message.number(libc::IFLA_MTU, mtu);
        self.route_request(&format!("set the MTU of {link}"), message).map(drop)
    }

    /// # Errors
    /// [`Error::NoLink`], [`Error::Netlink`].
    pub fn link(&self, link: &str) -> Result<Link, Error> {
        let mut message = Message::new(libc::RTM_GETLINK, 0, &ifinfo(0, 0, 0));
        message.text(libc::IFLA_IFNAME, link);
        match self.route_request(&format!("look up {link}"), message) {
            Ok(answers) => answers.first().and_then(|answer| parse(answer)),
            Err(Error::Netlink { errno: Errno::ENODEV, .. }) => None,
            Err(error) => return Err(error),
        }
        .ok_or_else(|| Error::NoLink { namespace: self.name().to_owned(), link: link.to_owned() })
    }

    fn set_flags(&self, link: &str, flags: u32) -> Result<(), Error> {
        let index = self.link(link)?.index;
        let message = Message::new(libc::RTM_NEWLINK, 0, &ifinfo(index, flags, UP));
        self.route_request(&format!("set {link} up or down"), message).map(drop)
    }

    /// One rtnetlink request, sent from inside the namespace.
    pub(crate) fn route_request(
        &self,
        what: &str,
        message: Message,
    ) -> Result<Vec<Vec<u8>>, Error> {
        self.run(|| Socket::open(SockProtocol::NetlinkRoute)?.request(what, message))
    }
}

fn describe(message: &mut Message, end: End<'_>, options: &VethOptions) {
    message.text(libc::IFLA_IFNAME, end.name);
    message.number(libc::IFLA_MTU, options.mtu);
    message.number(libc::IFLA_NUM_TX_QUEUES, options.queues);
    message.number(libc::IFLA_NUM_RX_QUEUES, options.queues);
    if let Some(mac) = end.mac {
        message.attribute(libc::IFLA_ADDRESS, &mac);
    }
}

/// `struct ifinfomsg`: family u8, pad u8, type u16, index i32, flags u32, change u32.
fn ifinfo(index: u32, flags: u32, change: u32) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[4..8].copy_from_slice(&index.to_ne_bytes());
    bytes[8..12].copy_from_slice(&flags.to_ne_bytes());
    bytes[12..16].copy_from_slice(&change.to_ne_bytes());
    bytes
}

fn parse(answer: &[u8]) -> Option<Link> {
    let flags = read_u32(answer, 8)?;
    let mut link = Link {
        index: read_u32(answer, 4)?,
        mac: [0; 6],
        mtu: 0,
        queues: 0,
        up: flags & UP != 0,
        carrier: flags & UP != 0 && flags & CARRIER != 0,
    };
    for (kind, value) in attributes(answer.get(16..)?) {
        match kind {
            libc::IFLA_ADDRESS => link.mac = value.try_into().unwrap_or_default(),
            libc::IFLA_MTU => link.mtu = read_u32(value, 0)?,
            libc::IFLA_NUM_RX_QUEUES => link.queues = read_u32(value, 0)?,
            _ => {}
        }
    }
    Some(link)
}
