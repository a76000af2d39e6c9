//! What a test needs from the machine, and the one way to skip a test that does not have it.

use std::io::{self, Write as _};
use std::path::Path;

/// Set to `1` (as `.ci/run` does), it turns every skip into a failure.
pub const REQUIRE_ALL: &str = "RINGWALL_REQUIRE_ALL";

/// The capabilities that namespaces, XDP programs and AF_XDP sockets need, as bits of `CapEff`.
const CAPABILITIES: [(&str, u32); 3] = [("NET_ADMIN", 12), ("NET_RAW", 13), ("SYS_ADMIN", 21)];

/// Returns from the test, with a `SKIPPED` line, unless every need is met.
///
/// The needs are values of `Result<(), String>`, as [`root()`] and [`tool()`] give.
/// With `RINGWALL_REQUIRE_ALL=1` the test fails instead.
#[macro_export]
macro_rules! require {
    ($($need:expr),+ $(,)?) => {
        $(if let Err(missing) = $need {
            return $crate::skip(&missing);
        })+
    };
}

/// The process may make namespaces and interfaces, and load programs into the kernel.
pub fn root() -> Result<(), String> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .ok_or("no CapEff line in /proc/self/status")?;
    match CAPABILITIES.iter().find(|(_, bit)| effective >> bit & 1 == 0) {
        None => Ok(()),
        Some((name, _)) => Err(format!("needs root (the capability {name} is missing)")),
    }
}

/// The program is on the path, or in one of the directories where root's programs are.
pub fn tool(name: &str) -> Result<(), String> {
    let path = std::env::var("PATH").unwrap_or_default();
    let found = path
        .split(':')
        .chain(["/usr/sbin", "/sbin"])
        .any(|directory| Path::new(directory).join(name).is_file());
    if found { Ok(()) } else { Err(format!("needs the program `{name}`")) }
}

/// Says that the running test is skipped, and why; [`require!`] calls it.
///
/// Written past the test runner's capture, so that it is seen without `--nocapture`.
///
/// # Panics
/// With `RINGWALL_REQUIRE_ALL=1`.
#[track_caller]
pub fn skip(why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let all = std::env::var(REQUIRE_ALL).is_ok_and(|value| value == "1");
    assert!(!all, "{test} may not be skipped with {REQUIRE_ALL}=1: {why}");
    announce(test, why);
}

/// Prints the line itself.
pub(crate) fn announce(test: &str, why: &str) {
    // A line that cannot be written must not fail the test.
    let _ = writeln!(io::stderr(), "SKIPPED {test}: {why}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_shell_and_misses_a_fantasy() {
        assert_eq!(tool("sh"), Ok(()));
        assert_eq!(tool("no-such-program"), Err("needs the program `no-such-program`".into()));
    }

    #[test]
    fn root_names_the_missing_capability() {
        if let Err(why) = root() {
            assert!(why.contains("capability"), "{why}");
        }
    }
}
