//! Who may ask what of the API: three roles, and to whom they are given.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::NAME_BYTES_MAX;

/// What somebody may do. Each role includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Look at everything that is shown; nothing changes.
    Read,
    /// Keep the firewall going: end sessions, move the ownership to another node.
    Operate,
    /// Say what the firewall lets pass.
    Administer,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Operate, Self::Administer];

    /// The word of the node file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Administer => "administer",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// To whom a role is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Principal {
    /// A user of this machine.
    User(String),
    /// Every member of a group of this machine: `@NAME`.
    Group(String),
    /// A client of the TLS listener whose certificate has this one DNS name: `cert:NAME`.
    Certificate(String),
    /// A client of the TLS listener with the token of this name: `token:NAME`.
    Token(String),
}

/// What stands before the name of a certificate. No user and no group has a colon in its name.
const CERTIFICATE: &str = "cert:";
/// What stands before the name of a token.
const TOKEN: &str = "token:";

/// Whether this is a name as node and policy files have them: a letter or `_`, then letters, digits, `-`, `_`
/// or `.`, [`NAME_BYTES_MAX`] at most.
pub fn is_name(name: &str) -> bool {
    let starts = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    starts && name.bytes().all(inside) && name.len() <= NAME_BYTES_MAX
}

impl Principal {
    /// What a word of the node file means, whether or not its name is a good one.
    pub(crate) fn of(word: &str) -> Self {
        if let Some(name) = word.strip_prefix('@') {
            Self::Group(name.to_owned())
        } else if let Some(name) = word.strip_prefix(CERTIFICATE) {
            Self::Certificate(name.to_owned())
        } else if let Some(name) = word.strip_prefix(TOKEN) {
            Self::Token(name.to_owned())
        } else {
            Self::User(word.to_owned())
        }
    }

    /// What kind of thing has the role, and its bare name.
    pub fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::User(name) => ("user", name),
            Self::Group(name) => ("group", name),
            Self::Certificate(name) => ("certificate", name),
            Self::Token(name) => ("token", name),
        }
    }

    /// Whether it is somebody of this machine, whom the Unix socket knows.
    pub fn is_local(&self) -> bool {
        match self {
            Self::User(_) | Self::Group(_) => true,
            Self::Certificate(_) | Self::Token(_) => false,
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => f.write_str(name),
            Self::Group(name) => write!(f, "@{name}"),
            Self::Certificate(name) => write!(f, "{CERTIFICATE}{name}"),
            Self::Token(name) => write!(f, "{TOKEN}{name}"),
        }
    }
}

/// The roles of a node. Root, and the user that the daemon runs as, administer it whatever this says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Access {
    /// Who administers.
    pub administer: Vec<Principal>,
    /// Who operates.
    pub operate: Vec<Principal>,
    /// Who reads.
    pub read: Vec<Principal>,
}

impl Access {
    /// To whom `role` is given.
    pub fn of(&self, role: Role) -> &[Principal] {
        match role {
            Role::Read => &self.read,
            Role::Operate => &self.operate,
            Role::Administer => &self.administer,
        }
    }

    /// The highest role that is given to this one itself.
    pub fn given(&self, principal: &Principal) -> Option<Role> {
        Role::ALL.into_iter().rev().find(|role| self.of(*role).contains(principal))
    }

    /// The highest role of a user who is in these groups.
    pub fn role(&self, user: &str, groups: &[String]) -> Option<Role> {
        let meant = |principal: &Principal| match principal {
            Principal::User(name) => name == user,
            Principal::Group(name) => groups.contains(name),
            Principal::Certificate(_) | Principal::Token(_) => false,
        };
        Role::ALL.into_iter().rev().find(|role| self.of(*role).iter().any(meant))
    }
}

#[cfg(test)]
mod tests {
    use super::{Access, Principal, Role};

    #[test]
    fn the_highest_role_counts_whether_by_name_or_by_group() {
        let user = |name: &str| Principal::User(name.to_owned());
        let group = |name: &str| Principal::Group(name.to_owned());
        let access = Access {
            administer: vec![user("ada")],
            operate: vec![group("netops"), user("max")],
            read: vec![user("ada"), group("staff"), user("max")],
        };
        let cases: [(&str, &[&str], Option<Role>); 7] = [
            ("ada", &[], Some(Role::Administer)),
            ("max", &["staff"], Some(Role::Operate)),
            ("eve", &["netops", "staff"], Some(Role::Operate)),
            ("eve", &["staff"], Some(Role::Read)),
            ("eve", &["users"], None),
            // A name of a group is none of a user, and the other way round.
            ("netops", &[], None),
            ("eve", &["ada"], None),
        ];
        for (name, groups, role) in cases {
            let groups: Vec<String> = groups.iter().map(|it| (*it).to_owned()).collect();
            assert_eq!(access.role(name, &groups), role, "{name} {groups:?}");
            assert_eq!(Access::default().role(name, &groups), None);
        }
        assert!(Role::Read < Role::Operate && Role::Operate < Role::Administer);
    }

    #[test]
    fn a_certificate_a_token_and_a_user_of_one_name_are_three() {
        let access = Access {
            administer: vec![Principal::of("cert:ada")],
            operate: vec![Principal::of("token:ada")],
            read: vec![Principal::of("ada"), Principal::of("cert:ada")],
        };
        let given = |word: &str| access.given(&Principal::of(word));
        assert_eq!(given("cert:ada"), Some(Role::Administer));
        assert_eq!(given("token:ada"), Some(Role::Operate));
        assert_eq!(given("ada"), Some(Role::Read));
        assert_eq!((given("@ada"), given("cert:Ada"), given("token:ada ")), (None, None, None));
        // Nor is a user of this machine one of them, whatever he is called.
        assert_eq!(access.role("cert:ada", &["token:ada".to_owned()]), None);
        for word in ["ada", "@ada", "cert:ada", "token:ada"] {
            assert_eq!(Principal::of(word).to_string(), word);
        }
    }
}
