//! The files of identity and authority.
//!
//! Each file is written whole (see `files`), the identity last: with it a node belongs to a cluster,
//! without it everything beside it is a leftover of something that was cut off.

use std::io;
use std::path::{Path, PathBuf};

use cluster_core::NodeId;
use rcgen::KeyPair;
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use super::{Authority, ClusterName, Identity, IdentityError, Secret, node_of};
use crate::files;
use crate::limits::{PAPER_BYTES, SECRET_BYTES};

/// Version of the files.
const VERSION: u32 = 1;

/// The folder of a node's papers.
#[derive(Clone, Debug)]
pub struct Papers {
    folder: PathBuf,
}

/// `identity.toml`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct IdentityFile {
    version: u32,
    cluster: String,
    node: u16,
    secret: String,
    authority: String,
    certificate: String,
    key: String,
}

/// `authority.toml`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct AuthorityFile {
    version: u32,
    cluster: String,
    certificate: String,
    key: String,
}

impl Papers {
    /// Those below a node's data directory.
    #[must_use]
    pub fn new(data_dir: &Path) -> Self {
        Self { folder: data_dir.join("cluster") }
    }

    /// Where the identity is.
    #[must_use]
    pub fn identity_path(&self) -> PathBuf {
        self.folder.join("identity.toml")
    }

    /// Where the authority's key is, on the node that has it.
    #[must_use]
    pub fn authority_path(&self) -> PathBuf {
        self.folder.join("authority.toml")
    }

    /// Where the store is.
    #[must_use]
    pub fn store_path(&self) -> PathBuf {
        self.folder.join("node.redb")
    }

    /// Makes the folder, and makes sure that no identity is in it.
    ///
    /// # Errors
    /// [`IdentityError::Exists`], or what the file system says.
    pub fn prepare(&self) -> Result<(), IdentityError> {
        files::make_folder(&self.folder).map_err(at(&self.folder))?;
        let path = self.identity_path();
        match path.try_exists() {
            Ok(false) => Ok(()),
            Ok(true) => Err(IdentityError::Exists(path)),
            Err(error) => Err(IdentityError::File { path, error }),
        }
    }

    /// The node's identity.
    ///
    /// # Errors
    /// [`IdentityError::Missing`], or what is wrong with the file.
    pub fn identity(&self) -> Result<Identity, IdentityError> {
        let path = self.identity_path();
        let file: IdentityFile = load(&path, IdentityError::Missing)?;
        file.open().map_err(|why| IdentityError::Damaged { path, why })
    }

    /// The cluster's authority.
    ///
    /// # Errors
    /// [`IdentityError::NoAuthority`], or what is wrong with the file.
    pub fn authority(&self) -> Result<Authority, IdentityError> {
        let path = self.authority_path();
        let file: AuthorityFile = load(&path, IdentityError::NoAuthority)?;
        file.open().map_err(|why| IdentityError::Damaged { path, why })
    }

    /// Keeps the authority.
    ///
    /// # Errors
    /// What the file system says.
    pub fn keep_authority(&self, authority: &Authority) -> Result<(), IdentityError> {
        save(&self.authority_path(), &AuthorityFile::of(authority))
    }

    /// Keeps the identity: from now on the node belongs to the cluster.
    ///
    /// # Errors
    /// What the file system says.
    pub fn keep_identity(&self, identity: &Identity) -> Result<(), IdentityError> {
        save(&self.identity_path(), &IdentityFile::of(identity))
    }
}

impl IdentityFile {
    fn of(identity: &Identity) -> Self {
        Self {
            version: VERSION,
            cluster: identity.cluster.to_string(),
            node: identity.node.0,
            secret: identity.secret.0.iter().map(|byte| format!("{byte:02x}")).collect(),
            authority: armour(CERTIFICATE, &identity.authority),
            certificate: armour(CERTIFICATE, &identity.certificate),
            key: armour(KEY, identity.key_bytes()),
        }
    }

    fn open(self) -> Result<Identity, String> {
        check_version(self.version)?;
        let cluster = cluster(&self.cluster)?;
        let node = NodeId(self.node);
        let certificate = certificate(&self.certificate)?;
        if node_of(&certificate, &cluster) != Some(node) {
            return Err("`certificate` is not of this node".to_owned());
        }
        let secret = unhex(&self.secret).ok_or("`secret` is not 32 bytes in hexadecimal")?;
        let certificates = [self::certificate(&self.authority)?, certificate];
        let key = disarm(KEY, &self.key)?;
        Ok(Identity::assemble((cluster, node), Secret(secret), certificates, key))
    }
}

impl AuthorityFile {
    fn of(authority: &Authority) -> Self {
        Self {
            version: VERSION,
            cluster: authority.cluster.to_string(),
            certificate: armour(CERTIFICATE, &authority.certificate),
            key: armour(KEY, &authority.key.serialize_der()),
        }
    }

    fn open(self) -> Result<Authority, String> {
        check_version(self.version)?;
        let key = disarm(KEY, &self.key)?;
        let key = KeyPair::try_from(key).map_err(|error| format!("`key`: {error}"))?;
        let certificate = certificate(&self.certificate)?;
        Ok(Authority { cluster: cluster(&self.cluster)?, certificate, key })
    }
}

