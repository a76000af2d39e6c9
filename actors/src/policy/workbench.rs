//! Where policies are compiled, and from where workers and the XDP program get them.

use std::sync::{Arc, Mutex, PoisonError};

use cluster_core::policy::{Line, PolicyText, Version};
use datapath::xdp::HostInbound;

use super::InForce;
use super::compile::{self, Implicit};
use super::disk::Disk;
use super::limits::{COMPILED_KEPT, SWITCH_AGAIN};
use super::room::{ALONE, BESIDE};
use crate::epochs::Epochs;
use crate::gate::Gate;
use crate::shard::Shard;

/// A policy that can be run.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    pub(super) in_force: InForce,
    pub(super) inbound: Arc<Vec<HostInbound>>,
}

/// What a policy is compiled for, and by whom it is run.
pub(super) struct Workbench {
    pub(super) ports: Vec<String>,
    pub(super) implicit: Vec<Implicit>,
    pub(super) shards: Vec<Shard>,
    /// None on a witness, which has neither ports nor workers.
    pub(super) program: Option<Arc<Mutex<Gate>>>,
    pub(super) ready: Vec<Ready>,
    /// Where what is run is entered, for those who tell of sessions.
    pub(super) epochs: Epochs,
}

/// What a compilation needs, on a thread of its own.
pub(super) struct Order {
    pub(super) version: Version,
    pub(super) file: String,
    pub(super) text: PolicyText,
    /// What it says, if that is known here already.
    pub(super) parsed: Option<Arc<config::Policy>>,
    pub(super) comment: Option<String>,
    /// Whether each port that it names must be here.
    pub(super) strict: bool,
    /// Where its text must find room.
    pub(super) disk: Option<Disk>,
    pub(super) ports: Vec<String>,
    pub(super) implicit: Vec<Implicit>,
}

impl Order {
    /// Compiles it. Takes as long as it takes.
    pub(super) fn compile(self) -> Result<Ready, Line> {
        let why = |error: config::api::Error| Line::cut(&error.to_string());
        let text = self.text.as_str();
        // What is in force elsewhere is run if it can be; of what is not, several may be tried.
        let copies = if self.strict { BESIDE } else { ALONE };
        let (version, ports) = (self.version, &self.ports);
        let compiled = match self.parsed {
            Some(it) => compile::compile_parsed(&self.file, it, version, ports, copies),
            None => compile::compile(&self.file, text, version, ports, copies),
        };
        let mut in_force = compiled.map_err(why)?;
        if let Some((zone, port)) = absent(&in_force).filter(|_| self.strict) {
            let text = format!("zone {zone} names port `{port}`, which this node does not have");
            return Err(Line::cut(&text));
        }
        in_force.comment = self.comment;
        if let Some(disk) = &self.disk {
            let kept = disk.keep(self.version.source, &self.text);
            let full = |error| Line::cut(&format!("its disk cannot keep the policy: {error}"));
            kept.map_err(full)?;
        }
        let inbound = compile::host_inbound(&in_force.source, &self.ports, &self.implicit);
        Ok(Ready { in_force, inbound: Arc::new(inbound.map_err(why)?) })
    }
}

/// A port that the policy names and this node does not have, with its zone.
fn absent(in_force: &InForce) -> Option<(&str, &str)> {
    let (zone, port) = in_force.compiled.absent_ports().first()?;
    let zone = in_force.compiled.zones().get(zone.index())?;
    Some((zone, port))
}

impl Workbench {
    /// A policy that was compiled.
    pub(super) fn get(&self, version: Version) -> Option<&Ready> {
        self.ready.iter().find(|ready| ready.in_force.version == version)
    }

    /// Keeps a policy; the one that was kept for longest makes room, but not what runs.
    pub(super) fn keep(&mut self, ready: Ready, running: Version) {
        self.ready.retain(|it| it.in_force.version != ready.in_force.version);
        self.ready.push(ready);
        if self.ready.len() > COMPILED_KEPT {
            let free = |it: &Ready| it.in_force.version != running;
            if let Some(at) = self.ready.iter().position(free) {
                self.ready.remove(at);
            }
        }
    }

