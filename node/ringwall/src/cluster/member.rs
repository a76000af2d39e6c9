//! `cluster leave`, `promote`, `replace`: asks a running daemon for another list of members.

use clap::Args;
use config::api::{self, Done, MemberRequest, MemberVerb, Status};

use crate::failure::Failure;
use crate::insist::Insistence;
use crate::out::Out;

#[derive(Args, Debug)]
pub(super) struct Leave {
    #[command(flatten)]
    insistence: Insistence,
    /// Number of the member; the node whose daemon is asked otherwise
    #[arg(value_parser = number())]
    node: Option<u16>,
}

#[derive(Args, Debug)]
pub(super) struct Promote {
    #[command(flatten)]
    insistence: Insistence,
    /// Number of the member
    #[arg(value_parser = number())]
    node: u16,
}

#[derive(Args, Debug)]
pub(super) struct Replace {
    #[command(flatten)]
    insistence: Insistence,
    /// Number of the member that goes
    #[arg(value_parser = number())]
    old: u16,
    /// Number of the one that has joined for it
    #[arg(value_parser = number())]
    new: u16,
}

/// The number of a node.
fn number() -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..)
}

pub(super) fn leave(options: &Leave, out: &mut Out<'_>) -> Result<(), Failure> {
    let Leave { insistence, node } = options;
    let node = match node {
        Some(node) => *node,
        None => insistence.client()?.get::<Status>(api::STATUS)?.id,
    };
    change(insistence, MemberVerb::Remove, node, None, out)
}

pub(super) fn promote(options: &Promote, out: &mut Out<'_>) -> Result<(), Failure> {
    change(&options.insistence, MemberVerb::Promote, options.node, None, out)
}

pub(super) fn replace(options: &Replace, out: &mut Out<'_>) -> Result<(), Failure> {
    let Replace { insistence, old, new } = options;
    if old == new {
        return Err(Failure::Usage("a member cannot take its own place".to_owned()));
    }
    change(insistence, MemberVerb::Replace, *old, Some(*new), out)
}

fn change(
    insistence: &Insistence,
    verb: MemberVerb,
    node: u16,
    by: Option<u16>,
    out: &mut Out<'_>,
) -> Result<(), Failure> {
    let request = |request| MemberRequest { verb, node, by, request: Some(request) };
    let done: Done = insistence.post(api::CLUSTER_MEMBER, request)?;
    if out.json() {
        return Ok(out.value(&done)?);
    }
    Ok(out.line(told(verb, node, by))?)
}

fn told(verb: MemberVerb, node: u16, by: Option<u16>) -> String {
    match (verb, by) {
        (MemberVerb::Remove, _) => format!("node {node} is no member any more"),
        (MemberVerb::Promote, _) => format!("node {node} has a vote"),
        (MemberVerb::Replace, Some(by)) => format!("node {by} has taken the place of node {node}"),
        (MemberVerb::Replace, None) => format!("node {node} is replaced"),
    }
}
