//! Whether there is memory for a policy, asked before it is compiled: a node that runs out of it while it
//! forwards is worse than a commit that is refused.

use std::fmt;

use super::limits::{MEMORY_PER_BYTE, MEMORY_SPARE};

/// There is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoRoom {
    needed: u64,
    available: u64,
}

/// Checks that a text of so many bytes can be compiled, with what the kernel says is available.
///
/// # Errors
/// There is too little memory.
pub(super) fn check(text_bytes: usize) -> Result<(), NoRoom> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    // A kernel that does not tell refuses nothing.
    available(&meminfo).map_or(Ok(()), |available| fits(text_bytes, available))
}

fn fits(text_bytes: usize, available: u64) -> Result<(), NoRoom> {
    let needed = MEMORY_SPARE + text_bytes as u64 * MEMORY_PER_BYTE;
    if needed <= available { Ok(()) } else { Err(NoRoom { needed, available }) }
}

/// Bytes.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1_024)
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [needed, available] = [self.needed, self.available].map(|bytes| bytes >> 20);
        write!(f, "too little memory: {available} MiB are available, it may need {needed} MiB")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_needs_a_multiple_of_itself_and_some_to_spare() {
        let text = 5 << 20;
        let needed = MEMORY_SPARE + MEMORY_PER_BYTE * text as u64;
        assert_eq!(fits(text, needed), Ok(()));
        let error = fits(text, needed - 1).expect_err("a byte is missing");
        assert!(error.to_string().starts_with("too little memory: "), "{error}");
    }

    #[test]
    fn the_kernels_word_is_read() {
        let text = "MemTotal:       1000 kB\nMemAvailable:    512 kB\nBuffers: 3 kB\n";
        assert_eq!(available(text), Some(512 << 10));
        assert_eq!(available("MemTotal: 1 kB"), None);
    }
}
