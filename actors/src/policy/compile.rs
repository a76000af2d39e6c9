//! From a revision's text to what workers and the XDP program use.

use std::hash::Hasher as _;
use std::io;
use std::sync::Arc;

use cluster_core::policy::Version;
use config::api;
use datapath::xdp::HostInbound;
use siphasher::sip128::{Hasher128 as _, SipHasher24};

use super::InForce;
use super::room::{self, Size};

/// Parses and compiles a revision's text, of which so many `copies` may be worked on at once.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn compile(
    file: &str,
    text: &str,
    version: Version,
    ports: &[String],
    copies: u64,
) -> Result<InForce, api::Error> {
    room::check(Size::of_text(text), copies).map_err(no_room)?;
    let policy = config::parse_checked_policy(file, text, &mut inlined).map_err(invalid(file))?;
    compile_parsed(file, Arc::new(policy), version, ports, copies)
}

/// Compiles what a revision's text says.
///
/// # Errors
/// There is too little memory, or it cannot be compiled.
pub(super) fn compile_parsed(
    file: &str,
    policy: Arc<config::Policy>,
    version: Version,
    ports: &[String],
    copies: u64,
) -> Result<InForce, api::Error> {
    room::check(Size::of_policy(&policy), copies).map_err(no_room)?;
    in_force(policy, version, ports).map_err(|error| api::Error::new(format!("{file}: {error}")))
}

fn no_room(error: room::NoRoom) -> api::Error {
    api::Error::new(error.to_string())
}

/// Parses a revision's text, whose lists are inlined, and of which so many `copies` may be worked on at once.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(
    file: &str,
    text: &str,
    copies: u64,
) -> Result<config::Checked<config::Policy>, api::Error> {
    room::check(Size::of_text(text), copies).map_err(no_room)?;
    config::parse_policy(file, text, &mut inlined).map_err(invalid(file))
}

fn inlined(name: &str) -> Result<String, String> {
    Err(format!("list `{name}` is not inlined"))
}

fn invalid(file: &str) -> impl FnOnce(Vec<config::Diagnostic>) -> api::Error {
    let error = api::Error::new(format!("{file} is not valid"));
    move |diagnostics| api::Error { diagnostics, ..error }
}

/// What is in force before there is any revision: epoch 0, and nothing passes. No file says this; a
/// policy file without zones is a mistake.
///
/// # Errors
/// None that a policy without rules can have.
pub fn deny_all(ports: &[String]) -> Result<InForce, api::Error> {
    in_force(Arc::default(), Version::NONE, ports)
        .map_err(|error| api::Error::new(error.to_string()))
}

pub(super) fn in_force(
    source: Arc<config::Policy>,
    version: Version,
    ports: &[String],
) -> Result<InForce, engine::policy::CompileError> {
    let names: Vec<&str> = ports.iter().map(String::as_str).collect();
    let compiled = Arc::new(engine::policy::Policy::compile(&source, version.epoch.0, &names)?);
    let digest = digest(&source);
    Ok(InForce { source, compiled, version, comment: None, digest })
}

fn digest(policy: &config::Policy) -> [u8; 16] {
    let mut hasher = HashWriter(SipHasher24::new_with_key(b"ringwall policy\0"));
    // A hasher takes all, and a policy has no map whose keys are no strings.
    let _ = serde_json::to_writer(&mut hasher, policy);
    hasher.0.finish128().as_bytes()
}

/// What is written is hashed.
struct HashWriter(SipHasher24);

impl io::Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a node must hear by itself: heartbeats of its pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Implicit {
    /// The port, by its place.
    pub port: usize,
    /// The UDP port.
    pub udp: u16,
}

/// Of a node file: heartbeats, on each port that has an address of the group.
#[must_use]
pub fn implicit(config: &config::Node) -> Vec<Implicit> {
    let fabric = config.fabric.as_ref().filter(|_| config.cluster.is_some());
    let udp = fabric.map(|fabric| fabric.heartbeat_port);
    let port = |vip: &config::Vip| Some(Implicit { port: vip.port, udp: udp? });
    config.vips.iter().filter_map(port).collect()
}

/// What may reach the host by each port.
///
/// # Errors
/// A service that the XDP program cannot judge.
///
/// The `implicit` services are the node's own: UDP ports on ports (by place) that no policy needs to name.
pub fn host_inbound(
    policy: &config::Policy,
    ports: &[String],
    implicit: &[Implicit],
) -> Result<Vec<HostInbound>, api::Error> {
    let of_port = |(index, port): (usize, &String)| {
        let zone = policy.zone_of_port(port);
        let rules = policy.host_inbound.iter().filter(|rule| Some(rule.zone) == zone);
        let mut inbound = HostInbound::new();
        for own in implicit.iter().filter(|own| own.port == index) {
            inbound.allow_numbers(wire::Protocol::UDP.0, own.udp, own.udp);
        }
        for rule in rules {
            match &rule.services {
                Some(services) => services.iter().try_for_each(|service| inbound.allow(service)),
                None => (0..=u8::MAX).try_for_each(|protocol| {
                    inbound.allow(&config::Service::of_protocol(protocol))
                }),
            }
            .map_err(|error| api::Error::new(format!("host-inbound of port `{port}`: {error}")))?;
        }
        Ok(inbound)
    };
    ports.iter().enumerate().map(of_port).collect()
}

#[cfg(test)]
mod tests {
    use cluster_core::policy::{Epoch, Version};

    use super::super::room::ALONE;
    use super::{Implicit, compile, deny_all, host_inbound};

    #[test]
    fn a_node_without_a_revision_denies_and_an_empty_file_is_refused() {
        let ports = ["lan".to_owned(), "wan".to_owned()];
        let nothing = deny_all(&ports).expect("no rules, no mistakes");
        assert_eq!((nothing.compiled.epoch(), nothing.compiled.rules().len()), (0, 0));
        let inbound = host_inbound(&nothing.source, &ports, &[]).expect("nothing is allowed");
        assert!(inbound.iter().all(|port| !port.allows(6, 22)));
        let heartbeats = [Implicit { port: 1, udp: 7401 }];
        let inbound = host_inbound(&nothing.source, &ports, &heartbeats).expect("they are its own");
        let heard = |udp| [0, 1].map(|port: usize| inbound[port].allows(17, udp));
        assert_eq!((heard(7401), heard(7400)), ([false, true], [false, false]));
        let first = Version { epoch: Epoch(1), source: Epoch(1) };
        assert!(compile("empty.toml", "", first, &ports, ALONE).is_err());
    }
}
