//! After a heal and a quiet time there is one owner, the other stands by and is ready, and both tables
//! tell the same.

use std::collections::{BTreeMap, BTreeSet};

use cluster_core::membership::{Readiness, Role};
use engine::Engine;
use engine::session::{Session, SessionId};

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
    if standby.replicas.readiness() != Readiness::Ready || !standby.connected {
        let tables = compare(&a.engine, &b.engine).unwrap_or_else(|| "tables are equal".to_owned());
        return Some(format!(
            "the standby is {:?}, not ready; {tables}",
            standby.replicas.readiness()
        ));
    }
    if a.revision != b.revision {
        return Some(format!("the policies are {:?} and {:?}", a.revision, b.revision));
    }
    compare(&a.engine, &b.engine)
}

/// The first session that both do not tell alike.
fn compare(a: &Engine, b: &Engine) -> Option<String> {
    let words = [a, b].map(words);
    let ids: BTreeSet<SessionId> = words.iter().flat_map(BTreeMap::keys).copied().collect();
    let differ = ids.iter().filter(|id| words[0].get(id) != words[1].get(id));
    let id = *differ.clone().next()?;
    let count = differ.count();
    let pictures = [a, b].map(|engine| picture(engine, id));
    Some(format!("{count} sessions differ, {id} is {} and {}", pictures[0], pictures[1]))
}

fn sessions(engine: &Engine) -> impl Iterator<Item = (SessionId, &Session)> {
    let places = 0..engine.sessions().capacity() as u32;
    let here = places.filter_map(|place| engine.session_at(place));
    here.map(|(_, session)| (engine.session_id(session.id), session))
}

fn words(engine: &Engine) -> BTreeMap<SessionId, u64> {
    let places = 0..engine.sessions().capacity() as u32;
    let word = |place| {
        let (_, session) = engine.session_at(place)?;
        Some((engine.session_id(session.id), engine.digest(session, engine.twin_of(place))))
    };
    places.filter_map(word).collect()
}

fn picture(engine: &Engine, id: SessionId) -> String {
    let Some((_, session)) = sessions(engine).find(|(other, _)| *other == id) else {
        return "not there".to_owned();
    };
    let rule = engine.rule_of(session);
    let (state, epoch, packets) = (session.tcp.state(), session.epoch, session.packets);
    format!("{:?} {state:?} {rule:?} of epoch {epoch} {packets:?}", session.key)
}
