//! Every bound of sketches and books, with its unit and its reason.

/// Counters in one row of a count-min sketch, as a power of two: 2^20 are 8 MiB a row, more than any use.
pub const COUNT_MIN_WIDTH_LOG2_MAX: u8 = 20;
/// Rows of a count-min sketch: δ = e^-8 is a miss in three thousand.
pub const COUNT_MIN_DEPTH_MAX: u8 = 8;
/// Entries of a Space-Saving sketch: its index numbers them by 16 bits, and an error of total / 32,768 is
/// below what anybody looks at.
pub const SPACE_SAVING_ENTRIES_MAX: usize = 32_768;
/// Cells of an entropy sketch at most, so that it says up to 12 bits and has 16 KiB.
pub const ENTROPY_CELLS_MAX: usize = 4_096;

/// Rows in a set of [`crate::Rows`]: the tags of one set are a cache line together with their ranks.
pub const WAYS: usize = 8;
/// Registers of the distinct counters of rows: exact up to 32, above the 20 ports and 10 hosts of a slow
/// scan, then 9.2 % standard error; 129 bytes.
pub const ROW_REGISTERS: usize = 128;
/// Cells of the entropy sketches of a scope: up to 8 bits, 1 KiB.
pub const SCOPE_CELLS: usize = 256;

/// Source rows of a book, for a tenth of a second of one flow actor. 2^11 × 400 bytes are 0.8 MiB; a flood
/// from random sources turns them over, but for those that probe (see [`crate::Book`]).
pub const BOOK_SOURCES: usize = 2_048;
/// Destination rows of a book: networks behind a firewall have fewer hosts in use than strangers outside.
pub const BOOK_DESTINATIONS: usize = 1_024;
/// Pair rows of a book, as many as source rows: a pair is looked at because its source is.
pub const BOOK_PAIRS: usize = 2_048;
/// Flow rows of a book: the heaviest of a tenth of a second; at 512, a flow with 1/64 of its set's bytes
/// stays.
pub const BOOK_FLOWS: usize = 512;
/// Rows of stateless anomalies by kind, source and destination: few kinds, and forged ones are told by
/// destination anyway.
pub const BOOK_ODDITIES: usize = 512;
/// Rows of destination prefixes whose traffic is modelled: the networks behind a firewall. 2.4 KiB each.
pub const BOOK_SCOPES: usize = 128;
/// How seldom a new prefix gets the row of another one, as a power of two: one note in 16, since to move an
/// old row costs about ten notes; so a prefix with a sixteenth of a set's traffic is soon there.
pub const SCOPE_ADMITTED_LOG2: u32 = 4;
/// Zones of a book: a policy has 255 at most.
pub const BOOK_ZONES_MAX: usize = 256;
/// Destinations under a flood whose newcomers get no source row: compared one by one, so few.
pub const BOOK_MUTED_MAX: usize = 8;
/// Observations that are noted together at most: their reads from memory overlap, of which a processor has 10
/// to 50 under way at a time. 5 KiB of room, which stays in the first-level cache.
pub const NOTED_TOGETHER: usize = 32;
