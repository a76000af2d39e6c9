//! The simulator itself: that it repeats itself, and that every invariant finds what it is for.

mod planted;
mod repeats;
