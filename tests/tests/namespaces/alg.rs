//! Gateways with real programs on both sides: servers and clients of file transfer in every mode, and callers
//! with their media, through a firewall that permits control channels alone.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use netns::Namespace;
use ringwall_tests::world::{CLIENT, Plan, ROUTER_WAN, SERVER, SERVER_OTHER, SOON, World};
use ringwall_tests::{Background, TempDir, require, root, run_command, temp_dir, tool, wait_for};

use crate::nat::MASQUERADE;
use crate::sockets::{at, connect};

/// Control channels of clients inside and out.
const RULES: &str = r#"
[zones]
trust = ["lan"]
untrust = ["wan"]
[[rule]]
id = "out"
from = "trust"
to = "untrust"
service = ["tcp/21", "udp/69", "udp/5060", "tcp/5060"]
action = "permit"
alg = "auto"
[[rule]]
id = "in"
from = "untrust"
to = "trust"
service = ["tcp/21"]
action = "permit"
alg = "ftp"
"#;

/// What is transferred: some hundred segments.
const BYTES: usize = 400_000;

/// A server of files, of a program that many run.
struct FtpServer {
    program: Background,
    folder: TempDir,
}

impl FtpServer {
    fn start(name: &str, inside: &Namespace) -> Self {
        let folder = temp_dir();
        // Servers look for it as nobody.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let files = folder.path().join("files");
        fs::create_dir(&files).unwrap();
        fs::create_dir(folder.path().join("empty")).unwrap();
        let content: Vec<u8> = (0..BYTES).map(|at| (at * at / 7) as u8).collect();
        fs::write(files.join("content"), content).unwrap();
        let mut command = command(name, folder.path());
        let program = inside.run(|| Background::spawn(&mut command));
        let server = Self { program, folder };
        wait_for(SOON, &format!("{name} listens"), || {
            inside.run(|| std::net::TcpStream::connect("[::1]:21")).is_ok()
        });
        server
    }

    fn content(&self) -> Vec<u8> {
        fs::read(self.folder.path().join("files/content")).unwrap()
    }
}

/// How a server is started that serves the files of a folder to everybody.
fn command(name: &str, folder: &Path) -> Command {
    let file = folder.join("config");
    let (files, folder) = (folder.join("files"), folder.display());
    let shown = files.display();
    let mut command = Command::new(name);
    match name {
        "vsftpd" => {
            let lines = format!(
                "listen_ipv6=YES\nlisten=NO\nbackground=NO\nanonymous_enable=YES\nno_anon_password=YES\n\
                 anon_root={shown}\nftp_username=ftp\nsecure_chroot_dir={folder}/empty\n\
                 connect_from_port_20=YES\nseccomp_sandbox=NO\nisolate_network=NO\n"
            );
            fs::write(&file, lines).unwrap();
            command.arg(file);
        }
        "proftpd" => {
            let lines = format!(
                "ServerType standalone\nPort 21\nUseIPv6 on\nUser nobody\nGroup nogroup\n\
                 UseReverseDNS off\nDelayEngine off\nUseFtpUsers off\nWtmpLog off\n\
                 ScoreboardFile {folder}/scores\nPidFile {folder}/pid\nSystemLog {folder}/log\n\
                 <Anonymous {shown}>\nUser nobody\nGroup nogroup\nUserAlias anonymous nobody\n\
                 RequireValidShell off\n</Anonymous>\n"
            );
            fs::write(&file, lines).unwrap();
            command.args(["-n", "-c"]).arg(file);
        }
        "pure-ftpd" => {
            // It serves the home of the user `ftp`, which comes with vsftpd.
            let bound = "mount --bind \"$0\" ~ftp && exec pure-ftpd -e -H -S ,21";
            command = Command::new("unshare");
            command.args(["-m", "bash", "-c", bound]).arg(files);
        }
        other => panic!("no server is called {other}"),
    }
    command
}

/// How clients fetch a file, in words of each mode, for IPv6 too or not.
const MODES: [(&str, bool, &[&str]); 8] = [
    ("curl", true, &["--ftp-pasv"]),
    ("curl", false, &["--disable-epsv"]),
    ("curl", true, &["--ftp-port", "-"]),
    ("curl", false, &["--ftp-port", "-", "--disable-eprt"]),
    ("lftp", true, &["on"]),
    ("lftp", true, &["off"]),
    ("tnftp", true, &["-p"]),
    ("tnftp", true, &["-A"]),
];

