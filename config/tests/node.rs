//! Node files, right and wrong.

use ringwall_config::{
    Access, Checksum, Cluster, Diagnostic, EventClass, Fabric, Facility, LogFormat, Node, OnExit,
    Placement, Principal, Receiver, Severity, Syslog, Target, Unconfirmed, Vip, Wire, ZeroCopy,
    limits, parse_node, parse_witness,
};

const HEAD: &str = "[node]\nid = 1\nname = \"fw1\"\n";
const LAN: &str = "[[port]]\nname = \"lan\"\ninterface = \"lan0\"\n";
const WAN: &str = "[[port]]\nname = \"wan\"\ninterface = \"wan0\"\n";

fn node(text: &str) -> Node {
    let checked = parse_node("node.toml", text).unwrap_or_else(|all| panic!("{all:#?}"));
    assert_eq!(checked.warnings, []);
    checked.value
}

/// All problems of `text` as `line:column message [hint]`.
fn problems(text: &str) -> Vec<String> {
    shown(parse_node("node.toml", text).expect_err(text))
}

fn shown(all: Vec<Diagnostic>) -> Vec<String> {
    let shown = all.iter().map(|one| {
        assert_eq!((one.severity, one.file.as_str()), (Severity::Error, "node.toml"));
        let hint = one.hint.as_ref().map_or(String::new(), |hint| format!(" [{hint}]"));
        format!("{}:{} {}{hint}", one.line, one.column, one.message)
    });
    shown.collect()
}

#[test]
fn what_is_left_out_has_its_default() {
    let node = node(&format!("{HEAD}{LAN}"));
    assert_eq!((node.id, node.name.as_str(), node.workers), (1, "fw1", 1));
    assert_eq!(node.data_dir, "/var/lib/ringwall");
    assert_eq!(node.bpf_dir, "/sys/fs/bpf/ringwall");
    assert_eq!(node.api.socket, "/run/ringwall/fw1.sock");
    assert_eq!((node.sessions, node.frame_size, node.frames), (262_144, 2048, 8192));
    assert_eq!((node.on_exit, node.failpoints, node.cores), (OnExit::Closed, false, None));
    assert_eq!((&node.cluster, &node.fabric, node.vips.len()), (&None, &None, 0));
    assert_eq!((node.metrics, node.log.format, node.log.file), (None, LogFormat::Text, None));
    assert_eq!(node.syslog, []);
    let port = &node.ports[0];
    assert_eq!((port.name.as_str(), port.interface.as_str(), port.domain), ("lan", "lan0", 0));
    assert_eq!((port.checksum, port.zero_copy), (Checksum::Verify, ZeroCopy::Auto));
    assert_eq!((port.queues, port.busy_poll), (None, None));
}

#[test]
fn every_key_is_taken() {
    let text = "[node]\nid = 65535\nname = \"n\"\ndata-dir = \"/d\"\nworkers = 64\n\
                on-exit = \"open\"\nbpf-dir = \"/b\"\nsessions = 1024\nframe-size = 4096\n\
                frames = 512\nfailpoints = true\n[api]\nsocket = \"/s\"\n[metrics]\n\
                listen = \"[::1]:9100\"\n[log]\nformat = \"json\"\nfile = \"/l\"\n\
                [[port]]\nname = \"p\"\ninterface = \"i\"\ndomain = 7\nchecksum = \"trust\"\n\
                queues = 2\nbusy-poll = 20\nzero-copy = \"off\"\nmode = \"routed\"\n";
    let node = node(text);
    assert_eq!((node.id, node.workers, node.sessions), (65_535, 64, 1024));
    assert_eq!((node.frame_size, node.frames), (4096, 512));
    assert_eq!((node.data_dir.as_str(), node.bpf_dir.as_str()), ("/d", "/b"));
    assert_eq!((node.on_exit, node.failpoints), (OnExit::Open, true));
    assert_eq!(node.api.socket, "/s");
    assert_eq!(node.metrics.map(|metrics| metrics.listen.port()), Some(9100));
    assert_eq!((node.log.format, node.log.file.as_deref()), (LogFormat::Json, Some("/l")));
    let port = &node.ports[0];
    assert_eq!((port.domain, port.queues, port.busy_poll), (7, Some(2), Some(20)));
    assert_eq!((port.checksum, port.zero_copy), (Checksum::Trust, ZeroCopy::Off));
}

