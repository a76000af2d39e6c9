//! The daemon's log: lines for people or for machines, to stderr or a file.

use std::fs::OpenOptions;
use std::sync::Mutex;

use config::{Log, LogFormat};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use super::RunError;

/// What is logged unless `RUST_LOG` says otherwise. The actor library would put an actor's number
/// before every line.
const LEVEL: &str = "info,ractor=warn";

/// Starts the log. `json` overrules the node file.
pub(super) fn start(log: &Log, json: bool) -> Result<(), RunError> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LEVEL));
    let (writer, colours) = writer(log)?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    if json || log.format == LogFormat::Json {
        lines.json().flatten_event(true).init();
    } else {
        lines.with_ansi(colours).init();
    }
    Ok(())
}

/// Where lines go, and whether colours make sense there.
fn writer(log: &Log) -> Result<(BoxMakeWriter, bool), RunError> {
    let Some(path) = &log.file else {
        let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
        return Ok((BoxMakeWriter::new(std::io::stderr), colours));
    };
    let file = OpenOptions::new().create(true).append(true).open(path);
    let file = file.map_err(|error| RunError::Log { path: path.clone(), error })?;
    Ok((BoxMakeWriter::new(Mutex::new(file)), false))
}
