//! The XDP program on every port, and what the daemon tells it.
//!
//! The program (`bpf/ringwall.c`, committed as an object) decides per frame: to a worker's AF_XDP
//! socket, to the host's own stack, or nowhere. Its rules are filled in *before* it is attached, so
//! there is no moment in which it judges by half of them; a restarted daemon loads a second
//! program with its own rules and puts it in the first one's place in one step.
//!
//! What it hands to the kernel, on a routed port:
//! - ARP; neighbour discovery with hop limit 255; MLD and IGMP with hop limit 1, for multicast or
//!   the host's own addresses.
//! - IP for the host (its addresses, any link-local one, multicast, broadcast): what
//!   [`HostInbound`] allows, segments of the host's TCP connections, datagrams from the peer a UDP
//!   socket is *connected* to, ICMP errors and echo replies. A socket that takes datagrams from
//!   anyone needs a service, also if it is a client: so does a DHCP client.
//! - Later fragments for the host: the first one is judged.
//!
//! Before all that, IP from a source of its [`BlockList`] is dropped. Of transit, SYNs to a destination that
//! the list guards are answered with cookies ([`wire::cookie`]), by the port that they came in by.
//!
//! Without a valid lease nothing that is sent to an address of the cluster's (VIP) or asks for one
//! (ARP request, neighbour solicitation), whether or not the kernel has the address.
//!
//! Nor what of its own addresses is the workers', for translation ([`NatAddress`]).
//!
//! Never what is source-routed through the host: the kernel would send it on. Everything else is
//! transit and needs the lease and a socket; on a wire, everything is.

mod attach;
mod block;
mod bpffs;
mod error;
mod filter;
mod guard;
mod inbound;
mod limits;
mod nat;
mod port;
mod stats;
mod vlan;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use aya::maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, XskMap};
use aya::programs::{TestRun, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader, include_bytes_aligned};
use wire::Time;

pub use attach::{AttachMode, Attached, detach, detach_all};
pub use block::{BlockList, SourceBits};
pub use bpffs::BpfDir;
pub use error::Error;
pub use inbound::{HostInbound, ServiceSet, Unsupported};
pub use limits::{
    MAX_ADDRESSES, MAX_BLOCKED, MAX_FORWARDED, MAX_GUARDED, MAX_PORTS, MAX_QUEUES, NAT_PORTS,
};
pub use nat::NatAddress;
pub use port::{Mode, PortConfig};
pub use stats::{Stat, Stats};

use attach::Attachment;
use filter::{FilterWords, filter};
use inbound::{ServiceKey, ServiceWords};
use limits::CPU_WORDS;
use nat::{Forwarded, NatTables};
use port::{AddressKey, OWN, PortValue, VIP, address_key, ifindex_of, slot};

/// Built by `bpf/build.sh`.
static OBJECT: &[u8] = include_bytes_aligned!("../bpf/ringwall.bpf.o");

/// A loaded program with its maps. Dropping it leaves attached ports enforcing, by the pins.
pub struct Program {
    ebpf: Ebpf,
    ports: HashMap<MapData, u32, PortValue>,
    slots: Array<MapData, PortValue>,
    sockets: XskMap<MapData>,
    lease: LeaseWord,
    addresses: HashMap<MapData, AddressKey, u8>,
    /// The host's own in `addresses`, and the cluster's.
    own: BTreeSet<AddressKey>,
    vips: BTreeSet<AddressKey>,
    /// What of its own addresses is the workers', in `addresses` as well.
    nat: NatTables,
    forwarded: Forwarded,
    filter: Array<MapData, FilterWords>,
    inbound: HashMap<MapData, ServiceKey, ServiceWords>,
    cpus: PerCpuArray<MapData, [u64; CPU_WORDS]>,
    blocks: Option<BlockList>,
    attached: BTreeMap<u32, Attachment>,
}