#[test]
fn roles_are_given_to_users_and_groups() {
    let api = |text: &str| node(&format!("{HEAD}{LAN}[api]\n{text}")).api;
    let none = api("");
    assert_eq!((none.group, none.access), (None, Access::default()));
    let told =
        api("administer = [\"root\", \"@netops\"]\noperate = \"max\"\nread = [\"@netops\"]\n");
    assert_eq!(told.group.as_deref(), Some("netops"), "the only group may connect");
    let group = Principal::Group("netops".to_owned());
    assert_eq!(told.access.administer, [Principal::User("root".to_owned()), group.clone()]);
    assert_eq!(told.access.operate, [Principal::User("max".to_owned())]);
    assert_eq!(told.access.read, [group]);
    let named = api("group = \"wheel\"\nread = [\"@netops\", \"@staff\"]\n");
    assert_eq!(named.group.as_deref(), Some("wheel"));
    let problem = |text: &str| problems(&format!("{HEAD}{LAN}[api]\n{text}\n"));
    let good = "a name is a letter or `_`, then letters, digits, `-`, `_` or `.`, 63 at most";
    let bad = |line: &str, what: &str| format!("8:{line} `{what}` is not a good");
    let [user, nobody] = ["read = [\"a b\"]", "read = [\"@\"]"].map(problem);
    assert_eq!(user, [format!("{} user name [{good}]", bad("9", "a b"))]);
    assert_eq!(nobody, [format!("{} group name [{good}]", bad("9", ""))]);
    assert_eq!(problem("reed = []").len(), 1, "an unknown key");
    let many = format!("read = [{}]", "\"u\",".repeat(limits::PRINCIPALS_MAX + 1));
    let told = "8:8 65 names, the limit is 64 [give the role to a group: \"@netops\"]";
    assert_eq!(problem(&many), [told]);
}

#[test]
fn a_role_that_nobody_can_use_is_a_warning() {
    let warnings = |text: &str| {
        let checked = parse_node("n.toml", &format!("{HEAD}{LAN}[api]\n{text}\n")).unwrap();
        checked.warnings.iter().map(|it| it.message.clone()).collect::<Vec<_>>()
    };
    let closed = |role: &str| format!("`{role}` has no effect: only root can reach the socket");
    assert_eq!(warnings("operate = [\"max\"]"), [closed("operate")]);
    assert_eq!(warnings("read = [\"@a\", \"@b\"]"), [closed("read")]);
    assert_eq!(warnings("administer = [\"root\"]"), [""; 0]);
    assert_eq!(warnings("group = \"g\"\nread = [\"max\"]"), [""; 0]);
}

#[test]
fn events_have_receivers() {
    let syslog = |text: &str| node(&format!("{HEAD}{LAN}{text}")).syslog;
    let told = syslog(
        "[[syslog]]\nto = \"unix:/dev/log\"\n[[syslog]]\nto = \"udp:192.0.2.9:514\"\n\
         facility = \"local7\"\nevents = \"sessions\"\nenterprise = 4294967295\n\
         [[syslog]]\nto = \"tcp:[::1]:601\"\nevents = [\"node\", \"attacks\", \"node\"]\n",
    );
    use EventClass::{Attacks, Node as OfNode, Policy, Sessions};
    let expected = [
        Syslog {
            to: Receiver::Unix("/dev/log".to_owned()),
            facility: Facility::Daemon,
            events: vec![Attacks, Policy, OfNode],
            enterprise: 32_473,
        },
        Syslog {
            to: Receiver::Udp("192.0.2.9:514".parse().unwrap()),
            facility: Facility::Local7,
            events: vec![Sessions],
            enterprise: u32::MAX,
        },
        Syslog {
            to: Receiver::Tcp("[::1]:601".parse().unwrap()),
            facility: Facility::Daemon,
            events: vec![OfNode, Attacks],
            enterprise: 32_473,
        },
    ];
    assert_eq!(told, expected);
    let places = told.iter().map(|it| it.to.to_string()).collect::<Vec<_>>();
    assert_eq!(places, ["unix:/dev/log", "udp:192.0.2.9:514", "tcp:[::1]:601"]);
}

