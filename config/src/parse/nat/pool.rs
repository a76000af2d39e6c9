//! `[[nat-pool]]`: public addresses.

use core::ops::Range;

use crate::limits::NAT_POOL_ADDRESSES_MAX;
use crate::parse::address::AddressRange;
use crate::parse::book;
use crate::parse::fields::{self, Fields};
use crate::parse::reader::{Reader, Value, quoted};
use crate::{NatPool, Pooling};

const KEYS: [&str; 4] = ["name", "addresses", "pooling", "domain"];
const POOLING: [(&str, Pooling); 2] =
    [("paired", Pooling::Paired), ("arbitrary", Pooling::Arbitrary)];

/// The pools in the order of the file.
pub(super) struct Pools {
    pub(super) pools: Vec<NatPool>,
    /// Of each, the line and the addresses as they were written.
    written: Vec<(usize, Vec<AddressRange>)>,
}

impl Pools {
    pub(super) fn parse(reader: &mut Reader<'_>, document: &Fields<'_, '_>) -> Self {
        let mut all = Self { pools: Vec::new(), written: Vec::new() };
        let mut addresses = 0;
        for value in document.tables(reader, "nat-pool") {
            let Some(fields) = Fields::new(reader, value, "the nat pool", &KEYS) else { continue };
            addresses += all.pool(reader, &fields);
            if addresses > NAT_POOL_ADDRESSES_MAX as u128 {
                let limit = format!("the limit is {NAT_POOL_ADDRESSES_MAX}");
                let message =
                    format!("the nat pools up to here have {addresses} addresses, {limit}");
                let hint = "each address has 61,440 ports: one serves many clients";
                reader.error_hint(&fields.span, message, hint);
                break;
            }
        }
        all
    }

    /// Adds a pool, and returns how many addresses it has.
    fn pool(&mut self, reader: &mut Reader<'_>, fields: &Fields<'_, '_>) -> u128 {
        let name = fields.required_string(reader, "name").unwrap_or_default();
        self.check_name(reader, fields, name);
        let ranges = addresses(reader, fields);
        let domain = fields.integer(reader, "domain", 0..=u16::MAX.into()).unwrap_or_default();
        let domain = u16::try_from(domain).unwrap_or_default(); // within the range
        self.check_overlap(reader, fields, &ranges, domain);
        let set = book::set(None, &ranges);
        let size = |first: u128, last: u128| (last - first).saturating_add(1);
        let v4 = set.v4.iter().map(|&(first, last)| size(first.into(), last.into()));
        let count = v4.chain(set.v6.iter().map(|&(first, last)| size(first, last)));
        let count = count.fold(0, u128::saturating_add);
        self.pools.push(NatPool {
            name: name.to_owned(),
            v4: set.v4,
            v6: set.v6,
            pooling: fields.choice(reader, "pooling", &POOLING).unwrap_or_default(),
            domain,
        });
        self.written.push((reader.line(fields.span.start), ranges));
        count
    }

    fn check_name(&self, reader: &mut Reader<'_>, fields: &Fields<'_, '_>, name: &str) {
        let Some(span) = fields.get("name").filter(|it| it.get_ref().is_str()).map(Value::span)
        else {
            return;
        };
        if !reader.check_name("pool", name, &span) {
            return;
        }
        if let Some(at) = self.pools.iter().position(|pool| pool.name == name) {
            let (line, _) = self.written[at];
            let hint = "rules and counters refer to a pool by its name";
            reader.error_hint(&span, format!("pool `{name}` exists already, in line {line}"), hint);
        }
    }

    /// Two pools that shared an address would give the same port twice.
    fn check_overlap(
        &self,
        reader: &mut Reader<'_>,
        fields: &Fields<'_, '_>,
        ranges: &[AddressRange],
        domain: u16,
    ) {
        let Some(span) = fields.get("addresses").map(Value::span) else { return };
        let of_domain = |(pool, _): &(&NatPool, _)| pool.domain == domain;
        let others = self.pools.iter().zip(&self.written).filter(of_domain);
        for (pool, (line, written)) in others {
            if ranges.iter().any(|range| written.iter().any(|other| range.touches(*other))) {
                let message = format!("some of these are in pool `{}`, in line {line}", pool.name);
                let hint = "an address is in one pool: its ports are given out once";
                reader.error_hint(&span, message, hint);
            }
        }
    }

    /// The index of the pool `name`; a dangling one is reported at `span`.
    pub(super) fn find(
        &self,
        reader: &mut Reader<'_>,
        name: &str,
        span: &Range<usize>,
    ) -> Option<usize> {
        let found = self.pools.iter().position(|pool| pool.name == name);
        if found.is_none() {
            let names = || self.pools.iter().map(|pool| pool.name.as_str());
            let all = || match self.pools.is_empty() {
                true => Some("there is no `[[nat-pool]]`".to_owned()),
                false => Some(format!("pools: {}", names().collect::<Vec<_>>().join(", "))),
            };
            reader.unknown(span, format!("unknown pool {}", quoted(name)), name, names(), all);
        }
        found
    }

    /// The first pool that has an address of `range`, with its line.
    pub(super) fn with(&self, range: AddressRange) -> Option<(&str, usize)> {
        let mut all = self.pools.iter().zip(&self.written);
        let found = all.find(|(_, (_, written))| written.iter().any(|it| it.touches(range)));
        found.map(|(pool, (line, _))| (pool.name.as_str(), *line))
    }
}

fn addresses(reader: &mut Reader<'_>, fields: &Fields<'_, '_>) -> Vec<AddressRange> {
    let Some(value) = fields.required(reader, "addresses") else { return Vec::new() };
    if fields::list(value).is_empty() {
        reader.error_hint(&value.span(), "the pool is empty", "name its public addresses");
    }
    let texts = fields::strings(reader, value);
    texts.iter().filter_map(|(text, span)| super::range(reader, text, span)).collect()
}
