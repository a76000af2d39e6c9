//! The XDP program on real (veth) interfaces, with real sockets behind it.
#![allow(clippy::unwrap_used)]

mod xdp_bench;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use netns::{End, Namespace, VethOptions, veth, wait_ready};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use ringwall_datapath as datapath;

use datapath::xdp::{
    AttachMode, Attached, BpfDir, Error, HostInbound, Mode, PortConfig, Program, Stat, detach,
    detach_all,
};
use wire::Time;
use xdp_bench::{Bench, DOMAIN, HOST, HOST6, PEER, PEER6, ScratchBpfDir, Xsk, ready};

const FAR: &str = "10.9.0.2";
const FAR6: &str = "2001:db8:9::2";
/// For what must arrive: generous, and never waited for in full.
const SOON: Duration = Duration::from_secs(10);

fn attach(bench: &mut Bench, scratch: &ScratchBpfDir) -> Attached {
    let Bench { program, namespace, ifindex, .. } = bench;
    namespace.run(|| program.attach(&scratch.dir, *ifindex)).unwrap()
}

fn address(ip: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip.parse().unwrap(), port)
}

/// A datagram socket whose reads end.
fn udp(namespace: &Namespace, local: SocketAddr) -> UdpSocket {
    let socket = namespace.run(|| UdpSocket::bind(local)).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    socket
}

fn receive(socket: &UdpSocket) -> String {
    let mut buffer = [0; 64];
    let (length, _) = socket.recv_from(&mut buffer).unwrap();
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

/// Waits until the program has counted `count` frames of this kind.
#[track_caller]
fn counted(program: &Program, stat: Stat, count: u64) {
    let deadline = Instant::now() + SOON;
    while program.stats().unwrap().get(stat) < count {
        assert!(Instant::now() < deadline, "{:?}", program.stats().unwrap());
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_connection_of_the_host_works_and_its_bytes_arrive() {
    let Some(mut bench) = ready() else { return };
    let scratch = ScratchBpfDir::new();
    let attached = attach(&mut bench, &scratch);
    assert_eq!(attached.mode, AttachMode::Native);
    assert!(!attached.adopted && attached.native_refused.is_none() && attached.vlan_tags_kept);
    assert!(!bench.namespace.feature("port0", "rx-vlan-hw-parse").unwrap());
    for peer in [PEER, PEER6] {
        let listener = bench.peer.run(|| TcpListener::bind(address(peer, 0))).unwrap();
        let target = listener.local_addr().unwrap();
        let echo = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut received = Vec::new();
            socket.read_to_end(&mut received).unwrap();
            socket.write_all(&received).unwrap();
        });
        let mut socket = bench.namespace.run(|| TcpStream::connect_timeout(&target, SOON)).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        let sent: Vec<u8> = (0..200_000_u32).flat_map(u32::to_be_bytes).collect();
        socket.write_all(&sent).unwrap();
        socket.shutdown(std::net::Shutdown::Write).unwrap();
        let mut received = Vec::new();
        socket.read_to_end(&mut received).unwrap();
        echo.join().unwrap();
        assert!(received == sent, "{} of {} bytes came back", received.len(), sent.len());
    }
    scratch.clean_after(bench);
}

#[test]
fn a_query_from_a_connected_socket_is_answered_and_strangers_are_not_heard() {
    let Some(mut bench) = ready() else { return };
    let scratch = ScratchBpfDir::new();
    attach(&mut bench, &scratch);
    for (host, peer) in [(HOST, PEER), (HOST6, PEER6)] {
        let server = udp(&bench.peer, address(peer, 53));
        let stranger = udp(&bench.peer, address(peer, 5353));
        let client = udp(&bench.namespace, address(host, 0));
        client.connect(address(peer, 53)).unwrap();
        client.send(b"query").unwrap();
        assert_eq!(receive(&server), "query");
        let denied = bench.program.stats().unwrap().get(Stat::HostDenied);
        stranger.send_to(b"forged", client.local_addr().unwrap()).unwrap();
        counted(&bench.program, Stat::HostDenied, denied + 1);
        server.send_to(b"answer", client.local_addr().unwrap()).unwrap();
        assert_eq!(receive(&client), "answer");
    }
    scratch.clean_after(bench);
}

#[test]
fn an_inbound_service_works_once_allowed_and_not_before() {
    let Some(mut bench) = ready() else { return };
    let scratch = ScratchBpfDir::new();
    attach(&mut bench, &scratch);
    for host in [HOST, HOST6] {
        let listener = bench.namespace.run(|| TcpListener::bind(address(host, 0))).unwrap();
        let target = listener.local_addr().unwrap();
        let denied = bench.program.stats().unwrap().get(Stat::HostDenied);
        let connect = |timeout| bench.peer.run(|| TcpStream::connect_timeout(&target, timeout));
        // The denial is counted, so the wait only has to be long enough for one SYN.
        let refused = connect(Duration::from_millis(100)).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::TimedOut);
        counted(&bench.program, Stat::HostDenied, denied + 1);
        let mut inbound = HostInbound::new();
        inbound.allow_numbers(6, target.port(), target.port());
        bench.program.set_host_inbound(bench.port, &inbound).unwrap();
        let socket = connect(SOON).unwrap();
        listener.accept().unwrap();
        drop(socket);
        bench.program.set_host_inbound(bench.port, &HostInbound::new()).unwrap();
    }
    scratch.clean_after(bench);
}

