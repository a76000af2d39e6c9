//! Opening a node's ports: sockets for every queue, shared out over the workers.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use af_xdp::{BusyPoll, Mode, Socket, SocketConfig, Umem, UmemConfig};
use datapath::XskPort;

use crate::limits::{QUEUE_BUSY_PAUSE, QUEUE_BUSY_TIMEOUT};

/// An interface as it is now, with what the node file wants of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Name of the port in policies.
    pub port: String,
    /// Name of the interface.
    pub name: String,
    /// Its index in the network namespace.
    pub index: u32,
    /// Its receive queues that are to be served: all, or the first so many.
    pub queues: u16,
    /// Microseconds of busy polling.
    pub busy_poll: Option<u32>,
    /// Whether zero copy is tried.
    pub zero_copy: bool,
}

/// Why the ports of a worker cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    /// Fewer queues than workers: some would have no way to send.
    TooFewQueues {
        /// The port.
        port: String,
        /// Its queues.
        queues: u16,
        /// The node's workers.
        workers: u16,
    },
    /// Somebody else has a socket on a queue.
    Held {
        /// The port.
        port: String,
        /// Its interface.
        interface: String,
        /// The queue.
        queue: u16,
    },
    /// A socket or the frames.
    AfXdp {
        /// What was being opened.
        what: String,
        /// Why it failed.
        source: af_xdp::Error,
    },
    /// No more file descriptors.
    Descriptor(std::io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFewQueues { port, queues, workers } => write!(
                f,
                "port `{port}` has {queues} receive queue(s) for {workers} workers; give the \
                 interface more (`ethtool -L`) or set `workers = {queues}` in the node file"
            ),
            Self::Held { port, interface, queue } => write!(
                f,
                "port `{port}`: queue {queue} of interface {interface} has an AF_XDP socket already: \
                 another process holds it, maybe another ringwall with its own `bpf-dir`"
            ),
            Self::AfXdp { what, source } => write!(f, "{what}: {source}"),
            Self::Descriptor(source) => write!(f, "cannot duplicate a descriptor: {source}"),
        }
    }
}

impl std::error::Error for OpenError {}

/// The frames of one worker.
///
/// # Errors
/// No memory.
pub fn umem(frames: u32, frame_size: u32) -> Result<Umem, OpenError> {
    let config = UmemConfig { frames, frame_size, headroom: 0, huge_pages: false };
    Umem::new(&config)
        .map_err(|source| OpenError::AfXdp { what: format!("{frames} frames"), source })
}

/// The queues of `interface` that worker `worker` of `workers` serves: every `workers`th.
pub fn queues_of(interface: &Interface, worker: u16, workers: u16) -> impl Iterator<Item = u16> {
    (worker..interface.queues).step_by(usize::from(workers.max(1)))
}

/// Checks that every worker gets a queue of the interface.
///
/// # Errors
/// It has too few.
pub fn check_queues(interface: &Interface, workers: u16) -> Result<(), OpenError> {
    if interface.queues >= workers {
        return Ok(());
    }
    let port = interface.port.clone();
    Err(OpenError::TooFewQueues { port, queues: interface.queues, workers })
}

/// A port's sockets with the queues they are for, for the XDP program's socket map.
pub type Bound = Vec<(u16, OwnedFd)>;

/// Opens one worker's sockets on one interface. `sockets` is the number of sockets that will share
/// `umem` in the end. A queue that the kernel is still closing is tried again for a bounded time.
///
/// # Errors
/// A socket cannot be opened; those already open are closed.
pub fn open(
    umem: &mut Umem,
    interface: &Interface,
    worker: u16,
    workers: u16,
    sockets: u32,
) -> Result<(XskPort, Bound), OpenError> {
    let mut opened = Vec::new();
    let mut bound = Vec::new();
    for queue in queues_of(interface, worker, workers) {
        let mut config = SocketConfig::new(interface.index, u32::from(queue), umem, sockets);
        config.mode = if interface.zero_copy { Mode::Auto } else { Mode::Copy };
        config.busy_poll = interface.busy_poll.map(|micros| BusyPoll { micros, budget: 64 });
        let socket = open_patiently(umem, &config).map_err(|why| failed(interface, queue, why))?;
        let descriptor = socket.as_fd().try_clone_to_owned().map_err(OpenError::Descriptor)?;
        bound.push((queue, descriptor));
        opened.push(socket);
    }
    Ok((XskPort::new(opened), bound))
}

