//! What joiner and issuer prove to each other, each bound to their connection.

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use quinn::Connection;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm, SigningKey as _};

/// Label of the exported keying material (RFC 8446 §7.5, RFC 5705 §4).
const EXPORTER: &[u8] = b"EXPORTER-ringwall-join";

/// What both ends of one TLS connection know, and nobody else.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Channel([u8; 32]);

/// What is proved; each has a label of its own, so that none can stand for another.
#[derive(Clone, Copy)]
pub(super) enum Statement<'a> {
    /// The joiner has the token and claims this.
    Claim(&'a [u8]),
    /// The joiner has the key that it claims a certificate for.
    Possession(&'a [u8]),
    /// The issuer answers that claim with this admission.
    Admission { claim: &'a [u8], admission: &'a [u8] },
}

impl Channel {
    /// That of a connection. `None`: it was closed before its handshake was done.
    pub(super) fn of(connection: &Connection) -> Option<Self> {
        let mut bytes = [0; 32];
        connection.export_keying_material(&mut bytes, EXPORTER, b"").ok()?;
        Some(Self(bytes))
    }

    fn bind(self, statement: Statement<'_>) -> Vec<u8> {
        let (label, first, second): (&[u8], _, &[u8]) = match statement {
            Statement::Claim(claim) => (b"ringwall join claim", claim, b""),
            Statement::Possession(claim) => (b"ringwall join possession", claim, b""),
            Statement::Admission { claim, admission } => {
                (b"ringwall join admission", claim, admission)
            }
        };
        // The length keeps claim and admission apart.
        let length = (first.len() as u64).to_be_bytes();
        [label, &self.0, &length, first, second].concat()
    }

    /// Proof by the token's key.
    pub(super) fn prove(self, key: &[u8; 32], statement: Statement<'_>) -> [u8; 32] {
        let tag = hmac::sign(&hmac::Key::new(HMAC_SHA256, key), &self.bind(statement));
        tag.as_ref().try_into().expect("HMAC-SHA-256 has 32 bytes")
    }

    /// Whether that is the proof. The time that this takes does not depend on where they differ.
    pub(super) fn is_proved(
        self,
        key: &[u8; 32],
        statement: Statement<'_>,
        proof: &[u8; 32],
    ) -> bool {
        hmac::verify(&hmac::Key::new(HMAC_SHA256, key), &self.bind(statement), proof).is_ok()
    }

    /// A signature with the new key.
    pub(super) fn sign(self, key: &KeyPair, claim: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        key.sign(&self.bind(Statement::Possession(claim)))
    }

    /// Whether the key made that signature.
    pub(super) fn is_signed(self, key: &PublicKey, claim: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &key.0);
        key.verify(&self.bind(Statement::Possession(claim)), signature).is_ok()
    }

    #[cfg(test)]
    pub(super) const fn made_up(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// A joiner's public key: a point of P-256.
pub(super) struct PublicKey(pub(super) Vec<u8>);

impl PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_good_for_one_channel_key_and_statement() {
        let (here, there) = (Channel::made_up([1; 32]), Channel::made_up([2; 32]));
        let proof = here.prove(&[7; 32], Statement::Claim(b"ab"));
        assert!(here.is_proved(&[7; 32], Statement::Claim(b"ab"), &proof));
        assert!(!there.is_proved(&[7; 32], Statement::Claim(b"ab"), &proof));
        assert!(!here.is_proved(&[8; 32], Statement::Claim(b"ab"), &proof));
        let others = [
            Statement::Claim(b"a"),
            Statement::Possession(b"ab"),
            Statement::Admission { claim: b"a", admission: b"b" },
            Statement::Admission { claim: b"ab", admission: b"" },
        ];
        for statement in others {
            assert!(!here.is_proved(&[7; 32], statement, &proof));
        }
    }

    #[test]
    fn possession_is_of_one_key_and_channel() {
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let (here, there) = (Channel::made_up([1; 32]), Channel::made_up([2; 32]));
        let signature = here.sign(&key, b"claim").unwrap();
        let public = |key: &KeyPair| PublicKey(key.public_key_raw().to_vec());
        assert!(here.is_signed(&public(&key), b"claim", &signature));
        assert!(!here.is_signed(&public(&key), b"other", &signature));
        assert!(!there.is_signed(&public(&key), b"claim", &signature));
        assert!(!here.is_signed(&public(&other), b"claim", &signature));
        assert!(!here.is_signed(&PublicKey(b"no point".to_vec()), b"claim", &signature));
    }
}
