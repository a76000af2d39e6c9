//! Connections that real stacks make, and segments that they never send.

use super::script::play_with;
use super::*;

const OPEN: &str = "
    I SYN 0 win 1000 sack -> accept syn-sent
    R SYN|ACK 0 ack 1 win 1000 sack -> accept syn-received
    I ACK 1 ack 1 -> accept established
";

fn after_opening(text: &str) -> Tcp {
    play(&format!("{OPEN}{text}"))
}

#[test]
fn impossible_flags_have_their_reasons() {
    for (flags, reason) in [
        ("none", "no-flags"),
        ("PSH", "no-flags"),
        ("URG", "no-flags"),
        ("PSH|ECE|CWR", "no-flags"),
        ("SYN|FIN", "syn-fin"),
        ("SYN|FIN|ACK", "syn-fin"),
        ("SYN|RST", "syn-rst"),
        ("SYN|RST|ACK", "syn-rst"),
        ("FIN|RST|ACK", "fin-rst"),
        ("FIN", "fin-without-ack"),
        ("FIN|PSH|URG", "fin-without-ack"),
        ("SYN|ACK|URG", "urg-misplaced"),
        ("RST|URG", "urg-misplaced"),
    ] {
        play(&format!("I {flags} 0 -> invalid {reason}"));
        after_opening(&format!("I {flags} 1 ack 1 -> invalid {reason}"));
    }
}

#[test]
fn every_combination_of_flags_has_a_class_or_a_reason() {
    let valid = (0..=u8::MAX).filter(|&bits| Class::of(TcpFlags(bits)).is_ok()).count();
    // SYN, SYN+URG, SYN+ACK, RST, RST+ACK, FIN+ACK (±URG), ACK (±URG), each with any of PSH, ECE, CWR.
    assert_eq!(valid, 9 * 8);
    for bits in 0..=u8::MAX {
        assert_ne!(Class::of(TcpFlags(bits)), Ok(Class::None));
    }
}

#[test]
fn the_first_segment_must_be_a_plain_syn() {
    for flags in ["ACK", "SYN|ACK", "FIN|ACK", "RST", "RST|ACK", "ACK|PSH"] {
        play(&format!("I {flags} 0 ack 1 -> invalid not-syn"));
    }
    play("I SYN|ECE|CWR 0 -> accept syn-sent");
    play("I SYN|URG 0 -> accept syn-sent");
}

#[test]
fn a_whole_connection_closed_by_the_initiator() {
    let tcp = after_opening(
        "I ACK|PSH 1 +100 ack 1 -> accept established
         R ACK|PSH 1 +500 ack 101 -> accept established
         I ACK 101 ack 501 -> accept established
         I FIN|ACK 101 ack 501 -> accept fin-wait
         R ACK 501 ack 102 -> accept close-wait
         R ACK|PSH 501 +300 ack 102 -> accept close-wait
         I ACK 102 ack 801 -> accept close-wait
         R FIN|ACK 801 ack 102 -> accept last-ack
         I ACK 102 ack 802 -> accept time-wait
         R FIN|ACK 801 ack 102 -> accept time-wait
         I ACK 102 ack 802 -> accept time-wait",
    );
    assert_eq!(tcp.expiry_reason(), CloseReason::TcpFin);
}

#[test]
fn an_ack_that_does_not_cover_the_fin_takes_no_step() {
    after_opening(
        "R ACK 1 +500 ack 1 -> accept established
         I FIN|ACK 1 ack 1 -> accept fin-wait
         I ACK 2 ack 501 -> accept fin-wait
         R ACK 501 +100 ack 1 -> accept fin-wait
         I FIN|ACK 1 ack 501 -> accept fin-wait
         R ACK 601 ack 2 -> accept close-wait
         I FIN|ACK 1 ack 601 -> accept close-wait
         R FIN|ACK 601 ack 2 -> accept last-ack
         I ACK 2 ack 601 -> accept last-ack
         I ACK 2 ack 602 -> accept time-wait",
    );
}

#[test]
fn nothing_new_comes_after_a_fin() {
    after_opening(
        "I ACK 101 +50 ack 1 -> accept established
         I FIN|ACK 151 ack 1 -> accept fin-wait
         I ACK 1 +100 ack 1 -> accept fin-wait
         I ACK 152 +1 ack 1 -> invalid after-fin
         I FIN|ACK 152 ack 1 -> invalid after-fin
         R ACK 1 +100 ack 152 -> accept close-wait
         I ACK 152 ack 101 -> accept close-wait",
    );
}

