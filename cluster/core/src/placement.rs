//! Which node has which slot (`placement = hash`): a pure table, made from the one before and the members.
//!
//! ```text
//!  table before ─┐        who died: owner := backup          quotas: fair share, ± 2 %
//!                ├─ next ─► who drains: the same, planned ──► owners by rendezvous ──► table after
//!  members ──────┘                                           backups the same way      and its moves
//! ```
//!
//! - **Bounded-load weighted rendezvous.** Each (slot, node) has a cost, `−log2(hash) ÷ weight`, in integers
//!   (`score`). What has to move goes where it costs least, as long as there is room. The hash is keyed, so
//!   nobody outside can tell or choose who gets a slot.
//! - **Nothing moves without need.** A node within 2 % of its fair share keeps what it has. So any change of
//!   the members moves at most 1.02 times what the shares themselves move by, and rounding.
//! - **Who dies is followed by its backups**, which have the state. A backup that would be above its bound
//!   passes on of these same slots, and stays their backup: nothing is copied for that.
//! - **Backups** of one owner are spread over the others in proportion to what each backs (`pairs`), so
//!   that all survivors share the load of a dead node. Owner and backup stand in different racks, except
//!   where a rack is so heavy that the rest would back more than twice their own share.
//! - **Terms.** The backups' own takeover raises a slot's term by one, a change by the log by two: so no two
//!   nodes ever own a slot in one term, though one may act before the log says so.
//!
//! The table derives from log entries on every node: whoever changes what comes out needs another command
//! for it. A golden digest keeps it so.

mod backups;
mod codec;
mod members;
mod moves;
mod next;
mod owners;
mod pairs;
mod quotas;
mod score;
mod shares;
mod table;
#[cfg(test)]
mod tests;

pub use self::codec::TableError;
pub use self::members::{Member, Members, MembersError, State};
pub use self::moves::{Move, MoveKind, Moves};
pub use self::quotas::Bound;
pub use self::shares::Fair;
pub use self::table::{Load, Place, Role, Table};
