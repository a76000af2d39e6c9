//! The semantics of the six packetdrill cases of Linux netfilter's self-tests
//! (`tools/testing/selftests/net/netfilter/packetdrill`), written anew as segment sequences. Where
//! Linux counts a packet as invalid, it is invalid here; where it lets one pass, it passes here.

use super::script::{blank, step};
use super::*;

/// conntrack_ack_loss_stall: what was acknowledged long ago may come again.
#[test]
fn a_retransmission_of_acknowledged_data_is_not_invalid() {
    let mut tcp = play(
        "I SYN 0 win 32792 -> accept syn-sent
         R SYN|ACK 0 ack 1 win 65535 -> accept syn-received
         I ACK 1 ack 1 win 65535 -> accept established",
    );
    let data = |sequence: u32| Segment {
        sequence: Seq(sequence),
        acknowledgment: Seq(1),
        payload: 1_460,
        window: 257,
        ..blank(TcpFlags::ACK | TcpFlags::PSH)
    };
    for number in 0..46 {
        let sequence = 1 + number * 1_460;
        let judged = step(&mut tcp, Peer::Initiator, &data(sequence), WindowCheck::Check);
        assert_eq!(judged, "accept established");
        let ack = Segment {
            sequence: Seq(1),
            acknowledgment: Seq(sequence + 1_460),
            window: 65_535,
            ..blank(TcpFlags::ACK)
        };
        let judged = step(&mut tcp, Peer::Responder, &ack, WindowCheck::Check);
        assert_eq!(judged, "accept established");
    }
    let before = tcp;
    assert_eq!(step(&mut tcp, Peer::Initiator, &data(1), WindowCheck::Check), "ignore");
    assert_eq!(tcp, before, "it proves nothing");
}

/// conntrack_inexact_rst: the reset of an aborting host, beyond what was acknowledged, ends a closing
/// connection; a late one from the far end passes.
#[test]
fn a_closing_connection_takes_the_reset_of_an_aborting_host() {
    play(
        "I SYN 0 win 65535 scale 8 sack -> accept syn-sent
         R SYN|ACK 0 ack 1 win 65535 -> accept syn-received
         I ACK 1 ack 1 win 65535 -> accept established
         R ACK 1 +1000 ack 1 win 65535 -> accept established
         R ACK 1001 +1000 ack 1 win 65535 -> accept established
         R ACK 2001 +1000 ack 1 win 65535 -> accept established
         I ACK 1 ack 1001 win 65535 -> accept established
         I ACK 1 ack 2001 win 65535 -> accept established
         I ACK 1 ack 3001 win 65535 -> accept established
         I ACK|PSH 1 +1000 ack 3001 win 65535 -> accept established
         R FIN|ACK 3001 ack 1001 win 65535 -> accept fin-wait
         I ACK 1001 ack 3002 win 65535 -> accept close-wait
         I RST|ACK 1001 ack 3002 win 65535 -> accept close
         R RST 2001 win 0 -> ignore",
    );
    // With data of the resetting peer on its way. A number inside it is none that this host sends: it
    // passes for the far end to judge (RFC 5961 §3.2), and ends nothing.
    play(
        "I SYN 0 win 65535 -> accept syn-sent
         R SYN|ACK 0 ack 1 win 65535 -> accept syn-received
         I ACK 1 ack 1 win 65535 -> accept established
         R FIN|ACK 1 ack 1 win 65535 -> accept fin-wait
         I ACK 1 ack 2 win 65535 -> accept close-wait
         I ACK|PSH 1 +24 ack 2 win 65535 -> accept close-wait
         I RST|ACK 13 ack 2 win 0 -> ignore
         I RST|ACK 500000 ack 2 win 0 -> invalid reset
         R ACK 2 ack 1 win 65535 -> accept close-wait
         I RST|ACK 25 ack 2 win 0 -> accept close
         R RST 1 win 0 -> ignore
         R RST 500000 win 0 -> invalid reset",
    );
}

