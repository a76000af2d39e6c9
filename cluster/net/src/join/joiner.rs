//! The joiner's side: knows the cluster by its fingerprint, proves the token, takes its papers.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::collections::BTreeMap;

use cluster_core::membership::Kind;
use cluster_core::{NodeId, Term};
use quinn::{Connection, Endpoint, VarInt};
use rcgen::{KeyPair, PublicKeyData as _};
use rustls::pki_types::CertificateDer;
use tokio::time::timeout;
use webpki::EndEntityCert;

use super::proof::{Channel, Statement};
use super::{
    Answer, Claim, JoinError, MemberRow, PROTOCOL, PlacementRow, Request, TAG_ADMISSION,
    TAG_ANSWER, TAG_CLAIM, TAG_REQUEST, TAG_WITNESS_CLAIM, TAG_WITNESSES, WithWitnesses,
};
use crate::codec::{CodecError, decode_joining, encode_joining};
use crate::identity::{Fingerprint, Identity, Papers, Secret, new_key, node_of};
use crate::limits::{JOIN_MESSAGE_BYTES, JOIN_TIMEOUT};
use crate::store::{Assignment, Member, Run, Seed, Standing, Store};
use crate::tls::{self, Pinned};
use crate::token::Token;
use crate::transport::{Timing, frames, tuning};

/// What a node was given.
#[derive(Debug)]
pub struct Admitted {
    /// Who it is now.
    pub identity: Identity,
    /// The members, itself among them.
    pub members: BTreeMap<NodeId, Member>,
    /// Who has which slots.
    pub placement: Vec<Run>,
}

impl Admitted {
    /// Writes it all down: the store first, the identity last, with which the node belongs to the
    /// cluster. Runs are counted from `boots` ([`Seed::boots`]).
    ///
    /// # Errors
    /// What the file system says. Then the token is used up and nothing is kept.
    pub fn keep(&self, papers: &Papers, boots: u32) -> Result<(), JoinError> {
        let seed = Seed {
            cluster: self.identity.cluster.clone(),
            node: self.identity.node,
            placement: self.placement.clone(),
            members: self.members.clone(),
            founder: false,
            boots,
        };
        Store::create(&papers.store_path(), &seed)?;
        Ok(papers.keep_identity(&self.identity)?)
    }

    /// Writes down a new certificate of a node that is a member already. Its store stays, and learns of
    /// members that came later; that of a daemon that runs learns of them by the cluster's log.
    ///
    /// # Errors
    /// If it is another node's or cluster's, or what the file system says.
    pub fn keep_renewed(&self, papers: &Papers) -> Result<(), JoinError> {
        let known = papers.identity()?;
        let same =
            known.node == self.identity.node && known.fingerprint() == self.identity.fingerprint();
        if !same {
            return Err(JoinError::Forged("the token is not of this node's cluster"));
        }
        match Store::open(&papers.store_path(), &known.cluster, known.node) {
            Ok(mut store) => store.learn_members(&self.members)?,
            Err(error) if error.is_in_use() => {}
            Err(error) => return Err(error.into()),
        }
        Ok(papers.keep_identity(&self.identity)?)
    }
}

/// Joins the token's cluster as `node`, a member of a kind, which will listen at `addresses`.
///
/// # Errors
/// Why not; the addresses of the token are tried in order until one answers.
pub async fn join(
    token: &Token,
    node: NodeId,
    kind: Kind,
    addresses: &[SocketAddr],
) -> Result<Admitted, JoinError> {
    let key = new_key()?;
    let claimed = Member::new(kind, addresses.to_vec());
    let mut last = JoinError::Forged("the token has no address");
    for address in &token.addresses {
        let asked = timeout(JOIN_TIMEOUT, ask(token, *address, node, &claimed, &key)).await;
        let late = Err(JoinError::Unreachable { address: *address, why: "no answer".to_owned() });
        match asked.unwrap_or(late) {
            Err(error @ JoinError::Unreachable { .. }) => last = error,
            answered => return answered,
        }
    }
    Err(last)
}

async fn ask(
    token: &Token,
    address: SocketAddr,
    node: NodeId,
    claimed: &Member,
    key: &KeyPair,
) -> Result<Admitted, JoinError> {
    let (endpoint, connection) = connect(token, address).await?;
    let channel = Channel::of(&connection);
    let channel = channel.ok_or_else(|| JoinError::Broken("closed at once".to_owned()))?;
    let claim = Claim {
        token: token.id().0,
        node: node.0,
        key: key.public_key_raw().to_vec(),
        addresses: claimed.addresses.iter().map(ToString::to_string).collect(),
    };
    let tag = match claimed.kind {
        Kind::Firewall => TAG_CLAIM,
        Kind::Witness => TAG_WITNESS_CLAIM,
    };
    let claim = encode_joining(tag, &claim).map_err(unsayable)?;
    let possession = channel.sign(key, &claim);
    let possession = possession.map_err(|error| JoinError::Broken(error.to_string()))?;
    let proof = channel.prove(&token.key(), Statement::Claim(&claim));
    let request = Request { claim: claim.clone(), possession, proof };
    let request = encode_joining(TAG_REQUEST, &request).map_err(unsayable)?;
    let answer = exchange(&connection, &request).await?;
    connection.close(VarInt::from_u32(0), b"");
    let _ = timeout(JOIN_TIMEOUT, endpoint.wait_idle()).await;
    admitted(token, node, key, opened(token, channel, &claim, &answer)?)
}