#[test]
fn a_receiver_that_cannot_be_is_refused() {
    let examples = "a way and a place: \"udp:192.0.2.9:514\", \"tcp:[2001:db8::9]:601\" or \
                    \"unix:/dev/log\"";
    let good = "to = \"unix:/dev/log\"\n";
    let cases = [
        ("", "7:1 [[syslog]] has no `to`".to_owned()),
        ("to = \"udp:192.0.2.9\"", format!("8:6 `udp:192.0.2.9` is no receiver [{examples}]")),
        ("to = \"log.example:514\"", format!("8:6 `log.example:514` is no receiver [{examples}]")),
        (
            "to = \"unix:dev/log\"",
            "8:6 `dev/log` is not absolute [write `to` from the root: \"/…\"]".to_owned(),
        ),
        (
            &format!("{good}events = []"),
            "9:10 a receiver that is told nothing [leave `events` out, or the whole section]"
                .to_owned(),
        ),
        (
            &format!("{good}[[syslog]]\n{good}"),
            "10:6 `unix:/dev/log` is a receiver already".to_owned(),
        ),
        (
            &format!("{good}enterprise = 0"),
            "9:14 `enterprise` must be from 1 to 4294967295".to_owned(),
        ),
    ];
    for (text, problem) in cases {
        assert_eq!(problems(&format!("{HEAD}{LAN}[[syslog]]\n{text}\n")), [problem], "{text}");
    }
    let class = problems(&format!("{HEAD}{LAN}[[syslog]]\n{good}events = \"sesions\"\n"));
    assert!(class[0].contains("did you mean `sessions`?"), "{class:?}");
    let one = |port: usize| format!("[[syslog]]\nto = \"udp:192.0.2.9:{port}\"\n");
    let many: String = (1..=limits::SYSLOG_MAX + 1).map(one).collect();
    let told = problems(&format!("{HEAD}{LAN}{many}"));
    assert!(told[0].contains("9 receivers, the limit is 8"), "{told:?}");
}

const REMOTE: &str = "listen = \"192.0.2.1:7443\"\ncertificate = \"/c\"\nkey = \"/k\"\n";

#[test]
fn other_machines_reach_the_api_with_certificates_and_tokens() {
    let api = |text: &str| node(&format!("{HEAD}{LAN}[api]\n{text}")).api;
    assert_eq!(api("").remote, None);
    let both = "client-ca = \"/ca\"\ntokens = \"/t\"\n";
    let roles = "administer = [\"cert:ada.example\"]\noperate = \"token:ci\"\n";
    let told = api(&format!("{REMOTE}{both}{roles}"));
    let remote = told.remote.unwrap();
    assert_eq!(remote.listen, "192.0.2.1:7443".parse().unwrap());
    assert_eq!((remote.certificate.as_str(), remote.key.as_str()), ("/c", "/k"));
    assert_eq!(remote.client_ca.as_deref(), Some("/ca"));
    assert_eq!(remote.tokens.as_deref(), Some("/t"));
    assert_eq!(told.access.administer, [Principal::Certificate("ada.example".to_owned())]);
    assert_eq!(told.access.operate, [Principal::Token("ci".to_owned())]);
    // They need no socket, so that there is nothing to warn of.
    assert_eq!(told.group, None);
    let text = format!("{HEAD}{LAN}[api]\n{REMOTE}{both}{roles}");
    assert_eq!(parse_node("n.toml", &text).unwrap().warnings.len(), 0);
    assert_eq!(api(&format!("{REMOTE}tokens = \"/t\"\n")).remote.unwrap().client_ca, None);
}

