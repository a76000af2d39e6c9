//! Every path of the API: what is needed to ask it. A path that is not here is not served.

use config::Role;
use config::api;

/// One path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Status,
    Sessions,
    SessionsClear,
    Conversations,
    Counters,
    Policy,
    PolicyStatus,
    Ports,
    Commit,
    Confirm,
    Rollback,
    History,
    Compare,
    Explain,
    Cluster,
    ClusterRequest,
    ClusterMember,
    ClusterToken,
    Anomalies,
    AnomaliesClear,
    Screens,
    Alg,
    Top,
    Nat,
    Failpoint,
    Metrics,
}

/// Where Prometheus looks.
pub(super) const METRICS: &str = "/metrics";

impl Endpoint {
    /// All of them.
    pub(super) const ALL: [Self; 26] = [
        Self::Status,
        Self::Sessions,
        Self::SessionsClear,
        Self::Conversations,
        Self::Counters,
        Self::Policy,
        Self::PolicyStatus,
        Self::Ports,
        Self::Commit,
        Self::Confirm,
        Self::Rollback,
        Self::History,
        Self::Compare,
        Self::Explain,
        Self::Cluster,
        Self::ClusterRequest,
        Self::ClusterMember,
        Self::ClusterToken,
        Self::Anomalies,
        Self::AnomaliesClear,
        Self::Screens,
        Self::Alg,
        Self::Top,
        Self::Nat,
        Self::Failpoint,
        Self::Metrics,
    ];

    /// Its path, and the least role that may ask it.
    pub(super) const fn needs(self) -> (&'static str, Role) {
        match self {
            Self::Status => (api::STATUS, Role::Read),
            Self::Sessions => (api::SESSIONS, Role::Read),
            Self::SessionsClear => (api::SESSIONS_CLEAR, Role::Operate),
            Self::Conversations => (api::CONVERSATIONS, Role::Read),
            Self::Counters => (api::COUNTERS, Role::Read),
            Self::Policy => (api::POLICY, Role::Read),
            Self::PolicyStatus => (api::POLICY_STATUS, Role::Read),
            Self::Ports => (api::PORTS, Role::Read),
            Self::Commit => (api::COMMIT, Role::Administer),
            Self::Confirm => (api::CONFIRM, Role::Administer),
            Self::Rollback => (api::ROLLBACK, Role::Administer),
            Self::History => (api::HISTORY, Role::Read),
            Self::Compare => (api::COMPARE, Role::Read),
            Self::Explain => (api::EXPLAIN, Role::Read),
            Self::Cluster => (api::CLUSTER, Role::Read),
            Self::ClusterRequest => (api::CLUSTER_REQUEST, Role::Operate),
            Self::ClusterMember => (api::CLUSTER_MEMBER, Role::Administer),
            Self::ClusterToken => (api::CLUSTER_TOKEN, Role::Administer),
            Self::Anomalies => (api::ANOMALIES, Role::Read),
            Self::AnomaliesClear => (api::ANOMALIES_CLEAR, Role::Operate),
            Self::Screens => (api::SCREENS, Role::Read),
            Self::Top => (api::TOP, Role::Read),
            Self::Alg => (api::ALG, Role::Read),
            Self::Nat => (api::NAT, Role::Read),
            Self::Failpoint => (api::FAILPOINT, Role::Administer),
            Self::Metrics => (METRICS, Role::Read),
        }
    }
}
