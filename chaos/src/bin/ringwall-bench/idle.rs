//! CPU of a node that has nothing to do: `ringwall run` on two veths without traffic, from
//! `/proc/PID/stat`, beside the bare forwarder, which does nothing but sleep and look.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use af_xdp::bare::{BareConfig, BareForwarder, Otherwise, RedirectProgram};
use clap::Args;

use crate::failure::Failure;
use crate::lab::Lab;
use crate::node::{Node, Place};
use crate::report::{Bar, Comparison};
use crate::system;

/// Percent of a core that an idle node may take.
const BAR: f64 = 2.0;
/// From the node's first answer to the measurement: what it does at its start is not idleness.
const CALM: Duration = Duration::from_secs(1);

const POLICY: &str = "[zones]\ninside = [\"lan\"]\noutside = [\"wan\"]\n";

/// Options of `idle`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The node's program.
    #[arg(long, default_value = "target/release/ringwall")]
    binary: PathBuf,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// The node's workers.
    #[arg(long, default_value_t = 1)]
    workers: u16,
}

pub(crate) fn run(options: &Options, rounds: u32) -> Result<Vec<Comparison>, Failure> {
    if !options.binary.exists() {
        return Err(Failure::Skipped(format!(
            "no program {}; `cargo build --release -p ringwall` makes it, --binary names another",
            options.binary.display()
        )));
    }
    system::require_root()?;
    let length = Duration::from_secs(options.seconds);
    let name = format!("idle node, {} worker(s)", options.workers);
    let mut comparison = Comparison::new(name, "% of a core", Some(Bar::AtMost(BAR)));
    for _ in 0..rounds {
        let lab = Lab::with_queues(u32::from(options.workers))?;
        let node = lab.run(|| node(options, length))?;
        let lab = Lab::new()?;
        let bare = lab.run(|| bare(&lab, length))?;
        comparison.push(node, bare);
    }
    Ok(vec![comparison])
}

/// Percent of a core that the node takes. To be called inside the lab.
fn node(options: &Options, length: Duration) -> Result<f64, Failure> {
    let place = Place::new("idle", options.workers, &["lan", "wan"], POLICY)?;
    let mut node = Node::start(&options.binary, &place)?;
    let measured = node.wait_ready(&place).and_then(|()| {
        std::thread::sleep(CALM);
        let before = node.cpu()?;
        std::thread::sleep(length);
        Ok((node.cpu()? - before).as_secs_f64())
    });
    let log = node.stop(&place);
    match measured {
        Ok(taken) => Ok(100.0 * taken / length.as_secs_f64()),
        Err(failure) => Err(Failure::Wrong(format!("{failure}\n{log}"))),
    }
}

/// Percent of a core that the bare forwarder takes. To be called inside the lab.
fn bare(lab: &Lab, length: Duration) -> Result<f64, Failure> {
    let [lan, wan] = lab.ports;
    let attach = |port| RedirectProgram::attach(port, 1, Otherwise::Drop);
    let programs = [attach(lan)?, attach(wan)?];
    let mut forwarder = BareForwarder::open(&BareConfig::new(lab.ports, 0), programs.each_ref())?;
    let stop = AtomicBool::new(false);
    let taken = std::thread::scope(|scope| {
        let forwarding = scope.spawn(|| {
            let before = system::thread_time();
            forwarder.run(&stop, false)?;
            Ok::<Duration, Failure>(system::thread_time() - before)
        });
        std::thread::sleep(length);
        stop.store(true, Ordering::Relaxed);
        forwarding.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    Ok(100.0 * taken.as_secs_f64() / length.as_secs_f64())
}
