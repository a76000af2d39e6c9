//! Sockets that are opened, refused, closed, and interfaces that come and go.
#![allow(clippy::unwrap_used, unsafe_code)]

mod veth;

use af_xdp::bare::{Otherwise, RedirectProgram};
use af_xdp::limits::COPY_BATCH;
use af_xdp::{
    Error, Frame, Kick, Later, Mode, RingSizes, Socket, SocketConfig, Umem, UmemConfig, open_all,
};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};
use veth::{End, PATIENCE, in_namespace, ip, numbered, veth};

fn umem() -> Umem {
    Umem::new(&UmemConfig { frames: 2048, ..UmemConfig::default() }).unwrap()
}

fn open(umem: &mut Umem, interface: u32) -> Result<Socket, Error> {
    let config = SocketConfig::new(interface, 0, umem, 2);
    Socket::open(umem, &config)
}

/// Opens a queue that the kernel may still be closing.
fn open_again(umem: &mut Umem, interface: u32) -> Socket {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match open(umem, interface) {
            Ok(socket) => return socket,
            Err(Error::QueueBusy { .. }) => thread::sleep(Duration::from_millis(1)),
            Err(error) => panic!("{error}"),
        }
        assert!(Instant::now() < deadline, "the queue stays busy");
    }
}

fn frames(umem: &mut Umem, count: usize) -> Vec<Frame> {
    let number = |umem: &mut Umem, n| {
        let mut frame = umem.alloc().unwrap();
        umem.write(&mut frame, &numbered(n as u64, 60)).unwrap();
        frame
    };
    (0..count).map(|n| number(umem, n)).collect()
}

#[test]
fn every_refusal_names_its_cause() {
    in_namespace(|| {
        let [interface, _] = veth("near", "far", 1);
        let mut umem = umem();
        let plain = SocketConfig::new(interface, 0, &umem, 1);
        let mut refused = |config: SocketConfig| Socket::open(&mut umem, &config).unwrap_err();
        let nowhere = SocketConfig { interface: 9999, ..plain.clone() };
        assert_eq!(refused(nowhere), Error::NoSuchInterface { interface: 9999 });
        let no_queue = SocketConfig { queue: 1, ..plain.clone() };
        assert_eq!(refused(no_queue), Error::NoSuchQueue { interface, queue: 1 });
        let zero_copy = SocketConfig { mode: Mode::ZeroCopy, ..plain.clone() };
        assert_eq!(refused(zero_copy), Error::ZeroCopyUnsupported { interface, queue: 0 });
        let odd = RingSizes { fill: 1000, ..RingSizes::default() };
        let odd = SocketConfig { rings: odd, ..plain.clone() };
        assert_eq!(refused(odd), Error::RingSize { ring: "fill", entries: 1000 });

        let socket = Socket::open(&mut umem, &plain).unwrap();
        let twice = Socket::open(&mut umem, &plain).unwrap_err();
        assert_eq!(twice, Error::AlreadyOpen { interface, queue: 0 });
        let other = open(&mut self::umem(), interface).unwrap_err();
        assert_eq!(other, Error::QueueBusy { interface, queue: 0 });
        socket.close(&mut umem);

        let shape = UmemConfig { frames: 8, frame_size: 1024, ..UmemConfig::default() };
        let odd_frames = open(&mut Umem::new(&shape).unwrap(), interface).unwrap_err();
        assert_eq!(odd_frames, Error::FrameSize { bytes: 1024, headroom: 0 });
    });
}

#[test]
fn without_the_capability_it_is_said_so() {
    in_namespace(|| {
        let [interface, _] = veth("near", "far", 1);
        let mut umem = umem();
        // SAFETY: integers only. The bare system call changes this thread and no other.
        let changed = unsafe { libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534) };
        assert_eq!(changed, 0);
        assert_eq!(open(&mut umem, interface).unwrap_err(), Error::Permission);
    });
}

