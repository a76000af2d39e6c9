//! The tracker's part of a session record; [`crate::record`] draws the whole.

use wire::Seq;

use super::segment::{Marks, Opening, SynOptions};
use super::window::{WINDOW_MAX, Window};
use super::{Class, Last, State, Tcp};
use crate::limits::WINDOW_SCALE_MAX;
use crate::session::Peer;

impl Tcp {
    /// Bytes that [`Self::to_bytes`] makes.
    pub(crate) const RECORD_LEN: usize = 48;

    /// ```text
    ///  0  state 1 · opening 1 · noted options 1 · repeats 1 · options 2 × 1 · marks 2 × 1
    ///  8  last segment: class 1 · sender 1 · mark 4 · window 2
    /// 16  windows 2 × (end 4 · max end 4 · max window 4 · max ack 4)
    /// ```
    pub(crate) fn to_bytes(self) -> [u8; Self::RECORD_LEN] {
        let mut bytes = [0; Self::RECORD_LEN];
        let [options, marks] = [self.options.map(|it| it.0), self.marks.map(|it| it.0)];
        bytes[..4].copy_from_slice(&[self.state as u8, self.opening.0, self.noted.0, self.repeats]);
        bytes[4..6].copy_from_slice(&options);
        bytes[6..8].copy_from_slice(&marks);
        bytes[8..10].copy_from_slice(&[self.last.class as u8, self.last.sender as u8]);
        bytes[10..14].copy_from_slice(&self.last.mark.to_be_bytes());
        bytes[14..16].copy_from_slice(&self.last.window.to_be_bytes());
        for (peer, window) in self.windows.iter().enumerate() {
            let words = [window.end.0, window.max_end.0, window.max_window, window.max_ack.0];
            for (place, word) in words.into_iter().enumerate() {
                let at = 16 + peer * 16 + place * 4;
                bytes[at..at + 4].copy_from_slice(&word.to_be_bytes());
            }
        }
        bytes
    }

    /// `None` if no tracker is in such a state.
    pub(crate) fn from_bytes(bytes: &[u8; Self::RECORD_LEN]) -> Option<Self> {
        let word = |at: usize| {
            u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let window = |at: usize| Window {
            end: Seq(word(at)),
            max_end: Seq(word(at + 4)),
            max_window: word(at + 8),
            max_ack: Seq(word(at + 12)),
        };
        let tcp = Self {
            windows: [window(16), window(32)],
            options: [SynOptions(bytes[4]), SynOptions(bytes[5])],
            marks: [Marks(bytes[6]), Marks(bytes[7])],
            state: *State::ALL.get(usize::from(bytes[0]))?,
            noted: SynOptions(bytes[2]),
            repeats: bytes[3],
            opening: Opening(bytes[1]),
            last: Last {
                mark: word(10),
                window: u16::from_be_bytes([bytes[14], bytes[15]]),
                class: *Class::ALL.get(usize::from(bytes[8]))?,
                sender: *Peer::BOTH.get(usize::from(bytes[9]))?,
            },
        };
        tcp.is_possible().then_some(tcp)
    }

    fn is_possible(&self) -> bool {
        let scales = [self.options[0], self.options[1], self.noted];
        scales.iter().all(|options| options.scale() <= WINDOW_SCALE_MAX)
            && self.windows.iter().all(|window| window.max_window <= WINDOW_MAX)
    }
}
