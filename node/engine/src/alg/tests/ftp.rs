//! Transfers by FTP.

use std::time::Duration;

use wire::TcpFlags;

use super::talk::*;
use crate::nat::tests::rig::*;
use crate::session::Peer::{Initiator, Responder};
use crate::{Reason, Verdict};

const CLIENT: (&str, u16) = ("10.0.0.5", 40_000);
const SERVER: (&str, u16) = ("198.18.0.1", 21);

#[test]
fn a_passive_transfer_passes_by_its_announcement_alone_and_only_once() {
    let mut wall = wall(config::Nat::default());
    let data = tcp(("10.0.0.5", 40_001), ("198.18.0.1", 51_210), SYN).seq(7).mss(1_460);
    assert_eq!(wall.drop(LAN, &data), Reason::NoRule);
    let mut talk = Talk::open(&mut wall, CLIENT, SERVER);
    talk.line(&mut wall, Initiator, "PASV\r\n");
    let reply = "227 Entering Passive Mode (198,18,0,1,200,10).\r\n";
    assert_eq!(talk.line(&mut wall, Responder, reply), reply);
    assert_eq!(wall.engine.alg_now(), (1, 1));
    let other = tcp(("10.0.0.6", 40_001), ("198.18.0.1", 51_210), SYN).seq(7).mss(1_460);
    assert_eq!(wall.drop(LAN, &other), Reason::NoRule, "another client");
    wall.pass(LAN, &data);
    let answer = tcp(("198.18.0.1", 51_210), ("10.0.0.5", 40_001), SYN_ACK).seq(70).ack(8);
    wall.pass(WAN, &answer.mss(1_460));
    assert_eq!(wall.engine.alg_now(), (1, 0));
    let again = tcp(("10.0.0.5", 40_002), ("198.18.0.1", 51_210), SYN).seq(7).mss(1_460);
    assert_eq!(wall.drop(LAN, &again), Reason::NoRule, "it is used up");
    let sessions: Vec<_> = (0..wall.engine.sessions().places())
        .filter_map(|place| wall.engine.session_at(place))
        .map(|(_, session)| (session.id, session.conversation))
        .collect();
    let control = sessions.iter().find(|it| it.0 == it.1).expect("the control channel");
    assert!(sessions.iter().all(|it| it.1 == control.0), "one conversation: {sessions:?}");
}

#[test]
fn the_last_announcement_alone_stands_and_none_when_the_channel_is_over() {
    let announced = |wall: &mut Wall, talk: &mut Talk, port: u16| {
        talk.line(wall, Initiator, "EPSV\r\n");
        let reply = format!("229 Entering Extended Passive Mode (|||{port}|)\r\n");
        assert_eq!(talk.line(wall, Responder, &reply), reply);
    };
    let data = |port| tcp(("10.0.0.5", 40_001), ("198.18.0.1", port), SYN).seq(7).mss(1_460);
    for last in [TcpFlags::FIN, TcpFlags::RST] {
        let mut wall = wall(masquerade());
        let mut talk = Talk::open(&mut wall, CLIENT, SERVER);
        announced(&mut wall, &mut talk, 51_210);
        announced(&mut wall, &mut talk, 51_211);
        assert_eq!(wall.engine.alg_now(), (1, 1));
        assert_eq!(wall.drop(LAN, &data(51_210)), Reason::NoRule, "it was given up");
        wall.pass(LAN, &data(51_211));
        announced(&mut wall, &mut talk, 51_212);
        assert_eq!(wall.engine.alg_now(), (1, 1));
        talk.end(&mut wall, last);
        assert_eq!(wall.engine.alg_now().1, 0, "after {last:?}");
        assert_eq!(wall.drop(LAN, &data(51_212)), Reason::NoRule);
    }
}