impl Program {
    /// Loads the program with empty maps: no port, nothing allowed, lease expired.
    ///
    /// # Errors
    /// [`Error::Load`] without the right to, or if the kernel's verifier refuses the program.
    pub fn load() -> Result<Self, Error> {
        let load = |error| Error::Load(Box::new(error));
        let mut ebpf = EbpfLoader::new().btf(None).load(OBJECT).map_err(load)?;
        program(&mut ebpf)?.load().map_err(|error| load(error.into()))?;
        Ok(Self {
            ports: take(&mut ebpf, "ports")?,
            slots: take(&mut ebpf, "slots")?,
            sockets: take(&mut ebpf, "sockets")?,
            lease: LeaseWord::take(&mut ebpf)?,
            addresses: take(&mut ebpf, "addresses")?,
            own: BTreeSet::new(),
            vips: BTreeSet::new(),
            nat: NatTables::default(),
            forwarded: Forwarded::take(&mut ebpf)?,
            filter: take(&mut ebpf, "filter")?,
            inbound: take(&mut ebpf, "inbound")?,
            cpus: take(&mut ebpf, "cpus")?,
            blocks: Some(BlockList::take(&mut ebpf)?),
            attached: BTreeMap::new(),
            ebpf,
        })
    }

    /// Says what the interface `ifindex` is. Replaces what was said before, in one step.
    ///
    /// # Errors
    /// [`Error::PortIndex`], [`Error::Map`].
    pub fn set_port(&mut self, ifindex: u32, port: &PortConfig) -> Result<(), Error> {
        if port.index >= MAX_PORTS {
            return Err(Error::PortIndex(port.index));
        }
        let value = port.value(ifindex);
        self.ports.insert(ifindex, value, 0).map_err(Error::map("ports"))?;
        // As long as the slot is this port's, the program does not look further.
        if [0, ifindex].contains(&self.slot_owner(ifindex)?) {
            self.slots.set(slot(ifindex), value, 0).map_err(Error::map("slots"))?;
        }
        Ok(())
    }

    /// Forgets an interface: its frames are dropped from now on, if the program is on it.
    ///
    /// # Errors
    /// [`Error::Map`]. An unknown interface is not an error.
    pub fn remove_port(&mut self, ifindex: u32) -> Result<(), Error> {
        if self.slot_owner(ifindex)? == ifindex {
            self.slots.set(slot(ifindex), [0; _], 0).map_err(Error::map("slots"))?;
        }
        removed("ports", self.ports.remove(&ifindex))
    }

    /// The interface in the slot that this one would have; 0 for none.
    fn slot_owner(&self, ifindex: u32) -> Result<u32, Error> {
        let value = self.slots.get(&slot(ifindex), 0).map_err(Error::map("slots"))?;
        Ok(ifindex_of(&value))
    }

    /// Makes these (domain, address) pairs the host's own, and no others. Broadcast addresses of
    /// the host's subnets belong in here; link-local, multicast and 255.255.255.255 need not.
    ///
    /// Addresses that stay are not touched; new ones are there before old ones go, and the filter
    /// covers both meanwhile.
    ///
    /// # Errors
    /// [`Error::Map`], with more than [`MAX_ADDRESSES`] also.
    pub fn set_host_addresses(
        &mut self,
        wanted: impl IntoIterator<Item = (u16, IpAddr)>,
    ) -> Result<(), Error> {
        self.own = wanted.into_iter().map(|(domain, it)| address_key(domain, it)).collect();
        self.set_addresses()
    }

    /// Makes these (domain, address) pairs the cluster's, and no others: what is for one of them, or
    /// asks for it, needs a valid lease, whether or not it is the host's own as well.
    ///
    /// # Errors
    /// As [`Self::set_host_addresses`].
    pub fn set_vips(
        &mut self,
        wanted: impl IntoIterator<Item = (u16, IpAddr)>,
    ) -> Result<(), Error> {
        self.vips = wanted.into_iter().map(|(domain, it)| address_key(domain, it)).collect();
        self.set_addresses()
    }

    /// Makes this of the host's own addresses the workers', and nothing else. An address need not be the
    /// host's yet, or any more: it counts while it is, or is a VIP.
    ///
    /// Services of one protocol of an address change in one step.
    ///
    /// # Errors
    /// [`Error::Forwarded`], with nothing changed; [`Error::Map`].
    pub fn set_nat_inbound(&mut self, wanted: &[NatAddress]) -> Result<(), Error> {
        self.nat = NatTables::new(wanted)?;
        self.forwarded.set(&self.nat)?;
        self.set_addresses()
    }

