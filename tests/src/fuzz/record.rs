//! Session records, one behind the other, as they come from another node: read, written again, and
//! taken over by an owner and by a backup that becomes one. What comes out again is the same session.

use engine::record::{LEN, Record};
use engine::replication::{Contest, Imported};
use engine::{Engine, Origin, PortId};
use wire::build::Builder;

use super::Depth;
use super::engines::{self, START};

/// Records of one input that are looked at.
const RECORDS: usize = 64;
/// Where the routing domain stands in a record.
const DOMAIN: std::ops::Range<usize> = 40..42;

pub(super) fn run(bytes: &[u8]) -> Depth {
    let mut engines = [engines::engine(), engines::engine()];
    engines[1].stand_down();
    let (mut rest, mut depth) = (bytes, Depth::Refused);
    for _ in 0..RECORDS {
        let Ok((record, length)) = Record::parse(rest) else { break };
        assert!((LEN..=rest.len()).contains(&length));
        let written = record.to_bytes();
        assert_eq!(Record::parse(&written), Ok((record, written.len())));
        depth = depth.max(Depth::Read);
        for engine in &mut engines {
            // The engines have ports of one domain only.
            for record in [record, elsewhere(&record)] {
                if import(engine, &record) {
                    depth = Depth::Used;
                }
            }
        }
        rest = &rest[length..];
    }
    engines[1].take_over(START);
    engines.iter_mut().for_each(finish);
    depth
}

/// The record in the domain that the ports are of.
fn elsewhere(record: &Record) -> Record {
    let mut bytes = record.to_bytes();
    bytes[DOMAIN].fill(0);
    Record::parse(&bytes).expect("the domain orders no ends").0
}

/// Whether the record became a session.
fn import(engine: &mut Engine, record: &Record) -> bool {
    let handle = match engine.import(record, Contest::Owners, START) {
        Imported::Opened(handle) | Imported::Updated(handle) => handle,
        Imported::Stale { .. } | Imported::Conflict { .. } | Imported::Refused(_) => return false,
    };
    let exported = engine.export(handle.place(), record.id, START).expect("it lives");
    let (again, _) = Record::parse(&exported).expect("an engine writes records");
    assert_eq!((again.key, again.id, again.initiator), (record.key, record.id, record.initiator));
    true
}

/// A packet, and time until everything has ended.
fn finish(engine: &mut Engine) {
    let syn = Builder::v4([10, 0, 0, 1], [198, 18, 0, 1]).tcp(5_000, 443);
    let mut frame = syn.frame().to_vec();
    frame[..6].copy_from_slice(&engines::MACS[0]);
    let parsed = engine.parse(PortId(0), &frame);
    engine.decide(Origin::Port, &parsed, &mut frame, START);
    let later = START + std::time::Duration::from_hours(24 * 60);
    while engine.tick(later) {}
    engine.counters().balance().expect("the books balance");
    assert!(engine.sessions().is_empty(), "nothing lives for sixty days");
}
