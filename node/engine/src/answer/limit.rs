//! How many answers may leave: a bucket for all, and one per source so that a single scanner cannot
//! use up what the others need.

use std::hash::BuildHasher;
use std::net::IpAddr;

use wire::Time;

use crate::keyed::Keyed;
use crate::limits::{
    ANSWER_SOURCES, ANSWERS_BURST, ANSWERS_PER_SECOND, ANSWERS_PER_SOURCE, ANSWERS_SOURCE_BURST,
};

/// Token buckets for answers. Asking ([`Limiter::permits`]) and taking ([`Limiter::spend`]) are
/// apart, so that a packet can be judged without a change of state.
///
/// What an answer takes from the bucket for all is drawn at random around one token: with exact
/// counts a blind sender could see from its own share how many answers others got, and find open
/// ports so (CVE-2020-25705).
#[derive(Debug)]
pub struct Limiter {
    rates: Rates,
    all: Bucket,
    sources: Box<[Bucket]>, // a power of two; sources share a bucket by hash
    keyed: Keyed,
    noise: u64,
}

impl Limiter {
    /// Full buckets. `seed` keys the hash of sources and the noise.
    pub fn new(rates: Rates, seed: u64) -> Self {
        Self {
            rates,
            all: Bucket::default(),
            sources: vec![Bucket::default(); ANSWER_SOURCES].into(),
            keyed: Keyed::new(seed),
            noise: seed | 1, // xorshift stays at 0 for ever
        }
    }

    /// Whether an answer to `towards` may leave now.
    pub fn permits(&self, towards: IpAddr, now: Time) -> bool {
        self.all.permits(self.rates.all, now)
            && self.sources[self.place(towards)].permits(self.rates.per_source, now)
    }

    /// Takes what an answer to `towards` costs.
    pub fn spend(&mut self, towards: IpAddr, now: Time) {
        let place = self.place(towards);
        let cost = self.rates.per_source.interval();
        self.sources[place].spend(cost, now);
        let cost = self.around(self.rates.all.interval());
        self.all.spend(cost, now);
    }

    /// Takes what an answer costs if it may leave; whether it may.
    pub fn allow(&mut self, towards: IpAddr, now: Time) -> bool {
        let permitted = self.permits(towards, now);
        if permitted {
            self.spend(towards, now);
        }
        permitted
    }

    /// The bucket of a source: an IPv4 address, or the /64 of an IPv6 address, since a host can use
    /// all of it.
    fn place(&self, towards: IpAddr) -> usize {
        let hash = match towards {
            IpAddr::V4(address) => self.keyed.hash_one(address.to_bits()),
            IpAddr::V6(address) => self.keyed.hash_one((address.to_bits() >> 64) as u64),
        };
        hash as usize & (self.sources.len() - 1)
    }

    /// Half to one and a half of `interval`, evenly.
    fn around(&mut self, interval: u64) -> u64 {
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 7;
        self.noise ^= self.noise << 17;
        interval / 2 + self.noise % interval.max(1)
    }
}

/// The two rates of a [`Limiter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// All answers of this engine.
    pub all: Rate,
    /// Answers to one source.
    pub per_source: Rate,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            all: Rate { per_second: ANSWERS_PER_SECOND, burst: ANSWERS_BURST },
            per_source: Rate { per_second: ANSWERS_PER_SOURCE, burst: ANSWERS_SOURCE_BURST },
        }
    }
}

/// A token bucket's size and filling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Tokens a second; 0 is never.
    pub per_second: u32,
    /// Tokens at most; 0 is never.
    pub burst: u32,
}

impl Rate {
    /// Nanoseconds of one token.
    const fn interval(self) -> u64 {
        if self.per_second == 0 { 0 } else { 1_000_000_000 / self.per_second as u64 }
    }
}

/// A token bucket as one number: the time at which it will be full again (the generic cell rate
/// algorithm, ITU-T I.371).
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    full_at: u64,
}

