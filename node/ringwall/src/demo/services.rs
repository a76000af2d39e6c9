//! Echo services that count who reached them. Their threads end with the process.

use std::io::{self, Read, Write};
use std::net::{Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use netns::Namespace;

use super::files::{DENIED, EARLIER, LATER, OPEN, UNNAMED};
use super::limits::CHUNK_BYTES;

/// Every service of one host: there is one behind each forbidden port too, so that it is the
/// firewall who keeps traffic from it.
pub(super) struct Services {
    tcp: Vec<(u16, Counter)>,
    udp: Vec<(u16, Counter)>,
}

/// Connections or datagrams that arrived.
type Counter = Arc<AtomicU64>;

impl Services {
    pub(super) fn start(host: &Namespace) -> io::Result<Self> {
        let tcp = [OPEN, DENIED, LATER, EARLIER, UNNAMED];
        let udp = [OPEN, DENIED, UNNAMED];
        Ok(Self {
            tcp: tcp.into_iter().map(|port| tcp_echo(host, port)).collect::<Result<_, _>>()?,
            udp: udp.into_iter().map(|port| udp_echo(host, port)).collect::<Result<_, _>>()?,
        })
    }

    /// Connections that the service at a port has seen.
    pub(super) fn connections(&self, port: u16) -> u64 {
        count(&self.tcp, port)
    }

    /// Datagrams that the service at a port has seen.
    pub(super) fn datagrams(&self, port: u16) -> u64 {
        count(&self.udp, port)
    }
}

fn count(services: &[(u16, Counter)], port: u16) -> u64 {
    let found = services.iter().find(|(served, _)| *served == port);
    found.expect("asked only for ports that are served").1.load(Ordering::Relaxed)
}

/// IPv4 arrives at an IPv6 socket as well.
const ANY: Ipv6Addr = Ipv6Addr::UNSPECIFIED;

fn tcp_echo(host: &Namespace, port: u16) -> io::Result<(u16, Counter)> {
    let listener = host.run(|| TcpListener::bind((ANY, port)))?;
    let counter = Counter::default();
    let seen = Arc::clone(&counter);
    let _ = std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            seen.fetch_add(1, Ordering::Relaxed);
            // A connection that breaks is what the other end reports.
            let _ = std::thread::spawn(move || echo(stream));
        }
    });
    Ok((port, counter))
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match stream.read(&mut chunk)? {
            0 => return Ok(()),
            read => stream.write_all(&chunk[..read])?,
        }
    }
}

fn udp_echo(host: &Namespace, port: u16) -> io::Result<(u16, Counter)> {
    let socket = host.run(|| UdpSocket::bind((ANY, port)))?;
    let counter = Counter::default();
    let seen = Arc::clone(&counter);
    let _ = std::thread::spawn(move || {
        let mut datagram = vec![0; CHUNK_BYTES];
        while let Ok((length, from)) = socket.recv_from(&mut datagram) {
            seen.fetch_add(1, Ordering::Relaxed);
            let _ = socket.send_to(&datagram[..length], from);
        }
    });
    Ok((port, counter))
}
