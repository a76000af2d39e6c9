//! Tracked targets: a node that does not reach what it must is less fit than one that does.

use std::io::Write as _;

use ringwall_tests::{require, root, wait_for};

use super::{PATIENCE, Pair};

fn is_called(pair: &Pair, fitness: &str) -> bool {
    pair.cluster(0).is_some_and(|it| it["fitness"] == fitness)
}

#[test]
fn who_does_not_reach_its_target_hands_over_until_it_answers() {
    require!(root());
    let mut pair = Pair::founded();
    // Of the node with the better rank alone; nobody has that address yet.
    let file = std::fs::File::options().append(true).open(pair.node_file(0));
    let target = b"[[target]]\nport = \"lan\"\naddress = \"10.1.0.99\"\n";
    file.and_then(|mut file| file.write_all(target)).expect("one target more");
    (0..2).for_each(|index| pair.start(index));
    pair.settles(1);
    wait_for(PATIENCE, "a target that is missed", || is_called(&pair, "target-unreachable"));
    pair.client.add_address("c0", "10.1.0.99/24").expect("it is there now");
    wait_for(PATIENCE, "a node that is fit again", || is_called(&pair, "fit"));
    // Nothing is taken back unasked.
    assert_eq!(pair.role(1), "active", "{}", pair.last_words());
}
