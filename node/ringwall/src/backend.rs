//! What the API asks of a node, apart from how a node does it.

use std::future::Future;

use config::api;

type Answer<T> = Result<T, api::Error>;

/// A node that can be asked and told. Each method is one path of the API.
pub(crate) trait Backend: Send + Sync + 'static {
    /// What the node is and how it does.
    fn status(&self) -> impl Future<Output = Answer<api::Status>> + Send;
    /// A page of sessions.
    fn sessions(
        &self,
        request: api::PageRequest,
    ) -> impl Future<Output = Answer<api::SessionsPage>> + Send;
    /// Ends sessions.
    fn clear(
        &self,
        request: api::ClearRequest,
    ) -> impl Future<Output = Answer<api::Cleared>> + Send;
    /// A page of conversations.
    fn conversations(
        &self,
        request: api::PageRequest,
    ) -> impl Future<Output = Answer<api::ConversationsPage>> + Send;
    /// Attacks, as a table.
    fn anomalies(
        &self,
        request: api::AnomaliesRequest,
    ) -> impl Future<Output = Answer<api::Anomalies>> + Send;
    /// Forgets attacks, or ends blocks.
    fn clear_anomalies(
        &self,
        request: api::AnomaliesClearRequest,
    ) -> impl Future<Output = Answer<api::Done>> + Send;
    /// What screens have done and learned.
    fn screening(&self) -> impl Future<Output = Answer<api::Screening>> + Send;
    /// The top talkers.
    fn top(&self, request: api::TopRequest) -> impl Future<Output = Answer<api::Top>> + Send;
    /// What is in use of translation.
    fn algs(&self) -> impl Future<Output = Answer<api::Algs>> + Send;
    fn nat(&self, request: api::NatRequest) -> impl Future<Output = Answer<api::Nat>> + Send;
    /// All counters.
    fn counters(&self) -> impl Future<Output = Answer<api::Counters>> + Send;
    /// The policy in force, with hits.
    fn policy(&self) -> impl Future<Output = Answer<api::Policy>> + Send;
    /// The ports.
    fn ports(&self) -> impl Future<Output = Answer<api::Ports>> + Send;
    /// Puts a policy in force. The history names the author.
    fn commit(
        &self,
        request: api::CommitRequest,
        author: String,
    ) -> impl Future<Output = Answer<api::Committed>> + Send;
    /// Puts an earlier policy in force again.
    fn rollback(
        &self,
        request: api::RollbackRequest,
        author: String,
    ) -> impl Future<Output = Answer<api::Committed>> + Send;
    /// Keeps the policy that is on trial.
    fn confirm(
        &self,
        request: api::ConfirmRequest,
        author: String,
    ) -> impl Future<Output = Answer<api::Confirmed>> + Send;
    /// The policy that the node runs, and the log from which it has it.
    fn policy_status(&self) -> impl Future<Output = Answer<api::PolicyStatus>> + Send;
    /// Changes who belongs to the cluster.
    fn change_member(
        &self,
        request: api::MemberRequest,
        author: String,
    ) -> impl Future<Output = Answer<api::Done>> + Send;
    /// Lets one node join, by a token.
    fn make_token(
        &self,
        request: api::TokenRequest,
    ) -> impl Future<Output = Answer<api::TokenMade>> + Send;
    /// The revisions that are kept.
    fn history(&self) -> impl Future<Output = Answer<api::History>> + Send;
    /// How two revisions differ.
    fn compare(
        &self,
        request: api::CompareRequest,
    ) -> impl Future<Output = Answer<api::Comparison>> + Send;
    /// What would happen to a packet.
    fn explain(
        &self,
        request: api::ExplainRequest,
    ) -> impl Future<Output = Answer<api::Explanation>> + Send;
    /// The cluster as the node sees it.
    fn cluster(&self) -> impl Future<Output = Answer<api::Cluster>> + Send;
    /// Asks its part in the cluster for something.
    fn ask_cluster(
        &self,
        request: api::ClusterRequest,
    ) -> impl Future<Output = Answer<api::Done>> + Send;
    /// Plants a failure, where the node file allows it.
    fn failpoint(
        &self,
        request: api::FailpointRequest,
    ) -> impl Future<Output = Answer<api::Done>> + Send;
}
