//! The checker on small histories, on an exhaustive twin, and on the histories of the corpus.

mod corpus;
mod policy;
mod small;
mod twin;
