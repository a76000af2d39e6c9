//! A list of at most so many: it lives where it is declared, and says when it is full.

/// Up to `N` values, in the order in which they were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List<T, const N: usize> {
    items: [Option<T>; N],
    len: usize,
}

/// There is no room for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl<T: Copy, const N: usize> List<T, N> {
    /// Without any.
    pub const fn new() -> Self {
        Self { items: [None; N], len: 0 }
    }

    /// Adds one behind the others.
    ///
    /// # Errors
    /// [`Full`] if there are `N`.
    pub fn push(&mut self, item: T) -> Result<(), Full> {
        *self.items.get_mut(self.len).ok_or(Full)? = Some(item);
        self.len += 1;
        Ok(())
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The one at this place.
    pub fn get(&self, place: usize) -> Option<&T> {
        self.items.get(place)?.as_ref()
    }

    /// The last one.
    pub fn last(&self) -> Option<&T> {
        self.get(self.len.checked_sub(1)?)
    }

    /// The last one, to add to it.
    pub fn last_mut(&mut self) -> Option<&mut T> {
        self.items.get_mut(self.len.checked_sub(1)?)?.as_mut()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter().flatten()
    }
}

impl<T: Copy, const N: usize> Default for List<T, N> {
    fn default() -> Self {
        Self::new()
    }
}
