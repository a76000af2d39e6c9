//! The policy actor: checks and compiles a revision, puts it on disk, and switches every worker to
//! it at one epoch.
//!
//! ```text
//! commit ─► parse ─► compile ─► disk (fsync) ─► host-inbound of the XDP program ─► every shard ─► done
//!             └────────┴── any problem: nothing has changed, the running policy stays
//! ```

use std::sync::{Arc, Mutex};

use config::api::{self, Committed};
use datapath::xdp::{HostInbound, Program};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::sync::watch;

use crate::clock;
use crate::revisions::{Revision, Revisions};
use crate::shard::Shard;

/// The policy in force, in all its forms.
#[derive(Clone, Debug)]
pub struct InForce {
    /// As the operator wrote it, checked.
    pub source: Arc<config::Policy>,
    /// As the engines use it.
    pub compiled: Arc<engine::policy::Policy>,
    /// The operator's remark.
    pub comment: Option<String>,
}

/// Who asks, as the history names him.
pub type Author = String;

/// What the policy actor is told.
pub enum PolicyMessage {
    /// Put this text in force.
    Commit(api::CommitRequest, Author, RpcReplyPort<Result<Committed, api::Error>>),
    /// Put an earlier revision in force again.
    Rollback(api::RollbackRequest, Author, RpcReplyPort<Result<Committed, api::Error>>),
}

/// The behaviour; its state is [`PolicyState`].
pub struct PolicyActor;

/// What the policy actor works with.
pub struct PolicyState {
    /// The shards to be switched.
    pub shards: Vec<Shard>,
    /// What the node must hear whatever the policy says.
    pub implicit: Vec<Implicit>,
    /// The XDP program, which enforces host-inbound.
    pub program: Arc<Mutex<Program>>,
    /// Names of the ports, in `PortId` order.
    pub ports: Vec<String>,
    /// Where revisions are kept.
    pub revisions: Revisions,
    /// Everybody else reads the policy here.
    pub in_force: watch::Sender<InForce>,
}

/// Parses and compiles a revision's text.
///
/// # Errors
/// What is wrong with it.
pub fn compile(
    file: &str,
    text: &str,
    epoch: u64,
    ports: &[String],
) -> Result<(InForce, Vec<config::Diagnostic>), api::Error> {
    let mut inlined = |name: &str| Err(format!("list `{name}` is not inlined"));
    let checked = config::parse_policy(file, text, &mut inlined)
        .map_err(|diagnostics| invalid(format!("{file} is not valid"), diagnostics))?;
    let in_force = in_force(checked.value, epoch, ports)
        .map_err(|error| api::Error::new(format!("{file}: {error}")))?;
    Ok((in_force, checked.warnings))
}

/// An error with what is wrong in a text.
pub(crate) fn invalid(error: String, diagnostics: Vec<config::Diagnostic>) -> api::Error {
    api::Error { diagnostics, ..api::Error::new(error) }
}

/// What is in force before there is any revision: epoch 0, and nothing passes. No file says this; a
/// policy file without zones is a mistake.
///
/// # Errors
/// None that a policy without rules can have.
pub fn deny_all(ports: &[String]) -> Result<InForce, api::Error> {
    in_force(config::Policy::default(), 0, ports)
        .map_err(|error| api::Error::new(error.to_string()))
}

fn in_force(
    source: config::Policy,
    epoch: u64,
    ports: &[String],
) -> Result<InForce, engine::policy::CompileError> {
    let names: Vec<&str> = ports.iter().map(String::as_str).collect();
    let compiled = Arc::new(engine::policy::Policy::compile(&source, epoch, &names)?);
    Ok(InForce { source: Arc::new(source), compiled, comment: None })
}

/// What a node must hear by itself: heartbeats of its pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Implicit {
    /// The port, by its place.
    pub port: usize,
    /// The UDP port.
    pub udp: u16,
}

/// Of a node file: heartbeats, on each port that has an address of the group.
#[must_use]
pub fn implicit(config: &config::Node) -> Vec<Implicit> {
    let fabric = config.fabric.as_ref().filter(|_| config.cluster.is_some());
    let udp = fabric.map(|fabric| fabric.heartbeat_port);
    let port = |vip: &config::Vip| Some(Implicit { port: vip.port, udp: udp? });
    config.vips.iter().filter_map(port).collect()
}

/// What may reach the host by each port.
///
/// # Errors
/// A service that the XDP program cannot judge.
///
/// The `implicit` services are the node's own: UDP ports on ports (by place) that no policy needs to name.
pub fn host_inbound(
    policy: &config::Policy,
    ports: &[String],
    implicit: &[Implicit],
) -> Result<Vec<HostInbound>, api::Error> {
    let of_port = |(index, port): (usize, &String)| {
        let zone = policy.zone_of_port(port);
        let rules = policy.host_inbound.iter().filter(|rule| Some(rule.zone) == zone);
        let mut inbound = HostInbound::new();
        for own in implicit.iter().filter(|own| own.port == index) {
            inbound.allow_numbers(wire::Protocol::UDP.0, own.udp, own.udp);
        }
        for rule in rules {
            match &rule.services {
                Some(services) => services.iter().try_for_each(|service| inbound.allow(service)),
                None => (0..=u8::MAX).try_for_each(|protocol| {
                    inbound.allow(&config::Service::of_protocol(protocol))
                }),
            }
            .map_err(|error| api::Error::new(format!("host-inbound of port `{port}`: {error}")))?;
        }
        Ok(inbound)
    };
    ports.iter().enumerate().map(of_port).collect()
}

