//! Joining over real connections on this machine, and what is refused.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use cluster_core::membership::Kind;
use cluster_core::{NodeId, Term};
use quinn::Endpoint;
use tokio::time::timeout;

use super::proof::{Channel, Statement};
use super::*;
use crate::codec::encode_joining;
use crate::identity::{Authority, Identity, Papers, new_key, node_of};
use crate::limits::{JOIN_BURST, JOIN_INTERVAL, JOIN_MESSAGE_BYTES, JOIN_TIMEOUT};
use crate::store::{Assignment, Member, Run, Seed, Store};
use crate::tls::{self, Pinned};
use crate::token::Token;
use crate::transport::{Timing, frames, tuning};
use crate::{Counter, Counters};

const ANY: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// Longer than anything here takes, and shorter than anybody's patience.
const BOUND: Duration = Duration::from_secs(20);
const NOW: u64 = 1_000_000;
const LIFE: u64 = 60;

/// A cluster of one node that lets others in.
struct Cluster {
    issuing: Issuing,
    issuer: Arc<Issuer>,
    identity: Identity,
    counters: Arc<Counters>,
    clock: Arc<AtomicU64>,
    folder: tempfile::TempDir,
}

impl Cluster {
    /// With as many tokens; each may name a member that it replaces.
    fn new(tokens: &[Option<u16>]) -> (Self, Vec<Token>) {
        let (authority, identity) = Authority::found("alpha".parse().unwrap(), NodeId(1)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let papers = Papers::new(folder.path());
        papers.prepare().unwrap();
        papers.keep_authority(&authority).unwrap();
        papers.keep_identity(&identity).unwrap();
        let mut store = store(&papers, &identity);
        let mut made = Vec::new();
        for replaces in tokens {
            let token = Token::make(&identity, Vec::new()).unwrap();
            let record = token.record(NOW, LIFE, replaces.map(NodeId));
            store.add_token(token.id(), &record, NOW).unwrap();
            made.push(token);
        }
        let (counters, clock) = (Arc::<Counters>::default(), Arc::new(AtomicU64::new(NOW)));
        let reading = Arc::clone(&clock);
        let issuer = Issuer::new(
            papers.identity().unwrap(),
            papers.authority().unwrap(),
            store,
            Arc::clone(&counters),
            move || reading.load(Ordering::Relaxed),
        );
        let issuer = Arc::new(issuer);
        let issuing = Issuing::start(Arc::clone(&issuer), ANY).unwrap();
        for token in &mut made {
            token.addresses = vec![issuing.address().unwrap()];
        }
        (Self { issuing, issuer, identity, counters, clock, folder }, made)
    }

    /// Exactly these counters have moved since the beginning. The issuer counts a moment after it has
    /// answered, so this waits for the last of them.
    async fn counted(&self, expected: &[(Counter, u64)]) {
        let reached = async {
            while self.counters.nonzero() != expected {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let reached = timeout(BOUND, reached).await;
        assert!(reached.is_ok(), "{:?} instead of {expected:?}", self.counters.nonzero());
    }
}

fn store(papers: &Papers, identity: &Identity) -> Store {
    let assignment = Assignment { owner: NodeId(1), backup: None, term: Term(3) };
    let seed = Seed {
        cluster: identity.cluster.clone(),
        node: identity.node,
        placement: vec![Run::all(assignment)],
        members: BTreeMap::from([(NodeId(1), Member::at(Vec::new()))]),
        founder: true,
        boots: 0,
    };
    Store::create(&papers.store_path(), &seed).unwrap();
    Store::open(&papers.store_path(), &identity.cluster, identity.node).unwrap()
}

async fn join_as(token: &Token, node: u16) -> Result<Admitted, JoinError> {
    let addresses = ["10.0.9.2:7400".parse().unwrap()];
    timeout(BOUND, join(token, NodeId(node), Kind::Firewall, &addresses)).await.unwrap()
}

#[track_caller]
fn refused(joined: Result<Admitted, JoinError>) -> JoinRefusal {
    match joined {
        Err(JoinError::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_good_token_makes_a_member() {
    let (mut cluster, tokens) = Cluster::new(&[None]);
    let admitted = join_as(&tokens[0], 2).await.unwrap();
    let joined = timeout(BOUND, cluster.issuing.joined()).await.unwrap().unwrap();
    assert_eq!((joined.node, joined.token), (NodeId(2), tokens[0].id()));
    let identity = &admitted.identity;
    assert_eq!(node_of(&identity.certificate, &identity.cluster), Some(NodeId(2)));
    assert_eq!(identity.fingerprint(), cluster.identity.fingerprint());
    assert!(identity.secret == cluster.identity.secret);
    assert_eq!(admitted.members.keys().copied().collect::<Vec<_>>(), [NodeId(1), NodeId(2)]);
    assert_eq!(admitted.members[&NodeId(2)].addresses, joined.addresses);
    assert_eq!(admitted.placement[0].assignment.term, Term(3));
    let folder = tempfile::tempdir().unwrap();
    let papers = Papers::new(folder.path());
    papers.prepare().unwrap();
    admitted.keep(&papers, 0).unwrap();
    let read = papers.identity().unwrap();
    let store = Store::open(&papers.store_path(), &read.cluster, read.node).unwrap();
    assert_eq!(store.members().unwrap(), admitted.members);
    assert_eq!(store.placement().unwrap(), admitted.placement);
    assert!(papers.authority().is_err(), "the authority's key stays where it is");
    cluster.counted(&[(Counter::Joined, 1)]).await;
}

#[tokio::test]
async fn a_witness_joins_as_one_and_those_after_it_know() {
    let (mut cluster, tokens) = Cluster::new(&[None, None]);
    let addresses = ["10.0.9.3:7400".parse().unwrap()];
    let witness = join(&tokens[0], NodeId(3), Kind::Witness, &addresses);
    let witness = timeout(BOUND, witness).await.unwrap().unwrap();
    let joined = timeout(BOUND, cluster.issuing.joined()).await.unwrap().unwrap();
    assert_eq!((joined.node, joined.kind), (NodeId(3), Kind::Witness));
    let firewall = join_as(&tokens[1], 2).await.unwrap();
    for admitted in [&witness, &firewall] {
        assert_eq!(admitted.members[&NodeId(3)].kind, Kind::Witness);
        assert_eq!(admitted.members[&NodeId(1)].kind, Kind::Firewall);
    }
    assert_eq!(firewall.members[&NodeId(2)].kind, Kind::Firewall);
}

#[tokio::test]
async fn new_papers_bring_the_members_along_that_came_later() {
    let (_cluster, tokens) = Cluster::new(&[None, None, Some(2)]);
    let folder = tempfile::tempdir().unwrap();
    let papers = Papers::new(folder.path());
    papers.prepare().unwrap();
    join_as(&tokens[0], 2).await.unwrap().keep(&papers, 0).unwrap();
    join_as(&tokens[1], 3).await.unwrap();
    let renewed = join_as(&tokens[2], 2).await.unwrap();
    renewed.keep_renewed(&papers).unwrap();
    let identity = papers.identity().unwrap();
    let store = Store::open(&papers.store_path(), &identity.cluster, identity.node).unwrap();
    assert_eq!(store.members().unwrap(), renewed.members);
    assert!(renewed.members.contains_key(&NodeId(3)));
}

#[tokio::test]
async fn a_used_token_is_refused() {
    let (cluster, tokens) = Cluster::new(&[None]);
    join_as(&tokens[0], 2).await.unwrap();
    assert_eq!(refused(join_as(&tokens[0], 3).await), JoinRefusal::TokenUsed);
    cluster.counted(&[(Counter::Joined, 1), (Counter::JoinTokenUsed, 1)]).await;
}

#[tokio::test]
async fn an_expired_token_is_refused() {
    let (cluster, tokens) = Cluster::new(&[None]);
    cluster.clock.store(NOW + LIFE, Ordering::Relaxed);
    assert_eq!(refused(join_as(&tokens[0], 2).await), JoinRefusal::TokenExpired);
    cluster.counted(&[(Counter::JoinTokenExpired, 1)]).await;
    cluster.clock.store(NOW + LIFE - 1, Ordering::Relaxed);
    join_as(&tokens[0], 2).await.unwrap();
}

#[tokio::test]
async fn a_wrong_token_is_refused() {
    let (cluster, tokens) = Cluster::new(&[None]);
    let mut other = Token::make(&cluster.identity, Vec::new()).unwrap();
    other.addresses = tokens[0].addresses.clone();
    assert_eq!(refused(join_as(&other, 2).await), JoinRefusal::WrongToken);
    cluster.counted(&[(Counter::JoinWrongToken, 1)]).await;
}

#[tokio::test]
async fn a_number_that_is_taken_is_refused_and_the_token_stays_good() {
    let (cluster, tokens) = Cluster::new(&[None]);
    assert_eq!(refused(join_as(&tokens[0], 1).await), JoinRefusal::NodeTaken);
    join_as(&tokens[0], 2).await.unwrap();
    cluster.counted(&[(Counter::Joined, 1), (Counter::JoinRefused, 1)]).await;
}

#[tokio::test]
async fn a_token_for_a_member_renews_its_papers() {
    let (cluster, tokens) = Cluster::new(&[None, Some(2)]);
    let folder = tempfile::tempdir().unwrap();
    let papers = Papers::new(folder.path());
    papers.prepare().unwrap();
    let first = join_as(&tokens[0], 2).await.unwrap();
    first.keep(&papers, 0).unwrap();
    assert_eq!(refused(join_as(&tokens[1], 3).await), JoinRefusal::NodeTaken);
    let second = join_as(&tokens[1], 2).await.unwrap();
    second.keep_renewed(&papers).unwrap();
    assert_eq!(papers.identity().unwrap().certificate, second.identity.certificate);
    assert_ne!(first.identity.certificate, second.identity.certificate);
    let (_stranger, strange) = Cluster::new(&[None]);
    let other = join_as(&strange[0], 2).await.unwrap();
    let error = other.keep_renewed(&papers).unwrap_err();
    assert!(matches!(error, JoinError::Forged(_)), "{error:?}");
    assert_eq!(papers.identity().unwrap().certificate, second.identity.certificate);
    cluster.counted(&[(Counter::Joined, 2), (Counter::JoinRefused, 1)]).await;
}

#[tokio::test]
async fn proofs_that_come_too_often_are_not_looked_at() {
    let (cluster, _) = Cluster::new(&[]);
    let (channel, at) = (Channel::made_up([1; 32]), Instant::now());
    let claim = Claim { token: [9; 16], node: 2, key: Vec::new(), addresses: Vec::new() };
    let claim = encode_joining(TAG_CLAIM, &claim).unwrap();
    let request = Request { claim, possession: Vec::new(), proof: [0; 32] };
    let request = encode_joining(TAG_REQUEST, &request).unwrap();
    let hear = |at| cluster.issuer.hear(&request, channel, at).map(drop).unwrap_err();
    let burst: Vec<JoinRefusal> = (0..=JOIN_BURST).map(|_| hear(at)).collect();
    let looked_at = vec![JoinRefusal::WrongToken; JOIN_BURST as usize];
    assert_eq!(burst, [&looked_at[..], &[JoinRefusal::TooOften]].concat());
    assert_eq!(hear(at + JOIN_INTERVAL), JoinRefusal::WrongToken);
    let wrong = (Counter::JoinWrongToken, u64::from(JOIN_BURST) + 1);
    cluster.counted(&[(Counter::JoinTooOften, 1), wrong]).await;
}

/// Somebody in the middle without the authority's certificate, or with a certificate that this
/// authority never made, is not talked to.
#[tokio::test]
async fn a_stranger_in_the_middle_is_not_talked_to() {
    let (cluster, tokens) = Cluster::new(&[None]);
    let (stranger, _) = Cluster::new(&[None]);
    let mut token = tokens[0].clone();
    token.addresses = vec![stranger.issuing.address().unwrap()];
    let error = join_as(&token, 2).await.unwrap_err();
    assert!(matches!(error, JoinError::Unreachable { .. }), "{error:?}");
    // He may show the true authority beside his own certificate; it did not make that one.
    let mut shown = stranger.issuer_identity();
    shown.authority = cluster.identity.authority.clone();
    let relay = Endpoint::server(issuing_config(&shown), ANY).unwrap();
    token.addresses = vec![relay.local_addr().unwrap()];
    let accepting = tokio::spawn({
        let relay = relay.clone();
        async move { relay.accept().await.unwrap().await.err().map(|error| error.to_string()) }
    });
    let error = join_as(&token, 2).await.unwrap_err();
    assert!(matches!(error, JoinError::Unreachable { .. }), "{error:?}");
    assert!(timeout(BOUND, accepting).await.unwrap().unwrap().is_some());
    cluster.counted(&[]).await;
    stranger.counted(&[(Counter::JoinBroken, 1)]).await;
}

impl Cluster {
    fn issuer_identity(&self) -> Identity {
        Papers::new(self.folder.path()).identity().unwrap()
    }
}

fn issuing_config(identity: &Identity) -> quinn::ServerConfig {
    let tls = tls::issuing(identity, vec![PROTOCOL.to_vec()]).unwrap();
    tuning::server(tls, &Timing::default()).unwrap()
}

/// One member gone bad passes everything on between joiner and issuer, and keeps the answer.
async fn relay(bad: Endpoint, issuer: SocketAddr, token: Token) -> Vec<u8> {
    let joiner = bad.accept().await.unwrap().await.unwrap();
    let (mut to_joiner, mut from_joiner) = joiner.accept_bi().await.unwrap();
    let request = frames::read(&mut from_joiner, JOIN_MESSAGE_BYTES, JOIN_TIMEOUT).await.unwrap();
    let pinned = Pinned::new(token.cluster.clone(), token.fingerprint);
    let tls = tls::joining(pinned, vec![PROTOCOL.to_vec()]).unwrap();
    let config = tuning::client(tls, &Timing::default()).unwrap();
    let own = Endpoint::client(ANY).unwrap();
    let connection = own.connect_with(config, issuer, "alpha").unwrap().await.unwrap();
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    frames::write(&mut send, &request, JOIN_TIMEOUT).await.unwrap();
    let answer = frames::read(&mut receive, JOIN_MESSAGE_BYTES, JOIN_TIMEOUT).await.unwrap();
    frames::write(&mut to_joiner, &answer, JOIN_TIMEOUT).await.unwrap();
    let _ = joiner.closed().await;
    answer
}

#[tokio::test]
async fn a_member_in_the_middle_cannot_pass_a_proof_on() {
    let (cluster, tokens) = Cluster::new(&[None, None]);
    let member = join_as(&tokens[0], 7).await.unwrap().identity;
    let bad = Endpoint::server(issuing_config(&member), ANY).unwrap();
    let mut token = tokens[1].clone();
    token.addresses = vec![bad.local_addr().unwrap()];
    let issuer = cluster.issuing.address().unwrap();
    let relayed = tokio::spawn(relay(bad, issuer, tokens[1].clone()));
    assert_eq!(refused(join_as(&token, 2).await), JoinRefusal::WrongToken);
    timeout(BOUND, relayed).await.unwrap().unwrap();
    cluster.counted(&[(Counter::Joined, 1), (Counter::JoinWrongToken, 1)]).await;
    // The token is not lost by that.
    join_as(&tokens[1], 2).await.unwrap();
}

/// What a member in the middle makes up by itself, without knowing the token.
#[tokio::test]
async fn a_member_cannot_play_the_issuer() {
    let (cluster, tokens) = Cluster::new(&[None]);
    let member = join_as(&tokens[0], 7).await.unwrap().identity;
    let bad = Endpoint::server(issuing_config(&member), ANY).unwrap();
    let mut token = Token::make(&cluster.identity, Vec::new()).unwrap();
    token.addresses = vec![bad.local_addr().unwrap()];
    let playing = tokio::spawn(async move {
        let joiner = bad.accept().await.unwrap().await.unwrap();
        let (mut send, mut receive) = joiner.accept_bi().await.unwrap();
        frames::read(&mut receive, JOIN_MESSAGE_BYTES, JOIN_TIMEOUT).await.unwrap();
        let answer = Answer::Admitted { admission: vec![0; 100], proof: [0; 32] };
        let answer = encode_joining(TAG_ANSWER, &answer).unwrap();
        frames::write(&mut send, &answer, JOIN_TIMEOUT).await.unwrap();
        let _ = joiner.closed().await;
    });
    let error = join_as(&token, 2).await.unwrap_err();
    assert!(matches!(error, JoinError::Forged("it does not know the token")), "{error:?}");
    timeout(BOUND, playing).await.unwrap().unwrap();
    cluster.counted(&[(Counter::Joined, 1)]).await;
}

/// Requests that no joiner of ours makes, each judged by itself.
#[tokio::test]
async fn requests_that_make_no_sense() {
    let (cluster, tokens) = Cluster::new(&[None]);
    let (key, other) = (new_key().unwrap(), new_key().unwrap());
    let channel = Channel::made_up([1; 32]);
    let claim = |node: u16, addresses: Vec<String>| {
        let (token, key) = (tokens[0].id().0, key.public_key_raw().to_vec());
        encode_joining(TAG_CLAIM, &Claim { token, node, key, addresses }).unwrap()
    };
    let request = |claim: Vec<u8>, signer: &rcgen::KeyPair| {
        let possession = channel.sign(signer, &claim).unwrap();
        let proof = channel.prove(&tokens[0].key(), Statement::Claim(&claim));
        encode_joining(TAG_REQUEST, &Request { claim, possession, proof }).unwrap()
    };
    let cases = [
        (b"nonsense".to_vec(), "no request"),
        (request(b"nonsense".to_vec(), &key), "no claim"),
        (request(claim(2, Vec::new()), &other), "somebody else's key"),
        (request(claim(0, Vec::new()), &key), "no number"),
        (request(claim(2, vec!["here".to_owned()]), &key), "no address"),
        (request(claim(2, vec!["1.1.1.1:1".to_owned(); 9]), &key), "too many addresses"),
    ];
    let count = cases.len() as u64;
    let mut at = Instant::now();
    for (bytes, what) in cases {
        at += JOIN_INTERVAL;
        let heard = cluster.issuer.hear(&bytes, channel, at).map(drop);
        assert_eq!(heard, Err(JoinRefusal::BadRequest), "{what}");
    }
    cluster.counted(&[(Counter::JoinBroken, count)]).await;
    at += JOIN_INTERVAL;
    let good = request(claim(2, Vec::new()), &key);
    assert!(cluster.issuer.hear(&good, channel, at).is_ok());
    // The same bytes on another connection.
    let elsewhere = cluster.issuer.hear(&good, Channel::made_up([2; 32]), at + JOIN_INTERVAL);
    assert_eq!(elsewhere.map(drop), Err(JoinRefusal::WrongToken));
}
