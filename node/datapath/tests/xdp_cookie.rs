//! SYNs that the XDP program answers with cookies: the same bytes as its twin, and a kernel that believes
//! them.
#![allow(clippy::unwrap_used)]

mod xdp_bench;

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ringwall_datapath as datapath;

use datapath::xdp::{
    Action, BlockList, MAX_GUARDED, Mode, PortConfig, Program, SourceBits, Stat, detach_all,
};
use wire::build::Builder;
use wire::cookie::{self, Context, Key};
use wire::{Packet, Protocol, TcpFlags, Time};
use xdp_bench::{Bench, DOMAIN, HOST, HOST6, MAC, PEER, PEER_MAC, PEER6, ScratchBpfDir, ready};

const SYN: TcpFlags = TcpFlags::SYN;
/// Behind the host, and guarded.
const FAR: &str = "10.9.0.2";
const FAR6: &str = "2001:db8:9::2";
const ZONE: u8 = 3;
const MSS: u16 = 1_440;
const CONTEXT: Context = Context { key: Key::new([0x0123_4567_89ab_cdef, 5]), slot: 0xffff_fffe };
/// A connection to nobody but the program: as long as a loaded machine may take.
const SOON: Duration = Duration::from_secs(10);

/// A bench with a lease, whose program guards both far hosts.
fn guarding() -> Option<(Bench, BlockList)> {
    ready().map(guard)
}

fn guard(mut bench: Bench) -> (Bench, BlockList) {
    let mut list = bench.program.take_blocks().unwrap();
    let bits = SourceBits { zone: ZONE, v4: 32, v6: 64 };
    list.set_zones((0..=bench.port).map(|port| (port == bench.port).then_some(bits))).unwrap();
    list.set_cookie(&CONTEXT).unwrap();
    for far in [FAR, FAR6] {
        list.guard(ZONE, far.parse().unwrap(), MSS, Time::MAX, Time::ZERO).unwrap();
    }
    bench.program.renew_lease(Time::MAX).unwrap();
    (bench, list)
}

fn run(bench: &Bench, frame: &[u8]) -> (Action, Vec<u8>) {
    let program = &bench.program;
    bench.namespace.run(|| program.dry_run_frame(frame, bench.ifindex, 0)).unwrap()
}

/// What the twin answers.
fn twin(frame: &[u8]) -> Vec<u8> {
    let packet = Packet::parse(frame).unwrap();
    let answer = cookie::answer(&packet, &CONTEXT, MSS).unwrap();
    let mut out = [0; 128];
    let len = answer.write(&mut out).unwrap();
    [&frame[6..12], &frame[..6], &frame[12..14], &out[..len]].concat()
}

fn packet(v6: bool) -> Builder<'static> {
    let [from, to] = if v6 { [PEER6, FAR6] } else { [PEER, FAR] };
    Builder::new(from.parse().unwrap(), to.parse().unwrap()).ethernet(PEER_MAC, MAC)
}

fn syn(v6: bool) -> Builder<'static> {
    packet(v6).tcp(40_001, 443).flags(SYN).seq(0xffff_ffff)
}

/// It is answered, by the same bytes as the twin's.
#[track_caller]
fn answered(bench: &Bench, frame: &[u8]) {
    let before = bench.program.stats().unwrap().get(Stat::SynAnswered);
    let (action, out) = run(bench, frame);
    assert_eq!(action, Action::Transmit);
    assert_eq!(out, twin(frame), "of {frame:02x?}");
    assert_eq!(bench.program.stats().unwrap().get(Stat::SynAnswered), before + 1);
}

/// It would go to a worker, as it is.
#[track_caller]
fn left_alone(bench: &Bench, frame: &[u8]) {
    let before = bench.program.stats().unwrap();
    let (action, out) = run(bench, frame);
    assert_eq!((action, &out[..]), (Action::Drop, frame));
    let after = bench.program.stats().unwrap();
    assert_eq!(after.get(Stat::NoWorker), before.get(Stat::NoWorker) + 1);
}

