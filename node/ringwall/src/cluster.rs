//! `cluster`: makes a cluster, joins one, goes on alone: on files and by itself, while the node's daemon does
//! not run. Lets nodes in, with the daemon or without. And asks a running daemon to hand over, or for another
//! list of members.

mod ask;
mod member;
mod recover;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use cluster_core::membership::Kind;
use cluster_core::{NodeId, Term};
use cluster_net::Counters;
use cluster_net::identity::{Authority, ClusterName, Identity, IdentityError, Papers};
use cluster_net::join::{Issuer, Issuing, JoinError, Joined, join};
use cluster_net::limits::{TOKEN_SECONDS, TOKEN_SECONDS_MAX};
use cluster_net::store::{Assignment, Member, Run, Seed, Store, StoreError};
use cluster_net::token::{Token, TokenId};
use config::api::{self, ClusterVerb as Asked, TokenMade, TokenRequest};
use config::{Cluster, Node, Placement};
use serde::Serialize;

use crate::client::Client;
use crate::daemon::Daemon;
use crate::failure::Failure;
use crate::files;
use crate::out::Out;
use crate::server::{Claim, SocketError};

#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(subcommand)]
    verb: ClusterVerb,
}

#[derive(Debug, Subcommand)]
enum ClusterVerb {
    /// Make a cluster of which this node is the first
    Init(Init),
    /// Print a token with which one node can join
    Token(MakeToken),
    /// Join the cluster of a token
    Join(Join),
    /// Give this node a new key and certificate, where the authority's key is
    Renew(File),
    /// Hand over to the other node, as planned; to be said to the active node
    Failover(Daemon),
    /// Take the node out of service: it hands over, and does not take over until `resume`
    Drain(Daemon),
    /// Put the node back into service
    Resume(Daemon),
    /// Take over although the dead node ran another policy
    Claim(Daemon),
    /// Take a member out of the cluster, for good
    Leave(member::Leave),
    /// Give a vote to a member that has only listened so far
    Promote(member::Promote),
    /// Let a member that has joined take the place of another one
    Replace(member::Replace),
    /// Go on alone when the other nodes are lost for good
    Recover(recover::Recover),
}

#[derive(Args, Debug)]
struct File {
    /// Node file
    #[arg(long, value_name = "FILE")]
    node: PathBuf,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Writes keys, certificates and the node's store below the data directory. The authority's key, in \
cluster/authority.toml, is needed to let nodes in and to make certificates; keep a copy in a safe place.")]
struct Init {
    #[command(flatten)]
    file: File,
    /// Name of the cluster: lower-case letters, digits and `-`
    #[arg(long)]
    name: ClusterName,
}

#[derive(Args, Debug)]
#[command(after_help = "\
The token is one line. It is a secret until it is used, once. A daemon that runs waits for its bearer by \
itself, at a free port of the address of [cluster] listen. Without one this command does, at [cluster] \
listen; to end it ends the waiting.")]
struct MakeToken {
    #[command(flatten)]
    file: File,
    /// How long it can be used
    #[arg(long, value_name = "MINUTES", default_value_t = TOKEN_SECONDS / 60,
          value_parser = clap::value_parser!(u64).range(1..=TOKEN_SECONDS_MAX / 60))]
    expires: u64,
    /// For new papers of this member, rather than for a new one
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(u16).range(1..))]
    replaces: Option<u16>,
}

#[derive(Args, Debug)]
struct Join {
    /// What `cluster token` has printed
    token: Token,
    #[command(flatten)]
    file: File,
    /// This node is a member already, and its papers are to be replaced
    #[arg(long)]
    renew: bool,
    /// This node is to be a witness: it only votes, and its node file has no ports
    #[arg(long, conflicts_with = "renew")]
    witness: bool,
}

/// Why a cluster was not made or joined.
#[derive(Debug)]
pub(crate) enum ClusterError {
    /// The node file has no `[cluster]`.
    NoSection(PathBuf),
    /// The node file asks for a placement that is not there yet.
    Placement,
    /// The node file has another number than the identity.
    OtherNode {
        file: u16,
        identity: NodeId,
    },
    /// The token was not used in time.
    Expired,
    /// The daemon has its socket, or the socket cannot be had.
    Running(SocketError),
    /// The node has no log.
    NoLog(PathBuf),
    /// The operator did not say yes.
    NotAgreed,
    Identity(IdentityError),
    Store(StoreError),
    Join(JoinError),
    /// Threads, sockets.
    System(std::io::Error),
}

/// What the verbs say.
#[derive(Serialize)]
struct Papered<'a> {
    done: &'static str,
    cluster: &'a str,
    node: u16,
    /// The authority's.
    fingerprint: String,
}

#[derive(Serialize)]
struct Made {
    token: String,
    seconds: u64,
}

#[derive(Serialize)]
struct LetIn {
    joined: u16,
    addresses: Vec<std::net::SocketAddr>,
}