#[test]
fn what_a_listener_for_other_machines_needs() {
    let problem = |text: &str| problems(&format!("{HEAD}{LAN}[api]\n{text}\n"));
    let nobody = "8:1 nobody can say who he is at `listen` [add `client-ca` for clients with \
                  certificates, `tokens` for those with tokens]";
    let needs = |key: &str| {
        format!("8:1 `listen` needs `{key}` [a PEM file: without it no client can know the node]")
    };
    assert_eq!(
        problem("listen = \"[::]:443\""),
        [needs("certificate"), needs("key"), nobody.to_owned()]
    );
    assert_eq!(problem(REMOTE), [nobody]);
    assert_eq!(
        problem("key = \"/k\""),
        ["8:1 `key` without `listen` [say where: listen = \"192.0.2.1:7443\"]"]
    );
    let told = problem(&REMOTE.replace("192.0.2.1:7443", "7443").replace("/c", "c"));
    assert!(told[1].contains("`7443` is no place to listen"), "{told:?}");
    assert!(told.iter().any(|it| it.contains("`c` is not absolute")), "{told:?}");
    let roles = [("cert:ada", "client-ca", "tokens"), ("token:ci", "tokens", "client-ca")];
    for (who, needed, other) in roles {
        let told = format!(
            "8:8 `{who}` has no effect: [api] has no `{needed}` [add `{needed}`, or take it out]"
        );
        assert_eq!(problem(&format!("read = \"{who}\"")), [told.as_str()]);
        assert_eq!(problem(&format!("read = \"{who}\"\n{REMOTE}{other} = \"/f\"")), [told]);
    }
    for (word, kind) in [("cert:", "certificate"), ("token:a b", "token"), ("tok:a", "user")] {
        let told = problem(&format!("read = \"{word}\"\n{REMOTE}client-ca = \"/f\""));
        assert!(told[0].contains(&format!("is not a good {kind} name")), "{word}: {told:?}");
    }
}

#[test]
fn a_wire_joins_two_ports() {
    let node = node(&format!("{HEAD}{LAN}{WAN}[[wire]]\nports = [\"wan\", \"lan\"]\n"));
    assert_eq!(node.wires, [Wire { a: 1, b: 0 }]);
    assert_eq!((node.wire_peer(0), node.wire_peer(1), node.wire_peer(2)), (Some(1), Some(0), None));
    assert_eq!(node.port("wan"), Some(1));
}

#[test]
fn what_must_be_there() {
    assert_eq!(
        problems(""),
        [
            "1:1 the node has no ports [add a `[[port]]` for each; a witness has none: `ringwall \
             witness` runs it]",
            "1:1 a node file has no `node`",
        ]
    );
    assert_eq!(
        problems("[node]\n[[port]]\nname = \"p\"\n"),
        ["1:1 [node] has no `name`", "2:1 the port has no `interface`",]
    );
    assert_eq!(problems(&format!("[node]\nname = \"n\"\n{LAN}")), ["1:1 [node] has no `id`"]);
}

#[test]
fn a_witness_has_a_cluster_and_no_ports() {
    const CLUSTER: &str = "[cluster]\nlisten = \"10.0.9.3:7400\"\n[fabric]\ninterface = \"eth0\"\n";
    let witness = |text: &str| parse_witness("node.toml", text);
    let good = witness(&format!("{HEAD}{CLUSTER}")).expect("a good file");
    assert_eq!(good.warnings, []);
    let node = good.value;
    assert_eq!((node.id, node.ports.len(), node.vips.len()), (1, 0, 0));
    let listen = node.cluster.map(|cluster| cluster.listen.to_string());
    assert_eq!(listen.as_deref(), Some("10.0.9.3:7400"));
    assert_eq!(node.fabric.map(|fabric| fabric.interface), Some("eth0".to_owned()));

    let refused = |text: &str| shown(witness(text).expect_err(text));
    let hint = "[it only votes; `ringwall run` runs a firewall]";
    assert_eq!(
        refused(&format!("{HEAD}{CLUSTER}{LAN}")),
        [format!("8:3 a witness has no `[[port]]` {hint}")]
    );
    assert_eq!(
        refused(HEAD),
        ["1:1 a node file has no `cluster`", "1:1 a node file has no `fabric`"]
    );
    let more = "[[vip]]\ngroup = \"g\"\nport = \"lan\"\naddress = \"10.0.1.1/24\"\n";
    let first = &refused(&format!("{HEAD}{CLUSTER}{more}"))[0];
    assert_eq!(*first, format!("8:3 a witness has no `[[vip]]` {hint}"));
    let firewall = problems(&format!("{HEAD}{CLUSTER}"));
    assert!(firewall[0].contains("`ringwall witness` runs it"), "{firewall:?}");
}

