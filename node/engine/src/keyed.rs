//! A keyed hash for the maps whose keys the network chooses (neighbours, packets held for them,
//! answer buckets). The seed comes from the driver: a sender that cannot guess it cannot make keys
//! collide, and a run with the same seed is the same run.

use std::hash::BuildHasher;

use rapidhash::quality::SeedableState;
use rapidhash::v3::RapidSecrets;

/// Makes hashers keyed by a seed; equal seeds give equal hashes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keyed(SeedableState<'static>);

impl Keyed {
    pub(crate) fn new(seed: u64) -> Self {
        // `custom` takes its seed as it comes; `RapidSecrets::seed` spreads a small one first.
        Self(SeedableState::custom(RapidSecrets::seed(seed).seed, &SECRETS.secrets))
    }
}

impl BuildHasher for Keyed {
    type Hasher = <SeedableState<'static> as BuildHasher>::Hasher;

    fn build_hasher(&self) -> Self::Hasher {
        self.0.build_hasher()
    }
}

/// Constants of the mixing function, not a key: the seed is the key.
static SECRETS: RapidSecrets = RapidSecrets::seed(0x7269_6e67_7761_6c6c);
