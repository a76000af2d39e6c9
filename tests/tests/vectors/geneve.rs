//! The golden vectors of passed-on packets, as `tshark` reads them: Geneve (RFC 8926) to anybody.

use std::fs;
use std::process::Command;
use std::time::Duration;

use datapath::capture::{Format, LinkType, Writer};
use ringwall_tests::{require, run_command, temp_dir, tool, workspace};
use wire::build::Builder;

/// What `tshark` is asked for, and in the same order what it says of each vector.
const FIELDS: [&str; 5] = [
    "geneve.option.length",
    "geneve.flags.critical",
    "geneve.proto_type",
    "geneve.option.class",
    "ip.proto",
];
const LONG: Duration = Duration::from_secs(60);

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits.map(byte).collect()
}

fn byte(digits: &[u8]) -> u8 {
    let digits = str::from_utf8(digits).expect("the file is text");
    u8::from_str_radix(digits, 16).expect("the file has hexadecimal digits only")
}

#[test]
fn tshark_reads_what_nodes_pass_on() {
    require!(tool("tshark"));
    let golden = workspace().join("node/wire/vectors/geneve.txt");
    let golden = fs::read_to_string(golden).unwrap();
    let folder = temp_dir();
    let path = folder.path().join("passed.pcap");
    let mut capture =
        Writer::new(fs::File::create(&path).unwrap(), Format::Pcap, LinkType::ETHERNET).unwrap();
    let lines = golden.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let mut vectors = 0;
    for line in lines {
        let fields: Vec<&str> = line.split(' ').collect();
        let datagram = [bytes(fields[5]), bytes(fields[6])].concat();
        let nodes = ["10.9.0.1", "10.9.0.2"].map(|it| it.parse().unwrap());
        let packet = Builder::new(nodes[0], nodes[1]).udp(40_000, 6_081).payload(&datagram);
        capture.write(vectors, &packet.frame()).unwrap();
        vectors += 1;
    }
    drop(capture);
    let mut tshark = Command::new("tshark");
    tshark.args(["-n", "-r"]).arg(&path).args(["-T", "fields", "-E", "occurrence=l"]);
    tshark.args(FIELDS.iter().flat_map(|field| ["-e", field]));
    let said = run_command(&mut tshark, LONG).exits(0).stdout;
    let read: Vec<Vec<&str>> = said.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(read.len() as u64, vectors, "{said}");
    for (index, packet) in read.iter().enumerate() {
        // The last vector is cut behind its inner Ethernet header: only the outer packet is IP.
        let inner = if index == 2 { "17" } else { "6" };
        assert_eq!(packet[0], "28", "{said}");
        assert!(["1", "True"].contains(&packet[1]), "{said}");
        assert_eq!(packet[2..], ["0x6558", "0xff52", inner], "{said}");
    }
}