async fn connect(token: &Token, address: SocketAddr) -> Result<(Endpoint, Connection), JoinError> {
    let unreachable = |why: String| JoinError::Unreachable { address, why };
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let endpoint = Endpoint::client(SocketAddr::new(any, 0)).map_err(JoinError::Socket)?;
    let pinned = Pinned::new(token.cluster.clone(), token.fingerprint);
    let config = tls::joining(pinned, vec![PROTOCOL.to_vec()])
        .and_then(|tls| tuning::client(tls, &Timing::default()))
        .map_err(|error| JoinError::Broken(error.to_string()))?;
    let connecting = endpoint.connect_with(config, address, token.cluster.as_str());
    let connecting = connecting.map_err(|error| unreachable(error.to_string()))?;
    let connection = connecting.await.map_err(|error| unreachable(error.to_string()))?;
    Ok((endpoint, connection))
}

async fn exchange(connection: &Connection, request: &[u8]) -> Result<Vec<u8>, JoinError> {
    let broken = |why: String| JoinError::Broken(why);
    let (mut send, mut receive) =
        connection.open_bi().await.map_err(|error| broken(error.to_string()))?;
    let sent = frames::write(&mut send, request, JOIN_TIMEOUT).await;
    sent.map_err(|error| broken(format!("{error:?}")))?;
    let read = frames::read(&mut receive, JOIN_MESSAGE_BYTES, JOIN_TIMEOUT).await;
    read.map_err(|error| broken(format!("{error:?}")))
}

/// The admission in an answer, if the issuer knows the token and answers this very claim.
fn opened(
    token: &Token,
    channel: Channel,
    claim: &[u8],
    answer: &[u8],
) -> Result<WithWitnesses, JoinError> {
    let (admission, proof) = match decode_joining(TAG_ANSWER, answer).map_err(unreadable)? {
        Answer::Refused(why) => return Err(JoinError::Refused(why)),
        Answer::Admitted { admission, proof } => (admission, proof),
    };
    let statement = Statement::Admission { claim, admission: &admission };
    if !channel.is_proved(&token.key(), statement, &proof) {
        return Err(JoinError::Forged("it does not know the token"));
    }
    match decode_joining(TAG_ADMISSION, &admission) {
        Err(CodecError::Tag(TAG_WITNESSES)) => {
            decode_joining(TAG_WITNESSES, &admission).map_err(unreadable)
        }
        admission => {
            let admission = admission.map_err(unreadable)?;
            Ok(WithWitnesses { admission, witnesses: Vec::new() })
        }
    }
}

/// The identity in an admission, if it is one of the token's cluster, this node and this key.
fn admitted(
    token: &Token,
    node: NodeId,
    key: &KeyPair,
    admission: WithWitnesses,
) -> Result<Admitted, JoinError> {
    let WithWitnesses { admission, witnesses } = admission;
    let authority = CertificateDer::from(admission.authority);
    let certificate = CertificateDer::from(admission.certificate);
    if Fingerprint::of(&authority) != token.fingerprint {
        return Err(JoinError::Forged("its authority is not the token's"));
    }
    let pinned = Pinned::new(token.cluster.clone(), token.fingerprint);
    let good = pinned.check(&certificate, core::slice::from_ref(&authority)).is_ok()
        && node_of(&certificate, &token.cluster) == Some(node)
        && has_key(&certificate, key);
    if !good {
        return Err(JoinError::Forged("its certificate is not for this node and key"));
    }
    let identity = Identity::assemble(
        (token.cluster.clone(), node),
        Secret(admission.secret),
        [authority, certificate],
        key.serialize_der(),
    );
    let members =
        admission.members.into_iter().map(|row| member(row, &witnesses)).collect::<Option<_>>();
    let members = members.ok_or(JoinError::Forged("its list of members cannot be read"))?;
    let placement = admission.placement.into_iter().map(run).collect();
    Ok(Admitted { identity, members, placement })
}

fn has_key(certificate: &CertificateDer<'_>, key: &KeyPair) -> bool {
    let certificate = EndEntityCert::try_from(certificate);
    certificate.is_ok_and(|certificate| {
        certificate.subject_public_key_info().as_ref() == key.subject_public_key_info()
    })
}

fn member(row: MemberRow, witnesses: &[u16]) -> Option<(NodeId, Member)> {
    let addresses =
        row.addresses.iter().map(|text| text.parse().ok()).collect::<Option<Vec<_>>>()?;
    let standing = if row.retired { Standing::Retired } else { Standing::Member };
    let kind = if witnesses.contains(&row.node) { Kind::Witness } else { Kind::Firewall };
    Some((NodeId(row.node), Member { standing, kind, addresses }))
}

fn run(row: PlacementRow) -> Run {
    let backup = (row.backup > 0).then_some(NodeId(row.backup));
    let assignment = Assignment { owner: NodeId(row.owner), backup, term: Term(row.term) };
    Run { first: row.first, last: row.last, assignment }
}

fn unsayable(error: CodecError) -> JoinError {
    JoinError::Broken(error.to_string())
}

fn unreadable(_: CodecError) -> JoinError {
    JoinError::Forged("its answer cannot be read")
}
