//! What the cluster knows of itself beside its policy.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::command::{Member, Placement};
use super::outcome::{Changed, Refusal};
use super::shares::{PLACEMENT_KEY, key};
use crate::NodeId;
use crate::limits::{LISTS_KEPT, MEMBERS_MAX, SECRETS_MAX, SETTINGS_MAX, ZONES_NUMBERED};
use crate::membership::Kind;
use crate::placement::{self, Table};
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
    /// What members have a part in the placement of slots, and how.
    pub(in crate::policy) shares: BTreeMap<NodeId, placement::Member>,
    /// Who has which slot, since somebody has a share.
    pub(in crate::policy) table: Option<Table>,
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

    /// How often it has changed who belongs to the cluster.
    #[must_use]
    pub fn list(&self) -> u32 {
        let list = self.settings.get(&Line::cut(LIST));
        let counted = list.and_then(|text| text.as_str().parse().ok());
        // A log of before this was counted: as many times as members came to it.
        counted.unwrap_or(self.members.len() as u32)
    }

    /// Who belonged to it by each of the last lists, this one among them, by their numbers.
    #[must_use]
    pub fn lists(&self) -> BTreeMap<u32, BTreeSet<NodeId>> {
        let list = |(key, text): (&Line, &Line)| {
            let number = key.as_str().strip_prefix(LIST)?.strip_prefix(' ')?.parse().ok()?;
            let nodes = text.as_str().split(' ').filter_map(|node| node.parse().ok().map(NodeId));
            Some((number, nodes.collect()))
        };
        self.settings.iter().filter_map(list).collect()
    }

    /// Who has papers, and is no member before it has learned all.
    #[must_use]
    pub fn invited(&self) -> BTreeMap<NodeId, Invitation> {
        let invited = |(node, text): (NodeId, &str)| Some((node, Invitation::read(text)?));
        self.notes().filter_map(invited).collect()
    }

    /// Who was a member, or was to be one, and has left for good.
    #[must_use]
    pub fn gone(&self) -> BTreeSet<NodeId> {
        self.notes().filter(|(_, text)| *text == GONE).map(|(node, _)| node).collect()
    }

    /// Who is a member, and is to be none: it forwards nothing, and then it votes no more.
    #[must_use]
    pub fn leaving(&self) -> BTreeSet<NodeId> {
        self.notes().filter(|(_, text)| *text == LEAVING).map(|(node, _)| node).collect()
    }

    /// What the settings say of nodes.
    fn notes(&self) -> impl Iterator<Item = (NodeId, &str)> {
        self.settings.iter().filter_map(|(key, text)| {
            let node = key.as_str().strip_prefix(NOTE)?.parse().ok()?;
            Some((NodeId(node), text.as_str()))
        })
    }

    pub(super) fn set_member(&mut self, node: NodeId, member: &Member) -> Result<Changed, Refusal> {
        let counts = self.members.get(&node).map(|known| known.kind) != Some(member.kind);
        let next = self.next_list(counts, 0)?;
        put(&mut self.members, node, Some(member.clone()), MEMBERS_MAX)?;
        if !self.leaving().contains(&node) {
            self.settings.remove(&note_key(node));
        }
        self.count_list(next);
        self.keep_shares();
        Ok(Changed::Member { node })
    }

    pub(super) fn remove_member(&mut self, node: NodeId) -> Result<Changed, Refusal> {
        let named = self.members.contains_key(&node);
        if !named && !self.invited().contains_key(&node) {
            return Err(Refusal::NoSuchMember { node });
        }
        let next = self.next_list(named, 1)?;
        self.members.remove(&node);
        self.settings.insert(note_key(node), Line::cut(GONE));
        self.count_list(next);
        self.keep_shares();
        Ok(Changed::Left { node })
    }

    /// The number of the next list, if there is to be one and there is room for that, and for more notes.
    fn next_list(&self, counts: bool, notes: usize) -> Result<Option<u32>, Refusal> {
        let room = SETTINGS_MAX.saturating_sub(self.settings.len());
        let needed = notes + if counts { LIST_SETTINGS } else { 0 };
        if room < needed {
            return Err(Refusal::Full {});
        }
        Ok(counts.then(|| self.list().saturating_add(1)))
    }

    /// Who is a member now is the list of this number.
    fn count_list(&mut self, number: Option<u32>) {
        let Some(number) = number else { return };
        let nodes: Vec<String> = self.members.keys().map(ToString::to_string).collect();
        self.settings.insert(Line::cut(LIST), Line::cut(&number.to_string()));
        self.settings.insert(list_key(number), Line::cut(&nodes.join(" ")));
        if let Some(forgotten) = number.checked_sub(LISTS_KEPT) {
            self.settings.remove(&list_key(forgotten));
        }
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
        let node = key.as_str().strip_prefix(NOTE).and_then(|node| node.parse().ok().map(NodeId));
        let leaves = value.is_some_and(|text| text.as_str() == LEAVING);
        match node.map(|node| (node, self.members.contains_key(&node))) {
            Some((node, false)) if leaves => return Err(Refusal::NoSuchMember { node }),
            // Who is named needs no invitation, and who leaves goes.
            Some((_, true)) if !leaves => {}
            Some(_) | None => {
                put(&mut self.settings, key.clone(), value.cloned(), SETTINGS_MAX)?;
            }
        }
        Ok(Changed::Setting { key: key.clone() })
    }

    pub(super) fn set_secret(
        &mut self,
        name: &Line,
        secret: Option<&Secret>,
    ) -> Result<Changed, Refusal> {
        if name.as_str() == PLACEMENT_KEY && self.table.is_some() && secret.and_then(key).is_none()
        {
            return Err(Refusal::NoPlacementKey {});
        }
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
        let others: Vec<NodeId> = self.members.keys().copied().filter(|it| *it != node).collect();
        let next = self.next_list(true, others.len())?;
        self.generation = generation;
        self.members.retain(|it, _| *it == node);
        self.settings.remove(&note_key(node));
        for gone in others {
            self.settings.insert(note_key(gone), Line::cut(GONE));
        }
        self.count_list(next);
        self.keep_shares();
        Ok(Changed::Recovered { generation })
    }
}

