//! Routes of one domain: two longest-prefix-match tables, and per prefix the routes by metric.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::{Prefix, PrefixMap};

use super::Applied;
use crate::ids::PortId;
use crate::limits::{METRICS_MAX, NEXT_HOPS_MAX, ROUTES_MAX};

/// The routes of one domain.
#[derive(Debug, Default)]
pub(super) struct Table {
    v4: PrefixMap<Ipv4Net, Alternatives>,
    v6: PrefixMap<Ipv6Net, Alternatives>,
}

impl Table {
    /// The route of the longest prefix that holds `destination`, of its lowest metric.
    pub(super) fn best(&self, destination: IpAddr) -> Option<&RouteKind> {
        let alternatives = match destination {
            IpAddr::V4(address) => self.v4.get_lpm(&Ipv4Net::from(address)).map(|(_, found)| found),
            IpAddr::V6(address) => self.v6.get_lpm(&Ipv6Net::from(address)).map(|(_, found)| found),
        };
        alternatives.and_then(|alternatives| alternatives.0.first()).map(|route| &route.kind)
    }

    pub(super) fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    pub(super) fn set(&mut self, prefix: IpNet, route: &Route) -> Applied {
        self.edit(prefix, |alternatives| alternatives.set(route.clone()))
    }

    pub(super) fn append(&mut self, prefix: IpNet, route: &Route) -> Applied {
        self.edit(prefix, |alternatives| alternatives.append(route))
    }

    fn edit(&mut self, prefix: IpNet, edit: impl FnOnce(&mut Alternatives) -> Applied) -> Applied {
        match prefix {
            IpNet::V4(prefix) => edit_map(&mut self.v4, prefix, edit),
            IpNet::V6(prefix) => edit_map(&mut self.v6, prefix, edit),
        }
    }

    pub(super) fn delete(&mut self, prefix: IpNet, metric: u32, hop: Option<&NextHop>) -> Applied {
        match prefix {
            IpNet::V4(prefix) => delete_from(&mut self.v4, &prefix, metric, hop),
            IpNet::V6(prefix) => delete_from(&mut self.v6, &prefix, metric, hop),
        }
    }

    /// Removes all next hops by `port`; true if there was one.
    pub(super) fn remove_port(&mut self, port: PortId) -> bool {
        // Both, always: no short circuit.
        remove_port_from(&mut self.v4, port) | remove_port_from(&mut self.v6, port)
    }
}

/// What is done with packets to a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Of two routes to one prefix the one of the lower metric is used.
    pub metric: u32,
    /// What is done.
    pub kind: RouteKind,
}

/// The kinds of routes that Linux knows (`RTN_*`) and a firewall can meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteKind {
    /// Forward to one of the next hops.
    Unicast(NextHops),
    /// An address of this host.
    Local,
    /// Drop without a word.
    Blackhole,
    /// Drop, answer host unreachable.
    Unreachable,
    /// Drop, answer administratively prohibited.
    Prohibit,
}

/// One to [`NEXT_HOPS_MAX`] next hops. Cloning shares them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHops(Arc<[NextHop]>);

impl NextHops {
    /// The first [`NEXT_HOPS_MAX`] of `hops`; `None` if there are none.
    pub fn new(hops: &[NextHop]) -> Option<Self> {
        let kept = &hops[..hops.len().min(NEXT_HOPS_MAX)];
        (!kept.is_empty()).then(|| Self(kept.into()))
    }

    /// One next hop: by `port`, to the destination itself or to a gateway.
    pub fn one(port: PortId, gateway: Option<IpAddr>) -> Self {
        Self([NextHop { port, gateway, weight: 1 }].into())
    }

    /// All of them.
    pub fn as_slice(&self) -> &[NextHop] {
        &self.0
    }

    /// The next hop of a flow: the hash space is cut into runs as long as the weights say (the
    /// hash-threshold method of RFC 2992).
    pub fn choose(&self, flow_hash: u32) -> &NextHop {
        let total: u32 = self.0.iter().map(NextHop::share).sum();
        let mut point = ((u64::from(flow_hash) * u64::from(total)) >> 32) as u32;
        for hop in self.0.iter() {
            match point.checked_sub(hop.share()) {
                Some(rest) => point = rest,
                None => return hop,
            }
        }
        &self.0[0] // not reached: point < total
    }
}

/// A port, and a gateway unless the destination is on the port's own link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// Port the packet leaves by.
    pub port: PortId,
    /// Router to send to; may be of the other address family (RFC 5549).
    pub gateway: Option<IpAddr>,
    /// Share of the flows, 1 to 255; 0 counts as 1.
    pub weight: u8,
}

