//! `[api]` of the node file: the socket, and who may do what at it.

use super::fields::{self, Fields};
use super::reader::{Reader, Value};
use super::{later_sections, paths};
use crate::limits::PRINCIPALS_MAX;
use crate::{Access, Api, Principal, Role};

const KEYS: [&str; 5] = ["socket", "group", "administer", "operate", "read"];
/// Keys of later versions: a listener for other machines.
const LATER: [&str; 2] = ["listen", "tls"];

/// What the section says; `name` is that of the node.
pub(super) fn api(reader: &mut Reader<'_>, value: Option<&Value<'_>>, name: &str) -> Api {
    let socket = format!("/run/ringwall/{name}.sock");
    let nothing = Api { socket, group: None, access: Access::default() };
    let Some(fields) = value.and_then(|value| Fields::open(reader, value, "[api]")) else {
        return nothing;
    };
    fields.check_keys(reader, &KEYS, &LATER);
    later_sections(reader, &fields, &LATER);
    let socket = fields.get("socket").and_then(|value| paths::socket(reader, value));
    let group = group(reader, &fields);
    let mut role = |role: Role| principals(reader, &fields, role);
    let access = Access {
        administer: role(Role::Administer),
        operate: role(Role::Operate),
        read: role(Role::Read),
    };
    let group = group.or_else(|| only_group(&access));
    if group.is_none() {
        warn_of_a_closed_door(reader, &fields, &access);
    }
    Api { socket: socket.unwrap_or(nothing.socket), group, access }
}

fn group(reader: &mut Reader<'_>, fields: &Fields<'_, '_>) -> Option<String> {
    let name = fields.string(reader, "group")?;
    let span = fields.get("group").map(Value::span)?;
    reader.check_name("group", name, &span).then(|| name.to_owned())
}

fn principals(reader: &mut Reader<'_>, fields: &Fields<'_, '_>, role: Role) -> Vec<Principal> {
    let Some(value) = fields.get(role.name()) else { return Vec::new() };
    let words = fields::strings(reader, value);
    if words.len() > PRINCIPALS_MAX {
        let message = format!("{} names, the limit is {PRINCIPALS_MAX}", words.len());
        reader.error_hint(&value.span(), message, "give the role to a group: \"@netops\"");
        return Vec::new();
    }
    let mut all = Vec::new();
    for (word, span) in words {
        let (kind, name, principal) = match word.strip_prefix('@') {
            Some(name) => ("group", name, Principal::Group(name.to_owned())),
            None => ("user", word, Principal::User(word.to_owned())),
        };
        if reader.check_name(kind, name, &span) {
            all.push(principal);
        }
    }
    all
}

/// The only group that has a role: its members shall reach the socket.
fn only_group(access: &Access) -> Option<String> {
    let mut groups = Role::ALL.iter().flat_map(|role| access.of(*role)).filter_map(|it| match it {
        Principal::Group(name) => Some(name),
        Principal::User(_) => None,
    });
    let first = groups.next()?;
    groups.all(|name| name == first).then(|| first.clone())
}

/// A role for somebody who cannot reach the socket has no effect.
fn warn_of_a_closed_door(reader: &mut Reader<'_>, fields: &Fields<'_, '_>, access: &Access) {
    let root = Principal::User("root".to_owned());
    for role in Role::ALL {
        let others = access.of(role).iter().any(|principal| *principal != root);
        if let (true, Some(span)) = (others, fields.key_span(role.name())) {
            let message = format!("`{role}` has no effect: only root can reach the socket");
            reader.warn(&span, message, "add `group`, whose members may connect");
            return;
        }
    }
}
