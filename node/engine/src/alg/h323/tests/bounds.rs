//! What is refused, and what is given up.

use std::net::Ipv4Addr;

use super::encoder::{Open, Writer, connect, request, strings, user_user};
use super::*;
use crate::limits::{H323_FAST_STARTS_MAX, H323_LIST_MAX, H323_MENTIONS_MAX, H323_TUNNELLED_MAX};

const HERE: (IpAddr, u16) = (IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 5004);

fn open(number: u16) -> Open {
    Open {
        number,
        session_id: 1,
        direction: Direction::Forward,
        data: Data::Audio,
        guaranteed: None,
        media: Some(HERE),
        control: Some(HERE),
    }
}

fn opens(count: usize) -> Vec<Vec<u8>> {
    (1..).take(count).map(|number| open(number).encoded()).collect()
}

/// A channel with parameters of H.324, whose length nobody knows.
fn unknown() -> Vec<u8> {
    Writer::default().bits(0, 2).half(0).bits(0, 2).bits(1, 4).bits(1, 3).bits(0, 30).done()
}

fn mentions(told: &Told) -> usize {
    told.mentions().count()
}

#[test]
fn so_many_channels_may_be_proposed_and_no_more() {
    let offer = |count| connect(&[(4, strings(&opens(count)))], &[]);
    let told = Protocol::Signalling.read(&offer(H323_FAST_STARTS_MAX));
    assert_eq!((mentions(&told), told.end), (2 * H323_FAST_STARTS_MAX, Ok(Extent::Whole)));
    let told = Protocol::Signalling.read(&offer(H323_FAST_STARTS_MAX + 1));
    assert_eq!((mentions(&told), told.end), (0, Err(Error::TooMany)));
}

#[test]
fn so_many_messages_may_be_tunnelled_and_no_more() {
    let tunnel = |count| connect(&[], &[(2, strings(&vec![request(&open(1)); count]))]);
    let told = Protocol::Signalling.read(&tunnel(H323_TUNNELLED_MAX));
    assert_eq!((mentions(&told), told.end), (2 * H323_TUNNELLED_MAX, Ok(Extent::Whole)));
    let told = Protocol::Signalling.read(&tunnel(H323_TUNNELLED_MAX + 1));
    assert_eq!((mentions(&told), told.end), (0, Err(Error::TooMany)));
}

#[test]
fn so_many_addresses_are_told_and_no_more() {
    let (fast, tunnelled) = (H323_FAST_STARTS_MAX, H323_TUNNELLED_MAX);
    assert!(2 * (fast + tunnelled) > H323_MENTIONS_MAX, "or this limit is never reached");
    let messages = vec![request(&open(1)); tunnelled];
    let message = connect(&[(4, strings(&opens(fast)))], &[(2, strings(&messages))]);
    let told = Protocol::Signalling.read(&message);
    assert_eq!((mentions(&told), told.end), (H323_MENTIONS_MAX, Err(Error::TooMany)));
}

/// UnregistrationRequest: the list is its first component.
#[test]
fn lists_are_bounded() {
    let list = |count| {
        let start = Writer::default().bits(0, 1).bits(6, 5).bits(0, 1 + 3).half(0).length(count);
        let netbios = |writer: Writer, _| writer.bits(4, 4).octets(&[0; 16]);
        (0..count).fold(start, netbios).done()
    };
    assert_eq!(Protocol::Ras.read(&list(H323_LIST_MAX)).end, Ok(Extent::Whole));
    assert_eq!(Protocol::Ras.read(&list(H323_LIST_MAX + 1)).end, Err(Error::TooMany));
}

#[test]
fn a_channel_that_is_not_understood_ends_alone() {
    let channels = [open(1).encoded(), unknown(), open(3).encoded()];
    let told = Protocol::Signalling.read(&connect(&[(4, strings(&channels))], &[]));
    assert_eq!((mentions(&told), told.end), (4, Ok(Extent::Part)));
    let alone = [&[3], &unknown()[..]].concat();
    let told = Protocol::Control.read(&alone);
    assert_eq!((told.found, told.end), (vec![], Err(Error::Unknown)));
}

