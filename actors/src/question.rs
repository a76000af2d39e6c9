//! A packet that an operator describes, put to an engine: the running node's, or one that a verb
//! makes from the operator's files alone. One code for both, so that they cannot answer differently.

use std::net::IpAddr;

use config::api;
use engine::{Elsewhere, Engine, Explanation, PortId, Stage, WorkerId};
use wire::build::Builder;
use wire::{Protocol, TcpFlags, Time, Version};

/// The packet, as a frame that enters by a port.
#[derive(Clone, Debug)]
pub struct Question {
    port: PortId,
    frame: Vec<u8>,
}

impl Question {
    /// Makes the packet that `request` describes, to enter by the port of that name among `ports`,
    /// which are in `PortId` order.
    ///
    /// # Errors
    /// There is no such port, or no such packet.
    pub fn new(request: &api::ExplainRequest, ports: &[&str]) -> Result<Self, api::Error> {
        let port = ports.iter().position(|name| *name == request.port);
        let port = port.ok_or_else(|| {
            let [name, known] = [&request.port, &ports.join(", ")];
            api::Error::new(format!("there is no port `{name}`; the ports are: {known}"))
        })?;
        if request.lacks_destination_port() {
            let why = format!("`destination_port` is missing: {} needs one", request.protocol);
            return Err(api::Error::new(why));
        }
        let frame = frame(request).map_err(api::Error::new)?;
        Ok(Self { port: PortId(port as u16), frame })
    }

    /// The port that the packet enters by.
    #[must_use]
    pub const fn port(&self) -> PortId {
        self.port
    }

    /// What `engine` would do with the packet now. Nothing changes.
    ///
    /// # Errors
    /// The packet's flow belongs to this other worker.
    pub fn put(&self, engine: &Engine, now: Time) -> Result<api::Explanation, WorkerId> {
        let mut frame = self.frame.clone();
        address_to(&mut frame, engine.ports().get(self.port.index()));
        match engine.owner(&engine.parse(self.port, &frame), &frame, false) {
            Some(Elsewhere::Worker(owner)) => Err(owner),
            Some(Elsewhere::Node(place, term)) => Ok(of_another_node(place, term)),
            None => Ok(in_words(engine, &engine.explain(self.port, &frame, now))),
        }
    }
}

/// A routed port takes what is sent to its own MAC address only.
fn address_to(frame: &mut [u8], port: Option<&engine::Port>) {
    if let (Some(port), Some(destination)) = (port, frame.get_mut(..6)) {
        destination.copy_from_slice(&port.mac);
    }
}

/// Only the node that has the flow's slot knows its session.
fn of_another_node(place: u8, term: u64) -> api::Explanation {
    let finding = format!(
        "its slot is another node's since term {term}, the {}. of the fabric's peers: ask there",
        u16::from(place) + 1
    );
    api::Explanation {
        stages: vec![api::Stage { name: "placement".to_owned(), finding }],
        verdict: "pass-on".to_owned(),
        reason: None,
        rule: None,
        port: None,
        session: None,
    }
}

fn in_words(engine: &Engine, told: &Explanation) -> api::Explanation {
    let stage = |(stage, finding): &(Stage, String)| api::Stage {
        name: stage.to_string(),
        finding: finding.clone(),
    };
    let port = |port: PortId| engine.ports().get(port.index()).map(|port| port.name.clone());
    api::Explanation {
        stages: told.stages.iter().map(stage).collect(),
        verdict: told.verdict.to_owned(),
        reason: told.reason.map(|reason| reason.name().to_owned()),
        rule: told.rule.map(|rule| engine.policy().rule(rule).id.clone()),
        port: told.egress.and_then(port),
        session: None,
    }
}

/// A frame as the request describes it.
fn frame(request: &api::ExplainRequest) -> Result<Vec<u8>, String> {
    let builder = match (request.source, request.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            Builder::v4(source.octets(), destination.octets())
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            Builder::v6(source.segments(), destination.segments())
        }
        (source, destination) => {
            return Err(format!("{source} and {destination} are of different IP versions"));
        }
    };
    let from = request.source_port.unwrap_or(40_000);
    let to = request.destination_port.unwrap_or(0);
    let version = Version::of(request.source);
    let kind = request.icmp_type.unwrap_or(if version == Version::V4 { 8 } else { 128 });
    let builder = match Protocol(request.protocol.0) {
        Protocol::TCP => builder.tcp(from, to).flags(flags(request.tcp_flags.as_deref())?),
        Protocol::UDP => builder.udp(from, to),
        Protocol::SCTP => builder.sctp(from, to, 0),
        Protocol::ICMP | Protocol::ICMPV6 => {
            builder.icmp(kind, request.icmp_code.unwrap_or(0), 0x0001_0001)
        }
        other => builder.raw(other),
    };
    Ok(builder.frame().to_vec())
}

/// Flags by their letters, `S` when none are given.
fn flags(text: Option<&str>) -> Result<TcpFlags, String> {
    let mut flags = TcpFlags(0);
    for letter in text.unwrap_or("S").chars() {
        let Some(bit) = "FSRPAUEC".find(letter.to_ascii_uppercase()) else {
            return Err(format!("`{letter}` is no TCP flag: use letters of FSRPAUEC"));
        };
        flags.0 |= 1 << bit;
    }
    Ok(flags)
}

#[cfg(test)]
mod tests {
    use super::{Question, flags};
    use config::api::{ExplainRequest, Protocol};
    use wire::TcpFlags;

    #[test]
    fn tcp_flags_by_letter() {
        assert_eq!(flags(None), Ok(TcpFlags(2)));
        assert_eq!(flags(Some("SA")), Ok(TcpFlags(0x12)));
        assert!(flags(Some("X")).is_err());
    }

    #[test]
    fn a_port_that_is_not_there_is_named_beside_those_that_are() {
        let request = ExplainRequest {
            port: "dmz".to_owned(),
            source: [10, 0, 0, 1].into(),
            destination: [10, 0, 0, 2].into(),
            protocol: Protocol(6),
            source_port: None,
            destination_port: Some(80),
            tcp_flags: None,
            icmp_type: None,
            icmp_code: None,
        };
        let error = Question::new(&request, &["lan", "wan"]).expect_err("no such port").error;
        assert!(error.contains("`dmz`") && error.contains("lan, wan"), "{error}");
        let lan = ExplainRequest { port: "lan".to_owned(), ..request };
        assert!(Question::new(&lan, &["lan", "wan"]).is_ok());
        for (protocol, needed) in [(6, true), (17, true), (132, true), (1, false), (50, false)] {
            let protocol = Protocol(protocol);
            let asked = ExplainRequest { protocol, destination_port: None, ..lan.clone() };
            let answer = Question::new(&asked, &["lan", "wan"]).map_err(|error| error.error);
            let missing = answer.is_err_and(|why| why.contains("`destination_port` is missing"));
            assert_eq!(missing, needed, "{protocol}");
        }
    }
}
