//! The node file.

use core::net::SocketAddr;

use super::cluster::Pair;
use super::fields::{self, Fields};
use super::ports::Ports;
use super::reader::{Reader, Value, quoted};
use super::{access, paths, syslog};
use crate::limits::{
    CORE_MAX, FRAMES_DEFAULT, FRAMES_MAX, FRAMES_MIN, NODE_BYTES_MAX, SESSIONS_DEFAULT,
    SESSIONS_MAX, SESSIONS_MIN, WORKERS_MAX,
};
use crate::{Checked, Diagnostic, Log, LogFormat, Metrics, Node, OnExit};

const SECTIONS: [&str; 11] = [
    "node", "port", "wire", "cluster", "fabric", "vip", "target", "api", "metrics", "log", "syslog",
];
const NODE_KEYS: [&str; 11] = [
    "id",
    "name",
    "data-dir",
    "workers",
    "cores",
    "on-exit",
    "bpf-dir",
    "sessions",
    "frame-size",
    "frames",
    "failpoints",
];
const ON_EXIT: [(&str, OnExit); 2] = [("closed", OnExit::Closed), ("open", OnExit::Open)];
const FORMATS: [(&str, LogFormat); 2] = [("text", LogFormat::Text), ("json", LogFormat::Json)];
const FRAME_SIZE_DEFAULT: u32 = 2048;
const DATA_DIR_DEFAULT: &str = "/var/lib/ringwall";
const BPF_DIR_DEFAULT: &str = "/sys/fs/bpf/ringwall";

/// Parses and checks a node file. `file` names the text in diagnostics.
///
/// # Errors
/// Every problem of the text, in its order.
pub fn parse_node(file: &str, text: &str) -> Result<Checked<Node>, Vec<Diagnostic>> {
    let mut reader = Reader::new(file, text);
    let node = node(&mut reader, Purpose::Firewall);
    reader.finish(node)
}

/// Parses and checks the node file of a witness: it has a cluster and a fabric, and nothing that packets go
/// through. `file` names the text in diagnostics.
///
/// # Errors
/// Every problem of the text, in its order.
pub fn parse_witness(file: &str, text: &str) -> Result<Checked<Node>, Vec<Diagnostic>> {
    let mut reader = Reader::new(file, text);
    let node = node(&mut reader, Purpose::Witness);
    reader.finish(node)
}

/// What a node file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Firewall,
    Witness,
}

fn node(reader: &mut Reader<'_>, purpose: Purpose) -> Option<Node> {
    let document = reader.document(NODE_BYTES_MAX)?;
    let document = Fields::document(document.get_ref(), "a node file");
    document.check_keys(reader, &SECTIONS, &[]);
    let ports = match purpose {
        Purpose::Firewall => Ports::parse(reader, &document),
        Purpose::Witness => {
            check_witness(reader, &document);
            Ports::none()
        }
    };
    let pair = Pair::parse(reader, &document, &ports);
    let log = log(reader, document.get("log"));
    let syslog = syslog::receivers(reader, &document);
    let metrics = document.get("metrics").and_then(|value| metrics(reader, value));
    let fields = document.required(reader, "node")?;
    let fields = Fields::new(reader, fields, "[node]", &NODE_KEYS)?;
    let name = name(reader, &fields)?;
    let workers = workers(reader, &fields);
    Some(Node {
        id: id(reader, &fields)?,
        data_dir: path(reader, &fields, "data-dir", DATA_DIR_DEFAULT),
        cores: cores(reader, &fields, workers),
        workers,
        on_exit: fields.choice(reader, "on-exit", &ON_EXIT).unwrap_or_default(),
        bpf_dir: bpf_dir(reader, &fields),
        sessions: fields
            .integer(reader, "sessions", SESSIONS_MIN..=SESSIONS_MAX)
            .unwrap_or(SESSIONS_DEFAULT),
        frame_size: frame_size(reader, &fields),
        frames: fields.integer(reader, "frames", FRAMES_MIN..=FRAMES_MAX).unwrap_or(FRAMES_DEFAULT),
        failpoints: fields.boolean(reader, "failpoints").unwrap_or(false),
        ports: ports.ports,
        wires: ports.wires,
        cluster: pair.cluster,
        fabric: pair.fabric,
        vips: pair.vips,
        targets: pair.targets,
        api: access::api(reader, document.get("api"), name),
        metrics,
        log,
        syslog,
        name: name.to_owned(),
    })
}