#[test]
fn values_of_the_node() {
    let cases = [
        ("workers = 0", "4:11 `workers` must be from 1 to 64"),
        ("workers = 65", "4:11 `workers` must be from 1 to 64"),
        ("workers = -1", "4:11 `workers` must be from 1 to 64"),
        ("cores = [1024]", "4:10 `cores` must be from 0 to 1023"),
        ("workers = 2\ncores = [3, 3]", "5:13 core 3 has a worker already"),
        (
            "cores = [0, 1]",
            "4:9 2 cores for 1 workers [name one for each worker, or none at all to leave them to \
             the scheduler]",
        ),
        ("workers = \"2\"", "4:11 expected an integer, found a string"),
        ("sessions = 1023", "4:12 `sessions` must be from 1024 to 67108864"),
        ("sessions = 99999999999999999999", "4:12 `sessions` must be from 1024 to 67108864"),
        ("frames = 511", "4:10 `frames` must be from 512 to 1048576"),
        (
            "frame-size = 3000",
            "4:14 `frame-size` must be 2048 or 4096 [the kernel takes frames of half a page or \
                 a whole one]",
        ),
        ("on-exit = \"close\"", "4:11 `close` is no value of `on-exit` [did you mean `closed`?]"),
        ("failpoints = 1", "4:14 expected true or false, found an integer"),
        (
            "data-dir = \"var\"",
            "4:12 `var` is not absolute [write `data-dir` from the root: \"/…\"]",
        ),
        ("bpf-dir = \"/sys/fs/bpf/a.b\"", "4:11 a bpffs allows no `.` in its names"),
        ("data-dir = \"/a\\u0000\"", "4:12 `/a\\0` is no path"),
        ("datadir = \"/a\"", "4:1 unknown key `datadir` in [node] [did you mean `data-dir`?]"),
    ];
    for (line, problem) in cases {
        assert_eq!(problems(&format!("{HEAD}{line}\n{LAN}")), [problem]);
    }
    for (line, cores) in [("cores = []", vec![]), ("cores = 5", vec![5])] {
        assert_eq!(node(&format!("{HEAD}{line}\n{LAN}")).cores, Some(cores), "{line}");
    }
    assert_eq!(
        problems(&format!("[node]\nid = 0\nname = \"n\"\n{LAN}")),
        ["2:6 `id` must be from 1 to 65535"]
    );
}

#[test]
fn places() {
    let cases = [
        (
            "[metrics]\nlisten = \"9100\"",
            "8:10 `9100` is no place to listen [an address and a \
             port: \"127.0.0.1:9100\" or \"[::1]:9100\"]"
                .to_owned(),
        ),
        ("[metrics]", "7:1 [metrics] has no `listen`".to_owned()),
        (
            "[log]\nformat = \"xml\"",
            "8:10 `xml` is no value of `format` [one of text, \
             json]"
                .to_owned(),
        ),
        (
            "[log]\nfile = \"log\"",
            "8:8 `log` is not absolute [write `file` from the root: \
             \"/…\"]"
                .to_owned(),
        ),
    ];
    for (text, problem) in cases {
        assert_eq!(problems(&format!("{HEAD}{LAN}{text}\n")), [problem]);
    }
    let long = "x".repeat(limits::SOCKET_PATH_BYTES_MAX);
    assert_eq!(
        problems(&format!("{HEAD}{LAN}[api]\nsocket = \"/{long}\"\n")),
        ["8:10 the path has 108 bytes [a Unix socket's path has 107 bytes at most]"]
    );
}

