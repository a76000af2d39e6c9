//! `compare`: how two policies differ, rule by rule.

use clap::Args;
use config::api::{self, CompareRequest, Comparison};

use crate::daemon::Daemon;
use crate::failure::Failure;
use crate::out::Out;
use crate::render::revision;

#[derive(Args, Debug)]
#[command(after_help = "\
A line tells what came (+), went (-), is different (~) or moved (>). Of long lists the first members are \
named and the others counted. `ringwall history` lists the epochs; 0 is before the first, when nothing \
passes.")]
pub(crate) struct Options {
    #[command(flatten)]
    daemon: Daemon,
    /// Epoch of the one; the one before the present otherwise
    #[arg(value_name = "N")]
    from: Option<u64>,
    /// Epoch of the other; the present one otherwise
    #[arg(value_name = "M")]
    to: Option<u64>,
}

pub(crate) fn run(options: &Options, out: &mut Out<'_>) -> Result<(), Failure> {
    let request = CompareRequest { from: options.from, to: options.to };
    let comparison = options.daemon.client()?.post(api::COMPARE, &request)?;
    print(&comparison, out)
}

fn print(comparison: &Comparison, out: &mut Out<'_>) -> Result<(), Failure> {
    if out.json() {
        return Ok(out.value(comparison)?);
    }
    let Comparison { from, to, count, changes } = comparison;
    out.line(format!("from {}", revision(from)))?;
    out.line(format!("to   {}", revision(to)))?;
    for change in changes {
        out.line(change.to_string())?;
    }
    let more = count - changes.len().min(*count);
    if more > 0 {
        out.line(format!("… and {more} more changes"))?;
    }
    if *count == 0 { Ok(out.line("they do not differ")?) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::print;
    use crate::out::Out;
    use config::api::{Comparison, Revision};
    use config::{Change, Difference, FieldChange};

    fn printed(comparison: &Comparison) -> String {
        let mut bytes = Vec::new();
        print(comparison, &mut Out::to(&mut bytes, false)).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn says_between_what_and_what_is_different() {
        let value = Difference::Value { old: "permit".to_owned(), new: "deny".to_owned() };
        let field = FieldChange { field: "action".to_owned(), difference: value };
        let to = Revision {
            epoch: 5,
            in_force: true,
            author: Some("ada".to_owned()),
            committed_unix_seconds: Some(1_700_000_000),
            comment: Some("less".to_owned()),
            ..Revision::default()
        };
        let mut comparison = Comparison {
            from: Revision { epoch: 4, ..Revision::default() },
            to,
            count: 13,
            changes: vec![
                Change::RuleChanged { rule: "web".to_owned(), fields: vec![field] },
                Change::ZoneRemoved { zone: "dmz".to_owned() },
            ],
        };
        let heads = "from epoch 4\nto   epoch 5, in force, 2023-11-14 22:13:20Z, ada, \"less\"\n";
        let lines = "~ rule web\n    action: permit → deny\n- zone dmz\n";
        let told = printed(&comparison);
        assert_eq!(told, format!("{heads}{lines}… and 11 more changes\n"));
        (comparison.count, comparison.changes) = (0, Vec::new());
        assert_eq!(printed(&comparison), format!("{heads}they do not differ\n"));
    }
}
