//! What operations mean, one after the other.

use core::fmt::{Debug, Display};
use core::hash::Hash;

/// A thing with a state, that does one operation at a time.
pub trait Model {
    /// What is asked for.
    type Call: Clone + Debug + Display + PartialEq;
    /// What is said about it.
    type Answer: Clone + Debug + Display;
    /// All that earlier operations have left.
    type State: Clone + Debug + Display + Eq + Hash;

    /// The state before the first operation.
    fn start(&self) -> Self::State;

    /// The state after `call`, if it can have been answered so. An answer that never came (`None`) can have
    /// been any: then it is the state after the call took effect, where it can.
    fn step(
        &self,
        state: &Self::State,
        call: &Self::Call,
        answer: Option<&Self::Answer>,
    ) -> Option<Self::State>;
}
