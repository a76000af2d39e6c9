//! The port twin: captures in, captures out.

use af_xdp::{Umem, UmemConfig};

use super::super::port::Counts;
use super::super::{CapturePort, Format, LinkType, Reader, Writer};
use super::format::read_all;
use crate::port::Port;

const V4: [u8; 20] = [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];

fn umem() -> Umem {
    Umem::new(&UmemConfig { frames: 8, ..UmemConfig::default() }).unwrap()
}

fn capture(link: LinkType, packets: &[(u64, &[u8])]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), Format::PcapNg, link).unwrap();
    for (time, bytes) in packets {
        writer.write(*time, bytes).unwrap();
    }
    writer.into_inner().unwrap()
}

type Twin<'a> = CapturePort<&'a [u8], Vec<u8>>;

fn port(file: &[u8]) -> Twin<'_> {
    let writer = Writer::new(Vec::new(), Format::Pcap, LinkType::ETHERNET).unwrap();
    CapturePort::new(Some(Reader::new(file).unwrap()), Some(writer))
}

#[test]
fn what_arrives_can_be_sent() {
    let file = capture(LinkType::RAW, &[(1_000, &V4), (900, b"not ip"), (3_000, &V4)]);
    let mut umem = umem();
    let mut port = port(&file).with_addresses([1; 6], [2; 6]);
    let mut frames = Vec::new();
    assert_eq!(port.receive(&mut umem, &mut frames, 1), 1);
    assert_eq!(umem.data(&frames[0])[..14], [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 8, 0]);
    assert!(!port.is_finished());
    port.transmit(&mut umem, &mut frames);
    assert_eq!(port.receive(&mut umem, &mut frames, 64), 1);
    port.transmit(&mut umem, &mut frames);
    port.service(&mut umem);
    assert!(port.is_finished() && !port.sending() && frames.is_empty());
    assert_eq!(umem.in_use(), 0);
    assert_eq!(port.counts(), Counts { received: 2, not_ip: 1, sent: 2, ..Counts::default() });

    let (packets, error) = read_all(&port.into_written().unwrap().unwrap());
    assert!(error.is_none());
    assert_eq!(packets.iter().map(|packet| packet.0).collect::<Vec<_>>(), [1_000, 3_000]);
    assert_eq!(packets[1].4[14..], V4);
}

#[test]
fn ethernet_arrives_as_it_is() {
    let frame = [b"ddddddssssss\x08\x06", &[7; 28][..]].concat();
    let file = capture(LinkType::ETHERNET, &[(1, &frame), (2, &[0; 9000])]);
    let mut umem = umem();
    let mut port = port(&file);
    let mut frames = Vec::new();
    assert_eq!(port.receive(&mut umem, &mut frames, 64), 1);
    assert_eq!(umem.data(&frames[0]), frame);
    assert_eq!(port.counts().too_long, 1);
    frames.drain(..).for_each(|frame| umem.free(frame));
}

#[test]
fn nothing_is_read_without_a_free_frame() {
    let file = capture(LinkType::RAW, &[(1, &V4[..]); 12]);
    let mut umem = umem();
    let mut port = port(&file);
    let mut frames = Vec::new();
    assert_eq!(port.receive(&mut umem, &mut frames, 64), 8);
    assert_eq!(port.receive(&mut umem, &mut frames, 64), 0);
    port.transmit(&mut umem, &mut frames);
    assert_eq!(port.receive(&mut umem, &mut frames, 64), 4);
    port.transmit(&mut umem, &mut frames);
    assert_eq!((port.counts().sent, umem.in_use()), (12, 0));
}

#[test]
fn errors_end_a_direction_and_lose_no_frame() {
    let file = capture(LinkType::RAW, &[(1, &V4), (u64::MAX, &V4)]);
    let mut umem = umem();
    let mut port = port(&file[..file.len() - 1]);
    let mut frames = Vec::new();
    assert_eq!(port.receive(&mut umem, &mut frames, 64), 1);
    assert!(port.is_finished() && port.error().is_some());
    port.set_time(u64::MAX); // more than pcap can say
    port.transmit(&mut umem, &mut frames);
    assert!(port.write_error().is_some());
    assert_eq!((port.counts().lost, umem.in_use()), (1, 0));
    assert!(port.into_written().unwrap().is_none());
}
