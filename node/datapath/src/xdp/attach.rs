//! The link between the program and an interface: made, pinned, adopted, removed.

use std::fs;
use std::io;
use std::path::Path;

use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::xdp::{XdpError, XdpLink, XdpLinkId};
use aya::programs::{ProgramError, Xdp, XdpMode};
use futures_util::TryStreamExt;
use rtnetlink::packet_route::link::{LinkAttribute, LinkXdp, XdpAttached};

use super::bpffs::{BpfDir, PortDir};
use super::error::Error;
use super::vlan::keep_tags;

/// How the program runs on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachMode {
    /// In the driver, before the kernel makes a socket buffer.
    Native,
    /// In the kernel's generic path: works everywhere, and is slow.
    Generic,
}

impl AttachMode {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
        }
    }
}

/// What came of attaching.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    pub mode: AttachMode,
    /// The link was there, left by an earlier daemon, and the program on it was replaced.
    pub adopted: bool,
    /// Why the driver did not take the program, if it was asked and did not.
    pub native_refused: Option<String>,
    /// VLAN tags of received frames reach the program: the NIC was told to leave them in. If not,
    /// frames of every VLAN on this wire pass for untagged ones.
    pub vlan_tags_kept: bool,
}

/// The program on an interface, by a pinned link; the port stays locked as long as this lives.
#[derive(Debug)]
pub(super) struct Attachment {
    state: Attached,
    /// Held so that the link lives on if somebody removes the pin.
    link: FdLink,
    directory: PortDir,
}

impl Attachment {
    pub(super) fn new(program: &mut Xdp, bpf_dir: &BpfDir, ifindex: u32) -> Result<Self, Error> {
        let directory = bpf_dir.lock(ifindex)?;
        let path = directory.link();
        let vlan_tags_kept = keep_tags(ifindex);
        if let Some((link, mode)) = left_behind(&path, ifindex)? {
            let link = adopt(program, link, ifindex)?;
            let state = Attached { mode, adopted: true, native_refused: None, vlan_tags_kept };
            return Ok(Self { state, link, directory });
        }
        let (link, mode, native_refused) = attach_fresh(program, ifindex)?;
        let pinned = link.pin(&path).map_err(pin_error(&path))?;
        let state = Attached { mode, adopted: false, native_refused, vlan_tags_kept };
        Ok(Self { state, link: pinned.into(), directory })
    }

    pub(super) fn state(&self) -> &Attached {
        &self.state
    }

    /// Removes the pin and the link; the program is off the interface when this returns.
    pub(super) fn detach(self) -> Result<(), Error> {
        self.directory.clear()?;
        drop(self.link);
        Ok(())
    }
}

/// Removes what a daemon that no longer runs left on an interface of the calling thread's network
/// namespace; true if there was something.
///
/// # Errors
/// [`Error::Locked`] while the daemon runs, [`Error::BpfDir`].
pub fn detach(bpf_dir: &BpfDir, ifindex: u32) -> Result<bool, Error> {
    let directory = bpf_dir.lock(ifindex)?;
    // The kernel takes the program off at once when a descriptor is the last holder of its link,
    // and some time later when a pin is.
    let link = PinnedLink::from_pin(directory.link()).ok();
    let removed = directory.clear()?;
    drop(link);
    Ok(removed)
}

/// [`detach`] for every interface of the calling thread's network namespace; the interfaces that
/// had something.
///
/// # Errors
/// As [`detach`], at the first that fails.
pub fn detach_all(bpf_dir: &BpfDir) -> Result<Vec<u32>, Error> {
    let path = bpf_dir.namespace_dir()?;
    let entries = match fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::bpf_dir(&path)(error)),
    };
    let mut detached = Vec::new();
    for entry in entries {
        let name = entry.map_err(Error::bpf_dir(&path))?.file_name();
        let ifindex = name.to_str().and_then(|name| name.strip_prefix("if-")?.parse().ok());
        let Some(ifindex) = ifindex else { continue };
        if detach(bpf_dir, ifindex)? {
            detached.push(ifindex);
        }
    }
    Ok(detached)
}

/// What the kernel says is on an interface.
struct KernelState {
    mode: AttachMode,
    program: u32,
}

/// The pinned link, if it is the one that is on the interface. A pin whose interface went away
/// (and whose number may have come back) is removed.
fn left_behind(path: &Path, ifindex: u32) -> Result<Option<(FdLink, AttachMode)>, Error> {
    if !path.exists() {
        return Ok(None);
    }
    let pinned = PinnedLink::from_pin(path).map_err(pin_error(path))?;
    let link = FdLink::from(pinned);
    let program = link.info().map_err(pin_error(path))?.program_id();
    if let Some(state) = kernel_state(ifindex)?
        && state.program == program
    {
        return Ok(Some((link, state.mode)));
    }
    fs::remove_file(path).map_err(Error::bpf_dir(path))?;
    Ok(None)
}

