//! What the fuzz targets do with their input. Plain functions, so that a fuzzer on nightly and the
//! replay of the committed corpora on stable run the very same code.
//!
//! ```text
//! fuzz/corpus/TARGET/*       found by the fuzzer, made small    ┐
//! fuzz/regressions/TARGET/*  what once broke something, by name ├─► run(bytes) ─► Depth, or a panic
//! fuzz/seeds/TARGET/*        written by hand                    ┘
//! ```

mod alg_datagram;
mod alg_ftp;
mod alg_h323;
mod alg_pptp;
mod alg_rtsp;
mod alg_sip;
mod api;
mod bytes;
mod capture;
mod engines;
mod frame;
mod geneve;
mod policy;
mod record;
mod sequence;
mod translate;
mod twins;

use std::path::{Path, PathBuf};

use crate::workspace;

/// One fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: that of the file in `fuzz/fuzz_targets` and of its folders.
    pub name: &'static str,
    run: fn(&[u8]) -> Depth,
}

/// How far an input came; a corpus in which nothing comes far tests nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// Refused as unfit.
    Refused,
    /// Understood.
    Read,
    /// Understood, and used as the product would.
    Used,
}

/// All of them.
pub const TARGETS: [Target; 13] = [
    Target { name: "frame", run: frame::run },
    Target { name: "sequence", run: sequence::run },
    Target { name: "policy", run: policy::run },
    Target { name: "api", run: api::run },
    Target { name: "capture", run: capture::run },
    Target { name: "record", run: record::run },
    Target { name: "geneve", run: geneve::run },
    Target { name: "alg_ftp", run: alg_ftp::run },
    Target { name: "alg_sip", run: alg_sip::run },
    Target { name: "alg_rtsp", run: alg_rtsp::run },
    Target { name: "alg_pptp", run: alg_pptp::run },
    Target { name: "alg_datagram", run: alg_datagram::run },
    Target { name: "alg_h323", run: alg_h323::run },
];

impl Target {
    /// The target of this name.
    ///
    /// # Panics
    /// When there is none.
    pub fn named(name: &str) -> Self {
        let found = TARGETS.into_iter().find(|target| target.name == name);
        found.unwrap_or_else(|| panic!("no fuzz target is named {name}"))
    }

    /// Tries one input; panics if a law is broken.
    pub fn run_on(&self, bytes: &[u8]) -> Depth {
        (self.run)(bytes)
    }

    /// The committed inputs below the folder `kind` (`corpus`, `regressions` or `seeds`), by name.
    ///
    /// # Panics
    /// When a folder or file cannot be read.
    pub fn inputs(&self, kind: &str) -> Vec<(PathBuf, Vec<u8>)> {
        let folder = workspace().join("tests/fuzz").join(kind).join(self.name);
        if !folder.exists() {
            return Vec::new();
        }
        let entries = std::fs::read_dir(&folder).expect("a readable folder of inputs");
        let mut paths: Vec<PathBuf> =
            entries.map(|entry| entry.expect("a readable entry").path()).collect();
        paths.sort();
        paths.into_iter().map(|path| (path.clone(), read(&path))).collect()
    }
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
