//! The demo on real interfaces, step by step.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use super::companion::{Companion, exchange, exchanged, stopped};
use super::files::{CHANGED, DENIED, EARLIER, LATER, OPEN, UNNAMED};
use super::limits::{COMMAND, DATAGRAM_BYTES, DEADLINE, EXCERPT_LINES, FRAGMENTED_BYTES};
use super::network::{CLIENT, Network, SERVER};
use super::report::{Report, Seen};
use super::services::Services;
use super::site::Site;
use super::watch::{self, Clear as _};
use super::{balance, ping, probe, transfer};

/// Runs it all, and leaves nothing behind.
pub(super) fn run(report: &mut Report<'_, '_>) -> io::Result<()> {
    report
        .note("client (192.0.2.2) -- lan0 [ringwall] wan0 -- (198.51.100.2) server, and IPv6\n")?;
    let site = match Site::make() {
        Ok(site) => Arc::new(site),
        Err(error) => return report.step("files", "a directory", || Err(error)).map(drop),
    };
    watch::start(Arc::clone(&site), report.current(), DEADLINE)?;
    let done = steps(report, &site);
    site.clear();
    done
}

fn steps(report: &mut Report<'_, '_>, site: &Site) -> io::Result<()> {
    let mut scene = None;
    report.step("network namespaces, veth pairs", "three hosts in a row", || {
        scene = Some(Scene::build(site)?);
        Ok("client, router, server; the router's kernel forwards nothing".to_owned())
    })?;
    let Some(mut scene) = scene else { return Ok(()) };
    if !report.step("ringwall run", "its API answers", || site.start())? {
        return log(report, site);
    }
    scene.begin(report)?;
    scene.permitted(report)?;
    scene.forbidden(report)?;
    scene.unsolicited(report)?;
    scene.change(report)?;
    scene.account(report)?;
    scene.end(report)?;
    if report.failed() { log(report, site) } else { Ok(()) }
}

/// What the daemon said last.
fn log(report: &mut Report<'_, '_>, site: &Site) -> io::Result<()> {
    let log = site.log();
    let first = log.lines().count().saturating_sub(EXCERPT_LINES);
    report.excerpt("the daemon's last words", log.lines().skip(first))
}

/// What the steps work with.
struct Scene<'s> {
    site: &'s Site,
    network: &'s Network,
    /// Services at the server.
    server: Services,
    /// Services at the client, which nobody may reach.
    client: Services,
    companion: Option<Companion>,
    /// Connections that the change of policy must stop.
    doomed: Vec<TcpStream>,
}

impl<'s> Scene<'s> {
    fn build(site: &'s Site) -> Result<Self, String> {
        let network = site.build()?;
        let start = |host| Services::start(host).map_err(|error| format!("services: {error}"));
        let (server, client) = (start(&network.server)?, start(&network.client)?);
        Ok(Self { site, network, server, client, companion: None, doomed: Vec::new() })
    }

    /// Opens connections that live through what follows.
    fn begin(&mut self, report: &mut Report<'_, '_>) -> io::Result<()> {
        let client = &self.network.client;
        report.step("TCP connection A, to stay", "opens", || {
            let opened = Companion::start(client, (SERVER[0], OPEN));
            self.companion = Some(opened.map_err(|error| error.to_string())?);
            Ok(format!("open, exchanges go on; port {OPEN}"))
        })?;
        report.step("TCP connections B, to be stopped", "open", || {
            for address in SERVER {
                let opened = transfer::connect(client, (address, EARLIER));
                let mut stream = opened.map_err(|error| format!("{address}: {error}"))?;
                exchange(&mut stream, 0).map_err(|error| format!("{address}: {error}"))?;
                self.doomed.push(stream);
            }
            Ok(format!("open, data went both ways; port {EARLIER}, IPv4 and IPv6"))
        })?;
        Ok(())
    }

    fn permitted(&self, report: &mut Report<'_, '_>) -> io::Result<()> {
        let client = &self.network.client;
        for (family, address) in ["IPv4", "IPv6"].into_iter().zip(SERVER) {
            report.step(&format!("{family} TCP transfer, permitted"), "same checksum", || {
                transfer::out_and_back(client, (address, OPEN))
            })?;
        }
        for (what, bytes) in [("UDP", DATAGRAM_BYTES), ("UDP in fragments", FRAGMENTED_BYTES)] {
            report.step(&format!("{what}, permitted"), "all come back", || {
                probe::both(SERVER, |address| probe::udp_echoed(client, (address, OPEN), bytes))
            })?;
        }
        report.step("ping, permitted", "all answered", || {
            probe::both(SERVER, |address| ping::answered(client, address))
        })?;
        Ok(())
    }