/// Puts our program in the place of the one on the link, in one step.
fn adopt(program: &mut Xdp, link: FdLink, ifindex: u32) -> Result<FdLink, Error> {
    let failed = |source: ProgramError| Error::Attach { ifindex, source: Box::new(source) };
    let link = XdpLink::try_from(link).map_err(|_| Error::NoLink { ifindex })?;
    let id = program.attach_to_link(link).map_err(failed)?;
    taken(program, id, ifindex)
}

/// Native first; where the driver cannot, generic.
fn attach_fresh(
    program: &mut Xdp,
    ifindex: u32,
) -> Result<(FdLink, AttachMode, Option<String>), Error> {
    let native = match program.attach_to_if_index(ifindex, XdpMode::Driver) {
        Ok(id) => return Ok((taken(program, id, ifindex)?, AttachMode::Native, None)),
        Err(error) => error,
    };
    if final_refusal(&native) {
        return Err(refusal(native, ifindex));
    }
    match program.attach_to_if_index(ifindex, XdpMode::Skb) {
        Ok(id) => {
            let link = taken(program, id, ifindex)?;
            Ok((link, AttachMode::Generic, Some(cause(&native))))
        }
        Err(error) => Err(refusal(error, ifindex)),
    }
}

/// The link out of aya's hands, which would detach it with the program.
fn taken(program: &mut Xdp, id: XdpLinkId, ifindex: u32) -> Result<FdLink, Error> {
    let failed = |source: ProgramError| Error::Attach { ifindex, source: Box::new(source) };
    let link = program.take_link(id).map_err(failed)?;
    FdLink::try_from(link).map_err(|_| Error::NoLink { ifindex })
}

/// Another mode would be refused for the same reason.
fn final_refusal(error: &ProgramError) -> bool {
    let fatal = [libc::EBUSY, libc::EEXIST, libc::EPERM, libc::ENODEV];
    errno(error).is_some_and(|errno| fatal.contains(&errno))
}

fn refusal(error: ProgramError, ifindex: u32) -> Error {
    match errno(&error) {
        Some(libc::EBUSY | libc::EEXIST) => {
            let program = kernel_state(ifindex).ok().flatten().map(|state| state.program);
            Error::Foreign { ifindex, program }
        }
        _ => Error::Attach { ifindex, source: Box::new(error) },
    }
}

/// The kernel's error number, from a link or, for kernels that refuse links, from netlink.
fn errno(error: &ProgramError) -> Option<i32> {
    if let ProgramError::SyscallError(error) = error {
        return error.io_error.raw_os_error();
    }
    if let ProgramError::XdpError(XdpError::NetlinkError(error)) = error {
        return error.raw_os_error();
    }
    None
}

fn cause(error: &ProgramError) -> String {
    match errno(error) {
        Some(errno) => io::Error::from_raw_os_error(errno).to_string(),
        None => error.to_string(),
    }
}

fn pin_error<E: std::error::Error>(path: &Path) -> impl Fn(E) -> Error + '_ {
    move |error| {
        let text = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        Error::BpfDir { path: path.to_owned(), source: io::Error::other(text) }
    }
}

/// Which XDP program is on an interface, and how. Asked on a thread of its own: the caller may be
/// inside a runtime, and the thread is in the caller's network namespace.
fn kernel_state(ifindex: u32) -> Result<Option<KernelState>, Error> {
    let asked = std::thread::scope(|scope| scope.spawn(|| query(ifindex)).join());
    let attributes = asked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let attributes = attributes.map_err(|reason| Error::Query { ifindex, reason })?;
    Ok(attributes.iter().find_map(|attribute| {
        let LinkAttribute::Xdp(xdp) = attribute else { return None };
        parse(xdp)
    }))
}

fn query(ifindex: u32) -> Result<Vec<LinkAttribute>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let (connection, handle, _) =
            rtnetlink::new_connection().map_err(|error| error.to_string())?;
        let connection = tokio::spawn(connection);
        let answer = handle.link().get().match_index(ifindex).execute().try_next().await;
        connection.abort();
        let message = answer.map_err(|error| error.to_string())?;
        Ok(message.ok_or("no such interface")?.attributes)
    })
}

fn parse(xdp: &[LinkXdp]) -> Option<KernelState> {
    let attached = |how| xdp.contains(&LinkXdp::Attached(how));
    let mode = if attached(XdpAttached::SocketBuffer) {
        AttachMode::Generic
    } else if attached(XdpAttached::Driver) || attached(XdpAttached::Hardware) {
        AttachMode::Native
    } else {
        return None;
    };
    let program = xdp.iter().find_map(|attribute| {
        let LinkXdp::ProgId(id) = attribute else { return None };
        Some(*id)
    })?;
    Some(KernelState { mode, program })
}