#[test]
fn simultaneous_close() {
    after_opening(
        "I FIN|ACK 1 ack 1 -> accept fin-wait
         R FIN|ACK 1 ack 1 -> accept last-ack
         I ACK 2 ack 2 -> accept last-ack
         R ACK 2 ack 2 -> accept time-wait",
    );
}

#[test]
fn simultaneous_open() {
    play(
        "I SYN 0 -> accept syn-sent
         R SYN 0 -> accept syn-sent-2
         I SYN 0 -> accept syn-sent-2
         I SYN|ACK 0 ack 1 -> accept syn-received
         R SYN|ACK 0 ack 1 -> accept established
         I SYN|ACK 0 ack 1 -> ignore
         I ACK 1 +100 ack 1 -> accept established",
    );
    play(
        "I SYN 0 -> accept syn-sent
         R SYN 0 -> accept syn-sent-2
         R SYN|ACK 0 ack 2 -> invalid syn-unacknowledged
         R SYN|ACK 700 ack 1 -> invalid state
         R SYN|ACK 0 ack 1 -> accept syn-received
         I SYN|ACK 0 ack 1 -> accept established",
    );
}

#[test]
fn a_split_handshake_opens_when_both_syns_are_acknowledged() {
    play(
        "I SYN 0 -> accept syn-sent
         R SYN 0 -> accept syn-sent-2
         I SYN|ACK 0 ack 1 -> accept syn-received
         R ACK 1 ack 1 -> accept established
         R ACK 1 +100 ack 1 -> accept established",
    );
}

#[test]
fn a_repeated_syn_changes_nothing_and_a_newer_one_counts() {
    play(
        "I SYN 0 +100 win 1000 -> accept syn-sent
         I SYN 0 win 1000 -> accept syn-sent
         R SYN|ACK 0 ack 1 win 1000 -> accept syn-received
         I ACK 1 +100 ack 1 -> accept established",
    );
    play(
        "I SYN 0 -> accept syn-sent
         I SYN 900000 -> accept syn-sent
         R SYN|ACK 0 ack 1 -> invalid syn-unacknowledged
         R SYN|ACK 0 ack 900001 -> accept syn-received
         I ACK 900001 ack 1 -> accept established",
    );
}

#[test]
fn only_a_new_syn_renews_the_life_of_an_unanswered_one() {
    let renews = |sequence: u32| {
        let syn = Segment { sequence: Seq(sequence), ..script::blank(TcpFlags::SYN) };
        let first = Tcp::open(&Segment { sequence: Seq(5), ..syn }).unwrap();
        match first.judge(Peer::Initiator, &syn, WindowCheck::Check) {
            Judgement::Accept(accepted) => accepted.renews,
            other @ (Judgement::Ignore(_) | Judgement::Reopen | Judgement::Invalid(_)) => {
                panic!("{other:?}")
            }
        }
    };
    assert!(!renews(5) && renews(6));
}

#[test]
fn fast_open() {
    // Data in the SYN, accepted; the responder sends before the last ACK of the handshake.
    play(
        "I SYN 0 +400 win 2000 scale 7 -> accept syn-sent
         R SYN|ACK 0 ack 401 win 1000 scale 7 -> accept syn-received
         R ACK 1 +900 ack 401 win 8 -> accept syn-received
         R ACK 901 +900 ack 401 win 8 -> accept syn-received
         I ACK 401 ack 1801 win 16 -> accept established",
    );
    // Data in the SYN, not accepted: sent again.
    play(
        "I SYN 0 +400 win 2000 -> accept syn-sent
         R SYN|ACK 0 ack 1 win 1000 -> accept syn-received
         I ACK 1 +400 ack 1 -> accept established",
    );
}

#[test]
fn a_refused_connection_is_finished_at_once() {
    play(
        "I SYN 0 -> accept syn-sent
         R RST|ACK 0 ack 1 win 0 -> accept close finished",
    );
    play(
        "I SYN 0 -> accept syn-sent
         R RST|ACK 0 ack 2 win 0 -> invalid reset
         R RST|ACK 0 ack 0 win 0 -> invalid reset
         R RST 1 win 0 -> invalid reset
         R RST 0 win 0 -> invalid reset",
    );
}

