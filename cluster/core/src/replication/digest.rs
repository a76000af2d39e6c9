//! Anti-entropy: is the peer's table what ours is?
//!
//! Each node adds up a keyed word for every session, slot by slot; the owner sends its sums, the
//! other node compares. Words are *added*, so the difference of two sums is the sum of what one side
//! lacks, however much equal sessions come and go meanwhile. Changes on their way make a difference
//! that is another one the next time; a session that is truly missing makes the same one again.
//! So a slot is believed to differ once it differs *by the same* in two rounds, and the rounds are
//! further apart than a change is ever late. A slot so busy that no difference ever repeats, yet
//! that never was equal in sixteen rounds, is believed to differ as well.
//!
//! ```text
//!  owner     rest ──► round: say so, walk ──► send 32 pieces ──► rest
//!  other              walk when it hears that ──► compare pieces ──► result, repair
//! ```

mod comparer;
mod proof;
mod sums;
mod teller;
#[cfg(test)]
mod tests;

pub(super) use self::comparer::{Comparer, Found};
pub(super) use self::teller::Teller;

use wire::SLOTS;

use crate::limits::DIGEST_PIECE_SLOTS;

/// Messages of one round.
const PIECES: u16 = SLOTS / DIGEST_PIECE_SLOTS;

const _: () = assert!(SLOTS.is_multiple_of(DIGEST_PIECE_SLOTS) && PIECES <= 32, "a word of bits");
