//! A capture file: read to its end, every packet through every link type and the parser, and all of
//! them written again and found the same.

use datapath::capture::{
    CaptureError, Format, LinkType, Reader, Writer, ethernet_frame, ip_packet,
};
use wire::Packet;

use super::{Depth, frame};

/// Those that are known, and one that is not.
const LINKS: [LinkType; 13] = [
    LinkType::ETHERNET,
    LinkType::NULL,
    LinkType::PPP,
    LinkType::RAW_BSD,
    LinkType::RAW_OPENBSD,
    LinkType::PPPOE,
    LinkType::RAW,
    LinkType::LOOP,
    LinkType::LINUX_SLL,
    LinkType::IPV4,
    LinkType::IPV6,
    LinkType::LINUX_SLL2,
    LinkType(147),
];

/// Bytes of an Ethernet header.
const HEADER: usize = 14;

/// One packet, out of its file.
#[derive(Debug, PartialEq, Eq)]
struct Kept {
    timestamp: u64,
    link: LinkType,
    length: u32,
    bytes: Vec<u8>,
}

pub(super) fn run(file: &[u8]) -> Depth {
    let Ok((packets, error)) = read(file) else { return Depth::Refused };
    if let Some(error) = &error {
        assert!(error.offset() <= file.len() as u64, "{error}");
        assert!(!error.to_string().is_empty());
    }
    let mut depth = Depth::Read;
    for packet in &packets {
        for link in LINKS {
            replay(link, &packet.bytes);
        }
        if packet.link == LinkType::ETHERNET && frame::run(&packet.bytes) > Depth::Refused {
            depth = Depth::Used;
        }
    }
    write_and_read(&packets);
    depth
}

fn read(file: &[u8]) -> Result<(Vec<Kept>, Option<CaptureError>), CaptureError> {
    let mut reader = Reader::new(file)?;
    let mut packets = Vec::new();
    let error = loop {
        match reader.next_packet() {
            Ok(Some(packet)) => packets.push(Kept {
                timestamp: packet.timestamp,
                link: packet.link,
                length: packet.length,
                bytes: packet.bytes.to_vec(),
            }),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    assert!(matches!(reader.next_packet(), Ok(None)), "over is over");
    Ok((packets, error))
}

/// The IP packet means the same behind the Ethernet header that it is given.
fn replay(link: LinkType, bytes: &[u8]) {
    let Some(ip) = ip_packet(link, bytes) else { return };
    let mut frame = vec![0; HEADER + ip.len()];
    let len = ethernet_frame(ip, [2; 6], [4; 6], &mut frame).expect("IP, and it fits");
    assert_eq!((len, &frame[HEADER..]), (frame.len(), ip));
    match (Packet::parse(&frame), Packet::parse_ip(ip, 0, 0)) {
        (Ok(framed), Ok(bare)) => assert_eq!(
            (framed.protocol, framed.source, framed.destination, framed.end - framed.network),
            (bare.protocol, bare.source, bare.destination, bare.end),
        ),
        (framed, bare) => assert_eq!(framed.err(), bare.err()),
    }
}

/// What this crate writes it reads again, to the nanosecond.
fn write_and_read(packets: &[Kept]) {
    let Some(link) = packets.first().map(|packet| packet.link) else { return };
    let mut file = Vec::new();
    let mut writer = Writer::new(&mut file, Format::PcapNg, link).expect("memory takes all");
    for packet in packets {
        writer.write(packet.timestamp, &packet.bytes).expect("memory takes all");
    }
    writer.into_inner().expect("memory takes all");
    let (again, error) = read(&file).expect("what was written can be read");
    assert!(error.is_none(), "{error:?}");
    assert_eq!(again.len(), packets.len());
    for (again, packet) in again.iter().zip(packets) {
        assert_eq!((again.timestamp, &again.bytes), (packet.timestamp, &packet.bytes));
    }
}
