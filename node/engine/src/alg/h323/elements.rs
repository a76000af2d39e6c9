//! Structures of H.225.0 that messages are made of: those that name an endpoint are read, the others passed
//! over. Each function is the ASN.1 type of its name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Error;
use super::per::{Choice, Per, few};

type Passed = Result<(), Error>;

/// An address, the port behind it, and the place of both.
#[derive(Clone, Copy, Debug)]
pub(super) struct Endpoint {
    pub(super) address: IpAddr,
    pub(super) port: u16,
    /// Octets of the message before the address.
    pub(super) at: usize,
}

/// Four octets and a port. OCTET STRINGs of a fixed size above two and integers of two octets are aligned
/// (X.691 §16.6, §10.5.7.3), hence the port is directly behind.
pub(super) fn ipv4(per: &mut Per<'_>) -> Result<Endpoint, Error> {
    let at = per.clone().octets(4)?;
    let address = Ipv4Addr::from(per.array::<4>()?).into();
    Ok(Endpoint { address, port: per.half()?, at })
}

/// Sixteen octets and a port.
pub(super) fn ipv6(per: &mut Per<'_>) -> Result<Endpoint, Error> {
    let at = per.clone().octets(16)?;
    let address = Ipv6Addr::from(per.array::<16>()?).into();
    Ok(Endpoint { address, port: per.half()?, at })
}

/// `None` is an address of another kind. A source route is one of those: an address in it is a way to
/// another.
pub(super) fn transport_address(per: &mut Per<'_>) -> Result<Option<Endpoint>, Error> {
    match per.choice(3)? {
        Choice::Root(0) => return ipv4(per).map(Some),
        Choice::Root(1) => ip_source_route(per)?,
        Choice::Root(2) => per.octets(6 + 4 + 2).map(drop)?, // ipxAddress
        Choice::Root(3) => {
            let sequence = per.sequence(0)?;
            let endpoint = ipv6(per)?;
            sequence.skip_additions(per)?;
            return Ok(Some(endpoint));
        }
        Choice::Root(4) => per.octets(16).map(drop)?, // netBios
        Choice::Root(5) => nsap(per)?,
        Choice::Root(6) => non_standard_parameter(per)?,
        Choice::Root(_) => return Err(Error::Unknown),
        Choice::Addition(..) => {}
    }
    Ok(None)
}

fn ip_source_route(per: &mut Per<'_>) -> Passed {
    let sequence = per.sequence(0)?;
    per.octets(4 + 2)?;
    per.each(|per| per.octets(4).map(drop))?;
    per.skip_choice_of_nulls(1)?;
    sequence.skip_additions(per)
}

/// OCTET STRING (SIZE (1..20)).
fn nsap(per: &mut Per<'_>) -> Passed {
    let length = per.bits(5)? as usize + 1;
    per.octets(length).map(drop)
}

pub(super) fn non_standard_parameter(per: &mut Per<'_>) -> Passed {
    match per.choice(1)? {
        Choice::Root(0) => per.skip_contents()?, // object
        Choice::Root(_) => h221_non_standard(per)?,
        Choice::Addition(..) => {}
    }
    per.skip_contents()
}

fn h221_non_standard(per: &mut Per<'_>) -> Passed {
    let sequence = per.sequence(0)?;
    per.octets(1 + 1 + 2)?;
    sequence.skip_additions(per)
}

pub(super) fn aliases(per: &mut Per<'_>) -> Passed {
    per.each(alias_address)
}

fn alias_address(per: &mut Per<'_>) -> Passed {
    match per.choice(1)? {
        // dialledDigits: one to 128 characters out of thirteen, four bits each.
        Choice::Root(0) => {
            let length = per.bits(7)? as usize + 1;
            per.octets(0)?;
            per.skip_bits(4 * length)
        }
        // h323-ID: one to 256 characters of two octets.
        Choice::Root(_) => {
            let length = usize::from(per.octet()?) + 1;
            per.octets(2 * length).map(drop)
        }
        Choice::Addition(..) => Ok(()),
    }
}