#[test]
fn one_call_sends_more_than_a_copy_batch() {
    in_namespace(|| {
        let [interface, far] = veth("near", "far", 1);
        let (mut end, _program) = End::alone(far);
        let mut umem = umem();
        let mut socket = open(&mut umem, interface).unwrap();
        let mut burst = frames(&mut umem, 300);
        assert_eq!(socket.transmit(&mut umem, &mut burst), 300);
        assert_eq!(umem.audit().transmit, 300);
        assert_eq!(socket.kick().unwrap(), Kick::Sent);
        let calls = socket.counters().wakeups;
        assert!(calls <= 300_u64.div_ceil(u64::from(COPY_BATCH)), "{calls} calls");
        let (mut next, deadline) = (0, Instant::now() + PATIENCE);
        while next < 300 {
            assert!(Instant::now() < deadline);
            end.expect(&mut next, 60);
        }
        let mut completed = 0;
        while completed < 300 {
            assert!(Instant::now() < deadline);
            completed += socket.complete(&mut umem);
        }
        assert_eq!(umem.audit().transmit, 0);
    });
}

#[test]
fn a_closed_queue_opens_again_and_its_frames_come_back() {
    in_namespace(|| {
        let [interface, far] = veth("near", "far", 1);
        let (mut end, _far_program) = End::alone(far);
        let program = RedirectProgram::attach(interface, 1, Otherwise::Drop).unwrap();
        let mut umem = umem();
        for round in 0..10 {
            let mut socket = open_again(&mut umem, interface);
            program.insert(&socket).unwrap();
            assert_eq!(umem.audit().retired, 0, "round {round}");
            end.send(0..100, 60);
            let mut received = Vec::new();
            let deadline = Instant::now() + PATIENCE;
            while received.len() < 50 {
                assert!(Instant::now() < deadline);
                socket.receive(&mut umem, &mut received, 50);
            }
            // Closed with frames received, not yet read, in the fill ring and to be sent.
            assert_eq!(socket.transmit(&mut umem, &mut received), 50);
            let left = socket.close(&mut umem);
            let audit = umem.audit();
            assert!(audit.balanced(), "{audit:?}");
            assert_eq!((audit.retired, audit.held), (left, 0));
            assert!(left > 100);
        }
        assert_eq!(open_again(&mut umem, interface).close(&mut umem), umem.in_use());
        umem.release_retired(interface, 0);
        assert_eq!(umem.in_use(), 0);
    });
}

#[test]
fn an_interface_that_goes_away_is_noticed_and_the_other_socket_goes_on() {
    in_namespace(|| {
        let [first, _] = veth("first", "first-far", 1);
        let [second, second_far] = veth("second", "second-far", 1);
        let (mut end, _program) = End::alone(second_far);
        let mut umem = umem();
        let mut gone = open(&mut umem, first).unwrap();
        let mut stays = open(&mut umem, second).unwrap();
        gone.check().unwrap();
        ip("link del first");
        let expected = Error::Gone { interface: first, queue: 0 };
        assert_eq!(gone.check().unwrap_err(), expected);
        assert_eq!(gone.check().unwrap_err(), expected, "and again");
        let mut burst = frames(&mut umem, 3);
        gone.transmit(&mut umem, &mut burst);
        assert_eq!(gone.kick().unwrap_err(), expected);
        assert_eq!(gone.close(&mut umem), 0, "all its frames are back");

        stays.check().unwrap();
        // The socket that had registered the memory is closed; others share with one that is left.
        let [third, _] = veth("third", "third-far", 1);
        let third = open(&mut umem, third).unwrap();
        let mut burst = frames(&mut umem, 10);
        stays.transmit(&mut umem, &mut burst);
        stays.kick().unwrap();
        let (mut next, deadline) = (0, Instant::now() + PATIENCE);
        while next < 10 {
            assert!(Instant::now() < deadline);
            end.expect(&mut next, 60);
        }
        third.close(&mut umem);
        let audit = umem.audit();
        assert!(audit.balanced(), "{audit:?}");
    });
}

/// What the documentation of `Socket::check` says: `epoll` wakes with nothing to show.
#[test]
fn epoll_says_nothing_about_an_interface_that_is_gone() {
    in_namespace(|| {
        let [interface, _] = veth("near", "far", 1);
        let mut umem = umem();
        let socket = open(&mut umem, interface).unwrap();
        ip("link del near");
        let events = libc::POLLIN | libc::POLLERR | libc::POLLHUP;
        let mut fd = libc::pollfd { fd: socket.as_raw_fd(), events, revents: 0 };
        // SAFETY: one valid entry, written during the call only.
        assert_eq!(unsafe { libc::poll(&mut fd, 1, 50) }, 0, "revents {:#x}", fd.revents);
        assert!(matches!(socket.check(), Err(Error::Gone { .. })));
    });
}

