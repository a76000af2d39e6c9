//! Which ports of public addresses a node gives anew. As long as its lease rests on its peer's word, nobody
//! else gives any. A node that is alone may have a peer that thinks the same: then each gives from a half of
//! its own, and goes on so after they have met until it knows what the other one gave.

use std::time::Duration;

use engine::nat::Half;
use wire::Time;

use crate::NodeId;
use crate::limits::HALF_KEPT;

/// The half of a node of a pair.
#[derive(Clone, Copy, Debug)]
pub struct Halves {
    own: Half,
    /// Since when it is not alone any more; `None` while it is.
    met: Option<Time>,
    half: Half,
}

impl Halves {
    /// Of a node that has just started, which knows of nobody.
    #[must_use]
    pub const fn new(own: NodeId, peer: NodeId) -> Self {
        let own = if own.0 < peer.0 { Half::Low } else { Half::High };
        Self { own, met: None, half: own }
    }

    /// The half of its own.
    #[must_use]
    pub const fn own(&self) -> Half {
        self.own
    }

    /// What it gives from now on. `complete`: its replicas are all that the peer has.
    pub fn at(&mut self, alone: bool, complete: bool, now: Time) -> Half {
        if alone {
            (self.met, self.half) = (None, self.own);
            return self.half;
        }
        let met = *self.met.get_or_insert(now);
        if complete && now.since(met) >= HALF_KEPT {
            self.half = Half::Both;
        }
        self.half
    }

    /// When it changes if nothing else does.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        let kept: Duration = HALF_KEPT;
        self.met.filter(|_| self.half != Half::Both).map(|met| met + kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_alone_keeps_to_its_half_until_it_knows_what_the_other_gave() {
        let at = |seconds: u64| Time::from_secs(100 + seconds);
        let mut low = Halves::new(NodeId(1), NodeId(2));
        let mut high = Halves::new(NodeId(2), NodeId(1));
        assert_eq!(
            [low.at(true, true, at(0)), high.at(true, false, at(0))],
            [Half::Low, Half::High]
        );
        assert_eq!(low.at(false, false, at(1)), Half::Low);
        assert_eq!(low.at(false, true, at(2)), Half::Low, "the peer may have just been heard");
        assert_eq!(low.next_deadline(), Some(at(1) + HALF_KEPT));
        assert_eq!(low.at(false, false, at(60)), Half::Low, "not all is known");
        assert_eq!(low.at(false, true, at(61)), Half::Both);
        assert_eq!(low.next_deadline(), None);
        assert_eq!(low.at(false, false, at(62)), Half::Both, "another bulk changes nothing");
        assert_eq!(low.at(true, true, at(63)), Half::Low);
    }
}
