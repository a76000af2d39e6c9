//! The real node behind the API.

use actors::StartError;
use config::api::{self, Error};

use super::Running;
use super::syslog::Syslog;
use crate::backend::Backend;

/// A node, and what its process may do.
#[derive(Debug)]
pub(super) struct RunningNode {
    pub(super) node: actors::Node,
    /// Names of the capabilities that were kept.
    pub(super) capabilities: Vec<String>,
    /// Receivers of its events.
    pub(super) syslog: Syslog,
}

impl Running for RunningNode {
    async fn shutdown(&self) -> Result<(), StartError> {
        self.node.shutdown().await
    }
}

impl Backend for RunningNode {
    async fn status(&self) -> Result<api::Status, Error> {
        let (capabilities, syslog) = (self.capabilities.clone(), self.syslog.status());
        self.node.status().await.map(|status| api::Status { capabilities, syslog, ..status })
    }

    async fn sessions(&self, request: api::PageRequest) -> Result<api::SessionsPage, Error> {
        self.node.sessions(request).await
    }

    async fn clear(&self, request: api::ClearRequest) -> Result<api::Cleared, Error> {
        self.node.clear(request).await
    }

    async fn conversations(
        &self,
        request: api::PageRequest,
    ) -> Result<api::ConversationsPage, Error> {
        self.node.conversations(request).await
    }

    async fn anomalies(&self, request: api::AnomaliesRequest) -> Result<api::Anomalies, Error> {
        self.node.anomalies(request).await
    }

    async fn clear_anomalies(
        &self,
        request: api::AnomaliesClearRequest,
    ) -> Result<api::Done, Error> {
        self.node.clear_anomalies(request).await
    }

    async fn screening(&self) -> Result<api::Screening, Error> {
        self.node.screening().await
    }

    async fn top(&self, request: api::TopRequest) -> Result<api::Top, Error> {
        self.node.top(request).await
    }

    async fn algs(&self) -> Result<api::Algs, Error> {
        self.node.algs().await
    }

    async fn nat(&self, request: api::NatRequest) -> Result<api::Nat, Error> {
        self.node.nat(request).await
    }

    async fn counters(&self) -> Result<api::Counters, Error> {
        self.node.counters().await
    }

    async fn policy(&self) -> Result<api::Policy, Error> {
        self.node.policy().await
    }

    async fn ports(&self) -> Result<api::Ports, Error> {
        self.node.ports().await
    }

    async fn commit(
        &self,
        request: api::CommitRequest,
        author: String,
    ) -> Result<api::Committed, Error> {
        self.node.commit(request, author).await
    }

    async fn rollback(
        &self,
        request: api::RollbackRequest,
        author: String,
    ) -> Result<api::Committed, Error> {
        self.node.rollback(request, author).await
    }

    async fn confirm(
        &self,
        request: api::ConfirmRequest,
        author: String,
    ) -> Result<api::Confirmed, Error> {
        self.node.confirm(request, author).await
    }

    async fn policy_status(&self) -> Result<api::PolicyStatus, Error> {
        self.node.policy_status().await
    }

    async fn change_member(
        &self,
        request: api::MemberRequest,
        author: String,
    ) -> Result<api::Done, Error> {
        self.node.change_member(request, author).await
    }

    async fn make_token(&self, request: api::TokenRequest) -> Result<api::TokenMade, Error> {
        self.node.make_token(request).await
    }

    async fn history(&self) -> Result<api::History, Error> {
        self.node.history().await
    }

    async fn compare(&self, request: api::CompareRequest) -> Result<api::Comparison, Error> {
        self.node.compare(request).await
    }

    async fn explain(&self, request: api::ExplainRequest) -> Result<api::Explanation, Error> {
        self.node.explain(request).await
    }

    async fn cluster(&self) -> Result<api::Cluster, Error> {
        self.node.cluster().await
    }

    async fn ask_cluster(&self, request: api::ClusterRequest) -> Result<api::Done, Error> {
        self.node.ask_cluster(request).await
    }

    async fn failpoint(&self, request: api::FailpointRequest) -> Result<api::Done, Error> {
        self.node.failpoint(request).await
    }
}
