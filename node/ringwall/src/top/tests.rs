//! What keys do, and what is drawn, beside expected screens in `screens/`. With `RINGWALL_BLESS=1` the files
//! are written anew, to be looked at.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::Duration;

use config::api::{
    Anomalies, Attack, BindMode, Block, Port, PortState, Ports, SCREEN_ROWS, Status, Top, TopFlow,
    TopOrder, TopRow, TopSide, XdpMode,
};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::{Color, Modifier};

use super::draw;
use super::state::{Facts, Next, Rates, State, View};
use crate::limits::TOP_INTERVALS;

const SECOND: Duration = Duration::from_secs(1);

fn status() -> Status {
    Status {
        name: "fw1".to_owned(),
        id: 1,
        version: "0.1.0".to_owned(),
        pid: 7,
        uptime_milliseconds: 1_500,
        epoch: 5,
        digest: "00".to_owned(),
        sessions: 12_345,
        sessions_max: 262_144,
        workers: Vec::new(),
        capabilities: Vec::new(),
        syslog: Vec::new(),
    }
}

fn row(number: u64, by: TopSide) -> TopRow {
    let source = format!("192.0.2.{number}");
    let destination = match number % 3 {
        0 => "2001:db8:aaaa:bbbb:cccc:dddd:eeee:1".to_owned(),
        _ => format!("198.51.100.{number}"),
    };
    let flow = TopFlow { protocol: 6, source_port: 40_000 + number as u16, port: 443 };
    let heavy = 1e9 / (number * number) as f64;
    TopRow {
        zone: "untrust".to_owned(),
        source: (by != TopSide::Destination).then_some(source),
        destination: (by != TopSide::Source).then_some(destination),
        flow: (by == TopSide::Flow).then_some(flow),
        sessions: 100.0 / number as f64,
        packets: heavy / 8_000.0,
        bits: heavy,
    }
}

fn attack(number: u64) -> Attack {
    let scan = Attack {
        number,
        kind: "tcp-port-scan".to_owned(),
        zone: "untrust".to_owned(),
        source: Some(format!("203.0.113.{number}")),
        seen: 20,
        packets: 31,
        action: "block".to_owned(),
        lasted_ms: 75_000,
        ..Attack::default()
    };
    let flood = Attack {
        kind: "syn-flood".to_owned(),
        source: None,
        destination: Some("2001:db8:1::80".to_owned()),
        seen: 500_000,
        packets: 1_500_000,
        action: "drop".to_owned(),
        lasted_ms: 3_100,
        ..scan.clone()
    };
    if number.is_multiple_of(2) { flood } else { scan }
}

fn facts(view: View, attacks: u64) -> Facts {
    let block = Block { source: "203.0.113.1".to_owned(), ..Block::default() };
    Facts {
        at: SECOND,
        unix_seconds: 1_700_000_000,
        view,
        status: status(),
        ports: Ports::default(),
        anomalies: Anomalies {
            screening: true,
            attacks: (1..=attacks).map(attack).collect(),
            blocks: vec![block; usize::from(attacks > 0)],
            ..Anomalies::default()
        },
        top: Top { screening: true, rows: (1..=40).map(|it| row(it, view.by)).collect() },
    }
}

/// A screen that has been answered.
fn state(by: TopSide, attacks: u64) -> State {
    let mut state = State::new(SECOND);
    state.view.by = by;
    state.answered(Ok(facts(state.view, attacks)));
    state.rates = Some(Rates { packets: 12_345.6, bits: 98.1e6 });
    state
}

fn drawn(state: &State, width: u16, height: u16) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw::screen(frame, state)).unwrap();
    terminal
}

/// What stands on the screen, line by line, without spaces at the ends.
fn text(state: &State, width: u16, height: u16) -> String {
    let terminal = drawn(state, width, height);
    let buffer = terminal.backend().buffer();
    let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..height).map(|y| format!("{}\n", line(y).trim_end())).collect()
}