#[test]
fn a_channel_that_ends_early_ends_the_message() {
    let mut short = open(2).encoded();
    short.truncate(short.len() - 1);
    let channels = [open(1).encoded(), short, open(3).encoded()];
    let told = Protocol::Signalling.read(&connect(&[(4, strings(&channels))], &[]));
    assert_eq!(told.end, Err(Error::Truncated));
    assert_eq!(mentions(&told), 2, "of the first; the second's parameters are not all there");
}

#[test]
fn additions_that_nobody_knows_are_passed_over() {
    let additions: Vec<_> = (0..17).map(|index| (index, vec![0xff; index as usize])).collect();
    let mut additions: Vec<_> = additions.into_iter().filter(|(index, _)| *index != 4).collect();
    additions.insert(4, (4, strings(&opens(1))));
    let told = Protocol::Signalling.read(&connect(&additions, &[(8, vec![0xff; 200])]));
    assert_eq!((mentions(&told), told.end), (2, Ok(Extent::Whole)));
}

/// Sixty-four additions are as many as are told by the short form of their number.
#[test]
fn the_last_of_sixty_four_additions_is_found() {
    let head = |count: u32| {
        Writer::default()
            .bits(0, 1)
            .bits(3, 5)
            .bits(1, 1)
            .bits(0, 3)
            .half(0)
            .contents(&[0])
            .bits(0, 1)
            .length(0)
            .length(0)
            .bits(0, 9)
            .bits(0, 1 + 2 + 1)
            .octets(&[0; 4])
            .bits(count, 7)
    };
    let presence =
        |writer: Writer, there: u64| writer.bits((there >> 32) as u32, 32).bits(there as u32, 32);
    let ttl = Writer::default().bits(1, 2).half(0x0e0f).done();
    let message = presence(head(63), 1 << 62 | 1).contents(&ttl).contents(&[1, 2]);
    let told = Protocol::Ras.read(&message.clone().done());
    assert_eq!(told.end, Ok(Extent::Whole));
    assert_eq!(told.found[1..], [Found::Event(Event::TimeToLive(0x0e10))]);
    let mut short = message.done();
    short.pop();
    assert_eq!(Protocol::Ras.read(&short).end, Err(Error::Truncated));
    let more = presence(head(1 << 6), 1).done();
    assert_eq!(Protocol::Ras.read(&more).end, Err(Error::Unknown));
}

#[test]
fn fragments_are_refused() {
    let message = connect(&[], &[]);
    let mut fragmented = message.clone();
    let identifier = message.windows(6).position(|it| it == [0, 8, 0x91, 0x4a, 0, 4]).unwrap();
    fragmented[identifier - 1] = 0xc1;
    assert_eq!(Protocol::Signalling.read(&fragmented).end, Err(Error::Fragmented));
}

#[test]
fn a_message_that_is_none_is_foreign() {
    assert_eq!(Protocol::Signalling.read(b"GET / HTTP/1.1\r\n").end, Err(Error::Foreign));
    assert_eq!(Protocol::Signalling.read(&user_user(&[])).end, Err(Error::Truncated));
}

#[test]
fn a_mention_is_written_only_where_it_fits() {
    let mention = Mention { what: What::Ras, address: HERE.0, port: HERE.1, at: 2 };
    let mut octets = [7; 8];
    assert_eq!(mention.write(&mut octets[..7], HERE.0, 1), Err(Unwritable::Outside));
    assert_eq!(mention.write(&mut octets[..1], HERE.0, 1), Err(Unwritable::Outside));
    let six = std::net::Ipv6Addr::LOCALHOST.into();
    assert_eq!(mention.write(&mut octets, six, 1), Err(Unwritable::Family));
    assert_eq!(octets, [7; 8]);
    assert_eq!(mention.write(&mut octets, HERE.0, 0x0102), Ok(()));
    assert_eq!(octets, [7, 7, 192, 0, 2, 1, 1, 2]);
    let far = Mention { at: usize::MAX, ..mention };
    assert_eq!(far.write(&mut octets, HERE.0, 1), Err(Unwritable::Outside));
}
