//! The addresses of the VIP group on this node's interfaces: added, removed and announced, in the
//! order in which the machine said so. The kernel is told to keep them for a short while only, and again
//! and again: when the daemon is gone, they are.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;

use cluster_core::membership::Vip;
use cluster_core::membership::vips::Order;
use datapath::Lease;
use rtnetlink::Handle;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressScope, CacheInfo,
};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, timeout};

use super::announce::Announcement;
use super::conflicts::Listener;
use super::heart::{Command, Line};
use super::limits::{ADDRESS_LIFE_SECONDS, ADDRESS_ORDERS, ADDRESS_RENEWAL, NETLINK_TIMEOUT};
use crate::clock;
use crate::ports::Watched;

/// Carries orders out until their sender is gone, then takes off what is still on.
pub(super) struct Addresses {
    handle: Handle,
    vips: Vec<Vip>,
    /// Those that are on.
    held: Vec<Vip>,
    watched: watch::Receiver<Vec<Watched>>,
    /// Ends when this process is paused, too: orders may have grown old then.
    lease: Lease,
    /// Hear who else uses them, while they are on.
    listeners: Vec<Listener>,
    line: Line,
}

impl Addresses {
    /// Takes off what an earlier run may have left, and begins.
    pub(super) async fn start(
        vips: Vec<Vip>,
        watched: watch::Receiver<Vec<Watched>>,
        lease: Lease,
        line: Line,
    ) -> io::Result<(mpsc::Sender<Order>, JoinHandle<()>)> {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        tokio::spawn(connection);
        let (held, listeners) = (Vec::new(), Vec::new());
        let this = Self { handle, vips, held, watched, lease, listeners, line };
        this.clear().await;
        let (orders, ordered) = mpsc::channel(ADDRESS_ORDERS);
        Ok((orders, tokio::spawn(this.run(ordered))))
    }

    async fn run(mut self, mut ordered: mpsc::Receiver<Order>) {
        let mut renewal = tokio::time::interval(ADDRESS_RENEWAL);
        renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                order = ordered.recv() => match order {
                    Some(order) => self.carry_out(order).await,
                    None => break,
                },
                _ = renewal.tick() => {
                    self.renew().await;
                    self.look_for_conflicts();
                }
            }
        }
        self.clear().await;
    }

    async fn carry_out(&mut self, order: Order) {
        match order {
            Order::Add(vip) => {
                self.held.push(vip);
                if self.add(vip).await {
                    tracing::info!(address = %vip.address, "address added");
                }
            }
            Order::Remove(vip) => {
                self.held.retain(|held| *held != vip);
                // The next owner is about to say that it has them.
                self.listeners.clear();
                self.remove(vip, true).await;
            }
            Order::Announce(vip) => self.announce(vip),
        }
    }

    /// The kernel forgets what nobody renews. After a pause another node may hold the addresses, and the
    /// order to remove them is on its way.
    async fn renew(&self) {
        if !self.lease.covers(clock::now()) {
            return;
        }
        for vip in &self.held {
            self.add(*vip).await;
        }
    }

    /// Tells membership whose addresses somebody else uses, each once.
    fn look_for_conflicts(&mut self) {
        let mut used = BTreeSet::new();
        for vip in &self.held {
            let Some((index, name, own)) = self.link(*vip) else { continue };
            let Some(listener) = self.listeners.iter().find(|it| it.index == index) else {
                match Listener::open(&name, index) {
                    Ok(listener) => self.listeners.push(listener),
                    Err(error) => {
                        tracing::warn!(interface = name, %error, "conflicts are not seen")
                    }
                }
                continue;
            };
            let on_port = |address| {
                self.held.iter().any(|held| held.port == vip.port && held.address == address)
            };
            listener.look(|mac, address| {
                if mac != own && on_port(address) {
                    used.insert(address);
                }
            });
        }
        for address in used {
            if !self.line.tell(Command::Conflict(address)) {
                tracing::error!(%address, "SOMEBODY ELSE USES IT, and membership takes no commands");
            }
        }
    }

    async fn clear(&self) {
        for vip in &self.vips {
            self.remove(*vip, false).await;
        }
    }

    async fn add(&self, vip: Vip) -> bool {
        let Some((index, name, _)) = self.link(vip) else { return false };
        let mut request = self.handle.address().add(index, vip.address, vip.prefix).replace();
        let mut life = CacheInfo::default();
        (life.ifa_preferred, life.ifa_valid) = (ADDRESS_LIFE_SECONDS, ADDRESS_LIFE_SECONDS);
        let attributes = &mut request.message_mut().attributes;
        attributes.push(AddressAttribute::CacheInfo(life));
        if vip.address.is_ipv6() {
            // Usable at once: whoever had it has stopped, as the lease says.
            attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
        match timeout(NETLINK_TIMEOUT, request.execute()).await {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => {
                tracing::error!(address = %vip.address, interface = name, %error, "address not added");
            }
            Err(_) => {
                tracing::error!(address = %vip.address, "the kernel takes too long to add it")
            }
        }
        false
    }

    async fn remove(&self, vip: Vip, expected: bool) {
        let Some((index, name, _)) = self.link(vip) else { return };
        let request = self.handle.address().del(message(index, vip)).execute();
        match timeout(NETLINK_TIMEOUT, request).await {
            Ok(Ok(())) => {
                tracing::info!(address = %vip.address, interface = name, "address removed")
            }
            Ok(Err(error)) if expected => {
                tracing::error!(address = %vip.address, interface = name, %error, "address not removed");
            }
            Ok(Err(_)) => {} // It was not there.
            Err(_) => {
                tracing::error!(address = %vip.address, "the kernel takes too long to remove it")
            }
        }
    }

    fn announce(&self, vip: Vip) {
        let Some((_, name, mac)) = self.link(vip) else { return };
        let announcement = Announcement::new(&name, mac, vip.address);
        match announcement.and_then(|it| it.send(&self.lease)) {
            Ok(true) => {}
            Ok(false) => {
                tracing::debug!(address = %vip.address, "not announced: no lease any more")
            }
            Err(error) => {
                tracing::warn!(address = %vip.address, interface = name, %error, "not announced");
            }
        }
    }

    /// The interface that the address belongs on, if it is there.
    fn link(&self, vip: Vip) -> Option<(u32, String, [u8; 6])> {
        let watched = self.watched.borrow();
        let seen = watched.get(vip.port.index())?;
        Some((seen.link.ifindex?, seen.interface_name.clone(), seen.link.mac))
    }
}

fn message(index: u32, vip: Vip) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = index;
    message.header.prefix_len = vip.prefix;
    message.header.scope = AddressScope::Universe;
    message.header.family = match vip.address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    let local = match vip.address {
        IpAddr::V4(_) => AddressAttribute::Local(vip.address),
        IpAddr::V6(_) => AddressAttribute::Address(vip.address),
    };
    message.attributes.push(local);
    message
}
