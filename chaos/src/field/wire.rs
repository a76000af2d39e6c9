//! What each node emits, seen at the switch's end of its cables, with the kernel's timestamps.
//!
//! A filter in the kernel keeps what tells who forwards and who answers for an address: ARP, the
//! datagrams of streams, and small TCP segments. Transfers and the load beside them are left out, so
//! that watching costs little: a stream of 1,000 datagrams a second tells a millisecond.

use std::io::IoSliceMut;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::sockopt::{RcvBufForce, ReceiveTimestampns, RxqOvfl};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind,
    recvmsg, setsockopt, socket,
};
use nix::sys::time::TimeSpec;
use socket2::{SockFilter, Socket};

use super::failure::Failure;
use super::lab::{CLIENT, Lab, Node, SERVER, SERVER_OTHER, Segment, VIPS};
use super::log::{self, Nanos};
use super::traffic::Port;

/// What of a frame is read: Ethernet, IPv4 or ARP.
const SNAP: usize = 64;
/// Room for what the watcher did not read yet: half a second of all streams, on a busy machine.
const BUFFER: usize = 16 << 20;
/// How late the watcher notices that it is to end, milliseconds.
const LOOK: u16 = 50;

/// What a frame tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It came from the other side.
    Forward,
    /// It says that the node has one of the addresses.
    Arp,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Arp => "arp",
        }
    }
}

/// A frame that a node emitted.
#[derive(Clone, Copy, Debug)]
struct Seen {
    at: Nanos,
    node: Node,
    segment: Segment,
    kind: Kind,
}

/// What was seen, and how much was not: a line for each port.
#[derive(Debug)]
struct Watched {
    seen: Vec<Seen>,
    lost: Vec<String>,
}

/// A watcher at work.
#[derive(Debug)]
pub(crate) struct Wire {
    over: Arc<AtomicBool>,
    watcher: Option<JoinHandle<Watched>>,
}

impl Wire {
    pub(crate) fn start(lab: &Lab) -> Result<Self, Failure> {
        let nodes = lab.nodes();
        let taps = lab.switch.run(|| taps(nodes))?;
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let watcher = std::thread::Builder::new().name("wire".to_owned());
        let watcher = watcher.spawn(move || watch(taps, &told));
        Ok(Self { over, watcher: Some(watcher.map_err(Failure::system("start a thread"))?) })
    }

