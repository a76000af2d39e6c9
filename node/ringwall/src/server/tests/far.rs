//! The TLS listener over real sockets, with certificates that are made here.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use config::{Access, Principal, api};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, ClientConnection, StreamOwned, version};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::fake::Fake;
use crate::bearer::{self, Token};
use crate::client::{Client, ClientError, Remote, Url};
use crate::server::rejection::Rejection;
use crate::server::remote::{REMOTE_BOUNDS, Reception, RemoteBounds};
use crate::server::{Door, Gate};
use crate::{files, pem};

/// The longest wait of a test.
const PATIENCE: Duration = Duration::from_secs(15);
/// A bound that a test wants to see reached.
const SOON: Duration = Duration::from_millis(50);

/// An authority, and the folder in which it leaves certificates.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Authority {
    fn new(folder: &Path, name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(folder.join(name), issuer.pem()).unwrap();
        Self { issuer, folder: folder.to_owned() }
    }

    /// Makes NAME.pem and NAME.key with these names or addresses inside.
    fn issue(&self, name: &str, inside: &[&str], end: i32) {
        let inside: Vec<String> = inside.iter().map(|it| (*it).to_owned()).collect();
        let mut params = CertificateParams::new(inside).unwrap();
        params.not_after = date_time_ymd(end, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(self.folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        let path = self.folder.join(format!("{name}.key"));
        files::write_private(&path, &key.serialize_pem()).unwrap();
    }
}

/// Long after this test, and long before.
const VALID: i32 = 2999;
const EXPIRED: i32 = 2001;

/// A server in a thread of its own, with clients' papers.
struct Far {
    folder: tempfile::TempDir,
    at: SocketAddr,
    gate: Arc<Gate>,
    door: Arc<Door>,
    ci: Token,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// Who the node takes for somebody.
#[derive(Clone, Copy, PartialEq)]
enum Knows {
    Certificates,
    Tokens,
    Both,
}

fn access() -> Access {
    let named = |certificate: &str, token: &str| {
        let (certificate, token) = (certificate.to_owned(), token.to_owned());
        vec![Principal::Certificate(certificate), Principal::Token(token)]
    };
    Access { administer: named("ada", "ci"), operate: Vec::new(), read: named("eve", "watch") }
}

impl Far {
    fn start(knows: Knows) -> Self {
        Self::within(knows, REMOTE_BOUNDS)
    }

    fn within(knows: Knows, bounds: RemoteBounds) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let ours = Authority::new(path, "ca.pem");
        ours.issue("node", &["127.0.0.1"], VALID);
        ours.issue("ada", &["ada"], VALID);
        ours.issue("eve", &["eve"], VALID);
        ours.issue("max", &["max"], VALID);
        ours.issue("late", &["ada"], EXPIRED);
        ours.issue("nameless", &[], VALID);
        ours.issue("several", &["ada", "eve"], VALID);
        Authority::new(path, "other-ca.pem").issue("stranger", &["ada"], VALID);
        let ci = Token::make().unwrap();
        files::write_private(&path.join("tokens"), &bearer::line("ci", &ci)).unwrap();
        let file = |name: &str| path.join(name).to_str().unwrap().to_owned();
        let remote = config::Remote {
            listen: "127.0.0.1:0".parse().unwrap(),
            certificate: file("node.pem"),
            key: file("node.key"),
            client_ca: (knows != Knows::Tokens).then(|| file("ca.pem")),
            tokens: (knows != Knows::Certificates).then(|| file("tokens")),
        };
        let door = Arc::new(Door::open(remote).unwrap());
        let gate = Arc::new(Gate::without_root(access()));
        let reception =
            Reception::new(Arc::clone(&door), Arc::<Fake>::default(), Arc::clone(&gate), bounds);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                reception.serve(listener, async { stopped.await.unwrap_or_default() }).await;
            });
        });
        let (stop, thread) = (Some(stop), Some(thread));
        Self { folder, at, gate, door, ci, stop, thread }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A client with the certificate of this name, and this token.
    fn client(&self, name: Option<&str>, token: Option<&Token>) -> Client {
        self.client_of("ca.pem", name, token)
    }

    fn client_of(&self, ca: &str, name: Option<&str>, token: Option<&Token>) -> Client {
        let url: Url = format!("https://{}", self.at).parse().unwrap();
        let papers = name.map(|name| {
            let chain = pem::certificates(&self.file(&format!("{name}.pem"))).unwrap();
            (chain, pem::key(&self.file(&format!("{name}.key"))).unwrap())
        });
        Client::remote(Remote::new(url, &self.file(ca), papers, token.cloned()).unwrap())
    }

    /// A connection without a certificate, past the client.
    fn raw(&self) -> StreamOwned<ClientConnection, TcpStream> {
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&version::TLS13])
            .unwrap()
            .with_root_certificates(pem::roots(&self.file("ca.pem")).unwrap())
            .with_no_client_auth();
        let name = "127.0.0.1".try_into().unwrap();
        StreamOwned::new(ClientConnection::new(Arc::new(tls), name).unwrap(), self.plain())
    }

    fn plain(&self) -> TcpStream {
        let stream = TcpStream::connect(self.at).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn count(&self, rejection: Rejection) -> u64 {
        self.gate.rejected().into_iter().find(|(it, _)| *it == rejection).unwrap().1
    }

    /// The client may know before the server has counted.
    fn counts(&self, rejection: Rejection, expected: u64) {
        let end = Instant::now() + PATIENCE;
        while self.count(rejection) != expected {
            assert!(Instant::now() < end, "{rejection:?}: {:?}", self.gate.rejected());
            std::thread::yield_now();
        }
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
        self.thread.take().unwrap().join().unwrap();
    }
}

