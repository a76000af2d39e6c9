//! `[cluster]`, `[fabric]`, `[[vip]]` and `[[target]]` of the node file.

use core::net::{IpAddr, SocketAddr};
use core::ops::Range;

use super::fields::{self, Fields};
use super::ports::{Ports, check_interface, small, string_span};
use super::reader::{Reader, Value, quoted};
use crate::limits::{PEERS_MAX, RANK_MAX, TARGETS_MAX, VIPS_MAX};
use crate::{Cluster, Fabric, Placement, Target, Unconfirmed, Vip};

const CLUSTER_KEYS: [&str; 4] = ["listen", "peers", "placement", "unconfirmed"];
const FABRIC_KEYS: [&str; 3] = ["interface", "geneve-port", "heartbeat-port"];
const VIP_KEYS: [&str; 4] = ["group", "port", "address", "rank"];
const TARGET_KEYS: [&str; 2] = ["port", "address"];
const PLACEMENT: [(&str, Placement); 2] = [("vip", Placement::Vip), ("hash", Placement::Hash)];
const UNCONFIRMED: [(&str, Unconfirmed); 2] =
    [("forward", Unconfirmed::Forward), ("drop", Unconfirmed::Drop)];
/// RFC 8926 §3.3.
const GENEVE_PORT_DEFAULT: u16 = 6081;
const HEARTBEAT_PORT_DEFAULT: u16 = 7401;
const RANK_DEFAULT: u8 = 100;
const ADDRESS_HINT: &str = "an address and a port: \"10.0.9.1:7400\" or \"[fd00::1]:7400\"";

/// What the node file says about its cluster.
#[derive(Default)]
pub(crate) struct Pair {
    pub(crate) cluster: Option<Cluster>,
    pub(crate) fabric: Option<Fabric>,
    pub(crate) vips: Vec<Vip>,
    pub(crate) targets: Vec<Target>,
}

impl Pair {
    pub(crate) fn parse(reader: &mut Reader<'_>, document: &Fields<'_, '_>, ports: &Ports) -> Self {
        let cluster = document.get("cluster").and_then(|value| cluster(reader, value));
        let fabric = document.get("fabric").and_then(|value| fabric(reader, value, ports));
        let vips = vips(reader, document, ports);
        let targets = targets(reader, document, ports);
        if document.get("cluster").is_none() {
            for key in ["fabric", "vip", "target"] {
                if let Some(span) = document.key_span(key) {
                    let message = format!("`{key}` without `[cluster]` has no effect");
                    reader.error_hint(&span, message, "add `[cluster]` with `listen` and `peers`");
                }
            }
        }
        Self { cluster, fabric, vips, targets }
    }
}

