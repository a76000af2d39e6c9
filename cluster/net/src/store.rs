//! What a node remembers across restarts: placement with terms, zone numbers, members, tokens, and
//! how often it was started. One redb file for each node, until Raft keeps these things.
//!
//! - **A promise is synced before it is made.** Each method that changes something returns after the
//!   commit reached the disk; until then the caller has promised nothing.
//! - **A failed write or sync poisons the store.** What is on the disk is unknown from then on, and a
//!   second sync would say "fine" without having written the lost pages. Every later call is refused,
//!   until the store is opened anew, which finds the last commit or the one before ([`Store::reopen`]).
//! - **A term has one owner.** [`Store::assign`] refuses an older term, and another owner in the same.
//!
//! Calls block: a driver keeps them off the runtime's threads.

mod lists;
mod placement;
mod records;
#[cfg(test)]
pub(crate) mod tests;
mod vault;

use core::fmt;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use cluster_core::{Boot, NodeId, Term};
use redb::{ReadTransaction, ReadableTable, StorageBackend, TableDefinition, WriteTransaction};

pub use lists::{Electorate, Noted, Roster};
pub use placement::{Assignment, Run};
pub use records::{Member, Standing};
#[cfg(test)]
pub(crate) use vault::Source;
pub(crate) use vault::{Vault, storage};

use crate::identity::ClusterName;
use crate::limits::{MEMBERS, TOKENS, ZONE_NAME_BYTES, ZONES};
use crate::token::{TokenId, TokenRecord};

const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");
const TEXTS: TableDefinition<'_, &str, &str> = TableDefinition::new("texts");
/// First slot of a run to the rest of it.
const PLACEMENT: TableDefinition<'_, u16, &[u8]> = TableDefinition::new("placement");
const ZONE_NUMBERS: TableDefinition<'_, &str, u32> = TableDefinition::new("zones");
const MEMBER_LIST: TableDefinition<'_, u16, &[u8]> = TableDefinition::new("members");
const TOKEN_LIST: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("tokens");

const FORMAT: &str = "format";
const NODE: &str = "node";
const BOOT: &str = "boot";
const DRAINED: &str = "drained";
const FOUNDER: &str = "founder";
const CLUSTER: &str = "cluster";
/// Version of the tables.
const FORMAT_VERSION: u64 = 1;

/// A node's memory.
#[derive(Debug)]
pub struct Store {
    vault: Vault,
}

/// What a new store begins with.
#[derive(Clone, Debug)]
pub struct Seed {
    /// The cluster.
    pub cluster: ClusterName,
    /// This node.
    pub node: NodeId,
    /// Who has which slots: runs that cover all of them.
    pub placement: Vec<Run>,
    /// The members that are known, this node among them.
    pub members: BTreeMap<NodeId, Member>,
    /// Whether this node made the cluster: it begins the log of the policy.
    pub founder: bool,
    /// Runs are counted from here. The seconds since 1970: a node that comes under the number of another one
    /// has later runs than that one had, as peers remember.
    pub boots: u32,
}

