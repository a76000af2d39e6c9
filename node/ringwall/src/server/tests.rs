#![allow(clippy::unwrap_used)]

mod fake;

use std::path::PathBuf;
use std::sync::Arc;

use config::api;
use tokio::sync::oneshot;

use super::{Claim, serve};
use crate::client::{Client, ClientError};
use crate::limits::REQUEST_BYTES;
use fake::Fake;

/// A server in a thread of its own, and a client for it.
struct Pair {
    client: Client,
    socket: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl Pair {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fw1.sock");
        let socket = Claim::stake(&path).unwrap().listen().unwrap();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let stopped = async { stopped.await.unwrap_or_default() };
            let served = async { serve(socket.listener().unwrap(), Arc::new(Fake), stopped).await };
            runtime.unwrap().block_on(served).unwrap();
        });
        let client = Client::new(&path);
        Self { client, socket: path, stop: Some(stop), thread: Some(thread), _folder: folder }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
        self.thread.take().unwrap().join().unwrap();
        assert!(!self.socket.exists(), "the socket goes with its server");
    }
}

#[test]
fn every_path_answers_with_its_own_type() {
    let pair = Pair::start();
    let client = &pair.client;
    assert_eq!(client.get::<api::Status>(api::STATUS).unwrap().name, "fake");
    let page = api::PageRequest { cursor: Some("c".to_owned()), ..api::PageRequest::default() };
    let sessions: api::SessionsPage = client.post(api::SESSIONS, &page).unwrap();
    assert_eq!(sessions.cursor.as_deref(), Some("c"));
    let conversations: api::ConversationsPage = client.post(api::CONVERSATIONS, &page).unwrap();
    assert_eq!(conversations.cursor.as_deref(), Some("c"));
    let clear = api::ClearRequest::default();
    assert_eq!(client.post::<api::Cleared>(api::SESSIONS_CLEAR, &clear).unwrap().count, 7);
    assert_eq!(client.get::<api::Counters>(api::COUNTERS).unwrap().total["received"], 3);
    assert_eq!(client.get::<api::Policy>(api::POLICY).unwrap().epoch, 5);
    assert_eq!(client.get::<api::Ports>(api::PORTS).unwrap().ports[0].name, "lan");
    let rollback = api::RollbackRequest { epoch: Some(4) };
    assert_eq!(client.post::<api::Committed>(api::ROLLBACK, &rollback).unwrap().epoch, 4);
    let failpoint = api::FailpointRequest { name: "panic".to_owned(), worker: None, times: 1 };
    client.post::<api::Done>(api::FAILPOINT, &failpoint).unwrap();
}

#[test]
fn a_refusal_carries_its_diagnostics() {
    let pair = Pair::start();
    let request = api::CommitRequest { text: "bad".to_owned(), ..api::CommitRequest::default() };
    let refused = pair.client.post::<api::Committed>(api::COMMIT, &request).unwrap_err();
    let ClientError::Refused(error) = refused else { panic!("{refused}") };
    assert_eq!((error.error.as_str(), error.diagnostics.len()), ("the policy is refused", 1));
}

#[test]
fn a_request_that_is_not_understood_changes_nothing() {
    let pair = Pair::start();
    let sorce = serde_json::json!({ "filter": { "sorce": "10.0.0.0/8" } });
    let refused = pair.client.post::<api::Cleared>(api::SESSIONS_CLEAR, &sorce).unwrap_err();
    assert!(refused.to_string().contains("sorce"), "{refused}");
    let nowhere = pair.client.get::<api::Done>("/v1/nowhere").unwrap_err();
    assert!(nowhere.to_string().contains("nothing at this path"), "{nowhere}");
    let wrong = pair.client.get::<api::Cleared>(api::SESSIONS_CLEAR).unwrap_err();
    assert!(wrong.to_string().contains("another method"), "{wrong}");
}

#[test]
fn a_large_policy_passes_and_an_endless_one_does_not() {
    let pair = Pair::start();
    let commit = |bytes| {
        let text = "#".repeat(bytes);
        let request = api::CommitRequest { text, ..api::CommitRequest::default() };
        pair.client.post::<api::Committed>(api::COMMIT, &request)
    };
    assert_eq!(commit(8 << 20).unwrap().epoch, 6);
    assert!(commit(REQUEST_BYTES + 1).is_err());
}

#[test]
fn without_a_daemon_the_client_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fw1.sock");
    let missing = Client::new(&path).get::<api::Status>(api::STATUS).unwrap_err().to_string();
    assert!(missing.contains("start one with `ringwall run"), "{missing}");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let ended = Client::new(&path).get::<api::Status>(api::STATUS).unwrap_err().to_string();
    assert!(ended.contains("has ended"), "{ended}");
}

#[test]
fn metrics_have_names_labels_and_help() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let facts = runtime.block_on(super::metrics::Facts::gather(&Fake)).unwrap();
    let text = super::metrics::render(&facts);
    let expected = [
        "# HELP ringwall_packets_received_total Packets taken from a port",
        "# TYPE ringwall_packets_received_total counter",
        "ringwall_packets_received_total{worker=\"0\"} 3",
        "ringwall_packets_dropped_total{reason=\"no-rule\",worker=\"0\"} 2",
        "ringwall_packets_held{worker=\"0\"} 1",
        "ringwall_xdp_frames_total{verdict=\"pass-host\"} 9",
        "ringwall_rule_hits_total{rule=\"web\"} 11",
        "ringwall_sessions 4",
        "ringwall_info{node=\"fake\",version=\"0.1.0\"} 1",
        "ringwall_worker_running{worker=\"0\"} 1",
        "ringwall_port_up{port=\"lan\"} 1",
        "ringwall_port_received_bytes_total{port=\"lan\"} 60",
        "ringwall_port_lost_packets_total{port=\"lan\",cause=\"ring-full\"} 1",
    ];
    for line in expected {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    let helped = |line: &&str| line.starts_with("# TYPE ringwall_");
    for line in text.lines().filter(helped) {
        let name = line.split(' ').nth(2).unwrap();
        assert!(text.contains(&format!("# HELP {name} ")), "{name} has no help");
    }
}
