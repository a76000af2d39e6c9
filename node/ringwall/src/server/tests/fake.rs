//! A node that answers the same to everybody, but that it does not know at once what came of some commits.

use std::collections::BTreeMap;
use std::sync::Mutex;

use config::api::{self, Error, RequestId};
use config::{Change, Diagnostic, Severity};

use crate::backend::Backend;

#[derive(Debug, Default)]
pub(super) struct Fake {
    commits: Mutex<Vec<Option<RequestId>>>,
}

impl Fake {
    /// The ids of all commits that it was asked for.
    pub(super) fn requests(&self) -> Vec<Option<RequestId>> {
        self.commits.lock().unwrap().clone()
    }
}

fn named(counters: &[(&str, u64)]) -> BTreeMap<String, u64> {
    counters.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

fn conflict() -> Error {
    let revision = api::Revision { epoch: 5, ..api::Revision::default() };
    let changes = vec![Change::ZoneRemoved { zone: "dmz".to_owned() }];
    Error { changes, revisions: vec![revision], ..Error::new("a conflict") }
}

impl Backend for Fake {
    async fn status(&self) -> Result<api::Status, Error> {
        let worker = api::Worker {
            worker: 0,
            state: api::WorkerState::Running,
            sessions: 4,
            restarts: 0,
            cpu: None,
        };
        Ok(api::Status {
            name: "fake".to_owned(),
            id: 1,
            version: "0.1.0".to_owned(),
            pid: 1,
            uptime_milliseconds: 1_500,
            epoch: 5,
            digest: "00".to_owned(),
            sessions: 4,
            sessions_max: 1_024,
            workers: vec![worker],
            capabilities: Vec::new(),
            syslog: vec![api::SyslogReceiver {
                to: "udp:192.0.2.9:514".to_owned(),
                sent: 6,
                ..api::SyslogReceiver::default()
            }],
        })
    }

    async fn sessions(&self, request: api::PageRequest) -> Result<api::SessionsPage, Error> {
        Ok(api::SessionsPage { cursor: request.cursor, ..api::SessionsPage::default() })
    }

    async fn clear(&self, _: api::ClearRequest) -> Result<api::Cleared, Error> {
        Ok(api::Cleared { count: 7 })
    }

    async fn conversations(
        &self,
        request: api::PageRequest,
    ) -> Result<api::ConversationsPage, Error> {
        Ok(api::ConversationsPage { cursor: request.cursor, ..api::ConversationsPage::default() })
    }

    async fn anomalies(&self, _: api::AnomaliesRequest) -> Result<api::Anomalies, Error> {
        Ok(api::Anomalies { screening: true, ..api::Anomalies::default() })
    }

    async fn clear_anomalies(&self, _: api::AnomaliesClearRequest) -> Result<api::Done, Error> {
        Ok(api::Done {})
    }

    async fn screening(&self) -> Result<api::Screening, Error> {
        let kind = |kind: &str, live, begun| api::ScreenKind { kind: kind.to_owned(), live, begun };
        let zone = api::ScreenBaseline {
            zone: "a".to_owned(),
            learned: 0.25,
            hours: 6,
            expected: [("packets".to_owned(), 1_200.0)].into(),
            ..api::ScreenBaseline::default()
        };
        let prefix = Some("192.0.2.0/24".to_owned());
        let prefix = api::ScreenBaseline { prefix, learned: 1.0, ..zone.clone() };
        Ok(api::Screening {
            screening: true,
            kinds: vec![kind("syn-flood", 1, 3), kind("land", 0, 2)],
            blocked: 4,
            blocks: 9,
            baselines: vec![zone, prefix],
            ..api::Screening::default()
        })
    }

    async fn top(&self, _: api::TopRequest) -> Result<api::Top, Error> {
        Ok(api::Top { screening: true, ..api::Top::default() })
    }

    async fn algs(&self) -> Result<api::Algs, Error> {
        let channels = vec![api::AlgChannels { alg: "ftp".to_owned(), channels: 3 }];
        let counters = api::AlgCounters { channels: 9, opened: 7, ..api::AlgCounters::default() };
        Ok(api::Algs { channels, pinholes: 2, counters, ..api::Algs::default() })
    }

    async fn nat(&self, request: api::NatRequest) -> Result<api::Nat, Error> {
        let text = "[zones]\n[[nat-pool]]\nname = \"public\"\naddresses = \"192.0.2.0/31\"\n\
                    [[nat]]\nid = \"out\"\ntype = \"source\"\ntranslate = \"pool:public\"\n";
        let parsed = config::parse_policy("p", text, &mut |_| Err(String::new())).unwrap().value;
        let mut nat = api::Nat { mappings: 5, refused: 6, ..api::Nat::of(&parsed) };
        let used = api::NatPorts { tcp: 15_360, udp: 7, ..api::NatPorts::default() };
        let pool = &mut nat.pools[0];
        (pool.used, pool.borrowed, pool.by_address[1].used) = (used, 3, used);
        if request.users {
            pool.users = vec![api::NatUser { address: [10, 0, 0, 5].into(), ports: 9_000 }];
        }
        let address = api::NatAddress { address: [198, 51, 100, 1].into(), used, borrowed: 0 };
        nat.pools.push(api::NatPool {
            kind: api::NatPoolKind::Interface,
            name: "wan".to_owned(),
            addresses: vec!["198.51.100.1".to_owned()],
            ports: api::NAT_PORTS_OF_ADDRESS,
            by_address: vec![address],
            ..api::NatPool::default()
        });
        (nat.rules[0].hits, nat.rules[0].sessions) = (40, 8);
        Ok(nat)
    }

    async fn counters(&self) -> Result<api::Counters, Error> {
        let mut worker =
            named(&[("received", 3), ("dropped", 2), ("dropped.no-rule", 2), ("held", 1)]);
        worker.insert("anomaly.udp-unreachable".to_owned(), 4);
        let others = [
            "forwarded",
            "answered",
            "consumed",
            "handed-in",
            "handed-out",
            "passed-in",
            "passed-on",
        ];
        let lost = ["answers-sent", "outputs-lost", "events-lost"];
        let sessions = ["sessions-opened", "sessions-closed", "sessions-evicted"];
        let others = others.iter().chain(&lost).chain(&sessions);
        worker.extend(others.map(|name| ((*name).to_owned(), 0)));
        let mut total = worker.clone();
        total.insert("xdp.pass-host".to_owned(), 9);
        Ok(api::Counters { total, workers: vec![worker] })
    }

    async fn policy(&self) -> Result<api::Policy, Error> {
        let text = "[zones]\na = { ports = \"lan\", sessions-max = 90 }\n\
                    [[rule]]\nid = \"web\"\naction = \"permit\"\nsessions-max = 50\n";
        let parsed = config::parse_policy("p", text, &mut |_| Err(String::new())).unwrap().value;
        let rule = |rule| api::Rule { hits: 11, sessions: 4, ..api::Rule::of(&parsed, rule) };
        Ok(api::Policy {
            epoch: 5,
            digest: "00".to_owned(),
            comment: None,
            zones: parsed.zones.iter().map(api::Zone::of).collect(),
            rules: parsed.rules.iter().map(rule).collect(),
            no_rule_hits: 2,
        })
    }

    async fn ports(&self) -> Result<api::Ports, Error> {
        let port = api::Port {
            name: "lan".to_owned(),
            interface: "lan0".to_owned(),
            zone: Some("a".to_owned()),
            domain: 0,
            state: api::PortState::Up,
            wire: None,
            mode: api::BindMode::Copy,
            xdp: api::XdpMode::Native,
            queues: 1,
            mac: None,
            mtu: Some(1_500),
            received_packets: 1,
            received_bytes: 60,
            sent_packets: 0,
            sent_bytes: 0,
            drops: named(&[("ring-full", 1)]),
        };
        Ok(api::Ports { ports: vec![port] })
    }

    async fn commit(
        &self,
        request: api::CommitRequest,
        author: String,
    ) -> Result<api::Committed, Error> {
        if request.text == "who?" {
            return Err(Error::new(author));
        }
        let seen = self.requests().contains(&request.request);
        self.commits.lock().unwrap().push(request.request);
        match request.comment.as_deref() {
            Some("unknown once") if !seen => return Err(Error::unknown("another node leads now")),
            Some("conflict") => return Err(conflict()),
            _ => {}
        }
        if request.text != "bad" {
            let confirm = request.confirm_milliseconds;
            let reverts = confirm.map(|it| api::Reverts { epoch: 7, in_milliseconds: it });
            let checked_only = request.check;
            let committed =
                api::Committed { epoch: 6, reverts, checked_only, ..Default::default() };
            return Ok(committed);
        }
        let diagnostic = Diagnostic {
            severity: Severity::Error,
            file: request.file,
            line: 1,
            column: 1,
            message: "bad".to_owned(),
            source: "bad".to_owned(),
            hint: None,
        };
        Err(Error { diagnostics: vec![diagnostic], ..Error::new("the policy is refused") })
    }

    async fn history(&self) -> Result<api::History, Error> {
        let revision = api::Revision { epoch: 5, in_force: true, ..api::Revision::default() };
        Ok(api::History { revisions: vec![revision], ..api::History::default() })
    }

    async fn compare(&self, request: api::CompareRequest) -> Result<api::Comparison, Error> {
        let revision = |epoch: Option<u64>| api::Revision {
            epoch: epoch.unwrap_or(5),
            ..api::Revision::default()
        };
        let (from, to) = (revision(request.from), revision(request.to));
        Ok(api::Comparison { from, to, ..api::Comparison::default() })
    }

    async fn rollback(
        &self,
        request: api::RollbackRequest,
        _: String,
    ) -> Result<api::Committed, Error> {
        let epoch = request.epoch.unwrap_or_default();
        Ok(api::Committed { epoch, ..api::Committed::default() })
    }

    async fn confirm(
        &self,
        request: api::ConfirmRequest,
        _: String,
    ) -> Result<api::Confirmed, Error> {
        let epoch = request.epoch.unwrap_or(6);
        Ok(api::Confirmed { epoch, ..api::Confirmed::default() })
    }

    async fn policy_status(&self) -> Result<api::PolicyStatus, Error> {
        let raft = api::Raft {
            running: true,
            leader: Some(2),
            own: false,
            term: 3,
            voters: vec![1, 2, 3],
            applied: Some(41),
            last: Some(42),
            sync_p99_microseconds: Some(2_500),
            ..api::Raft::default()
        };
        let trial = api::Trial { epoch: 5, fallback: 4, left_milliseconds: 90_000 };
        let status =
            api::PolicyStatus { epoch: 5, source: 5, raft, ..api::PolicyStatus::default() };
        Ok(api::PolicyStatus { trial: Some(trial), may_forward: true, ..status })
    }

    async fn make_token(&self, request: api::TokenRequest) -> Result<api::TokenMade, Error> {
        Ok(api::TokenMade { token: "a-token".to_owned(), seconds: request.seconds })
    }

    async fn change_member(
        &self,
        request: api::MemberRequest,
        _: String,
    ) -> Result<api::Done, Error> {
        match request.node {
            9 => Err(Error::new("node 9 is no member")),
            _ => Ok(api::Done {}),
        }
    }

    async fn explain(&self, _: api::ExplainRequest) -> Result<api::Explanation, Error> {
        Ok(api::Explanation::default())
    }

    async fn cluster(&self) -> Result<api::Cluster, Error> {
        let path = api::ClusterPath {
            name: "fabric".to_owned(),
            state: "up".to_owned(),
            ..api::ClusterPath::default()
        };
        let member =
            api::ClusterMember { node: 2, paths: vec![path], ..api::ClusterMember::default() };
        let stream = api::ClusterStream { behind: 3, holds: 7, ..api::ClusterStream::default() };
        Ok(api::Cluster {
            node: 1,
            owner: Some(1),
            lease_milliseconds: Some(60),
            members: vec![member],
            streams: vec![stream],
            net: [("foreign-certificate".to_owned(), 2)].into(),
            ..api::Cluster::default()
        })
    }

    async fn ask_cluster(&self, _: api::ClusterRequest) -> Result<api::Done, Error> {
        Err(Error::new("this node is alone"))
    }

    async fn failpoint(&self, _: api::FailpointRequest) -> Result<api::Done, Error> {
        Ok(api::Done {})
    }
}
