//! Laws for all messages, good and bad.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::encoder::{Open, Writer, connect, request, strings};
use super::*;

/// Endpoints apart from their places.
fn without_places(told: &Told) -> Vec<Found> {
    told.found.iter().copied().map(without_place).collect()
}

fn without_place(found: Found) -> Found {
    match found {
        Found::Mention(mention) => Found::Mention(Mention { at: 0, ..mention }),
        Found::Event(_) => found,
    }
}

/// Mentions stand in the message, one behind the other, and say what is there.
fn lie_within(message: &[u8], told: &Told) {
    let mut from = 0;
    for mention in told.mentions() {
        let place = place_of(mention);
        assert!(from <= place.start, "{mention:?} overlaps");
        assert_eq!(message.get(place.clone()), Some(&standing(mention)[..]), "{mention:?}");
        from = place.end;
    }
}

/// Another endpoint of the same family.
fn other(mention: Mention, number: u16) -> (IpAddr, u16) {
    let address = match mention.address {
        IpAddr::V4(_) => Ipv4Addr::from(0xc000_0200 | u32::from(number)).into(),
        IpAddr::V6(_) => Ipv6Addr::from(0x2001_0db8_u128 << 96 | u128::from(number)).into(),
    };
    (address, number)
}

/// Writing all mentions anew changes what is told of them, and nothing else.
fn can_be_rewritten(protocol: Protocol, message: &[u8], told: &Told) {
    let (mut rewritten, mut expected) = (message.to_vec(), told.found.clone());
    let mut restored = Vec::new();
    for (number, found) in (1..).zip(&mut expected) {
        if let Found::Mention(mention) = found {
            let (address, port) = other(*mention, number);
            mention.write(&mut rewritten, address, port).unwrap();
            restored.push(*mention);
            (mention.address, mention.port) = (address, port);
        }
    }
    let again = protocol.read(&rewritten);
    assert_eq!((again.found, again.end), (expected, told.end));
    for mention in restored {
        mention.write(&mut rewritten, mention.address, mention.port).unwrap();
    }
    assert_eq!(rewritten, message, "all else is as it was");
}

/// What is told of a beginning is a beginning of what is told.
fn is_read_from_the_front(protocol: Protocol, message: &[u8], told: &Told) {
    for end in 0..message.len() {
        let part = protocol.read(&message[..end]);
        assert!(told.found.starts_with(&part.found), "the first {end} octets");
    }
}

/// All laws for one message.
fn obeys(protocol: Protocol, message: &[u8]) -> Told {
    let told = protocol.read(message);
    lie_within(message, &told);
    can_be_rewritten(protocol, message, &told);
    told
}

#[test]
fn known_messages_obey_also_in_part() {
    for Vector { protocol, message, .. } in vectors::all() {
        let told = obeys(protocol, &message);
        is_read_from_the_front(protocol, &message, &told);
    }
}

/// Every bit of a recorded call, and of a RAS message, turned over.
#[test]
fn messages_with_a_bit_turned_over_obey() {
    for Vector { protocol, mut message, .. } in vectors::all().filter(|it| it.message.len() < 150) {
        for bit in 0..8 * message.len() {
            message[bit / 8] ^= 0x80 >> (bit % 8);
            obeys(protocol, &message);
            message[bit / 8] ^= 0x80 >> (bit % 8);
        }
    }
}

/// A known message in parts: octets replaced, left out, and put in.
fn spoilt() -> impl Strategy<Value = Vec<u8>> {
    let messages: Vec<Vec<u8>> = vectors::all().map(|vector| vector.message).collect();
    let change = (any::<Index>(), 0_usize..6, prop::collection::vec(any::<u8>(), 0..6));
    (select(messages), prop::collection::vec(change, 0..6)).prop_map(|(mut message, changes)| {
        for (at, gone, instead) in changes {
            let at = at.index(message.len() + 1);
            let end = (at + gone).min(message.len());
            message.splice(at..end, instead);
        }
        message
    })
}