fn fetch(client: &Namespace, (name, mode): (&str, &[&str]), server: &str, to: &Path) -> String {
    let host = if server.contains(':') { format!("[{server}]") } else { server.to_owned() };
    let url = format!("ftp://{host}/content");
    let mut command = Command::new(name);
    let command = match name {
        "curl" => command.args(["-sS", "--max-time", "20", "-o"]).arg(to).args(mode).arg(url),
        "lftp" => {
            let set = "set net:max-retries 1; set net:timeout 15; set ftp:ssl-allow off; \
                       set ftp:passive-mode";
            command.args(["-c", &format!("{set} {}; get {url} -o {}", mode[0], to.display())])
        }
        _ => command.args(mode).args(["-q", "15", "-V", "-o"]).arg(to).arg(url),
    };
    let outcome = client.run(|| run_command(command, Duration::from_secs(40)));
    format!("{outcome:?}")
}

fn world(workers: u16, nat: &str) -> World {
    World::running(Plan::routed(workers, &format!("{RULES}{nat}")))
}

/// Every mode of every client.
fn fetch_all(world: &World, client: &Namespace, server: &FtpServer, addresses: [&str; 2]) {
    let folder = temp_dir();
    for (family, address) in addresses.into_iter().enumerate() {
        for (name, both, mode) in MODES.into_iter().filter(|(_, both, _)| family == 0 || *both) {
            let to: PathBuf = folder.path().join("content");
            let said = fetch(client, (name, mode), address, &to);
            let got = fs::read(&to).unwrap_or_default();
            let way = format!("{name} {mode:?} (both {both}) from {address}");
            assert!(
                got == server.content(),
                "{way}: {} bytes; {said}\n{}\n{}",
                got.len(),
                server.program,
                world.verb(&["show", "alg"]).stdout
            );
            fs::remove_file(&to).unwrap();
        }
    }
}

fn every_mode(server: &str) {
    for workers in [1, 2] {
        for nat in ["", MASQUERADE] {
            let world = world(workers, nat);
            let files = FtpServer::start(server, &world.server);
            fetch_all(&world, &world.client, &files, SERVER);
            assert!(connect(&world.client, at(SERVER[0], 22), Duration::from_secs(1)).is_err());
            world.assert_conservation();
            drop(files);
            world.end();
        }
    }
}

#[test]
fn files_of_vsftpd_in_every_mode() {
    require!(root(), tool("vsftpd"), tool("curl"), tool("lftp"), tool("tnftp"));
    every_mode("vsftpd");
}

#[test]
fn files_of_proftpd_in_every_mode() {
    require!(root(), tool("proftpd"), tool("curl"), tool("lftp"), tool("tnftp"));
    every_mode("proftpd");
}

#[test]
fn files_of_pure_ftpd_in_every_mode() {
    require!(root(), tool("pure-ftpd"), tool("curl"), tool("lftp"), tool("tnftp"));
    every_mode("pure-ftpd");
}

#[test]
fn a_server_inside_is_reached_by_a_public_address_in_every_mode() {
    require!(root(), tool("vsftpd"), tool("curl"), tool("lftp"), tool("tnftp"));
    let nat = r#"
[[nat]]
id = "files"
type = "destination"
from = "untrust"
destination = ["10.2.0.1"]
service = ["tcp/21"]
to-address = "10.1.0.2"
[[nat]]
id = "files6"
type = "destination"
from = "untrust"
destination = ["fd02::1"]
service = ["tcp/21"]
to-address = "fd01::2"
"#;
    assert_eq!(CLIENT, ["10.1.0.2", "fd01::2"]);
    for workers in [1, 2] {
        let world = world(workers, nat);
        let files = FtpServer::start("vsftpd", &world.client);
        fetch_all(&world, &world.server, &files, ROUTER_WAN);
        drop(files);
        world.end();
    }
}

