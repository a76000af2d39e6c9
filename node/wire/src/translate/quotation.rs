//! ICMP errors about translated packets (RFC 5508 §4).
use core::net::IpAddr;

use super::{Change, Delta, Ends, Place, Shape, Zero, goes_on, pseudo_delta, put_addresses};
use crate::bytes::{be16, chunk};
use crate::checksum::fold;
use crate::{Embedded, Packet, Version};
use crate::{icmp, ipv4, ipv6};

/// Gives an ICMP error, which `error` and `embedded` were parsed from `frame`, other addresses, and the
/// packet embedded in it other ends: what its receiver knows. All of the error's IP version; with
/// another, nothing is done.
///
/// The embedded packet's checksums are changed where their bytes are there, for some receivers look at
/// them (RFC 5508 §4.2), and the error's checksum counts all of it.
pub fn rewrite_quotation(
    frame: &mut [u8],
    error: &Packet,
    embedded: &Embedded,
    outer: (IpAddr, IpAddr),
    inner: &Ends,
) {
    let outer = Ends { source: (outer.0, 0), destination: (outer.1, 0) };
    let versions = [outer.source.0, outer.destination.0, inner.source.0, inner.destination.0];
    if versions.iter().any(|address| Version::of(*address) != error.version) {
        return;
    }
    let quoted = Place {
        version: embedded.version,
        network: embedded.network as usize,
        transport: embedded.transport as usize,
        end: embedded.end as usize,
        length: said_length(frame, embedded).filter(|_| embedded.fragment.is_none()),
        shape: Shape::of_embedded(embedded),
    };
    let old = Ends::of_embedded(embedded);
    let delta = Delta::between(&old, inner);
    let pseudo = match goes_on(frame, embedded.options, embedded.network) {
        true => pseudo_delta(&old, inner),
        false => delta,
    };
    let changed = u32::from(delta.header) + quoted.rewrite(frame, inner, pseudo);
    let pseudo = Delta::between(&Ends::of(error), &outer).header;
    let Some(bytes) = frame.get_mut(..error.end as usize) else { return };
    if put_addresses(bytes, error.version, error.network as usize, &outer).is_none() {
        return;
    }
    let mut change = Change { bytes, sum: 0 };
    let field = error.transport as usize + icmp::CHECKSUM;
    match error.version {
        Version::V4 => {
            change.checksum(error.network as usize + ipv4::CHECKSUM, pseudo, Zero::IsASum);
            change.checksum(field, fold(changed), Zero::IsASum);
        }
        Version::V6 => change.checksum(field, fold(changed + u32::from(pseudo)), Zero::IsASum),
    }
}

/// Bytes from the embedded transport header to where its packet ended, as the embedded IP header says.
pub(super) fn said_length(frame: &[u8], embedded: &Embedded) -> Option<usize> {
    let (network, headers) =
        (embedded.network as usize, (embedded.transport - embedded.network) as usize);
    let total = match embedded.version {
        Version::V4 => be16(chunk::<2>(frame, network + ipv4::TOTAL_LENGTH)?, 0).into(),
        Version::V6 => {
            let payload = be16(chunk::<2>(frame, network + ipv6::PAYLOAD_LENGTH)?, 0);
            usize::from(payload) + ipv6::HEADER_LEN
        }
    };
    total.checked_sub(headers)
}
