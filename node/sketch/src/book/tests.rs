use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::observation::{DenyClass, Measure, Oddity};
use crate::streams::Dice;

const SEED: Seed = Seed::new([51, 52]);
const DENIED: Kind = Kind::Denied(DenyClass::Policy);

fn book() -> Book {
    Book::new(SEED, &[Aggregation::default(); 2])
}

fn of(kind: Kind, source: &str, destination: &str, port: u16) -> Observation {
    Observation {
        kind,
        zone: 1,
        protocol: 6,
        source: source.parse().expect("an address of a test"),
        destination: destination.parse().expect("an address of a test"),
        source_port: 40_000,
        port,
        packets: 1,
        bytes: 60,
    }
}

fn source<'a>(book: &'a Book, address: &str) -> Option<&'a SourceRow> {
    let place = Place::of(1, address.parse().expect("an address of a test"));
    book.sources.get(place.hash(SEED), &place).map(|row| &row.value)
}

fn destination<'a>(book: &'a Book, address: &str) -> Option<&'a DestinationRow> {
    let place = Place::of(1, address.parse().expect("an address of a test"));
    book.destinations.get(place.hash(SEED), &place).map(|row| &row.value)
}

#[test]
fn rows_that_give_way_are_counted_until_the_book_is_cleared() {
    let mut book = book();
    let sources = 2 * BOOK_SOURCES as u32;
    for number in 0..sources {
        let source = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + number)).to_string();
        book.note(&of(DENIED, &source, "10.0.0.1", 80));
    }
    // Of as many sources as there is room for, twice; of the pairs no fewer.
    assert!(book.evicted() >= 2 * u64::from(sources) - 2 * BOOK_SOURCES.max(BOOK_PAIRS) as u64);
    book.clear();
    assert_eq!(book.evicted(), 0);
}

#[test]
fn an_observation_stands_in_every_row_that_it_concerns() {
    let mut book = book();
    for port in 1..=12 {
        book.note(&of(DENIED, "192.0.2.7", "10.0.0.1", port));
    }
    book.note(&of(Kind::Permitted, "192.0.2.7", "10.0.0.2", 80));
    let row = source(&book, "192.0.2.7").expect("a row");
    assert_eq!((row.ports.count(), row.hosts.count()), (12, 1), "only what failed counts");
    assert_eq!((row.tally.of(Measure::Denied), row.tally.of(Measure::Syn)), (12, 13));
    assert_eq!((row.tally.packets, row.tally.bytes), (13, 13 * 60));
    let row = destination(&book, "10.0.0.1").expect("a row");
    assert_eq!((row.ports.count(), row.peers.count()), (12, 1));
    assert_eq!((book.pairs.len(), book.flows.len(), book.noted()), (2, 0, 13));
    let zone = &book.zones()[1];
    assert_eq!((zone.tally.of(Measure::Opened), zone.peers.count()), (1, 1));
    assert_eq!((zone.sources.bits(), book.zones()[0].sources.total()), (0.0, 0));
    assert!(zone.ports.bits() > 3.0, "{}", zone.ports.bits());
    let scope = book.scopes.iter().next().expect("a scope");
    assert_eq!((scope.key.to_string().as_str(), book.scopes.len()), ("10.0.0.0/24", 1));
    book.clear();
    assert!(
        book.sources.is_empty() && book.noted() == 0 && book.zones()[1].tally == Tally::default()
    );
}

#[test]
fn only_sessions_carry_flows_and_only_odd_packets_are_odd() {
    let mut book = book();
    let ended = Observation {
        packets: 10,
        bytes: 9_000,
        ..of(Kind::Ended, "2001:db8::1", "2001:db8:1::2", 443)
    };
    book.note(&ended);
    book.note(&Observation { kind: Kind::Carried, ..ended });
    book.note(&of(Kind::Odd(Oddity::Land), "10.0.0.1", "10.0.0.1", 1));
    let flow = book.flows.iter().next().expect("a flow");
    assert_eq!(flow.value, FlowRow { packets: 20, bytes: 18_000, ended: true });
    assert_eq!(flow.key.pair.source.to_string(), "2001:db8::1", "a flow has whole addresses");
    let source = book.sources.iter().next().expect("a source");
    assert_eq!(source.key.to_string(), "2001:db8::/64", "a source has its prefix");
    let odd = book.oddities.iter().next().expect("an oddity");
    assert_eq!((odd.key.oddity, odd.value.packets, book.oddities.len()), (Oddity::Land, 1, 1));
}

