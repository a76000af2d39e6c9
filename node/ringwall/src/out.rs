//! Standard output: the only place that writes to it.

use std::io::{self, BufWriter, Write};

use serde::Serialize;

/// Where a verb says what it has to say, in the form the operator asked for.
pub(crate) struct Out<'a> {
    writer: Box<dyn Write + 'a>,
    json: bool,
}

impl<'a> Out<'a> {
    /// Standard output, buffered.
    pub(crate) fn stdout(json: bool) -> Self {
        Self { writer: Box::new(BufWriter::new(io::stdout().lock())), json }
    }

    /// Into memory or anywhere else.
    #[cfg(test)]
    pub(crate) fn to(writer: impl Write + 'a, json: bool) -> Self {
        Self { writer: Box::new(writer), json }
    }

    /// Whether JSON was asked for.
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// A line for people.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) -> io::Result<()> {
        writeln!(self.writer, "{}", text.as_ref())
    }

    /// One JSON value on one line.
    pub(crate) fn value(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.writer, value).map_err(io::Error::from)?;
        writeln!(self.writer)
    }

    /// Bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes)
    }

    /// What was written is seen.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
