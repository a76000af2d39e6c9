//! Addresses as text: `10.0.0.1`, `10.0.0.0/8`, `10.0.0.1-10.0.0.9`, and the same in IPv6.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An inclusive range of one address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressRange {
    V4(u32, u32),
    V6(u128, u128),
}

/// Why a text is no address, prefix or range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressError {
    NotAnAddress,
    PrefixLength { most: u8 },
    HostBits { network: IpAddr, length: u8 },
    Reversed { first: IpAddr, last: IpAddr },
    MixedFamilies,
}

impl AddressRange {
    pub(crate) fn parse(text: &str) -> Result<Self, AddressError> {
        if let Some((address, length)) = text.split_once('/') {
            return prefix(parse_ip(address)?, length);
        }
        match text.split_once('-') {
            Some((first, last)) => range(parse_ip(first.trim())?, parse_ip(last.trim())?),
            None => parse_ip(text).map(single),
        }
    }

    /// True if some address is in both.
    pub(crate) fn touches(self, other: Self) -> bool {
        match (self, other) {
            (Self::V4(first, last), Self::V4(other_first, other_last)) => {
                first <= other_last && other_first <= last
            }
            (Self::V6(first, last), Self::V6(other_first, other_last)) => {
                first <= other_last && other_first <= last
            }
            (Self::V4(..), Self::V6(..)) | (Self::V6(..), Self::V4(..)) => false,
        }
    }
}

/// True if `text` can only be meant as an address: a name starts with a letter and has no colon.
pub(crate) fn looks_like_address(text: &str) -> bool {
    text.contains(':') || text.starts_with(|first: char| first.is_ascii_digit())
}

fn parse_ip(text: &str) -> Result<IpAddr, AddressError> {
    text.parse().map_err(|_| AddressError::NotAnAddress)
}

fn single(address: IpAddr) -> AddressRange {
    match address {
        IpAddr::V4(address) => AddressRange::V4(address.to_bits(), address.to_bits()),
        IpAddr::V6(address) => AddressRange::V6(address.to_bits(), address.to_bits()),
    }
}

fn prefix(address: IpAddr, length: &str) -> Result<AddressRange, AddressError> {
    let most = if address.is_ipv4() { 32 } else { 128 };
    let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    let length: Option<u8> = length.parse().ok().filter(|length| digits && *length <= most);
    let Some(length) = length else { return Err(AddressError::PrefixLength { most }) };
    let (range, network) = match address {
        IpAddr::V4(address) => {
            let host = u32::MAX.checked_shr(length.into()).unwrap_or(0);
            let network = address.to_bits() & !host;
            (AddressRange::V4(network, network | host), Ipv4Addr::from_bits(network).into())
        }
        IpAddr::V6(address) => {
            let host = u128::MAX.checked_shr(length.into()).unwrap_or(0);
            let network = address.to_bits() & !host;
            (AddressRange::V6(network, network | host), Ipv6Addr::from_bits(network).into())
        }
    };
    if network == address { Ok(range) } else { Err(AddressError::HostBits { network, length }) }
}

fn range(first: IpAddr, last: IpAddr) -> Result<AddressRange, AddressError> {
    match (first, last) {
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {
            Err(AddressError::MixedFamilies)
        }
        _ if first > last => Err(AddressError::Reversed { first, last }),
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            Ok(AddressRange::V4(first.to_bits(), last.to_bits()))
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => {
            Ok(AddressRange::V6(first.to_bits(), last.to_bits()))
        }
    }
}

impl AddressError {
    /// What to do about it.
    pub(crate) fn hint(self) -> String {
        match self {
            Self::NotAnAddress => {
                "an address, a prefix such as 10.0.0.0/8, or a range such as 10.0.0.1-10.0.0.9"
                    .to_owned()
            }
            Self::PrefixLength { most } => format!("the length is a number from 0 to {most}"),
            Self::HostBits { network, length } => {
                format!("the prefix is {network}/{length}")
            }
            Self::Reversed { first, last } => format!("the range is {last}-{first}"),
            Self::MixedFamilies => "both ends are IPv4 or both are IPv6".to_owned(),
        }
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAnAddress => "is not an address",
            Self::PrefixLength { .. } => "has a bad prefix length",
            Self::HostBits { .. } => "has bits set beyond its prefix length",
            Self::Reversed { .. } => "ends before it starts",
            Self::MixedFamilies => "mixes IPv4 and IPv6",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(text: &str) -> u32 {
        text.parse::<Ipv4Addr>().expect("test address").to_bits()
    }

    #[test]
    fn every_form_is_an_inclusive_range() {
        let parse = |text| AddressRange::parse(text).expect(text);
        assert_eq!(parse("10.0.0.1"), AddressRange::V4(v4("10.0.0.1"), v4("10.0.0.1")));
        assert_eq!(parse("0.0.0.0/0"), AddressRange::V4(0, u32::MAX));
        assert_eq!(parse("10.0.0.0/8"), AddressRange::V4(v4("10.0.0.0"), v4("10.255.255.255")));
        assert_eq!(parse("10.0.0.7/32"), AddressRange::V4(v4("10.0.0.7"), v4("10.0.0.7")));
        assert_eq!(parse("10.0.0.1 - 10.0.0.9"), parse("10.0.0.1-10.0.0.9"));
        assert_eq!(parse("::/0"), AddressRange::V6(0, u128::MAX));
        assert_eq!(parse("::1/128"), AddressRange::V6(1, 1));
        assert_eq!(parse("::1-::9"), AddressRange::V6(1, 9));
    }

    #[test]
    fn every_fault_has_its_name() {
        let error = |text| AddressRange::parse(text).expect_err(text);
        for text in ["", "10.0.0", "10.0.0.256", "fe80::1%eth0", "10.0.0.1-", "a/8", " 10.0.0.1"] {
            assert_eq!(error(text), AddressError::NotAnAddress, "{text}");
        }
        for text in ["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/8/8"] {
            assert_eq!(error(text), AddressError::PrefixLength { most: 32 }, "{text}");
        }
        assert_eq!(error("::/129"), AddressError::PrefixLength { most: 128 });
        assert_eq!(error("10.0.0.1/8").hint(), "the prefix is 10.0.0.0/8");
        assert_eq!(error("2001:db8::1/32").hint(), "the prefix is 2001:db8::/32");
        assert_eq!(error("10.0.0.9-10.0.0.1").hint(), "the range is 10.0.0.1-10.0.0.9");
        assert_eq!(error("10.0.0.1-::1"), AddressError::MixedFamilies);
    }
}
