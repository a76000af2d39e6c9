//! Tracked targets: neighbours that this node must reach to be fit.
//!
//! Each is asked by ARP (RFC 826) or neighbour discovery (RFC 4861 §7.2.2) once an interval, whatever the
//! kernel knows of it. One that leaves [`TARGET_MISSES`] questions in a row unanswered is unreachable, until
//! it answers again. Questions are counted, not time: a process that was paused has asked nothing.
//!
//! A standby has none of the group's addresses, and must not ask in their name. So an IPv4 question has the
//! port's own address as its sender if it has one, else none, as a probe (RFC 5227 §2.1.1): to a target that
//! itself probes at that moment, in its first seconds, that looks like a conflict.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use config::Target;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::announce::{arp, solicitation};
use super::conflicts::Listener;
use super::heart::{Command, Line};
use super::limits::{TARGET_INTERVAL, TARGET_MISSES};
use super::plan::Plan;
use crate::ports::Watched;

/// Asks all targets of a node, until it is aborted.
pub(super) struct Targets {
    tracked: Vec<Tracked>,
    /// Addresses that are not this node's own: never a sender.
    shared: Vec<IpAddr>,
    watched: watch::Receiver<Vec<Watched>>,
    line: Line,
    /// What membership was told last.
    told: bool,
}

#[derive(Debug)]
struct Tracked {
    target: Target,
    port: String,
    listener: Option<Listener>,
    /// Questions since the last answer.
    unanswered: u32,
}

/// The interface that a target is behind.
struct Link {
    index: u32,
    interface: String,
    mac: [u8; 6],
}

impl Targets {
    /// Begins to ask; nothing, without targets.
    pub(super) fn start(
        plan: &Plan,
        watched: watch::Receiver<Vec<Watched>>,
        line: Line,
    ) -> JoinHandle<()> {
        let name = |port: usize| watched.borrow().get(port).map(|it| it.name.clone());
        let shared = plan.vips.iter().map(|vip| vip.address).collect();
        let tracked = plan.targets.iter().map(|target| Tracked {
            target: *target,
            port: name(target.port).unwrap_or_default(),
            listener: None,
            unanswered: 0,
        });
        let this = Self { tracked: tracked.collect(), shared, watched, line, told: true };
        tokio::spawn(this.run())
    }

    async fn run(mut self) {
        if self.tracked.is_empty() {
            return;
        }
        let mut tick = tokio::time::interval(TARGET_INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.turn();
        }
    }

    fn turn(&mut self) {
        for tracked in &mut self.tracked {
            let link = self.watched.borrow().get(tracked.target.port).and_then(link);
            tracked.hear();
            tracked.ask(link, &self.shared);
        }
        let reached = self.tracked.iter().all(|it| it.unanswered <= TARGET_MISSES);
        if reached != self.told && self.line.tell(Command::Targets(reached)) {
            self.told = reached;
        }
    }
}

impl Tracked {
    fn hear(&mut self) {
        let Some(listener) = &self.listener else { return };
        let (mut answered, wanted) = (false, self.target.address);
        listener.look(|_, address| answered |= address == wanted);
        if answered {
            if self.unanswered > TARGET_MISSES {
                tracing::info!(target = %wanted, port = self.port, "the target answers again");
            }
            self.unanswered = 0;
        }
    }

    fn ask(&mut self, link: Option<Link>, shared: &[IpAddr]) {
        if let Err(error) = self.try_to_ask(link, shared) {
            tracing::debug!(target = %self.target.address, port = self.port, %error, "not asked");
            self.listener = None;
        }
        self.unanswered = self.unanswered.saturating_add(1);
        if self.unanswered == TARGET_MISSES + 1 {
            tracing::warn!(
                target = %self.target.address,
                port = self.port,
                "THE TARGET DOES NOT ANSWER: this node is less fit than one that reaches it"
            );
        }
    }

    fn try_to_ask(&mut self, link: Option<Link>, shared: &[IpAddr]) -> io::Result<()> {
        let Link { index, interface, mac } = link.ok_or(io::ErrorKind::NotFound)?;
        if self.listener.as_ref().is_none_or(|it| it.index != index) {
            self.listener = Some(Listener::open(&interface, index)?);
        }
        let frame = question(&interface, mac, self.target.address, shared)?;
        self.listener.as_ref().map_or(Ok(()), |listener| listener.say(&frame))
    }
}

