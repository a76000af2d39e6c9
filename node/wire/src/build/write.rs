//! Writing one packet, header by header.
use core::net::IpAddr;

use super::{Body, Builder, Extension, TcpFields};
use crate::bytes::Writer;
use crate::{Protocol, Version, checksum, ethernet, gre, icmp, ipv4, ipv6, sctp, tcp, udp};

/// Writes what the builder describes.
pub(super) fn packet(builder: &Builder<'_>, out: &mut [u8]) -> Option<usize> {
    if builder.refused {
        return None;
    }
    let mut writer = Writer { out, at: 0 };
    ethernet(builder, &mut writer)?;
    let network = writer.at;
    match builder.version() {
        Version::V4 => ipv4(builder, &mut writer)?,
        Version::V6 => ipv6(builder, &mut writer)?,
    }
    let transport = writer.at;
    body(builder, &mut writer)?;
    writer.put(builder.payload)?;
    lengths(builder, &mut writer, network, transport)?;
    checksums(builder, &mut writer, network, transport)?;
    let padding = builder.min_len.saturating_sub(writer.at);
    writer.zeros(padding)?;
    Some(writer.at)
}

fn ethernet(builder: &Builder<'_>, writer: &mut Writer<'_>) -> Option<()> {
    let Some((source, destination)) = builder.macs else { return Some(()) };
    writer.put(&destination)?;
    writer.put(&source)?;
    let tags = &builder.vlans[..builder.vlan_count];
    for (position, id) in tags.iter().enumerate() {
        let inner = position + 1 == tags.len();
        let ethertype = if inner { ethernet::VLAN } else { ethernet::SERVICE_VLAN };
        writer.put(&ethertype.to_be_bytes())?;
        writer.put(&id.to_be_bytes())?;
    }
    writer.put(&builder.version().ethertype().to_be_bytes())
}

fn ipv4(builder: &Builder<'_>, writer: &mut Writer<'_>) -> Option<()> {
    let (IpAddr::V4(source), IpAddr::V4(destination)) = (builder.source, builder.destination)
    else {
        return None;
    };
    let options = builder.ip_options.len().next_multiple_of(4);
    let (offset, more) = builder.fragment;
    let mut flags = offset >> 3;
    flags |= if more { ipv4::MORE_FRAGMENTS } else { 0 };
    flags |= if builder.dont_fragment { ipv4::DONT_FRAGMENT } else { 0 };
    writer.put(&[0x45 + (options / 4) as u8, builder.traffic_class, 0, 0])?;
    writer.put(&builder.id.to_be_bytes())?;
    writer.put(&flags.to_be_bytes())?;
    writer.put(&[builder.hop_limit, protocol(builder).0, 0, 0])?;
    writer.put(&source.octets())?;
    writer.put(&destination.octets())?;
    writer.put(builder.ip_options)?;
    writer.zeros(options - builder.ip_options.len())
}

fn ipv6(builder: &Builder<'_>, writer: &mut Writer<'_>) -> Option<()> {
    let (IpAddr::V6(source), IpAddr::V6(destination)) = (builder.source, builder.destination)
    else {
        return None;
    };
    let extensions = &builder.extensions[..builder.extension_count];
    let next = |position: usize| {
        extensions.get(position).map_or_else(|| protocol(builder), Extension::protocol).0
    };
    writer.put(&[0x60 | builder.traffic_class >> 4, builder.traffic_class << 4, 0, 0])?;
    writer.put(&[0, 0, next(0), builder.hop_limit])?;
    writer.put(&source.octets())?;
    writer.put(&destination.octets())?;
    extensions
        .iter()
        .enumerate()
        .try_for_each(|(i, extension)| extension.write(next(i + 1), writer))
}

impl Extension<'_> {
    const fn protocol(&self) -> Protocol {
        match self {
            Self::Raw(protocol, _) => *protocol,
            Self::Fragment { .. } => Protocol::FRAGMENT,
        }
    }

    fn write(&self, next: u8, writer: &mut Writer<'_>) -> Option<()> {
        match *self {
            Self::Raw(protocol, body) => {
                let len = (body.len() + 2).next_multiple_of(8);
                let field = match protocol {
                    Protocol::FRAGMENT => 0,
                    Protocol::AH => len / 4 - 2,
                    _ => len / 8 - 1,
                };
                writer.put(&[next, u8::try_from(field).ok()?])?;
                writer.put(body)?;
                writer.zeros(len - 2 - body.len())
            }
            Self::Fragment { id, offset, more } => {
                writer.put(&[next, 0])?;
                writer.put(&(offset & !7 | u16::from(more)).to_be_bytes())?;
                writer.put(&id.to_be_bytes())
            }
        }
    }
}

fn protocol(builder: &Builder<'_>) -> Protocol {
    match builder.body {
        Body::Tcp(_) => Protocol::TCP,
        Body::Udp { .. } => Protocol::UDP,
        Body::Icmp { .. } if builder.source.is_ipv4() => Protocol::ICMP,
        Body::Icmp { .. } => Protocol::ICMPV6,
        Body::Sctp { .. } => Protocol::SCTP,
        Body::Gre { .. } | Body::GreCall { .. } => Protocol::GRE,
        Body::Esp { .. } => Protocol::ESP,
        Body::Raw(protocol) => protocol,
    }
}

