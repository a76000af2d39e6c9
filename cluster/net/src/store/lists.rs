//! Which members this node goes by: what its papers said first, and then what the cluster's log says.
//!
//! | the log | this node's papers | it goes by |
//! |---|---|---|
//! | does not name this node yet | of its joining | those, and for a lease the others' list, too |
//! | names it, and not all that the founder knows from files | of the founder | what the files say |
//! | names it | | the log's list, and all between that and its last one until all go by it |

use std::collections::{BTreeMap, BTreeSet};

use cluster_core::NodeId;
use cluster_core::limits::LISTS_KEPT;
use redb::{ReadableTable, WriteTransaction};

use super::{
    FOUNDER, MEMBER_LIST, Member, NUMBERS, Standing, Store, StoreError, TEXTS, members, storage,
};
use crate::limits::MEMBERS;

/// Where among the texts it stands: number of the list; its members; those of each earlier one.
const ELECTORATE: &str = "electorate";

/// Among the numbers: whether this node has left.
const OUT: &str = "out";

/// Who votes for a lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Electorate {
    /// Which list of the log it is; 0: none yet.
    pub version: u32,
    /// Its members.
    pub members: BTreeSet<NodeId>,
    /// Earlier lists by which others may still go.
    pub earlier: Vec<BTreeSet<NodeId>>,
}

/// The members, as the log has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    /// Counts the lists of the log.
    pub version: u32,
    /// Who belongs to the cluster.
    pub members: BTreeMap<NodeId, Member>,
    /// Who belonged to it by the last lists, this one among them.
    pub lists: BTreeMap<u32, BTreeSet<NodeId>>,
    /// Who has papers, and does not yet.
    pub invited: BTreeMap<NodeId, Member>,
    /// Who belongs to it, and is about to leave: it forwards no more.
    pub leaving: BTreeSet<NodeId>,
    /// Who has left.
    pub gone: BTreeSet<NodeId>,
}

impl Roster {
    /// Whether a node is to forward no more.
    #[must_use]
    pub fn puts_out(&self, node: NodeId) -> bool {
        let gone = self.gone.contains(&node) && !self.members.contains_key(&node);
        gone || self.leaving.contains(&node)
    }
}

/// What a node knows after a look at the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// Who votes.
    pub electorate: Electorate,
    /// Whether it has missed so many lists that it cannot go by the log's.
    pub is_behind: bool,
    /// Whose certificates are good, this node's among them.
    pub trusted: BTreeMap<NodeId, Member>,
    /// Whether this node has left, or is about to.
    pub is_out: bool,
}

impl Store {
    /// Who votes, as far as this node knows at its start. What the papers say counts as it is now until the
    /// log says more: who joins meanwhile does not vote by them.
    ///
    /// # Errors
    /// If it cannot be read or remembered.
    pub fn electorate(&mut self) -> Result<Electorate, StoreError> {
        self.write(|transaction| {
            let numbers = transaction.open_table(NUMBERS).map_err(storage)?;
            let all = members(&transaction.open_table(MEMBER_LIST).map_err(storage)?)?;
            let mut texts = transaction.open_table(TEXTS).map_err(storage)?;
            if let Some(known) = noted(&texts)?.filter(|known| known.version > 0) {
                return Ok(known);
            }
            let papers = of_papers(&numbers, &all)?;
            texts.insert(ELECTORATE, papers.text().as_str()).map_err(storage)?;
            Ok(papers)
        })
    }

    /// Whether this node has left its cluster, as far as it knows.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn is_out(&self) -> Result<bool, StoreError> {
        self.read(|transaction| {
            let numbers = transaction.open_table(NUMBERS).map_err(storage)?;
            Ok(numbers.get(OUT).map_err(storage)?.is_some_and(|it| it.value() != 0))
        })
    }

    /// Takes over what the log says. What is returned is on the disk.
    ///
    /// # Errors
    /// If there are too many, or the disk.
    pub fn note_roster(&mut self, own: NodeId, roster: &Roster) -> Result<Noted, StoreError> {
        self.write(|transaction| {
            let mut table = transaction.open_table(MEMBER_LIST).map_err(storage)?;
            // What the papers say is looked at before the log changes it.
            let before = members(&table)?;
            let trusted = trust(&before, own, roster)?;
            for (node, member) in trusted.iter().filter(|(node, it)| before.get(node) != Some(it)) {
                table.insert(node.0, &member.to_bytes()[..]).map_err(storage)?;
            }
            let (electorate, is_behind) = elect(transaction, &before, own, roster)?;
            let is_member = |(_, it): &(&NodeId, &Member)| it.standing == Standing::Member;
            let trusted = trusted.iter().filter(is_member).map(|(node, it)| (*node, it.clone()));
            let is_out = note_out(transaction, own, roster)?;
            Ok(Noted { electorate, is_behind, trusted: trusted.collect(), is_out })
        })
    }

    /// Everybody goes by this list or a later one: earlier ones count no more.
    ///
    /// # Errors
    /// If it cannot be remembered.
    pub fn settle_electorate(&mut self, version: u32) -> Result<(), StoreError> {
        self.write(|transaction| {
            let mut texts = transaction.open_table(TEXTS).map_err(storage)?;
            // What the papers say is asked of them again at the next start.
            let known = noted(&texts)?.filter(|known| known.version == version);
            if let Some(known) = known.filter(|known| !known.earlier.is_empty()) {
                let settled = Electorate { earlier: Vec::new(), ..known };
                texts.insert(ELECTORATE, settled.text().as_str()).map_err(storage)?;
            }
            Ok(())
        })
    }
}