    fn set_addresses(&mut self) -> Result<(), Error> {
        let failed = Error::map("addresses");
        // What is translated comes to a VIP before the kernel has it, and after that, too.
        let nat = |key| self.nat.standings.get(key).copied().unwrap_or(0);
        let mut wanted: BTreeMap<AddressKey, u8> =
            self.vips.iter().map(|key| (*key, VIP | nat(key))).collect();
        for key in &self.own {
            *wanted.entry(*key).or_default() |= OWN | nat(key);
        }
        let present: BTreeMap<AddressKey, u8> =
            self.addresses.iter().collect::<Result<_, _>>().map_err(&failed)?;
        self.set_filter(wanted.keys().chain(present.keys()))?;
        for (key, standing) in &wanted {
            if present.get(key) != Some(standing) {
                self.addresses.insert(key, standing, 0).map_err(&failed)?;
            }
        }
        for key in present.keys().filter(|key| !wanted.contains_key(*key)) {
            removed("addresses", self.addresses.remove(key))?;
        }
        self.set_filter(wanted.keys())
    }

    fn set_filter<'a>(
        &mut self,
        keys: impl IntoIterator<Item = &'a AddressKey>,
    ) -> Result<(), Error> {
        self.filter.set(0, *filter(keys), 0).map_err(Error::map("filter"))
    }

    /// Makes `inbound` what may reach the host by port number `port`, and nothing else. Each
    /// protocol changes in one step, so what is allowed before and after is allowed throughout.
    ///
    /// # Errors
    /// [`Error::PortIndex`], [`Error::Map`].
    pub fn set_host_inbound(&mut self, port: u16, inbound: &HostInbound) -> Result<(), Error> {
        let failed = Error::map("inbound");
        if port >= MAX_PORTS {
            return Err(Error::PortIndex(port));
        }
        let wanted: BTreeMap<ServiceKey, &ServiceWords> = inbound.entries(port).collect();
        for (key, words) in &wanted {
            self.inbound.insert(key, *words, 0).map_err(&failed)?;
        }
        let present: Vec<ServiceKey> =
            self.inbound.keys().collect::<Result<_, _>>().map_err(&failed)?;
        for key in present {
            if inbound::port_of(key) == port && !wanted.contains_key(&key) {
                removed("inbound", self.inbound.remove(&key))?;
            }
        }
        Ok(())
    }

    /// Gives the frames of a port's receive queue to an AF_XDP socket. The kernel takes the socket
    /// out by itself when it is closed.
    ///
    /// # Errors
    /// [`Error::PortIndex`], [`Error::Queue`], [`Error::Map`].
    pub fn set_socket(&mut self, port: u16, queue: u16, socket: impl AsFd) -> Result<(), Error> {
        let key = socket_key(port, queue)?;
        let fd = socket.as_fd().as_raw_fd();
        self.sockets.set(key, fd, 0).map_err(Error::map("sockets"))
    }

    /// Takes the socket of a port's receive queue out: its frames are dropped.
    ///
    /// # Errors
    /// [`Error::PortIndex`], [`Error::Queue`], [`Error::Map`]. No socket is not an error.
    pub fn clear_socket(&mut self, port: u16, queue: u16) -> Result<(), Error> {
        removed("sockets", self.sockets.unset(socket_key(port, queue)?))
    }

    /// Lets transit pass until `deadline`; one in the past stops it at once. A deadline that passes
    /// stops it with the next timer tick of the kernel (1 to 10 ms), or 64 frames of a CPU.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn renew_lease(&mut self, deadline: Time) -> Result<(), Error> {
        self.lease.renew(deadline)
    }

    /// A handle of its own on the lease, for who renews it elsewhere.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn lease_word(&self) -> Result<LeaseWord, Error> {
        self.lease.duplicate()
    }

    /// The list of blocked sources, for the one who fills it; `None` if it was taken before.
    pub fn take_blocks(&mut self) -> Option<BlockList> {
        self.blocks.take()
    }

    /// What became of every frame so far, over all ports and CPUs.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn stats(&self) -> Result<Stats, Error> {
        let mut stats = Stats::default();
        let cpus = self.cpus.get(&0, 0).map_err(Error::map("cpus"))?;
        cpus.iter().for_each(|cpu| stats.add(cpu));
        Ok(stats)
    }

    /// Puts the program on an interface and pins the link, or takes the place of the program on a
    /// link that an earlier daemon pinned. The interface must be one of [`Program::set_port`].
    ///
    /// The calling thread's network namespace counts.
    ///
    /// # Errors
    /// [`Error::NotConfigured`], [`Error::Locked`] while another process holds the port,
    /// [`Error::Foreign`] if somebody else's program is on it, [`Error::Attach`].
    pub fn attach(&mut self, bpf_dir: &BpfDir, ifindex: u32) -> Result<Attached, Error> {
        if self.ports.get(&ifindex, 0).is_err() {
            return Err(Error::NotConfigured { ifindex });
        }
        let program = program(&mut self.ebpf)?;
        let attachment = Attachment::new(program, bpf_dir, ifindex)?;
        let attached = attachment.state().clone();
        self.attached.insert(ifindex, attachment);
        Ok(attached)
    }

    /// Takes the program off an interface: from then on only the kernel decides about its frames.
    /// For an interface that is gone, removes what is left.
    ///
    /// # Errors
    /// [`Error::BpfDir`] if the pin cannot be removed.
    pub fn detach(&mut self, ifindex: u32) -> Result<(), Error> {
        self.attached.remove(&ifindex).map_or(Ok(()), Attachment::detach)
    }

    /// The interfaces the program is on, and how.
    pub fn attached(&self) -> impl Iterator<Item = (u32, &Attached)> {
        self.attached.iter().map(|(ifindex, attachment)| (*ifindex, attachment.state()))
    }

    /// What the program answers to a frame (at least 14 bytes) that came in by this interface and
    /// queue. Nothing is sent anywhere, but the frame is counted.
    ///
    /// # Errors
    /// [`Error::DryRun`], for instance for a queue the interface does not have.
    pub fn dry_run(&self, frame: &[u8], ifindex: u32, queue: u32) -> Result<Action, Error> {
        self.timed_run(frame, ifindex, queue, 1).map(|(action, _)| action)
    }

    /// As [`Self::dry_run`], `repeat` times over; the last answer, and the time of one run with
    /// what the kernel's loop takes (whole nanoseconds).
    ///
    /// # Errors
    /// As [`Self::dry_run`].
    pub fn timed_run(
        &self,
        frame: &[u8],
        ifindex: u32,
        queue: u32,
        repeat: u32,
    ) -> Result<(Action, Duration), Error> {
        self.run(frame, [ifindex, queue], repeat, None).map(|(action, time, _)| (action, time))
    }

    /// As [`Self::dry_run`], with the frame as the program leaves it.
    ///
    /// # Errors
    /// As [`Self::dry_run`].
    pub fn dry_run_frame(
        &self,
        frame: &[u8],
        ifindex: u32,
        queue: u32,
    ) -> Result<(Action, Vec<u8>), Error> {
        let mut out = vec![0; frame.len() + limits::FRAME_GROWTH];
        let (action, _, length) = self.run(frame, [ifindex, queue], 1, Some(&mut out))?;
        out.truncate(length);
        Ok((action, out))
    }

    fn run(
        &self,
        frame: &[u8],
        [ifindex, queue]: [u32; 2],
        repeat: u32,
        out: Option<&mut [u8]>,
    ) -> Result<(Action, Duration, usize), Error> {
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        let context: Vec<u8> =
            [0, length, 0, ifindex, queue, 0].iter().flat_map(|word| word.to_ne_bytes()).collect();
        let mut options = TestRunOptions::new();
        options.data_in = Some(frame);
        options.ctx_in = Some(&context);
        options.repeat = repeat;
        options.data_out = out;
        let result =
            self.xdp()?.test_run(options).map_err(|error| Error::DryRun(Box::new(error)))?;
        let action = match result.return_value {
            2 => Action::Pass,
            3 => Action::Transmit,
            4 => Action::Redirect,
            _ => Action::Drop,
        };
        Ok((action, result.duration, result.data_size_out as usize))
    }

    /// Instructions that the kernel's verifier walked through to load the program, of the million
    /// it allows. `None` before Linux 5.16, which does not say.
    ///
    /// # Errors
    /// [`Error::Load`] if the kernel does not describe the program.
    pub fn verified_instructions(&self) -> Result<Option<u32>, Error> {
        let info = self.xdp()?.info().map_err(|error| Error::Load(Box::new(error.into())))?;
        Ok(info.verified_instruction_count())
    }

    fn xdp(&self) -> Result<&Xdp, Error> {
        let program = self.ebpf.program(PROGRAM).ok_or(Error::Object(PROGRAM))?;
        program.try_into().map_err(|_| Error::Object(PROGRAM))
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").field("attached", &self.attached).finish_non_exhaustive()
    }
}

