//! The ports actor: follows the kernel's links, addresses, routes and neighbours, and tells the workers
//! and the XDP program. When an interface goes away its port stays, without sockets; when it comes
//! back, the sockets are opened anew and the program attached again.

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use config::ZeroCopy;
use datapath::xdp::{AttachMode, BpfDir};
use engine::PortId;
use engine::fib::FibChange;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::{mpsc, watch};

use crate::flow::Wanted;
use crate::gate::Gate;
use crate::mirror::{LinkState, Mirror, Update};
use crate::node::port_config;
use crate::opening::{self, Bound, Interface, OpenError};
use crate::shard::Shard;

/// A port and what is known of its interface.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Name in policies.
    pub name: String,
    /// The interface's name.
    pub interface_name: String,
    /// The interface as the kernel last showed it.
    pub link: LinkState,
    /// How the XDP program is attached, if it is.
    pub xdp: Option<AttachMode>,
    /// Receive queues that are served.
    pub queues: u16,
    busy_poll: Option<u32>,
    zero_copy: bool,
}

impl Watched {
    /// The port number `index` of the node file, with its interface as it is now.
    #[must_use]
    pub fn new(config: &config::Node, index: usize, link: LinkState) -> Self {
        let port = &config.ports[index];
        let queues = port.queues.map_or(link.queues, |wanted| wanted.min(link.queues));
        Self {
            name: port.name.clone(),
            interface_name: port.interface.clone(),
            link,
            xdp: None,
            queues,
            busy_poll: port.busy_poll,
            zero_copy: port.zero_copy == ZeroCopy::Auto,
        }
    }

    /// What is needed to open the port; `None` while its interface is away.
    #[must_use]
    pub fn interface(&self) -> Option<Interface> {
        Some(Interface {
            port: self.name.clone(),
            name: self.interface_name.clone(),
            index: self.link.ifindex?,
            queues: self.queues,
            busy_poll: self.busy_poll,
            zero_copy: self.zero_copy,
        })
    }
}

/// What the ports actor is told.
pub enum PortsMessage {
    /// The kernel changed something.
    Update(Update),
    /// A worker misses a next hop.
    Resolve(Wanted),
}

/// The behaviour; its state is [`Ports`].
pub struct PortsActor;

/// What the ports actor works with.
pub struct Ports {
    /// The node file.
    pub config: config::Node,
    /// Where links are pinned.
    pub bpf_dir: BpfDir,
    /// The program on the ports.
    pub program: Arc<Mutex<Gate>>,
    /// The workers.
    pub shards: Vec<Shard>,
    /// Everybody else reads the ports here.
    pub watched: watch::Sender<Vec<Watched>>,
    /// The kernel's tables.
    pub mirror: Mirror,
}

impl Ports {
    async fn update(&self, update: Update) {
        match update {
            Update::Changes(changes) => self.apply(changes).await,
            Update::HostAddresses(addresses) => self.set_addresses(&addresses),
            Update::Link(link) => self.link(link).await,
            Update::Resync { changes, links, host_addresses } => {
                self.apply(changes).await;
                self.set_addresses(&host_addresses);
                for link in links {
                    self.link(link).await;
                }
            }
        }
    }

    async fn apply(&self, changes: Vec<FibChange>) {
        let changes: Arc<[FibChange]> = changes.into();
        for shard in &self.shards {
            let changes = Arc::clone(&changes);
            let applied = shard.ask(move |worker| worker.engine().apply(&changes)).await;
            if let Err(error) = applied {
                tracing::error!(shard = shard.index, %error, "routes may be out of date");
            }
        }
    }

    fn set_addresses(&self, addresses: &[(u16, IpAddr)]) {
        let mut program = self.program.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = program.set_own(addresses) {
            tracing::error!(%error, "the host's addresses may be out of date");
        }
    }

    async fn link(&self, link: LinkState) {
        let index = link.port.index();
        let Some(before) = self.watched.borrow().get(index).cloned() else { return };
        if before.link == link {
            return;
        }
        let mut now = Watched::new(&self.config, index, link.clone());
        now.xdp = before.xdp;
        let moved = before.link.ifindex != link.ifindex;
        if moved && before.link.ifindex.is_some() {
            tracing::warn!(port = now.name, "the interface went away");
            self.close(link.port).await;
            self.forget(before.link.ifindex);
            now.xdp = None;
        }
        self.tell_engines(&link).await;
        if moved && let Some(interface) = now.interface() {
            match self.reopen(link.port, &link, &interface).await {
                Ok(mode) => {
                    now.xdp = Some(mode);
                    tracing::info!(port = now.name, "the interface is back");
                }
                Err(error) => {
                    tracing::error!(port = now.name, %error, "the interface is back, but unusable");
                }
            }
        }
        self.watched.send_modify(|watched| watched[index] = now);
    }

    async fn tell_engines(&self, link: &LinkState) {
        for shard in &self.shards {
            let LinkState { port, up, mac, mtu, ifindex, .. } = link.clone();
            let told = shard
                .ask(move |worker| {
                    worker.engine().set_port(port, |port| {
                        (port.up, port.mac, port.mtu) = (up && ifindex.is_some(), mac, mtu);
                    });
                })
                .await;
            if let Err(error) = told {
                tracing::error!(shard = shard.index, %error, "a port's state may be out of date");
            }
        }
    }

