//! Why a verb did not do what it was asked to, and the exit status that says so.

use std::fmt;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use config::api::RequestId;
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
    /// It is done, but these members did not say in time that they run it.
    Missing { nodes: Vec<u16>, may: &'static str },
    /// Nobody could tell in time what came of a request.
    Unknown { id: RequestId, error: ClientError },
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
/// Exit status: done, but not known to be so on every node.
const MISSING: u8 = 3;
/// Exit status: perhaps done.
const UNKNOWN: u8 = 4;

impl Failure {
    /// A file that could not be read or written.
    pub(crate) fn file(path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::File { path: path.as_ref().to_owned(), error }
    }

    /// Says it: to stderr, and as an error of the API to stdout where JSON was asked for.
    pub(crate) fn report(self, out: &mut Out<'_>) -> ExitCode {
        // What was said before the failure stands before it. Whoever reads may have gone.
        let _ = out.flush();
        match (self.is_quiet(out.json()), out.json()) {
            (true, _) => {}
            (false, true) => drop(out.value(&self.answer()).and_then(|()| out.flush())),
            (false, false) => drop(write!(io::stderr(), "{}", self.text())),
        }
        ExitCode::from(self.status())
    }

    fn status(&self) -> u8 {
        match self {
            Self::Usage(_) => USAGE,
            Self::Missing { .. } => MISSING,
            Self::Unknown { .. } => UNKNOWN,
            Self::Reported
            | Self::Output(_)
            | Self::File { .. }
            | Self::Rejected { .. }
            | Self::Policy(_)
            | Self::Capture { .. }
            | Self::Refused(_)
            | Self::Client(_)
            | Self::Xdp(_)
            | Self::Run(_)
            | Self::Cluster(_) => FAILED,
        }
    }

    /// What people read: what is wrong with their file first, place by place; what others did last.
    fn text(&self) -> String {
        let answer = self.answer();
        let diagnostics = render::diagnostics(&answer.diagnostics);
        let usage = matches!(self, Self::Usage(_));
        let hint = if usage { "\nFor more information, try '--help'.\n" } else { "" };
        let severity = if matches!(self, Self::Missing { .. }) { "warning" } else { "error" };
        format!("{diagnostics}{severity}: {self}\n{hint}{}", render::conflict(&answer))
    }

    /// Whether there is nothing to say, or nobody to say it to.
    fn is_quiet(&self, json: bool) -> bool {
        match self {
            Self::Reported => true,
            // The answer has said it.
            Self::Missing { .. } => json,
            Self::Output(error) => error.kind() == io::ErrorKind::BrokenPipe,
            Self::Usage(_)
            | Self::File { .. }
            | Self::Rejected { .. }
            | Self::Policy(_)
            | Self::Capture { .. }
            | Self::Refused(_)
            | Self::Client(_)
            | Self::Unknown { .. }
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
            Self::Unknown { .. } => api::Error::unknown(self.to_string()),
            Self::Reported
            | Self::Client(_)
            | Self::Missing { .. }
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
            Self::Missing { nodes, may } => write!(
                f,
                "{} did not say in time that this runs there, and {may}: look at `ringwall show \
                 policy` there",
                render::nodes(nodes)
            ),
            Self::Unknown { id, error } => write!(
                f,
                "it is not known what came of the request: {error}\n`ringwall history` tells what is in \
                 force; the same command with `--request {id}` asks again, and nothing is done twice"
            ),
            Self::Xdp(error) => error.fmt(f),
            Self::Run(error) => error.fmt(f),
            Self::Cluster(error) => error.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use config::api::{Error, RequestId, Revision};

    use super::Failure;
    use crate::client::ClientError;

    #[test]
    fn each_end_has_its_status() {
        let timed_out = |within| ClientError::TimedOut { at: String::new(), within };
        let missing = Failure::Missing { nodes: vec![2], may: "may forward" };
        let unknown = Failure::Unknown { id: RequestId(1), error: timed_out(Duration::ZERO) };
        let rows = [
            (Failure::Reported, 1),
            (Failure::Usage(String::new()), 2),
            (missing, 3),
            (unknown, 4),
            (Failure::Client(timed_out(Duration::ZERO)), 1),
        ];
        for (failure, status) in rows {
            assert_eq!(failure.status(), status, "{failure:?}");
        }
    }

    #[test]
    fn what_is_done_but_not_everywhere_is_a_warning_and_the_answer_in_json_has_said_it() {
        let missing = Failure::Missing { nodes: vec![2, 3], may: "may forward" };
        let told = "warning: nodes 2, 3 did not say in time that this runs there, and may forward: \
                    look at `ringwall show policy` there\n";
        assert_eq!(missing.text(), told);
        assert_eq!([true, false].map(|json| missing.is_quiet(json)), [true, false]);
    }

    #[test]
    fn what_is_not_known_says_how_to_ask_again() {
        let error = ClientError::Refused(Error::unknown("another node leads now"));
        let unknown = Failure::Unknown { id: RequestId(0xabc), error };
        let text = unknown.text();
        assert!(text.contains("another node leads now\n"), "{text}");
        assert!(text.contains("`--request 00000000000000000000000000000abc`"), "{text}");
        assert!(unknown.answer().unknown);
    }

    #[test]
    fn a_conflict_ends_with_how_to_go_on() {
        let revisions = vec![Revision { epoch: 9, ..Revision::default() }];
        let error = Error { revisions, ..Error::new("epoch 9 is in force, not 7") };
        let text = Failure::Client(ClientError::Refused(error)).text();
        let told = "error: epoch 9 is in force, not 7\nepoch 9\n\
                    take this over into your file, and commit it with `--base 9`\n";
        assert_eq!(text, told);
    }
}
