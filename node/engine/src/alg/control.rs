//! What is known of a control channel.

use wire::Seq;

use super::ftp::Replies;
use super::pinholes::Hint;
use super::queries::Queries;
use super::speech::Speech;
use super::stream::{Stream, Texts};
use crate::limits::{ALG_STREAM_BYTES, CONTROLS_MAX, PINHOLES_PER_CONTROL};
use crate::nat::FixedMap;
use crate::session::{Peer, Session};
use crate::table::Handle;

/// One control channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Control {
    /// The session's name, as it is stored.
    pub(crate) session: u64,
    pub(crate) speech: Speech,
    /// Pictures of it that differ.
    pub(crate) changes: u32,
    /// By sender.
    pub(crate) streams: [Stream; 2],
    pub(crate) replies: Replies,
    pub(crate) queries: Queries,
    /// From here on it is encrypted.
    pub(crate) secured: bool,
    /// By sender: it came by a record, and more may have been said since.
    pub(crate) loose: [Loose; 2],
    /// Its pinholes, the oldest first.
    pub(crate) hints: [Option<Hint>; PINHOLES_PER_CONTROL],
}

/// Whether bytes may be missing that another node has passed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Loose {
    /// None are.
    #[default]
    No,
    /// They may be.
    Perhaps,
    /// These came before their time. If they are sent again before others are, the others were passed on;
    /// else the network has only changed their order.
    Early(Seq),
}

impl Loose {
    /// Of a channel that came by a record, where that told all that it knew.
    pub(crate) const fn of_record(whole: bool) -> Self {
        if whole { Self::Perhaps } else { Self::No }
    }

    /// Whether what stands before `at` was passed on by another node.
    pub(crate) fn passes_over(self, at: Seq) -> bool {
        matches!(self, Self::Early(first) if at.le(first))
    }

    /// After bytes from `at` on came before their time.
    pub(crate) const fn after_gap(self, at: Seq) -> Self {
        match self {
            Self::Perhaps => Self::Early(at),
            Self::No | Self::Early(_) => self,
        }
    }
}

/// Those of an engine.
#[derive(Debug, Default)]
pub(crate) struct Controls {
    /// Nothing until a policy has gateways.
    places: Option<FixedMap<u32, u32>>,
    slab: Vec<Control>,
    free: Vec<u32>,
    /// Two for each of the slab, by sender: memory that is touched where text is kept.
    texts: Box<[Texts]>,
}

impl Control {
    pub(crate) fn new(session: u64, speech: Speech) -> Self {
        Self {
            session,
            speech,
            changes: 0,
            streams: [Stream::NEW; 2],
            replies: Replies::default(),
            queries: Queries::default(),
            secured: false,
            loose: [Loose::No; 2],
            hints: [None; PINHOLES_PER_CONTROL],
        }
    }

    pub(crate) const fn stream(&self, sender: Peer) -> &Stream {
        &self.streams[sender.index()]
    }

    /// Its pinholes, the oldest first.
    pub(crate) fn hints(&self) -> impl Iterator<Item = &Hint> {
        self.hints.iter().flatten()
    }

    /// Remembers a pinhole; returns the oldest one if there are too many.
    pub(crate) fn remember(&mut self, hint: Hint) -> Option<Hint> {
        self.forget(&hint);
        if let Some(place) = self.hints.iter_mut().find(|place| place.is_none()) {
            *place = Some(hint);
            return None;
        }
        let oldest = self.hints[0].replace(hint);
        self.hints.rotate_left(1);
        oldest
    }

    pub(crate) fn forget(&mut self, hint: &Hint) {
        if let Some(at) = self.hints.iter().position(|it| it.as_ref() == Some(hint)) {
            self.hints[at] = None;
            self.hints[at..].rotate_left(1);
        }
    }
}

impl Controls {
    /// Takes its memory: not on the packet path. It is touched where channels are.
    pub(crate) fn reserve(&mut self, seed: u64) {
        if self.places.is_none() {
            self.places = Some(FixedMap::new(CONTROLS_MAX, seed, (0, 0)));
            self.slab.reserve_exact(CONTROLS_MAX as usize);
            self.free.reserve_exact(CONTROLS_MAX as usize);
            self.texts = vec![[0; ALG_STREAM_BYTES]; 2 * CONTROLS_MAX as usize].into();
        }
    }

    pub(crate) fn len(&self) -> u32 {
        self.places.as_ref().map_or(0, FixedMap::len)
    }

    #[inline]
    pub(crate) fn of(&self, handle: Handle, session: &Session) -> Option<&Control> {
        session.alg()?;
        let at = *self.places.as_ref()?.get(&handle.place())?;
        self.slab.get(at as usize).filter(|control| control.session == session.id)
    }

    pub(crate) fn at(&mut self, place: u32) -> Option<&mut Control> {
        let at = *self.places.as_ref()?.get(&place)?;
        self.slab.get_mut(at as usize)
    }

    /// One direction of a channel, and its bytes.
    pub(crate) fn stream(&mut self, place: u32, sender: Peer) -> Option<(&mut Stream, &mut Texts)> {
        let at = *self.places.as_ref()?.get(&place)? as usize;
        let stream = &mut self.slab.get_mut(at)?.streams[sender.index()];
        Some((stream, self.texts.get_mut(2 * at + sender.index())?))
    }

    /// The bytes of both directions.
    pub(crate) fn texts(&self, place: u32) -> Option<[&Texts; 2]> {
        let at = *self.places.as_ref()?.get(&place)? as usize;
        Some([self.texts.get(2 * at)?, self.texts.get(2 * at + 1)?])
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Control> {
        let places = self.places.iter().flat_map(FixedMap::iter);
        places.filter_map(|(_, at)| self.slab.get(*at as usize))
    }

    /// The place of a channel like this: by its place, and its session's name.
    pub(crate) fn find(&self, like: impl Fn((u32, u64)) -> bool) -> Option<u32> {
        let mut known = self.places.as_ref()?.iter();
        let name = |at: u32| self.slab.get(at as usize).map_or(0, |control| control.session);
        known.find(|(place, at)| like((**place, name(**at)))).map(|(place, _)| *place)
    }

    /// `false`: there is no room.
    pub(crate) fn begin(&mut self, handle: Handle, control: Control) -> bool {
        let Some(places) = self.places.as_mut().filter(|places| !places.is_full()) else {
            return false;
        };
        let at = match self.free.pop() {
            Some(at) => at,
            None if self.slab.len() < self.slab.capacity() => {
                self.slab.push(control);
                (self.slab.len() - 1) as u32
            }
            None => return false,
        };
        self.slab[at as usize] = control;
        places.insert(handle.place(), at)
    }

    /// Takes it out with its session.
    pub(crate) fn end(&mut self, place: u32) -> Option<Control> {
        let at = self.places.as_mut()?.remove(&place)?;
        self.free.push(at);
        self.slab.get(at as usize).copied()
    }
}
