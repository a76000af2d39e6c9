//! Who a node is: the cluster's authority, certificates made by it, and the files that hold them.
//!
//! - **Names.** A node's certificate has one name, `node-<id>.<cluster>`. The number in it is the
//!   only one that counts; what a node says about itself does not.
//! - **Dates.** Certificates have none that mean anything: from 1970 to 9999, "no well-defined
//!   expiration date" (RFC 5280 §4.1.2.5), and both ends judge them at one fixed time. A firewall may
//!   boot with any clock, and a pair that lost its peer over a date would be worse than a long-lived
//!   certificate. What takes trust back is the list of members, at once and for certain.
//! - **Rotation.** [`Identity::renew`] makes a new key and certificate where the authority is; another
//!   node gets them by a token that names it ([`crate::join`]).
//! - **The authority's key** stays on the node that made the cluster, in a file of its own that can be
//!   kept elsewhere: only making tokens and certificates needs it.

mod name;
mod papers;

use core::fmt;
use std::io;
use std::path::PathBuf;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use cluster_core::NodeId;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

pub use name::{ClusterName, node_of};
pub use papers::Papers;
pub(crate) use papers::unhex;

use crate::limits::SECRET_BYTES;

/// The cluster's secret. Not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub [u8; SECRET_BYTES]);

/// SHA-256 of the authority's certificate: what a joiner pins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

/// What makes a node a node of its cluster.
pub struct Identity {
    /// The cluster's name.
    pub cluster: ClusterName,
    /// The node's number.
    pub node: NodeId,
    /// The cluster's secret.
    pub secret: Secret,
    /// The authority's certificate.
    pub authority: CertificateDer<'static>,
    /// The node's certificate.
    pub certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

/// The cluster's authority with its key: where it is, tokens and certificates can be made.
pub struct Authority {
    cluster: ClusterName,
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

/// Why there is no identity, or none was made.
#[derive(Debug)]
pub enum IdentityError {
    /// There is one already; it would be lost.
    Exists(PathBuf),
    /// There is none: `cluster init` or `cluster join` makes one.
    Missing(PathBuf),
    /// The authority's key is not on this node.
    NoAuthority(PathBuf),
    /// A file cannot be read or written.
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file is not what it should be.
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A key or certificate could not be made.
    Crypto(String),
}

impl Identity {
    /// The private key, as TLS takes it.
    #[must_use]
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()))
    }

    /// The private key as it is kept.
    pub(crate) fn key_bytes(&self) -> &[u8] {
        &self.key
    }

    /// An identity from its parts; the joiner has the key, the issuer made the rest.
    pub(crate) fn assemble(
        (cluster, node): (ClusterName, NodeId),
        secret: Secret,
        [authority, certificate]: [CertificateDer<'static>; 2],
        key: Vec<u8>,
    ) -> Self {
        Self { cluster, node, secret, authority, certificate, key }
    }

    /// The authority's fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.authority)
    }

    /// The same node with a new key and certificate. Peers take it at once; the old ones stay good
    /// for as long as the node is a member.
    ///
    /// # Errors
    /// If the key cannot be made.
    pub fn renew(&self, authority: &Authority) -> Result<Self, IdentityError> {
        authority.identity(self.node, &self.secret)
    }
}

impl Authority {
    /// A new cluster: its authority, and its first node.
    ///
    /// # Errors
    /// If keys cannot be made.
    pub fn found(cluster: ClusterName, node: NodeId) -> Result<(Self, Identity), IdentityError> {
        let key = new_key()?;
        let certificate = authority_params(&cluster).self_signed(&key).map_err(crypto)?;
        let certificate = certificate.der().clone();
        let authority = Self { cluster, certificate, key };
        let own = authority.identity(node, &Secret::random()?)?;
        Ok((authority, own))
    }

