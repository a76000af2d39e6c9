//! Join tokens: one line of text that an operator carries from a member to a new node.
//!
//! ```text
//! ringwall-1/alpha/10.0.9.1:7400,[fd00::1]:7400/<fingerprint>/<secret>
//! ```
//!
//! The fingerprint lets the joiner know the cluster before it says anything; the secret lets the
//! cluster know the joiner. A token is used once and expires. The issuer keeps no secret, only two
//! hashes of it: one names the token, the other is the key of the proof (see [`crate::join`]). Whoever
//! can read the issuer's store can use that key; in the same folder lies the authority's own.

use core::fmt;
use core::net::SocketAddr;
use core::str::FromStr;

use cluster_core::NodeId;

use crate::identity::{ClusterName, Fingerprint, Identity, IdentityError, Secret, sha256, unhex};
use crate::limits::{ADDRESSES, SECRET_BYTES, TOKEN_TEXT_BYTES};

/// First part of each token's text: what it is, and its version.
const PREFIX: &str = "ringwall-1";

/// What a joiner is given. Its text is a secret until it is used.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The cluster.
    pub cluster: ClusterName,
    /// Where the issuer listens.
    pub addresses: Vec<SocketAddr>,
    /// The authority's fingerprint.
    pub fingerprint: Fingerprint,
    secret: [u8; SECRET_BYTES],
}

/// Name of a token: a hash of its secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenId(pub [u8; 16]);

/// What the issuer keeps of a token.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// Key of the proof: a hash of the secret.
    pub key: [u8; 32],
    /// When it was made, in seconds of the epoch, by the issuer's clock.
    pub issued: u64,
    /// When it expires.
    pub expires: u64,
    /// Whether it was used.
    pub used: bool,
    /// The member that it gives new papers to, rather than making a new one.
    pub replaces: Option<NodeId>,
}

/// Why a text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// It is something else, or of another version.
    Prefix,
    /// It was cut, or put together wrongly.
    Parts,
    /// The cluster's name.
    Cluster,
    /// An address, none, or too many.
    Addresses,
    /// The fingerprint or the secret.
    Digits,
}

impl Token {
    /// A new token of this cluster, whose issuer listens at `addresses`.
    ///
    /// # Errors
    /// If the system gives no random numbers.
    pub fn make(identity: &Identity, addresses: Vec<SocketAddr>) -> Result<Self, IdentityError> {
        let Secret(secret) = Secret::random()?;
        let (cluster, fingerprint) = (identity.cluster.clone(), identity.fingerprint());
        Ok(Self { cluster, addresses, fingerprint, secret })
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> TokenId {
        let digest = self.derive("ringwall token id");
        TokenId(digest[..16].try_into().expect("a digest has more than 16 bytes"))
    }

    /// The key of the proof.
    pub(crate) fn key(&self) -> [u8; 32] {
        self.derive("ringwall token key")
    }

    /// What the issuer keeps, for a token made at `now` that lives for `seconds`.
    #[must_use]
    pub fn record(&self, now: u64, seconds: u64, replaces: Option<NodeId>) -> TokenRecord {
        let expires = now.saturating_add(seconds);
        TokenRecord { key: self.key(), issued: now, expires, used: false, replaces }
    }

    fn derive(&self, label: &str) -> [u8; 32] {
        // The secret has 256 random bits, so one round of a plain hash gives nothing away.
        sha256(&[label.as_bytes(), &self.secret].concat())
    }
}

impl TokenRecord {
    /// Whether it lives at `now`. A clock that went back behind its making says no: nothing is known
    /// then about how long ago that was.
    #[must_use]
    pub fn is_valid_at(&self, now: u64) -> bool {
        (self.issued..self.expires).contains(&now)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        let Self { cluster, fingerprint, secret, .. } = self;
        write!(f, "{PREFIX}/{cluster}/{}/{fingerprint}/", addresses.join(","))?;
        secret.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        if text.len() > TOKEN_TEXT_BYTES || !text.starts_with("ringwall-1/") {
            return Err(TokenError::Prefix);
        }
        let parts: Vec<&str> = text.split('/').collect();
        let [_, cluster, addresses, fingerprint, secret] = parts[..] else {
            return Err(TokenError::Parts);
        };
        let addresses: Result<Vec<SocketAddr>, _> = addresses.split(',').map(str::parse).collect();
        let addresses = addresses.map_err(|_| TokenError::Addresses)?;
        if addresses.len() > ADDRESSES {
            return Err(TokenError::Addresses);
        }
        Ok(Self {
            cluster: cluster.parse().map_err(|_| TokenError::Cluster)?,
            addresses,
            fingerprint: Fingerprint(unhex(fingerprint).ok_or(TokenError::Digits)?),
            secret: unhex(secret).ok_or(TokenError::Digits)?,
        })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token {:?}", self.id())
    }
}

impl fmt::Debug for TokenRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { issued, expires, used, replaces, .. } = self;
        write!(f, "TokenRecord {issued}..{expires} used {used} replaces {replaces:?}")
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prefix => "this is no join token of this version: one begins with `ringwall-1/`",
            Self::Parts => "the token has lost a part: copy the whole line",
            Self::Cluster => "the token's cluster name is none",
            Self::Addresses => "the token's addresses are none",
            Self::Digits => "the token was cut or mistyped: its last two parts have 64 digits each",
        })
    }
}

