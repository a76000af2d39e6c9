//! Files made to break a reader.

use std::io::{self, Read};

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::{CaptureError, Format, LinkType, Reader, Writer, limits};
use super::format::{Bytes, read_all};

/// The error that ends `file`, after checking that its offset lies in the file.
fn error_of(file: &[u8]) -> CaptureError {
    let error = read_all(file).1.expect("an error");
    assert!(error.offset() <= file.len() as u64, "{error}");
    assert!(!error.to_string().is_empty());
    error
}

fn pcapng() -> Bytes {
    Bytes::new(false).section().interface(1, 0, &Bytes::new(false))
}

#[test]
fn not_a_capture() {
    assert!(matches!(error_of(b"GIF89a.."), CaptureError::NotACapture { magic: [b'G', ..] }));
    assert!(matches!(error_of(b"\xd4\xc3"), CaptureError::Truncated { offset: 0 }));
    assert!(matches!(error_of(b""), CaptureError::Truncated { offset: 0 }));
}

#[test]
fn classic_versions_and_lengths() {
    let header = |major| Bytes::new(false).u32(0xa1b2_c3d4).u16(major).u16(4).raw(&[0; 12]).u32(1);
    let version = error_of(&header(3).bytes);
    assert!(matches!(version, CaptureError::Version { offset: 4, major: 3, minor: 4 }));

    let long = header(2).u32(0).u32(0).u32(u32::MAX).u32(4).bytes;
    assert!(matches!(
        error_of(&long),
        CaptureError::PacketTooLong { offset: 40, length: u32::MAX }
    ));

    let cut = header(2).u32(0).u32(0).u32(100).u32(100).raw(&[0; 99]).bytes;
    assert!(matches!(error_of(&cut), CaptureError::Truncated { offset: 40 }));
    assert!(matches!(error_of(&cut[..30]), CaptureError::Truncated { offset: 24 }));
}

#[test]
fn block_lengths() {
    for length in [0, 8, 11, 13, 14, limits::BLOCK_BYTES + 4, u32::MAX] {
        let file = pcapng().u32(5).u32(length).raw(&[0; 64]).bytes;
        let error = error_of(&file);
        assert!(matches!(error, CaptureError::BlockLength { length: l, .. } if l == length));
    }
    let trailer = pcapng().u32(5).u32(16).u32(0).u32(20).bytes;
    assert!(matches!(
        error_of(&trailer),
        CaptureError::BlockTrailer { length: 16, trailer: 20, .. }
    ));
    let cut = pcapng().u32(5).u32(1024).raw(&[0; 64]).bytes;
    assert!(matches!(error_of(&cut), CaptureError::Truncated { .. }));
    // A packet block with a byte less than its fixed part needs.
    let short = pcapng().block(6, &Bytes::new(false).raw(&[0; 16])).bytes;
    assert!(matches!(error_of(&short), CaptureError::Overrun { length: 20, .. }));
}

#[test]
fn parts_that_run_over_their_block() {
    let body = Bytes::new(false).u32(0).u32(0).u32(0).u32(5).u32(5).raw(b"abcd");
    let packet = pcapng().block(6, &body).raw(&[0; 64]).bytes;
    assert!(matches!(error_of(&packet), CaptureError::Overrun { length: 5, .. }));

    let option = Bytes::new(false).u16(2).u16(65535).raw(&[0; 8]);
    let option = Bytes::new(false).section().interface(1, 0, &option).raw(&[0; 64]).bytes;
    assert!(matches!(error_of(&option), CaptureError::Overrun { length: 65536, .. }));
}

#[test]
fn a_packet_over_the_bound_in_a_block_that_holds_it() {
    let length = limits::PACKET_BYTES as u32 + 4;
    let file = pcapng().enhanced(0, 0, length, &vec![0; length as usize]).bytes;
    assert!(matches!(error_of(&file), CaptureError::PacketTooLong { .. }));
    let fits = pcapng().enhanced(0, 0, length, &vec![7; limits::PACKET_BYTES]).bytes;
    assert_eq!(read_all(&fits).0[0].4.len(), limits::PACKET_BYTES);
}

