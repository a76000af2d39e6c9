//! What a reader tells its visitor, and how much of it.

use super::elements::Endpoint;
use super::{Error, Event, Extent, Found, Mention, What};
use crate::limits::H323_MENTIONS_MAX;

/// The visitor of one message.
pub(super) struct Telling<F> {
    visit: F,
    mentions: usize,
    extent: Extent,
}

impl<F: FnMut(Found)> Telling<F> {
    pub(super) const fn new(visit: F) -> Self {
        Self { visit, mentions: 0, extent: Extent::Whole }
    }

    pub(super) const fn extent(&self) -> Extent {
        self.extent
    }

    pub(super) fn event(&mut self, event: Event) {
        (self.visit)(Found::Event(event));
    }

    /// Tells an endpoint, if there is one of our kind.
    pub(super) fn mention(&mut self, what: What, endpoint: Option<Endpoint>) -> Result<(), Error> {
        let Some(Endpoint { address, port, at }) = endpoint else { return Ok(()) };
        if self.mentions == H323_MENTIONS_MAX {
            return Err(Error::TooMany);
        }
        self.mentions += 1;
        (self.visit)(Found::Mention(Mention { what, address, port, at }));
        Ok(())
    }

    /// What comes of reading something with a length of its own: what is not known in it is its own affair.
    pub(super) fn within(&mut self, read: Result<(), Error>) -> Result<(), Error> {
        match read {
            Err(Error::Unknown) => {
                self.extent = Extent::Part;
                Ok(())
            }
            Ok(())
            | Err(Error::Truncated | Error::Foreign | Error::Fragmented | Error::TooMany) => read,
        }
    }
}
