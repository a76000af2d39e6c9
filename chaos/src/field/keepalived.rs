//! The peer: two Linux machines with nftables, conntrackd (FTFW) and keepalived (VRRP), on the same
//! network and with the same policy.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::failure::Failure;
use super::lab::{Lab, Node, Segment, VIPS};
use super::log::Nanos;
use super::process::{Process, run};
use super::traffic::FIRST_PORT;
use super::wait::{pause, wait_for};

/// VRRP's default needs some seconds for each election.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a fresh backup needs to fetch the sessions of a run, with room; nothing tells when it has.
const RESYNC: Duration = Duration::from_secs(2);

/// How keepalived is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tuning {
    /// Advertisements each second.
    Default,
    /// VRRP version 3, advertisements every 50 ms.
    Fast,
}

/// Both machines' programs.
#[derive(Debug)]
pub(crate) struct Keepalived {
    folder: PathBuf,
    tuning: Tuning,
    machines: [Option<Machine>; 2],
}

/// What runs on one machine.
#[derive(Debug)]
struct Machine {
    conntrackd: Group,
    keepalived: Group,
}

/// A program and its children, which end together.
#[derive(Debug)]
struct Group(Process);

impl Group {
    fn start(lab: &Lab, node: Node, command: &mut Command, output: &Path) -> Result<Self, Failure> {
        command.process_group(0);
        Process::start(lab.node(node), command, output).map(Self)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let id = self.0.id().cast_signed();
        // It is its group's leader, and has not been waited for.
        let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
    }
}

impl Keepalived {
    pub(crate) fn new(lab: &Lab, folder: &Path, tuning: Tuning) -> Result<Self, Failure> {
        let mut peer = Self { folder: folder.to_owned(), tuning, machines: [None, None] };
        for node in Node::BOTH {
            peer.write_files(node)?;
            for (key, value) in SYSCTLS {
                lab.node(node).set_sysctl(key, value)?;
            }
            run(lab.node(node), Command::new("nft").arg(ruleset()))?;
            peer.start(lab, node)?;
        }
        Ok(peer)
    }

    fn path(&self, node: Node, name: &str) -> PathBuf {
        self.folder.join(format!("{}.{name}", node.name()))
    }

    fn write(&self, node: Node, name: &str, text: &str) -> Result<PathBuf, Failure> {
        let path = self.path(node, name);
        let failed = Failure::system(format!("write {}", path.display()));
        std::fs::write(&path, text).map_err(failed)?;
        Ok(path)
    }

    fn write_files(&self, node: Node) -> Result<(), Failure> {
        self.write(node, "conntrackd.conf", &self.conntrackd(node))?;
        let notify = self.write(node, "notify", &self.notify(node))?;
        let runs = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(notify, runs).map_err(Failure::system("let a script run"))?;
        self.write(node, "keepalived.conf", &self.keepalived(node)).map(drop)
    }

    fn conntrackd(&self, node: Node) -> String {
        let path = |name| self.path(node, name).display().to_string();
        let (own, other) = (Segment::Fabric.address(node), Segment::Fabric.address(node.other()));
        format!(
            "Sync {{\n Mode FTFW {{ DisableExternalCache Off }}\n UDP {{\n  IPv4_address {own}\n  \
             IPv4_Destination_Address {other}\n  Port 3780\n  Interface fabric0\n  \
             SndSocketBuffer 8388608\n  RcvSocketBuffer 8388608\n  Checksum on\n }}\n \
             Options {{ TCPWindowTracking Off }}\n}}\n\
             General {{\n HashSize 32768\n HashLimit 524288\n LogFile {log}\n LockFile {lock}\n \
             UNIX {{ Path {socket} }}\n NetlinkBufferSize 8388608\n \
             NetlinkBufferSizeMaxGrowth 33554432\n Filter From Userspace {{\n  \
             Address Ignore {{ IPv4_address {own}\n IPv4_address {other} }}\n }}\n}}\n",
            log = path("conntrackd.log"),
            lock = path("conntrackd.lock"),
            socket = path("ct"),
        )
    }

