#![allow(clippy::unwrap_used)]

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::JoinHandle;
use std::time::Duration;

use config::api::{self, Committed, ConfirmRequest, Error, RequestId};

use super::{insist, random};
use crate::client::{Client, ClientError};
use crate::failure::Failure;

const ID: RequestId = RequestId(0xabc);
const PATIENCE: Duration = Duration::from_secs(30);

/// What becomes of one connection.
enum Step {
    /// It breaks once the request was read.
    Break,
    /// This status with this body.
    Answer(u16, String),
}

/// A socket that answers each connection as it is told to. It hands back the bodies that came.
fn server(steps: Vec<Step>) -> (tempfile::TempDir, Client, JoinHandle<Vec<String>>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fw1.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let thread = std::thread::spawn(move || steps.iter().map(|it| serve(&listener, it)).collect());
    (folder, Client::new(path), thread)
}

fn serve(listener: &UnixListener, step: &Step) -> String {
    let (mut stream, _) = listener.accept().unwrap();
    let body = body(&mut stream);
    if let Step::Answer(status, text) = step {
        let head = "content-type: application/json\r\nconnection: close";
        let length = text.len();
        let answer =
            format!("HTTP/1.1 {status} .\r\n{head}\r\ncontent-length: {length}\r\n\r\n{text}");
        stream.write_all(answer.as_bytes()).unwrap();
    }
    body
}

/// The body of the request: what stands behind the head, as long as that says.
fn body(stream: &mut UnixStream) -> String {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut request = String::new();
    loop {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        request.push(char::from(byte[0]));
        let Some((head, body)) = request.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if body.len() >= length.parse().unwrap() {
            return body.to_owned();
        }
    }
}

/// Asks a server for a confirmation; what came of it, and what was said meanwhile.
fn ask(client: &Client, patience: Duration) -> (Result<Committed, Failure>, Vec<String>) {
    let request = ConfirmRequest { epoch: Some(7), request: Some(ID) };
    let mut said = Vec::new();
    let post = |within| client.post_within(api::CONFIRM, &request, within);
    let answer = insist(ID, patience, post, |text| said.push(text.to_owned()));
    (answer, said)
}

fn committed() -> Step {
    let committed = Committed { epoch: 7, ..Committed::default() };
    Step::Answer(200, serde_json::to_string(&committed).unwrap())
}

fn refusal(status: u16, error: &Error) -> Step {
    Step::Answer(status, serde_json::to_string(error).unwrap())
}

#[test]
fn what_is_not_known_is_asked_again_under_the_same_id() {
    let unknown = refusal(503, &Error::unknown("another node leads now"));
    let (_folder, client, server) = server(vec![Step::Break, unknown, committed()]);
    let (answer, said) = ask(&client, PATIENCE);
    assert_eq!(answer.unwrap().epoch, 7);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("the connection broke"), "{said:?}");
    assert!(said[1].starts_with("another node leads now; asking again"), "{said:?}");
    let bodies = server.join().unwrap();
    let request: ConfirmRequest = serde_json::from_str(&bodies[0]).unwrap();
    assert_eq!(request, ConfirmRequest { epoch: Some(7), request: Some(ID) });
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
}

#[test]
fn a_refusal_is_an_outcome_at_once_and_later() {
    let no = || refusal(422, &Error::new("it is not on trial"));
    for steps in [vec![no()], vec![Step::Break, no()]] {
        let asked = steps.len();
        let (_folder, client, server) = server(steps);
        let (answer, said) = ask(&client, PATIENCE);
        let Err(Failure::Client(ClientError::Refused(error))) = answer else {
            panic!("{answer:?}")
        };
        assert_eq!((error.error.as_str(), said.len() + 1), ("it is not on trial", asked));
        assert_eq!(server.join().unwrap().len(), asked);
    }
}

/// At first it means that nothing was done, later only that nothing was done this time.
#[test]
fn who_cannot_decide_ends_the_asking_at_first_alone() {
    let undecided = || refusal(503, &Error::undecided("nobody leads"));
    let (_folder, client, one) = server(vec![undecided()]);
    let (answer, said) = ask(&client, PATIENCE);
    assert!(matches!(answer, Err(Failure::Client(ClientError::Refused(_)))), "{answer:?}");
    assert!(said.is_empty() && one.join().unwrap().len() == 1, "{said:?}");
    let (_folder, client, three) = server(vec![Step::Break, undecided(), committed()]);
    let (answer, said) = ask(&client, PATIENCE);
    assert_eq!((answer.unwrap().epoch, said.len()), (7, 2), "{said:?}");
    assert_eq!(three.join().unwrap().len(), 3);
}

#[test]
fn without_a_daemon_nothing_was_sent_and_nothing_is_asked_again() {
    let (folder, client, server) = server(Vec::new());
    assert!(server.join().unwrap().is_empty());
    let (answer, said) = ask(&client, PATIENCE);
    assert!(matches!(answer, Err(Failure::Client(ClientError::Unreachable { .. }))), "{answer:?}");
    assert!(said.is_empty(), "{said:?}");
    drop(folder);
}

#[test]
fn a_daemon_that_starts_again_is_waited_for_and_patience_ends() {
    let (_folder, client, server) = server(vec![Step::Break]);
    let (answer, said) = ask(&client, Duration::from_secs(1));
    server.join().unwrap();
    let Err(Failure::Unknown { id: ID, error }) = answer else { panic!("{answer:?}") };
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error:?}");
    assert!(said[0].contains("the connection broke"), "{said:?}");
}

#[test]
fn ids_differ() {
    let [one, other] = [(); 2].map(|()| random().unwrap());
    assert_ne!(one, other);
}
