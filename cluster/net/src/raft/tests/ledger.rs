//! A replicated machine whose answers tell whether anything was lost, doubled or turned around.

use std::collections::BTreeMap;

use bytes::Bytes;
use cluster_core::policy::{Malformed, Replicated};

/// Which requests were applied, and where first. A request that comes again changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ledger {
    pub(super) requests: BTreeMap<u64, u64>,
    /// Bytes of all commands; a snapshot has as many beside the requests.
    pub(super) weight: u64,
}

/// A request with its number, and so many bytes behind it.
pub(super) fn request(number: u64, padding: usize) -> Bytes {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.resize(8 + padding, 0xa5);
    Bytes::from(bytes)
}

impl Replicated for Ledger {
    type Command = u64;
    type Outcome = u64;

    fn apply(&mut self, index: u64, command: &[u8]) -> Vec<u8> {
        let Some(number) = command.first_chunk() else { return b"malformed".to_vec() };
        self.weight += command.len() as u64;
        let at = *self.requests.entry(u64::from_be_bytes(*number)).or_insert(index);
        at.to_be_bytes().to_vec()
    }

    fn snapshot(&self) -> Vec<u8> {
        let mut bytes = self.weight.to_be_bytes().to_vec();
        bytes.extend((self.requests.len() as u64).to_be_bytes());
        for (number, index) in &self.requests {
            bytes.extend(number.to_be_bytes());
            bytes.extend(index.to_be_bytes());
        }
        bytes.resize(bytes.len() + self.weight as usize, 0x5a);
        bytes
    }

    fn restore(bytes: &[u8]) -> Result<Self, Malformed> {
        let (weight, rest) = bytes.split_first_chunk().ok_or(Malformed::Truncated)?;
        let weight = u64::from_be_bytes(*weight);
        let (count, rest) = rest.split_first_chunk().ok_or(Malformed::Truncated)?;
        let pairs =
            16 * usize::try_from(u64::from_be_bytes(*count)).map_err(|_| Malformed::Value)?;
        let (pairs, filler) = rest.split_at_checked(pairs).ok_or(Malformed::Truncated)?;
        if filler.len() as u64 != weight {
            return Err(Malformed::Incoherent);
        }
        let half = |pair: &[u8], at: usize| {
            u64::from_be_bytes(pair[at..at + 8].try_into().expect("eight bytes"))
        };
        let requests = pairs.chunks(16).map(|pair| (half(pair, 0), half(pair, 8))).collect();
        Ok(Self { requests, weight })
    }
}

#[test]
fn a_snapshot_gives_the_same_ledger() {
    let mut ledger = Ledger::default();
    for number in 0..10 {
        ledger.apply(number + 5, &request(number % 7, 3));
    }
    assert_eq!(Ledger::restore(&ledger.snapshot()), Ok(ledger));
    assert_eq!(Ledger::restore(&[1, 2, 3]), Err(Malformed::Truncated));
}
