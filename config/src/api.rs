//! The operator's HTTP/JSON API: paths, requests and responses, shared by daemon and client.
//!
//! A body is one JSON object ([`Object`]). What is answered with a status other than 200 is an [`Error`].
//! Requests refuse unknown fields (a filter that is not understood must not clear everything);
//! responses may grow. Durations are milliseconds, sizes bytes, and say so in their names.

mod agreement;
mod alg;
mod cluster;
mod commit;
mod control;
mod history;
mod nat;
mod object;
mod screen;
mod session;
mod view;

pub use agreement::{
    MemberKind, MemberRequest, MemberVerb, Pending, PolicyMember, PolicyStatus, Raft, TokenMade,
    TokenRequest, Trial,
};
pub use alg::{AlgChannels, AlgCounters, Algs, PINHOLES, Pinhole};
pub use cluster::{
    Bulk, Cluster, ClusterMember, ClusterPath, ClusterRequest, ClusterStream, ClusterVerb, Failover,
};
pub use commit::{
    CommitRequest, Committed, ConfirmRequest, Confirmed, Excused, Refused, RequestId, Reverts,
    RollbackRequest, Unasked,
};
pub use control::{
    ClearRequest, Cleared, Done, ExplainRequest, Explanation, FailpointRequest, Stage,
};
pub use history::{CompareRequest, Comparison, Event, EventKind, History, Revision, RevisionKind};
pub use nat::{
    NAT_PORTS_OF_ADDRESS, NAT_USERS, Nat, NatAddress, NatPool, NatPoolKind, NatPorts, NatRequest,
    NatRule, NatUser,
};
pub use object::Object;
pub use screen::{
    Anomalies, AnomaliesClearRequest, AnomaliesRequest, AnomalyOrder, AnomalyRow, Attack, Block,
    SCREEN_ROWS, ScreenBaseline, ScreenKind, ScreenSide, Screening, Top, TopFlow, TopOrder,
    TopRequest, TopRow, TopSide,
};
pub use session::{
    Conversation, ConversationsPage, PageRequest, Prefix, Protocol, Session, SessionFilter,
    SessionsPage, Traffic, Translated,
};
pub use view::{
    BindMode, Counters, Policy, Port, PortState, Ports, Rule, Status, SyslogReceiver, Worker,
    WorkerState, XdpMode, Zone,
};

use serde::{Deserialize, Serialize};

use crate::{Change, Diagnostic};

/// GET, answers [`Status`].
pub const STATUS: &str = "/v1/status";
/// POST [`PageRequest`], answers [`SessionsPage`].
pub const SESSIONS: &str = "/v1/sessions";
/// POST [`ClearRequest`], answers [`Cleared`].
pub const SESSIONS_CLEAR: &str = "/v1/sessions/clear";
/// POST [`PageRequest`], answers [`ConversationsPage`].
pub const CONVERSATIONS: &str = "/v1/conversations";
/// GET, answers [`Counters`].
pub const COUNTERS: &str = "/v1/counters";
/// GET, answers [`Policy`].
pub const POLICY: &str = "/v1/policy";
/// GET, answers [`PolicyStatus`].
pub const POLICY_STATUS: &str = "/v1/policy/status";
/// GET, answers [`Ports`].
pub const PORTS: &str = "/v1/ports";
/// POST [`CommitRequest`], answers [`Committed`].
pub const COMMIT: &str = "/v1/commit";
/// POST [`ConfirmRequest`], answers [`Confirmed`].
pub const CONFIRM: &str = "/v1/confirm";
/// POST [`RollbackRequest`], answers [`Committed`].
pub const ROLLBACK: &str = "/v1/rollback";
/// GET, answers [`History`].
pub const HISTORY: &str = "/v1/history";
/// POST [`CompareRequest`], answers [`Comparison`].
pub const COMPARE: &str = "/v1/compare";
/// POST [`ExplainRequest`], answers [`Explanation`].
pub const EXPLAIN: &str = "/v1/explain";
/// GET, answers [`Cluster`]; only on a node whose file has `[cluster]`.
pub const CLUSTER: &str = "/v1/cluster";
/// POST [`ClusterRequest`], answers [`Done`] when the machine has agreed; it then takes its time.
pub const CLUSTER_REQUEST: &str = "/v1/cluster/request";
/// POST [`MemberRequest`], answers [`Done`] when the cluster has agreed.
pub const CLUSTER_MEMBER: &str = "/v1/cluster/member";
/// POST [`TokenRequest`], answers [`TokenMade`]; only on a node that has the cluster's authority.
pub const CLUSTER_TOKEN: &str = "/v1/cluster/token";
/// POST [`AnomaliesRequest`], answers [`Anomalies`].
pub const ANOMALIES: &str = "/v1/anomalies";
/// POST [`AnomaliesClearRequest`], answers [`Done`].
pub const ANOMALIES_CLEAR: &str = "/v1/anomalies/clear";
/// GET, answers [`Screening`].
pub const SCREENS: &str = "/v1/screens";
/// POST [`TopRequest`], answers [`Top`].
pub const TOP: &str = "/v1/top";
/// GET, answers [`Algs`].
pub const ALG: &str = "/v1/alg";
/// POST [`NatRequest`], answers [`Nat`].
pub const NAT: &str = "/v1/nat";
/// POST [`FailpointRequest`], answers [`Done`]; only where the node file allows it.
pub const FAILPOINT: &str = "/v1/failpoint";

/// Why a request was refused, or what came of it is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// What went wrong, for people.
    pub error: String,
    /// Problems of the policy text, if that was it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<Diagnostic>,
    /// What others changed since the base of a commit, if that was it: the first
    /// [`CHANGES_TOLD`](crate::limits::CHANGES_TOLD).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// The revisions that brought those changes, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revisions: Vec<Revision>,
    /// Nobody can tell what came of the request: to ask again under its id is harmless, and tells.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub unknown: bool,
    /// This attempt did nothing, since nobody could decide on it. What an earlier one under its id did, it
    /// does not tell.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub undecided: bool,
}

impl Error {
    /// An error that says no more than this.
    pub fn new(error: impl Into<String>) -> Self {
        Self { error: error.into(), ..Self::default() }
    }

    /// Nobody could decide on the request.
    pub fn undecided(error: impl Into<String>) -> Self {
        Self { undecided: true, ..Self::new(error) }
    }

    /// What came of the request is not known.
    pub fn unknown(error: impl Into<String>) -> Self {
        Self { unknown: true, ..Self::new(error) }
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.error)?;
        self.diagnostics.iter().try_for_each(|diagnostic| write!(f, "\n{diagnostic}"))
    }
}

impl core::error::Error for Error {}

#[cfg(test)]
mod tests;
