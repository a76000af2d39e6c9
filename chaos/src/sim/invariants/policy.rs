//! What the policy denies never passes. The policy is told here once more, in the plainest way.

use super::super::topology::{Revision, service};

pub(crate) const NAME: &str = "policy";

/// A transit frame leaves: from which side its flow's client is, to which service, under which
/// policy. `tcp`: the protocol.
pub(crate) fn forwards(side: usize, service: u16, tcp: bool, revision: Revision) -> Option<String> {
    let permitted = match (side, tcp, service) {
        (0, true, service::WEB) | (1, true, service::MAIL) => true,
        (0, false, service::ECHO | service::HASTY) | (0, _, service::SHARED..) => true,
        (0, false, service::SOMETIMES) => revision.permits_the_sometimes_denied(),
        _ => false,
    };
    (!permitted).then(|| {
        let protocol = if tcp { "tcp" } else { "udp" };
        format!("{protocol}/{service} from side {side} passed under revision {}", revision.0)
    })
}
