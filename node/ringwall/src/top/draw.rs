//! The screen, as a function of the state and of nothing else.
//!
//! ```text
//!  node, time, sessions, packets/s, bits/s, attacks      two lines if it is narrow
//!  ! why the daemon did not answer                       while it does not
//!  talkers                                               what is left
//!  attacks that go on                                    a third at most
//!  keys
//! ```
//!
//! Where it is low, what stands further below goes first.

use config::api::{Attack, TopFlow, TopOrder, TopRow, TopSide};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Text};
use ratatui::widgets::Paragraph;

use super::columns::{Align, Columns};
use super::state::{Facts, State};
use super::text::{clock, counted, cut, plain, scaled, wrapped};
use crate::table::{duration, or_none};

/// Lines of an error; the beginning of a longer one says enough.
const ERROR_LINES: usize = 3;
/// Lines of the header.
const HEADER_LINES: usize = 2;
/// The lowest screen that has a line of keys.
const LOW: u16 = 6;
/// Lines that talkers and attacks share; if there are fewer, talkers have them.
const SHARED: usize = 6;

const HEADER: Style = Style::new().add_modifier(Modifier::REVERSED);
const TITLE: Style = Style::new().add_modifier(Modifier::BOLD);
const HEADING: Style = Style::new().add_modifier(Modifier::DIM);
const ALARM: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);

const KEYS: &str = "q leave  ? help  s/d/p/f by whom  b/k/n order  space pause";

const HELP: [&str; 16] = [
    "by whom     s sources  d destinations  p pairs  f flows  tab the next",
    "order       b bandwidth  k packets  n new sessions",
    "rows        + more  - fewer",
    "interval    > longer  < shorter",
    "space       pause, and go on",
    "?           this page, and back",
    "q, esc      leave",
    "",
    "Talkers and attacks are those of all nodes, averaged over the last",
    "seconds; sessions and what the ports receive are the node's own.",
    "Without a [[screen]] in the policy nothing is known of them.",
    "",
    "`ringwall show top` and `ringwall show anomalies` tell the same once,",
    "for scripts and with more columns; `ringwall clear anomalies` lifts",
    "blocks.",
    "",
];

/// Draws it.
pub(super) fn screen(frame: &mut Frame<'_>, state: &State) {
    let area = frame.area();
    let columns = usize::from(area.width);
    let header = header(state, columns);
    let error = state.error.as_deref().map(|error| error_lines(error, columns));
    let error = error.unwrap_or_default();
    let fixed = header.len() + error.len() + usize::from(area.height >= LOW);
    let rest = usize::from(area.height).saturating_sub(fixed);
    let attacks = if state.help { Vec::new() } else { attacks(state, columns, rest) };
    let lines = if state.help { help(columns) } else { talkers(state, columns) };
    let mut stack = Stack { frame, rest: area };
    stack.put(header.len(), header.into_iter().map(|line| Line::styled(line, HEADER)));
    stack.put(error.len(), error.into_iter().map(|line| Line::styled(line, ALARM)));
    stack.put(rest.saturating_sub(attacks.len()), lines.into_iter());
    stack.put(attacks.len(), attacks.into_iter());
    stack.put(1, core::iter::once(Line::styled(cut(KEYS, columns), HEADING)));
}

/// Puts lines under lines, until there is no room.
struct Stack<'a, 'f> {
    frame: &'a mut Frame<'f>,
    rest: Rect,
}

impl Stack<'_, '_> {
    /// So many lines of the screen; what is longer ends with them.
    fn put<'l>(&mut self, height: usize, lines: impl Iterator<Item = Line<'l>>) {
        let height = u16::try_from(height).unwrap_or(u16::MAX).min(self.rest.height);
        let area = Rect { height, ..self.rest };
        self.rest.y += height;
        self.rest.height -= height;
        let text = Text::from_iter(lines.take(usize::from(height)));
        self.frame.render_widget(Paragraph::new(text), area);
    }
}

