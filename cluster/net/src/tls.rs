//! TLS as the cluster uses it: both ends show a certificate of the cluster's authority, dates do not
//! count, nothing is resumed, and the peer is a member or the handshake fails.

use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use cluster_core::NodeId;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature,
    verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    ServerConfig, SignatureScheme, version,
};

use crate::identity::{ClusterName, Fingerprint, Identity, node_of};
use crate::{Counter, Counters};

/// The nodes whose certificates are good. Shared with running endpoints.
#[derive(Clone, Debug, Default)]
pub(crate) struct Members(Arc<ArcSwap<BTreeSet<NodeId>>>);

impl Members {
    pub(crate) fn new(nodes: BTreeSet<NodeId>) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(nodes)))
    }

    pub(crate) fn set(&self, nodes: BTreeSet<NodeId>) {
        self.0.store(Arc::new(nodes));
    }

    pub(crate) fn contains(&self, node: NodeId) -> bool {
        self.0.load().contains(&node)
    }
}

/// The time at which certificates are judged, always (see `identity`): a day after the epoch.
#[derive(Debug)]
struct Undated;

const JUDGED_AT: UnixTime = UnixTime::since_unix_epoch(Duration::from_secs(86_400));

impl TimeProvider for Undated {
    fn current_time(&self) -> Option<UnixTime> {
        Some(JUDGED_AT)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Signatures of handshakes, which all verifiers check alike.
macro_rules! signatures_by_algorithms {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls12_signature(message, certificate, signed, &self.algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls13_signature(message, certificate, signed, &self.algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.algorithms.supported_schemes()
        }
    };
}

/// Judges the certificates of peers, in both roles.
#[derive(Debug)]
pub(crate) struct Judge {
    cluster: ClusterName,
    own: NodeId,
    members: Members,
    counters: Arc<Counters>,
    roots: Arc<RootCertStore>,
    /// Checks a caller's chain; this type only adds the name.
    callers: Arc<dyn ClientCertVerifier>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Judge {
    pub(crate) fn new(
        identity: &Identity,
        members: Members,
        counters: Arc<Counters>,
    ) -> Result<Arc<Self>, Error> {
        let mut roots = RootCertStore::empty();
        roots.add(identity.authority.clone())?;
        let roots = Arc::new(roots);
        let provider = provider();
        let algorithms = provider.signature_verification_algorithms;
        let callers =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider).build();
        let callers = callers.map_err(|error| Error::General(error.to_string()))?;
        let (cluster, own) = (identity.cluster.clone(), identity.node);
        Ok(Arc::new(Self { cluster, own, members, counters, roots, callers, algorithms }))
    }

    /// The number of a member whose certificate this is. The chain was checked before.
    pub(crate) fn member(&self, certificate: &CertificateDer<'_>) -> Result<NodeId, Counter> {
        let node = node_of(certificate, &self.cluster).ok_or(Counter::NamelessCertificate)?;
        match node {
            _ if node == self.own => Err(Counter::OwnIdentity),
            _ if self.members.contains(node) => Ok(node),
            _ => Err(Counter::NotAMember),
        }
    }

    fn judge(
        &self,
        chain: Result<(), Error>,
        certificate: &CertificateDer<'_>,
    ) -> Result<(), Error> {
        let judged = chain.map_err(|_| Counter::ForeignCertificate);
        judged.and_then(|()| self.member(certificate).map(drop)).map_err(|counter| {
            self.counters.count(counter);
            refusal()
        })
    }
}

/// What a refused peer is told: no more than that it is refused.
fn refusal() -> Error {
    Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = signed_by(&self.roots, end_entity, intermediates, now, &self.algorithms);
        self.judge(chain, end_entity)?;
        Ok(ServerCertVerified::assertion())
    }

    signatures_by_algorithms!();
}

impl ClientCertVerifier for Judge {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // Nobody needs a hint: a node has one certificate.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let chain = self.callers.verify_client_cert(end_entity, intermediates, now).map(drop);
        self.judge(chain, end_entity)?;
        Ok(ClientCertVerified::assertion())
    }

