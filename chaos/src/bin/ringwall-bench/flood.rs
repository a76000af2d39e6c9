//! A client of a server that is flooded: requests through the firewall while half a million SYNs a second
//! from forged sources come for the same server, beside the same flood against a bare XDP program that drops
//! it.
//!
//! ```text
//! client ══ wan ┐                    subject:  flood is a port of the firewall's
//!               ringwall ── lan ══ server
//! attacker ══ flood ┘                baseline: flood has a program that drops everything
//! ```

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use af_xdp::bare::{Otherwise, RedirectProgram, SynFlood};
use clap::Args;
use netns::{End, Namespace, VethOptions, veth, wait_ready};
use wire::TcpFlags;
use wire::build::Builder;

use crate::failure::Failure;
use crate::node::{Node, Place};
use crate::report::{Bar, Comparison};
use crate::system;

/// SYNs a second.
const RATE: u32 = 500_000;
/// SYNs that the kernel is asked for at a time: 50 ms of them. To begin takes it milliseconds.
const AT_ONCE: u32 = 25_000;
/// Requests a second, over so many threads.
const REQUESTS: u32 = 100;
const THREADS: u32 = 4;
/// A request that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(1);
/// Connections that are open before the flood.
const OPEN: usize = 100;
/// From the start of the flood until memory is looked at first: what is built up at its beginning is there.
const BEGINNING: Duration = Duration::from_secs(2);

const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(10, 2, 0, 2)), 80);
const FLOOD_MACS: [[u8; 6]; 2] = [[2, 0, 0, 9, 0, 1], [2, 0, 0, 9, 0, 2]];

/// Requests that are answered, as a part of those under a flood that goes nowhere.
const ANSWERED: Option<Bar> = Some(Bar::RatioAtLeast(0.99));
/// Their time, as a multiple.
const TIMES: Option<Bar> = Some(Bar::RatioAtMost(2.0));
/// Of those that were open.
const BROKEN: Option<Bar> = Some(Bar::AtMost(0.0));
/// MiB that the daemon may grow by, once the flood is there.
const GROWTH: Option<Bar> = Some(Bar::AtMost(2.0));

/// Options of `flood`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The node's program.
    #[arg(long, default_value = "target/release/ringwall")]
    binary: PathBuf,
    /// Seconds of the flood.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(3..))]
    seconds: u64,
    /// What the screen does about it.
    #[arg(long, default_value = "proxy")]
    action: String,
}

/// What a client met.
struct Met {
    answered: f64,
    /// Milliseconds, in order.
    times: Vec<f64>,
    broken: usize,
    /// MiB.
    growth: f64,
    /// SYNs a second.
    rate: f64,
}

pub(crate) fn run(options: &Options, rounds: u32) -> Result<Vec<Comparison>, Failure> {
    system::require_root()?;
    if !options.binary.exists() {
        let binary = options.binary.display();
        return Err(Failure::Skipped(format!(
            "no program {binary}; `cargo build --release -p ringwall` makes it, --binary names another"
        )));
    }
    let new = Comparison::new;
    let mut results = vec![
        new("requests answered in a SYN flood", "%", ANSWERED),
        new("median of their times", "ms", TIMES),
        new("99th percentile of their times", "ms", TIMES),
        new("open connections broken by it", "", BROKEN),
        new("memory of the daemon, growth", "MiB", GROWTH),
        new("SYNs of the flood, thousands a second", "k/s", None),
    ];
    for _ in 0..rounds {
        let [subject, baseline] = [true, false].map(|faces| measure(options, faces));
        let (subject, baseline) = (subject?, baseline?);
        let both: [fn(&Met) -> f64; 6] = [
            |it| it.answered,
            |it| percentile(&it.times, 50),
            |it| percentile(&it.times, 99),
            |it| it.broken as f64,
            |it| it.growth,
            |it| it.rate / 1_000.0,
        ];
        for (comparison, value) in results.iter_mut().zip(both) {
            comparison.push(value(&subject), value(&baseline));
        }
    }
    Ok(results)
}

