//! DataType of H.245: what a logical channel carries. It stands before the channel's addresses and has no
//! length, so that each kind has to be known to be passed over.

use super::elements::count_to_256;
use super::per::{Choice, Per};
use super::{Data, Error};

type Passed = Result<(), Error>;

pub(super) fn data_type(per: &mut Per<'_>) -> Result<Data, Error> {
    match per.choice(3)? {
        Choice::Root(0) => non_standard_parameter(per).map(|()| Data::Untold),
        Choice::Root(1) => Ok(Data::Untold), // nullData
        Choice::Root(2) => video_capability(per).map(|()| Data::Video),
        Choice::Root(3) => audio_capability(per).map(|()| Data::Audio),
        Choice::Root(4) => data_application_capability(per),
        Choice::Root(5) => encryption_mode(per).map(|()| Data::Untold),
        Choice::Root(_) => Err(Error::Unknown),
        // What cannot be told of an addition is no harm: its length is known.
        Choice::Addition(1, mut per) => Ok(h235_media(&mut per).unwrap_or(Data::Untold)),
        Choice::Addition(..) => Ok(Data::Untold),
    }
}

/// H235Media: the type of an encrypted channel.
fn h235_media(per: &mut Per<'_>) -> Result<Data, Error> {
    per.sequence(0)?;
    encryption_authentication_and_integrity(per)?;
    match per.choice(2)? {
        Choice::Root(1) => Ok(Data::Video),
        Choice::Root(2) => Ok(Data::Audio),
        Choice::Root(3) => data_application_capability(per),
        Choice::Root(_) | Choice::Addition(..) => Ok(Data::Untold),
    }
}

fn encryption_authentication_and_integrity(per: &mut Per<'_>) -> Passed {
    let mut sequence = per.sequence(3)?;
    if sequence.next() {
        for _ in 0..count_to_256(per)? {
            media_encryption_algorithm(per)?;
        }
    }
    sequence.optional(per, non_standard_at_most)?; // authenticationCapability
    sequence.optional(per, non_standard_at_most)?; // integrityCapability
    sequence.skip_additions(per)
}

fn media_encryption_algorithm(per: &mut Per<'_>) -> Passed {
    match per.choice(1)? {
        Choice::Root(0) => non_standard_parameter(per),
        Choice::Root(_) => per.skip_contents(), // algorithm
        Choice::Addition(..) => Ok(()),
    }
}

fn non_standard_at_most(per: &mut Per<'_>) -> Passed {
    let mut sequence = per.sequence(1)?;
    sequence.optional(per, non_standard_parameter)?;
    sequence.skip_additions(per)
}

/// NonStandardParameter of H.245: as that of H.225.0, but without extension markers.
pub(super) fn non_standard_parameter(per: &mut Per<'_>) -> Passed {
    match per.bit()? {
        false => per.skip_contents()?,            // object
        true => per.octets(1 + 1 + 2).map(drop)?, // h221NonStandard
    }
    per.skip_contents()
}

fn encryption_mode(per: &mut Per<'_>) -> Passed {
    match per.choice(1)? {
        Choice::Root(0) => non_standard_parameter(per),
        Choice::Root(_) | Choice::Addition(..) => Ok(()), // h233Encryption
    }
}

fn audio_capability(per: &mut Per<'_>) -> Passed {
    match per.choice(4)? {
        Choice::Root(0) => non_standard_parameter(per),
        // G.711, G.722, G.728, G.729: one to 256 frames.
        Choice::Root(1..=7 | 9..=11) => per.octet().map(drop),
        Choice::Root(8) => {
            per.octet()?; // g7231: as these, and
            per.skip_bits(1) // silenceSuppression
        }
        Choice::Root(12) => flags_and_rate(per, 8), // is11172AudioCapability
        Choice::Root(13) => flags_and_rate(per, 20), // is13818AudioCapability
        Choice::Root(_) => Err(Error::Unknown),
        Choice::Addition(..) => Ok(()),
    }
}

