//! Two veth pairs in a namespace of their own, a sender at one end, a counter at the other.
//!
//! ```text
//! source ═══ lan ── the forwarder ── wan ═══ sink (drops in XDP; the kernel counts)
//! ```

use std::time::{Duration, Instant};

use af_xdp::bare::{Otherwise, RedirectProgram};
use af_xdp::{Frame, Socket, SocketConfig, Umem, UmemConfig};
use netns::{End, Namespace, VethOptions, veth, wait_ready};

use crate::failure::Failure;
use crate::workload::{FRAME_BYTES, Flows, PEER_MACS, PORT_MACS};

/// Frames that the sender hands to the kernel at a time.
const BURST: usize = 64;
/// Rest after a burst that found no room, when the rate is bounded.
const PAUSE: Duration = Duration::from_micros(20);

/// The namespace. Whatever works in it runs in [`Lab::run`].
pub(crate) struct Lab {
    namespace: Namespace,
    /// Indices of `lan` and `wan`.
    pub(crate) ports: [u32; 2],
    source: u32,
    sink: u32,
}

impl Lab {
    pub(crate) fn new() -> Result<Self, Failure> {
        Self::with_queues(1)
    }

    /// The same with several queues at each end.
    pub(crate) fn with_queues(queues: u32) -> Result<Self, Failure> {
        let options = VethOptions { queues, ..VethOptions::default() };
        let namespace = Namespace::new("bench")?;
        for (port, end, number) in [("lan", "source", 0), ("wan", "sink", 1)] {
            let port = End::new(&namespace, port).with_mac(PORT_MACS[number]);
            let end = End::new(&namespace, end).with_mac(PEER_MACS[number]);
            veth(port, end, &options)?;
        }
        wait_ready(&["lan", "source", "wan", "sink"].map(|link| (&namespace, link)))?;
        let index = |link| namespace.link(link).map(|link| link.index);
        let ports = [index("lan")?, index("wan")?];
        let (source, sink) = (index("source")?, index("sink")?);
        Ok(Self { namespace, ports, source, sink })
    }

    /// Runs `work` inside.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.namespace.run(work)
    }

    /// Drops what reaches the far end, as cheaply as can be. To be called inside.
    pub(crate) fn sink(&self) -> Result<RedirectProgram, Failure> {
        Ok(RedirectProgram::attach(self.sink, 1, Otherwise::Drop)?)
    }

    /// The sender. To be called inside.
    pub(crate) fn sender(&self, flows: u32) -> Result<Sender, Failure> {
        let mut umem = Umem::new(&UmemConfig::default())?;
        let config = SocketConfig::new(self.source, 0, &umem, 1);
        let socket = Socket::open(&mut umem, &config)?;
        let frame = |flow| {
            let mut bytes = [0; FRAME_BYTES];
            let len = Flows::keepalive(flow, &mut bytes);
            (bytes, len)
        };
        Ok(Sender { umem, socket, frames: (0..flows).map(frame).collect(), next: 0 })
    }

    /// Packets that have reached the far end. To be called inside.
    pub(crate) fn arrived() -> Result<u64, Failure> {
        let read = std::fs::read_to_string("/proc/thread-self/net/dev");
        let text = read.map_err(Failure::io("read the interfaces' counters"))?;
        let line = text.lines().find_map(|line| line.trim_start().strip_prefix("sink:"));
        // bytes packets errs drop …
        let packets = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        packets.ok_or_else(|| Failure::Wrong("no counters of the far end".to_owned()))
    }
}

/// Sends acknowledgments of open connections, one flow after the other.
pub(crate) struct Sender {
    umem: Umem,
    socket: Socket,
    frames: Vec<([u8; FRAME_BYTES], usize)>,
    next: usize,
}

impl Sender {
    /// Sends for `length`, at most `rate` packets a second; how many were sent.
    pub(crate) fn run(&mut self, length: Duration, rate: Option<u64>) -> Result<u64, Failure> {
        let before = self.socket.counters().transmitted;
        let start = Instant::now();
        let mut burst: Vec<Frame> = Vec::with_capacity(BURST);
        while start.elapsed() < length {
            let sent = self.socket.counters().transmitted - before;
            let due = rate.map(|rate| (start.elapsed().as_secs_f64() * rate as f64) as u64);
            if due.is_some_and(|due| sent >= due) {
                std::thread::sleep(PAUSE);
                continue;
            }
            self.socket.complete(&mut self.umem);
            self.fill(&mut burst);
            self.socket.transmit(&mut self.umem, &mut burst);
            self.socket.kick()?;
        }
        burst.drain(..).for_each(|frame| self.umem.free(frame));
        Ok(self.socket.counters().transmitted - before)
    }

    fn fill(&mut self, burst: &mut Vec<Frame>) {
        while burst.len() < BURST {
            let Some(mut frame) = self.umem.alloc() else { return };
            let (bytes, len) = &self.frames[self.next];
            if self.umem.write(&mut frame, &bytes[..*len]).is_err() {
                self.umem.free(frame);
                return;
            }
            self.next = (self.next + 1) % self.frames.len();
            burst.push(frame);
        }
    }
}
