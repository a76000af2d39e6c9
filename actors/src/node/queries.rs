//! Questions to a running node: each worker is asked in turn, between two of its turns.

use std::collections::BTreeMap;

use config::api;
use engine::session::CloseReason;
use engine::table::Cursor;
use engine::{Counters, PortId};
use wire::Time;

use super::alg;
use super::nat::{Ledger, Share, leases};
use super::uses::Uses;
use super::view::{self, View};
use super::{Node, Permission, lock};
use crate::clock;
use crate::cluster::Part;
use crate::flow::{NoAnswer, XskWorker};
use crate::limits::PAGE_MAX;
use crate::question::Question;
use datapath::Failpoint;

impl From<NoAnswer> for api::Error {
    fn from(error: NoAnswer) -> Self {
        Self::new(error.to_string())
    }
}

impl Node {
    /// What the node is and how it does.
    ///
    /// # Errors
    /// A worker does not answer.
    pub async fn status(&self) -> Result<api::Status, api::Error> {
        let now = clock::now();
        let mut workers = Vec::new();
        for shard in &self.shards {
            let gauges = shard.ask(|worker| worker.engine().sessions().gauges()).await.ok();
            workers.push(view::worker(shard, gauges, now));
        }
        let in_force = self.in_force.borrow().clone();
        Ok(api::Status {
            name: self.config.name.clone(),
            id: self.config.id,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_milliseconds: view::milliseconds(now.since(self.started)),
            epoch: in_force.compiled.epoch(),
            digest: view::digest(&in_force),
            sessions: workers.iter().map(|worker| worker.sessions).sum(),
            sessions_max: u64::from(self.config.sessions),
            workers,
            capabilities: Vec::new(),
            syslog: Vec::new(),
        })
    }

    /// The cluster as this node sees it.
    ///
    /// # Errors
    /// The node is alone, or its membership thread does not answer.
    pub async fn cluster(&self) -> Result<api::Cluster, api::Error> {
        self.part()?.view().await
    }

    /// Asks the node's part in its cluster for something; its machine has agreed when this returns.
    ///
    /// # Errors
    /// The machine refuses.
    pub async fn ask_cluster(&self, request: api::ClusterRequest) -> Result<api::Done, api::Error> {
        self.part()?.request(request.verb).await
    }

    fn part(&self) -> Result<&Part, api::Error> {
        match &self.actors.permission {
            Permission::Cluster(part) => Ok(part),
            Permission::Keeper(_) => {
                Err(api::Error::new("this node is alone: its node file has no `[cluster]`"))
            }
        }
    }

    /// A page of sessions. The cursor is `WORKER.PLACE`.
    ///
    /// # Errors
    /// The cursor is none of ours, or a worker does not answer.
    pub async fn sessions(
        &self,
        request: api::PageRequest,
    ) -> Result<api::SessionsPage, api::Error> {
        let limit = request.limit.clamp(1, PAGE_MAX) as usize;
        let (mut index, mut place) = parse_cursor(request.cursor.as_deref())?;
        let mut page =
            api::SessionsPage { total: self.session_count().await?, ..Default::default() };
        while let Some(shard) = self.shards.get(index) {
            if page.sessions.len() >= limit {
                page.cursor = Some(format!("{index}.{}", place.place()));
                break;
            }
            let (filter, view) = (request.filter.clone(), self.view());
            let (found, next) =
                shard.ask(move |worker| page_of(worker, &view, &filter, place)).await?;
            page.sessions.extend(found);
            (index, place) = match next {
                Some(next) => (index, next),
                None => (index + 1, Cursor::default()),
            };
        }
        Ok(page)
    }

    async fn session_count(&self) -> Result<u64, api::Error> {
        let mut count = 0;
        for shard in &self.shards {
            count += shard.ask(|worker| worker.engine().sessions().len() as u64).await?;
        }
        Ok(count)
    }

    /// A page of conversations: sessions with the children that an ALG opened for them.
    ///
    /// # Errors
    /// As [`sessions`](Self::sessions).
    pub async fn conversations(
        &self,
        request: api::PageRequest,
    ) -> Result<api::ConversationsPage, api::Error> {
        let page = self.sessions(request).await?;
        Ok(view::conversations(page))
    }

