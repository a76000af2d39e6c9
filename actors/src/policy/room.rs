//! Whether there is memory for a policy, asked before it is read and again before it is compiled: a node that
//! runs out of it while it forwards is worse than a commit that is refused.

mod kernel;
#[cfg(test)]
mod measured;

use std::fmt;

use super::limits::{
    MEMORY_COPIES, MEMORY_PER_RANGE, MEMORY_PER_RULE, MEMORY_PER_SERVICE, MEMORY_PER_TEXT_BYTE,
    MEMORY_SPARE,
};

/// What may be compiled at once where a policy is in force already.
pub(super) const BESIDE: u64 = MEMORY_COPIES;

/// At the start nothing else is, and nothing forwards yet.
pub(super) const ALONE: u64 = 1;

/// There is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoRoom {
    needed: u64,
    available: u64,
    /// The control group that has no more, if it is not the machine.
    group: Option<String>,
    size: Size,
}

/// What of a policy takes memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// Bytes of its text, with its lists.
    text: u64,
    /// Address ranges, rules, and services of rules, once it is read.
    ranges: u64,
    rules: u64,
    services: u64,
}

impl Size {
    /// Of a text that is to be read.
    pub(super) fn of_text(text: &str) -> Self {
        Self { text: text.len() as u64, ..Self::default() }
    }

    /// Of a policy that is to be compiled; what it takes as it is now is taken already.
    pub(super) fn of_policy(policy: &config::Policy) -> Self {
        let ranges = policy.sets.iter().map(|set| set.v4.len() + set.v6.len());
        let services = policy.rules.iter().map(|rule| rule.services.as_ref().map_or(1, Vec::len));
        let (ranges, services) = (ranges.sum::<usize>() as u64, services.sum::<usize>() as u64);
        Self { text: 0, ranges, rules: policy.rules.len() as u64, services }
    }

    /// Bytes of memory that it may take for a moment.
    fn bytes(&self) -> u64 {
        self.text * MEMORY_PER_TEXT_BYTE
            + self.ranges * MEMORY_PER_RANGE
            + self.rules * MEMORY_PER_RULE
            + self.services * MEMORY_PER_SERVICE
    }
}

/// Checks that so many of this size can be worked on at once, with what the kernel says is available.
///
/// # Errors
/// There is too little memory.
pub(super) fn check(size: Size, copies: u64) -> Result<(), NoRoom> {
    // A kernel that does not tell refuses nothing.
    kernel::room().map_or(Ok(()), |room| fits(size, copies, room))
}

fn fits(size: Size, copies: u64, room: kernel::Room) -> Result<(), NoRoom> {
    let needed = MEMORY_SPARE + copies * size.bytes();
    let kernel::Room { bytes: available, group } = room;
    if needed <= available { Ok(()) } else { Err(NoRoom { needed, available, group, size }) }
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { needed, available, group, size } = self;
        let (needed, available) = (needed.div_ceil(1 << 20), available >> 20);
        write!(f, "too little memory: {available} MiB are available")?;
        if let Some(group) = group {
            write!(f, " within the limit of the control group {group}")?;
        }
        write!(f, ", and the policy (")?;
        match size {
            Size { text, rules: 0, ranges: 0, .. } => {
                write!(f, "{} KiB of text", text.div_ceil(1_024))?
            }
            Size { rules, ranges, .. } => write!(f, "{rules} rules, {ranges} address ranges")?,
        }
        let advice = match group {
            Some(_) => "raise that limit (MemoryMax= of its unit)",
            None => "give this node more memory",
        };
        write!(
            f,
            ") may need {needed} MiB beside the one in force: {advice}, or shorten the policy"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::kernel::Room;
    use super::*;

    fn available(bytes: u64) -> Room {
        Room { bytes, group: None }
    }

    #[test]
    fn a_text_needs_a_multiple_of_itself_for_each_copy_and_some_to_spare() {
        let size = Size { text: 5 << 20, ..Size::default() };
        for copies in [ALONE, BESIDE] {
            let needed = MEMORY_SPARE + copies * MEMORY_PER_TEXT_BYTE * size.text;
            assert_eq!(fits(size, copies, available(needed)), Ok(()));
            assert!(fits(size, copies, available(needed - 1)).is_err());
        }
    }

    #[test]
    fn a_refusal_has_numbers_and_advice() {
        let size = Size { text: 5 << 20, ..Size::default() };
        let said = fits(size, 1, available(1 << 20)).expect_err("too little").to_string();
        assert!(said.starts_with("too little memory: 1 MiB are available, and"), "{said}");
        assert!(said.contains("5120 KiB of text") && said.contains("more memory"), "{said}");
        let size = Size { rules: 7, ranges: 9, services: 7, text: 0 };
        let room = Room { bytes: 0, group: Some("/a".to_owned()) };
        let said = fits(size, 1, room).expect_err("too little").to_string();
        assert!(said.contains("control group /a") && said.contains("MemoryMax="), "{said}");
        assert!(said.contains("7 rules, 9 address ranges"), "{said}");
    }

    #[test]
    fn a_policy_is_counted() {
        let text = "[zones]\na = [\"lan\"]\n[addresses]\nx = [\"10.0.0.0/8\", \"192.0.2.1\", \"fd00::/8\"]\n\
                    [[rule]]\nid = \"r\"\nfrom = \"a\"\nto = \"a\"\nsource = [\"x\"]\n\
                    service = [\"tcp/1\", \"udp/2\"]\naction = \"permit\"\n";
        let policy = super::super::compile::parse("p.toml", text, ALONE).expect("good").value;
        let counted = Size { text: 0, ranges: 3, rules: 1, services: 2 };
        assert_eq!(Size::of_policy(&policy), counted);
    }
}