/// A bench whose host is a router with forwarding on, and somebody behind it.
struct Router {
    bench: Bench,
    far: Namespace,
    second: u32,
    scratch: ScratchBpfDir,
}

impl Router {
    fn new() -> Option<Self> {
        let bench = ready()?;
        let far = Namespace::new("xdp").unwrap();
        let host = &bench.namespace;
        veth(End::new(host, "port1"), End::new(&far, "far0"), &VethOptions::default()).unwrap();
        host.add_address("port1", "10.9.0.1/24").unwrap();
        host.add_address("port1", "2001:db8:9::1/64").unwrap();
        far.add_address("far0", &format!("{FAR}/24")).unwrap();
        far.add_address("far0", &format!("{FAR6}/64")).unwrap();
        bench.peer.add_route("10.9.0.0/24", HOST).unwrap();
        bench.peer.add_route("2001:db8:9::/64", HOST6).unwrap();
        far.add_route("10.8.0.0/24", "10.9.0.1").unwrap();
        far.add_route("2001:db8:8::/64", "2001:db8:9::1").unwrap();
        host.set_sysctl("net/ipv4/ip_forward", "1").unwrap();
        host.set_sysctl("net/ipv6/conf/all/forwarding", "1").unwrap();
        wait_ready(&[(host, "port1"), (&far, "far0")]).unwrap();
        let second = host.link("port1").unwrap().index;
        Some(Self { bench, far, second, scratch: ScratchBpfDir::new() })
    }

    /// Puts `program` on both ports, as a daemon does at its start.
    fn start(&self, program: &mut Program) -> [Attached; 2] {
        let config = PortConfig { index: 6, mode: Mode::Routed, domain: DOMAIN, mac: None };
        program.set_port(self.second, &config).unwrap();
        let mut addresses = Bench::addresses();
        addresses.push((DOMAIN, "10.9.0.1".parse().unwrap()));
        addresses.push((DOMAIN, "2001:db8:9::1".parse().unwrap()));
        program.set_host_addresses(addresses).unwrap();
        let mut inbound = HostInbound::new();
        inbound.allow_numbers(17, 4000, 4000);
        program.set_host_inbound(5, &inbound).unwrap();
        [self.bench.ifindex, self.second].map(|ifindex| {
            self.bench.namespace.run(|| program.attach(&self.scratch.dir, ifindex)).unwrap()
        })
    }

    /// Sends through the router, both ways and both families.
    fn send(&self, text: &str) {
        for (namespace, from, to) in self.paths() {
            let socket = udp(namespace, address(from, 0));
            socket.send_to(text.as_bytes(), address(to, 9000)).unwrap();
        }
    }

    fn paths(&self) -> [(&Namespace, &'static str, &'static str); 4] {
        let (peer, far) = (&self.bench.peer, &self.far);
        [(peer, PEER, FAR), (peer, PEER6, FAR6), (far, FAR, PEER), (far, FAR6, PEER6)]
    }

    fn receivers(&self) -> [UdpSocket; 4] {
        let (peer, far) = (&self.bench.peer, &self.far);
        [(far, FAR), (far, FAR6), (peer, PEER), (peer, PEER6)]
            .map(|(namespace, ip)| udp(namespace, address(ip, 9000)))
    }

    /// Takes the program off both ports, as `ringwall detach` does.
    fn open(&self) -> Vec<u32> {
        let mut detached = self.bench.namespace.run(|| detach_all(&self.scratch.dir)).unwrap();
        detached.sort_unstable();
        detached
    }
}