impl NextHop {
    fn share(&self) -> u32 {
        u32::from(self.weight.max(1))
    }

    fn same_way(&self, other: &Self) -> bool {
        (self.port, self.gateway) == (other.port, other.gateway)
    }
}

/// Routes of one prefix, lowest metric first, one per metric.
#[derive(Debug, Default)]
struct Alternatives(Vec<Route>);

impl Alternatives {
    fn set(&mut self, route: Route) -> Applied {
        match self.0.binary_search_by_key(&route.metric, |known| known.metric) {
            Ok(at) if self.0[at] == route => Applied::Unchanged,
            Ok(at) => {
                self.0[at] = route;
                Applied::Changed
            }
            Err(_) if self.0.len() == METRICS_MAX => Applied::Full,
            Err(at) => {
                self.0.reserve_exact(1); // most prefixes have one route for ever
                self.0.insert(at, route);
                Applied::Changed
            }
        }
    }

    fn append(&mut self, route: &Route) -> Applied {
        let known = self.0.iter().find(|known| known.metric == route.metric);
        let (Some(RouteKind::Unicast(known)), RouteKind::Unicast(new)) =
            (known.map(|known| &known.kind), &route.kind)
        else {
            return self.set(route.clone());
        };
        let mut hops = known.as_slice().to_vec();
        let is_new = |hop: &&NextHop| !known.as_slice().iter().any(|old| old.same_way(hop));
        hops.extend(new.as_slice().iter().filter(is_new));
        if hops.len() > NEXT_HOPS_MAX {
            return Applied::Full;
        }
        let hops = NextHops(hops.into());
        self.set(Route { metric: route.metric, kind: RouteKind::Unicast(hops) })
    }

    fn delete(&mut self, metric: u32, hop: Option<&NextHop>) -> Applied {
        let Ok(at) = self.0.binary_search_by_key(&metric, |known| known.metric) else {
            return Applied::Unchanged;
        };
        let Some(hop) = hop else {
            self.0.remove(at);
            return Applied::Changed;
        };
        if self.remove_hops(at, |known| known.same_way(hop)) {
            self.0.retain(|route| !route.is_void());
            return Applied::Changed;
        }
        Applied::Unchanged
    }

    fn remove_port(&mut self, port: PortId) -> bool {
        let mut changed = false;
        for at in 0..self.0.len() {
            changed |= self.remove_hops(at, |hop| hop.port == port);
        }
        self.0.retain(|route| !route.is_void());
        changed
    }

    /// Takes the matching next hops out of one route, which may leave it void.
    fn remove_hops(&mut self, at: usize, gone: impl Fn(&NextHop) -> bool) -> bool {
        let RouteKind::Unicast(hops) = &mut self.0[at].kind else { return false };
        let kept: Arc<[NextHop]> = hops.0.iter().filter(|hop| !gone(hop)).copied().collect();
        let changed = kept.len() != hops.0.len();
        hops.0 = kept;
        changed
    }
}

impl Route {
    /// True between the removal of a route's last next hop and the removal of the route.
    fn is_void(&self) -> bool {
        matches!(&self.kind, RouteKind::Unicast(hops) if hops.0.is_empty())
    }
}

fn edit_map<P: Prefix>(
    map: &mut PrefixMap<P, Alternatives>,
    prefix: P,
    edit: impl FnOnce(&mut Alternatives) -> Applied,
) -> Applied {
    if let Some(alternatives) = map.get_mut(&prefix) {
        return edit(alternatives);
    }
    if map.len() >= ROUTES_MAX {
        return Applied::Full;
    }
    let mut alternatives = Alternatives::default();
    let applied = edit(&mut alternatives);
    map.insert(prefix, alternatives);
    applied
}

fn delete_from<P: Prefix>(
    map: &mut PrefixMap<P, Alternatives>,
    prefix: &P,
    metric: u32,
    hop: Option<&NextHop>,
) -> Applied {
    let Some(alternatives) = map.get_mut(prefix) else { return Applied::Unchanged };
    let applied = alternatives.delete(metric, hop);
    if alternatives.0.is_empty() {
        map.remove(prefix);
    }
    applied
}

fn remove_port_from<P: Prefix>(map: &mut PrefixMap<P, Alternatives>, port: PortId) -> bool {
    let mut changed = false;
    for (_, alternatives) in map.iter_mut() {
        changed |= alternatives.remove_port(port);
    }
    if changed {
        map.retain(|_, alternatives| !alternatives.0.is_empty());
    }
    changed
}
