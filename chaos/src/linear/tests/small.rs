//! Small histories of registers and stores, with planted violations.

use super::super::parse::{NoHistory, Parsed, Wrong, parse};
use super::super::{Disorder, Verdict, Violation};

/// `0 invoke write 1`: one event a line, in the form of etcd's histories.
fn register(events: &[&str]) -> Verdict {
    parsed(events).check(1)
}

fn parsed(events: &[&str]) -> Parsed {
    let line = |event: &&str| {
        let (process, rest) = event.split_once(' ').unwrap();
        let (kind, rest) = rest.split_once(' ').unwrap();
        let (operation, value) = rest.split_once(' ').unwrap();
        format!("INFO  jepsen.util - {process}\t:{kind}\t:{operation}\t{value}\n")
    };
    parse(&events.iter().map(line).collect::<String>()).unwrap()
}

fn violation(verdict: Verdict) -> Violation {
    let Verdict::Violation(violation) = verdict else { panic!("{verdict:?}") };
    violation
}

#[test]
fn what_overlaps_may_have_happened_in_any_order() {
    let read_old = ["0 invoke write 1", "0 ok write 1", "0 invoke write 2", "1 invoke read nil"];
    let both = |read: &str| {
        let mut events = read_old.to_vec();
        let answer = format!("1 ok read {read}");
        events.extend([answer.as_str(), "0 ok write 2"]);
        register(&events)
    };
    assert_eq!(both("1"), Verdict::Linearizable);
    assert_eq!(both("2"), Verdict::Linearizable);
    assert_eq!(violation(both("3")).events, 5);
}

#[test]
fn a_stale_read_is_found_and_told() {
    let events = [
        "0 invoke write 1",
        "0 ok write 1",
        "2 invoke write 9",
        "0 invoke write 2",
        "0 ok write 2",
        "1 invoke read nil",
        "1 ok read 1",
        "0 invoke write 3",
        "0 ok write 3",
    ];
    let violation = violation(register(&events));
    assert_eq!(violation.events, 7, "what comes later has no part in it");
    let expected = "\
not linearizable: no order explains the first 7 events
the answer that fits nothing:
  process 1: read → 1 (6–7)
in flight then:
  process 2: write 9 (from event 3; never answered)
states that orders led to, just before it:
  9
  2
an order that explains all but it: 0 operations, and then
  process 0: write 1 → done (1–2)
  process 0: write 2 → done (4–5)
  process 2: write 9 (from event 3; never answered)
";
    let told = violation.to_string();
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    // Which of the orders is told depends on the order of the search alone; all lines are there.
    assert_eq!(sorted(&told), sorted(expected), "{told}");
}

#[test]
fn a_call_without_an_answer_may_happen_late_or_never() {
    let lost = |reads: &[&str]| {
        let mut events = vec!["0 invoke write 1", "0 ok write 1", "1 invoke write 2"];
        events.push("1 info write :timed-out");
        let reads: Vec<[String; 2]> = reads
            .iter()
            .map(|read| ["2 invoke read nil".to_owned(), format!("2 ok read {read}")])
            .collect();
        events.extend(reads.iter().flatten().map(String::as_str));
        register(&events)
    };
    for reads in [&["1", "1", "1"], &["1", "1", "2"], &["1", "2", "2"], &["2", "2", "2"]] {
        assert_eq!(lost(reads), Verdict::Linearizable, "{reads:?}");
    }
    assert_eq!(violation(lost(&["1", "2", "1"])).events, 10, "it does not happen twice");
}

#[test]
fn compare_and_set_tells_what_was_there() {
    let cas = |answer: &str| {
        let answer = format!("1 {answer} cas [1 2]");
        register(&["0 invoke write 1", "0 ok write 1", "1 invoke cas [1 2]", &answer])
    };
    assert_eq!(cas("ok"), Verdict::Linearizable);
    assert_eq!(violation(cas("fail")).events, 4);
}

/// Keys are judged alone, and the violation that is seen first is the one that is told.
#[test]
fn of_many_keys_the_first_violation_is_told() {
    let line = |process: u32, kind: &str, what: &str, key: &str, value: &str| {
        format!(
            "{{:process {process}, :type :{kind}, :f :{what}, :key \"{key}\", :value {value}}}\n"
        )
    };
    let put = |key: &str, text: &str| {
        line(0, "invoke", "append", key, text) + &line(0, "ok", "append", key, text)
    };
    let get = |key: &str, text: &str| {
        line(1, "invoke", "get", key, "nil") + &line(1, "ok", "get", key, text)
    };
    let right = put("b", "\"x\"") + &put("a", "\"y\"") + &put("b", "\"z\"") + &get("b", "\"xz\"");
    assert_eq!(parse(&right).unwrap().check(1), Verdict::Linearizable);
    let wrong = right + &get("b", "\"zx\"") + &get("a", "\"\"");
    let told = violation(parse(&wrong).unwrap().check(1));
    assert_eq!((told.key.as_deref(), told.events), (Some("b"), 10));
    assert_eq!(told.states, ["\"xz\""]);
}

/// The orders of a dozen appends are too many for the first round; the other key's violation is found.
#[test]
fn a_key_with_too_many_orders_hides_no_violation_of_another() {
    let line = |process: u32, kind: &str, what: &str, key: &str, value: &str| {
        format!(
            "{{:process {process}, :type :{kind}, :f :{what}, :key \"{key}\", :value {value}}}\n"
        )
    };
    let append = |kind: &str| {
        let one = |process: u32| line(process, kind, "append", "a", &format!("\"{process};\""));
        (0..12).map(one).collect::<String>()
    };
    let get =
        |key: &str| line(20, "invoke", "get", key, "nil") + &line(20, "ok", "get", key, "\"?\"");
    let text = append("invoke") + &append("ok") + &get("a") + &get("b");
    let told = violation(parse(&text).unwrap().check(1));
    assert_eq!((told.key.as_deref(), told.events), (Some("b"), 28));
}

#[test]
fn what_is_no_history_is_said_with_its_line() {
    let why = |text: &str| parse(text).unwrap_err();
    assert_eq!(why("\n"), NoHistory { line: 0, why: Wrong::Empty });
    assert_eq!(why("INFO  jepsen.util - x\t:invoke\t:read\tnil").line, 1);
    let answer = "INFO  jepsen.util - 7\t:ok\t:write\t1";
    let unasked = Wrong::Disorder(Disorder::Unasked { process: 7 });
    assert_eq!(why(answer), NoHistory { line: 1, why: unasked });
    let call = "INFO  jepsen.util - 7\t:invoke\t:read\tnil";
    let twice = Wrong::Disorder(Disorder::Twice { process: 7 });
    assert_eq!(why(&format!("{call}\n\n{call}\n")), NoHistory { line: 3, why: twice });
    assert!(matches!(why("{\"process\":1,\"call\":\"erase\"}").why, Wrong::Unknown(_)));
    assert!(matches!(why("{:process 1, :type :invoke}").why, Wrong::Unknown(_)));
}