#[test]
fn ports() {
    assert_eq!(
        problems(&format!("port = 1\n{HEAD}")),
        ["1:8 expected a list of tables, found an integer [write `[[port]]`]"]
    );
    let bad = |line: &str| problems(&format!("{HEAD}{LAN}{line}\n"));
    assert_eq!(bad("domain = 65536"), ["7:10 `domain` must be from 0 to 65535"]);
    assert_eq!(bad("queues = 0"), ["7:10 `queues` must be from 1 to 256"]);
    assert_eq!(bad("busy-poll = 10001"), ["7:13 `busy-poll` must be from 1 to 10000"]);
    assert_eq!(
        bad("checksum = \"off\""),
        ["7:12 `off` is no value of `checksum` [one of verify, trust]"]
    );
    assert_eq!(
        bad("mode = \"wire\""),
        ["7:8 the port is in no wire [add `[[wire]]` with `ports` = this port and its peer]"]
    );
    let interface =
        |name: &str| problems(&format!("{HEAD}[[port]]\nname = \"p\"\ninterface = \"{name}\"\n"));
    let hint = "[1 to 15 bytes without `/`, `:` and spaces]";
    for name in ["", "a b", "a/b", "eth0:1", "..", "sixteen-bytes-xx"] {
        assert_eq!(interface(name), [format!("6:13 `{name}` is no interface name {hint}")]);
    }
    assert_eq!(
        problems(&format!("{HEAD}{LAN}{LAN}")),
        [
            "8:8 port `lan` exists already, in line 5",
            "9:13 interface `lan0` exists already, in line 6",
        ]
    );
    let many: String = (0..=limits::PORTS_MAX)
        .map(|at| format!("[[port]]\nname = \"p{at}\"\ninterface = \"i{at}\"\n"))
        .collect();
    assert_eq!(problems(&format!("{HEAD}{many}")), ["4:3 65 ports, the limit is 64"]);
}

#[test]
fn wires() {
    let bad = |wire: &str| problems(&format!("{HEAD}{LAN}{WAN}[[wire]]\n{wire}\n"));
    assert_eq!(bad(""), ["10:1 the wire has no `ports`"]);
    assert_eq!(bad("ports = [\"lan\"]"), ["11:9 a wire has two ports, not 1"]);
    assert_eq!(bad("ports = [\"lan\", \"lan\"]"), ["11:17 a wire has two different ports"]);
    assert_eq!(
        bad("ports = [\"lan\", \"wam\"]"),
        ["11:17 unknown port `wam` [did you mean `wan`?]"]
    );
    assert_eq!(
        bad("ports = [\"lan\", \"wan\"]\n[[wire]]\nports = [\"wan\", \"lan\"]"),
        ["13:10 port `wan` is in another wire already"]
    );
    let domains = format!("{HEAD}{LAN}domain = 1\n{WAN}[[wire]]\nports = [\"lan\", \"wan\"]\n");
    assert_eq!(
        problems(&domains),
        ["12:9 the ports are in domains 1 and 0 [give both the same `domain`]"]
    );
    let routed =
        format!("{HEAD}{LAN}mode = \"routed\"\n{WAN}[[wire]]\nports = [\"lan\", \"wan\"]\n");
    assert_eq!(problems(&routed), ["7:8 the port is in a `[[wire]]`, so it is not routed"]);
}

const CLUSTER: &str = "[cluster]\nlisten = \"10.0.9.1:7400\"\n";

#[test]
fn a_node_of_a_pair() {
    let text = format!(
        "{HEAD}{LAN}{WAN}{CLUSTER}peers = [\"10.0.9.2:7400\", \"[fd00::2]:7400\"]\n\
         placement = \"hash\"\nunconfirmed = \"drop\"\n\
         [fabric]\ninterface = \"sync0\"\ngeneve-port = 1\nheartbeat-port = 2\n\
         [[vip]]\ngroup = \"g1\"\nport = \"wan\"\naddress = \"10.0.1.1/24\"\nrank = 255\n\
         [[vip]]\ngroup = \"g2\"\nport = \"lan\"\naddress = \"2001:db8::1/64\"\n"
    );
    let node = node(&text);
    let places = ["10.0.9.1:7400", "10.0.9.2:7400", "[fd00::2]:7400"];
    let [listen, first, second] = places.map(|place| place.parse().unwrap());
    let peers = vec![first, second];
    let (placement, unconfirmed) = (Placement::Hash, Unconfirmed::Drop);
    assert_eq!(node.cluster, Some(Cluster { listen, peers, placement, unconfirmed }));
    let fabric = Fabric { interface: "sync0".to_owned(), geneve_port: 1, heartbeat_port: 2 };
    assert_eq!(node.fabric, Some(fabric));
    let vip = |group: &str, port, address: &str, length, rank| Vip {
        group: group.to_owned(),
        port,
        address: address.parse().unwrap(),
        length,
        rank,
    };
    let vips = [vip("g1", 1, "10.0.1.1", 24, 255), vip("g2", 0, "2001:db8::1", 64, 100)];
    assert_eq!(node.vips, vips);
}

