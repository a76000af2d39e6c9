//! What is told of messages: recorded ones, and ones made by an encoder that was compiled from the ASN.1.

mod bounds;
mod encoder;
mod properties;
mod vectors;

use self::vectors::Vector;
use super::*;

/// What a message's reader tells, and how it ended.
struct Told {
    found: Vec<Found>,
    end: Result<Extent, Error>,
}

impl Told {
    fn mentions(&self) -> impl Iterator<Item = Mention> {
        self.found.iter().filter_map(|found| match found {
            Found::Mention(mention) => Some(*mention),
            Found::Event(_) => None,
        })
    }

    fn lines(&self) -> Vec<String> {
        self.found.iter().map(line).collect()
    }
}

/// The readers, by the names that vectors have for them.
#[derive(Clone, Copy, Debug)]
enum Protocol {
    Signalling,
    Control,
    Ras,
}

impl Protocol {
    const ALL: [Self; 3] = [Self::Signalling, Self::Control, Self::Ras];

    fn read(self, message: &[u8]) -> Told {
        let mut found = Vec::new();
        let visit = |it| found.push(it);
        let end = match self {
            Self::Signalling => read_signalling(message, visit),
            Self::Control => read_control(message, visit),
            Self::Ras => read_ras(message, visit),
        };
        Told { found, end }
    }
}

fn line(found: &Found) -> String {
    match found {
        Found::Mention(Mention { what, address, port, at: _ }) => {
            format!("{} {}", place(*what), std::net::SocketAddr::new(*address, *port))
        }
        Found::Event(event) => match event {
            Event::Signal(signal) => format!("{signal:?}"),
            Event::Ras(message, number) => format!("{message:?} {number}"),
            Event::TimeToLive(seconds) => format!("TimeToLive {seconds}"),
            Event::Tunnelling(able) => format!("Tunnelling {able}"),
            Event::CloseLogicalChannel(number) => format!("CloseLogicalChannel {number}"),
            Event::CloseLogicalChannelAck(number) => format!("CloseLogicalChannelAck {number}"),
            Event::OpenLogicalChannelReject(number) => format!("OpenLogicalChannelReject {number}"),
            Event::EndSession => "EndSession".into(),
        },
    }
}

fn place(what: What) -> String {
    let name = |Channel { number, session_id, direction }, data| {
        format!("{number}/{session_id} {direction:?} {data:?}")
    };
    match what {
        What::H245 => "H245".into(),
        What::CallSignal(whose) => format!("CallSignal {whose:?}"),
        What::Ras => "Ras".into(),
        What::Media { channel, data, guaranteed: true } => {
            format!("Media {} tcp", name(channel, data))
        }
        What::Media { channel, data, guaranteed: false } => {
            format!("Media {} udp", name(channel, data))
        }
        What::MediaControl { channel, data } => format!("MediaControl {}", name(channel, data)),
        What::Data { channel, data } => format!("Data {}", name(channel, data)),
    }
}

fn octets(hex: &str) -> Vec<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16).expect("a digit") as u8;
    hex.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// Where a mention says that it is.
fn place_of(mention: Mention) -> std::ops::Range<usize> {
    mention.at..mention.at + standing(mention).len()
}

/// What should be there.
fn standing(Mention { address, port, .. }: Mention) -> Vec<u8> {
    let address = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    [&address[..], &port.to_be_bytes()].concat()
}
