//! Names for things that the packet path counts by: ports, zones and rules.

/// A port of the datapath, by its place in the node file (0 is the first `[[port]]`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(pub u16);

/// A zone of the policy in force, by its place in the policy file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ZoneId(pub u16);

/// A rule of the policy in force, by its place in the policy file. Stable within an epoch;
/// `Policy::map_from` carries it to the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleIndex(pub u32);

impl PortId {
    /// The port as an index into a slice of ports.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl ZoneId {
    /// The zone as an index into a slice of zones.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl RuleIndex {
    /// The rule as an index into a slice of rules.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}
