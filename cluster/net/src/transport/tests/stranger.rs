//! Somebody who speaks QUIC and TLS, and believes anybody: what he says is up to the test.

use std::sync::Arc;

use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, RecvStream, SendStream};
use rustls::DigitallySignedStruct;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use super::nodes::{ANY, Node, quick, within};
use crate::codec;
use crate::identity::Identity;
use crate::limits::CONTROL_FRAME_BYTES;
use crate::message::{ControlMessage, Hello};
use crate::transport::protocol::{Kind, VERSIONS};
use crate::transport::{frames, tuning};

/// Believes anybody.
#[derive(Debug)]
struct Gullible(Arc<CryptoProvider>);

impl ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

pub(super) struct Stranger {
    endpoint: Endpoint,
    papers: Option<Papers>,
}

type Papers = (CertificateDer<'static>, rustls::pki_types::PrivateKeyDer<'static>);

/// A call of his, which the other end may yet refuse.
pub(super) struct Called(Result<Connection, ConnectionError>);

/// A connection on which both have said hello.
pub(super) struct Met {
    pub(super) connection: Connection,
    pub(super) send: SendStream,
    pub(super) receive: RecvStream,
}

impl Stranger {
    /// With the certificate and key of this identity.
    pub(super) fn with(identity: &Identity) -> Self {
        Self::showing(Some((identity.certificate.clone(), identity.key())))
    }

    /// With no certificate at all.
    pub(super) fn nobody() -> Self {
        Self::showing(None)
    }

    fn showing(papers: Option<Papers>) -> Self {
        Self { endpoint: Endpoint::client(ANY).unwrap(), papers }
    }

    fn config(&self, protocols: Vec<Vec<u8>>) -> ClientConfig {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Gullible(provider)));
        let mut tls = match &self.papers {
            Some((certificate, key)) => {
                let chain = vec![certificate.clone()];
                builder.with_client_auth_cert(chain, key.clone_key()).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        tls.alpn_protocols = protocols;
        tuning::client(tls, &quick()).unwrap()
    }

    pub(super) async fn call(&self, node: &Node, kind: Kind) -> Called {
        self.call_as(node, kind.names(VERSIONS)).await
    }

    pub(super) async fn call_as(&self, node: &Node, protocols: Vec<Vec<u8>>) -> Called {
        let config = self.config(protocols);
        let connecting = self.endpoint.connect_with(config, node.address(), "any").unwrap();
        Called(within(connecting).await)
    }

    /// Calls and says hello, as a member does.
    pub(super) async fn meet(&self, node: &Node) -> Met {
        let hello = Hello { boot: 1, ..Hello::default() };
        let hello = codec::encode(&ControlMessage::Hello(hello)).unwrap();
        let mut met = self.call(node, Kind::Live).await.say(&hello).await;
        met.hear().await;
        met
    }
}

impl Called {
    /// The connection is refused, during the handshake or right after it.
    pub(super) async fn refused(self) {
        if let Ok(connection) = self.0 {
            within(connection.closed()).await;
        }
    }

    pub(super) fn taken(self) -> Connection {
        self.0.unwrap()
    }

    /// Opens the control stream with this frame.
    pub(super) async fn say(self, frame: &[u8]) -> Met {
        let connection = self.taken();
        let (send, receive) = within(connection.open_bi()).await.unwrap();
        let mut met = Met { connection, send, receive };
        met.say(frame).await;
        met
    }

    /// Opens the control stream with these bytes, which may be no frame.
    pub(super) async fn write(self, bytes: &[u8]) -> Met {
        let connection = self.taken();
        let (mut send, receive) = within(connection.open_bi()).await.unwrap();
        within(send.write_all(bytes)).await.unwrap();
        Met { connection, send, receive }
    }
}

impl Met {
    pub(super) async fn say(&mut self, frame: &[u8]) {
        within(frames::write(&mut self.send, frame, quick().idle)).await.unwrap();
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) {
        within(self.send.write_all(bytes)).await.unwrap();
    }

    pub(super) async fn hear(&mut self) -> Vec<u8> {
        let heard = frames::read(&mut self.receive, CONTROL_FRAME_BYTES, quick().idle);
        within(heard).await.unwrap()
    }
}