#[test]
fn an_active_transfer_through_a_public_address_is_announced_by_that() {
    for nat in [masquerade(), pooled(config::Mapping::default())] {
        let mut wall = wall(nat);
        let mut talk = Talk::open(&mut wall, CLIENT, SERVER);
        let public = talk.shown().source.0.to_string();
        let heard = talk.line(&mut wall, Initiator, "PORT 10,0,0,5,78,32\r\n");
        let (host, port) = six(&heard);
        assert_eq!((&host, heard.ends_with("\r\n")), (&public, true), "{heard:?}");
        assert_eq!(wall.taken(&public), 2, "that of the control channel, and the announced one");
        // What follows has other numbers there, and acknowledgments find their way back.
        assert_eq!(talk.line(&mut wall, Responder, "200 ok\r\n"), "200 ok\r\n");
        assert_eq!(talk.line(&mut wall, Initiator, "RETR x\r\n"), "RETR x\r\n");
        let data = ("198.18.0.1", 20);
        let syn = wall.pass(WAN, &tcp(data, (&host, port), SYN).seq(5).mss(1_460));
        assert_eq!(syn.ends().destination, (ip("10.0.0.5"), 78 * 256 + 32));
        let inside = ("10.0.0.5", 78 * 256 + 32);
        let answer = wall.pass(LAN, &tcp(inside, data, SYN_ACK).seq(9).ack(6).mss(1_460));
        assert_eq!(answer.ends().source, (ip(&host), port));
        let sent = tcp(data, (&host, port), ACK).seq(6).ack(10).payload(b"content");
        assert_eq!(wall.pass(WAN, &sent).ends().destination, (ip("10.0.0.5"), 78 * 256 + 32));
        assert_eq!(wall.taken(&public), 2);
        wall.pass(
            WAN,
            &tcp(data, (&host, port), TcpFlags(ACK.0 | TcpFlags::RST.0)).seq(13).ack(10),
        );
        wall.wait(Duration::from_secs(20));
        assert_eq!(wall.taken(&public), 1, "the data connection is over");
    }
}

#[test]
fn a_server_behind_a_public_name_announces_that() {
    let target = config::NatKind::Destination(config::DestinationNat {
        destination: set(NAME),
        services: None,
        to: config::DestinationTo::V4(ip4("10.0.2.100"), ip4("10.0.2.100")),
        to_port: None,
    });
    let mut wall = wall(nat(Vec::new(), vec![rule("to", Some(1), target)]));
    let client = ("198.18.0.1", 40_000);
    let mut talk = Talk::open_by(&mut wall, [WAN, LAN], client, ("198.51.100.80", 21));
    let heard =
        talk.line(&mut wall, Responder, "227 Entering Passive Mode (10,0,2,100,200,10)\r\n");
    assert_eq!(six(&heard), ("198.51.100.80".to_owned(), 51_210));
    let syn = tcp(("198.18.0.1", 40_001), ("198.51.100.80", 51_210), SYN).seq(5).mss(1_460);
    assert_eq!(wall.pass(WAN, &syn).ends().destination, (ip("10.0.2.100"), 51_210));
    assert_eq!(talk.line(&mut wall, Initiator, "QUIT\r\n"), "QUIT\r\n");
}

#[test]
fn a_line_in_pieces_leaves_as_one() {
    let mut wall = wall(masquerade());
    let mut talk = Talk::open(&mut wall, CLIENT, SERVER);
    let line = b"PORT 10,0,0,5,78,32\r\n";
    for cut in 1..line.len() {
        let (first, rest) = line.split_at(cut);
        assert_eq!(talk.say(&mut wall, Initiator, first), "", "kept back: {cut}");
        // Sent again it is acknowledged in the server's place.
        let again = talk.segment(Initiator, talk.sent[0].wrapping_sub(cut as u32), first);
        let (decision, left) = wall.arrive(LAN, &again);
        assert_eq!((decision.verdict, left.len()), (Verdict::Answer, 1));
        let wire::Transport::Tcp(tcp) = &left[0].packet.body else { panic!() };
        assert_eq!((tcp.acknowledgment.0, left[0].port), (talk.sent[0], LAN));
        let heard = talk.say(&mut wall, Initiator, rest);
        assert_eq!(six(&heard).0, "198.51.100.1", "{heard:?}");
        // Lost behind the firewall: its client sends the rest alone, for the first was acknowledged.
        let again = talk.segment(Initiator, talk.sent[0].wrapping_sub(rest.len() as u32), rest);
        let left = wall.pass(LAN, &again);
        assert_eq!(data(&left), heard.as_bytes(), "cut at {cut}");
        assert_eq!(talk.say(&mut wall, Responder, b"200 ok\r\n"), "200 ok\r\n");
    }
}

