//! The endpoint's socket: quinn's, with larger buffers, and a look at what arrives.

use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io::{self, IoSliceMut};
use std::net::UdpSocket;
use std::sync::Arc;

use nix::sys::socket::{setsockopt, sockopt};
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Runtime as _, TokioRuntime, UdpPoller};
use socket2::SockRef;

use crate::limits::SOCKET_BUFFER_BYTES;
use crate::{Counter, Counters};

/// The bit that each QUIC packet has, long header or short (RFC 9000 §17.2, §17.3.1). This endpoint
/// does not take part in leaving it out (RFC 9287).
const FIXED_BIT: u8 = 0x40;

/// A UDP socket that counts what cannot be QUIC, which quinn drops without a word.
#[derive(Debug)]
pub(super) struct Watched {
    inner: Arc<dyn AsyncUdpSocket>,
    counters: Arc<Counters>,
    #[cfg(test)]
    cut: Cut,
}

/// Addresses to which nothing gets out, for tests of silence.
#[cfg(test)]
pub(super) type Cut = Arc<std::sync::Mutex<std::collections::BTreeSet<SocketAddr>>>;

impl Watched {
    pub(super) fn bind(listen: SocketAddr, counters: Arc<Counters>) -> io::Result<Arc<Self>> {
        let socket = UdpSocket::bind(listen)?;
        let buffers = SockRef::from(&socket);
        // Root may have more than `net.core.rmem_max`; others get what the kernel allows.
        if setsockopt(&socket, sockopt::RcvBufForce, &SOCKET_BUFFER_BYTES).is_err() {
            let _ = buffers.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
        }
        if setsockopt(&socket, sockopt::SndBufForce, &SOCKET_BUFFER_BYTES).is_err() {
            let _ = buffers.set_send_buffer_size(SOCKET_BUFFER_BYTES);
        }
        let inner = TokioRuntime.wrap_udp_socket(socket)?;
        Ok(Arc::new(Self {
            inner,
            counters,
            #[cfg(test)]
            cut: Cut::default(),
        }))
    }

    #[cfg(test)]
    pub(super) fn cut(&self) -> Cut {
        Arc::clone(&self.cut)
    }

    /// Counts the datagrams of one receive, which the kernel may have joined.
    fn look(&self, buffer: &[u8], meta: &RecvMeta) {
        let received = &buffer[..meta.len.min(buffer.len())];
        let datagrams = received.chunks(meta.stride.max(1));
        let foreign = datagrams.filter(|datagram| datagram[0] & FIXED_BIT == 0).count();
        if foreign > 0 {
            self.counters.add(Counter::NotQuic, foreign as u64);
        }
    }
}

impl AsyncUdpSocket for Watched {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.inner).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        #[cfg(test)]
        if self.cut.lock().is_ok_and(|cut| cut.contains(&transmit.destination)) {
            return Ok(());
        }
        self.inner.try_send(transmit)
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let polled = self.inner.poll_recv(context, buffers, meta);
        if let Poll::Ready(Ok(count)) = &polled {
            buffers
                .iter()
                .zip(&*meta)
                .take(*count)
                .for_each(|(buffer, meta)| self.look(buffer, meta));
        }
        polled
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.inner.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}
