//! Networks, packets as hosts inside see them, and the two translations.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::datagram::{
    End, Endpoint, ICMP, OUTER, TCP, UDP, fill_icmp, quoted, quoted_sum_is_right, reassemble,
    sums_are_right,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Inside = 0,
    Outside = 1,
}

impl Side {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Inside => Self::Outside,
            Self::Outside => Self::Inside,
        }
    }
}

/// What lies at a side of the router: hosts behind one gateway.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Network {
    pub(crate) router: &'static str,
    pub(crate) gateway: &'static str,
    pub(crate) prefix: &'static str,
}

pub(crate) const INSIDE: Network =
    Network { router: "10.9.0.1", gateway: "10.9.0.2", prefix: "10.1.0.0/16" };
pub(crate) const OUTSIDE: Network =
    Network { router: "10.2.0.1", gateway: "10.2.0.2", prefix: "198.18.0.0/15" };
/// The router outside, for which it masquerades.
const MASQUERADE: Ipv4Addr = Ipv4Addr::new(10, 2, 0, 1);
/// The address outside of [`SERVER`].
const SERVICE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 80);
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 1, 255, 80);
/// Source and destination of markers that come out at a side; no flow has both.
pub(crate) const MARKER: [[Ipv4Addr; 2]; 2] = [
    [Ipv4Addr::new(198, 19, 255, 254), Ipv4Addr::new(10, 1, 255, 254)],
    [Ipv4Addr::new(10, 1, 255, 254), Ipv4Addr::new(198, 19, 255, 254)],
];
/// What stands for every port that a router chose.
const ANY_PORT: u16 = 7;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `nft masquerade`, `translate = "interface"`: hosts inside begin.
    Source,
    /// `nft dnat to`, `to-address`: hosts outside begin.
    Destination,
}

impl Kind {
    pub(crate) const fn nft(self) -> &'static str {
        match self {
            Self::Source => {
                "table ip nat { chain post { type nat hook postrouting priority srcnat;
                 oifname \"wan0\" ip daddr != 198.19.255.254 masquerade; }; }"
            }
            Self::Destination => {
                "table ip nat { chain pre { type nat hook prerouting priority dstnat;
                 iifname \"wan0\" ip daddr 203.0.113.80 dnat to 10.1.255.80; }; }"
            }
        }
    }

    pub(crate) const fn policy(self) -> &'static str {
        match self {
            Self::Source => {
                r#"
[zones]
in = ["lan"]
out = ["wan"]
[[rule]]
id = "out"
from = "in"
to = "out"
action = "permit"
[[nat]]
id = "masquerade"
type = "source"
from = "in"
to = "out"
translate = "interface"
"#
            }
            Self::Destination => {
                r#"
[zones]
in = ["lan"]
out = ["wan"]
[[rule]]
id = "in"
from = "out"
to = "in"
action = "permit"
[[nat]]
id = "service"
type = "destination"
from = "out"
destination = ["203.0.113.80"]
to-address = "10.1.255.80"
"#
            }
        }
    }

    const fn public(self) -> Ipv4Addr {
        match self {
            Self::Source => MASQUERADE,
            Self::Destination => SERVICE,
        }
    }

    /// Who sends first.
    pub(crate) const fn initiator(self) -> Side {
        match self {
            Self::Source => Side::Inside,
            Self::Destination => Side::Outside,
        }
    }
}

/// A packet with the addresses that it has inside.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) from: Side,
    pub(crate) datagram: Vec<u8>,
    /// Its sums are right; of a fragment, those of the datagram.
    pub(crate) right: bool,
}

impl Step {
    /// What it counts as, its sender first.
    pub(crate) fn name(&self) -> String {
        let bytes = &self.datagram;
        let kind = match OUTER.protocol(bytes) {
            _ if OUTER.is_fragment(bytes) => "fragmented",
            TCP => "TCP",
            UDP => "UDP",
            ICMP if quoted(bytes).is_some() => "ICMP error",
            ICMP => "ICMP query",
            _ => "other",
        };
        format!("{kind} from {}", ["inside", "outside"][self.from as usize])
    }
}

/// What came out at the other side.
pub(crate) struct Passed {
    pub(crate) out: Vec<Vec<u8>>,
    /// Why nothing did.
    pub(crate) why: String,
}

pub(crate) trait Router {
    /// Takes an IPv4 datagram at a side.
    fn pass(&mut self, from: Side, datagram: &[u8]) -> Passed;
}

/// A packet after the router, comparable: whole, and every port that the router chose is [`ANY_PORT`].
#[derive(Clone, Debug)]
pub(crate) enum Carried {
    Not(String),
    As(Vec<u8>),
}

/// Protocol, inside, outside.
type Flow = (u8, Endpoint, Endpoint);