    fn forbidden(&self, report: &mut Report<'_, '_>) -> io::Result<()> {
        let client = &self.network.client;
        for (what, port) in [("denied", DENIED), ("named by no rule", UNNAMED)] {
            report.step(&format!("TCP, {what}"), "silence", || {
                unreached(
                    || self.server.connections(port),
                    || probe::both(SERVER, |address| probe::tcp_silent(client, (address, port))),
                )
            })?;
            report.step(&format!("UDP, {what}"), "silence", || {
                unreached(
                    || self.server.datagrams(port),
                    || probe::both(SERVER, |address| probe::udp_silent(client, (address, port))),
                )
            })?;
        }
        report.step("TCP, rejected", "refused at once", || {
            unreached(
                || self.server.connections(LATER),
                || probe::both(SERVER, |address| probe::tcp_refused(client, (address, LATER))),
            )
        })?;
        Ok(())
    }

    /// From the server to the client, where every service is open.
    fn unsolicited(&self, report: &mut Report<'_, '_>) -> io::Result<()> {
        let server = &self.network.server;
        report.step("TCP from the server", "silence", || {
            unreached(
                || self.client.connections(OPEN),
                || probe::both(CLIENT, |address| probe::tcp_silent(server, (address, OPEN))),
            )
        })?;
        report.step("UDP from the server", "silence", || {
            unreached(
                || self.client.datagrams(OPEN),
                || probe::both(CLIENT, |address| probe::udp_silent(server, (address, OPEN))),
            )
        })?;
        report.step("ping from the server", "silence", || {
            probe::both(CLIENT, |address| ping::silent(server, address))
        })?;
        Ok(())
    }

    /// A new policy under live connections.
    fn change(&mut self, report: &mut Report<'_, '_>) -> io::Result<()> {
        let client = &self.network.client;
        let file = self.site.file(CHANGED);
        let mut said = String::new();
        report.step("ringwall commit, live", "in force", || {
            said = self.site.run(&["commit", &file])?;
            Ok(said.trim_end().lines().last().unwrap_or("done").to_owned())
        })?;
        report.excerpt("ringwall commit", said.lines().take(EXCERPT_LINES))?;
        report.step("TCP connections B, now denied", "stopped", || stopped(&mut self.doomed))?;
        report.step("TCP, permitted before, now denied", "silence", || {
            unreached(
                || self.server.connections(EARLIER),
                || probe::both(SERVER, |address| probe::tcp_silent(client, (address, EARLIER))),
            )
        })?;
        report.step("TCP, rejected before, now permitted", "data both ways", || {
            probe::both(SERVER, |address| exchanged(client, (address, LATER)))
        })?;
        Ok(())
    }

    /// What the daemon knows about all this.
    fn account(&mut self, report: &mut Report<'_, '_>) -> io::Result<()> {
        let sessions = self.site.run(&["show", "sessions"]);
        report.step("TCP connection A, all the time", "uninterrupted", || {
            self.companion.take().map_or_else(|| Err("never open".to_owned()), Companion::finish)
        })?;
        let mut packets = None;
        report.step("ringwall show counters", "every packet accounted for", || {
            let counters = self.site.run(&["show", "counters", "--json"])?;
            let (counted, seen) = balance::check(&counters)?;
            packets = Some(counted);
            seen
        })?;
        report.packets(packets.unwrap_or_default());
        let log = self.site.log();
        report.step("session log", "opened and denied ones", || logged(&log))?;
        let sessions = sessions.unwrap_or_else(|error| error);
        report.excerpt("ringwall show sessions", sessions.lines().take(EXCERPT_LINES))
    }

    fn end(&self, report: &mut Report<'_, '_>) -> io::Result<()> {
        let client = &self.network.client;
        report.step("SIGTERM", "ends in order", || self.site.stop())?;
        let host = "kernel forwarding on, no daemon";
        report.step(&format!("TCP, {host}"), "silence: it fails closed", || {
            self.network.forward().map_err(|error| error.to_string())?;
            unreached(
                || self.server.connections(OPEN),
                || probe::both(SERVER, |address| probe::tcp_silent(client, (address, OPEN))),
            )
        })?;
        report.step("ringwall detach", "interfaces given back", || self.site.detach(COMMAND))?;
        report.step("TCP, by the kernel alone", "data both ways", || {
            probe::both(SERVER, |address| exchanged(client, (address, OPEN)))
        })?;
        Ok(())
    }
}

/// The daemon's log names sessions that were opened and packets that were denied.
fn logged(log: &str) -> Seen {
    let count = |event: &str| log.lines().filter(|line| line.contains(event)).count();
    let (opened, denied) = (count("session-open"), count("session-deny"));
    let text = format!("{opened} opened, {denied} denied");
    if opened > 0 && denied > 0 { Ok(text) } else { Err(text) }
}

/// Does something that nobody behind the firewall may notice.
fn unreached(count: impl Fn() -> u64, work: impl FnOnce() -> Seen) -> Seen {
    let before = count();
    let seen = work()?;
    match count() - before {
        0 => Ok(seen),
        reached => Err(format!("{seen}, but the other side was reached {reached} times")),
    }
}