/// What is known of the node, in one line, or in two where it is narrow; each as wide as the screen.
fn header(state: &State, columns: usize) -> Vec<String> {
    let parts = match &state.facts {
        Some(facts) => parts(state, facts),
        None if state.error.is_some() => vec!["ringwall top: no answer yet".to_owned()],
        None => vec!["ringwall top: asking the daemon".to_owned()],
    };
    let mut lines = vec![String::new()];
    for part in parts {
        let line = lines.last_mut().expect("there is a line from the start");
        let gap = if line.is_empty() { "" } else { "  " };
        if line.is_empty() || line.len() + gap.len() + part.len() <= columns {
            line.push_str(gap);
            line.push_str(&part);
        } else if lines.len() < HEADER_LINES {
            lines.push(part);
        } else {
            break;
        }
    }
    lines.into_iter().map(|line| format!("{:columns$}", cut(&line, columns))).collect()
}

/// The header's parts, the most important first.
fn parts(state: &State, facts: &Facts) -> Vec<String> {
    let Facts { status, anomalies, unix_seconds, .. } = facts;
    let attacks = match (anomalies.screening, anomalies.attacks.len()) {
        (false, _) => "no screens".to_owned(),
        (true, 1) => "1 attack".to_owned(),
        (true, attacks) => format!("{attacks} attacks"),
    };
    let mut parts = vec![plain(&status.name), clock(*unix_seconds)];
    if state.paused {
        parts.push("PAUSED".to_owned());
    }
    parts.push(attacks);
    parts.push(format!("{} sessions", status.sessions));
    if let Some(rates) = state.rates {
        parts.push(format!("{} packets/s", scaled(rates.packets)));
        parts.push(format!("{} bit/s", scaled(rates.bits)));
    }
    parts
}

fn error_lines(error: &str, columns: usize) -> Vec<String> {
    let first = error.lines().next().unwrap_or_default();
    wrapped(&plain(&format!("! {first}")), columns, ERROR_LINES)
}

fn help(columns: usize) -> Vec<Line<'static>> {
    HELP.into_iter().map(|line| Line::raw(cut(line, columns))).collect()
}

fn talkers(state: &State, columns: usize) -> Vec<Line<'static>> {
    let by = match state.view.by {
        TopSide::Source => "sources",
        TopSide::Destination => "destinations",
        TopSide::Pair => "pairs",
        TopSide::Flow => "flows",
    };
    let order = match state.view.order {
        TopOrder::Bandwidth => "bandwidth",
        TopOrder::Packets => "packets",
        TopOrder::Sessions => "new sessions",
    };
    let (rows, seconds) = (state.view.rows, state.interval.as_secs());
    let title = format!("Top {by} by {order}, {rows} at most, every {seconds} s");
    let mut lines = vec![Line::styled(cut(&title, columns), TITLE)];
    // What belongs to another view is not shown under this one's title.
    let Some(facts) = state.facts.as_ref().filter(|facts| facts.view == state.view) else {
        return lines;
    };
    if !facts.top.screening {
        let why = "no zone has a screen: nothing is known of talkers";
        lines.extend(wrapped(why, columns, 2).into_iter().map(Line::raw));
    } else if facts.top.rows.is_empty() {
        lines.push(Line::raw("nobody talks"));
    } else {
        let table = table(state, &facts.top.rows);
        lines.extend(headed(table.lines(columns)));
    }
    lines
}

