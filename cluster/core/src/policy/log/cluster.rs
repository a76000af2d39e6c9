//! What the cluster knows of itself beside its policy.

use std::collections::BTreeMap;

use super::command::{Member, Placement};
use super::outcome::{Changed, Refusal};
use crate::NodeId;
use crate::limits::{MEMBERS_MAX, SECRETS_MAX, SETTINGS_MAX, ZONES_NUMBERED};
use crate::policy::{Line, Secret};

/// Members, zones, placement, settings, secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    pub(in crate::policy) generation: u64,
    pub(in crate::policy) members: BTreeMap<NodeId, Member>,
    pub(in crate::policy) zones: BTreeMap<Line, u16>,
    pub(in crate::policy) placement: Placement,
    pub(in crate::policy) settings: BTreeMap<Line, Line>,
    pub(in crate::policy) secrets: BTreeMap<Line, Secret>,
}

impl Cluster {
    /// Counts the times that one node went on alone for good. A node of an older one cannot come back.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// The members by their number.
    #[must_use]
    pub const fn members(&self) -> &BTreeMap<NodeId, Member> {
        &self.members
    }

    /// The numbers of zones, from 1.
    #[must_use]
    pub const fn zones(&self) -> &BTreeMap<Line, u16> {
        &self.zones
    }

    /// Who owns, as far as it is recorded.
    #[must_use]
    pub const fn placement(&self) -> Placement {
        self.placement
    }

    /// A setting.
    #[must_use]
    pub fn setting(&self, key: &Line) -> Option<&Line> {
        self.settings.get(key)
    }

    /// A secret.
    #[must_use]
    pub fn secret(&self, name: &Line) -> Option<&Secret> {
        self.secrets.get(name)
    }

    pub(super) fn set_member(&mut self, node: NodeId, member: &Member) -> Result<Changed, Refusal> {
        put(&mut self.members, node, Some(member.clone()), MEMBERS_MAX)?;
        Ok(Changed::Member { node })
    }

    pub(super) fn remove_member(&mut self, node: NodeId) -> Result<Changed, Refusal> {
        let gone = self.members.remove(&node);
        gone.map(|_| Changed::Left { node }).ok_or(Refusal::NoSuchMember { node })
    }

    /// All of them or none.
    pub(super) fn number_zones(&mut self, names: &[Line]) -> Result<Changed, Refusal> {
        let mut zones = self.zones.clone();
        for name in names {
            let next = zones.len() + 1;
            zones.entry(name.clone()).or_insert(u16::try_from(next).unwrap_or(u16::MAX));
        }
        if zones.len() > ZONES_NUMBERED {
            return Err(Refusal::Full {});
        }
        self.zones = zones;
        let numbered = u16::try_from(self.zones.len()).unwrap_or(u16::MAX);
        Ok(Changed::Zones { numbered })
    }

    pub(super) fn set_placement(&mut self, placement: Placement) -> Result<Changed, Refusal> {
        if placement.term <= self.placement.term {
            return Err(Refusal::StaleTerm { term: self.placement.term });
        }
        self.placement = placement;
        Ok(Changed::Placement { term: placement.term })
    }

    pub(super) fn set_setting(
        &mut self,
        key: &Line,
        value: Option<&Line>,
    ) -> Result<Changed, Refusal> {
        put(&mut self.settings, key.clone(), value.cloned(), SETTINGS_MAX)?;
        Ok(Changed::Setting { key: key.clone() })
    }

    pub(super) fn set_secret(
        &mut self,
        name: &Line,
        secret: Option<&Secret>,
    ) -> Result<Changed, Refusal> {
        put(&mut self.secrets, name.clone(), secret.cloned(), SECRETS_MAX)?;
        Ok(Changed::Secret { name: name.clone() })
    }

    pub(super) fn recover(&mut self, generation: u64, node: NodeId) -> Result<Changed, Refusal> {
        if generation <= self.generation {
            return Err(Refusal::StaleGeneration { generation: self.generation });
        }
        if !self.members.contains_key(&node) {
            return Err(Refusal::NoSuchMember { node });
        }
        self.generation = generation;
        self.members.retain(|it, _| *it == node);
        Ok(Changed::Recovered { generation })
    }
}

/// Sets or removes an entry of a map that has a limit.
fn put<K: Ord, V>(
    map: &mut BTreeMap<K, V>,
    key: K,
    value: Option<V>,
    max: usize,
) -> Result<(), Refusal> {
    let Some(value) = value else {
        map.remove(&key);
        return Ok(());
    };
    if map.len() >= max && !map.contains_key(&key) {
        return Err(Refusal::Full {});
    }
    map.insert(key, value);
    Ok(())
}
