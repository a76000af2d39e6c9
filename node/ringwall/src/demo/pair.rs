//! The demo of a pair: two nodes as one firewall, one of which is killed in the middle of a connection.
//!
//! ```text
//!            ┌── lan0 fw1 wan0 ──┐
//!  client ── lan      ║ fab0     wan ── server     the gateways are addresses of the group
//!            └── lan0 fw2 wan0 ──┘
//! ```

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::companion::{Companion, exchanged};
use super::files::OPEN;
use super::limits::{COMMAND, EXCERPT_LINES, PAIR_DEADLINE, REPLICATED, SETTLE, TAKEOVER};
use super::nodes::{Network, SERVER, Site, owns, stands_by};
use super::report::Report;
use super::services::Services;
use super::watch::{self, Clear as _};

/// Runs it all, and leaves nothing behind.
pub(super) fn run(report: &mut Report<'_, '_>) -> io::Result<()> {
    report.note("client (192.0.2.2) -- [fw1 = fw2] -- (198.51.100.2) server\n")?;
    let site = match Site::make(2) {
        Ok(site) => Arc::new(site),
        Err(error) => return report.step("files", "a directory", || Err(error)).map(drop),
    };
    watch::start(Arc::clone(&site), report.current(), PAIR_DEADLINE)?;
    let done = steps(report, &site);
    site.clear();
    done
}

fn steps(report: &mut Report<'_, '_>, site: &Site) -> io::Result<()> {
    let mut scene = None;
    report.step("network namespaces, veth pairs", "two nodes between two hosts", || {
        scene = Some(Scene::build(site)?);
        Ok("client, server, fw1, fw2; a segment on either side, a fabric between".to_owned())
    })?;
    let Some(mut scene) = scene else { return Ok(()) };
    let ready = report.step("a cluster of two", "both have its papers", || site.found())?
        && scene.start(report)?
        && scene.open(report)?;
    if ready {
        scene.kill(report)?;
        scene.hand_back(report)?;
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
    companion: Option<Companion>,
    /// The node that forwards.
    active: usize,
}

impl<'s> Scene<'s> {
    fn build(site: &'s Site) -> Result<Self, String> {
        let network = site.build()?;
        let server = Services::start(&network.server).map_err(|error| error.to_string())?;
        Ok(Self { site, network, server, companion: None, active: 0 })
    }

    fn start(&mut self, report: &mut Report<'_, '_>) -> io::Result<bool> {
        report.step("ringwall run, on both", "one is active, one stands by, ready", || {
            let pids = [self.site.start(0)?, self.site.start(1)?];
            let begun = Instant::now();
            self.active = loop {
                let active = (0..2).find(|it| self.site.cluster(*it).is_ok_and(|it| owns(&it)));
                match active {
                    Some(active) => break active,
                    None if begun.elapsed() > SETTLE => return Err("nobody is active".to_owned()),
                    None => {}
                }
            };
            self.site.await_cluster(1 - self.active, SETTLE, stands_by)?;
            Ok(format!("processes {pids:?}; fw{} is active", self.active + 1))
        })
    }

    /// Opens the connection that lives through what follows.
    fn open(&mut self, report: &mut Report<'_, '_>) -> io::Result<bool> {
        report.step("TCP connection A, to stay", "opens", || {
            let opened = Companion::start(&self.network.client, (SERVER, OPEN));
            self.companion = Some(opened.map_err(|error| error.to_string())?);
            Ok(format!("open, exchanges go on; port {OPEN}"))
        })?;
        report.step("its session on the standby", "is there", || self.replicated())
    }

    fn replicated(&self) -> Result<String, String> {
        let (begun, standby) = (Instant::now(), 1 - self.active);
        loop {
            let text = self.site.run(standby, &["show", "sessions", "--json"])?;
            let page: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
            match page["sessions"].as_array().map_or(0, Vec::len) {
                0 if begun.elapsed() > REPLICATED => return Err("no session came".to_owned()),
                0 => std::thread::sleep(Duration::from_millis(10)),
                sessions => return Ok(format!("{sessions} on fw{}", standby + 1)),
            }
        }
    }

    /// The active node dies, and comes back.
    fn kill(&mut self, report: &mut Report<'_, '_>) -> io::Result<()> {
        let (dead, heir) = (self.active, 1 - self.active);
        report.step(&format!("kill -9 of fw{}", dead + 1), "the other one is active", || {
            self.site.kill(dead);
            self.site.await_cluster(heir, TAKEOVER, owns)?;
            self.active = heir;
            Ok(took_over(&self.site.cluster(heir)?, heir))
        })?;
        report.step("a new TCP connection", "opens", || {
            exchanged(&self.network.client, (SERVER, OPEN))
        })?;
        report.step(&format!("fw{} comes back", dead + 1), "stands by, ready", || {
            self.site.start(dead)?;
            let took = self.site.await_cluster(dead, SETTLE, stands_by)?;
            Ok(format!("complete again {} ms after its start", took.as_millis()))
        })?;
        let shown = self.site.run(heir, &["show", "cluster"]).unwrap_or_else(|error| error);
        report.excerpt("ringwall show cluster", shown.lines().take(EXCERPT_LINES))
    }

    /// A planned switchover.
    fn hand_back(&mut self, report: &mut Report<'_, '_>) -> io::Result<()> {
        let (from, to) = (self.active, 1 - self.active);
        report.step("ringwall cluster failover", "the roles change", || {
            self.site.run(from, &["cluster", "failover"])?;
            self.site.await_cluster(to, TAKEOVER, owns)?;
            self.active = to;
            self.site.await_cluster(from, SETTLE, stands_by)?;
            Ok(format!("fw{} is active, fw{} stands by", to + 1, from + 1))
        })?;
        report.step("TCP connection A, all the time", "uninterrupted", || {
            self.companion.take().map_or_else(|| Err("never open".to_owned()), Companion::finish)
        })?;
        Ok(())
    }

    fn end(&self, report: &mut Report<'_, '_>) -> io::Result<()> {
        report.step("SIGTERM", "both end in order", || self.site.stop(self.active))?;
        report.step("ringwall detach", "interfaces given back", || self.site.detach(COMMAND))?;
        Ok(())
    }
}

fn took_over(cluster: &Value, heir: usize) -> String {
    let last = &cluster["last_failover"];
    let milliseconds = |key: &str| last[key].as_f64().unwrap_or_default() / 1e3;
    format!(
        "fw{} forwards; it heard of the death after {:.1} ms, disk and votes took {:.1} ms",
        heir + 1,
        milliseconds("detection_microseconds"),
        milliseconds("claiming_microseconds"),
    )
}