#[test]
fn who_names_another_host_or_a_port_of_services_lets_nothing_in() {
    let mut wall = wall(config::Nat::default());
    let mut talk = Talk::open(&mut wall, CLIENT, SERVER);
    for line in ["PORT 10,0,0,6,78,32\r\n", "PORT 10,0,0,5,0,25\r\n", "EPRT |2|fd00::5|20000|\r\n"]
    {
        assert_eq!(talk.line(&mut wall, Initiator, line), line);
        assert_eq!(wall.engine.alg_now(), (1, 0), "{line}");
    }
    let counted = wall.engine.alg_counters();
    assert_eq!((counted.third_party, counted.low_port, counted.opened), (2, 1, 0));
    let syn = tcp(("198.18.0.1", 20), ("10.0.0.6", 20_000), SYN).seq(5).mss(1_460);
    assert_eq!(wall.drop(WAN, &syn), Reason::NoRule);
}

#[test]
fn a_server_that_names_another_host_is_meant_itself() {
    let mut wall = wall(config::Nat::default());
    let mut talk = Talk::open(&mut wall, CLIENT, SERVER);
    talk.line(&mut wall, Responder, "227 (192,168,0,9,200,10)\r\n");
    let to = |host| tcp(("10.0.0.5", 40_001), (host, 51_210), SYN).seq(7).mss(1_460);
    assert_eq!(wall.drop(LAN, &to("192.168.0.9")), Reason::NoRule);
    wall.pass(LAN, &to("198.18.0.1"));
}

#[test]
fn an_announcement_is_forgotten_with_time_and_with_its_channel() {
    let mut wall = wall(masquerade());
    let mut talk = Talk::open(&mut wall, CLIENT, SERVER);
    talk.line(&mut wall, Initiator, "PORT 10,0,0,5,78,32\r\n");
    assert_eq!((wall.engine.alg_now(), wall.taken("198.51.100.1")), ((1, 1), 2));
    wall.wait(Duration::from_secs(61));
    assert_eq!((wall.engine.alg_now(), wall.taken("198.51.100.1")), ((1, 0), 1));
    talk.line(&mut wall, Initiator, "PORT 10,0,0,5,78,33\r\n");
    assert_eq!(wall.engine.alg_now(), (1, 1));
    let reset = talk.segment(Initiator, talk.sent[0], b"").flags(TcpFlags(ACK.0 | TcpFlags::RST.0));
    wall.pass(LAN, &reset);
    wall.wait(Duration::from_secs(20));
    assert_eq!((wall.engine.alg_now(), wall.taken("198.51.100.1")), ((0, 0), 0));
}

#[test]
fn what_came_too_early_is_sent_again_and_what_is_encrypted_is_not_read() {
    let mut wall = wall(masquerade());
    let mut talk = Talk::open(&mut wall, CLIENT, SERVER);
    let early = talk.segment(Initiator, talk.sent[0].wrapping_add(6), b"PASV\r\n");
    assert_eq!(wall.drop(LAN, &early), Reason::AlgGap);
    talk.line(&mut wall, Initiator, "AUTH TLS\r\n");
    talk.line(&mut wall, Responder, "234 go on\r\n");
    let line = "PORT 10,0,0,5,78,32\r\n";
    assert_eq!(talk.line(&mut wall, Initiator, line), line);
    assert_eq!(wall.engine.alg_now(), (1, 0));
}

#[test]
fn both_families() {
    let mut wall = wall(config::Nat::default());
    let (client, server) = (("fd00::5", 40_000), ("2001:db8:9::1", 21));
    let mut talk = Talk::open(&mut wall, client, server);
    let line = "EPRT |2|fd00::5|20000|\r\n";
    assert_eq!(talk.line(&mut wall, Initiator, line), line);
    let syn = tcp(("2001:db8:9::1", 20), ("fd00::5", 20_000), SYN).seq(5).mss(1_440);
    assert!(is_forwarded(wall.arrive(WAN, &syn).0.verdict));
    talk.line(&mut wall, Responder, "229 Extended (|||51210|)\r\n");
    let syn = tcp(("fd00::5", 40_001), ("2001:db8:9::1", 51_210), SYN).seq(5).mss(1_440);
    assert!(is_forwarded(wall.arrive(LAN, &syn).0.verdict));
}

#[test]
fn what_the_far_end_has_not_acknowledged_is_replaced_so_many_times() {
    let mut wall = wall(masquerade());
    let mut talk = Talk::open(&mut wall, CLIENT, SERVER);
    for port in 0..crate::limits::ALG_EDITS {
        let line = format!("PORT 10,0,0,5,78,{port}\r\n");
        talk.say(&mut wall, Initiator, line.as_bytes());
    }
    let line = b"PORT 10,0,0,5,78,99\r\n";
    let more = talk.segment(Initiator, talk.sent[0], line);
    assert_eq!(wall.drop(LAN, &more), Reason::AlgBusy);
    // What it has acknowledged makes room.
    talk.say(&mut wall, Responder, b"200 ok\r\n");
    assert_eq!(six(&talk.say(&mut wall, Initiator, line)).0, "198.51.100.1");
}

