//! Reads a file of packet vectors. `tests/vectors/README.md` tells the language.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::packet::{Line, Next, number_of};

/// One file: a policy, and vectors that each start with a fresh engine under it.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) policy: String,
    pub(crate) vectors: Vec<Vector>,
}

/// One story of packets.
#[derive(Debug, Default)]
pub(crate) struct Vector {
    pub(crate) title: String,
    pub(crate) steps: Vec<Step>,
}

/// One thing that happens, and what must come of it.
#[derive(Debug)]
pub(crate) struct Step {
    /// Line of the file, from 1.
    pub(crate) line: usize,
    pub(crate) text: String,
    pub(crate) input: Input,
    pub(crate) expected: Expected,
}

#[derive(Debug)]
pub(crate) enum Input {
    /// A frame arrives, as often as the number says.
    Frame { port: String, frame: Line, times: u16, next: Next },
    /// Time goes by, and the engine is told so.
    Wait(Duration),
    /// A new policy takes effect.
    Commit(String),
    /// A neighbour answers, or is given up.
    Neighbour { port: String, address: std::net::IpAddr, known: bool },
    /// A port's link goes down.
    Down(String),
}

/// What must come of a step.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Expected {
    /// `forward wan`, `drop no-rule`, `answer`, …; empty for a step without a frame.
    pub(crate) verdict: String,
    pub(crate) state: String,
    /// Changes of counters that do not follow from the verdict.
    pub(crate) counters: BTreeMap<String, i64>,
    /// Frames that leave beside the one in hand, in order, each with its port.
    pub(crate) frames: Vec<(String, Line)>,
}

/// Words that may stand behind a verdict.
const STATES: [&str; 5] = ["new", "established", "related", "invalid", "none"];

impl Script {
    /// Parses a whole file; the error names the line.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut script = Self::default();
        let lines: Vec<&str> = text.lines().collect();
        let mut number = 0;
        while number < lines.len() {
            let line = lines[number].split(" #").next().unwrap_or("").trim_end();
            let block = block(&lines[number + 1..]);
            number += 1;
            let context = |error| format!("line {number}: {error}");
            script.line(number, line, &block).map_err(context)?;
            if line.ends_with(':') {
                number += block.lines().count();
            }
        }
        Ok(script)
    }

    fn line(&mut self, number: usize, line: &str, block: &str) -> Result<(), String> {
        let text = line.trim();
        if text.is_empty() || text.starts_with('#') {
            return Ok(());
        }
        if text == "policy:" {
            self.policy = block.to_owned();
            return Ok(());
        }
        if let Some(title) = text.strip_prefix("==") {
            self.vectors.push(Vector { title: title.trim().into(), steps: Vec::new() });
            return Ok(());
        }
        let vector = self.vectors.last_mut().ok_or("a step before the first `==`")?;
        if let Some(frame) = text.strip_prefix("= ") {
            let step = vector.steps.last_mut().ok_or("a frame before the first step")?;
            let (port, frame) = frame.split_once(' ').ok_or("port and packet expected")?;
            let (times, next, packet) = repeated(frame)?;
            let line = Line::parse(packet)?;
            let frames = (0..times).map(|time| (port.into(), line.following(time, next)));
            step.expected.frames.extend(frames);
            return Ok(());
        }
        vector.steps.push(Step::parse(number, text, block)?);
        Ok(())
    }
}

/// The indented lines (and the empty ones between them) that follow.
fn block(lines: &[&str]) -> String {
    let inside = |line: &&&str| line.starts_with("  ") || line.trim().is_empty();
    lines.iter().take_while(inside).map(|line| format!("{line}\n")).collect()
}

impl Step {
    fn parse(line: usize, text: &str, block: &str) -> Result<Self, String> {
        let (input, expected) = text.split_once("->").unwrap_or((text, ""));
        let input = Input::parse(input.trim(), block)?;
        let expected = Expected::parse(expected.trim())?;
        if matches!(input, Input::Frame { .. }) == expected.verdict.is_empty() {
            return Err("a frame, and only a frame, has a verdict".into());
        }
        Ok(Self { line, text: text.into(), input, expected })
    }
}