    /// A certificate for a node with this public key.
    ///
    /// # Errors
    /// If it cannot be signed.
    pub fn certify(
        &self,
        node: NodeId,
        key: &impl PublicKeyData,
    ) -> Result<CertificateDer<'static>, IdentityError> {
        let params = authority_params(&self.cluster);
        let issuer = Issuer::from_params(&params, &self.key);
        let made = node_params(&self.cluster, node)?.signed_by(key, &issuer).map_err(crypto)?;
        Ok(made.der().clone())
    }

    /// An identity of this cluster whose certificate has any name, which nothing but a test makes.
    #[cfg(test)]
    pub(crate) fn forge(&self, names: &[&str]) -> Identity {
        let key = new_key().unwrap();
        let mut params = node_params(&self.cluster, NodeId(2)).unwrap();
        let name = |name: &&str| SanType::DnsName((*name).to_owned().try_into().unwrap());
        params.subject_alt_names = names.iter().map(name).collect();
        let authority = authority_params(&self.cluster);
        let issuer = Issuer::from_params(&authority, &self.key);
        let made = params.signed_by(&key, &issuer).unwrap().der().clone();
        let names = (self.cluster.clone(), NodeId(2));
        let certificates = [self.certificate.clone(), made];
        Identity::assemble(names, Secret([0; SECRET_BYTES]), certificates, key.serialize_der())
    }

    /// The identity of a node, with a new key: of this one, or of one that is set up here.
    ///
    /// # Errors
    /// If the key cannot be made.
    pub fn identity(&self, node: NodeId, secret: &Secret) -> Result<Identity, IdentityError> {
        let key = new_key()?;
        let certificates = [self.certificate.clone(), self.certify(node, &key)?];
        let names = (self.cluster.clone(), node);
        Ok(Identity::assemble(names, secret.clone(), certificates, key.serialize_der()))
    }

    /// The authority's certificate.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The name of its cluster.
    #[must_use]
    pub fn cluster(&self) -> &ClusterName {
        &self.cluster
    }
}

impl Secret {
    /// A new one.
    ///
    /// # Errors
    /// If the system gives no random numbers.
    pub fn random() -> Result<Self, IdentityError> {
        let mut bytes = [0; SECRET_BYTES];
        let filled = rand::fill(&mut bytes);
        filled.map_err(|_| IdentityError::Crypto("no random numbers to be had".to_owned()))?;
        Ok(Self(bytes))
    }
}

impl Fingerprint {
    /// That of this certificate.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        Self(sha256(certificate))
    }
}

/// SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = digest(&SHA256, bytes);
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// A new private key: ECDSA on P-256, which every TLS library and security module knows.
pub(crate) fn new_key() -> Result<KeyPair, IdentityError> {
    KeyPair::generate().map_err(crypto)
}

fn crypto(error: rcgen::Error) -> IdentityError {
    IdentityError::Crypto(error.to_string())
}

/// A certificate of that name, without a date that means anything.
fn undated(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(1970, 1, 1);
    params.not_after = date_time_ymd(9999, 12, 31);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// The authority's certificate, but for its key. A function of the name, so that it need not be
/// parsed to sign with it.
fn authority_params(cluster: &ClusterName) -> CertificateParams {
    let mut params = undated(&format!("authority of {cluster}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn node_params(cluster: &ClusterName, node: NodeId) -> Result<CertificateParams, IdentityError> {
    let name = cluster.node(node);
    let mut params = undated(&name);
    params.subject_alt_names = vec![SanType::DnsName(name.try_into().map_err(crypto)?)];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cluster.node(self.node))
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "authority of {}", self.cluster)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists(path) => {
                write!(f, "{} exists: this node belongs to a cluster already", path.display())
            }
            Self::Missing(path) => write!(
                f,
                "{} does not exist: this node belongs to no cluster yet; see `ringwall cluster init` \
                 and `ringwall cluster join`",
                path.display()
            ),
            Self::NoAuthority(path) => write!(
                f,
                "{} is not on this node: only the node that made the cluster has the authority's key",
                path.display()
            ),
            Self::File { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Damaged { path, why } => write!(f, "{} is damaged: {why}", path.display()),
            Self::Crypto(why) => write!(f, "a key or certificate cannot be made: {why}"),
        }
    }
}

impl core::error::Error for IdentityError {}
