//! Captures, moved into the tests' networks: of any two, who sends first is on the side of those who begin.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::net::Ipv4Addr;
use std::path::Path;

use datapath::capture::{Reader, ip_packet};

use crate::datagram::{
    End, Header, ICMP, OUTER, TCP, UDP, fill_icmp, fill_transport, quoted, word,
};
use crate::scenario::{Kind, SERVER, Side, Step};

/// Packets of one capture: enough for each kind of flow, and short.
const PACKETS: usize = 300;
/// What a link carries.
const MTU: usize = 1_500;

/// Gives addresses; one for all captures, so that no two share any.
pub(crate) struct Mover {
    kind: Kind,
    given: [u16; 2],
}

/// Who is who in one capture.
struct Cast<'a> {
    mover: &'a mut Mover,
    /// Two addresses, the lower first, and which of them sent first.
    pairs: BTreeMap<(Ipv4Addr, Ipv4Addr), Ipv4Addr>,
    /// By address and, where all of the inside are one, by whom it speaks with.
    addresses: BTreeMap<(Side, Ipv4Addr, Option<Ipv4Addr>), Ipv4Addr>,
}

impl Mover {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, given: [0; 2] }
    }

    /// The IPv4 packets of a capture that can be moved.
    pub(crate) fn steps(&mut self, path: &Path) -> Vec<Step> {
        let mut cast = Cast { mover: self, pairs: BTreeMap::new(), addresses: BTreeMap::new() };
        packets(path).into_iter().filter_map(|it| cast.step(it)).collect()
    }

    /// Another address at a side.
    fn give(&mut self, side: Side) -> Ipv4Addr {
        let given = &mut self.given[side as usize];
        *given += 1;
        let [high, low] = given.to_be_bytes();
        assert!(high < 255, "markers have the last");
        match side {
            Side::Inside => Ipv4Addr::new(10, 1, high, low),
            Side::Outside => Ipv4Addr::new(198, 18, high, low),
        }
    }
}

impl Cast<'_> {
    fn step(&mut self, mut datagram: Vec<u8>) -> Option<Step> {
        let [source, destination] = ends(OUTER, &datagram);
        let from = if let Some(inner) = quoted(&datagram) {
            // An error's receiver is who sent what it quotes.
            let [sender, receiver] = ends(inner, &datagram);
            if sender != destination {
                return None;
            }
            let to = self.side(sender, receiver);
            let moved = [(to, sender, receiver), (to.other(), receiver, sender)];
            let [sender, moved_receiver] = moved.map(|(side, it, peer)| self.moved(side, it, peer));
            let source = match source {
                it if it == receiver => moved_receiver,
                it => self.router(to.other(), it),
            };
            inner.readdress(&mut datagram, End::Source, sender, None);
            inner.readdress(&mut datagram, End::Destination, moved_receiver, None);
            OUTER.readdress(&mut datagram, End::Source, source, None);
            OUTER.readdress(&mut datagram, End::Destination, sender, None);
            fill_icmp(&mut datagram);
            to.other()
        } else {
            let from = self.side(source, destination);
            let moved = [(from, source, destination), (from.other(), destination, source)];
            let moved = moved.map(|(side, it, peer)| self.moved(side, it, peer));
            OUTER.readdress(&mut datagram, End::Source, moved[0], None);
            OUTER.readdress(&mut datagram, End::Destination, moved[1], None);
            from
        };
        // What the sender's hardware was to fill in is wrong in many captures; in fragments it stays so.
        let right = !OUTER.is_fragment(&datagram);
        if right {
            fill_transport(&mut datagram);
        }
        Some(Step { from, datagram, right })
    }

    /// Where the first of two stands.
    fn side(&mut self, one: Ipv4Addr, other: Ipv4Addr) -> Side {
        let pair = (one.min(other), one.max(other));
        let first = *self.pairs.entry(pair).or_insert(one);
        let initiator = self.mover.kind.initiator();
        if first == one { initiator } else { initiator.other() }
    }

    fn moved(&mut self, side: Side, address: Ipv4Addr, peer: Ipv4Addr) -> Ipv4Addr {
        let peer = match (self.mover.kind, side) {
            (Kind::Destination, Side::Inside) => return SERVER,
            (Kind::Destination, Side::Outside) => Some(peer),
            (Kind::Source, _) => None,
        };
        let new = || self.mover.give(side);
        *self.addresses.entry((side, address, peer)).or_insert_with(new)
    }

    /// Who stands in between, and sends errors.
    fn router(&mut self, side: Side, address: Ipv4Addr) -> Ipv4Addr {
        let new = || self.mover.give(side);
        *self.addresses.entry((side, address, None)).or_insert_with(new)
    }
}

fn ends(header: Header, bytes: &[u8]) -> [Ipv4Addr; 2] {
    [End::Source, End::Destination].map(|end| header.address(bytes, end))
}

/// IPv4 packets of TCP, UDP and ICMP that a link of [`MTU`] carries; a capture ends where it is broken.
fn packets(path: &Path) -> Vec<Vec<u8>> {
    let file = BufReader::new(File::open(path).unwrap());
    let mut found = Vec::new();
    let Ok(mut reader) = Reader::new(file) else { return found };
    while found.len() < PACKETS {
        let Ok(Some(captured)) = reader.next_packet() else { break };
        found.extend(ip_packet(captured.link, captured.bytes).and_then(datagram));
    }
    found
}

fn datagram(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.len() < 20 || bytes[0] >> 4 != 4 {
        return None;
    }
    let (header, length) = (OUTER.transport(bytes), usize::from(word(bytes, 2)));
    let fits = (20..length).contains(&header) && (28..=MTU).contains(&length);
    let whole = fits && length >= header + 8 && bytes.len() >= length;
    (whole && [TCP, UDP, ICMP].contains(&OUTER.protocol(bytes))).then(|| bytes[..length].to_vec())
}