/// The states that are worth a look, by the names of their files.
fn states() -> Vec<(&'static str, State)> {
    let waiting = State::new(SECOND);
    let mut alone = State::new(SECOND);
    let refused = "/run/ringwall/fw1.sock: Connection refused (os error 111); the daemon that had \
                   this socket has ended: start it again with `ringwall run`";
    alone.answered(Err(refused.to_owned()));
    let mut broken = state(TopSide::Source, 2);
    broken.answered(Err(refused.to_owned()));
    let mut paused = state(TopSide::Pair, 5);
    paused.paused = true;
    let mut help = state(TopSide::Source, 1);
    help.help = true;
    let mut unscreened = state(TopSide::Source, 0);
    let answer = unscreened.facts.as_mut().unwrap();
    (answer.anomalies, answer.top) = (Anomalies::default(), Top::default());
    vec![
        ("waiting", waiting),
        ("no-daemon", alone),
        ("daemon-lost", broken),
        ("quiet", state(TopSide::Destination, 0)),
        ("attacks", state(TopSide::Source, 5)),
        ("flows", state(TopSide::Flow, 1)),
        ("pairs-paused", paused),
        ("help", help),
        ("no-screens", unscreened),
    ]
}

#[test]
fn each_state_has_its_screen() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/top/screens");
    let write = std::env::var_os("RINGWALL_BLESS").is_some();
    for (name, state) in states() {
        for (width, height) in [(80, 24), (120, 40), (40, 10)] {
            let file = folder.join(format!("{name}-{width}x{height}.txt"));
            let shown = text(&state, width, height);
            if write {
                std::fs::write(&file, &shown).unwrap();
            }
            let expected = std::fs::read_to_string(&file).unwrap();
            assert_eq!(shown, expected, "{name} on {width}x{height}");
        }
    }
}

/// However small: no panic, and what is there begins at the top.
#[test]
fn every_size_can_be_drawn() {
    for (name, state) in states() {
        for width in (0..12).chain([20, 39, 40, 79, 81, 200]) {
            for height in (0..12).chain([23, 60]) {
                let shown = text(&state, width, height);
                assert_eq!(shown.lines().count(), usize::from(height), "{name} {width}x{height}");
                let first = shown.lines().next().unwrap_or_default();
                assert_eq!(first.is_empty(), width * height == 0, "{name} {width}x{height}");
            }
        }
    }
}

/// Each line of the talkers and of the attacks stands once, so that nothing lies over anything.
#[test]
fn nothing_lies_over_anything_else() {
    for (width, height) in [(80, 24), (120, 40), (40, 10), (60, 9)] {
        let shown = text(&state(TopSide::Source, 5), width, height);
        let of = |what: &str| shown.lines().filter(|line| line.contains(what)).count();
        assert_eq!([of("Top sources"), of("Attacks that go on"), of("q leave")], [1; 3], "{shown}");
        let lines: Vec<_> = shown.lines().collect();
        let at = |what: &str| lines.iter().position(|line| line.contains(what)).unwrap();
        assert!(at("Top sources") + 1 < at("Attacks that go on"), "{shown}");
        assert!(at("Attacks that go on") + 2 < at("q leave"), "{shown}");
        assert_eq!(at("q leave") + 1, usize::from(height), "{shown}");
    }
}

#[test]
fn attacks_and_errors_stand_out() {
    let mut state = state(TopSide::Source, 1);
    state.answered(Err("gone".to_owned()));
    let terminal = drawn(&state, 80, 24);
    let buffer = terminal.backend().buffer();
    assert!(buffer[(79, 0)].modifier.contains(Modifier::REVERSED), "the header is a bar");
    assert_eq!((buffer[(0, 1)].symbol(), buffer[(0, 1)].fg), ("!", Color::Red));
    let title = (0..24).find(|y| buffer[(0, *y)].symbol() == "A").unwrap();
    assert_eq!(buffer[(0, title)].fg, Color::Red);
}

