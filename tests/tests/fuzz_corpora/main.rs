//! The fuzz targets' committed inputs, replayed on stable: what once broke something stays mended,
//! and the corpora still reach what they were collected for. `CONTRIBUTING.md` tells how to fuzz.

use ringwall_tests::fuzz::{Depth, TARGETS, Target};

/// Where inputs lie; see [`ringwall_tests::fuzz`].
const KINDS: [&str; 3] = ["seeds", "corpus", "regressions"];

/// Tries every input of a target, and wants that some came as far as an input can.
fn replay(name: &str) {
    let target = Target::named(name);
    let mut reached = Vec::new();
    for (path, bytes) in KINDS.iter().flat_map(|kind| target.inputs(kind)) {
        // The harness shows this line if the input panics.
        eprintln!("{}", path.display());
        reached.push(target.run_on(&bytes));
    }
    let used = reached.iter().filter(|depth| **depth == Depth::Used).count();
    assert!(used > 0, "none of the {} inputs of {name} is of any use", reached.len());
}

#[test]
fn frames() {
    replay("frame");
}

#[test]
fn sequences() {
    replay("sequence");
}

#[test]
fn policies() {
    replay("policy");
}

#[test]
fn api_bodies() {
    replay("api");
}

#[test]
fn captures() {
    replay("capture");
}

#[test]
fn records() {
    replay("record");
}

#[test]
fn datagrams_of_the_fabric() {
    replay("geneve");
}

#[test]
fn lines_of_ftp() {
    replay("alg_ftp");
}

#[test]
fn messages_of_sip() {
    replay("alg_sip");
}

#[test]
fn messages_of_rtsp() {
    replay("alg_rtsp");
}

#[test]
fn messages_of_pptp() {
    replay("alg_pptp");
}

#[test]
fn requests_of_tftp_and_dns() {
    replay("alg_datagram");
}

#[test]
fn messages_of_h323() {
    replay("alg_h323");
}

/// A folder that belongs to no target would silently not be replayed.
#[test]
fn every_folder_of_inputs_belongs_to_a_target() {
    for kind in KINDS {
        let folder = ringwall_tests::workspace().join("tests/fuzz").join(kind);
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let name = entry.expect("a readable entry").file_name();
            let known = TARGETS.iter().any(|target| name == target.name);
            assert!(known, "{kind}/{} belongs to no target", name.display());
        }
    }
}
