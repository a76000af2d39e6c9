//! A datagram of the fabric: the reader says what a plain one says, also once the tag is right, for no
//! fuzzer guesses that; what was read is written and read again, and passed on until no hop is left.

use std::ops::Range;

use siphasher::sip::SipHasher24;
use wire::geneve::{OVERHEAD, Passed, Refused, TAGGED_FRAME_LEN, TagKey};
use wire::limits::PASS_HOPS_MAX;

use super::bytes::Bytes;
use super::{Depth, frame};

/// Both halves of the key: that of the golden vectors.
const KEY: [u64; 2] = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
/// Bytes of the Geneve header, of an option's, and of our whole option.
const HEADER: usize = 8;
const OPTION_HEADER: usize = 4;
const OPTION: usize = 28;
/// Class and type of our option.
const OURS: [u8; 3] = [0xff, 0x52, 0x81];

pub(super) fn run(bytes: &[u8]) -> Depth {
    written(bytes);
    let depth = read(bytes);
    depth.max(signed(bytes))
}

fn key() -> TagKey {
    TagKey::new(KEY)
}

/// Whatever is told is read again as it was told.
fn written(bytes: &[u8]) {
    let mut numbers = Bytes::new(bytes);
    let told = Passed {
        hops: numbers.byte() % PASS_HOPS_MAX + 1,
        port: numbers.half(),
        domain: numbers.half(),
        zone: numbers.half(),
        term: u64::from(numbers.word()) << 32 | u64::from(numbers.word()),
        piece: bytes.len() % 2 == 1,
    };
    let frame = numbers.take(bytes.len());
    let mut datagram = [&told.head(&key(), frame)[..], frame].concat();
    assert_eq!(Passed::read(&key(), &datagram), Ok((told, frame)));
    let place = bytes.len() % (OVERHEAD + frame.len().min(TAGGED_FRAME_LEN));
    datagram[place] ^= 1 << (told.port % 8);
    assert!(Passed::read(&key(), &datagram).is_err(), "byte {place} counts");
}

/// The input as it came.
fn read(datagram: &[u8]) -> Depth {
    let read = Passed::read(&key(), datagram);
    assert_eq!(read, plainly(datagram));
    let Ok((passed, frame)) = read else { return Depth::Refused };
    let again = [&passed.head(&key(), frame)[..], frame].concat();
    assert_eq!(Passed::read(&key(), &again), Ok((passed, frame)));
    let hops = std::iter::successors(Some(passed), |passed| passed.again().ok());
    assert_eq!(hops.count(), usize::from(passed.hops), "it ends");
    match frame::run(frame) {
        Depth::Refused => Depth::Read,
        Depth::Read | Depth::Used => Depth::Used,
    }
}

/// The input with the tag that a node of the cluster would give it.
fn signed(datagram: &[u8]) -> Depth {
    let Some((option, frame)) = places(datagram) else { return Depth::Refused };
    let mut datagram = datagram.to_vec();
    let sum = tag(&datagram, option, frame);
    datagram[option + OPTION - 8..option + OPTION].copy_from_slice(&sum);
    assert_ne!(Passed::read(&key(), &datagram), Err(Refused::Tag));
    read(&datagram)
}

/// What the module's table of `wire::geneve` says of a datagram, step by step.
fn plainly(datagram: &[u8]) -> Result<(Passed, &[u8]), Refused> {
    let (option, frame) = places(datagram).ok_or(Refused::Malformed)?;
    if datagram[option + OPTION - 8..option + OPTION] != tag(datagram, option, frame) {
        return Err(Refused::Tag);
    }
    let number = |range: Range<usize>| {
        datagram[range].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    };
    let data = option + OPTION_HEADER;
    let hops = datagram[data] & 0xf;
    if hops == 0 || hops > PASS_HOPS_MAX {
        return Err(Refused::Hops);
    }
    let passed = Passed {
        hops,
        port: number(data + 2..data + 4) as u16,
        domain: number(data + 4..data + 6) as u16,
        zone: number(data + 6..data + 8) as u16,
        term: number(data + 8..data + 16),
        piece: datagram[data + 1] & 1 != 0,
    };
    Ok((passed, &datagram[frame..]))
}

/// Where our option and the frame begin, if the datagram is one for us.
fn places(datagram: &[u8]) -> Option<(usize, usize)> {
    let header = datagram.get(..HEADER)?;
    let (version, control) = (header[0] >> 6, header[1] >> 7);
    let frame = HEADER + 4 * usize::from(header[0] & 0x3f);
    if version != 0 || control != 0 || header[2..4] != [0x65, 0x58] || frame > datagram.len() {
        return None;
    }
    let (mut at, mut ours) = (HEADER, Vec::new());
    while at < frame {
        let head = datagram[at..frame].get(..OPTION_HEADER)?;
        let end = at + OPTION_HEADER + 4 * usize::from(head[3] & 0x1f);
        if end > frame {
            return None;
        }
        match head[..3] == OURS {
            true => ours.push(at..end),
            false if head[2] >= 0x80 => return None,
            false => {}
        }
        at = end;
    }
    let [option] = ours.as_slice() else { return None };
    let known = option.len() == OPTION && datagram[option.start + OPTION_HEADER] >> 4 == 1;
    known.then_some((option.start, frame))
}

/// SipHash-2-4 over header, option before the tag, the frame's length, and its beginning.
fn tag(datagram: &[u8], option: usize, frame: usize) -> [u8; 8] {
    let (header, told) = (&datagram[..HEADER], &datagram[option..option + OPTION - 8]);
    let frame = &datagram[frame..];
    let length = (frame.len() as u32).to_be_bytes();
    let beginning = &frame[..frame.len().min(TAGGED_FRAME_LEN)];
    let message = [header, told, &length, beginning].concat();
    SipHasher24::new_with_keys(KEY[0], KEY[1]).hash(&message).to_be_bytes()
}
