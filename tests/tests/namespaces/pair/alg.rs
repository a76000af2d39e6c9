//! Gateways of a pair: transfers, and those that were announced and have not begun, when the active node
//! dies.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use netns::Namespace;
use ringwall_tests::{require, root};

use super::{GAP, PATIENCE, Pair};
use crate::nat::MASQUERADE;
use crate::sockets::{at, connect, echoes};

const POLICY: &str = r#"
[zones]
trust = ["lan"]
untrust = ["wan"]
[[rule]]
id = "files"
from = "trust"
to = "untrust"
service = ["tcp/21"]
action = "permit"
alg = "ftp"
"#;

/// Both ends of a connection.
struct Joined(TcpStream, TcpStream);

impl Joined {
    /// From a client to a listener of the other side.
    fn new(client: &Namespace, listener: &TcpListener, to: SocketAddr) -> Self {
        let first = connect(client, to, PATIENCE).unwrap();
        let (second, _) = listener.accept().unwrap();
        second.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(first, second)
    }

    /// What is said at one end is heard at the other, both ways.
    fn works(&mut self) {
        let Self(first, second) = self;
        let mut mirror = second.try_clone().unwrap();
        let echo = std::thread::spawn(move || {
            let mut bytes = [0; 12];
            std::io::Read::read_exact(&mut mirror, &mut bytes).unwrap();
            mirror.write_all(&bytes).unwrap();
        });
        echoes(first, b"some content").unwrap();
        echo.join().unwrap();
    }

    /// A line of the client, as the server hears it.
    fn says(&mut self, line: &str) -> String {
        self.0.write_all(line.as_bytes()).unwrap();
        let mut heard = String::new();
        BufReader::with_capacity(1, &self.1).read_line(&mut heard).unwrap();
        heard
    }
}

fn listen(inside: &Namespace, address: &str, port: u16) -> TcpListener {
    inside.run(|| TcpListener::bind(at(address, port))).unwrap()
}

/// The client announces where it listens; the server hears where it is to go.
fn announced(control: &mut Joined, listener: &TcpListener) -> SocketAddr {
    let [high, low] = listener.local_addr().unwrap().port().to_be_bytes();
    let heard = control.says(&format!("PORT 10,1,0,2,{high},{low}\r\n"));
    let numbers: Vec<u8> = heard["PORT ".len()..]
        .trim_end()
        .split(',')
        .map(|it| it.parse().unwrap_or_else(|_| panic!("{heard}")))
        .collect();
    let [a, b, c, d, high, low] = numbers[..] else { panic!("{heard}") };
    ([a, b, c, d], u16::from_be_bytes([high, low])).into()
}

#[test]
fn transfers_and_announcements_survive_the_death_of_the_active_node() {
    require!(root());
    for nat in ["", MASQUERADE] {
        let mut pair = Pair::new();
        std::fs::write(pair.path("policy.toml"), format!("{POLICY}{nat}")).unwrap();
        pair.found();
        let active = pair.starts();
        let server = listen(&pair.server, "10.2.0.2", 21);
        let mut control = Joined::new(&pair.client, &server, at("10.2.0.2", 21));
        let inside = listen(&pair.client, "10.1.0.2", 0);
        let to = announced(&mut control, &inside);
        assert_eq!(to.ip() == at("10.1.0.2", 0).ip(), nat.is_empty(), "{to}");
        let mut active_transfer = Joined::new(&pair.server, &inside, to);
        active_transfer.works();
        let passive = listen(&pair.server, "10.2.0.2", 0);
        let port = passive.local_addr().unwrap().port();
        let [high, low] = port.to_be_bytes();
        let reply = format!("227 Entering Passive Mode (10,2,0,2,{high},{low})\r\n");
        control.1.write_all(reply.as_bytes()).unwrap();
        let mut heard = String::new();
        BufReader::with_capacity(1, &control.0).read_line(&mut heard).unwrap();
        assert_eq!(heard, reply);
        // One channel has one transfer at a time.
        let mut other = Joined::new(&pair.client, &server, at("10.2.0.2", 21));
        let pending = announced(&mut other, &inside);

        pair.nodes[active] = None; // As a crash.
        let begun = std::time::Instant::now();
        active_transfer.works();
        assert!(begun.elapsed() < 2 * GAP, "{:?}", begun.elapsed());
        let mut late = Joined::new(&pair.server, &inside, pending);
        late.works();
        let mut passive_transfer = Joined::new(&pair.client, &passive, at("10.2.0.2", port));
        passive_transfer.works();
        for control in [&mut control, &mut other] {
            assert_eq!(control.says("NOOP\r\n"), "NOOP\r\n");
            let to = announced(control, &inside);
            Joined::new(&pair.server, &inside, to).works();
        }
        active_transfer.works();
    }
}
