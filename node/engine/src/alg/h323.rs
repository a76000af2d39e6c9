//! H.323: which addresses its messages name, and where they stand.
//!
//! | channel | read by | messages |
//! |---|---|---|
//! | TCP 1720, by TPKT | [`read_signalling`] | H.225.0 in Q.931, with tunnelled H.245 and `fastStart` |
//! | TCP, port by `h245Address`, by TPKT | [`read_control`] | H.245 |
//! | UDP 1719 (1718 for discovery) | [`read_ras`] | H.225.0 registration, admission and status |
//!
//! The structures are those of H.225.0 (12/2009) and H.245 (05/2006), in aligned PER (X.691). Older versions
//! are beginnings of them, newer ones end in additions, which tell their length and are passed over.
//!
//! Nothing is kept: messages are read from front to back, and each address is told as it comes. It has a
//! fixed size in the encoding, so that another one can be written in its place without moving anything
//! ([`Mention::write`]).
//!
//! What is *not* told: addresses of other kinds than IP, multicast and source routes; aliases that are
//! addresses (`transportID`); alternates (`alternateEndpoints`, `alternateGatekeeper`); and in
//! InfoRequestResponse the addresses of the calls that it reports (`perCallInfo`), for they open nothing; a
//! sequence of AdmissionConfirms in one message. A TPKT frame is taken for one message of H.245: where one
//! ends is not known without reading all of it, and what follows it in the same frame is not looked at.

mod elements;
mod h225;
mod h245;
mod media;
mod per;
mod q931;
mod ras;
mod telling;
#[cfg(test)]
mod tests;
mod tpkt;

use std::net::IpAddr;

use self::per::Per;
use self::telling::Telling;
pub(crate) use self::tpkt::told_len;
pub use self::tpkt::{Frame, HEADER_LEN, frame_len};

/// What a visitor is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// An address.
    Mention(Mention),
    /// Something that happens.
    Event(Event),
}

/// An address with its port, in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mention {
    /// What is there.
    pub what: What,
    /// Its address. May be `0.0.0.0`.
    pub address: IpAddr,
    /// Its TCP or UDP port. May be 0.
    pub port: u16,
    /// Octets of the message before the address. The port is directly behind the address.
    pub at: usize,
}

impl Mention {
    /// Writes another endpoint in this one's place.
    ///
    /// # Errors
    /// The address is of the other family, or `bytes` are not those of the message. Nothing is written then.
    pub fn write(&self, bytes: &mut [u8], address: IpAddr, port: u16) -> Result<(), Unwritable> {
        match (self.address, address) {
            (IpAddr::V4(_), IpAddr::V4(address)) => self.put(bytes, &address.octets(), port),
            (IpAddr::V6(_), IpAddr::V6(address)) => self.put(bytes, &address.octets(), port),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {
                Err(Unwritable::Family)
            }
        }
    }

    fn put(&self, bytes: &mut [u8], address: &[u8], port: u16) -> Result<(), Unwritable> {
        let place = bytes.get_mut(self.at..).ok_or(Unwritable::Outside)?;
        let (to, rest) = place.split_at_mut_checked(address.len()).ok_or(Unwritable::Outside)?;
        let behind = rest.first_chunk_mut::<2>().ok_or(Unwritable::Outside)?;
        to.copy_from_slice(address);
        *behind = port.to_be_bytes();
        Ok(())
    }
}

/// What is at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The H.245 channel of the call waits there for a connection (TCP).
    H245,
    /// Call signalling (TCP).
    CallSignal(CallSignal),
    /// RAS of who sent the message, or where the answer shall go (UDP).
    Ras,
    /// RTP, or whatever else the channel carries (UDP, and TCP if `guaranteed`).
    Media {
        /// The logical channel.
        channel: Channel,
        /// What it carries.
        data: Data,
        /// `mediaGuaranteedDelivery`: by a reliable transport.
        guaranteed: bool,
    },
    /// RTCP of the channel's session (UDP).
    MediaControl {
        /// The logical channel.
        channel: Channel,
        /// What it carries.
        data: Data,
    },
    /// The stack of a data protocol, T.120 in practice, waits there (`separateStack`, TCP).
    Data {
        /// The logical channel.
        channel: Channel,
        /// What it carries.
        data: Data,
    },
}

/// Whose call signalling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallSignal {
    /// The caller's.
    Source,
    /// The callee's.
    Destination,
    /// Of whom to call instead (Facility, AdmissionReject).
    Alternative,
    /// Of the endpoint or gatekeeper that a message of RAS is about.
    Own,
}

