//! Both formats, both byte orders, every kind of block that carries packets.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::{CaptureError, Captured, Format, LinkType, Reader, Writer};

/// Assembles files in a chosen byte order, apart from the writer under test.
pub(super) struct Bytes {
    big: bool,
    pub(super) bytes: Vec<u8>,
}

impl Bytes {
    pub(super) fn new(big: bool) -> Self {
        Self { big, bytes: Vec::new() }
    }

    pub(super) fn u16(mut self, value: u16) -> Self {
        let bytes = if self.big { value.to_be_bytes() } else { value.to_le_bytes() };
        self.bytes.extend(bytes);
        self
    }

    pub(super) fn u32(mut self, value: u32) -> Self {
        let bytes = if self.big { value.to_be_bytes() } else { value.to_le_bytes() };
        self.bytes.extend(bytes);
        self
    }

    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend(bytes);
        self
    }

    fn pcap_header(self, magic: u32, link: u32) -> Self {
        self.u32(magic).u16(2).u16(4).u32(0).u32(0).u32(65535).u32(link)
    }

    pub(super) fn block(self, kind: u32, body: &Self) -> Self {
        let length = body.bytes.len() as u32 + 12;
        self.u32(kind).u32(length).raw(&body.bytes).u32(length)
    }

    pub(super) fn section(self) -> Self {
        let body = self.like().u32(0x1a2b_3c4d).u16(1).u16(0).u32(u32::MAX).u32(u32::MAX);
        self.block(0x0a0d_0d0a, &body)
    }

    pub(super) fn interface(self, link: u16, snap_length: u32, options: &Self) -> Self {
        let body = self.like().u16(link).u16(0).u32(snap_length).raw(&options.bytes);
        self.block(1, &body)
    }

    /// An enhanced packet block of four-byte-aligned `bytes`.
    pub(super) fn enhanced(self, interface: u32, ticks: u64, length: u32, bytes: &[u8]) -> Self {
        let (high, low) = ((ticks >> 32) as u32, ticks as u32);
        let body = self.like().u32(interface).u32(high).u32(low);
        let body = body.u32(bytes.len() as u32).u32(length).raw(bytes);
        self.block(6, &body)
    }

    /// Empty, in the same order.
    pub(super) fn like(&self) -> Self {
        Self::new(self.big)
    }
}

/// Everything a file holds: timestamp, link, interface, length, bytes; and how it ended.
type Read = (Vec<(u64, u16, u32, u32, Vec<u8>)>, Option<CaptureError>);

pub(super) fn read_all(file: &[u8]) -> Read {
    let mut packets = Vec::new();
    let mut reader = match Reader::new(file) {
        Ok(reader) => reader,
        Err(error) => return (packets, Some(error)),
    };
    loop {
        match reader.next_packet() {
            Ok(Some(Captured { timestamp, link, interface, length, bytes })) => {
                packets.push((timestamp, link.0, interface, length, bytes.to_vec()));
            }
            Ok(None) => return (packets, None),
            Err(error) => {
                assert!(reader.next_packet().unwrap().is_none(), "reading on after {error}");
                return (packets, Some(error));
            }
        }
    }
}

#[test]
fn classic_in_both_orders_and_resolutions() {
    for (big, magic, unit) in [
        (false, 0xa1b2_c3d4, 1000),
        (true, 0xa1b2_c3d4, 1000),
        (false, 0xa1b2_3c4d, 1),
        (true, 0xa1b2_3c4d, 1),
    ] {
        // The upper half of the link type tells of a frame check sequence.
        let file = Bytes::new(big).pcap_header(magic, 0x2400_0001);
        let file = file.u32(7).u32(89).u32(3).u32(1500).raw(b"abc").u32(8).u32(0).u32(0).u32(0);
        let (packets, error) = read_all(&file.bytes);
        assert!(error.is_none());
        assert_eq!(packets[0], (7_000_000_000 + 89 * unit, 1, 0, 1500, b"abc".to_vec()));
        assert_eq!(packets[1], (8_000_000_000, 1, 0, 0, vec![]));
        assert_eq!(packets.len(), 2);
    }
}

