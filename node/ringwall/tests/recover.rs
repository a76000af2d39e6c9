//! `cluster recover` from outside: a node with a log of its own goes on alone, and nothing else does.

#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster_core::NodeId;
use cluster_core::policy::Log;
use cluster_net::Counters;
use cluster_net::identity::{Identity, Papers};
use cluster_net::message::Hello;
use cluster_net::raft::{Generation, Raft, RaftStore, Settings, Timing};
use cluster_net::transport::{self, Transport, VERSIONS};

const SOON: Duration = Duration::from_secs(30);

/// A node of a cluster of its own: its files.
struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    /// A node that has made a cluster.
    fn new() -> Self {
        let site = Self { folder: tempfile::tempdir().unwrap() };
        let [data, socket] = ["data", "fw1.sock"].map(|name| site.path(name).display().to_string());
        let node = format!(
            "[node]\nid = 1\nname = \"fw1\"\ndata-dir = \"{data}\"\n[[port]]\nname = \"lan\"\n\
             interface = \"lan0\"\n[api]\nsocket = \"{socket}\"\n[cluster]\nlisten = \"127.0.0.1:7400\"\n"
        );
        std::fs::write(site.path("node.toml"), node).unwrap();
        let made = site.cluster(&["init", "--name", "alpha"], "");
        assert_eq!(made.status.code(), Some(0), "{made:?}");
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn log(&self) -> PathBuf {
        self.path("data/cluster/policy/raft.redb")
    }

    fn identity(&self) -> Identity {
        Papers::new(&self.path("data")).identity().unwrap()
    }

    /// `ringwall cluster …` about this node, with an operator who types `reply`.
    fn cluster(&self, arguments: &[&str], reply: &str) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ringwall"))
            .arg("cluster")
            .args(arguments)
            .arg("--node")
            .arg(self.path("node.toml"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It may end without having asked.
        let _ = child.stdin.take().unwrap().write_all(reply.as_bytes());
        child.wait_with_output().unwrap()
    }

    fn recover(&self, reply: &str) -> Output {
        self.cluster(&["recover", "--sole-survivor"], reply)
    }

    /// A log of which this node is the only voter.
    fn begin_log(&self) {
        std::fs::create_dir_all(self.log().parent().unwrap()).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(begin(&self.identity(), &self.log()));
    }

    /// Waits until nobody has the log open, as the command says.
    fn until_free(&self) {
        let end = Instant::now() + SOON;
        while !said(&self.recover("no\n")).contains("nothing was done") {
            assert!(Instant::now() < end, "the log is still open: {:?}", self.recover("no\n"));
        }
    }

    fn generation(&self) -> Option<Generation> {
        let identity = self.identity();
        let store = RaftStore::open(&self.log(), &identity.cluster, identity.node).unwrap();
        let generation = store.generation();
        drop(store);
        self.until_free();
        generation
    }
}

async fn begin(identity: &Identity, log: &Path) {
    let settings = transport::Settings {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        peers: Vec::new(),
        members: [identity.node].into(),
        hello: Hello { boot: 1, ..Hello::default() },
        versions: VERSIONS.to_vec(),
        timing: transport::Timing::default(),
    };
    let (transport, _inbox) =
        Transport::start(identity, settings, Arc::<Counters>::default()).unwrap();
    let store = RaftStore::open(log, &identity.cluster, identity.node).unwrap();
    let settings = Settings { rank: 0, seed: 1, timing: Timing::default() };
    let sender = transport.sender().clone();
    let (raft, mut applied) = Raft::<Log>::start(settings, store, sender).await.unwrap();
    let told = tokio::spawn(async move { while applied.recv().await.is_some() {} });
    raft.initialize().await.unwrap();
    raft.ensure_linearizable(SOON).await.unwrap();
    raft.stop().await;
    told.abort();
    transport.stop().await;
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}

#[test]
fn a_sole_survivor_goes_on_when_the_operator_agrees() {
    let site = Site::new();
    site.begin_log();
    site.until_free();
    let refused = site.recover("yes, but\n");
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    for part in ["only voter of cluster `alpha`", "refused from then on", "`--yes` agrees"] {
        assert!(said(&refused).contains(part), "{refused:?}");
    }
    assert_eq!(site.generation(), Some(Generation { number: 1, founder: 1 }));
    let done = site.recover("yes\n");
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let told = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(told.starts_with("node 1 of cluster alpha goes on alone, in generation 2\n"), "{told}");
    assert!(told.contains("cluster join"), "{told}");
    assert_eq!(site.generation(), Some(Generation { number: 2, founder: 1 }));
    let again = site.cluster(&["recover", "--sole-survivor", "--yes", "--json"], "");
    let told: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!((&told["done"], &told["generation"]), (&"recovered".into(), &3.into()));
    assert_eq!(NodeId(site.generation().unwrap().founder), site.identity().node);
}

#[test]
fn what_cannot_go_on_says_why() {
    let site = Site::new();
    let no_flag = site.cluster(&["recover"], "");
    assert_eq!(no_flag.status.code(), Some(2), "{no_flag:?}");
    assert!(said(&no_flag).contains("--sole-survivor"), "{no_flag:?}");
    let no_log = site.recover("yes\n");
    assert_eq!(no_log.status.code(), Some(1), "{no_log:?}");
    assert!(said(&no_log).contains("never took part"), "{no_log:?}");
    assert!(!site.log().exists(), "it must not make one");
    // A log without a beginning is no history to go on with.
    std::fs::create_dir_all(site.log().parent().unwrap()).unwrap();
    let identity = site.identity();
    drop(RaftStore::open(&site.log(), &identity.cluster, identity.node).unwrap());
    site.until_free();
    let empty = site.recover("yes\n");
    assert_eq!(empty.status.code(), Some(1), "{empty:?}");
    assert!(said(&empty).contains("it has no history"), "{empty:?}");
    // Whoever has the socket's lock is a daemon.
    let lock = std::fs::File::create(site.path("fw1.sock.lock")).unwrap();
    lock.try_lock().unwrap();
    let running = site.recover("yes\n");
    assert_eq!(running.status.code(), Some(1), "{running:?}");
    assert!(said(&running).contains("the daemon must not run"), "{running:?}");
}