    async fn close(&self, port: PortId) {
        for shard in &self.shards {
            shard.watch(Vec::new());
            let closed = shard
                .ask(move |worker| {
                    worker.replace_port(port, |old, umem| old.close(umem));
                    opening::descriptors(worker)
                })
                .await;
            self.watch_again(shard, closed.ok());
        }
    }

    /// Takes the program off an interface that is gone: removes what is left of it.
    fn forget(&self, ifindex: Option<u32>) {
        let Some(ifindex) = ifindex else { return };
        let mut program = self.program.lock().unwrap_or_else(PoisonError::into_inner);
        let forgotten = program.detach(ifindex).and_then(|()| program.remove_port(ifindex));
        if let Err(error) = forgotten {
            tracing::warn!(ifindex, %error, "something of a vanished interface is left");
        }
    }

    fn watch_again(&self, shard: &Shard, descriptors: Option<Result<Vec<OwnedFd>, OpenError>>) {
        match descriptors {
            Some(Ok(descriptors)) => shard.watch(descriptors),
            // The worker still looks at its rings with every idle tick.
            Some(Err(error)) => tracing::error!(shard = shard.index, %error, "slow wake-ups"),
            None => tracing::error!(shard = shard.index, "the shard does not answer"),
        }
    }

    async fn reopen(
        &self,
        port: PortId,
        link: &LinkState,
        interface: &Interface,
    ) -> Result<AttachMode, String> {
        opening::check_queues(interface, self.config.workers).map_err(|e| e.to_string())?;
        let most = opening::largest_packet(self.config.frame_size);
        if link.mtu > most {
            return Err(format!("its MTU {} is more than {most}", link.mtu));
        }
        {
            let mut program = self.program.lock().unwrap_or_else(PoisonError::into_inner);
            let described = port_config(&self.config, port.index(), link.mac);
            program.set_port(interface.index, &described).map_err(|e| e.to_string())?;
        }
        let mut bound: Bound = Vec::new();
        for shard in &self.shards {
            bound.extend(self.reopen_in(shard, port, interface).await?);
        }
        let mut program = self.program.lock().unwrap_or_else(PoisonError::into_inner);
        for (queue, socket) in bound {
            program.set_socket(port.0, queue, socket).map_err(|e| e.to_string())?;
        }
        let attached = program.attach(&self.bpf_dir, interface.index).map_err(|e| e.to_string())?;
        Ok(attached.mode)
    }

    async fn reopen_in(
        &self,
        shard: &Shard,
        port: PortId,
        interface: &Interface,
    ) -> Result<Bound, String> {
        let (wanted, workers) = (interface.clone(), self.config.workers);
        let sockets = self.config.ports.len() as u32;
        let index = shard.index as u16;
        let opened = shard
            .ask(move |worker| {
                let mut opened = Err(OpenError::Descriptor(std::io::ErrorKind::NotFound.into()));
                worker.replace_port(port, |old, umem| {
                    old.close(umem);
                    opened = opening::open(umem, &wanted, index, workers, sockets).map(
                        |(port, bound)| {
                            *old = port;
                            bound
                        },
                    );
                });
                opened.and_then(|bound| Ok((bound, opening::descriptors(worker)?)))
            })
            .await
            .map_err(|error| error.to_string())?;
        let (bound, descriptors) = opened.map_err(|error| error.to_string())?;
        shard.watch(descriptors);
        Ok(bound)
    }
}

impl Actor for PortsActor {
    type Msg = PortsMessage;
    type State = Ports;
    type Arguments = (Ports, mpsc::Receiver<Update>, mpsc::Receiver<Wanted>);

    async fn pre_start(
        &self,
        myself: ActorRef<PortsMessage>,
        (state, mut updates, mut wants): Self::Arguments,
    ) -> Result<Ports, ActorProcessingErr> {
        let program = state.program.lock().unwrap_or_else(PoisonError::into_inner);
        let modes: Vec<(u32, AttachMode)> =
            program.attached().map(|(ifindex, attached)| (ifindex, attached.mode)).collect();
        drop(program);
        state.watched.send_modify(|watched| {
            for seen in watched {
                let mode = modes.iter().find(|(ifindex, _)| seen.link.ifindex == Some(*ifindex));
                seen.xdp = mode.map(|(_, mode)| *mode);
            }
        });
        tokio::spawn(async move {
            loop {
                let message = tokio::select! {
                    Some(update) = updates.recv() => PortsMessage::Update(update),
                    Some(wanted) = wants.recv() => PortsMessage::Resolve(wanted),
                    else => break,
                };
                if myself.cast(message).is_err() {
                    break;
                }
            }
        });
        Ok(state)
    }

    async fn handle(
        &self,
        _: ActorRef<PortsMessage>,
        message: PortsMessage,
        state: &mut Ports,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            PortsMessage::Update(update) => state.update(update).await,
            PortsMessage::Resolve((port, address)) => state.mirror.resolve(port, address),
        }
        Ok(())
    }
}
