//! How a node becomes a member: one short conversation over QUIC, beside the members' own.
//!
//! ```text
//! joiner                                             issuer (has the authority's key)
//!   │──────── TLS 1.3, ALPN ringwall-join/1 ──────────►│  shows its certificate and the authority's;
//!   │  pinned: SHA-256 of the authority = token's      │  the caller has none yet
//!   │                                                  │
//!   │  claim = token's name, number, public key        │
//!   │  possession = signature(new key, channel, claim) │
//!   │  proof = HMAC(token's key, channel, claim) ─────►│  too often? known? proof? used? expired?
//!   │                                                  │  possession? number free?
//!   │                                                  │  token used + member added, synced
//!   │◄───── admission = certificate, authority, secret,│
//!   │       members, placement; HMAC(…, admission)     │
//! ```
//!
//! `channel` is keying material exported from this very TLS connection (RFC 8446 §7.5): a proof that
//! somebody in the middle passes on belongs to another connection and is refused. A stranger in the
//! middle cannot even be talked to, as it lacks the pinned authority; a member gone bad can, and
//! learns a claim and a proof that are worth nothing elsewhere. The answer is proved by the same key,
//! so that no other member can give it.

mod issuer;
mod joiner;
mod limiter;
mod proof;
#[cfg(test)]
mod tests;

use core::fmt;
use core::net::SocketAddr;
use std::io;

pub use issuer::{Issuer, Issuing, Joined, Known, Ledger};
pub use joiner::{Admitted, join};

use crate::codec::{Decode, Encode};
use crate::identity::IdentityError;
use crate::store::StoreError;

/// Protocol of the conversation, as TLS names it.
pub(crate) const PROTOCOL: &[u8] = b"ringwall-join/1";

const TAG_REQUEST: u8 = 1;
const TAG_ANSWER: u8 = 2;
const TAG_CLAIM: u8 = 3;
const TAG_ADMISSION: u8 = 4;
/// A [`Claim`] of a node that is to be a witness. An issuer of an earlier version understands no such
/// request.
const TAG_WITNESS_CLAIM: u8 = 5;
/// An [`Admission`] to a cluster with witnesses, as [`WithWitnesses`].
const TAG_WITNESSES: u8 = 6;

/// What the joiner says.
#[derive(Clone, Debug, Encode, Decode)]
struct Request {
    claim: Vec<u8>,
    possession: Vec<u8>,
    proof: [u8; 32],
}

/// What the joiner wants; inside of `Request::claim`, so that what is proved is bytes.
#[derive(Clone, Debug, Encode, Decode)]
struct Claim {
    token: [u8; 16],
    node: u16,
    /// The point of an ECDSA key on P-256, uncompressed.
    key: Vec<u8>,
    addresses: Vec<String>,
}

/// What the issuer says.
#[derive(Clone, Debug, Encode, Decode)]
enum Answer {
    Admitted { admission: Vec<u8>, proof: [u8; 32] },
    Refused(JoinRefusal),
}

/// What the joiner is given; inside of `Answer::Admitted`.
#[derive(Clone, Debug, Encode, Decode)]
struct Admission {
    certificate: Vec<u8>,
    authority: Vec<u8>,
    secret: [u8; 32],
    members: Vec<MemberRow>,
    placement: Vec<PlacementRow>,
}

/// An admission, and which of the members are witnesses. Without any it is said as before there were some.
#[derive(Clone, Debug, Encode, Decode)]
struct WithWitnesses {
    admission: Admission,
    witnesses: Vec<u16>,
}

#[derive(Clone, Debug, Encode, Decode)]
struct MemberRow {
    node: u16,
    retired: bool,
    addresses: Vec<String>,
}

#[derive(Clone, Debug, Encode, Decode)]
struct PlacementRow {
    first: u16,
    last: u16,
    owner: u16,
    /// 0: none.
    backup: u16,
    term: u64,
}

/// Why an issuer refuses. A caller that cannot prove a token learns no more than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum JoinRefusal {
    /// Too many proofs lately; again in some seconds.
    TooOften,
    /// A token that was not made here, or a proof that is not its own.
    WrongToken,
    /// The token was used before.
    TokenUsed,
    /// The token has expired.
    TokenExpired,
    /// The node's number is or was a member's.
    NodeTaken,
    /// The request makes no sense.
    BadRequest,
    /// The issuer cannot remember a new member.
    Unavailable,
}

/// Why a node did not join.
#[derive(Debug)]
pub enum JoinError {
    /// The issuer said no.
    Refused(JoinRefusal),
    /// Nobody who could be trusted answered at any of the addresses.
    Unreachable {
        /// The address that was tried last.
        address: SocketAddr,
        /// What happened there.
        why: String,
    },
    /// The conversation was cut off.
    Broken(String),
    /// What answered does not know the token, or gave what is not its cluster's.
    Forged(&'static str),
    /// Keys, or the files of the identity.
    Identity(IdentityError),
    /// The node's store.
    Store(StoreError),
    /// The socket.
    Socket(io::Error),
}

impl fmt::Display for JoinRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooOften => "too many attempts lately; try again in some seconds",
            Self::WrongToken => "the token is not known there",
            Self::TokenUsed => "the token was used before; make a new one",
            Self::TokenExpired => "the token has expired; make a new one",
            Self::NodeTaken => {
                "the number of this node is or was a member's, or is not the one that the token \
                 replaces; see `id` in the node file"
            }
            Self::BadRequest => "the request was not understood",
            Self::Unavailable => "the issuer cannot write its store",
        })
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "the cluster refuses: {why}"),
            Self::Unreachable { address, why } => write!(f, "no issuer at {address}: {why}"),
            Self::Broken(why) => write!(f, "the conversation was cut off: {why}"),
            Self::Forged(what) => write!(f, "what answered cannot be trusted: {what}"),
            Self::Identity(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Socket(error) => write!(f, "the socket: {error}"),
        }
    }
}

impl core::error::Error for JoinError {}

impl From<IdentityError> for JoinError {
    fn from(error: IdentityError) -> Self {
        Self::Identity(error)
    }
}

impl From<StoreError> for JoinError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
