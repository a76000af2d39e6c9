//! `alg` of a rule: `"off"`, `"auto"`, or a list of `"ftp"`, `"ftp/2121"`, `"ftp/2000-2100"`, `"ftp/any"`.

use core::ops::Range;

use super::fields::{self, Fields};
use super::reader::{Reader, quoted};
use super::service;
use crate::{Alg, AlgUse, Service};

const FORMS: &str = "forms are \"off\", \"auto\", or a list of \"ftp\", \"ftp/2121\", \"ftp/2000-2100\", \
                     \"ftp/any\"";

/// The gateways of a rule, in the order of [`Alg`]; none by default.
pub(crate) fn of_rule(
    reader: &mut Reader<'_>,
    fields: &Fields<'_, '_>,
    services: Option<&[Service]>,
) -> Vec<AlgUse> {
    let Some(value) = fields.get("alg") else { return Vec::new() };
    let entries = fields::strings(reader, value);
    let mut uses = match entries.as_slice() {
        [("off", _)] => return Vec::new(),
        [("auto", _)] => {
            return Alg::ALL
                .map(AlgUse::usual)
                .into_iter()
                .filter(|it| meets(it, services))
                .collect();
        }
        _ => Vec::with_capacity(entries.len()),
    };
    for (text, span) in &entries {
        let Some(gateway) = entry(reader, text, span) else { continue };
        if !meets(&gateway, services) {
            let message = format!("{} where no service of the rule is its own", quoted(text));
            let hint = format!("write \"{}/any\" if all of them are", gateway.alg.name());
            reader.error_hint(span, message, hint);
        }
        uses.push(gateway);
    }
    uses.sort_unstable();
    uses.dedup();
    uses
}

fn entry(reader: &mut Reader<'_>, text: &str, span: &Range<usize>) -> Option<AlgUse> {
    let (name, ports) = text.split_once('/').map_or((text, None), |(name, it)| (name, Some(it)));
    let Some(alg) = Alg::ALL.into_iter().find(|alg| alg.name() == name) else {
        let message = format!("no gateway is called {}", quoted(name));
        let names = Alg::ALL.map(Alg::name);
        reader.unknown(span, message, name, names.into_iter(), || Some(FORMS.to_owned()));
        return None;
    };
    let ports = match ports {
        None => return Some(AlgUse::usual(alg)),
        Some("any") => AlgUse::ANY,
        Some(ports) => service::port_range(reader, ports, span)?,
    };
    Some(AlgUse { alg, ports })
}

/// Whether a session of one of these services may go to its ports.
fn meets(gateway: &AlgUse, services: Option<&[Service]>) -> bool {
    services.is_none_or(|services| {
        services.iter().any(|service| {
            let (first, last) = service.destination_ports.unwrap_or(AlgUse::ANY);
            let overlap = first <= gateway.ports.1 && gateway.ports.0 <= last;
            gateway.alg.is_over(service.protocol) && overlap
        })
    })
}
