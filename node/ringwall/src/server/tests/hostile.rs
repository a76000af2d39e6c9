//! Requests that nobody in his right mind sends: each gets an answer, and none is the server's fault.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use config::api;
use serde_json::{Value, json};

use super::Pair;

/// Bodies made from each path's good one.
const MUTATIONS: usize = 60;

/// A body that each path understands.
fn good() -> [(&'static str, Value); 8] {
    let filter = json!({ "source": "10.0.0.0/8", "protocol": "tcp", "port": 443 });
    let page = json!({ "cursor": "0.7", "limit": 5, "filter": filter });
    let packet = json!({ "port": "lan", "source": "10.0.0.1", "destination": "10.0.0.2",
        "protocol": "tcp", "destination_port": 443, "tcp_flags": "S" });
    [
        (api::SESSIONS, page.clone()),
        (api::CONVERSATIONS, page),
        (api::SESSIONS_CLEAR, json!({ "filter": filter })),
        (api::COMMIT, json!({ "file": "p.toml", "text": "[zones]\n", "comment": "", "base": 1 })),
        (api::ROLLBACK, json!({ "epoch": 4 })),
        (api::COMPARE, json!({ "from": 4, "to": 5 })),
        (api::EXPLAIN, packet),
        (api::FAILPOINT, json!({ "name": "panic:00", "worker": 0, "times": 1 })),
    ]
}

/// Numbers that look random and are the same every time (Marsaglia's xorshift64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    /// The body, cut, doubled, overwritten or interspersed at a few places.
    fn mutate(&mut self, body: &[u8]) -> Vec<u8> {
        const BITS: [&[u8]; 12] = [
            b"{",
            b"}",
            b"[",
            b"\"",
            b":",
            b",",
            b"null",
            b"-1",
            b"1e999",
            b"\\u0000",
            b"\xff\xfe",
            b"99999999999999999999",
        ];
        let mut body = body.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(body.len() + 1);
            let to = (at + self.below(8)).min(body.len());
            match self.below(5) {
                0 => body.truncate(at),
                1 => drop(body.drain(at..to)),
                2 => drop(body.splice(at..at, body[at..to].to_vec())),
                3 => drop(body.splice(at..to, BITS[self.below(BITS.len())].to_vec())),
                _ => body.insert(at, self.below(256) as u8),
            }
        }
        body
    }
}

/// The status of the answer to one request on a connection of its own.
fn status(pair: &Pair, path: &str, body: &[u8]) -> u16 {
    let mut stream = UnixStream::connect(&pair.socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: ringwall\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.unwrap_or_else(|| panic!("{path} has no answer to {body:?}: {answer:?}"));
    let (_, json) = answer.split_once("\r\n\r\n").unwrap();
    let json: Value = serde_json::from_str(json).unwrap_or_else(|e| panic!("{e}: {answer}"));
    assert!(status == 200 || json["error"].is_string(), "a refusal says why: {json}");
    status
}

#[test]
fn a_mutated_body_is_answered_and_never_the_servers_fault() {
    let pair = Pair::start();
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let mut refused = 0;
    for (path, good) in good() {
        let good = good.to_string();
        assert_eq!(status(&pair, path, good.as_bytes()), 200, "{path} refuses {good}");
        for _ in 0..MUTATIONS {
            let body = chance.mutate(good.as_bytes());
            let status = status(&pair, path, &body);
            let shown = String::from_utf8_lossy(&body);
            assert!(status == 200 || (400..500).contains(&status), "{path}: {status} for {shown}");
            refused += usize::from(status != 200);
        }
    }
    // Some mutations make another good body; most do not.
    assert!(refused > 7 * MUTATIONS / 2, "only {refused} refused");
    assert_eq!(pair.client.get::<api::Status>(api::STATUS).unwrap().name, "fake");
}

#[test]
fn a_list_is_no_object_on_any_path() {
    let pair = Pair::start();
    for (path, good) in good() {
        let listed: Vec<Value> = good.as_object().unwrap().values().cloned().collect();
        let mut lists = vec![json!([]), json!([[]]), json!([{}]), Value::Array(listed)];
        if good.get("filter").is_some() {
            let mut inside = good.clone();
            inside["filter"] = json!([]);
            lists.push(inside);
        }
        for body in lists {
            let refused = pair.client.post::<Value>(path, &body).unwrap_err().to_string();
            assert!(refused.contains("an object with named fields"), "{path} {body}: {refused}");
        }
    }
}

#[test]
fn garbage_is_refused() {
    let pair = Pair::start();
    let deep = "[".repeat(100_000);
    let bytes: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    let bodies: [&[u8]; 6] = [b"", b"null", b"true", b"\"text\"", deep.as_bytes(), &bytes];
    for (path, _) in good() {
        for body in bodies {
            let status = status(&pair, path, body);
            assert!((400..500).contains(&status), "{path}: {status} for {} bytes", body.len());
        }
    }
}

#[test]
fn what_is_no_http_ends_the_connection_and_nothing_else() {
    let pair = Pair::start();
    let mut chance = Chance(7);
    for _ in 0..200 {
        let mut stream = UnixStream::connect(&pair.socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
        let request = b"POST /v1/commit HTTP/1.1\r\nhost: r\r\ncontent-length: 2\r\n\r\n{}";
        let mut request = chance.mutate(request);
        request.extend(b"\r\n\r\n");
        // The server may close before it has read all.
        let _ = stream.write_all(&request);
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        let status = answer.split(' ').nth(1).unwrap_or("4xx");
        assert!(status.starts_with('4') || status == "200", "{status} for {request:?}");
    }
    assert_eq!(pair.client.get::<api::Status>(api::STATUS).unwrap().name, "fake");
}