/// The beginning of one message with the end of another.
fn spliced() -> impl Strategy<Value = Vec<u8>> {
    let messages: Vec<Vec<u8>> = vectors::all().map(|vector| vector.message).collect();
    let piece = (select(messages), any::<Index>());
    (piece.clone(), piece).prop_map(|((first, until), (second, from))| {
        let (until, from) = (until.index(first.len() + 1), from.index(second.len() + 1));
        [&first[..until], &second[from..]].concat()
    })
}

fn endpoint() -> impl Strategy<Value = (IpAddr, u16)> {
    (any::<IpAddr>(), any::<u16>())
}

fn open() -> impl Strategy<Value = Open> {
    let direction = select(&[Direction::Forward, Direction::Reverse][..]);
    let data = [Data::Audio, Data::Video, Data::T120, Data::Other, Data::Untold];
    let named = (1_u16.., any::<u8>(), direction, select(data.to_vec()));
    let endpoints = (prop::option::of(endpoint()), prop::option::of(endpoint()));
    (named, any::<Option<bool>>(), endpoints).prop_map(|(named, guaranteed, (media, control))| {
        let (number, session_id, direction, data) = named;
        Open { number, session_id, direction, data, guaranteed, media, control }
    })
}

proptest! {
    #[test]
    fn any_octets_obey(message in prop::collection::vec(any::<u8>(), 0..200)) {
        for protocol in Protocol::ALL {
            obeys(protocol, &message);
        }
        if let Frame::Complete(length) = frame_len(&message) {
            prop_assert!((HEADER_LEN..=message.len()).contains(&length));
        }
    }

    #[test]
    fn spoilt_messages_obey(message in spoilt()) {
        for protocol in Protocol::ALL {
            let told = obeys(protocol, &message);
            is_read_from_the_front(protocol, &message, &told);
        }
    }

    #[test]
    fn spliced_messages_obey(message in spliced()) {
        for protocol in Protocol::ALL {
            obeys(protocol, &message);
        }
    }

    #[test]
    fn a_channel_is_told_as_it_is_asked_for(open in open()) {
        let message = request(&open);
        let told = obeys(Protocol::Control, &message);
        prop_assert_eq!(without_places(&told), open.told());
        prop_assert_eq!(told.end, Ok(Extent::Whole));
    }

    #[test]
    fn channels_are_told_of_fast_start_and_tunnels(
        fast in prop::collection::vec(open(), 0..8),
        tunnelled in prop::collection::vec(open(), 0..8),
    ) {
        let channels: Vec<_> = fast.iter().map(Open::encoded).collect();
        let messages: Vec<_> = tunnelled.iter().map(request).collect();
        let message = connect(&[(4, strings(&channels))], &[(2, strings(&messages))]);
        let told = obeys(Protocol::Signalling, &message);
        let channels = fast.iter().chain(&tunnelled).flat_map(Open::told);
        let expected: Vec<_> =
            [Found::Event(Event::Signal(Signal::Connect))].into_iter().chain(channels).collect();
        prop_assert_eq!(without_places(&told), expected);
        prop_assert_eq!(told.end, Ok(Extent::Whole));
    }

    #[test]
    fn endpoints_of_a_location_are_told(signal in endpoint(), ras in endpoint()) {
        let head = Writer::default().bits(0, 1).bits(19, 5).bits(0, 2).half(41);
        let message = head.transport_address(signal.0, signal.1).transport_address(ras.0, ras.1);
        let told = obeys(Protocol::Ras, &message.done());
        let mentions: Vec<_> =
            told.mentions().map(|it| (it.what, (it.address, it.port))).collect();
        prop_assert_eq!(mentions, [(What::CallSignal(CallSignal::Own), signal), (What::Ras, ras)]);
        prop_assert_eq!(told.found[0], Found::Event(Event::Ras(RasMessage::LocationConfirm, 42)));
    }
}
