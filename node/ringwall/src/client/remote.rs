//! A daemon on another machine: where it is, how it is known, and how we are.

use std::fmt;
use std::io;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use hyper::header::HeaderValue;
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, Error, version};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::bearer::Token;
use crate::pem;

/// What is spoken inside TLS.
const HTTP: &[u8] = b"http/1.1";

/// `https://HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    host: String,
    port: u16,
    server: ServerName<'static>,
}

/// What a text has to be.
const FORM: &str = "https://HOST:PORT, such as https://fw1.example:7443";

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let place = text.strip_prefix("https://").ok_or(FORM)?;
        let place = place.strip_suffix('/').unwrap_or(place);
        let (host, port) = place.rsplit_once(':').ok_or(FORM)?;
        // An address of IPv6 has colons itself, and stands in brackets.
        let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if inside.is_none() && host.contains(':') {
            return Err(FORM.to_owned());
        }
        let host = inside.unwrap_or(host).to_owned();
        let port = port.parse().map_err(|_| FORM)?;
        let server = ServerName::try_from(host.clone()).map_err(|_| FORM)?;
        Ok(Self { host, port, server })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, .. } = self;
        match host.contains(':') {
            true => write!(f, "https://[{host}]:{port}"),
            false => write!(f, "https://{host}:{port}"),
        }
    }
}

/// A certificate and its key.
type Papers = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// A daemon on another machine.
#[derive(Clone)]
pub(crate) struct Remote {
    pub(super) url: Url,
    tls: Arc<ClientConfig>,
    token: Option<Token>,
}

impl Remote {
    /// The daemon at `url`, with a certificate by one of the authorities in `ca`. We show `papers`, or send
    /// `token`, or both.
    pub(crate) fn new(
        url: Url,
        ca: &Path,
        papers: Option<Papers>,
        token: Option<Token>,
    ) -> io::Result<Self> {
        let broken = |error: Error| io::Error::new(io::ErrorKind::InvalidData, error.to_string());
        let roots = pem::roots(ca)?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13])
            .map_err(broken)?
            .with_root_certificates(roots);
        let mut tls = match papers {
            Some((chain, key)) => tls.with_client_auth_cert(chain, key).map_err(broken)?,
            None => tls.with_no_client_auth(),
        };
        tls.alpn_protocols = vec![HTTP.to_vec()];
        tls.resumption = Resumption::disabled();
        Ok(Self { url, tls: Arc::new(tls), token })
    }

    pub(super) async fn connect(&self) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect((self.url.host.as_str(), self.url.port)).await?;
        stream.set_nodelay(true)?;
        TlsConnector::from(Arc::clone(&self.tls)).connect(self.url.server.clone(), stream).await
    }

    /// The header that says who we are, if it is not the certificate that does.
    pub(super) fn authorization(&self) -> Option<HeaderValue> {
        let token = self.token.as_ref()?;
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.reveal())).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Remote").field(&self.url).finish()
    }
}

/// Whether the other end has ended TLS with an alert. In TLS 1.3 the client has shaken hands when the server
/// judges its certificate; a server that refuses it has read no request.
pub(super) fn is_alert(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let inner = inner.and_then(|error| error.downcast_ref::<Error>());
        if matches!(inner.or(error.downcast_ref()), Some(Error::AlertReceived(_))) {
            return true;
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::Url;

    #[test]
    fn a_url_is_a_host_and_a_port() {
        for text in
            ["https://fw1.example:7443", "https://192.0.2.1:1", "https://[2001:db8::1]:7443"]
        {
            let url: Url = text.parse().unwrap();
            assert_eq!(url.to_string(), text);
            assert_eq!(format!("{text}/").parse::<Url>().unwrap(), url);
        }
        for text in [
            "",
            "fw1:7443",
            "http://fw1:7443",
            "https://fw1",
            "https://fw1:",
            "https://fw1:70000",
            "https://fw1:7443/v1",
            "https://:7443",
            "https://a b:7443",
            "https://ada@fw1:7443",
            "https://2001:db8::1:7443",
        ] {
            assert!(text.parse::<Url>().is_err(), "{text}");
        }
    }
}