    /// What conntrack-tools' `primary-backup.sh` does, and a line for us.
    fn notify(&self, node: Node) -> String {
        let conf = self.path(node, "conntrackd.conf");
        let (conf, roles, name) = (conf.display(), self.roles(), node.name());
        format!(
            "#!/bin/sh\necho \"$(date +%s%N) {name} $3\" >> {}\nct() {{ conntrackd -C {conf} $1; }}\n\
             case $3 in\nMASTER) ct -c; ct -f; ct -R; ct -B ;;\nBACKUP) ct -t; ct -n ;;\n\
             FAULT) ct -t ;;\nesac\n",
            roles.display(),
        )
    }

    fn keepalived(&self, node: Node) -> String {
        let (version, interval) = match self.tuning {
            Tuning::Default => (2, "1"),
            Tuning::Fast => (3, "0.05"),
        };
        let priority = 120 - 10 * node.index();
        let mut text = format!(
            "global_defs {{\n script_user root\n enable_script_security\n vrrp_version {version}\n}}\n\
             vrrp_sync_group gate {{\n group {{\n  lan\n  wan\n }}\n notify {}\n}}\n",
            self.path(node, "notify").display()
        );
        for ((port, address), id) in ["lan", "wan"].iter().zip(VIPS).zip([51, 52]) {
            write!(
                text,
                "vrrp_instance {port} {{\n state BACKUP\n nopreempt\n interface {port}0\n \
                 virtual_router_id {id}\n priority {priority}\n advert_int {interval}\n \
                 virtual_ipaddress {{\n  {address}/24\n }}\n}}\n"
            )
            .expect("a string takes all");
        }
        text
    }

    fn roles(&self) -> PathBuf {
        self.folder.join("roles")
    }

    /// Starts a machine: nothing is left of an earlier life.
    pub(crate) fn start(&mut self, lab: &Lab, node: Node) -> Result<(), Failure> {
        self.machines[node.index()] = None;
        for (port, address) in ["lan0", "wan0"].iter().zip(VIPS) {
            let mut remove = Command::new("ip");
            remove.args(["addr", "del", &format!("{address}/24"), "dev", port]);
            // It may not be there.
            let _ = run(lab.node(node), &mut remove);
        }
        run(lab.node(node), Command::new("conntrack").arg("-F"))?;
        let _ = std::fs::remove_file(self.path(node, "conntrackd.lock"));
        let mut command = Command::new("conntrackd");
        command.arg("-C").arg(self.path(node, "conntrackd.conf"));
        let output = self.path(node, "conntrackd.out");
        let mut conntrackd = Group::start(lab, node, &mut command, &output)?;
        let socket = self.path(node, "ct");
        while !socket.exists() {
            conntrackd.0.check()?;
            pause(Duration::from_millis(50))?;
        }
        let keepalived = self.start_keepalived(lab, node)?;
        self.machines[node.index()] = Some(Machine { conntrackd, keepalived });
        Ok(())
    }

    fn start_keepalived(&self, lab: &Lab, node: Node) -> Result<Group, Failure> {
        let path = |name| self.path(node, name);
        let mut command = Command::new("keepalived");
        command.args(["--dont-fork", "--vrrp", "--log-console", "--no-syslog", "--use-file"]);
        command.arg(path("keepalived.conf"));
        command.arg("--pid").arg(path("keepalived.pid"));
        command.arg("--vrrp_pid").arg(path("vrrp.pid"));
        Group::start(lab, node, &mut command, &path("keepalived.out"))
    }

    /// Kills both programs at once. Addresses stay, and the kernel goes on, as in life.
    pub(crate) fn kill(&mut self, _: &Lab, node: Node) -> Result<(), Failure> {
        self.machines[node.index()] = None;
        let _ = std::fs::remove_file(self.path(node, "ct"));
        Ok(())
    }

