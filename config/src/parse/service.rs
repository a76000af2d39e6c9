//! Services as text: `tcp/443`, `udp/1000-2000`, `icmp/echo-request`, `proto/89`, `gre`.

use core::ops::Range;
use std::collections::BTreeSet;

use toml::de::DeValue;

use super::fields::{self, Fields};
use super::groups::{Group, Groups, Item};
use super::icmp;
use super::options;
use super::reader::{Reader, Value, quoted};
use crate::Service;
use crate::limits::{RULE_SERVICES_MAX, SERVICES_MAX};

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
/// Protocols with ports.
const PORTED: [(&str, u8); 3] = [("tcp", 6), ("udp", 17), ("sctp", 132)];
/// Protocols that stand alone.
const PLAIN: [(&str, u8); 3] = [("gre", 47), ("esp", 50), ("ah", 51)];
/// Words that are no group's name.
const RESERVED: [&str; 11] =
    ["any", "tcp", "udp", "sctp", "icmp", "icmp4", "icmp6", "gre", "esp", "ah", "proto"];

const FORMS: &str = "forms are tcp/443, udp/5000-5999, sctp/2905, icmp/echo-request, icmp4/3/4, \
                     icmp6/128, gre, esp, ah, proto/89, or the name of a group in [services]";

impl Item for Service {
    const KIND: &'static str = "service";
    const TOTAL_MAX: usize = SERVICES_MAX;

    fn tidy(items: &mut Vec<Self>) {
        let mut seen = BTreeSet::new();
        items.retain(|item| seen.insert(*item));
    }
}

/// The `[services]` table.
pub(crate) fn book(reader: &mut Reader<'_>, value: Option<&Value<'_>>) -> Groups<Service> {
    let mut groups = Vec::new();
    let table = value.and_then(|value| Fields::open(reader, value, "[services]"));
    for (name, span, value) in table.iter().flat_map(Fields::entries) {
        if check_name(reader, name, &span) {
            groups.push(group(reader, name, span, value));
        }
    }
    Groups::flatten(reader, &mut groups)
}

fn check_name(reader: &mut Reader<'_>, name: &str, span: &Range<usize>) -> bool {
    if RESERVED.contains(&name) {
        reader.error(span, format!("`{name}` is a service already"));
        return false;
    }
    reader.check_name("service", name, span)
}

fn group(
    reader: &mut Reader<'_>,
    name: &str,
    span: Range<usize>,
    value: &Value<'_>,
) -> Group<Service> {
    let mut group =
        Group { name: name.to_owned(), span, items: Vec::new(), references: Vec::new() };
    if fields::list(value).is_empty() {
        reader.error(&value.span(), format!("service `{name}` is empty"));
    }
    for value in fields::list(value) {
        match entry(reader, value) {
            Some(Entry::Any) => {
                let hint = "`any` stands alone; leave the rule's service out instead";
                reader.error_hint(&value.span(), "`any` cannot be part of a group", hint);
            }
            Some(Entry::Services(services)) => group.items.extend(services),
            Some(Entry::Name(name)) => group.references.push((name, value.span())),
            None => {}
        }
    }
    group
}

/// The services of a rule, flattened: `None` for any.
pub(crate) fn of_rule(
    reader: &mut Reader<'_>,
    book: &Groups<Service>,
    value: &Value<'_>,
) -> Option<Vec<Service>> {
    let entries = fields::list(value);
    if entries.is_empty() {
        reader.error_hint(&value.span(), "the list is empty", "leave it out to match any service");
    }
    let mut services = Vec::new();
    let mut any = None;
    for value in entries {
        match entry(reader, value) {
            Some(Entry::Any) => any = Some(value.span()),
            Some(Entry::Services(more)) => services.extend(more),
            Some(Entry::Name(name)) => {
                let found = book.find(reader, &name, &value.span());
                services.extend(found.iter().flat_map(|&index| book.items(index)));
            }
            None => {}
        }
    }
    if let Some(span) = any {
        if entries.len() > 1 {
            reader.error(&span, "`any` beside other services makes them pointless");
        }
        return None;
    }
    Service::tidy(&mut services);
    if services.len() > RULE_SERVICES_MAX {
        let message =
            format!("{} services, the limit of a rule is {RULE_SERVICES_MAX}", services.len());
        reader.error(&value.span(), message);
    }
    Some(services)
}

enum Entry {
    Any,
    Services(Vec<Service>),
    Name(String),
}

