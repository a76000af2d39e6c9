//! Refragmentation: what comes out reassembles to what went in, and fits.

use proptest::prelude::*;

use super::order::shuffle;
use super::sample::{any_lengths, any_sample};
use super::{Datagram, Limits, Outcome, Rig, Sample};

fn assemble(rig: &mut Rig, fragments: &[Vec<u8>]) -> Datagram {
    let (last, others) = fragments.split_last().unwrap();
    others.iter().for_each(|fragment| rig.held(fragment));
    rig.complete(last)
}

fn refragment(datagram: &mut Datagram, mtu: u32) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    let count = datagram.refragment(mtu, |frame| out.push(frame.to_vec()));
    assert_eq!(count as usize, out.len());
    out
}

#[test]
fn the_senders_boundaries_are_kept_if_they_fit() {
    for ipv6 in [false, true] {
        let sample = Sample::udp(ipv6, 3000);
        let fragments = sample.split(&[200, 1400, 8]);
        let mut rig = Rig::new(Limits::default());
        let mut datagram = assemble(&mut rig, &fragments);
        assert_eq!(datagram.largest(), if ipv6 { 1448 } else { 1420 });
        assert_eq!(refragment(&mut datagram, 1500), fragments);
    }
}

#[test]
fn a_smaller_mtu_makes_smaller_fragments() {
    let sample = Sample::udp(false, 2000);
    let mut rig = Rig::new(Limits::default());
    let mut datagram = assemble(&mut rig, &sample.split(&[1480]));
    assert!(!datagram.is_too_big(576), "nobody forbade it");
    assert_eq!(refragment(&mut datagram, 576), sample.split(&[552, 552, 552]));
}

#[test]
fn never_larger_than_the_sender_showed_to_pass() {
    // 84-byte fragments, whose boundaries cannot stay on a link of 68.
    let sample = Sample::udp(false, 300);
    let mut rig = Rig::new(Limits::default());
    let mut datagram = assemble(&mut rig, &sample.split(&[64, 64, 64, 64]));
    assert_eq!(refragment(&mut datagram, 68), sample.split(&[48; 10]));
}

#[test]
fn what_may_not_be_made_smaller() {
    for (ipv6, dont_fragment, refused) in
        [(false, false, false), (false, true, true), (true, false, true)]
    {
        let sample = Sample { dont_fragment, ..Sample::udp(ipv6, 2900) };
        let mut rig = Rig::new(Limits::default());
        let datagram = assemble(&mut rig, &sample.split(&[1440, 1440]));
        assert_eq!(datagram.dont_fragment(), refused);
        assert!(!datagram.is_too_big(1500));
        assert_eq!(datagram.is_too_big(1400), refused);
        rig.fragments.done(datagram);
    }
}

#[test]
fn rewritten_headers_go_into_every_fragment() {
    for ipv6 in [false, true] {
        let sample = Sample { id: 77, ..Sample::udp(ipv6, 3000) };
        let mut rig = Rig::new(Limits::default());
        let mut datagram = assemble(&mut rig, &sample.split(&[1440, 1440]));
        let hop_limit = datagram.network() as usize + if ipv6 { 7 } else { 8 };
        datagram.frame_mut()[0] = 0xaa;
        datagram.frame_mut()[hop_limit] = 63;
        for (frame, original) in
            refragment(&mut datagram, 1500).iter().zip(sample.split(&[1440, 1440]))
        {
            let packet = wire::Packet::parse(frame).unwrap();
            assert_eq!((frame[0], packet.hop_limit), (0xaa, 63));
            assert!(wire::checksum::ipv4_header_checksum_ok(frame, &packet));
            assert_eq!(frame[packet.transport as usize..], original[packet.transport as usize..]);
            assert_eq!(packet.fragment.unwrap().id, 77);
        }
    }
}

#[test]
fn options_without_the_copied_flag_stay_in_the_first() {
    let options = [vec![1, 7, 7, 4, 0, 0, 0, 0, 148, 4, 0, 0], vec![148, 4, 0, 0]];
    let sample = Sample { options, ..Sample::udp(false, 600) };
    let mut rig = Rig::new(Limits::default());
    let mut datagram = assemble(&mut rig, &sample.split(&[400]));
    assert_eq!(refragment(&mut datagram, 256), sample.split(&[224, 232]));
}

proptest! {
    #[test]
    fn there_and_back(
        sample in any_sample(9..6000),
        lengths in any_lengths(),
        mtu in prop_oneof![68..200_u32, 200..1500_u32, Just(1500)],
        seed in any::<u64>(),
    ) {
        let fragments = sample.split(&lengths);
        prop_assume!(fragments.len() > 1);
        let mut rig = Rig::new(Limits { per_datagram: 128, ..Limits::default() });
        let mut datagram = assemble(&mut rig, &fragments);
        let mtu = if sample.ipv6 { mtu.max(1280) } else { mtu };
        let limit = mtu.min(datagram.largest().max(if sample.ipv6 { 1280 } else { 0 }));
        let keeps = datagram.largest() <= mtu;
        let mut again = refragment(&mut datagram, mtu);
        rig.fragments.done(datagram);
        if keeps {
            prop_assert_eq!(&again, &fragments);
        }
        for frame in &again {
            let packet = wire::Packet::parse(frame).unwrap();
            prop_assert!(packet.ip_len() <= limit, "{} bytes of {}", packet.ip_len(), limit);
            prop_assert!(wire::checksum::ipv4_header_checksum_ok(frame, &packet));
        }
        prop_assume!(again.len() <= 128);
        shuffle(&mut again, seed);
        for frame in &again {
            if let Outcome::Complete(datagram) = rig.outcome(frame) {
                prop_assert_eq!(datagram.frame(), &sample.whole()[..]);
                return Ok(());
            }
        }
        prop_assert!(false, "never complete");
    }
}
