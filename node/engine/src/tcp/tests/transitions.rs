//! The whole table, as the tracker plays it: every state reached by a real exchange × every segment
//! that fits the numbers, printed and compared with `transitions.txt`.
//!
//! `RINGWALL_BLESS=1 cargo test -p ringwall-engine` writes the file anew; review the difference.

use std::fmt::Write;
use std::path::Path;

use super::script::{blank, step};
use super::*;

/// How each state is reached, with what each peer then sends and acknowledges next.
const WAYS: [(&str, (u32, u32)); 11] = [
    ("", (0, 0)),
    ("I SYN 0 -> accept syn-sent", (1, 0)),
    ("I SYN 0 -> accept syn-sent\nR SYN|ACK 0 ack 1 -> accept syn-received", (1, 1)),
    (OPEN, (1, 1)),
    ("OPEN\nI FIN|ACK 1 ack 1 -> accept fin-wait", (2, 1)),
    ("OPEN\nI FIN|ACK 1 ack 1 -> accept fin-wait\nR ACK 1 ack 2 -> accept close-wait", (2, 1)),
    ("OPEN\nI FIN|ACK 1 ack 1 -> accept fin-wait\nR FIN|ACK 1 ack 2 -> accept last-ack", (2, 2)),
    (
        "OPEN\nI FIN|ACK 1 ack 1 -> accept fin-wait\nR FIN|ACK 1 ack 2 -> accept last-ack
         I ACK 2 ack 2 -> accept time-wait",
        (2, 2),
    ),
    ("OPEN\nI RST 1 -> accept close", (1, 1)),
    ("I SYN 0 -> accept syn-sent\nR SYN 0 -> accept syn-sent-2", (1, 1)),
    ("pick-up I ACK 1 ack 1 -> accept picked-up", (1, 1)),
];

const OPEN: &str = "I SYN 0 -> accept syn-sent
    R SYN|ACK 0 ack 1 -> accept syn-received
    I ACK 1 ack 1 -> accept established";

/// The segments tried: name, flags, whether a SYN takes the initial sequence number or a new one.
const SEGMENTS: [(&str, u8, Numbering); 10] = [
    ("SYN same", 0x02, Numbering::Initial),
    ("SYN newer", 0x02, Numbering::Newer),
    ("SYN-ACK", 0x12, Numbering::Initial),
    ("FIN", 0x11, Numbering::Fin),
    ("FIN beyond", 0x11, Numbering::Next),
    ("ACK", 0x10, Numbering::Next),
    ("RST exact", 0x04, Numbering::Next),
    ("RST-ACK", 0x14, Numbering::Next),
    ("RST ahead", 0x04, Numbering::Ahead),
    ("none", 0x08, Numbering::Next),
];

#[derive(Clone, Copy)]
enum Numbering {
    /// The initial sequence number.
    Initial,
    /// Far above everything sent.
    Newer,
    /// What is due next.
    Next,
    /// What is due next, or the FIN that was sent already.
    Fin,
    /// Inside the window, but not due.
    Ahead,
}

#[test]
fn the_whole_table() {
    let mut table = String::new();
    for (peer, side) in [(Peer::Initiator, "initiator"), (Peer::Responder, "responder")] {
        for (name, bits, numbering) in SEGMENTS {
            writeln!(table, "{side} sends {name}").unwrap();
            for ((way, next), state) in WAYS.into_iter().zip(State::ALL) {
                let mut tcp = play(&way.replace("OPEN", OPEN));
                assert_eq!(tcp.state(), state);
                let segment = numbered(peer, next, TcpFlags(bits), numbering);
                let judged = step(&mut tcp, peer, &segment, WindowCheck::Check);
                writeln!(table, "    {:<14}{judged}", state.name()).unwrap();
            }
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tcp/tests/transitions.txt");
    if std::env::var_os("RINGWALL_BLESS").is_some() {
        std::fs::write(&path, &table).unwrap();
    }
    assert_eq!(table, std::fs::read_to_string(&path).unwrap());
}

fn numbered(peer: Peer, next: (u32, u32), flags: TcpFlags, numbering: Numbering) -> Segment {
    let (own, other) = match peer {
        Peer::Initiator => next,
        Peer::Responder => (next.1, next.0),
    };
    let sequence = match numbering {
        Numbering::Initial => 0,
        Numbering::Newer => 1_000_000,
        Numbering::Next => own,
        // Who is at 2 has sent SYN and FIN.
        Numbering::Fin => own.min(1),
        Numbering::Ahead => own + 500,
    };
    Segment { sequence: Seq(sequence), acknowledgment: Seq(other), ..blank(flags) }
}

/// The cells themselves keep to what their module promises.
#[test]
fn cells_are_consistent() {
    for peer in Peer::BOTH {
        for state in State::ALL {
            assert_eq!(table::cell(peer, Class::None, state), Cell::Invalid);
            let reset = table::cell(peer, Class::Rst, state);
            let nothing = state == State::None;
            assert_eq!(reset, if nothing { Cell::Invalid } else { Cell::To(State::Close) });
            let picked_up = |class| table::cell(peer, class, State::PickedUp);
            let open = |class| table::cell(peer, class, State::Established);
            for class in Class::ALL.into_iter().filter(|class| *class != Class::Ack) {
                assert_eq!(picked_up(class), open(class), "an open connection, but for its ACKs");
            }
            for class in Class::ALL {
                let cell = table::cell(peer, class, state);
                let reopens =
                    class == Class::Syn && matches!(state, State::TimeWait | State::Close);
                assert_eq!(cell == Cell::Reopen, reopens, "{peer:?} {class:?} {state:?}");
            }
        }
    }
    // Once open, both peers have the same rights, but for SYN.
    for state in &State::ALL[3..9] {
        for class in [Class::SynAck, Class::Fin, Class::Ack, Class::Rst] {
            let [a, b] = Peer::BOTH.map(|peer| table::cell(peer, class, *state));
            assert_eq!(a, b, "{class:?} {state:?}");
        }
    }
}
