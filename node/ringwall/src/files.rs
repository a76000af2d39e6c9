//! The operator's files: read within bounds, parsed, lists found beside the policy.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use config::{
    Checked, Diagnostic, Node, Policy, inline_lists, parse_node, parse_policy, parse_witness,
};

use crate::failure::Failure;
use crate::limits::FILE_BYTES;

/// Reads a text file.
pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    read_text(path).map_err(Failure::file(path))
}

fn read_text(path: &Path) -> io::Result<String> {
    read_within(path, FILE_BYTES)
}

/// Reads a text file of at most `limit` bytes.
pub(crate) fn read_within(path: &Path, limit: u64) -> io::Result<String> {
    read_open(File::open(path)?, limit)
}

fn read_open(file: File, limit: u64) -> io::Result<String> {
    let mut text = String::new();
    // A pipe or a device has no length to ask for beforehand.
    let read = file.take(limit + 1).read_to_string(&mut text)?;
    if read as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is too large"));
    }
    Ok(text)
}

/// What any others may do with a private file; nothing of it is wanted.
const OTHERS: u32 = 0o077;

/// Reads a text file that nobody but its owner may read, or write to.
pub(crate) fn read_private(path: &Path, limit: u64) -> io::Result<String> {
    let file = File::open(path)?;
    if file.metadata()?.permissions().mode() & OTHERS != 0 {
        let why = "others may read it: what it holds is no secret any more (see `chmod 600`)";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    read_open(file, limit)
}

/// Writes a new file that nobody but its owner may read.
pub(crate) fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

/// Reads list files by the names a policy gives them, relative to the policy's own folder.
fn loader(policy: &Path) -> impl FnMut(&str) -> Result<String, String> {
    let folder = policy.parent().map(Path::to_owned).unwrap_or_default();
    move |name| read_text(&folder.join(name)).map_err(|error| error.to_string())
}

/// Parses a policy that was read from `path`.
pub(crate) fn policy(path: &Path, text: &str) -> Result<Checked<Policy>, Vec<Diagnostic>> {
    parse_policy(&path.to_string_lossy(), text, &mut loader(path))
}

/// Parses a node file that was read from `path`.
pub(crate) fn node(path: &Path, text: &str) -> Result<Checked<Node>, Vec<Diagnostic>> {
    parse_node(&path.to_string_lossy(), text)
}

/// Parses a witness's node file that was read from `path`.
pub(crate) fn witness(path: &Path, text: &str) -> Result<Checked<Node>, Vec<Diagnostic>> {
    parse_witness(&path.to_string_lossy(), text)
}

/// The policy's text with its lists in it.
pub(crate) fn inlined(path: &Path, text: &str) -> Result<String, Vec<Diagnostic>> {
    inline_lists(&path.to_string_lossy(), text, &mut loader(path))
}

/// Reads and parses a policy, or fails with all that is wrong with it.
pub(crate) fn read_policy(path: &Path) -> Result<Checked<Policy>, Failure> {
    let text = read(path)?;
    policy(path, &text).map_err(|diagnostics| Failure::Rejected { what: "policy", diagnostics })
}

/// Reads and parses a node file, or fails with all that is wrong with it.
pub(crate) fn read_node(path: &Path) -> Result<Checked<Node>, Failure> {
    let text = read(path)?;
    node(path, &text).map_err(|diagnostics| Failure::Rejected { what: "node file", diagnostics })
}

/// Reads and parses the node file of a witness, or fails with all that is wrong with it.
pub(crate) fn read_witness(path: &Path) -> Result<Checked<Node>, Failure> {
    let text = read(path)?;
    let node = witness(path, &text);
    node.map_err(|diagnostics| Failure::Rejected { what: "witness's node file", diagnostics })
}