fn body(builder: &Builder<'_>, writer: &mut Writer<'_>) -> Option<()> {
    match builder.body {
        Body::Tcp(ref fields) => tcp(fields, builder.tcp_options.padded(), writer),
        Body::Udp { ports, .. } => {
            put_ports(writer, ports)?;
            writer.zeros(udp::HEADER_LEN - 4)
        }
        Body::Icmp { kind, code, rest } => {
            writer.put(&[kind, code, 0, 0])?;
            writer.put(&rest.to_be_bytes())
        }
        Body::Sctp { ports, tag } => {
            put_ports(writer, ports)?;
            writer.put(&tag.to_be_bytes())?;
            writer.zeros(sctp::HEADER_LEN - 8)
        }
        Body::Gre { protocol, key } => {
            let flags = if key.is_some() { gre::KEY } else { 0 };
            writer.put(&flags.to_be_bytes())?;
            writer.put(&protocol.to_be_bytes())?;
            key.map_or(Some(()), |key| writer.put(&key.to_be_bytes()))
        }
        Body::GreCall { call_id, sequence } => {
            writer.put(&(gre::KEY | gre::SEQUENCE | 1).to_be_bytes())?;
            writer.put(&gre::PPP.to_be_bytes())?;
            writer.put(&u16::try_from(builder.payload.len()).ok()?.to_be_bytes())?;
            writer.put(&call_id.to_be_bytes())?;
            writer.put(&sequence.to_be_bytes())
        }
        Body::Esp { spi, sequence } => {
            writer.put(&spi.to_be_bytes())?;
            writer.put(&sequence.to_be_bytes())
        }
        Body::Raw(_) => Some(()),
    }
}

fn tcp(fields: &TcpFields, options: &[u8], writer: &mut Writer<'_>) -> Option<()> {
    let words = (tcp::HEADER_LEN + options.len()) / 4;
    put_ports(writer, fields.ports)?;
    writer.put(&fields.sequence.to_be_bytes())?;
    writer.put(&fields.ack.to_be_bytes())?;
    writer.put(&[(words as u8) << 4, fields.flags.0])?;
    writer.put(&fields.window.to_be_bytes())?;
    writer.zeros(2)?;
    writer.put(&fields.urgent.to_be_bytes())?;
    writer.put(options)
}

fn put_ports(writer: &mut Writer<'_>, (source, destination): (u16, u16)) -> Option<()> {
    writer.put(&source.to_be_bytes())?;
    writer.put(&destination.to_be_bytes())
}

fn lengths(
    builder: &Builder<'_>,
    writer: &mut Writer<'_>,
    network: usize,
    transport: usize,
) -> Option<()> {
    let total = writer.at - network;
    match builder.version() {
        Version::V4 => {
            writer.set16(network + ipv4::TOTAL_LENGTH, u16::try_from(total).ok()?)?;
        }
        Version::V6 => {
            let payload = u16::try_from(total - ipv6::HEADER_LEN).ok()?;
            writer.set16(network + ipv6::PAYLOAD_LENGTH, payload)?;
        }
    }
    if let Body::Udp { .. } = builder.body {
        let len = u16::try_from(writer.at - transport).ok()?;
        writer.set16(transport + udp::LENGTH, len)?;
    }
    Some(())
}

fn checksums(
    builder: &Builder<'_>,
    writer: &mut Writer<'_>,
    network: usize,
    transport: usize,
) -> Option<()> {
    if builder.version() == Version::V4 {
        checksum::fill_ipv4_header_checksum(writer.out, network as u32);
    }
    let field = match builder.body {
        Body::Tcp(_) => tcp::CHECKSUM,
        Body::Udp { checksum: true, .. } => udp::CHECKSUM,
        Body::Icmp { .. } => icmp::CHECKSUM,
        Body::Udp { checksum: false, .. }
        | Body::Sctp { .. }
        | Body::Gre { .. }
        | Body::GreCall { .. }
        | Body::Esp { .. }
        | Body::Raw(_) => return Some(()),
    };
    let bytes = writer.out.get(transport..writer.at)?;
    let sum = checksum::sum(bytes) + pseudo(builder, writer.out, network, bytes.len());
    let checksum = checksum::finish(sum);
    let none = checksum == 0 && protocol(builder) == Protocol::UDP;
    writer.set16(transport + field, if none { 0xffff } else { checksum })
}

fn pseudo(builder: &Builder<'_>, out: &[u8], network: usize, len: usize) -> u32 {
    let protocol = protocol(builder);
    if protocol == Protocol::ICMP {
        return 0;
    }
    let last = match builder.version() {
        Version::V4 => None,
        Version::V6 => ipv6::final_destination(out, network).map(IpAddr::V6),
    };
    let destination = last.unwrap_or(builder.destination);
    checksum::pseudo(builder.source, destination, protocol, len as u32)
}
