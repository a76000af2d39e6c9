//! Sockets as the traffic makes them.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::IpBindAddressNoPort;
use socket2::{Domain, Protocol, Socket, Type};

use super::Error;
use crate::field::limits::BACKLOG;

pub(super) fn at(address: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(address, port)
}

/// Begins a TCP connection; it is open once the socket can be written to and has no error.
///
/// The source port is chosen at `connect`, so that one port serves several destinations.
pub(super) fn begin_connect(
    from: IpAddr,
    to: SocketAddr,
    send_buffer: Option<usize>,
) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM.nonblocking(), None)?;
    setsockopt(&socket, IpBindAddressNoPort, &true)?;
    socket.bind(&at(from, 0).into())?;
    socket.set_tcp_nodelay(true)?;
    if let Some(bytes) = send_buffer {
        socket.set_send_buffer_size(bytes)?;
    }
    match socket.connect(&to.into()) {
        Err(error) if error.raw_os_error() != Some(nix::libc::EINPROGRESS) => Err(error),
        _ => Ok(socket.into()),
    }
}

/// A listener that does not block.
pub(super) fn listen(on: SocketAddr) -> Result<TcpListener, Error> {
    let made = (|| {
        let socket = Socket::new(Domain::for_address(on), Type::STREAM.nonblocking(), None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&on.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    })();
    made.map_err(Error::io("listen"))
}

/// A UDP socket.
pub(super) fn udp(on: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(on), Type::DGRAM, Some(Protocol::UDP))?;
    socket.bind(&on.into())?;
    Ok(socket)
}

/// Datagrams that the UDP socket bound to `local` had no room for or refused. To be called in its
/// namespace.
pub(super) fn dropped_at(local: SocketAddr) -> Result<u64, Error> {
    let name = if local.is_ipv4() { "udp" } else { "udp6" };
    let text = std::fs::read_to_string(format!("/proc/thread-self/net/{name}"));
    let text = text.map_err(Error::io("read the sockets' counters"))?;
    dropped_of(&text, local.port()).ok_or(Error::NoSocket(local))
}

/// Of the kernel's table: `local_address` is the second column (its port in hexadecimal digits after
/// the colon), `drops` the last.
fn dropped_of(table: &str, port: u16) -> Option<u64> {
    let own = table.lines().skip(1).find(|line| {
        let local = line.split_whitespace().nth(1).and_then(|local| local.rsplit_once(':'));
        local.is_some_and(|(_, digits)| u16::from_str_radix(digits, 16) == Ok(port))
    });
    own?.split_whitespace().last()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::dropped_of;

    #[test]
    fn the_kernels_table_is_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   \
                     uid  timeout inode ref pointer drops\n \
                     12: 0100000A:1B5C 00000000:0000 07 00000000:00000000 00:00000000 00000000     \
                     0        0 4711 2 0000000000000000 0\n \
                     13: 0100000A:1B5D 00000000:0000 07 00000000:00000000 00:00000000 00000000     \
                     0        0 4712 2 0000000000000000 4242\n";
        assert_eq!(dropped_of(table, 0x1b5d), Some(4_242));
        assert_eq!(dropped_of(table, 0x1b5c), Some(0));
        assert_eq!(dropped_of(table, 7), None);
    }
}
