//! What became of every frame, as the program counts it.

use super::limits::CPU_WORDS;

/// One way a frame can go. The order is that of `enum stat` in the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stat {
    /// Handed to an AF_XDP socket (which counts by itself what it had no room for).
    ToWorker,
    /// IP for the host, allowed.
    ToHost,
    /// ARP, neighbour discovery, MLD, IGMP: to the kernel.
    LinkControl,
    /// IP for the host, not allowed.
    HostDenied,
    /// Transit without a valid lease.
    LeaseExpired,
    /// To an address of the cluster's (VIP), or asking for one by ARP or neighbour discovery, without
    /// a valid lease.
    VipWithoutLease,
    /// Transit, and no socket on this port and queue.
    NoWorker,
    /// IP for the host whose headers are cut off or endless.
    Malformed,
    /// Sent to another station's MAC, or routed IP sent to all stations.
    NotForUs,
    /// IP from a source that is blocked for a time.
    Blocked,
    /// A SYN to a guarded destination: its SYN-ACK went back.
    SynAnswered,
    /// Arrived by an interface that is not configured.
    NoPort,
}

impl Stat {
    pub const ALL: [Self; 12] = [
        Self::ToWorker,
        Self::ToHost,
        Self::LinkControl,
        Self::HostDenied,
        Self::LeaseExpired,
        Self::VipWithoutLease,
        Self::NoWorker,
        Self::Malformed,
        Self::NotForUs,
        Self::Blocked,
        Self::SynAnswered,
        Self::NoPort,
    ];

    /// The name in counters and reasons, for instance `host-denied`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ToWorker => "to-worker",
            Self::ToHost => "to-host",
            Self::LinkControl => "link-control",
            Self::HostDenied => "host-denied",
            Self::LeaseExpired => "lease-expired",
            Self::VipWithoutLease => "vip-without-lease",
            Self::NoWorker => "no-worker",
            Self::Malformed => "malformed",
            Self::NotForUs => "not-for-us",
            Self::Blocked => "blocked",
            Self::SynAnswered => "syn-answered",
            Self::NoPort => "no-port",
        }
    }

    /// True if the frame went nowhere.
    pub const fn is_drop(self) -> bool {
        match self {
            Self::ToWorker | Self::ToHost | Self::LinkControl | Self::SynAnswered => false,
            Self::HostDenied
            | Self::LeaseExpired
            | Self::VipWithoutLease
            | Self::NoWorker
            | Self::Malformed
            | Self::NotForUs
            | Self::Blocked
            | Self::NoPort => true,
        }
    }
}

/// Frames by what became of them. Every frame is in exactly one of the numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats([u64; Stat::ALL.len()]);

impl Stats {
    pub const fn get(&self, stat: Stat) -> u64 {
        self.0[stat as usize]
    }

    /// All numbers, in the order of [`Stat::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Stat, u64)> {
        Stat::ALL.into_iter().zip(self.0)
    }

    /// Frames seen: the sum of all numbers.
    pub fn received(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Adds one CPU's counters.
    pub(super) fn add(&mut self, cpu: &[u64; CPU_WORDS]) {
        for stat in Stat::ALL {
            self.0[stat as usize] += cpu[stat as usize];
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::xdp::limits::{
        COUNTERS, FILTER_WORDS, MAX_ADDRESSES, MAX_BLOCKED, MAX_FORWARDED, MAX_GUARDED, MAX_PORTS,
        MAX_QUEUES, NAT_PORTS, SERVICE_WORDS, SLOTS,
    };
    use crate::xdp::port::{NAT_ALL, NAT_FORWARDED, NAT_RANGE, OWN, VIP};

    const SOURCE: &str = concat!(
        include_str!("../../bpf/ringwall.c"),
        include_str!("../../bpf/cookie.h"),
        include_str!("../../bpf/nat.h")
    );

    /// The members of an enum of the program, in order.
    fn members(name: &str) -> Vec<String> {
        let start = SOURCE.find(&format!("enum {name} {{")).unwrap();
        let body = &SOURCE[start..start + SOURCE[start..].find("};").unwrap()];
        let lines = body.lines().skip(1);
        lines.map(|line| line.trim().split(',').next().unwrap().to_owned()).collect()
    }

    fn constant(name: &str) -> usize {
        let define = format!("#define {name} ");
        let line = SOURCE.lines().find_map(|line| line.strip_prefix(&define)).unwrap();
        line.split("//").next().unwrap().trim().parse().unwrap()
    }

    #[test]
    fn the_program_counts_by_the_same_names_in_the_same_order() {
        let ours: Vec<String> = Stat::ALL
            .iter()
            .map(|stat| format!("STAT_{}", stat.name().replace('-', "_").to_uppercase()))
            .chain(["STATS".to_owned()])
            .collect();
        assert_eq!(members("stat"), ours);
        for (index, stat) in (0..).zip(Stat::ALL) {
            assert_eq!(stat as usize, index);
        }
    }

    #[test]
    fn the_program_has_the_same_limits() {
        assert_eq!(constant("MAX_PORTS"), usize::from(MAX_PORTS));
        assert_eq!(constant("MAX_QUEUES"), usize::from(MAX_QUEUES));
        assert_eq!(constant("MAX_ADDRESSES"), usize::try_from(MAX_ADDRESSES).unwrap());
        assert_eq!(constant("SERVICE_WORDS"), SERVICE_WORDS);
        assert_eq!(constant("FILTER_WORDS"), FILTER_WORDS);
        assert_eq!(constant("SLOTS"), usize::try_from(SLOTS).unwrap());
        assert_eq!(constant("MAX_BLOCKED"), MAX_BLOCKED);
        assert_eq!(constant("COUNTERS"), COUNTERS);
        assert_eq!(constant("MAX_GUARDED"), MAX_GUARDED);
        assert_eq!(constant("MAX_FORWARDED"), MAX_FORWARDED);
        let range = constant("NAT_FIRST")..=constant("NAT_LAST");
        assert_eq!(range, usize::from(*NAT_PORTS.start())..=usize::from(*NAT_PORTS.end()));
        assert_eq!(range.count(), 15 * usize::from(wire::SLOTS));
        assert_eq!(constant("SCALE"), usize::from(wire::cookie::SCALE));
    }

    #[test]
    fn the_program_has_the_same_bits_of_an_address() {
        for (name, bit) in [
            ("OWN", OWN),
            ("VIP", VIP),
            ("NAT_ALL", NAT_ALL),
            ("NAT_RANGE", NAT_RANGE),
            ("NAT_FORWARDED", NAT_FORWARDED),
        ] {
            assert_eq!(constant(name), usize::from(bit), "{name}");
        }
    }

    #[test]
    fn numbers_add_up() {
        let mut stats = Stats::default();
        let mut cpu = [1000; CPU_WORDS];
        for (value, word) in (1..).zip(&mut cpu[..Stat::ALL.len()]) {
            *word = value;
        }
        stats.add(&cpu);
        stats.add(&cpu);
        assert_eq!(stats.received(), 156);
        assert_eq!(stats.get(Stat::NoPort), 24);
        assert_eq!(stats.iter().filter(|(stat, _)| stat.is_drop()).count(), 8);
    }
}