/// A logical channel of H.245.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// `forwardLogicalChannelNumber`, which also names a channel in both directions. Numbers are those of who
    /// asks for the channel, so that both ends use the same ones.
    pub number: u16,
    /// `sessionID`: 1, 2 and 3 are the call's first audio, video and data. 0 is one that the master has yet
    /// to choose, or one that the message does not tell.
    pub session_id: u8,
    /// Which parameters of the channel the address is from.
    pub direction: Direction,
}

/// Direction of a logical channel, seen from who asks for it (H.245 §7.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Who asks sends.
    Forward,
    /// Who asks receives.
    Reverse,
}

/// What a logical channel carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
    /// Conference data (T.120).
    T120,
    /// Other data: fax, far end camera control, text.
    Other,
    /// It is not told, as in acknowledgements, or not in a way that is known here.
    Untold,
}

/// What a message does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is this one of call signalling: told first.
    Signal(Signal),
    /// It is this one of RAS, with its `requestSeqNum`: told first.
    Ras(RasMessage, u16),
    /// How long a registration lives, seconds (RegistrationRequest, RegistrationConfirm).
    TimeToLive(u32),
    /// `h245Tunnelling`: the sender can put H.245 into call signalling, or cannot.
    Tunnelling(bool),
    /// Who asked for this channel closes it.
    CloseLogicalChannel(u16),
    /// The other end agrees.
    CloseLogicalChannelAck(u16),
    /// The other end does not want this channel.
    OpenLogicalChannelReject(u16),
    /// The H.245 session is over, and so are its channels (`EndSessionCommand`).
    EndSession,
}

/// Messages of call signalling; the others are not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Setup.
    Setup,
    /// CallProceeding.
    CallProceeding,
    /// Connect.
    Connect,
    /// Alerting.
    Alerting,
    /// Information.
    Information,
    /// ReleaseComplete: the call is over.
    ReleaseComplete,
    /// Facility.
    Facility,
    /// Progress.
    Progress,
}

/// Messages of RAS; the others are not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RasMessage {
    /// GatekeeperRequest.
    GatekeeperRequest,
    /// GatekeeperConfirm.
    GatekeeperConfirm,
    /// RegistrationRequest.
    RegistrationRequest,
    /// RegistrationConfirm.
    RegistrationConfirm,
    /// RegistrationReject.
    RegistrationReject,
    /// UnregistrationRequest.
    UnregistrationRequest,
    /// UnregistrationConfirm.
    UnregistrationConfirm,
    /// AdmissionRequest.
    AdmissionRequest,
    /// AdmissionConfirm.
    AdmissionConfirm,
    /// AdmissionReject.
    AdmissionReject,
    /// DisengageRequest.
    DisengageRequest,
    /// LocationRequest.
    LocationRequest,
    /// LocationConfirm.
    LocationConfirm,
    /// InfoRequest.
    InfoRequest,
    /// InfoRequestResponse.
    InfoRequestResponse,
}

/// How much of a message was understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All that could name an address.
    Whole,
    /// Something with a length of its own, as a channel in `fastStart`, was passed over because of
    /// [`Error::Unknown`] in it.
    Part,
}

/// Why reading ended early. What was told before stands; nothing is told after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The message, or something in it, ends before what it announces.
    Truncated,
    /// It is of another protocol.
    Foreign,
    /// Something has no length of its own and is not known here, so that what follows cannot be found.
    Unknown,
    /// Something of 16,384 octets or more (X.691 §10.9.3.8).
    Fragmented,
    /// More of something than the limits allow.
    TooMany,
}

/// Why a mention is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwritable {
    /// IPv4 in the place of IPv6, or the other way round.
    Family,
    /// The place is not in these bytes.
    Outside,
}

/// Reads a message of call signalling (H.225.0 in Q.931), without its TPKT header.
///
/// # Errors
/// Reading ended early; `visit` was given what came before.
pub fn read_signalling(message: &[u8], visit: impl FnMut(Found)) -> Result<Extent, Error> {
    let mut telling = Telling::new(visit);
    if let Some((message, start)) = q931::user_information(message)? {
        h225::user_information(&mut Per::new(message, start), &mut telling)?;
    }
    Ok(telling.extent())
}

/// Reads a message of H.245, without its TPKT header.
///
/// # Errors
/// Reading ended early; `visit` was given what came before.
pub fn read_control(message: &[u8], visit: impl FnMut(Found)) -> Result<Extent, Error> {
    let mut telling = Telling::new(visit);
    h245::message(&mut Per::new(message, 0), &mut telling)?;
    Ok(telling.extent())
}

/// Reads a message of RAS.
///
/// # Errors
/// Reading ended early; `visit` was given what came before.
pub fn read_ras(message: &[u8], visit: impl FnMut(Found)) -> Result<Extent, Error> {
    let mut telling = Telling::new(visit);
    ras::message(&mut Per::new(message, 0), &mut telling)?;
    Ok(telling.extent())
}
