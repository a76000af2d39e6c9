//! Calls by H.323: what its channels announce, and what they say where addresses are translated.
//!
//! | channel | announces | to be read as |
//! |---|---|---|
//! | RAS | call signalling of an endpoint or gatekeeper, as long as it is registered | call signalling |
//! | call signalling | the call's H.245 channel; media of fast start | H.245; nothing |
//! | H.245 | media of logical channels | nothing |
//!
//! All addresses have a fixed size: another one stands in the same place.

use std::net::IpAddr;
use std::time::Duration;

use wire::Protocol;

use super::Span;
use super::edits::Edits;
use super::expect::{Announced, Refused};
use super::h323::{
    self, CallSignal, Channel, Data, Event, Found, Mention, RasMessage, Signal, What,
};
use super::messages::Sent;
use super::pinholes::ANY;
use super::speech::Speech;
use crate::engine::Engine;
use crate::limits::{ANSWERED_CALL_LIFE, H323_REGISTRATION_LIFE, SIP_CHANNEL_LIFE};
use crate::session::Peer;

/// What a pinhole is of that is no call's: of a registration.
const REGISTRATION: u32 = 1;
/// What the pinhole of an H.245 channel is of.
const CONTROL: u32 = 2;
/// Logical channels: with their number, and a bit for who asked for them.
const CHANNEL: u32 = 1 << 16;
const OF_RESPONDER: u32 = 1 << 17;

/// What is known of a message while it is read.
struct Reading {
    /// Where the message begins.
    start: usize,
    signal: Option<Signal>,
    ras: Option<RasMessage>,
    /// Seconds.
    life: Option<u32>,
    edits: Edits,
}

impl Engine {
    /// Reads a message of H.323.
    pub(super) fn read_h323(&mut self, sent: &Sent<'_>, speech: Speech) -> Option<Edits> {
        let start = if speech == Speech::Ras { 0 } else { h323::HEADER_LEN };
        let message = sent.bytes.get(start..).filter(|message| !message.is_empty())?;
        let (signal, ras, life, edits) = (None, None, None, Edits::default());
        let mut reading = Reading { start, signal, ras, life, edits };
        let visit = |found| self.follow_h323(sent, &mut reading, found);
        let read = match speech {
            Speech::Ras => h323::read_ras(message, visit),
            Speech::H245 => h323::read_control(message, visit),
            Speech::Signalling => h323::read_signalling(message, visit),
            Speech::Ftp
            | Speech::Tftp
            | Speech::Sip
            | Speech::Rtsp
            | Speech::Pptp
            | Speech::Dns => return None,
        };
        // What was read stands: its addresses must be the other side's.
        self.algs.counters.malformed += u64::from(read.is_err());
        self.end_h323(sent, &mut reading);
        Some(reading.edits)
    }

    fn follow_h323(&mut self, sent: &Sent<'_>, reading: &mut Reading, found: Found) {
        match found {
            Found::Mention(mention) => self.follow_mention(sent, reading, &mention),
            Found::Event(event) => self.follow_event(sent, reading, event),
        }
    }

    fn follow_mention(&mut self, sent: &Sent<'_>, reading: &mut Reading, mention: &Mention) {
        let named = (mention.address, mention.port);
        if named.0.is_unspecified() || named.1 == 0 {
            return;
        }
        let told = if named.0 == sent.theirs.shown.0 {
            self.inside_of(sent.handle, named)
                .or((named == sent.theirs.shown).then_some(sent.theirs.own))
        } else {
            self.tell_mention(sent, reading, mention)
        };
        let Some(told) = told.filter(|told| *told != named) else { return };
        let (mut bytes, len) = ([0; 18], if named.0.is_ipv4() { 6 } else { 18 });
        let alone = Mention { at: 0, ..*mention };
        if alone.write(&mut bytes[..len], told.0, told.1).is_ok() {
            let at = reading.start + mention.at;
            reading.edits.put(Span::new(at, at + len), &bytes[..len]);
        }
    }

    /// How the other side knows what its sender names, and lets in what it announces.
    fn tell_mention(
        &mut self,
        sent: &Sent<'_>,
        reading: &mut Reading,
        mention: &Mention,
    ) -> Option<(IpAddr, u16)> {
        let port = mention.port;
        let announced = |protocol, speech, call, uses| Announced {
            protocol,
            address: Some(mention.address),
            port,
            speech,
            call,
            uses,
            ..Announced::NONE
        };
        let (tcp, udp) = (Protocol::TCP, Protocol::UDP);
        let announced = match mention.what {
            What::H245 => announced(tcp, Some(Speech::H245), CONTROL, 1),
            What::Data { channel, data } => announced(tcp, None, call_of(sent, channel, data), ANY),
            What::Media { channel, data: Data::T120, .. } => {
                announced(tcp, None, call_of(sent, channel, Data::T120), ANY)
            }
            What::Media { channel, data, .. } | What::MediaControl { channel, data } => {
                let call = call_of(sent, channel, data);
                let told = self.let_media_pair_in(sent, &announced(udp, None, call, ANY)).ok();
                if data == Data::Untold {
                    self.answer_call(sent.handle, call, sent.now + ANSWERED_CALL_LIFE);
                }
                reading.edits.changed |= told.is_some();
                return told;
            }
            What::Ras if mention.address == sent.mine.own.0 && port == sent.mine.own.1 => {
                return Some(sent.mine.shown);
            }
            What::Ras => announced(udp, Some(Speech::Ras), REGISTRATION, ANY),
            What::CallSignal(of) if !opens(reading, of) => {
                return self.tell_signal(sent, reading, mention);
            }
            What::CallSignal(_) => announced(tcp, Some(Speech::Signalling), REGISTRATION, ANY),
        };
        let told = self.expect(sent.handle, sent.sender, &announced, sent.now).ok();
        reading.edits.changed |= told.is_some();
        told
    }

