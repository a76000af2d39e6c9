//! `confirm`: keeps the policy that is on trial.

use clap::Args;
use config::api::{self, ConfirmRequest, Confirmed};

use crate::failure::Failure;
use crate::insist::Insistence;
use crate::out::Out;
use crate::settled::{self, Settled};

#[derive(Args, Debug)]
#[command(after_help = "\
Exit status: 0 it stays, 1 refused or failed, 2 usage, 3 it stays, but a node did not say in time that it \
knows, 4 not known: ask again with --request.")]
pub(crate) struct Options {
    #[command(flatten)]
    insistence: Insistence,
    /// Its epoch: another one on trial is not confirmed
    epoch: Option<u64>,
}

pub(crate) fn run(options: &Options, out: &mut Out<'_>) -> Result<(), Failure> {
    let request = |request| ConfirmRequest { epoch: options.epoch, request: Some(request) };
    let confirmed: Confirmed = options.insistence.post(api::CONFIRM, request)?;
    print(&confirmed, out)
}

fn print(confirmed: &Confirmed, out: &mut Out<'_>) -> Result<(), Failure> {
    let Confirmed { epoch, took_milliseconds, excused, missing } = confirmed;
    if out.json() {
        out.value(confirmed)?;
    } else {
        let settled = Settled { took_milliseconds: *took_milliseconds, excused, missing };
        settled.tell(&format!("epoch {epoch} stays in force"), out)?;
    }
    settled::judge(missing, "may go back alone when the trial ends")
}

#[cfg(test)]
mod tests {
    use config::api::{Confirmed, Excused};

    use super::print;
    use crate::failure::Failure;
    use crate::out::Out;

    fn printed(confirmed: &Confirmed) -> (String, Result<(), Failure>) {
        let mut bytes = Vec::new();
        let done = print(confirmed, &mut Out::to(&mut bytes, false));
        (String::from_utf8(bytes).unwrap(), done)
    }

    #[test]
    fn says_what_stays_and_who_does_not_know() {
        let all = Confirmed { epoch: 7, took_milliseconds: 12, ..Confirmed::default() };
        let (told, done) = printed(&all);
        assert_eq!(told, "epoch 7 stays in force on every node (12 ms)\n");
        done.unwrap();
        let excused = vec![Excused { node: 3, why: "it is down".to_owned() }];
        let (told, done) = printed(&Confirmed { excused, missing: vec![2], ..all });
        let lines = "epoch 7 stays in force (12 ms)\nnode 3 was not waited for: it is down\n";
        assert_eq!(told, lines);
        let Err(Failure::Missing { nodes, may }) = done else { panic!("{done:?}") };
        assert_eq!(nodes, [2]);
        assert!(may.contains("go back"), "{may}");
    }
}