    /// Ends the sessions that match.
    ///
    /// # Errors
    /// A worker does not answer.
    pub async fn clear(&self, request: api::ClearRequest) -> Result<api::Cleared, api::Error> {
        let mut count = 0;
        for shard in &self.shards {
            let mut place = Some(Cursor::default());
            while let Some(from) = place {
                let (filter, view) = (request.filter.clone(), self.view());
                let (cleared, next) =
                    shard.ask(move |worker| clear_page(worker, &view, &filter, from)).await?;
                count += cleared;
                place = next;
            }
        }
        Ok(api::Cleared { count })
    }

    /// What is known of attacks, on all nodes.
    ///
    /// # Errors
    /// None that is known.
    #[expect(clippy::unused_async, reason = "as the other questions to a node")]
    pub async fn anomalies(
        &self,
        request: api::AnomaliesRequest,
    ) -> Result<api::Anomalies, api::Error> {
        Ok(self.actors.watch.anomalies(&request))
    }

    /// Forgets it, or lets blocked sources through again.
    ///
    /// # Errors
    /// None that is known.
    #[expect(clippy::unused_async, reason = "as the other questions to a node")]
    pub async fn clear_anomalies(
        &self,
        request: api::AnomaliesClearRequest,
    ) -> Result<api::Done, api::Error> {
        self.actors.watch.clear(&request);
        Ok(api::Done {})
    }

    /// What screens have done and learned.
    ///
    /// # Errors
    /// None that is known.
    #[expect(clippy::unused_async, reason = "as the other questions to a node")]
    pub async fn screening(&self) -> Result<api::Screening, api::Error> {
        Ok(self.actors.watch.screening())
    }

    /// The top talkers of all nodes.
    ///
    /// # Errors
    /// None that is known.
    #[expect(clippy::unused_async, reason = "as the other questions to a node")]
    pub async fn top(&self, request: api::TopRequest) -> Result<api::Top, api::Error> {
        Ok(self.actors.watch.top(&request))
    }

    /// Control channels and what they have announced.
    ///
    /// # Errors
    /// A worker does not answer.
    pub async fn algs(&self) -> Result<api::Algs, api::Error> {
        let mut shares = Vec::new();
        for shard in &self.shards {
            shares.push(shard.ask(|worker| alg::Share::of(worker.engine(), clock::now())).await?);
        }
        Ok(alg::sum(shares))
    }

    /// What is in use of translation; who has the most ports, if that was asked for.
    ///
    /// # Errors
    /// A worker does not answer.
    pub async fn nat(&self, request: api::NatRequest) -> Result<api::Nat, api::Error> {
        let ports = self.view().ports;
        let mut ledger = Ledger::of(&self.in_force.borrow().source.clone());
        for shard in &self.shards {
            ledger.add(&shard.ask(|worker| Share::of(worker.engine())).await?, &ports);
        }
        for shard in self.shards.iter().filter(|_| request.users) {
            let mut place = Some(Cursor::default());
            while let Some(from) = place {
                let (found, next) = shard.ask(move |worker| leases(worker.engine(), from)).await?;
                ledger.lend(found);
                place = next;
            }
        }
        Ok(ledger.finish())
    }

    /// All counters by name, of each worker and together, with the XDP program's.
    ///
    /// # Errors
    /// A worker does not answer.
    pub async fn counters(&self) -> Result<api::Counters, api::Error> {
        let mut counters = api::Counters::default();
        for shard in &self.shards {
            let of_worker: Counters =
                shard.ask(|worker| worker.engine().counters().clone()).await?;
            counters.workers.push(view::counters(&of_worker));
        }
        counters.total = view::sum(&counters.workers);
        let stats = lock(&self.program).stats().map_err(|e| api::Error::new(e.to_string()))?;
        counters.total.extend(view::xdp_counters(&stats));
        Ok(counters)
    }

    /// The policy in force, with hits.
    ///
    /// # Errors
    /// A worker does not answer.
    pub async fn policy(&self) -> Result<api::Policy, api::Error> {
        let in_force = self.in_force.borrow().clone();
        let mut uses = Uses::none(&in_force.compiled);
        for shard in &self.shards {
            let policy = std::sync::Arc::clone(&in_force.compiled);
            uses.add(&shard.ask(move |worker| Uses::of(worker.engine(), &policy)).await?);
        }
        Ok(view::policy(&in_force, &uses, clock::now()))
    }