#[test]
fn a_server_at_the_firewalls_own_address_has_no_port_of_its_hosts() {
    let target = config::NatKind::Destination(config::DestinationNat {
        destination: set(OWN),
        services: Some(vec![tcp_at(21)]),
        to: config::DestinationTo::V4(ip4("10.0.2.100"), ip4("10.0.2.100")),
        to_port: None,
    });
    let mut wall = wall(nat(Vec::new(), vec![rule("to", Some(1), target)]));
    let client = ("198.18.0.1", 40_000);
    let mut talk = Talk::open_by(&mut wall, [WAN, LAN], client, ("198.51.100.1", 21));
    // 64,000, which the kernel gives its own connections; twice, for the first has one there already.
    let mut told = Vec::new();
    for port in [64_000_u16, 64_000, 51_210] {
        let [high, low] = port.to_be_bytes();
        let line = format!("227 Entering Passive Mode (10,0,2,100,{high},{low})\r\n");
        let (host, shown) = six(&talk.line(&mut wall, Responder, &line));
        assert_eq!(host, "198.51.100.1");
        assert!((1_024..=62_463).contains(&shown) && !told.contains(&shown), "{shown}");
        told.push(shown);
        let syn = tcp(("198.18.0.1", 40_000 + shown % 99), ("198.51.100.1", shown), SYN);
        let left = wall.pass(WAN, &syn.seq(5).mss(1_460));
        assert_eq!(left.ends().destination, (ip("10.0.2.100"), port));
    }
}

fn tcp_at(port: u16) -> config::Service {
    config::Service { destination_ports: Some((port, port)), ..config::Service::of_protocol(6) }
}

/// No rule was asked for it when it came, and none would permit it: a commit is no reason to end it.
#[test]
fn a_transfer_lives_through_commits_as_long_as_the_rule_of_its_channel_permits() {
    for nat in [config::Nat::default(), masquerade()] {
        let mut wall = wall(nat.clone());
        let mut talk = Talk::open(&mut wall, CLIENT, SERVER);
        let (host, port) = six(&talk.line(&mut wall, Initiator, "PORT 10,0,0,5,78,32\r\n"));
        let syn = tcp(("198.18.0.1", 20), (&host, port), SYN).seq(5).mss(1_460);
        wall.pass(WAN, &syn);
        let answer = tcp(("10.0.0.5", 20_000), ("198.18.0.1", 20), SYN_ACK).seq(9).ack(6);
        wall.pass(LAN, &answer.mss(1_460));
        let sent =
            |seq| tcp(("198.18.0.1", 20), (&host, port), ACK).seq(seq).ack(10).payload(b"bytes");
        // Judged by its next packet, and by the sweep.
        wall.engine.set_policy(policy(CHANNELS, nat.clone(), 3));
        wall.pass(WAN, &sent(6));
        wall.engine.set_policy(policy(CHANNELS, nat.clone(), 4));
        wall.wait(Duration::from_millis(10));
        wall.pass(WAN, &sent(11));
        let taken = wall.taken(&host);
        let next = talk.line(&mut wall, Initiator, "PORT 10,0,0,5,78,33\r\n");
        assert_ne!(six(&next).1, port, "it has its port still");
        assert!(host == "10.0.0.5" || wall.taken(&host) == taken + 1);
        let gone = CHANNELS.replace("id = \"out\"", "id = \"other\"");
        wall.engine.set_policy(policy(&gone, nat, 5));
        wall.wait(Duration::from_millis(10));
        wall.drop(WAN, &sent(16));
    }
}

