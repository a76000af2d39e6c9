//! The same answer without a daemon: a policy, the ports that a node file or the policy's own zones
//! name, and an engine with nothing around it. There is no routing table, so the operator says by
//! which port the packet would leave, where that is not the only one possible.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use actors::{Question, engine_port};
use clap::Args;
use config::api::{self, ExplainRequest, Explanation};
use config::{Node, Policy, misfits};
use engine::fib::{FibChange, NeighbourState, NextHops, Route, RouteKind};
use engine::{Checksum, Engine, Mode, Port, PortId};
use ipnet::IpNet;
use wire::Time;

use crate::failure::Failure;
use crate::limits::EXPLAIN_SESSIONS;
use crate::unplugged::{self, MAC};
use crate::{files, render};

/// The files to ask instead of a daemon.
#[derive(Args, Debug)]
pub(super) struct Files {
    /// Ask this policy file and no daemon: there is no session yet, no route and no address of the
    /// host's own
    #[arg(long, value_name = "FILE", conflicts_with = "socket")]
    policy: Option<PathBuf>,
    /// Node file with the ports, for --policy; without it the ports are those of the policy's zones
    #[arg(long, value_name = "FILE", requires = "policy")]
    node: Option<PathBuf>,
    /// Port that the packet would leave by, for --policy; needless where there is only one
    #[arg(long, value_name = "PORT", requires = "policy")]
    to: Option<String>,
}

impl Files {
    /// The answer of the files; `None` where none are named.
    pub(super) fn ask(&self, request: &ExplainRequest) -> Result<Option<Explanation>, Failure> {
        let Some(policy) = &self.policy else { return Ok(None) };
        let (policy, ports) = read(policy, self.node.as_deref())?;
        let names: Vec<&str> = ports.iter().map(|port| port.name.as_str()).collect();
        let question = Question::new(request, &names).map_err(Failure::Refused)?;
        let compiled = engine::policy::Policy::compile(&policy, 1, &names);
        let compiled = compiled.map_err(Failure::Policy)?;
        let egress = egress(&ports, question.port(), self.to.as_deref())?;
        let mut engine = Engine::new(unplugged::settings(ports, EXPLAIN_SESSIONS), NOW);
        engine.set_policy(compiled.into());
        engine.apply(&way(&engine, egress, request.destination));
        match question.put(&engine, NOW) {
            Ok(explanation) => Ok(Some(explanation)),
            Err(_) => Err(Failure::Refused(api::Error::new("no worker owns this flow"))),
        }
    }
}

/// When the packet comes: not the origin, so that it has a past.
const NOW: Time = Time::from_secs(1);

/// The policy, and the ports that it is asked about. What looks unintended is said on stderr.
fn read(policy: &Path, node: Option<&Path>) -> Result<(Policy, Vec<Port>), Failure> {
    let policy = files::read_policy(policy)?;
    let mut warnings = policy.warnings;
    let ports = match node {
        Some(path) => {
            let node = files::read_node(path)?;
            warnings.extend(node.warnings);
            misfits(&policy.value, &node.value)
                .iter()
                .for_each(|misfit| eprintln!("warning: {misfit}"));
            ports_of(&node.value)
        }
        None => named_by(&policy.value),
    };
    eprint!("{}", render::diagnostics(&warnings));
    Ok((policy.value, ports))
}

fn ports_of(node: &Node) -> Vec<Port> {
    (0..node.ports.len()).map(|index| engine_port(node, index)).collect()
}

/// The ports of all zones.
fn named_by(policy: &Policy) -> Vec<Port> {
    let names = policy.zones.iter().flat_map(|zone| &zone.ports);
    names.map(|name| unplugged::port(name, Checksum::Verify)).collect()
}

/// The port that a packet leaves by: the one named; of a wire its other end; the only one that there
/// is in the domain.
fn egress(ports: &[Port], ingress: PortId, named: Option<&str>) -> Result<PortId, Failure> {
    let named = named.map(|name| find(ports, name)).transpose()?;
    let from = &ports[ingress.index()];
    match (from.mode, named) {
        (Mode::Wire(peer), Some(named)) if peer != named => Err(Failure::Usage(format!(
            "port `{}` is one end of a wire: its packets leave by `{}`",
            from.name,
            ports[peer.index()].name
        ))),
        (Mode::Wire(peer), _) => Ok(peer),
        (Mode::Routed, Some(named)) => Ok(named),
        (Mode::Routed, None) => only_other(ports, ingress),
    }
}

fn find(ports: &[Port], name: &str) -> Result<PortId, Failure> {
    let index = ports.iter().position(|port| port.name == name);
    let index = index.ok_or_else(|| {
        Failure::Refused(api::Error::new(format!("there is no port `{name}` to leave by")))
    })?;
    Ok(PortId(index as u16))
}

/// The port that is left when there is no choice; where there is no other at all, the same one.
fn only_other(ports: &[Port], ingress: PortId) -> Result<PortId, Failure> {
    let ids = (0..ports.len()).map(|index| PortId(index as u16));
    let domain = ports[ingress.index()].domain;
    let mut others = ids.filter(|id| *id != ingress && ports[id.index()].domain == domain);
    match (others.next(), others.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Ok(ingress),
        (Some(_), Some(_)) => Err(Failure::Usage(format!(
            "without a daemon there are no routes: say by which port the packet would leave, with \
             --to (one of {})",
            ports.iter().map(|port| port.name.as_str()).collect::<Vec<_>>().join(", ")
        ))),
    }
}

/// A way by `egress` to everywhere in its domain, and a neighbour there to take the packet.
fn way(engine: &Engine, egress: PortId, destination: IpAddr) -> [FibChange; 2] {
    let domain = engine.fib().domain_of(egress).unwrap_or_default();
    let kind = RouteKind::Unicast(NextHops::one(egress, None));
    [
        FibChange::RouteSet {
            domain,
            prefix: everywhere(destination),
            route: Route { metric: 0, kind },
        },
        FibChange::NeighbourSet {
            port: egress,
            address: destination,
            mac: MAC,
            state: NeighbourState::Permanent,
        },
    ]
}

fn everywhere(like: IpAddr) -> IpNet {
    match like {
        IpAddr::V4(_) => IpNet::V4(ipnet::Ipv4Net::default()),
        IpAddr::V6(_) => IpNet::V6(ipnet::Ipv6Net::default()),
    }
}