impl Bucket {
    fn permits(self, rate: Rate, now: Time) -> bool {
        let Some(others) = rate.burst.checked_sub(1) else { return false };
        let room = rate.interval().saturating_mul(u64::from(others));
        rate.per_second != 0 && self.full_at <= now.0.saturating_add(room)
    }

    fn spend(&mut self, cost: u64, now: Time) {
        self.full_at = self.full_at.max(now.0).saturating_add(cost);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_source_has_its_burst_and_then_its_rate() {
        let mut limiter = Limiter::new(Rates::default(), 7);
        let mut now = Time::from_secs(100);
        assert_eq!(burst(&mut limiter, now, |_| host(1)), ANSWERS_SOURCE_BURST as usize);
        now = now + Duration::from_millis(9);
        assert!(!limiter.allow(host(1), now));
        now = now + Duration::from_millis(1); // 100 a second: one in 10 ms
        assert!(limiter.allow(host(1), now));
        assert!(!limiter.allow(host(1), now));
        assert!(limiter.allow(host(2), now), "another source is not affected");
    }

    #[test]
    fn all_sources_together_have_a_burst_around_the_limit() {
        let limit = ANSWERS_BURST as usize;
        let seen: Vec<usize> = (0..50)
            .map(|seed| {
                let mut limiter = Limiter::new(Rates::default(), seed);
                burst(&mut limiter, Time::from_secs(100), host)
            })
            .collect();
        assert!(seen.iter().all(|&n| n > limit * 3 / 4 && n < limit * 5 / 4), "{seen:?}");
        assert!(seen.iter().any(|&n| n != seen[0]), "a blind sender must not be able to count");
    }

    #[test]
    fn all_sources_together_keep_the_rate_over_time() {
        let mut limiter = Limiter::new(Rates::default(), 7);
        let mut sent = 0;
        for step in 0..1_000_000_u32 {
            let now = Time::from_micros(u64::from(step) * 10); // ten seconds
            sent += i64::from(limiter.allow(host(step % 60_000), now));
        }
        let want = i64::from(ANSWERS_PER_SECOND) * 10;
        assert!((sent - want).abs() < want / 20, "{sent}");
    }

    #[test]
    fn asking_takes_nothing() {
        let mut limiter = Limiter::new(Rates::default(), 7);
        for _ in 0..1_000 {
            assert!(limiter.permits(host(1), Time::ZERO));
        }
        limiter.spend(host(1), Time::ZERO);
        assert_eq!(burst(&mut limiter, Time::ZERO, |_| host(1)), ANSWERS_SOURCE_BURST as usize - 1);
    }

    #[test]
    fn a_network_of_64_bits_is_one_source() {
        let mut limiter = Limiter::new(Rates::default(), 7);
        let host = |n: u32| IpAddr::from(((0x2001_0db8_u128 << 96) + u128::from(n)).to_be_bytes());
        assert_eq!(burst(&mut limiter, Time::ZERO, host), ANSWERS_SOURCE_BURST as usize);
    }

    #[test]
    fn a_rate_or_burst_of_zero_is_never() {
        let rates = Rates::default();
        for zero in [Rate { per_second: 0, burst: 5 }, Rate { per_second: 5, burst: 0 }] {
            assert!(!Limiter::new(Rates { all: zero, ..rates }, 7).allow(host(1), Time::MAX));
            assert!(
                !Limiter::new(Rates { per_source: zero, ..rates }, 7).allow(host(1), Time::MAX)
            );
        }
    }

    fn burst(limiter: &mut Limiter, now: Time, to: impl Fn(u32) -> IpAddr) -> usize {
        (0..1_000).filter(|&n| limiter.allow(to(n), now)).count()
    }

    fn host(n: u32) -> IpAddr {
        Ipv4Addr::from(0x0a00_0000 + n).into()
    }
}