/// Every text that comes from the daemon is as bad as it can be.
#[test]
fn no_text_of_the_network_reaches_the_terminal_as_a_command() {
    let evil = "\x1b[2J\x1b]0;x\x07\u{9b}31m\r\n\u{202e}é";
    for by in [TopSide::Source, TopSide::Destination, TopSide::Pair, TopSide::Flow] {
        let mut state = state(by, 3);
        let facts = state.facts.as_mut().unwrap();
        facts.status.name = evil.to_owned();
        for row in &mut facts.top.rows {
            row.zone = evil.to_owned();
            (row.source, row.destination) = (Some(evil.to_owned()), Some(evil.to_owned()));
        }
        for attack in &mut facts.anomalies.attacks {
            [&mut attack.kind, &mut attack.zone, &mut attack.action]
                .into_iter()
                .for_each(|text| *text = evil.to_owned());
            (attack.source, attack.destination) = (Some(evil.to_owned()), Some(evil.to_owned()));
        }
        state.answered(Err(evil.to_owned()));
        let shown = text(&state, 120, 40);
        assert!(shown.contains("?[2J?]0;x??31m"), "{shown}");
        let stray = shown.chars().find(|it| !it.is_ascii_graphic() && !" \n…".contains(*it));
        assert_eq!(stray, None, "{shown}");
    }
}

fn press(state: &mut State, code: KeyCode, modifiers: KeyModifiers) -> Next {
    state.key(KeyEvent::new(code, modifiers))
}

#[test]
fn keys_change_the_state() {
    let none = KeyModifiers::NONE;
    let letter = KeyCode::Char;
    type Look = fn(&State) -> String;
    let view: Look = |state| format!("{:?} {:?}", state.view.by, state.view.order);
    let rows: Look = |state| state.view.rows.to_string();
    let interval: Look = |state| state.interval.as_secs().to_string();
    let flags: Look = |state| format!("{} {}", state.paused, state.help);
    let table: [(&[KeyCode], Look, &str); 24] = [
        (&[], view, "Source Bandwidth"),
        (&[letter('d')], view, "Destination Bandwidth"),
        (&[letter('p')], view, "Pair Bandwidth"),
        (&[letter('f')], view, "Flow Bandwidth"),
        (&[letter('f'), letter('s')], view, "Source Bandwidth"),
        (&[letter('k')], view, "Source Packets"),
        (&[letter('n')], view, "Source Sessions"),
        (&[letter('n'), letter('d'), letter('b')], view, "Destination Bandwidth"),
        (&[KeyCode::Tab], view, "Destination Bandwidth"),
        (&[KeyCode::Tab; 3], view, "Flow Bandwidth"),
        (&[KeyCode::Tab; 4], view, "Source Bandwidth"),
        (&[letter('x'), KeyCode::Up, KeyCode::F(1)], view, "Source Bandwidth"),
        (&[], rows, "32"),
        (&[letter('+')], rows, "64"),
        (&[letter('+'); 9], rows, "256"),
        (&[letter('-'); 9], rows, "8"),
        (&[letter('>')], interval, "2"),
        (&[letter('>'); 9], interval, "30"),
        (&[letter('>'), letter('<'), letter('<')], interval, "1"),
        (&[], flags, "false false"),
        (&[letter(' ')], flags, "true false"),
        (&[letter(' '), letter(' ')], flags, "false false"),
        (&[letter('?')], flags, "false true"),
        (&[letter('?'), KeyCode::Esc], flags, "false false"),
    ];
    for (keys, look, expected) in table {
        let mut state = State::new(TOP_INTERVALS[0]);
        for key in keys {
            assert_eq!(press(&mut state, *key, none), Next::Stay, "{keys:?}");
        }
        assert_eq!(look(&state), expected, "{keys:?}");
    }
    let leave = [(letter('q'), none), (KeyCode::Esc, none), (letter('c'), KeyModifiers::CONTROL)];
    for (key, modifiers) in leave {
        assert_eq!(press(&mut State::new(SECOND), key, modifiers), Next::Leave, "{key:?}");
    }
    let other = press(&mut State::new(SECOND), letter('q'), KeyModifiers::CONTROL);
    assert_eq!(other, Next::Stay);
}