/// What the program does with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Drop,
    /// To the kernel.
    Pass,
    /// Back by the port that it came in by, changed.
    Transmit,
    /// To an AF_XDP socket.
    Redirect,
}

/// The deadline of transit, in the program's memory.
pub struct LeaseWord {
    map: Array<MapData, u64>,
    fd: OwnedFd,
}

impl LeaseWord {
    /// Lets transit pass until `deadline`; one in the past stops it at once. A deadline that passes
    /// stops it with the next timer tick of the kernel (1 to 10 ms), or 64 frames of a CPU.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn renew(&mut self, deadline: Time) -> Result<(), Error> {
        self.map.set(FORWARD, deadline.0, 0).map_err(Error::map("lease"))
    }

    /// Lets transit reach the workers until `deadline` although they may not forward it: they pass it
    /// on, or hold it.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn let_latecomers(&mut self, deadline: Time) -> Result<(), Error> {
        self.map.set(LATECOMERS, deadline.0, 0).map_err(Error::map("lease"))
    }

    fn take(ebpf: &mut Ebpf) -> Result<Self, Error> {
        let Some(Map::Array(data)) = ebpf.take_map("lease") else {
            return Err(Error::Object("lease"));
        };
        Self::new(data).map_err(Error::map("lease"))
    }

    fn new(data: MapData) -> Result<Self, MapError> {
        let fd = data.fd().as_fd().try_clone_to_owned()?;
        Ok(Self { map: Array::try_from(Map::Array(data))?, fd })
    }

    fn duplicate(&self) -> Result<Self, Error> {
        let fd = self.fd.try_clone().map_err(MapError::from);
        fd.and_then(MapData::from_fd).and_then(Self::new).map_err(Error::map("lease"))
    }
}

