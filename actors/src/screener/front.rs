//! The XDP program's lists of blocked sources and of guarded destinations, filled as the detector says. The
//! workers drop the same sources' packets, and answer the same SYNs; here they cost next to nothing.

use cluster_core::screen::Screens;
use datapath::xdp::{BlockList, Error, MAX_PORTS, SourceBits};
use engine::PortId;
use engine::policy::Policy;
use engine::screen::number;
use sketch::Place;
use wire::Time;
use wire::cookie::Context;

/// The list, and by what it counts sources.
#[derive(Debug, Default)]
pub(super) struct Front {
    list: Option<BlockList>,
    zones: Vec<SourceBits>,
}

impl Front {
    pub(super) const fn new(list: Option<BlockList>) -> Self {
        Self { list, zones: Vec::new() }
    }

    /// Other screens are in force: nobody is blocked any more.
    pub(super) fn follow(&mut self, screens: &Screens, policy: &Policy) {
        let zones = (0..=u8::MAX).zip(screens.aggregation());
        let screened = zones.filter(|(zone, _)| screens.of(*zone).is_some());
        let bits = screened.map(|(zone, of)| SourceBits { zone, v4: of.source.0, v6: of.source.1 });
        self.zones = bits.collect();
        let of_port = |port| {
            let zone = number(policy.zone_of_port(PortId(port))?)?;
            self.zones.iter().find(|it| it.zone == zone).copied()
        };
        let ports: Vec<_> = (0..MAX_PORTS).map(of_port).collect();
        self.change(|list| list.set_zones(ports));
    }

    pub(super) fn block(&mut self, source: &Place, until: Time, now: Time) {
        // What is no source of its zone, since it has another length, blocks nobody.
        let bits = self.zones.iter().find(|it| it.zone == source.zone);
        let length = bits.map(|it| if source.address().is_ipv4() { it.v4 } else { it.v6 });
        if length == Some(source.prefix_length()) {
            self.change(|list| list.block(source.zone, source.address(), until, now));
        }
    }

    pub(super) fn unblock(&mut self, source: &Place) {
        self.change(|list| list.unblock(source.zone, source.address()));
    }

    pub(super) fn guard(&mut self, destination: &Place, mss: u16, until: Time, now: Time) {
        let (zone, address) = (destination.zone, destination.address());
        self.change(|list| list.guard(zone, address, mss, until, now));
    }

    pub(super) fn set_cookie(&mut self, context: &Context) {
        self.change(|list| list.set_cookie(context));
    }

    /// SYNs that were answered since this was last asked, by destination.
    pub(super) fn take_answered(&mut self) -> Vec<(Place, u64)> {
        let mut answered = Vec::new();
        self.change(|list| {
            answered = list.take_answered()?;
            Ok(())
        });
        let place = |(zone, address, syns)| (Place::of(zone, address), syns);
        answered.into_iter().map(place).collect()
    }

    /// Forgets what has ended.
    pub(super) fn expire(&mut self, now: Time) {
        self.change(|list| list.expire(now));
    }

    fn change(&mut self, change: impl FnOnce(&mut BlockList) -> Result<(), Error>) {
        if let Some(Err(error)) = self.list.as_mut().map(change) {
            tracing::error!(%error, "the XDP program's lists of sources and destinations may be out of date");
        }
    }
}
