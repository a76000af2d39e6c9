//! Figures of the nodes: who was active when, as they told and as was seen on the wire.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::super::limits::SILENCE;
use super::super::log::{self, Nanos, NotALine, Told};
use super::{Figures, millis};

/// A line of `wire.log`: a frame that a node emitted.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    at: Nanos,
    node: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Transit.
    Forward,
    /// An answer that claims a virtual address.
    Answer,
}

impl FromStr for Frame {
    type Err = NotALine;

    fn from_str(line: &str) -> Result<Self, NotALine> {
        let [at, node, _, kind] = log::words(line)?;
        let kind = match kind {
            "forward" => Kind::Forward,
            "arp" | "nd" => Kind::Answer,
            _ => return Err(NotALine),
        };
        Ok(Self { at: log::parsed(at)?, node: node.to_owned(), kind })
    }
}

/// A line `role NODE active …`: the time, the node, and what follows it.
fn active(line: &Told) -> Option<(Nanos, &str, &str)> {
    let (node, role) = line.what.strip_prefix("role ")?.split_once(' ')?;
    role.starts_with("active").then_some((line.at, node, role))
}

/// Who became active when; what is told twice counts once.
pub(super) fn actives(lines: &[Told]) -> Vec<(Nanos, &str, &str)> {
    let mut roles: Vec<_> = lines.iter().filter_map(active).collect();
    roles.dedup_by_key(|(_, node, role)| (*node, *role));
    roles
}

/// Milliseconds from the last fault until `at`.
fn since_fault(faults: &[Told], at: Nanos) -> Option<f64> {
    let before = faults.iter().filter(|line| line.what.starts_with("fault ") && line.at <= at);
    before.map(|line| line.at).max().map(|fault| millis(fault, at))
}

/// From first to last emission without a silence of [`SILENCE`].
type Span = (Nanos, Nanos);

impl Figures {
    pub(super) fn roles(&mut self, faults: &[Told]) {
        let roles = actives(faults);
        self.takeovers = roles.len().saturating_sub(1) as u64;
        let fault = self.fault.unwrap_or(Nanos::MAX);
        let before = roles.iter().rev().find(|(at, ..)| *at < fault).map(|(_, node, _)| *node);
        let change = roles.iter().find(|(at, node, _)| *at >= fault && Some(*node) != before);
        self.role_change_ms = change.and_then(|(at, ..)| since_fault(faults, *at));
    }

    pub(super) fn resync(&mut self, faults: &[Told]) {
        let last = |what: &str| {
            faults.iter().rev().find(|line| line.what.starts_with(what)).map(|line| line.at)
        };
        if let (Some(restart), Some(done)) = (last("fault restart"), last("resync done"))
            && done >= restart
        {
            self.resync_s = Some(millis(restart, done) / 1e3);
        }
    }

    pub(super) fn wire(&mut self, faults: &[Told], mut frames: Vec<Frame>) {
        frames.sort_by_key(|frame| frame.at);
        let fault = self.fault.unwrap_or(Nanos::MAX);
        let mut transit = frames.iter().filter(|frame| frame.kind == Kind::Forward);
        let before = transit.clone().rev().find(|frame| frame.at < fault);
        let other = |frame: &&Frame| {
            frame.at >= fault && before.is_some_and(|before| before.node != frame.node)
        };
        self.detection_ms = transit.find(other).and_then(|frame| since_fault(faults, frame.at));
        let overlaps = overlaps(&frames);
        let fewest = |it: &Overlap<'_>| {
            let inside = frames.iter().filter(|frame| (it.span.0..=it.span.1).contains(&frame.at));
            let of = |node: &str| inside.clone().filter(|frame| frame.node == node).count() as u64;
            it.nodes.map(of).into_iter().filter(|count| *count > 0).min().unwrap_or(0)
        };
        self.overlap_frames = Some(overlaps.iter().map(fewest).sum());
        self.overlap_ms = Some(overlaps.iter().map(|it| millis(it.span.0, it.span.1)).sum());
    }

    /// What was not seen may have been anything.
    pub(super) fn wire_lost(&mut self, ports: &[Lost]) {
        let lost = ports.iter().map(|Lost(count)| count).sum();
        self.wire_lost = Some(lost);
        if lost > 0 {
            (self.overlap_ms, self.overlap_frames) = (None, None);
        }
    }
}

/// A line of `wire-lost.log`: a port of the switch, and the frames that its watcher had no room for.
pub(super) struct Lost(u64);

impl FromStr for Lost {
    type Err = NotALine;

    fn from_str(line: &str) -> Result<Self, NotALine> {
        let [_, _, lost] = log::words(line)?;
        Ok(Self(log::parsed(lost)?))
    }
}

/// A time in which two nodes were at work.
struct Overlap<'a> {
    nodes: [&'a str; 2],
    span: Span,
}

/// Each such time, of each two nodes.
///
/// ```text
/// A  ││││││││││ │ │              ││      a node is at work from a frame to its next,
/// B           │ │ │││││││││││││││││││││  unless it was silent for long between
///             └──┘               └┘
/// ```
fn overlaps(frames: &[Frame]) -> Vec<Overlap<'_>> {
    let mut spans = BTreeMap::<&str, Vec<Span>>::new();
    for frame in frames {
        let own = spans.entry(&frame.node).or_default();
        match own.last_mut() {
            Some((_, last)) if frame.at - *last < SILENCE.as_nanos() as u64 => *last = frame.at,
            _ => own.push((frame.at, frame.at)),
        }
    }
    let nodes: Vec<_> = spans.into_iter().collect();
    let mut both = Vec::new();
    for (number, (one, spans)) in nodes.iter().enumerate() {
        for (other, others) in &nodes[number + 1..] {
            for theirs in others {
                let common = |span: &Span| (span.0.max(theirs.0), span.1.min(theirs.1));
                let common = spans.iter().map(common).filter(|(from, to)| from <= to);
                both.extend(common.map(|span| Overlap { nodes: [*one, *other], span }));
            }
        }
    }
    both
}
