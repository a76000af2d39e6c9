//! Names and numbers that both ends of a connection must agree on.

use quinn::{ConnectionError, VarInt};

use crate::Counter;

/// Versions of the protocol that this build speaks, newest first: its own and the one before, so that
/// a cluster is upgraded node by node. There is none before the first.
pub const VERSIONS: &[u16] = &[1];

/// What a connection is for. Each has a congestion window of its own, so that bulk does not stand in
/// the way of what is urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Datagrams and the control stream.
    Live,
    /// Bulk blocks.
    Bulk,
    /// Questions of who called.
    Calls,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Live, Self::Bulk, Self::Calls];

    const fn prefix(self) -> &'static str {
        match self {
            Self::Live => "ringwall/",
            Self::Bulk => "ringwall-bulk/",
            Self::Calls => "ringwall-calls/",
        }
    }

    /// Its names for TLS' choice of a protocol, one for each version.
    pub(crate) fn names(self, versions: &[u16]) -> Vec<Vec<u8>> {
        let name = |version| format!("{}{version}", self.prefix()).into_bytes();
        versions.iter().map(name).collect()
    }

    /// What a chosen name stands for.
    pub(crate) fn parse(name: &[u8]) -> Option<(Self, u16)> {
        let name = core::str::from_utf8(name).ok()?;
        Self::ALL
            .into_iter()
            .find_map(|kind| Some((kind, name.strip_prefix(kind.prefix())?.parse().ok()?)))
    }
}

/// Why an end closes a connection, as a number that the other end sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    Done = 0,
    Duplicate = 1,
    NotAMember = 2,
    BadHello = 3,
    Oversized = 4,
    Malformed = 5,
    Stalled = 6,
    NoPeer = 7,
}

impl Close {
    pub(crate) fn code(self) -> VarInt {
        VarInt::from_u32(self as u32)
    }

    /// Whether the other end closed the connection for that.
    pub(crate) fn is_why(self, error: &ConnectionError) -> bool {
        match error {
            ConnectionError::ApplicationClosed(close) => close.error_code == self.code(),
            ConnectionError::VersionMismatch
            | ConnectionError::TransportError(_)
            | ConnectionError::ConnectionClosed(_)
            | ConnectionError::Reset
            | ConnectionError::TimedOut
            | ConnectionError::LocallyClosed
            | ConnectionError::CidsExhausted => false,
        }
    }
}

/// Where TLS alerts lie among QUIC's error codes (RFC 9001 §4.8).
const CRYPTO_ERRORS: core::ops::RangeInclusive<u64> = 0x100..=0x1ff;
// Alerts (RFC 8446 §6.2).
const ACCESS_DENIED: u64 = 49;
const CERTIFICATE_REQUIRED: u64 = 116;
const NO_APPLICATION_PROTOCOL: u64 = 120;

/// Whether the other end closed the connection because this node is no member for it: during the handshake,
/// or after that, when the list has changed meanwhile.
pub(crate) fn disowns(error: &ConnectionError) -> bool {
    match error {
        ConnectionError::ConnectionClosed(theirs) => {
            alert(theirs.error_code.into()) == Some(ACCESS_DENIED)
        }
        ConnectionError::ApplicationClosed(_)
        | ConnectionError::VersionMismatch
        | ConnectionError::TransportError(_)
        | ConnectionError::Reset
        | ConnectionError::TimedOut
        | ConnectionError::LocallyClosed
        | ConnectionError::CidsExhausted => Close::NotAMember.is_why(error),
    }
}

/// Which counter a failed handshake has. `None`: it was counted where it was found out, or is no
/// failure. `silence` counts a peer that said nothing.
pub(crate) fn cause(error: &ConnectionError, silence: Counter) -> Option<Counter> {
    match error {
        ConnectionError::VersionMismatch => Some(Counter::NoCommonVersion),
        ConnectionError::TransportError(ours) => match alert(ours.code.into()) {
            // The judge of certificates has counted it.
            Some(ACCESS_DENIED) => None,
            Some(CERTIFICATE_REQUIRED) => Some(Counter::NoCertificate),
            Some(NO_APPLICATION_PROTOCOL) => Some(Counter::NoCommonVersion),
            Some(_) | None => Some(Counter::HandshakeFailed),
        },
        ConnectionError::ConnectionClosed(theirs) => match alert(theirs.error_code.into()) {
            Some(NO_APPLICATION_PROTOCOL) => Some(Counter::NoCommonVersion),
            Some(_) | None => Some(Counter::RefusedByPeer),
        },
        ConnectionError::ApplicationClosed(_) if Close::Duplicate.is_why(error) => None,
        ConnectionError::ApplicationClosed(_) => Some(Counter::RefusedByPeer),
        ConnectionError::Reset | ConnectionError::TimedOut => Some(silence),
        ConnectionError::LocallyClosed => None,
        ConnectionError::CidsExhausted => Some(Counter::HandshakeFailed),
    }
}

fn alert(code: u64) -> Option<u64> {
    CRYPTO_ERRORS.contains(&code).then(|| code - CRYPTO_ERRORS.start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_were_made() {
        for kind in Kind::ALL {
            for (name, version) in kind.names(&[2, 1]).iter().zip([2, 1]) {
                assert_eq!(Kind::parse(name), Some((kind, version)));
            }
        }
        for bad in ["ringwall/", "ringwall/x", "ringwall-join/1", "h3", "ringwall/65536"] {
            assert_eq!(Kind::parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(Kind::Live.names(VERSIONS), [b"ringwall/1".to_vec()]);
    }

    #[test]
    fn each_failure_has_its_counter() {
        let silence = Counter::PeerUnreachable;
        let closed = |close: Close| {
            let (error_code, reason) = (close.code(), bytes::Bytes::new());
            ConnectionError::ApplicationClosed(quinn::ApplicationClose { error_code, reason })
        };
        for (error, counter) in [
            (ConnectionError::VersionMismatch, Some(Counter::NoCommonVersion)),
            (ConnectionError::TimedOut, Some(silence)),
            (ConnectionError::Reset, Some(silence)),
            (ConnectionError::LocallyClosed, None),
            (closed(Close::Duplicate), None),
            (closed(Close::NotAMember), Some(Counter::RefusedByPeer)),
        ] {
            assert_eq!(cause(&error, silence), counter, "{error}");
        }
        assert_eq!(alert(0x178), Some(NO_APPLICATION_PROTOCOL));
        assert_eq!((alert(0x0ff), alert(0x200)), (None, None));
    }
}