#[test]
fn each_zone_has_its_own_aggregation_and_an_unknown_one_the_usual() {
    let wide = Aggregation { source: (24, 48), ..Aggregation::default() };
    let mut book = Book::new(SEED, &[wide]);
    let denied = of(DENIED, "192.0.2.7", "10.0.0.1", 1);
    book.note(&Observation { zone: 0, ..denied });
    book.note(&Observation { zone: 9, ..denied });
    let keys: Vec<_> = book.sources.iter().map(|row| row.key.to_string()).collect();
    assert_eq!((keys[0].as_str(), keys[1].as_str()), ("192.0.2.0/24", "192.0.2.7"));
    book.clear();
    book.aggregate(&[Aggregation::default(); 3]);
    book.note(&Observation { zone: 0, ..denied });
    assert_eq!(
        book.sources.iter().next().map(|row| row.key.to_string()).as_deref(),
        Some("192.0.2.7")
    );
    assert_eq!((book.zones().len(), book.zones()[0].tally.packets), (3, 1));
}

/// What was dropped in front of a flow actor is told at once.
#[test]
fn many_packets_in_one_observation_are_as_many() {
    let mut book = book();
    let limit = Kind::Denied(DenyClass::Limit);
    book.note(&Observation { packets: 900, ..of(limit, "192.0.2.7", "10.0.0.1", 80) });
    let row = destination(&book, "10.0.0.1").expect("a row");
    assert_eq!((row.tally.of(Measure::Syn), row.tally.of(Measure::Denied)), (900, 900));
}

/// A million forged sources between the probes of one scanner: the scanner's row stays, and says all.
#[test]
fn a_spoofed_flood_does_not_push_a_scanner_out() {
    let mut book = book();
    let mut dice = Dice::new(1);
    for port in 1..=3 {
        book.note(&of(DENIED, "192.0.2.7", "10.0.0.1", port));
    }
    for flood in 0..1_000_000_u32 {
        let forged = IpAddr::V4(Ipv4Addr::from_bits(dice.next() as u32));
        let syn = of(Kind::Permitted, "192.0.2.7", "10.0.0.9", 80);
        book.note(&Observation { source: forged, ..syn });
        if flood % 50_000 == 0 {
            book.note(&of(DENIED, "192.0.2.7", "10.0.0.1", 100 + (flood / 50_000) as u16));
        }
    }
    let scanner = source(&book, "192.0.2.7").expect("the scanner is still there");
    assert_eq!(scanner.ports.count(), 23);
    assert_eq!(book.sources.len(), book.sources.capacity());
    assert!(book.sources.evicted() > 900_000);
    let flooded = destination(&book, "10.0.0.9").expect("the flood is seen");
    assert_eq!(flooded.tally.of(Measure::Syn), 1_000_000);
    let peers = flooded.peers.count();
    assert!((700_000..1_300_000).contains(&peers), "{peers}");
}

#[test]
fn newcomers_to_a_muted_destination_get_no_rows() {
    let mut book = book();
    book.note(&of(DENIED, "192.0.2.7", "10.0.0.1", 1));
    let flooded = Place::of(1, "10.0.0.9".parse().expect("an address"));
    book.mute([&flooded]);
    book.note(&of(Kind::Permitted, "192.0.2.7", "10.0.0.9", 80));
    book.note(&of(Kind::Permitted, "192.0.2.8", "10.0.0.9", 80));
    book.note(&of(Kind::Permitted, "192.0.2.8", "10.0.0.1", 80));
    assert_eq!(source(&book, "192.0.2.7").expect("it was known").tally.of(Measure::Syn), 2);
    assert_eq!(source(&book, "192.0.2.8").expect("elsewhere it is").tally.of(Measure::Syn), 1);
    assert_eq!(destination(&book, "10.0.0.9").expect("named").tally.of(Measure::Syn), 2);
    book.clear();
    book.note(&of(Kind::Permitted, "192.0.2.8", "10.0.0.9", 80));
    assert!(source(&book, "192.0.2.8").is_none(), "a clear keeps what is muted");
}

/// Whatever room there is for scopes, zones miss nothing, and the prefix with the most traffic has its row.
#[test]
fn a_sweep_over_prefixes_leaves_the_sums_of_zones_and_the_busy_scope() {
    let mut book = book();
    let mut dice = Dice::new(2);
    for at in 0..40_000_u32 {
        let swept = Ipv4Addr::from_bits(dice.next() as u32).to_string();
        book.note(&of(DENIED, "192.0.2.7", &swept, 80));
        if at % 4 == 0 {
            book.note(&of(Kind::Permitted, "192.0.2.8", "10.0.0.9", 443));
        }
    }
    assert_eq!(book.scopes.len(), book.scopes.capacity());
    let zone = &book.zones()[1];
    assert_eq!((zone.tally.packets, zone.sources.total()), (50_000, 50_000));
    assert_eq!((zone.tally.of(Measure::Denied), zone.peers.count()), (40_000, 2));
    let busy = Place::new(1, "10.0.0.0".parse().expect("an address"), 24, 0);
    let row = book.scopes.get(busy.hash(SEED), &busy).expect("the busy one has its row");
    let count = row.value.tally.of(Measure::Opened);
    assert!(count <= 10_000 && u64::from(count + row.missed) >= 10_000, "{count}, {}", row.missed);
    assert!(count > 8_000, "{count}");
}