fn entry(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Entry> {
    if let DeValue::Table(_) = value.get_ref() {
        return ported_table(reader, value).map(|service| Entry::Services(vec![service]));
    }
    let text = fields::string(reader, value)?;
    if text == "any" {
        return Some(Entry::Any);
    }
    match parse(text) {
        Ok(services) if services.is_empty() => Some(Entry::Name(text.to_owned())),
        Ok(services) => Some(Entry::Services(services)),
        Err(fault) => {
            reader.error_hint(
                &value.span(),
                format!("{} is no service: {}", quoted(text), fault.message),
                fault.hint,
            );
            None
        }
    }
}

/// `{ protocol = "udp", ports = "123", source-ports = "1024-65535", timeout = "5m" }`
fn ported_table(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Service> {
    let keys = ["protocol", "ports", "source-ports", "timeout"];
    let fields = Fields::new(reader, value, "a service", &keys)?;
    let protocol = fields.required(reader, "protocol")?;
    let protocol = fields::choice(reader, protocol, "protocol", &PORTED)?;
    let destination_ports = fields.get("ports").map(|value| ports_value(reader, value));
    let source_ports = fields.get("source-ports").map(|value| ports_value(reader, value));
    Some(Service {
        source_ports: source_ports.flatten(),
        destination_ports: destination_ports.flatten(),
        timeout: options::timeout(reader, &fields, "timeout"),
        ..Service::of_protocol(protocol)
    })
}

fn ports_value(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<(u16, u16)> {
    if let DeValue::Integer(_) = value.get_ref() {
        let port = fields::integer(reader, value, "port", 0..=u16::MAX.into())?;
        return u16::try_from(port).ok().map(|port| (port, port));
    }
    let text = fields::string(reader, value)?;
    port_range(reader, text, &value.span())
}

/// A port, or a range of them.
pub(crate) fn port_range(
    reader: &mut Reader<'_>,
    text: &str,
    span: &Range<usize>,
) -> Option<(u16, u16)> {
    match parse_ports(text) {
        Ok(ports) => Some(ports),
        Err(fault) => {
            let message = format!("{}: {}", quoted(text), fault.message);
            reader.error_hint(span, message, fault.hint);
            None
        }
    }
}

/// What is wrong with a service, and what to do.
struct Fault {
    message: String,
    hint: String,
}

impl Fault {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

/// The services `text` stands for; none if it is the name of a group.
fn parse(text: &str) -> Result<Vec<Service>, Fault> {
    let (protocol, rest) = match text.split_once('/') {
        Some((protocol, rest)) => (protocol, Some(rest)),
        None => (text, None),
    };
    if let Some(&(_, number)) = PORTED.iter().find(|(name, _)| *name == protocol) {
        let destination_ports = rest.map(parse_ports).transpose()?;
        return Ok(vec![Service { destination_ports, ..Service::of_protocol(number) }]);
    }
    if let Some(&(_, number)) = PLAIN.iter().find(|(name, _)| *name == protocol) {
        return match rest {
            None => Ok(vec![Service::of_protocol(number)]),
            Some(_) => {
                Err(Fault::new(format!("{protocol} has no ports"), format!("write `{protocol}`")))
            }
        };
    }
    match (protocol, rest) {
        ("icmp", rest) => parse_icmp(rest, &[ICMP, ICMPV6]),
        ("icmp4", rest) => parse_icmp(rest, &[ICMP]),
        ("icmp6", rest) => parse_icmp(rest, &[ICMPV6]),
        ("proto", Some(number)) => parse_protocol(number),
        ("proto", None) => Err(Fault::new("it needs a number", "such as proto/89 for OSPF")),
        (_, None) if is_name(text) => Ok(Vec::new()),
        (_, _) => Err(Fault::new("no such protocol", FORMS)),
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

fn parse_protocol(text: &str) -> Result<Vec<Service>, Fault> {
    let number = number::<u8>(text);
    let number = number.ok_or_else(|| Fault::new("bad protocol", "a number from 0 to 255"))?;
    let ported = PORTED.iter().chain(&PLAIN).find(|(_, known)| *known == number);
    let name = match (ported, number) {
        (Some((name, _)), _) => *name,
        (None, ICMP) => "icmp4",
        (None, ICMPV6) => "icmp6",
        (None, _) => return Ok(vec![Service::of_protocol(number)]),
    };
    Err(Fault::new("this protocol has a name", format!("write `{name}`")))
}

fn parse_ports(text: &str) -> Result<(u16, u16), Fault> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let ports = number::<u16>(first).zip(number::<u16>(last));
    let hint = "a port or a range such as 1000-2000, from 0 to 65535";
    let (first, last) = ports.ok_or_else(|| Fault::new("bad port", hint))?;
    if first > last {
        let hint = format!("the range is {last}-{first}");
        return Err(Fault::new("the range ends before it starts", hint));
    }
    Ok((first, last))
}

fn parse_icmp(rest: Option<&str>, versions: &[u8]) -> Result<Vec<Service>, Fault> {
    let Some(rest) = rest else {
        return Ok(versions.iter().map(|&protocol| Service::of_protocol(protocol)).collect());
    };
    let (kind, code) = match rest.split_once('/') {
        Some((kind, code)) => (kind, Some(code)),
        None => (rest, None),
    };
    let code = code.map(|code| {
        number::<u8>(code).ok_or_else(|| Fault::new("bad ICMP code", "a number from 0 to 255"))
    });
    let code = code.transpose()?;
    let kinds = icmp_kinds(kind, versions)?;
    if code.is_some() && kinds.len() > 1 {
        let hint = "codes differ between the versions: write icmp4/… or icmp6/…";
        return Err(Fault::new("a code of both ICMP versions", hint));
    }
    let service =
        |(protocol, kind)| Service { icmp: Some((kind, code)), ..Service::of_protocol(protocol) };
    Ok(kinds.into_iter().map(service).collect())
}

/// Protocol and type for a name, or for a number. A number after plain `icmp` is of ICMPv4, whose
/// protocol name that is.
fn icmp_kinds(kind: &str, versions: &[u8]) -> Result<Vec<(u8, u8)>, Fault> {
    if let Some(kind) = number::<u8>(kind) {
        return Ok(vec![(versions[0], kind)]);
    }
    let of = |&protocol: &u8| icmp::kind(protocol == ICMPV6, kind).map(|kind| (protocol, kind));
    let kinds: Vec<_> = versions.iter().filter_map(of).collect();
    if kinds.is_empty() {
        let names = versions.iter().flat_map(|&protocol| icmp::names(protocol == ICMPV6));
        let hint = match super::nearest::nearest(kind, names) {
            Some(name) => format!("did you mean `{name}`?"),
            None => "a number from 0 to 255 or a name such as echo-request".to_owned(),
        };
        return Err(Fault::new("no such ICMP type", hint));
    }
    Ok(kinds)
}

/// Decimal digits only: `parse` alone would take a sign.
fn number<T: core::str::FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