    /// An address of call signalling that announces nothing.
    fn tell_signal(
        &self,
        sent: &Sent<'_>,
        reading: &Reading,
        mention: &Mention,
    ) -> Option<(IpAddr, u16)> {
        if mention.address != sent.mine.own.0 {
            return None;
        }
        let named = (mention.address, mention.port);
        let known = self.told_at(sent.handle, Protocol::TCP, named);
        let known = known.map(|port| (sent.mine.shown.0, port));
        // Who calls is known by its connection: it has no other port beyond.
        known.or_else(|| reading.signal.map(|_| sent.mine.shown))
    }

    /// Lets RTP and RTCP in, which have a pair of ports, of which one is named.
    fn let_media_pair_in(
        &mut self,
        sent: &Sent<'_>,
        announced: &Announced,
    ) -> Result<(IpAddr, u16), Refused> {
        let first = announced.port & !1;
        let own = sent.mine.own.0;
        let shown = match self.told_at(sent.handle, Protocol::UDP, (own, first)) {
            None if announced.address == Some(own) => {
                self.pair_for(sent.handle, sent.sender, Protocol::UDP)?
            }
            known => known,
        };
        let rtp = Announced { port: first, shown, ..*announced };
        let (address, told) = self.expect(sent.handle, sent.sender, &rtp, sent.now)?;
        let beside = Some(told | 1).filter(|_| told != first);
        let rtcp = Announced { port: first | 1, shown: beside, ..*announced };
        let (_, control) = self.expect(sent.handle, sent.sender, &rtcp, sent.now)?;
        Ok((address, if announced.port == first { told } else { control }))
    }

    fn follow_event(&mut self, sent: &Sent<'_>, reading: &mut Reading, event: Event) {
        match event {
            Event::Signal(signal) => reading.signal = Some(signal),
            Event::Ras(message, _) => reading.ras = Some(message),
            Event::TimeToLive(seconds) => reading.life = Some(seconds),
            Event::CloseLogicalChannelAck(number) | Event::OpenLogicalChannelReject(number) => {
                let call = channel_of(sent.sender.other(), number);
                reading.edits.changed |= self.close_call(sent.handle, call, false);
            }
            Event::EndSession => {
                let channels = |call: u32| call & CHANNEL != 0;
                reading.edits.changed |= self.close_calls(sent.handle, channels);
            }
            Event::CloseLogicalChannel(_) | Event::Tunnelling(_) => {}
        }
    }

    /// What the message as a whole means for pinholes.
    fn end_h323(&mut self, sent: &Sent<'_>, reading: &mut Reading) {
        let until = sent.now + ANSWERED_CALL_LIFE;
        let changed = match (reading.signal, reading.ras) {
            (Some(Signal::Connect), _) => {
                self.answer_calls(sent.handle, |call| call & CHANNEL != 0, until)
            }
            (Some(Signal::ReleaseComplete), _) => self.close_calls(sent.handle, |call| call != 0),
            (_, Some(RasMessage::RegistrationConfirm)) => {
                let told = reading.life.map(|seconds| Duration::from_secs(seconds.into()));
                let life = told.unwrap_or(H323_REGISTRATION_LIFE).min(SIP_CHANNEL_LIFE);
                let until = sent.now + life;
                self.live_until(sent.handle, until);
                self.answer_calls(sent.handle, |call| call == REGISTRATION, until)
            }
            (_, Some(RasMessage::RegistrationReject)) => {
                self.close_call(sent.handle, REGISTRATION, true)
            }
            (_, Some(RasMessage::UnregistrationConfirm)) => {
                self.close_call(sent.handle, REGISTRATION, false)
            }
            _ => false,
        };
        reading.edits.changed |= changed;
    }
}

/// Whether such an address of call signalling in a message of RAS is one that the other side will call.
const fn opens(reading: &Reading, of: CallSignal) -> bool {
    matches!(
        (reading.ras, of),
        (
            Some(
                RasMessage::RegistrationRequest
                    | RasMessage::RegistrationConfirm
                    | RasMessage::LocationConfirm
            ),
            CallSignal::Own
        ) | (Some(RasMessage::AdmissionConfirm), CallSignal::Destination)
    )
}

/// What a logical channel is called here that `peer` asked for.
fn channel_of(peer: Peer, number: u16) -> u32 {
    let asker = match peer {
        Peer::Initiator => 0,
        Peer::Responder => OF_RESPONDER,
    };
    CHANNEL | asker | u32::from(number)
}

/// The channel that an address is of: an answer does not tell what it carries.
fn call_of(sent: &Sent<'_>, channel: Channel, data: Data) -> u32 {
    let asker = if data == Data::Untold { sent.sender.other() } else { sent.sender };
    channel_of(asker, channel.number)
}
