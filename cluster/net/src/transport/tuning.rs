//! quinn as the cluster sets it: times, windows, buffers.

use core::time::Duration;
use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, MtuDiscoveryConfig, ServerConfig, TransportConfig, VarInt};

use super::window::Fixed;
use crate::limits::{
    CALL_WINDOW_BYTES, DATAGRAM_RECEIVE_BYTES, DATAGRAM_SEND_BYTES, DATAGRAM_UDP_BYTES,
    FABRIC_WINDOW_BYTES, FRAME_TIMEOUT, HANDSHAKE_TIMEOUT, HANDSHAKES, IDLE_TIMEOUT, KEEP_ALIVE,
    RECONNECT_MAX, RECONNECT_MIN, STREAM_WINDOW_BYTES,
};

/// The times of an endpoint. Tests have shorter ones.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// [`HANDSHAKE_TIMEOUT`]
    pub handshake: Duration,
    /// [`FRAME_TIMEOUT`]
    pub frame: Duration,
    /// [`IDLE_TIMEOUT`]
    pub idle: Duration,
    /// [`KEEP_ALIVE`]
    pub keep_alive: Duration,
    /// [`RECONNECT_MIN`] and [`RECONNECT_MAX`]
    pub reconnect: (Duration, Duration),
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            handshake: HANDSHAKE_TIMEOUT,
            frame: FRAME_TIMEOUT,
            idle: IDLE_TIMEOUT,
            keep_alive: KEEP_ALIVE,
            reconnect: (RECONNECT_MIN, RECONNECT_MAX),
        }
    }
}

fn transport(timing: &Timing, bytes: u64) -> Arc<TransportConfig> {
    let window = Arc::new(Fixed { bytes });
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(DATAGRAM_UDP_BYTES);
    let mut transport = TransportConfig::default();
    transport
        .max_idle_timeout(timing.idle.try_into().ok())
        .keep_alive_interval(Some(timing.keep_alive))
        .congestion_controller_factory(window)
        .mtu_discovery_config(Some(discovery))
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(1))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .send_window(STREAM_WINDOW_BYTES.into())
        .datagram_receive_buffer_size(Some(DATAGRAM_RECEIVE_BYTES))
        .datagram_send_buffer_size(DATAGRAM_SEND_BYTES);
    Arc::new(transport)
}

/// For who is called.
pub(crate) fn server(
    tls: rustls::ServerConfig,
    timing: &Timing,
) -> Result<ServerConfig, rustls::Error> {
    let crypto = QuicServerConfig::try_from(tls).map_err(unsuited)?;
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    // A node's address does not change under a connection, so nobody may move one.
    config
        .transport_config(transport(timing, FABRIC_WINDOW_BYTES))
        .migration(false)
        .max_incoming(HANDSHAKES);
    Ok(config)
}

/// For who calls.
pub(crate) fn client(
    tls: rustls::ClientConfig,
    timing: &Timing,
) -> Result<ClientConfig, rustls::Error> {
    windowed(tls, timing, FABRIC_WINDOW_BYTES)
}

/// For who asks.
pub(crate) fn asker(
    tls: rustls::ClientConfig,
    timing: &Timing,
) -> Result<ClientConfig, rustls::Error> {
    windowed(tls, timing, CALL_WINDOW_BYTES)
}

fn windowed(
    tls: rustls::ClientConfig,
    timing: &Timing,
    window: u64,
) -> Result<ClientConfig, rustls::Error> {
    let crypto = QuicClientConfig::try_from(tls).map_err(unsuited)?;
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(transport(timing, window));
    Ok(config)
}

fn unsuited(error: impl ToString) -> rustls::Error {
    rustls::Error::General(error.to_string())
}
