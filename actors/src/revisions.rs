//! Revisions as versions before the log kept them: each in a file of its own. They are read once, when a
//! node begins its log.

use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize;

/// What is left to know of one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Revision {
    /// Name of the file it came from.
    pub(crate) file: String,
    /// The policy, lists inlined.
    pub(crate) text: String,
}

/// The one that was in force, if there is any.
///
/// # Errors
/// A file cannot be read.
pub(crate) fn newest(data_dir: &Path) -> io::Result<Option<Revision>> {
    let folder = data_dir.join("revisions");
    if !folder.is_dir() {
        return Ok(None);
    }
    let mut newest: Option<u64> = None;
    for entry in fs::read_dir(&folder)? {
        let name = entry?.file_name();
        let epoch = name.to_str().and_then(|name| name.strip_suffix(".json")?.parse().ok());
        newest = newest.max(epoch);
    }
    let Some(epoch) = newest else { return Ok(None) };
    let bytes = fs::read(folder.join(format!("{epoch}.json")))?;
    serde_json::from_slice(&bytes).map(Some).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::newest;

    #[test]
    fn the_newest_revision_of_an_earlier_version_is_read() {
        let data = tempfile::tempdir().expect("a directory");
        assert_eq!(newest(data.path()).expect("nothing"), None);
        let folder = data.path().join("revisions");
        std::fs::create_dir(&folder).expect("made");
        for epoch in [9, 10] {
            let text = format!(
                r##"{{"epoch":{epoch},"comment":"why","file":"p.toml","text":"# {epoch}"}}"##
            );
            std::fs::write(folder.join(format!("{epoch}.json")), text).expect("written");
        }
        std::fs::write(folder.join("next"), b"{").expect("written");
        let found = newest(data.path()).expect("readable").expect("it is there");
        assert_eq!((found.file.as_str(), found.text.as_str()), ("p.toml", "# 10"));
    }
}
