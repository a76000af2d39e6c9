//! Golden bytes: what they pin, a peer of another version relies on.

use engine::session::{CloseReason, SessionId};
use proptest::prelude::*;
use wire::{SLOTS, Slot};

use super::*;
use crate::limits::{DELETE_BYTES, DIGEST_PIECE_SLOTS, MESSAGE_BYTES, MESSAGE_BYTES_MIN};
use crate::replication::tests::model;

const HEADER: Header = Header {
    kind: MessageKind::Changes,
    urgent: true,
    stream: 2,
    node: NodeId(1),
    boot: Boot(3),
    peer_boot: Boot(4),
    term: Term(5),
    number: 9,
    floor: 7,
    ack: 11,
    ack_bits: 6,
};

const ID: SessionId = SessionId { node: 1, boot: 3, counter: 0x21 };

/// A record that answers, and a delete of 10.0.0.1 port 1 to 10.0.0.2 port 53, UDP.
const CHANGES: &str = "
    01 01 01 3c 0002 0001 00000003 00000004 0000000000000005
    0000000000000009 0000000000000007 000000000000000b 0000000000000006 0002 0000
    01 01 0003 aabbcc
    02 00 0037 00000000000000000000ffff0a000001 00000000000000000000ffff0a000002
               0001 0035 0000 11 04 0001 00000003 0000000000000021 02
";

/// Everything that a control message may have, but for the request.
const CONTROL: &str = "
    01 02 00 3c 0002 0001 00000003 00000000 0000000000000005
    0000000000000000 0000000000000001 0000000000000000 0000000000000000 0005 0000
    04 00 0008 00000007 000003e8
    05 00 0008 00000007 000003e9
    06 00 0004 00000007
    07 00 0016 00000008 0080 1122334455667788 99aabbccddeeff00
    08 00 000a 00000008 00000006 0003
";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|it| !it.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn changes() -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, MESSAGE_BYTES);
    let record = writer.record(true, |out| {
        out.extend_from_slice(&[0xaa, 0xbb, 0xcc]);
        Some(())
    });
    assert_eq!(record, Tail::Written(()));
    assert!(writer.delete(&model::key(1), ID, CloseReason::TcpFin));
    writer.finish(&HEADER);
    out
}

#[test]
fn changes_are_these_bytes() {
    assert_eq!(changes(), bytes(CHANGES));
    let bytes = bytes(CHANGES);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.header, HEADER);
    let reason = Some(CloseReason::TcpFin);
    let items: Vec<_> = message.items().collect();
    assert_eq!(
        items,
        [
            Item::Record { answer: true, bytes: &[0xaa, 0xbb, 0xcc] },
            Item::Delete { key: model::key(1), id: ID, reason },
        ]
    );
    assert_eq!(bytes.len(), HEADER_BYTES + ITEM_HEAD_BYTES + 3 + DELETE_BYTES);
}

#[test]
fn control_messages_are_these_bytes() {
    let header = Header {
        kind: MessageKind::Control,
        urgent: false,
        peer_boot: Boot(0),
        number: 0,
        floor: 1,
        ack: 0,
        ack_bits: 0,
        ..HEADER
    };
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, MESSAGE_BYTES);
    writer.bulk_begin(7, 1_000);
    writer.bulk_end(7, 1_001);
    writer.bulk_done(7);
    writer.digest(8, 128, &[0x1122_3344_5566_7788, 0x99aa_bbcc_ddee_ff00]);
    writer.digest_result(8, 6, 3);
    writer.finish(&header);
    assert_eq!(out, bytes(CONTROL));
    let message = Message::parse(&out).unwrap();
    assert_eq!(message.header, header);
    let items: Vec<_> = message.items().collect();
    assert_eq!(items[0], Item::BulkBegin { bulk: 7, sessions: 1_000 });
    assert_eq!(items[1], Item::BulkEnd { bulk: 7, sent: 1_001 });
    assert_eq!(items[2], Item::BulkDone { bulk: 7 });
    let Item::Digest { round: 8, first: 128, words } = items[3] else { panic!("{:?}", items[3]) };
    let words: Vec<_> = words.iter().collect();
    assert_eq!(words, [0x1122_3344_5566_7788, 0x99aa_bbcc_ddee_ff00]);
    assert_eq!(items[4], Item::DigestResult { round: 8, equal_since: 6, unequal: 3 });
}

