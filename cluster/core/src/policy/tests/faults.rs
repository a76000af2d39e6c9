//! What befalls the nodes, and who leads.

use super::messages::Message;
use super::world::World;

impl World {
    /// Perhaps something happens.
    pub(super) fn fault(&mut self) {
        let (now, node) = (self.now, self.some_node());
        match self.dice.below(self.calm) {
            0 | 1 if self.nodes[node].up => {
                self.nodes[node].crash(now);
                self.lose_leader(node);
            }
            2 | 3 => {
                self.nodes[node].cut = true;
                self.nodes[node].disturbed = now;
            }
            4 | 5 => {
                self.nodes[node].paused_until = now + 20 + self.dice.below(600);
                self.nodes[node].disturbed = now + 620;
            }
            6 => self.nodes[node].port_broken = true,
            7 => {
                let by = self.dice.below(7_200_000) as i64 - 3_600_000;
                self.nodes[node].jump_wall(by);
            }
            8 | 9 => self.lead(node),
            10..14 => self.blink(node),
            14..18 if self.nodes[node].up => {
                self.nodes[node].stalled = true;
                self.nodes[node].disturbed = now;
                self.lose_leader(node);
            }
            _ => {}
        }
        if self.dice.below(100) == 0 {
            self.nodes[node].wants_lease ^= true;
        }
        self.mend();
    }

    /// A node is away for so short that what it was told before still counts, and another one leads.
    fn blink(&mut self, node: usize) {
        let away = self.now + 80 + self.dice.below(370);
        self.nodes[node].paused_until = away;
        self.nodes[node].disturbed = away;
        let next = self.some_node();
        self.lead(next);
    }

    /// Nodes come back, each in its time.
    fn mend(&mut self) {
        for node in 0..self.nodes.len() {
            if self.dice.below(160) > 0 {
                continue;
            }
            match self.dice.below(4) {
                0 if !self.nodes[node].up => self.start(node),
                1 => self.nodes[node].port_broken = false,
                3 if self.nodes[node].stalled => {
                    self.nodes[node].stalled = false;
                    // Until its leader has cleared it.
                    self.nodes[node].disturbed = self.now + 1_500;
                }
                2 if self.nodes[node].cut => {
                    self.nodes[node].cut = false;
                    self.nodes[node].disturbed = self.now;
                }
                _ => {}
            }
        }
    }

    /// All is well again.
    pub(super) fn heal(&mut self) {
        for node in 0..self.nodes.len() {
            let it = &mut self.nodes[node];
            (it.cut, it.port_broken, it.paused_until) = (false, false, self.now);
            it.stalled = false;
            it.wants_lease = true;
            if !it.up {
                self.start(node);
            }
        }
        self.loss_percent = 0;
    }

    fn start(&mut self, node: usize) {
        let machine_too = self.dice.percent(30);
        self.nodes[node].start(machine_too, self.now);
        let Self { judge, nodes, .. } = self;
        judge.started(&nodes[node]);
        self.carry_out(node);
        self.show_log(node);
    }

    /// Who leads is told so; who led learns that later, or never before it is too late.
    pub(super) fn lead(&mut self, node: usize) {
        if !self.has_voters() || !self.nodes[node].votes(self.now) {
            return;
        }
        if self.leader == Some(node) {
            return;
        }
        if let Some(before) = self.leader {
            self.lose_leader(before);
        }
        self.leader = Some(node);
        let run = self.nodes[node].run;
        self.post_within(Message::Leads { node, run, leads: true }, 20);
    }

    pub(super) fn lose_leader(&mut self, node: usize) {
        if self.leader == Some(node) {
            self.leader = None;
            let run = self.nodes[node].run;
            self.post_within(Message::Leads { node, run, leads: false }, 800);
        }
    }

    /// A leader that is not heard is replaced in a while.
    pub(super) fn elect(&mut self) {
        let lost = self.leader.is_none_or(|it| !self.nodes[it].votes(self.now));
        if lost && self.has_voters() && self.dice.below(40) == 0 {
            let node = self.some_node();
            self.lead(node);
        }
    }
}