#[test]
fn transit_stops_with_the_lease_although_the_kernel_would_forward_it() {
    let Some(router) = Router::new() else { return };
    let receivers = router.receivers();
    router.send("before");
    receivers.iter().for_each(|socket| assert_eq!(receive(socket), "before"));

    let mut program = router.bench.another();
    router.start(&mut program);
    router.send("expired");
    counted(&program, Stat::LeaseExpired, 4);
    program.renew_lease(Time::MAX).unwrap();
    router.send("nobody there");
    counted(&program, Stat::NoWorker, 4);
    drop(program);
    router.send("nobody alive");

    assert_eq!(router.open(), [router.bench.ifindex, router.second]);
    router.send("after");
    // In order: had anything passed meanwhile, it would be read first.
    receivers.iter().for_each(|socket| assert_eq!(receive(socket), "after"));
    assert_eq!(router.open(), []);
}

#[test]
fn a_dead_daemons_rules_go_on_and_a_new_one_takes_its_place() {
    let Some(router) = Router::new() else { return };
    let allowed = udp(&router.bench.namespace, address(HOST, 4000));
    let denied = udp(&router.bench.namespace, address(HOST, 4001));
    let client = udp(&router.bench.peer, address(PEER, 0));
    let say = |text: &str| {
        client.send_to(text.as_bytes(), address(HOST, 4001)).unwrap();
        client.send_to(text.as_bytes(), address(HOST, 4000)).unwrap();
        assert_eq!(receive(&allowed), text);
    };

    let mut first = router.bench.another();
    assert!(router.start(&mut first).iter().all(|attached| !attached.adopted));
    say("first");
    drop(first);
    say("dead");
    let mut second = router.bench.another();
    for attached in router.start(&mut second) {
        assert_eq!((attached.adopted, attached.mode), (true, AttachMode::Native));
    }
    say("second");
    let stats = second.stats().unwrap();
    assert!(stats.get(Stat::ToHost) >= 1 && stats.get(Stat::HostDenied) >= 1);
    assert_eq!(second.attached().count(), 2);
    for ifindex in [router.bench.ifindex, router.second] {
        second.detach(ifindex).unwrap();
    }
    say("off");
    assert_eq!(receive(&denied), "off", "nothing denied was heard before");
}

#[test]
fn a_second_instance_and_a_foreign_program_are_told_apart() {
    let Some(mut bench) = ready() else { return };
    let scratch = ScratchBpfDir::new();
    attach(&mut bench, &scratch);
    let ifindex = bench.ifindex;
    let mut second = bench.another();
    let locked = bench.namespace.run(|| second.attach(&scratch.dir, ifindex)).unwrap_err();
    assert!(matches!(locked, Error::Locked { holder: Some(pid), .. } if pid == std::process::id()));
    assert!(locked.to_string().contains("another ringwall holds interface"), "{locked}");
    let locked = bench.namespace.run(|| detach(&scratch.dir, ifindex)).unwrap_err();
    assert!(matches!(locked, Error::Locked { .. }));

    let elsewhere = ScratchBpfDir::new();
    let foreign = bench.namespace.run(|| second.attach(&elsewhere.dir, ifindex)).unwrap_err();
    assert!(matches!(foreign, Error::Foreign { program: Some(_), .. }), "{foreign}");
    assert!(foreign.to_string().contains("ip link set dev"), "{foreign}");
    scratch.clean_after(bench);
}

#[test]
fn an_interface_must_be_known_and_there() {
    let Some(mut bench) = ready() else { return };
    let scratch = ScratchBpfDir::new();
    let unknown = bench.namespace.run(|| bench.program.attach(&scratch.dir, 99)).unwrap_err();
    assert!(matches!(unknown, Error::NotConfigured { ifindex: 99 }));
    let config = bench.config();
    bench.program.set_port(99, &config).unwrap();
    let gone = bench.namespace.run(|| bench.program.attach(&scratch.dir, 99)).unwrap_err();
    assert!(gone.to_string().contains("No such device"), "{gone}");
    scratch.clean_after(bench);
}

