//! What policies of several shapes really take, against the estimate. Each is measured in a process of its
//! own: this test program, with one test.

use std::fmt::Write as _;
use std::process::Command;
use std::sync::Arc;

use cluster_core::policy::{Epoch, Version};

use super::super::compile;
use super::{ALONE, Size};

/// Names the shape for the process that measures it.
const SHAPE: &str = "RINGWALL_TEST_SHAPE";

/// Rules, services of each, addresses of each, prefixes in lists.
const SHAPES: [[usize; 4]; 6] = [
    [20_000, 1, 1, 0],
    [5_000, 1, 8, 0],
    [2_000, 40, 1, 0],
    [10, 1, 1, 100_000],
    [10, 1, 1, 300_000],
    [10_000, 2, 2, 100_000],
];

/// More memory than before shows that nothing was free, bytes.
const FILLED: u64 = 4 << 20;

/// An estimate may be so many times what it takes: more would refuse what fits.
const TOO_HIGH: u64 = 6;

fn text([rules, services, addresses, prefixes]: [usize; 4]) -> String {
    let mut text =
        "[zones]\na = [\"lan\"]\nb = [\"wan\"]\n[addresses]\nlist = [\"192.0.2.1\"".to_owned();
    for index in 0..prefixes {
        // Every other one, so that none are merged.
        let [high, middle, low] = [index >> 15 & 0x7f, index >> 7 & 0xff, (index & 0x7f) << 1];
        write!(text, ", \"{}.{middle}.{low}.0/24\"", 1 + high).expect("memory");
    }
    text.push_str("]\n");
    for rule in 0..rules {
        let list = |count, one: &dyn Fn(usize) -> String| {
            (0..count).map(|at| format!("\"{}\"", one(at))).collect::<Vec<_>>().join(", ")
        };
        let source = list(addresses, &|at| {
            let number = rule * addresses + at;
            format!("10.{}.{}.{}", number >> 15 & 0xff, number >> 7 & 0xff, (number & 0x7f) << 1)
        });
        let service = list(services, &|at| format!("tcp/{}", 1 + (rule * 7 + at * 2) % 65_000));
        write!(
            text,
            "[[rule]]\nid = \"rule-{rule}\"\nfrom = \"a\"\nto = \"b\"\nsource = [{source}]\n\
             destination = [\"list\"]\nservice = [{service}]\naction = \"permit\"\n"
        )
        .expect("memory");
    }
    text
}

/// A number of /proc/self/status, bytes.
fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("it has it");
    let kilobytes = line.trim_start_matches(':').trim().trim_end_matches("kB").trim();
    kilobytes.parse::<u64>().expect("a number") * 1_024
}

/// Bytes that some work takes at its peak beyond what there was before, and what it made.
fn peak<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let before = status("VmRSS");
    // The peak counts from here on (proc(5)).
    std::fs::write("/proc/self/clear_refs", "5").expect("our own");
    let made = work();
    (status("VmHWM").saturating_sub(before), made)
}

/// Takes what the allocator has free, so that what comes next needs memory of its own.
fn fill() -> Vec<Vec<u8>> {
    let mut filling = Vec::new();
    for bytes in [64 << 10, 8 << 10, 1 << 10, 256, 64] {
        // Until it asks the kernel for more; the vector of all counts for itself.
        let full = status("VmRSS") + FILLED;
        while status("VmRSS") < full {
            filling.extend((0..FILLED / 4 / bytes).map(|_| vec![1; bytes as usize]));
        }
    }
    filling
}

/// Carried out by [`estimates_hold`] alone, for one shape.
#[test]
#[ignore = "measures its own process, so it must be alone in it"]
fn one_shape() {
    let Ok(shape) = std::env::var(SHAPE) else { return };
    let text = text(SHAPES[shape.parse::<usize>().expect("a number")]);
    let (reading, read) = peak(|| compile::parse("p.toml", &text, ALONE).expect("good"));
    let version = Version { epoch: Epoch(1), source: Epoch(1) };
    let ports = ["lan", "wan"].map(str::to_owned);
    let size = Size::of_policy(&read.value);
    let _filling = fill();
    let (compiling, _kept) =
        peak(|| compile::in_force(Arc::new(read.value), version, &ports).expect("good"));
    let estimates = [Size::of_text(&text).bytes(), size.bytes()];
    println!("measured {} {reading} {} {compiling} {}", text.len(), estimates[0], estimates[1]);
}

fn run(shape: usize) -> [u64; 5] {
    let own = std::env::current_exe().expect("a test program");
    let mut command = Command::new(own);
    command.args(["--exact", "policy::room::measured::one_shape", "--ignored", "--nocapture"]);
    let done = command.env(SHAPE, shape.to_string()).output().expect("it runs");
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let line = said.lines().find_map(|line| line.split("measured ").nth(1));
    let line = line.unwrap_or_else(|| panic!("{said}{}", String::from_utf8_lossy(&done.stderr)));
    let numbers: Vec<u64> = line.split(' ').map(|it| it.parse().expect("a number")).collect();
    numbers.try_into().expect("five numbers")
}

#[test]
fn estimates_hold() {
    for (index, shape) in SHAPES.iter().enumerate() {
        let [text, reading, read_estimate, compiling, compile_estimate] = run(index);
        println!(
            "{shape:?}, text {text}: read {reading} of {read_estimate}, compiled {compiling} of \
             {compile_estimate}"
        );
        for (took, estimate) in [(reading, read_estimate), (compiling, compile_estimate)] {
            assert!(took <= estimate, "{shape:?}: {took} of {estimate}");
        }
        let both = [reading + compiling, read_estimate + compile_estimate];
        assert!(both[1] <= TOO_HIGH * both[0], "{shape:?}: {both:?}");
    }
}
