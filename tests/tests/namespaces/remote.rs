//! The API for other machines: verbs that say who they are by certificate or token, and authors in `history`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use ringwall_tests::world::{Plan, SOON, World};
use ringwall_tests::{Outcome, binary, require, root, run, run_command, wait_for};

const PERMIT: &str = r#"
[zones]
trust = ["lan"]
untrust = ["wan"]

[[rule]]
id = "web"
from = "trust"
to = "untrust"
service = ["tcp/443"]
action = "permit"
"#;

const URL: &str = "https://127.0.0.1:7443";
const VERB_LIMIT: Duration = Duration::from_secs(60);

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Issuer {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Makes NAME.pem and NAME.key with one name or address inside.
fn issue(world: &World, issuer: &Issuer, name: &str, inside: &str) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![inside.to_owned()]).unwrap();
    world.write(&format!("{name}.pem"), &params.signed_by(&key, issuer).unwrap().pem());
    private(world, &format!("{name}.key"), &key.serialize_pem());
}

fn private(world: &World, name: &str, text: &str) {
    let path = world.write(name, text);
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn file(world: &World, name: &str) -> String {
    world.path(name).to_str().unwrap().to_owned()
}

/// A node that listens, knows `ada` by her certificate, and `ci` by the token in the file `ci.token`.
fn listening() -> World {
    let mut world = World::new(Plan::routed(1, PERMIT));
    let issuer = authority();
    world.write("ca.pem", &issuer.pem());
    issue(&world, &issuer, "node", "127.0.0.1");
    issue(&world, &issuer, "ada", "ada");
    let made = run(["token", "ci", "--into", &file(&world, "ci.token"), "--json"]).exits(0).json();
    private(&world, "tokens", made["line"].as_str().unwrap());
    let api = ["certificate", "key", "client-ca", "tokens"]
        .into_iter()
        .zip(["node.pem", "node.key", "ca.pem", "tokens"])
        .map(|(key, name)| format!("{key} = {:?}\n", world.path(name)));
    let roles = "administer = [\"cert:ada\"]\nread = [\"token:ci\"]\nlisten = \"127.0.0.1:7443\"\n";
    let node = fs::read_to_string(world.path("node.toml")).unwrap();
    world.write("node.toml", &format!("{node}{roles}{}", api.collect::<String>()));
    world.start();
    world
}

/// A verb of a client that says so who it is.
fn ask(world: &World, verb: &[&str], who: &[&str], token: Option<&str>) -> Outcome {
    let mut command = Command::new(binary());
    command.args(verb).args(["--api", URL, "--ca", &file(world, "ca.pem")]).args(who);
    command.envs(token.map(|token| ("RINGWALL_TOKEN", token)));
    world.router.run(|| run_command(&mut command, VERB_LIMIT))
}

#[test]
fn other_machines_ask_by_certificate_and_token() {
    require!(root());
    let mut world = listening();
    let (cert, key) = (file(&world, "ada.pem"), file(&world, "ada.key"));
    let ada = ["--cert", &cert, "--key", &key];
    let token = fs::read_to_string(world.path("ci.token")).unwrap();
    let token = token.trim();
    let token_file = file(&world, "ci.token");
    ask(&world, &["show", "status"], &["--token-file", &token_file], None).exits(0);
    ask(&world, &["show", "status"], &[], Some(token)).exits(0);
    let policy = world.write("next.toml", &PERMIT.replace("tcp/443", "tcp/8443"));
    let commit = ["commit", policy.to_str().unwrap(), "--comment", "from afar"];
    ask(&world, &commit, &[], Some(token)).exits(1).says("`token:ci` has the role `read` here");
    ask(&world, &commit, &ada, None).exits(0);
    let history = ask(&world, &["history", "--json"], &ada, None).exits(0).json();
    let revisions = history["revisions"].as_array().unwrap();
    let told = revisions.iter().find(|it| it["comment"] == "from afar").unwrap();
    assert_eq!(told["author"], "cert:ada", "{history}");
    ask(&world, &["history"], &ada, None).exits(0).says("cert:ada");
    strangers(&world);
    // A token that is taken out of the file is none, once the daemon has been told.
    private(&world, "tokens", "# nobody\n");
    world.node().signal(Signal::SIGHUP);
    wait_for(SOON, "a token that is no longer known", || {
        ask(&world, &["show", "status"], &[], Some(token)).status == Some(1)
    });
    let said = world.node().output();
    assert!(said.contains("read again") && !said.contains(token), "{said}");
    world.end();
}

fn strangers(world: &World) {
    let nobody = ask(world, &["show", "status"], &[], Some("wrong")).exits(1);
    nobody.says("does not know you");
    let metrics = world.metrics();
    let count = "ringwall_api_rejected_total{reason=\"token\"} 1";
    assert!(metrics.lines().any(|line| line == count), "{metrics}");
    let unsaid = ask(world, &["show", "status"], &[], None).exits(1);
    unsaid.says("nothing says who you are");
}
