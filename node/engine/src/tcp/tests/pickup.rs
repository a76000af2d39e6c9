//! Connections picked up in the middle.

use super::script::{blank, opened, play_with};
use super::*;

/// Picked up from a segment of the initiator, both windows 1,000 as sent.
const HALF: &str = "pick-up I ACK 1 +100 ack 1 -> accept picked-up\n";
/// Both peers seen.
const BOTH: &str = "
    pick-up I ACK 1 +100 ack 1 -> accept picked-up
    R ACK 1 ack 101 -> accept established
";
/// What a window of 1,000 may be at most.
const WIDE: u32 = 1_000 << 14;

fn half(text: &str) -> Tcp {
    play(&format!("{HALF}{text}"))
}

fn both(text: &str) -> Tcp {
    play(&format!("{BOTH}{text}"))
}

#[test]
fn every_combination_of_flags_with_and_without_pick_up() {
    let (mut picked, mut begun) = (0, 0);
    for bits in 0..=u8::MAX {
        let segment = Segment { acknowledgment: Seq(5), ..blank(TcpFlags(bits)) };
        let mut tcp = Tcp::IDLE;
        let without = opened(&mut tcp, Tcp::open(&segment));
        let with = opened(&mut tcp, Tcp::pick_up(&segment));
        let (want_without, want_with) = match Class::of(segment.flags) {
            Err(invalid) => (format!("invalid {}", invalid.name()), None),
            Ok(Class::Syn) => ("accept syn-sent".to_owned(), None),
            Ok(Class::Ack) => ("invalid not-syn".to_owned(), Some("accept picked-up".to_owned())),
            Ok(Class::SynAck | Class::Fin | Class::Rst | Class::None) => {
                ("invalid not-syn".to_owned(), None)
            }
        };
        assert_eq!(without, want_without, "{bits:#x}");
        assert_eq!(with, want_with.unwrap_or(want_without), "{bits:#x}");
        picked += u32::from(with == "accept picked-up");
        begun += u32::from(with == "accept syn-sent");
    }
    // ACK, ACK+URG; SYN, SYN+URG; each with any of PSH, ECE, CWR.
    assert_eq!((picked, begun), (16, 16));
}

#[test]
fn what_the_first_segment_tells() {
    let tcp = play("pick-up I ACK 1001 +100 ack 501 win 2000 -> accept picked-up");
    let (initiator, responder) = tcp.pair(Peer::Initiator);
    assert_eq!((initiator.end, responder.end), (Seq(1_101), Seq(501)));
    assert_eq!(initiator.max_window, 2_000 << 14);
    assert_eq!(responder.max_end, Seq(501 + (2_000 << 14)));
    assert!(!responder.is_seen());
    let tcp = play("pick-up I ACK 1001 ack 501 win 0 -> accept picked-up");
    assert_eq!(tcp.pair(Peer::Initiator).0.max_window, 1);
}

#[test]
fn from_data_from_a_bare_ack_and_from_a_keepalive() {
    both(
        "I ACK 101 +1400 ack 1 -> accept established
          R ACK 1 +1400 ack 1501 -> accept established",
    );
    play(
        "pick-up I ACK 1 ack 1 -> accept picked-up
         R ACK 1 +1400 ack 1 -> accept established
         I ACK 1 ack 1401 -> accept established",
    );
    play(
        "pick-up I ACK 0 ack 1 -> accept picked-up
         R ACK 1 ack 1 -> accept established
         I ACK 1 +100 ack 1 -> accept established
         R ACK 1 ack 101 -> accept established",
    );
}

#[test]
fn while_the_responder_is_silent_the_initiator_goes_on() {
    // Much data, and acknowledgments of what passed before.
    half(
        "I ACK 101 +60000 ack 1 -> accept picked-up
         I ACK 60101 +60000 ack 70001 -> accept picked-up
         I ACK 120101 ack 900001 -> accept picked-up
         I ACK 1 +100 ack 1 -> accept picked-up
         R ACK 900001 +100 ack 120101 -> accept established",
    );
    // Where a quarter of the space is in reach either way, what lies behind is what lies ahead.
    half(&format!(
        "I ACK {} +10 ack 1 -> invalid above-window
         I ACK {} +10 ack 1 -> invalid above-window
         I ACK 101 ack {} -> invalid ack-ahead
         I ACK 101 ack {} -> invalid ack-behind",
        102 + (1_u32 << 30),
        -(1_i64 << 30),
        2 + WIDE,
        -(1_i64 << 30),
    ));
}

