//! H.245: messages that open and close logical channels.

use super::elements::{Endpoint, ipv4, ipv6};
use super::media::{data_type, non_standard_parameter};
use super::per::{Choice, Per, Sequence};
use super::telling::Telling;
use super::{Channel, Data, Direction, Error, Event, Found, What};

type Read = Result<(), Error>;

/// MultimediaSystemControlMessage.
pub(super) fn message<F: FnMut(Found)>(per: &mut Per<'_>, telling: &mut Telling<F>) -> Read {
    match per.choice(2)? {
        Choice::Root(0) => request(per, telling),
        Choice::Root(1) => response(per, telling),
        Choice::Root(2) => command(per, telling),
        Choice::Root(_) | Choice::Addition(..) => Ok(()), // indication
    }
}

fn request<F: FnMut(Found)>(per: &mut Per<'_>, telling: &mut Telling<F>) -> Read {
    match per.choice(4)? {
        Choice::Root(3) => open_logical_channel(per, telling),
        Choice::Root(4) => {
            per.sequence(0)?;
            telling.event(Event::CloseLogicalChannel(number(per)?));
            Ok(())
        }
        Choice::Root(_) | Choice::Addition(..) => Ok(()),
    }
}

fn response<F: FnMut(Found)>(per: &mut Per<'_>, telling: &mut Telling<F>) -> Read {
    match per.choice(5)? {
        Choice::Root(5) => open_logical_channel_ack(per, telling),
        Choice::Root(6) => {
            per.sequence(0)?;
            telling.event(Event::OpenLogicalChannelReject(number(per)?));
            Ok(())
        }
        Choice::Root(7) => {
            per.sequence(0)?;
            telling.event(Event::CloseLogicalChannelAck(number(per)?));
            Ok(())
        }
        Choice::Root(_) | Choice::Addition(..) => Ok(()),
    }
}

fn command<F: FnMut(Found)>(per: &mut Per<'_>, telling: &mut Telling<F>) -> Read {
    if matches!(per.choice(3)?, Choice::Root(5)) {
        telling.event(Event::EndSession);
    }
    Ok(())
}

pub(super) fn open_logical_channel<F: FnMut(Found)>(
    per: &mut Per<'_>,
    telling: &mut Telling<F>,
) -> Read {
    let mut sequence = per.sequence(1)?;
    let number = number(per)?;
    let forward = Channel { number, session_id: 0, direction: Direction::Forward };
    let reverse = Channel { direction: Direction::Reverse, ..forward };
    let mut data = forward_parameters(per, telling, forward)?;
    if sequence.next() {
        let back = reverse_parameters(per, telling, reverse)?;
        // A channel that is asked for in reverse alone has no data forward.
        data = if data == Data::Untold { back } else { data };
    }
    let mut additions = sequence.additions(per)?;
    while let Some((index, mut per)) = additions.next(per)? {
        if index == 0 {
            let read = separate_stack(&mut per, telling, forward, data);
            telling.within(read)?;
        }
    }
    Ok(())
}

/// `forwardLogicalChannelParameters`; gives what the channel carries.
fn forward_parameters<F: FnMut(Found)>(
    per: &mut Per<'_>,
    telling: &mut Telling<F>,
    channel: Channel,
) -> Result<Data, Error> {
    let mut sequence = per.sequence(1)?;
    sequence.optional(per, Per::half)?; // portNumber
    let data = data_type(per)?;
    let multiplex = per.choice(2)?;
    multiplex_parameters(multiplex, telling, channel, data)?;
    sequence.skip_additions(per)?;
    Ok(data)
}

/// `reverseLogicalChannelParameters` of a request; gives what the channel carries.
fn reverse_parameters<F: FnMut(Found)>(
    per: &mut Per<'_>,
    telling: &mut Telling<F>,
    channel: Channel,
) -> Result<Data, Error> {
    let mut sequence = per.sequence(1)?;
    let data = data_type(per)?;
    if let Some(multiplex) = sequence.optional(per, |per| per.choice(1))? {
        multiplex_parameters(multiplex, telling, channel, data)?;
    }
    sequence.skip_additions(per)?;
    Ok(data)
}

/// The CHOICE `multiplexParameters`: where H.323 has its own is an addition. The others are of H.310, H.320
/// and H.324, and cannot be passed over.
fn multiplex_parameters<F: FnMut(Found)>(
    multiplex: Choice<'_>,
    telling: &mut Telling<F>,
    channel: Channel,
    data: Data,
) -> Read {
    match multiplex {
        Choice::Addition(0, mut per) => {
            let read = h2250_parameters(&mut per, telling, channel, data);
            telling.within(read)
        }
        Choice::Addition(..) => Ok(()),
        Choice::Root(_) => Err(Error::Unknown),
    }
}

/// H2250LogicalChannelParameters.
fn h2250_parameters<F: FnMut(Found)>(
    per: &mut Per<'_>,
    telling: &mut Telling<F>,
    channel: Channel,
    data: Data,
) -> Read {
    let mut sequence = per.sequence(10)?;
    sequence.optional(per, |per| per.each(non_standard_parameter))?;
    let channel = Channel { session_id: per.octet()?, ..channel };
    sequence.optional(per, |per| per.bits(8))?; // associatedSessionID
    let media = sequence.optional(per, transport_address)?.flatten();
    let guaranteed = sequence.optional(per, Per::bit)?.unwrap_or(false);
    telling.mention(What::Media { channel, data, guaranteed }, media)?;
    let control = sequence.optional(per, transport_address)?.flatten();
    telling.mention(What::MediaControl { channel, data }, control)
}