    /// The ports, with how they are opened and what passed.
    ///
    /// # Errors
    /// A worker does not answer.
    pub async fn ports(&self) -> Result<api::Ports, api::Error> {
        let watched = self.watched.borrow().clone();
        let policy = self.in_force.borrow().source.clone();
        let mut ports: Vec<api::Port> = watched
            .iter()
            .enumerate()
            .map(|(index, seen)| view::port(&self.config, index, seen, &policy))
            .collect();
        for shard in &self.shards {
            let count = ports.len();
            let statistics = shard
                .ask(move |worker| {
                    (0..count).map(|index| view::queue(worker, PortId(index as u16))).collect()
                })
                .await?;
            let statistics: Vec<view::Queue> = statistics;
            for (port, queue) in ports.iter_mut().zip(statistics) {
                queue.add_to(port);
            }
        }
        Ok(api::Ports { ports })
    }

    /// What would happen to a packet now, stage by stage, asked of the worker that owns its flow.
    ///
    /// # Errors
    /// There is no such port, the packet cannot be made, or a worker does not answer.
    pub async fn explain(
        &self,
        request: api::ExplainRequest,
    ) -> Result<api::Explanation, api::Error> {
        let ports: Vec<&str> = self.config.ports.iter().map(|port| port.name.as_str()).collect();
        let question = Question::new(&request, &ports)?;
        let mut asked = self.shards.first();
        while let Some(shard) = asked {
            let question = question.clone();
            match shard.ask(move |worker| question.put(worker.engine(), clock::now())).await? {
                Ok(explanation) => return Ok(explanation),
                Err(owner) => asked = self.shards.get(usize::from(owner.0)),
            }
        }
        Err(api::Error::new("no worker owns this flow"))
    }

    /// Plants a panic, on a node whose file has `failpoints = true`. The name is `panic:` and bytes in
    /// hexadecimal: a packet that contains them makes the flow actor panic.
    ///
    /// # Errors
    /// The node does not allow it, or the name is none.
    pub async fn failpoint(&self, request: api::FailpointRequest) -> Result<api::Done, api::Error> {
        if !self.config.failpoints {
            return Err(api::Error::new("this node's file does not say `failpoints = true`"));
        }
        let pattern = request.name.strip_prefix("panic:").and_then(view::unhex);
        let Some(pattern) = pattern else {
            return Err(api::Error::new("the failpoint must be `panic:` and bytes in hexadecimal"));
        };
        for shard in &self.shards {
            if request.worker.is_none_or(|worker| usize::from(worker) == shard.index) {
                let failpoint = Failpoint { pattern: pattern.clone(), times: request.times };
                shard.ask(move |worker| worker.set_failpoint(Some(failpoint.clone()))).await?;
            }
        }
        Ok(api::Done {})
    }

    fn view(&self) -> View {
        let ports = self.config.ports.iter().map(|port| port.name.clone()).collect();
        View { epochs: self.epochs.clone(), ports }
    }
}

fn parse_cursor(cursor: Option<&str>) -> Result<(usize, Cursor), api::Error> {
    let Some(cursor) = cursor else { return Ok((0, Cursor::default())) };
    let parts = cursor.split_once('.');
    let parsed = parts.and_then(|(w, p)| Some((w.parse().ok()?, Cursor::at(p.parse().ok()?))));
    parsed.ok_or_else(|| api::Error::new(format!("`{cursor}` is no cursor of this API")))
}

type Page = (Vec<api::Session>, Option<Cursor>);

fn page_of(worker: &mut XskWorker, view: &View, filter: &api::SessionFilter, from: Cursor) -> Page {
    let (now, engine) = (clock::now(), worker.engine());
    let mut found = Vec::new();
    let next = engine.sessions().page(from, |handle, session| {
        let shown = view.session(engine, (handle, session), now);
        if filter.matches(&shown) {
            found.push(shown);
        }
    });
    (found, next)
}

fn clear_page(
    worker: &mut XskWorker,
    view: &View,
    filter: &api::SessionFilter,
    from: Cursor,
) -> (u64, Option<Cursor>) {
    let (now, engine): (Time, _) = (clock::now(), worker.engine());
    let mut matching = Vec::new();
    let next = engine.sessions().page(from, |handle, session| {
        if filter.matches(&view.session(engine, (handle, session), now)) {
            matching.push(handle);
        }
    });
    let cleared = matching.len() as u64;
    for handle in matching {
        engine.end_session(handle, CloseReason::Cleared, now);
    }
    (cleared, next)
}

/// Counters by name.
pub(super) type Named = BTreeMap<String, u64>;