/// What was noted of who votes.
fn noted(
    texts: &impl ReadableTable<&'static str, &'static str>,
) -> Result<Option<Electorate>, StoreError> {
    let text = texts.get(ELECTORATE).map_err(storage)?;
    text.map(|text| Electorate::read(text.value())).transpose()
}

/// What the papers alone say. The founder's first peers know no other list than its own; who joined later
/// knows that there is one of the others.
fn of_papers(
    numbers: &impl ReadableTable<&'static str, u64>,
    all: &BTreeMap<NodeId, Member>,
) -> Result<Electorate, StoreError> {
    let founder = numbers.get(FOUNDER).map_err(storage)?.is_some_and(|it| it.value() != 0);
    let own = numbers.get(super::NODE).map_err(storage)?.map(|it| it.value());
    let present = all.iter().filter(|(_, it)| it.standing == Standing::Member);
    let members: BTreeSet<NodeId> = present.map(|(node, _)| *node).collect();
    let others = members.iter().copied().filter(|node| Some(u64::from(node.0)) != own);
    let others: BTreeSet<NodeId> = others.collect();
    let earlier = if founder || others.is_empty() { Vec::new() } else { vec![others] };
    Ok(Electorate { version: 0, members, earlier })
}

/// Every row of the members as it is to be.
fn trust(
    before: &BTreeMap<NodeId, Member>,
    own: NodeId,
    roster: &Roster,
) -> Result<BTreeMap<NodeId, Member>, StoreError> {
    let mut rows = before.clone();
    for (node, told) in roster.members.iter().chain(&roster.invited) {
        let known = rows.get(node).is_some_and(|known| {
            let there = told.addresses.iter().all(|it| known.addresses.contains(it));
            (known.standing, known.kind) == (Standing::Member, told.kind) && there
        });
        if !known && *node != own {
            rows.insert(*node, told.clone());
        }
    }
    let stays = |node: &NodeId| {
        let comes = roster.members.contains_key(node) || roster.invited.contains_key(node);
        *node == own || comes
    };
    for node in roster.gone.iter().filter(|node| !stays(node)) {
        if let Some(row) = rows.get_mut(node) {
            row.standing = Standing::Retired;
        }
    }
    if rows.len() > MEMBERS { Err(StoreError::Full("members")) } else { Ok(rows) }
}

/// Whether this node is out: what was noted counts for as long as the log does not say otherwise.
fn note_out(
    transaction: &WriteTransaction,
    own: NodeId,
    roster: &Roster,
) -> Result<bool, StoreError> {
    let mut numbers = transaction.open_table(NUMBERS).map_err(storage)?;
    let known = numbers.get(OUT).map_err(storage)?.is_some_and(|it| it.value() != 0);
    let is_out = roster.puts_out(own) || known && !roster.members.contains_key(&own);
    if is_out != known {
        numbers.insert(OUT, u64::from(is_out)).map_err(storage)?;
    }
    Ok(is_out)
}

/// Who votes from now on, and whether that cannot be what the log says.
fn elect(
    transaction: &WriteTransaction,
    before: &BTreeMap<NodeId, Member>,
    own: NodeId,
    roster: &Roster,
) -> Result<(Electorate, bool), StoreError> {
    let mut texts = transaction.open_table(TEXTS).map_err(storage)?;
    let known = match noted(&texts)? {
        Some(known) => known,
        None => of_papers(&transaction.open_table(NUMBERS).map_err(storage)?, before)?,
    };
    let told: BTreeSet<NodeId> = roster.members.keys().copied().collect();
    let founds = known.version == 0 && known.earlier.is_empty();
    let waits =
        founds && !known.members.iter().all(|it| told.contains(it) || roster.gone.contains(it));
    if !told.contains(&own) || waits || roster.version <= known.version {
        return Ok((known, false));
    }
    // A founder that waited for the log to name all its files name went by none of those in between.
    let between = if founds { Some(known.clone()) } else { known.clone().through(roster) };
    let Some(next) = between.and_then(|it| it.then(roster.version, told)) else {
        return Ok((known, true));
    };
    texts.insert(ELECTORATE, next.text().as_str()).map_err(storage)?;
    Ok((next, false))
}