fn link(seen: &Watched) -> Option<Link> {
    let (index, mac) = (seen.link.ifindex?, seen.link.mac);
    Some(Link { index, interface: seen.interface_name.clone(), mac })
}

/// Who has `address`? In the name of an address that is the interface's own.
fn question(
    interface: &str,
    mac: [u8; 6],
    address: IpAddr,
    shared: &[IpAddr],
) -> io::Result<Vec<u8>> {
    let own: Vec<IpAddr> = nix::ifaddrs::getifaddrs()?
        .filter(|it| it.interface_name == interface)
        .filter_map(|it| ip(&it.address?))
        .filter(|it| !shared.contains(it))
        .collect();
    match address {
        IpAddr::V4(address) => {
            let own =
                own.iter().find_map(|it| if let IpAddr::V4(it) = it { Some(*it) } else { None });
            Ok(arp(mac, own.unwrap_or(Ipv4Addr::UNSPECIFIED), address))
        }
        IpAddr::V6(address) => {
            let own = own.iter().find_map(|it| match it {
                IpAddr::V6(it) if it.is_unicast_link_local() => Some(*it),
                IpAddr::V4(_) | IpAddr::V6(_) => None,
            });
            let sender: Ipv6Addr = own.ok_or(io::ErrorKind::AddrNotAvailable)?;
            Ok(solicitation(mac, sender, address))
        }
    }
}

fn ip(address: &nix::sys::socket::SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|it| IpAddr::V4(it.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|it| IpAddr::V6(it.ip())))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use netns::{End, Namespace, VethOptions, veth, wait_ready};

    use super::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 7];

    /// A target behind `eth0` of a namespace, asked until `reached`, or for too long.
    fn asked(namespace: &Namespace, tracked: &mut Tracked, reached: bool) -> bool {
        let index = namespace.link("eth0").expect("it is there").index;
        let until = Instant::now() + Duration::from_secs(10);
        namespace.run(|| {
            while Instant::now() < until {
                let link = Link { index, interface: "eth0".to_owned(), mac: MAC };
                tracked.hear();
                let is_reached = tracked.unanswered == 0;
                tracked.ask(Some(link), &[]);
                if is_reached == reached && (reached || tracked.unanswered > TARGET_MISSES) {
                    return true;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            false
        })
    }

    #[test]
    fn a_target_answers_until_it_is_gone_and_again_when_it_is_back() {
        if let Err(reason) = netns::available() {
            assert!(std::env::var_os("RINGWALL_REQUIRE_ALL").is_none(), "{reason}");
            eprintln!("skipped: {reason}");
            return;
        }
        let (node, router) = (Namespace::new("tgt-a"), Namespace::new("tgt-b"));
        let (node, router) = (node.expect("a namespace"), router.expect("a namespace"));
        let ends = [End::new(&node, "eth0").with_mac(MAC), End::new(&router, "eth0")];
        let [here, there] = ends;
        veth(here, there, &VethOptions::default()).expect("a pair");
        wait_ready(&[(&node, "eth0"), (&router, "eth0")]).expect("they are up");
        for (address, prefix) in [("10.9.1.254", "24"), ("fd09::fe", "64")] {
            let with_prefix = format!("{address}/{prefix}");
            let target = Target { port: 0, address: address.parse().expect("an address") };
            let mut tracked =
                Tracked { target, port: "lan".to_owned(), listener: None, unanswered: 0 };
            router.add_address("eth0", &with_prefix).expect("added");
            assert!(asked(&node, &mut tracked, true), "{address} answers");
            router.delete_address("eth0", &with_prefix).expect("taken off");
            assert!(asked(&node, &mut tracked, false), "{address} is gone");
            router.add_address("eth0", &with_prefix).expect("added");
            assert!(asked(&node, &mut tracked, true), "{address} is back");
        }
    }

    #[test]
    fn who_has_only_shared_addresses_asks_in_no_name() {
        let sender = |shared: &[IpAddr]| {
            let frame = question("lo", MAC, IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9)), shared);
            frame.expect("a frame")[28..32].to_vec()
        };
        assert_eq!(sender(&[]), [127, 0, 0, 1]);
        assert_eq!(sender(&[IpAddr::V4(Ipv4Addr::LOCALHOST)]), [0; 4]);
    }
}
