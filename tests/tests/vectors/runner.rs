//! Plays a vector and compares what happens with what it says.

use std::path::Path;

use engine::{Elsewhere, Verdict};
use ringwall_tests::workspace;

use crate::network;
use crate::packet::Line;
use crate::script::{Expected, Input, Script, Step, Vector};
use crate::world::{Changes, Outcome, World};

/// Runs all vectors below `tests/vectors/` and lists what differs.
#[test]
fn vectors() {
    let mut differences = Vec::new();
    let mut count = 0;
    for path in files(&workspace().join("tests/vectors")) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("a readable file");
        let script = Script::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        count += script.vectors.len();
        let play = |vector| play(&script.policy, vector).err();
        differences.extend(script.vectors.iter().filter_map(play).map(|it| format!("{name}:{it}")));
    }
    assert!(count > 0, "there are no vectors");
    assert!(
        differences.is_empty(),
        "{count} vectors, differences:\n\n{}",
        differences.join("\n\n")
    );
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder of vectors");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a readable entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|kind| kind == "txt"));
    paths.sort();
    paths
}

/// Plays one vector to its end or to its first difference.
fn play(policy: &str, vector: &Vector) -> Result<(), String> {
    let mut world = World::new(policy).map_err(|error| format!("policy: {error}"))?;
    for step in &vector.steps {
        run(&mut world, step).map_err(|difference| {
            format!("{}: {}\n  {}\n{difference}", step.line, vector.title, step.text)
        })?;
    }
    Ok(())
}

fn run(world: &mut World, step: &Step) -> Result<(), String> {
    let mut times = 0;
    match &step.input {
        Input::Frame { port, frame, times: number, next } => {
            times = *number;
            for time in 0..times {
                arrive(world, port, &frame.following(time, *next), &step.expected)?;
            }
        }
        Input::Wait(time) => world.wait(*time),
        Input::Commit(policy) => world.commit(policy)?,
        Input::Neighbour { port, address, known } => {
            let (port, address) = (network::port(port)?, *address);
            world.apply(match known {
                true => network::neighbour(port, address),
                false => engine::fib::FibChange::NeighbourLost { port, address },
            });
        }
        Input::Down(port) => world.link_down(network::port(port)?),
    }
    same_frames(world, &step.expected)?;
    same_changes(&step.expected.changes(times), &world.changes())
}

/// One frame in, and everything that can be said of it by itself.
fn arrive(world: &mut World, port: &str, frame: &Line, expected: &Expected) -> Result<(), String> {
    let port = network::port(port)?;
    let from = match frame {
        Line::Packet(packet) => network::host_mac(packet.source.0),
        Line::Raw(_) => [0; 6],
    };
    let bytes = frame.bytes(from, network::port_mac(port));
    let Outcome { decision, frame: after } = world.arrive(port, &bytes);
    let verdict = match decision.verdict {
        Verdict::Forward(port) => format!("forward {}", network::name(port)),
        Verdict::Answer => "answer".into(),
        Verdict::Consume => "consume".into(),
        Verdict::Hold => "hold".into(),
        Verdict::HandOff(Elsewhere::Worker(worker)) => format!("hand-off {}", worker.0),
        Verdict::HandOff(Elsewhere::Node(place, _)) => format!("pass-on {place}"),
        Verdict::Drop(reason) => format!("drop {reason}"),
    };
    same("verdict", &expected.verdict, &verdict)?;
    same("state", &expected.state, decision.state.name())?;
    match (decision.verdict, frame) {
        (Verdict::Forward(to), Line::Packet(packet)) if decision.in_hand => {
            let next = network::host_mac(packet.destination.0);
            same_bytes(&forwarded(&bytes, network::port_mac(to), next, port), &after)
        }
        _ => Ok(()),
    }
}

/// The frame that came in, as it must leave.
fn forwarded(bytes: &[u8], from: [u8; 6], to: [u8; 6], ingress: engine::PortId) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if network::is_wire(ingress) {
        return bytes;
    }
    bytes[..6].copy_from_slice(&to);
    bytes[6..12].copy_from_slice(&from);
    if bytes[14] >> 4 == 4 {
        bytes[22] -= 1;
        let len = usize::from(bytes[14] & 15) * 4;
        crate::frame::fill_header_checksum(&mut bytes[14..14 + len]);
    } else {
        bytes[21] -= 1;
    }
    bytes
}

fn same_frames(world: &mut World, expected: &Expected) -> Result<(), String> {
    let left = world.outbox();
    let names: Vec<&str> = left.iter().map(|(port, _)| network::name(*port)).collect();
    let expected_names: Vec<&str> = expected.frames.iter().map(|(port, _)| &**port).collect();
    if names != expected_names {
        let bytes: Vec<String> = left.iter().map(|(_, bytes)| hex(bytes)).collect();
        let bytes = bytes.join("\n    ");
        return Err(format!("  frames by {names:?}, expected by {expected_names:?}\n    {bytes}"));
    }
    for ((port, frame), (_, expected)) in left.iter().zip(&expected.frames) {
        let to = match expected {
            Line::Packet(packet) => network::host_mac(packet.destination.0),
            Line::Raw(_) => [0; 6],
        };
        same_bytes(&expected.bytes(network::port_mac(*port), to), frame)?;
    }
    Ok(())
}

impl Expected {
    /// The stated changes, and those that follow from the verdict of `times` frames.
    fn changes(&self, times: u16) -> Changes {
        let mut changes: Changes = self.counters.clone();
        let counter = match self.verdict.split(' ').next().unwrap_or("") {
            "forward" => "forwarded",
            "answer" => "answered",
            "consume" => "consumed",
            "hold" => "held",
            "drop" => self.verdict.trim_start_matches("drop "),
            _ => return changes,
        };
        for name in ["received", counter] {
            *changes.entry(name.into()).or_default() += i64::from(times);
        }
        changes.retain(|_, change| *change != 0);
        changes
    }
}

fn same_changes(expected: &Changes, found: &Changes) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    Err(format!("  counters: expected {expected:?}\n            found    {found:?}"))
}

fn same(what: &str, expected: &str, found: &str) -> Result<(), String> {
    if expected == found { Ok(()) } else { Err(format!("  {what}: {found}, expected {expected}")) }
}

fn same_bytes(expected: &[u8], found: &[u8]) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    let differ = expected.iter().zip(found).position(|(a, b)| a != b);
    let at = differ.unwrap_or(expected.len().min(found.len()));
    let (expected, found) = (hex(expected), hex(found));
    Err(format!("  frames differ from byte {at}\n    expected {expected}\n    found    {found}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
