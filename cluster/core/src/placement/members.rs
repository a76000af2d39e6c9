//! Who may be given slots.

use std::fmt;
use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use crate::NodeId;
use crate::limits::{MEMBERS_MAX, WEIGHT_MAX};

/// A member, as the placement sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub node: NodeId,
    /// How much it can do beside the others. 0: it is given nothing.
    pub weight: u16,
    /// What may fail together with others that have the same number; none: itself alone.
    pub rack: Option<u16>,
    /// Whether it is there, and is to stay.
    pub state: State,
}

/// Whether a member is there, and is to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is there.
    In,
    /// It is there, and is to be given nothing any more. What it has goes in an orderly way.
    Draining,
    /// It is dead, or has left: its backups have taken over.
    Gone,
}

/// All members, in the order of their numbers, and the key of the choice among them.
#[derive(Clone, PartialEq, Eq)]
pub struct Members {
    secret: [u64; 2],
    list: Vec<Member>,
}

/// Why these are no members of one cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembersError {
    /// More than a cluster has.
    TooMany {
        /// So many.
        count: usize,
    },
    /// One number twice.
    Twice {
        /// This one.
        node: NodeId,
    },
    /// A weight above the highest.
    Weight {
        /// Whose.
        node: NodeId,
        /// It.
        weight: u16,
    },
}

/// Who is given slots: a member that is in and has a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seat {
    pub(super) node: NodeId,
    pub(super) weight: u64,
    /// Among the seats' racks, from 0.
    pub(super) rack: usize,
}

impl Members {
    /// Members in any order.
    ///
    /// # Errors
    /// They are those of no cluster.
    pub fn new(secret: [u64; 2], members: &[Member]) -> Result<Self, MembersError> {
        if members.len() > MEMBERS_MAX {
            return Err(MembersError::TooMany { count: members.len() });
        }
        let mut list = members.to_vec();
        list.sort_by_key(|it| it.node);
        if let Some(pair) = list.windows(2).find(|pair| pair[0].node == pair[1].node) {
            return Err(MembersError::Twice { node: pair[0].node });
        }
        match list.iter().find(|it| it.weight > WEIGHT_MAX) {
            Some(it) => Err(MembersError::Weight { node: it.node, weight: it.weight }),
            None => Ok(Self { secret, list }),
        }
    }

    /// In the order of their numbers.
    #[must_use]
    pub fn list(&self) -> &[Member] {
        &self.list
    }

    pub(super) const fn secret(&self) -> [u64; 2] {
        self.secret
    }

    /// Whether it lives, as far as the log knows. Who is not named is gone.
    pub(super) fn lives(&self, node: NodeId) -> bool {
        self.list.iter().any(|it| it.node == node && it.state != State::Gone)
    }

    /// Who is given slots. If nobody is in, those that drain go on: a firewall that is to be drained is
    /// better than none.
    pub(super) fn seats(&self) -> Vec<Seat> {
        let of = |state| move |it: &&Member| it.state == state && it.weight > 0;
        let mut seated: Vec<Member> = self.list.iter().filter(of(State::In)).copied().collect();
        if seated.is_empty() {
            seated = self.list.iter().filter(of(State::Draining)).copied().collect();
        }
        let rack_of = |it: &Member| it.rack.map_or((1, it.node.0), |rack| (0, rack));
        let mut racks: Vec<_> = seated.iter().map(rack_of).collect();
        racks.sort_unstable();
        racks.dedup();
        let seat = |it: &Member| Seat {
            node: it.node,
            weight: u64::from(it.weight),
            rack: racks.binary_search(&rack_of(it)).expect("each one's rack is among all"),
        };
        seated.iter().map(seat).collect()
    }
}

/// A digest of the seats: a table that was settled for the same ones stays as it is. Keyed by nothing, for
/// it guards against nobody.
pub(super) fn digest(seats: &[Seat]) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(0, 0);
    for seat in seats {
        hasher.write(&seat.node.0.to_be_bytes());
        hasher.write(&seat.weight.to_be_bytes());
        hasher.write(&[seat.rack as u8]);
    }
    hasher.finish()
}

impl fmt::Debug for Members {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.list).finish()
    }
}

impl fmt::Display for MembersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany { count } => write!(f, "{count} members; there may be {MEMBERS_MAX}"),
            Self::Twice { node } => write!(f, "node {node} is named twice"),
            Self::Weight { node, weight } => {
                write!(f, "node {node} has weight {weight}; the highest is {WEIGHT_MAX}")
            }
        }
    }
}

impl std::error::Error for MembersError {}
