//! The demo of a cluster: three nodes agree on their policy, also when the one that leads them dies.
//!
//! ```text
//!            ┌── lan0 fw1 wan0 ──┐
//!  client ── lan      ║ fab0     wan ── server     one of them forwards; each of them votes
//!            ├── lan0 fw2 wan0 ──┤
//!            └── lan0 fw3 wan0 ──┘
//! ```

use std::io;
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;

use super::companion::exchanged;
use super::files::OPEN;
use super::limits::{CLUSTER_DEADLINE, COMMAND, EXCERPT_LINES, PAIR_POLL, SETTLE, TAKEOVER};
use super::nodes::{Network, SERVER, Site, owns};
use super::report::Report;
use super::services::Services;
use super::watch::{self, Clear as _};

/// Nodes.
const COUNT: usize = 3;

/// Runs it all, and leaves nothing behind.
pub(super) fn run(report: &mut Report<'_, '_>) -> io::Result<()> {
    report.note("client (192.0.2.2) -- [fw1 = fw2 = fw3] -- (198.51.100.2) server\n")?;
    let site = match Site::make(COUNT) {
        Ok(site) => Arc::new(site),
        Err(error) => return report.step("files", "a directory", || Err(error)).map(drop),
    };
    watch::start(Arc::clone(&site), report.current(), CLUSTER_DEADLINE)?;
    let done = steps(report, &site);
    site.clear();
    done
}

fn steps(report: &mut Report<'_, '_>, site: &Site) -> io::Result<()> {
    let mut scene = None;
    report.step("network namespaces, veth pairs", "three nodes between two hosts", || {
        scene = Some(Scene::build(site)?);
        Ok("client, server, fw1, fw2, fw3; a segment on either side, a fabric between".to_owned())
    })?;
    let Some(mut scene) = scene else { return Ok(()) };
    let ready = report.step("a cluster of three", "all have their papers", || site.found())?
        && scene.start(report)?;
    if ready {
        scene.commit(report)?;
        scene.lose_leader(report)?;
        scene.roll_back(report)?;
        scene.end(report)?;
    }
    if report.failed() { site.last_words(report) } else { Ok(()) }
}

/// What the steps work with.
struct Scene<'s> {
    site: &'s Site,
    network: &'s Network,
    #[expect(dead_code, reason = "serves as long as it is there")]
    server: Services,
    /// The nodes that live.
    living: Vec<usize>,
}

impl<'s> Scene<'s> {
    fn build(site: &'s Site) -> Result<Self, String> {
        let network = site.build()?;
        let server = Services::start(&network.server).map_err(|error| error.to_string())?;
        Ok(Self { site, network, server, living: (0..COUNT).collect() })
    }

    fn start(&self, report: &mut Report<'_, '_>) -> io::Result<bool> {
        report.step("ringwall run, on all three", "one is active, all vote", || {
            for index in 0..COUNT {
                self.site.start(index)?;
            }
            let active = self.await_active()?;
            let begun = Instant::now();
            let leader = loop {
                let status = self.policy(active)?;
                let raft = &status["policy_status"]["raft"];
                let voters = raft["voters"].as_array().map_or(0, Vec::len);
                match raft["leader"].as_u64().filter(|_| voters == COUNT) {
                    Some(leader) => break leader,
                    None if begun.elapsed() > SETTLE => return Err(format!("no: {status}")),
                    None => std::thread::sleep(PAIR_POLL),
                }
            };
            Ok(format!("fw{} is active, fw{leader} leads", active + 1))
        })?;
        report.step("TCP, permitted", "data both ways", || self.passes())
    }

    /// At a node that neither leads nor, if there is one, forwards.
    fn commit(&self, report: &mut Report<'_, '_>) -> io::Result<()> {
        let at = COUNT - 1;
        let mut said = String::new();
        report.step("ringwall commit, on fw3", "in force on all three", || {
            said = self.site.run(at, &["commit", &self.site.changed()])?;
            self.all_run(2)
        })?;
        report.excerpt("ringwall commit", said.lines().take(EXCERPT_LINES))?;
        report.step("TCP, rejected now", "refused", || self.is_refused())?;
        Ok(())
    }

