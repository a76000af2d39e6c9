//! What a desk has read last, for the compilation on the same node that follows a moment later.

use std::sync::{Arc, Mutex, PoisonError};

use cluster_core::policy::PolicyText;

/// One text, parsed; shared by the desk, who puts it there, and the driver, who takes it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lately(Arc<Mutex<Option<Parsed>>>);

/// A text, and what it says.
type Parsed = (PolicyText, Arc<config::Policy>);

impl Lately {
    /// Keeps it, in place of any other.
    pub(super) fn put(&self, text: PolicyText, policy: Arc<config::Policy>) {
        // Whoever panicked with it has left it whole.
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((text, policy));
    }

    /// What `text` says, if it is the one. It is asked for once: nothing is kept for long.
    pub(super) fn take(&self, text: &PolicyText) -> Option<Arc<config::Policy>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.take_if(|(it, _)| it == text).map(|(_, policy)| policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_text_is_found_and_only_once() {
        let text = |text: &str| PolicyText::new(text).expect("short");
        let lately = Lately::default();
        assert!(lately.take(&text("a")).is_none());
        lately.put(text("a"), Arc::default());
        lately.put(text("b"), Arc::default());
        assert!(lately.take(&text("a")).is_none(), "b took its place");
        assert!(lately.take(&text("b")).is_some());
        assert!(lately.take(&text("b")).is_none());
    }
}
