//! Others' captures, where `RINGWALL_CORPUS` points: each is read, and the number of IP packets is that
//! which the Netfilter oracle counted.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::super::{Reader, ip_packet};

/// Packets at which the oracle stopped in most captures.
const ORACLE_CAP: usize = 120;

#[test]
fn packet_numbers_agree_with_the_oracle() {
    let Some(corpus) = std::env::var_os("RINGWALL_CORPUS") else {
        eprintln!("skipped: RINGWALL_CORPUS is not set");
        return;
    };
    let corpus = PathBuf::from(corpus);
    let captures = captures(&corpus);
    assert!(captures.len() > 100, "only {} captures", captures.len());
    let wrong: Vec<String> =
        captures.iter().filter_map(|capture| difference(&corpus, capture)).collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), captures.len(), wrong.join("\n"));
}

/// Every capture of every category.
fn captures(corpus: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for category in fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()) {
        if !category.is_dir() || category.ends_with("oracle") {
            continue;
        }
        let files = fs::read_dir(&category).unwrap().map(|entry| entry.unwrap().path());
        found.extend(files.filter(|file| file.to_string_lossy().contains(".pcap")));
    }
    found.sort();
    found
}

/// What is wrong with our reading of a capture, if anything. Without verdicts it need only be readable.
fn difference(corpus: &Path, capture: &Path) -> Option<String> {
    let name = capture.strip_prefix(corpus).unwrap();
    let verdicts = corpus.join("oracle").join(format!("{}.tsv", name.display()));
    let expected = fs::read_to_string(&verdicts).ok().map(|verdicts| packets_field(&verdicts));
    let counted = match ip_packets(File::open(capture).unwrap()) {
        Ok(counted) => counted,
        Err(error) => return Some(format!("{}: {error}", name.display())),
    };
    let expected = expected.unwrap_or(counted);
    let agrees = counted == expected || (expected >= ORACLE_CAP && counted > expected);
    (!agrees).then(|| format!("{}: {counted} packets, not {expected}", name.display()))
}

/// `packets=N` of the first line; a file without it says "no IP packets".
fn packets_field(verdicts: &str) -> usize {
    let header = verdicts.lines().next().unwrap();
    header.split_once("packets=").map_or(0, |(_, number)| number.trim().parse().unwrap())
}

fn ip_packets(capture: File) -> Result<usize, super::super::CaptureError> {
    let mut reader = Reader::new(capture)?;
    let mut count = 0;
    while let Some(packet) = reader.next_packet()? {
        count += usize::from(ip_packet(packet.link, packet.bytes).is_some());
    }
    Ok(count)
}
