//! A writer of aligned PER (X.691), and of the messages that tests want and no recording has.

use super::*;

/// What is written so far, and how many bits of the last octet are used (0: all).
#[derive(Clone, Debug, Default)]
pub(super) struct Writer {
    octets: Vec<u8>,
    used: usize,
}

impl Writer {
    pub(super) fn bits(mut self, value: u32, count: u32) -> Self {
        for shift in (0..count).rev() {
            if self.used == 0 {
                self.octets.push(0);
            }
            let bit = (value >> shift & 1) as u8;
            *self.octets.last_mut().unwrap() |= bit << (7 - self.used);
            self.used = (self.used + 1) % 8;
        }
        self
    }

    /// Aligned octets.
    pub(super) fn octets(mut self, octets: &[u8]) -> Self {
        self.used = 0;
        self.octets.extend_from_slice(octets);
        self
    }

    pub(super) fn half(self, value: u16) -> Self {
        self.octets(&value.to_be_bytes())
    }

    /// A length without bounds.
    pub(super) fn length(self, length: usize) -> Self {
        match length {
            0..0x80 => self.octets(&[length as u8]),
            0x80..0x4000 => self.half(0x8000 | length as u16),
            _ => panic!("would be in fragments"),
        }
    }

    /// An OCTET STRING without bounds, or an open type.
    pub(super) fn contents(self, contents: &[u8]) -> Self {
        self.length(contents.len()).octets(contents)
    }

    /// Additions of a SEQUENCE that has `count` of them, of which these are there.
    pub(super) fn additions(self, count: u32, there: &[(u32, Vec<u8>)]) -> Self {
        let start = self.bits(count - 1, 7);
        let presence = (0..count).map(|index| there.iter().any(|(it, _)| *it == index));
        let start = presence.fold(start, |writer, there| writer.bits(u32::from(there), 1));
        there.iter().fold(start, |writer, (_, contents)| writer.contents(contents))
    }

    /// An address of H.225.0.
    pub(super) fn transport_address(self, address: IpAddr, port: u16) -> Self {
        match address {
            IpAddr::V4(address) => self.bits(0, 4).octets(&address.octets()).half(port),
            IpAddr::V6(address) => self.bits(3 << 1, 5).octets(&address.octets()).half(port),
        }
    }

    /// An address of H.245.
    fn unicast_address(self, address: IpAddr, port: u16) -> Self {
        match address {
            IpAddr::V4(address) => self.bits(0, 7).octets(&address.octets()).half(port),
            IpAddr::V6(address) => self.bits(2 << 1, 7).octets(&address.octets()).half(port),
        }
    }

    /// The message; at least one octet (X.691 §10.1.3).
    pub(super) fn done(mut self) -> Vec<u8> {
        if self.octets.is_empty() {
            self.octets.push(0);
        }
        self.octets
    }
}

/// A channel that is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub(super) number: u16,
    pub(super) session_id: u8,
    pub(super) direction: Direction,
    pub(super) data: Data,
    pub(super) guaranteed: Option<bool>,
    pub(super) media: Option<(IpAddr, u16)>,
    pub(super) control: Option<(IpAddr, u16)>,
}

impl Open {
    /// OpenLogicalChannel.
    pub(super) fn encoded(&self) -> Vec<u8> {
        let reverse = self.direction == Direction::Reverse;
        let start = Writer::default().bits(u32::from(reverse), 2).half(self.number - 1);
        let start = start.bits(0, 2); // no portNumber
        match self.direction {
            Direction::Forward => {
                let writer = self.data_type(start).bits(0b1_0000000, 8);
                writer.contents(&self.parameters()).done()
            }
            Direction::Reverse => {
                // nullData, none; then reverse parameters with multiplexParameters.
                let writer = start.bits(1, 4).bits(0b1_0000001, 8).contents(&[0]).bits(1, 2);
                let writer = self.data_type(writer).bits(0b1_0000000, 8);
                writer.contents(&self.parameters()).done()
            }
        }
    }