pub(crate) fn run(options: &Options, out: &mut Out<'_>) -> Result<(), Failure> {
    match &options.verb {
        ClusterVerb::Init(options) => init(options, out),
        ClusterVerb::Token(options) => token(options, out),
        ClusterVerb::Join(options) => join_by(options, out),
        ClusterVerb::Renew(options) => renew(options, out),
        ClusterVerb::Failover(daemon) => ask::run(daemon, Asked::Failover, out),
        ClusterVerb::Drain(daemon) => ask::run(daemon, Asked::Drain, out),
        ClusterVerb::Resume(daemon) => ask::run(daemon, Asked::Resume, out),
        ClusterVerb::Claim(daemon) => ask::run(daemon, Asked::Claim, out),
        ClusterVerb::Leave(options) => member::leave(options, out),
        ClusterVerb::Promote(options) => member::promote(options, out),
        ClusterVerb::Replace(options) => member::replace(options, out),
        ClusterVerb::Recover(options) => recover::run(options, out),
    }
}

/// A node file with its `[cluster]`.
fn read(file: &File) -> Result<(Node, Cluster, Papers), Failure> {
    in_cluster(file, files::read_node(&file.node)?.value)
}

/// The same of a member, whichever kind it is.
fn read_member(file: &File) -> Result<(Node, Cluster, Papers), Failure> {
    let node = match files::read_witness(&file.node) {
        Ok(node) => node.value,
        Err(_) => files::read_node(&file.node)?.value,
    };
    in_cluster(file, node)
}

fn in_cluster(file: &File, node: Node) -> Result<(Node, Cluster, Papers), Failure> {
    let papers = Papers::new(Path::new(&node.data_dir));
    match node.cluster.clone() {
        Some(cluster) => Ok((node, cluster, papers)),
        None => Err(ClusterError::NoSection(file.node.clone()).into()),
    }
}

fn init(options: &Init, out: &mut Out<'_>) -> Result<(), Failure> {
    let (node, cluster, papers) = read(&options.file)?;
    match cluster.placement {
        Placement::Vip => {}
        Placement::Hash => return Err(ClusterError::Placement.into()),
    }
    papers.prepare()?;
    let id = NodeId(node.id);
    let (authority, identity) = Authority::found(options.name.clone(), id)?;
    let assignment = Assignment { owner: id, backup: None, term: Term(1) };
    let seed = Seed {
        cluster: options.name.clone(),
        node: id,
        placement: vec![Run::all(assignment)],
        members: [(id, Member::at(vec![cluster.listen]))].into(),
        founder: true,
        boots: boots(),
    };
    papers.keep_authority(&authority)?;
    Store::create(&papers.store_path(), &seed)?;
    // Last: with it the node belongs to the cluster.
    papers.keep_identity(&identity)?;
    say("made", &identity, out)
}

fn token(options: &MakeToken, out: &mut Out<'_>) -> Result<(), Failure> {
    let (node, cluster, papers) = read_member(&options.file)?;
    let identity = own(&node, &papers)?;
    let socket = Path::new(&node.api.socket);
    // Whoever has the socket is the daemon, which has the store; nobody becomes it meanwhile.
    let _claim = match Claim::stake(socket, None) {
        Err(SocketError::Taken { .. }) => return token_of_daemon(options, socket, out),
        // Without a folder for it no daemon has it.
        claim => claim.ok(),
    };
    let authority = papers.authority()?;
    let mut store = Store::open(&papers.store_path(), &identity.cluster, identity.node)?;
    let token = Token::make(&identity, vec![cluster.listen])?;
    let (now, seconds) = (seconds_of_the_epoch(), options.expires * 60);
    let record = token.record(now, seconds, options.replaces.map(NodeId));
    store.add_token(token.id(), &record, now)?;
    let counters = Arc::<Counters>::default();
    let issuer = Issuer::new(identity, authority, store, counters, seconds_of_the_epoch);
    runtime()?.block_on(async {
        // Before the token is said: whoever has it is answered.
        let issuing = Issuing::start(Arc::new(issuer), cluster.listen)?;
        if out.json() {
            out.value(&Made { token: token.to_string(), seconds })?;
        } else {
            out.line(token.to_string())?;
        }
        out.flush()?;
        let joined = let_in(issuing, token.id(), Duration::from_secs(seconds)).await;
        said_joined(&joined.ok_or(ClusterError::Expired)?, out)
    })
}

/// The same of a daemon that runs. It waits for the bearer by itself.
fn token_of_daemon(options: &MakeToken, socket: &Path, out: &mut Out<'_>) -> Result<(), Failure> {
    let request = TokenRequest { seconds: options.expires * 60, replaces: options.replaces };
    let made: TokenMade = Client::new(socket).post(api::CLUSTER_TOKEN, &request)?;
    if out.json() {
        return Ok(out.value(&made)?);
    }
    Ok(out.line(made.token)?)
}

