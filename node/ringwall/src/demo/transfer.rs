//! A checksummed transfer over TCP, out and back.

use std::hash::{DefaultHasher, Hasher as _};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::Instant;

use netns::Namespace;

use super::limits::{ALLOWED, CHUNK_BYTES, TRANSFER_BYTES};
use super::report::Seen;

/// Connects from a host, with a bound on every wait.
pub(super) fn connect(host: &Namespace, to: (IpAddr, u16)) -> io::Result<TcpStream> {
    let stream = host.run(|| TcpStream::connect_timeout(&SocketAddr::from(to), ALLOWED))?;
    stream.set_read_timeout(Some(ALLOWED))?;
    stream.set_write_timeout(Some(ALLOWED))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends some megabytes to an echo service and reads them back.
pub(super) fn out_and_back(host: &Namespace, to: (IpAddr, u16)) -> Seen {
    let begun = Instant::now();
    let stream = connect(host, to).map_err(|error| format!("connect: {error}"))?;
    let (sent, received) = std::thread::scope(|scope| {
        let sender = scope.spawn(|| send(&stream));
        let received = receive(&stream);
        (sender.join().expect("sending does not panic"), received)
    });
    let sent = sent.map_err(|error| format!("sending: {error}"))?;
    let (received, bytes) = received.map_err(|error| format!("receiving: {error}"))?;
    let elapsed = begun.elapsed();
    let rate = 16.0 * TRANSFER_BYTES as f64 / 1e6 / elapsed.as_secs_f64();
    let text = format!("{bytes} bytes each way, {rate:.0} Mbit/s, checksum {received:016x}");
    if (sent, TRANSFER_BYTES) == (received, bytes) {
        Ok(text)
    } else {
        Err(format!("{text} instead of {sent:016x}"))
    }
}

/// Writes everything, and says that it was; the checksum.
fn send(mut stream: &TcpStream) -> io::Result<u64> {
    let mut digest = DefaultHasher::new();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut chunk = vec![0; CHUNK_BYTES];
    for _ in 0..TRANSFER_BYTES / CHUNK_BYTES {
        for word in chunk.chunks_exact_mut(8) {
            // Xorshift: no two chunks are equal, so none can be lost or swapped unseen.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }
        digest.write(&chunk);
        stream.write_all(&chunk)?;
    }
    stream.shutdown(Shutdown::Write)?;
    Ok(digest.finish())
}

/// Reads to the end; checksum and length.
fn receive(mut stream: &TcpStream) -> io::Result<(u64, usize)> {
    let mut digest = DefaultHasher::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut bytes = 0;
    loop {
        match stream.read(&mut chunk)? {
            0 => return Ok((digest.finish(), bytes)),
            read => {
                digest.write(&chunk[..read]);
                bytes += read;
            }
        }
    }
}
