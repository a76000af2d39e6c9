//! What Linux netfilter did with a capture.
//!
//! A table of tab-separated columns: packet number, side, source, destination, summary, then state and
//! number of frames forwarded under the policy `out` and the same two under `open`. Its first line names
//! the addresses that were on the inside.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The verdicts on one capture.
#[derive(Debug)]
pub(crate) struct Oracle {
    /// Addresses on the inside, as `--inside` takes them.
    pub(crate) inside: String,
    pub(crate) packets: Vec<Judged>,
}

/// One packet.
#[derive(Debug)]
pub(crate) struct Judged {
    /// What it is, for people.
    pub(crate) summary: String,
    /// Frames that came out on the far side, under `out` and under `open`. A fragment that is held counts
    /// as 0, the last one as many as came out then.
    pub(crate) frames: [u32; 2],
    /// What connection tracking called it under the two, `-` where it never got so far.
    pub(crate) states: [String; 2],
    /// It belongs to a connection that passes because a helper (FTP, SIP, H.323 …) has read in another
    /// one that it would come. There is nothing to compare with until there are ALGs.
    pub(crate) expected: bool,
    /// Protocol and both ends, the same in both directions.
    flow: Option<Flow>,
}

type Flow = (String, [String; 2]);

impl Oracle {
    /// `None` if there is no such table, or netfilter could not be given the capture.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        let text = fs::read_to_string(path).ok()?;
        let inside = text.lines().next()?.split_once("inside=")?.1.split_whitespace().next()?;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let mut packets: Vec<_> = lines.map(Judged::read).collect();
        let expected: BTreeSet<_> = packets.iter().filter_map(Judged::begins_as_related).collect();
        for packet in &mut packets {
            packet.expected = packet.flow.as_ref().is_some_and(|flow| expected.contains(flow));
        }
        let some = !packets.is_empty();
        some.then(|| Self { inside: inside.to_owned(), packets })
    }
}

impl Judged {
    fn read(line: &str) -> Self {
        let columns: Vec<_> = line.split('\t').collect();
        let [_, _, source, destination, what, out, out_frames, open, open_frames, ..] = columns[..]
        else {
            panic!("not a line of the oracle: {line}");
        };
        Self {
            summary: format!("{source} > {destination} {what}"),
            frames: [out_frames, open_frames].map(|count| count.parse().unwrap()),
            states: [out, open].map(str::to_owned),
            expected: false,
            flow: flow(source, destination, what),
        }
    }

    /// Its flow, if connection tracking calls it related: of packets with ports, only an expectation
    /// makes one so.
    fn begins_as_related(&self) -> Option<Flow> {
        let related = self.states.iter().any(|state| state == "rel");
        self.flow.clone().filter(|_| related)
    }
}

/// Of a summary such as `tcp 20>33003 [S] seq=1 ack=0`; `None` without ports.
fn flow(source: &str, destination: &str, what: &str) -> Option<Flow> {
    let mut words = what.split(' ');
    let (protocol, ports) = (words.next()?, words.next()?);
    let (from, to) = ports.split_once('>')?;
    let mut ends = [format!("{source} {from}"), format!("{destination} {to}")];
    ends.sort();
    Some((protocol.to_owned(), ends))
}
