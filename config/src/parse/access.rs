//! `[api]` of the node file: the socket, the listener for other machines, and who may do what there.

use super::fields::{self, Fields};
use super::reader::{Reader, Value};
use super::{node, paths};
use crate::limits::PRINCIPALS_MAX;
use crate::{Access, Api, Principal, Remote, Role};

const KEYS: [&str; 10] = [
    "socket",
    "group",
    "administer",
    "operate",
    "read",
    LISTEN,
    CERTIFICATE,
    KEY,
    CLIENT_CA,
    TOKENS,
];
const LISTEN: &str = "listen";
const CERTIFICATE: &str = "certificate";
const KEY: &str = "key";
const CLIENT_CA: &str = "client-ca";
const TOKENS: &str = "tokens";
/// Keys that say something of the listener, and nothing without it.
const REMOTE: [&str; 4] = [CERTIFICATE, KEY, CLIENT_CA, TOKENS];

/// What the section says; `name` is that of the node.
pub(super) fn api(reader: &mut Reader<'_>, value: Option<&Value<'_>>, name: &str) -> Api {
    let socket = format!("/run/ringwall/{name}.sock");
    let nothing = Api { socket, group: None, remote: None, access: Access::default() };
    let Some(fields) = value.and_then(|value| Fields::open(reader, value, "[api]")) else {
        return nothing;
    };
    fields.check_keys(reader, &KEYS, &[]);
    let socket = fields.get("socket").and_then(|value| paths::socket(reader, value));
    let group = group(reader, &fields);
    let mut role = |role: Role| principals(reader, &fields, role);
    let access = Access {
        administer: role(Role::Administer),
        operate: role(Role::Operate),
        read: role(Role::Read),
    };
    let group = group.or_else(|| only_group(&access));
    let remote = remote(reader, &fields);
    refuse_strangers(reader, &fields, &access);
    if group.is_none() {
        warn_of_a_closed_door(reader, &fields, &access);
    }
    Api { socket: socket.unwrap_or(nothing.socket), group, remote, access }
}

/// The listener for other machines. One at which nobody can say who he is is a mistake.
fn remote(reader: &mut Reader<'_>, fields: &Fields<'_, '_>) -> Option<Remote> {
    let Some(span) = fields.key_span(LISTEN) else {
        for key in REMOTE {
            if let Some(span) = fields.key_span(key) {
                let message = format!("`{key}` without `{LISTEN}`");
                reader.error_hint(&span, message, "say where: listen = \"192.0.2.1:7443\"");
            }
        }
        return None;
    };
    let listen = node::listen(reader, fields, "\"192.0.2.1:7443\" or \"[2001:db8::1]:7443\"");
    let mut path = |key| fields.get(key).and_then(|value| paths::absolute(reader, value, key));
    let (certificate, key) = (path(CERTIFICATE), path(KEY));
    let (client_ca, tokens) = (path(CLIENT_CA), path(TOKENS));
    for needed in [CERTIFICATE, KEY] {
        if fields.get(needed).is_none() {
            let hint = "a PEM file: without it no client can know the node";
            reader.error_hint(&span, format!("`{LISTEN}` needs `{needed}`"), hint);
        }
    }
    if fields.get(CLIENT_CA).is_none() && fields.get(TOKENS).is_none() {
        let message = format!("nobody can say who he is at `{LISTEN}`");
        let hint = "add `client-ca` for clients with certificates, `tokens` for those with tokens";
        reader.error_hint(&span, message, hint);
    }
    Some(Remote { listen: listen?, certificate: certificate?, key: key?, client_ca, tokens })
}

/// A role for a certificate or a token has no effect where none counts.
fn refuse_strangers(reader: &mut Reader<'_>, fields: &Fields<'_, '_>, access: &Access) {
    for role in Role::ALL {
        let Some(span) = fields.get(role.name()).map(Value::span) else { continue };
        for principal in access.of(role) {
            let needed = match principal {
                Principal::User(_) | Principal::Group(_) => continue,
                Principal::Certificate(_) => CLIENT_CA,
                Principal::Token(_) => TOKENS,
            };
            if fields.get(needed).is_none() {
                let message = format!("`{principal}` has no effect: [api] has no `{needed}`");
                reader.error_hint(&span, message, format!("add `{needed}`, or take it out"));
            }
        }
    }
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
        let principal = Principal::of(word);
        let (kind, name) = principal.parts();
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
        Principal::User(_) | Principal::Certificate(_) | Principal::Token(_) => None,
    });
    let first = groups.next()?;
    groups.all(|name| name == first).then(|| first.clone())
}

/// A role for somebody who cannot reach the socket has no effect.
fn warn_of_a_closed_door(reader: &mut Reader<'_>, fields: &Fields<'_, '_>, access: &Access) {
    let root = Principal::User("root".to_owned());
    for role in Role::ALL {
        let locked_out = |principal: &Principal| principal.is_local() && *principal != root;
        let others = access.of(role).iter().any(locked_out);
        if let (true, Some(span)) = (others, fields.key_span(role.name())) {
            let message = format!("`{role}` has no effect: only root can reach the socket");
            reader.warn(&span, message, "add `group`, whose members may connect");
            return;
        }
    }
}
