//! Many sessions, each made by one datagram: frames from a packet socket, because a kernel has not so
//! many ports.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::process::Command;
use std::time::{Duration, Instant};

use config::api::{POLICY, Policy};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, bind, send, socket};

use super::failure::Failure;
use super::lab::{Node, SERVER};
use super::limits::{FILL_BURST, FILL_PATIENCE, FILL_PER_SECOND};
use super::process::run;
use super::site::Site;
use super::traffic::FIRST_PORT;
use super::wait::pause;

/// The server's port that nobody uses, and nobody answers at.
const PORT: u16 = FIRST_PORT + 14;
/// Sessions of one source address.
const PORTS: u32 = 50_000;
/// First of the source addresses: in the client's segment, but nobody's.
const FIRST_SOURCE: [u8; 4] = [10, 1, 0, 100];

/// Makes the active node have at least `wanted` sessions; how many it has.
pub(crate) fn fill(site: &mut Site, active: Node, wanted: u32) -> Result<u32, Failure> {
    let silence = format!(
        "table inet field {{\n chain fill {{\n  type filter hook prerouting priority 0;\n  \
         udp dport {PORT} drop\n }}\n}}\n"
    );
    run(&site.lab.server, Command::new("nft").arg(silence))?;
    let to = site.lab.node(active).link("lan0")?.mac;
    let from = site.lab.client.link("c0")?.mac;
    let socket = site.lab.client.run(|| open("c0")).map_err(Failure::call("open a socket"))?;
    let end = Instant::now() + FILL_PATIENCE;
    loop {
        // What was lost, or forgotten meanwhile, is sent again with all others.
        send_all(&socket, to, from, wanted)?;
        let policy: Policy = site.pair()?.api(active).get(POLICY)?;
        let sessions: u64 = policy.rules.iter().map(|rule| rule.sessions).sum();
        if sessions >= u64::from(wanted) {
            return Ok(u32::try_from(sessions).unwrap_or(u32::MAX));
        }
        if Instant::now() > end {
            let what = format!("{wanted} sessions");
            return Err(Failure::Late { what, seen: format!("{sessions}") });
        }
    }
}

fn open(link: &str) -> Result<OwnedFd, Errno> {
    let mut links = nix::ifaddrs::getifaddrs()?.filter(|it| it.interface_name == link);
    let link = links.find_map(|it| it.address?.as_link_addr().copied()).ok_or(Errno::ENODEV)?;
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)?;
    bind(socket.as_raw_fd(), &link)?;
    Ok(socket)
}

fn send_all(socket: &OwnedFd, to: [u8; 6], from: [u8; 6], count: u32) -> Result<(), Failure> {
    let start = Instant::now();
    for number in 0..count {
        let frame = frame(to, from, number);
        match send(socket.as_raw_fd(), &frame, MsgFlags::empty()) {
            // A full queue: the frame is sent in the next round.
            Ok(_) | Err(Errno::ENOBUFS) => {}
            Err(errno) => return Err(Failure::call("send a frame")(errno)),
        }
        if number % FILL_BURST == 0 {
            let due = Duration::from_secs_f64(f64::from(number) / FILL_PER_SECOND);
            pause(due.saturating_sub(start.elapsed()))?;
        }
    }
    Ok(())
}

/// Ethernet, IPv4 (RFC 791), UDP without a checksum (RFC 768), 18 bytes of nothing.
fn frame(to: [u8; 6], from: [u8; 6], number: u32) -> [u8; 60] {
    let mut source = u32::from_be_bytes(FIRST_SOURCE);
    source += number / PORTS;
    let port = (10_000 + number % PORTS) as u16;
    let mut frame = [0; 60];
    frame[..6].copy_from_slice(&to);
    frame[6..12].copy_from_slice(&from);
    frame[12..14].copy_from_slice(&[0x08, 0x00]);
    let ip = &mut frame[14..34];
    ip[..10].copy_from_slice(&[0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 17]);
    ip[12..16].copy_from_slice(&source.to_be_bytes());
    ip[16..20].copy_from_slice(&SERVER.octets());
    let sum = checksum(ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    frame[34..36].copy_from_slice(&port.to_be_bytes());
    frame[36..38].copy_from_slice(&PORT.to_be_bytes());
    frame[38..40].copy_from_slice(&26_u16.to_be_bytes());
    frame
}

fn checksum(header: &[u8]) -> u16 {
    let words = header.as_chunks::<2>().0.iter().map(|word| u32::from(u16::from_be_bytes(*word)));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_frame_is_a_flow_of_its_own() {
        let flow = |number| {
            let frame = frame([1; 6], [2; 6], number);
            assert_eq!(checksum(&frame[14..34]), 0, "with its checksum in it, the sum is all ones");
            (frame[26..30].to_vec(), frame[34..36].to_vec())
        };
        let flows: std::collections::BTreeSet<_> = (0..3 * PORTS).map(flow).collect();
        assert_eq!(flows.len(), 3 * PORTS as usize);
        assert_eq!(flow(PORTS).0, [10, 1, 0, 101]);
    }
}
