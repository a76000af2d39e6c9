//! The table as bytes: at most 32 KiB, for the log's snapshots.
//!
//! ```text
//! version u64 │ settled u64 │ nodes u8 │ node u16 each, ascending │ least term u64 │ a slot each
//!
//! slot    owner u8 │ backup u8 │ term above the least
//! ```
//!
//! Owner and backup by their place among the nodes, `ff` for none. The term in groups of seven bits, the
//! lowest first, the highest bit set in all but the last (LEB128): one or two bytes, as slots change owners
//! about equally often. Each table has one encoding.

use std::collections::BTreeSet;
use std::fmt;

use wire::SLOTS;

use super::table::{Place, Table};
use crate::limits::{MEMBERS_MAX, TABLE_BYTES};
use crate::{NodeId, Term};

/// In place of a node: none.
const NONE: u8 = 0xff;

/// Why bytes are no table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableError {
    /// They end too early.
    Truncated,
    /// There are some left, or more than a table has.
    TooLong,
    /// More nodes than a cluster has, or not in their order, or one without a slot.
    Nodes,
    /// An owner or backup that is not among the nodes, or both the same, or a backup without an owner.
    Place,
    /// A term beyond what there can be, or not in its shortest form, or none that is the least.
    Term,
}

impl Table {
    /// The table as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let nodes: Vec<NodeId> = self.nodes().into_iter().collect();
        let least = self.places.iter().map(|it| it.term.0).min().unwrap_or(0);
        let mut out = self.version.to_be_bytes().to_vec();
        out.extend_from_slice(&self.settled.to_be_bytes());
        out.push(u8::try_from(nodes.len()).unwrap_or(NONE));
        nodes.iter().for_each(|node| out.extend_from_slice(&node.0.to_be_bytes()));
        out.extend_from_slice(&least.to_be_bytes());
        let index = |node: Option<NodeId>| {
            let at = node.and_then(|node| nodes.binary_search(&node).ok());
            at.and_then(|at| u8::try_from(at).ok()).unwrap_or(NONE)
        };
        for place in &self.places {
            out.extend_from_slice(&[index(place.owner), index(place.backup)]);
            write_number(place.term.0 - least, &mut out);
        }
        out
    }

    /// The table in `bytes`.
    ///
    /// # Errors
    /// They are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, TableError> {
        if bytes.len() > TABLE_BYTES {
            return Err(TableError::TooLong);
        }
        let mut rest = bytes;
        let version = u64::from_be_bytes(take(&mut rest)?);
        let settled = u64::from_be_bytes(take(&mut rest)?);
        let nodes = read_nodes(&mut rest)?;
        let least = u64::from_be_bytes(take(&mut rest)?);
        let places: Result<Box<[Place]>, TableError> =
            (0..SLOTS).map(|_| read_place(&mut rest, &nodes, least)).collect();
        let table = Self { version, settled, places: places? };
        if !rest.is_empty() {
            return Err(TableError::TooLong);
        }
        if !table.nodes().iter().eq(&nodes) {
            return Err(TableError::Nodes);
        }
        let found = table.places.iter().any(|it| it.term.0 == least);
        if found { Ok(table) } else { Err(TableError::Term) }
    }

    /// All that have a slot.
    pub(super) fn nodes(&self) -> BTreeSet<NodeId> {
        self.places.iter().flat_map(|it| [it.owner, it.backup]).flatten().collect()
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], TableError> {
    let (front, behind) = rest.split_first_chunk::<N>().ok_or(TableError::Truncated)?;
    *rest = behind;
    Ok(*front)
}

fn read_nodes(rest: &mut &[u8]) -> Result<Vec<NodeId>, TableError> {
    let [count] = take(rest)?;
    if usize::from(count) > MEMBERS_MAX {
        return Err(TableError::Nodes);
    }
    (0..count).map(|_| Ok(NodeId(u16::from_be_bytes(take(rest)?)))).collect()
}

fn read_place(rest: &mut &[u8], nodes: &[NodeId], least: u64) -> Result<Place, TableError> {
    let node = |index: u8| match index {
        NONE => Ok(None),
        _ => nodes.get(usize::from(index)).copied().map(Some).ok_or(TableError::Place),
    };
    let [owner, backup] = take(rest)?;
    let (owner, backup) = (node(owner)?, node(backup)?);
    if backup.is_some() && (owner == backup || owner.is_none()) {
        return Err(TableError::Place);
    }
    let term = least.checked_add(read_number(rest)?).ok_or(TableError::Term)?;
    Ok(Place { owner, backup, term: Term(term) })
}

fn write_number(mut number: u64, out: &mut Vec<u8>) {
    while number > 0x7f {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// At most five groups: 2³⁵ terms apart is further than slots ever are.
fn read_number(rest: &mut &[u8]) -> Result<u64, TableError> {
    let mut number = 0;
    for shift in (0..35).step_by(7) {
        let [group] = take(rest)?;
        number |= u64::from(group & 0x7f) << shift;
        if group & 0x80 == 0 {
            let shortest = group != 0 || shift == 0;
            return if shortest { Ok(number) } else { Err(TableError::Term) };
        }
    }
    Err(TableError::Term)
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the table ends too early",
            Self::TooLong => "more bytes than a table has",
            Self::Nodes => "nodes that are no list of a table's",
            Self::Place => "a slot with an owner or backup that cannot be",
            Self::Term => "a term that cannot be",
        })
    }
}

impl std::error::Error for TableError {}
