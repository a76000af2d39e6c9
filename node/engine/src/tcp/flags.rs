//! The control bits of a segment: whether they go together, and which row of the table they mean.

use wire::TcpFlags;

use super::Invalid;

/// What a segment is by its control bits; PSH, URG, ECE and CWR make no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Class {
    /// SYN without ACK.
    Syn,
    /// SYN with ACK.
    SynAck,
    /// FIN with ACK.
    Fin,
    /// ACK alone, with data or without.
    Ack,
    /// RST, with ACK or without.
    Rst,
    /// None of these; never of a valid segment.
    None,
}

impl Class {
    /// Every class, in the order of the table's rows.
    pub const ALL: [Self; 6] =
        [Self::Syn, Self::SynAck, Self::Fin, Self::Ack, Self::Rst, Self::None];

    /// The class of a combination that an honest peer may send (RFC 9293 §3.10; what is left over
    /// serves port scanners and fingerprinting only).
    #[inline]
    pub const fn of(flags: TcpFlags) -> Result<Self, Invalid> {
        CLASSES[(flags.0 & MEANT) as usize]
    }

    const fn classify(flags: TcpFlags) -> Result<Self, Invalid> {
        let (syn, fin) = (flags.contains(TcpFlags::SYN), flags.contains(TcpFlags::FIN));
        let (rst, ack) = (flags.contains(TcpFlags::RST), flags.contains(TcpFlags::ACK));
        let urg = flags.contains(TcpFlags::URG);
        match (syn, fin, rst, ack) {
            (true, true, _, _) => Err(Invalid::SynFin),
            (true, false, true, _) => Err(Invalid::SynRst),
            (false, true, true, _) => Err(Invalid::FinRst),
            (false, true, false, false) => Err(Invalid::FinWithoutAck),
            (false, false, false, false) => Err(Invalid::NoFlags),
            (true, false, false, true) | (false, false, true, _) if urg => {
                Err(Invalid::UrgMisplaced)
            }
            (true, false, false, false) => Ok(Self::Syn),
            (true, false, false, true) => Ok(Self::SynAck),
            (false, true, false, true) => Ok(Self::Fin),
            (false, false, false, true) => Ok(Self::Ack),
            (false, false, true, _) => Ok(Self::Rst),
        }
    }
}

/// FIN, SYN, RST, ACK and URG.
const MEANT: u8 = 0x37;

/// The class of each combination of the low six bits.
const CLASSES: [Result<Class, Invalid>; 64] = {
    let mut classes = [Err(Invalid::NoFlags); 64];
    let mut bits = 0;
    while bits < classes.len() {
        classes[bits] = Class::classify(TcpFlags(bits as u8));
        bits += 1;
    }
    classes
};