fn open_logical_channel_ack<F: FnMut(Found)>(per: &mut Per<'_>, telling: &mut Telling<F>) -> Read {
    let mut sequence = per.sequence(1)?;
    let number = number(per)?;
    let forward = Channel { number, session_id: 0, direction: Direction::Forward };
    if sequence.next() {
        let reverse = Channel { direction: Direction::Reverse, ..forward };
        reverse_parameters_ack(per, telling, reverse)?;
    }
    let mut additions = sequence.additions(per)?;
    while let Some((index, mut per)) = additions.next(per)? {
        let read = match index {
            0 => separate_stack(&mut per, telling, forward, Data::Untold),
            1 => forward_parameters_ack(&mut per, telling, forward),
            _ => Ok(()),
        };
        telling.within(read)?;
    }
    Ok(())
}

/// `reverseLogicalChannelParameters` of an acknowledgement.
fn reverse_parameters_ack<F: FnMut(Found)>(
    per: &mut Per<'_>,
    telling: &mut Telling<F>,
    channel: Channel,
) -> Read {
    let mut sequence: Sequence = per.sequence(2)?;
    number(per)?; // reverseLogicalChannelNumber
    sequence.optional(per, Per::half)?; // portNumber
    if let Some(multiplex) = sequence.optional(per, |per| per.choice(0))? {
        multiplex_parameters(multiplex, telling, channel, Data::Untold)?;
    }
    sequence.skip_additions(per)
}

/// `forwardMultiplexAckParameters`, of which there is but H2250LogicalChannelAckParameters.
fn forward_parameters_ack<F: FnMut(Found)>(
    per: &mut Per<'_>,
    telling: &mut Telling<F>,
    channel: Channel,
) -> Read {
    if matches!(per.choice(0)?, Choice::Addition(..)) {
        return Ok(());
    }
    let data = Data::Untold;
    let mut sequence = per.sequence(5)?;
    sequence.optional(per, |per| per.each(non_standard_parameter))?;
    let session = sequence.optional(per, |per| per.bits(8))?;
    let session_id = session.map_or(0, |less_one| (less_one as u8).wrapping_add(1));
    let channel = Channel { session_id, ..channel };
    let media = sequence.optional(per, transport_address)?.flatten();
    telling.mention(What::Media { channel, data, guaranteed: false }, media)?;
    let control = sequence.optional(per, transport_address)?.flatten();
    telling.mention(What::MediaControl { channel, data }, control)
}

/// NetworkAccessParameters, up to the address.
fn separate_stack<F: FnMut(Found)>(
    per: &mut Per<'_>,
    telling: &mut Telling<F>,
    channel: Channel,
    data: Data,
) -> Read {
    let mut sequence = per.sequence(2)?;
    sequence.optional(per, |per| per.skip_choice_of_nulls(1))?; // distribution
    match per.choice(2)? {
        Choice::Root(2) => {
            let endpoint = transport_address(per)?;
            telling.mention(What::Data { channel, data }, endpoint)
        }
        Choice::Root(_) | Choice::Addition(..) => Ok(()), // of ATM, of the telephone network
    }
}

/// LogicalChannelNumber.
fn number(per: &mut Per<'_>) -> Result<u16, Error> {
    per.half().map(|less_one| less_one.wrapping_add(1))
}

/// TransportAddress of H.245, which is another one than that of H.225.0. `None` is a multicast address, or
/// one that is not of IP.
fn transport_address(per: &mut Per<'_>) -> Result<Option<Endpoint>, Error> {
    match per.choice(1)? {
        Choice::Root(0) => unicast_address(per),
        Choice::Root(_) => multicast_address(per).map(|()| None),
        Choice::Addition(..) => Ok(None),
    }
}

fn unicast_address(per: &mut Per<'_>) -> Result<Option<Endpoint>, Error> {
    let read = match per.choice(3)? {
        Choice::Root(0) => return extensible(per, ipv4).map(Some),
        Choice::Root(1) => extensible(per, |per| per.octets(6 + 4 + 2)).map(drop), // iPXAddress
        Choice::Root(2) => return extensible(per, ipv6).map(Some),
        Choice::Root(3) => per.octets(16).map(drop), // netBios
        Choice::Root(4) => extensible(per, ip_source_route),
        Choice::Root(_) => Err(Error::Unknown),
        Choice::Addition(..) => Ok(()),
    };
    read.map(|()| None)
}

fn multicast_address(per: &mut Per<'_>) -> Read {
    match per.choice(1)? {
        Choice::Root(0) => extensible(per, ipv4).map(drop),
        Choice::Root(_) => extensible(per, ipv6).map(drop),
        Choice::Addition(..) => Ok(()),
    }
}

fn ip_source_route(per: &mut Per<'_>) -> Read {
    per.skip_bits(1)?; // routing
    per.octets(4 + 2)?;
    per.each(|per| per.octets(4).map(drop))
}

/// A SEQUENCE of nothing but what is read, and an extension marker.
fn extensible<'a, T>(
    per: &mut Per<'a>,
    read: impl FnOnce(&mut Per<'a>) -> Result<T, Error>,
) -> Result<T, Error> {
    let sequence = per.sequence(0)?;
    let value = read(per)?;
    sequence.skip_additions(per)?;
    Ok(value)
}