#[test]
fn before_the_handshake_only_its_own_segments_pass() {
    play(
        "I SYN 0 -> accept syn-sent
         I ACK 1 ack 1 -> invalid state
         I ACK 1 +100 ack 1 -> invalid state
         I FIN|ACK 1 ack 1 -> invalid state
         I SYN|ACK 0 ack 1 -> invalid state
         R FIN|ACK 1 ack 1 -> invalid state
         R ACK 1 +100 ack 1 -> ignore
         R ACK 1 +100 ack 900 -> ignore
         R ACK 1 +100 ack 66001 -> ignore
         R ACK 1 +100 ack 66002 -> invalid syn-unacknowledged
         R ACK 1 +100 ack 0 -> invalid syn-unacknowledged
         R ACK 1 ack 900 -> ignore
         R SYN|ACK 0 ack 1 -> accept syn-received
         I ACK 1 ack 500 -> invalid syn-unacknowledged
         I ACK 1 ack 0 -> invalid syn-unacknowledged
         R SYN|ACK 0 ack 1 -> accept syn-received
         I SYN 0 -> ignore
         R SYN|ACK 0 ack 1 -> accept syn-received
         I ACK 1 ack 1 -> accept established
         R SYN|ACK 0 ack 1 -> ignore",
    );
}

#[test]
fn the_window_of_a_repeated_syn_ack_counts() {
    play(
        "I SYN 0 -> accept syn-sent
         R SYN|ACK 0 ack 1 win 0 -> accept syn-received
         R SYN|ACK 0 ack 1 win 5000 -> accept syn-received
         I ACK 1 ack 1 -> accept established
         I ACK 5001 +10 ack 1 -> accept established
         I ACK 5002 +10 ack 1 -> invalid above-window",
    );
}

#[test]
fn a_late_copy_of_the_handshake_does_not_begin_it_anew() {
    after_opening(
        "I ACK 1 +100 ack 1 -> accept established
         I SYN 0 sack -> ignore
         R SYN|ACK 0 ack 1 sack -> ignore
         R ACK 1 ack 101 -> accept established",
    );
}

#[test]
fn a_responder_may_start_again_before_it_is_acknowledged() {
    play(
        "I SYN 0 -> accept syn-sent
         R SYN|ACK 0 ack 1 -> accept syn-received
         R SYN|ACK 70000 ack 2 -> invalid syn-unacknowledged
         R SYN|ACK 70000 ack 1 -> accept syn-received
         I ACK 1 ack 1 -> invalid syn-unacknowledged
         I ACK 1 ack 70001 -> accept established",
    );
}

#[test]
fn windows_are_scaled_only_if_both_offered_it() {
    let data_at = |syn: &str, syn_ack: &str, sequence: u32, judgement: &str| {
        play(&format!(
            "I SYN 0 win 1000 {syn} -> accept syn-sent
             R SYN|ACK 0 ack 1 win 1000 {syn_ack} -> accept syn-received
             I ACK 1 ack 1 win 1000 -> accept established
             R ACK 1 ack 1 win 1000 -> accept established
             I ACK {sequence} +10 ack 1 win 1000 -> {judgement}"
        ));
    };
    data_at("scale 7", "scale 3", 8_001, "accept established");
    data_at("scale 7", "scale 3", 8_002, "invalid above-window");
    data_at("scale 7", "", 1_001, "accept established");
    data_at("scale 7", "", 1_002, "invalid above-window");
    data_at("", "scale 3", 1_002, "invalid above-window");
    data_at("scale 7", "scale 0", 1_001, "accept established");
    // RFC 7323 §2.3: a scale above 14 counts as 14.
    data_at("scale 7", "scale 200", 16_384_001, "accept established");
    data_at("scale 7", "scale 200", 16_384_002, "invalid above-window");
}

#[test]
fn the_window_of_a_syn_is_never_scaled() {
    play(
        "I SYN 0 win 1000 scale 7 -> accept syn-sent
         R SYN|ACK 0 ack 1 win 1000 scale 7 -> accept syn-received
         I ACK 1 ack 1 win 1000 -> accept established
         I ACK 1001 +10 ack 1 win 1000 -> accept established
         I ACK 1002 +10 ack 1 win 1000 -> invalid above-window",
    );
}

#[test]
fn bound_i_data_beyond_the_offered_window() {
    after_opening(
        "I ACK 1 +1000 ack 1 -> accept established
         I ACK 1002 +10 ack 1 -> invalid above-window
         I ACK 1000000 +10 ack 1 -> invalid above-window
         I FIN|ACK 1002 ack 1 -> invalid above-window
         R ACK 1 ack 501 -> accept established
         I ACK 1002 +10 ack 1 -> accept established",
    );
}

