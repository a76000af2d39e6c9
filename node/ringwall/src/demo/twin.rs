//! The demo without rights: a capture that it writes itself, through the engine by `replay`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::process::Command;

use datapath::capture::{Format, LinkType, Writer};
use serde::Deserialize;

use super::commands;
use super::folder::Folder;
use super::limits::COMMAND;
use super::packets::{self, INSIDE, POLICY, Packet};
use super::report::{Report, Seen};

const CAPTURE: &str = "demo.pcapng";
const POLICY_FILE: &str = "policy.toml";
/// When the capture begins, in nanoseconds since 1970: any time will do, the same one always.
const BEGIN: u64 = 1_700_000_000_000_000_000;
/// Between two packets.
const STEP: u64 = 1_000_000;

/// What `replay --json` says about a packet.
#[derive(Deserialize)]
struct Line {
    verdict: String,
    reason: Option<String>,
    state: String,
}

/// Writes the capture, replays it, and compares.
pub(super) fn run(report: &mut Report<'_, '_>, reason: &str) -> io::Result<()> {
    report.note(&format!("not on real interfaces: {reason}"))?;
    report.note("instead, packets written into a capture go through the engine by `replay`\n")?;
    let packets = packets::all();
    let mut lines = Vec::new();
    let replayed = report.step("ringwall replay", "a line for each packet", || {
        lines = replay(&packets)?;
        Ok(format!("{} packets", lines.len()))
    })?;
    if !replayed {
        return Ok(());
    }
    for (packet, line) in packets.iter().zip(&lines) {
        report.step(packet.what, packet.expected, || compare(packet, line))?;
    }
    report.packets(tally(&lines));
    Ok(())
}

fn compare(packet: &Packet, line: &Line) -> Seen {
    let Line { verdict, reason, state } = line;
    let reason = reason.as_ref().map(|reason| format!(" {reason}")).unwrap_or_default();
    let seen = format!("{verdict}{reason}, {state}");
    if seen == packet.expected { Ok(seen) } else { Err(seen) }
}

/// Verdicts, and reasons of drops, by how many packets had them.
fn tally(lines: &[Line]) -> BTreeMap<String, u64> {
    lines.iter().fold(BTreeMap::new(), |mut tally, line| {
        let name = match &line.reason {
            Some(reason) => format!("{}.{reason}", line.verdict),
            None => line.verdict.clone(),
        };
        *tally.entry(name).or_default() += 1;
        tally
    })
}

fn replay(packets: &[Packet]) -> Result<Vec<Line>, String> {
    let folder = Folder::make().map_err(|error| format!("no directory: {error}"))?;
    let written = write(&folder, packets).map_err(|error| format!("capture: {error}"));
    let output = written.and_then(|()| {
        let mut command = Command::new(commands::program()?);
        command.args(["replay", "--json", "--inside", INSIDE, "--policy"]);
        command.arg(folder.file(POLICY_FILE)).arg(folder.file(CAPTURE));
        commands::output(&mut command, Command::spawn, COMMAND)
    });
    folder.remove();
    let lines = lines(&output?)?;
    let (got, sent) = (lines.len(), packets.len());
    if got == sent { Ok(lines) } else { Err(format!("{got} lines for {sent} packets")) }
}

fn write(folder: &Folder, packets: &[Packet]) -> io::Result<()> {
    fs::write(folder.file(POLICY_FILE), POLICY)?;
    let file = BufWriter::new(File::create(folder.file(CAPTURE))?);
    let mut writer = Writer::new(file, Format::PcapNg, LinkType::ETHERNET)?;
    for (number, packet) in (0_u64..).zip(packets) {
        writer.write(BEGIN + number * STEP, &packet.frame)?;
    }
    writer.into_inner().map(drop)
}

/// The lines of packets; the last line has the totals.
fn lines(output: &str) -> Result<Vec<Line>, String> {
    let lines: Vec<_> = output.lines().collect();
    let packets = lines.split_last().map_or([].as_slice(), |(_, packets)| packets);
    let parse =
        |line: &&str| serde_json::from_str(line).map_err(|error| format!("{error}: {line}"));
    packets.iter().map(parse).collect()
}
