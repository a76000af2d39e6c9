//! What an IP header carries beyond the plain one.
use core::fmt;
use core::ops::{BitOr, BitOrAssign};

/// A set of findings about the IP header and its options or extension headers.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Options(pub u16);

impl Options {
    /// Nothing found.
    pub const NONE: Self = Self(0);
    /// IPv4: the header is longer than 20 bytes.
    pub const IPV4_OPTIONS: Self = Self(1);
    /// IPv4: loose or strict source route (RFC 791 §3.1).
    pub const SOURCE_ROUTE: Self = Self(1 << 1);
    /// IPv4: record route.
    pub const RECORD_ROUTE: Self = Self(1 << 2);
    /// IPv4: Internet timestamp.
    pub const TIMESTAMP: Self = Self(1 << 3);
    /// Router alert (RFC 2113, RFC 2711).
    pub const ROUTER_ALERT: Self = Self(1 << 4);
    /// IPv6: hop-by-hop options header.
    pub const HOP_BY_HOP: Self = Self(1 << 5);
    /// IPv6: routing header of any type.
    pub const ROUTING: Self = Self(1 << 6);
    /// IPv6: routing header of type 0 (RFC 5095: to be dropped).
    pub const ROUTING_0: Self = Self(1 << 7);
    /// IPv6: a routing header has segments left, so the destination field is not the final
    /// destination.
    pub const SEGMENTS_LEFT: Self = Self(1 << 8);
    /// IPv6: destination options header.
    pub const DESTINATION_OPTIONS: Self = Self(1 << 9);
    /// IPsec authentication header: passed over in IPv6, the protocol itself in IPv4.
    pub const AH: Self = Self(1 << 10);
    /// IPv6: a fragment header that makes no fragment (offset 0, no more fragments; RFC 6946).
    pub const ATOMIC_FRAGMENT: Self = Self(1 << 11);
    /// IPv4: don't-fragment bit.
    pub const DONT_FRAGMENT: Self = Self(1 << 12);
    /// IPv4: the reserved bit of the flags is set (RFC 791: must be zero).
    pub const RESERVED_FLAG: Self = Self(1 << 13);
    /// IPv4: security (RFC 1108).
    pub const SECURITY: Self = Self(1 << 14);
    /// IPv4: stream identifier (RFC 791 §3.1, obsolete: RFC 6814).
    pub const STREAM: Self = Self(1 << 15);

    const NAMES: [(Self, &'static str); 16] = [
        (Self::IPV4_OPTIONS, "ipv4-options"),
        (Self::SOURCE_ROUTE, "source-route"),
        (Self::RECORD_ROUTE, "record-route"),
        (Self::TIMESTAMP, "timestamp"),
        (Self::ROUTER_ALERT, "router-alert"),
        (Self::HOP_BY_HOP, "hop-by-hop"),
        (Self::ROUTING, "routing"),
        (Self::ROUTING_0, "routing-0"),
        (Self::SEGMENTS_LEFT, "segments-left"),
        (Self::DESTINATION_OPTIONS, "destination-options"),
        (Self::AH, "ah"),
        (Self::ATOMIC_FRAGMENT, "atomic-fragment"),
        (Self::DONT_FRAGMENT, "dont-fragment"),
        (Self::RESERVED_FLAG, "reserved-flag"),
        (Self::SECURITY, "security"),
        (Self::STREAM, "stream"),
    ];

    /// Whether all of `other` is in the set.
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` is in the set.
    #[inline]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether the set is empty.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Adds all of `other`.
    #[inline]
    pub const fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl BitOr for Options {
    type Output = Self;

    #[inline]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Options {
    #[inline]
    fn bitor_assign(&mut self, other: Self) {
        self.insert(other);
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = Self::NAMES.iter().filter(|(bit, _)| self.contains(*bit));
        f.debug_set().entries(found.map(|(_, name)| name)).finish()
    }
}
