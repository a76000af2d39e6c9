//! H.225.0 RAS: RasMessage.
//!
//! Most messages are read up to their last address. Registrations are read further, to `timeToLive`.

use super::elements::{
    aliases, endpoint_type, identifier, non_standard_parameter, transport_address,
    vendor_identifier,
};
use super::per::{Choice, Per, Sequence};
use super::telling::Telling;
use super::{CallSignal, Error, Event, Found, RasMessage, What};

type Read = Result<(), Error>;

const OWN: What = What::CallSignal(CallSignal::Own);
const SOURCE: What = What::CallSignal(CallSignal::Source);
const DESTINATION: What = What::CallSignal(CallSignal::Destination);
const ALTERNATIVE: What = What::CallSignal(CallSignal::Alternative);

/// A reader of one message, from behind its `requestSeqNum` on.
struct Reader<'a, 'b, F> {
    per: &'a mut Per<'b>,
    /// Its OPTIONAL components.
    sequence: Sequence,
    telling: &'a mut Telling<F>,
}

/// RasMessage.
pub(super) fn message<F: FnMut(Found)>(per: &mut Per<'_>, telling: &mut Telling<F>) -> Read {
    let Choice::Root(index) = per.choice(5)? else { return Ok(()) };
    let Some((message, optional)) = kind(index) else { return Ok(()) };
    let mut sequence = per.sequence(optional)?;
    if message == RasMessage::InfoRequestResponse {
        sequence.optional(per, non_standard_parameter)?;
    }
    let number = per.half()?.wrapping_add(1);
    telling.event(Event::Ras(message, number));
    let mut reader = Reader { per, sequence, telling };
    match message {
        RasMessage::GatekeeperRequest => reader.gatekeeper_request(),
        RasMessage::GatekeeperConfirm => reader.gatekeeper_confirm(),
        RasMessage::RegistrationRequest => reader.registration_request(),
        RasMessage::RegistrationConfirm => reader.registration_confirm(),
        RasMessage::UnregistrationRequest => reader.addresses(OWN),
        RasMessage::AdmissionRequest => reader.admission_request(),
        RasMessage::AdmissionConfirm => reader.admission_confirm(),
        RasMessage::AdmissionReject => reader.admission_reject(),
        RasMessage::LocationRequest => reader.location_request(),
        RasMessage::LocationConfirm => reader.location_confirm(),
        RasMessage::InfoRequest => reader.info_request(),
        RasMessage::InfoRequestResponse => reader.info_request_response(),
        RasMessage::RegistrationReject
        | RasMessage::UnregistrationConfirm
        | RasMessage::DisengageRequest => Ok(()), // they name no address
    }
}

/// The messages that are told, by their index, and how many OPTIONAL components each has.
const fn kind(index: u32) -> Option<(RasMessage, u32)> {
    match index {
        0 => Some((RasMessage::GatekeeperRequest, 4)),
        1 => Some((RasMessage::GatekeeperConfirm, 2)),
        3 => Some((RasMessage::RegistrationRequest, 3)),
        4 => Some((RasMessage::RegistrationConfirm, 3)),
        5 => Some((RasMessage::RegistrationReject, 2)),
        6 => Some((RasMessage::UnregistrationRequest, 3)),
        7 => Some((RasMessage::UnregistrationConfirm, 1)),
        9 => Some((RasMessage::AdmissionRequest, 7)),
        10 => Some((RasMessage::AdmissionConfirm, 2)),
        11 => Some((RasMessage::AdmissionReject, 1)),
        15 => Some((RasMessage::DisengageRequest, 1)),
        18 => Some((RasMessage::LocationRequest, 2)),
        19 => Some((RasMessage::LocationConfirm, 1)),
        21 => Some((RasMessage::InfoRequest, 2)),
        22 => Some((RasMessage::InfoRequestResponse, 3)),
        _ => None,
    }
}

impl<F: FnMut(Found)> Reader<'_, '_, F> {
    fn gatekeeper_request(&mut self) -> Read {
        self.per.skip_contents()?; // protocolIdentifier
        self.optional(non_standard_parameter)?;
        self.address(What::Ras)
    }

