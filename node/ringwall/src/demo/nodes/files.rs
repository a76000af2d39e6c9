//! The node files, and the policies that all nodes run.

use std::fs;
use std::io;
use std::path::PathBuf;

use super::super::files::OPEN;
use super::super::folder::Folder;
use super::super::process::Files;
use super::network::{GATEWAYS, SERVER, fabric};

/// Sessions of a node: a table of this size is there at once.
const SESSIONS: u32 = 16_384;

/// Names of one node's files.
pub(super) fn of_node(folder: &Folder, index: usize) -> Files {
    let file = |kind: &str| folder.file(&format!("fw{}.{kind}", index + 1));
    Files {
        node: file("toml"),
        policy: folder.file("policy.toml"),
        socket: file("sock"),
        log: file("log"),
    }
}

/// Where a node's links are pinned.
pub(super) fn bpf_dir(folder: &Folder, index: usize) -> PathBuf {
    folder.bpf_dir().join(format!("fw{}", index + 1))
}

/// Writes everything.
pub(super) fn write(folder: &Folder, count: usize) -> io::Result<()> {
    fs::create_dir(folder.bpf_dir())?;
    for index in 0..count {
        let data = folder.file(&format!("data{}", index + 1));
        fs::create_dir(&data)?;
        let files = of_node(folder, index);
        fs::write(&files.node, node(folder, (index, count), &files))?;
    }
    fs::write(folder.file("policy.toml"), policy("permit"))?;
    fs::write(folder.file(CHANGED), policy("reject"))
}

/// The policy with which nothing opens any more.
pub(super) const CHANGED: &str = "changed.toml";

fn node(folder: &Folder, (index, count): (usize, usize), files: &Files) -> String {
    let (id, rank) = (index + 1, 120 - 10 * index);
    let own = fabric(index);
    let others = (0..count).filter(|other| *other != index);
    let peers: Vec<String> = others.map(|other| format!("\"{}:7400\"", fabric(other))).collect();
    let peers = peers.join(", ");
    let data = folder.file(&format!("data{id}"));
    let (data, bpf, socket) = (data.display(), bpf_dir(folder, index), files.socket.display());
    let bpf = bpf.display();
    let vips = GATEWAYS.map(|(port, address)| {
        format!(
            "[[vip]]\ngroup = \"gate\"\nport = \"{port}\"\naddress = \"{address}/24\"\n\
             rank = {rank}\n"
        )
    });
    format!(
        r#"[node]
id = {id}
name = "fw{id}"
workers = 1
sessions = {SESSIONS}
data-dir = "{data}"
bpf-dir = "{bpf}"

[[port]]
name = "lan"
interface = "lan0"

[[port]]
name = "wan"
interface = "wan0"

[cluster]
listen = "{own}:7400"
peers = [{peers}]

[fabric]
interface = "fab0"

{}
[api]
socket = "{socket}"
"#,
        vips.concat()
    )
}

fn policy(action: &str) -> String {
    format!(
        r#"[zones]
trust = ["lan"]
untrust = ["wan"]

[[rule]]
id = "open"
from = "trust"
to = "untrust"
destination = ["{SERVER}"]
service = ["tcp/{OPEN}"]
action = "{action}"
"#
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_node_files_and_the_policy_are_right_and_fit() {
        let folder = Folder::make().unwrap();
        let load = &mut |_: &str| Err("no lists".to_owned());
        let policy = config::parse_policy("policy.toml", &policy("permit"), load).unwrap();
        for index in 0..3 {
            let text = node(&folder, (index, 3), &of_node(&folder, index));
            let node = config::parse_node("node.toml", &text).unwrap();
            assert_eq!((&policy.warnings, node.warnings.len()), (&vec![], 0));
            assert_eq!(config::misfits(&policy.value, &node.value), vec![]);
        }
        folder.remove();
    }
}