#[test]
fn bound_ii_data_below_the_window() {
    after_opening(
        "I ACK 1 +1000 ack 1 -> accept established
         R ACK 1 ack 1001 -> accept established
         I ACK 1001 +1000 ack 1 -> accept established
         R ACK 1 ack 2001 -> accept established
         I ACK 500 +501 ack 1 -> accept established
         I ACK 1 +900 ack 1 -> ignore
         I ACK -60000 +10 ack 1 -> ignore
         I ACK -70000 +10 ack 1 -> invalid below-window
         I ACK -1000000000 +10 ack 1 -> invalid below-window",
    );
}

#[test]
fn bound_iii_acknowledging_what_was_never_sent() {
    after_opening(
        "I ACK 1 +100 ack 2 -> invalid ack-ahead
         R ACK 1 +100 ack 1 -> accept established
         I ACK 1 ack 102 -> invalid ack-ahead
         I ACK 1 ack 1000000 -> invalid ack-ahead
         I ACK 1 ack 1 sack 102 -> invalid ack-ahead
         I ACK 1 ack 1 sack 101 -> accept established
         I ACK 1 ack 101 -> accept established",
    );
    // SACK counts only where it was agreed.
    play(
        "I SYN 0 sack -> accept syn-sent
         R SYN|ACK 0 ack 1 -> accept syn-received
         I ACK 1 ack 1 -> accept established
         I ACK 1 ack 1 sack 5000 -> accept established",
    );
}

#[test]
fn bound_iv_acknowledging_far_too_little() {
    let mut text = String::from(OPEN);
    // The responder sends 200,000 bytes, each thousand acknowledged.
    for at in (1..200_001).step_by(1_000) {
        text += &format!("R ACK {at} +1000 ack 1 -> accept established\n");
        text += &format!("I ACK 1 ack {} -> accept established\n", at + 1_000);
    }
    play(&format!(
        "{text}
         I ACK 1 ack 134001 -> accept established
         I ACK 1 ack 134000 -> ignore
         I ACK 1 +10 ack 134000 -> invalid ack-behind
         I ACK 1 ack 68001 -> ignore
         I ACK 1 ack 68000 -> invalid ack-behind
         I ACK 1 +10 ack 134001 -> accept established"
    ));
}

#[test]
fn a_closed_window_may_be_probed() {
    after_opening(
        "I ACK 1 +1000 ack 1 -> accept established
         R ACK 1 ack 1001 win 0 -> accept established
         I ACK 1000 ack 1 -> accept established
         I ACK 1001 +1 ack 1 -> accept established
         R ACK 1 ack 1001 win 0 -> accept established
         I ACK 1003 +1 ack 1 -> invalid above-window
         R ACK 1 ack 1002 win 500 -> accept established
         I ACK 1002 +500 ack 1 -> accept established",
    );
}

#[test]
fn keepalives_pass() {
    after_opening(
        "I ACK 1 +100 ack 1 -> accept established
         R ACK 1 ack 101 -> accept established
         I ACK 100 ack 1 -> accept established
         R ACK 1 ack 101 -> accept established
         I ACK 100 +1 ack 1 -> accept established
         R ACK 1 ack 101 -> accept established
         R ACK 0 ack 101 -> accept established
         I ACK 101 ack 1 -> accept established",
    );
}

#[test]
fn resets_of_an_open_connection() {
    // Exact is: what the far end has acknowledged, or what the sender has sent.
    after_opening(
        "I ACK 1 +500 ack 1 -> accept established
         I RST 1 win 0 -> accept close",
    );
    after_opening(
        "I ACK 1 +500 ack 1 -> accept established
         I RST 501 win 0 -> accept close",
    );
    // Ahead, in the window: the receiver answers with a challenge ACK, and then it is exact.
    let tcp = after_opening(
        "I RST 400 win 0 -> ignore
         R ACK 1 ack 1 -> accept established",
    );
    assert_eq!(tcp.state(), State::Established);
    after_opening(
        "I RST 400 win 0 -> ignore
         R ACK 1 ack 1 -> accept established
         I RST 1 win 0 -> accept close
         R ACK 1 +100 ack 1 -> accept close
         I RST 1 win 0 -> ignore",
    );
    after_opening(
        "I RST 1002 win 0 -> invalid reset
         I RST 0 win 0 -> invalid reset
         I RST 2000000000 win 0 -> invalid reset
         R RST|ACK 0 ack 1 win 0 -> invalid reset",
    );
}

