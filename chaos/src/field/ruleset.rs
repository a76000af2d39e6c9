//! A large policy: 10,000 rules and a list of 100,000 prefixes, for us and for nftables alike. None of them
//! is about what flows in the lab, and all stand before what lets it pass.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use crate::sim::dice::Dice;

/// Rules that are not about a list; two more are.
pub(crate) const RULES: u32 = 10_000;
/// Prefixes of the list.
pub(crate) const PREFIXES: u32 = 100_000;

/// One set of rules, in both languages.
#[derive(Debug)]
pub(crate) struct Ruleset {
    /// To stand before the other rules of a policy; it names the list [`Ruleset::LIST`].
    pub(crate) rules: String,
    /// The list, a prefix a line.
    pub(crate) list: String,
    /// A file for `nft -f`.
    pub(crate) nft: String,
}

/// A rule that is not about the list.
struct One {
    outward: bool,
    source: String,
    destination: String,
    tcp: bool,
    ports: (u64, u64),
    permit: bool,
}

impl One {
    /// Addresses of 172.16.0.0/12 and 192.168.0.0/16: nobody in the lab has one.
    fn new(dice: &mut Dice) -> Self {
        let mut prefix = || match dice.below(3) {
            0 => format!("172.{}.{}.0/24", dice.within(16..32), dice.below(256)),
            1 => format!("172.{}.0.0/16", dice.within(16..32)),
            _ => format!("192.168.{}.{}/32", dice.below(256), dice.below(256)),
        };
        let (source, destination) = (prefix(), prefix());
        let first = dice.within(1..60_000);
        let last = first + dice.below(2) * dice.below(1_000);
        let [outward, tcp, permit] = [(); 3].map(|()| dice.below(2) == 0);
        Self { outward, source, destination, tcp, ports: (first, last), permit }
    }

    fn ports(&self) -> String {
        match self.ports {
            (first, last) if first == last => first.to_string(),
            (first, last) => format!("{first}-{last}"),
        }
    }
}

impl Ruleset {
    /// Name of the list's file.
    pub(crate) const LIST: &'static str = "blocked.txt";

    /// The same for the same seed.
    pub(crate) fn new(seed: u64) -> Self {
        let (mut dice, prefixes) = (Dice::new(seed, 0), prefixes());
        let list = prefixes.iter().fold(String::new(), |list, prefix| list + prefix + "\n");
        let mut rules = String::from(
            "[[rule]]\nid = \"blocked-in\"\nfrom = \"untrust\"\nsource = [\"blocked\"]\n\
             action = \"deny\"\n\n[[rule]]\nid = \"blocked-out\"\nfrom = \"trust\"\n\
             destination = [\"blocked\"]\naction = \"deny\"\n\n",
        );
        let mut nft = format!(
            "table ip large {{\n set blocked {{\n  type ipv4_addr; flags interval\n  elements = {{ {} }}\n \
             }}\n chain forward {{\n  type filter hook forward priority 0; policy drop;\n  \
             iifname \"wan0\" ip saddr @blocked drop\n  iifname \"lan0\" ip daddr @blocked drop\n",
            prefixes.join(", ")
        );
        for number in 0..RULES {
            let it = One::new(&mut dice);
            it.ours(number, &mut rules);
            it.theirs(&mut nft);
        }
        Self { rules, list, nft: nft + " }\n}\n" }
    }

    /// Our policy: `policy` with the list and the rules in it, these first.
    pub(crate) fn policy(&self, policy: &str) -> String {
        let (before, after) = policy.split_once("[[rule]]").unwrap_or((policy, ""));
        let list = Self::LIST;
        let rules = &self.rules;
        format!("{before}[addresses]\nblocked = {{ file = \"{list}\" }}\n\n{rules}[[rule]]{after}")
    }
}

impl One {
    fn ours(&self, number: u32, text: &mut String) {
        let Self { source, destination, .. } = self;
        let (from, to) = if self.outward { ("trust", "untrust") } else { ("untrust", "trust") };
        let protocol = if self.tcp { "tcp" } else { "udp" };
        let (action, ports) = (if self.permit { "permit" } else { "deny" }, self.ports());
        write!(
            text,
            "[[rule]]\nid = \"r{number}\"\nfrom = \"{from}\"\nto = \"{to}\"\nsource = [\"{source}\"]\n\
             destination = [\"{destination}\"]\nservice = [\"{protocol}/{ports}\"]\n\
             action = \"{action}\"\n\n"
        )
        .expect("a string takes all");
    }

    fn theirs(&self, text: &mut String) {
        let Self { source, destination, .. } = self;
        let (from, to) = if self.outward { ("lan0", "wan0") } else { ("wan0", "lan0") };
        let protocol = if self.tcp { "tcp" } else { "udp" };
        let (action, ports) = (if self.permit { "accept" } else { "drop" }, self.ports());
        writeln!(
            text,
            "  iifname \"{from}\" oifname \"{to}\" ip saddr {source} ip daddr {destination} \
             {protocol} dport {ports} {action}"
        )
        .expect("a string takes all");
    }
}

/// From 11.0.0.0 on, one in each 1,024 addresses, so that none are adjacent; of /24 and longer.
fn prefixes() -> Vec<String> {
    let first = u32::from(Ipv4Addr::new(11, 0, 0, 0));
    let prefix = |number: u32| {
        let address = Ipv4Addr::from(first + number * 1_024);
        format!("{address}/{}", 24 + number % 9)
    };
    (0..PREFIXES).map(prefix).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_policy_of_that_size() {
        let it = Ruleset::new(1);
        let text = it.policy(&super::super::pair::policy());
        let mut load = |name: &str| {
            assert_eq!(name, Ruleset::LIST);
            Ok(it.list.clone())
        };
        let policy = config::parse_policy("large.toml", &text, &mut load).expect("a policy").value;
        assert_eq!(policy.rules.len() as u32, RULES + 3);
        assert_eq!(policy.rules.last().map(|rule| rule.id.as_str()), Some("services"));
        let blocked = policy.sets.iter().find(|it| it.name.as_deref() == Some("blocked"));
        assert_eq!(blocked.map(|it| it.v4.len() as u32), Some(PREFIXES));
    }
}