    /// Lets every worker pass a burst boundary with the policy, and the XDP program know what may reach the
    /// host. Goes on until that is so: a shard that does not answer does not forward either, and its lease
    /// ends.
    pub(super) fn run(&self, ready: &Ready) -> impl Future<Output = ()> + Send + 'static {
        let (shards, program) = (self.shards.clone(), self.program.clone());
        self.epochs.enter(&ready.in_force, self.ports.len());
        let (compiled, inbound) =
            (Arc::clone(&ready.in_force.compiled), Arc::clone(&ready.inbound));
        async move {
            let mut told = false;
            while let Err(error) = switch(&shards, program.as_deref(), &compiled, &inbound).await {
                if !std::mem::replace(&mut told, true) {
                    tracing::error!(%error, "THE POLICY IS NOT RUN BY ALL WORKERS: tried again");
                }
                tokio::time::sleep(SWITCH_AGAIN).await;
            }
        }
    }
}

async fn switch(
    shards: &[Shard],
    program: Option<&Mutex<Gate>>,
    compiled: &Arc<engine::policy::Policy>,
    inbound: &[HostInbound],
) -> Result<(), config::api::Error> {
    if let Some(program) = program {
        let mut gate = program.lock().unwrap_or_else(PoisonError::into_inner);
        gate.set_policy(compiled, inbound)?;
    }
    for shard in shards {
        let policy = Arc::clone(compiled);
        let switched =
            shard.ask(move |worker| worker.engine().set_policy(Arc::clone(&policy))).await;
        switched.map_err(|error| {
            config::api::Error::new(format!("shard {} did not switch: {error}", shard.index))
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use cluster_core::policy::Epoch;

    use super::*;

    fn order(epoch: u64, text: &str, strict: bool) -> Order {
        Order {
            version: version(epoch),
            file: "p.toml".to_owned(),
            text: PolicyText::new(text).expect("short"),
            parsed: None,
            comment: None,
            strict,
            disk: None,
            ports: vec!["lan".to_owned()],
            implicit: Vec::new(),
        }
    }

    fn version(epoch: u64) -> Version {
        Version { epoch: Epoch(epoch), source: Epoch(epoch) }
    }

    const LAN: &str = "[zones]\na = [\"lan\"]\n";
    const WAN: &str = "[zones]\na = [\"lan\"]\nb = [\"wan\"]\n";

    #[test]
    fn a_port_that_is_missing_is_told_with_its_zone() {
        assert!(order(1, WAN, false).compile().is_ok(), "what is in force is run all the same");
        let why = order(1, WAN, true).compile().expect_err("there is no wan");
        assert_eq!(why.as_str(), "zone b names port `wan`, which this node does not have");
        let why = order(1, "nonsense", true).compile().expect_err("no policy");
        assert!(why.as_str().contains("p.toml is not valid"), "{why}");
    }

    #[test]
    fn what_runs_is_kept_and_the_oldest_other_goes() {
        let (ports, implicit) = (vec!["lan".to_owned()], Vec::new());
        let first = order(1, LAN, true).compile().expect("good").in_force;
        let (shards, ready, epochs) = (Vec::new(), Vec::new(), Epochs::new(&first, 1));
        let mut bench = Workbench { ports, implicit, shards, program: None, ready, epochs };
        for epoch in 1..=5 {
            bench.keep(order(epoch, LAN, true).compile().expect("good"), version(1));
        }
        let kept: Vec<u64> = bench.ready.iter().map(|it| it.in_force.version.epoch.0).collect();
        assert_eq!(kept, [1, 4, 5]);
        assert!(bench.get(version(1)).is_some() && bench.get(version(2)).is_none());
    }
}