#[test]
fn a_pairs_defaults() {
    let node = node(&format!("{HEAD}{LAN}{CLUSTER}[fabric]\ninterface = \"sync0\"\n"));
    let cluster = node.cluster.unwrap();
    assert_eq!((cluster.peers.len(), cluster.placement), (0, Placement::Vip));
    assert_eq!(cluster.unconfirmed, Unconfirmed::Forward);
    let fabric = node.fabric.unwrap();
    assert_eq!((fabric.geneve_port, fabric.heartbeat_port), (6081, 7401));
}

#[test]
fn what_is_wrong_with_a_cluster() {
    let form = "[an address and a port: \"10.0.9.1:7400\" or \"[fd00::1]:7400\"]";
    let uncalled = "cannot be called by a peer [write the address that this node has in the \
                    fabric, and a port from 1 on]";
    let bad = |text: &str| problems(&format!("{HEAD}{LAN}[cluster]\n{text}\n"));
    assert_eq!(bad(""), ["7:1 [cluster] has no `listen`"]);
    assert_eq!(bad("listen = \"7400\""), [format!("8:10 `7400` is no place to listen {form}")]);
    for place in ["0.0.0.0:1", "[::]:1", "10.0.0.1:0", "224.0.0.1:1", "255.255.255.255:1"] {
        assert_eq!(bad(&format!("listen = \"{place}\"")), [format!("8:10 `{place}` {uncalled}")]);
    }
    let peers = |list: &str| bad(&format!("listen = \"10.0.9.1:7400\"\npeers = [{list}]"));
    assert_eq!(peers("\"fw2\""), [format!("9:10 `fw2` is no place to listen {form}")]);
    assert_eq!(peers("\"10.0.9.1:7400\""), ["9:10 `10.0.9.1:7400` is this node's own `listen`"]);
    assert_eq!(
        peers("\"10.0.9.2:1\", \"10.0.9.2:1\""),
        ["9:24 `10.0.9.2:1` is in the list already"]
    );
    let many: Vec<_> = (0..=limits::PEERS_MAX).map(|at| format!("\"10.0.8.{at}:1\"")).collect();
    assert_eq!(peers(&many.join(", ")), ["9:9 64 peers, the limit is 63"]);
    assert_eq!(
        bad("listen = \"10.0.9.1:7400\"\nplacement = \"vips\""),
        ["9:13 `vips` is no value of `placement` [did you mean `vip`?]"]
    );
    assert_eq!(
        bad("listen = \"10.0.9.1:7400\"\nunconfirmed = \"dropp\""),
        ["9:15 `dropp` is no value of `unconfirmed` [did you mean `drop`?]"]
    );
    assert_eq!(
        bad("listen = \"10.0.9.1:7400\"\nunconfirmed = true"),
        ["9:15 expected a string, found a boolean"]
    );
    assert_eq!(
        bad("listen = \"10.0.9.1:7400\"\npeer = []"),
        ["9:1 unknown key `peer` in [cluster] [did you mean `peers`?]"]
    );
}

#[test]
fn what_is_wrong_with_a_fabric() {
    let bad = |text: &str| problems(&format!("{HEAD}{LAN}{CLUSTER}[fabric]\n{text}\n"));
    assert_eq!(bad(""), ["9:1 [fabric] has no `interface`"]);
    assert_eq!(
        bad("interface = \"lan0\""),
        [
            "10:13 the interface is that of port `lan` [the fabric belongs to the kernel: give it an \
          interface of its own]"
        ]
    );
    assert_eq!(
        bad("interface = \"a b\""),
        ["10:13 `a b` is no interface name [1 to 15 bytes without `/`, `:` and spaces]"]
    );
    assert_eq!(
        bad("interface = \"s\"\ngeneve-port = 0"),
        ["11:15 `geneve-port` must be from 1 to 65535"]
    );
    assert_eq!(
        bad("interface = \"s\"\nheartbeat-port = 6081"),
        ["11:18 `geneve-port` and `heartbeat-port` must differ"]
    );
}

