//! How well a node could own: what lowers it, and whether its replicas are complete.

use core::fmt;

/// What lowers a node, bit by bit. The low byte impairs: such a node owns if no better one is there.
/// The high byte disables. So an older node judges a newer one's bits rightly without knowing them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fitness(pub u16);

/// What [`Fitness`] comes to; higher is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Cannot own.
    Unable,
    /// Can own if no better node is there.
    Impaired,
    /// Nothing is known against it.
    Fit,
}

/// Whether a node's replicas are complete, and if not, why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Readiness {
    /// The bulk sync is complete, or there was nothing to sync.
    Ready = 0,
    /// The bulk sync's deadline has passed; what is here is what there is.
    DeadlinePassed = 1,
    /// The bulk sync has not begun.
    #[default]
    BulkWaiting = 2,
    /// The bulk sync is under way.
    BulkRunning = 3,
}

impl Fitness {
    /// Nothing is known against the node.
    pub const FIT: Self = Self(0);
    /// A tracked port has no link.
    pub const PORT_DOWN: Self = Self(1);
    /// A tracked target does not answer.
    pub const TARGET_UNREACHABLE: Self = Self(1 << 1);
    /// The disk does not note down what it is given.
    pub const DISK_FAILED: Self = Self(1 << 2);
    /// A worker does not move.
    pub const WORKERS_STUCK: Self = Self(1 << 8);
    /// The operator took the node out of service.
    pub const DRAINED: Self = Self(1 << 9);
    /// The node only votes.
    pub const WITNESS: Self = Self(1 << 10);
    /// The daemon is about to end: a peer takes over at once.
    pub const STOPPING: Self = Self(1 << 11);
    /// The node may not begin to forward under any policy, or cannot run the newest one.
    pub const POLICY: Self = Self(1 << 12);

    /// Others of the cluster know of members that this node does not know of: its idea of a majority is old.
    pub const MEMBERS: Self = Self(1 << 13);

    /// The node was taken out of the cluster.
    pub const REMOVED: Self = Self(1 << 14);

    /// Every known reason, with its name.
    pub const NAMES: [(Self, &'static str); 10] = [
        (Self::PORT_DOWN, "port-down"),
        (Self::TARGET_UNREACHABLE, "target-unreachable"),
        (Self::DISK_FAILED, "disk-failed"),
        (Self::WORKERS_STUCK, "workers-stuck"),
        (Self::DRAINED, "drained"),
        (Self::WITNESS, "witness"),
        (Self::STOPPING, "stopping"),
        (Self::POLICY, "policy"),
        (Self::MEMBERS, "members"),
        (Self::REMOVED, "removed"),
    ];

    /// Both sets of reasons.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all reasons of `other` are among these.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// What it comes to.
    #[must_use]
    pub const fn class(self) -> Class {
        match self.0.to_be_bytes() {
            [0, 0] => Class::Fit,
            [0, _] => Class::Impaired,
            [_, _] => Class::Unable,
        }
    }
}

impl fmt::Display for Fitness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut known = Self::NAMES.iter().filter(|(reason, _)| self.has(*reason));
        let Some((_, first)) = known.next() else {
            return f.write_str(if self.0 == 0 { "fit" } else { "unknown" });
        };
        f.write_str(first)?;
        known.try_for_each(|(_, name)| write!(f, ", {name}"))
    }
}

impl Readiness {
    /// Whether the node may be given the ownership by a living owner.
    #[must_use]
    pub const fn is_ready(self) -> bool {
        match self {
            Self::Ready | Self::DeadlinePassed => true,
            Self::BulkWaiting | Self::BulkRunning => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_byte_decides_the_class_also_of_unknown_reasons() {
        assert_eq!(Fitness::FIT.class(), Class::Fit);
        for bit in 0..16 {
            let wanted = if bit < 8 { Class::Impaired } else { Class::Unable };
            assert_eq!(Fitness(1 << bit).class(), wanted);
        }
        assert_eq!(Fitness::PORT_DOWN.and(Fitness::DRAINED).class(), Class::Unable);
        assert!(Class::Unable < Class::Impaired && Class::Impaired < Class::Fit);
    }

    #[test]
    fn reasons_have_names() {
        assert_eq!(Fitness::FIT.to_string(), "fit");
        assert_eq!(Fitness(1 << 15).to_string(), "unknown");
        let two = Fitness::PORT_DOWN.and(Fitness::WORKERS_STUCK);
        assert_eq!(two.to_string(), "port-down, workers-stuck");
    }
}