impl std::fmt::Debug for LeaseWord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LeaseWord").finish_non_exhaustive()
    }
}

/// The words of the map `lease`, as the program's `enum lease_word` has them.
const FORWARD: u32 = 0;
const LATECOMERS: u32 = 1;

/// The program's name in the object.
const PROGRAM: &str = "ringwall";

fn program(ebpf: &mut Ebpf) -> Result<&mut Xdp, Error> {
    let program = ebpf.program_mut(PROGRAM).ok_or(Error::Object(PROGRAM))?;
    program.try_into().map_err(|_| Error::Object(PROGRAM))
}

/// Takes a map out of the object; its key and value sizes are checked against ours.
fn take<M: TryFrom<Map, Error = MapError>>(
    ebpf: &mut Ebpf,
    name: &'static str,
) -> Result<M, Error> {
    let map = ebpf.take_map(name).ok_or(Error::Object(name))?;
    M::try_from(map).map_err(Error::map(name))
}

/// The result of a removal, where "it was not there" is fine.
fn removed(map: &'static str, result: Result<(), MapError>) -> Result<(), Error> {
    match result {
        Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
        Err(MapError::SyscallError(error))
            if error.io_error.raw_os_error() == Some(libc::ENOENT)
                || error.io_error.raw_os_error() == Some(libc::EINVAL) =>
        {
            Ok(())
        }
        Err(error) => Err(Error::map(map)(error)),
    }
}

fn socket_key(port: u16, queue: u16) -> Result<u32, Error> {
    if port >= MAX_PORTS {
        return Err(Error::PortIndex(port));
    }
    if queue >= MAX_QUEUES {
        return Err(Error::Queue(queue));
    }
    Ok(u32::from(port) * u32::from(MAX_QUEUES) + u32::from(queue))
}