fn percentile(sorted: &[f64], of: usize) -> f64 {
    let at = sorted.len() * of / 100;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

/// One flood, which the firewall faces or a bare program does.
fn measure(options: &Options, faces: bool) -> Result<Met, Failure> {
    let site = Site::new()?;
    let ports: &[&str] = if faces { &["lan", "wan", "flood"] } else { &["lan", "wan"] };
    let place = Place::new("flood", 1, ports, &policy(&options.action, faces))?;
    let mut node = site.router.run(|| Node::start(&options.binary, &place))?;
    let met = node.wait_ready(&place).and_then(|()| site.suffer(&node, options, faces));
    let log = node.stop(&place);
    met.map_err(|failure| Failure::Wrong(format!("{failure}\n{log}")))
}

fn policy(action: &str, faces: bool) -> String {
    let outside = if faces { "\"wan\", \"flood\"" } else { "\"wan\"" };
    format!(
        "[zones]\ninside = [\"lan\"]\noutside = [{outside}]\n\
         [[rule]]\nid = \"web\"\nfrom = \"outside\"\nto = \"inside\"\nservice = [\"tcp/80\"]\n\
         action = \"permit\"\n\
         [[screen]]\nzone = \"outside\"\nsyn-flood = {{ action = \"{action}\" }}\n"
    )
}

/// The four hosts.
struct Site {
    client: Namespace,
    attacker: Namespace,
    router: Namespace,
    server: Namespace,
}

impl Site {
    fn new() -> Result<Self, Failure> {
        let namespace = Namespace::new;
        let site = Self {
            client: namespace("rwf-client")?,
            attacker: namespace("rwf-attack")?,
            router: namespace("rwf-router")?,
            server: namespace("rwf-server")?,
        };
        site.cable("lan", "10.2.0.1/24", (&site.server, "s0", "10.2.0.2/24"))?;
        site.cable("wan", "10.1.0.1/24", (&site.client, "c0", "10.1.0.2/24"))?;
        site.cable("flood", "10.3.0.1/24", (&site.attacker, "a0", "10.3.0.2/24"))?;
        site.server.add_route("0.0.0.0/0", "10.2.0.1")?;
        site.client.add_route("0.0.0.0/0", "10.1.0.1")?;
        // Where the forged sources are said to be.
        site.router.add_route("64.0.0.0/3", "10.3.0.2")?;
        site.router.set_neighbour("flood", "10.3.0.2", FLOOD_MACS[1])?;
        Ok(site)
    }

    fn cable(
        &self,
        port: &str,
        address: &str,
        (host, link, its_address): (&Namespace, &str, &str),
    ) -> Result<(), Failure> {
        let options = VethOptions { offloads: false, ..VethOptions::default() };
        let (mut ours, mut its) = (End::new(&self.router, port), End::new(host, link));
        if port == "flood" {
            (ours, its) = (ours.with_mac(FLOOD_MACS[0]), its.with_mac(FLOOD_MACS[1]));
        }
        veth(ours, its, &options)?;
        self.router.add_address(port, address)?;
        host.add_address(link, its_address)?;
        wait_ready(&[(&self.router, port), (host, link)])?;
        Ok(())
    }

    /// The flood, and what the client meets meanwhile.
    fn suffer(&self, node: &Node, options: &Options, faces: bool) -> Result<Met, Failure> {
        let index = self.router.link("flood")?.index;
        let drop = || RedirectProgram::attach(index, 1, Otherwise::Drop);
        let _bare = if faces { None } else { Some(self.router.run(drop)?) };
        // The kernel delivers what an XDP program sends back by a veth only if there is one at the other end.
        let its = self.client.link("c0")?.index;
        let _pass = self.client.run(|| RedirectProgram::attach(its, 1, Otherwise::Pass))?;
        let stop = AtomicBool::new(false);
        let listener = self.server.run(|| TcpListener::bind(SERVER));
        let listener = listener.map_err(Failure::io("listen"))?;
        let (length, sent) = (Duration::from_secs(options.seconds), AtomicU64::new(0));
        std::thread::scope(|scope| {
            let _end = Raise(&stop);
            let (stop, listener) = (&stop, &listener);
            scope.spawn(move || serve(scope, listener, stop));
            let mut open = self.client.run(open_connections)?;
            let start = Instant::now();
            let flood = scope.spawn(|| self.attacker.run(|| flood(&self.attacker, &sent, stop)));
            let ask = |number| move || ask(number, length);
            let asking: Vec<_> = (0..THREADS)
                .map(|number| scope.spawn(move || self.client.run(ask(number))))
                .collect();
            std::thread::sleep(BEGINNING);
            let before = node.resident()?;
            let times = asking.into_iter().map(|thread| thread.join().unwrap_or_default());
            let mut times: Vec<f64> = times.flatten().collect();
            let after = node.resident()?;
            let rate = sent.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64();
            let broken = open.iter_mut().filter_map(|stream| echoes(stream).err()).count();
            stop.store(true, Ordering::Relaxed);
            flood.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            let asked = f64::from(REQUESTS) * length.as_secs_f64();
            let answered = 100.0 * times.len() as f64 / asked;
            times.sort_unstable_by(f64::total_cmp);
            let growth = after.saturating_sub(before) as f64 / 1_024.0;
            Ok(Met { answered, times, broken, growth, rate })
        })
    }
}

/// Ends the threads of a scope, however it is left.
struct Raise<'a>(&'a AtomicBool);

