//! Figures of a history of the policy: what was done, and whether one order explains it.

use std::fs;
use std::io;
use std::path::Path;

use cluster_core::limits::REVISIONS_KEPT;

use super::super::log::Error;
use super::Figures;
use crate::linear::parse::{Parsed, parse};
use crate::linear::{PolicyAnswer, PolicyCall, Verdict};

impl Figures {
    /// The history in `history.log`, if there is one, and `verdict.txt` beside it.
    pub(super) fn history(&mut self, folder: &Path) -> Result<(), Error> {
        let path = folder.join("history.log");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::File { path, error }),
        };
        let history = match parse(&text) {
            Ok(history) => history,
            Err(no) => return Err(Error::Line { path, number: no.line, text: no.to_string() }),
        };
        let Parsed::Policy(operations) = &history else { return Ok(()) };
        let answers = || operations.operations().iter().map(|it| (&it.call, &it.answered));
        let count = |what: fn(&PolicyCall, Option<&PolicyAnswer>) -> bool| {
            let fits = answers().filter(|(call, answer)| {
                what(call, answer.as_ref().map(|answered| &answered.answer))
            });
            Some(fits.count() as u64)
        };
        self.operations = count(|_, it| it.is_some_and(|it| *it != PolicyAnswer::Refused));
        self.reads = count(|call, it| *call == PolicyCall::Read && it.is_some());
        self.refused = count(|_, it| it == Some(&PolicyAnswer::Refused));
        self.unanswered = count(|call, it| *call != PolicyCall::Read && it.is_none());
        let verdict = history.check(REVISIONS_KEPT);
        let told = match &verdict {
            Verdict::Linearizable => "linearizable".to_owned(),
            Verdict::Violation(violation) => violation.to_string(),
            Verdict::Undecided { configurations } => format!("undecided after {configurations}"),
        };
        self.linearizable = Some(verdict == Verdict::Linearizable);
        super::super::log::write(folder, "verdict.txt", [told])
    }
}
