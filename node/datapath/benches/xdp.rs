//! Nanoseconds a frame of the XDP program, beside a program that only redirects.
//!
//! `cargo bench -p ringwall-datapath --bench xdp`: root is needed. Both run by BPF_PROG_TEST_RUN,
//! one after the other, and the least time of each counts: other work on the machine only adds.
//! The kernel's own loop is in both, so the difference says more than the ratio.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../tests/xdp_bench/mod.rs"]
mod xdp_bench;

mod bare;

use std::time::{Duration, Instant};

use ringwall_datapath as datapath;

use bare::BareProgram;
use datapath::xdp::{Action, NatAddress, PortConfig, Program};
use wire::Time;
use xdp_bench::{Bench, DOMAIN, HOST, MAC, PEER, PEER6, Xsk, frame, ready};

/// Runs of one measurement, some 20 ms, and measurements of each.
const REPEAT: u32 = 500_000;
const ROUNDS: usize = 15;

/// The least length of an Ethernet frame without its checksum.
const LEAST_FRAME: usize = 60;

fn main() {
    let Some(mut bench) = ready() else { return };
    let begun = Instant::now();
    drop(Program::load().unwrap());
    let load = begun.elapsed();
    let own_mac = PortConfig { mac: Some(MAC), ..bench.config() };
    bench.program.set_port(bench.ifindex, &own_mac).unwrap();
    bench.program.renew_lease(Time::MAX).unwrap();
    let socket = Xsk::open();
    bench.program.set_socket(bench.port, 0, &socket).unwrap();
    let bare = BareProgram::load(&socket).unwrap();

    let instructions = bench.program.verified_instructions().unwrap();
    println!("load {} ms, {} instructions verified", load.as_millis(), instructions.unwrap_or(0));
    println!("{:24}{:>12}{:>8}{:>12}{:>8}", "frame", "program ns", "bare", "difference", "ratio");
    let cases = [
        ("transit TCP over IPv4", frame::tcp4(PEER, "10.8.9.9", 1000, 80, 0x10), Action::Redirect),
        (
            "transit TCP over IPv6",
            frame::tcp6(PEER6, "2001:db8:9::9", 1, 80, 0x10),
            Action::Redirect,
        ),
        ("echo reply to the host", frame::icmp4(PEER, HOST, 0, 0), Action::Pass),
        ("denied at the host", frame::tcp4(PEER, HOST, 1000, 80, 0x02), Action::Drop),
    ];
    for (name, frame, expected) in cases {
        report(&bench, &bare, name, frame, expected);
    }
    let own = HOST.parse().unwrap();
    let range = NatAddress { range: true, ..NatAddress::new(DOMAIN, own) };
    bench.program.set_nat_inbound(&[range]).unwrap();
    let cases = [
        ("translated, to the host", frame::tcp4(PEER, HOST, 80, 40_000, 0x10), Action::Redirect),
        ("denied beside it", frame::tcp4(PEER, HOST, 1000, 80, 0x02), Action::Drop),
    ];
    for (name, frame, expected) in cases {
        report(&bench, &bare, name, frame, expected);
    }
}

fn report(bench: &Bench, bare: &BareProgram, name: &str, frame: Vec<u8>, expected: Action) {
    let (program, bare) = measure(bench, bare, &padded(frame), expected);
    let (program, bare) = (program.as_nanos(), bare.as_nanos());
    let ratio = program as f64 / bare as f64;
    println!("{name:24}{program:12}{bare:8}{:12}{ratio:8.2}", program.abs_diff(bare));
}

/// The least time of one run of each, in turn.
fn measure(
    bench: &Bench,
    bare: &BareProgram,
    frame: &[u8],
    expected: Action,
) -> (Duration, Duration) {
    let run = || bench.program.timed_run(frame, bench.ifindex, 0, REPEAT);
    let mut least = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        let (action, program) = bench.namespace.run(run).unwrap();
        assert_eq!(action, expected);
        least = (least.0.min(program), least.1.min(bare.timed_run(frame, REPEAT).unwrap()));
    }
    least
}

fn padded(mut frame: Vec<u8>) -> Vec<u8> {
    frame.resize(frame.len().max(LEAST_FRAME), 0);
    frame
}