#[test]
fn sections() {
    let order = Bytes::new(false).u32(0x0a0d_0d0a).u32(28).u32(0x1234_5678).raw(&[0; 16]).bytes;
    assert!(matches!(error_of(&order), CaptureError::ByteOrder { offset: 0, .. }));
    let body = Bytes::new(false).u32(0x1a2b_3c4d).u16(2).u16(0).raw(&[0; 8]);
    let version = Bytes::new(false).block(0x0a0d_0d0a, &body).bytes;
    assert!(matches!(error_of(&version), CaptureError::Version { major: 2, .. }));
    let body = Bytes::new(false).u32(0x1a2b_3c4d);
    let short = Bytes::new(false).block(0x0a0d_0d0a, &body).bytes;
    assert!(matches!(error_of(&short), CaptureError::Overrun { .. }));
}

#[test]
fn interfaces_are_bounded() {
    let empty = Bytes::new(false);
    let mut file = Bytes::new(false).section();
    for _ in 0..limits::INTERFACES {
        file = file.interface(1, 0, &empty);
    }
    assert!(read_all(&file.bytes).1.is_none());
    let error = error_of(&file.interface(1, 0, &empty).bytes);
    assert!(matches!(error, CaptureError::TooManyInterfaces { .. }));
}

/// Gives one byte at a time, with interruptions, and at the end an error.
struct Failing<'a>(&'a [u8], bool);

impl Read for Failing<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        match self.0.split_first() {
            _ if self.1 => Err(io::ErrorKind::Interrupted.into()),
            None => Err(io::Error::other("disk on fire")),
            Some((&first, rest)) => {
                (into[0], self.0) = (first, rest);
                Ok(1)
            }
        }
    }
}

#[test]
fn a_device_that_fails() {
    let file = pcapng().block(5, &Bytes::new(false).raw(&[0; 32])).enhanced(0, 1, 4, b"abcd").bytes;
    let mut reader = Reader::new(Failing(&file, false)).unwrap();
    assert_eq!(reader.next_packet().unwrap().unwrap().bytes, b"abcd");
    let error = reader.next_packet().unwrap_err();
    assert!(matches!(error, CaptureError::Io { offset, .. } if offset == file.len() as u64));
    assert!(error.to_string().contains("disk on fire"));
    assert!(std::error::Error::source(&error).is_some());
}

/// A sound file of either format.
fn sound() -> impl Strategy<Value = Vec<u8>> {
    let packets = vec((any::<u32>(), vec(any::<u8>(), 0..60)), 0..8);
    (packets, any::<bool>()).prop_map(|(packets, pcapng)| {
        let format = if pcapng { Format::PcapNg } else { Format::Pcap };
        let mut writer = Writer::new(Vec::new(), format, LinkType::ETHERNET).unwrap();
        for (timestamp, bytes) in packets {
            writer.write(u64::from(timestamp), &bytes).unwrap();
        }
        writer.into_inner().unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..400), start in 0..4_usize) {
        let magics: [&[u8]; 4] = [
            b"", b"\xd4\xc3\xb2\xa1\x02\0\x04\0", b"\xa1\xb2\x3c\x4d\0\x02\0\x04",
            b"\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\x1c\0\0\0",
        ];
        check(&[magics[start], &bytes].concat())?;
    }

    #[test]
    fn a_sound_file_damaged(
        mut file in sound(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        keep in any::<prop::sample::Index>(),
    ) {
        let whole = read_all(&file).0;
        let cut = &file[..keep.index(file.len() + 1)];
        check(cut)?;
        let read = read_all(cut).0;
        prop_assert_eq!(&read[..], &whole[..read.len()], "a cut file gives the packets before it");
        for (at, value) in damage {
            let at = at.index(file.len());
            file[at] = value;
        }
        check(&file)?;
    }
}

/// Never more packets or bytes than the file can hold, and an offset inside it.
fn check(file: &[u8]) -> Result<(), TestCaseError> {
    let (packets, error) = read_all(file);
    let bytes: usize = packets.iter().map(|packet| packet.4.len() + 16).sum();
    prop_assert!(bytes <= file.len());
    prop_assert!(error.is_none_or(|error| error.offset() <= file.len() as u64));
    Ok(())
}
