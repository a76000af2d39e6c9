//! Network namespaces, veth pairs and frames for tests against the real kernel.
#![allow(dead_code, unsafe_code, clippy::unwrap_used, clippy::print_stdout)]

use af_xdp::bare::{Otherwise, RedirectProgram};
use af_xdp::{Frame, Socket, SocketConfig, Umem, UmemConfig};
use std::ffi::CString;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// Longest time any wait in these tests takes before it is a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a test in a network namespace of its own, which goes when the thread ends. Without root or
/// `ip` it says so and does nothing, unless `RINGWALL_REQUIRE_ALL` is set.
pub(crate) fn in_namespace(test: impl FnOnce() + Send + 'static) {
    // SAFETY: no arguments, cannot fail.
    let root = unsafe { libc::geteuid() } == 0;
    let ip = Command::new("ip").arg("-V").output().is_ok();
    if !(root && ip) {
        let missing = if root { "iproute2 (`ip`)" } else { "root" };
        let required = std::env::var_os("RINGWALL_REQUIRE_ALL").is_some_and(|value| value == "1");
        assert!(!required, "this test needs {missing}, and RINGWALL_REQUIRE_ALL is set");
        println!("skipped: this test needs {missing}");
        return;
    }
    let inside = move || {
        // SAFETY: a flag, no pointers; it concerns this thread only.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0, "unshare(CLONE_NEWNET)");
        // The kernel's own neighbour discovery would be counted as frames.
        let _ = std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
        test();
    };
    if let Err(panic) = thread::spawn(inside).join() {
        std::panic::resume_unwind(panic);
    }
}

/// `ip` in the calling thread's namespace.
pub(crate) fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "ip {arguments}: {message}");
}

/// A veth pair, both ends up, with `queues` queues each way. Interface indices.
pub(crate) fn veth(near: &str, far: &str, queues: u32) -> [u32; 2] {
    let many = format!("numtxqueues {queues} numrxqueues {queues}");
    ip(&format!("link add {near} {many} type veth peer name {far} {many}"));
    ip(&format!("link set {near} up"));
    ip(&format!("link set {far} up"));
    [index(near), index(far)]
}

/// Index of an interface.
pub(crate) fn index(name: &str) -> u32 {
    let name = CString::new(name).unwrap();
    // SAFETY: a string that ends in zero.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    assert_ne!(index, 0);
    index
}

/// The far end of a veth: a socket with memory of its own, which sends numbered frames and
/// checks those that come.
pub(crate) struct End {
    pub(crate) umem: Umem,
    pub(crate) socket: Socket,
    burst: Vec<Frame>,
}

impl End {
    pub(crate) fn open(interface: u32, queue: u32, program: &RedirectProgram) -> Self {
        let mut umem = Umem::new(&UmemConfig::default()).unwrap();
        let config = SocketConfig::new(interface, queue, &umem, 1);
        let socket = Socket::open(&mut umem, &config).unwrap();
        program.insert(&socket).unwrap();
        Self { umem, socket, burst: Vec::new() }
    }

    /// A program and a socket on queue 0 of an interface.
    pub(crate) fn alone(interface: u32) -> (Self, RedirectProgram) {
        let program = RedirectProgram::attach(interface, 1, Otherwise::Drop).unwrap();
        (Self::open(interface, 0, &program), program)
    }

    /// Sends the frames with these numbers, all of them.
    pub(crate) fn send(&mut self, numbers: std::ops::Range<u64>, len: usize) {
        let deadline = Instant::now() + PATIENCE;
        for number in numbers {
            let mut frame = self.umem.alloc().expect("frames to send");
            self.umem.write(&mut frame, &numbered(number, len)).unwrap();
            self.burst.push(frame);
        }
        while !self.burst.is_empty() {
            assert!(Instant::now() < deadline, "sending takes too long");
            self.socket.transmit(&mut self.umem, &mut self.burst);
            self.socket.kick().unwrap();
            self.socket.complete(&mut self.umem);
        }
    }

    /// Takes what has come: each must be the next number after `next`.
    pub(crate) fn expect(&mut self, next: &mut u64, len: usize) {
        self.socket.receive(&mut self.umem, &mut self.burst, 256);
        for frame in self.burst.drain(..) {
            assert_eq!(self.umem.data(&frame), numbered(*next, len), "frame {next}");
            *next += 1;
            self.umem.free(frame);
        }
        self.socket.refill(&mut self.umem);
    }

    /// All its frames are free or in the fill ring, and none was lost on the way.
    pub(crate) fn settle(&mut self) {
        self.socket.complete(&mut self.umem);
        let audit = self.umem.audit();
        assert!(audit.balanced(), "{audit:?}");
        assert_eq!((audit.held, audit.lent, audit.transmit), (0, 0, 0), "{audit:?}");
        assert_eq!((audit.abandoned, audit.refused), (0, 0));
    }
}

/// A frame of an ethertype nobody uses, of `len` bytes, with a number in it.
pub(crate) fn numbered(number: u64, len: usize) -> Vec<u8> {
    let mut frame = vec![number as u8; len];
    frame[..6].fill(0xff);
    frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
    frame[12..14].copy_from_slice(&[0x88, 0xb5]);
    frame[14..22].copy_from_slice(&number.to_be_bytes());
    frame
}
