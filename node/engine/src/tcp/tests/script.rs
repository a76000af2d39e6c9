//! Segment sequences as text: one line a segment, with the judgement that it must get.
//!
//! ```text
//! I SYN 0 win 65535 scale 8 sack   -> accept syn-sent
//! R SYN|ACK 0 ack 1 win 65535      -> accept syn-received
//! R RST 42                         -> invalid reset
//! ```
//!
//! `I` and `R` send; the number after the flags is the sequence number relative to the sender's
//! initial one (the SYN is 0, the first byte of data 1), `+100` the bytes of data, `ack` and `sack`
//! are relative to the receiver's initial sequence number. Every script is played with initial
//! sequence numbers at which the windows wrap. A first line that begins with `pick-up` is judged under a
//! rule that picks connections up in the middle.

use super::*;

/// Initial sequence numbers of initiator and responder that a script is played with.
const INITIAL: [(u32, u32); 4] =
    [(0, 0), (1_000_000, 4_000_000_000), (u32::MAX - 500, u32::MAX), (0x7fff_ff00, 0x8000_0000)];

/// Plays a script and asserts every judgement; the tracker at the end of the first playing.
pub(super) fn play(text: &str) -> Tcp {
    play_with(text, WindowCheck::Check)
}

pub(super) fn play_with(text: &str, check: WindowCheck) -> Tcp {
    let tcps: Vec<_> =
        INITIAL.iter().map(|&initial| Player { initial, check }.play(text)).collect();
    tcps[0]
}

struct Player {
    initial: (u32, u32),
    check: WindowCheck,
}

impl Player {
    fn play(&self, text: &str) -> Tcp {
        let mut tcp = Tcp::IDLE;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if let Some(segment) = line.strip_prefix("pick-up ") {
                let (segment, expected) = segment.split_once("->").expect(line);
                let (_, segment) = self.parse(segment);
                let got = opened(&mut tcp, Tcp::pick_up(&segment));
                assert_eq!(got, expected.trim(), "{line} (initial {:?})", self.initial);
                continue;
            }
            let (segment, expected) = line.split_once("->").expect(line);
            let (sender, segment) = self.parse(segment);
            let got = step(&mut tcp, sender, &segment, self.check);
            assert_eq!(got, expected.trim(), "{line} (initial {:?})\n{tcp:#?}", self.initial);
        }
        tcp
    }

    fn parse(&self, line: &str) -> (Peer, Segment) {
        let mut words = line.split_whitespace();
        let sender = match words.next() {
            Some("I") => Peer::Initiator,
            Some("R") => Peer::Responder,
            other => panic!("sender {other:?} in {line}"),
        };
        let flags =
            words.next().expect(line).split('|').map(flag).fold(TcpFlags::NONE, |a, b| a | b);
        let (own, other) = match sender {
            Peer::Initiator => self.initial,
            Peer::Responder => (self.initial.1, self.initial.0),
        };
        let number = |word: &str| -> u32 {
            word.parse::<i64>().map(|n| n as u32).unwrap_or_else(|_| panic!("{word} in {line}"))
        };
        let mut segment = blank(flags);
        segment.sequence = Seq(own) + number(words.next().expect(line));
        while let Some(word) = words.next() {
            let mut next = || number(words.next().expect(line));
            match word {
                "ack" => segment.acknowledgment = Seq(other) + next(),
                "sack" if segment.flags.contains(TcpFlags::SYN) => segment.sack_permitted = true,
                "sack" => segment.sack = Some(Seq(other) + next()),
                "win" => segment.window = next() as u16,
                "scale" => segment.window_scale = Some(next() as u8),
                _ => segment.payload = number(word.strip_prefix('+').expect(line)),
            }
        }
        (sender, segment)
    }
}

/// A segment without numbers; its window is 1,000.
pub(super) fn blank(flags: TcpFlags) -> Segment {
    Segment {
        sequence: Seq(0),
        acknowledgment: Seq(0),
        flags,
        window: 1_000,
        payload: 0,
        window_scale: None,
        sack_permitted: false,
        sack: None,
    }
}

/// What the short way says of a segment that may take it.
pub(super) fn predict(
    tcp: &Tcp,
    sender: Peer,
    segment: &Segment,
    check: WindowCheck,
) -> Option<Stream> {
    let plain = Class::of(segment.flags) == Ok(Class::Ack) && segment.sack.is_none();
    let ack = Ack {
        sequence: segment.sequence,
        acknowledgment: segment.acknowledgment,
        window: segment.window,
        payload_len: segment.payload,
    };
    plain.then(|| tcp.predict(sender, &ack, check)).flatten()
}

/// Judges and commits; the judgement in words.
pub(super) fn step(tcp: &mut Tcp, sender: Peer, segment: &Segment, check: WindowCheck) -> String {
    if tcp.state() == State::None {
        return opened(tcp, Tcp::open(segment));
    }
    let judgement = tcp.judge(sender, segment, check);
    if let Some(stream) = predict(tcp, sender, segment, check) {
        // The short way is the long way, for those that it takes.
        let mut predicted = *tcp;
        predicted.take_stream(&stream);
        let accepted = Accepted::new(predicted, true);
        assert_eq!(judgement, Judgement::Accept(accepted));
        let timeouts = Timeouts::default();
        let waiting = predicted.life(&timeouts) == timeouts.tcp_unacknowledged;
        assert_eq!(stream.is_waiting(), waiting);
    }
    match judgement {
        Judgement::Accept(accepted) => {
            *tcp = accepted.next;
            let end = if accepted.finished { " finished" } else { "" };
            format!("accept {}{end}", tcp.state().name())
        }
        Judgement::Ignore(next) => {
            assert_eq!(next.state(), tcp.state(), "an ignored segment changes no state");
            *tcp = next;
            "ignore".to_owned()
        }
        Judgement::Reopen => "reopen".to_owned(),
        Judgement::Invalid(invalid) => format!("invalid {}", invalid.name()),
    }
}

/// The first segment's judgement in words.
pub(super) fn opened(tcp: &mut Tcp, judged: Result<Tcp, Invalid>) -> String {
    match judged {
        Ok(next) => {
            *tcp = next;
            format!("accept {}", next.state().name())
        }
        Err(invalid) => format!("invalid {}", invalid.name()),
    }
}

fn flag(name: &str) -> TcpFlags {
    match name {
        "SYN" => TcpFlags::SYN,
        "ACK" => TcpFlags::ACK,
        "FIN" => TcpFlags::FIN,
        "RST" => TcpFlags::RST,
        "PSH" => TcpFlags::PSH,
        "URG" => TcpFlags::URG,
        "ECE" => TcpFlags::ECE,
        "CWR" => TcpFlags::CWR,
        "none" => TcpFlags::NONE,
        other => panic!("flag {other}"),
    }
}
