//! A datagram that can be written whole or in fragments, apart from the code under test.

use proptest::collection::vec;
use proptest::prelude::*;

/// A datagram. Only the parts that fragmentation has to do with vary.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) ipv6: bool,
    pub(super) vlan: bool,
    pub(super) id: u32,
    /// Last octet of the source address.
    pub(super) source: u8,
    pub(super) protocol: u8,
    pub(super) dont_fragment: bool,
    pub(super) ecn: u8,
    /// IPv4 options of the first fragment and of the others.
    pub(super) options: [Vec<u8>; 2],
    /// IPv6 extension headers before the fragment header: type, and bytes behind the next header.
    pub(super) extensions: Vec<(u8, Vec<u8>)>,
    pub(super) payload: Vec<u8>,
}

impl Sample {
    /// UDP of `length` bytes, its header included, without anything special.
    pub(super) fn udp(ipv6: bool, length: usize) -> Self {
        let mut payload: Vec<u8> = (0..length).map(|at| (at * 7 / 3) as u8).collect();
        payload[..4].copy_from_slice(&[0x1f, 0x90, 0, 53]);
        payload[4..6].copy_from_slice(&(length as u16).to_be_bytes());
        Self {
            ipv6,
            vlan: false,
            id: 0x0102,
            source: 1,
            protocol: 17,
            dont_fragment: false,
            ecn: 0,
            options: [vec![], vec![]],
            extensions: vec![],
            payload,
        }
    }

    /// A TCP segment whose header has 20 bytes.
    pub(super) fn tcp(ipv6: bool, length: usize) -> Self {
        let mut sample = Self::udp(ipv6, length);
        sample.protocol = 6;
        sample.payload[12] = 0x50;
        sample
    }

    /// The frame as if never fragmented.
    pub(super) fn whole(&self) -> Vec<u8> {
        if self.ipv6 {
            self.ipv6(self.protocol, &[], &self.payload)
        } else {
            self.ipv4(&self.options[0], 0, &self.payload)
        }
    }

    /// The fragment `offset..offset + length` of the payload.
    pub(super) fn fragment(&self, offset: usize, length: usize, more: bool) -> Vec<u8> {
        self.fragment_of(offset, &self.payload[offset..offset + length], more)
    }

    /// A fragment with other content.
    pub(super) fn fragment_of(&self, offset: usize, payload: &[u8], more: bool) -> Vec<u8> {
        if self.ipv6 {
            let field = (offset as u16 | u16::from(more)).to_be_bytes();
            let id = self.id.to_be_bytes();
            let header = [&[self.protocol, 0][..], &field, &id].concat();
            return self.ipv6(44, &header, payload);
        }
        let options = &self.options[usize::from(offset > 0)];
        self.ipv4(options, (offset / 8) as u16 | u16::from(more) << 13, payload)
    }

    /// Fragments with these payload lengths, the last with what is left.
    pub(super) fn split(&self, lengths: &[usize]) -> Vec<Vec<u8>> {
        let mut fragments = Vec::new();
        let mut offset = 0;
        for &length in lengths {
            if offset + length >= self.payload.len() {
                break;
            }
            fragments.push(self.fragment(offset, length, true));
            offset += length;
        }
        fragments.push(self.fragment(offset, self.payload.len() - offset, false));
        fragments
    }

    fn ethernet(&self) -> Vec<u8> {
        let ethertype: &[u8] = if self.ipv6 { &[0x86, 0xdd] } else { &[0x08, 0x00] };
        let tag: &[u8] = if self.vlan { &[0x81, 0, 0, 5] } else { &[] };
        [b"ddddddssssss", tag, ethertype].concat()
    }

    fn ipv4(&self, options: &[u8], field: u16, payload: &[u8]) -> Vec<u8> {
        let mut frame = self.ethernet();
        let network = frame.len();
        let header = 20 + options.len();
        let field = field | u16::from(self.dont_fragment) << 14;
        frame.extend([0x40 | (header / 4) as u8, self.ecn]);
        frame.extend(((header + payload.len()) as u16).to_be_bytes());
        frame.extend((self.id as u16).to_be_bytes());
        frame.extend(field.to_be_bytes());
        frame.extend([64, self.protocol, 0, 0, 10, 0, 0, self.source, 10, 0, 1, 2]);
        frame.extend(options);
        wire::checksum::fill_ipv4_header_checksum(&mut frame, network as u32);
        frame.extend(payload);
        frame
    }

    fn ipv6(&self, protocol: u8, fragment_header: &[u8], payload: &[u8]) -> Vec<u8> {
        let mut frame = self.ethernet();
        let mut types: Vec<u8> = self.extensions.iter().map(|extension| extension.0).collect();
        types.push(protocol);
        let extensions: Vec<u8> = self
            .extensions
            .iter()
            .zip(&types[1..])
            .flat_map(|((_, body), next)| [&[*next][..], body].concat())
            .collect();
        let length = extensions.len() + fragment_header.len() + payload.len();
        frame.extend([0x60, self.ecn << 4, 0, 9]);
        frame.extend((length as u16).to_be_bytes());
        frame.extend([types[0], 64]);
        frame.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, self.source]);
        frame.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]);
        frame.extend([&extensions, fragment_header, payload].concat());
        frame
    }
}

/// Router alert, which goes into every fragment; record route, which does not.
const ROUTER_ALERT: [u8; 4] = [148, 4, 0, 0];
const RECORD_ROUTE: [u8; 8] = [1, 7, 7, 4, 0, 0, 0, 0];

/// Any datagram.
pub(super) fn any_sample(length: std::ops::Range<usize>) -> impl Strategy<Value = Sample> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), 0..4_u8, 0..4_u8);
    (flags, any::<u32>(), length, any::<u8>()).prop_map(|(flags, id, length, fill)| {
        let (ipv6, vlan, dont_fragment, ecn, extra) = flags;
        let mut sample = Sample::udp(ipv6, length);
        sample.payload.iter_mut().skip(8).for_each(|byte| *byte = byte.wrapping_add(fill));
        let has = |bit: u8| extra & bit != 0;
        let alert = if has(1) { &ROUTER_ALERT[..] } else { &[] };
        let route = if has(2) { &RECORD_ROUTE[..] } else { &[] };
        let mut extensions = Vec::new();
        if has(1) {
            extensions.push((0, vec![0, 5, 2, 0, 0, 1, 0]));
        }
        if has(2) {
            extensions.push((60, [&[2_u8, 1, 20][..], &[0; 20]].concat()));
        }
        let options = [[alert, route].concat(), alert.to_vec()];
        Sample { vlan, id, dont_fragment, ecn, options, extensions, ..sample }
    })
}

/// Lengths of fragments: multiples of eight.
pub(super) fn any_lengths() -> impl Strategy<Value = Vec<usize>> {
    vec((1..60_usize).prop_map(|units| units * 8), 100)
}
