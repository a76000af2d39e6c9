//! The network: a client and a server, two nodes or three, and one switch with three segments.
//!
//! ```text
//!             ┌── lan0 fw1 wan0 ──┐
//!  client ── lan       ║ fabric0  wan ── server        the client's gateway is the vip 10.1.0.1,
//!             ├── lan0 fw2 wan0 ──┤                     the server's the vip 10.2.0.1
//!             └── lan0 fw3 wan0 ──┘                     where a scenario wants a third one
//! ```
//!
//! `lan`, `wan` and `fabric` are bridges in a namespace of their own, the switch; the cable of node N to
//! the segment S ends in its port `S-N`. What is done to the network is done there, as in life.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

use netns::{End, Namespace, VethOptions, veth, wait_ready};

use super::failure::Failure;
use super::limits::FABRIC_MTU;
use super::process::run;
use super::traffic::Ends;

/// The addresses that move.
pub(crate) const VIPS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 1, 0, 1), Ipv4Addr::new(10, 2, 0, 1)];
pub(crate) const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 2);
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 2, 0, 2);
/// Another address of the server: a policy may translate who goes there, and nobody else.
pub(crate) const SERVER_OTHER: Ipv4Addr = Ipv4Addr::new(10, 2, 0, 3);

/// A node: one of a pair, or the third one beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Fw1,
    Fw2,
    Fw3,
}

impl Node {
    /// A pair.
    pub(crate) const BOTH: [Self; 2] = [Self::Fw1, Self::Fw2];
    /// A pair and a third one.
    pub(crate) const ALL: [Self; 3] = [Self::Fw1, Self::Fw2, Self::Fw3];

    /// The other one of a pair. Whoever asks has a site of two nodes: a third one has two others.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Fw1 => Self::Fw2,
            Self::Fw2 => Self::Fw1,
            Self::Fw3 => unreachable!("who asks has a pair"),
        }
    }

    /// Its number, from 1.
    pub(crate) const fn number(self) -> usize {
        self.index() + 1
    }

    /// Its place in [`Self::ALL`].
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Fw1 => 0,
            Self::Fw2 => 1,
            Self::Fw3 => 2,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Fw1 => "fw1",
            Self::Fw2 => "fw2",
            Self::Fw3 => "fw3",
        }
    }
}

/// A segment that all nodes are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Lan,
    Wan,
    Fabric,
}

impl Segment {
    pub(crate) const ALL: [Self; 3] = [Self::Lan, Self::Wan, Self::Fabric];
    /// Those with traffic.
    pub(crate) const DATA: [Self; 2] = [Self::Lan, Self::Wan];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Lan => "lan",
            Self::Wan => "wan",
            Self::Fabric => "fabric",
        }
    }

    /// The address of a node's own in it.
    pub(crate) fn address(self, node: Node) -> Ipv4Addr {
        let number = node.number() as u8;
        match self {
            Self::Lan => Ipv4Addr::new(10, 1, 0, 10 + number),
            Self::Wan => Ipv4Addr::new(10, 2, 0, 10 + number),
            Self::Fabric => Ipv4Addr::new(10, 9, 0, number),
        }
    }

    /// The switch's port of the node's cable.
    pub(crate) fn port(self, node: Node) -> String {
        format!("{}-{}", self.name(), node.number())
    }
}

/// All namespaces; gone with this value, whatever happens.
#[derive(Debug)]
pub(crate) struct Lab {
    pub(crate) client: Namespace,
    pub(crate) server: Namespace,
    pub(crate) switch: Namespace,
    nodes: &'static [Node],
    /// One for each of them.
    insides: Vec<Namespace>,
}

impl Lab {
    /// With these nodes, the first ones of [`Node::ALL`].
    pub(crate) fn new(nodes: &'static [Node]) -> Result<Self, Failure> {
        let inside = |node: &Node| Namespace::new(&format!("rwf-{}", node.name()));
        let lab = Self {
            client: Namespace::new("rwf-client")?,
            server: Namespace::new("rwf-server")?,
            switch: Namespace::new("rwf-switch")?,
            nodes,
            insides: nodes.iter().map(inside).collect::<Result<_, _>>()?,
        };
        Segment::ALL.iter().try_for_each(|it| lab.switch.add_bridge(it.name()))?;
        lab.plug(&lab.client, "c0", Segment::Lan, "lan-c", CLIENT)?;
        lab.plug(&lab.server, "s0", Segment::Wan, "wan-s", SERVER)?;
        lab.server.add_address("s0", &format!("{SERVER_OTHER}/24"))?;
        for &node in nodes {
            for segment in Segment::ALL {
                let (port, link) = (segment.port(node), format!("{}0", segment.name()));
                lab.plug(lab.node(node), &link, segment, &port, segment.address(node))?;
            }
        }
        lab.client.add_route("0.0.0.0/0", &VIPS[0].to_string())?;
        lab.server.add_route("0.0.0.0/0", &VIPS[1].to_string())?;
        lab.switch_only()?;
        Ok(lab)
    }