impl PolicyState {
    async fn commit(
        &self,
        request: api::CommitRequest,
        author: Author,
    ) -> Result<Committed, api::Error> {
        let current = self.in_force.borrow().clone();
        let running = current.compiled.epoch();
        if let Some(base) = request.base.filter(|base| *base != running) {
            let text = format!(
                "the policy is at epoch {running}, not {base}: somebody committed; `ringwall compare \
                 {base}` tells what"
            );
            return Err(api::Error::new(text));
        }
        if request.confirm_milliseconds.is_some() {
            return Err(needs_log("a policy on trial"));
        }
        let epoch = running + 1;
        let (mut next, warnings) = compile(&request.file, &request.text, epoch, &self.ports)?;
        next.comment.clone_from(&request.comment);
        let inbound = host_inbound(&next.source, &self.ports, &self.implicit)?;
        let changes = config::diff(&current.source, &next.source);
        if request.check {
            let checked = Committed { epoch: running, changes, warnings, ..Committed::default() };
            return Ok(Committed { checked_only: true, ..checked });
        }
        let revision = Revision {
            epoch,
            comment: request.comment,
            file: request.file,
            text: request.text,
            author: Some(author),
            committed_unix_seconds: clock::unix_seconds(),
            changes: Some(changes.len()),
        };
        self.revisions.write(&revision).map_err(|error| {
            api::Error::new(format!("the revision cannot be kept, so nothing changed: {error}"))
        })?;
        self.switch(&next, &inbound).await?;
        self.in_force.send_replace(next);
        tracing::info!(epoch, changes = changes.len(), "policy committed");
        Ok(Committed { epoch, changes, warnings, ..Committed::default() })
    }

    async fn rollback(
        &self,
        request: api::RollbackRequest,
        author: Author,
    ) -> Result<Committed, api::Error> {
        let failed = |error: std::io::Error| api::Error::new(format!("no such revision: {error}"));
        let running = self.in_force.borrow().compiled.epoch();
        let epoch = match request.epoch {
            Some(epoch) => epoch,
            None => {
                let kept = self.revisions.epochs().map_err(failed)?;
                let earlier = kept.into_iter().rev().find(|epoch| *epoch < running);
                earlier.ok_or_else(|| api::Error::new("there is no earlier revision"))?
            }
        };
        let Revision { file, text, .. } = self.revisions.read(epoch).map_err(failed)?;
        let comment = Some(format!("rollback to epoch {epoch}"));
        let again = api::CommitRequest { file, text, comment, ..api::CommitRequest::default() };
        self.commit(again, author).await
    }

    /// Every worker passes a burst boundary with the new policy before this returns.
    async fn switch(&self, next: &InForce, inbound: &[HostInbound]) -> Result<(), api::Error> {
        set_host_inbound(&self.program, inbound)?;
        for shard in &self.shards {
            let policy = Arc::clone(&next.compiled);
            let switched =
                shard.ask(move |worker| worker.engine().set_policy(Arc::clone(&policy))).await;
            if let Err(error) = switched {
                // A shard that does not answer does not forward either: its lease ends.
                let text = format!("shard {} did not switch: {error}", shard.index);
                return Err(api::Error::new(text));
            }
        }
        Ok(())
    }
}

/// What a node by itself does not do.
pub(crate) fn needs_log(what: &str) -> api::Error {
    api::Error::new(format!(
        "{what} needs the cluster's log, which this version does not drive yet"
    ))
}

/// Tells the XDP program what may reach the host.
///
/// # Errors
/// A map cannot be written.
pub fn set_host_inbound(
    program: &Mutex<Program>,
    inbound: &[HostInbound],
) -> Result<(), api::Error> {
    let mut program = program.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for (index, inbound) in inbound.iter().enumerate() {
        let set = program.set_host_inbound(index as u16, inbound);
        set.map_err(|error| api::Error::new(format!("host-inbound: {error}")))?;
    }
    Ok(())
}

impl Actor for PolicyActor {
    type Msg = PolicyMessage;
    type State = PolicyState;
    type Arguments = PolicyState;

    async fn pre_start(
        &self,
        _: ActorRef<PolicyMessage>,
        state: PolicyState,
    ) -> Result<PolicyState, ActorProcessingErr> {
        Ok(state)
    }

    async fn handle(
        &self,
        _: ActorRef<PolicyMessage>,
        message: PolicyMessage,
        state: &mut PolicyState,
    ) -> Result<(), ActorProcessingErr> {
        let (result, reply) = match message {
            PolicyMessage::Commit(request, author, reply) => {
                (state.commit(request, author).await, reply)
            }
            PolicyMessage::Rollback(request, author, reply) => {
                (state.rollback(request, author).await, reply)
            }
        };
        // The asker may have given up waiting; the commit stands all the same.
        let _ = reply.send(result);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Implicit, compile, deny_all, host_inbound};

    #[test]
    fn a_node_without_a_revision_denies_and_an_empty_file_is_refused() {
        let ports = ["lan".to_owned(), "wan".to_owned()];
        let nothing = deny_all(&ports).expect("no rules, no mistakes");
        assert_eq!((nothing.compiled.epoch(), nothing.compiled.rules().len()), (0, 0));
        let inbound = host_inbound(&nothing.source, &ports, &[]).expect("nothing is allowed");
        assert!(inbound.iter().all(|port| !port.allows(6, 22)));
        let heartbeats = [Implicit { port: 1, udp: 7401 }];
        let inbound = host_inbound(&nothing.source, &ports, &heartbeats).expect("they are its own");
        let heard = |udp| [0, 1].map(|port: usize| inbound[port].allows(17, udp));
        assert_eq!((heard(7401), heard(7400)), ([false, true], [false, false]));
        assert!(compile("empty.toml", "", 1, &ports).is_err());
    }
}
