//! Both verdicts on each packet of each capture.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fmt, fs};

use ringwall_tests::{Corpus, workspace};

use crate::oracle::{Judged, Oracle};
use crate::replay::{Fate, POLICIES, Policies, Window};

/// Folders of captures that are about calls and transfers.
pub(crate) const OF_GATEWAYS: [&str; 4] = ["ftp/", "sip/", "h323/", "alg_other/"];

/// A capture that netfilter has judged.
#[derive(Debug)]
pub(crate) struct Capture {
    /// Path in the corpus.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    oracle: Oracle,
}

impl Capture {
    /// All of the corpus that have verdicts.
    pub(crate) fn of_corpus(corpus: &Corpus) -> Vec<Self> {
        let named = |path: PathBuf| {
            let name = path.strip_prefix(corpus.root()).unwrap().to_str().unwrap();
            Self::read(name, &path, &corpus.file(&format!("oracle/{name}.tsv")))
        };
        corpus.captures("").into_iter().filter_map(named).collect()
    }

    /// Those of this repository, `own/`.
    pub(crate) fn own() -> Vec<Self> {
        let entries = fs::read_dir(workspace().join("tests/tests/corpus/own")).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let named = |path: PathBuf| {
            let name = format!("own/{}", path.file_name().unwrap().to_str().unwrap());
            Self::read(&name, &path, &path.with_extension("pcap.tsv")).unwrap()
        };
        paths.filter(|path| path.extension().is_some_and(|it| it == "pcap")).map(named).collect()
    }

    /// `None` if nobody has judged it.
    fn read(name: &str, path: &Path, verdicts: &Path) -> Option<Self> {
        let oracle = Oracle::read(verdicts)?;
        Some(Self { name: name.to_owned(), path: path.to_owned(), oracle })
    }

    /// Whether netfilter was told to verify checksums. In the corpus only for the captures that are about
    /// them: many of the others were taken at a sender that left them to its hardware.
    pub(crate) fn sums(&self) -> &'static str {
        let verified = self.name.starts_with("own/") || self.name.contains("__chksums_");
        if verified { "verify" } else { "trust" }
    }

    /// Whether it is about calls and transfers: then gateways read it.
    fn is_of_gateways(&self) -> bool {
        OF_GATEWAYS.iter().any(|folder| self.name.starts_with(folder))
    }

    /// Addresses on the inside, as `--inside` takes them.
    pub(crate) fn inside(&self) -> &str {
        &self.oracle.inside
    }

    fn compare(&self, policies: &Policies) -> Compared {
        let how = (self.sums(), self.is_of_gateways());
        let [out, open] =
            POLICIES.map(|policy| policies.replay(policy, &self.path, &self.oracle.inside, how));
        let (fates, announced) = ([out.0, open.0], [out.1, open.1]);
        let count = self.oracle.packets.len();
        let enough = fates.iter().all(|fates| fates.len() >= count);
        assert!(enough, "{}: replay sees fewer than {count} packets", self.name);
        let mut differences = Vec::new();
        for (index, judged) in self.oracle.packets.iter().enumerate() {
            let ours = [&fates[0][index], &fates[1][index]];
            let came = ours.map(Fate::is_announced);
            let alike = judged.expected().is_none_or(|expected| expected == came);
            if ours.map(|fate| fate.frames) != judged.frames || !alike {
                let [out, open] = [0, 1].map(|policy| verdict(policy, ours[policy], judged));
                let text = format!("{}: {out}; {open}; announced: {came:?}", judged.summary);
                differences.push(Difference { packet: index + 1, text });
            }
        }
        let theirs = &self.oracle.expected;
        for ours in announced.iter().filter(|it| *it != theirs) {
            let (more, less) = (ours.difference(theirs), theirs.difference(ours));
            let [more, less] = [more.collect::<Vec<_>>(), less.collect()];
            let text = format!("announces {more:?} that Linux does not, and not {less:?}");
            differences.push(Difference { packet: IN_ALL, text });
        }
        differences.dedup_by_key(|difference| difference.packet);
        let expected = theirs.len();
        Compared { name: self.name.clone(), packets: count, expected, differences }
    }
}

fn verdict(policy: usize, fate: &Fate, judged: &Judged) -> String {
    let (name, state, theirs) = (POLICIES[policy], &judged.states[policy], judged.frames[policy]);
    format!("{name}: {} frames ({fate}), in Linux {theirs} ({state})", fate.frames)
}

/// In the place of a packet's number: what all of them announce together.
pub(crate) const IN_ALL: usize = 0;

/// A capture, compared.
#[derive(Debug)]
pub(crate) struct Compared {
    pub(crate) name: String,
    packets: usize,
    /// Sessions that helpers expected.
    pub(crate) expected: usize,
    pub(crate) differences: Vec<Difference>,
}

/// A packet of which not as many frames are forwarded as in Linux, under one policy or both, or that is
/// announced by another connection for one of them alone.
#[derive(Debug)]
pub(crate) struct Difference {
    /// Counts from 1, or [`IN_ALL`].
    pub(crate) packet: usize,
    pub(crate) text: String,
}

/// Compares all captures, on all cores.
pub(crate) fn replay(captures: &[Capture], window: Window) -> Vec<Compared> {
    let policies = Policies::new(window);
    let next = AtomicUsize::new(0);
    let work = || {
        let taken = std::iter::from_fn(|| captures.get(next.fetch_add(1, Ordering::Relaxed)));
        taken.map(|capture| capture.compare(&policies)).collect::<Vec<_>>()
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut compared: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    compared.sort_by(|one, other| one.name.cmp(&other.name));
    compared
}

/// How many agree.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    packets: usize,
    pub(crate) packets_alike: usize,
    captures: usize,
    captures_alike: usize,
}

impl Figures {
    pub(crate) fn of(compared: &[Compared]) -> Self {
        Self::count(compared.iter().map(|capture| {
            let of_packets = capture.differences.iter().filter(|it| it.packet != IN_ALL);
            (capture.packets, of_packets.count())
        }))
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            packets: self.packets + other.packets,
            packets_alike: self.packets_alike + other.packets_alike,
            captures: self.captures + other.captures,
            captures_alike: self.captures_alike + other.captures_alike,
        }
    }

    /// Of captures with so many packets and so many differences each.
    fn count(captures: impl Iterator<Item = (usize, usize)>) -> Self {
        captures.fold(Self::default(), |sum, (packets, differences)| Self {
            packets: sum.packets + packets,
            packets_alike: sum.packets_alike + packets - differences,
            captures: sum.captures + 1,
            captures_alike: sum.captures_alike + usize::from(differences == 0),
        })
    }

    /// Of packets and of captures.
    pub(crate) fn percent(&self) -> [f64; 2] {
        let percent = |part: usize, whole: usize| 100.0 * part as f64 / whole.max(1) as f64;
        [percent(self.packets_alike, self.packets), percent(self.captures_alike, self.captures)]
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { packets, packets_alike, captures, captures_alike } = self;
        let [of_packets, of_captures] = self.percent();
        write!(f, "{packets_alike} of {packets} packets agree ({of_packets:.2} %), ")?;
        write!(f, "{captures_alike} of {captures} captures in full ({of_captures:.1} %)")
    }
}
