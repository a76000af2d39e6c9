use proptest::prelude::*;

use super::*;

/// A message with this header behind the number 0x1234, and these bytes.
fn message(flags: u16, counts: [u8; 4], rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34];
    bytes.extend(flags.to_be_bytes());
    bytes.extend(counts.iter().flat_map(|count| [0, *count]));
    bytes.extend(rest);
    bytes
}

const ASKED: &[u8] = b"\x07example\x03com\0\0\x01\0\x01";
const ANSWER: &[u8] = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc6\x33\x64\x01";
const OPT: &[u8] = b"\0\0\x29\x10\0\0\0\0\0\0\0";

#[test]
fn a_query_and_its_response() {
    let query = message(0x0120, [1, 0, 0, 1], &[ASKED, OPT].concat());
    let found = read(&query).expect("DNS");
    assert_eq!((found.id, found.response, found.opcode), (0x1234, false, 0));
    let question = found.question.expect("one");
    assert_eq!((question.kind, question.class), (1, 1));
    assert_eq!(question.name.of(&query), &ASKED[..13]);
    let response = message(0x8380, [1, 1, 0, 0], &[ASKED, ANSWER].concat());
    let found = read(&response).expect("DNS");
    assert_eq!((found.response, found.rcode, found.truncated), (true, 0, true));
    assert_eq!(found.question.map(|it| it.name), Some(question.name));
    let refusal = message(0x8005, [0; 4], &[]);
    let found = read(&refusal).expect("DNS");
    assert_eq!((found.rcode, found.question), (5, None));
    let cookie = message(0, [0, 0, 0, 1], OPT);
    assert_eq!(read(&cookie).map(|it| it.question), Ok(None));
    let update = message(0x2800, [1, 1, 1, 0], &[ASKED, OPT, OPT].concat());
    assert_eq!(read(&update).map(|it| it.opcode), Ok(5));
}

#[test]
fn what_is_no_dns() {
    let long = [&[&[63][..], &[b'a'; 63]].concat().repeat(4)[..], b"\0\0\x01\0\x01"].concat();
    let cases: [(Vec<u8>, Refused); 12] = [
        (vec![], Refused::Cut),
        (vec![0; 11], Refused::Cut),
        (message(0, [0; 4], &[]), Refused::Counts),
        (message(0, [2, 0, 0, 0], &[ASKED, ASKED].concat()), Refused::Counts),
        (message(0, [1, 1, 0, 0], &[ASKED, ANSWER].concat()), Refused::Counts),
        (message(0x8000, [1, 9, 0, 0], &[ASKED, ANSWER].concat()), Refused::Counts),
        (message(0x8000, [1, 0, 0, 255], ASKED), Refused::Counts),
        (message(0, [1, 0, 0, 0], b"\xc0\x0c\0\x01\0\x01"), Refused::Name),
        (message(0, [1, 0, 0, 0], b"\x40aaaaa\0\0\x01\0\x01"), Refused::Name),
        (message(0, [1, 0, 0, 0], &long), Refused::Name),
        (message(0, [1, 0, 0, 0], b"\x07examp"), Refused::Cut),
        (message(0, [1, 0, 0, 0], &ASKED[..ASKED.len() - 1]), Refused::Cut),
    ];
    for (bytes, refused) in cases {
        assert_eq!(read(&bytes), Err(refused), "{}", bytes.escape_ascii());
    }
    let longest =
        [&[&[62][..], &[b'a'; 62]].concat().repeat(4)[..], b"\x01a\0\0\x01\0\x01"].concat();
    let bytes = message(0, [1, 0, 0, 0], &longest);
    assert_eq!(read(&bytes).map(|it| it.question.map(|it| it.name.len())), Ok(Some(255)));
}

proptest! {
    #[test]
    fn any_datagram_can_be_read(
        flags: u16,
        counts in [0_u8..3, 0_u8..3, 0_u8..2, 0_u8..2],
        rest in prop::collection::vec(prop_oneof![0_u8..8, any::<u8>()], 0..300),
    ) {
        let bytes = message(flags, counts, &rest);
        if let Ok(Message { question: Some(question), .. }) = read(&bytes) {
            let name = question.name.of(&bytes);
            prop_assert!((1..=NAME).contains(&name.len()) && name.ends_with(&[0]));
            prop_assert!(question.name.end as usize + 4 <= bytes.len());
        }
    }
}