/// The columns of a view. What it is ordered by stays longest.
fn table(state: &State, rows: &[TopRow]) -> Columns {
    let mut table = Columns::default();
    let rows = &rows[..rows.len().min(state.view.rows as usize)];
    let number = |number: fn(&TopRow) -> f64| rows.iter().map(move |row| scaled(number(row)));
    table.add("ZONE", Align::Left, 4, rows.iter().map(|row| row.zone.clone()));
    let (by, order) = (state.view.by, state.view.order);
    if by != TopSide::Destination {
        table.add("SOURCE", Align::Left, 0, rows.iter().map(|row| or_none(row.source.as_deref())));
    }
    if by != TopSide::Source {
        let destinations = rows.iter().map(|row| or_none(row.destination.as_deref()));
        table.add("DESTINATION", Align::Left, 0, destinations);
    }
    if by == TopSide::Flow {
        table.add("PROTOCOL", Align::Left, 5, rows.iter().map(|row| protocol(row.flow)));
        table.add("PORTS", Align::Left, 1, rows.iter().map(|row| ports(row.flow)));
    }
    let unless = |it: TopOrder, dispensable: u8| if order == it { 0 } else { dispensable };
    table.add("BIT/S", Align::Right, unless(TopOrder::Bandwidth, 1), number(|row| row.bits));
    table.add("PACKETS/S", Align::Right, unless(TopOrder::Packets, 2), number(|row| row.packets));
    if by != TopSide::Flow {
        let dispensable = unless(TopOrder::Sessions, 3);
        table.add("SESSIONS/S", Align::Right, dispensable, number(|row| row.sessions));
    }
    table
}

fn protocol(flow: Option<TopFlow>) -> String {
    match flow.map(|flow| flow.protocol) {
        None => String::new(),
        Some(1) => "icmp".to_owned(),
        Some(6) => "tcp".to_owned(),
        Some(17) => "udp".to_owned(),
        Some(58) => "icmp6".to_owned(),
        Some(132) => "sctp".to_owned(),
        Some(other) => other.to_string(),
    }
}

fn ports(flow: Option<TopFlow>) -> String {
    flow.map(|flow| format!("{} to {}", flow.source_port, flow.port)).unwrap_or_default()
}

/// The attacks that go on, the newest first, on a third of the lines that are left; never without talkers.
fn attacks(state: &State, columns: usize, rest: usize) -> Vec<Line<'static>> {
    let Some(anomalies) = state.facts.as_ref().map(|facts| &facts.anomalies) else {
        return Vec::new();
    };
    if !anomalies.screening || rest < SHARED {
        return Vec::new();
    }
    let blocked = match anomalies.blocks.len() {
        0 => String::new(),
        1 => ", 1 source is blocked".to_owned(),
        many => format!(", {many} sources are blocked"),
    };
    if anomalies.attacks.is_empty() {
        let quiet = format!("No attack goes on{blocked}");
        return vec![Line::styled(cut(&quiet, columns), TITLE)];
    }
    let rows = (rest / 3).saturating_sub(2).max(1);
    let mut newest: Vec<&Attack> = anomalies.attacks.iter().collect();
    newest.sort_by_key(|attack| core::cmp::Reverse(attack.number));
    let hidden = match newest.len().saturating_sub(rows) {
        0 => String::new(),
        hidden => format!(", {hidden} older ones are not shown"),
    };
    newest.truncate(rows);
    let title = format!("Attacks that go on: {}{hidden}{blocked}", anomalies.attacks.len());
    let mut lines = vec![Line::styled(cut(&title, columns), ALARM)];
    lines.extend(headed(attack_table(&newest).lines(columns)));
    lines
}

fn attack_table(attacks: &[&Attack]) -> Columns {
    let mut table = Columns::default();
    let each = || attacks.iter().copied();
    table.add("KIND", Align::Left, 0, each().map(|it| it.kind.clone()));
    table.add("ZONE", Align::Left, 4, each().map(|it| it.zone.clone()));
    table.add("SOURCE", Align::Left, 0, each().map(|it| or_none(it.source.as_deref())));
    table.add("DESTINATION", Align::Left, 0, each().map(|it| or_none(it.destination.as_deref())));
    table.add("SEEN", Align::Right, 2, each().map(|it| counted(it.seen)));
    table.add("PACKETS", Align::Right, 5, each().map(|it| counted(it.packets)));
    table.add("ACTION", Align::Left, 3, each().map(|it| it.action.clone()));
    table.add("FOR", Align::Right, 1, each().map(|it| duration(it.lasted_ms)));
    table
}

/// The lines of a table, the first of which is its heading.
fn headed(lines: Vec<String>) -> impl Iterator<Item = Line<'static>> {
    let style = |at: usize| if at == 0 { HEADING } else { Style::new() };
    lines.into_iter().enumerate().map(move |(at, line)| Line::styled(line, style(at)))
}