#[test]
fn all_interfaces_gone_and_back_need_no_new_memory() {
    in_namespace(|| {
        let mut umem = umem();
        for _ in 0..3 {
            let [interface, _] = veth("near", "far", 1);
            let socket = open(&mut umem, interface).unwrap();
            ip("link del near");
            assert!(open(&mut umem, interface).is_err());
            assert_eq!(socket.close(&mut umem), 0);
            assert_eq!(umem.in_use(), 0);
        }
    });
}

#[test]
fn an_interface_set_down_means_later() {
    in_namespace(|| {
        let [interface, far] = veth("near", "far", 1);
        let (mut end, _program) = End::alone(far);
        let mut umem = umem();
        let mut socket = open(&mut umem, interface).unwrap();
        ip("link set near down");
        let mut burst = frames(&mut umem, 10);
        assert_eq!(socket.transmit(&mut umem, &mut burst), 10);
        assert_eq!(socket.kick().unwrap(), Kick::Later(Later::Down));
        socket.check().unwrap();
        ip("link set near up");
        assert_eq!(socket.kick().unwrap(), Kick::Sent);
        let (mut next, deadline) = (0, Instant::now() + PATIENCE);
        while next < 10 {
            assert!(Instant::now() < deadline);
            end.expect(&mut next, 60);
        }
    });
}

#[test]
fn what_the_device_does_not_take_is_counted_and_comes_back() {
    in_namespace(|| {
        let [interface, far] = veth("near", "far", 1);
        let (mut end, _program) = End::alone(far);
        let mut umem = umem();
        let mut socket = open(&mut umem, interface).unwrap();
        let mut burst = frames(&mut umem, 3);
        umem.write(&mut burst[1], &[0; 1700]).unwrap();
        assert_eq!(socket.transmit(&mut umem, &mut burst), 3);
        assert_eq!(socket.kick().unwrap(), Kick::Sent);
        assert_eq!(socket.counters().device_drops, 1, "longer than the MTU");
        let (mut got, mut completed, deadline) = (Vec::new(), 0, Instant::now() + PATIENCE);
        while got.len() < 2 || completed < 3 {
            assert!(Instant::now() < deadline);
            end.socket.receive(&mut end.umem, &mut got, 8);
            completed += socket.complete(&mut umem);
        }
        let numbers = got.iter().map(|frame| end.umem.data(frame)[21]);
        assert_eq!(numbers.collect::<Vec<_>>(), [0, 2]);
        assert_eq!(umem.audit().transmit, 0);
        got.drain(..).for_each(|frame| end.umem.free(frame));
    });
}

#[test]
fn an_overrun_is_counted_and_loses_no_frame() {
    in_namespace(|| {
        let [interface, far] = veth("near", "far", 1);
        let (mut end, _far_program) = End::alone(far);
        let program = RedirectProgram::attach(interface, 1, Otherwise::Drop).unwrap();
        let mut umem = umem();
        let config = SocketConfig { fill_share: 64, ..SocketConfig::new(interface, 0, &umem, 1) };
        let mut socket = Socket::open(&mut umem, &config).unwrap();
        program.insert(&socket).unwrap();
        end.send(0..500, 60);
        let deadline = Instant::now() + PATIENCE;
        while socket.waiting() < 64 || socket.statistics().unwrap().rx_dropped < 500 - 64 {
            assert!(Instant::now() < deadline, "{:?}", socket.statistics());
            thread::yield_now();
        }
        let mut received = Vec::new();
        assert_eq!(socket.receive(&mut umem, &mut received, 500), 64);
        assert_eq!(umem.in_use(), 64, "no more than its share");
        received.drain(..).for_each(|frame| umem.free(frame));
        assert_eq!(umem.in_use(), 0);
        assert_eq!(socket.refill(&mut umem), 64);
    });
}

#[test]
fn several_sockets_open_all_or_none() {
    in_namespace(|| {
        let [one, two] = veth("near", "far", 1);
        let mut umem = umem();
        let config = |interface, umem: &Umem| SocketConfig::new(interface, 0, umem, 2);
        let configs = [config(one, &umem), config(9999, &umem)];
        let refused = open_all(&mut umem, &configs).unwrap_err();
        assert_eq!(refused, (1, Error::NoSuchInterface { interface: 9999 }));
        open_again(&mut umem, one).close(&mut umem);
        let two = config(two, &umem);
        assert_eq!(open_all(&mut umem, &[two]).unwrap().len(), 1);
    });
}
