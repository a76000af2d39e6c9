//! Single questions from ordinary sockets: does this get through?

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use netns::Namespace;

use super::limits::{ALLOWED, AT_ONCE, DATAGRAMS, SILENCE};
use super::report::Seen;

/// Asks by both families at the same time; what each saw.
pub(super) fn both(addresses: [IpAddr; 2], ask: impl Fn(IpAddr) -> Seen + Sync) -> Seen {
    let [v4, v6] = std::thread::scope(|scope| {
        let ask = &ask;
        addresses
            .map(|address| scope.spawn(move || ask(address)))
            .map(|asked| asked.join().unwrap_or_else(|_| Err("the probe panicked".to_owned())))
    });
    let good = v4.is_ok() && v6.is_ok();
    let [v4, v6] = [v4, v6].map(|seen| seen.unwrap_or_else(|wrong| wrong));
    let text = if v4 == v6 { format!("{v4} (IPv4, IPv6)") } else { format!("{v4}; {v6}") };
    if good { Ok(text) } else { Err(text) }
}

/// A connection that must get no answer at all.
pub(super) fn tcp_silent(from: &Namespace, to: (IpAddr, u16)) -> Seen {
    match connect(from, to, SILENCE) {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            Ok(format!("silence for {:.1} s", SILENCE.as_secs_f64()))
        }
        Err(error) => Err(format!("not silence: {error}")),
        Ok(_) => Err("connected".to_owned()),
    }
}

/// A connection that must be refused at once.
pub(super) fn tcp_refused(from: &Namespace, to: (IpAddr, u16)) -> Seen {
    let begun = Instant::now();
    let outcome = connect(from, to, ALLOWED);
    let elapsed = begun.elapsed();
    let text = match outcome {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            let text = format!("refused after {:.1} ms", elapsed.as_secs_f64() * 1e3);
            return if elapsed <= AT_ONCE { Ok(text) } else { Err(text) };
        }
        Err(error) => format!("not refused: {error}"),
        Ok(_) => "connected".to_owned(),
    };
    Err(text)
}

/// Datagrams that must all come back as they were.
pub(super) fn udp_echoed(from: &Namespace, to: (IpAddr, u16), bytes: usize) -> Seen {
    let socket = bind(from, to, ALLOWED).map_err(|error| format!("socket: {error}"))?;
    let mut datagram = vec![0x5a; bytes];
    let mut answer = vec![0; bytes + 1];
    for number in 0..DATAGRAMS {
        datagram[..2].copy_from_slice(&number.to_be_bytes());
        let length = socket.send(&datagram).and_then(|_| socket.recv(&mut answer));
        let length = length.map_err(|error| format!("datagram {number}: {error}"))?;
        if answer[..length] != datagram {
            return Err(format!("datagram {number} came back changed"));
        }
    }
    Ok(format!("{DATAGRAMS} of {DATAGRAMS} datagrams of {bytes} bytes came back"))
}

/// A datagram that must get no answer at all.
pub(super) fn udp_silent(from: &Namespace, to: (IpAddr, u16)) -> Seen {
    let socket = bind(from, to, SILENCE).map_err(|error| format!("socket: {error}"))?;
    socket.send(b"is anybody there?").map_err(|error| format!("not sent: {error}"))?;
    match socket.recv(&mut [0; 64]) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Ok(format!("silence for {:.1} s", SILENCE.as_secs_f64()))
        }
        Err(error) => Err(format!("not silence: {error}")),
        Ok(_) => Err("answered".to_owned()),
    }
}

fn connect(from: &Namespace, to: (IpAddr, u16), wait: Duration) -> io::Result<TcpStream> {
    from.run(|| TcpStream::connect_timeout(&SocketAddr::from(to), wait))
}

fn bind(from: &Namespace, to: (IpAddr, u16), wait: Duration) -> io::Result<UdpSocket> {
    let any: IpAddr = if to.0.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let socket = from.run(|| UdpSocket::bind((any, 0)))?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(wait))?;
    Ok(socket)
}
