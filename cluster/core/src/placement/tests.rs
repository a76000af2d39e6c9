//! Whether the table keeps its promises.

mod world;

mod bars;
mod cases;
mod measure;