#[test]
fn a_reset_of_a_half_open_connection() {
    play(
        "I SYN 0 -> accept syn-sent
         R SYN|ACK 0 ack 1 -> accept syn-received
         R RST 2 win 0 -> ignore
         R RST 0 win 0 -> invalid reset
         R RST 1 win 0 -> accept close",
    );
    play(
        "I SYN 0 -> accept syn-sent
         R SYN|ACK 0 ack 1 -> accept syn-received
         I RST 1 win 0 -> accept close",
    );
}

#[test]
fn a_responder_that_forgot_the_connection_resets_the_syn_that_was_let_through() {
    after_opening(
        "I ACK 1 +500 ack 1 -> accept established
         I SYN 70000 -> ignore
         R RST|ACK 0 ack 70002 win 0 -> invalid reset
         R RST|ACK 0 ack 70001 win 0 -> accept close
         I SYN 80000 -> reopen",
    );
}

#[test]
fn both_ends_agreeing_on_a_new_connection_are_followed() {
    after_opening(
        "I ACK 1 +500 ack 1 -> accept established
         I SYN 70000 win 2000 -> ignore
         R SYN|ACK 90000 ack 70002 -> invalid above-window
         R SYN|ACK 90000 ack 70001 -> accept syn-received
         I ACK 70001 ack 90001 -> accept established
         R ACK 90001 +2000 ack 70001 -> accept established
         I ACK 501 ack 90001 -> invalid below-window",
    );
}

#[test]
fn a_syn_of_the_responder_means_nothing_in_an_open_connection() {
    after_opening(
        "R SYN 70000 -> invalid state
         R SYN 2 -> invalid state
         R SYN -70000 -> invalid state
         I FIN|ACK 1 ack 1 -> accept fin-wait
         R SYN 70000 -> invalid state",
    );
}

#[test]
fn the_syn_of_a_simultaneous_open_may_come_after_its_syn_ack() {
    play(
        "I SYN 0 -> accept syn-sent
         R SYN|ACK 0 ack 1 -> accept syn-received
         R SYN 0 -> ignore
         R SYN 2 -> invalid state
         I ACK 1 ack 1 -> accept established
         R ACK 1 +100 ack 1 -> accept established
         R SYN 0 -> ignore
         I FIN|ACK 1 ack 101 -> accept fin-wait
         R SYN 0 -> ignore",
    );
}

#[test]
fn what_reached_beyond_the_window_is_followed_by_nothing_new() {
    // The FIN behind data that fills the window.
    after_opening(
        "I FIN|ACK 1 +1000 ack 1 -> accept fin-wait
         I ACK 1002 ack 1 -> accept fin-wait
         I ACK 1003 ack 1 -> invalid after-fin",
    );
    // More data than the window takes.
    after_opening(
        "I ACK 1 +1400 ack 1 -> accept established
         I ACK 1401 ack 1 -> accept established
         I ACK 1401 +1 ack 1 -> invalid above-window
         I ACK 1001 +1000 ack 1 -> accept established
         I ACK 2002 ack 1 -> invalid above-window",
    );
}

const CLOSED: &str = "
    I FIN|ACK 1 ack 1 -> accept fin-wait
    R FIN|ACK 1 ack 2 -> accept last-ack
    I ACK 2 ack 2 -> accept time-wait
";

#[test]
fn time_wait_is_left_by_a_newer_syn_only() {
    after_opening(&format!("{CLOSED} I SYN 3 -> reopen"));
    after_opening(&format!("{CLOSED} I SYN 2000000 -> reopen"));
    after_opening(&format!("{CLOSED} R SYN 2000000 -> reopen"));
    // A late copy of a simultaneous open's, or of no connection at all.
    after_opening(&format!("{CLOSED} R SYN 1 -> ignore"));
    after_opening(&format!("{CLOSED} R SYN -70000 -> invalid state"));
    // An older one passes: a peer that has timestamps may accept it (RFC 6191).
    after_opening(&format!(
        "{CLOSED}
         I SYN -5000 -> ignore
         R ACK 2 ack 2 -> accept time-wait
         I SYN -5000 -> ignore
         R SYN|ACK 600000 ack -4999 -> accept syn-received
         I ACK -4999 ack 600001 -> accept established"
    ));
}

