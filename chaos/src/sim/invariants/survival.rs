//! A connection whose client has seen the SYN-ACK survives a single failure. It is exempt if a second
//! failure comes before the standby has all that it needs: then, and only then, it may break.

use super::super::hosts::tcp::Fate;

pub(crate) const NAME: &str = "connections-survive";

/// How the connections stand, by flow.
#[derive(Debug, Default)]
pub(crate) struct Survival {
    flows: Vec<Standing>,
    /// Connections that must survive, and that did.
    pub(crate) acknowledged: u64,
    pub(crate) completed: u64,
    pub(crate) exempt: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Standing {
    #[default]
    Opening,
    Acknowledged,
    Exempt,
    Done,
}

impl Survival {
    pub(crate) fn new(flows: usize) -> Self {
        Self { flows: vec![Standing::default(); flows], ..Self::default() }
    }

    /// The client has seen the SYN-ACK.
    pub(crate) fn acknowledged(&mut self, flow: usize) {
        if self.flows[flow] == Standing::Opening {
            self.acknowledged += 1;
            self.flows[flow] = Standing::Acknowledged;
        }
    }

    /// Both ends have all that the other one had to say.
    pub(crate) fn done(&mut self, flow: usize) {
        self.completed += u64::from(self.flows[flow] == Standing::Acknowledged);
        self.flows[flow] = Standing::Done;
    }

    /// This connection may break.
    pub(crate) fn excuse(&mut self, flow: usize) {
        if matches!(self.flows[flow], Standing::Opening | Standing::Acknowledged) {
            self.exempt += 1;
            self.flows[flow] = Standing::Exempt;
        }
    }

    /// Every connection that is open may break.
    pub(crate) fn excuse_all(&mut self) {
        for flow in 0..self.flows.len() {
            if self.flows[flow] == Standing::Acknowledged {
                self.excuse(flow);
            }
        }
    }

    /// A connection broke.
    pub(crate) fn broke(&self, flow: usize, fate: Fate) -> Option<String> {
        let counts = self.flows[flow] == Standing::Acknowledged;
        counts.then(|| format!("flow {flow} was acknowledged and broke: {fate:?}"))
    }

    /// The run is over: what was acknowledged must be done. A flow that is not.
    pub(crate) fn finish(&self) -> Option<usize> {
        self.flows.iter().position(|it| *it == Standing::Acknowledged)
    }
}
