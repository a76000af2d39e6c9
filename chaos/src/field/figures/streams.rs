//! Figures of the UDP streams.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

use super::super::log::{self, Error, Nanos, NotALine, Receipt};
use super::{Figures, greatest, millis};

/// A line of `stream-N.refused`; how many there are is enough.
struct Refused;

impl FromStr for Refused {
    type Err = NotALine;

    fn from_str(line: &str) -> Result<Self, NotALine> {
        let [number, _] = log::words(line)?;
        log::parsed::<u64>(number).map(|_| Self)
    }
}

/// A line of `sockets.log`.
struct Dropped(u64);

impl FromStr for Dropped {
    type Err = NotALine;

    fn from_str(line: &str) -> Result<Self, NotALine> {
        let [_, dropped] = log::words(line)?;
        Ok(Self(log::parsed(dropped)?))
    }
}

/// Time between two successive events, milliseconds, and when it began.
type Gap = (f64, Nanos);

impl Figures {
    pub(super) fn streams(&mut self, folder: &Path) -> Result<(), Error> {
        for stream in 0.. {
            let Some(sent) = log::read(folder, &format!("stream-{stream}.sent"))? else { break };
            let received = log::read(folder, &format!("stream-{stream}.received"))?;
            let received: Vec<Receipt> = received.unwrap_or_default();
            self.counts(&sent, &received);
            self.gaps(&sent, received);
            let refused = log::read::<Refused>(folder, &format!("stream-{stream}.refused"))?;
            self.lost_unsent += refused.map_or(0, |lines| lines.len()) as u64;
        }
        let dropped = log::read(folder, "sockets.log")?;
        self.lost_at_socket = dropped.iter().flatten().map(|Dropped(count)| count).sum();
        Ok(())
    }

    fn counts(&mut self, sent: &[Receipt], received: &[Receipt]) {
        let mut times = BTreeMap::new();
        for receipt in received {
            *times.entry(receipt.number).or_insert(0_u64) += 1;
        }
        self.sent += sent.len() as u64;
        self.lost += sent.iter().filter(|it| !times.contains_key(&it.number)).count() as u64;
        self.repeated += times.values().map(|count| count - 1).sum::<u64>();
    }

    fn gaps(&mut self, sent: &[Receipt], received: Vec<Receipt>) {
        let mut receipts: Vec<Nanos> = received.into_iter().map(|it| it.at).collect();
        receipts.sort_unstable();
        let sendings: Vec<Nanos> = sent.iter().map(|it| it.at).collect();
        // What was sent last should be received then; what never came back has a gap until there.
        let last = sendings.last().copied();
        if receipts.last() < last.as_ref() {
            receipts.extend(last);
        }
        // A stream of which nothing came at all.
        if receipts.len() == 1 {
            receipts.splice(..0, sendings.first().copied());
        }
        let fault = self.fault.unwrap_or(0);
        let worst = |times: &[Nanos]| {
            let after = |pair: &&[Nanos]| pair[1] >= fault;
            times.windows(2).filter(after).map(gap).max_by(|a, b| a.0.total_cmp(&b.0))
        };
        if let Some((gap, from)) = worst(&receipts)
            && self.gap_ms.is_none_or(|so_far| gap > so_far)
        {
            (self.gap_ms, self.gap_from) = (Some(gap), Some(from));
        }
        let pause = worst(&sendings).map(|(pause, _)| pause);
        self.send_pause_ms = greatest(self.send_pause_ms.into_iter().chain(pause));
        let before = receipts.windows(2).filter(|pair| pair[1] < fault).map(|pair| gap(pair).0);
        self.gap_before_ms = greatest(before.chain(self.gap_before_ms));
    }
}

fn gap(pair: &[Nanos]) -> Gap {
    (millis(pair[0], pair[1]), pair[0])
}