    fn gatekeeper_confirm(&mut self) -> Read {
        self.per.skip_contents()?; // protocolIdentifier
        self.optional(non_standard_parameter)?;
        self.optional(identifier)?; // gatekeeperIdentifier
        self.address(What::Ras)
    }

    fn registration_request(&mut self) -> Read {
        self.per.skip_contents()?; // protocolIdentifier
        self.optional(non_standard_parameter)?;
        self.per.skip_bits(1)?; // discoveryComplete
        self.addresses(OWN)?;
        self.addresses(What::Ras)?;
        endpoint_type(self.per)?; // terminalType
        self.optional(aliases)?; // terminalAlias
        self.optional(identifier)?; // gatekeeperIdentifier
        vendor_identifier(self.per)?; // endpointVendor
        self.time_to_live()
    }

    fn registration_confirm(&mut self) -> Read {
        self.per.skip_contents()?; // protocolIdentifier
        self.optional(non_standard_parameter)?;
        self.addresses(OWN)?;
        self.optional(aliases)?; // terminalAlias
        self.optional(identifier)?; // gatekeeperIdentifier
        identifier(self.per)?; // endpointIdentifier
        self.time_to_live()
    }

    fn admission_request(&mut self) -> Read {
        self.per.skip_choice_of_nulls(2)?; // callType
        self.optional(|per| per.skip_choice_of_nulls(1))?; // callModel
        identifier(self.per)?; // endpointIdentifier
        self.optional(aliases)?; // destinationInfo
        self.optional_address(DESTINATION)?;
        self.optional(aliases)?; // destExtraCallInfo
        aliases(self.per)?; // srcInfo
        self.optional_address(SOURCE)
    }

    fn admission_confirm(&mut self) -> Read {
        self.per.word()?; // bandWidth
        self.per.skip_choice_of_nulls(1)?; // callModel
        self.address(DESTINATION)
    }

    fn admission_reject(&mut self) -> Read {
        self.per.skip_choice_of_nulls(3)?; // rejectReason
        self.optional(non_standard_parameter)?;
        let mut additions = self.sequence.additions(self.per)?;
        while let Some((index, mut per)) = additions.next(self.per)? {
            if index == 3 {
                let telling = &mut *self.telling;
                let read = per.each(|per| telling.mention(ALTERNATIVE, transport_address(per)?));
                telling.within(read)?;
            }
        }
        Ok(())
    }

    fn location_request(&mut self) -> Read {
        self.optional(identifier)?; // endpointIdentifier
        aliases(self.per)?; // destinationInfo
        self.optional(non_standard_parameter)?;
        self.address(What::Ras)
    }

    fn location_confirm(&mut self) -> Read {
        self.address(OWN)?;
        self.address(What::Ras)
    }

    fn info_request(&mut self) -> Read {
        self.per.half()?; // callReferenceValue
        self.optional(non_standard_parameter)?;
        self.optional_address(What::Ras)
    }

    fn info_request_response(&mut self) -> Read {
        endpoint_type(self.per)?;
        identifier(self.per)?; // endpointIdentifier
        self.address(What::Ras)?;
        self.addresses(OWN)
    }

    /// The addition that RegistrationRequest and RegistrationConfirm have in the same place.
    fn time_to_live(&mut self) -> Read {
        let mut additions = self.sequence.additions(self.per)?;
        while let Some((index, mut per)) = additions.next(self.per)? {
            if index == 1 {
                let seconds = per.word()?.saturating_add(1);
                self.telling.event(Event::TimeToLive(seconds));
            }
        }
        Ok(())
    }

    fn address(&mut self, what: What) -> Read {
        let endpoint = transport_address(self.per)?;
        self.telling.mention(what, endpoint)
    }

    fn optional_address(&mut self, what: What) -> Read {
        let endpoint = self.sequence.optional(self.per, transport_address)?.flatten();
        self.telling.mention(what, endpoint)
    }

    fn addresses(&mut self, what: What) -> Read {
        let telling = &mut *self.telling;
        self.per.each(|per| telling.mention(what, transport_address(per)?))
    }

    fn optional(&mut self, read: impl FnOnce(&mut Per<'_>) -> Read) -> Read {
        self.sequence.optional(self.per, |per| read(per)).map(drop)
    }
}
