//! Who may ask what of the API: three roles, and to whom they are given.

use core::fmt;

use serde::{Deserialize, Serialize};

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
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => f.write_str(name),
            Self::Group(name) => write!(f, "@{name}"),
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

    /// The highest role of a user who is in these groups.
    pub fn role(&self, user: &str, groups: &[String]) -> Option<Role> {
        let meant = |principal: &Principal| match principal {
            Principal::User(name) => name == user,
            Principal::Group(name) => groups.contains(name),
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
}
