//! What screens know of each session, beside the session table: what was told of it, whether it is counted.
//!
//! What was told is kept in low halves: a session is told every hundred packets or so, and between two times
//! it carries far less than a half holds.

use crate::session::Session;

/// By the sessions' places.
pub(super) struct Marks {
    sessions: Box<[Mark]>,
}

/// One session's. All zeros: nothing was told of it, nor is it known what there was before.
#[derive(Clone, Copy, Default)]
struct Mark {
    /// No session that was told has 0.
    packets: u32,
    bytes: u32,
    /// Under which number it is counted; 0: it is not.
    counted: u32,
}

/// Packets of the initiator and bytes of both sides that are news.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    pub(super) packets: u32,
    pub(super) bytes: u32,
}

impl Marks {
    /// For so many places. The memory is touched where sessions are.
    pub(super) fn new(places: usize) -> Self {
        Self { sessions: vec![Mark::default(); places].into() }
    }

    /// What a session has as it begins is no news; it is counted under this number. Reads nothing: the memory
    /// is far away, and to write there does not wait.
    #[inline]
    pub(super) fn begin(&mut self, place: u32, session: &Session, counted: u32) {
        if let Some(mark) = self.sessions.get_mut(place as usize) {
            let bytes = session.bytes[0].wrapping_add(session.bytes[1]);
            *mark = Mark { packets: session.packets[0] as u32, bytes: bytes as u32, counted };
        }
    }

    /// What is news of a session, which is told herewith. Of one that is older than the screens nothing is.
    pub(super) fn tell(&mut self, place: u32, session: &Session) -> News {
        let Some(mark) = self.sessions.get_mut(place as usize) else { return News::default() };
        let before = *mark;
        let bytes = session.bytes[0].wrapping_add(session.bytes[1]);
        (mark.packets, mark.bytes) = (session.packets[0] as u32, bytes as u32);
        if before.packets == 0 {
            return News::default();
        }
        News {
            packets: mark.packets.wrapping_sub(before.packets),
            bytes: mark.bytes.wrapping_sub(before.bytes),
        }
    }

    /// Under which number the session is counted.
    pub(super) fn counted(&self, place: u32) -> u32 {
        self.sessions.get(place as usize).map_or(0, |mark| mark.counted)
    }

    /// It is counted under this number from now on.
    pub(super) fn count(&mut self, place: u32, number: u32) {
        if let Some(mark) = self.sessions.get_mut(place as usize) {
            mark.counted = number;
        }
    }
}