/// What kernels, scanners and floods put into a SYN.
fn shapes(of: Builder<'static>) -> Vec<Builder<'static>> {
    let all = |of: Builder<'static>| {
        of.mss(1_460).sack_permitted().timestamps(0x0102_0304, 0).window_scale(9)
    };
    let mut shapes = vec![
        of,
        all(of),
        all(of).padded_to(120),
        of.mss(1_460).window_scale(8).sack_permitted(),
        of.timestamps(7, 0),
        of.timestamps(7, 9).mss(1_200).window_scale(15),
        of.sack_permitted().timestamps(7, 0),
        // Linux, FreeBSD, macOS and Windows.
        of.tcp_option(&[2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7]),
        of.tcp_option(&[2, 4, 5, 0xb4, 1, 3, 3, 6, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0]),
        of.tcp_option(&[
            2, 4, 5, 0xb4, 1, 3, 3, 6, 1, 1, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 4, 2, 0, 0,
        ]),
        of.tcp_option(&[2, 4, 5, 0xb4, 1, 3, 3, 8, 1, 1, 4, 2]),
        // An option that says nothing here, at an odd place; the end of the list before its end.
        of.tcp_option(&[34, 2, 254, 4, 0xf9, 0x89, 1, 2, 4, 5, 0xb4]),
        of.tcp_option(&[2, 4, 5, 0xb4, 0, 8, 10, 1]),
        of.tcp_option(&[1; 14]).mss(1),
        // The last of two counts.
        of.mss(1_460).mss(1_300),
        all(of).payload(&[7; 700]),
        of.flags(SYN | TcpFlags::ECE | TcpFlags::CWR | TcpFlags::PSH | TcpFlags::URG),
        of.dont_fragment().traffic_class(3).hop_limit(1),
    ];
    let sizes = [1_219, 1_220, 1_359, 1_360, 1_400, 1_439, 1_440, 1_460, 8_959, 8_960, u16::MAX];
    shapes.extend(sizes.map(|mss| of.mss(mss)));
    shapes
}

#[test]
fn every_shape_of_a_syn_is_answered_as_by_the_twin() {
    let Some((bench, mut list)) = guarding() else { return };
    let mut count = 0;
    for v6 in [false, true] {
        for shape in shapes(syn(v6)) {
            answered(&bench, &shape.frame());
            count += 1;
        }
        // Numbers and ports of all kinds.
        let mut word = 1_u32;
        for _ in 0..200 {
            word = word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let port = (word >> 16) as u16 | 1;
            let of = packet(v6).tcp(port, port ^ 0x1234 | 1).flags(SYN).seq(word);
            answered(&bench, &of.timestamps(word, 0).frame());
            count += 1;
        }
    }
    let told = list.take_answered().unwrap();
    let [v4, v6]: [IpAddr; 2] = [FAR, FAR6].map(|text| text.parse().unwrap());
    assert_eq!(told, [(ZONE, v4, count / 2), (ZONE, v6, count / 2)]);
    assert_eq!(list.take_answered().unwrap(), []);
}

