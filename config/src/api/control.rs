//! Requests that change something, and `explain`.

use core::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{Protocol, SessionFilter, object};

/// Ends the sessions that pass a filter. An empty filter means all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClearRequest {
    /// Which ones.
    #[serde(deserialize_with = "object::only")]
    pub filter: SessionFilter,
}

/// How many sessions were ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cleared {
    /// Sessions.
    pub count: u64,
}

/// A packet as an operator describes it: what would happen to it?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExplainRequest {
    /// Name of the port it enters by.
    pub port: String,
    /// Source address.
    pub source: IpAddr,
    /// Destination address, of the same family.
    pub destination: IpAddr,
    /// IP protocol.
    pub protocol: Protocol,
    /// Source port of TCP, UDP or SCTP.
    #[serde(default)]
    pub source_port: Option<u16>,
    /// Destination port; TCP, UDP and SCTP need it.
    #[serde(default)]
    pub destination_port: Option<u16>,
    /// TCP flags by their letters: `S`, `SA`, `A`, `F`, `R`, `P`. Missing means `S`.
    #[serde(default)]
    pub tcp_flags: Option<String>,
    /// ICMP type; missing means echo request.
    #[serde(default)]
    pub icmp_type: Option<u8>,
    /// ICMP code; missing means 0.
    #[serde(default)]
    pub icmp_code: Option<u8>,
}

impl ExplainRequest {
    /// Whether the packet would have a destination port, and none is given: port 0 is none to ask about.
    pub fn lacks_destination_port(&self) -> bool {
        matches!(self.protocol, Protocol(6 | 17 | 132)) && self.destination_port.is_none()
    }
}

/// What would happen, stage by stage. Nothing was changed or sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// Stages in the order of the pipeline, up to the one that decided.
    pub stages: Vec<Stage>,
    /// `forward`, `answer`, `consume`, `hold`, `drop`; `pass-on`: to the node that has its flow.
    pub verdict: String,
    /// Reason of a drop.
    pub reason: Option<String>,
    /// Rule that matched.
    pub rule: Option<String>,
    /// Port it would leave by.
    pub port: Option<String>,
    /// Session it belongs to already.
    pub session: Option<String>,
}

/// One stage of the pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// Name of the stage.
    pub name: String,
    /// What it found.
    pub finding: String,
}

/// Plants a failure. For tests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailpointRequest {
    /// Which failure.
    pub name: String,
    /// In which worker; `None` means all.
    #[serde(default)]
    pub worker: Option<u16>,
    /// How often; 0 takes it out again.
    #[serde(default = "once")]
    pub times: u32,
}

fn once() -> u32 {
    1
}

/// It is done, and there is nothing more to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {}
