//! What can go wrong between the daemon and the XDP program.

use std::fmt;
use std::io;
use std::path::PathBuf;

use aya::maps::MapError;
use aya::programs::ProgramError;

use super::limits::{MAX_FORWARDED, MAX_PORTS, MAX_QUEUES};

/// Why the program could not be loaded, told something, attached or removed.
#[derive(Debug)]
pub enum Error {
    /// The kernel refused the program or its maps.
    Load(Box<aya::EbpfError>),
    /// The committed object lacks this program or map, or it is of another kind.
    Object(&'static str),
    /// A map could not be read or written.
    Map { map: &'static str, source: Box<MapError> },
    /// Not a port number the program has room for.
    PortIndex(u16),
    /// Not a receive queue the program has room for.
    Queue(u16),
    /// More services are forwarded from addresses of the host's than the program has room for.
    Forwarded { entries: usize },
    /// The program was asked onto an interface that it knows nothing about.
    NotConfigured { ifindex: u32 },
    /// Another live process holds the port.
    Locked { ifindex: u32, holder: Option<u32> },
    /// Another XDP program is on the interface.
    Foreign { ifindex: u32, program: Option<u32> },
    /// The kernel refused to put the program on the interface.
    Attach { ifindex: u32, source: Box<ProgramError> },
    /// The kernel attached the program without a link (before Linux 5.9): nothing could be pinned.
    NoLink { ifindex: u32 },
    /// The state of an interface could not be read.
    Query { ifindex: u32, reason: String },
    /// A file or directory under `bpf-dir` could not be used.
    BpfDir { path: PathBuf, source: io::Error },
    /// `bpf-dir` is not on a BPF file system.
    NotBpffs { path: PathBuf },
    /// The BPF file system at `bpf-dir` goes away with this process, and enforcement with it.
    MountDies { path: PathBuf },
    /// A trial run of the program failed.
    DryRun(Box<ProgramError>),
}

impl Error {
    pub(super) fn map(map: &'static str) -> impl Fn(MapError) -> Self {
        move |error| Self::Map { map, source: Box::new(error) }
    }

    pub(super) fn bpf_dir(path: &std::path::Path) -> impl Fn(io::Error) -> Self + '_ {
        move |source| Self::BpfDir { path: path.to_owned(), source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load(source) => write!(f, "the XDP program cannot be loaded: {}", chain(source)),
            Self::Object(name) => write!(f, "`{name}` is missing in the XDP program's object"),
            Self::Map { map, source } => {
                write!(f, "the XDP program's table `{map}`: {}", chain(source))
            }
            Self::PortIndex(index) => write!(f, "port number {index}: at most {MAX_PORTS} ports"),
            Self::Queue(queue) => write!(f, "receive queue {queue}: at most {MAX_QUEUES} a port"),
            Self::Forwarded { entries } => write!(
                f,
                "services of {entries} protocols of addresses are forwarded: at most {MAX_FORWARDED}"
            ),
            Self::NotConfigured { ifindex } => {
                write!(f, "interface {ifindex} was not described before it was attached")
            }
            Self::Locked { ifindex, holder } => locked(f, *ifindex, *holder),
            Self::Foreign { ifindex, program } => foreign(f, *ifindex, *program),
            Self::Attach { ifindex, source } => {
                write!(f, "no XDP program can be put on interface {ifindex}: {}", chain(source))
            }
            Self::NoLink { ifindex } => {
                write!(f, "interface {ifindex}: the kernel has no XDP links (Linux 5.9 is needed)")
            }
            Self::Query { ifindex, reason } => {
                write!(f, "the XDP state of interface {ifindex} cannot be read: {reason}")
            }
            Self::BpfDir { path, source } => write!(f, "{}: {source}", path.display()),
            Self::NotBpffs { path } => write!(
                f,
                "bpf-dir {} is not on a BPF file system; hint: mount -t bpf bpf /sys/fs/bpf",
                path.display()
            ),
            Self::MountDies { path } => write!(
                f,
                "the BPF file system at bpf-dir {} is mounted in this process's own mount \
                 namespace and would go away with it, so nothing would be enforced afterwards; \
                 hint: enter just the network namespace, `nsenter --net=/run/netns/NAME ringwall \
                 …` instead of `ip netns exec NAME ringwall …`",
                path.display()
            ),
            Self::DryRun(source) => write!(f, "trial run of the XDP program: {}", chain(source)),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Load(source) => Some(source),
            Self::Map { source, .. } => Some(source),
            Self::Attach { source, .. } | Self::DryRun(source) => Some(source),
            Self::BpfDir { source, .. } => Some(source),
            Self::Object(_)
            | Self::PortIndex(_)
            | Self::Queue(_)
            | Self::Forwarded { .. }
            | Self::NotConfigured { .. }
            | Self::Locked { .. }
            | Self::Foreign { .. }
            | Self::NoLink { .. }
            | Self::Query { .. }
            | Self::NotBpffs { .. }
            | Self::MountDies { .. } => None,
        }
    }
}

fn locked(f: &mut fmt::Formatter<'_>, ifindex: u32, holder: Option<u32>) -> fmt::Result {
    write!(f, "another ringwall holds interface {ifindex}")?;
    match holder {
        Some(pid) => write!(f, " (process {pid}); stop it first"),
        None => write!(f, "; stop it first"),
    }
}

fn foreign(f: &mut fmt::Formatter<'_>, ifindex: u32, program: Option<u32>) -> fmt::Result {
    write!(f, "another XDP program is on interface {ifindex}")?;
    if let Some(id) = program {
        write!(f, " (`bpftool prog show id {id}` says which)")?;
    }
    write!(
        f,
        "; hint: stop its owner, or remove it with `ip link set dev IFACE xdp off`; one that \
         ringwall pinned under another bpf-dir goes with `ringwall detach`"
    )
}

/// The error and what caused it, in one line: aya's own text leaves the cause to `source`.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
