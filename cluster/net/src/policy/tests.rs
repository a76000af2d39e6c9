//! Bytes that must stay as they are, questions over real QUIC, and nonsense.

use cluster_core::policy::coordinator::{Excuse, Excused};
use cluster_core::policy::local::{Closed, Verdict};
use cluster_core::policy::log::{Content, Stamp};
use cluster_core::policy::{
    Action, Epoch, Line, Outcome, PolicyText, ProposalId, RequestId, WallTime,
};
use proptest::collection::vec;
use proptest::prelude::*;
use tokio::sync::mpsc;

use super::*;
use crate::transport::tests::nodes::{Cluster, Node, within};

const PATIENT: Duration = Duration::from_secs(20);

fn line(text: &str) -> Line {
    Line::new(text).unwrap()
}

fn report(node: u16) -> Report {
    Report {
        node: NodeId(node),
        settled: 4,
        runs: Epoch(1),
        proposal: Some(ProposalId(9)),
        verdict: Some(Verdict::Refused { why: line("no") }),
        closed: Some(Closed { decided: 4, why: line("n") }),
    }
}

fn request(text: &str) -> Ask {
    let content = Content::Text { text: PolicyText::new(text).unwrap() };
    let (file, comment) = (line("p"), line("c"));
    let action = Action::Propose { base: Epoch(7), content, file, comment, confirm: None };
    let stamp = Stamp { author: line("bob"), wall: WallTime(1_000) };
    Ask::Request(Box::new(Command { request: Some(RequestId(5)), stamp, action }))
}

/// The same text, as a question.
fn check(text: &str) -> Ask {
    let Ask::Request(command) = request(text) else { panic!("it is a request") };
    Ask::Check(command)
}

fn asks() -> [Ask; 5] {
    let asked = Time(0x0102_0304_0506_0708);
    let (report, clear) = (Ask::Report(report(1)), Ask::Clear { asked });
    [report, Ask::WantReport, clear, check("text"), request("text")]
}