#[test]
fn what_is_odd_or_no_syn_is_the_workers() {
    let Some((bench, _list)) = guarding() else { return };
    for v6 in [false, true] {
        let of = syn(v6);
        for flags in [TcpFlags::ACK, TcpFlags::FIN, TcpFlags::RST] {
            left_alone(&bench, &of.flags(SYN | flags).frame());
        }
        for options in [
            &[2, 3, 5, 0][..],                      // an MSS of one byte
            &[3, 4, 7, 0],                          // a scale of two
            &[4, 3, 0, 1],                          // SACK permitted, and more
            &[8, 9, 1, 2, 3, 4, 0, 0, 0, 1, 1, 1],  // timestamps that are too short
            &[5, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 1], // SACK blocks in a SYN
            &[1, 1, 1, 77],                         // without a length
            &[1, 1, 77, 1],                         // with an impossible one
            &[1, 1, 77, 9],                         // beyond the header
            &[1; 20],                               // more than are looked at
        ] {
            left_alone(&bench, &of.tcp_option(options).frame());
        }
        left_alone(&bench, &packet(v6).tcp(0, 443).flags(SYN).frame());
        left_alone(&bench, &packet(v6).tcp(443, 0).flags(SYN).frame());
        left_alone(&bench, &packet(v6).udp(40_001, 443).frame());
        left_alone(&bench, &of.hop_limit(0).frame());
        left_alone(&bench, &of.ethernet([3; 6], MAC).frame());
        let mut short = of.frame().to_vec();
        let header = if v6 { 54 } else { 34 } + 12;
        short[header] = 0x40;
        left_alone(&bench, &short);
        short[header] = 0x60;
        left_alone(&bench, &short);
    }
    left_alone(&bench, &syn(false).ip_options(&[1; 4]).frame());
    left_alone(&bench, &syn(true).extension(Protocol::HOP_BY_HOP, &[1, 4, 0, 0, 0, 0]).frame());
    let mut frame = syn(false).frame().to_vec();
    frame[20] |= 0x20; // more fragments
    left_alone(&bench, &frame);
    let mut frame = syn(false).frame().to_vec();
    frame[24] ^= 1; // a wrong checksum of the header
    left_alone(&bench, &frame);
    for source in ["0.1.2.3", "127.0.0.1", "224.0.0.1", "255.255.255.255"] {
        let of = Builder::new(source.parse().unwrap(), FAR.parse().unwrap());
        left_alone(&bench, &of.ethernet(PEER_MAC, MAC).tcp(1, 2).flags(SYN).frame());
    }
    for source in ["::", "::1", "ff02::1"] {
        let of = Builder::new(source.parse().unwrap(), FAR6.parse().unwrap());
        left_alone(&bench, &of.ethernet(PEER_MAC, MAC).tcp(1, 2).flags(SYN).frame());
    }
}

#[test]
fn only_who_is_guarded_is_answered_for_and_only_with_a_lease() {
    let Some((mut bench, mut list)) = guarding() else { return };
    let frame = syn(false).frame();
    answered(&bench, &frame);
    let other = Builder::new(PEER.parse().unwrap(), "10.9.0.3".parse().unwrap());
    left_alone(&bench, &other.ethernet(PEER_MAC, MAC).tcp(1, 2).flags(SYN).frame());
    // The host's own address is no transit.
    let own = Builder::new(PEER.parse().unwrap(), HOST.parse().unwrap());
    let own = own.ethernet(PEER_MAC, MAC).tcp(1, 2).flags(SYN).frame();
    list.guard(ZONE, HOST.parse().unwrap(), MSS, Time::MAX, Time::ZERO).unwrap();
    assert_eq!(run(&bench, &own).0, Action::Drop);
    assert_eq!(bench.program.stats().unwrap().get(Stat::HostDenied), 1);

    bench.program.renew_lease(Time(1)).unwrap();
    assert_eq!(run(&bench, &frame), (Action::Drop, frame.to_vec()));
    assert_eq!(bench.program.stats().unwrap().get(Stat::LeaseExpired), 1);
    bench.program.renew_lease(Time::MAX).unwrap();
    answered(&bench, &frame);

    let wire = PortConfig { mode: Mode::Wire, ..bench.config() };
    bench.program.set_port(bench.ifindex, &wire).unwrap();
    answered(&bench, &frame);
    bench.program.set_port(bench.ifindex, &bench.config()).unwrap();

    // An end that has passed, and one that is forgotten.
    list.guard(ZONE, FAR.parse().unwrap(), MSS, Time(1), Time::ZERO).unwrap();
    left_alone(&bench, &frame);
    list.guard(ZONE, FAR.parse().unwrap(), MSS, Time::MAX, Time::ZERO).unwrap();
    answered(&bench, &frame);
    // By another zone nobody is guarded.
    let elsewhere = SourceBits { zone: ZONE + 1, v4: 32, v6: 64 };
    list.set_zones([Some(elsewhere); 6]).unwrap();
    assert_eq!(list.guarded(), 0);
    list.guard(ZONE, FAR.parse().unwrap(), MSS, Time::MAX, Time::ZERO).unwrap();
    left_alone(&bench, &frame);
}