impl Input {
    fn parse(text: &str, block: &str) -> Result<Self, String> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        Ok(match word {
            "wait" => Self::Wait(duration(rest)?),
            "commit:" => Self::Commit(block.to_owned()),
            "neighbour" | "no-neighbour" => {
                let (port, address) = rest.split_once(' ').ok_or("port and address expected")?;
                let address = address.parse().map_err(|_| format!("`{address}` is no address"))?;
                Self::Neighbour { port: port.into(), address, known: word == "neighbour" }
            }
            "down" => Self::Down(rest.into()),
            port => {
                let (times, next, packet) = repeated(rest)?;
                Self::Frame { port: port.into(), frame: Line::parse(packet)?, times, next }
            }
        })
    }
}

/// `*N`, or `*N:WHAT` with what is different each time, in front of a packet.
fn repeated(text: &str) -> Result<(u16, Next, &str), String> {
    let text = text.trim();
    let Some((times, packet)) = text.strip_prefix('*').and_then(|it| it.split_once(' ')) else {
        return Ok((1, Next::Same, text));
    };
    let (times, next) = times.split_once(':').unwrap_or((times, ""));
    let next = match next {
        "" => Next::Same,
        "port" => Next::Port,
        "to-port" => Next::ToPort,
        "id" => Next::Datagram,
        "piece" => Next::Piece,
        "seq" => Next::Sequence,
        _ => return Err(format!("`{next}` is none of port, to-port, id, piece")),
    };
    Ok((number_of(times)?, next, packet.trim()))
}

impl Expected {
    /// `VERDICT [PORT|REASON] [STATE] [COUNTER+N]...`, of a step without a frame the counters alone.
    fn parse(text: &str) -> Result<Self, String> {
        let mut expected = Self::default();
        let mut verdict = Vec::new();
        for word in text.split_whitespace() {
            if let Some((name, change)) = counter(word) {
                expected.counters.insert(name.into(), change);
            } else if STATES.contains(&word) && expected.state.is_empty() {
                expected.state = word.into();
            } else if expected.state.is_empty() && expected.counters.is_empty() {
                verdict.push(word);
            } else {
                return Err(format!("`{word}` is not understood"));
            }
        }
        expected.verdict = verdict.join(" ");
        if expected.state.is_empty() && !expected.verdict.is_empty() {
            return Err(format!("a state is missing: one of {}", STATES.join(", ")));
        }
        Ok(expected)
    }
}

/// `NAME+N` or `NAME-N`; a change by 0 is none, but the end of a reason's name.
fn counter(word: &str) -> Option<(&str, i64)> {
    let at = word.rfind(['+', '-'])?;
    let change = word[at..].parse().ok().filter(|change| *change != 0)?;
    Some((&word[..at], change))
}

fn duration(text: &str) -> Result<Duration, String> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = number_of(&text[..text.len() - unit.len()])?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "h" => Ok(Duration::from_secs(number * 3600)),
        _ => Err(format!("`{text}` is no duration (ms, s, h)")),
    }
}

#[test]
fn a_script_is_read() {
    let text = "# comment\npolicy:\n  [zones]\n\n  lan = []\n\n== one\nlan 10.0.1.2:1 > 10.0.2.2:2 udp \
                -> forward wan new sessions_opened+1 # a note\n= wan 10.0.2.1 > 10.0.2.2 icmp echo\n\
                wait 5s -> sessions_closed+1\n";
    let script = Script::parse(text).expect("a script");
    assert!(script.policy.contains("lan = []"));
    let steps = &script.vectors[0].steps;
    assert_eq!((steps[0].line, steps[0].expected.verdict.as_str()), (8, "forward wan"));
    assert_eq!(steps[0].expected.state, "new");
    assert_eq!(steps[0].expected.counters["sessions_opened"], 1);
    assert_eq!(steps[0].expected.frames.len(), 1);
    assert!(matches!(steps[1].input, Input::Wait(time) if time == Duration::from_secs(5)));
}

#[test]
fn mistakes_are_named_with_their_line() {
    let error = |text: &str| Script::parse(text).expect_err("a mistake");
    assert!(error("lan x").contains("line 1: a step before"));
    let packet = "== x\nlan 10.0.1.2:1 > 10.0.2.2:2 udp";
    assert!(error(&format!("{packet} -> forward wan")).contains("line 2: a state is missing"));
    assert!(error(packet).contains("line 2: a frame, and only a frame, has a verdict"));
    assert!(error(&format!("{packet} tll=3 -> hold none")).contains("`tll=3` is not understood"));
}