/// The fake node answers this commit with the name of its author.
fn author(client: &Client) -> String {
    let request = api::CommitRequest { text: "who?".to_owned(), ..api::CommitRequest::default() };
    client.post::<api::Committed>(api::COMMIT, &request).unwrap_err().to_string()
}

fn status(client: &Client) -> Result<api::Status, ClientError> {
    client.get(api::STATUS)
}

/// All that comes back until the connection ends, however it does.
fn rest(stream: &mut impl std::io::Read) -> String {
    let mut bytes = Vec::new();
    let ended = stream.read_to_end(&mut bytes);
    let timed_out = |error: &std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
    assert!(!ended.as_ref().is_err_and(timed_out), "still open: {ended:?}");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn a_certificate_or_a_token_is_the_author() {
    let far = Far::start(Knows::Both);
    assert_eq!(author(&far.client(Some("ada"), None)), "cert:ada");
    assert_eq!(author(&far.client(None, Some(&far.ci))), "token:ci");
    assert_eq!(
        author(&far.client(Some("eve"), Some(&far.ci))),
        "token:ci",
        "who sends one means it"
    );
    assert_eq!(status(&far.client(Some("ada"), None)).unwrap().name, "fake");
    let far = Far::start(Knows::Certificates);
    assert_eq!(author(&far.client(Some("ada"), None)), "cert:ada");
    let far = Far::start(Knows::Tokens);
    assert_eq!(author(&far.client(None, Some(&far.ci))), "token:ci");
    assert!(far.gate.rejected().iter().all(|(_, count)| *count == 0));
}

#[test]
fn a_role_is_that_of_the_name() {
    let far = Far::start(Knows::Both);
    let eve = far.client(Some("eve"), None);
    assert_eq!(status(&eve).unwrap().name, "fake");
    let refused = author(&eve);
    assert!(refused.starts_with("`cert:eve` has the role `read` here"), "{refused}");
    assert!(refused.contains("add \"cert:eve\" to `administer` in [api]"), "{refused}");
    // A good certificate without a role.
    let refused = status(&far.client(Some("max"), None)).unwrap_err().to_string();
    assert!(refused.starts_with("`cert:max` has no role here"), "{refused}");
}

#[test]
fn who_is_nobody_gets_401_and_nothing_else() {
    let far = Far::start(Knows::Both);
    let ask = |path: &str, header: &str| {
        let mut stream = far.raw();
        let request = format!("GET {path} HTTP/1.1\r\nhost: r\r\n{header}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        rest(&mut stream)
    };
    let nobody = ask(api::STATUS, "");
    assert!(nobody.starts_with("HTTP/1.1 401 ") && !nobody.contains("fake"), "{nobody}");
    let undated = |answer: &str| {
        answer.lines().filter(|line| !line.starts_with("date:")).collect::<Vec<_>>().join("\n")
    };
    let headers = [
        ("", Rejection::Anonymous),
        ("authorization: Bearer wrong\r\n", Rejection::Token),
        ("authorization: Bearer\r\n", Rejection::Token),
        ("authorization: Basic Y2k6Y2k=\r\n", Rejection::Token),
    ];
    for (header, rejection) in headers {
        // A path that is not there tells as little.
        for path in [api::STATUS, api::COMMIT, "/metrics", "/v1/nowhere"] {
            let before = far.count(rejection);
            let answer = ask(path, header);
            assert_eq!(undated(&answer), undated(&nobody), "{path} {header}");
            far.counts(rejection, before + 1);
        }
    }
    // Two at once, of which one is good.
    let good = format!("authorization: Bearer {}\r\n", far.ci.reveal());
    assert!(ask(api::STATUS, &good.repeat(2)).starts_with("HTTP/1.1 401 "));
    let lower = good.replace("Bearer", "bearer") + "connection: close\r\n";
    assert!(ask(api::STATUS, &lower).starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_certificate_does_not_make_up_for_a_wrong_token_nor_for_a_name() {
    let far = Far::start(Knows::Both);
    let wrong = Token::make().unwrap();
    for (name, token, rejection) in [
        ("ada", Some(&wrong), Rejection::Token),
        ("nameless", None, Rejection::Nameless),
        ("several", None, Rejection::Nameless),
    ] {
        let refused = status(&far.client(Some(name), token)).unwrap_err().to_string();
        assert!(refused.starts_with("this node does not know you"), "{name}: {refused}");
        far.counts(rejection, if name == "several" { 2 } else { 1 });
    }
}

#[test]
fn a_certificate_that_is_not_good_ends_the_handshake() {
    for (knows, names) in [
        (Knows::Certificates, &[Some("stranger"), Some("late"), None][..]),
        (Knows::Both, &[Some("stranger"), Some("late")]),
    ] {
        let far = Far::start(knows);
        for (number, name) in (1..).zip(names) {
            let refused = status(&far.client(*name, Some(&far.ci))).unwrap_err();
            // It is over at once: nothing was asked, and nobody asks again.
            assert!(!refused.leaves_open(), "{name:?}: {refused:?}");
            far.counts(Rejection::Certificate, number);
        }
        assert_eq!(status(&far.client(Some("ada"), None)).unwrap().name, "fake");
    }
}

#[test]
fn a_client_asks_nobody_but_its_own_node() {
    let far = Far::start(Knows::Both);
    let refused = status(&far.client_of("other-ca.pem", None, Some(&far.ci))).unwrap_err();
    assert!(matches!(refused, ClientError::Unreachable { .. }), "{refused:?}");
    assert!(!refused.to_string().contains(far.ci.reveal()), "{refused}");
    far.counts(Rejection::Handshake, 1);
}

#[test]
fn what_is_no_tls_gets_no_http() {
    let far = Far::start(Knows::Both);
    let mut stream = far.plain();
    stream.write_all(b"GET /v1/status HTTP/1.1\r\nhost: r\r\n\r\n").unwrap();
    let answer = rest(&mut stream);
    assert!(!answer.contains("HTTP"), "{answer}");
    far.counts(Rejection::Handshake, 1);
    drop(far.plain());
    far.counts(Rejection::Handshake, 2);
}

#[test]
fn a_handshake_that_takes_too_long_is_ended() {
    let bounds = RemoteBounds { handshake: SOON, ..REMOTE_BOUNDS };
    let far = Far::within(Knows::Both, bounds);
    assert_eq!(rest(&mut far.plain()), "");
    far.counts(Rejection::Slow, 1);
}

#[test]
fn a_head_that_takes_too_long_or_is_too_large_is_ended() {
    let far = Far::within(Knows::Both, RemoteBounds { head: SOON, ..REMOTE_BOUNDS });
    let mut stream = far.raw();
    stream.write_all(b"GET /v1/status HTTP/1.1\r\nhost").unwrap();
    assert!(!rest(&mut stream).contains("HTTP/1.1 2"));
    let far = Far::start(Knows::Both);
    for head in [format!("a: {}\r\n", "b".repeat(1 << 20)), "a: b\r\n".repeat(1000)] {
        let mut stream = far.raw();
        // The server may close before it has read all.
        let _ = stream.write_all(format!("GET /v1/status HTTP/1.1\r\n{head}\r\n").as_bytes());
        let answer = rest(&mut stream);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
}

#[test]
fn one_handshake_too_many_is_closed() {
    let bounds = RemoteBounds { handshakes: 1, ..REMOTE_BOUNDS };
    let far = Far::within(Knows::Both, bounds);
    let held = far.plain();
    assert_eq!(rest(&mut far.plain()), "");
    far.counts(Rejection::Full, 1);
    // The one that was there has room given back.
    drop(held);
    far.counts(Rejection::Handshake, 1);
    let end = Instant::now() + PATIENCE;
    while let Err(error) = status(&far.client(Some("ada"), None)) {
        assert!(Instant::now() < end, "{error}");
    }
}

#[test]
fn one_connection_too_many_is_closed() {
    let bounds = RemoteBounds { connections: 1, ..REMOTE_BOUNDS };
    let far = Far::within(Knows::Both, bounds);
    let mut held = far.raw();
    let ask = format!(
        "GET /v1/status HTTP/1.1\r\nhost: r\r\nauthorization: Bearer {}\r\n\r\n",
        far.ci.reveal()
    );
    held.write_all(ask.as_bytes()).unwrap();
    let mut first = [0; 12];
    held.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    assert!(status(&far.client(Some("ada"), None)).is_err());
    far.counts(Rejection::Full, 1);
}

#[test]
fn tokens_are_read_again_and_stay_if_the_file_is_wrong() {
    let far = Far::start(Knows::Both);
    let old = far.client(None, Some(&far.ci));
    assert_eq!(author(&old), "token:ci");
    let new = Token::make().unwrap();
    fs::write(far.file("tokens"), bearer::line("watch", &new)).unwrap();
    assert_eq!(author(&old), "token:ci", "nobody has said so yet");
    far.door.reopen().unwrap();
    assert!(author(&old).starts_with("this node does not know you"));
    let watch = far.client(None, Some(&new));
    assert_eq!(status(&watch).unwrap().name, "fake");
    fs::write(far.file("tokens"), far.ci.reveal()).unwrap();
    let told = far.door.reopen().unwrap_err().to_string();
    assert!(told.contains("tokens: line 1: ") && !told.contains(far.ci.reveal()), "{told}");
    assert_eq!(status(&watch).unwrap().name, "fake");
}

#[test]
fn files_that_are_missing_open_to_others_or_not_what_they_should_be_are_told() {
    let far = Far::start(Knows::Both);
    let file = |name: &str| far.file(name).to_str().unwrap().to_owned();
    let good = config::Remote {
        listen: far.at,
        certificate: file("node.pem"),
        key: file("node.key"),
        client_ca: Some(file("ca.pem")),
        tokens: Some(file("tokens")),
    };
    let told = |change: &dyn Fn(&mut config::Remote)| {
        let mut remote = good.clone();
        change(&mut remote);
        Door::open(remote).unwrap_err().to_string()
    };
    let cases = [
        (told(&|it| it.key = file("ada.key")), "node.pem: "),
        (told(&|it| it.key = file("nothing")), "nothing: No such file"),
        (told(&|it| it.certificate = file("ada.key")), "ada.key: there is no certificate"),
        (told(&|it| it.client_ca = Some(file("tokens"))), "tokens: there is no certificate"),
        (told(&|it| it.tokens = Some(file("node.key"))), "node.key: line 1: "),
    ];
    for (told, expected) in cases {
        assert!(told.contains(expected), "{told}: {expected}");
    }
    for name in ["node.key", "tokens"] {
        fs::set_permissions(far.file(name), fs::Permissions::from_mode(0o644)).unwrap();
        let told = Door::open(good.clone()).unwrap_err().to_string();
        assert!(told.contains(&format!("{name}: others may read it")), "{told}");
        fs::set_permissions(far.file(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    Door::open(good).unwrap();
}
