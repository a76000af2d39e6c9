//! Certificates and keys in PEM files, of the node and of its clients.

use std::io;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::files;
use crate::limits::PEM_BYTES;

/// The certificates of a file, in its order; at least one.
pub(crate) fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let text = files::read_within(path, PEM_BYTES)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let found = found.map_err(|error| broken(&error, "certificate"))?;
    if found.is_empty() {
        return Err(broken(&pem::Error::NoItemsFound, "certificate"));
    }
    Ok(found)
}

/// The certificates of a file, as authorities.
pub(crate) fn roots(path: &Path) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        let added = roots.add(certificate);
        added.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
    }
    Ok(roots)
}

/// The private key of a file that nobody else may read.
pub(crate) fn key(path: &Path) -> io::Result<PrivateKeyDer<'static>> {
    let text = files::read_private(path, PEM_BYTES)?;
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| broken(&error, "private key"))
}

/// Says what is wrong, and nothing of what is there.
fn broken(error: &pem::Error, what: &str) -> io::Error {
    let why = if matches!(error, pem::Error::NoItemsFound) {
        format!("there is no {what} in PEM form")
    } else {
        format!("the PEM form of a {what} is broken")
    };
    io::Error::new(io::ErrorKind::InvalidData, why)
}
