//! Small folders made by hand; each figure with its neighbours that must not count.
#![allow(clippy::unwrap_used)]

use super::*;

mod policy;

const MS: u64 = 1_000_000;

/// The figures of a folder with these files.
fn of(files: &[(&str, String)]) -> Figures {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    figures(folder.path()).unwrap()
}

/// Lines `first ms…` with the milliseconds made nanoseconds.
fn lines(lines: &[(&str, u64, &str)]) -> String {
    let line = |(before, ms, after): &(&str, u64, &str)| {
        format!("{before} {} {after}", ms * MS).trim().to_owned() + "\n"
    };
    lines.iter().map(line).collect()
}

fn numbered(times: &[(u64, u64)]) -> String {
    times.iter().map(|(number, ms)| format!("{number} {}\n", ms * MS)).collect()
}

fn fault(ms: u64) -> (&'static str, String) {
    ("faults.log", lines(&[("", ms, "fault kill active")]))
}

#[test]
fn an_empty_folder_has_no_figures() {
    assert_eq!(of(&[]), Figures::default());
}

#[test]
fn the_run_is_told() {
    let run = r#"{"scenario": "kill", "measured": {"hold_p99_us": 12.5, "note": "x"}}"#;
    let figures = of(&[("run.json", run.to_owned())]);
    assert_eq!(figures.scenario, "kill");
    assert_eq!(figures.measured, BTreeMap::from([("hold_p99_us".to_owned(), 12.5)]));
}

#[test]
fn the_gap_is_the_longest_one_from_the_fault_on() {
    let sent = numbered(&[(0, 0), (1, 10), (2, 20), (3, 30), (4, 90), (5, 100)]);
    for (receipts, fault_at, gap, before, lost) in [
        // A gap that the fault is in counts whole; one that ended before it does not.
        (&[(0, 1), (1, 51), (2, 52), (5, 92)][..], Some(51), Some(50.0), None, 2),
        (&[(0, 1), (1, 51), (2, 52), (5, 92)], Some(52), Some(40.0), Some(50.0), 2),
        (&[(0, 1), (1, 51), (2, 52), (5, 92)], None, Some(50.0), None, 2),
        // It never came back: until the last that was sent.
        (&[(0, 1), (1, 11)], Some(20), Some(89.0), Some(10.0), 4),
        // Nothing at all.
        (&[], Some(20), Some(100.0), None, 6),
        // Out of order, and one twice.
        (&[(1, 2), (0, 3), (2, 3), (2, 4), (5, 101)], Some(1), Some(97.0), None, 2),
    ] {
        let mut files =
            vec![("stream-0.sent", sent.clone()), ("stream-0.received", numbered(receipts))];
        files.extend(fault_at.map(fault));
        let figures = of(&files);
        assert_eq!((figures.gap_ms, figures.gap_before_ms), (gap, before), "{receipts:?}");
        assert_eq!((figures.sent, figures.lost), (6, lost), "{receipts:?}");
        assert_eq!(figures.repeated, u64::from(receipts.len() == 5));
        assert_eq!(figures.send_pause_ms, Some(60.0));
    }
}

#[test]
fn the_worst_stream_counts_and_losses_have_their_place() {
    let figures = of(&[
        ("stream-0.sent", numbered(&[(0, 0), (1, 10)])),
        ("stream-0.received", numbered(&[(0, 1), (1, 11)])),
        ("stream-1.sent", numbered(&[(0, 0), (1, 10), (2, 20)])),
        ("stream-1.received", numbered(&[(0, 2), (2, 22)])),
        ("stream-1.refused", "1 ENETUNREACH\n".to_owned()),
        ("sockets.log", "stream-0 3\nstream-1 4\n".to_owned()),
    ]);
    assert_eq!((figures.gap_ms, figures.gap_from), (Some(20.0), Some(2 * MS)));
    assert_eq!((figures.sent, figures.lost), (5, 1));
    assert_eq!((figures.lost_unsent, figures.lost_at_socket), (1, 7));
}

#[test]
fn a_slow_connection_is_broken_by_anything_but_an_orderly_end() {
    for (last, broken, reset) in
        [("closed", 0, 0), ("reset", 1, 1), ("timeout", 1, 0), ("wrong", 1, 0), ("echoed", 1, 0)]
    {
        let text = lines(&[
            ("0 open", 0, ""),
            ("1 open", 0, ""),
            ("0 sent", 5, ""),
            ("1 sent", 6, ""),
            ("0 echoed", 7, ""),
            ("1 echoed", 30, ""),
            ("1 closed", 40, ""),
            (&format!("0 {last}"), 50, ""),
        ]);
        let figures = of(&[("slow.log", text)]);
        assert_eq!((figures.tcp_opened, figures.tcp_broken), (2, broken), "{last}");
        assert_eq!((figures.tcp_reset, figures.slow_echo_ms), (reset, Some(24.0)), "{last}");
    }
}

