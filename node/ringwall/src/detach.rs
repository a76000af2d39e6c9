//! `detach`: takes the XDP programs that an ended daemon left behind off their interfaces.

use std::path::PathBuf;

use clap::Args;
use datapath::xdp::{BpfDir, detach_all};
use serde::Serialize;

use crate::failure::Failure;
use crate::{files, out::Out};

#[derive(Args, Debug)]
#[command(
    after_help = "Afterwards the interfaces belong to the kernel again: what passes is up to its \
                        own settings. A daemon that runs keeps its ports; stop it first."
)]
pub(crate) struct Options {
    /// Node file, for its bpf-dir
    #[arg(long, value_name = "FILE", conflicts_with = "bpf_dir")]
    node: Option<PathBuf>,
    /// Directory that the programs are pinned in
    #[arg(long, value_name = "DIR", default_value = "/sys/fs/bpf/ringwall")]
    bpf_dir: PathBuf,
}

/// What was done.
#[derive(Serialize)]
struct Detached {
    /// Numbers of the interfaces that had a program.
    interfaces: Vec<u32>,
}

pub(crate) fn run(options: &Options, out: &mut Out<'_>) -> Result<(), Failure> {
    let directory = match &options.node {
        Some(file) => files::read_node(file)?.value.bpf_dir.into(),
        None => options.bpf_dir.clone(),
    };
    let directory = BpfDir::prepare(&directory).map_err(Failure::Xdp)?;
    let interfaces = detach_all(&directory).map_err(Failure::Xdp)?;
    if out.json() {
        return Ok(out.value(&Detached { interfaces })?);
    }
    if interfaces.is_empty() {
        return Ok(out.line("nothing was attached in this network namespace")?);
    }
    for interface in interfaces {
        let name = nix::net::if_::if_indextoname(interface);
        let name = name.map(|name| name.to_string_lossy().into_owned());
        out.line(format!("{}: detached", name.unwrap_or_else(|_| interface.to_string())))?;
    }
    Ok(())
}