/// Why something was not remembered.
#[derive(Debug)]
pub enum StoreError {
    /// An earlier write or sync failed: nothing is known to be safe until the store is opened anew.
    Poisoned,
    /// The file or the disk.
    Storage(redb::Error),
    /// The file cannot be made or moved into its place.
    File(io::Error),
    /// A store of another cluster or node.
    Foreign(String),
    /// Something in it cannot be read.
    Damaged(&'static str),
    /// A slot has a newer term.
    StaleTerm {
        /// The term that is known.
        known: Term,
    },
    /// A slot has another owner in the same term.
    TermTaken {
        /// That owner.
        owner: NodeId,
    },
    /// Slots that do not exist.
    Slots,
    /// There is no room for more of this.
    Full(&'static str),
    /// The number is a member's, or was one's and is not given again.
    NodeTaken(NodeId),
    /// There is no such member.
    NoMember(NodeId),
    /// A zone has another number, or the number another zone.
    ZoneTaken,
    /// A zone's name is too long.
    ZoneName,
    /// There is no such token.
    NoToken,
}

impl StoreError {
    /// Whether another process has the store: the daemon.
    #[must_use]
    pub const fn is_in_use(&self) -> bool {
        matches!(self, Self::Storage(redb::Error::DatabaseAlreadyOpen))
    }
}

impl Store {
    /// Makes the store of a node. After a crash at any time it is there whole or not at all.
    ///
    /// # Errors
    /// What the file system says.
    pub fn create(path: &Path, seed: &Seed) -> Result<(), StoreError> {
        Vault::create(path, |vault| Self { vault }.seeded(seed).map(|store| store.vault))
    }

    /// Opens the store of `node`.
    ///
    /// # Errors
    /// If it is not there, damaged, or another node's.
    pub fn open(path: &Path, cluster: &ClusterName, node: NodeId) -> Result<Self, StoreError> {
        Self::checked(Vault::open(path)?, cluster, node)
    }

    /// A store on something that is no file; `seed` is written if there is nothing yet.
    ///
    /// # Errors
    /// What the backend says.
    pub fn with_backend(backend: impl StorageBackend, seed: &Seed) -> Result<Self, StoreError> {
        match Vault::with_backend(backend)? {
            (vault, true) => Self { vault }.seeded(seed),
            (vault, false) => Self::checked(vault, &seed.cluster, seed.node),
        }
    }

    fn checked(vault: Vault, cluster: &ClusterName, node: NodeId) -> Result<Self, StoreError> {
        let store = Self { vault };
        let (format, owner, name) = store.read(|transaction| {
            let numbers = transaction.open_table(NUMBERS).map_err(storage)?;
            let texts = transaction.open_table(TEXTS).map_err(storage)?;
            let name = texts.get(CLUSTER).map_err(storage)?;
            let name = name.map(|text| text.value().to_owned()).unwrap_or_default();
            Ok((number(&numbers, FORMAT)?, number(&numbers, NODE)?, name))
        })?;
        if format != FORMAT_VERSION {
            return Err(StoreError::Damaged("the version of its tables is not known"));
        }
        if name != cluster.as_str() || owner != u64::from(node.0) {
            return Err(StoreError::Foreign(format!("node {owner} of cluster `{name}`")));
        }
        Ok(store)
    }

    fn seeded(self, seed: &Seed) -> Result<Self, StoreError> {
        self.write(|transaction| {
            let mut numbers = transaction.open_table(NUMBERS).map_err(storage)?;
            let founder = u64::from(seed.founder);
            let node = seed.node.0.into();
            for (key, value) in [
                (FORMAT, FORMAT_VERSION),
                (NODE, node),
                (BOOT, seed.boots.into()),
                (FOUNDER, founder),
            ] {
                numbers.insert(key, value).map_err(storage)?;
            }
            let mut texts = transaction.open_table(TEXTS).map_err(storage)?;
            texts.insert(CLUSTER, seed.cluster.as_str()).map_err(storage)?;
            if !placement::covers_all(&seed.placement) {
                return Err(StoreError::Slots);
            }
            let mut placement = transaction.open_table(PLACEMENT).map_err(storage)?;
            for run in &seed.placement {
                placement.insert(run.first, &run.to_bytes()[..]).map_err(storage)?;
            }
            let mut members = transaction.open_table(MEMBER_LIST).map_err(storage)?;
            for (node, member) in &seed.members {
                members.insert(node.0, &member.to_bytes()[..]).map_err(storage)?;
            }
            transaction.open_table(ZONE_NUMBERS).map_err(storage)?;
            transaction.open_table(TOKEN_LIST).map_err(storage)?;
            Ok(())
        })?;
        Ok(self)
    }

    /// Whether nothing can be promised any more.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.vault.is_poisoned()
    }

    /// Opens the file anew, after a failure: with what is certainly on the disk. Blocks.
    ///
    /// # Errors
    /// The disk refuses still, and the store stays as it was.
    pub fn reopen(&mut self) -> Result<(), StoreError> {
        self.vault = self.vault.reopen()?;
        Ok(())
    }

    /// The number of this run of the daemon: one more than the last.
    ///
    /// # Errors
    /// If it cannot be remembered.
    pub fn next_boot(&mut self) -> Result<Boot, StoreError> {
        self.write(|transaction| {
            let mut numbers = transaction.open_table(NUMBERS).map_err(storage)?;
            let next = number(&numbers, BOOT)? + 1;
            let boot = u32::try_from(next).map_err(|_| StoreError::Full("boot numbers"))?;
            numbers.insert(BOOT, next).map_err(storage)?;
            Ok(Boot(boot))
        })
    }

    /// Whether this node made the cluster.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn is_founder(&self) -> Result<bool, StoreError> {
        self.has(FOUNDER)
    }

