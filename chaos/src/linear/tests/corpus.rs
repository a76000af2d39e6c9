//! Histories with known verdicts, where `RINGWALL_CORPUS` points.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::super::Verdict;
use super::super::parse::parse;

/// All histories together, in the development build on a busy machine; they need a few seconds.
const BOUND: Duration = Duration::from_secs(120);

#[test]
fn all_verdicts_of_the_corpus_are_right() {
    let Some(corpus) = std::env::var_os("RINGWALL_CORPUS").map(PathBuf::from) else {
        eprintln!("skipped: RINGWALL_CORPUS is not set");
        return;
    };
    let folder = corpus.join("histories");
    let files = known(&folder);
    assert!(files.len() >= 102 + 6, "{} histories", files.len());
    let start = Instant::now();
    let mut slowest = (Duration::ZERO, PathBuf::new());
    let mut wrong = Vec::new();
    for (file, linearizable) in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let begun = Instant::now();
        let verdict =
            parse(&text).unwrap_or_else(|why| panic!("{}: {why}", file.display())).check(1);
        slowest = slowest.max((begun.elapsed(), file.clone()));
        let right = match &verdict {
            Verdict::Linearizable => linearizable,
            Verdict::Violation(_) => !linearizable,
            Verdict::Undecided { .. } => false,
        };
        if !right {
            wrong.push(format!("{}: {verdict:?}", file.display()));
        }
    }
    println!("slowest: {:?} for {}; all: {:?}", slowest.0, slowest.1.display(), start.elapsed());
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
}

/// Those of `expected.tsv`, and those whose names end in their verdicts.
fn known(folder: &Path) -> Vec<(PathBuf, bool)> {
    let table = std::fs::read_to_string(folder.join("expected.tsv")).unwrap();
    let row = |line: &str| {
        let (name, verdict) = line.split_once('\t').unwrap();
        (folder.join("jepsen").join(name), verdict.trim().parse().unwrap())
    };
    let mut all: Vec<(PathBuf, bool)> = table.lines().map(row).collect();
    for entry in std::fs::read_dir(folder.join("kv")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        all.push((path, name.ends_with("-ok")));
    }
    all
}
