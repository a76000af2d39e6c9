//! Which of the 4,096 slots a packet belongs to.
//!
//! `slot = SipHash-1-3(secret, placement key) mod 4096`. SipHash takes the two 64-bit halves of the
//! secret as k0 and k1 and the placement key as its message, without a length prefix of its own.
//! The placement key is, by the packet:
//!
//! | packet | bytes of the placement key |
//! |---|---|
//! | of a flow | the 40 bytes of the flow key ([`crate::key`]) |
//! | a fragment | the 40 bytes of the fragment key ([`crate::key`]) |
//! | under an endpoint-independent rule | 24 bytes, below |
//!
//! The 24 bytes of an inside endpoint: address (16, IPv4 as IPv4-mapped), port (2), zero (2), domain
//! (2), protocol (1), `0x24` or `0x26` (1).
//!
//! The last byte tells the three apart.
//!
//! **Ports of translated sources** say their slot themselves: `port = 1024 + 15 · slot + i`, `i < 15`. So an
//! answer to a pool's address needs no table to find who owns it.
use core::fmt;
use core::net::IpAddr;

use crate::key::{KEY_LEN, mapped};
use crate::{FlowKey, FragmentKey, Protocol};

/// How many slots there are.
pub const SLOTS: u16 = 4096;
/// The first port that a translated source may have: what is below belongs to services.
pub const FIRST_PORT: u16 = 1024;
/// Ports of each slot; above them are the host's own, from 62,464 on.
pub const PORTS_PER_SLOT: u16 = 15;
/// Bytes of the placement key of an endpoint.
pub const ENDPOINT_LEN: usize = 24;
/// In the last byte of a placement key, added to the version: an endpoint's.
pub const ENDPOINT_TAG: u8 = 0x20;

/// What decides where a packet is placed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PlacementKey {
    bytes: [u8; KEY_LEN],
    len: u8,
}

impl PlacementKey {
    /// The placement of a flow: both directions.
    #[inline]
    pub const fn of_flow(key: &FlowKey) -> Self {
        Self { bytes: *key.as_bytes(), len: KEY_LEN as u8 }
    }

    /// The placement of fragments.
    #[inline]
    pub const fn of_fragment(key: &FragmentKey) -> Self {
        Self { bytes: *key.as_bytes(), len: KEY_LEN as u8 }
    }

    /// The placement of every flow of one inside endpoint.
    pub fn of_endpoint(domain: u16, protocol: Protocol, endpoint: (IpAddr, u16)) -> Self {
        let mut bytes = [0; KEY_LEN];
        bytes[..16].copy_from_slice(&mapped(endpoint.0).to_be_bytes());
        bytes[16..18].copy_from_slice(&endpoint.1.to_be_bytes());
        bytes[20..22].copy_from_slice(&domain.to_be_bytes());
        bytes[22] = protocol.0;
        bytes[23] = ENDPOINT_TAG | if endpoint.0.is_ipv4() { 4 } else { 6 };
        Self { bytes, len: ENDPOINT_LEN as u8 }
    }

    /// The bytes that are hashed.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Debug for PlacementKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlacementKey(")?;
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// A share of the key space: below [`SLOTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u16);

/// The slot of a placement key under the cluster's secret.
#[inline]
pub fn slot(secret: [u64; 2], key: &PlacementKey) -> Slot {
    let (words, _) = key.as_bytes().as_chunks();
    Slot((siphash13(secret, words) % u64::from(SLOTS)) as u16)
}

/// [`slot`] of [`PlacementKey::of_flow`].
#[inline]
pub fn slot_of_flow(secret: [u64; 2], key: &FlowKey) -> Slot {
    let (words, _) = key.as_bytes().as_chunks();
    Slot((siphash13(secret, words) % u64::from(SLOTS)) as u16)
}

/// SipHash-1-3 (Aumasson and Bernstein, 2012) of whole words, which all placement keys are. Each first packet
/// of a translated flow needs it: without the general hasher's bytes left over it is a third shorter.
#[inline(never)]
fn siphash13([k0, k1]: [u64; 2], words: &[[u8; 8]]) -> u64 {
    let mut state = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    for word in words {
        state = sip_word(state, u64::from_le_bytes(*word));
    }
    state = sip_word(state, (words.len() as u64 * 8) << 56);
    state[2] ^= 0xff;
    state = sip_round(sip_round(sip_round(state)));
    state[0] ^ state[1] ^ state[2] ^ state[3]
}

#[inline(always)]
const fn sip_word([a, b, c, d]: [u64; 4], word: u64) -> [u64; 4] {
    let [a, b, c, d] = sip_round([a, b, c, d ^ word]);
    [a ^ word, b, c, d]
}

#[inline(always)]
const fn sip_round([mut a, mut b, mut c, mut d]: [u64; 4]) -> [u64; 4] {
    a = a.wrapping_add(b);
    c = c.wrapping_add(d);
    b = b.rotate_left(13) ^ a;
    d = d.rotate_left(16) ^ c;
    a = a.rotate_left(32).wrapping_add(d);
    c = c.wrapping_add(b);
    b = b.rotate_left(17) ^ c;
    d = d.rotate_left(21) ^ a;
    [a, b, c.rotate_left(32), d]
}

/// The first of a slot's ports.
#[inline]
pub const fn first_port_of(slot: Slot) -> u16 {
    FIRST_PORT + slot.0 * PORTS_PER_SLOT
}

/// The slot whose port this is; `None` if it is the host's, or a service's.
#[inline]
pub const fn slot_of_port(port: u16) -> Option<Slot> {
    match port.checked_sub(FIRST_PORT) {
        Some(place) if place / PORTS_PER_SLOT < SLOTS => Some(Slot(place / PORTS_PER_SLOT)),
        Some(_) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use core::hash::Hasher;

    use proptest::prelude::*;
    use siphasher::sip::SipHasher13;

    use super::siphash13;

    proptest! {
        #[test]
        fn it_is_the_hash_of_the_general_hasher(
            secret in any::<[u64; 2]>(),
            words in prop::collection::vec(any::<[u8; 8]>(), 0..7),
        ) {
            let mut twin = SipHasher13::new_with_keys(secret[0], secret[1]);
            twin.write(words.as_flattened());
            prop_assert_eq!(siphash13(secret, &words), twin.finish());
        }
    }
}