/// The answers to [`asks`], if node 2 is asked.
fn answers() -> [Answer; 5] {
    let excused = vec![Excused { node: NodeId(3), why: Excuse::Closed(line("no")) }];
    let outcome = Outcome::Committed { epoch: Epoch(8), reverts_as: None };
    let took = Duration::from_millis(700);
    let done = coordinator::Answer::Done { outcome, took, excused };
    let cleared = Answer::Cleared { index: 77 };
    let checked = Answer::Checked(Verdict::Refused { why: line("no") });
    [Answer::Noted, Answer::Report(report(2)), cleared, checked, Answer::Answered(Box::new(done))]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The reports, commands and answers within have golden vectors of their own.
#[test]
fn golden_messages() {
    let body = |bytes: Vec<u8>| hex(&bytes);
    let [told, want, clear, check, asked] = asks();
    let Ask::Request(command) = &asked else { panic!("{asked:?}") };
    let wanted = [
        format!("0101{}", body(report(1).encode())),
        "0102".to_owned(),
        "01030102030405060708".to_owned(),
        format!("0105{}", body(encode_command(command))),
        format!("0104{}", body(encode_command(command))),
    ];
    assert_eq!([&told, &want, &clear, &check, &asked].map(|it| hex(&it.encode())), wanted);
    let [noted, stands, cleared, checked, done] = answers();
    let Answer::Answered(answer) = &done else { panic!("{done:?}") };
    let wanted = [
        "0101".to_owned(),
        format!("0102{}", body(report(2).encode())),
        format!("0103{:016x}", 77),
        // Version, tag, length of the reason, reason.
        "01060102000000026e6f".to_owned(),
        format!("0104{}", body(answer.encode())),
        "0105".to_owned(),
        "010701000000026e6f".to_owned(),
    ];
    let still = Answer::StandsStill(line("no"));
    let told = [&noted, &stands, &cleared, &checked, &done, &Answer::NotLeading, &still];
    assert_eq!(told.map(|it| hex(&it.encode())), wanted);
}

#[test]
fn messages_come_back() {
    for ask in asks() {
        assert_eq!(Ask::decode(&ask.encode()), Ok(ask));
    }
    let more = [Answer::NotLeading, Answer::StandsStill(line("no"))];
    for answer in answers().into_iter().chain(more) {
        assert_eq!(Answer::decode(&answer.encode()), Ok(answer));
    }
}

#[test]
fn what_is_wrong_is_refused_by_name() {
    let cases: [(&[u8], Malformed); 7] = [
        (&[], Malformed::Truncated),
        (&[1], Malformed::Truncated),
        (&[2, 1], Malformed::Version(2)),
        (&[1, 0], Malformed::Tag),
        (&[1, 8], Malformed::Tag),
        (&[1, 3, 0], Malformed::Truncated),
        (&[1, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0], Malformed::Trailing),
    ];
    for (bytes, why) in cases {
        assert_eq!(Ask::decode(bytes), Err(why), "{bytes:?}");
        assert_eq!(Answer::decode(bytes), Err(why), "{bytes:?}");
    }
    assert_eq!(Ask::decode(&[1, 2, 0]), Err(Malformed::Trailing));
    assert_eq!(Answer::decode(&[1, 5, 0]), Err(Malformed::Trailing));
}

proptest! {
    #[test]
    fn nonsense_is_refused(kind in 0..9_u8, bytes in vec(any::<u8>(), 0..300)) {
        let versioned = [&[VERSION, kind, 1], &bytes[..]].concat();
        for bytes in [&bytes, &versioned] {
            // What is read is written as it was.
            if let Ok(ask) = Ask::decode(bytes) {
                prop_assert_eq!(&ask.encode(), bytes);
            }
            if let Ok(answer) = Answer::decode(bytes) {
                prop_assert_eq!(&answer.encode(), bytes);
            }
        }
    }

    /// One byte of a message is another, or it ends early: refused, or another message.
    #[test]
    fn a_damaged_message_does_no_harm(
        which in 0..5_usize,
        at in any::<prop::sample::Index>(),
        to in any::<u8>(),
    ) {
        let (mut ask, mut answer) = (asks()[which].encode(), answers()[which].encode());
        prop_assert!(Ask::decode(&ask[..at.index(ask.len())]).is_err());
        prop_assert!(Answer::decode(&answer[..at.index(answer.len())]).is_err());
        for bytes in [&mut ask, &mut answer] {
            let at = at.index(bytes.len());
            bytes[at] = to;
            let _ = (Ask::decode(bytes), Answer::decode(bytes));
        }
    }
}

async fn pair(cluster: &Cluster) -> (Node, Node) {
    let mut a = cluster.node(1).start();
    let b = cluster.node(2).calling(&a).start();
    assert_eq!(a.up().await.0, NodeId(2));
    (a, b)
}

/// Asks node 2 from node 1, which reads the question and gives this answer.
async fn exchanged(
    a: &Node,
    calls: &mut mpsc::Receiver<Call>,
    counters: &Counters,
    question: &Ask,
    answer: &Answer,
) -> Result<Answer, AskError> {
    let asking = ask(a.sender(), NodeId(2), question, PATIENT);
    let answering = async {
        let call = calls.recv().await.unwrap();
        let asked = Asked::read(call, counters).unwrap();
        assert_eq!((asked.node, &asked.ask), (NodeId(1), question));
        asked.answer(answer);
    };
    within(async { tokio::join!(asking, answering) }).await.0
}

#[tokio::test]
async fn each_question_is_asked_and_answered_over_quic() {
    let cluster = Cluster::new(2);
    let (a, b) = pair(&cluster).await;
    let mut calls = b.sender().answer_calls(Channel::Policy);
    for (question, answer) in asks().iter().zip(answers()) {
        let got = exchanged(&a, &mut calls, &b.counters, question, &answer).await;
        assert_eq!(got, Ok(answer));
        let elsewhere = exchanged(&a, &mut calls, &b.counters, question, &Answer::NotLeading).await;
        let member = matches!(question, Ask::WantReport | Ask::Check(_));
        assert_eq!(elsewhere.is_err(), member, "whoever is asked about itself can tell");
    }
    // The longest text there can be, at the pace of a path.
    let text = "x".repeat(cluster_core::limits::POLICY_TEXT_BYTES);
    let (question, [.., answer]) = (request(&text), answers());
    let got = exchanged(&a, &mut calls, &b.counters, &question, &answer).await;
    assert_eq!(got, Ok(answer));
    a.counted(&[(Counter::PolicyMalformed, 2)]).await;
    b.counted(&[]).await;
}

#[tokio::test]
async fn an_answer_to_another_question_is_refused_and_counted() {
    let cluster = Cluster::new(2);
    let (a, b) = pair(&cluster).await;
    let mut calls = b.sender().answer_calls(Channel::Policy);
    let mut wrong = 0;
    for (right, question) in asks().iter().enumerate() {
        let others = answers().into_iter().enumerate().filter(|(at, _)| *at != right);
        for (_, answer) in others {
            let got = exchanged(&a, &mut calls, &b.counters, question, &answer).await;
            assert_eq!(got, Err(AskError::Malformed), "{question:?} {answer:?}");
            wrong += 1;
        }
    }
    let foreign = Answer::Report(report(3));
    let got = exchanged(&a, &mut calls, &b.counters, &Ask::WantReport, &foreign).await;
    assert_eq!(got, Err(AskError::Malformed));
    let still = Answer::StandsStill(line("no"));
    let got = exchanged(&a, &mut calls, &b.counters, &Ask::WantReport, &still).await;
    assert_eq!(got, Ok(still));
    a.counted(&[(Counter::PolicyMalformed, wrong + 1)]).await;
}

#[tokio::test]
async fn a_question_that_cannot_be_read_or_lies_is_refused_and_counted() {
    let cluster = Cluster::new(2);
    let (a, b) = pair(&cluster).await;
    let mut calls = b.sender().answer_calls(Channel::Policy);
    let lie = Ask::Report(report(2)).encode();
    for message in [lie, vec![1, 9], Vec::new()] {
        let (channel, urgency) = (Channel::Policy, Urgency::Usual);
        let question = Question { channel, message, tail: Bytes::new(), urgency };
        let asking = a.sender().call(NodeId(2), question, PATIENT);
        let answering = async {
            let call = calls.recv().await.unwrap();
            assert!(Asked::read(call, &b.counters).is_none());
        };
        let (got, ()) = within(async { tokio::join!(asking, answering) }).await;
        assert_eq!(got, Err(CallError::Broken));
    }
    b.counted(&[(Counter::PolicyMalformed, 3)]).await;
    let nobody = ask(a.sender(), NodeId(9), &Ask::WantReport, PATIENT).await;
    assert_eq!(nobody, Err(AskError::Call(CallError::Down)));
}