#[test]
fn a_request_names_its_slots_and_fits_the_smallest_message() {
    let mut slots = SlotSet::NONE;
    [0, 63, 64, SLOTS - 1].into_iter().for_each(|slot| slots.insert(Slot(slot)));
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, MESSAGE_BYTES_MIN);
    writer.bulk_request(7, true, &slots);
    writer.finish(&HEADER);
    assert_eq!(out[HEADER_BYTES..][..8], bytes("03 01 0204 00000007"));
    assert_eq!(out[HEADER_BYTES + 8..][..16], bytes("8000000000000001 0000000000000001"));
    let message = Message::parse(&out).unwrap();
    let item = message.items().next();
    let Some(Item::BulkRequest { bulk: 7, merge: true, slots: read }) = item else {
        panic!("{item:?}")
    };
    assert_eq!(read.set(), slots);
    assert_eq!((slots.len(), SlotSet::ALL.len(), SlotSet::NONE.len()), (4, 4_096, 0));
    let digests = [0; DIGEST_PIECE_SLOTS as usize];
    let mut writer = Writer::new(&mut out, MESSAGE_BYTES_MIN);
    writer.digest(1, 0, &digests);
    assert!(writer.len() <= MESSAGE_BYTES_MIN);
}

#[test]
fn every_reason_has_a_number_of_its_own_and_an_unknown_one_is_none() {
    let numbers: Vec<_> = CloseReason::ALL.iter().map(|it| item::reason_number(*it)).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], "these never change");
    let mut newer = changes();
    *newer.last_mut().unwrap() = 200;
    let last = Message::parse(&newer).unwrap().items().last();
    assert!(matches!(last, Some(Item::Delete { reason: None, .. })), "{last:?}");
}

#[test]
fn what_a_newer_version_adds_is_passed_over() {
    let mut newer = bytes(CHANGES);
    // A longer header, an item of unknown kind between the others, a longer delete, a tail.
    newer[3] += 4;
    newer.splice(HEADER_BYTES..HEADER_BYTES, [1, 2, 3, 4]);
    newer[57] = 3;
    newer.splice(HEADER_BYTES + 4..HEADER_BYTES + 4, [99, 0, 0, 2, 5, 5]);
    let delete_length = newer.len() - DELETE_BYTES + 3;
    newer[delete_length] += 1;
    newer.extend_from_slice(&[7, 8, 9]);
    let message = Message::parse(&newer).unwrap();
    let items: Vec<_> = message.items().collect();
    assert_eq!(items[0], Item::Unknown { kind: 99 });
    assert_eq!(items[1], Item::Record { answer: true, bytes: &[0xaa, 0xbb, 0xcc] });
    assert!(matches!(items[2], Item::Delete { id: ID, .. }));
}

#[test]
fn every_mistake_has_its_name() {
    let spoil = |at: usize, to: u8| {
        let mut bytes = bytes(CHANGES);
        bytes[at] = to;
        Message::parse(&bytes).map(|message| message.header)
    };
    let short = bytes(CHANGES);
    let cases = [
        (Message::parse(&short[..HEADER_BYTES - 1]).map(|it| it.header), EnvelopeError::Short),
        (spoil(0, 2), EnvelopeError::Version(2)),
        (spoil(1, 3), EnvelopeError::Kind(3)),
        (spoil(3, 59), EnvelopeError::HeaderLength(59)),
        (spoil(3, 255), EnvelopeError::HeaderLength(255)),
        (spoil(39, 10), EnvelopeError::Number),
        (spoil(39, 0), EnvelopeError::Number),
        (spoil(24, 0x80), EnvelopeError::Number),
        (spoil(57, 3), EnvelopeError::Item(2)),
        (spoil(57, 65), EnvelopeError::Items(65)),
        (spoil(63, 200), EnvelopeError::Item(0)),
    ];
    for (index, (found, expected)) in cases.into_iter().enumerate() {
        assert_eq!(found, Err(expected), "case {index}");
    }
}

