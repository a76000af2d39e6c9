//! What can go wrong, each with the request that failed.

use std::fmt;

use nix::errno::Errno;

/// Why a namespace, a link or an address could not be set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// A system call that makes, enters or names a namespace failed.
    Namespace { call: &'static str, errno: Errno },
    /// The kernel refused a netlink request (or the socket for it failed).
    Netlink { request: String, errno: Errno },
    /// The kernel's answer ended in the middle of a message or attribute.
    Truncated { request: String },
    /// Not an `ADDRESS/LENGTH` with a length that fits the address family.
    BadPrefix(String),
    /// Not an IP address.
    BadAddress(String),
    /// The namespace has no link of this name.
    NoLink { namespace: String, link: String },
    /// A link has no carrier or only tentative addresses after the time allowed.
    NotReady { namespace: String, link: String },
    /// A sysctl could not be read or written.
    Sysctl { key: String, reason: String },
}

impl Error {
    pub(crate) fn namespace(call: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| Self::Namespace { call, errno }
    }

    pub(crate) fn netlink(request: &str) -> impl Fn(Errno) -> Self + '_ {
        move |errno| Self::Netlink { request: request.to_owned(), errno }
    }

    /// The kernel's error number, if the kernel refused.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Namespace { errno, .. } | Self::Netlink { errno, .. } => Some(*errno),
            Self::Truncated { .. }
            | Self::BadPrefix(_)
            | Self::BadAddress(_)
            | Self::NoLink { .. }
            | Self::NotReady { .. }
            | Self::Sysctl { .. } => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespace { call, errno } => write!(f, "{call}: {}", errno.desc()),
            Self::Netlink { request, errno } => write!(f, "{request}: {}", errno.desc()),
            Self::Truncated { request } => write!(f, "{request}: truncated answer"),
            Self::BadPrefix(text) => write!(f, "`{text}` is not an address with a prefix length"),
            Self::BadAddress(text) => write!(f, "`{text}` is not an IP address"),
            Self::NoLink { namespace, link } => write!(f, "no link `{link}` in {namespace}"),
            Self::NotReady { namespace, link } => {
                write!(f, "link `{link}` in {namespace} did not become usable in time")
            }
            Self::Sysctl { key, reason } => write!(f, "sysctl {key}: {reason}"),
        }
    }
}

impl std::error::Error for Error {}
