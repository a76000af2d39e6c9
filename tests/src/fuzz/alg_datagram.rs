//! A datagram, read as a TFTP request and as DNS: what is told stands there, and ends where it is told.

use engine::alg::{dns, tftp};

use super::Depth;

pub(super) fn run(bytes: &[u8]) -> Depth {
    request(bytes).max(message(bytes))
}

fn request(bytes: &[u8]) -> Depth {
    let Ok(found) = tftp::read(bytes) else { return Depth::Refused };
    let strings: Vec<&[u8]> = bytes[2..].split(|byte| *byte == 0).collect();
    // The last zero ends a string, and begins none.
    assert_eq!(strings.len(), 2 + 2 * usize::from(found.options) + 1);
    assert_eq!(found.file.of(bytes), strings[0]);
    assert!(strings[..strings.len() - 1].iter().all(|it| !it.is_empty()));
    Depth::Used
}

fn message(bytes: &[u8]) -> Depth {
    let Ok(found) = dns::read(bytes) else { return Depth::Refused };
    assert_eq!(found.id.to_be_bytes(), bytes[..2]);
    assert_eq!(found.response, bytes[2] >= 0x80);
    let Some(question) = found.question else { return Depth::Read };
    let name = question.name.of(bytes);
    let mut at = 0;
    while name[at] != 0 {
        at += 1 + usize::from(name[at]);
    }
    assert_eq!(at + 1, name.len(), "labels up to the root");
    let rest = &bytes[question.name.end as usize..];
    assert_eq!(rest[..4], [question.kind.to_be_bytes(), question.class.to_be_bytes()].concat());
    Depth::Used
}