/// conntrack_rst_invalid: four resets that prove nothing, and one that closes.
#[test]
fn an_open_connection_closes_on_the_exact_reset_only() {
    let tcp = play(
        "I SYN 0 win 65535 scale 8 sack -> accept syn-sent
         R SYN|ACK 0 ack 1 win 65535 -> accept syn-received
         I ACK 1 ack 1 win 65535 -> accept established
         R ACK 1 +1000 ack 1 win 65535 -> accept established
         R ACK 1001 +1000 ack 1 win 65535 -> accept established
         R ACK 2001 +1000 ack 1 win 65535 -> accept established
         I ACK 1 ack 1001 win 65535 -> accept established
         I ACK 1 ack 2001 win 65535 -> accept established
         I ACK 1 ack 3001 win 65535 -> accept established
         R RST 0 win 0 -> invalid reset
         R RST 1000000 win 0 -> invalid reset
         R RST 42 win 0 -> invalid reset
         I ACK|PSH 1 +1000 ack 3001 win 65535 -> accept established
         R ACK 3001 ack 1001 win 65535 -> accept established
         R RST|ACK 3000 ack 1001 win 0 -> invalid reset
         R RST|ACK 3001 ack 1001 win 0 -> accept close",
    );
    assert_eq!(tcp.expiry_reason(), CloseReason::TcpRst);
}

/// conntrack_syn_challenge_ack: the responder still holds an old connection on these ports. There the
/// reset ends the session, and the SYN that is sent again makes another one; here it is the same, as for
/// its initiator (RFC 9293 figure 9): its translation stays, and who was let in once need not be let in
/// twice.
#[test]
fn a_challenge_to_the_first_syn_passes_and_so_does_its_reset() {
    play(
        "I SYN 0 win 65535 scale 8 sack -> accept syn-sent
         R ACK 145824453 ack 643160523 win 240 -> ignore
         I RST 643160523 win 0 -> ignore
         I SYN 0 win 65535 scale 8 sack -> accept syn-sent
         R SYN|ACK 0 ack 1 win 250 scale 0 -> accept syn-received
         I ACK 1 ack 1 win 256 -> accept established",
    );
    // One by its own number ends it.
    play(
        "I SYN 0 win 65535 -> accept syn-sent
         R ACK 145824453 ack 643160523 win 240 -> ignore
         I RST 1 win 0 -> accept close finished",
    );
    // And a reset by any other number clears nothing.
    play(
        "I SYN 0 win 65535 -> accept syn-sent
         R ACK 145824453 ack 643160523 win 240 -> ignore
         I RST 643160524 win 0 -> invalid reset",
    );
}

/// conntrack_synack_old: a SYN-ACK of an old connection must not poison the windows.
#[test]
fn an_old_syn_ack_is_invalid_and_leaves_no_trace() {
    play(
        "I SYN 0 win 65535 scale 8 sack -> accept syn-sent
         R SYN|ACK 145824453 ack 643160523 win 240 scale 0 -> invalid syn-unacknowledged
         I SYN 0 win 65535 scale 8 sack -> accept syn-sent
         R SYN|ACK 145758918 ack 1 win 250 scale 0 -> accept syn-received
         I ACK 1 ack 145758919 win 256 -> accept established
         I ACK|PSH 1 +1 ack 145758919 win 256 -> accept established",
    );
}

/// conntrack_synack_reuse: another SYN on an open connection, the challenge ACK, the reset, and the
/// SYN again.
#[test]
fn a_syn_on_an_open_connection_ends_in_a_new_one() {
    play(
        "I SYN 0 win 32792 scale 7 -> accept syn-sent
         R SYN|ACK 0 ack 1 win 65535 scale 8 -> accept syn-received
         I ACK 1 ack 1 win 257 -> accept established
         I ACK|PSH 1 +100 ack 1 win 257 -> accept established
         R ACK 1 ack 101 win 256 -> accept established
         I SYN 2000 win 32792 scale 7 -> ignore
         R ACK 1 ack 101 win 256 -> accept established
         I RST|ACK 101 ack 1 win 257 -> accept close
         I SYN 2000 win 32792 scale 0 -> reopen",
    );
}
