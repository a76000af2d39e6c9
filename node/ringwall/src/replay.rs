//! `replay`: a capture through the engine that `run` ships, and each packet's fate on one line.
//!
//! ```text
//! capture ──► IP packet ──► port by its source ──► Engine::decide ──► Line
//!                │ time                                 ▲
//!                └──► clock ────── ticks ───────────────┘          at the end: Totals
//! ```
//!
//! Nothing but the capture and the policy goes in, so the same files give the same output, always.

mod clock;
mod firewall;
mod line;
mod screens;
#[cfg(test)]
mod tests;
mod totals;

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use config::api::Prefix;
use config::{Checked, Policy};
use datapath::capture::Reader;

use crate::failure::Failure;
use crate::files;
use crate::out::Out;
use crate::render;

use firewall::{Firewall, Side};

#[derive(Args, Debug)]
#[command(after_help = "\
A packet whose source lies in --inside enters by port `inside`, any other by port `outside`; the policy \
puts these two ports into its zones. One line a packet, and a last line with the totals. `n` counts the \
packets that are IP; what is not has a line without it. `state` is what connection tracking says before \
the policy is asked. The line of a held packet (a fragment) is never revised: that it expired shows in \
the totals. If the policy has screens, attacks have lines where they begin and end, and time goes on for \
a minute after the last packet.")]
pub(crate) struct Options {
    /// Policy file
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// Prefixes whose hosts are on the inside, separated by commas
    #[arg(long, value_name = "PREFIX", required = true, value_delimiter = ',')]
    inside: Vec<Prefix>,
    /// Longest time between two packets, as `20ms`; a longer gap counts as this. No cap without it
    #[arg(long, value_name = "TIME", value_parser = clock::duration)]
    max_gap: Option<Duration>,
    /// Whether wrong TCP, UDP and ICMP checksums drop a packet; captures made at a sender have
    /// checksums that its hardware would have filled in
    #[arg(long, value_enum, default_value_t = Checksum::Verify)]
    checksum: Checksum,
    /// Capture file: pcap or pcapng
    #[arg(value_name = "CAPTURE")]
    capture: PathBuf,
}

/// What to do about transport checksums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Checksum {
    Verify,
    Trust,
}

pub(crate) fn run(options: &Options, out: &mut Out<'_>) -> Result<(), Failure> {
    let checked = files::read_policy(&options.policy)?;
    warn(&checked);
    let Options { checksum, max_gap, .. } = *options;
    let firewall = Firewall::new(&checked.value, options.inside.clone(), checksum, max_gap);
    let mut firewall = firewall.map_err(Failure::Policy)?;
    let file = File::open(&options.capture).map_err(Failure::file(&options.capture))?;
    let broken = push(file, &mut firewall, out)?;
    firewall.finish().iter().try_for_each(|event| event.print(out))?;
    let totals = firewall.totals(broken.as_ref().map(ToString::to_string));
    totals.print(out)?;
    match broken {
        // The totals have said it.
        Some(_) if out.json() => Err(Failure::Reported),
        Some(error) => Err(Failure::Capture { path: options.capture.clone(), error }),
        None if totals.balanced() => Ok(()),
        None => Err(Failure::Reported),
    }
}

/// Says on stderr what looks unintended: stdout is for the packets alone.
fn warn(checked: &Checked<Policy>) {
    eprint!("{}", render::diagnostics(&checked.warnings));
    for side in Side::BOTH {
        if checked.value.zone_of_port(side.name()).is_none() {
            eprintln!(
                "warning: port `{}` is in no zone of the policy: nothing passes it",
                side.name()
            );
        }
    }
}

/// Pushes the whole capture through; what was wrong with the file, if anything.
fn push(
    file: impl Read,
    firewall: &mut Firewall,
    out: &mut Out<'_>,
) -> Result<Option<datapath::capture::CaptureError>, Failure> {
    let mut reader = match Reader::new(file) {
        Ok(reader) => reader,
        Err(error) => return Ok(Some(error)),
    };
    loop {
        match reader.next_packet() {
            Ok(Some(packet)) => {
                let line = firewall.take(&packet);
                firewall.found.drain(..).try_for_each(|event| event.print(out))?;
                line.print(out)?;
            }
            Ok(None) => return Ok(None),
            Err(error) => return Ok(Some(error)),
        }
    }
}
