//! `show screens`.

use config::api::{self, ScreenBaseline, Screening};

use crate::daemon::Daemon;
use crate::failure::Failure;
use crate::out::Out;
use crate::table::{Table, or_none};

pub(super) fn run(daemon: &Daemon, out: &mut Out<'_>) -> Result<(), Failure> {
    let it: Screening = daemon.client()?.get(api::SCREENS)?;
    if out.json() {
        return Ok(out.value(&it)?);
    }
    if !it.screening {
        return Ok(out.line("no zone has a screen")?);
    }
    let mut kinds = Table::new(&["ATTACK", "GO ON", "BEGUN"]);
    for kind in &it.kinds {
        kinds.row([kind.kind.clone(), kind.live.to_string(), kind.begun.to_string()]);
    }
    kinds.print("no attack so far", out)?;
    out.line(format!(
        "sources blocked: {} now, {} in all; rates held down: {}; destinations guarded: {}",
        it.blocked, it.blocks, it.curbs, it.guarded
    ))?;
    out.line(format!("noted by workers: {}, of which {} rows gave way", it.noted, it.evicted))?;
    out.line(format!(
        "digests: {} made, {} taken, {} refused, {} lost",
        it.digests_made, it.digests_taken, it.digests_refused, it.digests_lost
    ))?;
    let mut baselines = Table::new(&["ZONE", "PREFIX", "LEARNED", "HOURS", "EXPECTED IN A MINUTE"]);
    it.baselines.iter().for_each(|it| baselines.row(row(it)));
    Ok(baselines.print("no zone has a baseline", out)?)
}

fn row(it: &ScreenBaseline) -> [String; 5] {
    let expected = it.expected.iter().map(|(feature, value)| format!("{feature} {value:.1}"));
    [
        it.zone.clone(),
        or_none(it.prefix.as_deref()),
        if it.learned < 1.0 { format!("{:.0} %", it.learned * 100.0) } else { "ready".to_owned() },
        it.hours.to_string(),
        expected.collect::<Vec<_>>().join(", "),
    ]
}