#[test]
fn a_transfer_is_broken_if_a_byte_is_missing() {
    for (end, broken, pause) in [
        (&[("0 ended", 90, "700"), ("0 done", 95, "700")][..], 0, 35.0),
        (&[("0 ended", 90, "700"), ("0 done", 95, "699")], 1, 35.0),
        (&[("0 done", 95, "700")], 1, 35.0),
        (&[("0 ended", 90, "700")], 1, 35.0),
        (&[("0 reset", 90, "500")], 1, 35.0),
        (&[("0 wrong", 90, "500")], 1, 35.0),
        (&[("0 stalled", 15_070, "500")], 1, 15_000.0),
    ] {
        let mut all = vec![
            ("0 open", 0, "0"),
            ("0 progress", 20, "100"),
            ("0 paused", 35, "200"),
            ("0 progress", 70, "500"),
        ];
        all.extend(end);
        let figures = of(&[("bulk.log", lines(&all))]);
        assert_eq!((figures.tcp_opened, figures.tcp_broken), (1, broken), "{end:?}");
        assert_eq!(figures.bulk_pause_ms, Some(pause), "{end:?}");
    }
}

#[test]
fn a_young_connection_is_dead_only_if_its_syn_ack_was_seen() {
    let text = lines(&[
        ("0 connect", 0, ""),
        ("0 established", 1, ""),
        ("1 connect", 10, ""),
        ("1 established", 12, ""),
        ("2 connect", 20, ""),
        ("2 established", 25, ""),
        ("3 connect", 30, ""),
        ("0 sent", 40, ""),
        ("0 echoed", 41, ""),
        // The fault is at 50.
        ("1 sent", 60, ""),
        ("4 connect", 70, ""),
        ("1 echoed", 90, ""),
        ("3 timeout", 100, ""),
        ("2 reset", 110, ""),
        ("4 established", 1_080, ""),
        ("4 echoed", 1_400, ""),
    ]);
    let figures = of(&[fault(50), ("young.log", text)]);
    assert_eq!((figures.young_tried, figures.young_opened), (5, 4));
    assert_eq!((figures.young_dead, figures.young_unanswered), (1, 1));
    assert_eq!((figures.young_retried, figures.young_reset), (1, 1));
    assert_eq!((figures.young_halfway, figures.young_opened_after), (Some(2), 1));
    let opening = (figures.young_open_p50_us, figures.young_open_p99_us);
    assert_eq!(opening, (Some(2_000.0), Some(5_000.0)));
    assert_eq!(figures.young_open_max_ms, Some(1_010.0));
}

#[test]
fn a_takeover_is_another_node_or_another_term() {
    let first = ("", 1, "role fw1 active term 3");
    for (more, takeovers, change) in [
        (&[][..], 0, None),
        (&[("", 2, "role fw1 active term 3")], 0, None),
        (&[("", 60, "role fw1 standby term 4")], 0, None),
        (&[("", 60, "role fw1 active term 5")], 1, None),
        (&[("", 62, "role fw2 active term 4"), ("", 63, "role fw2 active term 4")], 1, Some(12.0)),
        (&[("", 62, "role fw2 active term 4"), ("", 99, "role fw1 active term 5")], 2, Some(12.0)),
        (&[("", 64, "role fw3 active term 4"), ("", 99, "role fw2 active term 5")], 2, Some(14.0)),
    ] {
        let mut all = vec![first, ("", 50, "fault kill fw1")];
        all.splice(..0, more.iter().copied());
        let text = lines(&all).lines().map(|line| format!("{}\n", line.trim())).collect();
        let figures = of(&[("faults.log", text)]);
        assert_eq!((figures.takeovers, figures.role_change_ms), (takeovers, change), "{more:?}");
    }
}

/// A wire log of frames at these milliseconds.
fn wire(frames: &[(u64, &str)]) -> (&'static str, String) {
    let line = |(ms, what): &(u64, &str)| format!("{} {what}\n", ms * MS);
    ("wire.log", frames.iter().map(line).collect())
}

#[test]
fn two_nodes_overlap_while_frames_of_both_alternate() {
    let (a, b, claim) = ("fw1 wan forward", "fw2 wan forward", "fw1 lan arp");
    let c = "fw3 wan forward";
    for (frames, overlap, few) in [
        (&[(0, a), (10, a), (60, b), (70, b)][..], 0.0, 0),
        // A frame of the old node after the first of the new one.
        (&[(0, a), (10, a), (60, b), (64, a), (70, b)], 4.0, 1),
        (&[(0, a), (10, a), (60, b), (64, claim), (70, b)], 4.0, 1),
        // Of three, each two count: 3 ms with two frames, and the third one's with both.
        (&[(0, a), (60, b), (61, a), (62, b), (62, c), (63, a), (64, b)], 3.0, 4),
        // Stopped, and going on for a moment where it was stopped.
        (
            &[(10, a), (60, b), (500, b), (900, b), (1_300, b), (1_301, a), (1_303, a), (1_304, b)],
            2.0,
            2,
        ),
        (&[(10, a), (60, b), (500, b), (900, b), (902, claim), (904, b)], 0.0, 1),
        // Back again, later.
        (&[(10, a), (60, b), (500, b), (700, a), (900, a)], 0.0, 0),
    ] {
        let figures = of(&[fault(50), wire(frames)]);
        assert_eq!(figures.overlap_ms, Some(overlap), "{frames:?}");
        assert_eq!(figures.overlap_frames, Some(few), "{frames:?}");
    }
}

