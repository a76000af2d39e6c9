//! The answering side of calls.

use std::sync::Arc;

use cluster_core::NodeId;
use quinn::{Connection, RecvStream, SendStream, VarInt};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{SemaphorePermit, oneshot};
use tokio::task::JoinSet;

use super::calls::{Call, Channel};
use super::frames::{self, FrameError};
use super::protocol::Close;
use super::shared::Shared;
use crate::Counter;
use crate::limits::{
    ANSWER_BYTES, CALL_BLOCK_BYTES, CALL_BYTES, CALL_TAIL_BYTES, CALL_TIMEOUT, CALLS,
};

/// Answers what a peer asks on a connection, until that ends.
pub(super) async fn serve(shared: Arc<Shared>, node: NodeId, connection: Connection) {
    connection.set_max_concurrent_bi_streams(VarInt::from_u32(CALLS));
    let mut asked = JoinSet::new();
    while let Ok((send, receive)) = connection.accept_bi().await {
        while asked.try_join_next().is_some() {}
        if !shared.members.contains(node) {
            shared.counters.count(Counter::NotAMember);
            connection.close(Close::NotAMember.code(), b"");
            return;
        }
        asked.spawn(answer(Arc::clone(&shared), node, connection.clone(), send, receive));
    }
}

async fn answer(
    shared: Arc<Shared>,
    node: NodeId,
    connection: Connection,
    mut send: SendStream,
    mut receive: RecvStream,
) {
    let Ok(number) = frames::read_byte(&mut receive).await else { return };
    let Some(channel) = Channel::numbered(number) else {
        shared.counters.count(Counter::CallUnwanted);
        return;
    };
    match question(&shared, &mut receive).await {
        Ok((message, tail, _room)) => {
            let reply = tokio::select! {
                reply = hand_over(&shared, node, channel, message, tail) => reply,
                // The asker waits no more: room for its next question.
                _ = send.stopped() => None,
            };
            // Dropping the streams resets them, which is heard as a refusal.
            let Some(reply) = reply else { return };
            let within = shared.timing.frame;
            if reply.len() <= ANSWER_BYTES
                && frames::write(&mut send, &reply, within).await.is_ok()
                && send.finish().is_ok()
            {
                // Whoever stops waiting has its own clock.
                let _ = send.stopped().await;
            }
        }
        Err(FrameError::Ended) => {}
        Err(FrameError::Stalled) => shared.counters.count(Counter::Stalled),
        Err(FrameError::Oversized) => {
            shared.counters.count(Counter::OversizedFrame);
            connection.close(Close::Oversized.code(), b"");
        }
    }
}

async fn hand_over(
    shared: &Shared,
    node: NodeId,
    channel: Channel,
    message: Vec<u8>,
    tail: Vec<u8>,
) -> Option<Vec<u8>> {
    let Some(calls) = shared.calls.get(channel) else {
        shared.counters.count(Counter::CallUnwanted);
        return None;
    };
    let (reply, answer) = oneshot::channel();
    let counter = match calls.try_send(Call { node, message, tail, reply }) {
        Ok(()) => return answer.await.ok(),
        Err(TrySendError::Full(_)) => Counter::CallsFull,
        Err(TrySendError::Closed(_)) => Counter::CallUnwanted,
    };
    shared.counters.count(counter);
    None
}

/// A question and its tail. One tail at a time is taken in, since it may be long.
async fn question<'a>(
    shared: &'a Shared,
    stream: &mut RecvStream,
) -> Result<(Vec<u8>, Vec<u8>, Option<SemaphorePermit<'a>>), FrameError> {
    let within = shared.timing.frame;
    let message = frames::read(stream, CALL_BYTES, CALL_TIMEOUT).await?;
    let mut tail = Vec::new();
    let mut room = None;
    loop {
        let block = match frames::read(stream, CALL_BLOCK_BYTES, within).await {
            // Neither a tail nor its end.
            Err(FrameError::Ended) if room.is_none() => return Ok((message, tail, room)),
            block => block?,
        };
        if room.is_none() {
            room = Some(shared.tails.acquire().await.map_err(|_| FrameError::Ended)?);
        }
        if block.is_empty() {
            return Ok((message, tail, room));
        }
        if tail.len() + block.len() > CALL_TAIL_BYTES {
            return Err(FrameError::Oversized);
        }
        tail.extend_from_slice(&block);
    }
}
