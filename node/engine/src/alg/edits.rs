//! What is to be told otherwise in a message.

use std::net::IpAddr;

use super::{List, Span, endpoint, rtsp, sdp};
use crate::limits::ALG_MESSAGE_EDITS;

/// Other texts for parts of a message, each of a length of its own.
#[derive(Debug, Default)]
pub(super) struct Edits {
    list: List<(Span, Text<{ endpoint::TEXT_BYTES }>), ALG_MESSAGE_EDITS>,
    /// What a pinhole was opened or closed for.
    pub(super) changed: bool,
    /// There is more to be told otherwise than there is room for: then nothing is.
    full: bool,
}

/// A short text that lives where it is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Text<const MOST: usize> {
    len: u16,
    bytes: [u8; MOST],
}

impl<const MOST: usize> Text<MOST> {
    /// `None` if it is too long.
    fn new(text: &[u8]) -> Option<Self> {
        let mut new = Self { len: text.len() as u16, bytes: [0; MOST] };
        new.bytes.get_mut(..text.len())?.copy_from_slice(text);
        Some(new)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl Edits {
    pub(super) fn put(&mut self, span: Span, text: &[u8]) {
        let pushed = Text::new(text).map(|text| self.list.push((span, text)));
        self.full |= pushed != Some(Ok(()));
    }

    /// Whether the message stands as it is.
    pub(super) const fn is_empty(&self) -> bool {
        self.list.is_empty() || self.full
    }

    pub(super) fn address(&mut self, span: Span, address: IpAddr) {
        let mut text = [0; endpoint::TEXT_BYTES];
        if let Some(len) = sdp::print_address(address, &mut text) {
            self.put(span, &text[..len]);
        }
    }

    pub(super) fn ports(&mut self, span: Span, first: u16, last: u16) {
        let mut text = [0; 11];
        if let Some(len) = rtsp::print_ports(first, last, &mut text) {
            self.put(span, &text[..len]);
        }
    }

    pub(super) fn number(&mut self, span: Span, number: u32) {
        let mut text = [0; 10];
        if let Some(len) = sdp::print_number(number, &mut text) {
            self.put(span, &text[..len]);
        }
    }

    /// `port` is `None` where that of the protocol is meant.
    pub(super) fn endpoint(&mut self, span: Span, address: IpAddr, port: Option<u16>) {
        let mut text = [0; endpoint::TEXT_BYTES];
        if let Some(len) = endpoint::print(address, port, &mut text) {
            self.put(span, &text[..len]);
        }
    }

    /// By how many bytes what stands from `start` on grows.
    pub(super) fn growth(&self, start: u32) -> i64 {
        let from = self.list.iter().filter(|(span, _)| span.start >= start);
        from.map(|(span, text)| text.as_bytes().len() as i64 - span.len() as i64).sum()
    }

    /// Writes the message with them; returns its length.
    pub(super) fn write(&self, bytes: &[u8], space: &mut [u8]) -> Option<usize> {
        let (mut at, mut len) = (0, 0);
        let mut put = |part: &[u8]| {
            space.get_mut(len..len + part.len())?.copy_from_slice(part);
            len += part.len();
            Some(())
        };
        while let Some((span, text)) = self.next(at) {
            put(bytes.get(at..span.start as usize)?)?;
            put(text.as_bytes())?;
            at = span.end as usize;
        }
        put(bytes.get(at..)?)?;
        Some(len)
    }

    /// The first one that begins at this place or behind it.
    pub(super) fn next(&self, at: usize) -> Option<&(Span, Text<{ endpoint::TEXT_BYTES }>)> {
        let behind = self.list.iter().filter(|(span, _)| span.start as usize >= at);
        behind.min_by_key(|(span, _)| span.start)
    }
}