#[test]
fn a_driver_that_refuses_leaves_the_generic_path() {
    let Some(mut bench) = ready() else { return };
    let scratch = ScratchBpfDir::new();
    // Native XDP on a veth takes frames of one page only.
    bench.namespace.set_mtu("port0", 9000).unwrap();
    bench.peer.set_mtu("peer0", 9000).unwrap();
    let attached = attach(&mut bench, &scratch);
    assert_eq!(attached.mode, AttachMode::Generic);
    assert!(attached.native_refused.is_some());
    let sink = udp(&bench.namespace, address(HOST, 4000));
    let client = udp(&bench.peer, address(PEER, 0));
    client.send_to(b"denied", address(HOST, 4000)).unwrap();
    counted(&bench.program, Stat::HostDenied, 1);
    let mut inbound = HostInbound::new();
    inbound.allow_numbers(17, 4000, 4000);
    bench.program.set_host_inbound(bench.port, &inbound).unwrap();
    client.send_to(b"allowed", address(HOST, 4000)).unwrap();
    assert_eq!(receive(&sink), "allowed");
    // Another daemon's program takes the place in the same mode.
    bench.program = bench.another();
    let attached = attach(&mut bench, &scratch);
    assert!(attached.adopted && attached.mode == AttachMode::Generic);
    scratch.clean_after(bench);
}

#[test]
fn a_link_of_an_interface_that_is_gone_does_not_stand_in_the_way() {
    let Some(mut bench) = ready() else { return };
    let scratch = ScratchBpfDir::new();
    attach(&mut bench, &scratch);
    bench.namespace.delete("port0").unwrap();
    bench.program = Program::load().unwrap();
    veth(
        End::new(&bench.namespace, "port0"),
        End::new(&bench.peer, "peer0"),
        &VethOptions::default(),
    )
    .unwrap();
    // As if the new interface had the old one's number.
    let old = bench.ifindex;
    bench.ifindex = bench.namespace.link("port0").unwrap().index;
    let pins = scratch.path().join(format!("net-{}", bench.namespace.inode()));
    let pin = |ifindex: u32| pins.join(format!("if-{ifindex}"));
    std::fs::rename(pin(old), pin(bench.ifindex)).unwrap();
    bench.program = bench.another();
    assert!(!attach(&mut bench, &scratch).adopted);
    scratch.clean_after(bench);
}

#[test]
fn a_file_system_that_dies_with_the_process_is_refused() {
    if ready().is_none() {
        return;
    }
    drop(ScratchBpfDir::new()); // The usual one is mounted from here on.
    let path = Path::new("/sys/fs/bpf/ringwall-test-refused");
    let inside = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        // The mount that everybody shares is good here too.
        BpfDir::prepare(path).unwrap();
        std::fs::remove_dir(path).unwrap();
        mount(Some("bpf"), "/sys/fs/bpf", Some("bpf"), MsFlags::empty(), none).unwrap();
        let given = BpfDir::prepare(path).unwrap_err();
        mount(Some("tmpfs"), "/sys/fs/bpf", Some("tmpfs"), MsFlags::empty(), none).unwrap();
        std::fs::write("/sys/fs/bpf/marker", "").unwrap();
        let made = BpfDir::prepare(path).unwrap_err();
        assert!(Path::new("/sys/fs/bpf/marker").exists(), "its own mount is gone again");
        [given, made]
    });
    for refused in inside.join().unwrap() {
        assert!(matches!(refused, Error::MountDies { .. }), "{refused}");
        assert!(refused.to_string().contains("nsenter --net"), "{refused}");
    }
}

#[test]
fn a_daemon_without_capabilities_can_go_on() {
    let Some(mut bench) = ready() else { return };
    let scratch = ScratchBpfDir::new();
    let socket = Xsk::open();
    attach(&mut bench, &scratch);
    let (config, ifindex, port) = (bench.config(), bench.ifindex, bench.port);
    let mut inbound = HostInbound::new();
    inbound.allow_numbers(17, 4000, 4000);
    let program = &mut bench.program;
    bench.namespace.run(|| {
        drop_capabilities();
        program.set_port(ifindex, &config).unwrap();
        program.set_host_addresses([(1, HOST.parse().unwrap())]).unwrap();
        program.set_host_inbound(port, &inbound).unwrap();
        program.set_socket(port, 0, &socket).unwrap();
        program.clear_socket(port, 0).unwrap();
        program.lease_word().unwrap().renew(Time::MAX).unwrap();
        program.stats().unwrap();
        program.detach(ifindex).unwrap();
        program.attach(&scratch.dir, ifindex).unwrap();
    });
    scratch.clean_after(bench);
}

/// Takes every capability from the calling thread.
#[allow(unsafe_code)]
fn drop_capabilities() {
    let header = [0x2008_0522_u32, 0]; // Version 3, the calling thread.
    let none = [0_u32; 6];
    // SAFETY: both arrays have the layout of version 3 and live through the call.
    let result = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}