    /// Planned: keepalived is asked to end, says so to its peer, and is started again.
    pub(crate) fn switchover(&mut self, lab: &Lab, from: Node) -> Result<(), Failure> {
        let Some(mut machine) = self.machines[from.index()].take() else { return Ok(()) };
        machine.keepalived.0.signal(Signal::SIGTERM)?;
        machine.keepalived.0.ends(PATIENCE)?;
        let keepalived = self.start_keepalived(lab, from)?;
        self.machines[from.index()] = Some(Machine { keepalived, ..machine });
        Ok(())
    }

    pub(crate) fn runs(&self, node: Node) -> bool {
        self.machines[node.index()].is_some()
    }

    pub(crate) fn processes(&self, node: Node) -> Vec<&Process> {
        let machine = self.machines[node.index()].as_ref();
        machine.map_or_else(Vec::new, |it| vec![&it.keepalived.0, &it.conntrackd.0])
    }

    /// Waits until one machine has both addresses, the other one none, and both have said so.
    pub(crate) fn settle(&self, lab: &Lab) -> Result<Node, Failure> {
        let active = wait_for(PATIENCE, "one machine with both addresses", || {
            let held = Node::BOTH.map(|node| held(lab, node));
            let last = Node::BOTH.map(|node| self.last_role(node));
            let found = Node::BOTH.into_iter().find(|node| {
                let (own, other) = (node.index(), node.other().index());
                (held[own], held[other]) == (2, 0)
                    && last[own].as_deref() == Some("MASTER")
                    && last[other].as_deref() == Some("BACKUP")
            });
            found.ok_or_else(|| format!("{held:?} {last:?}"))
        })?;
        pause(RESYNC)?;
        Ok(active)
    }

    fn last_role(&self, node: Node) -> Option<String> {
        let roles = self.said(0);
        let mut of_node = roles.iter().rev().filter(|(_, it, _)| *it == node);
        of_node.next().map(|(_, _, role)| role.clone())
    }

    /// The roles that were told since `since`.
    pub(crate) fn said(&self, since: Nanos) -> Vec<(Nanos, Node, String)> {
        let text = std::fs::read_to_string(self.roles()).unwrap_or_default();
        let parse = |line: &str| {
            let mut words = line.split_whitespace();
            let at: Nanos = words.next()?.parse().ok()?;
            let name = words.next()?;
            let node = Node::BOTH.into_iter().find(|node| node.name() == name)?;
            Some((at, node, words.next()?.to_owned()))
        };
        text.lines().filter_map(parse).filter(|(at, _, _)| *at >= since).collect()
    }
}

/// The kernel's part. Connections that were not seen from their beginning are not picked up.
const SYSCTLS: [(&str, &str); 4] = [
    ("net/ipv4/ip_forward", "1"),
    ("net/ipv4/conf/all/rp_filter", "0"),
    ("net/ipv4/conf/default/rp_filter", "0"),
    ("net/netfilter/nf_conntrack_tcp_loose", "0"),
];

fn ruleset() -> String {
    let last = FIRST_PORT + 15;
    format!(
        "table inet field {{\n chain transit {{\n  type filter hook forward priority 0; policy drop;\n  \
         ct state established,related accept\n  ct state invalid drop\n  \
         iifname \"lan0\" oifname \"wan0\" tcp dport {FIRST_PORT}-{last} tcp flags syn ct state new \
         accept\n  iifname \"lan0\" oifname \"wan0\" udp dport {FIRST_PORT}-{last} ct state new \
         accept\n }}\n}}\n"
    )
}

/// How many of the addresses a machine has.
fn held(lab: &Lab, node: Node) -> usize {
    let told = run(lab.node(node), Command::new("ip").args(["-4", "-o", "addr", "show"]));
    let told = told.unwrap_or_default();
    VIPS.iter().filter(|vip| told.contains(&format!(" {vip}/24 "))).count()
}
