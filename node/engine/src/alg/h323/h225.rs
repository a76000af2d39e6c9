//! H.225.0 call signalling: H323-UserInformation.

use super::elements::{
    aliases, call_identifier, call_reference_values, endpoint_type, globally_unique_id,
    h245_security, non_standard_parameter, qseries_options, transport_address,
};
use super::per::{Choice, Per, Sequence};
use super::telling::Telling;
use super::{CallSignal, Error, Event, Found, Signal, What, h245};
use crate::limits::{H323_FAST_STARTS_MAX, H323_TUNNELLED_MAX};

type Read = Result<(), Error>;

pub(super) fn user_information<F: FnMut(Found)>(
    per: &mut Per<'_>,
    telling: &mut Telling<F>,
) -> Read {
    per.sequence(1)?; // user-data comes behind, and is not wanted
    let mut pdu = per.sequence(1)?;
    message_body(per, telling)?;
    pdu.optional(per, non_standard_parameter)?;
    let mut additions = pdu.additions(per)?;
    while let Some((index, mut per)) = additions.next(per)? {
        match index {
            1 => telling.event(Event::Tunnelling(per.bit()?)),
            2 => tunnelled(&mut per, telling)?, // h245Control
            _ => {}
        }
    }
    Ok(())
}

fn message_body<F: FnMut(Found)>(per: &mut Per<'_>, telling: &mut Telling<F>) -> Read {
    match per.choice(3)? {
        Choice::Root(0) => setup(per, telling),
        Choice::Root(1) => proceeding(per, telling, Signal::CallProceeding),
        Choice::Root(2) => connect(per, telling),
        Choice::Root(3) => proceeding(per, telling, Signal::Alerting),
        Choice::Root(4) => information(per, telling),
        Choice::Root(5) => release_complete(per, telling),
        Choice::Root(6) => facility(per, telling),
        Choice::Root(_) => Err(Error::Unknown),
        Choice::Addition(0, mut per) => {
            let read = progress(&mut per, telling);
            telling.within(read)
        }
        Choice::Addition(..) => Ok(()),
    }
}

fn setup<F: FnMut(Found)>(per: &mut Per<'_>, telling: &mut Telling<F>) -> Read {
    telling.event(Event::Signal(Signal::Setup));
    let mut sequence = per.sequence(7)?;
    per.skip_contents()?; // protocolIdentifier
    h245_address(&mut sequence, per, telling)?;
    sequence.optional(per, aliases)?; // sourceAddress
    endpoint_type(per)?; // sourceInfo
    sequence.optional(per, aliases)?; // destinationAddress
    let destination = sequence.optional(per, transport_address)?.flatten();
    telling.mention(What::CallSignal(CallSignal::Destination), destination)?;
    sequence.optional(per, aliases)?; // destExtraCallInfo
    sequence.optional(per, call_reference_values)?; // destExtraCRV
    per.skip_bits(1)?; // activeMC
    globally_unique_id(per)?; // conferenceID
    per.choice(2)?; // conferenceGoal, of three
    sequence.optional(per, qseries_options)?; // callServices
    per.skip_choice_of_nulls(2)?; // callType
    let mut additions = sequence.additions(per)?;
    while let Some((index, mut per)) = additions.next(per)? {
        match index {
            0 => addition(&mut per, telling, What::CallSignal(CallSignal::Source))?,
            6 => fast_start(&mut per, telling)?,
            24 => tunnelled(&mut per, telling)?, // parallelH245Control
            _ => {}
        }
    }
    Ok(())
}

/// CallProceeding-UUIE and Alerting-UUIE: the same, as far as they are read.
fn proceeding<F: FnMut(Found)>(
    per: &mut Per<'_>,
    telling: &mut Telling<F>,
    signal: Signal,
) -> Read {
    telling.event(Event::Signal(signal));
    let mut sequence = per.sequence(1)?;
    per.skip_contents()?; // protocolIdentifier
    endpoint_type(per)?; // destinationInfo
    h245_address(&mut sequence, per, telling)?;
    fast_start_of(sequence, per, telling, 4)
}

fn connect<F: FnMut(Found)>(per: &mut Per<'_>, telling: &mut Telling<F>) -> Read {
    telling.event(Event::Signal(Signal::Connect));
    let mut sequence = per.sequence(1)?;
    per.skip_contents()?; // protocolIdentifier
    h245_address(&mut sequence, per, telling)?;
    endpoint_type(per)?; // destinationInfo
    globally_unique_id(per)?; // conferenceID
    fast_start_of(sequence, per, telling, 4)
}

