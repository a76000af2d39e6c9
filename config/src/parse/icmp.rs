//! Names of ICMP and ICMPv6 types (IANA registries, in the spelling of their RFCs).

/// ICMP (RFC 792, RFC 1256).
const V4: [(&str, u8); 11] = [
    ("echo-reply", 0),
    ("destination-unreachable", 3),
    ("source-quench", 4),
    ("redirect", 5),
    ("echo-request", 8),
    ("router-advertisement", 9),
    ("router-solicitation", 10),
    ("time-exceeded", 11),
    ("parameter-problem", 12),
    ("timestamp-request", 13),
    ("timestamp-reply", 14),
];

/// ICMPv6 (RFC 4443), MLD (RFC 2710, RFC 3810), ND (RFC 4861), mobility (RFC 6275).
const V6: [(&str, u8); 19] = [
    ("destination-unreachable", 1),
    ("packet-too-big", 2),
    ("time-exceeded", 3),
    ("parameter-problem", 4),
    ("echo-request", 128),
    ("echo-reply", 129),
    ("multicast-listener-query", 130),
    ("multicast-listener-report", 131),
    ("multicast-listener-done", 132),
    ("router-solicitation", 133),
    ("router-advertisement", 134),
    ("neighbor-solicitation", 135),
    ("neighbor-advertisement", 136),
    ("redirect", 137),
    ("multicast-listener-report-v2", 143),
    ("home-agent-address-discovery-request", 144),
    ("home-agent-address-discovery-reply", 145),
    ("mobile-prefix-solicitation", 146),
    ("mobile-prefix-advertisement", 147),
];

/// The type called `name`, if this version has it.
pub(crate) fn kind(v6: bool, name: &str) -> Option<u8> {
    table(v6).iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
}

/// The name of type `kind`, if it has one.
pub(crate) fn name(v6: bool, kind: u8) -> Option<&'static str> {
    table(v6).iter().find(|(_, known)| *known == kind).map(|(name, _)| *name)
}

/// All names of this version.
pub(crate) fn names(v6: bool) -> impl Iterator<Item = &'static str> {
    table(v6).iter().map(|(name, _)| *name)
}

fn table(v6: bool) -> &'static [(&'static str, u8)] {
    if v6 { &V6 } else { &V4 }
}
