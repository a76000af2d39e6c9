//! Clients and servers made of plain sockets, each in the namespace that it is given.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use netns::Namespace;
use ringwall_tests::run_command;
use ringwall_tests::world::SOON;

/// Longer than any way through the firewall takes, short enough to wait for in vain.
pub(crate) const SILENCE: Duration = Duration::from_millis(1500);
/// How often a server looks whether it is to end.
const LOOK: Duration = Duration::from_millis(20);
/// Stack of a thread that serves one connection.
const STACK: usize = 128 << 10;

pub(crate) fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse::<IpAddr>().unwrap(), port)
}

/// A TCP connection from inside the namespace.
pub(crate) fn connect(from: &Namespace, to: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
    let stream = from.run(|| TcpStream::connect_timeout(&to, limit))?;
    stream.set_read_timeout(Some(SOON))?;
    stream.set_write_timeout(Some(SOON))?;
    Ok(stream)
}

/// Sends `text` and reads it back.
pub(crate) fn echoes(stream: &mut TcpStream, text: &[u8]) -> io::Result<()> {
    stream.write_all(text)?;
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back)?;
    if back == text { Ok(()) } else { Err(io::Error::other("other bytes came back")) }
}

/// A server that ends with its value.
pub(crate) struct Server {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// What it received: connections or datagrams.
    pub(crate) count: Arc<AtomicU64>,
}