#[test]
fn the_responder_may_be_ahead_of_what_was_seen_and_behind() {
    // It has sent what nobody has acknowledged, and acknowledges what was sent before.
    half(
        "R ACK 50001 +1000 ack 300001 -> accept established
          I ACK 300001 ack 51001 -> accept established",
    );
    // It sends again, and has not got all.
    half(
        "R ACK -3000 +1000 ack -90000 -> accept established
          I ACK 101 +100 ack 1 -> accept established
          R ACK 1 +1000 ack 101 -> accept established",
    );
    half(&format!(
        "R ACK {} +10 ack 101 -> invalid above-window
         R ACK {} +10 ack 101 -> invalid below-window
         R ACK 1 ack {} -> invalid ack-ahead
         R ACK 1 ack {} -> invalid ack-ahead",
        2 + WIDE,
        -(1_i64 << 30) - 10,
        102 + (1_u32 << 30),
        100 - (1_i64 << 30),
    ));
}

#[test]
fn once_both_are_seen_the_four_bounds_hold() {
    both(&format!(
        "I ACK {} +10 ack 1 -> invalid above-window
         I ACK {} +10 ack 1 -> accept established",
        102 + WIDE,
        101 + WIDE,
    ));
    both(&format!(
        "I ACK {} +10 ack 1 -> invalid below-window
         I ACK 101 ack 2 -> invalid ack-ahead
         R ACK 1 ack 102 -> invalid ack-ahead
         R ACK {} +10 ack 101 -> invalid above-window
         R ACK 1 +10 ack {} -> invalid ack-behind",
        101 - 2 * i64::from(WIDE) - 11,
        2 + WIDE,
        100 - i64::from(WIDE),
    ));
}

#[test]
fn windows_may_be_scaled_and_sacks_agreed() {
    // 200 segments of 64 KiB each, unacknowledged, in a window of 1,000 at scale 14 as sent.
    let mut text = String::new();
    for at in 0..200 {
        text += &format!("I ACK {} +65536 ack 1 -> accept established\n", 101 + at * 65_536);
    }
    both(&text);
    both(
        "R ACK 1 +1000 ack 101 -> accept established
          I ACK 101 ack 1 sack 1001 -> accept established
          I ACK 101 ack 1 sack 1002 -> invalid ack-ahead",
    );
}

#[test]
fn resets_are_as_exact_as_ever() {
    half("I RST 101 win 0 -> accept close");
    half("R RST 1 win 0 -> accept close");
    half("I RST 102 win 0 -> ignore\n I ACK 101 ack 1 -> accept picked-up");
    half("I RST 1 win 0 -> invalid reset");
    half("R RST 2 win 0 -> ignore\n R RST 0 win 0 -> invalid reset");
    half(&format!("R RST {} win 0 -> invalid reset", 2 + WIDE));
    both("R RST 1 win 0 -> accept close");
    both("R RST 2 win 0 -> ignore\n R RST 0 win 0 -> invalid reset");
    both("I RST 101 win 0 -> accept close");
    both("I RST 100 win 0 -> invalid reset");
}

#[test]
fn a_close_is_followed_from_the_first_fin_on() {
    both(
        "I FIN|ACK 101 ack 1 -> accept fin-wait
         R ACK 1 ack 102 -> accept close-wait
         R FIN|ACK 1 ack 102 -> accept last-ack
         I ACK 102 ack 2 -> accept time-wait",
    );
    // Before the responder was seen.
    half(
        "I FIN|ACK 101 ack 1 -> accept fin-wait
         I ACK 102 +1 ack 1 -> invalid after-fin
         I FIN|ACK 101 ack 1 -> accept fin-wait
         R ACK 1 +100 ack 102 -> accept close-wait
         R FIN|ACK 101 ack 102 -> accept last-ack
         I ACK 102 ack 102 -> accept time-wait",
    );
    half(
        "R FIN|ACK 1 ack 101 -> accept fin-wait
         I ACK 101 ack 2 -> accept close-wait",
    );
}

#[test]
fn a_new_connection_on_its_ports_is_believed_when_both_agree() {
    half(
        "I SYN 70000 -> ignore
         R SYN|ACK 90000 ack 70001 -> accept syn-received
         I ACK 70001 ack 90001 -> accept established",
    );
    half(
        "I SYN 70000 -> ignore
         R RST|ACK 0 ack 70001 win 0 -> accept close
         I SYN 80000 -> reopen",
    );
    half("R SYN 70000 -> invalid state\n I SYN|ACK 0 ack 1 -> ignore");
}

#[test]
fn half_a_connection_lives_as_long_as_a_handshake() {
    let timeouts = Timeouts::default();
    assert_eq!(half("").life(&timeouts).as_secs(), 60);
    assert_eq!(both("").life(&timeouts).as_secs(), 432_000);
    assert_eq!(half("").expiry_reason(), CloseReason::Timeout);
}

#[test]
fn without_the_window_check_any_numbers_do() {
    let tcp = play_with(
        "pick-up I ACK 1 ack 1 -> accept picked-up
         I ACK 2000000000 +10 ack 77 -> accept picked-up
         R ACK 3000000 +10 ack 12345678 -> accept established
         I RST 777777 win 0 -> accept close",
        WindowCheck::Off,
    );
    assert_eq!(tcp.state(), State::Close);
}
