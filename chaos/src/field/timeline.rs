//! A run's course, drawn: who forwarded, what arrived, what was done.

use std::fmt::Write as _;
use std::path::Path;

use super::log::Nanos;
use super::report::escaped;

/// What lies within one of these is drawn as one, ns: about a pixel of a run of ten seconds.
const GRAIN: Nanos = 10_000_000;
/// Of the drawing, in its own units.
const WIDTH: f64 = 1_000.0;
const LABELS: f64 = 110.0;
const LANE: f64 = 18.0;

/// All that is drawn.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timeline {
    lanes: Vec<Lane>,
    marks: Vec<(Nanos, String)>,
}

/// Stretches of time in which something went on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Lane {
    name: String,
    stretches: Vec<(Nanos, Nanos)>,
}

impl Lane {
    fn new(name: &str, times: impl IntoIterator<Item = Nanos>) -> Self {
        let mut stretches: Vec<(Nanos, Nanos)> = Vec::new();
        let mut times: Vec<Nanos> = times.into_iter().collect();
        times.sort_unstable();
        for at in times {
            match stretches.last_mut() {
                Some((_, end)) if at <= *end + GRAIN => *end = at,
                _ => stretches.push((at, at)),
            }
        }
        Self { name: name.to_owned(), stretches }
    }
}

/// The course of the run in `folder`. What was not logged is not drawn.
pub(crate) fn timeline(folder: &Path) -> Timeline {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
    let wire = read("wire.log");
    let seen = |node: &str, kind: &str| {
        let mine = wire.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            let at = words.next()?.parse().ok()?;
            let is_mine = words.next()? == node && words.nth(1)? == kind;
            is_mine.then_some(at)
        });
        Lane::new(&format!("{node} {kind}"), mine)
    };
    let nodes = nodes(&read("run.json"));
    let mut lanes = Vec::new();
    for kind in ["forward", "arp"] {
        lanes.extend(nodes.iter().map(|node| seen(node, kind)));
    }
    for number in 0.. {
        let name = format!("stream-{number}.received");
        if !folder.join(&name).exists() {
            break;
        }
        let text = read(&name);
        let times = text.lines().filter_map(|line| line.split_whitespace().nth(1)?.parse().ok());
        lanes.push(Lane::new(&format!("stream {number}"), times));
    }
    let faults = read("faults.log");
    let mark = |line: &str| {
        let (at, what) = line.split_once(' ')?;
        Some((at.parse().ok()?, what.to_owned()))
    };
    Timeline { lanes, marks: faults.lines().filter_map(mark).collect() }
}

/// The nodes that `run.json` names.
fn nodes(run: &str) -> Vec<String> {
    let run: serde_json::Value = serde_json::from_str(run).unwrap_or_default();
    let names = run["nodes"].as_array().into_iter().flatten();
    names.filter_map(|it| it.as_str().map(str::to_owned)).collect()
}

impl Timeline {
    fn span(&self) -> Option<(Nanos, Nanos)> {
        let stretches = self.lanes.iter().flat_map(|lane| &lane.stretches);
        let first = stretches.clone().map(|(start, _)| *start).min()?;
        let last = stretches.map(|(_, end)| *end).max()?;
        Some((first, last.max(first + GRAIN)))
    }

    /// An SVG element.
    pub(crate) fn svg(&self) -> String {
        let Some((first, last)) = self.span() else { return "<p>no log</p>".to_owned() };
        let scale = (WIDTH - LABELS) / (last - first) as f64;
        let place = |at: Nanos| LABELS + (at.clamp(first, last) - first) as f64 * scale;
        let height = LANE * (self.lanes.len() + self.marks.len() + 1) as f64;
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {height}\" xmlns=\"http://www.w3.org/2000/svg\" \
             font-size=\"11\" font-family=\"sans-serif\">\n"
        );
        let mut add = |text: String| svg.push_str(&text);
        for (number, lane) in self.lanes.iter().enumerate() {
            let top = LANE * number as f64;
            add(format!("<text x=\"0\" y=\"{}\">{}</text>\n", top + 13.0, escaped(&lane.name)));
            add(lane.bars(top, &place));
        }
        let below = LANE * self.lanes.len() as f64;
        for (number, (at, what)) in self.marks.iter().enumerate() {
            let (x, y) = (place(*at), below + LANE * (number + 1) as f64);
            let milliseconds = (*at as f64 - first as f64) / 1e6;
            let colour = if what.starts_with("fault") { "#b00" } else { "#888" };
            add(format!(
                "<path d=\"M{x:.1} 0V{y:.1}\" stroke=\"{colour}\" stroke-width=\".7\"/>\n"
            ));
            let (anchor, x) = if x > WIDTH / 2.0 { ("end", x - 3.0) } else { ("start", x + 3.0) };
            add(format!(
                "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">\
                 {milliseconds:.1} ms: {}</text>\n",
                escaped(what)
            ));
        }
        svg + "</svg>\n"
    }
}

impl Lane {
    fn bars(&self, top: f64, place: &impl Fn(Nanos) -> f64) -> String {
        let mut path = String::new();
        for (start, end) in &self.stretches {
            let (from, to) = (place(*start), place(*end));
            let width = (to - from).max(0.6);
            write!(path, "M{from:.1} {:.1}h{width:.1}v12h-{width:.1}z", top + 3.0)
                .expect("a string takes all");
        }
        format!("<path d=\"{path}\" fill=\"#369\"/>\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_close_together_is_one_stretch() {
        let lane = Lane::new("it", [5, GRAIN, 3 * GRAIN, 3 * GRAIN + 1]);
        assert_eq!(lane.stretches, [(5, GRAIN), (3 * GRAIN, 3 * GRAIN + 1)]);
    }

    #[test]
    fn each_node_of_the_run_has_its_lanes() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("run.json", r#"{"nodes": ["fw1", "fw2", "fw3"]}"#);
        write("wire.log", "5 fw3 wan forward\n7 fw1 lan arp\n");
        let lanes = timeline(folder.path()).lanes;
        let told: Vec<_> = lanes.iter().map(|it| (&*it.name, it.stretches.len())).collect();
        let forward = [("fw1 forward", 0), ("fw2 forward", 0), ("fw3 forward", 1)];
        let arp = [("fw1 arp", 1), ("fw2 arp", 0), ("fw3 arp", 0)];
        assert_eq!(told, [forward, arp].concat());
    }

    #[test]
    fn a_drawing_holds_no_foreign_markup() {
        let lanes = vec![Lane::new("fw1", [1, 2])];
        let svg = Timeline { lanes, marks: vec![(1, "fault <b>".into())] }.svg();
        assert!(svg.contains("fault &lt;b&gt;") && !svg.contains("<b>"));
        assert!(Timeline::default().svg().contains("no log"));
    }
}
