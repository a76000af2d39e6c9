//! Which sessions a verb is about.

use clap::Args;
use config::api::{Prefix, Protocol, SessionFilter};

/// The filters of the API; all that are given must hold.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Filters")]
pub(crate) struct Filter {
    /// Address or prefix that opened the session
    #[arg(long, value_name = "PREFIX")]
    source: Option<Prefix>,
    /// Address or prefix it was opened to
    #[arg(long, value_name = "PREFIX")]
    destination: Option<Prefix>,
    /// Port, or ICMP id, of either end
    #[arg(long, value_name = "NUMBER")]
    port: Option<u16>,
    /// IP protocol: tcp, udp, icmp, icmp6, … or its number
    #[arg(long)]
    protocol: Option<Protocol>,
    /// Zone of either end
    #[arg(long)]
    zone: Option<String>,
    /// Id of the rule that permitted it
    #[arg(long, value_name = "ID")]
    rule: Option<String>,
    /// State: established, syn-sent, time-wait, …
    #[arg(long)]
    state: Option<String>,
    /// Address or prefix of either end once translated
    #[arg(long, value_name = "PREFIX")]
    translated: Option<Prefix>,
    /// Port, or ICMP id, of either end once translated; with --translated of the same end
    #[arg(long, value_name = "NUMBER")]
    translated_port: Option<u16>,
    /// Id of a rule of translation that translates it
    #[arg(long, value_name = "ID")]
    nat_rule: Option<String>,
}

impl From<&Filter> for SessionFilter {
    fn from(filter: &Filter) -> Self {
        let Filter { source, destination, port, protocol, zone, rule, state, .. } = filter.clone();
        let Filter { translated, translated_port, nat_rule, .. } = filter.clone();
        Self {
            source,
            destination,
            port,
            protocol,
            zone,
            rule,
            state,
            translated,
            translated_port,
            nat_rule,
        }
    }
}