    /// Whether the operator has taken this node out of service.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn is_drained(&self) -> Result<bool, StoreError> {
        self.has(DRAINED)
    }

    fn has(&self, key: &str) -> Result<bool, StoreError> {
        self.read(|transaction| {
            let numbers = transaction.open_table(NUMBERS).map_err(storage)?;
            Ok(numbers.get(key).map_err(storage)?.is_some_and(|value| value.value() != 0))
        })
    }

    /// Takes this node out of service, or puts it back.
    ///
    /// # Errors
    /// If it cannot be remembered.
    pub fn set_drained(&mut self, drained: bool) -> Result<(), StoreError> {
        self.write(|transaction| {
            let mut numbers = transaction.open_table(NUMBERS).map_err(storage)?;
            numbers.insert(DRAINED, u64::from(drained)).map_err(storage)?;
            Ok(())
        })
    }

    /// Who has which slots, in runs that cover all of them.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn placement(&self) -> Result<Vec<Run>, StoreError> {
        self.read(|transaction| runs(&transaction.open_table(PLACEMENT).map_err(storage)?))
    }

    /// Gives the slots from `first` to `last` to an owner in a term. When this returns, it is on the
    /// disk and may be said to others.
    ///
    /// # Errors
    /// [`StoreError::StaleTerm`] and [`StoreError::TermTaken`], and nothing has changed; or the disk.
    pub fn assign(
        &mut self,
        (first, last): (u16, u16),
        assignment: Assignment,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            let mut table = transaction.open_table(PLACEMENT).map_err(storage)?;
            let before = runs(&table)?;
            let after = placement::overlay(&before, (first, last), assignment)?;
            for run in before.iter().filter(|run| !after.contains(run)) {
                table.remove(run.first).map_err(storage)?;
            }
            for run in after.iter().filter(|run| !before.contains(run)) {
                table.insert(run.first, &run.to_bytes()[..]).map_err(storage)?;
            }
            Ok(())
        })
    }

    /// The number of a zone, if it has one.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn zone(&self, name: &str) -> Result<Option<u32>, StoreError> {
        self.read(|transaction| {
            let zones = transaction.open_table(ZONE_NUMBERS).map_err(storage)?;
            Ok(zones.get(name).map_err(storage)?.map(|number| number.value()))
        })
    }

    /// The number of a zone; a new zone gets the next one.
    ///
    /// # Errors
    /// If there are too many, or it cannot be remembered.
    pub fn allot_zone(&mut self, name: &str) -> Result<u32, StoreError> {
        check_zone(name)?;
        if let Some(number) = self.zone(name)? {
            return Ok(number);
        }
        self.write(|transaction| {
            let mut zones = transaction.open_table(ZONE_NUMBERS).map_err(storage)?;
            let next = highest_zone(&zones)? + 1;
            if next > ZONES {
                return Err(StoreError::Full("zone numbers"));
            }
            zones.insert(name, next).map_err(storage)?;
            Ok(next)
        })
    }

    /// Takes over a zone's number from the node that allots them.
    ///
    /// # Errors
    /// [`StoreError::ZoneTaken`] if it contradicts what is known; or the disk.
    pub fn learn_zone(&mut self, name: &str, number: u32) -> Result<(), StoreError> {
        check_zone(name)?;
        self.write(|transaction| {
            let mut zones = transaction.open_table(ZONE_NUMBERS).map_err(storage)?;
            for row in zones.iter().map_err(storage)? {
                let (other, taken) = row.map_err(storage)?;
                if (other.value() == name) != (taken.value() == number) {
                    return Err(StoreError::ZoneTaken);
                }
            }
            if !(1..=ZONES).contains(&number) {
                return Err(StoreError::Full("zone numbers"));
            }
            zones.insert(name, number).map_err(storage)?;
            Ok(())
        })
    }

    /// All nodes that are or were members.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn members(&self) -> Result<BTreeMap<NodeId, Member>, StoreError> {
        self.read(|transaction| members(&transaction.open_table(MEMBER_LIST).map_err(storage)?))
    }

    /// Adds a member.
    ///
    /// # Errors
    /// [`StoreError::NodeTaken`]: numbers are never given again.
    pub fn add_member(&mut self, node: NodeId, member: &Member) -> Result<(), StoreError> {
        self.write(|transaction| insert_member(transaction, node, member, None))
    }

    /// Takes over what another node knows of the members. Who is retired here stays so.
    ///
    /// # Errors
    /// If there are too many, or the disk.
    pub fn learn_members(&mut self, told: &BTreeMap<NodeId, Member>) -> Result<(), StoreError> {
        self.write(|transaction| {
            let mut table = transaction.open_table(MEMBER_LIST).map_err(storage)?;
            let known = members(&table)?;
            let retired =
                |node| known.get(node).is_some_and(|member| member.standing == Standing::Retired);
            let unknown = told.keys().filter(|node| !known.contains_key(node)).count();
            if known.len() + unknown > MEMBERS {
                return Err(StoreError::Full("members"));
            }
            for (node, member) in told.iter().filter(|(node, _)| !retired(node)) {
                table.insert(node.0, &member.to_bytes()[..]).map_err(storage)?;
            }
            Ok(())
        })
    }

    /// Ends a membership: from now on the node's certificates are good for nothing.
    ///
    /// # Errors
    /// [`StoreError::NoMember`], or the disk.
    pub fn retire_member(&mut self, node: NodeId) -> Result<(), StoreError> {
        self.write(|transaction| {
            let mut table = transaction.open_table(MEMBER_LIST).map_err(storage)?;
            let mut all = members(&table)?;
            let member = all.remove(&node).filter(|member| member.standing == Standing::Member);
            let retired =
                Member { standing: Standing::Retired, ..member.ok_or(StoreError::NoMember(node))? };
            table.insert(node.0, &retired.to_bytes()[..]).map_err(storage)?;
            Ok(())
        })
    }

    /// The token with this name, if it was made here and is not forgotten.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn token(&self, id: TokenId) -> Result<Option<TokenRecord>, StoreError> {
        self.read(|transaction| {
            let tokens = transaction.open_table(TOKEN_LIST).map_err(storage)?;
            let found = tokens.get(&id.0[..]).map_err(storage)?;
            found.map(|row| records::token(row.value())).transpose()
        })
    }

    /// Keeps a new token, and forgets those that expired before `now` (seconds of the epoch).
    ///
    /// # Errors
    /// If too many wait, or it cannot be remembered.
    pub fn add_token(
        &mut self,
        id: TokenId,
        record: &TokenRecord,
        now: u64,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            let mut tokens = transaction.open_table(TOKEN_LIST).map_err(storage)?;
            let mut expired = Vec::new();
            let mut waiting = 0;
            for row in tokens.iter().map_err(storage)? {
                let (key, value) = row.map_err(storage)?;
                let known = records::token(value.value())?;
                waiting += usize::from(!known.used && known.is_valid_at(now));
                // The used ones too: until then their second use is told from nonsense.
                if !known.is_valid_at(now) {
                    expired.push(key.value().to_vec());
                }
            }
            if waiting >= TOKENS {
                return Err(StoreError::Full("tokens that wait"));
            }
            for key in expired {
                tokens.remove(&key[..]).map_err(storage)?;
            }
            tokens.insert(&id.0[..], &records::token_bytes(record)[..]).map_err(storage)?;
            Ok(())
        })
    }

    /// Uses a token up and makes its bearer a member, in one commit: a token that was answered is
    /// used, whatever happens next.
    ///
    /// # Errors
    /// [`StoreError::NoToken`] if it is unknown or used, [`StoreError::NodeTaken`]; or the disk.
    pub fn admit(&mut self, id: TokenId, node: NodeId, member: &Member) -> Result<(), StoreError> {
        self.write(|transaction| {
            let mut tokens = transaction.open_table(TOKEN_LIST).map_err(storage)?;
            let found = tokens.get(&id.0[..]).map_err(storage)?;
            let record = found.map(|row| records::token(row.value())).transpose()?;
            let record = record.filter(|record| !record.used).ok_or(StoreError::NoToken)?;
            let replaces = record.replaces;
            let used = records::token_bytes(&TokenRecord { used: true, ..record });
            tokens.insert(&id.0[..], &used[..]).map_err(storage)?;
            insert_member(transaction, node, member, replaces)
        })
    }

    fn read<T>(
        &self,
        look: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.vault.read(look)
    }

    fn write<T>(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.vault.write(0, change)
    }
}