#[test]
fn pcapng_in_both_orders() {
    for big in [false, true] {
        let empty = Bytes::new(big);
        // 10⁻³ s, and 100 s to add; a name and an unknown option before them.
        let options = empty.like().u16(2).u16(3).raw(b"eth\0").u16(0x7777).u16(0);
        let options = options.u16(9).u16(1).raw(&[3, 0, 0, 0]).u16(14).u16(8);
        let options = if big { options.u32(0).u32(100) } else { options.u32(100).u32(0) };
        let options = options.u16(0).u16(0);
        let binary = empty.like().u16(9).u16(1).raw(&[0x8a, 0, 0, 0]); // 2⁻¹⁰ s, no end of options
        let obsolete = empty.like().u16(1).u16(4711).u32(0).u32(2048).u32(2).u32(2).raw(b"xy\0\0");
        let file = Bytes::new(big)
            .section()
            .interface(101, 3, &options)
            .interface(1, 0, &binary)
            .interface(113, 0, &empty)
            .block(0x0bad_cafe, &empty.like().u32(1).raw(b"anything"))
            .enhanced(0, 5, 4, b"abcd")
            .enhanced(1, 1536, 99, b"efgh")
            .enhanced(2, 1 << 32, 4, b"ijkl")
            .block(2, &obsolete)
            .block(3, &empty.like().u32(7).raw(b"mno\0"));
        let (packets, error) = read_all(&file.bytes);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(
            packets,
            [
                (100_005_000_000, 101, 0, 4, b"abcd".to_vec()),
                (1_500_000_000, 1, 1, 99, b"efgh".to_vec()),
                ((1 << 32) * 1000, 113, 2, 4, b"ijkl".to_vec()),
                (2_000_000_000, 1, 1, 2, b"xy".to_vec()),
                // A simple packet: interface 0, its snap length, the time of the one before.
                (2_000_000_000, 101, 0, 7, b"mno".to_vec()),
            ]
        );
    }
}

#[test]
fn a_new_section_has_its_own_order_and_interfaces() {
    let empty = Bytes::new(false);
    let first = Bytes::new(false).section().interface(1, 0, &empty).enhanced(0, 1, 4, b"abcd");
    let second = Bytes::new(true).section().interface(101, 0, &empty).enhanced(0, 2, 4, b"efgh");
    let third = Bytes::new(false).section().enhanced(0, 2, 4, b"none");
    let file = [first.bytes, second.bytes, third.bytes].concat();
    let (packets, error) = read_all(&file);
    assert_eq!(packets[0], (1_000, 1, 0, 4, b"abcd".to_vec()));
    assert_eq!(packets[1], (2_000, 101, 0, 4, b"efgh".to_vec()));
    assert!(matches!(error, Some(CaptureError::UnknownInterface { interface: 0, .. })));
}

#[test]
fn extreme_resolutions_saturate() {
    for (resolution, ticks, offset, expected) in [
        (0_u8, u64::MAX, 0_u64, u64::MAX),
        (19, u64::MAX, 0, 1_844_674_407),
        (127, u64::MAX, 0, 0),
        (0x80, 3, 0, 3_000_000_000),
        (0xff, u64::MAX, 0, 0),
        (9, 5, (-1_i64).cast_unsigned(), 0),
        (9, 5, i64::MAX.cast_unsigned(), u64::MAX),
    ] {
        let options = Bytes::new(false).u16(9).u16(1).raw(&[resolution, 0, 0, 0]);
        let options = options.u16(14).u16(8).raw(&offset.to_le_bytes());
        let file = Bytes::new(false).section().interface(1, 0, &options);
        let (packets, _) = read_all(&file.enhanced(0, ticks, 0, b"").bytes);
        assert_eq!(packets[0].0, expected, "resolution {resolution:#x}");
    }
}

#[test]
fn interfaces_of_the_writer() {
    let mut writer = Writer::new(Vec::new(), Format::PcapNg, LinkType::ETHERNET).unwrap();
    assert_eq!(writer.interface(LinkType::RAW, "wan0").unwrap(), 1);
    writer.write_captured(1, 17, b"hello", 1500).unwrap();
    writer.write(18, b"").unwrap();
    assert!(writer.write_captured(2, 17, b"hello", 5).is_err());
    assert!(writer.interface(LinkType::RAW, &"x".repeat(256)).is_err());
    let (packets, error) = read_all(&writer.into_inner().unwrap());
    assert!(error.is_none());
    assert_eq!(packets, [(17, 101, 1, 1500, b"hello".to_vec()), (18, 1, 0, 0, vec![])]);
}

#[test]
fn what_pcap_cannot_hold_is_refused() {
    let mut writer = Writer::new(Vec::new(), Format::Pcap, LinkType::RAW).unwrap();
    assert!(writer.interface(LinkType::RAW, "second").is_err());
    assert!(writer.write(u64::MAX, b"after 2106").is_err());
    assert!(writer.write(0, &vec![0; 256 * 1024 + 1]).is_err());
    assert_eq!(writer.into_inner().unwrap().len(), 24, "nothing half written");
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        packets in vec((0..4_294_967_295_999_999_999_u64, vec(any::<u8>(), 0..2000)), 0..20),
        link in any::<u16>(),
        pcapng in any::<bool>(),
    ) {
        let format = if pcapng { Format::PcapNg } else { Format::Pcap };
        let mut writer = Writer::new(Vec::new(), format, LinkType(link)).unwrap();
        for (timestamp, bytes) in &packets {
            writer.write(*timestamp, bytes).unwrap();
        }
        let file = writer.into_inner().unwrap();
        prop_assert_eq!(Reader::new(file.as_slice()).unwrap().format(), format);
        let (read, error) = read_all(&file);
        prop_assert!(error.is_none());
        let expected = packets.into_iter()
            .map(|(timestamp, bytes)| (timestamp, link, 0, bytes.len() as u32, bytes));
        prop_assert_eq!(read, expected.collect::<Vec<_>>());
    }
}