/// Servers send from one port, and a client may listen where it did before: behind the public address both
/// transfers look alike, though they went to different ports of it.
#[test]
fn a_transfer_takes_the_place_of_one_that_is_over() {
    let mut wall = wall(masquerade());
    let mut talk = Talk::open(&mut wall, CLIENT, SERVER);
    let (data, inside) = (("198.18.0.1", 20), ("10.0.0.5", 78 * 256 + 32));
    for over in [true, false, true] {
        let (host, port) = six(&talk.line(&mut wall, Initiator, "PORT 10,0,0,5,78,32\r\n"));
        let to = (&*host, port);
        let syn = wall.pass(WAN, &tcp(data, to, SYN).seq(5).mss(1_460));
        assert_eq!(syn.ends().destination, (ip(inside.0), inside.1));
        wall.pass(LAN, &tcp(inside, data, SYN_ACK).seq(9).ack(6).mss(1_460));
        let fin = TcpFlags(ACK.0 | TcpFlags::FIN.0);
        wall.pass(WAN, &tcp(data, to, fin).seq(6).ack(10));
        if over {
            wall.pass(LAN, &tcp(inside, data, fin).seq(10).ack(7));
            wall.pass(WAN, &tcp(data, to, ACK).seq(7).ack(11));
        } else {
            // It is not over yet: there is no place for another one like it.
            let (host, port) = six(&talk.line(&mut wall, Initiator, "PORT 10,0,0,5,78,32\r\n"));
            let again = tcp(data, (&host, port), SYN).seq(5).mss(1_460);
            assert_eq!(wall.drop(WAN, &again), Reason::NatExhausted);
            wall.pass(LAN, &tcp(inside, data, TcpFlags(ACK.0 | TcpFlags::RST.0)).seq(10).ack(7));
        }
    }
    wall.wait(Duration::from_secs(600));
    assert_eq!((wall.engine.sessions().len(), wall.taken("198.51.100.1")), (1, 1));
}

/// The client may keep an old connection of the same ends (TIME-WAIT): it challenges the SYN, the server
/// resets what is kept, and asks again. The pinhole is used up by then.
#[test]
fn a_transfer_is_let_in_whose_client_remembers_another_one() {
    for nat in [config::Nat::default(), masquerade()] {
        let mut wall = wall(nat);
        let mut talk = Talk::open(&mut wall, CLIENT, SERVER);
        let (host, port) = six(&talk.line(&mut wall, Initiator, "PORT 10,0,0,5,78,32\r\n"));
        let (data, inside) = (("198.18.0.1", 20), ("10.0.0.5", 20_000));
        let syn = tcp(data, (&host, port), SYN).seq(5).mss(1_460);
        wall.pass(WAN, &syn);
        wall.pass(LAN, &tcp(inside, data, ACK).seq(70_000).ack(90_000));
        wall.pass(WAN, &tcp(data, (&host, port), TcpFlags::RST).seq(90_000));
        wall.pass(WAN, &syn);
        wall.pass(LAN, &tcp(inside, data, SYN_ACK).seq(9).ack(6).mss(1_460));
        wall.pass(WAN, &tcp(data, (&host, port), ACK).seq(6).ack(10).payload(b"bytes"));
        let other = tcp(("198.18.0.1", 21), (&host, port), SYN).seq(5).mss(1_460);
        wall.drop(WAN, &other);
    }
}

/// One transfer after the other, for longer than pinholes and connections that are over are kept.
#[test]
fn transfers_without_end_are_let_in_each() {
    for nat in [config::Nat::default(), masquerade()] {
        let mut wall = Wall::with(1, 20_000, crate::WorkerId(0), nat.clone());
        wall.engine.set_policy(policy(CHANNELS, nat, 2));
        let mut talk = Talk::open(&mut wall, CLIENT, SERVER);
        for number in 0..8_000_u32 {
            let (host, port) = six(&talk.line(&mut wall, Initiator, "PORT 10,0,0,5,78,32\r\n"));
            let (data, inside) = (("198.18.0.1", 30_000 + (number * 7 % 9_001) as u16), 20_000);
            let (to, inside) = ((&*host, port), ("10.0.0.5", inside));
            let (decision, left) = wall.arrive(WAN, &tcp(data, to, SYN).seq(5).mss(1_460));
            assert!(is_forwarded(decision.verdict) && left.len() == 1, "{number}: {decision:?}");
            wall.pass(LAN, &tcp(inside, data, SYN_ACK).seq(9).ack(6).mss(1_460));
            let fin = TcpFlags(ACK.0 | TcpFlags::FIN.0);
            wall.pass(WAN, &tcp(data, to, fin).seq(6).ack(10));
            wall.pass(LAN, &tcp(inside, data, fin).seq(10).ack(7));
            wall.pass(WAN, &tcp(data, to, ACK).seq(7).ack(11));
            talk.line(&mut wall, Responder, "226 done\r\n");
            wall.wait(Duration::from_millis(25));
        }
    }
}
