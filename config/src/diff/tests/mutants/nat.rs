//! Whatever differs in translation.

use core::net::Ipv4Addr;

use super::super::{BASE, policy};
use super::Mutant;
use crate::{
    DestinationNat, DestinationTo, Filtering, Mapping, Nat, Nat64, NatKind, NatPool, NatRule,
    Policy, Pooling, PrefixNat, Service, SourceNat, SourceTo, StaticNat,
};

/// The rule at this index, which is of the kind asked for.
macro_rules! of_kind {
    ($name:ident, $at:literal, $kind:ident, $nat:ty) => {
        fn $name(policy: &mut Policy) -> &mut $nat {
            match &mut policy.nat.rules[$at].kind {
                NatKind::$kind(nat) => nat,
                other => panic!("{other:?}"),
            }
        }
    };
}

of_kind!(source, 0, Source, SourceNat);
of_kind!(destination, 1, Destination, DestinationNat);
of_kind!(fixed, 2, Static, StaticNat);
of_kind!(prefix, 3, Prefix, PrefixNat);
of_kind!(nat64, 4, Nat64, Nat64);

pub(super) fn all() -> Vec<Mutant> {
    [of_nat(), of_source(), of_destination(), of_fixed(), of_nat64()].concat()
}

fn of_nat() -> Vec<Mutant> {
    let Nat { pools, rules } = policy(BASE).nat;
    let NatPool { name: _, v4: _, v6: _, pooling: _, domain: _ } = &pools[0];
    let NatRule {
        id: _,
        description: _,
        from: _,
        source: _,
        kind: _,
        // For messages only.
        line: _,
    } = &rules[0];
    vec![
        ("a pool less", |it| {
            it.nat.pools.clear();
            source(it).translate = SourceTo::Interface;
        }),
        ("a pool more", |it| {
            let pool = NatPool { name: "z".into(), ..it.nat.pools[0].clone() };
            it.nat.pools.push(pool);
        }),
        ("a pool's name", |it| it.nat.pools[0].name.push('x')),
        ("a pool's IPv4", |it| it.nat.pools[0].v4[0].1 += 1),
        ("a pool's IPv6", |it| it.nat.pools[0].v6.clear()),
        ("pooling", |it| it.nat.pools[0].pooling = Pooling::Arbitrary),
        ("a pool's domain", |it| it.nat.pools[0].domain = 1),
        ("a nat rule less", |it| it.nat.rules.truncate(4)),
        ("a nat rule more", |it| {
            it.nat.rules.push(NatRule { id: "z".into(), ..it.nat.rules[0].clone() });
        }),
        ("the order of nat rules", |it| it.nat.rules.swap(0, 4)),
        ("a nat rule's id", |it| it.nat.rules[0].id.push('x')),
        ("a nat rule's description", |it| it.nat.rules[0].description = Some("x".into())),
        ("a nat rule's from", |it| it.nat.rules[0].from = None),
        ("a nat rule's source", |it| it.nat.rules[0].source = None),
        ("a nat rule's type", |it| it.nat.rules[0].kind = it.nat.rules[1].kind.clone()),
    ]
}

fn of_source() -> Vec<Mutant> {
    let SourceNat { to: _, destination: _, services: _, translate: _, mapping } =
        source(&mut policy(BASE)).clone();
    let Mapping { endpoint_independent: _, filtering: _, parity: _ } = mapping;
    vec![
        ("to", |it| source(it).to = None),
        ("destination", |it| source(it).destination = it.rules[0].destination.clone()),
        ("services", |it| source(it).services = None),
        ("other services", |it| source(it).services = Some(vec![Service::of_protocol(17)])),
        ("translate", |it| source(it).translate = SourceTo::Interface),
        ("no translation", |it| source(it).translate = SourceTo::Untouched),
        ("mapping", |it| source(it).mapping.endpoint_independent = false),
        ("filtering", |it| source(it).mapping.filtering = Filtering::EndpointIndependent),
        ("parity", |it| source(it).mapping.parity = true),
    ]
}

fn of_destination() -> Vec<Mutant> {
    let DestinationNat { destination: _, services: _, to: _, to_port: _ } =
        destination(&mut policy(BASE)).clone();
    vec![
        ("what is sent to", |it| destination(it).destination.negate = true),
        ("services sent to", |it| destination(it).services = None),
        ("who serves", |it| destination(it).to = DestinationTo::V6(1, 2)),
        ("to-port", |it| destination(it).to_port = None),
        ("another to-port", |it| destination(it).to_port = Some(1)),
    ]
}

fn of_fixed() -> Vec<Mutant> {
    fn v4(policy: &mut Policy) -> (&mut Ipv4Addr, &mut Ipv4Addr, &mut u8, &mut Option<usize>) {
        match fixed(policy) {
            StaticNat::V4 { outside, inside, length, zone } => (outside, inside, length, zone),
            StaticNat::V6 { outside: _, inside: _, length: _, zone: _ } => panic!("not IPv4"),
        }
    }
    let PrefixNat { inside: _, outside: _, length: _, zone: _ } = *prefix(&mut policy(BASE));
    vec![
        ("static outside", |it| *v4(it).0 = [192, 0, 2, 0].into()),
        ("static inside", |it| *v4(it).1 = [192, 0, 2, 0].into()),
        ("static length", |it| *v4(it).2 = 30),
        ("static zone", |it| *v4(it).3 = None),
        ("static family", |it| {
            let [outside, inside] = [1, 2].map(|at| [at, 0, 0, 0, 0, 0, 0, 0].into());
            *fixed(it) = StaticNat::V6 { outside, inside, length: 28, zone: Some(1) };
        }),
        ("nptv6 inside", |it| prefix(it).inside = [1, 0, 0, 0, 0, 0, 0, 0].into()),
        ("nptv6 outside", |it| prefix(it).outside = [1, 0, 0, 0, 0, 0, 0, 0].into()),
        ("nptv6 length", |it| prefix(it).length = 56),
        ("nptv6 zone", |it| prefix(it).zone = Some(0)),
    ]
}

fn of_nat64() -> Vec<Mutant> {
    let Nat64 { prefix: _, translate: _, mapping: _ } = *nat64(&mut policy(BASE));
    vec![
        ("prefix", |it| nat64(it).prefix = [1, 0, 0, 0, 0, 0, 0, 0].into()),
        ("translate of nat64", |it| nat64(it).translate = SourceTo::Pool(0)),
        ("mapping of nat64", |it| nat64(it).mapping.endpoint_independent = true),
    ]
}
