//! A keyed hash for maps by identity, which a peer's messages name.

use core::hash::BuildHasher;

use siphasher::sip::SipHasher13;

/// Makes hashers keyed by a seed; equal seeds give equal hashes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keyed(u64);

impl Keyed {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }
}

impl BuildHasher for Keyed {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.0, 0)
    }
}
