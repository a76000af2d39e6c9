//! What a control channel speaks, and what its bytes begin with.

use config::Alg;
use wire::Protocol;

use super::{h323, pptp, rtsp, sip};
use crate::limits::CONTROLS_MAX;

/// What is spoken on a control channel. A gateway may read several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speech {
    /// FTP: lines.
    Ftp,
    /// TFTP: datagrams.
    Tftp,
    /// SIP, in datagrams or in a stream.
    Sip,
    /// H.225.0 RAS: datagrams.
    Ras,
    /// H.225.0 call signalling, by TPKT.
    Signalling,
    /// H.245, by TPKT.
    H245,
    /// RTSP.
    Rtsp,
    /// PPTP's control connection.
    Pptp,
    /// DNS: queries and their responses.
    Dns,
}

/// What the bytes of a stream of messages begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// A message of so many bytes, all of which are there.
    Whole(usize),
    /// So many bytes, there or not, that announce nothing.
    Pass(usize),
    /// The beginning of a message; how long that will be, where it says so.
    Part(Option<usize>),
    /// Another protocol: nothing behind it can be read.
    Foreign,
}

impl Speech {
    /// All of them, by their number in a record less one.
    const ALL: [Self; 9] = [
        Self::Ftp,
        Self::Tftp,
        Self::Sip,
        Self::Ras,
        Self::Signalling,
        Self::H245,
        Self::Rtsp,
        Self::Pptp,
        Self::Dns,
    ];

    /// What a gateway reads of a session of this protocol.
    pub(crate) fn of(alg: Alg, protocol: Protocol) -> Self {
        match alg {
            Alg::Ftp => Self::Ftp,
            Alg::Tftp => Self::Tftp,
            Alg::Sip => Self::Sip,
            Alg::H323 if protocol == Protocol::UDP => Self::Ras,
            Alg::H323 => Self::Signalling,
            Alg::Rtsp => Self::Rtsp,
            Alg::Pptp => Self::Pptp,
            Alg::Dns => Self::Dns,
        }
    }

    /// Whether it is a stream of lines.
    pub(super) const fn is_lines(self) -> bool {
        matches!(self, Self::Ftp)
    }

    /// The gateway that reads it.
    pub(crate) const fn alg(self) -> Alg {
        match self {
            Self::Ftp => Alg::Ftp,
            Self::Tftp => Alg::Tftp,
            Self::Sip => Alg::Sip,
            Self::Ras | Self::Signalling | Self::H245 => Alg::H323,
            Self::Rtsp => Alg::Rtsp,
            Self::Pptp => Alg::Pptp,
            Self::Dns => Alg::Dns,
        }
    }

    /// Control channels up to which one more of it is read. Queries come in thousands, and may be forged:
    /// what others need is left to them.
    pub(crate) const fn room(self) -> u32 {
        if matches!(self, Self::Dns) { CONTROLS_MAX / 2 } else { CONTROLS_MAX }
    }

    /// Its number in a record; 0 is none.
    pub(super) fn number(self) -> u8 {
        Self::ALL.iter().position(|it| *it == self).map_or(0, |at| at as u8 + 1)
    }

    pub(super) fn numbered(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// What these bytes of a stream begin with.
    pub(super) fn unit(self, bytes: &[u8]) -> Unit {
        match self {
            Self::Signalling | Self::H245 => match h323::frame_len(bytes) {
                h323::Frame::Complete(len) => Unit::Whole(len),
                h323::Frame::Incomplete => Unit::Part(h323::told_len(bytes)),
                h323::Frame::NotTpkt => Unit::Foreign,
            },
            Self::Sip => match sip::message_len(bytes) {
                sip::Frame::Complete(len) => Unit::Whole(len),
                sip::Frame::KeepAlive(len) | sip::Frame::TooMuch(len) => Unit::Pass(len),
                sip::Frame::Incomplete => Unit::Part(sip::told_len(bytes)),
                sip::Frame::NotSip => Unit::Foreign,
            },
            Self::Rtsp => match rtsp::message_len(bytes) {
                rtsp::Frame::Complete(len) => Unit::Whole(len),
                rtsp::Frame::Media(len) | rtsp::Frame::TooMuch(len) => Unit::Pass(len),
                rtsp::Frame::Incomplete => Unit::Part(rtsp::told_len(bytes)),
                rtsp::Frame::NotRtsp => Unit::Foreign,
            },
            Self::Pptp => match pptp::message_len(bytes) {
                pptp::Frame::Complete(len) => Unit::Whole(len),
                pptp::Frame::Incomplete => Unit::Part(None),
                pptp::Frame::NotPptp => Unit::Foreign,
            },
            Self::Ftp | Self::Tftp | Self::Ras | Self::Dns => Unit::Foreign,
        }
    }
}
