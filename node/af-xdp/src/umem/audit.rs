//! The account of all frames.

use super::Umem;
use super::owner::Owner;

/// Where every frame of a UMEM is, counted one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Frames in all.
    pub total: u32,
    /// In the free list.
    pub free: u32,
    /// Held by a `Frame`.
    pub held: u32,
    /// Lent to another thread.
    pub lent: u32,
    /// In fill and RX rings of open sockets.
    pub fill: u32,
    /// In TX and completion rings of open sockets.
    pub transmit: u32,
    /// Left with the kernel by sockets that were closed.
    pub retired: u32,
    /// Tokens dropped instead of given back, since the start. Their frames were freed again.
    pub abandoned: u64,
    /// Descriptors from the kernel that named a frame it did not have, since the start.
    pub refused: u64,
    /// Entries of the free list that are wrong or double: 0, or there is a bug in this crate.
    pub errors: u32,
}

impl Audit {
    /// Frames that are not free.
    pub fn in_use(&self) -> u32 {
        self.total - self.free
    }

    /// Whether each frame is in exactly one place.
    pub fn balanced(&self) -> bool {
        let places = [self.free, self.held, self.lent, self.fill, self.transmit, self.retired];
        self.errors == 0 && places.iter().sum::<u32>() == self.total
    }
}

impl Umem {
    /// Counts all frames. Takes time in proportion to their number: for tests, `show` and checks
    /// at the end, not for each turn.
    pub fn audit(&mut self) -> Audit {
        self.reclaim();
        let (abandoned, refused) = (self.abandoned, self.refused);
        let mut audit = Audit { total: self.capacity(), abandoned, refused, ..Audit::default() };
        for &owner in &self.owners {
            *self.place(&mut audit, owner) += 1;
        }
        audit.errors = self.free_list_errors(audit.free);
        audit
    }

    fn place<'a>(&self, audit: &'a mut Audit, owner: Owner) -> &'a mut u32 {
        let alive = |slot: u8| self.slots[usize::from(slot)].alive();
        match owner {
            Owner::Free => &mut audit.free,
            Owner::Held => &mut audit.held,
            Owner::Lent => &mut audit.lent,
            Owner::Fill(slot) if alive(slot) => &mut audit.fill,
            Owner::Transmit(slot) if alive(slot) => &mut audit.transmit,
            Owner::Fill(_) | Owner::Transmit(_) => &mut audit.retired,
        }
    }

    /// How far the free list is from naming each free frame once.
    fn free_list_errors(&self, free: u32) -> u32 {
        let mut listed = vec![false; self.owners.len()];
        let mut errors = (self.free.len() as u32).abs_diff(free);
        for &index in &self.free {
            let wrong = self.owners[index as usize] != Owner::Free || listed[index as usize];
            listed[index as usize] = true;
            errors += u32::from(wrong);
        }
        errors
    }
}