const CERTIFICATE: &str = "CERTIFICATE";
const KEY: &str = "PRIVATE KEY";

fn armour(label: &str, bytes: &[u8]) -> String {
    let lines = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(label, bytes), lines)
}

fn disarm(label: &str, text: &str) -> Result<Vec<u8>, String> {
    let parsed = pem::parse(text).map_err(|error| error.to_string())?;
    if parsed.tag() == label {
        Ok(parsed.into_contents())
    } else {
        Err(format!("a {} where a {label} should be", parsed.tag()))
    }
}

fn certificate(text: &str) -> Result<CertificateDer<'static>, String> {
    disarm(CERTIFICATE, text).map(CertificateDer::from)
}

fn cluster(name: &str) -> Result<ClusterName, String> {
    name.parse().map_err(|error: super::name::NameError| error.to_string())
}

fn check_version(version: u32) -> Result<(), String> {
    if version == VERSION { Ok(()) } else { Err(format!("its version is {version}")) }
}

/// Bytes from exactly that many pairs of hexadecimal digits.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *byte = u8::try_from(digit(0)? << 4 | digit(1)?).ok()?;
    }
    Some(bytes)
}

const _: () = assert!(SECRET_BYTES == 32, "the message of a damaged secret says so");

fn load<T: for<'de> Deserialize<'de>>(
    path: &Path,
    missing: impl FnOnce(PathBuf) -> IdentityError,
) -> Result<T, IdentityError> {
    let text = files::read(path, PAPER_BYTES).map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            missing(path.to_owned())
        } else {
            IdentityError::File { path: path.to_owned(), error }
        }
    })?;
    let damaged = |error: toml::de::Error| IdentityError::Damaged {
        path: path.to_owned(),
        // Not the error's own text, which would show the line: it may be the key's.
        why: error.message().to_owned(),
    };
    toml::from_str(&text).map_err(damaged)
}

fn save(path: &Path, file: &impl Serialize) -> Result<(), IdentityError> {
    let text = toml::to_string(file).map_err(io::Error::other);
    text.and_then(|text| files::write(path, &text)).map_err(at(path))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> IdentityError {
    move |error| IdentityError::File { path: path.to_owned(), error }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn founded() -> (Authority, Identity) {
        Authority::found("alpha".parse().unwrap(), NodeId(1)).unwrap()
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let papers = Papers::new(folder.path());
        assert!(matches!(papers.identity(), Err(IdentityError::Missing(_))));
        assert!(matches!(papers.authority(), Err(IdentityError::NoAuthority(_))));
        papers.prepare().unwrap();
        let (authority, identity) = founded();
        papers.keep_authority(&authority).unwrap();
        papers.keep_identity(&identity).unwrap();
        let read = papers.identity().unwrap();
        assert_eq!((read.node, &read.cluster), (NodeId(1), &identity.cluster));
        assert_eq!(read.certificate, identity.certificate);
        assert_eq!(read.key_bytes(), identity.key_bytes());
        assert!(read.secret == identity.secret);
        assert_eq!(Fingerprint::of(papers.authority().unwrap().certificate()), read.fingerprint());
        assert!(matches!(papers.prepare(), Err(IdentityError::Exists(_))));
    }

    use super::super::Fingerprint;

    #[test]
    fn a_renewed_identity_is_the_same_node_with_another_key() {
        let (authority, identity) = founded();
        let renewed = identity.renew(&authority).unwrap();
        assert_eq!(node_of(&renewed.certificate, &identity.cluster), Some(NodeId(1)));
        assert_eq!(renewed.fingerprint(), identity.fingerprint());
        assert!(renewed.secret == identity.secret);
        assert_ne!(renewed.key_bytes(), identity.key_bytes());
    }

    #[test]
    fn what_is_damaged_is_said_without_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let papers = Papers::new(folder.path());
        papers.prepare().unwrap();
        let (_, identity) = founded();
        let good = toml::to_string(&IdentityFile::of(&identity)).unwrap();
        let cases = [
            ("version = 1", "version = 2", "version is 2"),
            ("node = 1", "node = 2", "not of this node"),
            ("cluster = \"alpha\"", "cluster = \"Alpha\"", "a cluster's name"),
            ("secret = \"", "secret = \"z", "not 32 bytes"),
            ("node = 1", "node = 1\nkind = 3", "unknown field"),
        ];
        for (from, to, why) in cases {
            files::write(&papers.identity_path(), &good.replacen(from, to, 1)).unwrap();
            let said = papers.identity().unwrap_err().to_string();
            assert!(said.contains(why), "{said}");
            let key = good.lines().find(|line| line.starts_with("MIG")).unwrap();
            assert!(!said.contains(key));
        }
    }

    #[test]
    fn hexadecimal() {
        assert_eq!(unhex("00ffA1"), Some([0, 0xff, 0xa1]));
        for bad in ["", "00ff", "00ffA1b2", "00ffgg", "+0ffA1"] {
            assert_eq!(unhex::<3>(bad), None, "{bad}");
        }
    }
}
