//! Each way a configuration can be wrong, beside one that is right.

use super::*;
use engine::PortId;

fn good() -> Config {
    let peer = PeerConfig { node: NodeId(2), kind: Kind::Firewall, paths: vec![PathId(0)] };
    Config {
        node: NodeId(1),
        kind: Kind::Firewall,
        rank: 100,
        preempt: false,
        alone: Alone::Forward,
        list: 0,
        earlier: Vec::new(),
        guard: PolicyGuard::Digest,
        peers: vec![peer],
        vips: vec![vip("10.0.1.1", 24)],
        timing: Timing::default(),
        secret: [7; 32],
    }
}

fn vip(address: &str, prefix: u8) -> Vip {
    Vip { port: PortId(0), address: address.parse().unwrap(), prefix }
}

fn refused(change: impl FnOnce(&mut Config)) -> ConfigError {
    let mut config = good();
    change(&mut config);
    let error = config.check().unwrap_err();
    assert!(!error.to_string().is_empty());
    error
}

#[test]
fn each_mistake_has_its_name() {
    assert_eq!(good().check(), Ok(()));
    assert_eq!(refused(|it| it.node = NodeId(0)), ConfigError::NodeZero);
    assert_eq!(refused(|it| it.node = NodeId(2)), ConfigError::NodeTwice(NodeId(2)));
    let many = |it: &mut Config| {
        it.peers =
            (2..=17).map(|n| PeerConfig { node: NodeId(n), ..it.peers[0].clone() }).collect();
    };
    assert_eq!(refused(many), ConfigError::TooManyMembers(17));
    for paths in [vec![], vec![PathId(1), PathId(1)], (0..9).map(PathId).collect()] {
        assert_eq!(refused(|it| it.peers[0].paths = paths), ConfigError::Paths(NodeId(2)));
    }
    let all = |it: &mut Config| it.vips = vec![vip("10.0.0.1", 8); VIPS_MAX + 1];
    assert_eq!(refused(all), ConfigError::TooManyVips(VIPS_MAX + 1));
    for wrong in [vip("10.0.1.1", 25), vip("10.0.1.2", 33), vip("2001:db8::1", 129)] {
        assert_eq!(refused(|it| it.vips.push(wrong)), ConfigError::Vip(wrong));
    }
}

#[test]
fn times_fit_together() {
    let timing = Timing::default();
    assert_eq!(timing.check(), Ok(()));
    assert_eq!(timing.detect(), Duration::from_millis(50));
    let wrong = [
        (Timing { interval: Duration::from_micros(999), ..timing }, TimingError::Interval),
        (Timing { interval: Duration::from_millis(1_001), ..timing }, TimingError::Interval),
        (Timing { detect_multiplier: 1, ..timing }, TimingError::Multiplier),
        (Timing { lease: Duration::from_millis(59), ..timing }, TimingError::LeaseTooShort),
        (Timing { takeover: Duration::from_millis(70), ..timing }, TimingError::TakeoverTooShort),
        (Timing { lag: Duration::from_millis(10), ..timing }, TimingError::TakeoverTooShort),
    ];
    for (timing, why) in wrong {
        assert_eq!(timing.check(), Err(why));
        assert_eq!(refused(|it| it.timing = timing), ConfigError::Timing(why));
    }
}

#[test]
fn majorities() {
    let voters = |count: u16| Config {
        peers: (2..=count)
            .map(|n| PeerConfig { node: NodeId(n), ..good().peers[0].clone() })
            .collect(),
        ..good()
    };
    let majority = |count| voters(count).majority();
    assert_eq!([1, 2, 3, 4, 5].map(majority), [1, 2, 2, 3, 3]);
}