/// Waits for the bearer of the token.
async fn let_in(mut issuing: Issuing, token: TokenId, within: Duration) -> Option<Joined> {
    let bearer = async {
        loop {
            match issuing.joined().await {
                Some(joined) if joined.token == token => break Some(joined),
                // Another token that still lives.
                Some(_) => {}
                None => break None,
            }
        }
    };
    let joined = tokio::time::timeout(within, bearer).await.ok().flatten();
    issuing.stop().await;
    joined
}

fn said_joined(joined: &Joined, out: &mut Out<'_>) -> Result<(), Failure> {
    if out.json() {
        let addresses = joined.addresses.clone();
        return Ok(out.value(&LetIn { joined: joined.node.0, addresses })?);
    }
    Ok(out.line(format!("node {} joined", joined.node))?)
}

fn join_by(options: &Join, out: &mut Out<'_>) -> Result<(), Failure> {
    let (node, cluster, papers) = match (options.renew, options.witness) {
        (true, _) => read_member(&options.file)?,
        (false, true) => in_cluster(&options.file, files::read_witness(&options.file.node)?.value)?,
        (false, false) => read(&options.file)?,
    };
    if options.renew {
        own(&node, &papers)?;
    } else {
        papers.prepare()?;
    }
    let kind = if options.witness { Kind::Witness } else { Kind::Firewall };
    let (id, addresses) = (NodeId(node.id), [cluster.listen]);
    let admitted = join(&options.token, id, kind, &addresses);
    let admitted = runtime()?.block_on(admitted)?;
    if options.renew {
        admitted.keep_renewed(&papers)?;
    } else {
        admitted.keep(&papers, boots())?;
    }
    say(if options.renew { "renewed" } else { "joined" }, &admitted.identity, out)
}

fn renew(options: &File, out: &mut Out<'_>) -> Result<(), Failure> {
    let (node, _, papers) = read_member(options)?;
    let renewed = own(&node, &papers)?.renew(&papers.authority()?)?;
    papers.keep_identity(&renewed)?;
    say("renewed", &renewed, out)
}

/// The node's identity, which must be that of its file.
fn own(node: &Node, papers: &Papers) -> Result<Identity, ClusterError> {
    let identity = papers.identity()?;
    if identity.node == NodeId(node.id) {
        return Ok(identity);
    }
    Err(ClusterError::OtherNode { file: node.id, identity: identity.node })
}

fn say(done: &'static str, identity: &Identity, out: &mut Out<'_>) -> Result<(), Failure> {
    let (cluster, node) = (identity.cluster.as_str(), identity.node.0);
    let fingerprint = identity.fingerprint().to_string();
    if out.json() {
        return Ok(out.value(&Papered { done, cluster, node, fingerprint })?);
    }
    out.line(format!("{done}: node {node} of cluster {cluster}"))?;
    Ok(out.line(format!("authority: {fingerprint}"))?)
}

fn runtime() -> Result<tokio::runtime::Runtime, ClusterError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(ClusterError::System)
}

/// From where a new node's runs are counted.
fn boots() -> u32 {
    u32::try_from(seconds_of_the_epoch()).unwrap_or_default()
}

fn seconds_of_the_epoch() -> u64 {
    // A clock before 1970 counts as 1970: a token lives in any case for as long as was said.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl fmt::Display for ClusterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSection(path) => write!(
                f,
                "{} has no `[cluster]`: say there where this node listens",
                path.display()
            ),
            Self::Placement => f.write_str(
                "`placement = \"hash\"` is not carried out by this version; write \"vip\"",
            ),
            Self::OtherNode { file, identity } => write!(
                f,
                "the node file says `id = {file}`, but this node joined its cluster as {identity}"
            ),
            Self::Expired => f.write_str("nobody came with the token before it expired"),
            Self::Running(error) => write!(f, "the daemon must not run: {error}"),
            Self::NoLog(path) => write!(
                f,
                "{} is not there: this node never took part in its cluster's log, so it has nothing to go \
                 on with",
                path.display()
            ),
            Self::NotAgreed => f.write_str("nothing was done; `--yes` agrees beforehand"),
            Self::Identity(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Join(error) => error.fmt(f),
            Self::System(error) => error.fmt(f),
        }
    }
}

impl From<IdentityError> for ClusterError {
    fn from(error: IdentityError) -> Self {
        Self::Identity(error)
    }
}

impl From<ClusterError> for Failure {
    fn from(error: ClusterError) -> Self {
        Self::Cluster(error)
    }
}

impl From<IdentityError> for Failure {
    fn from(error: IdentityError) -> Self {
        Self::Cluster(ClusterError::Identity(error))
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Cluster(ClusterError::Store(error))
    }
}

impl From<JoinError> for Failure {
    fn from(error: JoinError) -> Self {
        Self::Cluster(ClusterError::Join(error))
    }
}