#[test]
fn an_overlap_is_not_known_if_frames_were_lost() {
    let frames = wire(&[(0, "fw1 wan forward"), (60, "fw2 wan forward")]);
    for (lost, overlap) in [("0", Some(0)), ("3", None)] {
        let lines = format!("fw1 lan 0\nfw2 wan {lost}\n");
        let figures = of(&[fault(50), frames.clone(), ("wire-lost.log", lines)]);
        assert_eq!(figures.overlap_frames, overlap);
        assert_eq!(figures.overlap_ms.is_some(), overlap.is_some());
        assert_eq!(figures.wire_lost, lost.parse().ok());
    }
}

#[test]
fn a_takeover_is_seen_by_the_first_frame_of_the_other_node() {
    let (a, b) = ("fw1 wan forward", "fw2 wan forward");
    for (frames, detection) in [
        (&[(0, a), (49, a), (51, a), (88, b)][..], Some(38.0)),
        (&[(0, b), (49, a), (88, b), (89, a)], Some(38.0)),
        (&[(0, a), (60, "fw2 lan arp"), (88, a)], None),
        (&[(0, a), (990, b)], Some(90.0)),
        (&[(88, b)], None),
    ] {
        let faults = lines(&[("", 50, "fault stop fw1"), ("", 900, "fault restart fw1")]);
        let faults = faults.lines().map(|line| format!("{}\n", line.trim())).collect();
        let figures = of(&[("faults.log", faults), wire(frames)]);
        assert_eq!(figures.detection_ms, detection, "{frames:?}");
    }
}

#[test]
fn a_resync_counts_from_the_restart() {
    let faults = ["100 fault restart fw1", "2500000100 resync done fw1", "2600000000 fault heal"];
    let figures = of(&[("faults.log", faults.join("\n"))]);
    assert_eq!(figures.resync_s, Some(2.5));
    assert_eq!(of(&[("faults.log", faults[..1].join("\n"))]).resync_s, None);
}

#[test]
fn forged_segments_are_counted_once_each() {
    let text = lines(&[
        ("0 forged-sent", 0, ""),
        ("1 rst-sent", 0, ""),
        ("2 control-sent", 0, ""),
        ("5 control-sent", 0, ""),
        ("2 control-arrived", 1, ""),
        ("2 control-arrived", 2, ""),
        ("1 rst-arrived", 2, ""),
    ]);
    let figures = of(&[("probes.log", text)]);
    assert_eq!((figures.forged_passed, figures.rst_passed), (Some(0), Some(1)));
    assert_eq!((figures.control_sent, figures.control_passed), (Some(2), Some(1)));
}

#[test]
fn load_and_threads_are_summed_up() {
    let load = "0 0 0\n1000000000 100 90\n2000000000 300 280\n2300000000 300 290\n";
    let threads = "a 100 1000 fifo\nb 200 900 ordinary\n";
    let figures = of(&[("load.log", load.to_owned()), ("threads.log", threads.to_owned())]);
    assert_eq!((figures.load_sent, figures.load_lost), (300, 10));
    assert_eq!(figures.load_per_second, Some(150.0));
    assert_eq!((figures.harness_cpu, figures.harness_fifo), (Some(0.3), Some(true)));
    let refused = of(&[("threads.log", "a 1 1 refused\n".to_owned())]);
    assert_eq!(refused.harness_fifo, Some(false));
}

#[test]
fn a_line_of_another_kind_is_an_error() {
    for (name, text) in [
        ("stream-0.sent", "1\n"),
        ("wire.log", "1 fw1 lan ospf\n"),
        ("threads.log", "a 1 1 idle\n"),
        ("load.log", "1 2\n"),
        ("run.json", "{"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(name), text).unwrap();
        let error = figures(folder.path()).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn a_percentile_is_one_of_the_values() {
    for (values, share, expected) in [
        (&[][..], 0.5, None),
        (&[7.0], 0.99, Some(7.0)),
        (&[3.0, 1.0, 2.0], 0.5, Some(2.0)),
        (&[4.0, 3.0, 1.0, 2.0], 0.5, Some(2.0)),
    ] {
        assert_eq!(percentile(&mut values.to_vec(), share), expected, "{values:?}");
    }
}