#[test]
fn after_a_reset_any_syn_reopens_but_a_late_copy_of_the_first() {
    let reset = "I ACK 1 +100 ack 1 -> accept established
         R RST 1 ack 101 win 0 -> accept close";
    after_opening(&format!("{reset} \n I SYN 0 -> ignore"));
    after_opening(&format!("{reset} \n I SYN 102 -> reopen"));
    after_opening(&format!("{reset} \n I SYN -900000 -> reopen"));
    after_opening(&format!("{reset} \n R SYN 102 -> reopen"));
    after_opening(&format!("{reset} \n R SYN 0 -> ignore"));
}

#[test]
fn a_repeated_fin_keeps_time_wait_and_a_reset_does_not_shorten_it() {
    after_opening(&format!(
        "{CLOSED}
         R FIN|ACK 1 ack 2 -> accept time-wait
         I ACK 2 ack 2 -> accept time-wait
         R RST 2 win 0 -> ignore
         R RST 500000 win 0 -> invalid reset
         R FIN|ACK 1 ack 2 -> accept time-wait"
    ));
}

#[test]
fn without_the_window_check_flags_and_states_still_count() {
    play_with(
        "I SYN 0 -> accept syn-sent
         R SYN|ACK 0 ack 99 -> accept syn-received
         I ACK 5000000 +10 ack 77 -> accept established
         R ACK 3000000 +10 ack 12345678 -> accept established
         I SYN|FIN 0 -> invalid syn-fin
         R SYN 90000000 -> invalid state
         I RST 777777 win 0 -> accept close",
        WindowCheck::Off,
    );
    play_with("I ACK 1 ack 1 -> invalid not-syn", WindowCheck::Off);
}

#[test]
fn lives_follow_state_and_unacknowledged_data() {
    let timeouts = Timeouts::default();
    let life = |text: &str| after_opening(text).life(&timeouts).as_secs();
    assert_eq!(life(""), 432_000);
    assert_eq!(life("I ACK 1 +10 ack 1 -> accept established"), 300);
    let acked = "I ACK 1 +10 ack 1 -> accept established
         R ACK 1 ack 11 -> accept established";
    assert_eq!(life(acked), 432_000);
    assert_eq!(life("R ACK 1 ack 1 win 0 -> accept established"), 300);
    let same = "R ACK 1 ack 1 -> accept established\n";
    assert_eq!(life(&same.repeat(3)), 432_000);
    assert_eq!(life(&same.repeat(4)), 300);
    assert_eq!(life("I FIN|ACK 1 ack 1 -> accept fin-wait"), 120);
    assert_eq!(life(CLOSED), 120);
    assert_eq!(life("I RST 1 win 0 -> accept close"), 10);
    // Closing: as long as data before a FIN may come again, the life of an open connection.
    let half = "I FIN|ACK 1 ack 1 -> accept fin-wait
         R ACK 1 ack 2 -> accept close-wait\n";
    assert_eq!(life(half), 60);
    let data = format!("{half} R ACK 1 +10 ack 2 -> accept close-wait\n");
    assert_eq!(life(&data), 300);
    let last = format!("{data} R FIN|ACK 11 ack 2 -> accept last-ack\n");
    assert_eq!(life(&last), 300);
    assert_eq!(life(&format!("{last} I ACK 2 ack 11 -> accept last-ack")), 30);
    assert_eq!(play("I SYN 0 -> accept syn-sent").life(&timeouts).as_secs(), 120);
}

#[test]
fn an_icmp_error_must_be_about_a_segment_on_its_way() {
    let syn = play("I SYN 0 -> accept syn-sent");
    assert!(syn.has_in_flight(Peer::Initiator, Seq(0)));
    assert!(!syn.has_in_flight(Peer::Initiator, Seq(2)));
    assert!(!syn.has_in_flight(Peer::Initiator, Seq(u32::MAX)));
    let tcp = after_opening(
        "I ACK 1 +1000 ack 1 -> accept established
         R ACK 1 ack 1001 -> accept established
         I ACK 1001 +1000 ack 1 -> accept established",
    );
    for (sequence, expected) in [(1_001, true), (2_001, true), (2_002, false), (5, false)] {
        assert_eq!(tcp.has_in_flight(Peer::Initiator, Seq(sequence)), expected, "{sequence}");
    }
    assert!(!tcp.has_in_flight(Peer::Responder, Seq(1_000_000)));
}
