//! `type = "static"` and `type = "nptv6"`: as many addresses outside as inside.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::ops::Range;

use crate::parse::address::AddressRange;
use crate::parse::fields::Fields;
use crate::parse::reader::{Reader, Value, quoted};
use crate::{NatKind, PrefixNat, StaticNat};

/// Bits that an NPTv6 prefix has at least: no network has a shorter one.
const NPT_LENGTH_MIN: u8 = 16;
/// And at most: of a /64 the identifiers still have room for the checksum (RFC 6296 §3.5).
const NPT_LENGTH_MAX: u8 = 64;

/// Both sides.
pub(super) struct Sides {
    pub(super) outside: Prefix,
    pub(super) inside: Prefix,
}

/// A prefix of the file.
pub(super) struct Prefix {
    pub(super) span: Range<usize>,
    pub(super) range: AddressRange,
    first: IpAddr,
    pub(super) length: u8,
}

impl Sides {
    /// `outside` and `inside`, alike in family and size.
    pub(super) fn parse(reader: &mut Reader<'_>, fields: &Fields<'_, '_>) -> Option<Self> {
        let outside = prefix(reader, fields, "outside");
        let inside = prefix(reader, fields, "inside");
        let sides = Self { outside: outside?, inside: inside? };
        sides.alike(reader).then_some(sides)
    }

    fn alike(&self, reader: &mut Reader<'_>) -> bool {
        let Self { outside, inside } = self;
        let hint = "each address outside stands for one inside";
        if outside.first.is_ipv4() != inside.first.is_ipv4() {
            reader.error_hint(&inside.span, "`inside` and `outside` differ in family", hint);
            return false;
        }
        if outside.length != inside.length {
            let message =
                format!("`outside` is a /{}, `inside` a /{}", outside.length, inside.length);
            reader.error_hint(&inside.span, message, hint);
            return false;
        }
        if outside.range.touches(inside.range) {
            let message = "`inside` and `outside` are the same addresses";
            reader.error_hint(&inside.span, message, "take the rule out: it would do nothing");
            return false;
        }
        true
    }

    pub(super) const fn r#static(&self, zone: Option<usize>) -> Option<NatKind> {
        let length = self.outside.length;
        let nat = match (self.outside.first, self.inside.first) {
            (IpAddr::V4(outside), IpAddr::V4(inside)) => {
                StaticNat::V4 { outside, inside, length, zone }
            }
            (IpAddr::V6(outside), IpAddr::V6(inside)) => {
                StaticNat::V6 { outside, inside, length, zone }
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return None,
        };
        Some(NatKind::Static(nat))
    }

    pub(super) fn nptv6(&self, reader: &mut Reader<'_>, zone: Option<usize>) -> Option<NatKind> {
        let Self { outside, inside } = self;
        let (IpAddr::V6(to), IpAddr::V6(of)) = (outside.first, inside.first) else {
            let hint = "a rule of type `static` translates IPv4";
            reader.error_hint(&outside.span, "nptv6 is of IPv6", hint);
            return None;
        };
        let length = outside.length;
        if !(NPT_LENGTH_MIN..=NPT_LENGTH_MAX).contains(&length) {
            let message =
                format!("a prefix of nptv6 has {NPT_LENGTH_MIN} to {NPT_LENGTH_MAX} bits");
            let hint = "a rule of type `static` translates longer ones, and keeps no checksum";
            reader.error_hint(&outside.span, message, hint);
            return None;
        }
        Some(NatKind::Prefix(PrefixNat { inside: of, outside: to, length, zone }))
    }
}

/// The prefix at `key`, which must be there. A single address is one, a range is none.
pub(super) fn prefix(
    reader: &mut Reader<'_>,
    fields: &Fields<'_, '_>,
    key: &str,
) -> Option<Prefix> {
    let text = fields.required_string(reader, key)?;
    let span = fields.get(key).map(Value::span)?;
    if text.contains('-') {
        let hint = "an address or a prefix such as 192.0.2.64/28";
        reader.error_hint(&span, format!("{} is no prefix", quoted(text)), hint);
        return None;
    }
    let range = super::range(reader, text, &span)?;
    let (first, length) = match range {
        AddressRange::V4(first, last) => {
            (IpAddr::from(Ipv4Addr::from_bits(first)), (first ^ last).leading_zeros())
        }
        AddressRange::V6(first, last) => {
            (IpAddr::from(Ipv6Addr::from_bits(first)), (first ^ last).leading_zeros())
        }
    };
    let length = u8::try_from(length).ok()?; // at most 128
    Some(Prefix { span, range, first, length })
}
