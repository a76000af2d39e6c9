//! The XDP program with what decides which packets to the node's own addresses are its host's: the addresses
//! as the kernel has them, and what the policy translates. Either changes by itself, and both count.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use config::api;
use datapath::xdp::{Error, HostInbound, NatAddress, Program};
use engine::nat::PublicUse;
use engine::policy::Policy;

/// The program on the ports.
#[derive(Debug)]
pub struct Gate {
    program: Program,
    own: Vec<(u16, IpAddr)>,
    vips: Vec<(u16, IpAddr)>,
    policy: Option<Arc<Policy>>,
}

impl Gate {
    /// A program that knows no address and no policy yet.
    pub const fn new(program: Program) -> Self {
        Self { program, own: Vec::new(), vips: Vec::new(), policy: None }
    }

    /// Makes these the cluster's addresses, by domain: what is translated comes to them before this node's
    /// kernel has them, too.
    ///
    /// # Errors
    /// A map cannot be written.
    pub fn set_vips(&mut self, vips: &[(u16, IpAddr)]) -> Result<(), Error> {
        self.vips = vips.to_vec();
        self.program.set_vips(vips.iter().copied())?;
        self.share()
    }

    /// Makes these the host's own addresses, by domain.
    ///
    /// # Errors
    /// A map cannot be written.
    pub fn set_own(&mut self, own: &[(u16, IpAddr)]) -> Result<(), Error> {
        self.own = own.to_vec();
        // What is new is the workers' at once where it is.
        self.share()?;
        self.program.set_host_addresses(own.iter().copied())
    }

    /// Puts a policy in force: `inbound` is what may reach the host by each port.
    ///
    /// # Errors
    /// A map cannot be written.
    pub fn set_policy(
        &mut self,
        policy: &Arc<Policy>,
        inbound: &[HostInbound],
    ) -> Result<(), api::Error> {
        for (index, inbound) in inbound.iter().enumerate() {
            let set = self.program.set_host_inbound(index as u16, inbound);
            set.map_err(|error| api::Error::new(format!("host-inbound: {error}")))?;
        }
        self.policy = Some(Arc::clone(policy));
        self.share().map_err(|error| api::Error::new(format!("translated addresses: {error}")))
    }

    /// Tells the program which packets to own addresses are for translation.
    fn share(&mut self) -> Result<(), Error> {
        let Some(policy) = &self.policy else { return Ok(()) };
        let of = |(domain, address): &(u16, IpAddr)| {
            let public = policy.public_use(*domain, *address)?;
            Some(nat_address(*domain, *address, &public))
        };
        let all: BTreeSet<_> = self.own.iter().chain(&self.vips).collect();
        let wanted: Vec<NatAddress> = all.into_iter().filter_map(of).collect();
        self.program.set_nat_inbound(&wanted)
    }
}

fn nat_address(domain: u16, address: IpAddr, public: &PublicUse) -> NatAddress {
    let mut wanted = NatAddress::new(domain, address);
    (wanted.all, wanted.range) = (public.all, public.range);
    for (protocol, first, last) in &public.served {
        wanted.forwarded.allow_numbers(*protocol, *first, *last);
    }
    wanted
}

impl Deref for Gate {
    type Target = Program;

    fn deref(&self) -> &Program {
        &self.program
    }
}

impl DerefMut for Gate {
    fn deref_mut(&mut self) -> &mut Program {
        &mut self.program
    }
}
