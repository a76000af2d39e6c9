//! The judge's part in ICMP errors.

use config::WindowCheck;
use wire::{Packet, Transport};

use super::{Change, Judge, Located, Outcome, Plan, Stage, Watch};
use crate::session::{Peer, Session};
use crate::{Anomaly, Reason, State};

impl Judge<'_> {
    /// An ICMP error: it passes because of the session that its embedded packet belongs to.
    pub(super) fn related(&self, live: Option<Located<'_>>, watch: &mut impl Watch) -> Plan {
        let ends = |session: &Session| self.engine.replication.ends(session);
        let alive = live.filter(|(_, session)| ends(session) > self.now);
        let valid = alive.and_then(|(found, session)| {
            let (_, direction) = self.keyed.flow?;
            let sender = self.engine.quoted_sender(found, session, direction)?;
            self.fits(session, sender).then_some((found.0, session, sender))
        });
        let Some((handle, session, sender)) = valid else {
            watch.stage(Stage::Lookup, || "an ICMP error about no session".to_owned());
            return Plan::invalid(Reason::IcmpUnrelated);
        };
        watch.stage(Stage::Lookup, || "an ICMP error about a session".to_owned());
        let outcome = self.route_of_error(handle, session, sender, watch);
        let passes = matches!(outcome, Outcome::Forward(_));
        let odd = passes.then(|| self.unreachable(session, sender)).flatten();
        let relay = passes.then(|| self.quoted(handle, session, sender)).flatten();
        let session = odd.map_or(Change::None, |anomaly| Change::Unreachable { handle, anomaly });
        Plan { state: State::Related, session, relay, ..Plan::bare(outcome) }
    }

    /// What the ICMP error in hand, which is about `session`, says for the first time.
    fn unreachable(&self, session: &Session, sender: Peer) -> Option<Anomaly> {
        let Transport::Icmp(error) = &self.packet.body else { return None };
        Anomaly::of_error(session, sender, self.packet.version, error)
    }

    /// Whether the packet embedded in this ICMP error was sent within `session`: of TCP, its sequence
    /// number must be one that may still be on its way (RFC 5927 §4.1).
    fn fits(&self, session: &Session, sender: Peer) -> bool {
        let Ok(embedded) = Packet::parse_embedded(self.frame, self.packet) else { return false };
        // An error goes to the sender of the packet it is about, and to nobody else.
        if embedded.source != self.packet.destination {
            return false;
        }
        let check = self.engine.tracking.tcp_window == WindowCheck::Check;
        let sequence = embedded.tcp_sequence.filter(|_| check);
        sequence.is_none_or(|sequence| session.tcp.has_in_flight(sender, sequence))
    }
}