impl core::error::Error for TokenError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Authority;

    fn token() -> Token {
        let (_, identity) = Authority::found("alpha".parse().unwrap(), NodeId(1)).unwrap();
        let addresses = ["10.0.9.1:7400", "[fd00::1]:7400"].map(|text| text.parse().unwrap());
        Token::make(&identity, addresses.to_vec()).unwrap()
    }

    #[test]
    fn a_token_is_one_line_that_is_read_again() {
        let token = token();
        let text = token.to_string();
        assert!(text.starts_with("ringwall-1/alpha/10.0.9.1:7400,[fd00::1]:7400/"), "{text}");
        assert!(!text.contains(char::is_whitespace));
        assert!(text.parse::<Token>().unwrap() == token);
        assert!(format!(" {text}\n").parse::<Token>().unwrap() == token);
    }

    #[test]
    fn what_was_cut_or_mistyped_is_said() {
        let text = token().to_string();
        let cases = [
            (text.replacen("ringwall-1", "ringwall-2", 1), TokenError::Prefix),
            (format!("{text}{}", "0".repeat(TOKEN_TEXT_BYTES)), TokenError::Prefix),
            (text.rsplit_once('/').unwrap().0.to_owned(), TokenError::Parts),
            (format!("{text}/"), TokenError::Parts),
            (text.replacen("alpha", "Alpha", 1), TokenError::Cluster),
            (text.replacen(":7400", "", 1), TokenError::Addresses),
            (text.replacen("10.0.9.1:7400", &"10.0.9.1:1,".repeat(8), 1), TokenError::Addresses),
            (text[..text.len() - 1].to_owned(), TokenError::Digits),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<Token>().err(), Some(error), "{text}");
        }
    }

    #[test]
    fn what_the_issuer_keeps_is_not_the_secret() {
        let (token, other) = (token(), token());
        let record = token.record(1000, 60, None);
        assert_ne!(record.key, token.secret);
        assert_ne!(record.key[..16], token.id().0);
        assert_ne!((record.key, token.id()), (other.key(), other.id()));
        let shown = format!("{token:?} {record:?}");
        assert!(!shown.contains(&token.to_string()[token.to_string().len() - 64..]));
    }

    #[test]
    fn a_token_lives_from_its_making_to_its_end() {
        let record = token().record(1000, 60, None);
        let lives: Vec<bool> =
            [0, 999, 1000, 1059, 1060].map(|now| record.is_valid_at(now)).to_vec();
        assert_eq!(lives, [false, false, true, true, false]);
    }
}
