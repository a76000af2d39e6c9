//! The issuer's side: judges claims, makes certificates, remembers.

use core::net::SocketAddr;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use aws_lc_rs::digest::SHA256_OUTPUT_LEN;
use cluster_core::NodeId;
use cluster_core::membership::Kind;
use quinn::{Connection, Endpoint, Incoming, RecvStream, SendStream, VarInt};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::limiter::Limiter;
use super::proof::{Channel, PublicKey, Statement};
use super::{
    Admission, Answer, Claim, JoinError, JoinRefusal, MemberRow, PROTOCOL, PlacementRow, Request,
    TAG_ADMISSION, TAG_ANSWER, TAG_CLAIM, TAG_REQUEST, TAG_WITNESS_CLAIM, TAG_WITNESSES,
    WithWitnesses,
};
use crate::codec::{CodecError, decode_joining, encode_joining};
use crate::identity::{Authority, Identity};
use crate::limits::{ADDRESSES, HANDSHAKES, JOIN_MESSAGE_BYTES, JOIN_TIMEOUT};
use crate::store::{Member, Run, Standing, Store, StoreError};
use crate::token::{TokenId, TokenRecord};
use crate::transport::{Timing, frames, tuning};
use crate::{Counter, Counters, tls};

/// What an issuer keeps: tokens, and who is let in by them. Calls block.
pub trait Ledger: Send + Sync + 'static {
    /// The token with this name, if it was made here and is not forgotten.
    ///
    /// # Errors
    /// If it cannot be read.
    fn token(&self, id: TokenId) -> Result<Option<TokenRecord>, StoreError>;

    /// Uses the token up, makes its bearer a member, and tells what that one is to know.
    ///
    /// # Errors
    /// As [`Store::admit`].
    fn admit(&self, id: TokenId, node: NodeId, member: &Member) -> Result<Known, StoreError>;
}

/// What a new member is told.
#[derive(Clone, Debug)]
pub struct Known {
    /// All nodes that are or were members.
    pub members: BTreeMap<NodeId, Member>,
    /// Who has which slots.
    pub placement: Vec<Run>,
}

impl Known {
    /// Lets a node in by a token.
    ///
    /// # Errors
    /// As [`Store::admit`].
    pub fn of_admission(
        store: &mut Store,
        id: TokenId,
        node: NodeId,
        member: &Member,
    ) -> Result<Self, StoreError> {
        store.admit(id, node, member)?;
        Ok(Self { members: store.members()?, placement: store.placement()? })
    }
}

impl Ledger for Mutex<Store> {
    fn token(&self, id: TokenId) -> Result<Option<TokenRecord>, StoreError> {
        lock(self).token(id)
    }

    fn admit(&self, id: TokenId, node: NodeId, member: &Member) -> Result<Known, StoreError> {
        Known::of_admission(&mut lock(self), id, node, member)
    }
}

/// A node that lets others in.
pub struct Issuer {
    identity: Identity,
    authority: Authority,
    ledger: Box<dyn Ledger>,
    limiter: Mutex<Limiter>,
    counters: Arc<Counters>,
    /// Seconds of the epoch.
    clock: Box<dyn Fn() -> u64 + Send + Sync>,
}

/// A node that was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Its number.
    pub node: NodeId,
    /// What it is for.
    pub kind: Kind,
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
    /// The token that it used.
    pub token: TokenId,
}

/// A claim that was judged good so far.
struct Accepted {
    claim: Vec<u8>,
    record: TokenRecord,
    joined: Joined,
    key: PublicKey,
}