fn number(table: &impl ReadableTable<&'static str, u64>, key: &str) -> Result<u64, StoreError> {
    let value = table.get(key).map_err(storage)?;
    value.map(|value| value.value()).ok_or(StoreError::Damaged("a number is missing"))
}

fn runs(table: &impl ReadableTable<u16, &'static [u8]>) -> Result<Vec<Run>, StoreError> {
    let mut runs = Vec::new();
    for row in table.iter().map_err(storage)? {
        let (first, rest) = row.map_err(storage)?;
        runs.push(Run::from_bytes(first.value(), rest.value())?);
    }
    if placement::covers_all(&runs) {
        Ok(runs)
    } else {
        Err(StoreError::Damaged("the placement does not cover the slots"))
    }
}

fn members(
    table: &impl ReadableTable<u16, &'static [u8]>,
) -> Result<BTreeMap<NodeId, Member>, StoreError> {
    let mut members = BTreeMap::new();
    for row in table.iter().map_err(storage)? {
        let (node, member) = row.map_err(storage)?;
        members.insert(NodeId(node.value()), Member::from_bytes(member.value())?);
    }
    Ok(members)
}

/// `replaces`: the one member whose number may be given once more.
fn insert_member(
    transaction: &WriteTransaction,
    node: NodeId,
    member: &Member,
    replaces: Option<NodeId>,
) -> Result<(), StoreError> {
    let mut table = transaction.open_table(MEMBER_LIST).map_err(storage)?;
    let known = members(&table)?;
    let standing = known.get(&node).map(|member| member.standing);
    match (standing, replaces) {
        (None, None) => {}
        // Of one that has left, too: the operator says by his token that it comes back.
        (Some(_), Some(replaced)) if replaced == node => {}
        (Some(_), None) => return Err(StoreError::NodeTaken(node)),
        (None | Some(_), Some(replaced)) => return Err(StoreError::NoMember(replaced)),
    }
    if known.len() >= MEMBERS && standing.is_none() {
        return Err(StoreError::Full("members"));
    }
    // New papers do not make a firewall of a witness; who has left may come back as the other.
    let known = known.get(&node).filter(|known| known.standing == Standing::Member);
    let kind = known.map_or(member.kind, |known| known.kind);
    let member = Member { kind, ..member.clone() };
    table.insert(node.0, &member.to_bytes()[..]).map_err(storage)?;
    Ok(())
}

