//! Who asks, and whether that is allowed: the one place where a role is looked at.
//!
//! ```text
//! Unix socket: SO_PEERCRED ─► Peer ─► user, groups ─► role ─┐
//! TLS: certificate, token ─────► Peer ─► name ─────────► role ─┴─► enough? ─► handler, with its Asker
//! ```

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::serve::IncomingStream;
use config::{Access, Principal, Role};
use nix::unistd::{Gid, Group, Uid, User, getgrouplist};
use tokio::net::{UnixListener, UnixStream};

use super::Refusal;
use super::bounded::Bounded;
use super::rejection::{Rejection, Rejections};

/// The other end of a connection: as the kernel tells it, or as TLS or a token does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// A process on this machine.
    Local { uid: u32 },
    /// Somebody on another machine, or on this one by way of TLS.
    Remote(Principal),
    /// The kernel does not say.
    Unknown,
}

/// Who asks, by name: the author of what is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asker {
    pub(super) name: String,
    groups: Vec<String>,
}

/// The roles of the node file, and how often they were not enough.
#[derive(Debug)]
pub(crate) struct Gate {
    access: Access,
    /// Users who administer whatever the node file says: root, and the daemon's own.
    powerful: Vec<u32>,
    refused: [AtomicU64; Role::ALL.len()],
    rejections: Rejections,
}

impl Gate {
    /// A gate with the roles of a node file.
    pub(crate) fn new(access: Access) -> Self {
        let refused = Role::ALL.map(|_| AtomicU64::new(0));
        Self {
            access,
            powerful: vec![0, Uid::effective().as_raw()],
            refused,
            rejections: Rejections::default(),
        }
    }

    /// A gate at which nobody has a role but by the node file: tests may run as root.
    #[cfg(test)]
    pub(super) fn without_root(access: Access) -> Self {
        Self { powerful: Vec::new(), ..Self::new(access) }
    }

    /// How often a request was refused, by the role that it needed.
    pub(super) fn refused(&self) -> [(Role, u64); Role::ALL.len()] {
        let count = |role: Role| self.refused[role as usize].load(Ordering::Relaxed);
        Role::ALL.map(|role| (role, count(role)))
    }

    /// Counts a client of the TLS listener that did not come as far as to have a role.
    pub(super) fn reject(&self, rejection: Rejection) {
        self.rejections.count(rejection);
    }

    /// How often that was so, by reason.
    pub(super) fn rejected(&self) -> [(Rejection, u64); Rejection::ALL.len()] {
        self.rejections.all()
    }

    fn judge(&self, peer: &Peer, asker: &Asker, needed: Role) -> Result<(), Denied> {
        let has = match peer {
            Peer::Local { uid } if self.powerful.contains(uid) => Some(Role::Administer),
            Peer::Local { .. } => self.access.role(&asker.name, &asker.groups),
            Peer::Remote(principal) => self.access.given(principal),
            Peer::Unknown => None,
        };
        if has >= Some(needed) {
            return Ok(());
        }
        self.refused[needed as usize].fetch_add(1, Ordering::Relaxed);
        let is_local = !matches!(peer, Peer::Remote(_));
        Err(Denied { who: asker.name.clone(), is_local, has, needed })
    }
}

/// Lets a request through whose asker has the role, and tells the handler who it is.
pub(super) async fn admit(
    State((gate, needed)): State<(Arc<Gate>, Role)>,
    mut request: Request,
    next: Next,
) -> Response {
    let info = request.extensions().get::<ConnectInfo<Peer>>();
    let peer = info.map_or(Peer::Unknown, |ConnectInfo(peer)| peer.clone());
    let asked = peer.clone();
    // The system's directory of users may be on another machine.
    let asker = tokio::task::spawn_blocking(move || Asker::of(&asked)).await;
    let asker = asker.unwrap_or_else(|_| Asker::of(&Peer::Unknown));
    match gate.judge(&peer, &asker, needed) {
        Ok(()) => {
            request.extensions_mut().insert(asker);
            next.run(request).await
        }
        Err(denied) => {
            tracing::debug!(%denied, path = request.uri().path(), "refused");
            Refusal::of(StatusCode::FORBIDDEN, &denied.to_string()).into_response()
        }
    }
}

impl Asker {
    /// Looks the user up. One that the system has no name for has no groups either.
    fn of(peer: &Peer) -> Self {
        match peer {
            Peer::Local { uid } => Self::local(*uid),
            Peer::Remote(principal) => Self { name: principal.to_string(), groups: Vec::new() },
            Peer::Unknown => Self { name: "somebody unknown".to_owned(), groups: Vec::new() },
        }
    }

    fn local(uid: u32) -> Self {
        match User::from_uid(Uid::from_raw(uid)) {
            Ok(Some(user)) => {
                let groups = groups(&user.name, user.gid);
                Self { name: user.name, groups }
            }
            Ok(None) | Err(_) => Self { name: format!("uid {uid}"), groups: Vec::new() },
        }
    }
}

fn groups(user: &str, primary: Gid) -> Vec<String> {
    let Ok(user) = std::ffi::CString::new(user) else { return Vec::new() };
    let gids = getgrouplist(&user, primary).unwrap_or_default();
    let names = gids.into_iter().filter_map(|gid| Group::from_gid(gid).ok().flatten());
    names.map(|group| group.name).collect()
}