#[test]
fn a_target_is_a_neighbour_behind_a_port() {
    let head = format!("{HEAD}{LAN}{CLUSTER}");
    let good = "[[target]]\nport = \"lan\"\naddress = \"10.0.1.254\"\n";
    let bad = |text: &str| problems(&format!("{head}{text}\n"));
    let other = good.replace("10.0.1.254", "fd01::fe");
    let targets = node(&format!("{head}{good}{other}")).targets;
    let target = |address: &str| Target { port: 0, address: address.parse().expect("an address") };
    assert_eq!(targets, [target("10.0.1.254"), target("fd01::fe")]);
    assert_eq!(
        bad("[[target]]"),
        ["9:1 the target has no `port`", "9:1 the target has no `address`"]
    );
    assert_eq!(bad(&good.replace("lan", "wan")), ["10:8 unknown port `wan` [did you mean `lan`?]"]);
    let hint = "[that of a neighbour, without a length: \"10.0.1.254\"]";
    for address in ["10.0.1.254/24", "0.0.0.0", "224.0.0.1", "::1", "router"] {
        assert_eq!(
            bad(&good.replace("10.0.1.254", address)),
            [format!("11:11 `{address}` is no address of a host {hint}")]
        );
    }
    assert_eq!(bad(&format!("{good}{good}")), ["14:11 `10.0.1.254` is a target already"]);
    let many: String = (0..=limits::TARGETS_MAX)
        .map(|at| good.replace("10.0.1.254", &format!("10.1.0.{}", at + 1)))
        .collect();
    assert_eq!(bad(&many), ["9:3 17 targets, the limit is 16"]);
    assert_eq!(
        problems(&format!("{HEAD}{LAN}{good}")),
        [
            "7:3 `target` without `[cluster]` has no effect [add `[cluster]` with `listen` and `peers`]"
        ]
    );
}

#[test]
fn what_is_wrong_with_a_vip() {
    let head = format!("{HEAD}{LAN}{CLUSTER}");
    let good = "[[vip]]\ngroup = \"g\"\nport = \"lan\"\naddress = \"10.0.1.1/24\"\n";
    let bad = |text: &str| problems(&format!("{head}{text}\n"));
    assert_eq!(
        bad("[[vip]]"),
        ["9:1 the vip has no `group`", "9:1 the vip has no `port`", "9:1 the vip has no `address`"]
    );
    assert_eq!(bad(&good.replace("lan", "wan")), ["11:8 unknown port `wan` [did you mean `lan`?]"]);
    let hint = "[as on an interface: \"10.0.1.1/24\"]";
    for address in ["10.0.1.1", "10.0.1.1/0", "10.0.1.1/33", "0.0.0.0/8", "127.0.0.1/8", "x/1"] {
        assert_eq!(
            bad(&good.replace("10.0.1.1/24", address)),
            [format!("12:11 `{address}` is no address of a host with its prefix length {hint}")]
        );
    }
    assert_eq!(bad(&format!("{good}rank = 0")), ["13:8 `rank` must be from 1 to 255"]);
    assert_eq!(bad(&format!("{good}{good}")), ["16:11 `10.0.1.1` is a vip already"]);
    let other = good.replace("10.0.1.1", "10.0.1.2");
    assert_eq!(
        bad(&format!("{good}{other}rank = 7")),
        ["17:1 group `g` has rank 100 already [the rank is this node's, the same for all of a \
          group]"]
    );
    assert_eq!(
        problems(&format!("{HEAD}{LAN}{good}[fabric]\ninterface = \"s\"\n")),
        [
            "7:3 `vip` without `[cluster]` has no effect [add `[cluster]` with `listen` and `peers`]",
            "11:2 `fabric` without `[cluster]` has no effect [add `[cluster]` with `listen` and \
             `peers`]"
        ]
    );
    let many: String = (0..=limits::VIPS_MAX)
        .map(|at| good.replace("10.0.1.1", &format!("10.1.{}.{}", at / 200, at % 200 + 1)))
        .collect();
    assert_eq!(bad(&many), ["9:3 257 addresses, the limit is 256"]);
}
