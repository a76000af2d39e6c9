//! The burst in hand: frames of one origin, parsed all first, then decided one after the other.
//!
//! It is a field of the worker, not a local of the loop: when the engine panics, the burst is still
//! there, and says which frame was in hand.

use af_xdp::Frame;
use engine::{Origin, Parsed, PortId};

use crate::fabric::Travelled;

/// At most one burst of frames and what the parser said of each.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Where the frames arrived.
    pub(crate) ingress: PortId,
    /// From the wire or from another worker.
    pub(crate) origin: Origin,
    /// How they came from other nodes; of others, that they have not yet.
    pub(crate) travelled: Travelled,
    /// Not decided yet, the *next* one last, so that taking it moves nothing.
    pub(crate) frames: Vec<Frame>,
    /// What the parser said, in order of arrival, those decided included.
    pub(crate) parsed: Vec<Parsed>,
    decided: usize,
    /// The last of `parsed` is not complete.
    parsing: bool,
    /// The next frame is being decided.
    deciding: bool,
}

impl Batch {
    pub(crate) fn new(room: usize) -> Self {
        Self {
            ingress: PortId(0),
            origin: Origin::Port,
            travelled: Travelled::NOT_YET,
            frames: Vec::with_capacity(room),
            parsed: Vec::with_capacity(room),
            decided: 0,
            parsing: false,
            deciding: false,
        }
    }

    /// Starts with the frames just put into `frames`, in order of arrival.
    pub(crate) fn start(&mut self, ingress: PortId, origin: Origin) {
        (self.ingress, self.origin) = (ingress, origin);
        if origin != Origin::Fabric {
            self.travelled = Travelled::NOT_YET;
        }
        self.frames.reverse();
        self.end();
    }

    /// Forgets what the parser said, once no frame is left of the burst.
    pub(crate) fn end(&mut self) {
        self.parsed.clear();
        self.decided = 0;
        self.parsing = false;
        self.deciding = false;
    }

    /// Has the frame parsed that comes next; `false` when all are.
    pub(crate) fn parse_next(&mut self, parse: impl FnOnce(&Frame, &mut Parsed)) -> bool {
        let ahead = self.parsed.len() - self.decided;
        let Some(at) = self.frames.len().checked_sub(ahead + 1) else { return false };
        self.parsed.push(Parsed::nothing(self.ingress));
        self.parsing = true; // for as long as `parse` takes, unless it panics
        if let Some(parsed) = self.parsed.last_mut() {
            parse(&self.frames[at], parsed);
        }
        self.parsing = false;
        true
    }

    /// What is to be decided but has not been.
    pub(crate) fn undecided(&mut self) -> &mut [Parsed] {
        &mut self.parsed[self.decided..]
    }

    /// The frame to be decided next with its descriptor; call [`take`](Self::take) when done.
    pub(crate) fn in_hand(&mut self) -> Option<(&Parsed, &mut Frame)> {
        let in_hand = (self.parsed.get(self.decided)?, self.frames.last_mut()?);
        self.deciding = true;
        Some(in_hand)
    }

    /// Takes out the frame that was in hand.
    pub(crate) fn take(&mut self) -> Option<Frame> {
        let frame = self.frames.pop();
        self.deciding = false;
        self.decided += usize::from(frame.is_some());
        frame
    }

    /// After a panic: takes out the frame that was being parsed or decided, and whether the engine
    /// may have taken it over. None when the panic came between two frames.
    pub(crate) fn take_poisoned(&mut self) -> Option<(Frame, bool)> {
        if core::mem::take(&mut self.parsing) {
            self.parsed.pop();
            let ahead = self.parsed.len() - self.decided;
            let parsing = self.frames.len().checked_sub(ahead + 1)?;
            return Some((self.frames.remove(parsing), false));
        }
        match self.deciding {
            true => self.take().map(|frame| (frame, true)),
            false => None,
        }
    }
}

#[cfg(test)]
mod tests;
