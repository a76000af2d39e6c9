//! A bench for the XDP program: two namespaces, one of them the host with the program.
#![allow(clippy::unwrap_used, dead_code)]

pub(crate) mod frame;

use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use netns::{End, Namespace, VethOptions, veth, wait_ready};
use ringwall_datapath as datapath;

use datapath::xdp::{BpfDir, Mode, PortConfig, Program, detach_all};

pub(crate) const HOST: &str = "10.8.0.1";
pub(crate) const PEER: &str = "10.8.0.2";
pub(crate) const HOST6: &str = "2001:db8:8::1";
pub(crate) const PEER6: &str = "2001:db8:8::2";
pub(crate) const LINK_LOCAL: &str = "fe80::1";
pub(crate) const MAC: [u8; 6] = [2, 0, 0, 0, 8, 1];
pub(crate) const PEER_MAC: [u8; 6] = [2, 0, 0, 0, 8, 2];
pub(crate) const DOMAIN: u16 = 7;

/// The host with a loaded (not attached) program that knows its port and addresses.
pub(crate) struct Bench {
    pub(crate) program: Program,
    pub(crate) namespace: Namespace,
    pub(crate) peer: Namespace,
    pub(crate) ifindex: u32,
    pub(crate) port: u16,
}

impl Bench {
    pub(crate) fn config(&self) -> PortConfig {
        PortConfig { index: self.port, mode: Mode::Routed, domain: DOMAIN, mac: None }
    }

    pub(crate) fn addresses() -> Vec<(u16, IpAddr)> {
        let list = [HOST, "10.8.0.255", HOST6];
        list.map(|text| (DOMAIN, text.parse().unwrap())).to_vec()
    }

    /// A second daemon's program, with the same port and addresses.
    pub(crate) fn another(&self) -> Program {
        let mut program = Program::load().unwrap();
        program.set_port(self.ifindex, &self.config()).unwrap();
        program.set_host_addresses(Self::addresses()).unwrap();
        program
    }
}

/// The bench, or nothing (and a line that says so) without the right to make one.
pub(crate) fn ready() -> Option<Bench> {
    if let Err(reason) = netns::available() {
        assert!(std::env::var_os("RINGWALL_REQUIRE_ALL").is_none(), "{reason}");
        eprintln!("skipped: {reason}");
        return None;
    }
    let (namespace, peer) = (Namespace::new("xdp").unwrap(), Namespace::new("xdp").unwrap());
    let host_end = End::new(&namespace, "port0").with_mac(MAC);
    let peer_end = End::new(&peer, "peer0").with_mac(PEER_MAC);
    let options = VethOptions { queues: 2, ..VethOptions::default() };
    veth(host_end, peer_end, &options).unwrap();
    for (namespace, link, addresses) in
        [(&namespace, "port0", [HOST, HOST6]), (&peer, "peer0", [PEER, PEER6])]
    {
        namespace.add_address(link, &format!("{}/24", addresses[0])).unwrap();
        namespace.add_address(link, &format!("{}/64", addresses[1])).unwrap();
    }
    wait_ready(&[(&namespace, "port0"), (&peer, "peer0")]).unwrap();
    let ifindex = namespace.link("port0").unwrap().index;
    let program = Program::load().unwrap();
    let mut bench = Bench { program, namespace, peer, ifindex, port: 5 };
    bench.program.set_port(ifindex, &bench.config()).unwrap();
    bench.program.set_host_addresses(Bench::addresses()).unwrap();
    Some(bench)
}

/// A `bpf-dir` of this test alone, removed at its end.
pub(crate) struct ScratchBpfDir {
    pub(crate) dir: BpfDir,
    path: PathBuf,
}

impl ScratchBpfDir {
    pub(crate) fn new() -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let (pid, number) = (std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let path = PathBuf::from(format!("/sys/fs/bpf/ringwall-test-{pid}-{number}"));
        Self { dir: BpfDir::prepare(&path).unwrap(), path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Ends the daemon of a bench and takes its program off everything.
    pub(crate) fn clean_after(&self, bench: Bench) {
        let Bench { program, namespace, .. } = bench;
        drop(program);
        namespace.run(|| detach_all(&self.dir)).unwrap();
    }
}

impl Drop for ScratchBpfDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// An AF_XDP socket without rings: enough to stand in the socket table.
pub(crate) struct Xsk(OwnedFd);

impl Xsk {
    #[allow(unsafe_code)]
    pub(crate) fn open() -> Self {
        // SAFETY: a system call with constant arguments.
        let fd = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        assert!(fd >= 0, "{}", std::io::Error::last_os_error());
        // SAFETY: the descriptor is open and nobody else's.
        Self(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

impl AsFd for Xsk {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
