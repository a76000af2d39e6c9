//! Captures made here, and the verb run on them.

use datapath::capture::{Format, LinkType, Writer};
use serde_json::Value;

use super::super::{Checksum, Options, clock, run};
use crate::failure::Failure;
use crate::out::Out;

pub(super) const CLIENT: [u8; 4] = [10, 0, 1, 5];
pub(super) const SERVER: [u8; 4] = [192, 0, 2, 9];
pub(super) const INSIDE: &str = "10.0.1.0/24";

/// To the outside nearly everything, from the outside nothing.
pub(super) const POLICY: &str = r#"
[zones]
trust = ["inside"]
untrust = ["outside"]

[[rule]]
id = "no-mail"
from = "trust"
service = ["tcp/25", "udp/25"]
action = "reject"

[[rule]]
id = "no-games"
from = "trust"
service = ["udp/666"]
action = "deny"

[[rule]]
id = "out"
from = "trust"
to = "untrust"
action = "permit"
"#;

/// A capture of Ethernet frames with their times in nanoseconds.
pub(super) fn capture(packets: &[(u64, &[u8])]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), Format::PcapNg, LinkType::ETHERNET).unwrap();
    for (time, bytes) in packets {
        writer.write(*time, bytes).unwrap();
    }
    writer.into_inner().unwrap()
}

/// The JSON lines of a replay that must succeed.
pub(super) fn replay(capture: &[u8], inside: &str) -> Vec<Value> {
    replay_with(capture, inside, None)
}

pub(super) fn replay_with(capture: &[u8], inside: &str, max_gap: Option<&str>) -> Vec<Value> {
    let mut given = Given::new(capture, inside);
    given.options.max_gap = max_gap.map(|text| clock::duration(text).unwrap());
    given.lines()
}

/// What a replay prints, and how it ends.
pub(super) fn text(capture: &[u8], inside: &str, json: bool) -> (String, Result<(), Failure>) {
    Given::new(capture, inside).text(json)
}

/// Files and options of one replay.
pub(super) struct Given {
    pub(super) options: Options,
    /// Where the files are, as long as this lives.
    _folder: tempfile::TempDir,
}

impl Given {
    pub(super) fn new(capture: &[u8], inside: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [policy, file] = ["policy.toml", "capture.pcap"].map(|name| folder.path().join(name));
        std::fs::write(&policy, POLICY).unwrap();
        std::fs::write(&file, capture).unwrap();
        let inside = inside.split(',').map(|prefix| prefix.parse().unwrap()).collect();
        let checksum = Checksum::Verify;
        let options = Options { policy, inside, max_gap: None, checksum, capture: file };
        Self { options, _folder: folder }
    }

    pub(super) fn lines(&self) -> Vec<Value> {
        let (text, done) = self.text(true);
        assert!(done.is_ok(), "{done:?}: {text}");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn text(&self, json: bool) -> (String, Result<(), Failure>) {
        let mut bytes = Vec::new();
        let done = run(&self.options, &mut Out::to(&mut bytes, json));
        (String::from_utf8(bytes).unwrap(), done)
    }
}
