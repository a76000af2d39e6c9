//! Two workers give the same verdicts as one, wherever packets arrive.

use engine::Reason;
use proptest::prelude::*;
use wire::{TcpFlags, Version};

use crate::handoff::cut;
use crate::world::{LAN, Side, WAN, World, packet};

/// One thing that a host sends, and the worker that its NIC chooses for each of its frames.
#[derive(Clone, Debug)]
struct Send {
    flow: u16,
    reply: bool,
    v6: bool,
    what: What,
    id: u16,
    workers: [usize; 4],
    /// Of a fragmented datagram: the piece that never arrives.
    lost: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Udp,
    Syn,
    Ack,
    Reset,
    Echo,
    Fragments,
}

fn send() -> impl Strategy<Value = Send> {
    let what = prop_oneof![
        Just(What::Udp),
        Just(What::Syn),
        Just(What::Ack),
        Just(What::Reset),
        Just(What::Echo),
        Just(What::Fragments),
    ];
    let workers = proptest::array::uniform4(0..2_usize);
    let lost = proptest::option::weighted(0.2, 0..3_usize);
    (0..6_u16, any::<bool>(), any::<bool>(), what, 1..1_000_u16, workers, lost).prop_map(
        |(flow, reply, v6, what, id, workers, lost)| Send {
            flow,
            reply,
            v6,
            what,
            id,
            workers,
            lost,
        },
    )
}

impl Send {
    fn from(&self) -> Side {
        if self.reply { Side::Server } else { Side::Client }
    }

    /// The frames, in order.
    fn frames(&self) -> Vec<Vec<u8>> {
        let version = if self.v6 { Version::V6 } else { Version::V4 };
        let from = self.from();
        let start = packet(from, version);
        let (here, there) =
            if self.reply { (80, 5_000 + self.flow) } else { (5_000 + self.flow, 80) };
        let tcp = |flags| start.tcp(here, there).seq(1).ack(1).flags(flags);
        let whole = match self.what {
            What::Udp => start.udp(here, there).payload(b"datagram"),
            What::Syn if self.reply => tcp(TcpFlags::SYN | TcpFlags::ACK).seq(0),
            What::Syn => tcp(TcpFlags::SYN).seq(0).ack(0),
            What::Ack => tcp(TcpFlags::ACK),
            What::Reset => tcp(TcpFlags::RST | TcpFlags::ACK),
            What::Echo if self.reply => start.echo_reply(self.flow, 1),
            What::Echo => start.echo_request(self.flow, 1),
            What::Fragments => {
                // An id of its own: two datagrams that share one are undefined by the RFCs.
                let whole = start.udp(here, there).payload(&[3; 3_000]);
                let mut pieces = cut(&whole, self.id.into(), 1_280);
                if let Some(lost) = self.lost {
                    pieces.remove(lost);
                }
                return pieces;
            }
        };
        vec![whole.frame().to_vec()]
    }
}

/// What is compared: verdict totals, sessions, and the frames that left.
#[derive(Debug, PartialEq)]
struct Totals {
    verdicts: [u64; 6],
    dropped: Vec<(Reason, u64)>,
    sessions: usize,
    frames: [Vec<Vec<u8>>; 2],
}

fn totals(workers: usize, sends: &[Send]) -> Totals {
    let mut world = World::new(workers);
    for send in sends {
        for (frame, worker) in send.frames().iter().zip(send.workers) {
            world.arrive(worker % workers, send.from(), frame);
            // Order within a flow is the network's to keep; over two workers only rest keeps it.
            world.settle();
        }
    }
    world.audit();
    let verdicts = [
        world.total(|counters| counters.received),
        world.total(|counters| counters.forwarded),
        world.total(|counters| counters.answered),
        world.total(|counters| counters.consumed),
        world.total(|counters| counters.held),
        world.total(|counters| counters.sessions_opened),
    ];
    let dropped = Reason::ALL.iter().map(|reason| (*reason, world.dropped(*reason)));
    let dropped = dropped.filter(|(_, packets)| *packets > 0).collect();
    let sessions = (0..workers).map(|worker| world.sessions(worker)).sum();
    let frames = [LAN, WAN].map(|port| {
        let mut frames = world.all_sent(port);
        frames.sort();
        frames
    });
    Totals { verdicts, dropped, sessions, frames }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn two_workers_judge_as_one(sends in proptest::collection::vec(send(), 1..40)) {
        prop_assert_eq!(totals(2, &sends), totals(1, &sends));
    }
}