#[test]
fn a_full_list_makes_room() {
    let Some((bench, mut list)) = guarding() else { return };
    let count = u8::try_from(MAX_GUARDED).unwrap();
    for last in 0..count {
        let end = Time::from_secs(1_000 + u64::from(last));
        list.guard(ZONE, [10, 77, 0, last].into(), MSS, end, Time::ZERO).unwrap();
    }
    assert_eq!(list.guarded(), MAX_GUARDED);
    // Those that are guarded for ever are still there.
    answered(&bench, &syn(false).frame());
    list.expire(Time::from_secs(2_000)).unwrap();
    assert_eq!(list.guarded(), 2);
    answered(&bench, &syn(true).frame());
}

/// What Linux says of a connection: options agreed on, the other end's window scale, and its MSS.
fn tcp_info(socket: &TcpStream) -> (u8, u8, u32) {
    let mut info = [0_u8; 104];
    let mut length = libc::socklen_t::try_from(info.len()).unwrap();
    // SAFETY: the buffer is ours and as long as it is said to be.
    #[allow(unsafe_code)]
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    assert_eq!(result, 0);
    // linux/tcp.h: tcpi_options at 5, tcpi_snd_wscale in the low bits of 6, tcpi_snd_mss at 16.
    let mss = u32::from_ne_bytes(info[16..20].try_into().unwrap());
    (info[5] & 7, info[6] & 15, mss)
}

#[test]
fn a_kernel_connects_to_a_guarded_server_that_is_not_there() {
    let Some((mut bench, mut list)) = guarding() else { return };
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let context = Context { slot: cookie::slot(seconds), ..CONTEXT };
    list.set_cookie(&context).unwrap();
    let scratch = ScratchBpfDir::new();
    {
        let Bench { program, namespace, ifindex, .. } = &mut bench;
        namespace.run(|| program.attach(&scratch.dir, *ifindex)).unwrap();
    }
    // The kernel takes what a veth's program sends back for granted only where the other end has a program,
    // too (veth_xdp_flush): one that lets its host's own connections in.
    let mut other = Program::load().unwrap();
    let ifindex = bench.peer.link("peer0").unwrap().index;
    other.set_port(ifindex, &bench.config()).unwrap();
    let own = [PEER, PEER6].map(|text| (DOMAIN, text.parse().unwrap()));
    other.set_host_addresses(own).unwrap();
    let beside = ScratchBpfDir::new();
    bench.peer.run(|| other.attach(&beside.dir, ifindex)).unwrap();
    for (far, via) in [(FAR, HOST), (FAR6, HOST6)] {
        let prefix = if far.contains(':') { "2001:db8:9::/64" } else { "10.9.0.0/24" };
        bench.peer.add_route(prefix, via).unwrap();
        let target = SocketAddr::new(far.parse().unwrap(), 443);
        let socket = bench.peer.run(|| TcpStream::connect_timeout(&target, SOON)).unwrap();
        // TCPI_OPT_TIMESTAMPS, TCPI_OPT_SACK, TCPI_OPT_WSCALE.
        let (options, scale, mss) = tcp_info(&socket);
        assert_eq!((options, scale), (7, cookie::SCALE), "to {far}");
        assert_eq!(mss + 12, u32::from(MSS), "less the timestamps");
    }
    assert_eq!(bench.program.stats().unwrap().get(Stat::SynAnswered), 2);
    drop(other);
    bench.peer.run(|| detach_all(&beside.dir)).unwrap();
    scratch.clean_after(bench);
}