#[test]
fn a_file_by_tftp() {
    require!(root(), tool("in.tftpd"), tool("curl"));
    for workers in [1, 2] {
        for nat in ["", MASQUERADE] {
            let world = world(workers, nat);
            let folder = temp_dir();
            let content: Vec<u8> = (0..50_000_u32).map(|at| (at * at / 7) as u8).collect();
            fs::write(folder.path().join("content"), &content).unwrap();
            for server in SERVER {
                let on = at(server, 69).to_string();
                let mut server = Command::new("in.tftpd");
                server.args(["-L", "-u", "root", "-a", &on, "-s"]).arg(folder.path());
                let server = world.server.run(|| Background::spawn(&mut server));
                let url = format!("tftp://{on}/content");
                let to = folder.path().join("got");
                // The server has no word for being ready.
                wait_for(SOON, "a file by tftp", || {
                    let mut curl = Command::new("curl");
                    curl.args(["-sS", "--max-time", "5", "-o"]).arg(&to).arg(&url);
                    let outcome =
                        world.client.run(|| run_command(&mut curl, Duration::from_secs(10)));
                    outcome.status == Some(0)
                });
                assert!(fs::read(&to).unwrap() == content, "{workers} workers, {on}");
                drop(server);
            }
            world.end();
        }
    }
}

/// A user agent that answers or makes calls, and sends back what media it gets.
fn sipp(
    inside: &Namespace,
    (address, transport): (&str, &str),
    media: u16,
    args: &[&str],
) -> Background {
    let media = media.to_string();
    let mut command = Command::new("sipp");
    command.args(["-i", address, "-p", "5060", "-mi", address, "-mp", &media]);
    command.args(["-t", transport, "-rtp_echo", "-nostdin"]).args(args);
    inside.run(|| Background::spawn(&mut command))
}

/// Whether what is sent to an endpoint comes back, from any port of an address.
fn is_echoed(inside: &Namespace, from: &str, to: SocketAddr, patience: Duration) -> bool {
    let socket = inside.run(|| UdpSocket::bind(at(from, 0))).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let begun = Instant::now();
    let mut buffer = [0; 64];
    loop {
        socket.send_to(b"\x80\x00 a sound", to).unwrap();
        if socket.recv(&mut buffer).is_ok() {
            return true;
        }
        if begun.elapsed() > patience {
            return false;
        }
    }
}

/// The endpoint that stands open for the media of the client.
fn media_of_client(world: &World, client: &str, port: u16) -> Option<SocketAddr> {
    let shown = world.json(&["show", "alg"]);
    let open = shown["open"].as_array()?;
    let ours = open.iter().find(|it| it["inside"] == client && it["inside_port"] == port)?;
    let address = ours["destination"].as_str()?.parse().ok()?;
    Some(SocketAddr::new(address, ours["destination_port"].as_u64()?.try_into().ok()?))
}

/// Calls of one client at one server by a transport of sipp's, while media are tried.
fn a_call(world: &World, transport: &str, family: usize, translated: bool) {
    let (client, server) = (CLIENT[family], SERVER[family]);
    let nobody = Duration::from_millis(600);
    let to_server = at(server, 6_000);
    let answers = sipp(&world.server, (server, transport), 6_000, &["-sn", "uas"]);
    assert!(!is_echoed(&world.client, client, to_server, nobody), "without a call");
    let remote = at(server, 5_060).to_string();
    let args = ["-sn", "uac", "-m", "3", "-r", "3", "-d", "4000", &remote];
    let mut calls = sipp(&world.client, (client, transport), 7_000, &args);
    assert!(is_echoed(&world.client, client, to_server, SOON), "to {server}\n{calls}");
    let public = media_of_client(world, client, 7_000);
    let public = public.unwrap_or_else(|| panic!("no media\n{calls}\n{answers}"));
    assert_eq!(public.ip() != at(client, 0).ip(), translated, "{public}");
    assert!(is_echoed(&world.server, server, public, SOON), "to {public}");
    let stranger = SERVER_OTHER[family];
    assert!(!is_echoed(&world.server, stranger, public, nobody), "from a stranger");
    let status = calls.ends(Duration::from_secs(40));
    assert!(status.success(), "calls fail: {calls}\n{answers}");
    assert_eq!(media_of_client(world, client, 7_000), None, "all calls are over");
    assert!(!is_echoed(&world.server, server, public, nobody), "after the calls");
}

#[test]
fn calls_have_their_media_as_long_as_they_last() {
    require!(root(), tool("sipp"));
    for workers in [1, 2] {
        for nat in ["", MASQUERADE] {
            let world = world(workers, nat);
            // By datagrams, and by a connection.
            let transports: &[&str] = if nat.is_empty() { &["u1"] } else { &["u1", "t1"] };
            for (transport, family) in transports.iter().flat_map(|it| [(it, 0), (it, 1)]) {
                a_call(&world, transport, family, !nat.is_empty());
            }
            world.assert_conservation();
            world.end();
        }
    }
}