impl Issuer {
    /// An issuer; `clock` tells the seconds of the epoch, by which tokens expire.
    #[must_use]
    pub fn new(
        identity: Identity,
        authority: Authority,
        store: Store,
        counters: Arc<Counters>,
        clock: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Self {
        Self::with_ledger((identity, authority), Mutex::new(store), counters, clock)
    }

    /// The same, for a store that others use, too.
    #[must_use]
    pub fn with_ledger(
        (identity, authority): (Identity, Authority),
        ledger: impl Ledger,
        counters: Arc<Counters>,
        clock: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Self {
        let limiter = Mutex::new(Limiter::new(Instant::now()));
        let (ledger, clock) = (Box::new(ledger), Box::new(clock));
        Self { identity, authority, ledger, limiter, counters, clock }
    }

    /// Judges a request that came over `channel` at `at`, and carries it out. Blocks.
    pub(super) fn hear(
        &self,
        request: &[u8],
        channel: Channel,
        at: Instant,
    ) -> Result<(Vec<u8>, Joined), JoinRefusal> {
        let heard = self.judge(request, channel, at).and_then(|good| self.admit(channel, good));
        self.counters.count(match &heard {
            Ok(_) => Counter::Joined,
            Err(JoinRefusal::TooOften) => Counter::JoinTooOften,
            Err(JoinRefusal::WrongToken) => Counter::JoinWrongToken,
            Err(JoinRefusal::TokenUsed) => Counter::JoinTokenUsed,
            Err(JoinRefusal::TokenExpired) => Counter::JoinTokenExpired,
            Err(JoinRefusal::BadRequest) => Counter::JoinBroken,
            Err(JoinRefusal::NodeTaken | JoinRefusal::Unavailable) => Counter::JoinRefused,
        });
        heard
    }

    fn judge(
        &self,
        request: &[u8],
        channel: Channel,
        at: Instant,
    ) -> Result<Accepted, JoinRefusal> {
        if !lock(&self.limiter).take(at) {
            return Err(JoinRefusal::TooOften);
        }
        let bad = |_| JoinRefusal::BadRequest;
        let request: Request = decode_joining(TAG_REQUEST, request).map_err(bad)?;
        let (kind, claim) = claim(&request.claim).map_err(bad)?;
        let token = TokenId(claim.token);
        let record = self.ledger.token(token).map_err(|_| JoinRefusal::Unavailable)?;
        // One that is not known is checked as well, with a key that fits nothing.
        let key = record.as_ref().map_or([0; SHA256_OUTPUT_LEN], |record| record.key);
        let proved = channel.is_proved(&key, Statement::Claim(&request.claim), &request.proof);
        let record = record.filter(|_| proved).ok_or(JoinRefusal::WrongToken)?;
        if record.used {
            return Err(JoinRefusal::TokenUsed);
        }
        if !record.is_valid_at((self.clock)()) {
            return Err(JoinRefusal::TokenExpired);
        }
        let key = PublicKey(claim.key);
        if !channel.is_signed(&key, &request.claim, &request.possession) {
            return Err(JoinRefusal::BadRequest);
        }
        let addresses = addresses(&claim.addresses).ok_or(JoinRefusal::BadRequest)?;
        if claim.node == 0 {
            return Err(JoinRefusal::BadRequest);
        }
        let joined = Joined { node: NodeId(claim.node), kind, addresses, token };
        Ok(Accepted { claim: request.claim, record, joined, key })
    }

    fn admit(
        &self,
        channel: Channel,
        accepted: Accepted,
    ) -> Result<(Vec<u8>, Joined), JoinRefusal> {
        let Accepted { claim, record, joined, key } = accepted;
        // First what can fail without a trace, then the commit, then nothing that can fail.
        let certificate = self.authority.certify(joined.node, &key);
        let certificate = certificate.map_err(|_| JoinRefusal::BadRequest)?;
        let member = Member::new(joined.kind, joined.addresses.clone());
        let admitted = self.ledger.admit(joined.token, joined.node, &member);
        let Known { members, placement } = admitted.map_err(refusal)?;
        let witnesses = witnesses(&members);
        let admission = Admission {
            certificate: certificate.to_vec(),
            authority: self.authority.certificate().to_vec(),
            secret: self.identity.secret.0,
            members: members.into_iter().map(member_row).collect(),
            placement: placement.into_iter().map(placement_row).collect(),
        };
        let admission = match witnesses.is_empty() {
            true => encode_joining(TAG_ADMISSION, &admission),
            false => encode_joining(TAG_WITNESSES, &WithWitnesses { admission, witnesses }),
        };
        let admission = admission.map_err(|_| JoinRefusal::Unavailable)?;
        let statement = Statement::Admission { claim: &claim, admission: &admission };
        let proof = channel.prove(&record.key, statement);
        let answer = encode_joining(TAG_ANSWER, &Answer::Admitted { admission, proof });
        Ok((answer.map_err(|_| JoinRefusal::Unavailable)?, joined))
    }
}

fn refusal(error: StoreError) -> JoinRefusal {
    match error {
        // Somebody else used it in between.
        StoreError::NoToken => JoinRefusal::TokenUsed,
        StoreError::NodeTaken(_) | StoreError::NoMember(_) | StoreError::Full(_) => {
            JoinRefusal::NodeTaken
        }
        StoreError::Poisoned
        | StoreError::Storage(_)
        | StoreError::File(_)
        | StoreError::Foreign(_)
        | StoreError::Damaged(_)
        | StoreError::StaleTerm { .. }
        | StoreError::TermTaken { .. }
        | StoreError::Slots
        | StoreError::ZoneTaken
        | StoreError::ZoneName => JoinRefusal::Unavailable,
    }
}

fn claim(bytes: &[u8]) -> Result<(Kind, Claim), CodecError> {
    match decode_joining(TAG_CLAIM, bytes) {
        Err(CodecError::Tag(TAG_WITNESS_CLAIM)) => {
            decode_joining(TAG_WITNESS_CLAIM, bytes).map(|claim| (Kind::Witness, claim))
        }
        claim => claim.map(|claim| (Kind::Firewall, claim)),
    }
}

fn witnesses(members: &BTreeMap<NodeId, Member>) -> Vec<u16> {
    let witnesses = members.iter().filter(|(_, member)| member.kind == Kind::Witness);
    witnesses.map(|(node, _)| node.0).collect()
}

fn addresses(texts: &[String]) -> Option<Vec<SocketAddr>> {
    let parsed = texts.iter().map(|text| text.parse().ok()).collect::<Option<Vec<_>>>()?;
    (parsed.len() <= ADDRESSES).then_some(parsed)
}

fn member_row((node, member): (NodeId, Member)) -> MemberRow {
    MemberRow {
        node: node.0,
        retired: member.standing == Standing::Retired,
        addresses: member.addresses.iter().map(ToString::to_string).collect(),
    }
}

fn placement_row(run: Run) -> PlacementRow {
    let Run { first, last, assignment } = run;
    PlacementRow {
        first,
        last,
        owner: assignment.owner.0,
        backup: assignment.backup.unwrap_or_default().0,
        term: assignment.term.0,
    }
}

/// What is behind the lock is whole even after a panic: it changes by single assignments and commits.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An issuer that listens. Ends when dropped.
#[derive(Debug)]
pub struct Issuing {
    endpoint: Endpoint,
    task: JoinHandle<()>,
    joined: mpsc::Receiver<Joined>,
}

impl Issuing {
    /// Begins to listen.
    ///
    /// # Errors
    /// If the address is not to be had.
    pub fn start(issuer: Arc<Issuer>, listen: SocketAddr) -> Result<Self, JoinError> {
        let broken = |error: rustls::Error| JoinError::Broken(error.to_string());
        let tls = tls::issuing(&issuer.identity, vec![PROTOCOL.to_vec()]).map_err(broken)?;
        let config = tuning::server(tls, &Timing::default()).map_err(broken)?;
        let endpoint = Endpoint::server(config, listen).map_err(JoinError::Socket)?;
        let (tell, joined) = mpsc::channel(HANDSHAKES);
        let task = tokio::spawn(accept(endpoint.clone(), issuer, tell));
        Ok(Self { endpoint, task, joined })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the socket says.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// The next node that was let in.
    pub async fn joined(&mut self) -> Option<Joined> {
        self.joined.recv().await
    }

    /// Stops listening; conversations under way are given their time.
    pub async fn stop(self) {
        self.endpoint.set_server_config(None);
        let _ = timeout(JOIN_TIMEOUT, self.endpoint.wait_idle()).await;
    }
}

impl Drop for Issuing {
    fn drop(&mut self) {
        self.task.abort();
        self.endpoint.close(VarInt::from_u32(0), b"");
    }
}

async fn accept(endpoint: Endpoint, issuer: Arc<Issuer>, tell: mpsc::Sender<Joined>) {
    let mut conversations = JoinSet::new();
    while let Some(incoming) = endpoint.accept().await {
        while conversations.try_join_next().is_some() {}
        if !incoming.remote_address_validated() {
            // A caller with a forged address costs nothing that way.
            let _ = incoming.retry();
        } else if conversations.len() >= HANDSHAKES {
            issuer.counters.count(Counter::HandshakesFull);
            incoming.refuse();
        } else {
            conversations.spawn(converse(incoming, Arc::clone(&issuer), tell.clone()));
        }
    }
}

/// One conversation, within its time.
async fn converse(incoming: Incoming, issuer: Arc<Issuer>, tell: mpsc::Sender<Joined>) {
    let counters = Arc::clone(&issuer.counters);
    let done = timeout(JOIN_TIMEOUT, answer(incoming, issuer, tell)).await;
    if !matches!(done, Ok(Some(()))) {
        counters.count(Counter::JoinBroken);
    }
}

async fn answer(incoming: Incoming, issuer: Arc<Issuer>, tell: mpsc::Sender<Joined>) -> Option<()> {
    let connection = incoming.accept().ok()?.await.ok()?;
    let (stream, request) = request(&connection).await?;
    let channel = Channel::of(&connection)?;
    let heard = tokio::task::spawn_blocking(move || issuer.hear(&request, channel, Instant::now()));
    let (bytes, joined) = match heard.await.ok()? {
        Ok((bytes, joined)) => (bytes, Some(joined)),
        Err(why) => (encode_joining(TAG_ANSWER, &Answer::Refused(why)).ok()?, None),
    };
    if let Some(joined) = joined {
        // Nobody may be listening for it; the store has it, and the joiner waits.
        let _ = tell.try_send(joined);
    }
    finish(stream, &bytes).await
}

async fn request(connection: &Connection) -> Option<(SendStream, Vec<u8>)> {
    let (send, mut receive): (SendStream, RecvStream) = connection.accept_bi().await.ok()?;
    let request = frames::read(&mut receive, JOIN_MESSAGE_BYTES, JOIN_TIMEOUT).await.ok()?;
    Some((send, request))
}

/// Says the last word and waits until it was heard.
async fn finish(mut stream: SendStream, bytes: &[u8]) -> Option<()> {
    frames::write(&mut stream, bytes, JOIN_TIMEOUT).await.ok()?;
    stream.finish().ok()?;
    // The joiner closes when it has the answer, which counts as heard, too.
    let _ = stream.stopped().await;
    Some(())
}

impl core::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "issuer of {:?}", self.authority)
    }
}
