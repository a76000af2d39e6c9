//! The node file and the two policies.

use std::fs;
use std::io;

use super::folder::Folder;
use super::network::SERVER;

/// Permitted TCP and UDP all along.
pub(super) const OPEN: u16 = 7001;
/// Denied all along: silence.
pub(super) const DENIED: u16 = 7002;
/// Refused at first, permitted later.
pub(super) const LATER: u16 = 7003;
/// Permitted at first, denied later.
pub(super) const EARLIER: u16 = 7004;
/// Named by no rule.
pub(super) const UNNAMED: u16 = 7005;

pub(super) const NODE: &str = "node.toml";
pub(super) const POLICY: &str = "policy.toml";
pub(super) const CHANGED: &str = "changed.toml";
pub(super) const SOCKET: &str = "api.sock";
pub(super) const LOG: &str = "daemon.log";

/// Writes the node file and the policies before and after the change.
pub(super) fn write(folder: &Folder) -> io::Result<()> {
    fs::create_dir(folder.file("data"))?;
    fs::write(folder.file(NODE), node(folder))?;
    fs::write(folder.file(POLICY), policy("reject", "permit"))?;
    fs::write(folder.file(CHANGED), policy("permit", "deny"))
}

fn node(folder: &Folder) -> String {
    let (data, socket) = (folder.file("data"), folder.file(SOCKET));
    let (data, socket, bpf) = (data.display(), socket.display(), folder.bpf_dir());
    let bpf = bpf.display();
    format!(
        r#"[node]
id = 1
name = "demo"
data-dir = "{data}"
bpf-dir = "{bpf}"

[[port]]
name = "lan"
interface = "lan0"

[[port]]
name = "wan"
interface = "wan0"

[api]
socket = "{socket}"
"#
    )
}

/// The policy by what it does with the two services that change.
fn policy(later: &str, earlier: &str) -> String {
    let [v4, v6] = SERVER;
    format!(
        r#"[zones]
trust = ["lan"]
untrust = ["wan"]

[addresses]
server = ["{v4}", "{v6}"]

[[rule]]
id = "open"
from = "trust"
to = "untrust"
destination = ["server"]
service = ["tcp/{OPEN}", "udp/{OPEN}", "icmp/echo-request"]
action = "permit"
log = ["open", "close"]

[[rule]]
id = "silent"
from = "trust"
to = "untrust"
service = ["tcp/{DENIED}", "udp/{DENIED}"]
action = "deny"
log = ["open"]

[[rule]]
id = "later"
from = "trust"
to = "untrust"
destination = ["server"]
service = ["tcp/{LATER}"]
action = "{later}"

[[rule]]
id = "earlier"
from = "trust"
to = "untrust"
destination = ["server"]
service = ["tcp/{EARLIER}"]
action = "{earlier}"
on-change = "rematch"
"#
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{node, policy};
    use crate::demo::folder::Folder;

    #[test]
    fn both_policies_and_the_node_file_are_right_and_fit() {
        let folder = Folder::make().unwrap();
        let node = config::parse_node("node.toml", &node(&folder)).unwrap();
        folder.remove();
        for text in [policy("reject", "permit"), policy("permit", "deny")] {
            let load = &mut |_: &str| Err("no lists".to_owned());
            let policy = config::parse_policy("policy.toml", &text, load).unwrap();
            assert_eq!((policy.warnings, node.warnings.len()), (vec![], 0));
            assert_eq!(config::misfits(&policy.value, &node.value), vec![]);
        }
    }
}