    /// The nodes that there are.
    pub(crate) const fn nodes(&self) -> &'static [Node] {
        self.nodes
    }

    pub(crate) fn node(&self, node: Node) -> &Namespace {
        &self.insides[node.index()]
    }

    pub(crate) fn ends(&self) -> Ends<'_> {
        Ends {
            client: &self.client,
            server: &self.server,
            client_address: IpAddr::V4(CLIENT),
            server_address: IpAddr::V4(SERVER),
        }
    }

    fn plug(
        &self,
        inside: &Namespace,
        link: &str,
        segment: Segment,
        port: &str,
        address: Ipv4Addr,
    ) -> Result<(), Failure> {
        let mtu = if segment == Segment::Fabric { FABRIC_MTU } else { 1_500 };
        let options = VethOptions { mtu, queues: 1, offloads: false };
        veth(End::new(&self.switch, port), End::new(inside, link), &options)?;
        self.switch.plug(port, segment.name())?;
        inside.add_address(link, &format!("{address}/24"))?;
        Ok(wait_ready(&[(&self.switch, port), (inside, link)])?)
    }

    /// Frames that cross the bridges are no business of the kernel's packet filter.
    fn switch_only(&self) -> Result<(), Failure> {
        for family in ["iptables", "ip6tables", "arptables"] {
            let key = format!("net/bridge/bridge-nf-call-{family}");
            if self.switch.sysctl(&key).is_ok() {
                self.switch.set_sysctl(&key, "0")?;
            }
        }
        Ok(())
    }

    /// All links of a node silent, or not. It keeps its carrier: nobody is told.
    pub(crate) fn silence(&self, node: Node, silent: bool) -> Result<(), Failure> {
        let mut ports = Segment::ALL.iter().map(|it| it.port(node));
        Ok(ports.try_for_each(|port| self.switch.enable_port(&port, !silent))?)
    }

    /// The nodes do not hear each other in a segment, but everybody else there. No carrier is lost.
    pub(crate) fn cut(&self, segment: Segment, cut: bool) -> Result<(), Failure> {
        let mut ports = self.nodes.iter().map(|node| segment.port(*node));
        Ok(ports.try_for_each(|port| self.switch.isolate_port(&port, cut))?)
    }

    /// A cable pulled out, or put in again.
    pub(crate) fn pull(&self, segment: Segment, node: Node, out: bool) -> Result<(), Failure> {
        let port = segment.port(node);
        Ok(if out { self.switch.down(&port) } else { self.switch.up(&port) }?)
    }

    /// Nothing that `from` sends reaches another node, on any segment; the other way works.
    pub(crate) fn deafen(&self, from: Node) -> Result<(), Failure> {
        let mut rules = String::from(
            "table bridge field {\n chain forward {\n  type filter hook forward priority 0;\n",
        );
        for segment in Segment::ALL {
            for &to in self.nodes.iter().filter(|node| **node != from) {
                let (one, other) = (segment.port(from), segment.port(to));
                rules += &format!("  iifname \"{one}\" oifname \"{other}\" drop\n");
            }
        }
        self.nft(&(rules + " }\n}\n"))
    }

    /// Takes all that back.
    pub(crate) fn mend(&self) -> Result<(), Failure> {
        self.nft("table bridge field\ndelete table bridge field\n")?;
        for segment in Segment::ALL {
            for &node in self.nodes {
                self.pull(segment, node, false)?;
                wait_ready(&[(&self.switch, &segment.port(node))])?;
            }
            self.cut(segment, false)?;
        }
        self.nodes.iter().try_for_each(|node| self.silence(*node, false))
    }

    /// Frames that a node has emitted into a segment.
    pub(crate) fn emitted(&self, segment: Segment, node: Node) -> Result<u64, Failure> {
        let port = segment.port(node);
        let read = || std::fs::read_to_string("/proc/thread-self/net/dev");
        let text = self.switch.run(read).map_err(Failure::system("read the switch's counters"))?;
        let mut lines = text.lines().filter_map(|line| line.trim_start().split_once(':'));
        // bytes packets errs drop …
        let found = lines
            .find(|(name, _)| *name == port)
            .and_then(|(_, counts)| counts.split_whitespace().nth(1)?.parse().ok());
        found
            .ok_or_else(|| Failure::Strange { what: format!("the counters of {port}"), said: text })
    }

    fn nft(&self, rules: &str) -> Result<(), Failure> {
        run(&self.switch, Command::new("nft").arg(rules)).map(drop)
    }
}
