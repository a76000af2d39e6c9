//! Capabilities: what the daemon needs it keeps, the rest of root's it gives up.

use caps::errors::CapsError;
use caps::{CapSet, Capability, CapsHashSet};

use super::RunError;

/// What a running firewall needs, and for what.
pub(super) const FIREWALL: [Capability; 6] = [
    Capability::CAP_NET_ADMIN, // XDP links, routes and neighbours by netlink, busy polling
    Capability::CAP_NET_RAW,   // AF_XDP sockets
    Capability::CAP_BPF,       // maps, and programs when a port comes back
    Capability::CAP_PERFMON,   // programs that compare packet pointers
    Capability::CAP_IPC_LOCK,  // UMEM beyond the limit of locked memory
    Capability::CAP_SYS_NICE,  // real-time threads
];

/// What a witness needs where the kernel asks for it; it runs without, if it must.
pub(super) const WITNESS: [Capability; 2] = [
    Capability::CAP_NET_RAW, // a socket bound to the fabric's interface, before Linux 5.7
    Capability::CAP_SYS_NICE, // the real-time thread
];

/// What no firewall works without.
const REQUIRED: [Capability; 3] =
    [Capability::CAP_NET_ADMIN, Capability::CAP_NET_RAW, Capability::CAP_BPF];

/// Checks that the process may do its work at all.
pub(super) fn required() -> Result<(), RunError> {
    let had = caps::read(None, CapSet::Effective).map_err(RunError::Capabilities)?;
    match REQUIRED.iter().find(|needed| !had.contains(needed)) {
        Some(missing) => Err(RunError::Privileges { missing: missing.to_string() }),
        None => Ok(()),
    }
}

/// Gives up everything but what is `needed`, in this thread and those that it starts. Returns the names of
/// what is left.
pub(super) fn keep(needed: &[Capability]) -> Result<Vec<String>, CapsError> {
    let had = caps::read(None, CapSet::Permitted)?;
    let kept: CapsHashSet = needed.iter().filter(|it| had.contains(it)).copied().collect();
    // The bounding set first, as long as SETPCAP is there: what we start could not get more either.
    if had.contains(&Capability::CAP_SETPCAP) {
        for bound in caps::read(None, CapSet::Bounding)?.difference(&kept) {
            caps::drop(None, CapSet::Bounding, *bound)?;
        }
    }
    caps::clear(None, CapSet::Ambient)?;
    caps::set(None, CapSet::Inheritable, &CapsHashSet::new())?;
    caps::set(None, CapSet::Effective, &kept)?;
    caps::set(None, CapSet::Permitted, &kept)?;
    let mut names: Vec<String> = kept.iter().map(ToString::to_string).collect();
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::{FIREWALL, WITNESS, keep};
    use caps::{CapSet, Capability, CapsHashSet};

    /// Capabilities belong to threads: this one ends with the test.
    #[test]
    fn a_thread_keeps_no_more_than_it_needs() {
        let check = |needed: &[Capability]| {
            let had = caps::read(None, CapSet::Permitted).unwrap();
            let names = keep(needed).unwrap();
            let left = caps::read(None, CapSet::Permitted).unwrap();
            let expected: CapsHashSet =
                needed.iter().filter(|cap| had.contains(cap)).copied().collect();
            assert_eq!((&left, left.len()), (&expected, names.len()));
            assert_eq!(caps::read(None, CapSet::Effective).unwrap(), expected);
            assert!(caps::read(None, CapSet::Ambient).unwrap().is_empty());
        };
        std::thread::spawn(move || check(&FIREWALL)).join().unwrap();
        std::thread::spawn(move || check(&WITNESS)).join().unwrap();
    }
}
