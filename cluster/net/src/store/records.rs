//! Rows of members and tokens as bytes. A version byte leads each.

use core::net::SocketAddr;

use cluster_core::NodeId;
use cluster_core::membership::Kind;

use super::StoreError;
use crate::limits::ADDRESSES;
use crate::token::TokenRecord;

const VERSION: u8 = 1;

/// A node that is or was in the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Whether it still is.
    pub standing: Standing,
    /// What it is for.
    pub kind: Kind,
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
}

/// Whether a node's certificates are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// They are.
    Member,
    /// They are not any more, and its number is not given again.
    Retired,
}

impl Member {
    /// A firewall that listens there.
    #[must_use]
    pub fn at(addresses: Vec<SocketAddr>) -> Self {
        Self::new(Kind::Firewall, addresses)
    }

    /// A member of a kind that listens there.
    #[must_use]
    pub fn new(kind: Kind, addresses: Vec<SocketAddr>) -> Self {
        Self { standing: Standing::Member, kind, addresses }
    }

    /// A witness's first byte is one that earlier versions do not know: they refuse the row, where they would
    /// take it for a firewall's.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let standing = match (self.standing, self.kind) {
            (Standing::Member, Kind::Firewall) => 1,
            (Standing::Retired, Kind::Firewall) => 2,
            (Standing::Member, Kind::Witness) => 3,
            (Standing::Retired, Kind::Witness) => 4,
        };
        let addresses: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        [&[VERSION, standing][..], addresses.join(" ").as_bytes()].concat()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, StoreError> {
        let damaged = || StoreError::Damaged("a row of the members");
        let [VERSION, standing, addresses @ ..] = bytes else { return Err(damaged()) };
        let (standing, kind) = match standing {
            1 => (Standing::Member, Kind::Firewall),
            2 => (Standing::Retired, Kind::Firewall),
            3 => (Standing::Member, Kind::Witness),
            4 => (Standing::Retired, Kind::Witness),
            _ => return Err(damaged()),
        };
        let text = core::str::from_utf8(addresses).map_err(|_| damaged())?;
        let addresses: Result<Vec<SocketAddr>, _> =
            text.split_whitespace().map(str::parse).collect();
        let addresses = addresses.map_err(|_| damaged())?;
        if addresses.len() > ADDRESSES {
            return Err(damaged());
        }
        Ok(Self { standing, kind, addresses })
    }
}

/// version, used, replaces or 0, issued, expires, key
const TOKEN_BYTES: usize = 1 + 1 + 2 + 8 + 8 + 32;

pub(super) fn token_bytes(record: &TokenRecord) -> [u8; TOKEN_BYTES] {
    let mut bytes = [0; TOKEN_BYTES];
    bytes[0] = VERSION;
    bytes[1] = u8::from(record.used);
    bytes[2..4].copy_from_slice(&record.replaces.unwrap_or_default().0.to_be_bytes());
    bytes[4..12].copy_from_slice(&record.issued.to_be_bytes());
    bytes[12..20].copy_from_slice(&record.expires.to_be_bytes());
    bytes[20..].copy_from_slice(&record.key);
    bytes
}

pub(super) fn token(bytes: &[u8]) -> Result<TokenRecord, StoreError> {
    read_token(bytes).ok_or(StoreError::Damaged("a row of the tokens"))
}

fn read_token(bytes: &[u8]) -> Option<TokenRecord> {
    let [VERSION, used @ 0..=1, r0, r1, rest @ ..] = bytes else { return None };
    let (issued, rest) = rest.split_first_chunk()?;
    let (expires, key) = rest.split_first_chunk()?;
    let replaces = u16::from_be_bytes([*r0, *r1]);
    Some(TokenRecord {
        key: key.try_into().ok()?,
        issued: u64::from_be_bytes(*issued),
        expires: u64::from_be_bytes(*expires),
        used: *used == 1,
        replaces: (replaces > 0).then_some(NodeId(replaces)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_as_they_were_written() {
        let addresses = vec!["10.0.0.1:1".parse().unwrap(), "[fe80::1]:65535".parse().unwrap()];
        for standing in [Standing::Member, Standing::Retired] {
            for kind in [Kind::Firewall, Kind::Witness] {
                for addresses in [Vec::new(), addresses.clone()] {
                    let member = Member { standing, kind, addresses };
                    assert_eq!(Member::from_bytes(&member.to_bytes()).unwrap(), member);
                }
            }
        }
        let old = Member::from_bytes(b"\x01\x0110.0.0.1:1").unwrap();
        assert_eq!(old, Member::at(addresses[..1].to_vec()), "of before there were witnesses");
        for replaces in [None, Some(NodeId(3))] {
            let record =
                TokenRecord { key: [7; 32], issued: 1, expires: u64::MAX, used: true, replaces };
            assert_eq!(token(&token_bytes(&record)).unwrap(), record);
        }
    }

    #[test]
    fn other_rows_are_damaged() {
        let bad: [&[u8]; 5] = [b"", b"\x02\x01", b"\x01\x05", b"\x01\x01here", b"\x01\x01\xff"];
        for bytes in bad {
            assert!(Member::from_bytes(bytes).is_err(), "{bytes:?}");
        }
        let many = vec!["10.0.0.1:1".parse().unwrap(); ADDRESSES + 1];
        assert!(Member::from_bytes(&Member::at(many).to_bytes()).is_err());
        assert!(token(&[VERSION; TOKEN_BYTES - 1]).is_err());
        assert!(token(&[2; TOKEN_BYTES]).is_err());
    }
}