    fn lose_leader(&mut self, report: &mut Report<'_, '_>) -> io::Result<()> {
        let mut gone = String::new();
        report.step("kill -9 of the node that leads", "another one is active", || {
            let leader = self.leader()?;
            self.site.kill(leader);
            self.living.retain(|index| *index != leader);
            gone = format!("fw{}", leader + 1);
            let active = self.await_active()?;
            Ok(format!("{gone} is gone; fw{} is active", active + 1))
        })?;
        let mut said = String::new();
        report.step("ringwall commit, by the two", "in force, without it", || {
            let begun = Instant::now();
            said = self
                .site
                .run(self.living[0], &["commit", "--comment", "again", &self.site.changed()])?;
            let took = begun.elapsed().as_millis();
            Ok(format!("after {took} ms, the election in it; {}", self.all_run(3)?))
        })?;
        report.excerpt("ringwall commit", said.lines().take(EXCERPT_LINES))
    }

    fn roll_back(&self, report: &mut Report<'_, '_>) -> io::Result<()> {
        report.step("ringwall rollback 1", "the first policy again", || {
            self.site.run(self.living[1], &["rollback", "1"])?;
            self.all_run(4)
        })?;
        report.step("TCP, permitted again", "data both ways", || self.passes())?;
        let history = self.site.run(self.living[0], &["history"]).unwrap_or_else(|error| error);
        report.excerpt("ringwall history", history.lines().take(EXCERPT_LINES))
    }

    fn end(&self, report: &mut Report<'_, '_>) -> io::Result<()> {
        report.step("the dead node comes back", "it runs what the others run", || {
            let dead = (0..COUNT).find(|index| !self.living.contains(index));
            let dead = dead.ok_or("none is dead")?;
            self.site.start(dead)?;
            let begun = Instant::now();
            while self.policy(dead)?["epoch"] != 4 {
                if begun.elapsed() > SETTLE {
                    return Err(format!("it runs {}", self.policy(dead)?["epoch"]));
                }
                std::thread::sleep(PAIR_POLL);
            }
            Ok(format!(
                "fw{} runs epoch 4, {} ms after its start",
                dead + 1,
                begun.elapsed().as_millis()
            ))
        })?;
        let active = self.await_active().unwrap_or(0);
        report.step("SIGTERM", "all end in order", || self.site.stop(active))?;
        report.step("ringwall detach", "interfaces given back", || self.site.detach(COMMAND))?;
        Ok(())
    }

    fn policy(&self, index: usize) -> Result<Value, String> {
        let text = self.site.run(index, &["show", "policy", "--json"])?;
        serde_json::from_str(&text).map_err(|error| format!("`show policy`: {error}"))
    }

    fn leader(&self) -> Result<usize, String> {
        let status = self.policy(self.living[0])?;
        let leader = status["policy_status"]["raft"]["leader"].as_u64().ok_or("nobody leads")?;
        usize::try_from(leader)
            .ok()
            .and_then(|it| it.checked_sub(1))
            .ok_or_else(|| status.to_string())
    }

    /// All that live run this epoch.
    fn all_run(&self, epoch: u64) -> Result<String, String> {
        for index in &self.living {
            let seen = &self.policy(*index)?["epoch"];
            if *seen != epoch {
                return Err(format!("fw{} runs epoch {seen}", index + 1));
            }
        }
        let nodes: Vec<String> = self.living.iter().map(|it| format!("fw{}", it + 1)).collect();
        Ok(format!("epoch {epoch} on {}", nodes.join(", ")))
    }

    fn await_active(&self) -> Result<usize, String> {
        let begun = Instant::now();
        loop {
            let is_active = |index: &&usize| self.site.cluster(**index).is_ok_and(|it| owns(&it));
            if let Some(active) = self.living.iter().find(is_active) {
                return Ok(*active);
            }
            if begun.elapsed() > SETTLE {
                return Err("nobody is active".to_owned());
            }
            std::thread::sleep(PAIR_POLL);
        }
    }

    fn passes(&self) -> Result<String, String> {
        let begun = Instant::now();
        loop {
            match exchanged(&self.network.client, (SERVER, OPEN)) {
                Err(_) if begun.elapsed() < TAKEOVER => {}
                result => return result,
            }
        }
    }

    fn is_refused(&self) -> Result<String, String> {
        match exchanged(&self.network.client, (SERVER, OPEN)) {
            Ok(_) => Err("it opened".to_owned()),
            Err(why) => Ok(why),
        }
    }
}