impl Electorate {
    /// By way of those that this node has missed: others may have gone by them, and may go by them yet. None:
    /// the log has forgotten one.
    fn through(self, roster: &Roster) -> Option<Self> {
        let (known, joins) = (self.version, self.version == 0);
        let missed =
            (known + 1..roster.version).filter(|version| !roster.lists.contains_key(version));
        // Who joins went by none of them, and hears of all that are members before it goes by its first.
        if !joins && missed.count() > 0 {
            return None;
        }
        let mut between = roster.lists.range(known + 1..roster.version);
        between.try_fold(self, |known, (version, list)| known.then(*version, list.clone()))
    }

    /// With another list. Those before it count until everybody goes by this one. None: those are too many.
    fn then(self, version: u32, members: BTreeSet<NodeId>) -> Option<Self> {
        let mut earlier = self.earlier;
        if !earlier.contains(&self.members) {
            earlier.push(self.members);
        }
        earlier.retain(|list| *list != members);
        let fits = earlier.len() <= LISTS_KEPT as usize;
        fits.then_some(Self { version, members, earlier })
    }

    fn text(&self) -> String {
        let list = |list: &BTreeSet<NodeId>| {
            list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        let lists = std::iter::once(&self.members).chain(&self.earlier).map(list);
        let fields = std::iter::once(self.version.to_string()).chain(lists);
        fields.collect::<Vec<_>>().join(";")
    }

    fn read(text: &str) -> Result<Self, StoreError> {
        let damaged = StoreError::Damaged("the list of who votes");
        let mut fields = text.split(';');
        let version = fields.next().and_then(|it| it.parse().ok());
        let list = |field: &str| -> Option<BTreeSet<NodeId>> {
            field.split_whitespace().map(|it| it.parse().ok().map(NodeId)).collect()
        };
        let lists: Option<Vec<_>> = fields.map(list).collect();
        let Some((version, mut lists)) = version.zip(lists).filter(|(_, it)| !it.is_empty()) else {
            return Err(damaged);
        };
        let members = lists.remove(0);
        Ok(Self { version, members, earlier: lists })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::seed;
    use super::*;

    fn list(nodes: &[u16]) -> BTreeSet<NodeId> {
        nodes.iter().copied().map(NodeId).collect()
    }

    fn member(node: u16) -> (NodeId, Member) {
        let address = std::net::SocketAddr::from(([10, 9, 0, node as u8], 7_400));
        (NodeId(node), Member::at(vec![address]))
    }

    /// Nodes came to it one after the other.
    fn roster(version: u32, members: &[u16], invited: &[u16], gone: &[u16]) -> Roster {
        let all = |nodes: &[u16]| nodes.iter().copied().map(member).collect();
        let lists = (1..=version).map(|it| (it, list(&members[..members.len().min(it as usize)])));
        Roster {
            version,
            members: all(members),
            lists: lists.collect(),
            invited: all(invited),
            leaving: BTreeSet::new(),
            gone: list(gone),
        }
    }

    fn electorate(version: u32, members: &[u16], earlier: &[&[u16]]) -> Electorate {
        let earlier = earlier.iter().map(|it| list(it)).collect();
        Electorate { version, members: list(members), earlier }
    }

    fn store(node: u16, members: &[u16], founder: bool) -> Store {
        let members = members.iter().copied().map(member).collect();
        let seed = super::super::Seed { node: NodeId(node), members, founder, ..seed() };
        Store::with_backend(super::super::tests::disk::Disk::new(), &seed).unwrap()
    }

    #[test]
    fn a_founder_goes_by_its_files_until_the_log_names_all_of_them() {
        let mut store = store(1, &[1, 2], true);
        assert_eq!(store.electorate().unwrap(), electorate(0, &[1, 2], &[]));
        let noted = store.note_roster(NodeId(1), &roster(1, &[1], &[], &[])).unwrap();
        assert_eq!(noted.electorate, electorate(0, &[1, 2], &[]), "not one alone, for a moment");
        let noted = store.note_roster(NodeId(1), &roster(2, &[1, 2], &[3], &[])).unwrap();
        assert_eq!(noted.electorate, electorate(2, &[1, 2], &[]));
        assert_eq!(noted.trusted.keys().copied().collect::<BTreeSet<_>>(), list(&[1, 2, 3]));
        // Known from files only, from now on, it votes when the log says so.
        store.add_member(NodeId(4), &member(4).1).unwrap();
        assert_eq!(store.electorate().unwrap(), electorate(2, &[1, 2], &[]));
        let noted = store.note_roster(NodeId(1), &roster(3, &[1, 2, 3], &[], &[])).unwrap();
        assert_eq!(noted.electorate, electorate(3, &[1, 2, 3], &[&[1, 2]]));
        assert_eq!(store.electorate().unwrap(), noted.electorate);
        store.settle_electorate(2).unwrap();
        assert_eq!(store.electorate().unwrap(), noted.electorate, "that was another one");
        store.settle_electorate(3).unwrap();
        assert_eq!(store.electorate().unwrap(), electorate(3, &[1, 2, 3], &[]));
    }

    #[test]
    fn who_joins_knows_that_the_others_have_a_list_of_their_own() {
        let mut store = store(3, &[1, 2, 3], false);
        assert_eq!(store.electorate().unwrap(), electorate(0, &[1, 2, 3], &[&[1, 2]]));
        let noted = store.note_roster(NodeId(3), &roster(2, &[1, 2], &[3], &[])).unwrap();
        assert_eq!(noted.electorate.version, 0, "it is not named yet");
        let noted = store.note_roster(NodeId(3), &roster(3, &[1, 2, 3], &[], &[])).unwrap();
        assert_eq!(noted.electorate, electorate(3, &[1, 2, 3], &[&[1], &[1, 2]]));
    }

    #[test]
    fn who_was_away_counts_the_lists_that_it_has_missed() {
        let mut store = store(1, &[1, 2], true);
        store.note_roster(NodeId(1), &roster(2, &[1, 2], &[], &[])).unwrap();
        let five = roster(5, &[1, 2, 3, 4, 5], &[], &[]);
        let noted = store.note_roster(NodeId(1), &five).unwrap();
        let all = electorate(5, &[1, 2, 3, 4, 5], &[&[1, 2], &[1, 2, 3], &[1, 2, 3, 4]]);
        assert_eq!(noted.electorate, all);
        let mut far = roster(9, &[1, 2], &[], &[3, 4, 5]);
        far.lists.remove(&6);
        let noted = store.note_roster(NodeId(1), &far).unwrap();
        assert!(noted.is_behind && !noted.trusted.contains_key(&NodeId(3)));
        assert_eq!([noted.electorate, store.electorate().unwrap()], [all.clone(), all]);
    }

    #[test]
    fn papers_count_as_they_were_at_the_start() {
        let mut store = store(1, &[1, 2], true);
        store.electorate().unwrap();
        store.add_member(NodeId(3), &member(3).1).unwrap();
        let noted = store.note_roster(NodeId(1), &roster(1, &[1], &[3], &[])).unwrap();
        assert_eq!(noted.electorate, electorate(0, &[1, 2], &[]));
        assert_eq!(store.electorate().unwrap(), electorate(0, &[1, 2, 3], &[]), "anew at a start");
    }

    #[test]
    fn who_has_left_is_not_trusted_and_knows_it() {
        let mut stays = store(1, &[1, 2, 3], true);
        stays.note_roster(NodeId(1), &roster(3, &[1, 2, 3], &[], &[])).unwrap();
        let left = roster(4, &[1, 2], &[], &[3]);
        let mut leaving = roster(3, &[1, 2, 3], &[], &[]);
        leaving.leaving.insert(NodeId(3));
        let noted = stays.note_roster(NodeId(1), &leaving).unwrap();
        assert!(noted.trusted.contains_key(&NodeId(3)), "until it has left");
        let noted = stays.note_roster(NodeId(1), &left).unwrap();
        assert_eq!(noted.electorate, electorate(4, &[1, 2], &[&[1, 2, 3]]));
        assert!(!noted.trusted.contains_key(&NodeId(3)) && !noted.is_out);
        assert_eq!(stays.members().unwrap()[&NodeId(3)].standing, Standing::Retired);
        let mut leaves = store(3, &[1, 2, 3], false);
        leaves.note_roster(NodeId(3), &roster(3, &[1, 2, 3], &[], &[])).unwrap();
        assert!(!leaves.is_out().unwrap());
        for roster in [&leaving, &left] {
            assert!(leaves.note_roster(NodeId(3), roster).unwrap().is_out);
            assert!(leaves.is_out().unwrap(), "also after a restart");
        }
        let noted = leaves.note_roster(NodeId(3), &left).unwrap();
        assert_eq!(noted.electorate.version, 3, "it votes by no other list");
        // Let in again, under the same number.
        let noted = stays.note_roster(NodeId(1), &roster(4, &[1, 2], &[3], &[])).unwrap();
        assert!(noted.trusted.contains_key(&NodeId(3)));
    }

    #[test]
    fn nonsense_is_damaged() {
        for text in ["", "x;1", "1", "1;a", "1;1;70000"] {
            assert!(Electorate::read(text).is_err(), "{text}");
        }
        let all = electorate(7, &[1, 3], &[&[1], &[]]);
        assert_eq!(Electorate::read(&all.text()).unwrap(), all);
    }
}
