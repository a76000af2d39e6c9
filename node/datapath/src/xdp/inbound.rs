//! What may reach the host itself by a port, compiled to a bitmap per protocol; so is what is forwarded.

use std::collections::BTreeMap;
use std::fmt;

use config::Service;

use super::limits::SERVICE_WORDS;

/// `struct service_key` of the program: port u16, protocol u8, zero.
pub(super) type ServiceKey = [u8; 4];

/// `struct services` of the program: a bit per service number.
pub(super) type ServiceWords = [u64; SERVICE_WORDS];

const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// The services that may reach the host by one port; the default is none.
pub type HostInbound = ServiceSet;

/// A set of services; the default is none.
///
/// A service number is the destination port of TCP, UDP and SCTP, type × 256 + code of ICMP, and 0
/// for any other protocol.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ServiceSet {
    protocols: BTreeMap<u8, Box<ServiceWords>>,
}

impl ServiceSet {
    /// No service.
    pub fn new() -> Self {
        Self::default()
    }

    /// Compiles a policy's services.
    ///
    /// # Errors
    /// [`Unsupported`] for a service that names source ports: this table sees destinations only,
    /// and to ignore them would allow more than was asked for.
    pub fn from_services(services: &[Service]) -> Result<Self, Unsupported> {
        let mut inbound = Self::new();
        for service in services {
            inbound.allow(service)?;
        }
        Ok(inbound)
    }

    /// Allows one more service.
    ///
    /// # Errors
    /// [`Unsupported`], as [`Self::from_services`].
    pub fn allow(&mut self, service: &Service) -> Result<(), Unsupported> {
        if service.source_ports.is_some_and(|range| range != (0, u16::MAX)) {
            return Err(Unsupported { service: *service });
        }
        let (first, last) = match service.protocol {
            TCP | UDP | SCTP => service.destination_ports.unwrap_or((0, u16::MAX)),
            ICMP | ICMPV6 => icmp_numbers(service.icmp),
            _ => (0, 0),
        };
        self.allow_numbers(service.protocol, first, last);
        Ok(())
    }

    /// Allows the inclusive range of service numbers of a protocol.
    pub fn allow_numbers(&mut self, protocol: u8, first: u16, last: u16) {
        let words = self.protocols.entry(protocol).or_insert_with(|| Box::new([0; SERVICE_WORDS]));
        for number in first..=last {
            words[usize::from(number / 64)] |= 1 << (number % 64);
        }
    }

    /// Whether a packet with this protocol and service number is of one of the services.
    pub fn allows(&self, protocol: u8, number: u16) -> bool {
        let words = self.protocols.get(&protocol);
        words.is_some_and(|words| words[usize::from(number / 64)] >> (number % 64) & 1 == 1)
    }

    /// The services by protocol.
    pub(super) fn protocols(&self) -> impl Iterator<Item = (u8, &ServiceWords)> {
        self.protocols.iter().map(|(protocol, words)| (*protocol, &**words))
    }

    /// The map entries of port number `port`.
    pub(super) fn entries(&self, port: u16) -> impl Iterator<Item = (ServiceKey, &ServiceWords)> {
        let [low, high] = port.to_ne_bytes();
        self.protocols().map(move |(protocol, words)| ([low, high, protocol, 0], words))
    }
}

/// The port number in a map key.
pub(super) fn port_of(key: ServiceKey) -> u16 {
    u16::from_ne_bytes([key[0], key[1]])
}

/// The numbers of an ICMP type with all its codes, of one code, or of everything.
fn icmp_numbers(icmp: Option<(u8, Option<u8>)>) -> (u16, u16) {
    match icmp {
        None => (0, u16::MAX),
        Some((kind, None)) => (u16::from_be_bytes([kind, 0]), u16::from_be_bytes([kind, 255])),
        Some((kind, Some(code))) => {
            let number = u16::from_be_bytes([kind, code]);
            (number, number)
        }
    }
}

impl fmt::Debug for ServiceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |words: &ServiceWords| words.iter().map(|word| word.count_ones()).sum::<u32>();
        let numbers = self.protocols.iter().map(|(protocol, words)| (protocol, count(words)));
        f.debug_map().entries(numbers).finish()
    }
}

/// A host-inbound service that the program cannot tell from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsupported {
    pub service: Service,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = self.service.source_ports.unwrap_or_default();
        write!(f, "host-inbound cannot match source ports ({first}-{last})")
    }
}

impl std::error::Error for Unsupported {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn service(protocol: u8, ports: Option<(u16, u16)>, icmp: Option<(u8, Option<u8>)>) -> Service {
        Service { destination_ports: ports, icmp, ..Service::of_protocol(protocol) }
    }

    #[test]
    fn ranges_allow_their_ends_and_not_their_neighbours() {
        let services = [service(TCP, Some((63, 128)), None), service(UDP, Some((0, 0)), None)];
        let inbound = HostInbound::from_services(&services).unwrap();
        let allowed: Vec<u16> = (0..=u16::MAX).filter(|port| inbound.allows(TCP, *port)).collect();
        assert_eq!(allowed, (63..=128).collect::<Vec<u16>>());
        assert!(inbound.allows(UDP, 0) && !inbound.allows(UDP, 1) && !inbound.allows(SCTP, 63));
        assert!(
            HostInbound::from_services(&[service(TCP, None, None)]).unwrap().allows(TCP, 65535)
        );
    }

    #[test]
    fn icmp_is_by_type_and_code() {
        let services =
            [service(ICMP, None, Some((8, None))), service(ICMP, None, Some((3, Some(4))))];
        let inbound = HostInbound::from_services(&services).unwrap();
        for (kind, code, allowed) in [(8, 0, true), (8, 255, true), (3, 4, true), (3, 3, false)] {
            assert_eq!(inbound.allows(ICMP, u16::from_be_bytes([kind, code])), allowed);
        }
        assert!(!inbound.allows(ICMPV6, 0x0800));
    }

    #[test]
    fn source_ports_are_refused_and_not_ignored() {
        let narrow = Service { source_ports: Some((53, 53)), ..Service::of_protocol(UDP) };
        let refused = HostInbound::from_services(&[narrow]).unwrap_err();
        assert_eq!(refused.to_string(), "host-inbound cannot match source ports (53-53)");
        let any = Service { source_ports: Some((0, u16::MAX)), ..Service::of_protocol(UDP) };
        assert!(HostInbound::from_services(&[any]).unwrap().allows(UDP, 9));
    }

    #[test]
    fn other_protocols_are_all_or_nothing() {
        let inbound = HostInbound::from_services(&[Service::of_protocol(89)]).unwrap();
        assert!(inbound.allows(89, 0) && !inbound.allows(112, 0));
        assert_eq!(inbound.entries(258).map(|(key, _)| port_of(key)).collect::<Vec<_>>(), [258]);
    }
}
