//! `check`: every mistake of node and policy files in one run, nothing else touched.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use config::{Diagnostic, Misfit, Node, POLICY_SECTIONS, Policy, misfits};
use serde::Serialize;

use crate::failure::Failure;
use crate::out::Out;
use crate::{files, render};

#[derive(Args, Debug)]
#[command(after_help = "Warnings alone leave the exit status at 0. With a node file and a policy \
                        together, `check` also says which ports of the one the other lacks.")]
pub(crate) struct Options {
    /// Node or policy files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// What the files are; found out from their sections otherwise
    #[arg(long = "as", value_name = "KIND")]
    kind: Option<Kind>,
}

/// The kinds of files that an operator writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Node,
    /// Node file of a witness; never found out by itself
    Witness,
    Policy,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Node => "node file",
            Self::Witness => "witness",
            Self::Policy => "policy",
        }
    }
}

/// What is said about one file.
#[derive(Serialize)]
struct Report<'a> {
    file: &'a Path,
    kind: Kind,
    accepted: bool,
    diagnostics: Vec<Diagnostic>,
    /// How it does not fit the file of the other kind that was checked with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    misfits: Vec<Misfit>,
}

/// What a file holds, if it is right.
#[derive(Default)]
struct Parsed {
    node: Option<Node>,
    policy: Option<Policy>,
}

pub(crate) fn run(options: &Options, out: &mut Out<'_>) -> Result<(), Failure> {
    let mut parsed = Parsed::default();
    let mut reports = Vec::new();
    for file in &options.files {
        let text = files::read(file)?;
        let kind = options.kind.unwrap_or_else(|| guess(&text));
        reports.push(check(file, &text, kind, &mut parsed));
    }
    if let (Parsed { node: Some(node), policy: Some(policy) }, Some(last)) =
        (&parsed, reports.last_mut())
    {
        last.misfits = misfits(policy, node);
    }
    print(&reports, out)?;
    if reports.iter().all(|report| report.accepted) { Ok(()) } else { Err(Failure::Reported) }
}

fn check<'a>(file: &'a Path, text: &str, kind: Kind, parsed: &mut Parsed) -> Report<'a> {
    let warnings = match kind {
        Kind::Node => files::node(file, text).map(|checked| {
            parsed.node = Some(checked.value);
            checked.warnings
        }),
        Kind::Witness => files::witness(file, text).map(|checked| checked.warnings),
        Kind::Policy => files::policy(file, text).map(|checked| {
            parsed.policy = Some(checked.value);
            checked.warnings
        }),
    };
    let accepted = warnings.is_ok();
    let diagnostics = warnings.unwrap_or_else(|errors| errors);
    Report { file, kind, accepted, diagnostics, misfits: Vec::new() }
}

fn print(reports: &[Report<'_>], out: &mut Out<'_>) -> Result<(), Failure> {
    if out.json() {
        return Ok(out.value(&reports)?);
    }
    for report in reports {
        out.bytes(render::diagnostics(&report.diagnostics).as_bytes())?;
        for misfit in &report.misfits {
            out.line(format!("warning: {misfit}\n"))?;
        }
        let verdict = if report.accepted { "good" } else { "refused" };
        let counted = render::counted(&report.diagnostics);
        let (file, kind) = (report.file.display(), report.kind.name());
        out.line(format!("{file}: {kind} {verdict}, {counted}"))?;
    }
    Ok(())
}

/// Words that a node file alone begins a section or a line with.
const NODE_WORDS: [&str; 8] =
    ["node", "port", "wire", "fabric", "vip", "cluster", "api", "metrics"];

/// The kind that the first telling line speaks for. Works for files that do not parse.
fn guess(text: &str) -> Kind {
    let kind = |line: &str| {
        let line = line.trim_start_matches(['[', ' ', '\t']);
        let word = line.split([']', '.', '=', ' ', '\t']).next().unwrap_or_default();
        match word {
            word if NODE_WORDS.contains(&word) => Some(Kind::Node),
            word if POLICY_SECTIONS.contains(&word) => Some(Kind::Policy),
            _ => None,
        }
    };
    text.lines().find_map(kind).unwrap_or(Kind::Policy)
}

#[cfg(test)]
mod tests {
    use super::{Kind, guess};

    #[test]
    fn tells_the_kinds_apart_even_when_they_do_not_parse() {
        assert_eq!(guess("# a comment\n[node]\nid = 1"), Kind::Node);
        assert_eq!(guess("[[port]]\nname = \"lan\""), Kind::Node);
        assert_eq!(guess("[ node ]\nid = = 1"), Kind::Node);
        assert_eq!(
            guess("[zones]\ntrust = [\"node\"]\n[services]\nnode = \"tcp/1\""),
            Kind::Policy
        );
        assert_eq!(guess("zones.trust = [\"lan\"]\n"), Kind::Policy);
        assert_eq!(guess("[[nat-pool]]\nname = \"x\"\n[node]"), Kind::Policy);
        assert_eq!(guess(""), Kind::Policy);
    }

    #[test]
    fn the_examples_are_what_they_are() {
        assert_eq!(guess(include_str!("../../../config/examples/node.toml")), Kind::Node);
        assert_eq!(guess(include_str!("../../../config/examples/policy.toml")), Kind::Policy);
    }
}
