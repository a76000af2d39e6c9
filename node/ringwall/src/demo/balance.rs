//! The daemon's counters: the law of conservation, and the drops that must have happened.

use std::collections::BTreeMap;

use config::api::Counters;

use super::report::Seen;

/// Packets by what became of them.
type Packets = BTreeMap<String, u64>;

const TAKEN: [&str; 3] = ["received", "handed-in", "passed-in"];
const GIVEN: [&str; 6] = ["forwarded", "answered", "consumed", "held", "handed-out", "passed-on"];
const DROPPED: &str = "dropped.";
/// What the steps before must have led to.
const EXPECTED: [&str; 4] = ["forwarded", "answered", "dropped.denied", "dropped.no-rule"];
/// What a packet of a connection that the commit ended may be: the one that the engine looked at it
/// for, or one that came after the sweep had ended it.
const CUT: [&str; 2] = ["dropped.policy-changed", "dropped.tcp-not-syn"];

/// Reads the output of `show counters --json`: what happened to packets, and whether it adds up.
pub(super) fn check(json: &str) -> Result<(Packets, Seen), String> {
    let counters: Counters = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let known =
        |name: &str| TAKEN.contains(&name) || GIVEN.contains(&name) || name.starts_with(DROPPED);
    let total = counters.total.into_iter();
    let packets: Packets = total.filter(|(name, count)| *count > 0 && known(name)).collect();
    let seen = verdict(&packets);
    Ok((packets, seen))
}

fn verdict(packets: &Packets) -> Seen {
    let count = |name: &str| packets.get(name).copied().unwrap_or(0);
    let sum = |names: &[&str]| names.iter().map(|name| count(name)).sum::<u64>();
    let drops = packets.iter().filter(|(name, _)| name.starts_with(DROPPED));
    let dropped: u64 = drops.map(|(_, count)| count).sum();
    let (taken, given) = (sum(&TAKEN), sum(&GIVEN) + dropped);
    if taken != given {
        return Err(format!("{taken} packets came in, {given} have a verdict"));
    }
    if let Some(missing) = EXPECTED.into_iter().find(|name| count(name) == 0) {
        return Err(format!("no packet was counted as {missing}"));
    }
    if sum(&CUT) == 0 {
        return Err(format!("no packet was counted as {}", CUT.join(" or ")));
    }
    let (forwarded, answered) = (count("forwarded"), count("answered"));
    Ok(format!("{taken} in, {forwarded} forwarded, {answered} answered, {dropped} dropped"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::check;

    const GOOD: &str = r#"{"total": {"received": 20, "forwarded": 10, "answered": 2, "held": 1,
        "dropped.denied": 4, "dropped.no-rule": 2, "dropped.policy-changed": 1,
        "dropped.land": 0, "xdp.passed": 9}, "workers": []}"#;

    #[test]
    fn what_adds_up_is_good() {
        let (packets, seen) = check(GOOD).unwrap();
        assert_eq!(packets.len(), 7);
        assert_eq!(seen.unwrap(), "20 in, 10 forwarded, 2 answered, 7 dropped");
    }

    #[test]
    fn a_lost_packet_and_a_drop_that_did_not_happen_are_noticed() {
        let lost = check(&GOOD.replace("\"received\": 20", "\"received\": 21")).unwrap().1;
        assert_eq!(lost.unwrap_err(), "21 packets came in, 20 have a verdict");
        let missing = GOOD.replace("dropped.denied", "dropped.land");
        let missing = check(&missing.replace("land\": 0", "x\": 0")).unwrap().1;
        assert_eq!(missing.unwrap_err(), "no packet was counted as dropped.denied");
        let uncut = GOOD.replace("dropped.policy-changed", "dropped.land");
        let uncut = check(&uncut.replace("land\": 0", "x\": 0")).unwrap().1;
        assert!(
            uncut.unwrap_err().starts_with("no packet was counted as dropped.policy-changed or")
        );
        assert!(check("{").is_err());
    }
}
