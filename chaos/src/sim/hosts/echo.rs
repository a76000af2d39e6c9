//! A program that sends datagrams and counts those that come back.

/// The client's side of an exchange.
#[derive(Clone, Debug, Default)]
pub(crate) struct Echo {
    /// Datagrams sent.
    pub(crate) sent: u64,
    /// How often an answer to each of them came.
    answers: Vec<u32>,
}

impl Echo {
    /// The number of the next datagram.
    pub(crate) fn next(&mut self) -> u64 {
        self.sent += 1;
        self.answers.push(0);
        self.sent - 1
    }

    /// An answer to datagram `number` came. Whether there was such a datagram.
    pub(crate) fn hear(&mut self, number: u64) -> bool {
        let answer = self.answers.get_mut(usize::try_from(number).unwrap_or(usize::MAX));
        answer.map(|count| *count += 1).is_some()
    }

    /// Whether datagram `number` was answered.
    pub(crate) fn is_answered(&self, number: u64) -> bool {
        let answer = self.answers.get(usize::try_from(number).unwrap_or(usize::MAX));
        answer.is_some_and(|count| *count > 0)
    }
}