/// BMPString (SIZE (1..128)): EndpointIdentifier, GatekeeperIdentifier.
pub(super) fn identifier(per: &mut Per<'_>) -> Passed {
    let length = per.bits(7)? as usize + 1;
    per.octets(2 * length).map(drop)
}

pub(super) fn endpoint_type(per: &mut Per<'_>) -> Passed {
    let mut sequence = per.sequence(6)?;
    sequence.optional(per, non_standard_parameter)?;
    sequence.optional(per, vendor_identifier)?;
    sequence.optional(per, non_standard_at_most)?; // gatekeeper
    sequence.optional(per, gateway_info)?;
    sequence.optional(per, non_standard_at_most)?; // mcu
    sequence.optional(per, non_standard_at_most)?; // terminal
    per.skip_bits(2)?; // mc, undefinedNode
    sequence.skip_additions(per)
}

pub(super) fn vendor_identifier(per: &mut Per<'_>) -> Passed {
    let mut sequence = per.sequence(2)?;
    h221_non_standard(per)?;
    sequence.optional(per, id_of_vendor)?; // productId
    sequence.optional(per, id_of_vendor)?; // versionId
    sequence.skip_additions(per)
}

/// OCTET STRING (SIZE (1..256)).
fn id_of_vendor(per: &mut Per<'_>) -> Passed {
    let length = usize::from(per.octet()?) + 1;
    per.octets(length).map(drop)
}

/// A SEQUENCE with nothing before its extension marker but an OPTIONAL NonStandardParameter: GatekeeperInfo,
/// McuInfo, TerminalInfo, H310Caps to T120OnlyCaps.
fn non_standard_at_most(per: &mut Per<'_>) -> Passed {
    let mut sequence = per.sequence(1)?;
    sequence.optional(per, non_standard_parameter)?;
    sequence.skip_additions(per)
}

fn gateway_info(per: &mut Per<'_>) -> Passed {
    let mut sequence = per.sequence(2)?;
    sequence.optional(per, |per| per.each(supported_protocols))?;
    sequence.optional(per, non_standard_parameter)?;
    sequence.skip_additions(per)
}

fn supported_protocols(per: &mut Per<'_>) -> Passed {
    match per.choice(4)? {
        Choice::Root(0) => non_standard_parameter(per),
        Choice::Root(1..=8) => non_standard_at_most(per),
        Choice::Root(_) => Err(Error::Unknown),
        Choice::Addition(..) => Ok(()),
    }
}

pub(super) fn qseries_options(per: &mut Per<'_>) -> Passed {
    let sequence = per.sequence(0)?;
    per.skip_bits(7)?;
    let details = per.sequence(0)?;
    per.skip_bits(2)?;
    details.skip_additions(per)?;
    sequence.skip_additions(per)
}

pub(super) fn call_identifier(per: &mut Per<'_>) -> Passed {
    let sequence = per.sequence(0)?;
    globally_unique_id(per)?;
    sequence.skip_additions(per)
}

pub(super) fn globally_unique_id(per: &mut Per<'_>) -> Passed {
    per.octets(16).map(drop)
}

/// A SEQUENCE OF CallReferenceValue.
pub(super) fn call_reference_values(per: &mut Per<'_>) -> Passed {
    let count = per.count()?;
    per.octets(2 * count).map(drop)
}

/// Only the modes that carry no security capabilities.
pub(super) fn h245_security(per: &mut Per<'_>) -> Passed {
    match per.choice(2)? {
        Choice::Root(0) => non_standard_parameter(per),
        Choice::Root(1) | Choice::Addition(..) => Ok(()),
        Choice::Root(_) => Err(Error::Unknown),
    }
}

/// How many elements a SEQUENCE OF with one to 256 has.
pub(super) fn count_to_256(per: &mut Per<'_>) -> Result<usize, Error> {
    few(usize::from(per.octet()?) + 1)
}
