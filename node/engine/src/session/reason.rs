//! Why sessions end.

use std::fmt;

/// Declares [`CloseReason`] with its names and help texts, so that they cannot differ.
macro_rules! close_reasons {
    ($(#[doc = $text:literal] $variant:ident = $name:literal,)+) => {
        /// The cause of a session's end; every session has exactly one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum CloseReason {
            $(#[doc = $text] $variant,)+
        }

        impl CloseReason {
            /// Every reason, in the order of counters.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The number of reasons: the length of a counter array.
            pub const COUNT: usize = Self::ALL.len();

            /// The name in logs, counters and JSON.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What happened.
            #[must_use]
            pub const fn explain(self) -> &'static str {
                match self { $(Self::$variant => $text.trim_ascii(),)+ }
            }
        }
    };
}

close_reasons! {
    /// No packet came for as long as its state allows.
    Timeout = "timeout",
    /// Both TCP peers closed it, and the time for stray segments has passed.
    TcpFin = "tcp-fin",
    /// A TCP peer reset it.
    TcpRst = "tcp-rst",
    /// A new TCP connection took its five-tuple.
    Reopened = "reopened",
    /// An operator cleared it.
    Cleared = "cleared",
    /// The policy in force no longer permits it.
    Policy = "policy",
    /// A port that it used went away.
    PortGone = "port-gone",
    /// A full table gave its place to another session.
    Evicted = "evicted",
    /// Its packet made the flow actor panic, and its state could not be trusted afterwards.
    Poison = "poison",
    /// The node stopped.
    Shutdown = "shutdown",
    /// Two nodes had opened the same flow, and the other one's session stayed.
    Conflict = "conflict",
    /// Its last query of DNS was answered.
    Answered = "answered",
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
