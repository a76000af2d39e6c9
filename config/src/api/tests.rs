use core::net::IpAddr;

use super::*;

fn session() -> Session {
    Session {
        id: "1.7.42".to_owned(),
        conversation: "1.7.42".to_owned(),
        worker: 0,
        domain: 0,
        protocol: Protocol(6),
        source: "10.0.0.5".parse().expect("test address"),
        source_port: 40_000,
        destination: "192.0.2.9".parse().expect("test address"),
        destination_port: 443,
        from: Some("trust".to_owned()),
        to: Some("untrust".to_owned()),
        from_port: Some("lan".to_owned()),
        to_port: Some("wan".to_owned()),
        state: "established".to_owned(),
        rule: Some("web".to_owned()),
        epoch: Some(3),
        revision: Some(2),
        forward: Traffic { packets: 2, bytes: 120 },
        reverse: Traffic { packets: 1, bytes: 60 },
        age_milliseconds: 10,
        idle_milliseconds: 5,
        expires_milliseconds: 432_000_000,
        close_reason: None,
        translated: None,
    }
}

fn translated() -> Session {
    let translated = Translated {
        source: "198.51.100.1".parse().expect("test address"),
        source_port: 2_051,
        destination: "10.1.0.9".parse().expect("test address"),
        destination_port: 8_443,
        source_rule: Some("out".to_owned()),
        destination_rule: None,
    };
    Session { translated: Some(translated), ..session() }
}

fn filter(json: &str) -> Result<SessionFilter, serde_json::Error> {
    serde_json::from_str(json)
}

#[test]
fn each_field_of_a_filter_narrows() {
    let passes = [
        r#"{}"#,
        r#"{"source": "10.0.0.0/8"}"#,
        r#"{"destination": "192.0.2.9"}"#,
        r#"{"port": 443}"#,
        r#"{"port": 40000}"#,
        r#"{"protocol": "tcp"}"#,
        r#"{"protocol": "6"}"#,
        r#"{"zone": "trust"}"#,
        r#"{"zone": "untrust"}"#,
        r#"{"rule": "web", "state": "established"}"#,
    ];
    for json in passes {
        assert!(filter(json).expect(json).matches(&session()), "{json}");
    }
    let fails = [
        r#"{"source": "11.0.0.0/8"}"#,
        r#"{"source": "::/0"}"#,
        r#"{"destination": "192.0.2.8"}"#,
        r#"{"port": 80}"#,
        r#"{"protocol": "udp"}"#,
        r#"{"zone": "dmz"}"#,
        r#"{"rule": "dns"}"#,
        r#"{"state": "syn-sent"}"#,
        r#"{"source": "10.0.0.0/8", "port": 80}"#,
    ];
    for json in fails {
        assert!(!filter(json).expect(json).matches(&session()), "{json}");
    }
}

#[test]
fn a_filter_finds_who_had_a_public_endpoint() {
    let passes = [
        r#"{}"#,
        r#"{"translated": "198.51.100.1", "translated_port": 2051}"#,
        r#"{"translated": "10.1.0.0/16", "translated_port": 8443}"#,
        r#"{"translated_port": 2051}"#,
        r#"{"nat_rule": "out", "source": "10.0.0.5"}"#,
    ];
    for json in passes {
        assert!(filter(json).expect(json).matches(&translated()), "{json}");
    }
    let fails = [
        r#"{"translated": "198.51.100.1", "translated_port": 8443}"#,
        r#"{"translated": "10.0.0.5"}"#,
        r#"{"translated_port": 443}"#,
        r#"{"nat_rule": "web"}"#,
        r#"{"nat_rule": "out", "port": 80}"#,
    ];
    for json in fails {
        assert!(!filter(json).expect(json).matches(&translated()), "{json}");
        let plain = filter(json).expect(json).matches(&session());
        assert!(!plain, "{json}: it is not translated at all");
    }
}

#[test]
fn what_is_not_translated_says_nothing_of_it() {
    let text = |session: &Session| serde_json::to_string(session).expect("serializes");
    assert!(!text(&session()).contains("translated"));
    let json = text(&translated());
    let wanted = concat!(
        r#""translated":{"source":"198.51.100.1","source_port":2051,"destination":"10.1.0.9","#,
        r#""destination_port":8443,"source_rule":"out"}"#
    );
    assert!(json.contains(wanted), "{json}");
    assert_eq!(serde_json::from_str::<Session>(&json).expect("parses"), translated());
    // A daemon of an earlier version must not meet keys that it refuses.
    let filter = serde_json::to_string(&SessionFilter::default()).expect("serializes");
    assert!(!filter.contains("translated") && !filter.contains("nat_rule"), "{filter}");
}

