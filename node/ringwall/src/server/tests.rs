#![allow(clippy::unwrap_used)]

mod fake;
mod far;
mod hostile;
mod verbs;

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use config::{Access, Principal, Role, api};
use tokio::sync::oneshot;

use super::rejection::Rejection;
use super::{Bounded, Bounds, Claim, Endpoint, Gate, router, serve};
use crate::client::{Client, ClientError};
use crate::limits::{API_CONNECTIONS, REQUEST_BYTES};
use fake::Fake;

/// A server in a thread of its own, and a client for it.
struct Pair {
    client: Client,
    fake: Arc<Fake>,
    socket: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl Pair {
    fn start() -> Self {
        Self::with(Gate::new(Access::default()))
    }

    fn with(gate: Gate) -> Self {
        let gate = Arc::new(gate);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fw1.sock");
        let socket = Claim::stake(&path, None).unwrap().listen().unwrap();
        let (stop, stopped) = oneshot::channel();
        let fake = Arc::<Fake>::default();
        let node = Arc::clone(&fake);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let stopped = async { stopped.await.unwrap_or_default() };
            let served = async { serve(socket.listener().unwrap(), node, gate, stopped).await };
            runtime.unwrap().block_on(served).unwrap();
        });
        let client = Client::new(&path);
        let (stop, thread) = (Some(stop), Some(thread));
        Self { client, fake, socket: path, stop, thread, _folder: folder }
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
    let rollback = api::RollbackRequest { epoch: Some(4), request: None };
    assert_eq!(client.post::<api::Committed>(api::ROLLBACK, &rollback).unwrap().epoch, 4);
    assert!(client.get::<api::History>(api::HISTORY).unwrap().revisions[0].in_force);
    let compare = api::CompareRequest { from: Some(2), to: None };
    let compared: api::Comparison = client.post(api::COMPARE, &compare).unwrap();
    assert_eq!((compared.from.epoch, compared.to.epoch), (2, 5));
    let confirm = api::ConfirmRequest { epoch: Some(3), request: None };
    assert_eq!(client.post::<api::Confirmed>(api::CONFIRM, &confirm).unwrap().epoch, 3);
    let status: api::PolicyStatus = client.get(api::POLICY_STATUS).unwrap();
    assert_eq!((status.trial.map(|trial| trial.fallback), status.raft.term), (Some(4), 3));
    let member = |node| {
        let verb = api::MemberVerb::Replace;
        api::MemberRequest { verb, node, by: Some(4), request: None }
    };
    client.post::<api::Done>(api::CLUSTER_MEMBER, &member(3)).unwrap();
    let token = api::TokenRequest { seconds: 60, replaces: None };
    let made = client.post::<api::TokenMade>(api::CLUSTER_TOKEN, &token).unwrap();
    assert_eq!((made.token.as_str(), made.seconds), ("a-token", 60));
    let refused = client.post::<api::Done>(api::CLUSTER_MEMBER, &member(9)).unwrap_err();
    assert_eq!(refused.to_string(), "node 9 is no member");
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

/// What a client must tell apart: it may ask again, or somebody was faster.
#[test]
fn what_is_not_known_and_what_is_a_conflict_are_told() {
    let pair = Pair::start();
    let commit = |comment: &str| {
        let comment = Some(comment.to_owned());
        let request = api::CommitRequest { comment, ..api::CommitRequest::default() };
        pair.client.post::<api::Committed>(api::COMMIT, &request).unwrap_err()
    };
    let unknown = commit("unknown once");
    assert!(unknown.leaves_open(), "{unknown:?}");
    let ClientError::Refused(error) = commit("conflict") else { panic!("no refusal") };
    assert!(!error.unknown, "{error:?}");
    let told: Vec<_> = error.changes.iter().map(ToString::to_string).collect();
    assert_eq!((told.as_slice(), error.revisions[0].epoch), (&["- zone dmz".to_owned()][..], 5));
}

#[test]
fn the_id_of_a_request_is_understood_or_refused() {
    let pair = Pair::start();
    let id = api::RequestId(0xfeed);
    let request = api::CommitRequest {
        confirm_milliseconds: Some(90_000),
        check: true,
        request: Some(id),
        ..api::CommitRequest::default()
    };
    let committed: api::Committed = pair.client.post(api::COMMIT, &request).unwrap();
    assert!(committed.checked_only);
    assert_eq!(committed.reverts.map(|it| it.in_milliseconds), Some(90_000));
    let bad = serde_json::json!({ "epoch": 3, "request": "0xfeed" });
    let refused = pair.client.post::<api::Confirmed>(api::CONFIRM, &bad).unwrap_err();
    assert!(refused.to_string().contains("no id of 32 hexadecimal digits"), "{refused}");
}

#[test]
fn the_author_of_a_commit_is_the_user_at_the_socket() {
    let pair = Pair::start();
    let request = api::CommitRequest { text: "who?".to_owned(), ..api::CommitRequest::default() };
    let answer = pair.client.post::<api::Committed>(api::COMMIT, &request).unwrap_err();
    let own = nix::unistd::User::from_uid(nix::unistd::Uid::effective()).unwrap().unwrap();
    assert_eq!(answer.to_string(), own.name);
}

/// Each path, with and without the role that it needs.
#[test]
fn every_path_asks_for_its_role() {
    let own = nix::unistd::User::from_uid(nix::unistd::Uid::effective()).unwrap().unwrap();
    let own = Principal::User(own.name);
    for has in [None, Some(Role::Read), Some(Role::Operate), Some(Role::Administer)] {
        let mut access = Access::default();
        match has {
            Some(Role::Read) => access.read.push(own.clone()),
            Some(Role::Operate) => access.operate.push(own.clone()),
            Some(Role::Administer) => access.administer.push(own.clone()),
            None => {}
        }
        let pair = Pair::with(Gate::without_root(access));
        for endpoint in Endpoint::ALL {
            let (path, needed) = endpoint.needs();
            let (status, body) = ask_plainly(&pair, path);
            let allowed = has >= Some(needed);
            assert_eq!(status != 403, allowed, "{path} by {has:?}: {body}");
            if !allowed {
                assert!(body.contains(&format!("needs `{needed}`")), "{path}: {body}");
            }
        }
    }
}

/// Asks with either method and an empty object; the status of the one that the path takes.
fn ask_plainly(pair: &Pair, path: &str) -> (u16, String) {
    let ask = |method: &str| {
        let mut stream = UnixStream::connect(&pair.socket).unwrap();
        let head = "host: ringwall\r\nconnection: close\r\ncontent-type: application/json";
        let request =
            format!("{method} {path} HTTP/1.1\r\n{head}\r\ncontent-length: 2\r\n\r\n{{}}");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        (answer[9..12].parse().unwrap(), answer)
    };
    let got: (u16, String) = ask("GET");
    if got.0 == 405 { ask("POST") } else { got }
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
    let gate = Gate::new(Access::default());
    for rejection in [Rejection::Token, Rejection::Full, Rejection::Token] {
        gate.reject(rejection);
    }
    let facts = runtime.block_on(super::metrics::Facts::gather(&Fake::default(), &gate)).unwrap();
    let refused = [(Role::Read, 0), (Role::Operate, 2), (Role::Administer, 1)];
    let facts = super::metrics::Facts { refused, ..facts };
    let text = super::metrics::render(&facts);
    let expected = [
        "# HELP ringwall_packets_received_total Packets taken from a port",
        "# TYPE ringwall_packets_received_total counter",
        "ringwall_packets_received_total{worker=\"0\"} 3",
        "ringwall_packets_dropped_total{reason=\"no-rule\",worker=\"0\"} 2",
        "ringwall_anomalies_total{anomaly=\"udp-unreachable\",worker=\"0\"} 4",
        "ringwall_packets_held{worker=\"0\"} 1",
        "ringwall_xdp_frames_total{verdict=\"pass-host\"} 9",
        "ringwall_rule_hits_total{rule=\"web\"} 11",
        "ringwall_rule_sessions{rule=\"web\"} 4",
        "ringwall_rule_sessions_max{rule=\"web\"} 50",
        "ringwall_zone_sessions{zone=\"a\"} 0",
        "ringwall_zone_sessions_max{zone=\"a\"} 90",
        "ringwall_sessions 4",
        "ringwall_info{node=\"fake\",version=\"0.1.0\"} 1",
        "ringwall_worker_running{worker=\"0\"} 1",
        "ringwall_port_up{port=\"lan\"} 1",
        "ringwall_port_received_bytes_total{port=\"lan\"} 60",
        "ringwall_api_refused_total{role=\"operate\"} 2",
        "ringwall_api_rejected_total{reason=\"token\"} 2",
        "ringwall_policy_on_trial 1",
        "ringwall_policy_trial_seconds 90",
        "ringwall_policy_pending 0",
        "ringwall_policy_may_forward 1",
        "ringwall_policy_unable 0",
        "ringwall_raft_running 1",
        "ringwall_raft_leads 0",
        "ringwall_raft_leader 2",
        "ringwall_raft_term 3",
        "ringwall_raft_applied 41",
        "ringwall_raft_last 42",
        "ringwall_raft_sync_p99_seconds 0.0025",
        "ringwall_cluster_active 1",
        "ringwall_cluster_lease_seconds 0.06",
        "ringwall_cluster_path_up{member=\"2\",path=\"fabric\"} 1",
        "ringwall_cluster_behind{worker=\"0\"} 3",
        "ringwall_cluster_holds_total{worker=\"0\"} 7",
        "ringwall_cluster_net_total{what=\"foreign-certificate\"} 2",
        "ringwall_attacks{kind=\"syn-flood\"} 1",
        "ringwall_attacks_begun_total{kind=\"land\"} 2",
        "ringwall_screen_blocked_sources 4",
        "ringwall_screen_learned_ratio{zone=\"a\"} 0.25",
        "ringwall_nat_ports_max{pool=\"public\"} 122880",
        "ringwall_nat_ports_used{pool=\"public\",protocol=\"tcp\"} 15360",
        "ringwall_nat_ports_max{pool=\"interface:wan\"} 61440",
        "ringwall_nat_borrowed_total{pool=\"public\"} 3",
        "ringwall_nat_rule_hits_total{rule=\"out\"} 40",
        "ringwall_nat_rule_sessions{rule=\"out\"} 8",
        "ringwall_nat_mappings 5",
        "ringwall_nat_refused_total 6",
        "ringwall_syslog_sent_total{receiver=\"udp:192.0.2.9:514\"} 6",
        "ringwall_port_lost_packets_total{port=\"lan\",cause=\"ring-full\"} 1",
    ];
    for line in expected {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    let documented = include_str!("../../METRICS.md").lines();
    let documented: BTreeSet<_> = documented.filter_map(documented_metric).collect();
    assert_eq!(shown_metrics(&text), documented, "METRICS.md tells something else");
}

/// Name, kind, labels and help.
type Metric = (String, String, BTreeSet<String>, String);

/// A row of the table.
fn documented_metric(line: &str) -> Option<Metric> {
    let cells: Vec<&str> = line.strip_prefix("| `ringwall_")?.split('|').map(str::trim).collect();
    let [name, kind, labels, help, ""] = cells[..] else { panic!("not a row: {line}") };
    let labels = labels.split(", ").filter(|label| !label.is_empty());
    let labels = labels.map(|label| label.trim_matches('`').to_owned()).collect();
    let name = format!("ringwall_{}", name.trim_end_matches('`'));
    Some((name, kind.to_owned(), labels, help.to_owned()))
}

/// What Prometheus would learn from the text.
fn shown_metrics(text: &str) -> BTreeSet<Metric> {
    let of = |what: &str, name: &str| {
        let head = format!("# {what} {name} ");
        let found = text.lines().find_map(|line| line.strip_prefix(&head));
        found.unwrap_or_else(|| panic!("{name} has no {what}")).to_owned()
    };
    let names: BTreeSet<&str> = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    let labels = |name: &str| {
        let sample = |line: &&str| line.split(['{', ' ']).next() == Some(name);
        let sample = text.lines().find(sample).unwrap();
        let inside = sample.split_once('{').map_or("", |(_, rest)| rest.split_once('}').unwrap().0);
        let pairs = inside.split(',').filter_map(|pair| pair.split_once('='));
        pairs.map(|(label, _)| label.to_owned()).collect()
    };
    let metric = |name: &str| (name.to_owned(), of("TYPE", name), labels(name), of("HELP", name));
    names.into_iter().map(metric).collect()
}

/// A connection past the client, on which nothing is said.
fn silent(pair: &Pair) -> UnixStream {
    let stream = UnixStream::connect(&pair.socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    stream
}

#[test]
fn one_connection_too_many_waits_for_another_to_end() {
    let pair = Pair::start();
    let mut held: Vec<_> = (0..API_CONNECTIONS).map(|_| silent(&pair)).collect();
    // Those that came first are served: the last of them, although the others say nothing.
    let ask = |stream: &mut UnixStream| {
        let request = format!("GET {} HTTP/1.1\r\nhost: ringwall\r\n\r\n", api::STATUS);
        stream.write_all(request.as_bytes()).unwrap();
    };
    ask(held.last_mut().unwrap());
    held.last_mut().unwrap().set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    let mut first = [0; 12];
    held.last_mut().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    let mut waiting = silent(&pair);
    ask(&mut waiting);
    assert!(waiting.read(&mut first).is_err(), "more than {API_CONNECTIONS} are served");
    held.pop();
    waiting.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    waiting.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
}

#[test]
fn a_connection_on_which_nothing_moves_is_closed() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let bounds = Bounds { connections: 1, idle: Duration::from_millis(50) };
        let listener = Bounded::new(listener, "test", bounds);
        let gate = Arc::new(Gate::new(Access::default()));
        tokio::spawn(axum::serve(listener, router(Arc::<Fake>::default(), &gate)).into_future());
        let mut idle = tokio::net::TcpStream::connect(to).await.unwrap();
        let ended = async { tokio::io::AsyncReadExt::read(&mut idle, &mut [0; 1]).await };
        let ended = tokio::time::timeout(Duration::from_secs(15), ended).await;
        assert!(matches!(ended, Ok(Ok(0) | Err(_))), "still open: {ended:?}");
    });
}