impl Drop for Raise<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn serve<'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    listener: &'scope TcpListener,
    stop: &'scope AtomicBool,
) {
    if listener.set_nonblocking(true).is_err() {
        return;
    }
    while !stop.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, _)) => _ = scope.spawn(move || answer(stream, stop)),
            Err(_) => std::thread::sleep(Duration::from_micros(200)),
        }
    }
}

/// A page for a request, an echo for anything else.
fn answer(mut stream: TcpStream, stop: &AtomicBool) {
    let ready = stream.set_nonblocking(false).is_ok()
        && stream.set_read_timeout(Some(Duration::from_millis(200))).is_ok();
    let mut bytes = [0; 512];
    while ready && !stop.load(Ordering::Relaxed) {
        match stream.read(&mut bytes) {
            Ok(0) => return,
            Ok(length) if bytes[..length].starts_with(b"GET ") => {
                let _ = stream.write_all(b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok");
                return;
            }
            Ok(length) => {
                if stream.write_all(&bytes[..length]).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

fn open_connections() -> Result<Vec<TcpStream>, Failure> {
    let open = || {
        let mut stream = TcpStream::connect_timeout(&SERVER, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        echoes(&mut stream)?;
        Ok(stream)
    };
    (0..OPEN).map(|_| open()).collect::<std::io::Result<_>>().map_err(Failure::io("connect"))
}

fn echoes(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"still there?")?;
    stream.read_exact(&mut [0; 12])
}

/// Asks at its rate for so long; milliseconds of the requests that were answered.
fn ask(number: u32, length: Duration) -> Vec<f64> {
    let pause = Duration::from_secs(1) * THREADS / REQUESTS;
    let start = Instant::now() + pause * number / THREADS;
    let mut times = Vec::new();
    let mut due = start;
    while due < start + length {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        due += pause;
        let began = Instant::now();
        if request().is_ok() {
            times.push(began.elapsed().as_secs_f64() * 1_000.0);
        }
    }
    times
}

fn request() -> std::io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&SERVER, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut page = Vec::new();
    stream.read_to_end(&mut page)?;
    let whole = page.starts_with(b"HTTP/1.0 200") && page.ends_with(b"ok");
    if whole { Ok(()) } else { Err(std::io::Error::other("no page")) }
}

/// Sends at [`RATE`] until it is to stop.
fn flood(attacker: &Namespace, sent: &AtomicU64, stop: &AtomicBool) -> Result<(), Failure> {
    system::pin(system::FORWARDER_CORE)?;
    let interface = attacker.link("a0")?.index;
    // What is answered comes to nothing, as cheaply as can be.
    let _drop = RedirectProgram::attach(interface, 1, Otherwise::Drop)?;
    let (port, sequence) = SynFlood::PORT_AND_SEQUENCE;
    let syn = Builder::v4(SynFlood::SOURCE, [10, 2, 0, 2])
        .ethernet(FLOOD_MACS[1], FLOOD_MACS[0])
        .tcp(port, SERVER.port())
        .seq(sequence)
        .flags(TcpFlags::SYN);
    let flood = SynFlood::new(interface, &syn.frame())?;
    let start = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let so_far = sent.load(Ordering::Relaxed);
        let due = start.elapsed().as_secs_f64() * f64::from(RATE);
        if so_far as f64 >= due {
            std::thread::sleep(Duration::from_micros(200));
            continue;
        }
        flood.send(AT_ONCE)?;
        sent.fetch_add(AT_ONCE.into(), Ordering::Relaxed);
    }
    Ok(())
}