#[test]
fn a_policy_says_what_there_is_to_translate_to() {
    let text = r#"
        [zones]
        a = "p"
        b = "q"
        [[nat-pool]]
        name = "public"
        addresses = ["203.0.113.10-203.0.113.13", "2001:db8::1"]
        domain = 7
        [[nat]]
        id = "out"
        type = "source"
        from = "a"
        to = "b"
        source = ["!10.0.0.9"]
        service = ["tcp/80"]
        translate = "pool:public"
        [[nat]]
        id = "in"
        type = "destination"
        destination = ["198.51.100.5"]
        service = ["tcp/80"]
        to-address = "10.0.0.5"
        to-port = 8080
        [[nat]]
        id = "dmz"
        type = "static"
        from = "b"
        outside = "198.51.100.64/28"
        inside = "10.1.0.64/28"
        [[nat]]
        id = "npt"
        type = "nptv6"
        outside = "2001:db8:1::/48"
        inside = "fd00:1::/48"
        [[nat]]
        id = "six"
        type = "nat64"
        prefix = "64:ff9b::/96"
        translate = "interface"
    "#;
    let policy = crate::parse_policy("p", text, &mut |_| Err(String::new())).expect("good").value;
    let nat = Nat::of(&policy);
    let pool = &nat.pools[0];
    assert_eq!(pool.addresses, ["203.0.113.10-203.0.113.13", "2001:db8::1"]);
    assert_eq!((pool.by_address.len(), pool.ports, pool.domain), (5, 5 * 61_440, 7));
    assert_eq!(pool.by_address[4].address, "2001:db8::1".parse::<IpAddr>().expect("one"));
    let said = |rule: &NatRule| {
        let [source, destination] = [&rule.source, &rule.destination].map(|it| it.join(" "));
        let zones = [&rule.from, &rule.to].map(|zone| zone.clone().unwrap_or_default()).join(">");
        let service = rule.service.join(" ");
        [rule.id.clone(), zones, source, destination, service, rule.translate.clone()].join("|")
    };
    let wanted = [
        "out|a>b|!10.0.0.9||tcp/80|pool:public",
        "in|>||198.51.100.5|tcp/80|10.0.0.5 port 8080",
        "dmz|b>||198.51.100.64/28||10.1.0.64/28",
        "npt|>||2001:db8:1::/48||fd00:1::/48",
        "six|>||64:ff9b::/96||interface",
    ];
    assert_eq!(nat.rules.iter().map(said).collect::<Vec<_>>(), wanted);
    let kinds: Vec<_> = nat.rules.iter().map(|rule| rule.kind.as_str()).collect();
    assert_eq!(kinds, ["source", "destination", "static", "nptv6", "nat64"]);
    let json = serde_json::to_string(&nat).expect("serializes");
    assert!(json.contains(r#""type":"nptv6""#) && !json.contains("users"), "{json}");
    assert_eq!(serde_json::from_str::<Nat>(&json).expect("parses"), nat);
}

#[test]
fn ports_of_protocols_are_each_others() {
    let mut used = NatPorts { tcp: 3, udp: 5, icmp: 0, sctp: 1 };
    assert_eq!((used.total(), used.most()), (9, 5));
    used += NatPorts { tcp: 7, ..NatPorts::default() };
    assert_eq!(used.entries(), [("tcp", 10), ("udp", 5), ("icmp", 0), ("sctp", 1)]);
    let address = |last: u8, tcp| NatAddress {
        address: [192, 0, 2, last].into(),
        used: NatPorts { tcp, udp: 4, ..NatPorts::default() },
        borrowed: 0,
    };
    let by_address = vec![address(1, 3), address(2, 6), address(3, 5)];
    let pool = NatPool { by_address, ..NatPool::default() };
    assert_eq!(pool.fullest(), Some(&address(2, 6)));
    assert_eq!(NatPool::default().fullest(), None);
}

#[test]
fn a_filter_that_is_not_understood_is_refused() {
    for json in [r#"{"sorce": "10.0.0.0/8"}"#, r#"{"source": "10.0.0.0/33"}"#, r#"{"port": 70000}"#]
    {
        assert!(filter(json).is_err(), "{json}");
    }
    assert!(filter("{}").expect("empty").is_empty());
}

#[test]
fn a_list_does_not_stand_for_an_object() {
    let clear = |json: &str| serde_json::from_str::<Object<ClearRequest>>(json);
    assert_eq!(clear(r#"{"filter": {}}"#).expect("an object").0, ClearRequest::default());
    for json in ["[]", "[{}]", "[[]]", r#"{"filter": []}"#, r#"{"filter": [null, null]}"#] {
        let error = clear(json).expect_err(json).to_string();
        assert!(error.contains("sequence, expected an object with named fields"), "{error}");
    }
    let page = serde_json::from_str::<Object<PageRequest>>(r#"{"filter": []}"#);
    assert!(page.expect_err("a list").to_string().contains("an object with named fields"));
    // What an object says wrong is said as before, with its place.
    let error = clear(r#"{"filter": {"sorce": "10.0.0.0/8"}}"#).expect_err("unknown").to_string();
    assert!(error.contains("unknown field `sorce`") && error.contains("line 1 column"), "{error}");
}

#[test]
fn records_survive_json() {
    let page =
        SessionsPage { sessions: vec![session()], cursor: Some("0:17".to_owned()), total: 1 };
    let json = serde_json::to_string(&page).expect("serializes");
    assert_eq!(serde_json::from_str::<SessionsPage>(&json).expect("parses"), page);
    assert!(json.contains(r#""protocol":"tcp""#), "{json}");
}

#[test]
fn what_a_request_leaves_out_has_its_default() {
    let page: PageRequest = serde_json::from_str("{}").expect("all defaults");
    assert_eq!(page, PageRequest::default());
    let text = r#"{"file": "p.toml", "text": ""}"#;
    let commit: CommitRequest = serde_json::from_str(text).expect("two fields are enough");
    assert_eq!((commit.comment, commit.base), (None, None));
    assert_eq!((commit.confirm_milliseconds, commit.check, commit.request), (None, false, None));
    let confirm: ConfirmRequest = serde_json::from_str("{}").expect("all defaults");
    assert_eq!(confirm, ConfirmRequest::default());
    let member: MemberRequest =
        serde_json::from_str(r#"{"verb": "promote", "node": 3}"#).expect("two fields are enough");
    assert_eq!((member.verb, member.node, member.by), (MemberVerb::Promote, 3, None));
}

#[test]
fn an_answer_of_an_earlier_version_is_read() {
    let told = r#"{"epoch": 7, "changes": [], "warnings": []}"#;
    let committed: Committed = serde_json::from_str(told).expect("the rest has its default");
    assert_eq!(committed, Committed { epoch: 7, ..Committed::default() });
    let error: Error = serde_json::from_str(r#"{"error": "no"}"#).expect("one field is enough");
    assert_eq!(error, Error::new("no"));
}

#[test]
fn the_id_of_a_request_is_text_of_hexadecimal_digits() {
    let rows = [
        (0, "00000000000000000000000000000000"),
        (0xabc, "00000000000000000000000000000abc"),
        (u128::MAX, "ffffffffffffffffffffffffffffffff"),
    ];
    for (number, text) in rows {
        let request = RollbackRequest { epoch: None, request: Some(RequestId(number)) };
        let json = serde_json::to_string(&request).expect("serializes");
        assert_eq!(json, format!(r#"{{"epoch":null,"request":"{text}"}}"#));
        assert_eq!(serde_json::from_str::<RollbackRequest>(&json).expect("parses"), request);
    }
    assert_eq!("ABC".parse(), Ok(RequestId(0xabc)), "zeros may be missing");
    for text in ["", "+1", "-1", "0x1", " 1", "g", "000000000000000000000000000000001"] {
        let error = text.parse::<RequestId>().expect_err(text);
        assert!(error.contains("32 hexadecimal digits"), "{error}");
    }
}

#[test]
fn an_error_shows_its_diagnostics() {
    let diagnostic = Diagnostic {
        severity: crate::Severity::Error,
        file: "p.toml".to_owned(),
        line: 3,
        column: 8,
        message: "unknown zone `turst`".to_owned(),
        source: "from = \"turst\"".to_owned(),
        hint: None,
    };
    let error = Error { diagnostics: vec![diagnostic], ..Error::new("the policy is refused") };
    let shown = "the policy is refused\nerror: unknown zone `turst`\n  --> p.toml:3:8\n   | \
         from = \"turst\"";
    assert_eq!(error.to_string(), shown);
    let plain = Error::new("no");
    assert_eq!(serde_json::to_string(&plain).expect("serializes"), r#"{"error":"no"}"#);
    let unknown = serde_json::to_string(&Error::unknown("who knows")).expect("serializes");
    assert_eq!(unknown, r#"{"error":"who knows","unknown":true}"#);
}
