//! The simulator itself: that it repeats itself, and that every invariant finds what it is for.

mod heals;
mod planted;
mod repeats;
