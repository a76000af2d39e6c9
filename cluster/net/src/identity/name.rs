//! Names of clusters and nodes, as certificates hold them.

use core::fmt;
use core::str::FromStr;

use cluster_core::NodeId;
use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

use crate::limits::CLUSTER_NAME_BYTES;

/// A cluster's name: a label of a DNS name in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClusterName(String);

/// Why a text is no cluster's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameError;

impl ClusterName {
    /// The name that the certificate of a node has.
    #[must_use]
    pub fn node(&self, node: NodeId) -> String {
        format!("node-{node}.{}", self.0)
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClusterName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let good = text.len() <= CLUSTER_NAME_BYTES
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && !text.ends_with('-')
            && text.bytes().all(inside);
        if good { Ok(Self(text.to_owned())) } else { Err(NameError) }
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a cluster's name is a lower-case letter, then such letters, digits or `-`, \
             {CLUSTER_NAME_BYTES} at most, no `-` at its end"
        )
    }
}

impl core::error::Error for NameError {}

/// The node that a certificate names. It is for the caller to know that the cluster's authority made
/// the certificate. `None`: it names none of this cluster, or more than one thing.
#[must_use]
pub fn node_of(certificate: &CertificateDer<'_>, cluster: &ClusterName) -> Option<NodeId> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    let mut names = certificate.valid_dns_names();
    let (name, more) = (names.next()?, names.next());
    let node = parse(name, cluster)?;
    more.is_none().then_some(node)
}

fn parse(name: &str, cluster: &ClusterName) -> Option<NodeId> {
    let (node, rest) = name.strip_prefix("node-")?.split_once('.')?;
    let node = NodeId(node.parse().ok()?);
    // One spelling alone: no sign, no leading zeros.
    (rest == cluster.0 && node.0 > 0 && cluster.node(node) == name).then_some(node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_clusters() {
        for good in ["a", "alpha", "dc1-west", &"x".repeat(CLUSTER_NAME_BYTES)] {
            assert_eq!(good.parse::<ClusterName>().unwrap().as_str(), good);
        }
        let long = "x".repeat(CLUSTER_NAME_BYTES + 1);
        for bad in ["", "Alpha", "1a", "-a", "a-", "a.b", "a b", "ä", &long] {
            assert_eq!(bad.parse::<ClusterName>(), Err(NameError), "{bad}");
        }
    }

    #[test]
    fn a_node_has_one_spelling() {
        let alpha: ClusterName = "alpha".parse().unwrap();
        assert_eq!(parse("node-7.alpha", &alpha), Some(NodeId(7)));
        assert_eq!(parse("node-65535.alpha", &alpha), Some(NodeId(65_535)));
        for bad in [
            "node-0.alpha",
            "node-07.alpha",
            "node-+7.alpha",
            "node-65536.alpha",
            "node-7.beta",
            "node-7.alpha.beta",
            "node-7",
            "node-.alpha",
            "7.alpha",
        ] {
            assert_eq!(parse(bad, &alpha), None, "{bad}");
        }
    }
}
