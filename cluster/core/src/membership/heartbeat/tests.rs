//! The bytes of a heartbeat: golden vector, refusals, and no panic on anything.

use proptest::prelude::*;

use super::*;

const SECRET: [u8; 32] = *b"0123456789abcdef0123456789ABCDEF";

fn key() -> Key {
    Key::new(&SECRET)
}

fn sample() -> Heartbeat {
    Heartbeat {
        flags: Flags(Flags::ALONE | Flags::BACKS),
        path: PathId(3),
        role: Role::Active,
        from: NodeId(1),
        to: NodeId(2),
        boot: Boot(0x1122_3344),
        heard_boot: Some(Boot(0x5566_7788)),
        sequence: 0x0102_0304_0506_0708,
        sent_ns: 0x1112_1314_1516_1718,
        echo_ns: 0x2122_2324_2526_2728,
        echo_held: Duration::from_micros(1_500),
        acknowledged_ns: 0x3132_3334_3536_3738,
        control: Control {
            state: State::Up,
            diagnostic: Diagnostic::TimeExpired,
            detect_multiplier: 5,
            my_discriminator: 0xa1a2_a3a4,
            your_discriminator: 0xb1b2_b3b4,
            desired_tx_us: 10_000,
            required_rx_us: 20_000,
        },
        readiness: Readiness::BulkRunning,
        term: Term(0x4142_4344_4546_4748),
        vote: Some(NodeId(1)),
        fitness: Fitness::PORT_DOWN,
        rank: 100,
        offer: Some((NodeId(2), Term(0x5152_5354_5556_5758))),
        lease_left: Duration::from_millis(40),
        lease: Duration::from_millis(65),
        policy: *b"policy-digest-16",
        members: 0x0361_6263_6465_6667,
    }
}

/// Of the first revision, which has no members: it is read for ever.
const FIRST: &str = "\
    0106030300010002112233445566778801020304050607081112131415161718\
    2122232425262728000005dc050301033132333435363738a1a2a3a4b1b2b3b4\
    0000271000004e20414243444546474800010001006400025152535455565758\
    00009c400000fde8706f6c6963792d6469676573742d31365f1b9a261477082c\
    249a1e4561efe661\
";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Changes only with the version: an older node must read what this one sends.
const GOLDEN: &str = "\
    0106030300010002112233445566778801020304050607081112131415161718\
    2122232425262728000005dc050301033132333435363738a1a2a3a4b1b2b3b4\
    0000271000004e20414243444546474800010001006400025152535455565758\
    00009c400000fde8706f6c6963792d6469676573742d31360361626364656667\
    dbe6949d0cfd7ffa295bcb57a45e441a\
";

#[test]
fn golden_vectors() {
    assert_eq!(hex(&sample().encode(&key())), GOLDEN);
    let first: Vec<u8> = (0..FIRST.len() / 2)
        .map(|at| u8::from_str_radix(&FIRST[2 * at..2 * at + 2], 16).unwrap())
        .collect();
    let told = Heartbeat { members: 0, ..sample() };
    assert_eq!(Heartbeat::decode(&first, &key()), Ok(told));
}

#[test]
fn what_is_written_is_read() {
    assert_eq!(Heartbeat::decode(&sample().encode(&key()), &key()), Ok(sample()));
    let bare = Heartbeat::default();
    assert_eq!(Heartbeat::decode(&bare.encode(&key()), &key()), Ok(bare));
}

/// `bytes` with another body and the right tag.
fn signed(body: &[u8]) -> Vec<u8> {
    let mut bytes = body.to_vec();
    bytes.extend(key().tag(body).to_be_bytes());
    bytes
}

#[test]
fn a_tail_of_a_later_revision_is_passed_over_but_authenticated() {
    let bytes = sample().encode(&key());
    let mut body = bytes[..HEARTBEAT_LEN - TAG_LEN].to_vec();
    body.extend([0xee; HEARTBEAT_BYTES_MAX - HEARTBEAT_LEN]);
    let mut longer = signed(&body);
    assert_eq!(Heartbeat::decode(&longer, &key()), Ok(sample()));
    longer[HEARTBEAT_LEN - TAG_LEN] ^= 1;
    assert_eq!(Heartbeat::decode(&longer, &key()), Err(Refusal::Tag));
    body.push(0);
    assert_eq!(Heartbeat::decode(&signed(&body), &key()), Err(Refusal::Length));
}

#[test]
fn refusals_of_the_format() {
    let good = sample().encode(&key());
    assert_eq!(Heartbeat::decode(&good[..FIRST_LEN - 1], &key()), Err(Refusal::Length));
    let mut other = good;
    other[0] = VERSION + 1;
    assert_eq!(Heartbeat::decode(&other, &key()), Err(Refusal::Version));
    let stranger = Key::new(b"0123456789abcdef0123456789ABCDEf");
    assert_eq!(Heartbeat::decode(&good, &stranger), Err(Refusal::Tag));
    for (at, code) in [(3, 7), (3, 255), (45, 4)] {
        let mut body = good[..HEARTBEAT_LEN - TAG_LEN].to_vec();
        body[at] = code;
        assert_eq!(Heartbeat::decode(&signed(&body), &key()), Err(Refusal::Field), "byte {at}");
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    let good = sample().encode(&key());
    for bit in 0..good.len() * 8 {
        let mut bad = good;
        bad[bit / 8] ^= 1 << (bit % 8);
        let why = if bit < 8 { Refusal::Version } else { Refusal::Tag };
        assert_eq!(Heartbeat::decode(&bad, &key()), Err(why), "bit {bit}");
    }
}

#[test]
fn the_key_is_not_the_secret() {
    let plain = Key(SipHasher24::new_with_key(SECRET.first_chunk().unwrap()));
    assert_ne!(plain.tag(b"x"), key().tag(b"x"));
    let mut other = SECRET;
    other[31] ^= 1;
    assert_ne!(Key::new(&other).tag(b"x"), key().tag(b"x"), "all of the secret counts");
}

#[test]
fn refusals_have_an_order_and_names() {
    for (index, refusal) in Refusal::ALL.into_iter().enumerate() {
        assert_eq!(refusal as usize, index);
        assert!(!refusal.name().is_empty());
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..=HEARTBEAT_BYTES_MAX + 8)) {
        let _ = Heartbeat::decode(&bytes, &key());
    }

    #[test]
    fn no_signed_bytes_panic(
        mut body in proptest::collection::vec(any::<u8>(), 120..=HEARTBEAT_BYTES_MAX - TAG_LEN),
    ) {
        body[0] = VERSION;
        body[3] %= 8;
        body[45] %= 5;
        match Heartbeat::decode(&signed(&body), &key()) {
            // What is read and written again differs only in codes that are told to people.
            Ok(it) => prop_assert_eq!(Heartbeat::decode(&it.encode(&key()), &key()), Ok(it)),
            Err(why) => prop_assert_eq!(why, Refusal::Field),
        }
    }
}
