//! A witness behind the API: what it has not got, it says so.

use actors::{StartError, Witness};
use config::api::{self, Error};

use super::Running;
use super::syslog::Syslog;
use crate::backend::Backend;

/// A witness, and what its process may do.
#[derive(Debug)]
pub(super) struct RunningWitness {
    pub(super) witness: Witness,
    /// Names of the capabilities that were kept.
    pub(super) capabilities: Vec<String>,
    /// Receivers of its events.
    pub(super) syslog: Syslog,
}

fn no<T>(what: &str) -> Result<T, Error> {
    Err(Error::new(format!("this node is a witness: it has no {what}; ask a firewall")))
}

impl Running for RunningWitness {
    async fn shutdown(&self) -> Result<(), StartError> {
        self.witness.shutdown().await;
        Ok(())
    }
}

impl Backend for RunningWitness {
    async fn status(&self) -> Result<api::Status, Error> {
        let (capabilities, syslog) = (self.capabilities.clone(), self.syslog.status());
        Ok(api::Status { capabilities, syslog, ..self.witness.status() })
    }

    async fn sessions(&self, _: api::PageRequest) -> Result<api::SessionsPage, Error> {
        no("sessions")
    }

    async fn clear(&self, _: api::ClearRequest) -> Result<api::Cleared, Error> {
        no("sessions")
    }

    async fn conversations(&self, _: api::PageRequest) -> Result<api::ConversationsPage, Error> {
        no("sessions")
    }

    async fn anomalies(&self, _: api::AnomaliesRequest) -> Result<api::Anomalies, Error> {
        no("traffic")
    }

    async fn clear_anomalies(&self, _: api::AnomaliesClearRequest) -> Result<api::Done, Error> {
        no("traffic")
    }

    /// It has none, which its metrics say.
    async fn screening(&self) -> Result<api::Screening, Error> {
        Ok(api::Screening::default())
    }

    async fn top(&self, _: api::TopRequest) -> Result<api::Top, Error> {
        no("traffic")
    }

    /// It translates nothing, which its metrics say.
    async fn algs(&self) -> Result<api::Algs, Error> {
        Ok(api::Algs::default())
    }

    async fn nat(&self, _: api::NatRequest) -> Result<api::Nat, Error> {
        Ok(api::Nat::default())
    }

    async fn counters(&self) -> Result<api::Counters, Error> {
        Ok(api::Counters::default())
    }

    /// Its epoch, and nothing that packets could hit.
    async fn policy(&self) -> Result<api::Policy, Error> {
        let api::Status { epoch, digest, .. } = self.witness.status();
        let (zones, rules) = (Vec::new(), Vec::new());
        Ok(api::Policy { epoch, digest, comment: None, zones, rules, no_rule_hits: 0 })
    }

    async fn ports(&self) -> Result<api::Ports, Error> {
        Ok(api::Ports::default())
    }

    async fn commit(
        &self,
        request: api::CommitRequest,
        author: String,
    ) -> Result<api::Committed, Error> {
        self.witness.commit(request, author).await
    }

    async fn rollback(
        &self,
        request: api::RollbackRequest,
        author: String,
    ) -> Result<api::Committed, Error> {
        self.witness.rollback(request, author).await
    }

    async fn confirm(
        &self,
        request: api::ConfirmRequest,
        author: String,
    ) -> Result<api::Confirmed, Error> {
        self.witness.confirm(request, author).await
    }

    async fn policy_status(&self) -> Result<api::PolicyStatus, Error> {
        Ok(self.witness.policy_status())
    }

    async fn change_member(
        &self,
        request: api::MemberRequest,
        author: String,
    ) -> Result<api::Done, Error> {
        self.witness.change_member(request, author).await
    }

    async fn make_token(&self, request: api::TokenRequest) -> Result<api::TokenMade, Error> {
        self.witness.make_token(request).await
    }

    async fn history(&self) -> Result<api::History, Error> {
        self.witness.history().await
    }

    async fn compare(&self, request: api::CompareRequest) -> Result<api::Comparison, Error> {
        self.witness.compare(request).await
    }

    async fn explain(&self, _: api::ExplainRequest) -> Result<api::Explanation, Error> {
        no("ports")
    }

    async fn cluster(&self) -> Result<api::Cluster, Error> {
        self.witness.cluster().await
    }

    async fn ask_cluster(&self, _: api::ClusterRequest) -> Result<api::Done, Error> {
        no("addresses to hand over or to take")
    }

    async fn failpoint(&self, _: api::FailpointRequest) -> Result<api::Done, Error> {
        no("workers")
    }
}
