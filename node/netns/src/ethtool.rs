//! Offload switches, by ethtool's generic netlink family (linux/ethtool_netlink.h).

use nix::errno::Errno;
use nix::sys::socket::SockProtocol;

use crate::netlink::{Message, Socket, attributes, read_u16};
use crate::{Error, Namespace};

/// Everything by which a veth leaves a frame's checksum, size or VLAN tag unfinished, by the kernel's names.
const OFFLOADS: [&str; 12] = [
    "tx-checksum-ip-generic",
    "tx-checksum-sctp",
    "tx-tcp-segmentation",
    "tx-tcp6-segmentation",
    "tx-tcp-ecn-segmentation",
    "tx-tcp-mangleid-segmentation",
    "tx-udp-segmentation",
    "tx-generic-segmentation",
    "tx-vlan-hw-insert",
    "tx-vlan-stag-hw-insert",
    "rx-gro",
    "rx-udp-gro-forwarding",
];

/// Generic netlink's own family and its request for another family's number.
const CONTROL: u16 = libc::GENL_ID_CTRL as u16;
const GET_FAMILY: u8 = libc::CTRL_CMD_GETFAMILY as u8;
const FAMILY_ID: u16 = libc::CTRL_ATTR_FAMILY_ID as u16;
const FAMILY_NAME: u16 = libc::CTRL_ATTR_FAMILY_NAME as u16;
/// `struct genlmsghdr`: command u8, version u8, reserved u16.
const GENERIC_HEADER: usize = 4;

const FEATURES_GET: u8 = 11;
const FEATURES_SET: u8 = 12;
const FEATURES_HEADER: u16 = 1;
const FEATURES_WANTED: u16 = 3;
const FEATURES_ACTIVE: u16 = 4;
const HEADER_NAME: u16 = 2;
const BITSET_BITS: u16 = 3;
const BITS_BIT: u16 = 1;
const BIT_NAME: u16 = 2;
const BIT_VALUE: u16 = 3;

impl Namespace {
    /// Turns off what leaves checksums, segments and VLAN tags unfinished: every frame is then as it would be
    /// on a wire. GRO goes too.
    ///
    /// # Errors
    /// [`Error::Netlink`], for instance `ENODEV`.
    pub fn offloads_off(&self, link: &str) -> Result<(), Error> {
        self.set_features(link, &OFFLOADS.map(|name| (name, false)))
    }

    /// Turns features on or off by the kernel's names, for instance `("rx-gro", true)`.
    ///
    /// # Errors
    /// [`Error::Netlink`], for instance `ENODEV`, or `EINVAL` for an unknown name.
    pub fn set_features(&self, link: &str, features: &[(&str, bool)]) -> Result<(), Error> {
        self.run(|| {
            let mut socket = Socket::open(SockProtocol::NetlinkGeneric)?;
            let family = family_number(&mut socket)?;
            let what = format!("set offloads of {link}");
            socket.request(&what, features_message(family, link, features)).map(drop)
        })
    }

    /// Whether a feature is on, by the kernel's name.
    ///
    /// # Errors
    /// [`Error::Netlink`], for instance `ENODEV`.
    pub fn feature(&self, link: &str, name: &str) -> Result<bool, Error> {
        let what = format!("read offloads of {link}");
        let answers = self.run(|| {
            let mut socket = Socket::open(SockProtocol::NetlinkGeneric)?;
            let family = family_number(&mut socket)?;
            let mut message = Message::new(family, 0, &[FEATURES_GET, 1, 0, 0]);
            message.nest(FEATURES_HEADER, |header| {
                header.text(HEADER_NAME, link);
            });
            socket.request(&what, message)
        })?;
        let active = answers.first().and_then(|answer| read_features(answer, name));
        active.ok_or(Error::Truncated { request: what })
    }
}

fn read_features(answer: &[u8], name: &str) -> Option<bool> {
    let find = |bytes: &[u8], wanted: u16| {
        attributes(bytes).find(|(kind, _)| *kind == wanted).map(|(_, value)| value.to_vec())
    };
    let active = find(answer.get(GENERIC_HEADER..)?, FEATURES_ACTIVE)?;
    let bits = find(&active, BITSET_BITS)?;
    let mut names = attributes(&bits).filter_map(|(_, bit)| find(bit, BIT_NAME));
    Some(names.any(|bit| bit.strip_suffix(&[0]) == Some(name.as_bytes())))
}

fn features_message(family: u16, link: &str, features: &[(&str, bool)]) -> Message {
    let mut message = Message::new(family, 0, &[FEATURES_SET, 1, 0, 0]);
    message.nest(FEATURES_HEADER, |header| {
        header.text(HEADER_NAME, link);
    });
    message.nest(FEATURES_WANTED, |wanted| {
        wanted.nest(BITSET_BITS, |bits| {
            for (name, on) in features {
                bits.nest(BITS_BIT, |bit| {
                    bit.text(BIT_NAME, name);
                    if *on {
                        bit.attribute(BIT_VALUE, &[]);
                    }
                });
            }
        });
    });
    message
}

fn family_number(socket: &mut Socket) -> Result<u16, Error> {
    let mut message = Message::new(CONTROL, 0, &[GET_FAMILY, 1, 0, 0]);
    message.text(FAMILY_NAME, "ethtool");
    let what = "look up the ethtool family";
    let answers = socket.request(what, message)?;
    let number = answers.iter().find_map(|answer| {
        attributes(answer.get(GENERIC_HEADER..)?)
            .find(|(kind, _)| *kind == FAMILY_ID)
            .and_then(|(_, value)| read_u16(value, 0))
    });
    number.ok_or_else(|| Error::netlink(what)(Errno::ENOENT))
}
