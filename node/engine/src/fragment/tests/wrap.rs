//! Whole packets that a smaller link needs in pieces.

use wire::Packet;

use super::{Limits, Rig, Sample};

#[test]
fn a_whole_packet_is_cut_for_a_smaller_link() {
    let sample = Sample { vlan: true, ..Sample::udp(false, 1480) };
    let frame = sample.whole();
    let padded = [&frame[..], &[0xee; 4]].concat();
    let mut rig = Rig::new(Limits::default());
    let packet = Packet::parse(&padded).unwrap();
    let mut datagram = rig.fragments.wrap(&padded, &packet).unwrap();
    assert_eq!((datagram.frame(), datagram.held()), (&frame[..], 0));

    let mut pieces = Vec::new();
    assert_eq!(datagram.refragment(576, |piece| pieces.push(piece.to_vec())), 3);
    assert_eq!(pieces, sample.split(&[552, 552]));
    rig.fragments.done(datagram);
    rig.held(&pieces[2]);
    rig.held(&pieces[0]);
    let datagram = rig.complete(&pieces[1]);
    rig.done(datagram, &frame);
}

#[test]
fn what_fits_stays_whole() {
    let frame = Sample::udp(false, 64).whole();
    let mut rig = Rig::new(Limits::default());
    let mut datagram = rig.fragments.wrap(&frame, &Packet::parse(&frame).unwrap()).unwrap();
    assert_eq!(datagram.refragment(1500, |piece| assert_eq!(piece, frame)), 1);
}

#[test]
fn only_the_sender_fragments_ipv6() {
    let frame = Sample::udp(true, 64).whole();
    let mut rig = Rig::new(Limits::default());
    assert!(rig.fragments.wrap(&frame, &Packet::parse(&frame).unwrap()).is_none());
    // Nor is there room for two at a time.
    let frame = Sample::udp(false, 64).whole();
    let packet = Packet::parse(&frame).unwrap();
    let datagram = rig.fragments.wrap(&frame, &packet).unwrap();
    assert!(rig.fragments.wrap(&frame, &packet).is_none());
    rig.fragments.done(datagram);
    assert!(rig.fragments.wrap(&frame, &packet).is_some());
}