impl Server {
    fn start(serve: impl FnMut(&AtomicU64) + Send + 'static) -> Self {
        let (stop, count) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (stopped, counted, mut serve) = (Arc::clone(&stop), Arc::clone(&count), serve);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                serve(&counted);
            }
        });
        Self { stop, thread: Some(thread), count }
    }

    pub(crate) fn received(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Sends back what each TCP connection brings.
pub(crate) fn tcp_echo(inside: &Namespace, address: &str, port: u16) -> Server {
    tcp_server(inside, address, port, |mut stream| {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            if stream.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
    })
}

/// Serves each TCP connection on a thread of its own.
pub(crate) fn tcp_server(
    inside: &Namespace,
    address: &str,
    port: u16,
    serve: impl Fn(TcpStream) + Send + Sync + 'static,
) -> Server {
    let listener = inside.run(|| TcpListener::bind(at(address, port))).unwrap();
    listener.set_nonblocking(true).unwrap();
    let serve = Arc::new(serve);
    Server::start(move |count| match listener.accept() {
        Ok((stream, _)) => {
            stream.set_nonblocking(false).unwrap();
            count.fetch_add(1, Ordering::Relaxed);
            let serve = Arc::clone(&serve);
            let thread = std::thread::Builder::new().stack_size(STACK);
            thread.spawn(move || serve(stream)).unwrap();
        }
        Err(_) => sleep(Duration::from_millis(2)),
    })
}

/// Sends every datagram back.
pub(crate) fn udp_echo(inside: &Namespace, address: &str, port: u16) -> Server {
    let socket = inside.run(|| UdpSocket::bind(at(address, port))).unwrap();
    socket.set_read_timeout(Some(LOOK)).unwrap();
    let mut buffer = [0; 2048];
    Server::start(move |count| {
        if let Ok((length, from)) = socket.recv_from(&mut buffer) {
            count.fetch_add(1, Ordering::Relaxed);
            // Nobody there any more: the sender's concern.
            let _ = socket.send_to(&buffer[..length], from);
        }
    })
}

/// A connected UDP socket.
pub(crate) fn udp(from: &Namespace, to: SocketAddr) -> UdpSocket {
    let any = if to.is_ipv4() { at("0.0.0.0", 0) } else { at("::", 0) };
    from.run(|| {
        let socket = UdpSocket::bind(any).unwrap();
        socket.connect(to).unwrap();
        socket
    })
}

/// Whether a datagram to `to` is sent back within `limit`.
pub(crate) fn udp_answers(from: &Namespace, to: SocketAddr, limit: Duration) -> bool {
    let socket = udp(from, to);
    socket.set_read_timeout(Some(limit)).unwrap();
    let mut buffer = [0; 64];
    socket.send(b"anyone there?").is_ok()
        && socket.recv(&mut buffer).is_ok_and(|length| &buffer[..length] == b"anyone there?")
}

/// Whether the address answers an echo request.
pub(crate) fn pings(from: &Namespace, address: &str) -> bool {
    let mut command = std::process::Command::new("ping");
    command.args(["-n", "-c1", "-W2", address]);
    from.run(|| run_command(&mut command, SOON)).status == Some(0)
}

/// A way that is closed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Door<'a> {
    Tcp(&'a Namespace, SocketAddr),
    Udp(&'a Namespace, SocketAddr),
    Ping(&'a Namespace, &'a str),
}

impl Door<'_> {
    /// What came back, although nothing may.
    fn leak(self) -> Option<String> {
        match self {
            Self::Tcp(from, to) => match connect(from, to, SILENCE) {
                Ok(_) => Some(format!("a connection to {to}")),
                Err(error) if error.kind() == ErrorKind::TimedOut => None,
                Err(error) => Some(format!("an answer to a SYN to {to}: {error}")),
            },
            Self::Udp(from, to) => {
                udp_answers(from, to, SILENCE).then(|| format!("a datagram from {to}"))
            }
            Self::Ping(from, address) => {
                pings(from, address).then(|| format!("an echo reply from {address}"))
            }
        }
    }
}

/// Tries all doors at once, since each must be waited for in vain.
///
/// # Panics
/// When something comes back through one of them.
#[track_caller]
pub(crate) fn assert_silent(doors: &[Door<'_>]) {
    let leaks: Vec<String> = std::thread::scope(|scope| {
        let tries: Vec<_> = doors.iter().map(|door| scope.spawn(|| door.leak())).collect();
        tries.into_iter().filter_map(|tried| tried.join().unwrap()).collect()
    });
    assert!(leaks.is_empty(), "what must be silent is not: {leaks:?}");
}

/// Bytes of the transfers that are compared: 100 MiB.
pub(crate) const BULK: u64 = 100 << 20;

/// The bytes of a transfer: the same for everybody, and nowhere the same twice in a row.
pub(crate) struct Pattern(u64);

impl Pattern {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(crate) fn fill(&mut self, chunk: &mut [u8]) {
        for word in chunk.chunks_mut(8) {
            // Marsaglia's xorshift64.
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            word.copy_from_slice(&self.0.to_le_bytes()[..word.len()]);
        }
    }
}

const CHUNK: usize = 64 << 10;

/// Writes `bytes` of the pattern.
pub(crate) fn send_pattern(mut to: impl Write, seed: u64, bytes: u64) -> io::Result<()> {
    let (mut pattern, mut chunk, mut left) = (Pattern::new(seed), vec![0; CHUNK], bytes);
    while left > 0 {
        pattern.fill(&mut chunk);
        let now = left.min(CHUNK as u64);
        to.write_all(&chunk[..now as usize])?;
        left -= now;
    }
    to.flush()
}

/// Reads `bytes` of the pattern and compares each of them; then the end must come.
pub(crate) fn receive_pattern(mut from: impl Read, seed: u64, bytes: u64) -> io::Result<()> {
    let (mut pattern, mut left) = (Pattern::new(seed), bytes);
    let (mut expected, mut chunk) = (vec![0; CHUNK], vec![0; CHUNK]);
    while left > 0 {
        pattern.fill(&mut expected);
        let now = left.min(CHUNK as u64) as usize;
        from.read_exact(&mut chunk[..now])?;
        if chunk[..now] != expected[..now] {
            let at = bytes - left;
            return Err(io::Error::other(format!("other bytes in the chunk at {at}")));
        }
        left -= now as u64;
    }
    match from.read(&mut chunk) {
        Ok(0) => Ok(()),
        Ok(more) => Err(io::Error::other(format!("{more} bytes too many"))),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(()),
        Err(error) => Err(error),
    }
}

/// A transfer through one TCP connection, compared byte for byte; how long it took.
pub(crate) fn download(
    client: &Namespace,
    server: &Namespace,
    to: SocketAddr,
    bytes: u64,
) -> io::Result<Duration> {
    let seed = u64::from(to.port()) << 32 | bytes;
    let _server = tcp_server(server, &to.ip().to_string(), to.port(), move |stream| {
        // An error shows at the other end.
        let _ = send_pattern(stream, seed, bytes);
    });
    let start = Instant::now();
    receive_pattern(connect(client, to, SOON)?, seed, bytes)?;
    Ok(start.elapsed())
}

/// The same from the client to the server.
pub(crate) fn upload(
    client: &Namespace,
    server: &Namespace,
    to: SocketAddr,
    bytes: u64,
) -> io::Result<Duration> {
    let seed = u64::from(to.port()) << 32 | bytes;
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    let _server = tcp_server(server, &to.ip().to_string(), to.port(), move |stream| {
        stream.set_read_timeout(Some(SOON)).unwrap();
        let _ = tell.send(receive_pattern(stream, seed, bytes));
    });
    let start = Instant::now();
    let stream = connect(client, to, SOON)?;
    send_pattern(&stream, seed, bytes)?;
    stream.shutdown(std::net::Shutdown::Write)?;
    told.recv_timeout(SOON).map_err(io::Error::other)??;
    Ok(start.elapsed())
}

/// Megabits a second, for people.
pub(crate) fn rate(bytes: u64, took: Duration) -> String {
    format!("{:.0} Mbit/s", bytes as f64 * 8e-6 / took.as_secs_f64())
}
