//! What goes to the peer.

use wire::Time;

use super::Replication;
use super::envelope::{Header, MessageKind, Writer};
use super::sessions::Sessions;
use crate::Boot;
use crate::limits::DIGEST_PIECE_SLOTS;

/// Bytes of the longest item that a control message may have besides others: digests.
const DIGEST_BODY_BYTES: usize = 4 + 2 + 8 * DIGEST_PIECE_SLOTS as usize;

impl Replication {
    /// When a message should leave.
    pub(super) fn send_at(&self, now: Time) -> Option<Time> {
        self.sender.due(now).into_iter().chain(self.control_at()).min()
    }

    /// When something other than changes is to be said. An acknowledgment rides on any message.
    fn control_at(&self) -> Option<Time> {
        let says = [
            self.receiver.acknowledge_at(),
            self.bulk_owner.say_at(),
            self.joiner.say_at(),
            self.teller.say_at(),
            self.comparer.owes_result().then_some(Time::ZERO),
        ];
        says.into_iter().flatten().min()
    }

    /// Makes the next message of changes, if one is due.
    pub(super) fn emit_changes<S: Sessions>(&mut self, sessions: &mut S, now: Time) -> bool {
        while self.sender.due(now).is_some_and(|due| due <= now) {
            let mut header = self.header(MessageKind::Changes);
            let mut writer = Writer::new(&mut self.buffer, self.settings.message_bytes);
            let Some(filled) = self.sender.fill(sessions, now, &mut writer) else { continue };
            header.urgent = filled.urgent || self.sender.hurries;
            let bytes = writer.len();
            writer.finish(&header);
            self.sender.launch(filled, bytes, now);
            self.receiver.acknowledged();
            return true;
        }
        false
    }

    /// Makes the next other message, if one is due.
    pub(super) fn emit_control(&mut self, now: Time) -> bool {
        if self.control_at().is_none_or(|at| at > now) {
            return false;
        }
        let header = self.header(MessageKind::Control);
        let mut writer = Writer::new(&mut self.buffer, self.settings.message_bytes);
        self.joiner.say(&mut writer, now);
        self.bulk_owner.say(&mut writer, now);
        self.comparer.say(&mut writer);
        let tells = self.teller.say_at().is_some_and(|at| at <= now);
        let was_last =
            tells && writer.has_room(DIGEST_BODY_BYTES) && self.teller.say(&mut writer, now);
        writer.finish(&header);
        self.receiver.acknowledged();
        if was_last {
            let rest = self.digest_interval();
            self.teller.rest_until(now + rest);
        }
        true
    }

    fn header(&self, kind: MessageKind) -> Header {
        let (ack, ack_bits) = self.receiver.acknowledgment();
        let last = self.sender.last();
        Header {
            kind,
            urgent: false,
            stream: self.settings.stream,
            node: self.settings.node,
            boot: self.settings.boot,
            peer_boot: self.peer_boot.unwrap_or(Boot(0)),
            term: self.term,
            number: match kind {
                MessageKind::Changes => last + 1,
                MessageKind::Control => last,
            },
            floor: self.sender.floor(),
            ack,
            ack_bits,
        }
    }
}
