//! Captures that are not part of this repository: none may crash the engine or lose a packet.
//!
//! How often the verdicts agree with those recorded from another firewall is printed, not demanded:
//! where the two differ on purpose is a matter of its own.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::api::Prefix;
use datapath::capture::Reader;

use super::super::Checksum;
use super::super::firewall::Firewall;
use super::sample::POLICY;

/// The longest gap in the recorded runs.
const MAX_GAP: Duration = Duration::from_millis(20);

#[test]
fn no_capture_crashes_the_engine_or_loses_a_packet() {
    let Some(root) = std::env::var_os("RINGWALL_CORPUS").map(PathBuf::from) else {
        let _ = writeln!(std::io::stderr(), "SKIPPED captures: RINGWALL_CORPUS is not set");
        return;
    };
    let (mut same, mut judged, mut packets) = (0, 0, 0);
    for capture in captures(&root) {
        let name = capture.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        let oracle = oracle(&root.join("oracle").join(format!("{name}.tsv")));
        let mut firewall = firewall(&oracle);
        let mut file = Reader::new(File::open(&capture).unwrap()).unwrap();
        let mut frames = Vec::new();
        while let Ok(Some(packet)) = file.next_packet() {
            let line = firewall.take(&packet);
            frames.extend(line.n.map(|_| line.frames));
            packets += 1;
        }
        let totals = firewall.totals(None);
        assert!(totals.balanced(), "{name}: {totals:?}");
        judged += oracle.len().min(frames.len());
        same += oracle.iter().zip(&frames).filter(|(oracle, ours)| oracle.frames == **ours).count();
    }
    assert!(packets > 0, "no captures in {}", root.display());
    let _ = writeln!(std::io::stderr(), "{packets} packets; {same} of {judged} as recorded");
}

/// One packet as it was recorded.
struct Recorded {
    inside: String,
    frames: u32,
}

/// The recorded packets under the policy that opens sessions from the inside only.
fn oracle(path: &Path) -> Vec<Recorded> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let rows = text.lines().filter(|line| !line.starts_with('#'));
    let row = |line: &str| {
        let mut fields = line.split('\t').skip(1);
        let side = fields.next()?;
        let (source, destination) = (fields.next()?, fields.next()?);
        let inside = if side == "in" { source } else { destination };
        Some(Recorded { inside: inside.to_owned(), frames: fields.nth(2)?.parse().ok()? })
    };
    rows.filter_map(row).collect()
}

fn firewall(oracle: &[Recorded]) -> Firewall {
    let addresses: BTreeSet<_> = oracle.iter().map(|row| row.inside.as_str()).collect();
    let inside: Vec<Prefix> = addresses.iter().filter_map(|text| text.parse().ok()).collect();
    let policy = config::parse_policy("p", POLICY, &mut |_| Err("no lists".to_owned()));
    Firewall::new(&policy.unwrap().value, inside, Checksum::Verify, Some(MAX_GAP)).unwrap()
}

fn captures(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default();
            match kind {
                _ if path.is_dir() => folders.push(path),
                "pcap" | "pcapng" | "cap" => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    found
}