#[test]
fn a_body_that_cannot_be_is_malformed_and_the_next_item_is_read() {
    let mut short = bytes(CHANGES);
    // The delete's key is of no IP version.
    short[HEADER_BYTES + 7 + 4 + 39] = 5;
    let items: Vec<_> = Message::parse(&short).unwrap().items().collect();
    assert_eq!(items[1], Item::Malformed { kind: 2 });
    let mut control = bytes(CONTROL);
    // Digests of slots beyond the last.
    control[HEADER_BYTES + 12 + 12 + 8 + 8] = 0x0f;
    control[HEADER_BYTES + 12 + 12 + 8 + 9] = 0xff;
    let items: Vec<_> = Message::parse(&control).unwrap().items().collect();
    assert_eq!(items[3], Item::Malformed { kind: 7 });
    assert!(matches!(items[4], Item::DigestResult { .. }));
}

#[test]
fn what_does_not_fit_leaves_the_message_as_it_was() {
    let append = |bytes: usize| {
        move |out: &mut Vec<u8>| {
            out.resize(out.len() + bytes, 1);
            Some(bytes)
        }
    };
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, 200);
    assert_eq!(writer.record(false, |_| None::<()>), Tail::Nothing);
    assert_eq!(writer.record(false, append(137)), Tail::Oversized);
    assert_eq!(writer.record(false, append(100)), Tail::Written(100));
    assert_eq!(writer.record(false, append(33)), Tail::Full);
    assert!(!writer.delete(&model::key(1), ID, CloseReason::TcpRst));
    assert_eq!(writer.record(false, append(32)), Tail::Written(32));
    assert_eq!((writer.len(), writer.count()), (200, 2));
}

fn walk(bytes: &[u8]) {
    if let Ok(message) = Message::parse(bytes) {
        for item in message.items() {
            if let Item::Digest { words, .. } = item {
                assert_eq!(words.iter().count(), words.len());
            }
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        walk(&bytes);
    }

    #[test]
    fn no_change_of_a_message_makes_it_panic(
        control in any::<bool>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = bytes(if control { CONTROL } else { CHANGES });
        for (index, to) in flips {
            let at = index.index(bytes.len());
            bytes[at] = to;
        }
        walk(&bytes);
        walk(&bytes[..cut.index(bytes.len())]);
    }

    #[test]
    fn what_was_written_is_read(
        (stream, node, boot, peer_boot) in any::<(u16, u16, u32, u32)>(),
        (term, ack, ack_bits) in any::<(u64, u64, u64)>(),
        (number, behind) in (1..NUMBER_END, 0_u64..300),
        urgent in any::<bool>(),
        records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20),
    ) {
        let header = Header {
            kind: MessageKind::Changes,
            urgent,
            stream,
            node: NodeId(node),
            boot: Boot(boot),
            peer_boot: Boot(peer_boot),
            term: Term(term),
            number,
            floor: number.saturating_sub(behind).max(1),
            ack,
            ack_bits,
        };
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, MESSAGE_BYTES);
        for record in &records {
            let written = writer.record(false, |out| {
                out.extend_from_slice(record);
                Some(())
            });
            prop_assert_eq!(written, Tail::Written(()));
        }
        writer.finish(&header);
        let message = Message::parse(&out).unwrap();
        prop_assert_eq!(message.header, header);
        let read: Vec<_> = message.items().collect();
        let expected: Vec<_> =
            records.iter().map(|bytes| Item::Record { answer: false, bytes }).collect();
        prop_assert_eq!(read, expected);
    }
}
