//! What Linux netfilter did with a capture.
//!
//! A table of tab-separated columns: packet number, side, source, destination, summary, then state and
//! number of frames forwarded under the policy `out` and the same two under `open`. Its first line names
//! the addresses that were on the inside.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

/// The verdicts on one capture.
#[derive(Debug)]
pub(crate) struct Oracle {
    /// Addresses on the inside, as `--inside` takes them.
    pub(crate) inside: String,
    pub(crate) packets: Vec<Judged>,
    /// What helpers expected, whether it came or not; of what was given up nothing is known.
    pub(crate) expected: BTreeSet<Expected>,
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
    /// Whom it is from and to, if it has ports: then it is related to another connection only if a helper
    /// (FTP, SIP, H.323 …) has read there that it would come.
    ends: Option<Expected>,
}

/// A session that a helper expects: protocol, who may come, to which endpoint.
pub(crate) type Expected = (u8, IpAddr, (IpAddr, u16));

impl Oracle {
    /// `None` if there is no such table, or netfilter could not be given the capture.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        let text = fs::read_to_string(path).ok()?;
        let inside = text.lines().next()?.split_once("inside=")?.1.split_whitespace().next()?;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let packets: Vec<_> = lines.map(Judged::read).collect();
        let expected = text.lines().filter_map(|line| line.strip_prefix("#expect "));
        let expected = expected.map(|line| read_expected(line).unwrap());
        let came = packets.iter().filter(|packet| packet.expected() == Some([true; 2]));
        let expected = expected.chain(came.filter_map(|packet| packet.ends)).collect();
        let some = !packets.is_empty();
        some.then(|| Self { inside: inside.to_owned(), packets, expected })
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
            ends: ends(source, destination, what),
        }
    }

    /// Whether a helper has expected it, under both policies; `None` if no helper could.
    pub(crate) fn expected(&self) -> Option<[bool; 2]> {
        self.ends.map(|_| self.states.each_ref().map(|state| state == "rel"))
    }
}

/// Of a summary such as `tcp 20>33003 [S] seq=1 ack=0`; `None` without ports.
fn ends(source: &str, destination: &str, what: &str) -> Option<Expected> {
    let mut words = what.split(' ');
    let protocol = match words.next()? {
        "tcp" => 6,
        "udp" => 17,
        _ => return None,
    };
    let (_, port) = words.next()?.split_once('>')?;
    Some((protocol, source.parse().ok()?, (destination.parse().ok()?, port.parse().ok()?)))
}

/// Of a line of `conntrack -L expect`. Masks are whole addresses and one port here.
fn read_expected(line: &str) -> Option<Expected> {
    let of = |name: &str| line.split(' ').find_map(|word| word.strip_prefix(name));
    let [source, destination] = [of("src=")?, of("dst=")?].map(|it| it.parse().unwrap());
    Some((of("proto=")?.parse().ok()?, source, (destination, of("dport=")?.parse().ok()?)))
}