impl Peer {
    fn of(stream: &UnixStream) -> Self {
        stream
            .peer_cred()
            .map_or(Self::Unknown, |credentials| Self::Local { uid: credentials.uid() })
    }
}

impl Connected<IncomingStream<'_, Bounded<UnixListener>>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Bounded<UnixListener>>) -> Self {
        Self::of(stream.io().inner())
    }
}

/// A role that is not enough.
#[derive(Debug)]
struct Denied {
    who: String,
    is_local: bool,
    has: Option<Role>,
    needed: Role,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { who, is_local, has, needed } = self;
        match has {
            Some(role) => {
                write!(f, "`{who}` has the role `{role}` here, and this needs `{needed}`")?
            }
            None => write!(f, "`{who}` has no role here, and this needs `{needed}`")?,
        }
        match is_local {
            true => f.write_str(": add the user, or a group as \"@NAME\",")?,
            false => write!(f, ": add \"{who}\"")?,
        }
        write!(f, " to `{needed}` in [api] of the node file")
    }
}

#[cfg(test)]
mod tests {
    use super::{Asker, Gate, Peer};
    use config::{Access, Principal, Role};

    fn gate() -> Gate {
        let access = Access {
            administer: vec![Principal::User("ada".to_owned())],
            operate: vec![Principal::Group("netops".to_owned())],
            read: Vec::new(),
        };
        Gate { powerful: vec![0, 900], ..Gate::new(access) }
    }

    fn remote(word: &str) -> Principal {
        match word.split_once(':') {
            Some(("cert", name)) => Principal::Certificate(name.to_owned()),
            Some(("token", name)) => Principal::Token(name.to_owned()),
            _ => panic!("{word}"),
        }
    }

    fn asker(name: &str, groups: &[&str]) -> Asker {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        Asker { name: name.to_owned(), groups }
    }

    #[test]
    fn roles_of_users_and_groups_root_and_the_daemon_itself() {
        let gate = gate();
        let cases = [
            (0, asker("root", &[]), Some(Role::Administer)),
            (900, asker("ringwall", &[]), Some(Role::Administer)),
            (1_000, asker("ada", &[]), Some(Role::Administer)),
            (1_001, asker("max", &["users", "netops"]), Some(Role::Operate)),
            (1_002, asker("eve", &["users"]), None),
            // A name says nothing where the number is another one.
            (1_003, asker("root", &[]), None),
        ];
        for (uid, asker, has) in cases {
            for needed in Role::ALL {
                let judged = gate.judge(&Peer::Local { uid }, &asker, needed);
                assert_eq!(judged.is_ok(), has >= Some(needed), "{asker:?} {needed}");
            }
        }
        assert!(gate.judge(&Peer::Unknown, &asker("ada", &[]), Role::Read).is_err());
    }

    #[test]
    fn a_refusal_says_who_and_what_to_do_and_is_counted() {
        let gate = gate();
        let local = Peer::Local { uid: 1_001 };
        let denied = gate.judge(&local, &asker("max", &["netops"]), Role::Administer).unwrap_err();
        assert_eq!(
            denied.to_string(),
            "`max` has the role `operate` here, and this needs `administer`: add the user, or a group \
             as \"@NAME\", to `administer` in [api] of the node file"
        );
        let denied = gate.judge(&local, &asker("eve", &[]), Role::Read).unwrap_err().to_string();
        assert!(denied.starts_with("`eve` has no role here, and this needs `read`"), "{denied}");
        let counted = [(Role::Read, 1), (Role::Operate, 0), (Role::Administer, 1)];
        assert_eq!(gate.refused(), counted);
    }

    #[test]
    fn who_comes_by_tls_has_what_the_node_file_gives_to_that_name_and_no_more() {
        let given = |words: &[&str]| words.iter().map(|word| remote(word)).collect::<Vec<_>>();
        let access = Access {
            administer: given(&["cert:ada"]),
            operate: given(&["token:ci"]),
            read: vec![Principal::User("root".to_owned())],
        };
        let gate = Gate { powerful: vec![0, 900], ..Gate::new(access) };
        let cases = [
            ("cert:ada", Some(Role::Administer)),
            ("token:ci", Some(Role::Operate)),
            ("cert:ci", None),
            ("token:ada", None),
            ("cert:root", None),
            ("token:root", None),
        ];
        for (word, has) in cases {
            let peer = Peer::Remote(remote(word));
            let asker = Asker::of(&peer);
            assert_eq!(asker.name, word, "the author of what is changed");
            for needed in Role::ALL {
                let judged = gate.judge(&peer, &asker, needed);
                assert_eq!(judged.is_ok(), has >= Some(needed), "{word} {needed}");
                if let Err(denied) = judged {
                    let hint = format!(": add \"{word}\" to `{needed}` in [api] of the node file");
                    assert!(denied.to_string().ends_with(&hint), "{denied}");
                }
            }
        }
    }

    #[test]
    fn the_system_knows_root_and_his_group() {
        assert_eq!(Asker::local(0).name, "root");
        assert!(Asker::local(0).groups.contains(&"root".to_owned()));
        let nobody = Asker::of(&Peer::Local { uid: 3_999_999_999 });
        assert_eq!((nobody.name.as_str(), nobody.groups.len()), ("uid 3999999999", 0));
    }
}
