//! Mistakes that are planted, each found by its invariant.
