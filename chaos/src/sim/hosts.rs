//! The hosts at both sides of the firewall: they know what they must see, and believe what the
//! segment tells them about who has the gateway's address.

pub(crate) mod echo;
pub(crate) mod forger;
pub(crate) mod frame;
pub(crate) mod tcp;

use wire::Time;

/// What a host believes of its gateway.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Neighbourhood {
    /// The node that announced the address last.
    pub(crate) gateway: Option<usize>,
    /// When the host asked last.
    asked: Option<Time>,
}

/// Shortest time between two questions (RFC 4861 §10 `RETRANS_TIMER`).
const ASK_AGAIN: core::time::Duration = core::time::Duration::from_secs(1);

impl Neighbourhood {
    /// Whether the host asks now, if it has a reason to.
    pub(crate) fn asks(&mut self, now: Time) -> bool {
        let rests = self.asked.is_some_and(|at| now.since(at) < ASK_AGAIN);
        if !rests {
            self.asked = Some(now);
        }
        !rests
    }
}
