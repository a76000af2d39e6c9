//! How long a session lives without a packet, by protocol and state.
//!
//! The defaults are those of Linux conntrack (`nf_conntrack_*_timeout_*`), so that whoever changes
//! over finds the lives that their applications were tuned to.

use std::time::Duration;

use crate::tcp::State;

/// Idle lives; the policy compiler fills them from the policy file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// A SYN was seen, in one direction or (simultaneous open) in both.
    pub tcp_syn_sent: Duration,
    /// A SYN-ACK was seen.
    pub tcp_syn_received: Duration,
    /// The handshake is complete.
    pub tcp_established: Duration,
    /// A FIN was seen in one direction.
    pub tcp_fin_wait: Duration,
    /// That FIN was acknowledged; the other direction may go on.
    pub tcp_close_wait: Duration,
    /// A FIN was seen in both directions.
    pub tcp_last_ack: Duration,
    /// The last FIN was acknowledged.
    pub tcp_time_wait: Duration,
    /// An exact RST was seen.
    pub tcp_close: Duration,
    /// Upper bound while data is unacknowledged, is retransmitted, or the window is closed.
    pub tcp_unacknowledged: Duration,
    /// UDP, traffic in one direction only.
    pub udp_first: Duration,
    /// UDP, traffic in both directions.
    pub udp_stream: Duration,
    /// ICMP echo.
    pub icmp: Duration,
    /// Every other protocol.
    pub generic: Duration,
}

impl Timeouts {
    /// The life of a TCP session in `state`, before the bound for unacknowledged data.
    pub const fn tcp(&self, state: State) -> Duration {
        match state {
            State::None | State::Close => self.tcp_close,
            State::SynSent | State::SynSent2 => self.tcp_syn_sent,
            State::SynReceived => self.tcp_syn_received,
            State::Established => self.tcp_established,
            State::FinWait => self.tcp_fin_wait,
            State::CloseWait => self.tcp_close_wait,
            State::LastAck => self.tcp_last_ack,
            State::TimeWait => self.tcp_time_wait,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            tcp_syn_sent: Duration::from_secs(120),
            tcp_syn_received: Duration::from_secs(60),
            tcp_established: Duration::from_secs(432_000),
            tcp_fin_wait: Duration::from_secs(120),
            tcp_close_wait: Duration::from_secs(60),
            tcp_last_ack: Duration::from_secs(30),
            tcp_time_wait: Duration::from_secs(120),
            tcp_close: Duration::from_secs(10),
            tcp_unacknowledged: Duration::from_secs(300),
            udp_first: Duration::from_secs(30),
            udp_stream: Duration::from_secs(120),
            icmp: Duration::from_secs(30),
            generic: Duration::from_secs(600),
        }
    }
}
