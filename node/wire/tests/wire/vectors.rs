//! Golden vectors: frames with the keys and slots that every implementation must give them.
//!
//! `vectors/*.txt` hold one vector a paragraph. `RINGWALL_BLESS=1` writes them anew from the
//! samples; review the difference.
use std::fmt::Write;
use std::path::PathBuf;

use ringwall_wire::build::Frame;
use ringwall_wire::{
    FlowKey, FragmentKey, Packet, PlacementKey, Slot, embedded_key, flow_key, slot,
};

use crate::samples::{errors, flows, fragments};

const SECRETS: [[u64; 2]; 2] = [
    [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908],
    [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344],
];

const HEAD: &str = "\
# One vector a paragraph. Numbers are hexadecimal but the domain and the slot, which are decimal.
# frame: an Ethernet frame · key: the FlowKey (of the embedded packet, for an ICMP error) or the
# FragmentKey · direction: forward, from the low end to the high end, or reverse; none for a fragment
# placement: the PlacementKey · secret: k0 and k1 of SipHash-1-3, as 64-bit numbers
";

#[test]
fn vectors_are_what_the_samples_give() {
    for (file, samples) in files() {
        let text = render(&samples);
        let path = path(file);
        if std::env::var_os("RINGWALL_BLESS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap();
        assert!(golden == text, "{file} differs: RINGWALL_BLESS=1 writes it anew, then look at it");
    }
}

#[test]
fn every_vector_is_reproduced_from_its_frame() {
    let mut count = 0;
    for (file, _) in files() {
        let golden = std::fs::read_to_string(path(file)).unwrap();
        let body = golden.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>();
        for vector in body.join("\n").split("\n\n").filter(|vector| !vector.trim().is_empty()) {
            check(vector);
            count += 1;
        }
    }
    assert_eq!(count, flows().len() + fragments().len() + errors().len());
}

fn check(vector: &str) {
    let field = |name: &str| {
        let line = vector.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or_else(|| panic!("no {name} in {vector}"))
    };
    let name = field("name");
    let derived = Derived::of(&bytes(field("frame")), field("domain").parse().unwrap());
    assert_eq!(derived.key, bytes(field("key")), "{name}");
    assert_eq!(derived.direction, field("direction"), "{name}");
    assert_eq!(derived.placement.as_bytes(), bytes(field("placement")), "{name}");
    let (k0, k1) = field("secret").split_once(' ').unwrap();
    let secret = [k0, k1].map(|half| u64::from_str_radix(half, 16).unwrap());
    let Slot(found) = slot(secret, &derived.placement);
    assert_eq!(found, field("slot").parse::<u16>().unwrap(), "{name}");
}

type Samples = Vec<(&'static str, Frame)>;

fn files() -> [(&'static str, Samples); 3] {
    [("flows", flows()), ("fragments", fragments()), ("icmp-errors", errors())]
}

fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors").join(file).with_extension("txt")
}

fn render(samples: &Samples) -> String {
    let mut text = HEAD.to_owned();
    for (index, (name, frame)) in samples.iter().enumerate() {
        let domain = [0, 7, 0xfffe][index % 3];
        let secret = SECRETS[index % 2];
        let derived = Derived::of(frame, domain);
        let Slot(slot) = slot(secret, &derived.placement);
        writeln!(text, "\nname: {name}\nframe: {}\ndomain: {domain}", hex(frame)).unwrap();
        writeln!(text, "key: {}\ndirection: {}", hex(&derived.key), derived.direction).unwrap();
        writeln!(text, "placement: {}", hex(derived.placement.as_bytes())).unwrap();
        writeln!(text, "secret: {:016x} {:016x}\nslot: {slot}", secret[0], secret[1]).unwrap();
    }
    text
}

/// What a frame and a domain give.
struct Derived {
    key: Vec<u8>,
    direction: String,
    placement: PlacementKey,
}

impl Derived {
    fn of(frame: &[u8], domain: u16) -> Self {
        let packet = Packet::parse(frame).unwrap();
        if let Some(key) = FragmentKey::of(&packet, domain) {
            let placement = PlacementKey::of_fragment(&key);
            return Self { key: key.as_bytes().to_vec(), direction: "none".to_owned(), placement };
        }
        let found = flow_key(&packet, domain)
            .or_else(|| embedded_key(&Packet::parse_embedded(frame, &packet).unwrap(), domain));
        let (key, direction): (FlowKey, _) = found.unwrap();
        let direction = format!("{direction:?}").to_lowercase();
        Self { key: key.as_bytes().to_vec(), direction, placement: PlacementKey::of_flow(&key) }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
