//! Messages with what they tell, in the files beside this one.

use super::*;

const RECORDED: &str = include_str!("recorded.txt");
const COMPILED: &str = include_str!("compiled.txt");

/// One message of a file of vectors.
#[derive(Clone, Debug)]
pub(super) struct Vector {
    pub(super) protocol: Protocol,
    pub(super) message: Vec<u8>,
    told: Vec<String>,
}

/// All vectors of both files.
pub(super) fn all() -> impl Iterator<Item = Vector> {
    vectors(RECORDED).chain(vectors(COMPILED))
}

fn vectors(text: &str) -> impl Iterator<Item = Vector> {
    let blocks = text.split("\n\n").map(|block| {
        block.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect::<Vec<_>>()
    });
    blocks.filter(|block| !block.is_empty()).map(|block| {
        let (protocol, lines) = block.split_first().expect("not empty");
        let (hex, told): (Vec<&str>, Vec<&str>) =
            lines.iter().partition(|line| !line.starts_with("= "));
        let told = told.iter().map(|line| line[2..].to_owned()).collect();
        let hex: String = hex.iter().map(|line| line.trim()).collect();
        Vector { protocol: named(protocol), message: octets(&hex), told }
    })
}

fn named(protocol: &str) -> Protocol {
    match protocol {
        "signalling" => Protocol::Signalling,
        "control" => Protocol::Control,
        "ras" => Protocol::Ras,
        other => panic!("no reader is called {other}"),
    }
}

/// Compares each message with what it is known to tell; gives how many mentions there were.
fn check(text: &str) -> usize {
    let each = vectors(text).map(|Vector { protocol, message, told }| {
        let read = protocol.read(&message);
        assert_eq!(read.lines(), told, "{protocol:?} {message:02x?}: {:?}", read.end);
        assert_eq!(read.end, Ok(Extent::Whole), "{protocol:?} {message:02x?}");
        for mention in read.mentions() {
            assert_eq!(standing(mention), &message[place_of(mention)], "{mention:?}");
        }
        read.mentions().count()
    });
    each.sum()
}

#[test]
fn recorded_calls_are_told_as_another_decoder_does() {
    assert_eq!(check(RECORDED), 29);
}

#[test]
fn messages_of_a_compiled_encoder_are_told_as_they_were_made() {
    assert!(check(COMPILED) > 200);
}

/// What Linux made of the caller's messages (number among the recorded ones) when it translated its address,
/// 198.18.1.2, to 198.18.2.1: recorded on the other side.
const TRANSLATED: [(usize, &str); 3] = [
    (
        5, // Setup
        concat!(
            "0802000005040388c0a5280b6f626a73797363616c6c007e0065052088060008914a000422c0b500",
            "0036056f626a7379730576302e392e3400c612020206b8006f6f68333233632d342ac613c93f0032",
            "00d50d98000700c61202012efe11006f6f68333233632d342ac613c93f0032010001000100010001",
            "00010010800100",
        ),
    ),
    (13, "030003e80c601d800a04000100c61202011389"), // OpenLogicalChannel
    (16, "22c003e80680101c0000c6120201138800c61202011389"), // OpenLogicalChannelAck
];

#[test]
fn a_message_is_translated_as_linux_did() {
    let [inside, outside] = [[198, 18, 1, 2], [198, 18, 2, 1]].map(IpAddr::from);
    for (number, expected) in TRANSLATED {
        let Vector { protocol, message, .. } = vectors(RECORDED).nth(number).unwrap();
        let mut translated = message.clone();
        for mention in protocol.read(&message).mentions().filter(|it| it.address == inside) {
            mention.write(&mut translated, outside, mention.port).unwrap();
        }
        assert_ne!(translated, message);
        assert_eq!(translated, octets(expected));
    }
}
