//! After a heal and a quiet time there is one owner, the other stands by and is ready, and both tables
//! tell the same.

use std::collections::BTreeMap;

use cluster_core::membership::{Readiness, Role};
use engine::Engine;
use engine::session::SessionId;

use super::super::node::Node;

pub(crate) const NAME: &str = "nodes-agree";

/// Looks at both nodes.
pub(crate) fn look(nodes: &[Node; 2]) -> Option<String> {
    let [Some(a), Some(b)] = [&nodes[0].daemon, &nodes[1].daemon] else {
        return Some("a node is not running".to_owned());
    };
    let roles = [a.member.role(), b.member.role()];
    if !matches!(roles, [Role::Active, Role::Standby] | [Role::Standby, Role::Active]) {
        return Some(format!("the roles are {roles:?}"));
    }
    let standby = if roles[0] == Role::Standby { a } else { b };
    if standby.readiness != Readiness::Ready || !standby.connected {
        return Some(format!("the standby is {:?}, not ready", standby.readiness));
    }
    if a.revision != b.revision {
        return Some(format!("the policies are {:?} and {:?}", a.revision, b.revision));
    }
    compare(&a.engine, &b.engine)
}

fn compare(a: &Engine, b: &Engine) -> Option<String> {
    let (a, b) = (sessions(a), sessions(b));
    let mut differ = a.iter().filter(|(id, word)| b.get(id) != Some(word));
    let mut missing = b.iter().filter(|(id, _)| !a.contains_key(id));
    let (id, _) = differ.next().or_else(|| missing.next())?;
    let found = |table: &BTreeMap<SessionId, u64>| table.get(id).copied();
    let counts = [a.len(), b.len()];
    Some(format!("session {id} is {:?} and {:?}; {counts:?} sessions", found(&a), found(&b)))
}

fn sessions(engine: &Engine) -> BTreeMap<SessionId, u64> {
    let places = 0..engine.sessions().capacity() as u32;
    let here = places.filter_map(|place| engine.session_at(place));
    here.map(|(_, session)| (engine.session_id(session.id), engine.digest(session))).collect()
}
