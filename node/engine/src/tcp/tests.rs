#![allow(clippy::unwrap_used)]

mod cases;
mod netfilter;
mod pickup;
mod script;
mod transitions;
mod walk;

use self::script::play;
use super::*;