fn information<F: FnMut(Found)>(per: &mut Per<'_>, telling: &mut Telling<F>) -> Read {
    telling.event(Event::Signal(Signal::Information));
    let sequence = per.sequence(0)?;
    per.skip_contents()?; // protocolIdentifier
    fast_start_of(sequence, per, telling, 3)
}

fn release_complete<F: FnMut(Found)>(per: &mut Per<'_>, telling: &mut Telling<F>) -> Read {
    telling.event(Event::Signal(Signal::ReleaseComplete));
    let mut sequence = per.sequence(1)?;
    per.skip_contents()?; // protocolIdentifier
    sequence.optional(per, |per| per.skip_choice_of_nulls(4))?; // reason
    sequence.skip_additions(per)
}

fn facility<F: FnMut(Found)>(per: &mut Per<'_>, telling: &mut Telling<F>) -> Read {
    telling.event(Event::Signal(Signal::Facility));
    let mut sequence = per.sequence(3)?;
    per.skip_contents()?; // protocolIdentifier
    let alternative = sequence.optional(per, transport_address)?.flatten();
    telling.mention(What::CallSignal(CallSignal::Alternative), alternative)?;
    sequence.optional(per, aliases)?; // alternativeAliasAddress
    sequence.optional(per, globally_unique_id)?; // conferenceID
    per.skip_choice_of_nulls(2)?; // reason
    let mut additions = sequence.additions(per)?;
    while let Some((index, mut per)) = additions.next(per)? {
        match index {
            6 => addition(&mut per, telling, What::H245)?,
            7 => fast_start(&mut per, telling)?,
            _ => {}
        }
    }
    Ok(())
}

fn progress<F: FnMut(Found)>(per: &mut Per<'_>, telling: &mut Telling<F>) -> Read {
    telling.event(Event::Signal(Signal::Progress));
    let mut sequence = per.sequence(5)?;
    per.skip_contents()?; // protocolIdentifier
    endpoint_type(per)?; // destinationInfo
    h245_address(&mut sequence, per, telling)?;
    call_identifier(per)?;
    sequence.optional(per, h245_security)?; // h245SecurityMode
    if sequence.next() || sequence.next() {
        return Err(Error::Unknown); // tokens, cryptoTokens
    }
    sequence.optional(per, |per| fast_start(per, telling)).map(drop)
}

fn h245_address<F: FnMut(Found)>(
    sequence: &mut Sequence,
    per: &mut Per<'_>,
    telling: &mut Telling<F>,
) -> Read {
    let endpoint = sequence.optional(per, transport_address)?.flatten();
    telling.mention(What::H245, endpoint)
}

/// A TransportAddress that is an addition.
fn addition<F: FnMut(Found)>(per: &mut Per<'_>, telling: &mut Telling<F>, what: What) -> Read {
    let read = transport_address(per).and_then(|endpoint| telling.mention(what, endpoint));
    telling.within(read)
}

/// Passes over the additions of a sequence but for `fastStart`, the one with this index.
fn fast_start_of<F: FnMut(Found)>(
    sequence: Sequence,
    per: &mut Per<'_>,
    telling: &mut Telling<F>,
    fast_start_at: usize,
) -> Read {
    let mut additions = sequence.additions(per)?;
    while let Some((index, mut per)) = additions.next(per)? {
        if index == fast_start_at {
            fast_start(&mut per, telling)?;
        }
    }
    Ok(())
}

/// A SEQUENCE OF OCTET STRING, each an OpenLogicalChannel (H.323 §8.1.7).
fn fast_start<F: FnMut(Found)>(per: &mut Per<'_>, telling: &mut Telling<F>) -> Read {
    for _ in 0..count_to(per, H323_FAST_STARTS_MAX)? {
        let read = h245::open_logical_channel(&mut per.contents()?, telling);
        telling.within(read)?;
    }
    Ok(())
}

/// A SEQUENCE OF OCTET STRING, each a MultimediaSystemControlMessage (H.323 §8.2.1).
fn tunnelled<F: FnMut(Found)>(per: &mut Per<'_>, telling: &mut Telling<F>) -> Read {
    for _ in 0..count_to(per, H323_TUNNELLED_MAX)? {
        let read = h245::message(&mut per.contents()?, telling);
        telling.within(read)?;
    }
    Ok(())
}

fn count_to(per: &mut Per<'_>, most: usize) -> Result<usize, Error> {
    let count = per.count()?;
    if count > most { Err(Error::TooMany) } else { Ok(count) }
}
