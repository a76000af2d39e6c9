//! Destinations whose SYNs are answered with cookies, in their place: the slow twin of the XDP program's
//! list. Each has an end, so that a detector that is gone guards nobody for ever.

use wire::Time;
use wire::cookie::{Context, Key};

use super::timed::Timed;
use crate::limits::{COOKIE_GRACE, GUARD_SETS, GUARD_WAYS};

/// Who is guarded, and with what.
pub(super) struct Guards {
    /// The MSS that is announced for each.
    announced: Timed<u16, GUARD_SETS, GUARD_WAYS>,
    /// What cookies are made and checked with now.
    pub(super) context: Context,
}

impl Guards {
    pub(super) fn new(key: Key, slot: u32) -> Self {
        Self { announced: Timed::new(), context: Context { key, slot } }
    }

    /// Whether no cookie can be good.
    #[inline]
    pub(super) fn is_empty(&self, now: Time) -> bool {
        let last_end = self.announced.last_end();
        last_end == Time::ZERO || last_end + COOKIE_GRACE <= now
    }

    /// The MSS that is announced for the destination with this hash, if its SYNs are answered.
    #[inline]
    pub(super) fn announces(&self, hash: u64, now: Time) -> Option<u16> {
        self.announced.live(hash, now)
    }

    /// Whether SYNs to it are, or were lately: then an ACK may have a cookie.
    #[inline]
    pub(super) fn accepts(&self, hash: u64, now: Time) -> bool {
        self.announced.get(hash).is_some_and(|guard| guard.until + COOKIE_GRACE > now)
    }

    /// Has the SYNs to a destination answered until then, by an MSS; of one that is guarded already this is
    /// the end from now on.
    pub(super) fn guard(&mut self, hash: u64, mss: u16, until: Time) {
        self.announced.set(hash, mss, until);
    }

    /// Nobody is guarded, and no cookie is good.
    pub(super) fn clear(&mut self) {
        self.announced.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Time {
        Time::from_secs(secs)
    }

    #[test]
    fn a_guard_ends_and_its_cookies_are_good_for_a_while() {
        let mut guards = Guards::new(Key::new([1, 2]), 0);
        assert!(guards.is_empty(at(1)));
        guards.guard(1 << 40, 1_460, at(10));
        assert_eq!(guards.announces(1 << 40, at(9)), Some(1_460));
        assert_eq!(guards.announces(2 << 40, at(9)), None, "another one of the same set");
        assert_eq!(guards.announces(1 << 40, at(10)), None);
        let last = at(10) + COOKIE_GRACE;
        assert!(guards.accepts(1 << 40, Time(last.0 - 1)) && !guards.accepts(1 << 40, last));
        assert!(!guards.is_empty(Time(last.0 - 1)) && guards.is_empty(last));
        guards.guard(1 << 40, 1_400, at(30));
        assert_eq!(guards.announces(1 << 40, at(29)), Some(1_400));
        guards.clear();
        assert!(guards.is_empty(at(9)) && guards.announces(1 << 40, at(9)).is_none());
    }

    #[test]
    fn in_a_full_set_the_guard_that_ends_first_gives_way() {
        let mut guards = Guards::new(Key::new([1, 2]), 0);
        let last = GUARD_WAYS as u64 + 1;
        (1..=last).for_each(|it| guards.guard(it << 40, 1_460, at(100 + it)));
        assert_eq!(guards.announces(1 << 40, at(1)), None);
        assert!((2..=last).all(|it| guards.announces(it << 40, at(1)).is_some()));
    }
}