fn flags_and_rate(per: &mut Per<'_>, flags: usize) -> Passed {
    let sequence = per.sequence(0)?;
    per.skip_bits(flags)?;
    per.half()?; // bitRate
    sequence.skip_additions(per)
}

fn video_capability(per: &mut Per<'_>) -> Passed {
    match per.choice(3)? {
        Choice::Root(0) => non_standard_parameter(per),
        Choice::Root(1) => h261(per),
        Choice::Root(2) => mpeg(per, 11), // h262VideoCapability
        Choice::Root(3) => h263(per),
        Choice::Root(4) => mpeg(per, 1), // is11172VideoCapability
        Choice::Root(_) => Err(Error::Unknown),
        Choice::Addition(..) => Ok(()),
    }
}

fn h261(per: &mut Per<'_>) -> Passed {
    let mut sequence = per.sequence(2)?;
    sequence.optional(per, |per| per.bits(2))?; // qcifMPI
    sequence.optional(per, |per| per.bits(2))?; // cifMPI
    per.skip_bits(1)?; // temporalSpatialTradeOffCapability
    per.half()?; // maxBitRate
    per.skip_bits(1)?; // stillImageTransmission
    sequence.skip_additions(per)
}

/// H262VideoCapability and IS11172VideoCapability: as many flags, and the same numbers. Both have an
/// extension marker; that of the first is lost in a comment of the module published in 2006.
fn mpeg(per: &mut Per<'_>, flags: usize) -> Passed {
    let mut sequence = per.sequence(6)?;
    per.skip_bits(flags)?;
    sequence.optional(per, Per::word)?; // videoBitRate
    sequence.optional(per, Per::word)?; // vbvBufferSize
    sequence.optional(per, Per::half)?; // samplesPerLine
    sequence.optional(per, Per::half)?; // linesPerFrame
    sequence.optional(per, |per| per.bits(4))?; // framesPerSecond, pictureRate
    sequence.optional(per, Per::word)?; // luminanceSampleRate
    sequence.skip_additions(per)
}

fn h263(per: &mut Per<'_>) -> Passed {
    let mut sequence = per.sequence(7)?;
    for _ in 0..5 {
        sequence.optional(per, |per| per.bits(5))?; // sqcifMPI, qcifMPI, cifMPI, cif4MPI, cif16MPI
    }
    per.word()?; // maxBitRate
    per.skip_bits(5)?; // unrestrictedVector to temporalSpatialTradeOffCapability
    sequence.optional(per, Per::word)?; // hrd-B
    sequence.optional(per, Per::half)?; // bppMaxKb
    sequence.skip_additions(per)
}

fn data_application_capability(per: &mut Per<'_>) -> Result<Data, Error> {
    let sequence = per.sequence(0)?;
    let application = per.choice(4)?;
    let data = if matches!(application, Choice::Root(1)) { Data::T120 } else { Data::Other };
    match application {
        Choice::Root(0) => non_standard_parameter(per)?,
        Choice::Root(4) => {
            data_protocol_capability(per)?;
            t84_profile(per)?;
        }
        Choice::Root(7) => {
            data_protocol_capability(per)?;
            per.skip_contents()?; // nlpidData
        }
        Choice::Root(8) => {} // dsvdControl
        // t120, dsm-cc, userData, t434, h224, h222DataPartitioning
        Choice::Root(1..=3 | 5 | 6 | 9) => data_protocol_capability(per)?,
        Choice::Root(_) => return Err(Error::Unknown),
        Choice::Addition(..) => {}
    }
    per.word()?; // maxBitRate
    sequence.skip_additions(per)?;
    Ok(data)
}

fn data_protocol_capability(per: &mut Per<'_>) -> Passed {
    match per.choice(3)? {
        Choice::Root(0) => non_standard_parameter(per),
        Choice::Root(_) | Choice::Addition(..) => Ok(()),
    }
}

fn t84_profile(per: &mut Per<'_>) -> Passed {
    match per.bit()? {
        false => Ok(()), // t84Unrestricted
        true => {
            let sequence = per.sequence(0)?;
            per.skip_bits(19)?;
            sequence.skip_additions(per)
        }
    }
}