/// A witness forwards nothing, and is part of a cluster.
fn check_witness(reader: &mut Reader<'_>, document: &Fields<'_, '_>) {
    for key in ["port", "wire", "vip", "target"] {
        if let Some(span) = document.key_span(key) {
            let message = format!("a witness has no `[[{key}]]`");
            reader.error_hint(&span, message, "it only votes; `ringwall run` runs a firewall");
        }
    }
    for key in ["cluster", "fabric"] {
        document.required(reader, key);
    }
}

fn id(reader: &mut Reader<'_>, fields: &Fields<'_, '_>) -> Option<u16> {
    let value = fields.required(reader, "id")?;
    let id = fields::integer(reader, value, "id", 1..=u16::MAX.into())?;
    u16::try_from(id).ok()
}

fn name<'v>(reader: &mut Reader<'_>, fields: &Fields<'v, '_>) -> Option<&'v str> {
    let name = fields.required_string(reader, "name")?;
    let span = fields.get("name").map(Value::span)?;
    reader.check_name("node", name, &span).then_some(name)
}

fn workers(reader: &mut Reader<'_>, fields: &Fields<'_, '_>) -> u16 {
    let workers = fields.integer(reader, "workers", 1..=WORKERS_MAX.into());
    workers.and_then(|workers| u16::try_from(workers).ok()).unwrap_or(1)
}

/// One core for each worker, or an empty list.
fn cores(reader: &mut Reader<'_>, fields: &Fields<'_, '_>, workers: u16) -> Option<Vec<u16>> {
    let value = fields.get("cores")?;
    let mut cores: Vec<u16> = Vec::new();
    for value in fields::list(value) {
        let core = fields::integer(reader, value, "cores", 0..=CORE_MAX)?;
        let core = u16::try_from(core).ok()?;
        if cores.contains(&core) {
            reader.error(&value.span(), format!("core {core} has a worker already"));
        }
        cores.push(core);
    }
    if !cores.is_empty() && cores.len() != usize::from(workers) {
        let message = format!("{} cores for {workers} workers", cores.len());
        let hint = "name one for each worker, or none at all to leave them to the scheduler";
        reader.error_hint(&value.span(), message, hint);
    }
    Some(cores)
}

fn frame_size(reader: &mut Reader<'_>, fields: &Fields<'_, '_>) -> u32 {
    let size = fields.integer(reader, "frame-size", 0..=u32::MAX);
    let size = size.unwrap_or(FRAME_SIZE_DEFAULT);
    if ![2048, 4096].contains(&size) {
        let span = fields.get("frame-size").map_or(fields.span.clone(), Value::span);
        let hint = "the kernel takes frames of half a page or a whole one";
        reader.error_hint(&span, "`frame-size` must be 2048 or 4096", hint);
    }
    size
}

fn path(reader: &mut Reader<'_>, fields: &Fields<'_, '_>, key: &str, default: &str) -> String {
    let path = fields.get(key).and_then(|value| paths::absolute(reader, value, key));
    path.unwrap_or_else(|| default.to_owned())
}

fn bpf_dir(reader: &mut Reader<'_>, fields: &Fields<'_, '_>) -> String {
    let path = path(reader, fields, "bpf-dir", BPF_DIR_DEFAULT);
    if path.contains('.') {
        let span = fields.get("bpf-dir").map_or(fields.span.clone(), Value::span);
        reader.error(&span, "a bpffs allows no `.` in its names");
    }
    path
}

fn metrics(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Metrics> {
    let fields = Fields::new(reader, value, "[metrics]", &["listen"])?;
    let listen = listen(reader, &fields, "\"127.0.0.1:9100\" or \"[::1]:9100\"")?;
    Some(Metrics { listen })
}

/// The `listen` of a section; the hint of a bad one gives examples.
pub(super) fn listen(
    reader: &mut Reader<'_>,
    fields: &Fields<'_, '_>,
    examples: &str,
) -> Option<SocketAddr> {
    let text = fields.required_string(reader, "listen")?;
    let listen = text.parse().ok();
    if listen.is_none() {
        let span = fields.get("listen").map_or(fields.span.clone(), Value::span);
        let hint = format!("an address and a port: {examples}");
        reader.error_hint(&span, format!("{} is no place to listen", quoted(text)), hint);
    }
    listen
}

fn log(reader: &mut Reader<'_>, value: Option<&Value<'_>>) -> Log {
    let fields = value.and_then(|value| Fields::new(reader, value, "[log]", &["format", "file"]));
    let Some(fields) = fields else { return Log::default() };
    let file = fields.get("file").and_then(|value| paths::absolute(reader, value, "file"));
    Log { format: fields.choice(reader, "format", &FORMATS).unwrap_or_default(), file }
}
