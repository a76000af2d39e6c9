//! A Linux router in a namespace, between two sockets for whole frames.

use std::io::Write as _;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use netns::{End, Namespace, VethOptions, veth, wait_ready};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, bind, recv, send, socket,
};
use nix::unistd::Pid;
use wire::build::Builder;

use crate::scenario::{INSIDE, MARKER, OUTSIDE, Passed, Router, Side};

/// A marker that is not through by then is lost, on a machine however busy.
const LOST: Duration = Duration::from_secs(10);
const ROUTER_MAC: [[u8; 6]; 2] = [[2, 0, 0, 0, 1, 1], [2, 0, 0, 0, 1, 2]];
const HOST_MAC: [[u8; 6]; 2] = [[2, 0, 0, 0, 2, 1], [2, 0, 0, 0, 2, 2]];
const ETHERNET: usize = 14;

/// Index 0 is inside, 1 outside.
pub(crate) struct Linux {
    ends: [OwnedFd; 2],
    marks: u16,
    // The sockets alone do not keep them.
    _namespaces: [Namespace; 3],
}

impl Linux {
    /// `rules` is what nftables translates by.
    pub(crate) fn new(rules: &str) -> Self {
        let namespaces = ["rwt-in", "rwt-nat", "rwt-out"].map(|it| Namespace::new(it).unwrap());
        let [inside, router, outside] = &namespaces;
        // The file says more than a switch: it makes hosts routers, and resets what depends on that.
        router.set_sysctl("net/ipv4/ip_forward", "1").unwrap();
        let links = [("lan0", "h0", inside), ("wan0", "h1", outside)];
        for (side, (ours, theirs, host)) in links.into_iter().enumerate() {
            let options = VethOptions { mtu: 1500, queues: 1, offloads: false };
            let end = End::new(router, ours).with_mac(ROUTER_MAC[side]);
            veth(end, End::new(host, theirs).with_mac(HOST_MAC[side]), &options).unwrap();
            let network = [INSIDE, OUTSIDE][side];
            router.add_address(ours, &format!("{}/24", network.router)).unwrap();
            router.set_neighbour(ours, network.gateway, HOST_MAC[side]).unwrap();
            router.add_route(network.prefix, network.gateway).unwrap();
            router.set_sysctl(&format!("net/ipv4/conf/{ours}/rp_filter"), "0").unwrap();
        }
        router.set_sysctl("net/ipv4/conf/all/rp_filter", "0").unwrap();
        wait_ready(&[(router, "lan0"), (router, "wan0")]).unwrap();
        nft(router, rules);
        stay_on_one_processor();
        let ends = [frames(inside, "h0"), frames(outside, "h1")];
        Self { ends, marks: 0, _namespaces: namespaces }
    }

    fn send(&self, from: Side, datagram: &[u8]) {
        let side = from as usize;
        let ethernet = [&ROUTER_MAC[side][..], &HOST_MAC[side], &[8, 0]].concat();
        let frame = [&ethernet[..], datagram].concat();
        send(self.ends[side].as_raw_fd(), &frame, MsgFlags::empty()).unwrap();
    }

    /// What the router itself said to the sender: refusals, and of hop limits.
    fn forget_answers(&self, at: Side) {
        let mut frame = [0; 2048];
        while recv(self.ends[at as usize].as_raw_fd(), &mut frame, MsgFlags::empty()).is_ok() {}
    }

    /// Datagrams that came out at a side, until the marker does.
    fn until_marker(&self, at: Side, marker: u16) -> Vec<Vec<u8>> {
        let (side, start) = (at as usize, Instant::now());
        let (mut out, mut frame) = (Vec::new(), [0; 2048]);
        while start.elapsed() < LOST {
            let Ok(length) = recv(self.ends[side].as_raw_fd(), &mut frame, MsgFlags::empty())
            else {
                let mut ready = [PollFd::new(self.ends[side].as_fd(), PollFlags::POLLIN)];
                let _ = poll(&mut ready, PollTimeout::from(100_u8));
                continue;
            };
            let routed = frame[6..12] == ROUTER_MAC[side] && frame[12..14] == [8, 0];
            if !routed {
                continue;
            }
            let length = length.min(ETHERNET + usize::from(word(&frame, ETHERNET + 2)));
            let datagram = &frame[ETHERNET..length];
            let ends = [&datagram[12..16], &datagram[16..20]];
            if ends == MARKER[side].map(|it| it.octets()) {
                assert_eq!(word(datagram, 4), marker, "markers keep their order");
                return out;
            }
            out.push(datagram.to_vec());
        }
        panic!("a marker is lost");
    }
}

fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

impl Router for Linux {
    /// One processor takes what is sent from the socket to the other end before it takes the next, so a
    /// marker behind it tells when there is nothing more to come: no waiting time is part of a verdict.
    fn pass(&mut self, from: Side, datagram: &[u8]) -> Passed {
        self.send(from, datagram);
        self.marks = self.marks.wrapping_add(1);
        let to = from.other();
        let [source, destination] = MARKER[to as usize].map(|it| it.octets());
        let marker = Builder::v4(source, destination).udp(9, 9).id(self.marks).bare().frame();
        self.send(from, &marker);
        let out = self.until_marker(to, self.marks);
        self.forget_answers(from);
        Passed { out, why: "Linux is silent".into() }
    }
}

fn nft(router: &Namespace, rules: &str) {
    let mut command = Command::new("nft");
    let mut child = router.spawn(command.args(["-f", "-"]).stdin(Stdio::piped())).unwrap();
    let mut input = child.stdin.take().expect("it is piped");
    input.write_all(rules.as_bytes()).unwrap();
    drop(input);
    assert!(child.wait().unwrap().success(), "nft refuses {rules}");
}

/// Of this thread, which sends: what it sends is forwarded there.
fn stay_on_one_processor() {
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this).unwrap();
    let first = (0..CpuSet::count()).find(|it| allowed.is_set(*it).unwrap()).unwrap();
    let mut one = CpuSet::new();
    one.set(first).unwrap();
    sched_setaffinity(this, &one).unwrap();
}

/// A socket for whole frames of one link.
fn frames(inside: &Namespace, link: &str) -> OwnedFd {
    inside.run(|| {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let all = SockProtocol::EthAll;
        let frames = socket(AddressFamily::Packet, SockType::Raw, flags, all).unwrap();
        let mut links = nix::ifaddrs::getifaddrs().unwrap().filter(|it| it.interface_name == link);
        let address = links.find_map(|it| it.address?.as_link_addr().copied());
        bind(frames.as_raw_fd(), &address.expect("the link has an address")).unwrap();
        frames
    })
}