/// A router, and what is known outside of its mappings.
pub(crate) struct Seat<R> {
    pub(crate) router: R,
    kind: Kind,
    /// Ports of [`MASQUERADE`].
    chosen: BTreeMap<Flow, u16>,
    /// Flows of datagrams whose first fragment was sent from inside: destination, protocol, id.
    begun: BTreeMap<(Ipv4Addr, u8, u16), Flow>,
}

impl<R: Router> Seat<R> {
    pub(crate) fn new(router: R, kind: Kind) -> Self {
        Self { router, kind, chosen: BTreeMap::new(), begun: BTreeMap::new() }
    }

    pub(crate) fn carry(&mut self, step: &Step) -> Carried {
        let mut sent = step.datagram.clone();
        let known = match step.from {
            Side::Inside => {
                self.note(&sent);
                true
            }
            Side::Outside => self.seen_outside(&mut sent),
        };
        if !known {
            return Carried::Not("no mapping to send to".into());
        }
        let Passed { out, why } = self.router.pass(step.from, &sent);
        if out.is_empty() {
            return Carried::Not(why);
        }
        let whole = reassemble(&out);
        let mut whole = whole.unwrap_or_else(|| panic!("in pieces: {out:?} of {step:?}"));
        let source = OUTER.address(&whole, End::Source);
        if step.from == Side::Inside && source != self.kind.public() {
            return Carried::Not("left untranslated".into());
        }
        assert!(!step.right || sums_are_right(&whole), "wrong sums: {whole:?} of {step:?}");
        if quoted_sum_is_right(&step.datagram) {
            assert!(quoted_sum_is_right(&whole), "wrong quoted sum: {whole:?} of {step:?}");
        }
        if step.from == Side::Inside {
            self.unify(&mut whole);
        }
        ignore_what_is_not_translation(&mut whole, step);
        Carried::As(whole)
    }

    /// What a sender inside begins, so that the port can be told from what comes out.
    fn note(&mut self, sent: &[u8]) {
        let ends = [End::Source, End::Destination].map(|end| OUTER.endpoint(sent, end));
        if let [Some(inside), Some(outside)] = ends {
            let protocol = OUTER.protocol(sent);
            let name = (outside.0, protocol, OUTER.id(sent));
            self.begun.insert(name, (protocol, inside, outside));
        }
    }

    /// As a host outside sends it: to the public end. False if there is none.
    fn seen_outside(&self, sent: &mut [u8]) -> bool {
        let public = self.kind.public();
        if let Some(inner) = quoted(sent) {
            let ends = [End::Source, End::Destination].map(|end| inner.endpoint(sent, end));
            let Some(port) = self.port(inner.protocol(sent), ends) else { return false };
            inner.readdress(sent, End::Source, public, port);
            OUTER.readdress(sent, End::Destination, public, None);
            fill_icmp(sent);
            return true;
        }
        if OUTER.offset(sent) > 0 {
            OUTER.readdress(sent, End::Destination, public, None);
            return true;
        }
        let ends = [End::Destination, End::Source].map(|end| OUTER.endpoint(sent, end));
        let Some(port) = self.port(OUTER.protocol(sent), ends) else { return false };
        OUTER.readdress(sent, End::Destination, public, port);
        true
    }

    /// The public port of a flow, of which the end inside comes first. `Some(None)`: it stays as it is.
    fn port(&self, protocol: u8, ends: [Option<Endpoint>; 2]) -> Option<Option<u16>> {
        match self.kind {
            Kind::Destination => Some(None),
            Kind::Source => {
                let [inside, outside] = ends;
                Some(Some(*self.chosen.get(&(protocol, inside?, outside?))?))
            }
        }
    }

    /// Learns the chosen port from what left outside, and puts another in its place.
    fn unify(&mut self, out: &mut [u8]) {
        if self.kind == Kind::Destination {
            return;
        }
        let public = self.kind.public();
        if let Some(inner) = quoted(out) {
            inner.readdress(out, End::Destination, public, Some(ANY_PORT));
            return fill_icmp(out);
        }
        let ends = [End::Source, End::Destination].map(|end| OUTER.endpoint(out, end));
        let [Some(source), Some(destination)] = ends else { return };
        let name = (destination.0, OUTER.protocol(out), OUTER.id(out));
        if let Some(flow) = self.begun.get(&name) {
            self.chosen.insert(*flow, source.1);
        }
        OUTER.readdress(out, End::Source, public, Some(ANY_PORT));
    }
}

/// Where a router may do either, whether it translates or not.
///
/// - The datagram of fragments with "don't fragment": RFC 791 does not know such; ringwall keeps the flag of
///   the first one, Linux that of the longest.
/// - What stands behind the end of the options: Linux writes zeros over it.
fn ignore_what_is_not_translation(bytes: &mut [u8], step: &Step) {
    if OUTER.is_fragment(&step.datagram) {
        OUTER.allow_fragments(bytes);
    }
    OUTER.end_options(bytes);
}