fn cluster(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Cluster> {
    let fields = Fields::new(reader, value, "[cluster]", &CLUSTER_KEYS)?;
    let placement = fields.choice(reader, "placement", &PLACEMENT).unwrap_or_default();
    let unconfirmed = fields.choice(reader, "unconfirmed", &UNCONFIRMED).unwrap_or_default();
    let listen = fields.required_string(reader, "listen")?;
    let span = fields.get("listen").map_or(fields.span.clone(), Value::span);
    let listen = place(reader, listen, &span);
    let peers = peers(reader, &fields, listen);
    Some(Cluster { listen: listen?, peers, placement, unconfirmed })
}

fn peers(
    reader: &mut Reader<'_>,
    fields: &Fields<'_, '_>,
    listen: Option<SocketAddr>,
) -> Vec<SocketAddr> {
    let Some(value) = fields.get("peers") else { return Vec::new() };
    let mut peers = Vec::new();
    for (text, span) in fields::strings(reader, value) {
        let Some(peer) = place(reader, text, &span) else { continue };
        if Some(peer) == listen {
            reader.error(&span, format!("{} is this node's own `listen`", quoted(text)));
        } else if peers.contains(&peer) {
            reader.error(&span, format!("{} is in the list already", quoted(text)));
        }
        peers.push(peer);
    }
    if peers.len() > PEERS_MAX {
        let message = format!("{} peers, the limit is {PEERS_MAX}", peers.len());
        reader.error(&value.span(), message);
    }
    peers
}

/// An address that another node can call.
fn place(reader: &mut Reader<'_>, text: &str, span: &Range<usize>) -> Option<SocketAddr> {
    let Ok(place) = text.parse::<SocketAddr>() else {
        let message = format!("{} is no place to listen", quoted(text));
        reader.error_hint(span, message, ADDRESS_HINT);
        return None;
    };
    if is_host(place.ip()) && place.port() > 0 {
        return Some(place);
    }
    let hint = "write the address that this node has in the fabric, and a port from 1 on";
    reader.error_hint(span, format!("{} cannot be called by a peer", quoted(text)), hint);
    None
}

fn is_host(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    !(address.is_unspecified() || address.is_multicast() || broadcast)
}

fn fabric(reader: &mut Reader<'_>, value: &Value<'_>, ports: &Ports) -> Option<Fabric> {
    let fields = Fields::new(reader, value, "[fabric]", &FABRIC_KEYS)?;
    let interface = fields.required_string(reader, "interface")?;
    if let Some(span) = string_span(&fields, "interface")
        && check_interface(reader, interface, &span)
        && let Some(port) = ports.ports.iter().find(|port| port.interface == interface)
    {
        let message = format!("the interface is that of port `{}`", port.name);
        let hint = "the fabric belongs to the kernel: give it an interface of its own";
        reader.error_hint(&span, message, hint);
    }
    let mut udp_port =
        |key, default| small(fields.integer(reader, key, 1..=u16::MAX.into())).unwrap_or(default);
    let geneve_port = udp_port("geneve-port", GENEVE_PORT_DEFAULT);
    let heartbeat_port = udp_port("heartbeat-port", HEARTBEAT_PORT_DEFAULT);
    if geneve_port == heartbeat_port {
        let span = fields.get("heartbeat-port").or(fields.get("geneve-port"));
        let span = span.map_or(fields.span.clone(), Value::span);
        reader.error(&span, "`geneve-port` and `heartbeat-port` must differ");
    }
    Some(Fabric { interface: interface.to_owned(), geneve_port, heartbeat_port })
}

fn vips(reader: &mut Reader<'_>, document: &Fields<'_, '_>, ports: &Ports) -> Vec<Vip> {
    let tables = document.tables(reader, "vip");
    let mut vips: Vec<Vip> = Vec::new();
    for value in tables {
        if let Some(vip) = vip(reader, value, ports, &vips) {
            vips.push(vip);
        }
    }
    if tables.len() > VIPS_MAX
        && let Some(span) = document.key_span("vip")
    {
        reader.error(&span, format!("{} addresses, the limit is {VIPS_MAX}", tables.len()));
    }
    vips
}

fn vip(reader: &mut Reader<'_>, value: &Value<'_>, ports: &Ports, earlier: &[Vip]) -> Option<Vip> {
    let fields = Fields::new(reader, value, "the vip", &VIP_KEYS)?;
    let group = fields.required_string(reader, "group");
    if let (Some(group), Some(span)) = (group, string_span(&fields, "group")) {
        reader.check_name("group", group, &span);
    }
    let rank = fields.integer(reader, "rank", 1..=RANK_MAX.into());
    let rank = rank.and_then(|rank| u8::try_from(rank).ok()).unwrap_or(RANK_DEFAULT);
    let port = fields.required_string(reader, "port");
    let port_span = string_span(&fields, "port");
    let port = port.zip(port_span).and_then(|(name, span)| ports.find(reader, name, &span));
    let text = fields.required_string(reader, "address")?;
    let span = string_span(&fields, "address")?;
    let (address, length) = address(reader, text, &span)?;
    let vip = Vip { group: group?.to_owned(), port: port?, address, length, rank };
    let at = fields.key_span("rank").unwrap_or_else(|| fields.span.clone());
    check_earlier(reader, &vip, earlier, ports, [&span, &at]);
    Some(vip)
}

fn targets(reader: &mut Reader<'_>, document: &Fields<'_, '_>, ports: &Ports) -> Vec<Target> {
    let tables = document.tables(reader, "target");
    let mut targets: Vec<Target> = Vec::new();
    for value in tables {
        if let Some(target) = target(reader, value, ports, &targets) {
            targets.push(target);
        }
    }
    if tables.len() > TARGETS_MAX
        && let Some(span) = document.key_span("target")
    {
        reader.error(&span, format!("{} targets, the limit is {TARGETS_MAX}", tables.len()));
    }
    targets
}

fn target(
    reader: &mut Reader<'_>,
    value: &Value<'_>,
    ports: &Ports,
    earlier: &[Target],
) -> Option<Target> {
    let fields = Fields::new(reader, value, "the target", &TARGET_KEYS)?;
    let port = fields.required_string(reader, "port");
    let port_span = string_span(&fields, "port");
    let port = port.zip(port_span).and_then(|(name, span)| ports.find(reader, name, &span));
    let text = fields.required_string(reader, "address")?;
    let span = string_span(&fields, "address")?;
    let parsed = text.parse::<IpAddr>().ok().filter(|it| is_host(*it) && !it.is_loopback());
    let Some(address) = parsed else {
        let message = format!("{} is no address of a host", quoted(text));
        reader.error_hint(&span, message, "that of a neighbour, without a length: \"10.0.1.254\"");
        return None;
    };
    let target = Target { port: port?, address };
    if earlier.contains(&target) {
        reader.error(&span, format!("`{address}` is a target already"));
    }
    Some(target)
}

/// What two entries must not say.
fn check_earlier(
    reader: &mut Reader<'_>,
    vip: &Vip,
    earlier: &[Vip],
    ports: &Ports,
    [address, rank]: [&Range<usize>; 2],
) {
    let domain = |port: usize| ports.ports.get(port).map(|port| port.domain);
    let same =
        |other: &&Vip| other.address == vip.address && domain(other.port) == domain(vip.port);
    if earlier.iter().any(|other| same(&other)) {
        reader.error(address, format!("`{}` is a vip already", vip.address));
    }
    if let Some(other) = earlier.iter().find(|other| other.group == vip.group)
        && other.rank != vip.rank
    {
        let message = format!("group `{}` has rank {} already", vip.group, other.rank);
        reader.error_hint(rank, message, "the rank is this node's, the same for all of a group");
    }
}

/// A host's address with the length of its network's prefix.
fn address(reader: &mut Reader<'_>, text: &str, span: &Range<usize>) -> Option<(IpAddr, u8)> {
    let parsed = text.split_once('/').and_then(|(address, length)| {
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let digits = length.bytes().all(|byte| byte.is_ascii_digit());
        let length = length.parse::<u8>().ok().filter(|length| (1..=most).contains(length))?;
        (digits && is_host(address) && !address.is_loopback()).then_some((address, length))
    });
    if parsed.is_none() {
        let message = format!("{} is no address of a host with its prefix length", quoted(text));
        reader.error_hint(span, message, "as on an interface: \"10.0.1.1/24\"");
    }
    parsed
}
