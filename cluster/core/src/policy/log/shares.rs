//! Who has which slot, as it follows from the entries: they say weights, racks and states, never a table.

#[cfg(test)]
mod tests;

use super::Cluster;
use super::outcome::{Changed, Refusal};
use crate::NodeId;
use crate::limits::WEIGHT_MAX;
use crate::membership::Kind;
use crate::placement::{Member, Members, Table};
use crate::policy::{Line, Secret};

/// The secret by which slots are given to nodes: 16 bytes, derived from the cluster's own.
pub const PLACEMENT_KEY: &str = "placement";

impl Cluster {
    /// Who has which slot; nothing before somebody has a share, as where all follows the addresses.
    #[must_use]
    pub const fn table(&self) -> Option<&Table> {
        self.table.as_ref()
    }

    /// The part that a member has in the placement of slots.
    #[must_use]
    pub fn share(&self, node: NodeId) -> Option<Member> {
        self.shares.get(&node).copied()
    }

    /// Those that have a part in it; nothing without a key.
    #[must_use]
    pub fn placed(&self) -> Option<Members> {
        let key = self.secrets.get(&Line::cut(PLACEMENT_KEY)).and_then(key)?;
        let list: Vec<Member> = self.shares.values().copied().collect();
        Members::new(key, &list).ok()
    }

    /// All of them or none.
    pub(super) fn set_shares(&mut self, shares: &[Member]) -> Result<Changed, Refusal> {
        for share in shares {
            self.check(*share)?;
        }
        if self.placed().is_none() {
            return Err(Refusal::NoPlacementKey {});
        }
        self.shares.extend(shares.iter().map(|it| (it.node, *it)));
        self.table.get_or_insert_default();
        self.place();
        let placement = self.table.as_ref().map_or(0, Table::version);
        Ok(Changed::Shares { placement })
    }

    fn check(&self, share: Member) -> Result<(), Refusal> {
        let node = share.node;
        match self.members.get(&node).map(|it| it.kind) {
            None => Err(Refusal::NoSuchMember { node }),
            Some(Kind::Witness) => Err(Refusal::Witness { node }),
            Some(Kind::Firewall) if share.weight > WEIGHT_MAX => Err(Refusal::Weight { node }),
            Some(Kind::Firewall) => Ok(()),
        }
    }

    /// Who is no firewall of the cluster any more has no share either.
    pub(super) fn keep_shares(&mut self) {
        let members = &self.members;
        let firewall =
            |node: &NodeId| members.get(node).is_some_and(|it| it.kind == Kind::Firewall);
        self.shares.retain(|node, _| firewall(node));
        self.place();
    }

    /// The next table, if there is one at all.
    fn place(&mut self) {
        // Shares are those of members, each once, with weights that were checked; and once there is a table,
        // its key stays.
        let Some(members) = self.placed() else { return };
        self.table = self.table.take().map(|table| table.next(&members).0);
    }
}

/// The key in a secret, if it is one.
pub(super) fn key(secret: &Secret) -> Option<[u64; 2]> {
    let bytes: [u8; 16] = secret.expose().try_into().ok()?;
    let both = u128::from_be_bytes(bytes);
    Some([(both >> 64) as u64, both as u64])
}