    fn data_type(&self, writer: Writer) -> Writer {
        let writer = match self.data {
            Data::Untold => return writer.bits(1, 4), // nullData
            Data::Video => writer.bits(2, 4),
            Data::Audio => writer.bits(3, 4),
            Data::T120 | Data::Other => writer.bits(4, 4).bits(0, 1),
        };
        match self.data {
            // h261VideoCapability: cifMPI, a flag, maxBitRate, a flag.
            Data::Video => {
                writer.bits(1, 4).bits(1, 3).bits(1, 2).bits(0, 1).half(3_840).bits(0, 1)
            }
            // g7231: so many frames, a flag.
            Data::Audio => writer.bits(8, 5).octets(&[29]).bits(1, 1),
            // t120 by separateLANStack, an addition; h224 by hdlcFrameTunnelling; a rate.
            Data::T120 => rate(writer.bits(1, 5).bits(0b1_0000011, 8).contents(&[0]), &[9]),
            Data::Other => rate(writer.bits(6, 5).bits(3, 4), &[0x80, 0, 0, 1]),
            Data::Untold => writer,
        }
    }

    /// H2250LogicalChannelParameters.
    fn parameters(&self) -> Vec<u8> {
        let there = |it: bool| u32::from(it);
        let writer = Writer::default().bits(0, 1 + 2).bits(there(self.media.is_some()), 1);
        let writer = writer.bits(there(self.guaranteed.is_some()), 1);
        let writer = writer.bits(there(self.control.is_some()), 1).bits(0, 5);
        let writer = address(writer.octets(&[self.session_id]), self.media);
        let writer = self.guaranteed.iter().fold(writer, |it, sure| it.bits(there(*sure), 1));
        address(writer, self.control).done()
    }

    /// What is told of it.
    pub(super) fn told(&self) -> Vec<Found> {
        let Self { number, session_id, direction, data, guaranteed, .. } = *self;
        let channel = Channel { number, session_id, direction };
        let guaranteed = guaranteed == Some(true);
        let media = self.media.map(|it| (What::Media { channel, data, guaranteed }, it));
        let control = self.control.map(|it| (What::MediaControl { channel, data }, it));
        let both = media.into_iter().chain(control);
        both.map(|(what, (address, port))| Found::Mention(Mention { what, address, port, at: 0 }))
            .collect()
    }
}

fn rate(writer: Writer, octets: &[u8]) -> Writer {
    writer.bits(octets.len() as u32 - 1, 2).octets(octets)
}

fn address(writer: Writer, endpoint: Option<(IpAddr, u16)>) -> Writer {
    endpoint.into_iter().fold(writer, |it, (address, port)| it.unicast_address(address, port))
}

/// OpenLogicalChannel as a message of H.245: request 0 of four, alternative 3 of eleven fill an octet.
pub(super) fn request(open: &Open) -> Vec<u8> {
    [&[3], &open.encoded()[..]].concat()
}

/// A Connect with these additions of its own and of H323-UU-PDU.
pub(super) fn connect(additions: &[(u32, Vec<u8>)], of_pdu: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let writer = Writer::default().bits(0, 2).bits(u32::from(!of_pdu.is_empty()), 1).bits(0, 1);
    let writer = writer.bits(2, 4).bits(1, 1).bits(0, 1).contents(&[0, 8, 0x91, 0x4a, 0, 4]);
    let writer = writer.bits(0, 7 + 2).octets(&[0; 16]).additions(17, additions);
    let writer = match of_pdu {
        [] => writer,
        additions => writer.additions(9, additions),
    };
    user_user(&writer.done())
}

/// Q.931 around H323-UserInformation.
pub(super) fn user_user(information: &[u8]) -> Vec<u8> {
    let length = (information.len() as u16 + 1).to_be_bytes();
    [&[8, 2, 0, 1, 7, 0x7e], &length[..], &[5], information].concat()
}

/// SEQUENCE OF OCTET STRING.
pub(super) fn strings(strings: &[Vec<u8>]) -> Vec<u8> {
    let start = Writer::default().length(strings.len());
    strings.iter().fold(start, |writer, string| writer.contents(string)).done()
}
