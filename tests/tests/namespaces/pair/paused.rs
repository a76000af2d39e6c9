//! A node that is paused, as a debugger or a hypervisor pauses one: its kernel has the addresses for a
//! while yet, and must not speak for them.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use netns::Namespace;
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, bind, recv, send, socket,
};
use ringwall_tests::{require, root, wait_for};

use super::{PATIENCE, Pair};

/// How long answers to one question are collected.
const LISTENING: Duration = Duration::from_millis(300);
/// How long the other node's kernel keeps the addresses that its daemon does not renew, at least: less
/// than what the daemon asks for.
const ADDRESSES_LIVE: Duration = Duration::from_secs(3);

type Mac = [u8; 6];

/// A socket for whole frames on one link.
struct Ear {
    frames: OwnedFd,
    own: Mac,
}

impl Ear {
    fn on(inside: &Namespace, link: &str) -> Self {
        let own = inside.link(link).unwrap().mac;
        let frames = inside.run(|| {
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            let all = SockProtocol::EthAll;
            let frames = socket(AddressFamily::Packet, SockType::Raw, flags, all).unwrap();
            let mut links = nix::ifaddrs::getifaddrs().unwrap();
            let address = links
                .find(|it| it.interface_name == link && it.address.is_some_and(is_link))
                .and_then(|it| it.address?.as_link_addr().copied());
            bind(frames.as_raw_fd(), &address.expect("the link has an address")).unwrap();
            frames
        });
        Self { frames, own }
    }

    fn asks(&self, sender: Ipv4Addr, target: Ipv4Addr) {
        let mut frame = [&[0xff; 6][..], &self.own, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]].concat();
        frame.extend(self.own);
        frame.extend(sender.octets());
        frame.extend([0; 6]);
        frame.extend(target.octets());
        send(self.frames.as_raw_fd(), &frame, MsgFlags::empty()).unwrap();
    }

    /// Who says by ARP, within `time`, that `address` is theirs.
    fn hears(&self, address: Ipv4Addr, time: Duration) -> BTreeSet<Mac> {
        let (start, mut speakers) = (Instant::now(), BTreeSet::new());
        let mut frame = [0; 2048];
        while start.elapsed() < time {
            match recv(self.frames.as_raw_fd(), &mut frame, MsgFlags::empty()) {
                Ok(length) if length >= 42 && frame[12..14] == [8, 6] => {
                    if frame[28..32] == address.octets() {
                        speakers.insert(frame[22..28].try_into().unwrap());
                    }
                }
                Ok(_) => {}
                Err(Errno::EAGAIN) => std::thread::sleep(Duration::from_millis(1)),
                Err(error) => panic!("{error}"),
            }
        }
        speakers
    }
}

fn is_link(address: nix::sys::socket::SockaddrStorage) -> bool {
    address.as_link_addr().is_some()
}

#[test]
fn a_paused_node_does_not_answer_for_the_addresses() {
    require!(root());
    let mut pair = Pair::new();
    pair.found();
    (0..2).for_each(|index| pair.start(index));
    let active = pair.settles_somehow();
    let [client, vip, own]: [Ipv4Addr; 3] =
        ["10.1.0.2", "10.1.0.1", if active == 0 { "10.1.0.11" } else { "10.1.0.12" }]
            .map(|text| text.parse().unwrap());
    let mac = |pair: &Pair, index: usize| pair.routers[index].link("lan0").unwrap().mac;
    let [paused, other] = [mac(&pair, active), mac(&pair, 1 - active)];
    let ear = Ear::on(&pair.client, "c0");
    ear.asks(client, vip);
    assert_eq!(ear.hears(vip, LISTENING), BTreeSet::from([paused]), "it is active");

    pair.nodes[active].as_mut().expect("it runs").signal(Signal::SIGSTOP);
    let since = Instant::now();
    wait_for(PATIENCE, "the other one to take over", || pair.role(1 - active) == "active");
    ear.hears(vip, Duration::ZERO);
    ear.asks(client, own);
    assert_eq!(ear.hears(own, LISTENING), BTreeSet::from([paused]), "its own address answers");
    for _ in 0..3 {
        ear.asks(client, vip);
        assert_eq!(
            ear.hears(vip, LISTENING),
            BTreeSet::from([other]),
            "after {:?}",
            since.elapsed()
        );
    }
    assert!(since.elapsed() < ADDRESSES_LIVE, "too slow to have shown anything");

    pair.nodes[active].as_mut().expect("it runs").signal(Signal::SIGCONT);
    ear.asks(client, vip);
    let speakers = ear.hears(vip, Duration::from_secs(1));
    assert_eq!(speakers, BTreeSet::from([other]), "nor does its daemon announce what it had");
    pair.settles(1 - active);
}
