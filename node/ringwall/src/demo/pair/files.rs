//! The two node files, and the policy that both nodes run.

use std::fs;
use std::io;
use std::path::PathBuf;

use super::super::files::OPEN;
use super::super::folder::Folder;
use super::super::process::Files;
use super::network::{FABRIC, GATEWAYS, SERVER};

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
pub(super) fn write(folder: &Folder) -> io::Result<()> {
    fs::create_dir(folder.bpf_dir())?;
    for index in 0..2 {
        let data = folder.file(&format!("data{}", index + 1));
        fs::create_dir(&data)?;
        let files = of_node(folder, index);
        fs::write(&files.node, node(folder, index, &files))?;
    }
    fs::write(folder.file("policy.toml"), policy())
}

fn node(folder: &Folder, index: usize, files: &Files) -> String {
    let (id, rank) = (index + 1, 120 - 10 * index);
    let (own, other) = (FABRIC[index], FABRIC[1 - index]);
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
peers = ["{other}:7400"]

[fabric]
interface = "fab0"

{}
[api]
socket = "{socket}"
"#,
        vips.concat()
    )
}

fn policy() -> String {
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
action = "permit"
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
        let policy = config::parse_policy("policy.toml", &policy(), load).unwrap();
        for index in 0..2 {
            let text = node(&folder, index, &of_node(&folder, index));
            let node = config::parse_node("node.toml", &text).unwrap();
            assert_eq!((&policy.warnings, node.warnings.len()), (&vec![], 0));
            assert_eq!(config::misfits(&policy.value, &node.value), vec![]);
        }
        folder.remove();
    }
}