    signatures_by_algorithms!();
}

/// Judges the issuer that a joiner talks to: it shows the authority's certificate, known by its
/// fingerprint, and one of a node that this authority made.
#[derive(Debug)]
pub(crate) struct Pinned {
    cluster: ClusterName,
    fingerprint: Fingerprint,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Pinned {
    pub(crate) fn new(cluster: ClusterName, fingerprint: Fingerprint) -> Arc<Self> {
        let algorithms = provider().signature_verification_algorithms;
        Arc::new(Self { cluster, fingerprint, algorithms })
    }

    /// Whether the pinned authority, which is among `others`, made `certificate` for a node.
    pub(crate) fn check(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
    ) -> Result<(), Error> {
        let authority = others.iter().find(|it| Fingerprint::of(it) == self.fingerprint);
        let authority = authority.ok_or_else(refusal)?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        signed_by(&roots, certificate, &[], JUDGED_AT, &self.algorithms)?;
        node_of(certificate, &self.cluster).map(drop).ok_or_else(refusal)
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity, intermediates)?;
        Ok(ServerCertVerified::assertion())
    }

    signatures_by_algorithms!();
}

fn signed_by(
    roots: &RootCertStore,
    certificate: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    now: UnixTime,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<(), Error> {
    let certificate = ParsedCertificate::try_from(certificate)?;
    verify_server_cert_signed_by_trust_anchor(
        &certificate,
        roots,
        intermediates,
        now,
        algorithms.all,
    )
}

/// For a member that is called by members.
pub(crate) fn accepting(
    identity: &Identity,
    judge: Arc<Judge>,
    protocols: Vec<Vec<u8>>,
) -> Result<ServerConfig, Error> {
    let builder = server_builder()?.with_client_cert_verifier(judge);
    let chain = vec![identity.certificate.clone()];
    Ok(answering(builder.with_single_cert(chain, identity.key())?, protocols))
}

/// For the issuer: whoever calls has no certificate yet; the authority's is shown to be pinned.
pub(crate) fn issuing(identity: &Identity, protocols: Vec<Vec<u8>>) -> Result<ServerConfig, Error> {
    let chain = vec![identity.certificate.clone(), identity.authority.clone()];
    let builder = server_builder()?.with_no_client_auth();
    Ok(answering(builder.with_single_cert(chain, identity.key())?, protocols))
}

/// For a member that calls a member.
pub(crate) fn calling(
    identity: &Identity,
    judge: Arc<Judge>,
    protocols: Vec<Vec<u8>>,
) -> Result<ClientConfig, Error> {
    let builder = client_builder()?.dangerous().with_custom_certificate_verifier(judge);
    let chain = vec![identity.certificate.clone()];
    Ok(asking(builder.with_client_auth_cert(chain, identity.key())?, protocols))
}

/// For a joiner that calls the issuer.
pub(crate) fn joining(
    pinned: Arc<dyn ServerCertVerifier>,
    protocols: Vec<Vec<u8>>,
) -> Result<ClientConfig, Error> {
    let builder = client_builder()?.dangerous().with_custom_certificate_verifier(pinned);
    Ok(asking(builder.with_no_client_auth(), protocols))
}

fn server_builder() -> Result<rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier>, Error> {
    ServerConfig::builder_with_details(provider(), Arc::new(Undated))
        .with_protocol_versions(&[&version::TLS13])
}

fn client_builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, Error> {
    ClientConfig::builder_with_details(provider(), Arc::new(Undated))
        .with_protocol_versions(&[&version::TLS13])
}

/// No tickets, so that every connection proves its keys anew, and no early data, which could be
/// replayed.
fn answering(mut config: ServerConfig, protocols: Vec<Vec<u8>>) -> ServerConfig {
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    config.alpn_protocols = protocols;
    config
}

fn asking(mut config: ClientConfig, protocols: Vec<Vec<u8>>) -> ClientConfig {
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.alpn_protocols = protocols;
    config
}
