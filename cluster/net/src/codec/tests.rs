//! Golden bytes, and what refuses bytes that are none of ours.

use proptest::prelude::*;

use super::*;
use crate::limits::{DIGESTS, FEATURES, TEXT_BYTES};
use crate::message::{
    BulkEnd, BulkOutcome, BulkProgress, BulkRequest, Digests, ErrorReport, Hello, PolicyDigest,
    Slots, Switchover, SwitchoverStep,
};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One message of each kind, and its bytes. They are a promise to the nodes of the next version:
/// change none of them, add others.
fn golden() -> Vec<(ControlMessage, String)> {
    let slots = Slots { first: 0, last: 4095 };
    let aa = "aa".repeat(32);
    vec![
        (
            ControlMessage::Hello(Hello {
                boot: 7,
                workers: 2,
                policy: [0xaa; 32],
                features: vec!["x1".into()],
            }),
            format!("01010702{aa}01027831"),
        ),
        (
            ControlMessage::Policy(PolicyDigest { epoch: 300, digest: [0xaa; 32] }),
            format!("0102fb2c01{aa}"),
        ),
        (
            ControlMessage::BulkRequest(BulkRequest { transfer: 9, term: 3, slots }),
            "0103090300fbff0f".into(),
        ),
        (
            ControlMessage::BulkProgress(BulkProgress { transfer: 9, sent: 1, expected: 70_000 }),
            "01040901fc70110100".into(),
        ),
        (
            ControlMessage::BulkEnd(BulkEnd { transfer: 9, sent: 5, outcome: BulkOutcome::Busy }),
            "0105090503".into(),
        ),
        (
            ControlMessage::Digests(Digests { term: 3, first: 1, digests: vec![1, u64::MAX] }),
            "010603010201fdffffffffffffffff".into(),
        ),
        (
            ControlMessage::Switchover(Switchover {
                term: 4,
                slots,
                step: SwitchoverStep::LeaseEnded,
            }),
            "01070400fbff0f03".into(),
        ),
        (ControlMessage::Error(ErrorReport { about: 3, text: "no".into() }), "010803026e6f".into()),
    ]
}

#[test]
fn each_kind_has_its_golden_bytes() {
    let golden = golden();
    assert_eq!(golden.len(), Tag::ALL.len());
    for (message, bytes) in golden {
        let encoded = encode(&message).unwrap();
        assert_eq!(hex(&encoded), bytes, "{message:?}");
        assert_eq!(decode(&encoded), Ok(message));
    }
}

#[test]
fn what_is_cut_or_has_a_tail_is_refused() {
    for (message, _) in golden() {
        let mut bytes = encode(&message).unwrap();
        for end in 2..bytes.len() {
            assert_eq!(decode(&bytes[..end]), Err(CodecError::Body), "{message:?} {end}");
        }
        bytes.push(0);
        assert_eq!(decode(&bytes), Err(CodecError::Trailing), "{message:?}");
    }
}

#[test]
fn a_newer_node_is_told_from_nonsense() {
    assert_eq!(decode(&[]), Err(CodecError::Truncated));
    assert_eq!(decode(&[VERSION]), Err(CodecError::Truncated));
    assert_eq!(decode(&[VERSION + 1, 1, 2, 3]), Err(CodecError::Version(VERSION + 1)));
    assert_eq!(decode(&[VERSION, 200, 1, 2, 3]), Err(CodecError::Tag(200)));
    assert_eq!(decode(&[VERSION, 0]), Err(CodecError::Tag(0)));
}

#[test]
fn what_no_peer_would_take_is_not_sent() {
    let hello = |features| ControlMessage::Hello(Hello { features, ..Hello::default() });
    let slots = |first, last| {
        let slots = Slots { first, last };
        ControlMessage::BulkRequest(BulkRequest { transfer: 1, term: 1, slots })
    };
    let digests = |first, count| {
        let digests = vec![u64::MAX; count];
        ControlMessage::Digests(Digests { term: 1, first, digests })
    };
    let error = |length| ControlMessage::Error(ErrorReport { about: 0, text: "x".repeat(length) });
    for (message, allowed) in [
        (hello(vec![String::new(); FEATURES]), true),
        (hello(vec![String::new(); FEATURES + 1]), false),
        (hello(vec!["x".repeat(TEXT_BYTES + 1)]), false),
        (slots(4095, 4095), true),
        (slots(0, 4096), false),
        (slots(2, 1), false),
        (digests(0, DIGESTS), true),
        (digests(1, DIGESTS), false),
        (digests(0, DIGESTS + 1), false),
        (error(TEXT_BYTES), true),
        (error(TEXT_BYTES + 1), false),
    ] {
        let encoded = encode(&message);
        assert_eq!(encoded.is_ok(), allowed, "{:?}", encoded.map(|bytes| bytes.len()));
        if let Ok(bytes) = encoded {
            assert_eq!(decode(&bytes), Ok(message));
        }
    }
}

/// The largest lengths that twelve bytes can claim, in each place where a length stands.
#[test]
fn a_claimed_length_is_not_believed() {
    let huge = [0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    let hello = [&[VERSION, 1, 1, 1][..], &[0; 32], &huge].concat();
    let feature = [&[VERSION, 1, 1, 1][..], &[0; 32], &[1], &huge].concat();
    let digests = [&[VERSION, 6, 1, 1][..], &huge].concat();
    let text = [&[VERSION, 8, 1][..], &huge].concat();
    for bytes in [hello, feature, digests, text] {
        assert_eq!(decode(&bytes), Err(CodecError::Body));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        if let Ok(message) = decode(&bytes) {
            prop_assert!(encode(&message).is_ok());
        }
    }

    #[test]
    fn any_body_is_read_or_refused(
        tag in 1u8..=9,
        body in prop::collection::vec(any::<u8>(), 0..128),
    ) {
        if let Ok(message) = decode(&[&[VERSION, tag][..], &body].concat()) {
            let again = encode(&message).unwrap();
            prop_assert_eq!(decode(&again), Ok(message));
        }
    }
}
