//! A body of the API, read as every request and answer there is. What is read is written and read
//! again; a filter filters, a commit's text is parsed, an `explain` is put to an engine.

use std::fmt::{Debug, Display};
use std::net::Ipv4Addr;
use std::str::FromStr;

use actors::Question;
use config::api::{self, Protocol, Traffic};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::engines::{self, PORTS, START};
use super::{Depth, policy};

pub(super) fn run(body: &[u8]) -> Depth {
    if let Ok(text) = std::str::from_utf8(body) {
        word::<Protocol>(text);
        word::<api::Prefix>(text);
        word::<api::RequestId>(text);
    }
    [requests(body), answers(body)].into_iter().max().unwrap_or(Depth::Refused)
}

/// What the daemon reads.
fn requests(body: &[u8]) -> Depth {
    let mut depth = Depth::Refused;
    if let Some(asked) = read::<api::PageRequest>(body) {
        filter(&asked.filter);
        depth = Depth::Used;
    }
    if let Some(asked) = read::<api::ClearRequest>(body) {
        filter(&asked.filter);
        depth = Depth::Used;
    }
    if let Some(asked) = read::<api::CommitRequest>(body) {
        policy::try_text(&asked.file, &asked.text);
        depth = Depth::Used;
    }
    if let Some(asked) = read::<api::ExplainRequest>(body) {
        explain(&asked);
        depth = Depth::Used;
    }
    let others = [
        read::<api::RollbackRequest>(body).is_some(),
        read::<api::ConfirmRequest>(body).is_some(),
        read::<api::MemberRequest>(body).is_some(),
        read::<api::FailpointRequest>(body).is_some(),
    ];
    if others.contains(&true) { depth.max(Depth::Read) } else { depth }
}

/// What a client reads.
fn answers(body: &[u8]) -> Depth {
    let read = [
        read::<api::Status>(body).is_some(),
        read::<api::SessionsPage>(body).is_some(),
        read::<api::ConversationsPage>(body).is_some(),
        read::<api::Counters>(body).is_some(),
        read::<api::Policy>(body).is_some(),
        read::<api::Ports>(body).is_some(),
        read::<api::Committed>(body).is_some(),
        read::<api::Confirmed>(body).is_some(),
        read::<api::PolicyStatus>(body).is_some(),
        read::<api::History>(body).is_some(),
        read::<api::Explanation>(body).is_some(),
        read::<api::Cleared>(body).is_some(),
        read::<api::Error>(body).is_some(),
    ];
    if read.contains(&true) { Depth::Read } else { Depth::Refused }
}

fn read<T: DeserializeOwned + Serialize + PartialEq + Debug>(body: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(body).ok()?;
    let written = serde_json::to_vec(&value).expect("what was read can be written");
    let again: T = serde_json::from_slice(&written).expect("what was written can be read");
    assert_eq!(value, again);
    Some(value)
}

/// A word of the command line, and of query strings.
fn word<T: FromStr + Display + PartialEq + Debug>(text: &str) {
    let Ok(value) = text.parse::<T>() else { return };
    assert_eq!(value.to_string().parse::<T>().ok(), Some(value));
}

fn filter(filter: &api::SessionFilter) {
    let session = session();
    assert!(!filter.is_empty() || filter.matches(&session), "an empty filter passes all");
    if let Some(prefix) = filter.source.as_ref().filter(|_| filter.matches(&session)) {
        assert!(prefix.contains(session.source));
    }
}

fn explain(asked: &api::ExplainRequest) {
    let Ok(question) = Question::new(asked, &PORTS) else { return };
    let engine = engines::engine();
    let told = question.put(&engine, START).expect("one worker owns all");
    assert!(!told.stages.is_empty() && !told.verdict.is_empty());
    assert_eq!(told.reason.is_some(), told.verdict == "drop", "{told:?}");
}

fn session() -> api::Session {
    let address = Ipv4Addr::new(10, 0, 0, 1);
    api::Session {
        id: "1.1.1".to_owned(),
        conversation: "1.1.1".to_owned(),
        worker: 0,
        domain: 0,
        protocol: Protocol(6),
        source: address.into(),
        source_port: 5_000,
        destination: Ipv4Addr::new(198, 18, 0, 1).into(),
        destination_port: 443,
        from: Some("in".to_owned()),
        to: Some("out".to_owned()),
        from_port: Some("a".to_owned()),
        to_port: Some("b".to_owned()),
        state: "established".to_owned(),
        rule: Some("all".to_owned()),
        epoch: Some(1),
        revision: Some(1),
        forward: Traffic::default(),
        reverse: Traffic::default(),
        age_milliseconds: 1,
        idle_milliseconds: 1,
        expires_milliseconds: 1,
        close_reason: None,
        translated: None,
    }
}
