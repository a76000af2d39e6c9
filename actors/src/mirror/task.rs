//! The task: reads what the kernel tells, asks it what it has to be asked, and reports.

use std::net::IpAddr;

use engine::PortId;
use engine::fib::FibChange;
use rtnetlink::packet_core::NLM_F_CREATE;
use rtnetlink::packet_route::address::AddressMessage;
use rtnetlink::packet_route::link::LinkMessage;
use rtnetlink::packet_route::neighbour::{
    NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use rtnetlink::packet_route::route::RouteMessage;
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::limits::{BATCH_MAX, DUMP_ATTEMPTS, RESYNC_PAUSE, REUSE_TICK};
use super::resolver::Resolver;
use super::socket::{Flagged, Notifications, Requests, is_overrun};
use super::translate::{self, How};
use super::view::View;
use super::{LinkState, MirrorError, MirrorPort, Update};

/// Everything the task owns.
pub(super) struct Task {
    ports: Vec<MirrorPort>,
    notifications: Notifications,
    requests: Requests,
    view: View,
    resolver: Resolver,
    updates: mpsc::Sender<Update>,
    asked: mpsc::Receiver<(PortId, IpAddr)>,
    resynced: Instant,
    resync_at: Option<Instant>,
    reuse_at: Instant,
}

/// Why the task ends.
enum End {
    /// Nobody listens any more, or nobody holds the handle.
    Dropped,
    /// The kernel cannot be followed any more.
    Failed(MirrorError),
}

enum Event {
    Told(std::io::Result<()>),
    Asked(Option<(PortId, IpAddr)>),
    Time,
    Unheard,
}

impl Task {
    /// Subscribes, then dumps: what changes meanwhile is told afterwards.
    pub(super) async fn new(
        ports: Vec<MirrorPort>,
        updates: mpsc::Sender<Update>,
        asked: mpsc::Receiver<(PortId, IpAddr)>,
    ) -> Result<(Self, Update), MirrorError> {
        let now = Instant::now();
        let mut task = Self {
            notifications: Notifications::subscribe()?,
            requests: Requests::open()?,
            view: View::new(&ports),
            ports,
            resolver: Resolver::default(),
            updates,
            asked,
            resynced: now,
            resync_at: None,
            reuse_at: now + REUSE_TICK,
        };
        let first = task.dump().await?;
        Ok((task, first))
    }

    /// Reports until one end is dropped.
    pub(super) async fn run(mut self, first: Update) {
        let end = match self.send(first).await {
            Ok(()) => self.follow().await,
            Err(end) => end,
        };
        match end {
            End::Dropped => {}
            End::Failed(error) => tracing::error!(%error, "routes are not mirrored any more"),
        }
    }

    async fn follow(&mut self) -> End {
        let mut told = Vec::new();
        loop {
            let done = match self.event(&mut told).await {
                Event::Told(Ok(())) => self.told(&mut told).await,
                Event::Told(Err(error)) if is_overrun(&error) => {
                    tracing::warn!(
                        "notifications of the kernel were lost: everything is read anew"
                    );
                    self.want_resync();
                    Ok(())
                }
                Event::Told(Err(error)) => Err(End::Failed(MirrorError::Transfer(error))),
                Event::Asked(Some(neighbour)) => self.resolve(neighbour).await,
                Event::Time => self.on_time().await,
                Event::Asked(None) | Event::Unheard => Err(End::Dropped),
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    async fn event(&mut self, told: &mut Vec<Flagged>) -> Event {
        let deadline = self.resync_at.map_or(self.reuse_at, |at| at.min(self.reuse_at));
        tokio::select! {
            received = self.notifications.next(told) => Event::Told(received),
            asked = self.asked.recv() => Event::Asked(asked),
            () = sleep_until(deadline) => Event::Time,
            () = self.updates.closed() => Event::Unheard,
        }
    }

    /// Turns these notifications and those that wait already into one report.
    async fn told(&mut self, told: &mut Vec<Flagged>) -> Result<(), End> {
        while told.len() < BATCH_MAX {
            match self.notifications.try_next(told) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if is_overrun(&error) => {
                    tracing::warn!(
                        "notifications of the kernel were lost: everything is read anew"
                    );
                    self.want_resync();
                    break;
                }
                Err(error) => return Err(End::Failed(MirrorError::Transfer(error))),
            }
        }
        for (message, flags) in told.drain(..) {
            self.view.notified(&message, flags);
        }
        if self.view.take_stale() {
            self.want_resync();
        }
        for update in self.view.take_updates() {
            let risen = match &update {
                Update::Link(link) => link.up.then_some(link.port),
                Update::Resync { .. } | Update::Changes(_) | Update::HostAddresses(_) => None,
            };
            self.send(update).await?;
            if let Some(port) = risen {
                self.ask_anew(port).await?;
            }
        }
        Ok(())
    }

    /// The kernel goes on waiting for an answer to what it asked while there was no carrier: it has to forget
    /// that it did.
    async fn ask_anew(&mut self, port: PortId) -> Result<(), End> {
        for neighbour in self.resolver.anew(port, Instant::now()) {
            self.forget_neighbour(neighbour).await?;
            self.use_neighbour(neighbour).await?;
        }
        Ok(())
    }

    /// At once, unless the last one was a moment ago.
    fn want_resync(&mut self) {
        self.resync_at.get_or_insert(self.resynced + RESYNC_PAUSE);
    }

    async fn on_time(&mut self) -> Result<(), End> {
        let now = Instant::now();
        if self.resync_at.is_some_and(|at| at <= now) {
            self.resync().await?;
        }
        if self.reuse_at <= now {
            self.reuse_at = now + REUSE_TICK;
            self.resolver.forget(now);
            for neighbour in self.resolver.due(now) {
                self.use_neighbour(neighbour).await?;
            }
        }
        Ok(())
    }

    async fn resync(&mut self) -> Result<(), End> {
        self.resync_at = None;
        let before: Vec<LinkState> = self.view.links().cloned().collect();
        let update = match self.dump().await {
            Ok(update) => update,
            Err(MirrorError::Refused { what, error }) => {
                tracing::warn!(what, %error, "the kernel's tables cannot be read; trying again");
                self.want_resync();
                return Ok(());
            }
            Err(error @ (MirrorError::Socket(_) | MirrorError::Transfer(_))) => {
                return Err(End::Failed(error));
            }
            Err(error @ MirrorError::Silent { .. }) => return Err(End::Failed(error)),
        };
        let moved: Vec<LinkState> = self
            .view
            .links()
            .zip(&before)
            .filter(|(now, before)| now != before)
            .map(|(now, _)| now.clone())
            .collect();
        for link in moved {
            self.send(Update::Link(link)).await?;
        }
        self.send(update).await
    }

    /// Reads everything. The view is a new one if it succeeds, and the old one if not.
    async fn dump(&mut self) -> Result<Update, MirrorError> {
        self.resynced = Instant::now();
        self.notifications.drain().map_err(MirrorError::Transfer)?;
        for _ in 0..DUMP_ATTEMPTS {
            let mut view = View::new(&self.ports);
            let (changes, whole) = read_all(&mut self.requests, &mut view).await?;
            if whole {
                let update = view.resync(changes);
                self.view = view;
                return Ok(update);
            }
        }
        self.want_resync();
        let mut view = View::new(&self.ports);
        let (changes, _) = read_all(&mut self.requests, &mut view).await?;
        let update = view.resync(changes);
        self.view = view;
        Ok(update)
    }

    async fn resolve(&mut self, neighbour: (PortId, IpAddr)) -> Result<(), End> {
        if self.resolver.ask(neighbour, Instant::now()) {
            self.use_neighbour(neighbour).await?;
        }
        Ok(())
    }

    /// What `ip neigh add ADDRESS dev PORT use` does: the kernel behaves as if it had a packet to
    /// send to it.
    async fn use_neighbour(&mut self, neighbour: (PortId, IpAddr)) -> Result<(), End> {
        let Some(mut message) = self.neighbour(neighbour) else { return Ok(()) };
        message.header.flags = NeighbourFlags::Use;
        let request = RouteNetlinkMessage::NewNeighbour(message);
        self.ask("resolve a neighbour", neighbour, request, NLM_F_CREATE).await
    }

    /// What `ip neigh del ADDRESS dev PORT` does.
    async fn forget_neighbour(&mut self, neighbour: (PortId, IpAddr)) -> Result<(), End> {
        let Some(message) = self.neighbour(neighbour) else { return Ok(()) };
        let request = RouteNetlinkMessage::DelNeighbour(message);
        self.ask("forget a neighbour", neighbour, request, 0).await
    }

    /// A message about it; none if its port has no interface.
    fn neighbour(&self, (port, address): (PortId, IpAddr)) -> Option<NeighbourMessage> {
        let mut message = NeighbourMessage::default();
        message.header.family = family(address);
        message.header.ifindex = self.view.interface_of(port)?;
        message.header.state = NeighbourState::None;
        message.attributes.push(NeighbourAttribute::Destination(address.into()));
        Some(message)
    }

    async fn ask(
        &mut self,
        what: &'static str,
        (port, address): (PortId, IpAddr),
        request: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<(), End> {
        match self.requests.ask(what, request, flags).await {
            Ok(()) => Ok(()),
            // The interface is going or down, the kernel's table of neighbours is full, or it knows none.
            Err(MirrorError::Refused { error, .. }) => {
                tracing::debug!(what, port = port.0, %address, %error, "refused");
                Ok(())
            }
            Err(
                error @ (MirrorError::Socket(_)
                | MirrorError::Transfer(_)
                | MirrorError::Silent { .. }),
            ) => Err(End::Failed(error)),
        }
    }

    async fn send(&mut self, update: Update) -> Result<(), End> {
        match &update {
            Update::Resync { changes, .. } | Update::Changes(changes) => {
                self.resolver.observe(changes);
            }
            Update::Link(_) | Update::HostAddresses(_) => {}
        }
        self.updates.send(update).await.map_err(|_| End::Dropped)
    }
}

/// Links first, so that the view knows the interfaces of what follows. Also says whether all dumps
/// were consistent.
async fn read_all(
    requests: &mut Requests,
    view: &mut View,
) -> Result<(Vec<FibChange>, bool), MirrorError> {
    let links = RouteNetlinkMessage::GetLink(LinkMessage::default());
    let mut whole = requests.dump("list links", links, |link| view.notified(link, 0)).await?;
    let addresses = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    whole &= requests.dump("list addresses", addresses, |found| view.notified(found, 0)).await?;
    let mut changes = Vec::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut request = RouteMessage::default();
        request.header.address_family = family;
        let request = RouteNetlinkMessage::GetRoute(request);
        let each = |found: &RouteNetlinkMessage| {
            if let RouteNetlinkMessage::NewRoute(route) = found {
                translate::route(route, How::Append, view.interfaces(), &mut changes);
            }
        };
        whole &= requests.dump("list routes", request, each).await?;
    }
    let request = RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default());
    let each = |found: &RouteNetlinkMessage| {
        if let RouteNetlinkMessage::NewNeighbour(neighbour) = found {
            changes.extend(translate::neighbour(neighbour, false, view.interfaces()));
        }
    };
    whole &= requests.dump("list neighbours", request, each).await?;
    Ok((changes, whole))
}

fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}
