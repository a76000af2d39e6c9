//! Why a verb did not do what it was asked to, and the exit status that says so.

use std::fmt;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use config::{Diagnostic, api};
use datapath::capture::CaptureError;

use crate::client::ClientError;
use crate::cluster::ClusterError;
use crate::out::Out;
use crate::render;
use crate::run::RunError;

/// The end of a verb that failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The verb has said already what is wrong.
    Reported,
    /// The arguments contradict one another, which clap could not see.
    Usage(String),
    /// Standard output cannot be written.
    Output(io::Error),
    /// A file cannot be read or written.
    File { path: PathBuf, error: io::Error },
    /// A node or policy file is wrong.
    Rejected { what: &'static str, diagnostics: Vec<Diagnostic> },
    /// A policy is right in itself and does not fit here.
    Policy(engine::policy::CompileError),
    /// A capture cannot be read on.
    Capture { path: PathBuf, error: CaptureError },
    /// What was asked for is not there.
    Refused(api::Error),
    /// The daemon did not do it.
    Client(ClientError),
    /// The kernel's part did not work.
    Xdp(datapath::xdp::Error),
    /// The daemon does not run.
    Run(RunError),
    /// A cluster was not made or joined.
    Cluster(ClusterError),
}

/// Exit status: refused or failed.
const FAILED: u8 = 1;
/// Exit status: wrong usage, as clap has it.
const USAGE: u8 = 2;

impl Failure {
    /// A file that could not be read or written.
    pub(crate) fn file(path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::File { path: path.as_ref().to_owned(), error }
    }

    /// Says it: to stderr, and as an error of the API to stdout where JSON was asked for.
    pub(crate) fn report(self, out: &mut Out<'_>) -> ExitCode {
        // What was said before the failure stands before it. Whoever reads may have gone.
        let _ = out.flush();
        match (self.is_quiet(), out.json()) {
            (true, _) => {}
            (false, true) => drop(out.value(&self.answer()).and_then(|()| out.flush())),
            (false, false) => drop(write!(io::stderr(), "{}", self.text())),
        }
        ExitCode::from(if matches!(self, Self::Usage(_)) { USAGE } else { FAILED })
    }

    /// What people read: what is wrong with their file first, place by place.
    fn text(&self) -> String {
        let diagnostics = render::diagnostics(&self.answer().diagnostics);
        let usage = matches!(self, Self::Usage(_));
        let hint = if usage { "\nFor more information, try '--help'.\n" } else { "" };
        format!("{diagnostics}error: {self}\n{hint}")
    }

    /// Whether there is nothing to say, or nobody to say it to.
    fn is_quiet(&self) -> bool {
        match self {
            Self::Reported => true,
            Self::Output(error) => error.kind() == io::ErrorKind::BrokenPipe,
            Self::Usage(_)
            | Self::File { .. }
            | Self::Rejected { .. }
            | Self::Policy(_)
            | Self::Capture { .. }
            | Self::Refused(_)
            | Self::Client(_)
            | Self::Xdp(_)
            | Self::Run(_)
            | Self::Cluster(_) => false,
        }
    }

    fn answer(&self) -> api::Error {
        match self {
            Self::Rejected { diagnostics, .. } => {
                let diagnostics = diagnostics.clone();
                api::Error { diagnostics, ..api::Error::new(self.to_string()) }
            }
            Self::Refused(error) | Self::Client(ClientError::Refused(error)) => error.clone(),
            Self::Reported
            | Self::Client(_)
            | Self::Xdp(_)
            | Self::Run(_)
            | Self::Cluster(_)
            | Self::Usage(_)
            | Self::Output(_)
            | Self::File { .. }
            | Self::Policy(_)
            | Self::Capture { .. } => api::Error::new(self.to_string()),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        Self::Run(error)
    }
}

impl From<io::Error> for Failure {
    /// Only output is written without a path to name.
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reported => Ok(()),
            Self::Usage(why) => f.write_str(why),
            Self::Output(error) => write!(f, "cannot write the output: {error}"),
            Self::File { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Rejected { what, diagnostics } => {
                write!(f, "the {what} is refused, {}", render::counted(diagnostics))
            }
            Self::Policy(error) => write!(f, "the policy does not fit: {error}"),
            Self::Capture { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Refused(error) => f.write_str(&error.error),
            Self::Client(error) => error.fmt(f),
            Self::Xdp(error) => error.fmt(f),
            Self::Run(error) => error.fmt(f),
            Self::Cluster(error) => error.fmt(f),
        }
    }
}