    /// Ends, and writes `wire.log`.
    pub(crate) fn finish(mut self, folder: &Path) -> Result<(), Failure> {
        self.over.store(true, Ordering::Relaxed);
        let watcher = self.watcher.take().expect("it is taken here alone");
        let watched = watcher.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let Watched { seen, lost } = watched;
        log::write(folder, "wire-lost.log", lost)?;
        let lines = seen.iter().map(|it| {
            format!("{} {} {} {}", it.at, it.node.name(), it.segment.name(), it.kind.name())
        });
        Ok(log::write(folder, "wire.log", lines)?)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// A packet socket at one port of the switch.
struct Tap {
    node: Node,
    segment: Segment,
    socket: Socket,
    /// Frames that found no room, as the kernel told last.
    lost: u32,
}

/// To be called inside the switch.
fn taps(nodes: &[Node]) -> Result<Vec<Tap>, Failure> {
    let places = nodes.iter().flat_map(|node| Segment::DATA.map(|it| (*node, it)));
    places.map(|(node, segment)| tap(node, segment)).collect()
}

fn tap(node: Node, segment: Segment) -> Result<Tap, Failure> {
    let port = segment.port(node);
    let failed = || Failure::call(format!("watch {port}"));
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let protocol = SockProtocol::EthAll;
    let all = socket(AddressFamily::Packet, SockType::Raw, flags, protocol).map_err(failed())?;
    let socket = Socket::from(all);
    // Past net.core.rmem_max, which is a small part of that.
    setsockopt(&socket, RcvBufForce, &BUFFER).map_err(failed())?;
    setsockopt(&socket, RxqOvfl, &1).map_err(failed())?;
    setsockopt(&socket, ReceiveTimestampns, &true).map_err(failed())?;
    socket.attach_filter(&filter()).map_err(Failure::system(format!("watch {port}")))?;
    let links = nix::ifaddrs::getifaddrs().map_err(failed())?;
    let mut links = links.filter(|it| it.interface_name == port);
    let link = links.find_map(|it| it.address?.as_link_addr().copied());
    let link = link.ok_or(nix::errno::Errno::ENODEV).map_err(failed())?;
    bind(socket.as_raw_fd(), &link).map_err(failed())?;
    let mut tap = Tap { node, segment, socket, lost: 0 };
    // Until it was bound it took in the frames of all ports.
    tap.drain(&mut Vec::new());
    Ok(tap)
}

/// Classic BPF; offsets are those of Ethernet, IPv4 without options, UDP.
fn filter() -> Vec<SockFilter> {
    /// `SKF_AD_OFF + SKF_AD_PKTTYPE`, and `PACKET_OUTGOING`, of linux/filter.h and linux/if_packet.h.
    const PACKET_TYPE: u32 = 0xffff_f004;
    const OUTGOING: u32 = 4;
    let (load, port) = (u32::from(Port::LOAD), [34, 36]);
    [
        (0x30, 0, 0, PACKET_TYPE), //     0 ldb its direction
        (0x15, 14, 0, OUTGOING),   //     1 to the node: no
        (0x28, 0, 0, 12),          //     2 ldh its type
        (0x15, 11, 0, 0x0806),     //     3 ARP: yes
        (0x15, 0, 11, 0x0800),     //     4 not IPv4: no
        (0x30, 0, 0, 23),          //     5 ldb its protocol
        (0x15, 0, 4, 17),          //     6 not UDP: 11
        (0x28, 0, 0, port[0]),     //     7 ldh
        (0x15, 7, 0, load),        //     8 of the load: no
        (0x28, 0, 0, port[1]),     //     9 ldh
        (0x15, 5, 4, load),        //    10 of the load: no, else: yes
        (0x15, 0, 4, 6),           //    11 not TCP: no
        (0x28, 0, 0, 16),          //    12 ldh its length
        (0x35, 0, 2, 53),          //    13 a bare acknowledgment: no
        (0x35, 1, 0, 300),         //    14 of a transfer: no
        (0x06, 0, 0, SNAP as u32), //    15 yes
        (0x06, 0, 0, 0),           //    16 no
    ]
    .map(|(code, yes, no, value)| SockFilter::new(code, yes, no, value))
    .into()
}

fn watch(mut taps: Vec<Tap>, over: &AtomicBool) -> Watched {
    let mut seen = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let watched = taps.iter().map(|tap| PollFd::new(tap.socket.as_fd(), PollFlags::POLLIN));
        let mut watched: Vec<PollFd<'_>> = watched.collect();
        // Interrupted by a signal: there is nothing to read, and it looks again.
        let _ = poll(&mut watched, PollTimeout::from(LOOK));
        taps.iter_mut().for_each(|tap| tap.drain(&mut seen));
    }
    seen.sort_by_key(|it| it.at);
    let lost = taps.iter().map(|tap| {
        let Tap { node, segment, lost, .. } = tap;
        format!("{} {} {lost}", node.name(), segment.name())
    });
    Watched { seen, lost: lost.collect() }
}

impl Tap {
    fn drain(&mut self, seen: &mut Vec<Seen>) {
        let mut bytes = [0; SNAP];
        let mut control = nix::cmsg_space!(TimeSpec, u32);
        loop {
            let mut into = [IoSliceMut::new(&mut bytes)];
            let flags = MsgFlags::MSG_DONTWAIT;
            let got =
                recvmsg::<LinkAddr>(self.socket.as_raw_fd(), &mut into, Some(&mut control), flags);
            let Ok(got) = got else { return };
            let mut at = None;
            for told in got.cmsgs().into_iter().flatten() {
                if let ControlMessageOwned::ScmTimestampns(time) = told {
                    at = Some(time);
                } else if let ControlMessageOwned::RxqOvfl(lost) = told {
                    self.lost = lost;
                }
            }
            let length = got.bytes;
            let (Some(at), Some(kind)) = (at, kind(self.segment, &bytes[..length])) else {
                continue;
            };
            let at = at.tv_sec() as u64 * 1_000_000_000 + at.tv_nsec() as u64;
            seen.push(Seen { at, node: self.node, segment: self.segment, kind });
        }
    }
}

/// What a frame tells that a node emitted into `segment`.
fn kind(segment: Segment, frame: &[u8]) -> Option<Kind> {
    // The client may be behind the address that moves, which nobody else speaks IP from.
    let far: &[Ipv4Addr] = match segment {
        Segment::Lan => &[SERVER, SERVER_OTHER],
        Segment::Wan => &[CLIENT, VIPS[1]],
        Segment::Fabric => return None,
    };
    let at = |range: std::ops::Range<usize>| frame.get(range);
    match at(12..14)? {
        // The sender's protocol address: in an answer, an announcement, and a question alike, who
        // sends it says that the address is its own.
        [0x08, 0x06] => {
            let own = at(28..32)?;
            VIPS.iter().any(|it| it.octets() == *own).then_some(Kind::Arp)
        }
        [0x08, 0x00] => {
            let source = at(26..30)?;
            far.iter().any(|it| it.octets() == *source).then_some(Kind::Forward)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: [u8; 2], at: usize, address: [u8; 4]) -> Vec<u8> {
        let mut frame = vec![0; SNAP];
        frame[12..14].copy_from_slice(&kind);
        frame[at..at + 4].copy_from_slice(&address);
        frame
    }

    #[test]
    fn frames_tell_who_forwards_and_who_has_an_address() {
        let arp = |address| frame([0x08, 0x06], 28, address);
        let ip = |address| frame([0x08, 0x00], 26, address);
        assert_eq!(kind(Segment::Lan, &arp([10, 1, 0, 1])), Some(Kind::Arp));
        assert_eq!(kind(Segment::Lan, &arp([10, 1, 0, 11])), None, "its own");
        assert_eq!(kind(Segment::Lan, &ip([10, 2, 0, 2])), Some(Kind::Forward));
        assert_eq!(kind(Segment::Lan, &ip([10, 2, 0, 3])), Some(Kind::Forward));
        assert_eq!(kind(Segment::Lan, &ip([10, 1, 0, 11])), None, "a heartbeat");
        assert_eq!(kind(Segment::Wan, &ip([10, 1, 0, 2])), Some(Kind::Forward));
        assert_eq!(kind(Segment::Wan, &ip([10, 2, 0, 1])), Some(Kind::Forward), "translated");
        assert_eq!(kind(Segment::Wan, &ip([10, 1, 0, 2])[..20]), None, "cut off");
    }
}