fn failed(interface: &Interface, queue: u16, source: af_xdp::Error) -> OpenError {
    let Interface { port, name, .. } = interface;
    if matches!(source, af_xdp::Error::QueueBusy { .. }) {
        return OpenError::Held { port: port.clone(), interface: name.clone(), queue };
    }
    OpenError::AfXdp { what: format!("port `{port}` (interface {name}, queue {queue})"), source }
}

fn open_patiently(umem: &mut Umem, config: &SocketConfig) -> Result<Socket, af_xdp::Error> {
    let deadline = Instant::now() + QUEUE_BUSY_TIMEOUT;
    loop {
        match Socket::open(umem, config) {
            Err(af_xdp::Error::QueueBusy { .. }) if Instant::now() < deadline => {
                std::thread::sleep(QUEUE_BUSY_PAUSE);
            }
            // Without zero copy the first socket of a UMEM decides for copy, and so for all.
            Err(af_xdp::Error::ZeroCopyUnsupported { .. }) if config.mode == Mode::Auto => {
                let copy = SocketConfig { mode: Mode::Copy, ..config.clone() };
                return Socket::open(umem, &copy);
            }
            result => return result,
        }
    }
}

/// Bytes of the longest IP packet that fits into a frame, behind the headroom that the kernel takes and
/// an Ethernet header.
#[must_use]
pub fn largest_packet(frame_size: u32) -> u32 {
    frame_size.saturating_sub(KERNEL_HEADROOM + ETHERNET_HEADER)
}

/// `XDP_PACKET_HEADROOM` of linux/bpf.h.
const KERNEL_HEADROOM: u32 = 256;
const ETHERNET_HEADER: u32 = 14;

/// Duplicates of all descriptors that a worker sleeps on.
///
/// # Errors
/// No more file descriptors.
pub fn descriptors(worker: &mut crate::flow::XskWorker) -> Result<Vec<OwnedFd>, OpenError> {
    let mut found = vec![worker.bell().descriptor().try_clone_to_owned()];
    found.extend(worker.fabric().map(|fabric| fabric.descriptor().try_clone_to_owned()));
    let ports = worker.engine().ports().len();
    for index in 0..ports {
        if let Some(port) = worker.port(engine::PortId(index as u16)) {
            found.extend(port.descriptors().map(|fd| fd.try_clone_to_owned()));
        }
    }
    found.into_iter().collect::<Result<_, _>>().map_err(OpenError::Descriptor)
}

/// For tests of other modules: an interface that is nowhere.
#[cfg(test)]
pub(crate) fn sample(queues: u16) -> Interface {
    Interface {
        port: "lan".to_owned(),
        name: "lan0".to_owned(),
        index: 1,
        queues,
        busy_poll: None,
        zero_copy: true,
    }
}

#[cfg(test)]
mod tests {
    use super::{check_queues, queues_of, sample};

    #[test]
    fn every_queue_has_exactly_one_worker() {
        for (queues, workers) in [(1, 1), (2, 2), (4, 2), (5, 3), (8, 1)] {
            let interface = sample(queues);
            let mut served: Vec<u16> =
                (0..workers).flat_map(|worker| queues_of(&interface, worker, workers)).collect();
            served.sort_unstable();
            assert_eq!(served, (0..queues).collect::<Vec<_>>(), "{queues} over {workers}");
        }
    }

    #[test]
    fn a_worker_without_a_queue_is_refused() {
        assert!(check_queues(&sample(2), 2).is_ok());
        let error = check_queues(&sample(1), 2).expect_err("one queue for two workers");
        assert!(error.to_string().contains("workers = 1"), "{error}");
    }
}
