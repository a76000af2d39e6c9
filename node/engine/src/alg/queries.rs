//! Names by DNS over UDP: each query is answered once, and a session ends with the last answer.
//!
//! A resolver asks from a port of its own and is done when it is answered. So a session need not wait out the
//! time of its protocol, a public port is free again at once, and a second answer, which would be a forged
//! one that came too late or too early, finds no query.

use super::act::payload;
use super::dns;
use crate::commit::{Body, Context};
use crate::engine::Engine;
use crate::limits::QUERIES_PER_SESSION;
use crate::nat::Turn;
use crate::pipeline::Way;
use crate::session::{CloseReason, Peer};
use crate::table::Handle;
use crate::{Reason, Verdict};

/// Queries of one session that wait for their response.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Queries {
    ids: [u16; QUERIES_PER_SESSION],
    count: u8,
    /// There were more, or they were asked through another node: any response may be to one of them.
    unknown: bool,
}

/// What a message means for its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// More is to come.
    Open,
    /// That was the last response.
    Answered,
}

impl Queries {
    /// Nobody knows what was asked.
    pub(crate) const UNKNOWN: Self =
        Self { ids: [0; QUERIES_PER_SESSION], count: 0, unknown: true };

    /// One that is sent again is one.
    fn ask(&mut self, id: u16) {
        let known = &self.ids[..usize::from(self.count)];
        if known.contains(&id) {
            return;
        }
        match self.ids.get_mut(usize::from(self.count)) {
            Some(place) => {
                *place = id;
                self.count += 1;
            }
            None => self.unknown = true,
        }
    }

    /// `None`: nobody has asked that.
    fn answer(&mut self, id: u16) -> Option<Told> {
        let known = &self.ids[..usize::from(self.count)];
        let at = known.iter().position(|it| *it == id);
        if let Some(at) = at {
            self.count -= 1;
            self.ids.swap(at, usize::from(self.count));
        }
        match (at, self.unknown) {
            (_, true) => Some(Told::Open),
            (Some(_), false) if self.count == 0 => Some(Told::Answered),
            (Some(_), false) => Some(Told::Open),
            (None, false) => None,
        }
    }
}

impl Engine {
    /// A datagram of a session of DNS.
    pub(super) fn forward_names(
        &mut self,
        way: &Way,
        (handle, sender): (Handle, Peer),
        (context, turn): (&Context<'_>, Turn),
        body: &mut Body<'_>,
    ) -> (Verdict, bool) {
        let packet = &context.keyed.packet;
        let told = payload(packet, body)
            .ok_or(Reason::AlgMalformed)
            .and_then(|bytes| self.read_names((handle, sender), bytes));
        match told {
            Err(reason) => {
                self.algs.counters.malformed += u64::from(reason == Reason::AlgMalformed);
                (Verdict::Drop(reason), false)
            }
            Ok(told) => {
                let left = self.forward(way, context, turn, body);
                if told == Told::Answered {
                    self.end_soon(handle, context);
                }
                left
            }
        }
    }

    fn read_names(
        &mut self,
        (handle, sender): (Handle, Peer),
        datagram: &[u8],
    ) -> Result<Told, Reason> {
        let message = dns::read(datagram).map_err(|_| Reason::AlgMalformed)?;
        let control = self.algs.controls.at(handle.place()).ok_or(Reason::AlgMalformed)?;
        match (message.response, sender) {
            (false, Peer::Initiator) => {
                control.queries.ask(message.id);
                Ok(Told::Open)
            }
            (true, Peer::Responder) => control.queries.answer(message.id).ok_or(Reason::AlgUnasked),
            // Servers ask from sessions of their own, and clients answer nothing.
            (true, Peer::Initiator) | (false, Peer::Responder) => Err(Reason::AlgUnasked),
        }
    }

    fn end_soon(&mut self, handle: Handle, context: &Context<'_>) {
        if let Some(session) = self.table.get_mut(handle) {
            session.close_reason = Some(CloseReason::Answered);
        }
        self.table.shorten(handle, context.now());
    }
}