/// A node that was given papers: what it is to be, and where it listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// What it is for.
    pub kind: Kind,
    /// Where it listens for the others.
    pub address: SocketAddr,
}

impl Invitation {
    /// The setting that says so: its key and its value.
    #[must_use]
    pub fn setting(&self, node: NodeId) -> (Line, Line) {
        let kind = match self.kind {
            Kind::Firewall => FIREWALL,
            Kind::Witness => WITNESS,
        };
        (note_key(node), Line::cut(&format!("{INVITED} {kind} {}", self.address)))
    }

    fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (INVITED, kind, address) = (words.next()?, words.next()?, words.next()?) else {
            return None;
        };
        let kind = match kind {
            FIREWALL => Kind::Firewall,
            WITNESS => Kind::Witness,
            _ => return None,
        };
        Some(Self { kind, address: address.parse().ok()? })
    }
}

/// Settings of which the log takes care by itself: the number of the list, the last lists by their numbers,
/// and what is noted of nodes.
const LIST: &str = "members";
const NOTE: &str = "member ";
const GONE: &str = "gone";
const LEAVING: &str = "leaving";
const INVITED: &str = "invited";
const FIREWALL: &str = "firewall";
const WITNESS: &str = "witness";

/// Settings that a new list may need: its number, and itself.
const LIST_SETTINGS: usize = 2;

fn note_key(node: NodeId) -> Line {
    Line::cut(&format!("{NOTE}{node}"))
}

fn list_key(number: u32) -> Line {
    Line::cut(&format!("{LIST} {number}"))
}

/// The setting that says that a member is to leave: its key and its value.
#[must_use]
pub fn leave(node: NodeId) -> (Line, Line) {
    (note_key(node), Line::cut(LEAVING))
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