#[test]
fn questions_come_once_an_interval_and_at_once_for_another_view() {
    let at = Duration::from_millis;
    let none = KeyModifiers::NONE;
    let mut state = State::new(SECOND);
    let first = View { by: TopSide::Source, order: TopOrder::Bandwidth, rows: SCREEN_ROWS };
    assert_eq!(state.ask(at(0)), Some(first));
    assert_eq!(state.ask(at(5_000)), None, "one at a time");
    state.answered(Ok(facts(first, 0)));
    assert_eq!([state.ask(at(999)), state.ask(at(1_000))], [None, Some(first)]);
    // Another view while a question is under way: asked for as soon as that is answered.
    press(&mut state, KeyCode::Char('f'), none);
    state.answered(Ok(facts(first, 0)));
    let flows = View { by: TopSide::Flow, ..first };
    assert_eq!(state.ask(at(1_001)), Some(flows));
    state.answered(Err("gone".to_owned()));
    assert_eq!(
        [state.ask(at(2_000)), state.ask(at(2_001))],
        [None, Some(flows)],
        "it goes on trying"
    );
    state.answered(Ok(facts(flows, 0)));
    assert_eq!(state.error, None);
    // While it is paused nothing is asked but what it is changed to.
    press(&mut state, KeyCode::Char(' '), none);
    assert_eq!(state.ask(at(60_000)), None);
    press(&mut state, KeyCode::Char('d'), none);
    let destinations = View { by: TopSide::Destination, ..first };
    assert_eq!(state.ask(at(60_001)), Some(destinations));
    state.answered(Ok(facts(destinations, 0)));
    assert_eq!(state.ask(at(90_000)), None);
    press(&mut state, KeyCode::Char(' '), none);
    assert_eq!(state.ask(at(90_000)), Some(destinations));
    // A longer interval counts from the last question.
    press(&mut state, KeyCode::Char('>'), none);
    state.answered(Ok(facts(destinations, 0)));
    assert_eq!([state.ask(at(91_999)), state.ask(at(92_000))], [None, Some(destinations)]);
}

fn port(packets: u64, bytes: u64) -> Port {
    Port {
        name: "lan".to_owned(),
        interface: "lan0".to_owned(),
        zone: None,
        domain: 0,
        state: PortState::Up,
        wire: None,
        mode: BindMode::Copy,
        xdp: XdpMode::Native,
        queues: 1,
        mac: None,
        mtu: None,
        received_packets: packets,
        received_bytes: bytes,
        sent_packets: 0,
        sent_bytes: 0,
        drops: [].into(),
    }
}

#[test]
fn rates_are_those_between_two_answers_of_one_daemon() {
    let view = State::new(SECOND).view;
    let with = |seconds: u64, packets: u64, pid: u32| {
        let mut facts = facts(view, 0);
        facts.at = Duration::from_secs(seconds);
        facts.status.pid = pid;
        facts.ports.ports = vec![port(packets, packets * 100), port(packets, 0)];
        facts
    };
    let mut state = State::new(SECOND);
    let mut rates = |facts| {
        state.answered(Ok(facts));
        state.rates.map(|rates| (rates.packets, rates.bits))
    };
    assert_eq!(rates(with(1, 1_000, 7)), None, "one answer is no rate");
    assert_eq!(rates(with(3, 2_000, 7)), Some((1_000.0, 400_000.0)));
    assert_eq!(rates(with(4, 10, 7)), None, "counters went back");
    assert_eq!(rates(with(5, 20, 8)), None, "another process");
    assert_eq!(rates(with(5, 30, 8)), None, "no time between them");
    assert_eq!(rates(with(6, 30, 8)), Some((0.0, 0.0)));
}
