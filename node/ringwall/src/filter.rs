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
}

impl From<&Filter> for SessionFilter {
    fn from(filter: &Filter) -> Self {
        let Filter { source, destination, port, protocol, zone, rule, state } = filter.clone();
        Self { source, destination, port, protocol, zone, rule, state }
    }
}
