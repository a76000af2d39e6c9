//! An engine with no network around it: ports that do not exist, a next hop for every packet, and
//! keys that are always the same, so that the same question gets the same answer.

use engine::{Checksum, Mode, Port, Settings, WorkerId};

/// Link-layer address of whoever the packets go to. Nobody does: they only have to be able to leave.
pub(crate) const MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];

/// Settings of an engine that is its node's only one. Nobody attacks the hash table of an engine that
/// sees one capture or one packet.
pub(crate) fn settings(ports: Vec<Port>, sessions: u32) -> Settings {
    Settings {
        worker: WorkerId(0),
        node: 1,
        boot: 1,
        seed: [0x7269_6e67_7761_6c6c, 0x7265_706c_6179_2e31],
        secret: [0; 2],
        sessions,
        ports,
    }
}

/// A routed port that takes frames to any link-layer address, as large as any datagram.
pub(crate) fn port(name: &str, checksum: Checksum) -> Port {
    Port {
        name: name.to_owned(),
        domain: 0,
        mode: Mode::Routed,
        mac: [0; 6],
        mtu: u32::from(u16::MAX),
        checksum,
        up: true,
    }
}
