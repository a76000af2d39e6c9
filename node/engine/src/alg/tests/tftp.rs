//! A transfer by TFTP.

use super::talk::wall;
use crate::Reason;
use crate::nat::tests::rig::*;

#[test]
fn the_answer_comes_from_another_port_and_only_once() {
    for nat in [config::Nat::default(), masquerade(), pooled(config::Mapping::default())] {
        let mut wall = wall(nat);
        let (client, server) = (("10.0.0.5", 4_000), ("198.18.0.1", 69));
        let request = udp(client, server).payload(b"\0\x01file\0octet\0");
        let shown = wall.pass(LAN, &request).ends().source;
        let shown = (&*shown.0.to_string(), shown.1);
        let stranger = udp(("198.18.0.2", 5_001), shown);
        assert_ne!(wall.drop(WAN, &stranger), Reason::TableFull);
        let answer = wall.pass(WAN, &udp(("198.18.0.1", 5_001), shown));
        assert_eq!(answer.ends().destination, (ip("10.0.0.5"), 4_000));
        let back = wall.pass(LAN, &udp(client, ("198.18.0.1", 5_001)));
        assert_eq!(
            (back.ends().source.0.to_string(), back.ends().source.1),
            (shown.0.to_owned(), shown.1)
        );
        // It is used up.
        wall.drop(WAN, &udp(("198.18.0.1", 5_002), shown));
        assert_eq!(wall.engine.alg_now(), (1, 0));
    }
}

#[test]
fn what_is_no_request_lets_nothing_in() {
    let mut wall = wall(config::Nat::default());
    wall.pass(LAN, &udp(("10.0.0.5", 4_000), ("198.18.0.1", 69)));
    let answer = udp(("198.18.0.1", 5_001), ("10.0.0.5", 4_000));
    assert_eq!(wall.drop(WAN, &answer), Reason::NoRule);
}