fn check_zone(name: &str) -> Result<(), StoreError> {
    let good = (1..=ZONE_NAME_BYTES).contains(&name.len());
    if good { Ok(()) } else { Err(StoreError::ZoneName) }
}

fn highest_zone(zones: &impl ReadableTable<&'static str, u32>) -> Result<u32, StoreError> {
    let mut highest = 0;
    for row in zones.iter().map_err(storage)? {
        highest = highest.max(row.map_err(storage)?.1.value());
    }
    Ok(highest)
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Poisoned => f.write_str(
                "an earlier write to the node's store failed; nothing more is promised until it is opened \
                 anew",
            ),
            Self::Storage(error) => write!(f, "the node's store: {error}"),
            Self::File(error) => write!(f, "the node's store: {error}"),
            Self::Foreign(whose) => write!(f, "the node's store is that of {whose}"),
            Self::Damaged(what) => write!(f, "the node's store is damaged: {what}"),
            Self::StaleTerm { known } => write!(f, "term {known} is known already"),
            Self::TermTaken { owner } => write!(f, "node {owner} is the owner in this term"),
            Self::Slots => f.write_str("there are no such slots"),
            Self::Full(what) => write!(f, "there is no room for more {what}"),
            Self::NodeTaken(node) => write!(
                f,
                "node {node} is or was a member, and numbers are not given again; take another `id`, \
                 or make a token that replaces it"
            ),
            Self::NoMember(node) => write!(f, "node {node} is no member, or not the one meant"),
            Self::ZoneTaken => f.write_str("a zone's number contradicts the ones known"),
            Self::ZoneName => write!(f, "a zone's name has 1 to {ZONE_NAME_BYTES} bytes"),
            Self::NoToken => f.write_str("there is no such token"),
        }
    }
}

impl core::error::Error for StoreError {}
